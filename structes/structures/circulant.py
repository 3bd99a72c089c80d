"""Circulant: a ring of parameters whose correlation depends on their distance alone.

    B = ⎡c₀ c₁ c₂ c₁⎤    symmetric; an entry depends on the distance |i − j| around the ring
        ⎢c₁ c₀ c₁ c₂⎥    B = F diag(s) F*,   F the discrete Fourier transform
        ⎢c₂ c₁ c₀ c₁⎥    s_f = s_{d−f}: the half spectrum, d//2 + 1 numbers
        ⎣c₁ c₂ c₁ c₀⎦

All such matrices share their eigenvectors, so the group is commutative and everything happens
frequency by frequency: a product of matrices is one of spectra, and the projection of G on the
tangent space is the diagonal of F* G F, the power spectrum of the samples:

    M_f = −½ Σ w (|ẑ_f|²/d − 1),  ẑ = FFT(z), averaged over f and d − f, which are equal
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays.libraries import namespace
from ..arrays.linalg import total
from ..arrays.scalars import number
from ..arrays.tiles import tiles
from .base import Structure
from .fallbacks import zeros


@dataclass(frozen=True)
class Circulant(Structure):
    """A signal on a ring: angles, hours of the day, spokes, a closed contour.

    Choose it when parameters at the same distance around a ring correlate in the same way, and
    all have the same scale. Far from the ends of a long signal `toeplitz_lower` and
    `toeplitz_upper` say the same without closing the ring. dof d//2 + 1; a generation costs
    O(λ d log d), memory O(d). (Gray 2006, "Toeplitz and circulant matrices"; a torus in the
    general linear group, as in Lin et al. 2021.)

    Parameters
    ----------
    dim : int
        Number of parameters, d.
    """

    def identity(self, xp, dtype):
        return (xp.ones(self.dim // 2 + 1, dtype=dtype),)

    def blank(self):
        return (zeros(self.dim // 2 + 1),)

    def to_dense(self, factor):
        (s,) = factor
        xp, d = namespace(s), self.dim
        c = 1.0 * _signal(s - s[0], d)  # exact where the spectrum is flat, as that of I is
        c[0] += s[0]
        i = xp.arange(d)
        distance = xp.reshape((i[:, None] - i[None, :]) % d, (-1,))
        return xp.reshape(xp.take(c, distance), (d, d))

    @property
    def dof(self):
        return self.dim // 2 + 1

    def unwhiten(self, factor, Z):
        return self._filter(1 / factor[0], Z)

    def whiten(self, factor, Y):
        return self._filter(factor[0], Y)

    def whiten_gradient(self, factor, G):
        return self._filter(1 / factor[0], G)

    def unwhiten_gradient(self, factor, G):
        return self._filter(factor[0], G)

    def _filter(self, s, X):
        """Return the rows C(s) x of the rows x of X (n, d)."""
        xp, d = namespace(X), self.dim
        out = xp.empty(X.shape, dtype=X.dtype)
        for t in tiles(X, 4 * d):
            F = xp.fft.rfft(X[t, :], n=d)
            out[t, :] = xp.fft.irfft(F * s, n=d)
        return out

    def _counts(self, like):
        """How often each number of the half spectrum is an eigenvalue: 1 or 2."""
        f = np.arange(self.dim // 2 + 1)
        return namespace(like).asarray(np.where(2 * f % self.dim == 0, 1, 2), dtype=like.dtype)

    def logdet(self, factor):
        (s,) = factor
        xp = namespace(s)
        return float(xp.sum(self._counts(s) * xp.log(xp.abs(s))))

    def tangent(self, Z, w):
        xp, d = namespace(Z), self.dim
        power = 0.0
        for t in tiles(Z, 4 * d):
            F = xp.fft.rfft(Z[t, :], n=d)
            re, im = xp.real(F), xp.imag(F)
            power = power + w[t] @ (re * re + im * im)
        return (-0.5 * (power / d - total(w)),)

    def retract(self, factor, M):
        (m,) = M
        return (factor[0] * (1 + m + 0.5 * m * m),)

    def transport(self, M, q):
        (m,) = M
        rows = q[None, :] if q.ndim == 1 else q
        rows = self._filter(1 + m + 0.5 * m * m, rows)
        return rows[0, :] if q.ndim == 1 else rows

    def norm(self, M):
        (m,) = M
        return number(self._counts(m) @ (m * m)) ** 0.5

    def shift(self, M, value):
        return (M[0] + value,)

    def trace(self, M):
        return number(self._counts(M[0]) @ M[0])

    def deviations(self, factor):
        (s,) = factor
        xp = namespace(s)
        variance = (self._counts(s) @ (1 / (s * s))) / self.dim
        return xp.sqrt(variance) * xp.ones(self.dim, dtype=s.dtype)

    def condition(self, factor):
        xp = namespace(factor[0])
        s = xp.abs(factor[0])
        return float(xp.max(s) / xp.min(s)) ** 2


def _signal(s, d):
    """Return the (d,) numbers whose half spectrum is s."""
    xp = namespace(s)
    dtype = xp.complex64 if s.dtype == xp.float32 else xp.complex128
    return xp.fft.irfft(xp.astype(s, dtype), n=d)
