"""What a user says of bounds, transforms and integers, checked and as arrays.

A mistake here costs a whole search, so everything is strict: nothing is guessed, nothing repeated
to length, and an error names the argument, the index, and what was expected.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from . import checks
from .registry import brief, nearest

TRANSFORMS = ("linear", "log")
_EXACT = 2**53  # integers up to here are floats, all of them


def bounds_of(bounds, dim):
    """(lower, upper), each a new (d,) array, −inf and inf where open."""
    if bounds is None:
        return np.full(dim, -np.inf), np.full(dim, np.inf)
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        sides = [_side(f"bounds.{name}", getattr(bounds, name), dim) for name in ("lb", "ub")]
    else:
        expected = f"{dim} pairs (lower, upper), None or inf for open"
        try:
            pairs = [tuple(pair) for pair in bounds]
        except TypeError:
            hint = f"; for the same pair everywhere write [(lower, upper)] * {dim}"
            raise TypeError(f"bounds must be {expected}; got {brief(bounds)}{hint}") from None
        if len(pairs) != dim:
            raise ValueError(f"bounds must be {expected}; got {len(pairs)} of them")
        for i, pair in enumerate(pairs):
            if len(pair) != 2:
                raise ValueError(f"bounds[{i}] must be a pair (lower, upper); got {brief(pair)}")
        sides = [
            np.array(
                [
                    open_ if pair[k] is None else checks.number(f"bounds[{i}][{k}]", pair[k])
                    for i, pair in enumerate(pairs)
                ]
            )
            for k, open_ in ((0, -np.inf), (1, np.inf))
        ]
    low, high = sides
    for i in np.flatnonzero(~((low < high) & (low < np.inf) & (high > -np.inf))):
        hint = " (leave a fixed coordinate out of the search)" if low[i] == high[i] else ""
        raise ValueError(
            f"bounds[{i}]: lower must be below upper; got ({low[i]}, {high[i]}){hint}"
        )
    return low, high


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


def logs_of(transforms, dim):
    """(d,) where the transform is "log"."""
    if transforms is None:
        transforms = {}
    if isinstance(transforms, Mapping):
        chosen = {
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
        chosen = dict(enumerate(transforms))
    log_ = np.zeros(dim, dtype=bool)
    for i, name in chosen.items():
        if name is not None and name not in TRANSFORMS:
            raise ValueError(
                f"transforms[{i}] must be None, 'linear' or 'log'; "
                f"got {brief(name)}{nearest(name, TRANSFORMS)}"
            )
        log_[i] = name == "log"
    return log_


def integers_of(integers, dim):
    """(d,) where x is an integer."""
    where = np.zeros(dim, dtype=bool)
    if integers is True:
        where[:] = True
    elif integers is not None:
        if integers is False or isinstance(integers, str) or not hasattr(integers, "__len__"):
            raise TypeError(f"integers must be None, True (all) or indices; got {brief(integers)}")
        where[list(checks.indices("integers", integers, len(integers), dim))] = True
    return where


def whole(low, high, integer):
    """Bounds of integers rounded inward."""
    low, high = np.where(integer, np.ceil(low), low), np.where(integer, np.floor(high), high)
    for i in np.flatnonzero(integer):
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
