"""Candidates' local coordinates z ~ N(0, I), drawn so that they cover directions evenly.

Rows are drawn in blocks of `size`. In a block the rows are made orthogonal to each other (QR with
the signs that make the basis uniformly distributed; each row keeps its own length, so that every
single row is still N(0, I)), and each may be followed by its mirror image −z:

    candidate  0   1   2   3   …          block 0 holds the first `size` rows,
    mirrored   z₀ −z₀  z₁ −z₁  …          block 1 the next, …

A block is drawn as a whole, from addressable noise: what a candidate is depends on the seed, the
generation and its index alone, whoever draws it and however a population was split. (Orthogonal:
Wang, Emmerich & Bäck 2019; mirrored: Brockhoff et al. 2010.)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import noise
from .backend import orthonormal_rows


class Sampling(NamedTuple):
    """How rows are drawn.

    size       rows of a block that are orthogonal to each other, ≥ 1 and at most their length
    mirrored   every row is followed by its mirror image
    """

    size: int = 1
    mirrored: bool = False

    def draw(
        self, seed: int, generation: int, start: int, count: int, dim: int, xp=np, dtype="float64"
    ):
        """(count, dim) rows of candidates start … start+count−1 of a generation: an array of the
        library xp. Rows that are not independent are made by NumPy, in float64: they are short."""
        if self.size == 1 and not self.mirrored:
            address = seed, noise.CANDIDATES, generation, start, count, dim
            return noise.normals(*address, xp=xp, dtype=dtype)
        twice = 2 if self.mirrored else 1
        width = twice * self.size  # candidates of a block
        first, last = start // width, -(-(start + count) // width)
        Z = noise.normals(
            seed,
            noise.CANDIDATES,
            generation,
            first * self.size,
            (last - first) * self.size,
            dim,
        )
        if self.size > 1:
            for a in range(0, Z.shape[0], self.size):
                Z[a : a + self.size] = orthogonalised(Z[a : a + self.size])
        if self.mirrored:
            both = np.empty((2 * Z.shape[0], dim))
            both[0::2] = Z
            np.negative(Z, out=both[1::2])
            Z = both
        begin = start - first * width
        Z = Z[begin : begin + count].astype(dtype, copy=False)
        return Z if xp is np else xp.asarray(Z)


def orthogonalised(Z):
    """Rows of Z (n, d), n ≤ d, made orthogonal one after the other; each keeps its length."""
    return orthonormal_rows(Z) * np.sqrt(np.vecdot(Z, Z))[:, None]
