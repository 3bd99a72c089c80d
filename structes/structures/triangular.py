"""Lower and upper triangular: Cholesky factors, all covariances at half the numbers.

    M = −tril (or triu) of Σ w (z zᵀ − I), its diagonal halved

B itself is kept; samples come from a triangular solve. The first-order change of the covariance
is that of `dense`, because the natural gradient belongs to the family and not to its coordinates;
they differ in second order only.

The triangle of a matrix of rank r is not of rank r, but its product with B costs O(r d²) all the
same: cut the columns into narrow blocks J, and

    (B M)_{:J} = −[Σ_{i after J} B_{:i} u_iᵀ] W U_J + B_{:J} M_JJ

where the bracket (d×r) grows by one product from block to block, and likewise that of B M, for
B M². So the tangent stays factored, as (U, w, diagonal), while there are few samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from ..arrays.libraries import namespace
from ..arrays.linalg import add_to_diagonal, scale_parts, solve_triangular, weighted_squares
from ..arrays.scalars import not_negative, number
from ..arrays.tiles import pieces
from .base import Structure
from .fallbacks import zeros

_SMALL = 160  # below it the plain product of d×d matrices is the faster one (measured)
_WIDTH = 32  # columns of a block: wide enough for BLAS (measured)


class Factored(NamedTuple):
    """M = −strict triangle of Uᵀ diag(w) U, plus diag(diagonal)."""

    U: Any  # (r, d) rows are samples
    w: Any  # (r,)
    diagonal: Any  # (d,)


class Plain(NamedTuple):
    """M itself (d, d)."""

    M: Any


class Triangular(Structure):
    """What `Lower` and `Upper` share; `lower` says which triangle."""

    lower: ClassVar[bool]

    @property
    def dof(self):
        return self.dim * (self.dim + 1) // 2

    @property
    def row(self):
        return float(self.dim)

    @property
    def parts(self):
        """Two parameter groups: the entries off the diagonal, and those on it."""
        return (self.dof, self.dim)

    def identity(self, xp, dtype):
        return (xp.eye(self.dim, dtype=dtype),)

    def blank(self):
        return (zeros(self.dim, self.dim),)

    def unwhiten(self, factor, Z):
        # Bᵀ y = z for every row
        return solve_triangular(factor[0], Z.T, lower=self.lower, trans=True).T

    def whiten(self, factor, Y):
        return Y @ factor[0]

    def whiten_gradient(self, factor, G):
        return solve_triangular(factor[0], G.T, lower=self.lower).T

    def unwhiten_gradient(self, factor, G):
        return G @ factor[0].T

    def logdet(self, factor):
        xp = namespace(factor[0])
        return float(xp.sum(xp.log(xp.abs(xp.linalg.diagonal(factor[0])))))

    def to_dense(self, factor):
        return factor[0]

    def tangent(self, Z, w):
        xp = namespace(Z)
        diagonal = -0.5 * (weighted_squares(Z, w) - xp.sum(w))
        return self._shortest(Factored(Z, w, diagonal))

    def _shortest(self, M):
        factored = self.dim >= _SMALL and 4 * M.U.shape[0] < self.dim
        return M if factored else Plain(self.tangent_to_dense(M))

    def _triangle(self, G):
        """Return the strict triangle of G."""
        xp = namespace(G)
        return xp.tril(G, k=-1) if self.lower else xp.triu(G, k=1)

    def retract(self, factor, M):
        (B,) = factor
        if isinstance(M, Plain):
            T = B @ M.M
            return (B + T + 0.5 * (T @ M.M),)
        xp = namespace(B)
        out = xp.zeros_like(B)
        # sums over the columns that are done: of B and of T = B M, each times its row of Uᵀ
        of_B, of_T = (xp.zeros((self.dim, M.U.shape[0]), dtype=B.dtype) for _ in range(2))
        blocks = pieces(self.dim, _WIDTH)
        for J in reversed(blocks) if self.lower else blocks:
            rows = slice(J.start, None) if self.lower else slice(0, J.stop)
            U, P = M.U[:, J], B[rows, J]
            weighted = M.w[:, None] * U
            block = add_to_diagonal(self._triangle(-(U.T @ weighted)), M.diagonal[J])
            T = P @ block - of_B[rows, :] @ weighted
            out[rows, J] = P + T + 0.5 * (T @ block - of_T[rows, :] @ weighted)
            of_B[rows, :] += P @ U.T
            of_T[rows, :] += T @ U.T
        return (out,)

    def transport(self, M, q):
        t = self._rows_times(q, M)
        return q + t + 0.5 * self._rows_times(t, M)

    def _rows_times(self, q, M):
        """Return the rows q M."""
        if isinstance(M, Plain):
            return q @ M.M
        xp = namespace(q)
        # (q M)_j = q_j m_j − Σ_k w_k u_kj Σ_{i after j} q_i u_ki, by cumulative sums
        products = q[..., None, :] * M.U
        sums = xp.cumulative_sum(products, axis=-1)
        later = sums[..., -1:] - sums if self.lower else sums - products
        return q * M.diagonal - xp.sum(later * (M.w[:, None] * M.U), axis=-2)

    def norm(self, M):
        xp = namespace(M[0])
        if isinstance(M, Plain):
            return number(xp.sum(M.M * M.M)) ** 0.5
        # the strict triangle of the symmetric Uᵀ W U holds half of what is off its diagonal
        weighted = M.w[:, None] * (M.U @ M.U.T)
        diagonal_part = weighted_squares(M.U, M.w)
        coupling = number(xp.sum(weighted * weighted.T)) - number(diagonal_part @ diagonal_part)
        return (not_negative(coupling) / 2 + number(M.diagonal @ M.diagonal)) ** 0.5

    def add(self, M, N):
        if isinstance(M, Factored) and isinstance(N, Factored):
            xp = namespace(M.U)
            U, w = xp.concat([M.U, N.U]), xp.concat([M.w, N.w])
            return self._shortest(Factored(U, w, M.diagonal + N.diagonal))
        return Plain(self.tangent_to_dense(M) + self.tangent_to_dense(N))

    def scale(self, M, rates):
        if isinstance(rates, tuple):
            coupling, stretch = rates
            if isinstance(M, Plain):
                return Plain(scale_parts(M.M, coupling, stretch))
            return Factored(M.U, coupling * M.w, stretch * M.diagonal)
        if isinstance(M, Plain):
            return Plain(rates * M.M)
        return Factored(M.U, rates * M.w, rates * M.diagonal)

    def shift(self, M, value):
        if isinstance(M, Plain):
            return Plain(add_to_diagonal(1.0 * M.M, value))
        return M._replace(diagonal=M.diagonal + value)

    def trace(self, M):
        xp = namespace(M[0])
        return number(xp.linalg.trace(M.M) if isinstance(M, Plain) else xp.sum(M.diagonal))

    def tangent_to_dense(self, M):
        if isinstance(M, Plain):
            return M.M
        return add_to_diagonal(self._triangle(-((M.U.T * M.w) @ M.U)), M.diagonal)

    def deviations(self, factor):
        xp = namespace(factor[0])
        A = self.unwhiten(factor, xp.eye(self.dim, dtype=factor[0].dtype))  # row j: column j of A
        return xp.sqrt(xp.sum(A * A, axis=0))

    def condition(self, factor):
        s = namespace(factor[0]).linalg.svdvals(factor[0])
        return (float(s[0]) / float(s[-1])) ** 2


@dataclass(frozen=True)
class Lower(Triangular):
    """All correlations, in the coordinates of a lower Cholesky factor of the precision.

        B = ⎡■    ⎤
            ⎢■ ■  ⎥
            ⎣■ ■ ■⎦

    Choose it over `dense` to keep the order of the parameters: parameter j is drawn given the
    parameters after it. dof d(d+1)/2; a generation costs O(λ d²), memory O(d²). (Lin et al. 2021.)
    """

    lower = True


@dataclass(frozen=True)
class Upper(Triangular):
    """All correlations, in the coordinates of an upper Cholesky factor of the precision.

        B = ⎡■ ■ ■⎤
            ⎢  ■ ■⎥
            ⎣    ■⎦

    As `Lower` with the order of the parameters reversed: parameter j is drawn given the
    parameters before it. dof d(d+1)/2; a generation costs O(λ d²), memory O(d²).
    (Lin et al. 2021.)
    """

    lower = False
