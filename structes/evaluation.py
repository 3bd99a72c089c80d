"""Values of points from a user's function, whatever goes wrong in it.

One policy, the same everywhere, in the driver and in workers: a NaN or an exception is a *missing*
value, which ranks last and is counted; +inf is a legal value, the worst; −inf, complex numbers and
what is no number at all are mistakes in the function and end the search. KeyboardInterrupt and
SystemExit are for the program, not for the search, and pass.
"""

from __future__ import annotations

import traceback
from typing import NamedTuple

import numpy as np

from . import forms
from .backend import namespace
from .candidates import Candidates
from .problem import Rowwise, scalar

ON_ERROR = ("missing", "raise")
KEPT = 100  # failures whose words are kept until somebody takes them


def check_on_error(value: str) -> str:
    """`value`, one of ON_ERROR; ValueError otherwise."""
    if value not in ON_ERROR:
        raise ValueError(f"on_error must be 'missing' or 'raise'; got {value!r}")
    return value


class Failure(NamedTuple):
    """One evaluation without a value: which row; what kind (the exception's class, "Timeout" or
    "WorkerDied"); in words; the traceback, where there is one."""

    row: int
    kind: str
    message: str
    traceback: str = ""

    @classmethod
    def of(cls, error: BaseException, row: int) -> Failure:
        """What an exception says."""
        try:
            said, words = "".join(traceback.format_exception(error)), str(error)
        except Exception:  # an exception of the user's that cannot even be printed
            said, words = "", "it cannot be printed"
        return cls(row, type(error).__name__, words, said)

    def __str__(self):
        return f"{self.kind}: {self.message}" if self.message else self.kind


def evaluated(function, X, unit: int, note, before=lambda rows: None) -> np.ndarray:
    """(n,) values of the rows of X (n, d), NaN where `function` raises.

    function   of rows; a `Rowwise` is called point by point, another one with `unit` rows at a
               time, and where it raises with each of them alone, so that one bad point does not
               take the others with it
    note       called with the row and the exception
    before     called before every call of the function, with the number of rows

    Raises ValueError or TypeError for a function that returns what is no value.
    """
    step = 1 if isinstance(function, Rowwise) else unit
    value_of = _value if isinstance(function, Rowwise) else _values
    values = np.empty(X.shape[0])
    for a in range(0, X.shape[0], step):
        rows = X[a : a + step, :]
        before(rows.shape[0])
        try:
            values[a : a + step] = value_of(function, rows)
        except _NoValue as error:
            raise error.args[0] from None
        except Exception as error:
            if rows.shape[0] == 1:
                values[a] = np.nan
                note(a, error)
            else:
                values[a : a + step] = evaluated(
                    function, rows, 1, lambda row, error, a=a: note(a + row, error), before
                )
    return values


class _NoValue(Exception):
    """What a function returned is no value."""


def _value(function, rows):
    value = function.of_point(rows[0, :])
    try:
        return scalar(value, function.name)
    except ValueError as error:
        raise _NoValue(error) from None


def _values(function, rows):
    values = function(rows)
    try:
        return forms.objective_values(values, rows.shape[0])
    except (ValueError, TypeError) as error:
        raise _NoValue(error) from None


class Evaluation:
    """A function of many points in which an exception is a missing value.

    function   of rows X (n, d), returns (n,) values
    on_error   "missing", or "raise": an exception is the caller's

    errors     number of exceptions so far; first: the first of them, or None
    failures   the latest of them, as `Failure`s: whoever reads them may clear the list
    """

    def __init__(self, function, on_error: str = "missing"):
        self.function = function
        self.on_error = check_on_error(on_error)
        self.errors, self.first, self.failures = 0, None, []

    @property
    def by_point(self) -> bool:
        """Are points evaluated one by one in any case?"""
        return isinstance(self.function, Rowwise)

    def __call__(self, X) -> np.ndarray:
        """(n,) values of the rows X (n, d), an array or Candidates."""
        drawn = isinstance(X, Candidates)  # otherwise it is the caller's, and may be written into
        X = X.points() if drawn else namespace(X).asarray(X, copy=True)
        if self.on_error == "raise":
            return self.function(X)
        return evaluated(self.function, X, max(1, X.shape[0]), self._note)

    def traceback(self) -> str | None:
        """That of the first exception, as text."""
        return self.first and "".join(traceback.format_exception(self.first))

    def _note(self, row, error):
        self.errors += 1
        self.failures = [*self.failures, Failure.of(error, row)][-KEPT:]
        if self.first is None:
            self.first = error
