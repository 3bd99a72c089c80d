"""From values to weights: the only place where the objective's values enter the search.

Only ranks count, so the search is invariant under any increasing transformation of the values.
A missing value (NaN) ranks last, together with +inf, and counts less than a value; equal values
share the mean of the weights of their ranks, where no coordinate is an integer (integers.py); when
all values are equal there is nothing to learn and no weights are given.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

MISSING = 0.25  # how much a missing value counts (0.1 to 0.25 are the best of 0, 0.1, ¼, ½, 1)


LEAST = 2 - 1e-9  # what the values of a generation count together, but for rounding


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
    """(n,) places 1, 2, … of ranked values that count `mass` (n,) times each: the middle of the
    stretch that each takes up."""
    return np.cumsum(mass) - mass / 2 + 0.5


def recombination_weights(mass: np.ndarray) -> Weights:
    """Logarithmic weights w'_i = ln((N+1)/2) − ln i of ranked values, split by sign.

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
    """(n,) utilities by rank, best first, sum 0 (Glasmachers et al. 2010, section 3.1)."""
    n = float(mass.sum())
    u = mass * np.maximum(0, np.log(n / 2 + 1) - np.log(positions(mass)))
    return u / u.sum() - mass / n


def with_missing(values: np.ndarray, mass):
    """The masses (n,) of values of which some are missing (NaN), None where all count the same.

    A missing value ranks last and counts as `MISSING` of one, as more only where too few are
    known. An evaluation may fail because the point is bad, or by bad luck: counted whole, failures
    by luck thin out the good half (40 % of them double the evaluations), left out, a search at the
    edge of a region that fails does not learn to stay away (1.8 times as many).
    """
    missing = np.isnan(values)
    n = np.count_nonzero(missing)
    if not n or n == len(values):
        return mass
    mass = np.ones(len(values)) if mass is None else mass
    known = float(mass[~missing].sum())
    share = max(MISSING, min(1.0, (2 - known) / float(mass[missing].sum())))
    return np.where(missing, share * mass, mass)


def ranking(values: np.ndarray, twins_apart=False):
    """(order, ranked): indices of `values` (n,) from best to worst, and the values so ordered.

    NaN ranks last. Equal values keep their order, but with `twins_apart` those of all even
    candidates come before those of the odd ones, which may be their mirror images (sampling.py).
    """
    if twins_apart:
        at = np.arange(len(values))
        order = np.lexsort((at, at % 2, values))
    else:
        order = values.argsort(kind="stable")
    return order, values[order]


def tied_with_best(ranked: np.ndarray) -> float:
    """How many of the other known values of `ranked` (n,), best first, equal the best one: a share
    from 0 to 1, which is 0 where fewer than two are known."""
    known = np.count_nonzero(ranked == ranked)
    return (np.count_nonzero(ranked == ranked[0]) - 1) / (known - 1) if known > 1 else 0.0


def assign(order: np.ndarray, ranked: np.ndarray, tables: np.ndarray, mass=None, shared=True):
    """Each row of `tables` (k, n), given by rank, handed to the candidates: (k, n), or None.

    order, ranked   of `ranking`; NaN and +inf tie
    tables          (k, n) weights by rank, best first
    mass            (n,) by rank: how much each value counts; None: all the same
    shared          whether equal values share the weights of their ranks; where they do not, those
                    that are +inf or missing still do

    None when all values are equal (or all missing): then no candidate is better than another.
    """
    known = ranked
    if ranked[-1] != ranked[-1]:  # NaN sorts last
        known = np.where(np.isnan(ranked), np.inf, ranked)
    if known[0] == known[-1]:
        return None
    same = known[1:] == known[:-1]
    if not shared:
        same &= known[1:] == np.inf
    if np.count_nonzero(same):
        tables = _share(same, tables, mass)
    given = np.empty_like(tables)
    given[:, order] = tables
    return given


def _share(same, tables, mass):
    """Tables with each run of equal values given what its ranks have, in proportion to mass.

    same   (n − 1,) whether a value, from the second on, equals the one before it
    """
    first = np.flatnonzero(np.concatenate([[True], ~same]))
    length = np.diff(np.append(first, len(same) + 1))
    if mass is None:
        return np.repeat(np.add.reduceat(tables, first, axis=1) / length, length, axis=1)
    total = np.add.reduceat(mass, first)
    return mass * np.repeat(np.add.reduceat(tables, first, axis=1) / total, length, axis=1)
