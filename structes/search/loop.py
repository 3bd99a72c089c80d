"""The loop: ask, evaluate, tell, until the search stops.

There are three. A function that is called here is simply called. With workers a generation is
handed out as a whole, and its values are told in the order of its candidates, so that nothing
depends on which came first (`_generations`); or, where evaluations take unequally long, every
worker always has one candidate, whose value is told as soon as it is there (`_steady`).
"""

from __future__ import annotations

import time
from math import ceil, inf

import numpy as np

from .. import checks
from ..arrays import forms
from ..evaluators import ParallelFunction
from ..evaluators.missing import Evaluation
from ..population.candidates import Candidates, part, take

MODES = ("generations", "steady")


def check_mode(mode: str) -> str:
    """`mode`, one of MODES; ValueError otherwise."""
    return checks.choice("mode", mode, MODES)


def run(es, evaluate, callback=None, told=None, mode: str = "generations") -> dict:
    """Ask, evaluate and tell until `es`, an ES or RestartES, stops: the dict of reasons.

    evaluate   function of (n, d) rows, returns (n,) values; an Evaluation knows what to do when it
               raises, a ParallelFunction (evaluators) has workers
    callback   called with `es` after every generation; the answer True, and StopIteration, end
               the run
    told       called with `es` after every tell, and after the callback where there is one
    mode       with workers: "generations", or "steady": no worker waits for another

    Where a generation takes longer than a second, values are told as they come: the bits are the
    same, and a search that is saved by `told` loses what is being evaluated, at most. A search
    that was resumed begins with what is pending. Whatever ends the loop, an exception or Ctrl-C,
    the values that have come are told before. max_seconds is looked at before every evaluation,
    and while workers are waited for.
    """
    callback, told = callback or (lambda es: None), told or (lambda es: None)
    if isinstance(evaluate, ParallelFunction):
        loop = _steady if check_mode(mode) == "steady" else _generations
    else:
        loop = _here
        if not isinstance(evaluate, Evaluation):
            evaluate = Evaluation(evaluate, "raise")
    try:
        ended = loop(es, evaluate, callback, told)
    finally:
        if loop is not _here:
            evaluate.abandon()
    return {**es.stop(), "callback": True} if ended else es.stop()


def ends(callback, es) -> bool:
    """Does the callback end the search: by the answer True, no other, or by StopIteration?"""
    try:
        answer = callback(es)
    except StopIteration:
        return True
    return isinstance(answer, (bool, np.bool_)) and bool(answer)


def _here(es, evaluate, callback, told) -> bool:
    """Where generations are large one tile of points is in memory at a time."""
    lazy = es.strategy.tile is not None
    X, slow = es.waiting if lazy else es.pending, evaluate.by_point
    while _goes_on(es):
        if not X.shape[0]:
            X = es.ask(lazy=es.strategy.tile is not None)
        X = part(X, 0, _left(es, X.shape[0]))
        begun = time.monotonic()
        evaluate.deadline = _deadline(es)
        rows = X.unit if isinstance(X, Candidates) else 1 if slow else X.shape[0]
        _evaluate_here(es, evaluate, X, rows, told)
        slow = evaluate.by_point and time.monotonic() - begun > 1
        X = part(X, 0, 0)
        if ends(callback, es):
            return True
        told(es)
    return False


def _evaluate_here(es, evaluate, X, rows, told):
    """Evaluate so many rows of X at a time, and tell what is there now and then; all of it, if
    something goes wrong."""
    values, first, last, n = [], 0, time.monotonic(), X.shape[0]
    evaluate.finished = []
    try:
        for i in range(0, n, rows):
            wanted = min(rows, n - i)
            its = forms.values_of_rows(evaluate(part(X, i, i + wanted)), wanted)
            evaluate.finished = []
            values += its.tolist()
            is_last = i + wanted == n or len(its) < wanted or time.monotonic() >= evaluate.deadline
            if is_last or rows == 1 or time.monotonic() - last > 1:
                es.tell(part(X, first, first + len(values)), np.array(values))
                first, values = first + len(values), []
                if is_last:
                    return
                told(es)
                last = last if rows == 1 else time.monotonic()
    except BaseException:
        values += evaluate.finished
        if values:
            es.tell(part(X, first, first + len(values)), np.array(values))
        raise


def _goes_on(es) -> bool:
    """Is there more to do? Something is evaluated in any case, however short the time."""
    reasons = es.stop()
    return not reasons or (es.evaluations == 0 and reasons.keys() == {"max_seconds"})


def _left(es, n: int, out: int = 0) -> int:
    """How many of n points may be evaluated within the budget, with `out` of them under way."""
    limit = es.stopping.max_evaluations
    return n if limit is None else max(0, min(n, limit - es.evaluations - out))


