"""Points with values from an earlier study, as a user says them: `prior=`.

They come in the forms that `tell` takes (forms.py). What this search cannot use is left out, with
a warning: values that are missing, and points that it could not reach, because they lie outside
its bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..arrays import forms
from ..naming.error_text import brief
from ..space.fixed import CLOSE
from ..space.space import Space
from ..terminal import output
from .covariance import searched

ROUNDING = 1e-6  # by which a point may miss a bound, relative to it or to the width of the box


def read_prior(
    prior: Any, dim: int | None = None, space: Space | None = None, sign: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """The points (n, d) and values (n,) of an earlier study, new arrays, to be minimised.

    Parameters
    ----------
    prior : tuple or iterable of pairs
        (X, values): rows and their values; or pairs [(x, value), …]. Rows may be dicts, or a
        DataFrame with the names of the parameters, where there is a space. A value that is
        missing is NaN, +inf or None.
    dim : int, optional
        The number of parameters, where it is known.
    space : Space, optional
        The named parameters.
    sign : int
        −1 where larger values are better.

    Raises
    ------
    ValueError, TypeError
        For anything else; the message names prior.
    """
    if searched(prior) is not None:
        raise TypeError(
            "prior must be (X, values), the points of an earlier study; a search does not keep "
            "them. covariance= takes its shape, and x0=result.x goes on where it ended"
        )
    is_table = hasattr(prior, "columns") or isinstance(prior, (str, bytes, Mapping, np.ndarray))
    if is_table or not hasattr(prior, "__iter__"):
        raise TypeError(f"prior must be (X, values), or pairs [(x, value), …]; got {brief(prior)}")
    parts: list[Any] = list(prior)
    if all(map(_is_pair, parts)):
        X, values = [x for x, _ in parts], [value for _, value in parts]
    elif len(parts) == 2:
        X, values = parts
    else:
        raise ValueError(
            "prior must be (X, values), with X (n, d) and a value for each row, or pairs "
            f"[(x, value), …]; got {len(parts)} parts"
        )
    if isinstance(values, (list, tuple)):
        values = [np.nan if v is None else v for v in values]
    try:
        if dim is None:
            dim = _columns(X)
        if not np.size(values):
            return np.empty((0, dim)), np.empty(0)
        X, values = forms.told(X, values, dim, "numpy", space, sign)
    except (TypeError, ValueError) as error:
        raise type(error)(f"prior: {error}") from None
    if not np.isfinite(X).all():
        row = int(np.flatnonzero(~np.isfinite(X).all(axis=1))[0])
        raise ValueError(f"prior: X must be finite; row {row} is {brief(X[row])}")
    return np.array(X), values


def usable(
    X: np.ndarray,
    values: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    is_log: np.ndarray,
    integer: np.ndarray,
    fixed: Mapping[int, float],
) -> tuple[np.ndarray, np.ndarray]:
    """Those of the points (n, d) and values (n,) that have a value and that a search can reach.

    It warns of the others.

    Parameters
    ----------
    X, values
        The points, and their values.
    low, high : (d,) arrays
        The bounds.
    is_log, integer : (d,) arrays of bool
        Which coordinates are logarithms, and which are integers.
    fixed : mapping
        {coordinate: value} of those that do not move.
    """
    half = 0.5 * integer  # an integer has the cell from k − ½ to k + ½
    low = np.where(integer, np.maximum(np.ceil(low), np.where(is_log, 1.0, low)), low) - half
    high = np.where(integer, np.floor(high), high) + half
    low[list(fixed)] = high[list(fixed)] = list(fixed.values())
    near = np.clip(X, low, high)
    with np.errstate(over="ignore", invalid="ignore"):
        width = np.nan_to_num(high - low, posinf=0.0)
        allowed = ROUNDING * np.maximum(np.abs(near), width)
        allowed[:, list(fixed)] = CLOSE * np.maximum(np.abs(near[:, list(fixed)]), 1.0)
        reached = (np.abs(near - X) <= allowed).all(axis=1)
    reached &= ~(is_log & ~(near > 0)).any(axis=1)
    is_kept, n = reached & np.isfinite(values), len(X)
    if not reached.all():
        output.warn(
            f"prior: {n - int(np.count_nonzero(reached))} of {n} points cannot be reached by this "
            "search (bounds, fixed coordinates, logarithms), and are left out",
            stacklevel=5,
        )
    if not is_kept.any():
        output.warn(
            f"prior: none of its {n} points has a value and can be reached; the search begins as "
            "if there were no prior",
            stacklevel=5,
        )
    return near[is_kept], values[is_kept]


def spread_of(X: np.ndarray, is_log: np.ndarray, fixed: Mapping[int, float]) -> np.ndarray:
    """The standard deviations (d,) of points, of ln x for logarithms; 1 where one is fixed."""
    U = np.where(is_log, np.log(np.where(is_log, X, 1.0)), X)
    largest = np.maximum(np.max(np.abs(U), axis=0, initial=0.0), 1e-300)  # squares are numbers
    deviations = np.std(U / largest, axis=0) * largest
    deviations[list(fixed)] = 1.0
    return deviations


def _is_pair(part) -> bool:
    """Whether a part is (x, value)."""
    if not isinstance(part, (tuple, list)) or len(part) != 2:
        return False
    x, value = part
    return hasattr(x, "__len__") and not hasattr(value, "__len__") and np.ndim(value) == 0


def _columns(X) -> int:
    """The number of parameters, where rows alone say it."""
    shape = forms.numbers("X", X, "rows of d numbers").shape
    return shape[-1] if shape and shape[-1] else 1
