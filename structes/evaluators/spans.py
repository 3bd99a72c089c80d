"""Batches of points, cut into spans: runs of rows that go to a worker in one call.

How long a span is follows from what a point costs, as the workers measure it: long enough that the
call itself does not matter, short enough that the last ones end together. Nothing of this shows in
the values: rows are cut at multiples of the batch's `unit` only, each value depends on its point
alone, and goes where its point stands.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np

from .failures import Failure

SPAN = 0.05  # seconds that a span should take, or
LONGEST = 100  # times the channel's latency, where that is more
SHORTEST = 25  # times the latency where few points are left


class Batch:
    """Points of one function that were handed in together.

    Parameters
    ----------
    objective
        The key of the function.
    points : array of shape (n, d), or Candidates
        The points; Candidates are those of one recipe (candidates.py).
    unit : int
        The number of rows that a span is a multiple of.

    Attributes
    ----------
    values : array of shape (n,)
        The values that have come, NaN where there is none.
    recipe
        The recipe of the points, where they are Candidates.
    """

    def __init__(self, objective: Any, points: Any, unit: int):
        self.objective, self.points, self.unit = objective, points, max(1, unit)
        self.size = points.shape[0]
        self.values = np.full(self.size, np.nan)
        self.recipe = None
        if not hasattr(points, "dtype"):
            ((self.recipe, self.indices),) = points.recipes()

    def rows(self, start: int, stop: int) -> Any:
        """Return what a Call takes for the points of these rows."""
        if self.recipe is None:
            return self.points[start:stop]
        return self.recipe.key, self.indices[start:stop]


class Span(NamedTuple):
    """Rows start … stop − 1 of a batch.

    Parameters
    ----------
    batch : Batch
        The batch.
    start, stop : int
        The rows.
    n_tried : int
        How often they were tried before.
    unit : int
        The unit of the batch, or 1 where a unit has failed as a whole.
    """

    batch: Batch
    start: int
    stop: int
    n_tried: int = 0
    unit: int = 1

    @property
    def size(self) -> int:
        return self.stop - self.start

    @property
    def nbytes(self) -> int:
        """The bytes of the points, as they are sent."""
        return 8 * self.size * (1 if self.batch.recipe is not None else self.batch.points.shape[1])


class Done(NamedTuple):
    """Rows of a batch that have their values.

    Parameters
    ----------
    batch : Batch
        The batch, which holds the values.
    start, stop : int
        The rows.
    failures : list of Failure
        The evaluations without a value, with their rows in the batch.
    """

    batch: Batch
    start: int
    stop: int
    failures: list


def span_length(cost: float, latency: float, share: float) -> float:
    """Return how many rows to give to a worker at once.

    A worker that should get `share` more rows until the end, so that all end together, gets half
    of them, as costs vary; but no more than take SPAN seconds or so, and so many that the call
    itself does not matter.

    Parameters
    ----------
    cost : float
        The seconds of a row.
    latency : float
        The seconds of a call.
    share : float
        The rows that the worker should still get.
    """
    longest, shortest = max(SPAN, LONGEST * latency) / cost, SHORTEST * latency / cost
    return min(longest, max(share / 2, min(shortest, share)))


def rows_for(span: Span, cost: float | None, latency: float, share: float, is_calm: bool) -> float:
    """Return how many rows of the next span are for a worker; less than 1: none.

    Where a worker has died of late nobody shares, unless calls for each row would take longer than
    their points.

    Parameters
    ----------
    span : Span
        What is next.
    cost, latency : float
        The seconds of a row, where they are known, and of a call.
    share : float
        The rows that the worker should still get until the end.
    is_calm : bool
        Whether no worker has died of late.
    """
    if cost is None or span.n_tried or (not is_calm and cost >= 5 * latency):
        return 1
    return span_length(max(cost, 1e-9), latency, share)


def time_limit(span: Span, timeout: float | None, cost: float) -> float | None:
    """Return the seconds that a call of a span may take; None: for ever.

    Parameters
    ----------
    span : Span
        The rows.
    timeout : float or None
        The seconds that an evaluation may take.
    cost : float
        The seconds that a row has taken of late.
    """
    if timeout is None:
        return None
    limit = timeout * span.unit
    if span.unit > 1:  # a vectorised function that raises is called again, row by row
        limit += timeout * span.unit
    if span.size > span.unit:  # one that takes too long ends its worker, the rest is quick
        limit += 5 * span.size * cost
    return limit


def cut(queue: deque, rows: float) -> Span:
    """Take a span off the head of the queue: about so many rows, in units, and one at least."""
    span = queue.popleft()
    rows = span.unit * max(1, round(rows / span.unit))
    if rows < span.size:
        queue.appendleft(span._replace(start=span.start + rows))
        span = span._replace(stop=span.start + rows)
    return span


def requeue(queue: deque, span: Span, step: int, n_tried: int) -> None:
    """Put a span back at the head of the queue, in pieces of so many rows."""
    pieces = [
        span._replace(start=a, stop=min(a + step, span.stop), n_tried=n_tried)
        for a in range(span.start, span.stop, step)
    ]
    queue.extendleft(reversed(pieces))


def lost(span: Span, reason: str, timeout: float | None) -> Done:
    """Return a row that has no value, since its worker has ended: why, or by its timeout."""
    kind, message = "WorkerDied", f"the worker ended: {reason}"
    if timeout is not None:
        kind, message = "Timeout", f"it took longer than {timeout:g} s"
    return Done(span.batch, span.start, span.stop, [Failure(span.start, kind, message)])


def is_last_try(span: Span, attempts: int) -> bool:
    """Is this call of a span the last chance of its points?

    Then nothing may wait behind it: its answer can be lost, late, with a worker that the next call
    ends at once, and it would have the blame for that.
    """
    return span.size <= span.unit and span.n_tried + 1 >= attempts


def retry(queue: deque, span: Span, attempts: int, is_final: bool) -> bool:
    """Put a span whose worker is gone back at the head of the queue, if it may be tried again.

    It is cut into units first, and a unit that was tried often enough into rows, each of which is
    tried once more. One row that took too long (`is_final`) would do so again, and is not tried.

    Returns
    -------
    bool
        Whether it is tried again.
    """
    if span.size > span.unit:
        requeue(queue, span, span.unit, span.n_tried)
    elif span.n_tried + 1 < attempts and not is_final:
        requeue(queue, span, span.unit, span.n_tried + 1)
    elif span.size > 1:
        requeue(queue, span._replace(unit=1), 1, attempts - 1)
    else:
        return False
    return True
