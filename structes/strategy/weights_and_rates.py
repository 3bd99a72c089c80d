"""Weights and learning rates of one generation.

They follow from how many samples there are, or how much each counts, before any value is looked
at. A family with few degrees of freedom can be learned fast, one with many only slowly: the noise
of one natural-gradient step is proportional to dof. One rule takes the numbers of the structure
and the switches of the engine, nothing else; no structure has rates of its own.
"""

from __future__ import annotations

from math import inf, log, sqrt
from typing import NamedTuple

import numpy as np

from ..structures.base import Structure
from .engine import Engine, Natural

LEAST = 2 - 1e-9  # what the values of a generation count together, but for rounding


class Rates(NamedTuple):
    """Learning rates of one generation.

    c1, cmu   of the rank-one and the rank-µ part of the natural gradient, for the first of the
              structure's parts
    parts     what the step of each part is multiplied with; None where all learn alike
    cc        of the path; cs, ds: of the step-size path, and its damping (inf: sigma moves by the
              natural gradient alone)
    chi       expected length of a standard normal vector in d dimensions
    entropy   gamma times cmu: the weight of E log q
    """

    c1: float
    cmu: float
    parts: tuple | None
    cc: float
    cs: float
    ds: float
    chi: float
    entropy: float = 0.0


class WeightsAndRates(NamedTuple):
    """What n ranked values are worth.

    tables   (3, n) weights by rank, best first: of the mean; cmu times those of the natural
             gradient that are positive, and those that are negative
    mueff    variance-effective selection mass of the weights of the mean
    rates    the learning rates
    """

    tables: np.ndarray
    mueff: float
    rates: Rates


class Weights(NamedTuple):
    """Recombination weights by rank, best first (Hansen 2016, eq. 49–53).

    positive  (n,) weights of the mean, sum 1, zero for the worse half
    mirrored  (n,) the same counted from the other end: zero for the better half, sum 1
    negative  (n,) weights of the worse half, sum −1, zero for the better half
    mueff     variance-effective selection mass 1 / Σ positive²
    mueff_negative   the same of the negative weights
    """

    positive: np.ndarray
    mirrored: np.ndarray
    negative: np.ndarray
    mueff: float
    mueff_negative: float


def positions(mass: np.ndarray) -> np.ndarray:
    """Return (n,) places 1, 2, … of ranked values that count `mass` (n,) times each: the middle of
    the stretch that each takes up."""
    return np.cumsum(mass) - mass / 2 + 0.5


def recombination_weights(mass: np.ndarray) -> Weights:
    """Return the logarithmic weights w'_i = ln((N+1)/2) − ln i of ranked values, split by sign.

    mass   (n,) how much each value counts, in (0, 1]: 1 for a sample of the distribution, less for
           one of an earlier one; N = Σ mass ≥ 2
    """
    n = float(mass.sum())
    if len(mass) < 2 or n < LEAST:
        raise ValueError(f"ranking needs values that count as 2 at least; got {n:g}")
    place, middle = positions(mass), np.log((n + 1) / 2)
    raw = mass * (middle - np.log(place))
    positive, negative = np.maximum(raw, 0), np.minimum(raw, 0)
    mirrored = np.maximum(mass * (middle - np.log(n + 1 - place)), 0)
    positive /= positive.sum()
    mirrored /= mirrored.sum()
    negative /= -negative.sum()
    mueff, mueff_negative = 1 / float(positive @ positive), 1 / float(negative @ negative)
    return Weights(positive, mirrored, negative, mueff, mueff_negative)


def xnes_utilities(mass: np.ndarray) -> np.ndarray:
    """Return (n,) utilities by rank, best first, sum 0 (Glasmachers et al. 2010, section 3.1)."""
    n = float(mass.sum())
    u = mass * np.maximum(0, np.log(n / 2 + 1) - np.log(positions(mass)))
    return u / u.sum() - mass / n


def weights_and_rates(
    structure: Structure, engine: Engine, mass: np.ndarray, mirrored: bool
) -> WeightsAndRates:
    """Return the weights and rates of samples with importance weights `mass` (n,), the best first.

    A sample of the present distribution has the importance weight 1. `mirrored` says that each
    sample stands beside its mirror image.
    """
    n = float(mass.sum())
    if engine.natural is not None:
        u = xnes_utilities(mass)
        rates = learning_rates(structure, engine, n, mueff=n / 4, mueff_mean=n / 4)
        tables = natural_weights(engine.natural, rates, u)
        return WeightsAndRates(tables, 1 / float(u @ u), rates)
    good, reversed_, bad, mueff, mueff_bad = recombination_weights(mass)
    mean = good - engine.mirror / (1 + 0.6 * n / structure.dim) * reversed_
    square = float(mean @ mean)
    if mirrored:  # E ‖Σ w z‖²/d under random ranks, where Σ z = 0
        square = (n * square - float(mean.sum()) ** 2) / (n - 1)
    mueff_mean = 1 / square
    rates = learning_rates(structure, engine, n, mueff, mueff_mean)
    # Hansen 2016 eq. 49–53; h(M) is never singular, and needs no bound that keeps C positive
    alpha = 1 + 2 * mueff_bad / (mueff + 2)
    if rates.cmu > 0:
        alpha = min(alpha, 1 + rates.c1 / rates.cmu)
        if engine.textbook:
            alpha = min(alpha, (1 - rates.c1 - rates.cmu) / (structure.dim * rates.cmu))
    tables = np.stack([mean, rates.cmu * good, rates.cmu * alpha * bad])
    return WeightsAndRates(tables, mueff_mean, rates)


