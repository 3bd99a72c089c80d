"""What has come for the open generation besides the values of its own candidates.

An *arrival* is a late value, or a point of the user's own (which is *injected*): a sample that
the present distribution did not draw, with an importance weight (late.py). A late value whose
importance weight is next to nothing is *stale*: it is counted and left out, as is a value of a
candidate that was forgotten. A value that comes a second time is *repeated*, and ignored; one
that is NaN is *missing*.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from .. import checks
from ..arrays.libraries import mapped, namespace, to_numpy
from ..arrays.persistent import EMPTY, PersistentList
from ..arrays.threads import single_threaded
from ..strategy.state import MOST, State
from ..strategy.strategy import Strategy
from .candidates import Candidates
from .late import NEGLIGIBLE, Arrival, late, own
from .ledger import Entry, Ledger
from .places import FORGOTTEN, LATE, OWN, REPEATED


class Counts(NamedTuple):
    """How many values of each kind have come for a generation; the fields are those of `Info`."""

    missing: int = 0
    late: int = 0
    stale: int = 0
    injected: int = 0
    repeated: int = 0


class Arrivals(NamedTuple):
    """The arrivals of the open generation: a value, of which `taken` gives the next one.

    Attributes
    ----------
    samples : PersistentList of Arrival
        In the order in which they came.
    importance : float
        The sum of their importance weights.
    counts : Counts
        How many values there were of each kind.
    """

    samples: PersistentList = EMPTY
    importance: float = 0.0
    counts: Counts = Counts()

    def snapshot(self) -> dict[str, Any]:
        """What `restored` takes, as a checkpoint holds it."""
        return {"arrivals": list(self.samples), "counts": self.counts._asdict()}

    @classmethod
    def restored(cls, tree: dict[str, Any], strategy: Strategy, state: State, xp: Any) -> Arrivals:
        """The Arrivals of a snapshot of a search that has this state."""
        counts = Counts(*(checks.count(k, tree["counts"][k], 0, MOST) for k in Counts._fields))
        arrivals = cls(counts=counts)
        factor = mapped(to_numpy, state.factor)
        for row in tree["arrivals"]:
            arrivals = arrivals._with(Arrival.restored(strategy, factor, row, xp))
        return arrivals

    def _with(self, arrival: Arrival) -> Arrivals:
        return self._replace(
            samples=self.samples.append(arrival), importance=self.importance + arrival.importance
        )

    def taken(
        self, X: Any, values: np.ndarray, ledger: Ledger, strategy: Strategy, state: State
    ) -> tuple[Arrivals, Ledger, int, np.ndarray]:
        """Rows that are told one by one, each taken for what it is (recognition.py).

        Parameters
        ----------
        X : (n, d) array, or Candidates of this search
        values : (n,) array
        ledger, strategy, state
            Those of the search.

        Returns
        -------
        arrivals : Arrivals
            The next one.
        ledger : Ledger
            The next one.
        count : int
            How many candidates and own points have their first value now.
        kinds : (n,) array of int
            What the rows are.

        Raises
        ------
        ValueError
            Where a row is not finite or outside the bounds, or a candidate is of another search.
        """
        places = ledger.find(X)
        kinds = np.array([place.kind for place in places], dtype=int)
        for i in np.flatnonzero(kinds == OWN):
            if isinstance(X, Candidates):
                raise ValueError(f"X must be candidates of this search; candidate {i} is none")
            if not bool(namespace(X).all(namespace(X).isfinite(X[i, :]))):
                raise ValueError(f"X must be finite; row {i} is {X[i, :]}")
        arrivals, used, stale, dim = self, 0, 0, strategy.structure.dim
        number = self.counts.injected  # so that own points have an order
        for i, (place, value) in enumerate(zip(places, values.tolist(), strict=True)):
            if place.kind == LATE:
                generation = ledger.generation(place.key)[1].generation
                sample = ledger.open.generation, generation, place.index, value
                arrival = single_threaded(late, dim, *sample)
            elif place.kind == OWN:
                sample = strategy, state, X[i : i + 1, :], value, number + i, f"X[{i}]"
                arrival = single_threaded(own, dim, *sample)
            else:
                continue
            if arrival.importance >= NEGLIGIBLE:
                arrivals = arrivals._with(arrival)
                used += place.kind == LATE
            else:
                stale += 1
        counts, count = self.counts, _first_values(places, ledger)
        arrivals = arrivals._replace(
            counts=Counts(
                counts.missing,
                counts.late + used,
                counts.stale + stale + int(np.count_nonzero(kinds == FORGOTTEN)),
                counts.injected + int(np.count_nonzero(kinds == OWN)),
                counts.repeated + int(np.count_nonzero(kinds == REPEATED)),
            )
        )
        return arrivals, ledger.with_values(places, values), count, kinds

    def is_full(self, entry: Entry, popsize: int) -> bool:
        """Whether the samples of this generation count as many as it takes."""
        return entry.answers.n_told + self.importance >= popsize

    def joined(self, entry: Entry) -> tuple[Any, Any, np.ndarray, np.ndarray | None]:
        """The samples of the open generation with the arrivals among them.

        Returns
        -------
        Z, Y, values, importance
            As `Strategy.update` takes them: the candidates with a value in their order, then the
            arrivals in theirs. importance is None where all of them are one.
        """
        generation, answers = entry
        n = generation.count
        if answers.n_told == n and not len(self.samples):
            return *generation.samples(), answers.values(n), None
        arrivals = sorted(self.samples, key=lambda arrival: arrival.key)
        rows = np.flatnonzero(entry.is_told)
        values = np.append(answers.values(n)[rows], [a.value for a in arrivals])
        importance = np.append(np.ones(len(rows)), [a.importance for a in arrivals])
        parts = [generation.samples(None if entry.is_whole else rows)] if len(rows) else []
        if arrivals:
            parts.append(_stacked(arrivals, generation.strategy))
        Z, Y = parts[0]
        if len(parts) > 1:
            Z, Y = _concatenated(*zip(*parts, strict=True))
        return Z, Y, values, None if (importance == 1).all() else importance


def _first_values(places, ledger) -> int:
    """How many of these candidates and points have no value yet; forgotten ones had none."""
    keys, count = set(), 0
    for place in places:
        if place.kind == REPEATED:
            continue
        if place.kind in (OWN, FORGOTTEN):
            count += 1
        elif (place.key, place.index) not in keys:
            keys.add((place.key, place.index))
            count += not ledger.generation(place.key)[1].is_told[place.index]
    return count


def _concatenated(Z, Y):
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


def _tiles(arrivals, tile) -> Iterator[Any]:
    """Z of arrivals, `tile` of them at a time."""
    for start in range(0, len(arrivals), tile):
        Z = [a.Z for a in arrivals[start : start + tile]]
        yield namespace(Z[0]).concat(Z)
