"""Workers that are somebody else's: an Executor, or a function like `map`.

A pool that the user has already, of threads, of processes or of a cluster, evaluates as well. What
has `submit` (`concurrent.futures`, loky, mpi4py, dask's `get_executor`) is given one call at a
time; what is called like `map` (`pool.map` of `multiprocessing`, `executor.map`, `map` itself, as
in SciPy's `workers=`) all calls of a generation at once. A pool stays its owner's: it is never
shut down here, and nobody ends a call in it that hangs. How a function gets there is in
parcels.py.
"""

from __future__ import annotations

import secrets
import sys
import threading
from collections import deque
from concurrent.futures import BrokenExecutor, CancelledError, ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from functools import partial
from multiprocessing.pool import ThreadPool
from typing import Any

from ..arrays.threads import one_thread
from .channel import Channel, Event
from .parcels import Answer, Parcel, numbered_work, work
from .supervisor import EvaluationError
from .worker import Call, Outcome


class _Slot:
    """What a pool is given at a time. calls: [[Call, future]] that wait for each other."""

    def __init__(self):
        self.calls: deque = deque()


class _Pool(Channel):
    """What both kinds of pools have in common."""

    def __init__(self, pool):
        super().__init__()
        self.pool = pool
        self._parcels, self._events, self._token = {}, [], secrets.token_hex(8)

    def start_worker(self):
        slot = _Slot()
        self._events.append(Event(slot))
        return slot

    def put(self, worker, key, thing):
        if key not in self._parcels:
            self._parcels[key] = Parcel(f"{self._token} {key}", thing)

    def drop(self, worker, key):
        """Do nothing: nobody knows who has it; workers keep few things, and the latest."""

    def forget(self, key):
        self._parcels.pop(key, None)

    def _fault(self, error) -> Exception:
        """Return what to raise where the pool has raised `error`: no function of the user's
        has."""
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

    def _event(self, slot, result) -> Event:
        """Return what the slot's worker has said to its oldest call."""
        if isinstance(result, str):
            return Event(slot, ending=result)
        try:
            return Event(slot, Outcome.of_bytes(result))
        except (AttributeError, TypeError, ValueError):
            raise EvaluationError(
                "the pool that was given as workers must return what the function it is given "
                f"returns; got {result!r:.100}"
            ) from None

    def _ready(self) -> list:
        """Return the Events of new slots, told once; not lost where an interrupt comes in
        between."""
        events = list(self._events)
        del self._events[: len(events)]
        return events


class Executor(_Pool):
    """What has `submit(function, *arguments)`, which returns a Future.

    Parameters
    ----------
    count : int
        Calls that it is given at a time.
    """

    depth = 2
    latency = 3e-4

    def __init__(self, pool: Any, count: int):
        super().__init__(pool)
        self.count = count
        self._slots: list[_Slot] = []
        self._news = threading.Event()
        self._limit: ExitStack | None = None

    def capacity(self) -> int:
        return self.count

    def start_worker(self) -> Any:
        slot = super().start_worker()
        self._slots.append(slot)
        return slot

    def send(self, worker: Any, call: Call) -> None:
        self._limit_blas(True)
        worker.calls.append([call, self._submit(call, Parcel.light)])

    def _submit(self, call, pack):
        parcels = {key: pack(self._parcels[key]) for key in _keys(call)}
        try:
            future = self.pool.submit(work, parcels, call)
            future.add_done_callback(lambda _: self._news.set())
        except Exception as error:
            raise self._fault(error)  # noqa: B904
        return future

    def poll(self, seconds: float) -> list[Event]:
        self._news.wait(0.0 if self._events else seconds)
        self._news.clear()
        events, fault = self._ready(), None
        for slot in list(self._slots):
            try:
                while slot.calls and slot.calls[0][1].done():
                    events += self._answer(slot)
            except (EvaluationError, TypeError) as error:
                fault = error
        if fault is not None:
            if not events:
                raise fault
            self._news.set()  # what has come is told first; the next time it is met again
        self._limit_blas(any(slot.calls for slot in self._slots))
        return events

    def _answer(self, slot) -> list:
        """Return the Events of a slot whose oldest call is done."""
        call, future = slot.calls[0]
        try:
            error = future.exception()
        except CancelledError:  # by its owner
            error = CancelledError("it was cancelled")
        unsendable = any(parcel.error is not None for parcel in self._parcels.values())
        if isinstance(error, BrokenExecutor) or (error is not None and unsendable):
            raise self._fault(error)
        result = future.result() if error is None else f"{type(error).__name__}: {error}"
        if result is None:
            slot.calls[0][1] = self._submit(call, lambda parcel: parcel)
            return []
        event = self._event(slot, result)
        slot.calls.popleft()
        if event.ending is not None:
            self.end_worker(slot)
        return [event]

    def end_worker(self, worker: Any) -> None:
        """Cancel what has not begun; nobody hears of the rest."""
        self._slots.remove(worker)
        for _, future in worker.calls:
            future.cancel()
        worker.calls.clear()
        self._limit_blas(any(slot.calls for slot in self._slots))

    def close(self) -> None:
        for slot in list(self._slots):
            self.end_worker(slot)

    def _limit_blas(self, at_work: bool):
        """Let BLAS have one thread while threads of this process are at work, as other workers
        have.
        """
        if at_work and self._limit is None and _is_here(self.pool):
            self._limit = ExitStack()
            self._limit.enter_context(one_thread())
        elif not at_work and self._limit is not None:
            limit, self._limit = self._limit, None
            limit.close()


