"""What a worker does, wherever it runs: it keeps functions, draws or is sent points, gives values.

The same `Runner` works inside the driver, in a process of its own and in a Ray actor, so that all
of them give the same bits and say the same about what went wrong. What goes back is bytes (numbers
and JSON), never a pickle: a driver does not unpickle what a worker says.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from math import inf
from typing import Any, NamedTuple

import numpy as np

from ..arrays import noise
from . import recursion_guard, sources
from .failures import KEPT, MESSAGE, TRACEBACK, Failure
from .framed_socket import WorkerEnd
from .missing import evaluated
from .options import limit_memory
from .worker_output import flush, unheard

READY = b"ready"  # what a worker says that has begun, or has made a function


class Call(NamedTuple):
    """Points to be evaluated.

    Parameters
    ----------
    objective
        The key of the function.
    points : array of shape (n, d), or tuple
        The rows; or (key of a recipe, (n,) indices): then the worker draws them.
    unit : int
        The number of rows with which a vectorised function is called at a time.
    timeout : float or None
        The seconds that an evaluation may take; None: for ever.
    """

    objective: Any
    points: Any
    unit: int
    timeout: float | None = None

    @property
    def rows(self) -> int:
        """How many points."""
        return len(self.points[1] if isinstance(self.points, tuple) else self.points)


class Outcome(NamedTuple):
    """What came of a call.

    Parameters
    ----------
    values : array of shape (n,)
        The values, NaN where there is a failure.
    seconds : float
        How long it took.
    failures : list of Failure
        The evaluations without a value.
    fatal : str or None
        What is wrong with the function as such, in words.
    """

    values: np.ndarray
    seconds: float
    failures: list
    fatal: str | None = None

    @staticmethod
    def most_bytes(rows: int) -> int:
        """Return how many bytes `to_bytes` of an Outcome of so many rows gives at most."""
        text_bytes = 12 * (MESSAGE + TRACEBACK + 200)  # JSON takes up to 12 bytes for a character
        return 1000 * (rows + 1) + text_bytes * (1 + min(rows, KEPT))

    def to_bytes(self) -> bytes:
        fields = {"seconds": self.seconds, "failures": self.failures, "fatal": self.fatal}
        return json.dumps(fields).encode() + b"\n" + self.values.tobytes()

    @classmethod
    def of_bytes(cls, data: bytes) -> Outcome:
        """Return the Outcome that `to_bytes` has made these bytes of.

        Raises
        ------
        ValueError
            Where the bytes are none of `to_bytes`.
        """
        head, _, values = data.partition(b"\n")
        try:
            fields = json.loads(head)
            failures = [Failure(*row) for row in fields["failures"]]
            outcome = cls(
                np.frombuffer(values), float(fields["seconds"]), failures, fields["fatal"]
            )
            outcome._check()
            return outcome
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"these bytes are no Outcome: {error!r}") from error

    def _check(self):
        texts = [text for f in self.failures for text in (f.kind, f.message, f.traceback)]
        rows = [failure.row for failure in self.failures]
        if not all(isinstance(text, str) for text in [*texts, self.fatal or ""]):
            raise TypeError("what went wrong is no text")
        if not all(type(row) is int and 0 <= row < self.values.size for row in rows):
            raise TypeError("a failure of no row")
        if any(failure.point is not None for failure in self.failures):
            raise TypeError("a worker does not say which point it was")
        if not 0 <= self.seconds < inf:
            raise TypeError("no time")


class Objective:
    """A function of many points, as it is made where it is called.

    Parameters
    ----------
    make : callable
        It takes no arguments and returns the function: (n, d) rows -> (n,) values. A `Rowwise` is
        called point by point.
    sources : dict, optional
        {name: Source} of the modules that a worker must have as they are here (sources.py).
    """

    def __init__(self, make: Callable[[], Any], sources: dict | None = None):
        self._make, self._data, self.sources = make, None, sources or {}

    def __getstate__(self):
        """Pickle `make` within the pickle, so that `sources` are there first."""
        import cloudpickle

        data = cloudpickle.dumps(self._make) if self._data is None else self._data
        return {"_make": None, "_data": data, "sources": self.sources}

    def make(self) -> Callable[..., Any]:
        """Make the function, and return it."""
        if self._data is not None:
            with recursion_guard.unpickling():
                self._make = pickle.loads(self._data)
            self._data = None
        return self._make()


class _Made:
    """The function of rows that `wrap` makes of a function, or of what a factory returns."""

    def __init__(self, function, factory, wrap):
        self.function, self.factory, self.wrap = function, factory, wrap

    def __call__(self):
        return self.wrap(self.function() if self.factory else self.function)


def as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function, which is one of rows already."""
    return function


