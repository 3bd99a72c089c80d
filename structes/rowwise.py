"""A function of one point as a function of many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays.forms import numbers
from .naming.error_text import brief


class Rowwise:
    """A function of one point (d,) as a function of many: (n, d) -> (n,) array.

    Parameters
    ----------
    of_point : callable
        The function of one point.
    name : str
        What error messages call it.
    """

    def __init__(self, of_point: Callable, name: str = "objective"):
        self.of_point, self.name = of_point, name

    def __call__(self, X: Any) -> np.ndarray:
        return np.array([scalar(self.of_point(X[i, :]), self.name) for i in range(X.shape[0])])


def rowwise(function: Callable, name: str = "objective") -> Rowwise:
    """Return `function` of one point (d,) as a function of many: (n, d) -> (n,) array."""
    return Rowwise(function, name)


def scalar(value: Any, name: str) -> float:
    """Return the value of one point as a float; ValueError, with `name` of the function,
    otherwise.
    """
    if isinstance(value, float):
        return value
    try:
        array = numbers("value", value, "a real number")
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.size != 1:
        hint = ""
        if hasattr(value, "__len__") and not isinstance(value, (str, bytes)):
            hint = " For a function of many points at once, say vectorized."
        if isinstance(value, tuple):
            hint = " If the value is the first of several, return it alone."
        raise ValueError(
            f"{name} must return one real number for one point; got {brief(value)}.{hint}"
        )
    return float(array.reshape(()))
