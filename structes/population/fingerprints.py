"""Rows recognised by 64 bits: whether a row was seen before, without keeping it."""

from __future__ import annotations

from collections import deque
from functools import lru_cache

import numpy as np

from ..arrays import kernels
from ..arrays.kernels import CHUNK
from ..arrays.libraries import namespace, to_numpy
from ..arrays.noise import STARTS, uniforms

REMEMBERED = 2000  # rows, at least, of which it is known that they were told or forgotten
_SHIFT = np.uint64(29)  # so that the signs reach more than one bit


def fingerprints(X):
    """(n,) uint64, one for each row of X (n, d): rows with the same bits have the same one. Of
    CuPy's arrays an array of CuPy, which nothing waits for."""
    if not isinstance(X, np.ndarray) and namespace(X).__name__.endswith("cupy"):
        return kernels.prints(X, factors)
    X = np.ascontiguousarray(to_numpy(X), dtype=np.float64).view(np.uint64)
    if X.shape[1] <= CHUNK:
        return _dot(X ^ (X >> _SHIFT), multipliers(X.shape[1]))
    out = np.zeros(X.shape[0], dtype=np.uint64)
    for a in range(0, X.shape[1], CHUNK):
        words = X[:, a : a + CHUNK]
        words = words ^ (words >> _SHIFT)
        out += _dot(words, multipliers(words.shape[1])) * np.uint64(2 * a + 1)
    return out


@lru_cache(maxsize=8)
def multipliers(n: int) -> np.ndarray:
    """(n,) odd numbers of 64 bits, with which `fingerprints` multiplies n numbers of a chunk."""
    u = uniforms(0, STARTS, 0, 0, 1, 2 * n)[0]
    low, high = (u * 2.0**32).astype(np.uint64).reshape(2, n)
    return (high << np.uint64(32)) | low | np.uint64(1)


def factors(dim: int) -> np.ndarray:
    """(m,) uint64: multipliers of a whole chunk, if rows of `dim` numbers have one, then of the
    rest. The kernel takes them so."""
    lengths = [CHUNK] * (dim >= CHUNK) + [dim % CHUNK]
    return np.concatenate([multipliers(n) for n in lengths])


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
