"""Low rank plus diagonal: a few long axes, a few short ones, and a scale for every coordinate.

    C = s ∘ (D + VᵀV) ∘ s,   D = (I + WᵀW)⁻¹,   V (long, d), W (short, d), s (d,)

No square root of C lies in a group of this size, but C is what is seen of a larger Gaussian whose
root does: a sample is made of z = (a, u, b) in R^(long + d + short),

    y = s (u° + Vᵀ a),   u° = D (u + Wᵀ b) = u − WᵀJ⁻¹(W u − b),   J = I + WWᵀ

(a is added noise, b is noise of W u that is conditioned on). Back from y comes the posterior mean
of z, which is the shortest z that makes y, so that ‖z‖² is the Mahalanobis length of y:

    r = y / s,   a = K⁻¹ V D⁻¹ r,   u = r − Vᵀa,   b = W u,   K = I + V D⁻¹Vᵀ    (long, long)

Such z live on a d-dimensional subspace; the projector on it, P = E[z zᵀ], has the blocks

    aa: I − K⁻¹   au: K⁻¹V   uu: Q = D − VᵀK⁻¹V   bu: W Q   bb: W Q Wᵀ

The tangent is that of `block_upper` (a before u) and of `block_lower` (b before u) in the larger
space, with the posterior's second moments in place of those of z (the E of EM for factor analysis,
Rubin & Thayer 1982; Akimoto & Hansen 2016 and Lin et al. 2021 for the families):

    M = −C⊙Σ w (z zᵀ − P)  on the blocks aa, au, uu (its diagonal), bu, bb;  ½ on aa, uu, bb
    V ← h(M_aa)⁻¹ (V h(M_uu) − h_au),   s ← s / h(M_uu),   W ← (h(M_bb) W + h_bu) / h(M_uu)
    h_au = M_au + ½ (M_aa M_au + M_au M_uu),   h_bu = M_bu + ½ (M_bb M_bu + M_bu M_uu)

It is the gradient of the weighted log likelihood in the Fisher metric of the larger space. z has a
relative error of about ε times the squared length of the longest row of V or W (u = r − Vᵀa and
W u are differences of large numbers): 1e-6 at 1e10.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from .. import checks
from ..arrays import noise
from ..arrays.libraries import namespace
from ..arrays.linalg import add_to_diagonal, solve_positive, total, weighted_squares
from ..arrays.scalars import number
from . import fallbacks
from .base import Structure
from .fallbacks import zeros

LONGEST = 1e12  # largest squared length of a row of V and of W: variance ratios that can be told
OWN = 0.1  # smallest share of a coordinate that V, or W, must leave to its own scale


class Moments(NamedTuple):
    """Blocks of a symmetric matrix of the larger space: of M, of P, of Σ w z zᵀ."""

    aa: Any  # (long, long)
    au: Any  # (long, d)
    uu: Any  # (d,) the diagonal
    bu: Any  # (short, d)
    bb: Any  # (short, short)


class Tangent(NamedTuple):
    """M, and where it was taken."""

    M: Moments
    P: Moments
    factor: tuple


@dataclass(frozen=True)
class LowRank(Structure):
    """A few long and a few short axes in any direction, over independent scales.

        covariance = s ∘ (D + VᵀV) ∘ s      V = [■ ■ ■ ■ ■ ■]  long
        D⁻¹ = I + WᵀW                       W = [■ ■ ■ ■ ■ ■]  short

    Choose it from about 80 parameters on when nothing is known: it learns nearly as fast as
    `diagonal` and follows a few valleys and ridges that cut across the coordinates, which the lead
    coordinates of `block_upper` cannot. dof (1 + long + short) d, less the rotations among axes; a
    generation costs O(λ k d + k² d), memory O((λ + k) d), k = long + short.

    The factor is (s, V, W). B is the (d, long + d + short) matrix with Bᵀ y as above, so rows of
    local coordinates are longer than d and B Bᵀ = C⁻¹; its pseudoinverse makes samples. V and W
    start small and random (the same for every run), because from 0 they could not move: the first
    covariance is I up to axes of relative variance 1.25 and 0.8. Where there are long axes, too,
    short ones across the coordinates come slowly beyond 1e8: V must first be orthogonal to them.

    It is no group: B is not square, so its tangent depends on the factor (`tangent_at`), and it
    obeys the laws of all structures (base.py).

    Parameters
    ----------
    dim : int
        Number of parameters, d.
    long : int
        Number of axes along which the distribution may be longer than the scales say, ≥ 0.
    short : int
        Number of axes along which it may be shorter, ≥ 0.
    """

    long: int = 5
    short: int = 5

    is_group = False

    def __post_init__(self):
        super().__post_init__()
        checks.count("LowRank: long", self.long, 0)
        checks.count("LowRank: short", self.short, 0)

    @property
    def dof(self):
        d = self.dim
        axes = sum(k * d - k * (k - 1) // 2 for k in (min(self.long, d), min(self.short, d)))
        return min(d + axes, d * (d + 1) // 2)

    @property
    def parts(self):
        """The long axes, the short axes, the scales. An axis learns at the rate of the numbers of
        the scales, of the axes before it and its own: the first find the strongest directions
        fast, the last refine slowly."""
        axes = *range(self.long), *range(self.short)
        return (*((j + 2) * self.dim for j in axes), self.dim)

    @property
    def path_parts(self):
        """The mean does not travel along short axes, and only noise would be learned from it."""
        return (*(1,) * self.long, *(0,) * self.short, 1)

    @property
    def noise_dim(self):
        return self.long + self.dim + self.short

    def _cut(self, Z):
        """Return a, u, b of rows z."""
        end = self.long + self.dim
        return Z[:, : self.long], Z[:, self.long : end], Z[:, end:]

    # -- the group --------------------------------------------------------------------------------

    def identity(self, xp, dtype):
        start = noise.normals(0, noise.STARTS, 0, 0, self.long + self.short, self.dim)
        start = xp.asarray(start * (0.5 / self.dim**0.5), dtype=dtype)
        return xp.ones(self.dim, dtype=dtype), start[: self.long, :], start[self.long :, :]

    def blank(self):
        return zeros(self.dim), zeros(self.long, self.dim), zeros(self.short, self.dim)

    def unwhiten(self, factor, Z):
        s, V, W = factor
        a, u, b = self._cut(Z)
        Y = a @ V
        Y += u
        if self.short:
            Y -= _solve_rows(_one_plus(W), u @ W.T - b) @ W
        Y *= s
        return Y

    def whiten(self, factor, Y):
        s, V, W = factor
        u = Y / s
        K, VW = _posterior(V, W)
        a = _solve_rows(K, u @ V.T + (u @ W.T) @ VW.T)
        u -= a @ V
        return namespace(u).concat([a, u, u @ W.T], axis=1)

    def whiten_gradient(self, factor, G):
        s, V, W = factor
        x = s * G
        b = _solve_rows(_one_plus(W), x @ W.T)
        return namespace(x).concat([x @ V.T, x - b @ W, b], axis=1)

    def unwhiten_gradient(self, factor, G):
        s, _, W = factor
        _, u, b = self._cut(self.whiten(factor, self.unwhiten(factor, G)))  # the part P h of h
        return (u + b @ W) / s

    def logdet(self, factor):
        s, V, W = factor
        xp = namespace(s)
        K, _ = _posterior(V, W)
        return 0.5 * (_logdet(_one_plus(W)) - _logdet(K)) - float(xp.sum(xp.log(s)))

    def is_element(self, factor):
        s, V, W = factor
        xp = namespace(s)
        bounded = all(number(xp.max(xp.abs(A))) <= 10 * LONGEST**0.5 for A in (V, W) if A.size)
        return bounded and bool(xp.all(s > 0)) and super().is_element(factor)

    def to_dense(self, factor):
        """Return the lower triangular B with B Bᵀ = C⁻¹ (the rectangular B has no place here)."""
        eye = namespace(factor[0]).eye(self.dim, dtype=factor[0].dtype)
        local = self.whiten(factor, eye)
        return namespace(eye).linalg.cholesky(local @ local.T)

    # -- the tangent space ------------------------------------------------------------------------

    def tangent(self, Z, w):
        raise TypeError("LowRank: its tangent depends on the factor: tangent_at(factor, Z, w)")

    def tangent_at(self, factor, Z, w):
        a, u, b = self._cut(Z)
        wa, wb = a.T * w, b.T * w
        moments = Moments(wa @ a, wa @ u, weighted_squares(u, w), wb @ u, wb @ b)
        P, sum_w = _projector(factor), total(w)
        halves = (-0.5, -1.0, -0.5, -1.0, -0.5)
        M = Moments(*(c * (m - sum_w * p) for c, m, p in zip(halves, moments, P, strict=True)))
        return Tangent(M, P, factor)

    def retract(self, factor, M):
        s, V, W = factor
        M = M.M
        h_aa, h_uu, h_bb = _h(M.aa), 1 + M.uu + 0.5 * M.uu * M.uu, _h(M.bb)
        h_au = M.au + 0.5 * (M.aa @ M.au + M.au * M.uu)
        h_bu = M.bu + 0.5 * (M.bb @ M.bu + M.bu * M.uu)
        V, wider = _bounded(_solve(h_aa, V * h_uu - h_au))
        W, narrower = _bounded((h_bb @ W + h_bu) / h_uu)
        return s / h_uu * (wider / narrower), V, W

    def transport(self, M, q):
        """Return the same vector y in the coordinates of the new factor."""
        return self.move(M.factor, M, q)[1]

    def move(self, factor, M, q):
        moved = self.retract(factor, M)
        rows = q if q.ndim == 2 else q[None, :]
        rows = self.whiten(moved, self.unwhiten(factor, rows))
        return moved, rows if q.ndim == 2 else rows[0, :]

    def norm(self, M):
        return sum(number(total(m * m)) for m in M.M) ** 0.5

    def add(self, M, N):
        """Return M + N of tangents at the same factor."""
        return M._replace(M=Moments(*(m + n for m, n in zip(M.M, N.M, strict=True))))

    def scale(self, M, rates):
        if not isinstance(rates, tuple):
            return M._replace(M=Moments(*(rates * m for m in M.M)))
        xp, (aa, au, uu, bu, bb) = namespace(M.M.uu), M.M
        f = xp.asarray(rates, dtype=uu.dtype)[:, None]
        a, b, u = f[: self.long, :], f[self.long : -1, :], rates[-1]
        aa, bb = xp.minimum(a, a.T) * aa, xp.minimum(b, b.T) * bb
        return M._replace(M=Moments(aa, a * au, u * uu, b * bu, bb))

    def shift(self, M, value):
        aa, au, uu, bu, bb = M.M
        aa, bb = (add_to_diagonal(1.0 * m, value) for m in (aa, bb))
        return M._replace(M=Moments(aa, au, uu + value, bu, bb))

    def trace(self, M):
        """Return the first-order change of log |det B|."""
        W, GV = M.factor[2], M.P.au
        slope = M.P._replace(au=GV + (GV @ W.T) @ W)
        return sum(number(total(m * p)) for m, p in zip(M.M, slope, strict=True))

    def tangent_to_dense(self, M):
        """Return M in the larger space: block upper triangular in the order a, u, b."""
        aa, au, uu, bu, bb = M.M
        xp = namespace(uu)
        matrix = xp.zeros((self.noise_dim, self.noise_dim), dtype=uu.dtype)
        i, j = self.long, self.long + self.dim
        a, u, b = slice(0, i), slice(i, j), slice(j, None)
        matrix[a, a], matrix[a, u], matrix[u, b], matrix[b, b] = aa, au, bu.T, bb
        matrix[u, u] = xp.eye(self.dim, dtype=uu.dtype) * uu
        return matrix

    # -- what a stopping rule asks ----------------------------------------------------------------

    def deviations(self, factor):
        s, V, W = factor
        xp = namespace(s)
        return s * xp.sqrt(_own(W) + xp.sum(V * V, axis=0))

    def condition(self, factor):
        largest = fallbacks.largest_eigenvalue
        variance = largest(self.dim, factor, self.whiten_gradient, self.unwhiten)
        return variance * largest(self.dim, factor, self.whiten, self.unwhiten_gradient)


def _one_plus(W):
    return add_to_diagonal(W @ W.T, 1.0)


def _posterior(V, W):
    """Return K = I + V D⁻¹Vᵀ, D⁻¹ = I + WᵀW, and V Wᵀ."""
    VW = V @ W.T
    return add_to_diagonal(V @ V.T + VW @ VW.T, 1.0), VW


def _projector(factor):
    """Return the blocks of P."""
    _, V, W = factor
    K, VW = _posterior(V, W)
    G = _inverse(K)
    GV = G @ V
    bu = _inverse(_one_plus(W)) @ W - VW.T @ GV
    uu = _own(W) - namespace(V).sum(V * GV, axis=0)
    return Moments(add_to_diagonal(-G, 1.0), GV, uu, bu, bu @ W.T)


def _own(V):
    """Return the diagonal of (I + VᵀV)⁻¹: the share of each coordinate that is its own."""
    return 1 - namespace(V).sum(V * (_inverse(_one_plus(V)) @ V), axis=0)


def _solve(K, X):
    """Return K⁻¹ X for a small symmetric positive definite K, possibly of size 0."""
    return solve_positive(K, X) if K.shape[0] else X


def _inverse(K):
    return _solve(K, namespace(K).eye(K.shape[0], dtype=K.dtype))


def _solve_rows(K, X):
    return _solve(K, X.T).T


def _logdet(K):
    xp = namespace(K)
    return 2 * float(xp.sum(xp.log(xp.linalg.diagonal(xp.linalg.cholesky(K)))))


def _h(M):
    return add_to_diagonal(M + 0.5 * (M @ M), 1.0)


def _bounded(V):
    """Return V within LONGEST and OWN, and the factor by which s V / s changed its s, (d,).

    Where an axis has become a single coordinate, that coordinate's own scale no longer matters and
    would drift away without end (Heywood's case of factor analysis), taking all of V's length.
    """
    xp = namespace(V)
    lengths = xp.sum(V * V, axis=1)
    V = V * xp.sqrt(LONGEST / xp.clip(lengths, LONGEST, None))[:, None]
    growth = xp.sqrt(OWN / xp.clip(_own(V), 1e-8, OWN))
    return V / growth, growth
