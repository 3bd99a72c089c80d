"""The workers that there are: what each of them has to do, and when to start more.

A worker that cannot be started (no descriptor, process or memory is left), that ends before it is
ready, or that cannot make a function that others have made, has had a *bad start*. The others go
on; another one is tried after a while, which grows (`StartBackoff`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from typing import Any

from ..terminal.output import warn
from .channel import Channel
from .failures import EvaluationError

STARTS = 3  # workers in a row that end by themselves before they are ready: all of them would
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0  # seconds after one bad start, and after many
_LOOK = 2.0  # seconds between looks at how many workers there can be


class WorkerSlot:
    """A worker and the calls that it has been given.

    Attributes
    ----------
    worker
        The worker, as its channel knows it.
    ready : bool
        Whether it has said that it is ready.
    start : float
        When it began its oldest call, or was started, in seconds of `time.monotonic`.
    calls : deque of (Span, float or None)
        The calls that it has not answered, the oldest first, with the seconds that each may take.
    keys : set
        The keys of the things that it was given.
    proven : set
        The keys of the functions that it has evaluated.
    making : bool
        Whether it is making a function (a factory), for which the timeout does not hold.
    rows : int
        How many rows it was ever given.
    """

    def __init__(self, worker: Any, now: float):
        self.worker, self.ready, self.start = worker, False, now
        self.calls: deque = deque()
        self.keys: set = set()
        self.proven: set = set()
        self.making, self.rows = False, 0

    def ahead(self, cost: float | None, now: float) -> float:
        """Return how many rows it still has to do, where each takes `cost` seconds."""
        if not self.calls:
            return 0.0
        n_done = (now - self.start) / cost if cost else 0.0
        return sum(span.size for span, _ in self.calls) - min(n_done, self.calls[0][0].size)


class WorkerSlots:
    """The slots of all workers that a channel has started.

    Parameters
    ----------
    channel : Channel
        It starts and ends the workers.

    Attributes
    ----------
    slots : list of WorkerSlot
        One for each worker that lives, the oldest first.
    capacity : int
        How many workers there can be, as the channel has last said.
    backoff : StartBackoff
        How starting workers has gone of late.
    """

    def __init__(self, channel: Channel):
        self.channel = channel
        self.slots: list[WorkerSlot] = []
        self.capacity = channel.capacity()
        self.backoff = StartBackoff()
        self._by_worker: dict = {}
        self._looked = 0.0

    @property
    def has_ready(self) -> bool:
        """Is any worker ready?"""
        return any(slot.ready for slot in self.slots)

    def slot_of(self, worker: Any) -> WorkerSlot | None:
        """Return the slot of a worker, or None where it has none any more."""
        return self._by_worker.get(id(worker))

    def look(self, now: float) -> None:
        """Ask the channel, now and then, whether there can be more workers, or fewer."""
        if now - self._looked > _LOOK:
            self._looked, self.capacity = now, self.channel.capacity()

    def start(self, n_workers: int, clock: Callable[[], float]) -> None:
        """Start so many more workers, or as many as there can be.

        Raises
        ------
        EvaluationError
            Where workers end, again and again, before they are ready.
        """
        for _ in range(min(n_workers, self.capacity - len(self.slots))):
            try:
                worker = self.channel.start_worker()
            except OSError as error:  # no descriptor, no process, no memory is left
                self.note_bad_start(f"{type(error).__name__}: {error}", clock())
                return
            slot = WorkerSlot(worker, clock())
            self.slots.append(slot)
            self._by_worker[id(worker)] = slot

    def note_bad_start(self, reason: str, now: float, by_itself: bool = False) -> None:
        """Take down that a worker could not be started, and why.

        Raises
        ------
        EvaluationError
            Where no worker is ready and several in a row have ended by themselves.
        """
        self.backoff.went_badly(reason, now, by_itself, self.has_ready)
        if self.backoff.ended >= STARTS and not self.has_ready:
            raise EvaluationError(
                f"{STARTS} workers in a row {reason}; what they said is on stderr"
            )

    def remove(self, slot: WorkerSlot) -> None:
        """Forget a worker that has ended."""
        self.slots.remove(slot)
        del self._by_worker[id(slot.worker)]

    def end(self, slot: WorkerSlot) -> None:
        """End a worker, and forget it."""
        self.remove(slot)
        self.channel.end_worker(slot.worker)

    def clear(self) -> None:
        """Forget all workers."""
        self.slots.clear()
        self._by_worker.clear()


class StartBackoff:
    """When to try again to start a worker, and how long to wait for one.

    Attributes
    ----------
    bad : int
        The number of bad starts in a row.
    ended : int
        The number of those workers that ended by themselves.
    reason : str
        What was wrong with the last of them, in words.
    """

    def __init__(self):
        self.bad = self.ended = 0
        self.reason, self._last = "", -inf
        self._warned: set = set()

    def may_try(self, now: float) -> bool:
        """Is it time to start another worker?"""
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self.bad - 1, 20))
        return not self.bad or now - self._last >= pause

    def seconds(self, patience: float, limit: float) -> float:
        """Return how long to wait for a worker: the longer, the more have taken too long."""
        return min(patience, limit * 2.0**self.bad)

    def has_started(self) -> None:
        """Take down that a worker is ready."""
        self.ended = 0

    def went_well(self) -> None:
        """Take down that a new worker has evaluated."""
        self.bad = 0

    def went_badly(self, reason: str, now: float, by_itself: bool, has_others: bool) -> None:
        """Take down a bad start; a warning says so, once, where there are others that go on."""
        self.bad, self.ended = min(self.bad + 1, 20), self.ended + by_itself
        self.reason, self._last = reason, now
        if has_others and reason not in self._warned:
            self._warned.add(reason)
            warn(f"a worker could not be started, the others go on: {reason}", stacklevel=5)
