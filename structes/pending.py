"""Candidates that were asked in the present generation, and the values told for them so far.

Values come back in any order and in any portions, and a row may never have been asked at all. A
row is recognised by its exact bits, so the caller's copies, lists and reorderings are all fine.
"""

from __future__ import annotations

import numpy as np

from .backend import namespace, to_numpy


class Pending:
    """The open generation.

    Z, Y, X   (n, d) asked candidates: local coordinates, steps B⁻ᵀ z, points (own copy)
    values    (n,) NumPy; `told` (n,) says where one has come
    injected  list of (z (1, d), y (1, d), value): points that were told but never asked
    """

    def __init__(self):
        self.Z = self.Y = self.X = None
        self.values = np.empty(0)
        self.told = np.zeros(0, dtype=bool)
        self.injected = []
        self._index = None

    def __len__(self):
        return len(self.told)

    def count(self) -> int:
        """Number of asked candidates whose value has come."""
        return int(np.count_nonzero(self.told))

    def add(self, Z, Y, X):
        """Candidates that were just asked."""
        n = Z.shape[0]
        if self.Z is None:
            self.Z, self.Y, self.X = Z, Y, X
            self.values = np.full(n, np.nan)
            self.told = np.zeros(n, dtype=bool)
            return
        xp = namespace(Z)
        self.Z = xp.concat([self.Z, Z])
        self.Y = xp.concat([self.Y, Y])
        self.X = xp.concat([self.X, X])
        self.values = np.concatenate([self.values, np.full(n, np.nan)])
        self.told = np.concatenate([self.told, np.zeros(n, dtype=bool)])
        self._index = None

    def are(self, X) -> bool:
        """Is X what was asked, all of it and in the same order? (The common case, made cheap.)"""
        if self.X is None or X.shape != self.X.shape:
            return False
        same = X == self.X
        return bool(same.all() if isinstance(same, np.ndarray) else namespace(X).all(same))

    def match(self, X) -> np.ndarray:
        """(n,) index of each row of X among the asked ones, −1 for a row never asked.

        A row that was asked several times is matched with one that was not told yet, if any.
        """
        if self.X is None:
            return np.full(X.shape[0], -1)
        if self._index is None:
            self._index = {}
            for i, row in enumerate(to_numpy(self.X)):
                self._index.setdefault(row.tobytes(), []).append(i)
        taken, found = set(), []
        for row in to_numpy(X):
            places = self._index.get(row.tobytes(), ())
            free = [i for i in places if i not in taken and not self.told[i]]
            found.append(free[0] if free else places[0] if places else -1)
            taken.add(found[-1])
        return np.array(found, dtype=int)

    def tell(self, at, values):
        """Values of the candidates `at` (indices); a later value replaces an earlier one."""
        self.values[at] = values
        self.told[at] = True

    def samples(self):
        """(Z, Y, values) of all that was told: asked ones in their order, then the injected."""
        if not self.injected and self.told.all():
            return self.Z, self.Y, self.values
        parts = []
        if self.told.any():
            xp = namespace(self.Z)
            kept = np.flatnonzero(self.told)
            rows = xp.asarray(kept)
            Z, Y = xp.take(self.Z, rows, axis=0), xp.take(self.Y, rows, axis=0)
            parts.append((Z, Y, self.values[kept]))
        parts += [(z, y, np.array([value])) for z, y, value in self.injected]
        Z, Y, values = zip(*parts, strict=True)
        xp = namespace(Z[0])
        return xp.concat(list(Z)), xp.concat(list(Y)), np.concatenate(values)
