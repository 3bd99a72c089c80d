"""Workers that are somebody else's: an Executor, or a function like `map`.

A pool that the user has already, of threads, of processes or of a cluster, evaluates as well. What
has `submit` (`concurrent.futures`, loky, mpi4py, dask's `get_executor`) is given one call at a
time; what is called like `map` (`pool.map` of `multiprocessing`, `executor.map`, `map` itself, as
in SciPy's `workers=`) all calls of a generation at once. A pool stays its owner's: it is never
shut down here, and nobody ends a call in it that hangs.

Nobody knows which worker of a pool will have a call, nor whether that is a thread of this process
or a process elsewhere. So a call takes its function along in a `Parcel`, which becomes a pickle
only where the pool pickles it, and a worker keeps what it has made of a parcel. A large pickle
goes with the first calls only: a worker that lacks it says so, and gets the call again with it.
"""

from __future__ import annotations

import secrets
import sys
import threading
from collections import OrderedDict, deque
from concurrent.futures import BrokenExecutor, CancelledError, ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from functools import partial
from multiprocessing.pool import ThreadPool
from typing import NamedTuple

from ..arrays.threads import one_thread
from . import guard
from .channel import Event, Transport, pickled
from .supervisor import EvaluationError
from .worker import Call, Desk, Outcome

SMALL = 2**16  # bytes of a pickle that goes with every call
KEPT = 8  # parcels that a process keeps
_kept: OrderedDict = OrderedDict()  # those that came as a pickle by name, the latest last


class Parcel:
    """A function (or a Recipe) on its way to a worker, of this process or of another one.

    name       what it is called, and nothing else on any machine
    thing      what `Desk.take` takes; None: it has been made, and is needed no more
    data       its pickle; None: nobody has wanted one yet
    error      why there is no pickle
    is_here    did it never become a pickle?
    made       what each thread has made of it, as `made.thing`
    """

    def __init__(self, name: str, thing, is_here: bool = True):
        self.name, self.thing, self.is_here = name, thing, is_here
        self.data, self.error, self.made = None, None, threading.local()
        self._by_value = guard.importing()  # now: it is pickled in a thread of the pool

    def __reduce__(self):
        if self.data is None:
            try:
                self.data = pickled(self.thing, self._by_value)
            except TypeError as error:
                self.error = error
                raise
        return _received, (self.name, self.data)

    def light(self):
        """What goes with a call: the parcel, or its name where it is known to be heavy."""
        return self.name if self.data is not None and len(self.data) > SMALL else self


def _received(name: str, data: bytes) -> Parcel:
    """The parcel of this name in a process that has got it as a pickle."""
    guard.be_worker()
    parcel = _kept.pop(name, None) or Parcel(name, None, is_here=False)
    parcel.thing = parcel.data = data
    _kept[name] = parcel
    while len(_kept) > KEPT:
        _kept.popitem(last=False)
    return parcel


def work(parcels: dict, call: Call) -> bytes | str | None:
    """What a worker of a pool does: the Outcome of a call, as bytes. Or in words what has ended
    it that is no Exception, and would have ended a process. None: it lacks a parcel.

    parcels   {key that the call names: Parcel, or the name of one}
    """
    found = {key: _kept.get(its) if isinstance(its, str) else its for key, its in parcels.items()}
    things = {key: its and getattr(its.made, "thing", its.thing) for key, its in found.items()}
    if None in things.values():
        return None
    is_here = all(its.is_here for its in found.values())
    desk = Desk(nullcontext if is_here else one_thread)
    desk.things.update(things)
    is_main = threading.current_thread() is threading.main_thread()
    try:
        outcome = desk.run(call)
    except BaseException as error:  # KeyboardInterrupt, and what else is no Exception
        if is_here and is_main:
            raise  # it is the program's
        return f"{type(error).__name__}: {error}"
    for key, its in found.items():
        its.made.thing = desk.things[key]
        if not is_here and is_main:  # no other thread works here: one copy is enough
            its.thing = its.data = None
    return outcome.to_bytes()


