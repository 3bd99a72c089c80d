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

from typing import Any

import numpy as np

from ..arrays.libraries import to_numpy
from .candidates import Candidates
from .fingerprints import fingerprints
from .near import NearCandidates, deviations_of, largest
from .places import FORGOTTEN, OPEN, OWN, REPEATED, Place, reach

RECENT = 10  # portions that were told last, of whose points rounded ones are known
ALIKE = 1e-5  # standard deviations, by which a single row may differ from what it repeats


def places_of(ledger: Any, X: Any) -> list[Place]:
    """The Place of each row of X.

    A row that was asked several times takes one that was not told yet, if any. Candidates of
    another search are OWN.

    Parameters
    ----------
    ledger : Ledger
        The candidates of the search.
    X : (n, d) array, or Candidates
    """
    if isinstance(X, Candidates):
        assigned: set[tuple] = set()
        pairs = ((g.key, i) for g, indices in X.parts for i in indices.tolist())
        return [_addressed(ledger, *pair, assigned) for pair in pairs]
    generation = ledger.open.generation
    if generation.is_last(X):
        start = generation.portions[-1].start
        return [Place(OPEN, generation.key, start + k) for k in range(X.shape[0])]
    rows = _Rows(ledger, X)
    steps = (rows.in_order, rows.exactly, rows.nearby, rows.again, rows.replacing)
    for step in steps:
        if rows.remaining:
            step()
    return rows.places


def _addressed(ledger, key, i, assigned) -> Place:
    """The Place of candidate i of the generation with this key."""
    kind, entry = ledger.generation(key)
    if entry is None:
        if key[0] not in ledger.family:
            return Place(OWN)
        is_repeated = (key, i) in assigned or ledger.was_told(key, i)
        assigned.add((key, i))
        return Place(REPEATED if is_repeated else FORGOTTEN, key, i)
    if i >= len(entry.generation):  # a copy of this search has asked it
        return Place(OWN)
    if kind != OPEN and ((key, i) in assigned or entry.is_told[i]):
        return Place(REPEATED, key, i)
    assigned.add((key, i))
    return Place(kind, key, i)