def _deadline(es) -> float:
    """Time (of time.monotonic) when the search ends."""
    limit = es.stopping.max_seconds
    return inf if limit is None else time.monotonic() + limit - es.seconds


def _generations(es, evaluate, callback, told) -> bool:
    """A generation at a time. Where only a fraction of it is waited for, the rest is told as late
    values of the next ones; what is still under way at the end is given up."""
    lazy, fraction = evaluate.wants_lazy(es), evaluate.evaluator.finish_fraction
    X, late = es.waiting if lazy else es.pending, []
    deadline = _deadline(es)
    now = None
    try:
        while _goes_on(es):
            if not X.shape[0]:
                X = es.ask(lazy=lazy)
            X = part(X, 0, _left(es, X.shape[0], sum(old.out for old in late)))
            now, generation = _Flight(X, evaluate.submit(X, es.popsize)), es.generation
            spare = X.shape[0] - ceil(fraction * X.shape[0])
            began = time.monotonic()
            # where X is empty all that the budget allows is under way
            while now.out > spare or (not X.shape[0] and any(old.out for old in late)):
                done = evaluate.collect(_until(deadline, es, now.is_heard))
                now.take(done)
                for old in late:
                    old.take(done)
                    old.tell(es)
                if time.monotonic() - began > 1 and now.tell_head(es):
                    told(es)
                ended = es.stop() and (now.is_heard or not _goes_on(es))
                if ended or es.generation != generation:  # late values have filled it
                    break
            now.tell(es)
            if now.out and es.generation == generation and X.shape[0] and not es.stop():
                es.advance()
            late = [old for old in (*late, now) if old.out]
            X = part(X, 0, 0)
            if ends(callback, es):
                return True
            told(es)
    except BaseException:
        for flight in (*late, now):
            if flight is not None:
                flight.tell(es)
        raise
    return False


def _until(deadline: float, es, is_heard: bool = False) -> float | None:
    """Seconds to wait for workers: until the deadline; None, as long as it takes, where there is
    none, and for the first value of a search, which is_heard says to be there but not told."""
    if deadline == inf or not (es.evaluations or is_heard):
        return None
    return max(0.0, deadline - time.monotonic())


class _Flight:
    """Points X (n, d) that are being evaluated.

    out   how many have no value yet
    """

    def __init__(self, X, batches):
        self.X, self.out = X, X.shape[0]
        self._at, start = {}, 0
        for batch in batches:
            self._at[batch] = start
            start += batch.size
        self._values = np.full(self.out, np.nan)
        self._there = np.zeros(self.out, dtype=bool)
        self._told = np.zeros(self.out, dtype=bool)

    @property
    def is_heard(self) -> bool:
        """Has any value come?"""
        return self.out < len(self._there)

    def take(self, done) -> None:
        """Values that have come."""
        for batch, start, stop, _ in done:
            if batch in self._at:
                at = self._at[batch]
                self._values[at + start : at + stop] = batch.values[start:stop]
                self._there[at + start : at + stop] = True
                self.out -= stop - start

    def tell(self, es) -> None:
        """Tell all that is there."""
        self._tell(es, np.flatnonzero(self._there & ~self._told))

    def tell_head(self, es) -> bool:
        """Tell what is there without a gap from the first on: is there any?"""
        head = len(self._there) if self._there.all() else int(self._there.argmin())
        rows = np.flatnonzero(~self._told[:head])
        self._tell(es, rows)
        return bool(len(rows))

    def _tell(self, es, rows):
        if len(rows):
            self._told[rows] = True
            X = self.X if len(rows) == len(self._told) else take(self.X, rows)
            es.tell(X, self._values[rows])


def _steady(es, evaluate, callback, told) -> bool:
    """As many candidates under way as there are workers, and a new one for each that is done."""
    lazy, deadline = evaluate.wants_lazy(es), _deadline(es)
    todo, flights, generation = es.waiting if lazy else es.pending, {}, es.generation
    while _goes_on(es):
        for _ in range(_left(es, evaluate.evaluator.capacity - len(flights), len(flights))):
            x = part(todo, 0, 1) if todo.shape[0] else es.ask(1, lazy=lazy)
            todo = part(todo, 1, todo.shape[0])
            (batch,) = evaluate.submit(x, es.popsize)
            flights[batch] = x
        for done in evaluate.collect(_until(deadline, es)):
            es.tell(flights.pop(done.batch), done.batch.values)
            told(es)
            if es.generation != generation:
                generation = es.generation
                if ends(callback, es):
                    return True
            if es.stop():
                break
    return False
