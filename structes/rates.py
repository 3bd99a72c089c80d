"""One rule for the learning rates of every structure.

A family with few degrees of freedom can be learned fast, one with many only slowly: the noise of
one natural-gradient step is proportional to dof. The rule takes the numbers of
the structure and nothing else; no structure has rates of its own.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple


class Rates(NamedTuple):
    """Learning rates of one generation.

    c1, cmu   of the rank-one and the rank-µ part of the natural gradient
    cc        of the path; cs, ds: of the step-size path, and its damping
    chi       expected length of a standard normal vector in d dimensions
    """

    c1: float
    cmu: float
    cc: float
    cs: float
    ds: float
    chi: float


def learning_rates(dim: int, dof: float, row: float, n: int, mueff: float) -> Rates:
    """Rates for dim parameters, dof degrees of freedom, `row` numbers a row of B⁻ᵀ, n values.

    c1 and cmu have the form that CMA-ES uses for the dense matrix (Hansen 2016, eq. 57–58: there
    2 m = d² + 3 d + 4 and speed = 1), with the size m of the structure in place of d²/2:

        c1 = min(1, n/6) r,  cmu = (mueff − 7/4 + 1/mueff) r,  r = 2 s / (2 m + d + 4 + 2 s mueff)

    m is dof; at least d, because tied numbers must not adapt faster than the mean moves; at least
    row d/8, because a long row of B⁻ᵀ gathers the noise of all its entries. The
    speed s goes from 1.25 where m ≫ d to 2 where m = d: measured on BBOB, stable to three times
    that. With very few values the rank-one part must slow down or it runs away (n/6: pycma).
    """
    d = dim
    m = max(dof, d, row * d / 8)
    s = 1.25 + 0.75 * d / m
    rate = 2 * s / (2 * m + d + 4 + 2 * s * mueff)
    c1 = min(1, n / 6) * rate
    cmu = min(1 - c1, 0.9, rate * (mueff + 1 / mueff - 1.75))
    cc = min(1.0, max((4 + mueff / d) / (d + 4 + 2 * mueff / d), sqrt(c1)))
    cs = (mueff + 2) / (d + mueff + 5)
    ds = 1 + cs + 2 * max(0.0, sqrt((mueff - 1) / (d + 1)) - 1)
    chi = sqrt(d) * (1 - 1 / (4 * d) + 1 / (21 * d * d))
    return Rates(c1, cmu, cc, cs, ds, chi)
