"""Which candidate is it that a value came back for?

A row that comes back is seldom the array that was handed out. It went through a file with six
digits, through float32, through a dict of named parameters; some users repair it (clip it to a
box, round it to a grid), some add points of their own. A row is one of

    open       asked in the present generation
    late       asked in an earlier one, and its value has not come yet
    former     asked by the run before (restarts), and its value has not come yet
    forgotten  asked so long ago that it is of no use any more, and not told
    repeated   told before
    own        never asked, or asked and repaired: a point that the user chose

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

What was told before counts once, and so a row that is a candidate with a value, to the bit, is
told again. But where rows are repaired the same point comes again and again, the corner of a box
or a point of a grid. It was evaluated again, and were it left out, a search would wait for ever
for values that have come. So where a row may be either, it is told again only with its like, if
all rows of the call are near candidates that have a value, or are those of an earlier call of
points of the user's own. Of a single row hardly anything but the bits can tell: it is told again
where it is within 10⁻⁵ standard deviations of a candidate with a value, as after float32.

Coordinates are compared in the units of the search: logarithms where the search moves those,
integers exactly, a choice by its option.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..arrays.libraries import to_numpy
from .candidates import Candidates
from .fingerprints import fingerprints
from .portion import columns

OPEN, LATE, FORMER, FORGOTTEN, REPEATED, OWN = range(6)

FARTHEST = 0.1  # standard deviations that rounding may move a coordinate
MISTAKEN = 1e-3  # probability that a point of somebody's own is taken for a candidate
RECENT = 10  # portions that were told last, of whose points rounded ones are known
ALIKE = 1e-5  # standard deviations, by which a single row may differ from what it repeats


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
    steps = search.in_order, search.exactly, search.nearby, search.again, search.replacing
    for step in steps:
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
        self.told: dict = {}  # row: the Place that it has if it is told again, which it may be
        self.alike: set = set()  # those of these rows that are hardly apart from it
        self.comes_again = ledger.open.generation.strategy.domain.comes_again(self.X)

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
        prints = fingerprints(self.X)
        for row, print_ in enumerate(prints.tolist()):
            place = self.places[row] = self._exact(row, print_)
            if place.index >= 0:
                self.taken.add((place.key, place.index))
        if self._are_own_again(prints):
            self.told = {row: Place(REPEATED) for row in self.left}
            self.alike = set(self.told)
        self._settle()

    def _are_own_again(self, prints) -> bool:
        """Are they the points of an earlier call since the last ask, none of them a candidate? A
        single one comes again where candidates wait, of which it may be a repaired one."""
        if len(prints) == 1:
            waits = len(self.ledger.open.waits) > 0
            return not waits and self.ledger.own.holds(prints.tolist()[0])
        if len(set(prints.tolist())) < len(prints):
            return False
        parts = (its for its in self.ledger.own.parts if len(its) == len(prints))
        return any((its == prints).all() for its in parts)

    def _exact(self, row, print_) -> Place:
        told = None
        for kind, asked in self.ledger.known():
            for i in asked.generation.find(print_):
                key = asked.generation.key
                if not asked.told[i] and (key, i) not in self.taken:
                    return Place(kind, key, i, print_)
                told = Place(OPEN if kind == OPEN else REPEATED, key, i, print_)
        if self.comes_again[row]:
            if told is not None and len(self.places) > 1:
                self.told[row] = told
            return Place(OWN, print=print_)
        if told is not None:
            return told
        if self.ledger.told.holds(print_):
            return Place(REPEATED, print=print_)
        kind = FORGOTTEN if self.ledger.forgotten.holds(print_) else OWN
        return Place(kind, print=print_)

    def nearby(self):
        """Rows that are near a candidate that waits."""
        for kind, asked in self.ledger.known():
            if self.left:
                self._near(kind, asked, True)

    def again(self):
        """Rows that are near a candidate that has a value, or near what was told last: whether all
        rows of the call are told again."""
        for kind, asked in self.ledger.known():
            self._near(kind, asked, False)
        self._near_told()
        its = [self.told.get(row) for row in self.left]
        others = [place for place in self.places if place.kind != OWN]
        if None in its or any(place.kind not in (REPEATED, OPEN) for place in others):
            return
        which = [(place.key, place.index) for place in its if place.index >= 0]
        if len(set(which)) == len(which) and (len(self.places) > 1 or self.alike):
            self._tell_again(self.left)

    def _tell_again(self, rows):
        """These rows are told again, unless they have a place already."""
        for row in rows:
            if row in self.told and self.places[row].key is None:
                print_ = self.places[row].print
                self.places[row] = self.told[row]._replace(print=print_)
        self._settle()

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
                i, x = int(at[k]), self.X[row : row + 1, :]
                if not near.confirms(x, at[k : k + 1]):
                    continue
                if waits and (key, i) not in self.taken:
                    self._take(row, kind, key, i)
                    break
                place = Place(OPEN if kind == OPEN else REPEATED, key, i)
                self._may_be(row, place, distances[k])
        self._settle()

    def _may_be(self, row, place, distance):
        """The row may be told again: it is near a point with a value, which has this place."""
        self.told.setdefault(row, place)
        if distance <= ALIKE and not self.comes_again[row]:
            self.alike.add(row)

    def _near_told(self):
        known, generation = self.ledger.told.last(RECENT), self.ledger.open.generation
        if known is None:
            return
        std, domain = _deviations(generation), generation.strategy.domain
        units, rows = (domain.in_units(X, std) for X in (known, self.X[self.left, :]))
        for row, its in zip(self.left, rows, strict=True):
            distances = _largest(units - its)
            i = int(distances.argmin())
            if distances[i] <= reach(domain.continuous, len(known)):
                self._may_be(row, Place(REPEATED, None, i), distances[i])

    def replacing(self):
        """Rows that came in the place of a candidate that waits: as many rows as wait, in their
        order; or one that is much nearer to it than to any other."""
        asked, key = self.ledger.open, self.ledger.open.generation.key
        at = asked.waits
        if len(at) == self.X.shape[0]:
            pairs = zip(self.left, at[self.left].tolist(), strict=True)
        elif len(at):
            near = _Near(asked, at)
            units = near.units_of(self.X[self.left, :])
            pairs = zip(self.left, map(near.much_nearer, units), strict=True)
        else:
            pairs = iter(())
        for row, i in pairs:
            if i is not None and (key, i) not in self.taken:
                self._take(row, OWN, key, i)
        if all((key, i) in self.taken for i in at.tolist()):
            self._tell_again([row for row in self.left if row in self.alike])


class _Near:
    """Candidates `at` (m,) of a generation, in units of its standard deviations."""

    def __init__(self, asked, at):
        self.generation, self.at = asked.generation, at
        strategy = self.generation.strategy
        self.domain = strategy.domain
        self.std, self.columns = _deviations(self.generation), None
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


def _deviations(generation) -> np.ndarray:
    """(d,) standard deviations of the search coordinates."""
    state, structure = generation.state, generation.strategy.structure
    return to_numpy(state.sigma * state.scale * structure.deviations(state.factor))


def _largest(differences):
    """(n,) largest absolute value in each row, inf where one is NaN."""
    largest = np.abs(differences).max(axis=1)
    return np.where(np.isnan(largest), np.inf, largest)
