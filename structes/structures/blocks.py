"""Groups of block matrices: block triangular and hierarchical, at the cost of their blocks.

Cut the coordinates into a few blocks. A block on the diagonal is dense (any invertible matrix) or
diagonal; a block beside the diagonal is full or absent, and the pattern is transitive: with (r, j)
and (j, c) there is (r, c). Such matrices are closed under products and inverses (an incidence
algebra), and everything works block by block. With block numbers r, c, b and S = Σ w,

    M_bb = −½ (Z_bᵀ W Z_b − S I)       dense block, symmetric
    M_bb = −½ (w · z_b² − S)           diagonal block
    M_rc = −Z_rᵀ W Z_c                 beside the diagonal: the factor is 1, not ½
    y_c  = (z_c − Σ_r y_r B_rc) B_cc⁻¹  substitution for B⁻ᵀ z, rows r before c
    B h(M) = B + T + ½ T M,  T = B M

so a d×d matrix never appears. (Lin et al. 2021, "Tractable structured natural-gradient descent
using local parameterizations".) A factor or tangent is a tuple of arrays in the order of `_keys`:
for each pair (r, c) a matrix, or a vector for a diagonal block.
"""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import numpy as np

from ..arrays.libraries import namespace
from ..arrays.linalg import scale_parts, weighted_squares
from ..arrays.scalars import number
from ..arrays.tiles import by_rows
from .base import Structure
from .fallbacks import zeros


