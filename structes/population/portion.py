"""Candidates that were asked in one call, and what is kept of them.

What is not kept can be worked out again from the state, the seed and the indices; keeping it saves
the work. A portion of ordinary size keeps its points and samples, a larger one 64 bits of
each point, and one that was asked lazily nothing.
"""

from __future__ import annotations

import numpy as np

from ..arrays.libraries import namespace
from ..arrays.persistent import Slotted
from .fingerprints import fingerprints

NUMBERS = 2**20  # in the points of a portion, at most, that are kept as they are
SAMPLED = 64  # coordinates that are kept of each point of a larger one


class Portion(Slotted):
    """Candidates start … start + count − 1 of a generation, which were asked in one call.

    Z, Y, X   rows that are kept, or None; of all candidates, or where `at` is not None of those
              with the indices `at` (m,), increasing
    prints    (count,) fingerprints of the points, or None
    sample    (count, ≤ SAMPLED) some of their coordinates, once a rounded one came back, or None

    What is None can be worked out again, and the candidates are the same whether it is there.
    """

    __slots__ = ("X", "Y", "Z", "at", "count", "prints", "sample", "start")

    def __init__(self, start: int, count: int, Z=None, Y=None, X=None, at=None):
        self.start, self.count = start, count
        self.Z, self.Y, self.X, self.at = Z, Y, X, at
        self.prints = self.sample = None

    @property
    def stop(self) -> int:
        """Index of the first candidate after them."""
        return self.start + self.count

    def rows(self, indices):
        """Rows of Z, Y and X of the candidates with these indices (n,), increasing; None where
        they are not kept."""
        if self.at is None:
            return indices - self.start
        rows = np.searchsorted(self.at, indices)
        there = rows < len(self.at)
        return rows if there.all() and (self.at[rows] == indices).all() else None

    def look(self, X) -> None:
        """Keep what larger portions are recognised by, of their points X (count, d)."""
        self.prints = fingerprints(X)

    def reduced(self, waits) -> Portion:
        """What is kept of a closed generation: of the candidates where waits (count,) is true."""
        portion = Portion(self.start, self.count)
        portion.prints, portion.sample = self.prints, self.sample
        at = self.start + np.flatnonzero(waits)
        if self.Y is None or not len(at) or len(at) * self.Y.shape[1] > NUMBERS:
            return portion
        if len(at) == self.count:
            return self
        rows = self.rows(at)
        if rows is not None:
            its = (None if a is None else taken(a, rows) for a in (self.Z, self.Y, self.X))
            portion.Z, portion.Y, portion.X = its
            portion.at = at
        return portion


def columns(dim: int):
    """The coordinates, of `dim`, that are kept of the points of larger portions."""
    return np.unique(np.linspace(0, dim - 1, min(SAMPLED, dim)).round().astype(int))


def sampled(X):
    """(n, ≤ SAMPLED) those of points X (n, d); on a device they stay there."""
    xp = namespace(X)
    return xp.take(X, xp.asarray(columns(X.shape[1])), axis=1)


def within(at, portion: Portion):
    """Those of the indices `at` (n,), increasing, that are a portion's."""
    return at[slice(*np.searchsorted(at, (portion.start, portion.stop)))]


def taken(a, rows):
    """The rows (n,) of a (m, …)."""
    xp = namespace(a)
    return a[rows] if xp is np else xp.take(a, xp.asarray(rows), axis=0)
