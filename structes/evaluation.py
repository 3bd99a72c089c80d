"""Values of points from a user's function, whatever goes wrong in it.

One policy, the same everywhere: a NaN or an exception is a *missing* value, which ranks last and
is counted; +inf is a legal value, the worst; −inf, complex numbers and what is no number at all
are mistakes in the function and end the search. KeyboardInterrupt and SystemExit are for the
program, not for the search, and pass.
"""

from __future__ import annotations

import traceback

import numpy as np

from .problem import Rowwise, scalar

ON_ERROR = ("missing", "raise")


def check_on_error(value: str) -> str:
    """`value`, one of ON_ERROR; ValueError otherwise."""
    if value not in ON_ERROR:
        raise ValueError(f"on_error must be 'missing' or 'raise'; got {value!r}")
    return value


class Evaluation:
    """A function of many points in which an exception is a missing value.

    function   of rows X (n, d), returns (n,) values; a `Rowwise` is called point by point. Another
               one that raises is called again with each row alone, so that one bad point does
               not take the others with it
    on_error   "missing", or "raise": an exception is the caller's

    errors     number of exceptions so far; first: the first of them, or None
    """

    def __init__(self, function, on_error: str = "missing"):
        self.function = function
        self.on_error = check_on_error(on_error)
        self.errors, self.first = 0, None

    @property
    def by_point(self) -> bool:
        """Are points evaluated one by one in any case?"""
        return isinstance(self.function, Rowwise)

    def __call__(self, X) -> np.ndarray:
        """(n,) values of the rows X (n, d)."""
        if self.on_error == "raise":
            return self.function(X)
        if isinstance(self.function, Rowwise):
            return np.array([self._value(x) for x in X])
        try:
            return self.function(X)
        except Exception as error:
            if X.shape[0] == 1:
                self._note(error)
                return np.array([np.nan])
        return np.concatenate([np.asarray(self(X[i : i + 1])) for i in range(X.shape[0])])

    def traceback(self) -> str | None:
        """That of the first exception, as text."""
        return self.first and "".join(traceback.format_exception(self.first))

    def _value(self, x):
        try:
            value = self.function.of_point(x)
        except Exception as error:
            self._note(error)
            return np.nan
        return scalar(value, self.function.name)

    def _note(self, error):
        self.errors += 1
        if self.first is None:
            self.first = error
