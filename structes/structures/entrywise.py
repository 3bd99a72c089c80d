"""What `diagonal` and `scalar` share: B is numbers that multiply entries."""

from __future__ import annotations

from .base import Structure


class Entrywise(Structure):
    """factor = (b,) and M = (m,): vectors of d numbers, or of one that stands for all."""

    def unwhiten(self, factor, Z):
        return Z / factor[0]

    def whiten(self, factor, Y):
        return Y * factor[0]

    def whiten_gradient(self, factor, G):
        return G / factor[0]

    def unwhiten_gradient(self, factor, G):
        return G * factor[0]

    def retract(self, factor, M, Y=None):
        (m,) = M
        return (factor[0] * (1 + m + 0.5 * m * m),)

    def transport(self, M, q):
        (m,) = M
        return q * (1 + m + 0.5 * m * m)

    def shift(self, M, value):
        return (M[0] + value,)
