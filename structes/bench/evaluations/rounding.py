"""How well candidates are recognised that come back rounded, and strangers' points as such.

Candidates of a search that is under way come back in random order, each coordinate moved by a
uniform number of at most r standard deviations. Some are recognised, some taken for another
candidate, some for points of the user's own. Points that another draw of the same distribution
gives are nobody's candidates; how many are taken for one is counted as well.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...arrays import noise
from ...population.places import OPEN
from ...search.es import ES

DIMS = (1, 2, 3, 5, 10, 40)
ROUNDINGS = (1e-4, 1e-3, 1e-2, 3e-2, 0.1, 0.3)
REPEATS = 200


class Row(NamedTuple):
    """Shares of rows that were moved by at most `rounding` standard deviations: recognised as the
    candidate that they are, mistaken for another one; and of strangers that were taken for one."""

    dim: int
    rounding: float
    recognised: float
    mistaken: float
    strangers: float


def measure(dims=DIMS, roundings=ROUNDINGS, repeats: int = REPEATS):
    """Rows of the table, dimension by dimension."""
    for d in dims:
        for r in roundings:
            counts = np.zeros(3)
            rows = strangers = 0
            for seed in range(repeats):
                counted = _look(d, r, seed)
                counts += counted[:3]
                rows, strangers = rows + counted[3], strangers + counted[4]
            yield Row(d, r, counts[0] / rows, counts[1] / rows, counts[2] / strangers)


def _look(d, r, seed):
    """(recognised, mistaken, strangers taken for candidates, rows, strangers)."""
    es = ES(np.ones(d), 0.5, seed=seed)
    for t in range(5):
        X = es.ask()
        es.tell(X, _uniform(seed, t, len(X), 1)[:, 0])
    X = es.ask()
    n = len(X)
    order = np.argsort(_uniform(seed, 100, n, 1)[:, 0])
    moved = X[order] + (2 * _uniform(seed, 101, n, d) - 1) * r * es.deviations
    places = es.ledger.find(moved)
    correct = sum(p.kind == OPEN and p.index == i for p, i in zip(places, order, strict=True))
    wrong = sum(p.kind == OPEN and p.index != i for p, i in zip(places, order, strict=True))
    strangers = es.strategy.draw(es.state, seed + 1, 0, n + 1)[2][1:]
    mistaken_strangers = sum(p.kind == OPEN for p in es.ledger.find(strangers[: n - 1]))
    return correct, wrong, mistaken_strangers, n, n - 1


def _uniform(seed, t, n, d):
    return noise.uniforms(seed, noise.PROBLEM, t, 0, n, d)
