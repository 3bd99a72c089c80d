"""Candidates that were asked in the present generation, and the values told for them so far.

Values come back in any order and in any portions, and a row may never have been asked at all. A row
is recognised by its exact bits, so the caller's copies, lists and reorderings are all fine.
"""

from __future__ import annotations

import numpy as np

from .backend import namespace, to_numpy


class Pending:
    """The open generation.

    Z, Y, X   (n, d) asked candidates: local coordinates, whitened-back steps, points (own copy)
    values    (n,) NumPy; `told` (n,) says where one has come
    injected  list of (z (1, d), y (1, d), value): points that were told but never asked
    """

    def __init__(self):
        self.Z = self.Y = self.X = None
        self.values = np.empty(0)
        self.told = np.empty(0, dtype=bool)
        self.injected = []
        self._index = None

    def __len__(self):
        return len(self.told)

    def add(self, Z, Y, X):
        """Candidates that were just asked."""
        n = Z.shape[0]
        if self.Z is None:
            self.Z, self.Y, self.X = Z, Y, X
        else:
            xp = namespace(Z)
            self.Z, self.Y, self.X = (
                xp.concat([old, new]) for old, new in ((self.Z, Z), (self.Y, Y), (self.X, X))
            )
        self.values = np.concatenate([self.values, np.full(n, np.nan)])
        self.told = np.concatenate([self.told, np.zeros(n, dtype=bool)])
        self._index = None

    def match(self, X) -> np.ndarray:
        """(n,) index of each row of X among the asked ones, −1 for a row never asked.

        A row that occurs several times among the asked ones is matched with an untold one first.
        """
        n = len(self)
        if self.X is None:
            return np.full(X.shape[0], -1)
        if X.shape == self.X.shape and bool(
            (X == self.X).all() if isinstance(X, np.ndarray) else namespace(X).all(X == self.X)
        ):
            return np.arange(n)
        if self._index is None:
            self._index = {}
            for i, row in enumerate(to_numpy(self.X)):
                self._index.setdefault(row.tobytes(), []).append(i)
        taken, found = set(), []
        for row in to_numpy(X):
            # + 0.0 makes -0.0 and 0.0 … distinct bits are distinct points; keep them as they are
            places = self._index.get(row.tobytes(), ())
            free = [i for i in places if i not in taken and not self.told[i]]
            i = free[0] if free else (places[0] if places else -1)
            taken.add(i)
            found.append(i)
        return np.array(found, dtype=int)

    def samples(self):
        """(Z, Y, values) of everything told, asked candidates first, in the order of asking."""
        if self.told.all() and not self.injected:
            return self.Z, self.Y, self.values
        parts = []
        rows = np.flatnonzero(self.told)
        if rows.size:
            xp = namespace(self.Z)
            keep = rows if xp is np else xp.asarray(rows)
            parts.append(
                (xp.take(self.Z, keep, axis=0), xp.take(self.Y, keep, axis=0), self.values[rows])
            )
        parts += [(z, y, np.array([value])) for z, y, value in self.injected]
        Z, Y, values = zip(*parts, strict=True)
        xp = namespace(Z[0])
        return xp.concat(list(Z)), xp.concat(list(Y)), np.concatenate(values)
