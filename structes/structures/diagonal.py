"""Diagonal: every parameter has its own scale, no correlations.

M_j = −½ Σ w (z_j² − 1),   B ← B h(M), entry by entry
"""

from __future__ import annotations

from dataclasses import dataclass

from ..arrays.libraries import namespace
from ..arrays.linalg import total
from ..arrays.scalars import number
from .entrywise import Entrywise
from .fallbacks import zeros


@dataclass(frozen=True)
class Diagonal(Entrywise):
    """Independent parameters of different scales ("separable").

        B = ⎡b₁      ⎤
            ⎢   ⋱    ⎥
            ⎣     b_d⎦

    Choose it when parameters act on their own, or when d is so large that nothing else is
    affordable. dof d; a generation costs O(λ d), memory O(d).
    The family of sep-CMA-ES (Ros & Hansen 2008) and SNES (Schaul et al. 2011).
    """

    is_entrywise = True

    @property
    def dof(self):
        return self.dim

    def identity(self, xp, dtype):
        return (xp.ones(self.dim, dtype=dtype),)

    def blank(self):
        return (zeros(self.dim),)

    def logdet(self, factor):
        xp = namespace(factor[0])
        return float(xp.sum(xp.log(xp.abs(factor[0]))))

    def to_dense(self, factor):
        return _diag(factor[0])

    def tangent_of_squares(self, squares, weight):
        return (-0.5 * (squares - weight),)

    def norm(self, M):
        return number(M[0] @ M[0]) ** 0.5

    def trace(self, M):
        return number(total(M[0]))

    def tangent_to_dense(self, M):
        return _diag(M[0])

    def deviations(self, factor):
        return 1 / namespace(factor[0]).abs(factor[0])

    def condition(self, factor):
        xp = namespace(factor[0])
        b = xp.abs(factor[0])
        return float(xp.max(b) / xp.min(b)) ** 2


def _diag(b):
    xp = namespace(b)
    return b[:, None] * xp.eye(b.shape[0], dtype=b.dtype)
