"""Functions on their way to the workers of a pool that is somebody else's.

Nobody knows which worker of a pool will have a call, nor whether that is a thread of this process
or a process elsewhere. So a call takes its function along in a `Parcel`, which becomes a pickle
only where the pool pickles it, and a worker keeps what it has made of a parcel. A large pickle
goes with the first calls only: a worker that lacks it says so, and gets the call again with it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import nullcontext
from typing import Any, NamedTuple

from ..arrays.threads import one_thread
from . import recursion_guard
from .channel import pickled
from .worker import Call, Runner

SMALL = 2**16  # bytes of a pickle that goes with every call
KEPT = 8  # parcels that a process keeps
_parcel_cache: OrderedDict = OrderedDict()  # those that came as a pickle by name, the latest last


class Parcel:
    """A function (or a Recipe) on its way to a worker, of this process or of another one.

    Parameters
    ----------
    name : str
        What it is called, and nothing else on any machine.
    thing
        What `Runner.put` takes; None: it has been made, and is needed no more.
    is_here : bool
        Whether it is in the process that has made it, so that it has never become a pickle.

    Attributes
    ----------
    data
        Its pickle; None: nobody has wanted one yet.
    error
        Why there is no pickle.
    per_thread : threading.local
        What each thread has made of it, as `per_thread.thing`.
    """

    def __init__(self, name: str, thing: Any, is_here: bool = True):
        self.name, self.thing, self.is_here = name, thing, is_here
        self.data, self.error, self.per_thread = None, None, threading.local()
        self._by_value = recursion_guard.importing()  # now: it is pickled in a thread of the pool

    def __reduce__(self):
        if self.data is None:
            try:
                self.data = pickled(self.thing, self._by_value)
            except TypeError as error:
                self.error = error
                raise
        return _received, (self.name, self.data)

    def light(self) -> Parcel | str:
        """Return what goes with a call: the parcel, or its name where it is known to be heavy."""
        return self.name if self.data is not None and len(self.data) > SMALL else self


def _received(name: str, data: bytes) -> Parcel:
    """Return the parcel of this name in a process that has got it as a pickle."""
    recursion_guard.be_worker()
    parcel = _parcel_cache.pop(name, None) or Parcel(name, None, is_here=False)
    parcel.thing = parcel.data = data
    _parcel_cache[name] = parcel
    while len(_parcel_cache) > KEPT:
        _parcel_cache.popitem(last=False)
    return parcel


def work(parcels: dict, call: Call) -> bytes | str | None:
    """Do what a worker of a pool does.

    Parameters
    ----------
    parcels : dict
        {key that the call names: Parcel, or the name of one}.
    call : Call
        The points.

    Returns
    -------
    bytes, str or None
        The Outcome of the call as bytes. Or in words what has ended it that is no Exception, and
        would have ended a process. None: the worker lacks a parcel.
    """
    present = {
        key: _parcel_cache.get(parcel) if isinstance(parcel, str) else parcel
        for key, parcel in parcels.items()
    }
    things = {
        key: parcel and getattr(parcel.per_thread, "thing", parcel.thing)
        for key, parcel in present.items()
    }
    if None in things.values():
        return None
    is_here = all(parcel.is_here for parcel in present.values())
    runner = Runner(nullcontext if is_here else one_thread)
    runner.things.update(things)
    is_main = threading.current_thread() is threading.main_thread()
    try:
        outcome = runner.run(call)
    except BaseException as error:  # KeyboardInterrupt, and what else is no Exception
        if is_here and is_main:
            raise  # it is the program's
        return f"{type(error).__name__}: {error}"
    for key, parcel in present.items():
        parcel.per_thread.thing = runner.things[key]
        if not is_here and is_main:  # no other thread works here: one copy is enough
            parcel.thing = parcel.data = None
    return outcome.to_bytes()


class Answer(NamedTuple):
    """What `work` returns, and to which call of a generation."""

    number: int
    result: bytes | str | None


def numbered_work(parcels: dict, item: tuple) -> Answer:
    """Return `work` as `map` calls it."""
    number, call = item
    return Answer(number, work(parcels, call))
