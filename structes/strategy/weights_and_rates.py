"""Weights and learning rates of one generation: they follow from how many samples there are, or
how much each counts, before any value is looked at."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..structures.base import Structure
from .engine import Engine
from .ranking import recombination_weights, xnes_utilities
from .rates import Rates, learning_rates


class Plan(NamedTuple):
    """Weights and rates for n ranked values."""

    tables: np.ndarray  # (3, n) by rank: weights of the mean; cmu times those of G, + and −
    mueff: float
    rates: Rates


def plan_for(structure: Structure, engine: Engine, n: int, mirrored: bool) -> Plan:
    """Plan for n samples of the present distribution; `mirrored`: each stands beside its mirror
    image."""
    return plan_of(structure, engine, np.ones(n), mirrored)


def plan_of(structure: Structure, engine: Engine, mass, mirrored: bool) -> Plan:
    """Plan for samples that count `mass` (n,), the best first; `mirrored` as for `plan_for`."""
    n = float(mass.sum())
    if engine.natural:
        u = xnes_utilities(mass)
        rates = learning_rates(structure, engine, n, mueff=n / 4, mueff_mean=n / 4)
        return Plan(np.stack([u, rates.cmu * u, 0 * u]), 1 / float(u @ u), rates)
    good, other, bad, mueff, mueff_bad = recombination_weights(mass)
    mean = good - engine.mirror / (1 + 0.6 * n / structure.dim) * other
    square = float(mean @ mean)
    if mirrored:  # E ‖Σ w z‖²/d under random ranks, where Σ z = 0
        square = (n * square - float(mean.sum()) ** 2) / (n - 1)
    mueff_mean = 1 / square
    rates = learning_rates(structure, engine, n, mueff, mueff_mean)
    # Hansen 2016 eq. 49–52, without the bound that keeps C positive: h(M) is never singular
    alpha = 1 + 2 * mueff_bad / (mueff + 2)
    if rates.cmu > 0:
        alpha = min(alpha, 1 + rates.c1 / rates.cmu)
    return Plan(np.stack([mean, rates.cmu * good, rates.cmu * alpha * bad]), mueff_mean, rates)
