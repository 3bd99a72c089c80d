"""From the values of a generation to a weight for each of its samples.

This is the only place where the objective's values enter the search. Only ranks count, unless the
engine wants raw values, so the search is invariant under any increasing transformation of the
values. A missing value (NaN) ranks
last, together with +inf, and counts less than a value; equal values share the mean of the weights
of their ranks, where no coordinate is an integer (space/integers.py); when all values are equal
there is nothing to learn and no weights are given, but where the entropy counts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..arrays.libraries import namespace
from .settings import Settings
from .weights_and_rates import LEAST, WeightsAndRates, natural_weights, weights_and_rates

MISSING = 0.25  # how much a missing value counts (0.1 to 0.25 are the best of 0, 0.1, ¼, ½, 1)


class Weighed(NamedTuple):
    """Weights of samples by the ranks of their values.

    rows   (3, n): weights of the mean, and of the natural gradient those ≥ 0 and those < 0 (of a
           Natural all in one row); None where all values tie, or count as less than two
    summary  best, median and worst value
    plan   WeightsAndRates by rank that they are of
    tied   share of the values that equal the best one, where some coordinates are integers, which
           is then their plateau; elsewhere 0
    """

    rows: np.ndarray | None
    summary: tuple
    plan: WeightsAndRates | None
    tied: float = 0.0


def weigh(settings: Settings, values, mass=None) -> Weighed:
    """Return what follows from the ranks of the values (n,), smaller better.

    Values that tie share their weights (with integers the one that was drawn first ranks first),
    NaN ranks last and counts a quarter. `mass` (n,) are the importance weights of the samples;
    None: 1 for all.
    """
    integers, rule = settings.domain.has_integers, settings.engine.natural
    order, ranked = ranking(values, integers)
    summary = float(ranked[0]), float(ranked[len(ranked) // 2]), float(ranked[-1])
    tied = tied_with_best(ranked) if integers else 0.0
    if rule is not None and rule.values == "raw":
        rows, plan = weigh_raw(settings, values, mass)
        return Weighed(rows, summary, plan, tied)
    if ranked[-1] != ranked[-1]:  # NaN sorts last
        mass = with_missing(values, mass)
    if (len(values) if mass is None else mass.sum()) < LEAST:
        return Weighed(None, summary, None)
    if mass is None:
        plan = settings.plan(len(values))
    else:
        mass = mass[order]
        plan = weights_and_rates(settings.structure, settings.engine, mass, mirrored=False)
    rows = assign(order, ranked, plan.tables, mass, shared=not integers)
    if rows is None and plan.rates.entropy:
        rows = np.zeros((3, len(values)))
    return Weighed(rows, summary, plan, tied)


def weigh_raw(settings: Settings, values, mass=None) -> tuple:
    """Return the rows (3, n) of raw weights, and the plan; None where fewer than two values are
    known.

    With importance weights m of the known values and their sum m̄ the weights are −m (f − b)/m̄,
    where the baseline b that leaves a value out is (Σ m f − m_k f_k)/(m̄ − m_k).
    """
    rule, is_known = settings.engine.natural, np.isfinite(values)
    mass = np.where(is_known, 1.0 if mass is None else mass, 0.0)
    if mass.sum() < LEAST:
        return None, None
    f, total = np.where(is_known, values, 0.0), float(mass.sum())
    if isinstance(rule.baseline, str):
        f = np.where(is_known, f - float(mass @ f) / total, 0.0)  # now Σ m f is 0
        share = 1.0 if rule.baseline == "mean" else total / (total - mass)
    else:
        f, share = f - rule.baseline, 1.0
    plan = settings.plan(2)  # of any number: the rates of the natural gradient are the same
    weights = -mass * share * f / total
    tables = natural_weights(rule, plan.rates, weights)
    return tables, plan


def weights_of(settings: Settings, weighed: Weighed, like) -> tuple:
    """Return the rows of the weights as arrays of the library of `like`, in the precision of
    candidates."""
    rows = weighed.rows
    if not isinstance(like, np.ndarray):
        rows = namespace(like).asarray(rows)
        rows = [rows[k, :] for k in range(3)]
    return tuple(rows) if settings.redraws else settings.lowered(tuple(rows))


def with_missing(values: np.ndarray, mass):
    """Return the masses (n,) of values of which some are missing (NaN), None where all count the
    same.

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
    count = float(mass[~missing].sum())
    share = max(MISSING, min(1.0, (2 - count) / float(mass[missing].sum())))
    return np.where(missing, share * mass, mass)


def ranking(values: np.ndarray, twins_apart=False):
    """Return (order, ranked): indices of `values` (n,) from best to worst, and the values so
    ordered.

    NaN ranks last. Equal values keep their order, but with `twins_apart` those of all even
    candidates come before those of the odd ones, which may be their mirror images (sampling.py).
    """
    if twins_apart:
        index = np.arange(len(values))
        order = np.lexsort((index, index % 2, values))
    else:
        order = values.argsort(kind="stable")
    return order, values[order]


def tied_with_best(ranked: np.ndarray) -> float:
    """Return how many of the other known values of `ranked` (n,), best first, equal the best one:
    a share from 0 to 1, which is 0 where fewer than two are known."""
    count = np.count_nonzero(ranked == ranked)
    return (np.count_nonzero(ranked == ranked[0]) - 1) / (count - 1) if count > 1 else 0.0


def assign(order: np.ndarray, ranked: np.ndarray, tables: np.ndarray, mass=None, shared=True):
    """Return each row of `tables` (k, n), which are by rank, handed to the candidates: (k, n), or
    None.

    order, ranked   of `ranking`; NaN and +inf tie
    tables          (k, n) weights by rank, best first
    mass            (n,) by rank: how much each value counts; None: all the same
    shared          whether equal values share the weights of their ranks; where they do not, those
                    that are +inf or missing still do

    None when all values are equal (or all missing): then no candidate is better than another.
    """
    filled = ranked
    if ranked[-1] != ranked[-1]:  # NaN sorts last
        filled = np.where(np.isnan(ranked), np.inf, ranked)
    if filled[0] == filled[-1]:
        return None
    ties = filled[1:] == filled[:-1]
    if not shared:
        ties &= filled[1:] == np.inf
    if np.count_nonzero(ties):
        tables = _share(ties, tables, mass)
    weights = np.empty_like(tables)
    weights[:, order] = tables
    return weights


def _share(ties, tables, mass):
    """Return tables in which each run of equal values has what its ranks have, in proportion to
    mass.

    ties   (n − 1,) whether a value, from the second on, equals the one before it
    """
    first = np.flatnonzero(np.concatenate([[True], ~ties]))
    length = np.diff(np.append(first, len(ties) + 1))
    if mass is None:
        return np.repeat(np.add.reduceat(tables, first, axis=1) / length, length, axis=1)
    total = np.add.reduceat(mass, first)
    return mass * np.repeat(np.add.reduceat(tables, first, axis=1) / total, length, axis=1)
