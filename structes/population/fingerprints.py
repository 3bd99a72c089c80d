"""Rows recognised by 64 bits: whether a row was seen before, without keeping it.

The fingerprint of a row is a sum of its words of 64 bits, each with its high bits mixed into the
low ones and times an odd number of its own, modulo 2⁶⁴. Sums can be added in any order, so a
device computes the same fingerprints (kernels/population.cu).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..arrays import kernels
from ..arrays.kernels import CHUNK
from ..arrays.libraries import namespace, to_numpy
from ..arrays.noise import STARTS, uniforms

_SHIFT = np.uint64(29)  # so that the signs reach more than one bit


def fingerprints(X: Any) -> Any:
    """The fingerprints (n,), uint64, of the rows of X (n, d).

    Rows with the same bits have the same one. Of CuPy's arrays they are an array of CuPy, which
    nothing waits for.
    """
    if not isinstance(X, np.ndarray) and namespace(X).__name__.endswith("cupy"):
        return kernels.prints(X, factors)
    X = np.ascontiguousarray(to_numpy(X), dtype=np.float64).view(np.uint64)
    if X.shape[1] <= CHUNK:
        return _dot(X ^ (X >> _SHIFT), multipliers(X.shape[1]))
    sums = np.zeros(X.shape[0], dtype=np.uint64)
    for a in range(0, X.shape[1], CHUNK):
        words = X[:, a : a + CHUNK]
        words = words ^ (words >> _SHIFT)
        sums += _dot(words, multipliers(words.shape[1])) * np.uint64(2 * a + 1)
    return sums


@lru_cache(maxsize=8)
def multipliers(n: int) -> np.ndarray:
    """The odd numbers (n,) of 64 bits with which `fingerprints` multiplies n words of a chunk."""
    u = uniforms(0, STARTS, 0, 0, 1, 2 * n)[0]
    low, high = (u * 2.0**32).astype(np.uint64).reshape(2, n)
    return (high << np.uint64(32)) | low | np.uint64(1)


def factors(dim: int) -> np.ndarray:
    """The multipliers, as the kernel takes them for rows of `dim` numbers, uint64.

    They are those of a whole chunk, if rows have one, and then those of the rest.
    """
    lengths = [CHUNK] * (dim >= CHUNK) + [dim % CHUNK]
    return np.concatenate([multipliers(n) for n in lengths])


def _dot(words, factors):
    """The product of (n, d) and (d,) words, modulo 2⁶⁴."""
    if len(factors) < 512:  # where it is the faster one
        return words @ factors
    return np.einsum("ij,j->i", words, factors)


def joined(prints: Sequence[Any]) -> Any:
    """Several arrays of fingerprints as one: NumPy's, unless it is a list of one array."""
    if len(prints) == 1:
        return prints[0]
    return np.concatenate([np.empty(0, dtype=np.uint64), *map(to_numpy, prints)])
