"""What carries calls to workers and outcomes back: the part in which the evaluators differ.

A channel starts workers, hands them things and calls, and says what has happened to them. It
decides nothing: who gets what, how long to wait, what to try again is the supervisor's.
"""

from __future__ import annotations

import contextlib
import sys
from abc import ABC, abstractmethod
from math import inf
from typing import Any, NamedTuple

from .recursion_guard import check_may_start, importing
from .worker import Call, Outcome


class Event(NamedTuple):
    """Something that a worker did.

    Parameters
    ----------
    worker
        The worker, as its channel has started it.
    outcome : Outcome or None
        The outcome of its oldest call; None where it only says that it is ready, or has made a
        function, or is no more.
    ending : str or None
        In words, why the worker is no more; None where it lives.
    is_innocent : bool
        Whether the worker has not ended by itself, with its call: its whole host is gone, or
        somebody else has ended it before it was ready.
    alarm : bool or None
        Whether it was ended by the alarm of its timeout; None where that cannot be seen.
    """

    worker: Any
    outcome: Outcome | None = None
    ending: str | None = None
    is_innocent: bool = False
    alarm: bool | None = None


def pickled(thing: Any, by_value: list | None = None) -> bytes:
    """Return the pickle of a thing: functions of a script, lambdas and closures by value, and so
    what is of the modules `by_value`, where that can be; None: those that are being imported.

    Raises
    ------
    TypeError
        Where it does not pickle, and says what to do.
    """
    modules = importing() if by_value is None else by_value
    if "__mp_main__" in sys.modules:  # the script of the parent, in a child of multiprocessing
        modules = [*modules, sys.modules["__mp_main__"]]
    try:
        return _dumps(thing, modules)
    except Exception as error:
        raise TypeError(
            f"the objective cannot be sent to a worker: {error}. Give a function that makes it, "
            "with factory=True: it is called once in every worker"
        ) from error


def _dumps(thing, by_value) -> bytes:
    import cloudpickle

    if by_value:
        with contextlib.suppress(Exception), _sent_by_value(by_value):
            return cloudpickle.dumps(thing)
    return cloudpickle.dumps(thing)


@contextlib.contextmanager
def _sent_by_value(modules):
    """Let cloudpickle, in this context, take what is of these modules by value."""
    import cloudpickle

    registered = cloudpickle.list_registry_pickle_by_value()  # the user's own, which stay
    modules = [module for module in modules if module.__name__ not in registered]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


class Channel(ABC):
    """A way to reach workers.

    A worker is whatever `start_worker` returns; workers are told apart by identity. A *thing* is a
    function (an Objective) or a recipe for points, which calls name by its key.

    Attributes
    ----------
    depth : int
        The number of calls that a worker is given at a time, where they are short.
    backlog : float
        The bytes that can wait for a worker that is busy.
    latency : float
        The seconds from a call to its answer, where there is nothing to do.
    is_local : bool
        Whether `send` evaluates in this process, before it returns.
    start_limit : float
        The seconds in which a worker is ready; twice as many after a bad start.

    Raises
    ------
    RuntimeError
        In a worker that is still being made (recursion_guard.py).
    """

    def __init__(self):
        if not self.is_local:
            check_may_start()
        self._packed: dict = {}

    depth = 1
    backlog = inf
    latency = 0.0
    is_local = False
    start_limit = inf

    @abstractmethod
    def capacity(self) -> int:
        """Return how many workers there can be now."""

    def wants(self) -> str:
        """Return what a worker needs that may not be there, for a message."""
        return ""

    @abstractmethod
    def start_worker(self) -> Any:
        """Start a worker; an Event without outcome says that it is ready.

        Raises
        ------
        OSError
            Where none can be started now.
        """

    @abstractmethod
    def put(self, worker: Any, key: Any, thing: Any) -> None:
        """Hand a worker a thing under a key; it must have what its calls name."""

    def make(self, worker: Any, key: Any) -> bool:
        """Let a worker make the function under a key before it is called.

        Returns
        -------
        bool
            Whether an Event without outcome will say when that is done.
        """
        return False

    @abstractmethod
    def drop(self, worker: Any, key: Any) -> None:
        """Let a worker forget a thing."""

    @abstractmethod
    def send(self, worker: Any, call: Call) -> None:
        """Give a worker a call; it does them one after the other."""

    @abstractmethod
    def poll(self, seconds: float) -> list[Event]:
        """Return what has happened, as soon as anything has, or nothing after so many seconds."""

    def is_stopped(self, worker: Any) -> bool:
        """Has somebody stopped a worker (SIGSTOP), so that nothing can be said of how long it
        takes? False where that cannot be seen."""
        return False

    @abstractmethod
    def end_worker(self, worker: Any) -> None:
        """End a worker at once; nothing more is heard of it."""

    def packed(self, key: Any, thing: Any) -> bytes:
        """Return a thing as bytes, which are made once.

        Raises
        ------
        TypeError
            Where it does not pickle.
        """
        if key not in self._packed:
            self._packed[key] = pickled(thing)
        return self._packed[key]

    def forget(self, key: Any) -> None:
        """Forget a thing that no worker needs any more."""
        self._packed.pop(key, None)

    @abstractmethod
    def close(self) -> None:
        """End all workers, and what was started for them."""
