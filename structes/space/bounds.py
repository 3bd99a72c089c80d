"""What a user says of bounds, transforms and integers, checked and as arrays.

A mistake here costs a whole search, so everything is strict: nothing is guessed, nothing repeated
to length, and an error names the argument, the index, and what was expected.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import checks
from ..naming.error_text import brief, nearest
from ..terminal import output

TRANSFORMS = ("linear", "log")
_EXACT = 2**53  # integers up to here are floats, all of them


def bounds_of(bounds: Any, dim: int, x0: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Return (lower, upper), each a new (d,) array, −inf and inf where open; equal where a
    coordinate is fixed.

    Parameters
    ----------
    bounds
        D pairs (lower, upper) with None for open; one pair of numbers for all coordinates; a
        mapping {index: pair}; an object with lb and ub (scipy.optimize.Bounds); or two sequences
        (lows, highs) as in pycma, where d is not 2, or as pairs they would fix both.
    x0
        (d,) start, where it is known: it tells which of two readings is meant.
    """
    if bounds is None:
        return np.full(dim, -np.inf), np.full(dim, np.inf)
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        low, high = (_side(f"bounds.{name}", getattr(bounds, name), dim) for name in ("lb", "ub"))
    else:
        low, high = _of_pairs(bounds, dim, x0)
    for i in np.flatnonzero(~((low <= high) & (low < np.inf) & (high > -np.inf))):
        raise ValueError(f"bounds[{i}]: lower must not be above upper; got ({low[i]}, {high[i]})")
    return low, high


def _of_pairs(bounds, dim, x0):
    expected = f"{dim} pairs (lower, upper), None or inf for open"
    if isinstance(bounds, Mapping):
        by_index = {
            checks.count("bounds: index", i, 0, dim - 1): pair for i, pair in bounds.items()
        }
        bounds = [by_index.get(i, (None, None)) for i in range(dim)]
    elif hasattr(bounds, "to_numpy"):  # a DataFrame, whose own items are its columns' names
        bounds = bounds.to_numpy()
    try:
        items = list(bounds)
    except TypeError:
        raise TypeError(f"bounds must be {expected}; got {brief(bounds)}") from None
    if len(items) == 2 and all(_is_end(end) for end in items):  # one pair for all
        return tuple(np.full(dim, _end(f"bounds[{k}]", items[k], k)) for k in (0, 1))
    elif len(items) == 2 and dim != 2 and all(_is_side(side, dim) for side in items):
        return tuple(_lows_or_highs(side, dim, k) for k, side in enumerate(items))
    pairs = []
    for i, item in enumerate(items):
        try:
            pair = tuple(item)
        except TypeError:
            raise TypeError(
                f"bounds must be {expected}; got {brief(bounds)}, of which bounds[{i}] is no pair"
            ) from None
        if len(pair) != 2 or isinstance(item, str):
            raise ValueError(f"bounds[{i}] must be a pair (lower, upper); got {item!r}")
        pairs.append(pair)
    if len(pairs) != dim:
        raise ValueError(f"bounds must be {expected}; got {len(pairs)} of them")
    low, high = (
        np.array([_end(f"bounds[{i}][{k}]", pair[k], k) for i, pair in enumerate(pairs)])
        for k in (0, 1)
    )
    if dim == 2 and _may_be_sides(low, high, x0):
        if (low == high).all():  # as pairs they leave nothing to search
            return np.array([low[0], high[0]]), np.array([low[1], high[1]])
        if not any(isinstance(item, tuple) for item in items):
            _warn_of_sides(low, high)
    return low, high


def _may_be_sides(low, high, x0) -> bool:
    """May two pairs be meant as lows and highs, as in pycma?"""
    lows, highs = np.array([low[0], high[0]]), np.array([low[1], high[1]])
    fits = x0 is None or ((lows <= x0) & (x0 <= highs)).all()
    return bool((lows < highs).all() and fits)


def _warn_of_sides(low, high):
    output.warn(
        f"bounds are read as pairs (lower, upper): the first coordinate from {low[0]:g} to "
        f"{high[0]:g}, the second from {low[1]:g} to {high[1]:g}. If they are lows and highs, "
        "write scipy.optimize.Bounds(lows, highs); tuples (lower, upper) say that they are pairs",
        stacklevel=6,
    )


def _is_end(value) -> bool:
    return value is None or checks.is_number(value)


def _is_side(value, dim) -> bool:
    """Is it None, a number, or `dim` of them?"""
    return _is_end(value) or (
        hasattr(value, "__len__") and len(value) == dim and not isinstance(value, (str, Mapping))
    )


