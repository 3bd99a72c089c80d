"""Dense: every invertible matrix, every covariance; CMA-ES and xNES live here.

    M = −½ Σ w (z zᵀ − I), symmetric,   B ← B h(M)

Kept is A = B⁻ᵀ, because y = A z is what sampling needs. With r samples U = [z_1 … z_r] (d×r) and
weights w the tangent never becomes a d×d matrix while r is small:

    M = D + U V Uᵀ,   V = −½ diag w,   D diagonal,   g = UᵀU                       (r×r)

As it comes from the samples D = x I, and with Y = A U, which sampling knows, all is of rank r:

    h(M) = c I + U K Uᵀ,   c = 1 + x + ½ x²,   K = (1+x) V + ½ V g V
    A h(M)⁻¹ = (A − Y T Uᵀ)/c,   T = K (c I + g K)⁻¹                           (Woodbury)

Once the diagonal of M was given a rate of its own, h(D + L), L = U V Uᵀ, has a part of rank 2 r.
Then the step is taken in two, B ← B h(L) h(D), and the rank is r again:

    A ← (A − Y T Uᵀ) h(D)⁻¹,   T = K (I + g K)⁻¹,   K = V + ½ V g V

It is as exact: the distribution knows B Bᵀ only, and h(L) h(D)² h(L), being the same forwards and
backwards, is exp(2 M) up to terms of third order, as h(M)² is (Strang 1968). The rotation [L, D]/2
by which h(L) h(D) itself differs from h(M) turns z, and the path is transported with it.

One inverse of size r and products of size r d²: no eigendecomposition, no d³. When r approaches d
the plain form M (d×d) is the cheaper one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Any, NamedTuple

from ..arrays.libraries import flat, namespace
from ..arrays.linalg import (
    add_to_diagonal,
    scale_parts,
    scaled_rank_update,
    solve_positive,
    total,
    trace,
    weighted_squares,
)
from ..arrays.scalars import not_negative, number
from ..naming.error_text import brief
from .base import Structure
from .fallbacks import zeros

_RANK = 5  # the plain form is the faster one for d ≤ 5 r (measured)


class LowRank(NamedTuple):
    """M = diag(x) + Uᵀ diag(v) U.

    The Gram matrix g = U Uᵀ is kept because every operation needs it, and so is Y, what
    `unwhiten` makes of the first rows of U, where the caller has it (`Dense.with_samples`).
    """

    U: Any  # (r, d): rows are samples
    v: Any  # (r,)
    x: Any  # a number, or (d,)
    g: Any  # (r, r)
    Y: Any = None  # (n, d), n ≤ r


class Plain(NamedTuple):
    """M itself (d, d)."""

    M: Any


@dataclass(frozen=True)
class Dense(Structure):
    """All correlations between all parameters (the general linear group).

        B = ⎡■ ■ ■⎤
            ⎢■ ■ ■⎥
            ⎣■ ■ ■⎦

    Choose it for up to some hundred parameters about which nothing is known. dof d(d+1)/2; a
    generation costs O(λ d²), memory O(d²). With exp in place of h it is xNES (Glasmachers et al.
    2010), with the paths of strategy/update.py it is CMA-ES in first order. (Lin et al. 2021.)

    Parameters
    ----------
    dim : int
        Number of parameters, d.
    retraction : {"h", "exp"}
        B h(M), or B exp(M), which is xNES exactly, at O(d³) a generation.

    Raises
    ------
    ValueError
        For another retraction.
    """

    retraction: str = "h"

    has_any_matrix = True

    def __post_init__(self):
        super().__post_init__()
        if self.retraction not in ("h", "exp"):
            raise ValueError(
                f"Dense: retraction must be 'h' or 'exp'; got {brief(self.retraction)}"
            )

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

    @property
    def retraction_order(self):
        """B exp(M) differs from B h(M) in terms of third order, and so does the step in two, which
        takes at least 5 parameters a sample."""
        return inf if self.retraction == "h" and self.dim <= _RANK else 3

    def identity(self, xp, dtype):
        return (xp.eye(self.dim, dtype=dtype),)

    def blank(self):
        return (zeros(self.dim, self.dim),)

    def factor_of(self, B) -> tuple:
        """Return the factor of the matrix B (d, d)."""
        return (namespace(B).linalg.inv(B).T,)

    def unwhiten(self, factor, Z):
        return Z @ factor[0].T

    def whiten(self, factor, Y):
        return namespace(Y).linalg.solve(factor[0], Y.T).T

    def whiten_gradient(self, factor, G):
        return G @ factor[0]

    def unwhiten_gradient(self, factor, G):
        return namespace(G).linalg.solve(factor[0].T, G.T).T

    def logdet(self, factor):
        return -float(namespace(factor[0]).linalg.slogdet(factor[0])[1])

    def to_dense(self, factor):
        return namespace(factor[0]).linalg.inv(factor[0]).T

    def tangent(self, Z, w):
        v, x = -0.5 * w, 0.5 * total(w)
        if _RANK * Z.shape[0] < self.dim and self.retraction == "h":
            return LowRank(Z, v, x, Z @ Z.T)
        return Plain(add_to_diagonal((Z.T * v) @ Z, x))

    def with_samples(self, M, Y):
        return M._replace(Y=Y) if isinstance(M, LowRank) else M

    def with_exponential(self):
        return replace(self, retraction="exp")

    def retract(self, factor, M):
        (A,) = factor
        xp = namespace(A)
        if self.retraction == "exp":
            return (A @ _exp(-M.M),)
        if isinstance(M, Plain):
            h = add_to_diagonal(M.M + 0.5 * (M.M @ M.M), 1.0)
            return (solve_positive(h, A.T).T,)
        Y, count = M.Y, 0 if M.Y is None else M.Y.shape[0]
        if count < M.U.shape[0]:
            missing_rows = self.unwhiten(factor, M.U[count:, :])
            Y = xp.concat([Y, missing_rows]) if count else missing_rows
        x, last = _steps(M)
        c, K = _h(x), (1 + x) * _diagonal(M.v) + 0.5 * (M.v[:, None] * M.g) * M.v
        T = xp.linalg.solve(add_to_diagonal(K @ M.g, c), K)  # K (c I + g K)⁻¹
        c = c * last
        return (scaled_rank_update(A, 1 / c, Y, (T @ M.U) / -c),)

    def transport(self, M, q):
        if self.retraction == "exp":
            return q @ _exp(M.M)
        if isinstance(M, Plain):
            return q + (q + 0.5 * (q @ M.M)) @ M.M
        x, last = _steps(M)
        t = _rows_times(q, M, x)
        return (q + t + 0.5 * _rows_times(t, M, x)) * last

    def norm(self, M):
        if isinstance(M, Plain):
            m = flat(M.M)
            return number(m @ m) ** 0.5
        xp = namespace(M[0])
        # ‖D + U V Uᵀ‖² = Σ D² + 2 D · diag(U V Uᵀ) + tr(V g V g)
        diagonal = total((M.x if M.x.ndim else M.x + xp.zeros_like(M.U[0, :])) ** 2)
        cross = total(M.x * weighted_squares(M.U, M.v))
        vg = M.v[:, None] * M.g
        return not_negative(number(diagonal + 2 * cross + xp.sum(vg * vg.T))) ** 0.5

    def add(self, M, N):
        if isinstance(M, LowRank) and isinstance(N, LowRank):
            xp = namespace(M.U)
            U, v = xp.concat([M.U, N.U]), xp.concat([M.v, N.v])
            if _RANK * U.shape[0] < self.dim:
                return LowRank(U, v, M.x + N.x, U @ U.T)
        return Plain(self.tangent_to_dense(M) + self.tangent_to_dense(N))

    def shift(self, M, value):
        if isinstance(M, LowRank):
            return M._replace(x=M.x + value)
        return Plain(add_to_diagonal(1.0 * M.M, value))

    def scale(self, M, rates):
        if isinstance(rates, tuple):
            coupling, stretch = rates
            if isinstance(M, Plain):
                return Plain(scale_parts(M.M, coupling, stretch))
            diagonal = weighted_squares(M.U, M.v)
            return M._replace(v=coupling * M.v, x=stretch * M.x + (stretch - coupling) * diagonal)
        if isinstance(M, Plain):
            return Plain(rates * M.M)
        return M._replace(v=rates * M.v, x=rates * M.x)

    def trace(self, M):
        if isinstance(M, Plain):
            return trace(M.M)
        xp = namespace(M[0])
        diagonal = total(M.x) if M.x.ndim else self.dim * M.x
        return number(diagonal + xp.sum(M.v * xp.linalg.diagonal(M.g)))

    def tangent_to_dense(self, M):
        if isinstance(M, Plain):
            return M.M
        return add_to_diagonal((M.U.T * M.v) @ M.U, M.x)

    def deviations(self, factor):
        xp = namespace(factor[0])
        return xp.sqrt(xp.sum(factor[0] * factor[0], axis=1))

    def condition(self, factor):
        s = namespace(factor[0]).linalg.svdvals(factor[0])
        return (float(s[0]) / float(s[-1])) ** 2


def _h(x):
    """Return the retraction h of numbers."""
    return 1 + x + 0.5 * x * x


def _steps(M):
    """Return the numbers x and h(D) of B h(x I + L) h(D): D is 0 where one step does all, and x is
    0 where the diagonal has a step of its own."""
    return (0.0, _h(M.x)) if M.x.ndim else (M.x, 1.0)


def _rows_times(q, M, x):
    """Return the rows q (x I + L)."""
    return q * x + ((q @ M.U.T) * M.v) @ M.U


def _diagonal(v):
    return v[:, None] * namespace(v).eye(v.shape[0], dtype=v.dtype)


def _exp(M):
    """Return the exponential of a symmetric matrix."""
    values, vectors = namespace(M).linalg.eigh(M)
    return (vectors * namespace(M).exp(values)) @ vectors.T
