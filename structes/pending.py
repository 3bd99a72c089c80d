"""What was asked, and what was told of it: candidate by candidate, generation by generation.

Values come back in any order and in any portions, late, twice, or never, and a row may never have
been asked at all. A row is recognised by a fingerprint of its bits (64 of them), so the caller's
copies, lists and reorderings are all fine. A candidate is one of

    open       asked in the present generation
    late       asked in an earlier one, and its value has not come yet
    forgotten  asked more than `KEPT` generations ago and not told: the distribution that it came
               from is of no use any more
    repeated   told before

and what is none of these was never asked. Points are not kept: they follow from their addresses
(seed, generation, index) and the state that they were drawn from. A closed generation keeps its
state as long as one of its candidates is late.

Candidates that are told by a handle (candidates.py) are known by generation and index. What was
asked lazily has no fingerprints, until an array comes that has to be recognised; those of a
generation that closes without are never made: a row of it that is told once more, or after it was
forgotten, as an array, is a point that was never asked.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .backend import to_numpy
from .candidates import Candidates
from .fingerprints import Recent, fingerprints
from .generation import Generation

KEPT = 50  # generations for which an untold candidate is waited for

OPEN, LATE, FORGOTTEN, REPEATED, FOREIGN = range(5)


class Place(NamedTuple):
    """Where a row belongs: a kind, its fingerprint (None: not known), and for OPEN and LATE the
    generation and the index in it; for others, too, where they were told by a handle."""

    kind: int
    print: int | None
    generation: Any = None
    index: int = -1

    @property
    def is_told(self) -> bool:
        return self.generation is not None and bool(self.generation.told[self.index])


class Ledger:
    """All candidates of a search that still matter: the open generation, and those before it."""

    def __init__(self, generation: Generation):
        self.open = generation
        self.late: dict[int, Generation] = {}  # by number: those that some values miss
        self.told, self.forgotten = Recent(), Recent()
        self.seeds = {generation.seed}  # of this search, and of the runs before it
        self._places: dict[int, list] = {}  # fingerprint -> [(generation, index)]

    def snapshot(self, structure) -> dict:
        """What `restored` takes, as `Generation.snapshot`."""
        return {
            "generations": [g.snapshot(structure) for g in (*self.late.values(), self.open)],
            "told": self.told.array(),
            "forgotten": self.forgotten.array(),
        }

    @classmethod
    def restored(cls, tree: dict, strategy, xp) -> Ledger:
        """The Ledger of a snapshot."""
        *late, open_ = (Generation.restored(g, strategy, xp) for g in tree["generations"])
        self = cls(open_)
        self.told, self.forgotten = Recent(tree["told"]), Recent(tree["forgotten"])
        for generation in late:
            self.late[generation.number] = generation
        return self

    def next(self, generation: Generation) -> None:
        """Close the open generation; `generation` is the new one."""
        closed, self.open = self.open, generation
        closed.close()
        self.told.add(closed.known(closed.told))
        self._leave(closed.known(closed.told) if closed.listed else np.empty(0))
        if closed.heard == len(closed):
            closed.waits = False
        else:
            self.late[closed.number] = closed
        for number in [n for n in self.late if n < generation.number - KEPT]:
            self._forget(self.late.pop(number))

    def forget(self) -> None:
        """Wait for nothing any more."""
        for generation in (*self.late.values(), self.open):
            self._forget(generation)

    def _forget(self, generation):
        generation.waits = False
        left = generation.known(~generation.told)
        self._leave(left)
        self.forgotten.add(left)

    def open_rows(self, X):
        """The index, in the open generation, of what X says: all of it as it was asked, or any of
        its candidates by a handle; None where X is something else."""
        if isinstance(X, Candidates):
            alone = len(X.parts) == 1 and X.parts[0][0] is self.open
            return X.parts[0][1] if alone else None
        return slice(None) if self.open.is_asked(X) else None

    def find(self, X) -> list[Place]:
        """The Place of each row of X, an (n, d) array or Candidates. A row that was asked several
        times takes one that was not told yet, if any. Candidates of another search are FOREIGN."""
        taken: set = set()
        if isinstance(X, Candidates):
            return [self._place(g, i, taken) for g, at in X.parts for i in at.tolist()]
        for generation in (*self.late.values(), self.open):
            self._list(generation)
        return [self._find(p, taken) for p in fingerprints(X).tolist()]

    def _place(self, generation, i, taken):
        """The Place of a candidate by its address."""
        here = generation, i
        if generation is self.open:
            return Place(OPEN, None, *here)
        waits = self.late.get(generation.number) is generation
        if not waits and (generation.waits or generation.seed not in self.seeds):
            return Place(FOREIGN, None)
        if generation.told[i] or here in taken:
            return Place(REPEATED, None, *here)
        taken.add(here)
        return Place(LATE if waits else FORGOTTEN, generation.print(i), *here)

    def _find(self, print_, taken):
        told = None
        for place in self._places.get(print_, ()):
            generation, i = place
            if generation.told[i]:
                told = place
            elif (generation.number, i) not in taken:
                taken.add((generation.number, i))
                return Place(OPEN if generation is self.open else LATE, print_, *place)
            else:
                told = place
        if told is not None:
            return Place(OPEN, print_, *told) if told[0] is self.open else Place(REPEATED, print_)
        if print_ in self.told or print_ in taken:
            return Place(REPEATED, print_)
        taken.add(print_)  # a second such row is no other point
        return Place(FORGOTTEN if print_ in self.forgotten else FOREIGN, print_)

    def tell(self, place: Place, value: float) -> None:
        """A value has come: of an open, late or forgotten candidate, or a point never asked."""
        if place.generation is not None:
            place.generation.tell(place.index, value)
        if place.kind != OPEN and place.print is not None:
            prints = np.array([place.print], dtype=np.uint64)
            self.told.add(prints)
            self._leave(prints)
        if place.kind == LATE and place.generation.heard == len(place.generation):
            del self.late[place.generation.number]
            place.generation.waits = False

    def waiting(self) -> list:
        """(Generation, indices) of all that was asked and not told, the oldest first."""
        return [(g, np.flatnonzero(~g.told)) for g in (*self.late.values(), self.open)]

    # -- inside -----------------------------------------------------------------------------------

    def _list(self, generation):
        """Those of its candidates into `_places` that are not there yet."""
        if generation.listed == len(generation):
            return
        start, generation.listed = generation.listed, len(generation)
        for i, p in enumerate(generation.prints()[start:].tolist(), start):
            if generation is self.open or not generation.told[i]:
                self._places.setdefault(p, []).append((generation, i))

    def _leave(self, prints):
        """Those that were told, or are not waited for, are out of `_places`; of the open
        generation they stay, because a later value may replace the first."""
        for p in to_numpy(prints).tolist():
            left = [
                (g, i)
                for g, i in self._places.get(p, ())
                if g is self.open or (g.waits and not g.told[i])
            ]
            if left:
                self._places[p] = left
            else:
                self._places.pop(p, None)
