"""The supervisor: a queue of points, workers that may die at any moment, and values in the end.

Points are handed in as a *batch* and cut into *spans*, runs of rows that go to a worker in one
call. A span that a worker took with it when it died, or that took too long, is tried again: first
cut up, so that one bad point does not take the others with it, and each piece at most `attempts`
times; then it is a failure. An exception is an answer, it is not tried again.
"""

from __future__ import annotations

import time
from collections import deque
from math import ceil, inf
from typing import Any

from .channel import Channel
from .failures import EvaluationError, check_that_it_works
from .sources import look_again
from .spans import SPAN, Batch, Done, Span, cut, is_last_try, lost, retry, rows_for, time_limit
from .worker import Call, Outcome
from .worker_slots import WorkerSlot, WorkerSlots

TROUBLE = 10.0  # seconds after the death of a worker in which nothing shares its span
GRACE = 2.0  # seconds that a call may take beyond its timeout, before its worker is ended
_NEWS = 5.0  # seconds until the death of a worker is known, at most
_TICK = 0.5  # seconds between looks at clocks and new machines


class Supervisor:
    """It gets values of points from the workers of a channel.

    Parameters
    ----------
    channel : Channel
        The way to the workers.
    things : dict
        {key: what a worker needs}: functions; it is shared with the caller.
    timeout : float or None
        The seconds that an evaluation may take; None: for ever.
    attempts : int
        How often a span is tried whose worker dies.
    patience : float
        The seconds to wait for a worker, where there is none, and for a function to be made.
    max_calls : int or None
        The number of rows after which a worker is replaced by a new one; 0 or None: never.

    Attributes
    ----------
    queue : deque of Span
        What no worker has yet.
    slots : list of WorkerSlot
        The workers, and what each of them has to do.
    costs : dict
        Of each function the seconds that a row has taken of late.
    deaths : int
        How many workers have died at their work.
    """

    def __init__(
        self,
        channel: Channel,
        things: dict,
        timeout: float | None = None,
        attempts: int = 2,
        patience: float = 120.0,
        max_calls: int | None = None,
    ):
        self.channel, self.things, self.timeout = channel, things, timeout
        self.attempts, self.patience, self.max_calls = attempts, patience, max_calls or inf
        self.queue: deque = deque()
        self._workers = WorkerSlots(channel)
        self.costs: dict = {}  # of each function: seconds of a row, of late
        self.deaths = 0
        self._events: deque = deque()
        self._results: list[Done] = []
        self._alone, self._watched = time.monotonic(), 0.0
        self._last_death = -TROUBLE
        self._recipes: set = set()
        self._is_closed = False

    @property
    def capacity(self) -> int:
        """How many workers there can be."""
        return self._workers.capacity

    @property
    def slots(self) -> list[WorkerSlot]:
        """The workers, and what each of them has to do."""
        return self._workers.slots

    seats = slots  # an older name

    @property
    def busy(self) -> bool:
        """Is there anything that has no value yet?"""
        return bool(self.queue) or any(slot.calls for slot in self.slots)

    def submit(self, batch: Batch) -> None:
        """Hand in points."""
        if batch.recipe is not None:
            self._keep_recipe(batch.recipe)
        self.queue.append(Span(batch, 0, batch.size, 0, batch.unit))
        self._alone = time.monotonic()

    def wait(self, seconds: float | None = None) -> list[Done]:
        """Return what has been done since the last call.

        It returns as soon as there is anything, or nothing after so many seconds, or where there
        is nothing to do.

        Raises
        ------
        EvaluationError
            Where a function cannot be made, no worker can be had, or another thread has closed
            this meanwhile.
        """
        try:
            return self._wait(seconds)
        except Exception:
            if self._is_closed:  # whatever is found broken then
                raise EvaluationError("the Evaluator was closed while it evaluated") from None
            raise

    def _wait(self, seconds):
        end = None if seconds is None else time.monotonic() + seconds
        self._listen()
        while True:
            if self._is_closed:
                raise EvaluationError("it is closed")
            self._start_workers()
            self._feed()
            if self._results or not self.busy:
                break
            pause = _TICK if end is None else min(_TICK, end - time.monotonic())
            if pause < 0:
                break
            self._events += self.channel.poll(max(0.0, pause))
            self._listen()
            self._watch()
        results, self._results = self._results, []
        return results

    def abandon(self) -> None:
        """Forget all that has no value yet; workers that are at it are ended."""
        self.queue.clear()
        self._results = []
        for slot in [slot for slot in self.slots if slot.calls]:
            self._workers.end(slot)

    def forget(self, key: Any) -> None:
        """Forget a function that is not needed any more."""
        self.things.pop(key, None)
        self.costs.pop(key, None)
        for slot in self.slots:
            if key in slot.keys:
                slot.keys.discard(key)
                self.channel.drop(slot.worker, key)
        self.channel.forget(key)

    def close(self) -> None:
        """End all workers, and forget what has no value yet."""
        self._is_closed = True
        self.queue.clear()
        self._workers.clear()
        self._events.clear()
        self.channel.close()

    # -- workers ----------------------------------------------------------------------------------

    def _start_workers(self):
        """Start a worker for every span that none is free for, as many as there can be."""
        now = time.monotonic()
        self._workers.look(now)
        if not self.queue or not self._workers.backoff.may_try(now):
            return
        free = sum(not slot.calls for slot in self.slots)
        n_workers = sum(ceil(span.size / span.unit) for span in self.queue) - free
        self._workers.start(n_workers, time.monotonic)

    def _listen(self):
        """Hear what has happened; where that raises, the rest is heard the next time."""
        while self._events:
            self._hear(self._events.popleft())

    def _hear(self, event):
        slot = self._workers.slot_of(event.worker)
        if slot is None:
            return
        if event.ending is not None:
            self._lost(slot, event.ending, event.is_innocent, event.alarm)
            return
        slot.start = time.monotonic()
        if event.outcome is None:
            slot.ready, slot.making = True, False
            self._workers.backoff.has_started()
        else:
            if self._is_spoilt(slot, event.outcome):
                return
            span, _ = slot.calls.popleft()
            if slot.rows >= self.max_calls and not slot.calls:
                self._workers.end(slot)
            self._settle(span, event.outcome)

    def _is_spoilt(self, slot, outcome) -> bool:
        """Can a worker not make a function that others have? Then it has had a bad start."""
        key = slot.calls[0][0].batch.objective
        if outcome.fatal is None:
            if not slot.proven:
                self._workers.backoff.went_well()
            slot.proven.add(key)
            return False
        if not any(
            key in other_slot.proven for other_slot in self.slots if other_slot is not slot
        ):
            return False
        self._workers.end(slot)
        for span, _ in reversed(slot.calls):
            self.queue.appendleft(span)
        reason = "".join(outcome.fatal.strip().splitlines()[-1:])
        self._workers.note_bad_start(
            f"it cannot evaluate the function: {reason}", time.monotonic()
        )
        return True

    def _watch(self):
        """End workers whose call takes too long, now and then, and give up where there are
        none."""
        now = time.monotonic()
        if now - self._watched < _TICK / 5:
            return
        self._watched = now
        for slot in list(self.slots):
            limit = slot.calls[0][1] if slot.calls and slot.ready else None
            if slot.making:
                limit = self.patience
                if self.timeout is not None and now - slot.start > self.timeout + GRACE:
                    limit = 0.0 if self.channel.is_stopped(slot.worker) else limit
            elif not slot.ready:
                limit = self._workers.backoff.seconds(self.patience, self.channel.start_limit)
            if limit is not None and now - slot.start > limit:
                self.channel.end_worker(slot.worker)
                self._lost(slot, "it did not answer in time", innocent=True)
        if self._workers.has_ready:
            self._alone = now
        elif now - self._alone > self.patience and self.busy:
            reason = self.channel.wants() or (
                self._workers.backoff.reason and f": {self._workers.backoff.reason}"
            )
            raise EvaluationError(f"no worker could be had for {self.patience:g} s{reason}")

    def _lost(self, slot, reason, innocent, alarm=None):
        """Try again what a worker was at that is no more, and what it had not begun.

        `innocent`: it did not answer, or its host is gone; else it ended by what it was at, and by
        its alarm where that was slow. `alarm`: whether it was that; None: nobody knows, and the
        clock says so.
        """
        self._workers.remove(slot)
        if not slot.ready:
            self._workers.note_bad_start(
                f"ended before they were ready ({reason})",
                time.monotonic(),
                by_itself=not innocent,
            )
        for span, _ in list(slot.calls)[:0:-1]:
            self.queue.appendleft(span)
        if slot.calls:
            self.deaths, self._last_death = self.deaths + 1, time.monotonic()
            span, passed = slot.calls[0][0], time.monotonic() - slot.start
            if alarm is None and self.timeout is not None:
                alarm = passed > 0.95 * self.timeout * span.size and not slot.making
                alarm &= len(slot.calls) == 1 or passed > _NEWS  # see is_last_try
            is_final = bool(alarm) and not innocent
            if not retry(self.queue, span, self.attempts, is_final):
                self._results.append(lost(span, reason, self.timeout if is_final else None))

    # -- spans ------------------------------------------------------------------------------------

    def _feed(self):
        """Send spans to the workers that have too little to do."""
        slots = [slot for slot in self.slots if slot.ready]  # the others may take long to come
        if not self.queue or not slots:
            return
        cost = self.costs.get(self.queue[0].batch.objective)
        short, now = cost is not None and cost < 2 * SPAN, time.monotonic()
        total = sum(span.size for span in self.queue)
        total += sum(slot.ahead(cost, now) for slot in slots) if short else 0.0
        is_calm = now - self._last_death > TROUBLE
        for level in range(1, 1 + (self.channel.depth if short else 1)):
            for slot in slots:
                if not self.queue:
                    return
                if len(slot.calls) >= level:
                    continue
                if slot.calls and is_last_try(slot.calls[-1][0], self.attempts):
                    continue
                share = total / len(slots) - slot.ahead(cost, now)
                rows = rows_for(self.queue[0], cost, self.channel.latency, share, is_calm)
                rows = min(rows, self.max_calls - slot.rows)
                if level > 1 and rows < 1:
                    continue  # others will be done before it
                span = cut(self.queue, rows)
                if level > 1 and span.nbytes > self.channel.backlog:
                    self.queue.appendleft(span)
                    return
                self._send(slot, span)

    def _send(self, slot, span):
        batch = span.batch
        for thing in (batch.objective, batch.recipe and batch.recipe.key):
            if thing is not None and thing not in slot.keys:
                if look_again(getattr(self.things[thing], "sources", {})):
                    self.channel.forget(thing)  # and pack it with what has changed
                self.channel.put(slot.worker, thing, self.things[thing])
                slot.keys.add(thing)
                if thing == batch.objective:
                    slot.making = self.channel.make(slot.worker, thing)
        if not slot.calls:
            slot.start = time.monotonic()
        slot.rows += span.size
        limit = time_limit(span, self.timeout, self.costs.get(batch.objective, 0.0))
        slot.calls.append((span, limit and limit + GRACE))
        points = batch.rows(span.start, span.stop)
        self.channel.send(slot.worker, Call(batch.objective, points, span.unit, self.timeout))

    def _settle(self, span, outcome: Outcome):
        """Take down the values of a span."""
        batch = span.batch
        check_that_it_works(outcome)
        batch.values[span.start : span.stop] = outcome.values
        failures = [f._replace(row=f.row + span.start) for f in outcome.failures]
        self._results.append(Done(batch, span.start, span.stop, failures))
        cost = outcome.seconds / span.size
        previous = self.costs.get(batch.objective, cost)
        self.costs[batch.objective] = 0.7 * previous + 0.3 * cost

    def _keep_recipe(self, recipe):
        """Keep a recipe, and of the others those that are in use."""
        if recipe.key in self._recipes:
            return
        spans = [*self.queue, *(span for slot in self.slots for span, _ in slot.calls)]
        used = {span.batch.recipe.key for span in spans if span.batch.recipe is not None}
        for key in self._recipes - used:
            self.forget(key)
        self._recipes = (self._recipes & used) | {recipe.key}
        self.things[recipe.key] = recipe