class _Answer(NamedTuple):
    """What `work` returns, and to which call of a generation."""

    number: int
    said: bytes | str | None


def _numbered(parcels: dict, item: tuple) -> _Answer:
    """`work` as `map` calls it."""
    number, call = item
    return _Answer(number, work(parcels, call))


class _Seat:
    """What a pool is given at a time. calls: [[Call, future]] that wait for each other."""

    def __init__(self):
        self.calls: deque = deque()


class _Pool(Transport):
    """What both kinds of pools have in common."""

    def __init__(self, pool):
        super().__init__()
        self.pool = pool
        self._parcels, self._events, self._token = {}, [], secrets.token_hex(8)

    def hire(self):
        seat = _Seat()
        self._events.append(Event(seat))
        return seat

    def give(self, worker, key, thing):
        if key not in self._parcels:
            self._parcels[key] = Parcel(f"{self._token} {key}", thing)

    def take_away(self, worker, key):
        """Nobody knows who has it; workers keep few things, and the latest."""

    def forget(self, key):
        self._parcels.pop(key, None)

    def _fault(self, error) -> Exception:
        """What to raise where the pool has raised `error`: no function of the user's has."""
        for parcel in self._parcels.values():
            if parcel.error is not None:
                error, parcel.error = parcel.error, None
                return error
        if isinstance(error, EvaluationError):
            return error
        words = f"the pool that was given as workers has failed: {type(error).__name__}: {error}"
        if isinstance(error, BrokenExecutor):
            words += "\nProcesses that structes starts (workers=8) are replaced when they die"
        fault = EvaluationError(words)
        fault.__cause__ = error
        return fault

    def _event(self, seat, said) -> Event:
        """What the seat's worker has said to its oldest call."""
        if isinstance(said, str):
            return Event(seat, gone=said)
        try:
            return Event(seat, Outcome.of_bytes(said))
        except (AttributeError, TypeError, ValueError):
            raise EvaluationError(
                "the pool that was given as workers must return what the function it is given "
                f"returns; got {said!r:.100}"
            ) from None

    def _ready(self) -> list:
        """The Events of new seats, told once; not lost where an interrupt comes in between."""
        events = list(self._events)
        del self._events[: len(events)]
        return events


class Executor(_Pool):
    """What has `submit(function, *arguments)`, which returns a Future.

    count   calls that it is given at a time
    """

    depth = 2
    latency = 3e-4

    def __init__(self, pool, count: int):
        super().__init__(pool)
        self.count = count
        self._seats: list[_Seat] = []
        self._news = threading.Event()
        self._limit: ExitStack | None = None

    def capacity(self) -> int:
        return self.count

    def hire(self):
        seat = super().hire()
        self._seats.append(seat)
        return seat

    def send(self, worker, call):
        self._limit_blas(True)
        worker.calls.append([call, self._submit(call, Parcel.light)])

    def _submit(self, call, how):
        parcels = {key: how(self._parcels[key]) for key in _keys(call)}
        try:
            future = self.pool.submit(work, parcels, call)
            future.add_done_callback(lambda _: self._news.set())
        except Exception as error:
            raise self._fault(error)  # noqa: B904
        return future

    def poll(self, seconds):
        self._news.wait(0.0 if self._events else seconds)
        self._news.clear()
        events, fault = self._ready(), None
        for seat in list(self._seats):
            try:
                while seat.calls and seat.calls[0][1].done():
                    events += self._answer(seat)
            except (EvaluationError, TypeError) as error:
                fault = error
        if fault is not None:
            if not events:
                raise fault
            self._news.set()  # what has come is told first; the next time it is met again
        self._limit_blas(any(seat.calls for seat in self._seats))
        return events

    def _answer(self, seat) -> list:
        """The Events of a seat whose oldest call is done."""
        call, future = seat.calls[0]
        try:
            error = future.exception()
        except CancelledError:  # by its owner
            error = CancelledError("it was cancelled")
        unsendable = any(parcel.error is not None for parcel in self._parcels.values())
        if isinstance(error, BrokenExecutor) or (error is not None and unsendable):
            raise self._fault(error)
        said = future.result() if error is None else f"{type(error).__name__}: {error}"
        if said is None:
            seat.calls[0][1] = self._submit(call, lambda parcel: parcel)
            return []
        event = self._event(seat, said)
        seat.calls.popleft()
        if event.gone is not None:
            self.dismiss(seat)
        return [event]

    def dismiss(self, worker):
        """What has not begun is cancelled; nobody hears of the rest."""
        self._seats.remove(worker)
        for _, future in worker.calls:
            future.cancel()
        worker.calls.clear()
        self._limit_blas(any(seat.calls for seat in self._seats))

    def close(self):
        for seat in list(self._seats):
            self.dismiss(seat)

    def _limit_blas(self, at_work: bool):
        """While threads of this process are at it BLAS has one thread, as other workers have."""
        if at_work and self._limit is None and _is_here(self.pool):
            self._limit = ExitStack()
            self._limit.enter_context(one_thread())
        elif not at_work and self._limit is not None:
            limit, self._limit = self._limit, None
            limit.close()


