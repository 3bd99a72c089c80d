"""Dense: every invertible matrix, every covariance; CMA-ES and xNES live here.

    M = −½ Σ w (z zᵀ − I), symmetric,   B ← B h(M)

Kept is A = B⁻ᵀ, because y = A z is what sampling needs. Once the diagonal of M was given a rate of
its own, s beside c for all else, the step is taken in two,

    B ← B h(L) h(D),   L = c M,   D = (s − c) diag M

It is as exact: the distribution knows B Bᵀ only, and h(L) h(D)² h(L), being the same forwards and
backwards, is exp(2 (L + D)) up to terms of third order, as h(L + D)² is (Strang 1968). The
rotation [L, D]/2 by which h(L) h(D) itself differs from h(L + D) turns z, and the path is
transported with it. It is so for any number of samples.

With r samples U = [z_1 … z_r] (d×r) and weights w the tangent never becomes a d×d matrix while r
is small:

    L = x I + U V Uᵀ,   V = −½ diag w,   x = ½ Σ w,   g = UᵀU                      (r×r)
    h(L) = e I + U K Uᵀ,   e = h(x),   K = (1+x) V + ½ V g V
    A h(L)⁻¹ = (A − Y T Uᵀ)/e,   T = K (e I + g K)⁻¹,   Y = A U                  (Woodbury)

where sampling knows Y. One inverse of size r and
products of size r d²: no eigendecomposition, no d³. When r approaches d the plain form of L (d×d)
is the cheaper one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..arrays.libraries import flat, namespace
from ..arrays.linalg import (
    add_to_diagonal,
    scaled_rank_update,
    solve_positive,
    symmetric_exponential,
    symmetric_root,
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
    """M = L + diag(D), L = x I + Uᵀ diag(v) U.

    The Gram matrix g = U Uᵀ is kept because every operation needs it, and so is Y, what
    `unwhiten` makes of the first rows of U, where the caller has it (`Dense.with_samples`).
    """

    U: Any  # (r, d): rows are samples
    v: Any  # (r,)
    x: Any  # a number
    g: Any  # (r, r)
    Y: Any = None  # (n, d), n ≤ r
    D: Any = None  # (d,), once the diagonal had a rate of its own


class Plain(NamedTuple):
    """M = L + diag(D), L = x I + S."""

    S: Any  # (d, d), of the samples
    x: Any  # a number
    D: Any = None  # (d,), once the diagonal had a rate of its own


@dataclass(frozen=True)
class Dense(Structure):
    """All correlations between all parameters (the general linear group).

        B = ⎡■ ■ ■⎤
            ⎢■ ■ ■⎥
            ⎣■ ■ ■⎦

    Choose it for up to some hundred parameters about which nothing is known. dof d(d+1)/2; a
    generation costs O(λ d²), memory O(d²). With exp in place of h it is xNES (Glasmachers et al.
    2010), with the engine `cma` and C on a straight line it is CMA-ES. (Lin et al. 2021.)

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
    moves_straight = True

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
        """B exp(M) differs from B h(M) in terms of third order, and so does the step in two."""
        return 3

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
        if _RANK * Z.shape[0] < self.dim:
            return LowRank(Z, v, x, Z @ Z.T)
        return Plain((Z.T * v) @ Z, x)

    def with_samples(self, M, Y):
        return M._replace(Y=Y) if isinstance(M, LowRank) else M

    def retract(self, factor, M):
        if self.retraction == "exp":
            return self.retract_exp(factor, M)
        (A,) = factor
        xp = namespace(A)
        if isinstance(M, Plain):
            return _plain_step(A, _whole(M), None if M.D is None else _h(M.D))
        Y, count = M.Y, 0 if M.Y is None else M.Y.shape[0]
        if count < M.U.shape[0]:
            missing_rows = self.unwhiten(factor, M.U[count:, :])
            Y = xp.concat([Y, missing_rows]) if count else missing_rows
        e, K = _h(M.x), (1 + M.x) * _diagonal(M.v) + 0.5 * (M.v[:, None] * M.g) * M.v
        T = xp.linalg.solve(add_to_diagonal(K @ M.g, e), K)  # K (e I + g K)⁻¹
        e = e if M.D is None else e * _h(M.D)
        return (scaled_rank_update(A, 1 / e, Y, (T @ M.U) / -e),)

    def transport(self, M, q):
        if self.retraction == "exp":
            return self.transport_exp(M, q)
        last = None if M.D is None else _h(M.D)
        if isinstance(M, Plain):
            return _plain_path(q, _whole(M), last)
        t = _rows_times(q, M)
        q = q + t + 0.5 * _rows_times(t, M)
        return q if last is None else q * last

    def move(self, factor, M, q):
        if self.retraction == "exp" or isinstance(M, LowRank):
            return super().move(factor, M, q)
        L, last = _whole(M), None if M.D is None else _h(M.D)
        return _plain_step(factor[0], L, last), _plain_path(q, L, last)

    def retract_exp(self, factor, M):
        return (factor[0] @ symmetric_exponential(-self.tangent_to_dense(M)),)

    def transport_exp(self, M, q):
        return q @ symmetric_exponential(self.tangent_to_dense(M))

    def retract_straight(self, factor, M):
        (A,), dense = factor, self.tangent_to_dense(M)
        return (symmetric_root(A @ (A.T - 2 * (dense @ A.T))),)

    def norm(self, M):
        if isinstance(M, Plain):
            m = flat(self.tangent_to_dense(M))
            return number(m @ m) ** 0.5
        # ‖D + S‖² = Σ D² + 2 D · diag S + ‖S‖², with x in D; ‖U V Uᵀ‖² = tr(V g V g)
        diagonal = _diagonal_of_samples(M)
        xp, vg = namespace(diagonal), M.v[:, None] * M.g
        D = M.x + (xp.zeros_like(diagonal) if M.D is None else M.D)
        return not_negative(number(D @ (D + 2 * diagonal) + xp.sum(vg * vg.T))) ** 0.5

    def add(self, M, N):
        D = N.D if M.D is None else M.D if N.D is None else M.D + N.D
        if isinstance(M, LowRank) and isinstance(N, LowRank):
            xp = namespace(M.U)
            U, v = xp.concat([M.U, N.U]), xp.concat([M.v, N.v])
            if _RANK * U.shape[0] < self.dim:
                return LowRank(U, v, M.x + N.x, U @ U.T, D=D)
        return Plain(_of_samples(M) + _of_samples(N), M.x + N.x, D)

    def shift(self, M, value):
        if isinstance(M, Plain):
            return Plain(M.S, M.x + value, M.D)
        return M._replace(x=M.x + value)

    def scale(self, M, rates):
        coupling, stretch = rates if isinstance(rates, tuple) else (rates, rates)
        D = M.D if M.D is None else stretch * M.D
        if isinstance(rates, tuple):
            share = (stretch - coupling) * (M.x + _diagonal_of_samples(M))
            D = share if D is None else D + share
        if isinstance(M, Plain):
            return Plain(coupling * M.S, coupling * M.x, D)
        return M._replace(v=coupling * M.v, x=coupling * M.x, D=D)

    def trace(self, M):
        if isinstance(M, Plain):
            of_samples = trace(M.S)
        else:
            xp = namespace(M.v)
            of_samples = xp.sum(M.v * xp.linalg.diagonal(M.g))
        of_L = number(self.dim * M.x + of_samples)
        return of_L if M.D is None else of_L + number(total(M.D))

    def tangent_to_dense(self, M):
        return add_to_diagonal(1.0 * _of_samples(M), M.x if M.D is None else M.x + M.D)

    def deviations(self, factor):
        xp = namespace(factor[0])
        return xp.sqrt(xp.sum(factor[0] * factor[0], axis=1))

    def condition(self, factor):
        s = namespace(factor[0]).linalg.svdvals(factor[0])
        return (float(s[0]) / float(s[-1])) ** 2


