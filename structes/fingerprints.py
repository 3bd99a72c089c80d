"""Rows recognised by 64 bits: whether a row was seen before, without keeping it."""

from __future__ import annotations

from collections import deque
from functools import lru_cache

import numpy as np

from . import noise
from .backend import to_numpy

REMEMBERED = 2000  # rows, at least, of which it is known that they were told or forgotten
_SHIFT = np.uint64(29)  # so that the signs reach more than one bit
_CHUNK = 8192  # numbers of a row that are taken into its fingerprint at a time


def fingerprints(X) -> np.ndarray:
    """(n,) uint64, one for each row of X (n, d): rows with the same bits have the same one."""
    X = np.ascontiguousarray(to_numpy(X), dtype=np.float64).view(np.uint64)
    if X.shape[1] <= _CHUNK:
        return np.einsum("ij,j->i", X ^ (X >> _SHIFT), _multipliers(X.shape[1]))
    out = np.zeros(X.shape[0], dtype=np.uint64)
    for a in range(0, X.shape[1], _CHUNK):
        words = X[:, a : a + _CHUNK]
        words = words ^ (words >> _SHIFT)
        out += np.einsum("ij,j->i", words, _multipliers(words.shape[1])) * np.uint64(2 * a + 1)
    return out


@lru_cache(maxsize=8)
def _multipliers(n: int) -> np.ndarray:
    u = noise.uniforms(0, noise.STARTS, 0, 0, 1, 2 * n)[0]
    low, high = (u * 2.0**32).astype(np.uint64).reshape(2, n)
    return (high << np.uint64(32)) | low | np.uint64(1)


def joined(prints) -> np.ndarray:
    """(n,) of a list of arrays of them."""
    if len(prints) == 1:
        return prints[0]
    return np.concatenate(prints) if prints else np.empty(0, dtype=np.uint64)


class Recent:
    """The fingerprints that came last, `REMEMBERED` of them at least."""

    def __init__(self, prints=()):
        self._parts = deque([np.array(prints, dtype=np.uint64)])
        self._size = len(prints)
        self._set = None

    def add(self, prints: np.ndarray) -> None:
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
        return np.concatenate(self._parts)
