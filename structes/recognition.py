"""Which candidate is it that a value came back for?

A row that comes back is seldom the array that was handed out. It went through a file with six
digits, through float32, through a dict of named parameters; some users repair it (clip it to a
box, round it to a grid), some add points of their own. A row is one of

    open       asked in the present generation
    late       asked in an earlier one, and its value has not come yet
    former     asked by the run before (restarts), and its value has not come yet
    forgotten  asked so long ago that it is of no use any more, and not told
    repeated   told before
    own        never asked

Most rows come back to the bit: the whole generation is compared at once, single rows by a
fingerprint of 64 bits. What is left is looked for nearby. Candidates lie about √(2 d) standard
deviations apart, rounding moves a row by far less, and a row within `reach` of a candidate in
every coordinate is that candidate. The reach is a tenth of a standard deviation, and less in few
dimensions, so that a point of somebody's own is mistaken for one of m candidates once in a
thousand times:

    m (0.56 reach)^d ≤ 10⁻³        0.56 = 2 times the density of the difference of two normals at 0

Measured (`structes bench rounding`; candidates of a search under way, each coordinate moved by at
most r standard deviations): all are recognised up to r = 0.1 from five dimensions on, up to 0.03
in three, 0.01 in two and 10⁻⁴ in one; at most 2 in 1000 are taken for another candidate, and at
most 2 in 1000 of strangers' points for one. Beyond that a row is a point of the user's own, with
which a search does as well.

Coordinates are compared in the units of the search: logarithms where the search moves those,
integers exactly, a choice by its option.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .backend import to_numpy
from .candidates import Candidates
from .fingerprints import fingerprints
from .portion import columns

OPEN, LATE, FORMER, FORGOTTEN, REPEATED, OWN = range(6)

FARTHEST = 0.1  # standard deviations that rounding may move a coordinate
MISTAKEN = 1e-3  # probability that a point of somebody's own is taken for a candidate
ROUNDED = 1e-5  # of a coordinate: by which one is moved that was told in one of the last
RECENT = 3  # portions, at most


class Place(NamedTuple):
    """What a row is: a kind, and of a candidate the key of its generation and its index. Of an own
    row that came in the place of a candidate these are the candidate's. print: the row's
    fingerprint, where it is wanted."""

    kind: int
    key: Any = None
    index: int = -1
    print: int | None = None


def reach(dim: int, candidates: int) -> float:
    """Standard deviations by which a row may differ from one of so many candidates, in each of
    `dim` coordinates, and be it."""
    if not dim:  # integers and choices alone are compared exactly
        return 1e-9
    return min(FARTHEST, (MISTAKEN / max(1, candidates)) ** (1 / dim) / 0.564)


def places_of(ledger, X) -> list[Place]:
    """The Place of each row of X, an (n, d) array or Candidates.

    A row that was asked several times takes one that was not told yet, if any. Candidates of
    another search are OWN.
    """
    if isinstance(X, Candidates):
        taken: set = set()
        return [_addressed(ledger, g.key, i, taken) for g, at in X.parts for i in at.tolist()]
    generation = ledger.open.generation
    if generation.is_last(X):
        first = generation.portions[-1].start
        return [Place(OPEN, generation.key, first + k) for k in range(X.shape[0])]
    search = _Search(ledger, X)
    for step in (search.in_order, search.exactly, search.nearby, search.replacing):
        if search.left:
            step()
    return search.places


def _addressed(ledger, key, i, taken) -> Place:
    """The Place of candidate i of the generation with this key."""
    kind, asked = ledger.generation(key)
    if asked is None:
        if key[0] not in ledger.family:
            return Place(OWN)
        again = (key, i) in taken or ledger.was_told(key, i)
        taken.add((key, i))
        return Place(REPEATED if again else FORGOTTEN, key, i)
    if i >= len(asked.generation):  # a copy of this search has asked it
        return Place(OWN)
    if kind != OPEN and ((key, i) in taken or asked.told[i]):
        return Place(REPEATED, key, i)
    taken.add((key, i))
    return Place(kind, key, i)


class _Search:
    """The places of the rows of X, found step by step; `left` are the rows without one."""

    def __init__(self, ledger, X):
        self.ledger, self.X = ledger, to_numpy(X)
        self.places: list = [Place(OWN)] * X.shape[0]
        self.left = list(range(X.shape[0]))
        self.taken: set = set()
        self.domain = ledger.open.generation.strategy.domain
        self.is_discrete = self.domain.continuous == 0

    def _take(self, row, kind, key, i):
        self.places[row] = Place(kind, key, i, self.places[row].print)
        self.taken.add((key, i))

    def _settle(self):
        self.left = [i for i in self.left if self.places[i].kind == OWN]

    def in_order(self):
        """All rows are those that were asked last, in that order, but for rounding."""
        asked, n = self.ledger.open, self.X.shape[0]
        count = asked.generation.count
        if not count or n not in (count, asked.generation.portions[-1].count):
            return
        at = np.arange(count - n, count)
        near = _Near(asked, at)
        if not (near.distances(near.units_of(self.X)) <= near.reach).all():
            return
        if not asked.told[at].any() and near.confirms(self.X, at):
            for row, i in enumerate(at.tolist()):
                self._take(row, OPEN, asked.generation.key, i)
            self.left = []

    def exactly(self):
        """Rows whose fingerprint is known."""
        for row, print_ in enumerate(fingerprints(self.X).tolist()):
            place = self.places[row] = self._exact(print_)
            if place.index >= 0:
                self.taken.add((place.key, place.index))
        self._settle()

    def _exact(self, print_) -> Place:
        told = None
        for kind, asked in self.ledger.known():
            for i in asked.generation.find(print_):
                key = asked.generation.key
                if not asked.told[i] and (key, i) not in self.taken:
                    return Place(kind, key, i, print_)
                told = Place(OPEN if kind == OPEN else REPEATED, key, i, print_)
        if told is not None:
            return told
        # among integers a point comes again, which says nothing
        if self.ledger.own.holds(print_) or (
            not self.is_discrete and self.ledger.told.holds(print_)
        ):
            return Place(REPEATED, print=print_)
        kind = FORGOTTEN if self.ledger.forgotten.holds(print_) else OWN
        return Place(kind, print=print_)

    def nearby(self):
        """Rows that are near a candidate that waits, near one that has a value, or near what was
        told before."""
        for waits in (True, False):
            for kind, asked in self.ledger.known():
                if self.left:
                    self._near(kind, asked, waits)
        if self.left and not self.is_discrete:
            self._near_told()

    def _near(self, kind, asked, waits):
        """Rows near the candidates of a generation that have no value, or that have one."""
        key = asked.generation.key
        at = np.flatnonzero(asked.told != waits)
        if not len(at):
            return
        near = _Near(asked, at)
        for row, its in zip(self.left, near.units_of(self.X[self.left, :]), strict=True):
            distances = near.distances(its)
            for k in np.argsort(distances, kind="stable").tolist():
                if not distances[k] <= near.reach:
                    break
                i = int(at[k])
                if (waits and (key, i) in self.taken) or not near.confirms(
                    self.X[row : row + 1, :], at[k : k + 1]
                ):
                    continue
                self._take(row, kind if waits or kind == OPEN else REPEATED, key, i)
                break
        self._settle()

    def _near_told(self):
        known = self.ledger.told.last(RECENT)
        if known is None:
            return
        for row in self.left:
            if (np.abs(known - self.X[row, :]) <= ROUNDED * np.abs(known)).all(axis=1).any():
                self.places[row] = self.places[row]._replace(kind=REPEATED)
        self._settle()

    def replacing(self):
        """Rows that came in the place of a candidate that waits: as many rows as wait, in their
        order; or one that is much nearer to it than to any other."""
        asked, key = self.ledger.open, self.ledger.open.generation.key
        at = asked.waits
        if not len(at):
            return
        if len(at) == self.X.shape[0]:
            pairs = zip(self.left, at[self.left].tolist(), strict=True)
        else:
            near = _Near(asked, at)
            units = near.units_of(self.X[self.left, :])
            pairs = zip(self.left, map(near.much_nearer, units), strict=True)
        for row, i in pairs:
            if i is not None and (key, i) not in self.taken:
                self._take(row, OWN, key, i)


class _Near:
    """Candidates `at` (m,) of a generation, in units of its standard deviations."""

    def __init__(self, asked, at):
        self.generation, self.at = asked.generation, at
        strategy, state = self.generation.strategy, self.generation.state
        self.domain = strategy.domain
        std = state.sigma * state.scale * strategy.structure.deviations(state.factor)
        self.std, self.columns = to_numpy(std), None
        if self.generation.keeps(at):
            points = self.generation.points(at)
        else:
            self.columns = columns(strategy.domain.size)
            points = self.generation.some_coordinates(at)
        self.units = self._units(points, self.columns)
        self.reach = reach(self.domain.continuous, len(self.generation))

    def _units(self, X, at):
        return self.domain.in_units(np.asarray(to_numpy(X), dtype=float), self.std, at)

    def units_of(self, X):
        """(n, …) rows of X in the same units, as far as they are compared."""
        return self._units(X if self.columns is None else X[:, self.columns], self.columns)

    def distances(self, units):
        """(m,) largest difference of a coordinate: of one row to each, or of each to its own."""
        return _largest(self.units - units)

    def much_nearer(self, units) -> int | None:
        """The candidate to which a row is much nearer than to all others; None: there is none."""
        apart = np.where(np.isfinite(self.units - units), self.units - units, np.inf)
        apart = np.square(apart).mean(axis=1) ** 0.5
        order = np.argsort(apart, kind="stable")
        others = apart[order[1]] if len(order) > 1 else 2.0
        return int(self.at[order[0]]) if apart[order[0]] <= 0.5 * others else None

    def confirms(self, X, at) -> bool:
        """Are the rows of X near the candidates at (n,) in all coordinates, where only some of
        them were compared?"""
        if self.columns is None:
            return True
        unit = self.generation.recipe().tile
        for a in range(0, len(at), unit):
            points = self._units(self.generation.about(at[a : a + unit]), None)
            apart = _largest(points - self._units(X[a : a + unit, :], None))
            if not (apart <= self.reach).all():
                return False
        return True


def _largest(differences):
    """(n,) largest absolute value in each row, inf where one is NaN."""
    largest = np.abs(differences).max(axis=1)
    return np.where(np.isnan(largest), np.inf, largest)
