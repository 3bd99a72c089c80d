"""Rows recognised by 64 bits: whether a row was seen before, without keeping it."""

from __future__ import annotations

from collections import deque

import numpy as np

from . import kernels
from .backend import namespace, to_numpy
from .kernels import CHUNK, multipliers

REMEMBERED = 2000  # rows, at least, of which it is known that they were told or forgotten
_SHIFT = np.uint64(29)  # so that the signs reach more than one bit


def fingerprints(X):
    """(n,) uint64, one for each row of X (n, d): rows with the same bits have the same one. Of
    CuPy's arrays an array of CuPy, which nothing waits for."""
    if not isinstance(X, np.ndarray) and namespace(X).__name__.endswith("cupy"):
        return kernels.prints(X)
    X = np.ascontiguousarray(to_numpy(X), dtype=np.float64).view(np.uint64)
    if X.shape[1] <= CHUNK:
        return _dot(X ^ (X >> _SHIFT), multipliers(X.shape[1]))
    out = np.zeros(X.shape[0], dtype=np.uint64)
    for a in range(0, X.shape[1], CHUNK):
        words = X[:, a : a + CHUNK]
        words = words ^ (words >> _SHIFT)
        out += _dot(words, multipliers(words.shape[1])) * np.uint64(2 * a + 1)
    return out


def _dot(words, factors):
    if len(factors) < 512:  # where it is the faster one
        return words @ factors
    return np.einsum("ij,j->i", words, factors)


def joined(prints):
    """(n,) of a list of arrays of them: a NumPy array, unless it is a list of one."""
    if len(prints) == 1:
        return prints[0]
    return np.concatenate([np.empty(0, dtype=np.uint64), *map(to_numpy, prints)])


class Recent:
    """The fingerprints that came last, `REMEMBERED` of them at least."""

    def __init__(self, prints=()):
        self._parts = deque([np.array(prints, dtype=np.uint64)])
        self._size = len(prints)
        self._set = None

    def add(self, prints) -> None:
        self._parts.append(prints)
        self._size += len(prints)
        self._set = None
        while self._size - len(self._parts[0]) >= REMEMBERED:
            self._size -= len(self._parts.popleft())

    def __contains__(self, print_: int) -> bool:
        if self._set is None:
            self._set = set(self.array().tolist())
        return print_ in self._set

    def array(self) -> np.ndarray:
        return np.concatenate(list(map(to_numpy, self._parts)))