class Map(_Pool):
    """What is called like `map(function, list)` and gives the results, in any order."""

    def __init__(self, pool):
        super().__init__(pool)
        self._calls, self._error = [], None

    def capacity(self) -> int:
        return sys.maxsize  # whatever is to be done is given to it at once

    def send(self, worker, call):
        self._calls.append((worker, call))

    def poll(self, seconds):
        events = self._ready()
        if events:
            return events
        if self._error is None:
            calls, self._calls = self._calls, []
            by_keys: dict = {}
            for seat, call in calls:
                by_keys.setdefault(_keys(call), []).append((seat, call))
            for keys, those in by_keys.items():
                events += self._mapped({key: self._parcels[key] for key in keys}, those)
        if self._error is not None and not events:  # what has come is told first
            error, self._error = self._error, None
            raise error
        return events

    def _mapped(self, parcels, calls) -> list:
        """The Events of calls that need these parcels."""
        items, said = list(enumerate(call for _, call in calls)), {}
        try:
            with one_thread() if _is_here(self.pool) else nullcontext():
                for answer in self.pool(partial(_numbered, parcels), items):
                    if not isinstance(answer, _Answer) or answer.number in said:
                        raise EvaluationError(
                            "the map that was given as workers must give, for each item of a "
                            f"list, what the function returns for it; got {answer!r:.100}"
                        )
                    said[answer.number] = answer.said
                    if len(said) == len(items):
                        break
            if len(said) < len(items):
                raise EvaluationError(
                    "the map that was given as workers must give a result for each of "
                    f"{len(items)} items; got {len(said)}"
                )
        except Exception as error:
            self._error = self._fault(error)
        return [self._event(calls[k][0], its) for k, its in said.items()]

    def dismiss(self, worker):
        """What has not been given to it need not be, nor told what came of the rest."""
        self._error = None
        self._calls = [(seat, call) for seat, call in self._calls if seat is not worker]

    def close(self):
        self._calls, self._events, self._error = [], [], None


def _keys(call: Call) -> tuple:
    """Of what a call needs: its function, and the recipe of its points where there is one."""
    recipe = call.points[:1] if isinstance(call.points, tuple) else ()
    return (call.objective, *recipe)


def _is_here(pool) -> bool:
    """Are its workers known to be threads of this process?"""
    owner = getattr(pool, "__self__", pool)  # of a method: of `pool.map`
    return pool is map or isinstance(owner, (ThreadPool, ThreadPoolExecutor))
