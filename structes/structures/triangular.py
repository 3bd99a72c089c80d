"""Lower and upper triangular: Cholesky factors, all covariances at half the numbers.

    Lower  B = ⎡■    ⎤   Upper  B = ⎡■ ■ ■⎤    M = −tril (triu) of G = Σ w (z zᵀ − I),
               ⎢■ ■  ⎥              ⎢  ■ ■⎥        diagonal halved
               ⎣■ ■ ■⎦              ⎣    ■⎦

B itself is kept; samples come from a triangular solve. The first-order change of the covariance is
that of `dense`, because the natural gradient belongs to the family and not to its coordinates
(math.md 2.3); they differ in second order only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..backend import add_to_diagonal, namespace, solve_triangular
from .base import Structure


class Triangular(Structure):
    """What `Lower` and `Upper` share; `lower` says which triangle."""

    lower: ClassVar[bool]

    @property
    def dof(self):
        return self.dim * (self.dim + 1) // 2

    @property
    def row(self):
        return float(self.dim)

    def identity(self, xp, dtype):
        return (xp.eye(self.dim, dtype=dtype),)

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
        eye = xp.eye(self.dim, dtype=Z.dtype)
        G = (Z.T * w) @ Z - xp.sum(w) * eye
        return (G * eye * 0.5 - self._triangle(G),)

    def _triangle(self, G):
        xp = namespace(G)
        return xp.tril(G) if self.lower else xp.triu(G)

    def retract(self, factor, M, Y=None):
        (B,), (m,) = factor, M
        T = B @ m
        return (B + T + 0.5 * (T @ m),)

    def transport(self, M, q):
        (m,) = M
        t = q @ m
        return q + t + 0.5 * (t @ m)

    def norm(self, M):
        return float(namespace(M[0]).linalg.matrix_norm(M[0]))

    def shift(self, M, value):
        return (add_to_diagonal(1.0 * M[0], value),)

    def trace(self, M):
        return float(namespace(M[0]).linalg.trace(M[0]))

    def tangent_to_dense(self, M):
        return M[0]

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

    Choose it over `dense` to keep the order of the parameters: parameter j is drawn given the
    parameters after it. dof d(d+1)/2; a generation costs O(λ d²) and two d×d products, memory
    O(d²). (Lin et al. 2021.)
    """

    lower = True


@dataclass(frozen=True)
class Upper(Triangular):
    """All correlations, in the coordinates of an upper Cholesky factor of the precision.

    As `Lower` with the order of the parameters reversed: parameter j is drawn given the
    parameters before it. dof d(d+1)/2; a generation costs O(λ d²) and two d×d products, memory
    O(d²). (Lin et al. 2021.)
    """

    lower = False
