"""Lower and upper triangular Toeplitz: a signal whose correlation is the same everywhere.

    Lower  B = ⎡b₀      ⎤   Upper  B = ⎡b₀ b₁ b₂⎤    M likewise, with one number a diagonal:
               ⎢b₁ b₀   ⎥              ⎢   b₀ b₁⎥      t_j = −1/(d−j) Σ_i G_{i+j,i},  t₀ halved
               ⎣b₂ b₁ b₀⎦              ⎣      b₀⎦      G = Σ w (z zᵀ − I)

Such a matrix is a power series in the shift N, cut off at N^d: T(b) = Σ b_j N^j. Products of
matrices are products of series, so the group is commutative and everything is a convolution, done
by FFT in O(d log d); the sums Σ_i z_{i+j} z_i are an autocorrelation.

Kept are the coefficients of A = B⁻ᵀ, not of B. Either is the inverse series of the other, and the
inverse of a harmless series can grow like 2^j (1 + 2N is the shortest), whereupon the covariance
is all but singular along one direction. With A, samples are a product and stay right whatever the
inverse does; the inverse that an update needs, that of h(M), is tame, because ‖M‖ is small. What
does need B is `whiten`, of use for points that were not drawn here: its digits are lost as the
inverse grows, and when it leaves the range of numbers there is an OverflowError.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import inf, log
from typing import ClassVar

import numpy as np

from ..arrays.libraries import namespace
from ..arrays.linalg import solve_triangular
from ..arrays.scalars import number, read
from ..arrays.tiles import tiles
from .base import Structure
from .fallbacks import largest_eigenvalue, zeros

LARGEST = 1e100  # of a coefficient of an inverse, relative to the first


class Toeplitz(Structure):
    """What `ToeplitzLower` and `ToeplitzUpper` share; `lower` says which triangle."""

    lower: ClassVar[bool]

    @property
    def dof(self):
        return self.dim

    @property
    def row(self):
        return sum(1 / j for j in range(1, self.dim + 1))  # a number shared by j rows counts 1/j

    def identity(self, xp, dtype):
        return (_delta(xp, dtype, self.dim),)

    def blank(self):
        return (zeros(self.dim),)

    def unwhiten(self, factor, Z):
        return _apply(factor[0], Z, self.lower)

    def whiten(self, factor, Y):
        return _apply(_inverse(factor[0]), Y, self.lower)

    def whiten_gradient(self, factor, G):
        return _apply(factor[0], G, not self.lower)

    def unwhiten_gradient(self, factor, G):
        return _apply(_inverse(factor[0]), G, not self.lower)

    def logdet(self, factor):
        return -self.dim * log(abs(float(factor[0][0])))

    def to_dense(self, factor):
        return self._matrix(_inverse(factor[0]))

    def tangent(self, Z, w):
        xp, d = namespace(Z), self.dim
        n = _length(2 * d)
        power = 0.0
        for t in tiles(Z, 4 * d):
            F = xp.fft.rfft(Z[t, :], n=n)
            re, im = xp.real(F), xp.imag(F)
            power = power + w[t] @ (re * re + im * im)
        r = xp.fft.irfft(xp.astype(power, F.dtype), n=n)[:d]
        t = -r / self._entries(r)
        t[0] = 0.5 * (t[0] + xp.sum(w))
        return (t,)

    def _entries(self, like):
        """Return the number of entries of each diagonal (d,)."""
        return namespace(like).arange(self.dim, 0, -1, dtype=like.dtype)

    def retract(self, factor, M):
        return (_product(factor[0], _inverse(_h(M[0]))),)

    def transport(self, M, q):
        rows = q[None, :] if q.ndim == 1 else q
        moved = _apply(_h(M[0]), rows, self.lower)
        return moved[0, :] if q.ndim == 1 else moved

    def norm(self, M):
        (t,) = M
        return number(namespace(t).sum(self._entries(t) * t * t)) ** 0.5

    def shift(self, M, value):
        return (M[0] + value * _delta(namespace(M[0]), M[0].dtype, self.dim),)

    def trace(self, M):
        return self.dim * number(M[0][0])

    def tangent_to_dense(self, M):
        return self._matrix(M[0])

    def _matrix(self, c):
        return _lower_matrix(c) if self.lower else _lower_matrix(c).T

    def deviations(self, factor):
        xp = namespace(factor[0])
        sums = xp.cumulative_sum
        deviations = xp.sqrt(sums(factor[0] * factor[0]))  # row i of A holds a₀ … a_i, if B is
        return xp.flip(deviations) if self.lower else deviations  # upper; a₀ … a_{d−1−i} if not

    def condition(self, factor):
        """As in `Structure`, with one inversion; infinite when the inverse series overflows."""
        try:
            inverse = (_inverse(factor[0]),)
        except OverflowError:
            return inf

        def forth(c, V):
            return _apply(c[0], V, False)

        def back(c, V):
            return _apply(c[0], V, True)

        variance = largest_eigenvalue(self.dim, factor, forth, back)
        return variance * largest_eigenvalue(self.dim, inverse, forth, back)


@dataclass(frozen=True)
class ToeplitzLower(Toeplitz):
    """A signal with stationary correlation that ends at rest.

    The parameters are samples of a signal (a control over time, a filter, a path, a profile), and
    neighbours at the same distance correlate in the same way. A sample is white noise sent
    backwards through a filter: y_i = Σ_j a_j z_{i+j}, so the last parameter has the noise of a₀
    alone and the first gathers the most. With time reversed it is `toeplitz_upper`; far from the
    ends the two say the same. dof d; a generation costs O(λ d log d), memory O(d).
    (Lin et al. 2021.)
    """

    lower = True


@dataclass(frozen=True)
class ToeplitzUpper(Toeplitz):
    """A signal with stationary correlation that starts from rest.

    As `ToeplitzLower` with time reversed: y_i = Σ_j a_j z_{i−j}, a causal filter of white noise
    (a moving average; an autoregressive process when B is short), so the first parameter has the
    noise of a₀ alone. dof d; a generation costs O(λ d log d), memory O(d). (Lin et al. 2021.)
    """

    lower = False


# -- power series, as arrays of their first d coefficients ----------------------------------------


@cache
def _length(minimum: int) -> int:
    """Return the smallest even 2^a 3^b 5^c ≥ least: lengths that an FFT likes."""
    best = 2 ** max(1, (minimum - 1).bit_length())
    five = 1
    while five < best:
        three = five
        while three < best:
            factor = -(-minimum // three)
            best = min(best, three * 2 ** max(1, (factor - 1).bit_length()))
            three *= 3
        five *= 5
    return best


def _delta(xp, dtype, d):
    """Return the series 1."""
    one = xp.zeros(d, dtype=dtype)
    one[0] = 1.0
    return one


def _product(a, b):
    """Return the product a b."""
    xp, d = namespace(a), a.shape[0]
    n = _length(2 * d)
    return 1.0 * xp.fft.irfft(xp.fft.rfft(a, n=n) * xp.fft.rfft(b, n=n), n=n)[:d]


def _h(m):
    """Return 1 + m + m²/2."""
    h = m + 0.5 * _product(m, m)
    h[0] += 1.0
    return h


def _inverse(a):
    """Return 1/a: the first coefficients by substitution, then twice as many in each of Newton's
    steps b ← b − b (a b − 1), in which only the second half is new.

    Raises OverflowError when the coefficients grow beyond all numbers.
    """
    xp, d = namespace(a), a.shape[0]
    k = min(d, 32)
    one = _delta(xp, a.dtype, k)
    b = solve_triangular(_lower_matrix(a[:k]), one[:, None], lower=True)[:, 0]
    with np.errstate(over="ignore", invalid="ignore"):  # seen in the end
        while k < d:
            m = min(2 * k, d)
            n = _length(m)  # cyclic: what wraps around falls on coefficients that are not used
            B = xp.fft.rfft(b, n=n)
            remainder = xp.fft.irfft(xp.fft.rfft(a[:m], n=n) * B, n=n)[k:m]
            added = xp.fft.irfft(xp.fft.rfft(remainder, n=n) * B, n=n)[: m - k]
            b, k = xp.concat([b, -added]), m
    _check_size(b)
    return b


def _check_size(b):
    xp = namespace(b)
    largest, first = read(number(xp.max(xp.abs(b))), number(b[0]))
    if not largest < LARGEST * abs(first):
        raise OverflowError(
            f"Toeplitz: the inverse of this factor has coefficients beyond {LARGEST:g} among its "
            f"first {b.shape[0]}: the covariance is singular in floating point. Samples are still "
            "right; points that were not drawn from it (injected ones) cannot be whitened"
        )


def _apply(c, X, transposed):
    """Return the rows T(c) x, or T(c)ᵀ x, of the rows x of X (n, d): a convolution or a
    correlation."""
    xp, d = namespace(X), c.shape[0]
    n = _length(2 * d)
    C = xp.fft.rfft(c, n=n)
    C = xp.conj(C) if transposed else C
    out = xp.empty(X.shape, dtype=X.dtype)
    for t in tiles(X, 4 * d):
        out[t, :] = xp.fft.irfft(xp.fft.rfft(X[t, :], n=n) * C, n=n)[:, :d]
    return out


def _lower_matrix(c):
    """Return T(c) as a (d, d) array."""
    xp, d = namespace(c), c.shape[0]
    i = xp.arange(d)
    distance = xp.reshape(xp.abs(i[:, None] - i[None, :]), (-1,))
    return xp.tril(xp.reshape(xp.take(c, distance), (d, d)))