class Blocks(Structure):
    """What the block groups share. A subclass names the blocks in order, and the edges.

    _sizes    sizes of the blocks; _dense: which of them are dense (the others are diagonal)
    _edges    (row block, column block) pairs beside the diagonal, transitive and one-sided
    _groups   coordinates of each block, None for the block that takes those that are left; all
              None: the blocks follow each other
    """

    _dense: ClassVar[tuple]
    _edges: ClassVar[tuple]
    _sizes: tuple
    _groups: tuple

    @cached_property
    def _order(self):
        """The coordinates in block order, or None where that is their own order."""
        if all(group is None for group in self._groups):
            return None
        unclaimed = np.ones(self.dim, dtype=bool)
        for group in self._groups:
            if group is not None:
                unclaimed[list(group)] = False
        remaining, order = np.flatnonzero(unclaimed), []
        for n, group in zip(self._sizes, self._groups, strict=True):
            order.append(remaining[:n] if group is None else np.asarray(group, dtype=int))
            remaining = remaining[n:] if group is None else remaining
        order = np.concatenate(order)
        return None if (order == np.arange(self.dim)).all() else order

    @cached_property
    def _back(self):
        """Where each coordinate stands in block order."""
        return np.argsort(self._order)

    @cached_property
    def _keys(self) -> tuple:
        return tuple((b, b) for b in range(len(self._sizes))) + tuple(self._edges)

    @cached_property
    def _slices(self) -> tuple:
        ends = [sum(self._sizes[: b + 1]) for b in range(len(self._sizes))]
        return tuple(slice(e - n, e) for e, n in zip(ends, self._sizes, strict=True))

    @cached_property
    def _solve_order(self) -> tuple:
        """The blocks, rows before columns: y_c is found once every y_r with an edge (r, c) is."""
        order = []
        while len(order) < len(self._sizes):
            order += [
                b
                for b in range(len(self._sizes))
                if b not in order and all(r in order for r, c in self._edges if c == b)
            ]
        return tuple(order)

    # -- sizes --------------------------------------------------------------------------------

    @property
    def dof(self):
        diagonal = sum(
            n * (n + 1) // 2 if dense else n
            for n, dense in zip(self._sizes, self._dense, strict=True)
        )
        return diagonal + sum(self._sizes[r] * self._sizes[c] for r, c in self._edges)

    @property
    def row(self):
        lengths = [
            (n if dense else 1) + sum(self._sizes[r] for r, c in self._edges if c == b)
            for b, (n, dense) in enumerate(zip(self._sizes, self._dense, strict=True))
            if n
        ]
        return float(max(lengths))

    @property
    def parts(self):
        """Three parameter groups: long and other couplings, stiff ones, and the diagonal."""
        return (self.dof, self.dof, self.dim)

    @property
    def path_parts(self):
        """The mean does not travel along stiff directions, and only noise would be learned."""
        return (1, 0, 1) if any(self._stiff(r, c) for r, c in self._edges) else None

    def _stiff(self, r, c):
        """Whether the block (r, c) makes sums of parameters stiff: few columns, all rows."""
        return self._dense[c] and not self._dense[r]

    # -- rows in block order, and back --------------------------------------------------------

    def _cut(self, Z):
        """Return the blocks of the columns of Z."""
        if self._order is not None:
            xp = namespace(Z)
            Z = xp.take(Z, xp.asarray(self._order), axis=Z.ndim - 1)
        return [Z[..., s] for s in self._slices]

    def _join(self, parts):
        xp = namespace(parts[0])
        out = xp.empty((*parts[0].shape[:-1], self.dim), dtype=parts[0].dtype)
        for s, part in zip(self._slices, parts, strict=True):
            out[..., s] = part
        if self._order is None:
            return out
        return xp.take(out, xp.asarray(self._back), axis=out.ndim - 1)

    # -- the group ----------------------------------------------------------------------------

    def _blocks(self, arrays) -> dict:
        return dict(zip(self._keys, arrays, strict=True))

    def identity(self, xp, dtype):
        sizes = self._sizes
        return tuple(
            xp.zeros((sizes[r], sizes[c]), dtype=dtype)
            if r != c
            else xp.eye(sizes[r], dtype=dtype)
            if self._dense[r]
            else xp.ones(sizes[r], dtype=dtype)
            for r, c in self._keys
        )

    def blank(self):
        sizes = self._sizes
        return tuple(
            zeros(sizes[r]) if r == c and not self._dense[r] else zeros(sizes[r], sizes[c])
            for r, c in self._keys
        )

    def whiten(self, factor, Y):
        return by_rows(lambda y: self._rows_times(factor, y), Y)

    def unwhiten_gradient(self, factor, G):
        return by_rows(lambda g: self._rows_times_transposed(factor, g), G)

    def unwhiten(self, factor, Z):
        return by_rows(lambda z: self._substitute(factor, z), Z)

    def whiten_gradient(self, factor, G):
        return by_rows(lambda g: self._substitute_transposed(factor, g), G)

    def _rows_times(self, arrays, Y):
        """Return the rows y B (that is Bᵀ y)."""
        B, y = self._blocks(arrays), self._cut(Y)
        out = [y[b] @ B[b, b] if self._dense[b] else y[b] * B[b, b] for b in range(len(y))]
        for r, c in self._edges:
            out[c] = out[c] + y[r] @ B[r, c]
        return self._join(out)

    def _rows_times_transposed(self, factor, G):
        """Return the rows B g."""
        B, g = self._blocks(factor), self._cut(G)
        out = [g[b] @ B[b, b].T if self._dense[b] else g[b] * B[b, b] for b in range(len(g))]
        for r, c in self._edges:
            out[r] = out[r] + g[c] @ B[r, c].T
        return self._join(out)

    def _substitute(self, factor, Z):
        """Return the rows B⁻ᵀ z."""
        B, z = self._blocks(factor), self._cut(Z)
        y = [None] * len(z)
        for c in self._solve_order:
            right_side = z[c]
            for r, column in self._edges:
                if column == c:
                    right_side = right_side - y[r] @ B[r, c]
            y[c] = _solve_rows(B[c, c].T, right_side) if self._dense[c] else right_side / B[c, c]
        return self._join(y)

    def _substitute_transposed(self, factor, G):
        """Return the rows B⁻¹ g."""
        B, g = self._blocks(factor), self._cut(G)
        x = [None] * len(g)
        for r in reversed(self._solve_order):
            right_side = g[r]
            for row, c in self._edges:
                if row == r:
                    right_side = right_side - x[c] @ B[r, c].T
            x[r] = _solve_rows(B[r, r], right_side) if self._dense[r] else right_side / B[r, r]
        return self._join(x)

    def logdet(self, factor):
        total = 0.0
        for b, dense in enumerate(self._dense):
            xp = namespace(factor[b])
            if dense:
                total += float(xp.linalg.slogdet(factor[b])[1]) if self._sizes[b] else 0.0
            else:
                total += float(xp.sum(xp.log(xp.abs(factor[b]))))
        return total

    def to_dense(self, factor):
        xp = namespace(factor[0])
        matrix = xp.zeros((self.dim, self.dim), dtype=factor[0].dtype)
        for (r, c), block in self._blocks(factor).items():
            if block.ndim == 1:
                block = block[:, None] * xp.eye(block.shape[0], dtype=block.dtype)
            matrix[self._slices[r], self._slices[c]] = block
        if self._order is None:
            return matrix
        places = xp.asarray(self._back)
        return xp.take(xp.take(matrix, places, axis=0), places, axis=1)

    # -- the tangent space --------------------------------------------------------------------

    def tangent(self, Z, w):
        xp = namespace(Z)
        z, total = self._cut(Z), xp.sum(w)
        out = []
        for r, c in self._keys:
            if r != c:
                out.append(-_weighted_product(z[r], w, z[c]))
            elif self._dense[r]:
                eye = xp.eye(self._sizes[r], dtype=Z.dtype)
                out.append(-0.5 * (_weighted_product(z[r], w, z[r]) - total * eye))
            else:
                out.append(-0.5 * (weighted_squares(z[r], w) - total))
        return tuple(out)

    def _product(self, P, Q) -> tuple:
        """Return P Q, block by block along the edges."""
        P, Q = self._blocks(P), self._blocks(Q)
        return tuple(self._chain(P, Q, r, c) for r, c in self._keys)

    def _chain(self, P, Q, r, c, blocks=None):
        """Return Σ_j P_rj Q_jc over the blocks j (of `blocks`) where both are present."""
        total = None
        for j in range(len(self._sizes)) if blocks is None else blocks:
            if (r, j) in P and (j, c) in Q:
                term = _times(P[r, j], Q[j, c])
                if total is None:
                    total = term
                else:
                    total += term
        return total

    def retract(self, factor, M):
        T = self._product(factor, M)
        out = self._product(T, M)
        for b, t, o in zip(factor, T, out, strict=True):  # B + T + ½ T M, in place: they are ours
            o *= 0.5
            o += t
            o += b
        return out

    def transport(self, M, q):
        t = self._rows_times(M, q)
        return q + t + 0.5 * self._rows_times(M, t)

    def norm(self, M):
        return sum(number(namespace(m).sum(m * m)) for m in M) ** 0.5

    def scale(self, M, rates):
        if not isinstance(rates, tuple):
            return super().scale(M, rates)
        coupling, stiff, diagonal = rates
        out = []
        for (r, c), m in zip(self._keys, M, strict=True):
            if r != c:
                out.append((stiff if self._stiff(r, c) else coupling) * m)
            else:
                out.append(scale_parts(m, coupling, diagonal) if self._dense[r] else diagonal * m)
        return tuple(out)

    def shift(self, M, value):
        out = list(M)
        for b, dense in enumerate(self._dense):
            xp = namespace(M[b])
            out[b] = M[b] + (value * xp.eye(self._sizes[b], dtype=M[b].dtype) if dense else value)
        return tuple(out)

    def trace(self, M):
        return sum(
            number(namespace(m).linalg.trace(m) if dense else namespace(m).sum(m))
            for m, dense in zip(M, self._dense, strict=False)
        )

    def deviations(self, factor):
        """Return the rows of A = B⁻ᵀ are columns of X = B⁻¹: X_rc = −B_rr⁻¹ Σ_j B_rj X_jc, block
        by block."""
        B, X = self._blocks(factor), {}
        xp = namespace(factor[0])
        for r in reversed(self._solve_order):
            if self._dense[r]:
                X[r, r] = xp.linalg.inv(B[r, r])
            else:
                X[r, r] = 1 / B[r, r]
            for c in [c for row, c in self._edges if row == r]:
                middle = [j for j in range(len(self._sizes)) if j != r]
                X[r, c] = -_times(X[r, r], self._chain(B, X, r, c, middle))
        variances = []
        for c in range(len(self._sizes)):
            column = [X[r, column_block] for r, column_block in X if column_block == c]
            squares = [xp.sum(x * x, axis=0) if x.ndim == 2 else x * x for x in column]
            variances.append(sum(squares[1:], start=squares[0]))
        return xp.sqrt(self._join(variances))


def _solve_rows(a, rows):
    """Return the rows x with a x = row."""
    return namespace(rows).linalg.solve(a, rows.T).T if a.shape[0] else rows


def _times(p, q):
    """Return p q, where a vector stands for a diagonal matrix."""
    if p.ndim == 1:
        return p * q if q.ndim == 1 else p[:, None] * q
    return p * q if q.ndim == 1 else p @ q


def _weighted_product(a, w, b):
    """Return Σ_k w_k a_k b_kᵀ of the rows of a (n, p) and b (n, q): the weights go to the smaller
    one."""
    if a.shape[1] <= b.shape[1]:
        return (a.T * w) @ b
    return a.T @ (w[:, None] * b)
