"""Trees of arrays: tuples, and tuples with names, of arrays, numbers and tuples again.

States and sums are such trees (strategy/state.py, strategy/samples.py). They travel with NumPy's
arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arrays.libraries import mapped, namespace, to_numpy


class _Known:
    """It stands for the array of this number that whoever unpacks the tree has, too."""

    def __init__(self, number: int):
        self.number = number


def _is_array(x) -> bool:
    return hasattr(x, "shape") and not isinstance(x, np.generic)


def arrays(tree: Any) -> list:
    """All arrays of a tree."""
    leaves: list = []
    mapped(lambda x: leaves.append(x) if _is_array(x) else None, tree)
    return leaves


def settled(tree: Any, shared: Sequence[Any] = ()) -> Any:
    """A tree whose arrays lie row after row in memory, as they do after a journey.

    Products may have other last bits where the same numbers lie otherwise. The arrays in `known`
    stay as they are.
    """
    identities = {id(x) for x in shared}

    def settle(x):
        if not _is_array(x) or id(x) in identities:
            return x
        xp = namespace(x)
        return xp.reshape(xp.reshape(x, (-1,)), x.shape)

    return mapped(settle, tree)


def packed(tree: Any, shared: Sequence[Any]) -> Any:
    """A tree with NumPy's arrays.

    Those in `known` need not travel, because whoever unpacks the tree has them.
    """
    marks = {id(x): _Known(i) for i, x in enumerate(shared)}
    return mapped(lambda x: marks.get(id(x), to_numpy(x)) if _is_array(x) else x, tree)


def unpacked(tree: Any, shared: Sequence[Any], xp: Any) -> Any:
    """The tree that was packed, with arrays of the library xp."""

    def unpack(x):
        if isinstance(x, _Known):
            return shared[x.number]
        return xp.asarray(x) if isinstance(x, np.ndarray) and xp is not np else x

    return mapped(unpack, tree)


def listed(tree: Any) -> Any:
    """A tree with lists in place of tuples."""
    return [listed(part) for part in tree] if isinstance(tree, tuple) else tree
