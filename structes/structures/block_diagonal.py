"""Block diagonal: groups of parameters that correlate inside the group and not across.

    M_b = −½ Σ w (z_b z_bᵀ − I) for every block b

Blocks of equal size are one array (count, size, size), so a million small blocks are a few calls.
Kept is A_b = B_b⁻ᵀ, as in `dense`: sampling is a product.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .. import checks
from ..arrays.libraries import compact, namespace
from ..arrays.linalg import scale_parts, symmetric_exponential, symmetric_root
from ..arrays.scalars import number
from ..arrays.tiles import tiles
from ..naming.error_text import brief
from .base import Structure
from .fallbacks import zeros


@dataclass(frozen=True)
class BlockDiagonal(Structure):
    """Groups of parameters that belong together (a position, a joint, a layer), nothing between.

        B = ⎡■ ■      ⎤
            ⎢■ ■      ⎥
            ⎢    ■    ⎥
            ⎣      ■ ■⎦

    Choose it when you can name the groups. dof Σ n_b(n_b+1)/2; a generation costs
    O(λ Σ n_b² + Σ n_b³), memory O(Σ n_b²). (A direct product of general linear groups; Lin et al.
    2021.) For groups with names or with other structures inside, see `direct_sum`.

    Parameters
    ----------
    dim : int
        Number of parameters, d.
    sizes : sequence of int, or int
        Block sizes of the consecutive blocks, whose sum is d; or one block size for all.

    Raises
    ------
    ValueError, TypeError
        Where the sizes do not make d.
    """

    sizes: tuple | int = 1

    moves_straight = True

    def __post_init__(self):
        super().__post_init__()
        sizes = self.sizes
        if isinstance(sizes, int) and not isinstance(sizes, bool):
            checks.count("BlockDiagonal: sizes", sizes, 1, self.dim)
            if self.dim % sizes:
                raise ValueError(
                    f"BlockDiagonal: sizes must divide dim {self.dim}; got {sizes}, which leaves "
                    f"{self.dim % sizes}"
                )
            sizes = (sizes,) * (self.dim // sizes)
        try:
            sizes = tuple(sizes)
        except TypeError:
            raise TypeError(
                f"BlockDiagonal: sizes must be a list; got {brief(self.sizes)}"
            ) from None
        sizes = tuple(
            checks.count(f"BlockDiagonal: sizes[{b}]", n, 0) for b, n in enumerate(sizes)
        )
        if sum(sizes) != self.dim:
            raise ValueError(f"BlockDiagonal: sizes must sum to dim {self.dim}; got {sum(sizes)}")
        object.__setattr__(self, "sizes", tuple(n for n in sizes if n))

    @classmethod
    def implied_dim(cls, sizes=None, **_):
        return sum(sizes) if isinstance(sizes, (list, tuple)) else None

    @cached_property
    def _kinds(self) -> tuple:
        """(size, coordinates) of each group of equal blocks; coordinates None: all, in order."""
        distinct = sorted(set(self.sizes))
        if len(distinct) == 1:
            return ((distinct[0], None),)
        starts, places = 0, {n: [] for n in distinct}
        for n in self.sizes:
            places[n].append(range(starts, starts + n))
            starts += n
        return tuple((n, np.array(blocks).ravel()) for n, blocks in places.items())

    @property
    def dof(self):
        return sum(n * (n + 1) // 2 for n in self.sizes)

    @property
    def row(self):
        return float(max(self.sizes))

    @property
    def parts(self):
        """Two parameter groups: the entries off the diagonal, and those on it."""
        return (self.dof, self.dim)

    # -- rows as stacks of blocks, and back ---------------------------------------------------

    def _stack(self, Z, n, places):
        """Return the columns of Z (…, d) that belong to blocks of size n, as (count, rows, n)."""
        xp = namespace(Z)
        rows = xp.reshape(Z, (-1, self.dim))
        if places is not None:
            rows = xp.take(rows, xp.asarray(places), axis=1)
        return xp.permute_dims(xp.reshape(rows, (rows.shape[0], -1, n)), (1, 0, 2))

    def _apply(self, Z, arrays, act):
        """Return act(block stack, array) of every group of equal blocks, put together like Z."""
        xp = namespace(Z)
        stacks = []
        for (n, places), array in zip(self._kinds, arrays, strict=True):
            result = xp.permute_dims(act(self._stack(Z, n, places), array), (1, 0, 2))
            stacks.append(xp.reshape(result, (result.shape[0], -1)))
        return xp.reshape(self._unstack(stacks), Z.shape)

    def _unstack(self, parts):
        """Return the rows (…, d) of the rows of each kind, one after the other in the order of
        `_kinds`."""
        if len(parts) == 1:
            return parts[0]
        xp = namespace(parts[0])
        rows = xp.concat(parts, axis=parts[0].ndim - 1)
        return xp.take(rows, xp.asarray(self._back), axis=rows.ndim - 1)

    @cached_property
    def _back(self):
        """Where each coordinate stands when the kinds follow each other."""
        return np.argsort(np.concatenate([places for _, places in self._kinds]))

    # -- the group ----------------------------------------------------------------------------

    def identity(self, xp, dtype):
        counts = [self.sizes.count(n) for n, _ in self._kinds]
        return tuple(
            xp.broadcast_to(xp.eye(n, dtype=dtype), (count, n, n)) + 0.0
            for (n, _), count in zip(self._kinds, counts, strict=True)
        )

    def blank(self):
        return tuple(zeros(self.sizes.count(n), n, n) for n, _ in self._kinds)

    def unwhiten(self, factor, Z):
        return self._apply(Z, factor, lambda z, A: z @ _transposed(A))

    def whiten(self, factor, Y):
        return self._apply(Y, factor, lambda y, A: _solve_rows(A, y))

    def whiten_gradient(self, factor, G):
        return self._apply(G, factor, lambda g, A: g @ A)

    def unwhiten_gradient(self, factor, G):
        return self._apply(G, factor, lambda g, A: _solve_rows(_transposed(A), g))

    def logdet(self, factor):
        xp = namespace(factor[0])
        return -sum(float(xp.sum(xp.linalg.slogdet(A)[1])) for A in factor)

    def to_dense(self, factor):
        return self._spread([_transposed(namespace(A).linalg.inv(A)) for A in factor])

    def _spread(self, arrays):
        xp = namespace(arrays[0])
        matrix = xp.zeros((self.dim, self.dim), dtype=arrays[0].dtype)
        counts = [0] * len(arrays)
        kinds = [n for n, _ in self._kinds]
        start = 0
        for n in self.sizes:
            k = kinds.index(n)
            matrix[start : start + n, start : start + n] = arrays[k][counts[k], :, :]
            counts[k] += 1
            start += n
        return matrix

    # -- the tangent space --------------------------------------------------------------------

    def tangent(self, Z, w):
        xp = namespace(Z)
        out = []
        for n, places in self._kinds:
            z = self._stack(Z, n, places)
            M = xp.empty((z.shape[0], n, n), dtype=Z.dtype)
            eye = xp.sum(w) * xp.eye(n, dtype=Z.dtype)
            for t in tiles(z, z.shape[1] * n):
                M[t, :, :] = -0.5 * (_transposed(z[t, :, :]) * w @ z[t, :, :] - eye)
            out.append(M)
        return tuple(out)

    def retract(self, factor, M):
        out = []
        for A, m in zip(factor, M, strict=True):
            xp = namespace(A)
            h = xp.eye(m.shape[-1], dtype=m.dtype) + m + 0.5 * (m @ m)
            out.append(compact(_transposed(xp.linalg.solve(h, _transposed(A)))))
        return tuple(out)

    def transport(self, M, q):
        return self._apply(q, M, lambda z, m: z + (z + 0.5 * (z @ m)) @ m)

    def retract_exp(self, factor, M):
        pairs = zip(factor, M, strict=True)
        return tuple(compact(A @ symmetric_exponential(-m)) for A, m in pairs)

    def transport_exp(self, M, q):
        return self._apply(q, M, lambda z, m: z @ symmetric_exponential(m))

    def retract_straight(self, factor, M):
        pairs = zip(factor, M, strict=True)
        C = (A @ (_transposed(A) - 2 * (m @ _transposed(A))) for A, m in pairs)
        return tuple(compact(symmetric_root(c)) for c in C)

    def norm(self, M):
        return sum(number(namespace(m).sum(m * m)) for m in M) ** 0.5

    def scale(self, M, rates):
        if isinstance(rates, tuple):
            return tuple(scale_parts(m, *rates) for m in M)
        return super().scale(M, rates)

    def shift(self, M, value):
        return tuple(m + value * namespace(m).eye(m.shape[-1], dtype=m.dtype) for m in M)

    def trace(self, M):
        return sum(number(namespace(m).sum(namespace(m).linalg.trace(m))) for m in M)

    def tangent_to_dense(self, M):
        return self._spread(M)

    def deviations(self, factor):
        xp = namespace(factor[0])
        squares = [xp.sum(A * A, axis=-1) for A in factor]
        return xp.sqrt(self._unstack([xp.reshape(v, (-1,)) for v in squares]))

    def condition(self, factor):
        xp = namespace(factor[0])
        values = [xp.linalg.svdvals(A) for A in factor]
        largest = max(float(xp.max(v)) for v in values)
        return (largest / min(float(xp.min(v)) for v in values)) ** 2


def _transposed(a):
    return namespace(a).matrix_transpose(a)


def _solve_rows(a, rows):
    """Return the rows x with a x = row, for stacks."""
    return _transposed(namespace(a).linalg.solve(a, _transposed(rows)))
