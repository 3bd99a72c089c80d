"""Values of points from a user's function, whatever goes wrong in it.

One policy, the same everywhere, in the driver and in workers: a NaN or an exception is a *missing*
value, which ranks last and is counted; +inf is a legal value, the worst. What is no value at all
(None, text, a complex number, −inf, an array of another shape) is missing, too, once a good value
has come: hours of search are not thrown away for one answer. Before that it is a mistake in the
function, and raised. KeyboardInterrupt and SystemExit are for the program, not for the search, and
pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np

from .. import checks
from ..arrays import forms
from ..arrays.libraries import namespace, to_numpy
from ..naming.error_text import brief
from ..population.candidates import Candidates
from ..rowwise import Rowwise, scalar
from .failures import Counted, Failure, point_at, traceback_of

ON_ERROR = ("missing", "raise")


class NoValue(ValueError):
    """What a function returned is no value."""


def check_on_error(value: str) -> str:
    """Return `value`, one of ON_ERROR; ValueError otherwise."""
    return checks.choice("on_error", value, ON_ERROR)


def evaluated(
    function: Callable[..., Any],
    X: Any,
    unit: int,
    note: Callable[[int, Exception], Any],
    on_call: Callable[[int], Any] = lambda rows: None,
    wrong: float | None = None,
    deadline: float = inf,
    sink: list | None = None,
) -> np.ndarray:
    """Return (n,) values of the rows of X (n, d), NaN where `function` raises or gives no value.

    Parameters
    ----------
    function
        Of rows; a `Rowwise` is called point by point, another one with `unit` rows at a time, and
        where it raises with each of them alone, so that one bad point does not take the others
        with it.
    note
        Called with the row and the exception.
    on_call
        Called before every call of the function, with the number of rows.
    wrong
        The infinity that is no value; None: either is one.
    deadline
        Time (of time.monotonic) after which no further call is made, but for the first: the values
        are then those of the first rows only.
    sink
        List to which values are appended as they come.
    """
    values = [] if sink is None else sink
    if isinstance(function, Rowwise):
        _by_point(function, X, note, on_call, wrong, deadline, values)
    else:
        _by_rows(function, X, unit, note, on_call, wrong, deadline, values)
    return np.array(values, dtype=float)


def _by_point(function, X, note, on_call, wrong, deadline, values):
    of_point, name = function.of_point, function.name
    for row in range(X.shape[0]):
        if deadline < inf and row and time.monotonic() >= deadline:
            return
        on_call(1)
        try:
            value = of_point(X[row, :])
            if type(value) is not float or not -inf < value < inf:
                value = _checked(value, name, wrong)
        except Exception as error:
            failed = error
        else:
            values.append(value)
            continue
        note(row, failed)  # which may raise: then it has no value
        values.append(np.nan)


def _checked(value, name, wrong) -> float:
    """Return what a function of one point has returned, as a float; raises NoValue."""
    try:
        number = scalar(value, name)
    except ValueError as error:
        raise NoValue(str(error)) from None
    if number == wrong:
        raise _infinite(name, wrong)
    return number


def _infinite(name, wrong) -> NoValue:
    return NoValue(forms.no_value(f"the value of {name}", 1 if wrong < 0 else -1))


def _by_rows(function, X, unit, note, on_call, wrong, deadline, values):
    for a in range(0, X.shape[0], unit):
        if deadline < inf and a and time.monotonic() >= deadline:
            return
        rows = X[a : a + unit, :]
        on_call(rows.shape[0])
        try:
            results = _split(function(rows), rows.shape[0], wrong)
        except Exception as error:
            results = [error]
            if rows.shape[0] > 1:  # which of them is it?
                results = None
        if results is None:
            note_row = lambda k, error, a=a: note(a + k, error)  # noqa: E731
            _by_rows(function, rows, 1, note_row, on_call, wrong, inf, values)
            continue
        for k, value in enumerate(results):
            if isinstance(value, Exception):
                note(a + k, value)
                value = np.nan
            values.append(value)


def _split(values, n: int, wrong) -> list:
    """Return the values of n rows: floats, and NoValue where one is none."""
    try:
        array = forms.values_of_rows(values, n)
        if array.shape[0] != n:
            raise ValueError(f"a function of {n} rows must give {n} values; got {len(array)}")
        if wrong is None or not (array == wrong).any():
            return array.tolist()
        return [_infinite("fun", wrong) if v == wrong else v for v in array.tolist()]
    except (ValueError, TypeError) as error:
        whole = NoValue(str(error))
    values = to_numpy(values) if hasattr(values, "__dlpack__") else values
    is_row = hasattr(values, "__len__") and not isinstance(values, (str, bytes))
    if not is_row or len(values) != n or getattr(values, "ndim", 1) > 1:
        return [whole] * n
    results: list = []
    for value in values:
        try:
            results.append(_checked(value, "fun", wrong))
        except NoValue:
            message = f"fun must give a real number for each row; got {brief(value)}"
            results.append(NoValue(message))
    return results


class Evaluation(Counted):
    """A function of many points in which an exception is a missing value.

    Parameters
    ----------
    function : callable
        It takes rows X (n, d) and returns (n,) values.
    on_error : str
        "missing", or "raise": an exception is the caller's.
    sign : int
        −1 where larger values are better.

    Attributes
    ----------
    deadline : float
        The time (of time.monotonic) after which no further call is made: what is returned is then
        shorter.
    finished : list of float
        The values of the rows that were evaluated last, as they came.
    first, first_point
        The first exception and the point (d,) at which it was raised, or None.
    good : int
        The number of values so far; of failures see `Counted`.
    """

    def __init__(self, function: Callable[..., Any], on_error: str = "missing", sign: int = 1):
        super().__init__()
        self.function, self.sign = function, sign
        self.on_error = check_on_error(on_error)
        self.deadline = inf
        self.finished: list = []
        self.good, self.first_point = 0, None
        self.first: BaseException | None = None

    @property
    def by_point(self) -> bool:
        """Are points evaluated one by one in any case?"""
        return isinstance(self.function, Rowwise)

    def __call__(self, X: Any) -> np.ndarray:
        """Return the values (n,) of the rows of X; fewer where time is up.

        Parameters
        ----------
        X : array of shape (n, d), or Candidates
            The points.

        Raises
        ------
        ValueError
            For what is no value, where no good one has come before.
        """
        drawn = isinstance(X, Candidates)  # otherwise it is the caller's, and may be written into
        points = X.points() if drawn else namespace(X).asarray(X, copy=True)
        self.finished = []

        def note(row, error):
            self._note(X, row, error)

        on_call = lambda rows: None  # noqa: E731
        unit = max(1, points.shape[0])
        options = {"wrong": -self.sign * inf, "deadline": self.deadline, "sink": self.finished}
        values = evaluated(self.function, points, unit, note, on_call, **options)
        self.good += int(np.count_nonzero(~np.isnan(values)))
        return values

    def traceback(self) -> str | None:
        """Return the traceback of the first exception as text, None where there is none."""
        return self.first and traceback_of(self.first)

    def _note(self, X, row, error):
        has_values = self.good or any(value == value for value in self.finished)
        if self.on_error == "raise" or (isinstance(error, NoValue) and not has_values):
            raise error
        self.count(Failure.of(error, row), X)
        if self.first is None:
            self.first, self.first_point = error, point_at(X, row)
