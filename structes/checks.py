"""Checks of what a user hands in: an error names the argument, what was expected and what came."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from .arrays import forms
from .naming.error_text import brief, nearest


def point(name: str, value: Any, dim: int | None = None) -> np.ndarray:
    """Return `value` as a new finite float vector (d,)."""
    array = numbers(name, value, "a 1-d sequence of finite numbers")
    if array.ndim != 1 or array.size == 0:
        raise ValueError(
            f"{name} must be 1-d with at least one number; got shape {array.shape}"
            + (" (a number alone? write [x])" if array.ndim == 0 else "")
            + (" (pairs? write bounds=…)" if array.ndim == 2 and array.shape[1] == 2 else "")
        )
    if dim is not None and array.size != dim:
        raise ValueError(f"{name} must have {dim} numbers; got {array.size}")
    if not np.isfinite(array).all():
        bad = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(f"{name} must be finite; {name}[{bad}] is {array[bad]}")
    return array


def scale(name: str, value: Any, dim: int) -> tuple[float, np.ndarray]:
    """Return a positive number or `dim` of them, as (overall, (d,) per coordinate): their
    product."""
    array = numbers(name, value, f"a positive number or {dim} of them")
    if array.ndim > 1 or (array.ndim == 1 and array.size != dim):
        raise ValueError(
            f"{name} must be a positive number or {dim} of them, one for each parameter; "
            f"got shape {array.shape}"
        )
    if not (np.isfinite(array) & (array > 0)).all():
        raise ValueError(f"{name} must be positive and finite; got {brief(value)}")
    if array.ndim == 0:
        return float(array), np.ones(dim)
    overall = float(np.exp(np.mean(np.log(array))))
    return overall, array / overall


def count(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return `value` as an integer, low ≤ value (≤ high)."""
    expected = f"≥ {low}" if high is None else f"from {low} to {high}"
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        if isinstance(value, float) and value.is_integer():  # 1e5 is a common way to write it
            value = int(value)
        else:
            raise TypeError(f"{name} must be an integer {expected}; got {brief(value)}")
    if value < low or (high is not None and value > high):
        raise ValueError(f"{name} must be an integer {expected}; got {brief(value)}")
    return int(value)


def flag(name: str, value: Any) -> bool:
    """Return `value`, True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False; got {brief(value)}")
    return bool(value)


def text(name: str, value: Any) -> str:
    """Return `value`, a text."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text; got {brief(value)}")
    return value


def seconds(name: str, value: Any) -> float:
    """Return `value`, seconds that have passed: from 0 to some ten thousand years."""
    if not 0 <= number(name, value) < 1e12:
        raise ValueError(f"{name} must be a number of seconds; got {brief(value)}")
    return float(value)


def indices(name: str, value: Any, n: int, dim: int) -> tuple[int, ...]:
    """Return `value` as a tuple of n different coordinates in 0 … dim − 1."""
    try:
        coordinates = tuple(value)
    except TypeError:
        raise TypeError(f"{name} must be a list of {n} coordinates; got {brief(value)}") from None
    coordinates = tuple(count(f"{name}[{j}]", i, 0, dim - 1) for j, i in enumerate(coordinates))
    if len(coordinates) != n:
        raise ValueError(f"{name} must name {n} coordinates; got {len(coordinates)}")
    if len(set(coordinates)) != n:
        repeated = sorted({i for i in coordinates if coordinates.count(i) > 1})
        raise ValueError(f"{name} must name each coordinate once; repeated: {repeated}")
    return coordinates


def choice(name: str, value: Any, options: Collection[str]) -> Any:
    """Return `value`, one of the words `options`."""
    if value not in options:
        hint = nearest(value, options) if isinstance(value, str) else ""
        raise ValueError(f"{name} must be one of {', '.join(options)}; got {brief(value)}{hint}")
    return value


def dtype(value: Any) -> str:
    """Return the name of a dtype that candidates can have, given by name or as NumPy's."""
    name = getattr(value, "__name__", getattr(value, "name", value))
    return choice("dtype", name, ("float64", "float32"))


def number(name: str, value: Any, *, positive: bool = False) -> float:
    """Return `value`, of Python's int or float or of NumPy's, as a float (not NaN), positive if
    asked."""
    if not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{name} must be a number; got {brief(value)}")
    return real(name, value, positive=positive)


def real(name: str, value: Any, *, positive: bool = False) -> float:
    """Return the same of any real number; the value itself must not be used."""
    if isinstance(value, bool) or not is_number(value):
        raise TypeError(f"{name} must be a number; got {brief(value)}")
    try:
        result = float(value)
    except OverflowError:
        raise ValueError(f"{name} is too large for a number: {brief(value)}") from None
    except ValueError:  # a NaN of the decimal module
        result = float("nan")
    if result != result or (positive and result <= 0):
        raise ValueError(f"{name} must be a {'positive ' * positive}number; got {brief(value)}")
    return result


def is_number(value: Any) -> bool:
    """Is it a real number of Python (also of its decimal and fractions modules) or NumPy?"""
    return isinstance(value, (Real, Decimal, np.number))


def numbers(name: str, value: Any, expected: str) -> np.ndarray:
    """Return `value` as a new float array, of any shape; a matrix of one row is a vector."""
    if isinstance(value, np.matrix) and value.shape[0] == 1:
        value = value.A1
    return np.array(forms.numbers(name, value, expected))


def gigabytes(number: int) -> str:
    """Return a number of bytes in words: "2.5 GB"."""
    return f"{number / 1e9:.3g} GB"