class Map(_Pool):
    """What is called like `map(function, list)` and gives the results, in any order."""

    def __init__(self, pool: Any):
        super().__init__(pool)
        self._calls, self._error = [], None

    def capacity(self) -> int:
        return sys.maxsize  # whatever is to be done is given to it at once

    def send(self, worker: Any, call: Call) -> None:
        self._calls.append((worker, call))

    def poll(self, seconds: float) -> list[Event]:
        events = self._ready()
        if events:
            return events
        if self._error is None:
            calls, self._calls = self._calls, []
            by_keys: dict = {}
            for slot, call in calls:
                by_keys.setdefault(_keys(call), []).append((slot, call))
            for keys, group in by_keys.items():
                events += self._mapped({key: self._parcels[key] for key in keys}, group)
        if self._error is not None and not events:  # what has come is told first
            error, self._error = self._error, None
            raise error
        return events

    def _mapped(self, parcels, calls) -> list:
        """Return the Events of calls that need these parcels."""
        items, results = list(enumerate(call for _, call in calls)), {}
        try:
            with one_thread() if _is_here(self.pool) else nullcontext():
                for answer in self.pool(partial(numbered_work, parcels), items):
                    if not isinstance(answer, Answer) or answer.number in results:
                        raise EvaluationError(
                            "the map that was given as workers must give, for each item of a "
                            f"list, what the function returns for it; got {answer!r:.100}"
                        )
                    results[answer.number] = answer.result
                    if len(results) == len(items):
                        break
            if len(results) < len(items):
                raise EvaluationError(
                    "the map that was given as workers must give a result for each of "
                    f"{len(items)} items; got {len(results)}"
                )
        except Exception as error:
            self._error = self._fault(error)
        return [self._event(calls[k][0], result) for k, result in results.items()]

    def end_worker(self, worker: Any) -> None:
        """Take back what has not been given to the pool; nobody hears of the rest."""
        self._error = None
        self._calls = [(slot, call) for slot, call in self._calls if slot is not worker]

    def close(self) -> None:
        self._calls, self._events, self._error = [], [], None


def _keys(call: Call) -> tuple:
    """Return the keys of what a call needs: its function, and the recipe of its points if any."""
    recipe = call.points[:1] if isinstance(call.points, tuple) else ()
    return (call.objective, *recipe)


def _is_here(pool) -> bool:
    """Are its workers known to be threads of this process?"""
    owner = getattr(pool, "__self__", pool)  # of a method: of `pool.map`
    return pool is map or isinstance(owner, (ThreadPool, ThreadPoolExecutor))
