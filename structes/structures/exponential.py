"""B exp(M) of any group, made of retractions.

The Taylor polynomial of exp of an even degree has no real zero, and pairs of conjugate zeros
p ± i q are what h can have, wherever they lie:

    h((m − p)/q − 1) = ((m − p)² + q²) / (2 q²)

So B h(a₁ M + b₁ I) … h(a₈ M + b₈ I), with a = 1/q and b = −p/q − 1, is B times the polynomial of
degree 16, up to a number, which further retractions along the identity take away, as h(x) is every
number from ½ on. Within ‖M‖ ≤ 1 it is exp(M) to rounding (8e-15); beyond, M is halved and the same
is done twice. Structures that know their exponential say it themselves.
"""

from __future__ import annotations

from functools import cache
from math import ceil, factorial, frexp, sqrt
from typing import Any

import numpy as np
from numpy.polynomial import polynomial

DEGREE = 16


def retract(structure: Any, factor: tuple, M: tuple) -> tuple:
    """Return the factor of B exp(M), where `structure.retract` is B h(M) to rounding."""
    for N in _steps(structure, M):
        factor = structure.retract(factor, N)
    return factor


def transport(structure: Any, M: tuple, q: Any) -> Any:
    """Return exp(M)ᵀ q, where `structure.transport` is h(M)ᵀ q to rounding."""
    for N in _steps(structure, M):
        q = structure.transport(N, q)
    return q


def _steps(structure: Any, M: tuple) -> list[tuple]:
    """Return the tangents N, which commute, with Π h(N) = exp(M)."""
    if not structure.has_exponential:
        raise TypeError(
            f"{type(structure).__name__} has no B exp(M): it is no group, or its retract is not "
            "B h(M) to rounding, and it defines no retract_exp and transport_exp"
        )
    doublings = max(0, frexp(float(structure.norm(M)))[1])
    M, still = structure.scale(M, 0.5**doublings), structure.scale(M, 0.0)
    linear, constants = _products()
    steps = [structure.shift(structure.scale(M, a), b) for a, b in linear]
    steps += [structure.shift(still, x) for x in constants]
    return steps * 2**doublings


@cache
def _products() -> tuple[list[tuple[float, float]], list[float]]:
    """Return [(a, b), …] and [x, …] with Π h(a m + b) Π h(x) = Σ_{k ≤ 16} mᵏ/k!."""
    taylor = np.array([1 / factorial(k) for k in range(DEGREE + 1)])
    zeros = np.roots(taylor[::-1])
    for _ in range(3):  # of Newton's steps, to the last digit
        zeros -= polynomial.polyval(zeros, taylor) / polynomial.polyval(
            zeros, polynomial.polyder(taylor)
        )
    zeros = zeros[zeros.imag > 0]
    a, b = 1 / zeros.imag, -1 - zeros.real / zeros.imag
    excess = float(np.prod(1 + b + b * b / 2))  # of the product at m = 0
    count = ceil(np.log2(excess))
    x = sqrt(2 * excess ** (-1 / count) - 1) - 1  # h(x) = excess^(−1/count) ≥ ½
    return list(zip(a.tolist(), b.tolist(), strict=True)), [x] * count
