"""What has come for the open generation besides the values of its own candidates: late values and
points of the user's own, which join as samples (arrivals.py), and how many there were of each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np

from . import checks
from .arrivals import NEGLIGIBLE, Arrival, late, own
from .backend import namespace
from .candidates import Candidates
from .generation import Generation
from .pending import FOREIGN, FORGOTTEN, LATE, REPEATED, Ledger

COUNTED = ("missing", "late", "stale", "injected", "repeated")  # fields of Info


class Gathered:
    """Arrivals, in the order in which they came, and counts, by the names of `Info`."""

    def __init__(self, arrivals=(), counts=None):
        self.arrivals: list[Arrival] = list(arrivals)
        self.counts = dict.fromkeys(COUNTED, 0) if counts is None else counts

    def snapshot(self) -> dict:
        """What `restored` takes, as in checkpoint.py."""
        return {"arrivals": self.arrivals, "counts": self.counts}

    @classmethod
    def restored(cls, tree: dict, strategy, xp) -> Gathered:
        arrivals = [Arrival.restored(strategy, row, xp) for row in tree["arrivals"]]
        return cls(arrivals, {k: checks.count(k, tree["counts"][k], 0) for k in COUNTED})

    def take(self, X, values, ledger: Ledger, strategy, state) -> tuple[int, np.ndarray]:
        """Tell rows one by one, each as what it is (pending.py).

        X   (n, d) array, or Candidates of this search; values (n,)

        Returns how many candidates have their first value now, and (n,) which rows count: the
        repeated ones do not. Raises ValueError, and changes nothing, where a row is not finite or
        outside the bounds, or a candidate is of another search.
        """
        places = ledger.find(X)
        kinds = np.array([place.kind for place in places], dtype=int)
        for i in np.flatnonzero(kinds == FOREIGN):
            if isinstance(X, Candidates):
                raise ValueError(f"X must be candidates of this search; candidate {i} is none")
            if not bool(namespace(X).all(namespace(X).isfinite(X[i, :]))):
                raise ValueError(f"X must be finite; row {i} is {X[i, :]}")
        arrivals, number = [], self.counts["injected"]
        for i, (place, value) in enumerate(zip(places, values.tolist(), strict=True)):
            if place.kind == LATE:
                arrivals.append(late(strategy, state, place.generation, place.index, value))
            elif place.kind == FOREIGN:
                row = X[i : i + 1, :]
                at = number + len(arrivals)
                arrivals.append(own(strategy, state, row, value, at, f"X[{i}]"))
        # nothing has changed up to here
        used, first = [a for a in arrivals if a.mass >= NEGLIGIBLE], 0
        self.arrivals += used
        for place, value in zip(places, values, strict=True):
            if place.kind != REPEATED:
                first += not place.is_told
                ledger.tell(place, value)
        counts, count = self.counts, lambda kind: int(np.count_nonzero(kinds == kind))
        counts["injected"] += count(FOREIGN)
        counts["late"] += len(used) - count(FOREIGN)
        counts["stale"] += len(arrivals) - len(used) + count(FORGOTTEN)
        counts["repeated"] += count(REPEATED)
        return first, kinds != REPEATED

    def is_full(self, generation: Generation, popsize: int) -> bool:
        """Do the samples of this generation count as many as it takes?"""
        asked = generation.heard
        if len(generation) or self.counts["late"]:  # points of the user's own do not close it
            mine = generation.number + 1
            asked += sum(a.mass for a in self.arrivals if a.key[0] != mine)
        else:
            asked = len(self.arrivals)
        return asked >= popsize

    def samples(self, generation: Generation):
        """(Z, Y, values, mass or None) as `Strategy.update` takes them: asked candidates in their
        order, then the arrivals in theirs."""
        arrivals = sorted(self.arrivals, key=lambda a: a.key)
        whole = generation.heard == len(generation)
        if whole and not arrivals:
            return *generation.samples(), generation.values, None
        kept = np.flatnonzero(generation.told)
        values = np.append(generation.values[kept], [a.value for a in arrivals])
        mass = np.append(np.ones(len(kept)), [a.mass for a in arrivals])
        parts = [generation.samples(None if whole else kept)] if len(kept) else []
        if arrivals:
            parts.append(_stacked(arrivals, generation.strategy))
        Z, Y = parts[0]
        if len(parts) > 1:
            Z, Y = _joined(*zip(*parts, strict=True))
        return Z, Y, values, None if (mass == 1).all() else mass


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