class _Rows:
    """The rows of X, whose places are found step by step.

    Attributes
    ----------
    places : list of Place
        Of each row, OWN until it is known better.
    remaining : list of int
        The rows without another place.
    assigned : set
        (key, index) of the candidates that are places of rows.
    repeats : dict
        {row: the Place that it has if it is told again}, for rows that may be.
    alike : set
        The rows among these that hardly differ from what they would repeat.
    comes_again : (n,) array of bool
        Whether a row may well be the same point as another one: a corner, a point of a grid.
    """

    def __init__(self, ledger, X):
        self.ledger, self.X = ledger, to_numpy(X)
        self.places: list[Place] = [Place(OWN)] * X.shape[0]
        self.remaining = list(range(X.shape[0]))
        self.assigned: set[tuple] = set()
        self.repeats: dict[int, Place] = {}
        self.alike: set[int] = set()
        self.comes_again = ledger.open.generation.strategy.domain.comes_again(self.X)

    def _assign(self, row, kind, key, i):
        self.places[row] = Place(kind, key, i, self.places[row].print)
        self.assigned.add((key, i))

    def _settle(self):
        self.remaining = [row for row in self.remaining if self.places[row].kind == OWN]

    # -- all of them, or to the bit ---------------------------------------------------------------

    def in_order(self):
        """Take all rows for those that were asked last, in that order, if they are but rounded."""
        entry, n = self.ledger.open, self.X.shape[0]
        count = entry.generation.count
        if not count or n not in (count, entry.generation.portions[-1].count):
            return
        indices = np.arange(count - n, count)
        near = NearCandidates(entry.generation, indices)
        if not (near.distances(near.units_of(self.X)) <= near.reach).all():
            return
        if not entry.is_told[indices].any() and near.confirms(self.X, indices):
            for row, i in enumerate(indices.tolist()):
                self._assign(row, OPEN, entry.generation.key, i)
            self.remaining = []

    def exactly(self):
        """Find rows whose fingerprint is known."""
        prints = fingerprints(self.X)
        for row, print_ in enumerate(prints.tolist()):
            place = self.places[row] = self._place_of(row, print_)
            if place.index >= 0:
                self.assigned.add((place.key, place.index))
        if self._are_own_again(prints):
            self.repeats = {row: Place(REPEATED) for row in self.remaining}
            self.alike = set(self.repeats)
        self._settle()

    def _are_own_again(self, prints) -> bool:
        """Whether they are the points of an earlier call since the last ask, and no candidates.

        A single one comes again where candidates wait, of which it may be a repaired one.
        """
        own_points = self.ledger.own_points
        if len(prints) == 1:
            waits = len(self.ledger.open.waits) > 0
            return not waits and own_points.holds(prints.tolist()[0])
        if len(set(prints.tolist())) < len(prints):
            return False
        return any((part == prints).all() for part in own_points.parts if len(part) == len(prints))

    def _place_of(self, row, print_) -> Place:
        """The Place of a row by its fingerprint."""
        repeated = None
        for kind, entry in self.ledger.known():
            key = entry.generation.key
            for i in entry.generation.find(print_):
                if not entry.is_told[i] and (key, i) not in self.assigned:
                    return Place(kind, key, i, print_)
                repeated = Place(OPEN if kind == OPEN else REPEATED, key, i, print_)
        if self.comes_again[row]:
            if repeated is not None and len(self.places) > 1:
                self.repeats[row] = repeated
            return Place(OWN, print=print_)
        if repeated is not None:
            return repeated
        if self.ledger.told_points.holds(print_):
            return Place(REPEATED, print=print_)
        kind = FORGOTTEN if self.ledger.forgotten_points.holds(print_) else OWN
        return Place(kind, print=print_)

    # -- nearby -----------------------------------------------------------------------------------

    def nearby(self):
        """Find rows that are near a candidate that waits."""
        for kind, entry in self.ledger.known():
            if self.remaining:
                self._near(kind, entry, True)

    def again(self):
        """Find out whether the rows are told again, all of them.

        A row may be that is near a candidate that has a value, or near what was told last.
        """
        for kind, entry in self.ledger.known():
            self._near(kind, entry, False)
        self._near_told()
        repeats = [self.repeats[row] for row in self.remaining if row in self.repeats]
        places = [place for place in self.places if place.kind != OWN]
        if len(repeats) < len(self.remaining):
            return
        if any(place.kind not in (REPEATED, OPEN) for place in places):
            return
        pairs = [(place.key, place.index) for place in repeats if place.index >= 0]
        if len(set(pairs)) == len(pairs) and (len(self.places) > 1 or self.alike):
            self._tell_again(self.remaining)

    def _tell_again(self, rows):
        """Let these rows be told again, unless they have a place already."""
        for row in rows:
            if row in self.repeats and self.places[row].key is None:
                print_ = self.places[row].print
                self.places[row] = self.repeats[row]._replace(print=print_)
        self._settle()

    def _near(self, kind, entry, waits):
        """Find rows near the candidates of a generation that have no value, or that have one."""
        key = entry.generation.key
        indices = np.flatnonzero(entry.is_told != waits)
        if not len(indices):
            return
        near = NearCandidates(entry.generation, indices)
        units = near.units_of(self.X[self.remaining, :])
        for row, row_units in zip(self.remaining, units, strict=True):
            distances = near.distances(row_units)
            for k in np.argsort(distances, kind="stable").tolist():
                if not distances[k] <= near.reach:
                    break
                i, x = int(indices[k]), self.X[row : row + 1, :]
                if not near.confirms(x, indices[k : k + 1]):
                    continue
                if waits and (key, i) not in self.assigned:
                    self._assign(row, kind, key, i)
                    break
                place = Place(OPEN if kind == OPEN else REPEATED, key, i)
                self._may_repeat(row, place, distances[k])
        self._settle()

    def _may_repeat(self, row, place, distance):
        """Note that the row may be told again: it is near a point with a value, of this place."""
        self.repeats.setdefault(row, place)
        if distance <= ALIKE and not self.comes_again[row]:
            self.alike.add(row)

    def _near_told(self):
        """Find rows near the points that were told last."""
        points, generation = self.ledger.told_points.last(RECENT), self.ledger.open.generation
        if points is None:
            return
        std, domain = deviations_of(generation), generation.strategy.domain
        known_units = domain.in_units(points, std)
        units = domain.in_units(self.X[self.remaining, :], std)
        for row, row_units in zip(self.remaining, units, strict=True):
            distances = largest(known_units - row_units)
            i = int(distances.argmin())
            if distances[i] <= reach(domain.continuous, len(points)):
                self._may_repeat(row, Place(REPEATED, None, i), distances[i])

    def replacing(self):
        """Find rows that came in the place of a candidate that waits.

        They are as many rows as wait, in their order; or one that is much nearer to it than to any
        other.
        """
        entry, key = self.ledger.open, self.ledger.open.generation.key
        indices = entry.waits
        if len(indices) == self.X.shape[0]:
            pairs = zip(self.remaining, indices[self.remaining].tolist(), strict=True)
        elif len(indices):
            near = NearCandidates(entry.generation, indices)
            units = near.units_of(self.X[self.remaining, :])
            pairs = zip(self.remaining, map(near.much_nearer, units), strict=True)
        else:
            pairs = iter(())
        for row, i in pairs:
            if i is not None and (key, i) not in self.assigned:
                self._assign(row, OWN, key, i)
        if all((key, i) in self.assigned for i in indices.tolist()):
            self._tell_again([row for row in self.remaining if row in self.alike])
