"""Trees of arrays: tuples, and tuples with names, of arrays, numbers and tuples again.

States and sums are such trees (strategy.py). They travel with NumPy's arrays.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..backend import namespace, to_numpy


class _Known(NamedTuple):
    """Stands for the array of this number that whoever unpacks it has, too."""

    number: int


def _mapped(tree, function):
    if isinstance(tree, tuple) and not isinstance(tree, _Known):
        parts = [_mapped(part, function) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    return function(tree)


def _is_array(x):
    return hasattr(x, "shape") and not isinstance(x, np.generic)


def arrays(tree) -> list:
    """All arrays of a tree."""
    found = []
    _mapped(tree, lambda x: found.append(x) if _is_array(x) else None)
    return found


def settled(tree, known=()):
    """A tree whose arrays lie row after row in memory, as they do after a journey: products may
    have other last bits where the same numbers lie otherwise."""
    names = {id(x) for x in known}

    def settle(x):
        if not _is_array(x) or id(x) in names:
            return x
        xp = namespace(x)
        return xp.reshape(xp.reshape(x, (-1,)), x.shape)

    return _mapped(tree, settle)


def packed(tree, known):
    """A tree with NumPy's arrays. known: arrays that need not travel, because whoever unpacks the
    tree has them."""
    names = {id(x): _Known(i) for i, x in enumerate(known)}
    return _mapped(tree, lambda x: names.get(id(x), to_numpy(x)) if _is_array(x) else x)


def unpacked(tree, known, xp):
    """What was packed, with arrays of the library xp."""

    def unpack(x):
        if isinstance(x, _Known):
            return known[x.number]
        return xp.asarray(x) if isinstance(x, np.ndarray) and xp is not np else x

    return _mapped(tree, unpack)


def listed(tree):
    """A tree with lists in place of tuples."""
    return [listed(part) for part in tree] if isinstance(tree, tuple) else tree