class Runner:
    """What a worker has and does: functions and recipes by key, and calls of them.

    Parameters
    ----------
    limit : callable
        It makes the context in which functions are called.
    is_alone : bool
        Whether the process is there for nothing but this runner.
    """

    def __init__(self, limit: Callable[[], Any] = contextlib.nullcontext, is_alone: bool = False):
        self.things: dict = {}
        self.failed: dict = {}  # exceptions of functions that could not be made
        self._limit, self._is_alone = limit, is_alone

    def put(self, key: Any, thing: Any) -> None:
        """Keep an Objective or a Recipe (candidates.py), or the pickle of one."""
        self.things[key] = thing

    def drop(self, key: Any) -> None:
        """Forget a thing, if it is there."""
        self.things.pop(key, None)
        self.failed.pop(key, None)

    def make(self, key: Any) -> None:
        """Make a function now. Where that fails `run` says why, and does not try again."""
        try:
            self.made(key)
        except Exception as error:
            self.failed[key] = error

    @recursion_guard.entry
    def run(self, call: Call) -> Outcome:
        """Return the outcome of a call, whatever its function does, but for ending the process."""
        failures = []

        def note(row, error):
            failure = Failure.of(error, row)
            failures.append(failure if len(failures) < KEPT else Failure(row, failure.kind, ""))

        try:
            function = self.made(call.objective)
            start, points = time.perf_counter(), call.points
            is_drawn = isinstance(points, tuple)  # a copy: a function may write into its points
            X = self.made(points[0]).draw(points[1]) if is_drawn else points.copy()
            with self._limit(), _Timer(call.timeout) as on_call:
                values = evaluated(function, X, call.unit, note, on_call)
            sources.check()
        except Exception as error:
            failure = Failure.of(error, 0)
            return Outcome(np.empty(0), 0.0, [], failure.traceback or str(failure))
        return Outcome(values, time.perf_counter() - start, failures)

    @recursion_guard.entry
    def made(self, key: Any) -> Any:
        """Return the thing of a key, ready: a function of rows, or a Recipe."""
        if key in self.failed:
            raise self.failed.pop(key)
        thing = self.things[key]
        if isinstance(thing, bytes):
            with recursion_guard.unpickling():
                thing = pickle.loads(thing)
        if isinstance(thing, Objective):
            if self._is_alone:
                sources.import_as_bound(thing.sources)
            thing = thing.make()
            sources.check()
        self.things[key] = thing
        return thing


class _Timer:
    """It ends the process when a call takes too long, by the alarm signal.

    The default action of that signal needs neither Python nor its lock. The driver sees which
    signal it was.
    """

    def __init__(self, timeout):
        works = hasattr(signal, "setitimer") and threading.current_thread().name == "MainThread"
        self.timeout = timeout if works else None

    def __enter__(self):
        if self.timeout is None:
            return lambda rows: None
        return lambda rows: signal.setitimer(signal.ITIMER_REAL, min(1e8, self.timeout * rows))

    def __exit__(self, *_):
        if self.timeout is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)


def become_worker() -> None:
    """Make this process a worker and nothing else.

    It draws with one thread, being one of many on its machine, and lets the alarm of `_Timer` end
    it.
    """
    recursion_guard.be_worker()
    noise.use_threads(1)
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def main(channel: int) -> None:
    """Live as a worker process: read messages from a socket, until it closes.

    The messages are ("path", where modules are), ("limit", bytes of memory), ("put", key, pickle),
    ("drop", key), ("make", key) and ("run", call). The last two are answered: that it is done, and
    by the outcome's bytes.

    Parameters
    ----------
    channel : int
        The descriptor of the socket.
    """
    del sys.argv[1:]
    become_worker()
    sys.stdout, sys.stderr = unheard(sys.stdout), unheard(sys.stderr)
    runner, socket, me = Runner(is_alone=True), WorkerEnd(channel), os.getpid()
    _send(socket, READY)
    while True:
        try:
            verb, *arguments = pickle.loads(socket.receive())
        except (EOFError, OSError):  # the driver has closed it, or is gone
            return
        if verb == "path":
            sys.path[:] = arguments[0]
        elif verb == "limit":
            limit_memory(*arguments)
        elif verb == "put":
            runner.put(*arguments)
        elif verb == "make":
            runner.make(*arguments)
            _send(socket, READY)
        elif verb == "drop":
            runner.drop(*arguments)
        else:
            try:
                outcome = runner.run(*arguments)
            except SystemExit as error:
                flush()
                os._exit(error.code if isinstance(error.code, int) else 1)
            except BaseException:  # KeyboardInterrupt, and what else is no Exception
                traceback.print_exc()
                os._exit(1)
            flush()
            if os.getpid() != me:  # a fork that the function has made, and let return
                os._exit(1)
            _send(socket, outcome.to_bytes())


def _send(socket, data: bytes) -> None:
    """Answer the driver, if it is still there. If it is not, `receive` says so."""
    with contextlib.suppress(OSError):
        socket.send(data)
