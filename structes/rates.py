"""One rule for the learning rates of every structure.

A family with few degrees of freedom can be learned fast, one with many only slowly: the noise of
one natural-gradient step is proportional to dof (math.md 4.2 [V]). The rule takes the numbers of
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


def learning_rates(dim: int, dof: float, row: float, mueff: float) -> Rates:
    """Rates for dim parameters, dof degrees of freedom, `row` numbers a row of B⁻ᵀ.

    math.md 4.3; c1 and cmu have the form that pycma uses for the diagonal, step size as in Hansen
    2016 ("The CMA evolution strategy: a tutorial").
    """
    d = dim
    m = max(dof - 1, d, row * d / 8)
    c1 = 1 / (m + 2 * sqrt(m) + mueff / d)
    cmu = min(1 - c1, (mueff + 1 / mueff - 1.75) / (m + 4 * sqrt(m) + mueff / 2))
    cc = min(1.0, max((4 + mueff / d) / (d + 4 + 2 * mueff / d), sqrt(c1)))
    cs = (mueff + 2) / (d + mueff + 5)
    ds = 1 + cs + 2 * max(0.0, sqrt((mueff - 1) / (d + 1)) - 1)
    chi = sqrt(d) * (1 - 1 / (4 * d) + 1 / (21 * d * d))
    return Rates(c1, cmu, cc, cs, ds, chi)
