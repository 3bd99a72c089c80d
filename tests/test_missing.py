"""Values of rows, whatever the function does with them: each row has its own."""

from math import inf, nan
from types import SimpleNamespace

import numpy as np
import pytest

from structes.evaluators import missing
from structes.evaluators.failures import Counted, Failure, cut
from structes.evaluators.missing import NoValue, evaluated
from structes.rowwise import rowwise

X = np.arange(7.0)[:, None] * [1, 10]


def vectorised(bad):
    """(function, its calls): x₀ of rows; it raises where one of them is bad."""
    calls = []

    def function(rows):
        calls.append(rows[:, 0].tolist())
        wrong = [x for x in rows[:, 0] if x in bad]
        if wrong:
            raise ArithmeticError(f"{wrong[0]:g}")
        return rows[:, 0]

    return function, calls


@pytest.mark.parametrize("unit", [1, 2, 3, 7, 10])
@pytest.mark.parametrize("bad", [(), (0,), (4,), (6,), (1, 2, 5), tuple(range(7))])
def test_a_row_that_raises_takes_no_other_with_it(unit, bad):
    """Of a function of many rows that raises each row is tried alone, and a failure has its
    row."""
    function, calls = vectorised(bad)
    failures, counts = [], []

    def note(row, error):
        failures.append((row, str(error)))

    values = evaluated(function, X, unit, note, counts.append)
    np.testing.assert_array_equal(values, [nan if k in bad else k for k in range(7)])
    assert failures == [(row, str(row)) for row in bad]
    expected = []
    for start in range(0, 7, unit):
        rows = list(range(start, min(start + unit, 7)))
        expected.append(rows)
        if set(rows) & set(bad) and len(rows) > 1:
            expected += [[row] for row in rows]
    assert calls == expected and counts == [len(rows) for rows in expected]


@pytest.mark.parametrize("value", [None, "x", 1j, [1.0, 2.0], -inf])
def test_what_is_no_value_is_missing_in_its_row_alone(value):
    """Of −inf too, where it is not the worst value; the other infinity is one."""
    failures = []

    def note(row, error):
        failures.append((row, type(error)))

    by_point = rowwise(lambda x: value if x[0] == 3 else inf if x[0] == 5 else x[0])
    wanted = [0, 1, 2, nan, 4, inf, 6]
    values = evaluated(by_point, X, 1, note, wrong=-inf)
    np.testing.assert_array_equal(values, wanted)
    assert failures == [(3, NoValue)]
    failures.clear()
    values = evaluated(
        lambda rows: [value if x == 3 else inf if x == 5 else x for x in rows[:, 0].tolist()],
        X, 4, note, wrong=-inf,
    )  # fmt: skip
    np.testing.assert_array_equal(values, wanted)
    assert failures == [(3, NoValue)]


@pytest.mark.parametrize("unit", [None, 1, 2])
def test_no_call_is_made_after_the_deadline_but_the_first(unit, monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(missing, "time", SimpleNamespace(monotonic=lambda: clock.now))

    def slow(rows):
        clock.now += 1.0
        return rows[:, 0] if rows.ndim == 2 else float(rows[0])

    function = rowwise(slow) if unit is None else slow
    for deadline, calls in ((-1.0, 1), (0.5, 1), (1.0, 1), (2.5, 3), (99.0, 7)):
        clock.now, sink = 0.0, []
        values = evaluated(function, X, unit or 1, None, deadline=deadline, sink=sink)
        n = min(7, calls * (unit or 1))
        np.testing.assert_array_equal(values, X[:n, 0])
        assert sink == values.tolist()


def test_the_latest_failures_are_kept_and_the_points_of_the_first_of_each_kind():
    counted = Counted()
    for row in range(7):
        for k in range(50):
            counted.count(Failure(row, f"kind {k}", str((row, k))), X)
    assert counted.errors == 350 and set(counted.kinds.values()) == {7}
    counted.count(Failure(3, "kind 50", ""), X)
    assert counted.kinds["other"] == 1 and "kind 50" not in counted.kinds
    latest = [str((row, k)) for row in (5, 6) for k in range(50)]
    assert [f.message for f in counted.failures] == [*latest[1:], ""]
    assert all(f.point == [f.row, 10 * f.row] for f in counted.failures)
    for _ in range(40):
        counted.count(Failure(1, "kind 0", ""), X)
    with_point = [f.point is not None for f in counted.failures[-40:]]
    assert with_point == [True] * 13 + [False] * 27  # twenty of them


def test_long_words_of_a_failure_lose_their_middle():
    text = "".join(chr(33 + k % 90) for k in range(5000))
    assert cut(text, 5000) == text
    short = cut(text, 2000)
    assert short == f"{text[:1000]} … [3000 characters] … {text[-1000:]}"
    assert len(Failure.of(ValueError(text), 0).message) < 2100
