"""Points of which something is still known when their generation is over, such as that they were
told; a few thousand of them, so that a value that comes twice counts once."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays.libraries import to_numpy
from ..arrays.persistent import EMPTY, PersistentList
from .fingerprints import fingerprints, joined
from .portion import NUMBERS

KNOWN = 2000  # points, at least, unless they are large


class KnownPoints:
    """The points that came last: a value, of which `add` gives the next one.

    Attributes
    ----------
    parts : PersistentList
        Arrays of points (n, d), or of their fingerprints (n,), as they were added.
    """

    __slots__ = ("_index", "_points", "_size", "parts")

    def __init__(self, parts: PersistentList = EMPTY):
        self.parts = parts
        self._points = sum(rows.shape[0] for rows in parts)
        self._size = sum(rows.size for rows in parts)
        self._index: tuple[int, set[int]] = 0, set()  # fingerprints of so many parts

    def __getstate__(self) -> tuple[PersistentList]:
        return (self.parts,)

    def __setstate__(self, state: tuple[PersistentList]) -> None:
        self.__init__(*state)

    def add(self, rows: Any) -> KnownPoints:
        """The same with points (n, d), or fingerprints (n,), as its last part."""
        if not rows.shape[0]:
            return self
        longer = KnownPoints.__new__(KnownPoints)
        longer.parts = self.parts.append(rows)
        longer._points, longer._size = self._points + rows.shape[0], self._size + rows.size
        if longer._points > 2 * KNOWN or longer._size > 2 * NUMBERS:
            return KnownPoints(_latest(longer.parts))
        longer._index, self._index = self._index, (0, set())
        return longer

    def holds(self, fingerprint: int) -> bool:
        """Whether there is a point with this fingerprint."""
        n, index = self._index
        if n < len(self.parts):
            for rows in self.parts.last(len(self.parts) - n):
                index.update(_fingerprints_of(rows).tolist())
            self._index = len(self.parts), index
        return fingerprint in index

    def prints(self) -> np.ndarray:
        """The fingerprints (n,) of all, uint64."""
        return to_numpy(joined([_fingerprints_of(rows) for rows in self.parts]))

    def last(self, parts: int) -> np.ndarray | None:
        """The points (n, d) in the parts that came last; None where none of them is kept."""
        points = [to_numpy(rows) for rows in self.parts.last(parts) if rows.ndim == 2]
        return np.concatenate(points).astype(float) if points else None


def _fingerprints_of(rows) -> np.ndarray:
    return to_numpy(fingerprints(rows) if rows.ndim == 2 else rows)


def _latest(parts) -> PersistentList:
    """The parts that came last, as many as are kept."""
    latest, points, size = [], 0, 0
    for rows in reversed(list(parts)):
        if latest and (points >= KNOWN or size + rows.size > NUMBERS):
            break
        latest.append(rows)
        points, size = points + rows.shape[0], size + rows.size
    return PersistentList(reversed(latest))
