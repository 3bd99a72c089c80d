"""What has come for the open generation besides the values of its own candidates: late values and
points of the user's own, which join as samples (arrivals.py), and how many there were of each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np

from .. import checks
from ..arrays.libraries import mapped, namespace, to_numpy
from ..arrays.persistent import EMPTY, PersistentList
from ..arrays.threads import single_threaded
from ..strategy.state import MOST
from .candidates import Candidates
from .late import NEGLIGIBLE, Arrival, late, own
from .ledger import Asked, Ledger
from .recognition import FORGOTTEN, LATE, OWN, REPEATED


class Counts(NamedTuple):
    """How many values of each kind have come for a generation; the fields are those of `Info`."""

    missing: int = 0
    late: int = 0
    stale: int = 0
    injected: int = 0
    repeated: int = 0


class Gathered(NamedTuple):
    """Arrivals in the order in which they came, what they count together, and Counts: a value, of
    which `taken` gives the next one."""

    arrivals: PersistentList = EMPTY
    mass: float = 0.0
    counts: Counts = Counts()

    def snapshot(self) -> dict:
        """What `restored` takes, as in checkpoint.py."""
        return {"arrivals": list(self.arrivals), "counts": self.counts._asdict()}

    @classmethod
    def restored(cls, tree: dict, strategy, state, xp) -> Gathered:
        """The Gathered of a snapshot of a search that has this state."""
        counts = Counts(*(checks.count(k, tree["counts"][k], 0, MOST) for k in Counts._fields))
        gathered = cls(counts=counts)
        factor = mapped(to_numpy, state.factor)
        for row in tree["arrivals"]:
            gathered = gathered._with(Arrival.restored(strategy, factor, row, xp))
        return gathered

    def _with(self, arrival) -> Gathered:
        return self._replace(arrivals=self.arrivals.append(arrival), mass=self.mass + arrival.mass)

    def taken(self, X, values, ledger: Ledger, strategy, state) -> tuple:
        """Rows told one by one, each as what it is (recognition.py).

        X   (n, d) array, or Candidates of this search; values (n,)

        Returns the next Gathered, the next Ledger, how many candidates and own points have their
        first value now, and (n,) the kinds of the rows. Raises ValueError where a row is not
        finite or outside the bounds, or a candidate is of another search.
        """
        places = ledger.find(X)
        kinds = np.array([place.kind for place in places], dtype=int)
        for i in np.flatnonzero(kinds == OWN):
            if isinstance(X, Candidates):
                raise ValueError(f"X must be candidates of this search; candidate {i} is none")
            if not bool(namespace(X).all(namespace(X).isfinite(X[i, :]))):
                raise ValueError(f"X must be finite; row {i} is {X[i, :]}")
        gathered, used, stale, dim = self, 0, 0, strategy.structure.dim
        number = self.counts.injected  # so that own points have an order
        for i, (place, value) in enumerate(zip(places, values.tolist(), strict=True)):
            if place.kind == LATE:
                generation = ledger.generation(place.key)[1].generation
                its = ledger.open.generation, generation, place.index, value
                arrival = single_threaded(late, dim, *its)
            elif place.kind == OWN:
                its = strategy, state, X[i : i + 1, :], value, number + i, f"X[{i}]"
                arrival = single_threaded(own, dim, *its)
            else:
                continue
            if arrival.mass >= NEGLIGIBLE:
                gathered = gathered._with(arrival)
                used += place.kind == LATE
            else:
                stale += 1
        counts, first = self.counts, _first(places, ledger)
        gathered = gathered._replace(
            counts=Counts(
                counts.missing,
                counts.late + used,
                counts.stale + stale + int(np.count_nonzero(kinds == FORGOTTEN)),
                counts.injected + int(np.count_nonzero(kinds == OWN)),
                counts.repeated + int(np.count_nonzero(kinds == REPEATED)),
            )
        )
        return gathered, ledger.with_values(places, values), first, kinds

    def is_full(self, asked: Asked, popsize: int) -> bool:
        """Do the samples of this generation count as many as it takes?"""
        return asked.answers.heard + self.mass >= popsize

    def samples(self, asked: Asked):
        """(Z, Y, values, mass or None) as `Strategy.update` takes them: asked candidates in their
        order, then the arrivals in theirs."""
        generation, answers = asked
        n = generation.count
        if answers.heard == n and not len(self.arrivals):
            return *generation.samples(), answers.values(n), None
        arrivals = sorted(self.arrivals, key=lambda a: a.key)
        kept = np.flatnonzero(asked.told)
        values = np.append(answers.values(n)[kept], [a.value for a in arrivals])
        mass = np.append(np.ones(len(kept)), [a.mass for a in arrivals])
        parts = [generation.samples(None if asked.is_whole else kept)] if len(kept) else []
        if arrivals:
            parts.append(_stacked(arrivals, generation.strategy))
        Z, Y = parts[0]
        if len(parts) > 1:
            Z, Y = _joined(*zip(*parts, strict=True))
        return Z, Y, values, None if (mass == 1).all() else mass


def _first(places, ledger) -> int:
    """How many of these candidates and points have no value yet; forgotten ones had none."""
    seen, first = set(), 0
    for place in places:
        if place.kind == REPEATED:
            continue
        if place.kind in (OWN, FORGOTTEN):
            first += 1
        elif (place.key, place.index) not in seen:
            seen.add((place.key, place.index))
            first += not ledger.generation(place.key)[1].told[place.index]
    return first


def _joined(Z, Y):
    """(Z, Y) of several, one after the other: arrays, or iterables of tiles and None."""
    if Y[0] is None:
        return chain(*Z), None
    concat = namespace(Z[0]).concat
    return concat(list(Z)), concat(list(Y))


def _stacked(arrivals, strategy):
    """(Z, Y) of arrivals: arrays, or an iterator of tiles of Z and None."""
    xp = namespace(arrivals[0].Z)
    if strategy.in_tiles:
        return _tiles(arrivals, strategy.tile or len(arrivals)), None
    return xp.concat([a.Z for a in arrivals]), xp.concat([a.Y for a in arrivals])


def _tiles(arrivals, tile) -> Iterator:
    for start in range(0, len(arrivals), tile):
        Z = [a.Z for a in arrivals[start : start + tile]]
        yield namespace(Z[0]).concat(Z)
