"""Candidates that were asked in one call, and what is kept of them.

What is not kept can be worked out again from the state, the seed and the indices; keeping it saves
the work. A portion of ordinary size keeps its points and samples, a larger one 64 bits of
each point, and one that was asked lazily nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays.libraries import namespace
from ..arrays.persistent import Slotted
from .fingerprints import fingerprints

NUMBERS = 2**20  # in the points of a portion, at most, that are kept as they are
SAMPLED = 64  # coordinates that are kept of each point of a larger one


class Portion(Slotted):
    """Candidates start … start + count − 1 of a generation, which were asked in one call.

    An attribute that is None can be worked out again: the candidates are the same whether it is
    kept or not.

    Attributes
    ----------
    start, count : int
        The indices of the candidates.
    Z, Y, X : array or None
        The rows that are kept, (count, …); where `indices` is not None, those of its candidates.
    indices : (m,) array or None
        Increasing indices of the candidates whose rows are kept; None: of all.
    prints : (count,) array or None
        The fingerprints of the points.
    sample : (count, ≤ SAMPLED) array or None
        Some of their coordinates, once a rounded one came back.
    """

    __slots__ = ("X", "Y", "Z", "count", "indices", "prints", "sample", "start")

    def __init__(
        self,
        start: int,
        count: int,
        Z: Any = None,
        Y: Any = None,
        X: Any = None,
        indices: np.ndarray | None = None,
    ):
        self.start, self.count = start, count
        self.Z, self.Y, self.indices = Z, Y, indices
        self.X: Any = X
        self.prints: Any = None
        self.sample: Any = None

    @property
    def stop(self) -> int:
        """The index of the first candidate after them."""
        return self.start + self.count

    def rows(self, indices: np.ndarray) -> np.ndarray | None:
        """The rows of Z, Y and X that are those of candidates, (n,); None: they are not kept.

        The indices (n,) are increasing.
        """
        if self.indices is None:
            return indices - self.start
        rows = np.searchsorted(self.indices, indices)
        is_inside = rows < len(self.indices)
        return rows if is_inside.all() and (self.indices[rows] == indices).all() else None

    def look(self, X: Any) -> None:
        """Keep what larger portions are recognised by, of their points X (count, d)."""
        self.prints = fingerprints(X)

    def reduced(self, waits: np.ndarray) -> Portion:
        """What is kept of a closed generation: of the candidates where waits (count,) is true."""
        portion = Portion(self.start, self.count)
        portion.prints, portion.sample = self.prints, self.sample
        indices = self.start + np.flatnonzero(waits)
        if self.Y is None or not len(indices) or len(indices) * self.Y.shape[1] > NUMBERS:
            return portion
        if len(indices) == self.count:
            return self
        rows = self.rows(indices)
        if rows is not None:
            arrays = (None if a is None else taken(a, rows) for a in (self.Z, self.Y, self.X))
            portion.Z, portion.Y, portion.X = arrays
            portion.indices = indices
        return portion


def columns(dim: int) -> np.ndarray:
    """The coordinates, of `dim`, that are kept of the points of larger portions."""
    return np.unique(np.linspace(0, dim - 1, min(SAMPLED, dim)).round().astype(int))


def sampled(X: Any) -> Any:
    """Those columns (n, ≤ SAMPLED) of points X (n, d); on a device they stay there."""
    xp = namespace(X)
    return xp.take(X, xp.asarray(columns(X.shape[1])), axis=1)


def within(indices: np.ndarray, portion: Portion) -> np.ndarray:
    """The increasing indices (n,) that are those of candidates of a portion."""
    return indices[slice(*np.searchsorted(indices, (portion.start, portion.stop)))]


def taken(a: Any, rows: np.ndarray) -> Any:
    """The rows (n,) of an array (m, …)."""
    xp = namespace(a)
    return a[rows] if xp is np else xp.take(a, xp.asarray(rows), axis=0)
