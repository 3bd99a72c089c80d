"""Trees of arrays: tuples, and tuples with names, of arrays, numbers and tuples again.

States and sums are such trees (state.py, update.py). They travel with NumPy's arrays.
"""

from __future__ import annotations

import numpy as np

from ..arrays.libraries import mapped, namespace, to_numpy


class _Known:
    """Stands for the array of this number that whoever unpacks it has, too."""

    def __init__(self, number: int):
        self.number = number


def _is_array(x):
    return hasattr(x, "shape") and not isinstance(x, np.generic)


def arrays(tree) -> list:
    """All arrays of a tree."""
    found = []
    mapped(lambda x: found.append(x) if _is_array(x) else None, tree)
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

    return mapped(settle, tree)


def packed(tree, known):
    """A tree with NumPy's arrays. known: arrays that need not travel, because whoever unpacks the
    tree has them."""
    names = {id(x): _Known(i) for i, x in enumerate(known)}
    return mapped(lambda x: names.get(id(x), to_numpy(x)) if _is_array(x) else x, tree)


def unpacked(tree, known, xp):
    """What was packed, with arrays of the library xp."""

    def unpack(x):
        if isinstance(x, _Known):
            return known[x.number]
        return xp.asarray(x) if isinstance(x, np.ndarray) and xp is not np else x

    return mapped(unpack, tree)


def listed(tree):
    """A tree with lists in place of tuples."""
    return [listed(part) for part in tree] if isinstance(tree, tuple) else tree
