"""The loop: ask, evaluate, tell, until the search stops.

There are three. A function that is called in this process is simply called. With workers a
generation is handed out as a whole, and its values are told in the order of its candidates, so
that nothing depends on which came first (`_generations`); or, where evaluations take unequally
long, every worker always has one candidate, whose value is told as soon as it has come
(`_steady`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import ceil, inf
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import checks
from ..arrays import forms
from ..evaluators import ParallelFunction
from ..evaluators.missing import Evaluation
from ..population.candidates import Candidates, part
from .in_flight import InFlight

if TYPE_CHECKING:
    from .es import ES
    from .restart_es import RestartES

MODES = ("generations", "steady")


def check_mode(mode: str) -> str:
    """`mode`, one of MODES; ValueError otherwise."""
    return checks.choice("mode", mode, MODES)


def run(
    es: ES | RestartES,
    evaluate: Callable[[Any], Any],
    callback: Callable[[Any], Any] | None = None,
    after_tell: Callable[[Any], Any] | None = None,
    mode: str = "generations",
) -> dict[str, Any]:
    """Ask, evaluate and tell until the search stops.

    Where a generation takes longer than a second, values are told as they come: the bits are the
    same, and a search that is saved by `after_tell` loses what is being evaluated, at most. A
    search that was resumed begins with what is pending. Whatever ends the loop, an exception or
    Ctrl-C, the values that have come are told before. max_seconds is looked at before every
    evaluation, and while workers are waited for.

    Parameters
    ----------
    es : ES or RestartES
        The search.
    evaluate : callable
        From (n, d) rows to (n,) values. An Evaluation knows what to do when it raises, a
        ParallelFunction (evaluators) has workers.
    callback : callable, optional
        Called with `es` after every generation; the answer True, and StopIteration, end the run.
    after_tell : callable, optional
        Called with `es` after every tell, and after the callback where there is one.
    mode : {"generations", "steady"}
        With workers; "steady": no worker waits for another.

    Returns
    -------
    dict
        {criterion: value}: why the search has ended.
    """
    callback, after_tell = callback or (lambda es: None), after_tell or (lambda es: None)
    if isinstance(evaluate, ParallelFunction):
        loop = _steady if check_mode(mode) == "steady" else _generations
    else:
        loop = _in_process
        if not isinstance(evaluate, Evaluation):
            evaluate = Evaluation(evaluate, "raise")
    try:
        was_ended = loop(es, evaluate, callback, after_tell)
    finally:
        if isinstance(evaluate, ParallelFunction):
            evaluate.abandon()
    return {**es.stop(), "callback": True} if was_ended else es.stop()


def ends(callback: Callable[[Any], Any], es: Any) -> bool:
    """Whether the callback ends the search: by the answer True, no other, or by StopIteration."""
    try:
        answer = callback(es)
    except StopIteration:
        return True
    return isinstance(answer, (bool, np.bool_)) and bool(answer)


# -- in this process ------------------------------------------------------------------------------


def _in_process(es, evaluate, callback, after_tell) -> bool:
    """Evaluate here; where generations are large one tile of points is in memory at a time."""
    lazy = es.strategy.tile is not None
    X, slow = es.waiting if lazy else es.pending, evaluate.by_point
    while _goes_on(es):
        if not X.shape[0]:
            X = es.ask(lazy=es.strategy.tile is not None)
        X = part(X, 0, _within_budget(es, X.shape[0]))
        start_time = time.monotonic()
        evaluate.deadline = _deadline(es)
        rows = X.unit if isinstance(X, Candidates) else 1 if slow else X.shape[0]
        _evaluate_rows(es, evaluate, X, rows, after_tell)
        slow = evaluate.by_point and time.monotonic() - start_time > 1
        X = part(X, 0, 0)
        if ends(callback, es):
            return True
        after_tell(es)
    return False


def _evaluate_rows(es, evaluate, X, rows, after_tell):
    """Evaluate so many rows of X at a time, and tell the values now and then.

    All that have come are told, if something goes wrong.
    """
    values, start, last, n = [], 0, time.monotonic(), X.shape[0]
    evaluate.finished = []
    try:
        for i in range(0, n, rows):
            count = min(rows, n - i)
            new = forms.values_of_rows(evaluate(part(X, i, i + count)), count)
            evaluate.finished = []
            values += new.tolist()
            is_last = i + count == n or len(new) < count or time.monotonic() >= evaluate.deadline
            if is_last or rows == 1 or time.monotonic() - last > 1:
                es.tell(part(X, start, start + len(values)), np.array(values))
                start, values = start + len(values), []
                if is_last:
                    return
                after_tell(es)
                last = last if rows == 1 else time.monotonic()
    except BaseException:
        values += evaluate.finished
        if values:
            es.tell(part(X, start, start + len(values)), np.array(values))
        raise


# -- budgets --------------------------------------------------------------------------------------


def _goes_on(es) -> bool:
    """Whether there is more to do. Something is evaluated in any case, however short the time."""
    reasons = es.stop()
    return not reasons or (es.evaluations == 0 and reasons.keys() == {"max_seconds"})


def _within_budget(es, n: int, out: int = 0) -> int:
    """How many of n points may be evaluated within the budget, with `out` of them under way."""
    limit = es.stopping.max_evaluations
    return n if limit is None else max(0, min(n, limit - es.evaluations - out))


def _deadline(es) -> float:
    """The time (of time.monotonic) when the search ends."""
    limit = es.stopping.max_seconds
    return inf if limit is None else time.monotonic() + limit - es.seconds


def _patience(deadline: float, es, is_heard: bool = False) -> float | None:
    """The seconds to wait for workers: until the deadline; None: as long as it takes.

    None is where there is no deadline, and for the first value of a search, which is_heard says to
    have come, but not to be told.
    """
    if deadline == inf or not (es.evaluations or is_heard):
        return None
    return max(0.0, deadline - time.monotonic())


# -- with workers ---------------------------------------------------------------------------------


def _generations(es, evaluate, callback, after_tell) -> bool:
    """Evaluate a generation at a time.

    Where only a fraction of it is waited for, the others are told as late values of the next ones;
    what is still under way at the end is given up.
    """
    lazy, fraction = evaluate.wants_lazy(es), evaluate.evaluator.finish_fraction
    X, late = es.waiting if lazy else es.pending, []
    deadline = _deadline(es)
    present = None
    try:
        while _goes_on(es):
            if not X.shape[0]:
                X = es.ask(lazy=lazy)
            X = part(X, 0, _within_budget(es, X.shape[0], sum(flight.out for flight in late)))
            present, generation = InFlight(X, evaluate.submit(X, es.popsize)), es.generation
            spare = X.shape[0] - ceil(fraction * X.shape[0])
            start_time = time.monotonic()
            # where X is empty all that the budget allows is under way
            while present.out > spare or (not X.shape[0] and any(f.out for f in late)):
                spans = evaluate.collect(_patience(deadline, es, present.is_heard))
                present.take(spans)
                for flight in late:
                    flight.take(spans)
                    flight.tell(es)
                if time.monotonic() - start_time > 1 and present.tell_head(es):
                    after_tell(es)
                is_over = es.stop() and (present.is_heard or not _goes_on(es))
                if is_over or es.generation != generation:  # late values have filled it
                    break
            present.tell(es)
            if present.out and es.generation == generation and X.shape[0] and not es.stop():
                es.advance()
            late = [flight for flight in (*late, present) if flight.out]
            X = part(X, 0, 0)
            if ends(callback, es):
                return True
            after_tell(es)
    except BaseException:
        for flight in (*late, present):
            if flight is not None:
                flight.tell(es)
        raise
    return False


def _steady(es, evaluate, callback, after_tell) -> bool:
    """Keep as many candidates under way as there are workers: a new one for each that has come."""
    lazy, deadline = evaluate.wants_lazy(es), _deadline(es)
    waiting, flights, generation = es.waiting if lazy else es.pending, {}, es.generation
    while _goes_on(es):
        free = evaluate.evaluator.capacity - len(flights)
        for _ in range(_within_budget(es, free, len(flights))):
            x = part(waiting, 0, 1) if waiting.shape[0] else es.ask(1, lazy=lazy)
            waiting = part(waiting, 1, waiting.shape[0])
            (batch,) = evaluate.submit(x, es.popsize)
            flights[batch] = x
        for span in evaluate.collect(_patience(deadline, es)):
            es.tell(flights.pop(span.batch), span.batch.values)
            after_tell(es)
            if es.generation != generation:
                generation = es.generation
                if ends(callback, es):
                    return True
            if es.stop():
                break
    return False