def natural_weights(rule: Natural, rates: Rates, w: np.ndarray) -> np.ndarray:
    """Return the table (3, n) of the weights w (n,) of samples of either sign, larger = better:
    those of the natural gradient are not stretched."""
    return np.stack([rule.mean_rate * w, rates.cmu * w, 0 * w])


def learning_rates(
    structure: Structure, engine: Engine, n: float, mueff: float, mueff_mean: float
) -> Rates:
    """Return the rates for samples that count as n.

    mueff, mueff_mean   variance-effective selection mass of the weights of the covariance (the
                        positive ones), and of the mean

    c1 and cmu have the form that CMA-ES uses for the dense matrix (Hansen 2016, eq. 57–58: there
    2 m = d² + 3 d + 4 and s = 1), with the size m of a part of the structure in place of d²/2:

        c1 = min(1, n/6) r,  cmu = (mueff − 7/4 + 1/mueff) r,  r = 2 s / (2 m + d + 4 + 2 s mueff)

    m is its dof; at least d, because tied numbers must not adapt faster than the mean moves; at
    least row d/8, because a long row of B⁻ᵀ gathers the noise of all its entries. The speed s goes
    from `engine.speed` where m ≫ d to 2 where m = d. A diagonal that is learned beside other
    numbers has the speed 2 − 1.4 f with f = (dof − d) / (d (d − 1)/2), the share of all possible
    couplings that the structure has: 2 when it is all there is, 0.6 beside a dense matrix (there a
    faster one goes astray on multimodal functions). Measured on BBOB, flat to a factor of two.
    With very few values the rank-one part must slow down or it runs away (n/6: pycma).

    The textbook (Hansen 2016, eq. 57–58, α = 2 s, with `engine.speed` for s) has for a dense C

        c1 = α / ((d + 1.3)² + mueff),  cmu = α (mueff − 7/4 + 1/mueff) / ((d + 2)² + α mueff/2)

    and here, for any structure, 2 dof − d in place of d². Its cc knows no √c1.
    """
    d = structure.dim
    chi = sqrt(d) * (1 - 1 / (4 * d) + 1 / (21 * d * d))
    if engine.natural is not None:
        rate = engine.natural.rate
        rate = 0.6 * (3 + log(d)) / (d * sqrt(d)) if rate is None else rate
        return Rates(0.0, rate, None, 1.0, 1.0, inf, chi, rate * engine.natural.gamma)
    sizes = structure.parts if engine.parts else (structure.dof,)
    c1, cmu = zip(*(_part(dof, structure, engine, n, mueff) for dof in sizes), strict=True)
    parts = tuple(rate / cmu[0] for rate in cmu)
    cc = (4 + mueff / d) / (d + 4 + 2 * mueff / d)
    if not engine.textbook:
        cc = min(1.0, max(cc, sqrt(c1[0])))
    cs = (mueff_mean + 2) / (d + mueff_mean + 5)
    d0 = 0.3 + 2 / d if engine.damping is None else engine.damping
    ds = d0 + cs + 2 * max(0.0, sqrt(max(0.0, mueff_mean - 1) / (d + 1)) - 1)
    return Rates(c1[0], cmu[0], parts if len(parts) > 1 else None, cc, cs, ds, chi)


def _part(dof, structure, engine, n, mueff) -> tuple:
    """Return c1 and cmu of a part with dof degrees of freedom."""
    d, m = structure.dim, max(dof, structure.dim)
    if engine.textbook:
        s, size = engine.speed, 2 * m - d
        c1 = 2 * s / (size + 2.6 * d + 1.69 + mueff)
        return c1, min(1 - c1, 2 * s * (mueff + 1 / mueff - 1.75) / (size + 4 * d + 4 + s * mueff))
    if dof <= d < structure.dof:
        s = 2 - 1.4 * (structure.dof - d) / (d * (d - 1) / 2)
    else:
        m = max(m, structure.row * d / 8)
        s = engine.speed + (2 - engine.speed) * d / m
    rate = 2 * s / (2 * m + d + 4 + 2 * s * mueff)
    c1 = min(1, n / 6) * rate
    return c1, min(1 - c1, 0.9, rate * (mueff + 1 / mueff - 1.75))
