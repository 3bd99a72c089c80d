"""Dense: every invertible matrix, every covariance; CMA-ES and xNES live here.

    M = −½ Σ w (z zᵀ − I), symmetric,   B ← B h(M)

Kept is A = B⁻ᵀ, because y = A z is what sampling needs. With r samples U = [z_1 … z_r] (d×r) and
weights w the tangent never becomes a d×d matrix while r is small:

    M = x I + U V Uᵀ,   V = −½ diag w,   x = ½ Σ w,   g = UᵀU                    (r×r)
    h(M) = c I + U K Uᵀ,  c = 1 + x + x²/2,  K = (1+x) V + ½ V g V
    A h(M)⁻ᵀ = (A − Y T Uᵀ)/c,   Y = A U,   T = K (c I + g K)⁻¹                 (Woodbury)
    h(M)ᵀ q = c q + U K Uᵀ q

One inverse of size r and one product of size r d²: no eigendecomposition, no d³. When r approaches
d the plain form M (d×d) is the cheaper one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from ..backend import (
    add_to_diagonal,
    namespace,
    scaled_rank_update,
    solve_positive,
    total,
    trace,
)
from .base import Structure


class LowRank(NamedTuple):
    """M = x I + Uᵀ diag(v) U; g = U Uᵀ is kept because every operation needs it."""

    U: Any  # (r, d) rows are samples
    v: Any  # (r,)
    x: Any  # scalar
    g: Any  # (r, r)


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
    2010), with the paths of strategy.py it is CMA-ES in first order. (Lin et al. 2021.)

    retraction  "h", or "exp" for B exp(M): xNES exactly, at O(d³) a generation
    """

    retraction: str = "h"

    def __post_init__(self):
        super().__post_init__()
        if self.retraction not in ("h", "exp"):
            raise ValueError(f"Dense: retraction must be 'h' or 'exp'; got {self.retraction!r}")

    @property
    def dof(self):
        return self.dim * (self.dim + 1) // 2

    @property
    def row(self):
        return float(self.dim)

    def identity(self, xp, dtype):
        return (xp.eye(self.dim, dtype=dtype),)

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
        if 2 * Z.shape[0] < self.dim and self.retraction == "h":
            return LowRank(Z, v, x, Z @ Z.T)
        return Plain(add_to_diagonal((Z.T * v) @ Z, x))

    def retract(self, factor, M, Y=None):
        (A,) = factor
        xp = namespace(A)
        if self.retraction == "exp":
            return (A @ _exp(-M.M),)
        if isinstance(M, Plain):
            h = add_to_diagonal(M.M + 0.5 * (M.M @ M.M), 1.0)
            return (solve_positive(h, A.T).T,)
        known = 0 if Y is None else Y.shape[0]
        if known < M.U.shape[0]:
            rest = self.unwhiten(factor, M.U[known:, :])
            Y = xp.concat([Y, rest]) if known else rest
        c, K = _h_low_rank(M)
        T = xp.linalg.solve(add_to_diagonal(K @ M.g, c), K)  # K (c I + g K)⁻¹
        return (scaled_rank_update(A, 1 / c, Y, (-1 / c) * (T @ M.U)),)

    def transport(self, M, q):
        if self.retraction == "exp":
            return q @ _exp(M.M)
        if isinstance(M, Plain):
            return q + (q + 0.5 * (q @ M.M)) @ M.M
        c, K = _h_low_rank(M)
        return c * q + ((q @ M.U.T) @ K) @ M.U

    def norm(self, M):
        xp = namespace(M[0])
        if isinstance(M, Plain):
            m = xp.reshape(M.M, (-1,))
            return float(m @ m) ** 0.5
        # ‖x I + U V Uᵀ‖² = d x² + 2 x tr(V g) + tr(V g V g)
        vg = M.v[:, None] * M.g
        square = self.dim * M.x**2 + 2 * M.x * xp.linalg.trace(vg) + xp.sum(vg * vg.T)
        return max(float(square), 0.0) ** 0.5

    def add(self, M, N):
        if isinstance(M, LowRank) and isinstance(N, LowRank):
            xp = namespace(M.U)
            U, v = xp.concat([M.U, N.U]), xp.concat([M.v, N.v])
            if 2 * U.shape[0] < self.dim:
                return LowRank(U, v, M.x + N.x, U @ U.T)
        return Plain(self.tangent_to_dense(M) + self.tangent_to_dense(N))

    def shift(self, M, value):
        if isinstance(M, LowRank):
            return M._replace(x=M.x + value)
        return Plain(add_to_diagonal(1.0 * M.M, value))

    def scale(self, M, factor):
        if isinstance(M, Plain):
            return Plain(factor * M.M)
        return M._replace(v=factor * M.v, x=factor * M.x)

    def trace(self, M):
        xp = namespace(M[0])
        if isinstance(M, Plain):
            return trace(M.M)
        return float(self.dim * M.x + xp.sum(M.v * xp.linalg.diagonal(M.g)))

    def tangent_to_dense(self, M):
        if isinstance(M, Plain):
            return M.M
        return (M.U.T * M.v) @ M.U + M.x * namespace(M.U).eye(self.dim, dtype=M.U.dtype)

    def deviations(self, factor):
        xp = namespace(factor[0])
        return xp.sqrt(xp.sum(factor[0] * factor[0], axis=1))

    def condition(self, factor):
        s = namespace(factor[0]).linalg.svdvals(factor[0])
        return (float(s[0]) / float(s[-1])) ** 2


def _h_low_rank(M):
    """c and K of h(M) = c I + U K Uᵀ."""
    c = 1 + M.x + 0.5 * M.x * M.x
    xp, v = namespace(M.v), M.v
    V = v[:, None] * xp.eye(v.shape[0], dtype=v.dtype)
    return c, (1 + M.x) * V + 0.5 * (v[:, None] * M.g) * v


def _exp(M):
    """Exponential of a symmetric matrix."""
    values, vectors = namespace(M).linalg.eigh(M)
    return (vectors * namespace(M).exp(values)) @ vectors.T