def _h(x):
    """Return the retraction h of numbers."""
    return 1 + x + 0.5 * x * x


def _plain_step(A, L, last):
    """Return the factor A h(L)⁻¹ h(D)⁻¹, where last is h(D), or None."""
    h = add_to_diagonal(L + 0.5 * (L @ L), 1.0)
    A = solve_positive(h, A.T).T
    return (A if last is None else A / last,)


def _plain_path(q, L, last):
    """Return the rows q h(L) h(D)."""
    q = q + (q + 0.5 * (q @ L)) @ L
    return q if last is None else q * last


def _rows_times(q, M):
    """Return the rows q L of low rank."""
    return q * M.x + ((q @ M.U.T) * M.v) @ M.U


def _whole(M):
    """Return the plain L (d, d)."""
    return add_to_diagonal(1.0 * M.S, M.x)


def _of_samples(M):
    """Return S = L − x I (d, d)."""
    return M.S if isinstance(M, Plain) else (M.U.T * M.v) @ M.U


def _diagonal_of_samples(M):
    """Return the diagonal (d,) of S."""
    if not isinstance(M, Plain):
        return weighted_squares(M.U, M.v)
    S = M.S
    return S.diagonal() if isinstance(S, np.ndarray) else namespace(S).linalg.diagonal(S)


def _diagonal(v):
    return v[:, None] * namespace(v).eye(v.shape[0], dtype=v.dtype)
