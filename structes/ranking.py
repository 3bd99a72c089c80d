"""From values to weights: the only place where the objective's values enter the search.

Only ranks count, so the search is invariant under any increasing transformation of the values.
A missing value (NaN) ranks last, together with +inf; equal values share the mean of the weights
of their ranks; when all values are equal there is nothing to learn and no weights are given.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Weights(NamedTuple):
    """Recombination weights by rank, best first (Hansen 2016, eq. 49–53).

    positive  (n,) weights of the mean, sum 1, zero for the worse half
    negative  (n,) weights of the worse half, sum −1, zero for the better half
    mueff     variance-effective selection mass 1 / Σ positive²
    mueff_negative   the same of the negative weights
    """

    positive: np.ndarray
    negative: np.ndarray
    mueff: float
    mueff_negative: float


def recombination_weights(n: int) -> Weights:
    """Logarithmic weights w'_i = ln((n+1)/2) − ln i of n ≥ 2 ranks, split by sign."""
    if n < 2:
        raise ValueError(f"ranking needs at least 2 values; got {n}")
    raw = np.log((n + 1) / 2) - np.log(np.arange(1, n + 1))
    positive, negative = np.maximum(raw, 0), np.minimum(raw, 0)
    positive /= positive.sum()
    negative /= -negative.sum()
    mueff, mueff_negative = 1 / float(positive @ positive), 1 / float(negative @ negative)
    return Weights(positive, negative, mueff, mueff_negative)


def xnes_utilities(n: int) -> np.ndarray:
    """(n,) utilities by rank, best first, sum 0 (Glasmachers et al. 2010, section 3.1)."""
    u = np.maximum(0, np.log(n / 2 + 1) - np.log(np.arange(1, n + 1)))
    return u / u.sum() - 1 / n


def assign(values: np.ndarray, tables: np.ndarray):
    """Each row of `tables` (k, n), given by rank, handed to the candidates: (weights, ranked).

    values   (n,) floats; smaller is better, NaN and +inf rank last together
    tables   (k, n) weights by rank, best first

    weights  (k, n), or None when all values are equal (or all missing): then no candidate is
             better than another
    ranked   (n,) the values in ascending order, NaN last
    """
    order = values.argsort(kind="stable")
    ranked = values[order]
    known = ranked
    if ranked[-1] != ranked[-1]:  # NaN sorts last
        known = np.where(np.isnan(ranked), np.inf, ranked)
    if known[0] == known[-1]:
        return None, ranked
    if (known[1:] == known[:-1]).any():
        tables = _share(known, tables)
    given = np.empty_like(tables)
    given[:, order] = tables
    return given, ranked


def _share(ranked, tables):
    """Tables with each run of equal values given the mean of its weights."""
    first = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    length = np.diff(np.append(first, len(ranked)))
    return np.repeat(np.add.reduceat(tables, first, axis=1) / length, length, axis=1)
