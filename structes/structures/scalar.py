"""Scalar: one scale for all parameters, the isotropic Gaussian.

M = −(1/2d) Σ w (‖z‖² − d) I
"""

from __future__ import annotations

from dataclasses import dataclass

from ..arrays.libraries import namespace
from ..arrays.linalg import total
from ..arrays.scalars import number
from .entrywise import Entrywise
from .fallbacks import zeros


@dataclass(frozen=True)
class Scalar(Entrywise):
    """Multiples of the identity: only the step size is learned.

        B = b I

    Choose it for problems that are already well scaled, or as a floor to compare with.
    dof 1; a generation costs O(λ d), memory O(1). (Lin et al. 2021.)
    """

    @property
    def dof(self):
        return 1

    def identity(self, xp, dtype):
        return (xp.ones(1, dtype=dtype),)

    def blank(self):
        return (zeros(1),)

    def logdet(self, factor):
        xp = namespace(factor[0])
        return self.dim * float(xp.sum(xp.log(xp.abs(factor[0]))))

    def to_dense(self, factor):
        return factor[0] * namespace(factor[0]).eye(self.dim, dtype=factor[0].dtype)

    def tangent_of_squares(self, squares, weight):
        xp = namespace(squares)
        return (xp.reshape(-0.5 / self.dim * (total(squares) - self.dim * weight), (1,)),)

    def tangent(self, Z, w):
        return self.tangent_of_squares(w * namespace(Z).vecdot(Z, Z), total(w))

    def norm(self, M):
        return self.dim**0.5 * abs(number(M[0][0]))

    def trace(self, M):
        return self.dim * number(M[0][0])

    def tangent_to_dense(self, M):
        return M[0] * namespace(M[0]).eye(self.dim, dtype=M[0].dtype)

    def deviations(self, factor):
        xp = namespace(factor[0])
        return xp.ones(self.dim, dtype=factor[0].dtype) / xp.abs(factor[0])

    def condition(self, factor):
        return 1.0
