"""What users tell, in any of the field's forms, as arrays.

Points and values come as arrays, lists and tuples, as pairs (x, value) as in cmaes, as a DataFrame
and a Series, as tensors of torch and jax, as numbers of the decimal or fractions modules, as
dicts of named parameters; values also as any iterable of numbers, and as the text of a CSV file.
What means the same is taken for the same; what is no number is refused,
because a value that is lost costs an evaluation and a value that is wrong costs a search.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from math import inf, nan

import numpy as np

from ..naming.error_text import brief, nearest
from .libraries import is_array, load_namespace, to_numpy


def told(X, values, dim: int, backend: str = "numpy", space=None, sign: int = 1):
    """Return what was told as (X (n, dim) of the backend's library, values (n,) float64 of NumPy).

    X        rows; one point (dim,), where values is a number or holds one; dicts of parameters,
             where the search has a space; or pairs (x, value), and then values is None
    values   (n,) or (n, 1) numbers: NaN failed, +inf worst
    sign     −1 where larger values are better: what is returned is to be minimised

    Raises TypeError or ValueError, naming the argument, for what does not fit; −inf is refused.
    """
    if backend == "numpy" and type(X) is np.ndarray and X.dtype == np.float64:
        as_a_rule = X.shape[1:] == (dim,) and values is not None
        if as_a_rule:
            return X, objective_values(values, X.shape[0], sign)
    xp = load_namespace(backend)
    if values is None:
        X, values = _pairs(X)
    values = _values(values)
    X = rows(X, dim, xp, space, is_one=values.size == 1)
    return X, objective_values(values, X.shape[0], sign)


def rows(X, dim: int, xp=np, space=None, is_one: bool = False):
    """Return `X` as an (n, dim) array of the library xp; whether it is finite is not looked at.

    is_one   whether a point (dim,) stands for one row
    """
    source = X
    if xp is not np and is_array(X, xp):
        array = X
    else:
        source = X = listed(X)
        if space is not None:
            X = _points_of_dicts(X, space)
        array = numbers("X", X, f"rows of {dim} numbers")
        if xp is not np:
            array = xp.asarray(array)
    if array.ndim == 1 and (is_one or dim == 1) and array.shape[0] in (dim, array.shape[0] * dim):
        array = xp.reshape(array, (-1, dim))
    if array.ndim != 2 or array.shape[1] != dim:
        hint = " (a single point? write X[None, :])" if tuple(array.shape) == (dim,) else ""
        if hasattr(source, "columns"):
            hint = f", with the columns {', '.join(map(str, source.columns))}"
        raise ValueError(
            f"X must have shape (n, {dim}), a row for each candidate; "
            f"got shape {tuple(array.shape)}{hint}"
        )
    return array


def objective_values(values, n: int, sign: int = 1) -> np.ndarray:
    """Return `values`, times `sign`, as a new (n,) float array: NaN is a failure, +inf is worst;
    −inf is refused."""
    if type(values) is not np.ndarray or values.dtype != np.float64:
        values = _values(values)
    array = values.copy() if sign == 1 else -values  # the caller's stays as it is
    if array.shape != (n,):
        if array.shape == (n, 1) or (n == 1 and array.ndim == 0):
            array = array.reshape(n)
        else:
            raise ValueError(
                f"values must hold one number for each of the {n} rows of X: shape ({n},); "
                f"got shape {array.shape}"
            )
    if n and not np.minimum.reduce(array) > -inf and (array == -inf).any():
        bad = int(np.flatnonzero(array == -inf)[0])
        raise ValueError(no_value(f"values[{bad}]", sign))
    return array


def values_of_rows(values, n: int) -> np.ndarray:
    """Return `values` of at most n rows, as (k,) floats: those of a function that has checked
    them."""
    array = _values(values)
    if array.shape == (n, 1):
        array = array[:, 0]
    if array.ndim != 1 or array.shape[0] > n:
        raise ValueError(f"a function of {n} rows must give {n} values; got shape {array.shape}")
    return array


def no_value(subject: str, sign: int = 1) -> str:
    """Return why −inf is no value (+inf, where larger ones are better)."""
    if sign == 1:
        hint = "an overflow, or the logarithm of an error that is zero? Tell a large negative"
        return f"{subject} must not be -inf: {hint} number in its place"
    return f"{subject} must not be inf with maximize=True: an overflow? Tell a large number"


def _values(values) -> np.ndarray:
    return numbers("values", values, "a real number for each row of X (NaN: it failed)", True)


def numbers(name: str, value, expected: str, texts: bool = False) -> np.ndarray:
    """Return `value` as a float64 array of NumPy, of any shape; the caller's own where it is one.

    texts   whether strings that `float` reads are numbers too

    Raises TypeError or ValueError, naming the argument, for what are no real numbers.
    """
    value = listed(value)
    array = _host(name, value, expected)
    if array.dtype == np.float64:
        return array
    if texts and array.dtype.kind in "UT":  # among numbers they have become texts too
        array = array.astype(object) if value is array else np.array(value, dtype=object)
    if array.dtype.kind in "fiub" or array.dtype.name == "bfloat16":
        return array.astype(float)
    if array.dtype.kind != "O":
        raise TypeError(f"{name} must be {expected}; got {brief(value)}")
    flat = [_number(v, texts) for v in array.reshape(-1).tolist()]
    if any(v is None for v in flat):
        bad = next(v for v, number in zip(array.reshape(-1), flat, strict=True) if number is None)
        raise TypeError(f"{name} must be {expected}; got {brief(bad)}")
    return np.array(flat, dtype=float).reshape(array.shape)


def _host(name, value, expected) -> np.ndarray:
    """Return `value` as an array in this machine's memory, of whatever dtype."""
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "detach"):  # a tensor of torch
        value = value.detach().cpu()
        value = value.float() if "bfloat16" in str(value.dtype) else value
    if hasattr(value, "__cuda_array_interface__"):
        return to_numpy(value)
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            return np.from_dlpack(value)
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        if not isinstance(value, (list, tuple)) or not value:
            raise TypeError(f"{name} must be {expected}; got {brief(value)}") from error
    parts = [_host(name, part, expected) for part in value]
    if len({part.shape for part in parts}) > 1:
        raise ValueError(f"{name} must be {expected}; got rows of different lengths")
    return np.stack(parts)


