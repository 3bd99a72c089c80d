"""The loop: points under way, whose values go to their rows and are told once; and its budgets."""

from math import inf
from types import SimpleNamespace

import numpy as np

from structes import minimize
from structes.search import loop
from structes.search.in_flight import InFlight
from structes.search.loop import _deadline, _within_budget


class Told:
    """A search that writes down what it is told."""

    def __init__(self):
        self.calls = []

    def tell(self, X, values):
        self.calls.append((X[:, 0].tolist(), list(values)))


def flight():
    """Seven points in batches of 2, 4 and 1, whose values are ten times the first number."""
    X = np.arange(7.0)[:, None] * [1, 1]
    batches, start = [], 0
    for size in (2, 4, 1):
        values = 10 * X[start : start + size, 0]
        batches.append(Batch(size=size, values=values))
        start += size
    return InFlight(X, batches), batches


class Batch(SimpleNamespace):
    __hash__ = object.__hash__


def test_values_go_to_the_rows_of_their_batch_and_are_told_once():
    points, (a, b, c) = flight()
    es = Told()
    assert points.out == 7 and not points.is_heard
    points.take([(c, 0, 1, []), (b, 1, 3, [])])
    assert points.out == 4 and points.is_heard
    points.tell(es)
    assert es.calls == [([3, 4, 6], [30, 40, 60])]
    points.tell(es)
    assert len(es.calls) == 1
    points.take([(Batch(size=1, values=[5.0]), 0, 1, [])])  # of other points
    assert points.out == 4
    points.take([(a, 0, 2, []), (b, 3, 4, []), (b, 0, 1, [])])
    assert points.out == 0
    points.tell(es)
    assert es.calls[1:] == [([0, 1, 2, 5], [0, 10, 20, 50])]


def test_the_head_is_told_as_far_as_there_is_no_gap():
    points, (a, b, c) = flight()
    es = Told()
    points.take([(b, 0, 2, []), (c, 0, 1, [])])
    assert not points.tell_head(es) and es.calls == []
    points.take([(a, 0, 1, [])])
    assert points.tell_head(es) and es.calls == [([0], [0])]
    points.take([(a, 1, 2, [])])
    assert points.tell_head(es) and es.calls[1:] == [([1, 2, 3], [10, 20, 30])]
    assert not points.tell_head(es)
    points.take([(b, 2, 4, [])])
    assert points.tell_head(es) and es.calls[2:] == [([4, 5, 6], [40, 50, 60])]


def test_what_is_under_way_is_within_the_budget():
    def allowed(limit, evaluations, n, out):
        es = SimpleNamespace(
            stopping=SimpleNamespace(max_evaluations=limit), evaluations=evaluations
        )
        return _within_budget(es, n, out)

    assert allowed(None, 10, 7, 99) == 7
    assert allowed(100, 90, 7, 0) == allowed(100, 90, 7, 3) == 7
    assert allowed(100, 90, 7, 5) == 5 and allowed(100, 90, 7, 10) == 0
    assert allowed(100, 99, 7, 5) == 0


def test_the_deadline_is_as_far_as_the_seconds_that_are_left(monkeypatch):
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    es = SimpleNamespace(stopping=SimpleNamespace(max_seconds=9.0), seconds=6.5)
    assert _deadline(es) == 1002.5
    es.stopping.max_seconds = None
    assert _deadline(es) == inf


def test_something_is_evaluated_however_short_the_time():
    result = minimize(lambda x: float(x @ x), np.ones(3), 0.5, seed=1, max_seconds=1e-9)
    assert result.nfev > 0 and list(result.es.stop()) == ["max_seconds"]
    assert result.fun < np.inf