def _lows_or_highs(side, dim, k):
    ends = [side] * dim if _is_end(side) else list(side)
    return np.array([_end(f"bounds[{k}][{i}]", end, k) for i, end in enumerate(ends)])


def _end(name, value, k) -> float:
    """Return one end of a pair, the lower one for k = 0."""
    return (-np.inf, np.inf)[k] if value is None else checks.real(name, value)


def _side(name, value, dim):
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{name} must be a number or {dim} of them; got {brief(value)}") from None
    if array.shape not in ((), (1,), (dim,)):
        raise ValueError(f"{name} must be a number or {dim} of them; got shape {array.shape}")
    if np.isnan(array).any():
        raise ValueError(f"{name} must not hold NaN; got {brief(value)}")
    return np.broadcast_to(array, dim).copy()


def logs_of(transforms: Any, dim: int) -> np.ndarray:
    """Return (d,) where the transform is "log"."""
    if transforms is None:
        transforms = {}
    if isinstance(transforms, Mapping):
        names = {
            checks.count("transforms: index", i, 0, dim - 1): transforms[i] for i in transforms
        }
    else:
        if isinstance(transforms, str) or not hasattr(transforms, "__len__"):
            raise TypeError(
                f"transforms must be {dim} names, or a mapping from index to name; "
                f"got {brief(transforms)}"
            )
        if len(transforms) != dim:
            raise ValueError(
                f"transforms must be {dim} names, one for each parameter, or a mapping from index "
                f"to name; got {len(transforms)}"
            )
        names = dict(enumerate(transforms))
    log_ = np.zeros(dim, dtype=bool)
    for i, name in names.items():
        if name is not None and name not in TRANSFORMS:
            raise ValueError(
                f"transforms[{i}] must be None, 'linear' or 'log'; "
                f"got {brief(name)}{nearest(name, TRANSFORMS)}"
            )
        log_[i] = name == "log"
    return log_


def integers_of(integers: Any, dim: int) -> np.ndarray:
    """Return (d,) where x is an integer."""
    mask = np.zeros(dim, dtype=bool)
    if integers is True:
        mask[:] = True
    elif integers is not None:
        if integers is False or isinstance(integers, str) or not hasattr(integers, "__len__"):
            raise TypeError(f"integers must be None, True (all) or indices; got {brief(integers)}")
        mask[list(checks.indices("integers", integers, len(integers), dim))] = True
    return mask


def one_cell(low: Any, high: Any, log_: Any, integer: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return bounds in which those of an integer with one value only are this value."""
    lowest = np.where(log_, np.maximum(np.ceil(low), 1.0), np.ceil(low))
    alone = integer & (lowest == np.floor(high))
    return np.where(alone, lowest, low), np.where(alone, lowest, high)


def check_fixed(
    values: Mapping[int, float], fixed: Mapping[int, float] | None, log_: Any, integer: Any
) -> None:
    """Raise ValueError, naming the argument, for a coordinate that is fixed at no value of its
    own.

    Parameters
    ----------
    values
        {coordinate: value}; `fixed`: what the user said of them, bounds the rest.
    log_, integer
        (d,) whether it moves by its logarithm, and whether it is an integer.
    """
    for i, value in values.items():
        label = f"{'fixed' if i in (fixed or ()) else 'bounds'}[{i}]"
        if integer[i] and value != round(value):
            raise ValueError(
                f"{label} must be an integer, because integers says so; it is fixed at {value}"
            )
        if log_[i] and value <= 0:
            raise ValueError(
                f"{label} must be positive, because its coordinate has the transform 'log'; it is "
                f"fixed at {value}"
            )


def whole(low: Any, high: Any, integer: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return bounds in which those of integers are rounded inward."""
    original = low, high
    low, high = np.where(integer, np.ceil(low), low), np.where(integer, np.floor(high), high)
    for i in np.flatnonzero(integer):
        if low[i] > high[i]:
            raise ValueError(
                f"bounds[{i}] must hold an integer, because its coordinate is one; got "
                f"({original[0][i]}, {original[1][i]})"
            )
        if not high[i] - low[i] >= 1:
            raise ValueError(
                f"bounds[{i}] must hold two integers or more, because its coordinate is an "
                "integer (leave a fixed coordinate out of the search)"
            )
        if max(-low[i] if low[i] > -np.inf else 0, high[i] if high[i] < np.inf else 0) > _EXACT:
            raise ValueError(
                f"bounds[{i}] of an integer must lie within ±2^53, where floats hold every "
                f"integer; got ({low[i]}, {high[i]})"
            )
    return low, high