def listed(value):
    """A list of what can be gone through but not indexed: a generator, a map, the values of a
    dict. A set has no order, and stays as it is, as everything else does."""
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes, Mapping, Set)):
        return value
    arrays = ("__getitem__", "__array__", "__dlpack__", "__cuda_array_interface__")
    return value if any(hasattr(value, name) for name in arrays) else list(value)


def _number(value, texts: bool = False) -> float | None:
    """Return a float of anything that is a real number, None of anything else. What is too large
    for a float is infinite."""
    if isinstance(value, (bytes, complex)) or value is None:
        return None
    if isinstance(value, str) and not texts:
        return None
    if type(value).__name__ == "NAType":  # of pandas: missing
        return nan
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf
    except (TypeError, ValueError, ArithmeticError):
        return None


def _pairs(X):
    """Return (points, values) of pairs (x, value)."""
    try:
        pairs = [(x, value) for x, value in X]
    except (TypeError, ValueError):
        raise TypeError(
            f"tell needs values: tell(X, values), or pairs tell([(x, value), …]); "
            f"got {brief(X)} alone"
        ) from None
    return [x for x, _ in pairs], [value for _, value in pairs]


def _points_of_dicts(X, space):
    """Return the points of what may be dicts of parameters: one, a list of them, or a DataFrame
    whose columns are their names."""
    if isinstance(X, Mapping):
        return space.from_dict(X)
    if hasattr(X, "columns"):
        columns = [str(name) for name in X.columns]
        if not space.parameters.keys() & set(columns) and len(columns) == space.dim:
            return X  # columns of x
        _check_columns(columns, space)
        return [space.from_dict(dict(zip(columns, row, strict=True))) for row in X.to_numpy()]
    if isinstance(X, (list, tuple)) and X and all(isinstance(x, Mapping) for x in X):
        return [space.from_dict(x) for x in X]
    return X


def _check_columns(columns, space):
    """Raise ValueError, naming them, for columns that are no parameters, or are there twice, and
    for parameters without a column. A constant needs none."""
    unknown = [name for name in columns if name not in space.parameters]
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    moving = [name for name, p in space.parameters.items() if p.coordinates()]
    missing = [name for name in moving if name not in columns]
    problems = []
    for name in unknown:
        index = name.startswith("Unnamed:")
        hint = " (an index? read_csv(…, index_col=0))" if index else nearest(name, missing)
        problems.append(f"{name!r} is none{hint}")
    problems += [f"{name!r} is there twice" for name in repeated]
    problems += [f"{name!r} is missing" for name in missing]
    if problems:
        raise ValueError(
            f"the columns of X must be the parameters {', '.join(moving)}: {'; '.join(problems)}"
        )
