"""Points of which something is still known after their generation is over: that they were told."""

from __future__ import annotations

import numpy as np

from ..arrays.libraries import to_numpy
from ..arrays.persistent import EMPTY, PersistentList
from .fingerprints import fingerprints, joined
from .portion import NUMBERS

REMEMBERED = 2000  # points, at least, unless they are large


class Memory:
    """The points that came last: a value, of which `add` gives the next one.

    parts   PersistentList of arrays: points (n, d), or their fingerprints (n,)
    """

    __slots__ = ("_index", "_points", "_size", "parts")

    def __init__(self, parts: PersistentList = EMPTY):
        self.parts = parts
        self._points = sum(rows.shape[0] for rows in parts)
        self._size = sum(rows.size for rows in parts)
        self._index: tuple[int, set] = 0, set()  # fingerprints of so many parts

    def __getstate__(self):
        return (self.parts,)

    def __setstate__(self, state):
        self.__init__(*state)

    def add(self, rows) -> Memory:
        """With points (n, d) or fingerprints (n,)."""
        if not rows.shape[0]:
            return self
        memory = Memory.__new__(Memory)
        memory.parts = self.parts.append(rows)
        memory._points, memory._size = self._points + rows.shape[0], self._size + rows.size
        if memory._points > 2 * REMEMBERED or memory._size > 2 * NUMBERS:
            return Memory(_latest(memory.parts))
        memory._index, self._index = self._index, (0, set())
        return memory

    def holds(self, print_: int) -> bool:
        """Is there a point with this fingerprint?"""
        n, index = self._index
        if n < len(self.parts):
            for rows in self.parts.last(len(self.parts) - n):
                index.update(_prints(rows).tolist())
            self._index = len(self.parts), index
        return print_ in index

    def prints(self) -> np.ndarray:
        """(n,) uint64: the fingerprints of all."""
        return to_numpy(joined([_prints(rows) for rows in self.parts]))

    def last(self, parts: int) -> np.ndarray | None:
        """(n, d) the points in the parts that came last, as far as they are kept, or None."""
        found = [to_numpy(rows) for rows in self.parts.last(parts) if rows.ndim == 2]
        return np.concatenate(found).astype(float) if found else None


def _prints(rows):
    return to_numpy(fingerprints(rows) if rows.ndim == 2 else rows)


def _latest(parts) -> PersistentList:
    """The parts that came last, as many as are remembered."""
    kept, points, size = [], 0, 0
    for rows in reversed(list(parts)):
        if kept and (points >= REMEMBERED or size + rows.size > NUMBERS):
            break
        kept.append(rows)
        points, size = points + rows.shape[0], size + rows.size
    return PersistentList(reversed(kept))
