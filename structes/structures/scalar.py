"""Scalar: one scale for all parameters, the isotropic Gaussian.

B = b I            M = −(1/2d) Σ w (‖z‖² − d) I
"""

from __future__ import annotations

from dataclasses import dataclass

from ..backend import namespace
from .base import Structure


@dataclass(frozen=True)
class Scalar(Structure):
    """Multiples of the identity: only the step size is learned.

    Choose it for problems that are already well scaled, or as a floor to compare with.
    dof 1; a generation costs O(λ d), memory O(1). (Lin et al. 2021.)
    """

    @property
    def dof(self):
        return 1

    def identity(self, xp, dtype):
        return (xp.ones(1, dtype=dtype),)

    def unwhiten(self, factor, Z):
        return Z / factor[0]

    def whiten(self, factor, Y):
        return Y * factor[0]

    def whiten_gradient(self, factor, G):
        return G / factor[0]

    def unwhiten_gradient(self, factor, G):
        return G * factor[0]

    def logdet(self, factor):
        xp = namespace(factor[0])
        return self.dim * float(xp.sum(xp.log(xp.abs(factor[0]))))

    def to_dense(self, factor):
        return factor[0] * namespace(factor[0]).eye(self.dim, dtype=factor[0].dtype)

    def tangent(self, Z, w):
        xp = namespace(Z)
        total = w @ xp.vecdot(Z, Z) - self.dim * xp.sum(w)
        return (xp.reshape(-0.5 / self.dim * total, (1,)),)

    def retract(self, factor, M, Y=None):
        (m,) = M
        return (factor[0] * (1 + m + 0.5 * m * m),)

    def transport(self, M, q):
        (m,) = M
        return q * (1 + m + 0.5 * m * m)

    def norm(self, M):
        return self.dim**0.5 * abs(float(M[0][0]))

    def shift(self, M, value):
        return (M[0] + value,)

    def trace(self, M):
        return self.dim * float(M[0][0])

    def tangent_to_dense(self, M):
        return M[0] * namespace(M[0]).eye(self.dim, dtype=M[0].dtype)

    def deviations(self, factor):
        xp = namespace(factor[0])
        return xp.ones(self.dim, dtype=factor[0].dtype) / xp.abs(factor[0])

    def condition(self, factor):
        return 1.0
