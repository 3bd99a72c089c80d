"""The domain of what a user says: bounds, transforms and integers together.

`bounds.py` reads each of them; here they are made to fit each other, and the widths of the rounded
zones are chosen.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..naming.error_text import nearest
from .bounds import bounds_of, integers_of, logs_of, whole
from .domain import Domain
from .limited import Limited, logarithm

WIDEST = 1e150  # a rounded zone at most, whose square is a number
BOUNDARIES = {"transform": 0.03, "reflect": 0.0}  # width of the rounded zone, in sigma0


def build_domain(
    dim: int,
    bounds: Any = None,
    boundary: str | None = None,
    transforms: Any = None,
    integers: Any = None,
    sigma0: Any = 1.0,
) -> Domain:
    """Return the Domain of what a user says.

    Parameters
    ----------
    dim : int
        The number of coordinates, d.
    bounds
        scipy's: d pairs (lower, upper) with None for open, or an object with lb and ub
        (scipy.optimize.Bounds), in the coordinates of the user. Those of an integer are rounded
        inward, and leave at least two values.
    boundary : str, optional
        How bounds are kept: a name of BOUNDARIES; None means "transform", the best by evidence.
        Integers always have plain mirrors.
    transforms
        None, or d names (None or "linear", "log"), or {index: name}. With "log" the search moves
        ln x, in which its sigma0 is; x must be positive, and ≥ 1 if it is an integer.
    integers
        None, True (all), or the indices of the coordinates that are integers.
    sigma0 : float or array of shape (d,)
        The initial standard deviation in search coordinates: the scale on which bounds are
        rounded.

    Raises
    ------
    ValueError, TypeError
        For what does not fit; the message names the argument.
    """
    low, high = bounds_of(bounds, dim)
    log_, integer = logs_of(transforms, dim), integers_of(integers, dim)
    return domain_of(low, high, log_, integer, boundary, sigma0)


def domain_of(
    low: Any, high: Any, log_: Any, integer: Any, boundary: str | None, sigma0: Any
) -> Domain:
    """Return the same of arrays (d,): bounds, and of each coordinate whether its logarithm is
    moved, and whether it is an integer."""
    dim = len(low)
    if boundary is None:
        boundary = "transform"
    elif not isinstance(boundary, str) or boundary not in BOUNDARIES:
        names = ", ".join(BOUNDARIES)
        raise ValueError(
            f"boundary must be one of {names}; got {boundary!r}{nearest(boundary, BOUNDARIES)}"
        )
    if not (np.isfinite(low).any() or np.isfinite(high).any() or log_.any() or integer.any()):
        return Domain(dim)
    low, high = whole(low, high, integer)
    for i in np.flatnonzero(log_):
        lowest = 1.0 if integer[i] else 0.0
        if low[i] == -np.inf and high[i] > lowest:
            low[i] = lowest if integer[i] else -np.inf
        elif not low[i] >= (lowest or np.finfo(float).tiny):
            raise ValueError(
                f"bounds[{i}] must be {'≥ 1' if integer[i] else 'positive'}, because its "
                f"coordinate has the transform 'log'; got ({low[i]}, {high[i]})"
            )
    with np.errstate(over="ignore"):
        width = logarithm(high, log_) - logarithm(low, log_)
    zone = np.minimum(BOUNDARIES[boundary] * np.broadcast_to(sigma0, dim), width / 4)
    zone = np.minimum(zone, WIDEST)
    bounded = np.isfinite(low) | np.isfinite(high)
    zone = np.where(bounded & ~integer, zone, 0.0)
    return Limited(dim, low, high, log_, integer, zone)


def check_range(
    dtype: Any,
    x0: Any,
    sigma: Any,
    low: Any = -np.inf,
    high: Any = np.inf,
    log_: Any = False,
    moves: Any = True,
) -> None:
    """Raise ValueError where a dtype cannot hold the points of a search: they are too large for
    it, or it cannot tell them apart.

    Parameters
    ----------
    x0, sigma
        (d,) start and standard deviations; low, high: bounds; log_: where they are those of ln x;
        moves: which coordinates do.
    """
    info, reach = np.finfo(dtype), np.where(log_, 0.0, 1e3 * sigma)
    with np.errstate(over="ignore", invalid="ignore"):
        far = np.minimum(np.abs(x0) + reach, np.maximum(np.abs(low), np.abs(high)))
        inner = np.subtract(*(np.asarray(v, dtype=dtype).astype(float) for v in (high, low)))
        largest = np.maximum(np.abs(low), np.abs(high))
        min_gap = 4 * info.eps * largest - 4 * info.smallest_subnormal
    for i in np.flatnonzero(moves & ~(far <= info.max)):
        raise ValueError(
            f"sigma0 must be so small that x0 ± 1000 sigma0 is a number of {dtype}; "
            f"coordinate {i} has x0 {x0[i]:g} and sigma0 {sigma[i]:g}"
        )
    closed = np.isfinite(low) & np.isfinite(high)
    for i in np.flatnonzero(moves & closed & ~(inner >= min_gap)):
        raise ValueError(
            f"bounds[{i}]: {dtype} cannot tell numbers between {float(low[i])!r} and "
            f"{float(high[i])!r} "
            "apart" + (": use dtype='float64'" if dtype == "float32" else "")
        )
