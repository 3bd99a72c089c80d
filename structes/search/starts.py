"""Where a search begins, and how far it looks at first, where x0 and sigma0 do not say it alone:
bounds, coordinates that are fixed, an earlier study, a covariance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import checks
from ..naming.error_text import brief
from ..space.bounds import bounds_of, integers_of, logs_of
from ..space.space import Space
from .covariance import read_covariance, searched
from .studies import read_prior, spread_of, usable

FARTHEST = 100.0  # sigma0 that the points of a prior are apart; where they are farther it grows


def with_prior(
    prior: Any, x0: Any, sigma0: Any, space: Space | None, limits: dict[str, Any], maximize: bool
) -> tuple[Any, Any, tuple[np.ndarray, np.ndarray] | None]:
    """The start and the standard deviations of a search with a prior.

    Parameters
    ----------
    prior
        What the user has written.
    x0, sigma0
        Theirs; where x0 is None it becomes the best of the points, and where sigma0 is None the
        standard deviations of the better half.
    space, limits, maximize
        As in `Arguments`.

    Returns
    -------
    x0, sigma0
    prior : tuple of (n, d) and (n,) arrays, or None
        The points that can be used, and their values, to be minimised.

    Raises
    ------
    ValueError, TypeError
        For a prior that does not fit, or does not say what is missing.
    """
    dim = None if x0 is None or callable(x0) else x0.size
    X, values = read_prior(prior, dim, space, -1 if maximize else 1)
    d = X.shape[1]
    low, high = bounds_of(limits.get("bounds"), d, None if callable(x0) else x0)
    fixed = fixed_at(limits.get("fixed"), d, low, high)
    is_log = logs_of(limits.get("transforms"), d)
    integer = integers_of(limits.get("integers"), d)
    X, values = usable(X, values, low, high, is_log, integer, fixed)
    if not len(X):
        if x0 is None and "bounds" not in limits:
            raise ValueError(
                "prior: none of its points can be used, so x0 and sigma0 must be given"
            )
        return x0, sigma0, None
    if x0 is None:
        x0 = X[values.argmin()]
    best = values.argsort(kind="stable")[: max(2, len(values) // 2)]  # bad points may be far away
    spread = spread_of(X[best], is_log, fixed)
    spread = np.where(spread > 0, spread, spread_of(X, is_log, fixed))
    if sigma0 is not None:
        checks.scale("sigma0", sigma0, d)
        if (spread > FARTHEST * np.asarray(sigma0)).any():
            sigma0 = np.maximum(sigma0, spread / FARTHEST)
    elif (spread > 0).all():
        sigma0 = spread
    elif "bounds" not in limits:
        i = int(spread.argmin())
        raise ValueError(f"sigma0 must be given: the points of prior do not vary in x[{i}]")
    return x0, sigma0, (X, values)


def with_covariance(covariance: Any, x0: Any, sigma0: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """The standard deviations (d,) and the correlations (d, d) of a covariance to start from.

    The correlations are None where there are none. Of an earlier search the shape counts, and
    sigma0 says the size.
    """
    dim = None if callable(x0) else x0.size
    deviations, correlations = read_covariance(covariance, dim)
    size, scale = checks.scale("sigma0", sigma0, len(deviations))
    if searched(covariance) is None:
        deviations = scale * deviations
    return size * deviations, correlations


def from_bounds(x0: Any, sigma0: Any, limits: dict[str, Any]) -> tuple[Any, Any]:
    """(x0, sigma0), of which bounds say what is None: the middle of the box, and a fifth of it.

    Raises ValueError where there are no bounds, or where they are open.
    """
    bounds = limits.get("bounds")
    if bounds is None:
        if x0 is None:
            raise ValueError(
                "x0 must be given, the start: a sequence of numbers, or a structes.Space; or "
                "bounds on both sides, of which it is the middle"
            )
        raise ValueError(
            "sigma0 must be given, a positive number or one for each coordinate: how far from x0 "
            "does the search look at first? (a fifth of the range is a good start; bounds say it)"
        )
    d = _size(bounds) if x0 is None else checks.point("x0", x0).size
    low, high = bounds_of(bounds, d, None if x0 is None else checks.point("x0", x0))
    is_log = logs_of(limits.get("transforms"), d)
    fixed = fixed_at(limits.get("fixed"), d, low, high)
    for i in range(d):
        if i not in fixed and not (np.isfinite(low[i]) and np.isfinite(high[i])):
            names = "x0 and sigma0" if x0 is None else "sigma0"
            raise ValueError(
                f"{names} must be given: bounds say them where they are closed only, and "
                f"bounds[{i}] is ({low[i]}, {high[i]})"
            )
    low, high = (np.array([fixed.get(i, v) for i, v in enumerate(side)]) for side in (low, high))
    is_log &= low > 0
    a, b = (np.where(is_log, np.log(np.where(is_log, v, 1.0)), v) for v in (low, high))
    if x0 is None:
        middle = a / 2 + b / 2
        exponential = np.exp(np.where(is_log, middle, 0.0))
        x0 = np.clip(np.where(is_log, exponential, middle), low, high)
        integer = integers_of(limits.get("integers"), d)
        x0 = np.where(integer, np.clip(np.round(x0), np.ceil(low), np.floor(high)), x0)
    if sigma0 is None:
        width = b / 5 - a / 5
        sigma0 = np.where(width > 0, width, 1.0)
    return x0, sigma0


def _size(bounds) -> int:
    """The number of coordinates that bounds are of, where nothing else says it."""
    for name in ("lb", "ub"):
        if np.ndim(getattr(bounds, name, 0)) == 1:
            return len(getattr(bounds, name))
    try:
        n = len(bounds)
    except TypeError:
        n = 0
    if n == 2 and not any(hasattr(end, "__len__") for end in bounds):
        n = 0  # one pair for all
    if not n or isinstance(bounds, Mapping):
        raise ValueError("x0 must be given: its length is the dimension, which bounds leave open")
    return n


def fixed_at(fixed: Any, d: int, low: np.ndarray, high: np.ndarray) -> dict[int, float]:
    """{coordinate: value} of those that do not move.

    Parameters
    ----------
    fixed : mapping or None
        {index: value} that the user has written.
    d : int
        The number of coordinates.
    low, high : (d,) arrays
        The bounds; where they are equal the coordinate does not move.

    Raises
    ------
    ValueError, TypeError
        Where an index is none, or a value is no number within its bounds.
    """
    values = {int(i): float(low[i]) for i in np.flatnonzero(low == high)}
    if fixed is None:
        return values
    if not isinstance(fixed, Mapping):
        raise TypeError(f"fixed must be a mapping {{index: value}}; got {brief(fixed)}")
    for i, value in fixed.items():
        i = checks.count("fixed: index", i, 0, d - 1)
        value = checks.real(f"fixed[{i}]", value)
        if not low[i] <= value <= high[i] or not np.isfinite(value):
            raise ValueError(
                f"fixed[{i}] must be a number within its bounds [{low[i]}, {high[i]}]; got {value}"
            )
        values[i] = value
    return values
