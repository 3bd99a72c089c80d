"""Where a search begins, and how far it looks at first, where x0 and sigma0 do not say it alone:
bounds, coordinates that are fixed, an earlier study, a covariance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .. import checks
from ..registry import brief
from ..space.bounds import bounds_of, integers_of, logs_of
from .covariance import read_covariance, searched
from .studies import read_prior, spread_of, usable

FARTHEST = 100.0  # sigma0 that the points of a prior are apart; where they are farther it grows


def with_prior(prior, x0, sigma0, space, given, maximize):
    """(x0, sigma0, (X, values) or None) of a prior: where they are None, x0 is the best of its
    points, and sigma0 the standard deviations of the better half."""
    dim = None if x0 is None or callable(x0) else x0.size
    X, values = read_prior(prior, dim, space, -1 if maximize else 1)
    d = X.shape[1]
    low, high = bounds_of(given.get("bounds"), d, None if callable(x0) else x0)
    fixed, log_ = fixed_at(given.get("fixed"), d, low, high), logs_of(given.get("transforms"), d)
    X, values = usable(X, values, low, high, log_, integers_of(given.get("integers"), d), fixed)
    if not len(X):
        if x0 is None and "bounds" not in given:
            raise ValueError(
                "prior: none of its points can be used, so x0 and sigma0 must be given"
            )
        return x0, sigma0, None
    if x0 is None:
        x0 = X[values.argmin()]
    best = values.argsort(kind="stable")[: max(2, len(values) // 2)]  # bad points may be far away
    spread = spread_of(X[best], log_, fixed)
    spread = np.where(spread > 0, spread, spread_of(X, log_, fixed))
    if sigma0 is not None:
        checks.scale("sigma0", sigma0, d)
        if (spread > FARTHEST * np.asarray(sigma0)).any():
            sigma0 = np.maximum(sigma0, spread / FARTHEST)
    elif (spread > 0).all():
        sigma0 = spread
    elif "bounds" not in given:
        i = int(spread.argmin())
        raise ValueError(f"sigma0 must be given: the points of prior do not vary in x[{i}]")
    return x0, sigma0, (X, values)


def with_covariance(covariance, x0, sigma0):
    """(sigma0 (d,) with the standard deviations of a covariance to start from, its correlations
    or None). Of a search the shape counts, and sigma0 says the size."""
    dim = None if callable(x0) else x0.size
    deviations, correlations = read_covariance(covariance, dim)
    size, scale = checks.scale("sigma0", sigma0, len(deviations))
    if searched(covariance) is None:
        deviations = scale * deviations
    return size * deviations, correlations


def from_bounds(x0, sigma0, given):
    """(x0, sigma0) where bounds say what is missing: the middle of the box, and a fifth of it."""
    bounds = given.get("bounds")
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
    log_ = logs_of(given.get("transforms"), d)
    at = fixed_at(given.get("fixed"), d, low, high)
    for i in range(d):
        if i not in at and not (np.isfinite(low[i]) and np.isfinite(high[i])):
            what = "x0 and sigma0" if x0 is None else "sigma0"
            raise ValueError(
                f"{what} must be given: bounds say them where they are closed only, and "
                f"bounds[{i}] is ({low[i]}, {high[i]})"
            )
    low, high = (np.array([at.get(i, v) for i, v in enumerate(side)]) for side in (low, high))
    log_ &= low > 0
    a, b = (np.where(log_, np.log(np.where(log_, v, 1.0)), v) for v in (low, high))
    if x0 is None:
        middle = a / 2 + b / 2
        x0 = np.clip(np.where(log_, np.exp(np.where(log_, middle, 0.0)), middle), low, high)
        where = integers_of(given.get("integers"), d)
        x0 = np.where(where, np.clip(np.round(x0), np.ceil(low), np.floor(high)), x0)
    if sigma0 is None:
        width = b / 5 - a / 5
        sigma0 = np.where(width > 0, width, 1.0)
    return x0, sigma0


def _size(bounds) -> int:
    """Number of coordinates that bounds are of, where nothing else says it."""
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


def fixed_at(fixed, d, low, high) -> dict:
    """{coordinate: value} of those that do not move."""
    at = {int(i): float(low[i]) for i in np.flatnonzero(low == high)}
    if fixed is None:
        return at
    if not isinstance(fixed, Mapping):
        raise TypeError(f"fixed must be a mapping {{index: value}}; got {brief(fixed)}")
    for i, value in fixed.items():
        i = checks.count("fixed: index", i, 0, d - 1)
        value = checks.real(f"fixed[{i}]", value)
        if not low[i] <= value <= high[i] or not np.isfinite(value):
            raise ValueError(
                f"fixed[{i}] must be a number within its bounds [{low[i]}, {high[i]}]; got {value}"
            )
        at[i] = value
    return at
