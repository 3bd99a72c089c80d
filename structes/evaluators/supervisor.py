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

from .channel import Transport
from .hiring import STARTS, Hiring
from .sources import look_again
from .spans import SPAN, Batch, Done, Seat, Span, cut, lost, requeue, span_length, time_limit
from .worker import Call, Outcome

TROUBLE = 10.0  # seconds after the death of a worker in which nothing shares its span
GRACE = 2.0  # seconds that a call may take beyond its timeout, before its worker is ended
_NEWS = 5.0  # seconds until the death of a worker is known, at most
_TICK = 0.5  # seconds between looks at clocks and new machines


class EvaluationError(RuntimeError):
    """A function, or all workers, failed: in words, with the worker's traceback."""


def check_that_it_works(outcome: Outcome) -> None:
    """Raises EvaluationError where the function as such is wrong."""
    if outcome.fatal is not None:
        raise EvaluationError(f"a worker cannot evaluate the function:\n{outcome.fatal}")


class Supervisor:
    """Gets values of points from the workers of a transport.

    things        {key: what a worker needs}: functions; shared with the caller
    timeout       seconds an evaluation may take; None: for ever
    attempts      how often a span is tried whose worker dies
    patience      seconds to wait for a worker, where there is none, and for a function to be made
    max_calls     rows after which a worker is replaced by a new one; 0 or None: never
    """

    def __init__(
        self, transport: Transport, things, timeout=None, attempts=2, patience=120.0, max_calls=0
    ):
        self.transport, self.things, self.timeout = transport, things, timeout
        self.attempts, self.patience, self.max_calls = attempts, patience, max_calls or inf
        self.queue: deque = deque()
        self._by_worker: dict = {}
        self.seats: list[Seat] = []
        self.costs: dict = {}  # of each function: seconds of a row, of late
        self.deaths = 0
        self._events: deque = deque()
        self._done: list[Done] = []
        self._hiring = Hiring()
        self._alone, self._looked, self._watched = time.monotonic(), 0.0, 0.0
        self._last_death = -TROUBLE
        self._recipes: set = set()
        self._is_closed = False
        self._capacity = transport.capacity()

    @property
    def capacity(self) -> int:
        """How many workers there can be."""
        return self._capacity

    @property
    def busy(self) -> bool:
        """Is there anything that has no value yet?"""
        return bool(self.queue) or any(seat.calls for seat in self.seats)

    def submit(self, batch: Batch) -> None:
        """Hand in points."""
        if batch.recipe is not None:
            self._hold(batch.recipe)
        self.queue.append(Span(batch, 0, batch.size, 0, batch.unit))
        self._alone = time.monotonic()

    def wait(self, seconds: float | None = None) -> list[Done]:
        """What has been done since the last call: as soon as there is anything, or nothing after
        so many seconds, or where there is nothing to do.

        Raises EvaluationError where a function cannot be made, no worker can be had, or another
        thread has closed this meanwhile.
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
            self._look()
            self._hire()
            self._feed()
            if self._done or not self.busy:
                break
            left = _TICK if end is None else min(_TICK, end - time.monotonic())
            if left < 0:
                break
            self._events += self.transport.poll(max(0.0, left))
            self._listen()
            self._watch()
        done, self._done = self._done, []
        return done

    def abandon(self) -> None:
        """Forget all that has no value yet; workers that are at it are ended."""
        self.queue.clear()
        self._done = []
        for seat in [seat for seat in self.seats if seat.calls]:
            self._dismiss(seat)

    def forget(self, key) -> None:
        """A function is not needed any more."""
        self.things.pop(key, None)
        self.costs.pop(key, None)
        for seat in self.seats:
            if key in seat.has:
                seat.has.discard(key)
                self.transport.take_away(seat.worker, key)
        self.transport.forget(key)

    def close(self) -> None:
        self._is_closed = True
        self.queue.clear()
        self.seats.clear()
        self._by_worker.clear()
        self._events.clear()
        self.transport.close()

    # -- workers ----------------------------------------------------------------------------------

    def _look(self):
        """Now and then: are there more machines, or fewer?"""
        now = time.monotonic()
        if now - self._looked > 4 * _TICK:
            self._looked, self._capacity = now, self.transport.capacity()

    def _hire(self):
        """A worker for every span that none is free for, as many as there can be."""
        if not self.queue or len(self.seats) >= self._capacity:
            return
        if not self._hiring.may_try(time.monotonic()):
            return
        free = sum(not seat.calls for seat in self.seats)
        wanted = sum(ceil(span.size / span.unit) for span in self.queue) - free
        for _ in range(min(wanted, self._capacity - len(self.seats))):
            try:
                worker = self.transport.hire()
            except OSError as error:  # no descriptor, no process, no memory is left
                self._bad_start(f"{type(error).__name__}: {error}")
                return
            seat = Seat(worker, time.monotonic())
            self.seats.append(seat)
            self._by_worker[id(seat.worker)] = seat

    def _bad_start(self, why: str, by_itself: bool = False):
        others = any(seat.ready for seat in self.seats)
        self._hiring.went_badly(why, time.monotonic(), by_itself, others)
        if self._hiring.ended >= STARTS and not others:
            raise EvaluationError(f"{STARTS} workers in a row {why}; what they said is on stderr")

    def _listen(self):
        """Hear what has happened; where that raises, the rest is heard the next time."""
        while self._events:
            self._hear(self._events.popleft())

    def _hear(self, event):
        seat = self._by_worker.get(id(event.worker))
        if seat is None:
            return
        if event.gone is not None:
            self._lost(seat, event.gone, event.lost, event.alarm)
            return
        seat.since = time.monotonic()
        if event.outcome is None:
            seat.ready, seat.making = True, False
            self._hiring.has_started()
        else:
            if self._is_spoilt(seat, event.outcome):
                return
            span, _ = seat.calls.popleft()
            if seat.rows >= self.max_calls and not seat.calls:
                self._dismiss(seat)
            self._settle(span, event.outcome)

    def _is_spoilt(self, seat, outcome) -> bool:
        """Can a worker not make a function that others have? Then it has had a bad start."""
        key = seat.calls[0][0].batch.objective
        if outcome.fatal is None:
            if not seat.proven:
                self._hiring.went_well()
            seat.proven.add(key)
            return False
        if not any(key in its.proven for its in self.seats if its is not seat):
            return False
        self._dismiss(seat)
        for span, _ in reversed(seat.calls):
            self.queue.appendleft(span)
        why = "".join(outcome.fatal.strip().splitlines()[-1:])
        self._bad_start(f"it cannot evaluate the function: {why}")
        return True

    def _watch(self):
        """Now and then: end workers whose call takes too long, give up where there are none."""
        now = time.monotonic()
        if now - self._watched < _TICK / 5:
            return
        self._watched = now
        for seat in list(self.seats):
            limit = seat.calls[0][1] if seat.calls and seat.ready else None
            if seat.making:
                limit = self.patience
                if self.timeout is not None and now - seat.since > self.timeout + GRACE:
                    limit = 0.0 if self.transport.is_stopped(seat.worker) else limit
            elif not seat.ready:
                limit = self._hiring.seconds(self.patience, self.transport.start_limit)
            if limit is not None and now - seat.since > limit:
                self.transport.dismiss(seat.worker)
                self._lost(seat, "it did not answer in time", innocent=True)
        if any(seat.ready for seat in self.seats):
            self._alone = now
        elif now - self._alone > self.patience and self.busy:
            why = self.transport.wants() or (self._hiring.why and f": {self._hiring.why}")
            raise EvaluationError(f"no worker could be had for {self.patience:g} s{why}")

    def _lost(self, seat, why, innocent, alarm=None):
        """A worker is no more: what it was at is tried again, what it had not begun anyhow.

        innocent   it did not answer, or its host is gone; else it ended by what it was at, and by
                   its alarm where that was slow
        alarm    whether that was it; None: nobody knows, and the clock says so
        """
        self._leave(seat)
        if not seat.ready:
            self._bad_start(f"ended before they were ready ({why})", by_itself=not innocent)
        for span, _ in list(seat.calls)[:0:-1]:
            self.queue.appendleft(span)
        if seat.calls:
            self.deaths, self._last_death = self.deaths + 1, time.monotonic()
            span, passed = seat.calls[0][0], time.monotonic() - seat.since
            if alarm is None and self.timeout is not None:
                alarm = passed > 0.95 * self.timeout * span.size and not seat.making
                alarm &= len(seat.calls) == 1 or passed > _NEWS  # see _is_last_try
            self._again(span, why, is_final=bool(alarm) and not innocent)

    def _leave(self, seat):
        self.seats.remove(seat)
        del self._by_worker[id(seat.worker)]

    def _dismiss(self, seat):
        self._leave(seat)
        self.transport.dismiss(seat.worker)

    # -- spans ------------------------------------------------------------------------------------

    def _feed(self):
        """Spans for the workers that have too little to do."""
        seats = [seat for seat in self.seats if seat.ready]  # the others may take long to come
        if not self.queue or not seats:
            return
        cost = self._cost()
        short, now = cost is not None and cost < 2 * SPAN, time.monotonic()
        total = sum(span.size for span in self.queue)
        total += sum(seat.ahead(cost, now) for seat in seats) if short else 0.0
        for level in range(1, 1 + (self.transport.depth if short else 1)):
            for seat in seats:
                if not self.queue:
                    return
                if len(seat.calls) >= level or (seat.calls and self._is_last_try(seat.calls[-1])):
                    continue
                rows = self._length(cost, total / len(seats) - seat.ahead(cost, now))
                rows = min(rows, self.max_calls - seat.rows)
                if level > 1 and rows < 1:
                    continue  # others will be done before it
                span = cut(self.queue, rows)
                if level > 1 and span.nbytes > self.transport.backlog:
                    self.queue.appendleft(span)
                    return
                self._send(seat, span)

    def _cost(self):
        """Seconds of a row of what is next; None: not known."""
        return self.costs.get(self.queue[0].batch.objective) if self.queue else None

    def _length(self, cost, share) -> float:
        """How many rows of what is next are for a worker that should get `share` more until the
        end; less than 1: none."""
        if cost is None or self.queue[0].tried:
            return 1
        calm = time.monotonic() - self._last_death > TROUBLE
        # after a death nobody shares, unless calls for each would take longer than their points
        if not calm and cost >= 5 * self.transport.latency:
            return 1
        return span_length(max(cost, 1e-9), self.transport.latency, share)

    def _send(self, seat, span):
        batch = span.batch
        for thing in (batch.objective, batch.recipe and batch.recipe.key):
            if thing is not None and thing not in seat.has:
                if look_again(getattr(self.things[thing], "sources", {})):
                    self.transport.forget(thing)  # and pack it with what has changed
                self.transport.give(seat.worker, thing, self.things[thing])
                seat.has.add(thing)
                if thing == batch.objective:
                    seat.making = self.transport.make(seat.worker, thing)
        if not seat.calls:
            seat.since = time.monotonic()
        seat.rows += span.size
        limit = time_limit(span, self.timeout, self.costs.get(batch.objective, 0.0))
        seat.calls.append((span, limit and limit + GRACE))
        points = batch.rows(span.start, span.stop)
        self.transport.send(seat.worker, Call(batch.objective, points, span.unit, self.timeout))

    def _settle(self, span, outcome: Outcome):
        """An answer came."""
        batch = span.batch
        check_that_it_works(outcome)
        batch.values[span.start : span.stop] = outcome.values
        failures = [f._replace(row=f.row + span.start) for f in outcome.failures]
        self._done.append(Done(batch, span.start, span.stop, failures))
        cost = outcome.seconds / span.size
        before = self.costs.get(batch.objective, cost)
        self.costs[batch.objective] = 0.7 * before + 0.3 * cost

    def _again(self, span, why, is_final):
        """A span whose worker is gone: cut into units, and a unit that was tried often enough into
        rows, each of which is tried once more. One row that took too long will do so again."""
        if span.size > span.unit:
            requeue(self.queue, span, span.unit, span.tried)
        elif span.tried + 1 < self.attempts and not is_final:
            requeue(self.queue, span, span.unit, span.tried + 1)
        elif span.size > 1:
            requeue(self.queue, span._replace(unit=1), 1, self.attempts - 1)
        else:
            self._done.append(lost(span, why, self.timeout if is_final else None))

    def _is_last_try(self, call) -> bool:
        """Is this call the last chance of its points? Then nothing may wait behind it: its answer
        can be lost, late, with a worker that the next call ends at once, and it would have the
        blame for that."""
        span, _ = call
        return span.size <= span.unit and span.tried + 1 >= self.attempts

    def _hold(self, recipe):
        """Keep a recipe, and of the others those that are in use."""
        if recipe.key in self._recipes:
            return
        spans = [*self.queue, *(span for seat in self.seats for span, _ in seat.calls)]
        used = {span.batch.recipe.key for span in spans if span.batch.recipe is not None}
        for key in self._recipes - used:
            self.forget(key)
        self._recipes = (self._recipes & used) | {recipe.key}
        self.things[recipe.key] = recipe
