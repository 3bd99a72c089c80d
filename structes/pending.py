"""Candidates that were asked in one generation, and the values told for them so far.

Values come back in any order and in any portions, and a row may never have been asked at all. A
row is recognised by its exact bits, so the caller's copies, lists and reorderings are all fine.
Points themselves are not kept: they follow from their steps y, and those from their addresses in
the noise. A closed generation keeps nothing but the state it was drawn from.
"""

from __future__ import annotations

import numpy as np

from .backend import namespace, tiles, to_numpy


class Pending:
    """One generation.

    Z, Y      (n, d) asked candidates: local coordinates, steps B⁻ᵀ z
    values    (n,) NumPy; `told` (n,) says where one has come
    injected  list of (z (1, d), y (1, d), value): points that were told but never asked
    """

    def __init__(self, strategy, state, seed: int):
        self.strategy, self.state, self.seed = strategy, state, seed
        self.Z = self.Y = None
        self.values = np.empty(0)
        self.told = np.zeros(0, dtype=bool)
        self.injected = []
        self._asked = []  # how many at a time
        self._places = None

    def __len__(self):
        return len(self.told)

    def count(self) -> int:
        """Number of asked candidates whose value has come."""
        return int(np.count_nonzero(self.told))

    def ask(self, n: int):
        """(n, d) further candidates."""
        X = self._draw(len(self), n)
        values, told = np.full(n, np.nan), np.zeros(n, dtype=bool)
        if self._asked:
            values, told = np.concatenate([self.values, values]), np.append(self.told, told)
        self.values, self.told = values, told
        self._asked.append(n)
        self._places = None
        return X

    def _draw(self, start, n):
        Z, Y, X = self.strategy.draw(self.state, self.seed, start, n)
        if start:
            concat = namespace(Z).concat
            Z, Y = concat([self.Z, Z]), concat([self.Y, Y])
        self.Z, self.Y = Z, Y
        return X

    def close(self):
        """Forget what can be drawn again."""
        self.Z = self.Y = self._places = None
        self.injected = []

    def are(self, X) -> bool:
        """Is X what was asked, all of it and in the same order? (The common case, made cheap.)"""
        if self.Y is None or X.shape != self.Y.shape:
            return False
        xp = namespace(X)
        for t in tiles(*X.shape):
            same = X[t, :] == self.strategy.place(self.state, self.Y[t, :])
            if not bool(same.all() if xp is np else xp.all(same)):
                return False
        return True

    def match(self, X) -> np.ndarray:
        """(n,) index of each row of X among the asked ones, −1 for a row never asked.

        A row that was asked several times is matched with one that was not told yet, if any.
        """
        if self._places is None:
            self._look_up()
        taken, found = set(), []
        for x in X if isinstance(X, np.ndarray) else to_numpy(X):
            same = [i for i in self._places.get(hash(x.tobytes()), ()) if self._is(i, x)]
            free = [i for i in same if i not in taken and not self.told[i]]
            found.append(free[0] if free else same[0] if same else -1)
            taken.add(found[-1])
        return np.array(found, dtype=int)

    def _look_up(self):
        """Places of the asked rows by the hash of their bits; a closed generation is redrawn."""
        if self.Y is None:
            start = 0
            for n in self._asked:
                self._draw(start, n)
                start += n
        self._places = {}
        for i in range(len(self)):
            self._places.setdefault(hash(self._row(i).tobytes()), []).append(i)

    def _row(self, i):
        return to_numpy(self.strategy.place(self.state, self.Y[i : i + 1, :]))[0]

    def _is(self, i, x):
        return self._row(i).tobytes() == x.tobytes()

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
