"""Options and constants of a Space: when two of them are the same, and how a file holds them.

Options and constants may be anything. A file holds plain values, NumPy's scalars and arrays, and
tuples, lists and dicts of them; each comes back as what it was. A function, a class or an object
is code, which no file of structes holds: whoever loads the file gives the Space again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..naming.error_text import brief

SCALARS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
SCALARS += ("float16", "float32", "float64")


def kept_value(value: Any) -> Any:
    """Return `value` in plain values and arrays, of which `value_of` makes the same again.

    Raises
    ------
    TypeError
        For what cannot be stored.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return [kept_value(v) for v in value]
    if type(value) is tuple:
        return {"tuple": [kept_value(v) for v in value]}
    if type(value) is dict:
        return {"dict": [[kept_value(k), kept_value(v)] for k, v in value.items()]}
    if type(value) is np.str_:
        return {"str_": str(value)}
    if isinstance(value, (np.generic, np.ndarray)) and value.dtype.name in SCALARS:
        return value.copy() if type(value) is np.ndarray else {value.dtype.name: value.item()}
    kind = "the function" if callable(value) else f"a {type(value).__name__}:"
    raise TypeError(f"{kind} {brief(value)}")


def value_of(stored: Any) -> Any:
    """Return the value of which `kept_value` has made this."""
    if isinstance(stored, list):
        return [value_of(v) for v in stored]
    if not isinstance(stored, dict):
        return stored
    ((kind, content),) = stored.items()
    if kind == "tuple":
        return tuple(value_of(v) for v in content)
    if kind == "dict":
        return {value_of(k): value_of(v) for k, v in content}
    if kind == "str_":
        return np.str_(content)
    if kind not in SCALARS:
        raise ValueError(f"a space holds no values of the kind {brief(kind)}")
    return np.dtype(kind).type(content)


def same(a: Any, b: Any) -> bool:
    """Are two values equal and of the same type, inside lists, tuples and dicts too? NaN is the
    same as NaN."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    if isinstance(a, (float, np.floating)) and a != a:
        return bool(b != b)
    return equal(a, b)


def equal(a: Any, b: Any) -> bool:
    """Are two values equal? False where they cannot be compared."""
    try:
        return bool(a == b)
    except (TypeError, ValueError):  # a class of the user's own, which compares by element
        return False
