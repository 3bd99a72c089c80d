"""From the values of a generation to a weight for each of its samples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..arrays.libraries import namespace
from .ranking import LEAST, assign, ranking, tied_with_best, with_missing
from .settings import Settings
from .weights_and_rates import WeightsAndRates, weights_and_rates


class Weighed(NamedTuple):
    """Weights of samples by the ranks of their values.

    rows   (3, n): weights of the mean, and of the natural gradient those ≥ 0 and those < 0; None
           where all values tie, or count as less than two
    seen   best, median and worst value
    plan   WeightsAndRates by rank that they are of
    tied   share of the values that equal the best one, where some coordinates are integers, which
           is then their plateau; elsewhere 0
    """

    rows: np.ndarray | None
    seen: tuple
    plan: WeightsAndRates | None
    tied: float = 0.0


def weigh(settings: Settings, values, mass=None) -> Weighed:
    """Return what follows from the ranks of the values (n,), smaller better.

    Values that tie share their weights (with integers the one that was drawn first ranks first),
    NaN ranks last and counts a quarter. `mass` (n,) are the importance weights of the samples;
    None: 1 for all.
    """
    integers = settings.domain.has_integers
    order, ranked = ranking(values, integers)
    seen = float(ranked[0]), float(ranked[len(ranked) // 2]), float(ranked[-1])
    if ranked[-1] != ranked[-1]:  # NaN sorts last
        mass = with_missing(values, mass)
    if (len(values) if mass is None else mass.sum()) < LEAST:
        return Weighed(None, seen, None)
    if mass is None:
        plan = settings.plan(len(values))
    else:
        mass = mass[order]
        plan = weights_and_rates(settings.structure, settings.engine, mass, mirrored=False)
    rows = assign(order, ranked, plan.tables, mass, shared=not integers)
    return Weighed(rows, seen, plan, tied_with_best(ranked) if integers else 0.0)


def weights_of(settings: Settings, weighed: Weighed, like) -> tuple:
    """Return the rows of the weights as arrays of the library of `like`, in the precision of
    candidates."""
    rows = weighed.rows
    if not isinstance(like, np.ndarray):
        rows = namespace(like).asarray(rows)
        rows = [rows[k, :] for k in range(3)]
    return tuple(rows) if settings.redraws else settings.lowered(tuple(rows))
