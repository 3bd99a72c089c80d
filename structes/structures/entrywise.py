"""What `diagonal` and `scalar` share: B is numbers that multiply entries."""

from __future__ import annotations

from abc import abstractmethod

from ..arrays.libraries import namespace
from ..arrays.linalg import total, weighted_squares
from .base import Structure


class Entrywise(Structure):
    """factor = (b,) and M = (m,): vectors of d numbers, or of one that stands for all."""

    is_diagonal = True
    moves_straight = True

    @abstractmethod
    def tangent_of_squares(self, squares, weight) -> tuple:
        """Return `tangent` from Σ w z² (d,) and Σ w, which say all of the samples."""

    def tangent(self, Z, w):
        return self.tangent_of_squares(weighted_squares(Z, w), total(w))

    def unwhiten(self, factor, Z):
        return Z / factor[0]

    def whiten(self, factor, Y):
        return Y * factor[0]

    def whiten_gradient(self, factor, G):
        return G / factor[0]

    def unwhiten_gradient(self, factor, G):
        return G * factor[0]

    def retract(self, factor, M):
        (m,) = M
        return (factor[0] * (1 + m + 0.5 * m * m),)

    def transport(self, M, q):
        (m,) = M
        return q * (1 + m + 0.5 * m * m)

    def retract_exp(self, factor, M):
        return (factor[0] * namespace(M[0]).exp(M[0]),)

    def transport_exp(self, M, q):
        return q * namespace(M[0]).exp(M[0])

    def retract_straight(self, factor, M):
        return (factor[0] / namespace(M[0]).sqrt(1 - 2 * M[0]),)

    def shift(self, M, value):
        return (M[0] + value,)
