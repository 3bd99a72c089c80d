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

from ..arrays import noise
from ..arrays.libraries import cast, namespace
from ..arrays.linalg import orthonormal_rows


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
        """Return (count, dim) rows of candidates start … start+count−1 of a generation: an array
        of the library xp. Rows that are not independent are made in float64."""
        if self.size == 1 and not self.mirrored:
            address = seed, noise.CANDIDATES, generation, start, count, dim
            return noise.normals(*address, xp=xp, dtype=dtype)
        twice = 2 if self.mirrored else 1
        width = twice * self.size  # candidates of a block
        first, last = start // width, -(-(start + count) // width)
        address = generation, first * self.size, (last - first) * self.size
        Z = noise.normals(seed, noise.CANDIDATES, *address, dim, xp=xp)
        if self.size > 1:
            Z = orthogonalised(Z, self.size)
        if self.mirrored:
            pairs = xp.empty((2 * Z.shape[0], dim), dtype=Z.dtype)
            pairs[0::2, :], pairs[1::2, :] = Z, -Z
            Z = pairs
        begin = start - first * width
        Z = Z[begin : begin + count, :]
        return Z if dtype == "float64" else cast(Z, dtype)


def orthogonalised(Z, size: int):
    """Return Z (n, d), in blocks of `size` ≤ d rows, of which those of a block are made orthogonal
    one after the other, and each keeps its length."""
    xp = namespace(Z)
    if xp is np:
        rows = [orthonormal_rows(Z[a : a + size]) for a in range(0, Z.shape[0], size)]
        rows = np.concatenate(rows) if len(rows) > 1 else rows[0]
    else:
        columns = xp.matrix_transpose(xp.reshape(Z, (-1, size, Z.shape[1])))
        Q, R = xp.linalg.qr(columns)
        Q = Q * xp.sign(xp.linalg.diagonal(R))[:, None, :]
        rows = xp.reshape(xp.matrix_transpose(Q), Z.shape)
    return rows * xp.sqrt(xp.vecdot(Z, Z))[:, None]
