"""All candidates of a search that still matter: what was asked, and what came back of it.

A candidate is waited for during `KEPT` generations after its own (asked.py); then the
distribution that it came from is of no use any more, and it is forgotten. Of what was told the
search remembers the points, a few thousand of them, so that a value that comes twice counts once.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..arrays.persistent import EMPTY, PersistentList
from ..strategy.strategy import Strategy
from ..structures.base import Structure
from .answers import Answers
from .asked import Entry
from .generation import Generation
from .known_points import KnownPoints
from .places import FORGOTTEN, FORMER, LATE, OPEN, OWN, Place
from .recognition import places_of

MANY = 1000  # generations that a file may say are waited for
OVER = 200  # generations that were forgotten of which it is known what was told


class Ledger(NamedTuple):
    """The candidates of a search: a value, of which the methods give the next one.

    Attributes
    ----------
    open : Entry
        The generation that is asked now.
    late : tuple of Entry
        Those before it of which values are missing, the oldest first.
    former : tuple of Entry
        Those of the run before (restarts), which teach this run nothing.
    told_points, forgotten_points : KnownPoints
        Points that were told, and that were forgotten.
    own_points : KnownPoints
        The points of the user's own that came since the last ask.
    told_masks : PersistentList
        (key, (n,) bool) of generations that were forgotten: which candidates were told.
    family : tuple of int
        The name of this search, which comes last, and of those that it is a copy of.
    """

    open: Entry
    late: tuple[Entry, ...]
    former: tuple[Entry, ...]
    told_points: KnownPoints
    forgotten_points: KnownPoints
    own_points: KnownPoints
    told_masks: PersistentList
    family: tuple[int, ...]

    @classmethod
    def begin(cls, generation: Generation) -> Ledger:
        """The ledger of a search whose first generation this is."""
        entry = Entry(generation, Answers())
        told_points, forgotten_points, own_points = KnownPoints(), KnownPoints(), KnownPoints()
        return cls(
            entry, (), (), told_points, forgotten_points, own_points, EMPTY, (generation.origin,)
        )

    def copy(self, origin: int) -> Ledger:
        """The same for a copy of the search, which has this name.

        Nothing that is worked out on the way is shared.
        """

        def copied(entry):
            return Entry(copy.copy(entry.generation), copy.copy(entry.answers))

        return Ledger(
            copied(self.open),
            tuple(map(copied, self.late)),
            tuple(map(copied, self.former)),
            copy.copy(self.told_points),
            copy.copy(self.forgotten_points),
            copy.copy(self.own_points),
            self.told_masks,
            (*self.family, origin),
        )

    # -- what it knows ----------------------------------------------------------------------------

    def known(self) -> Iterator[tuple[int, Entry]]:
        """(kind, Entry) of all generations of which values may come."""
        for entry in self.late:
            yield LATE, entry
        yield OPEN, self.open
        for entry in self.former:
            yield FORMER, entry

    def generation(self, key: Any) -> tuple[Any, Any]:
        """(kind, Entry) of the generation with this key; (None, None) where there is none."""
        pairs = (pair for pair in self.known() if pair[1].generation.key == key)
        return next(pairs, (None, None))

    def was_told(self, key: Any, i: int) -> bool:
        """Whether candidate i of a generation that is over was told.

        Of those that were forgotten it is remembered which ones were; all others were told.
        """
        masks = [is_told for closed_key, is_told in self.told_masks if closed_key == key]
        return not masks or any(i < len(is_told) and is_told[i] for is_told in masks)

    def waiting(self) -> list[tuple[Generation, np.ndarray]]:
        """(generation, indices) of all that was asked and not told, the oldest first."""
        groups = (*self.former, *self.late, self.open)
        return [(entry.generation, entry.waits) for entry in groups]

    @property
    def is_out(self) -> bool:
        """Whether any candidate was asked in the open generation, or is waited for."""
        earlier = (*self.former, *self.late)
        return self.open.generation.count > 0 or any(len(entry.waits) for entry in earlier)

    def find(self, X: Any) -> list[Place]:
        """The Place of each row of X, an (n, d) array or Candidates: which candidate it is."""
        return places_of(self, X)

    # -- what comes -------------------------------------------------------------------------------

    def asked(self, generation: Generation) -> Ledger:
        """The same with further candidates of the open generation."""
        own_points = KnownPoints() if len(self.own_points.parts) else self.own_points
        return self._with(
            Entry(generation, self.open.answers), self.late, self.told_points, own_points
        )

    def _with(self, open_, late, told_points, own_points) -> Ledger:
        """What `_replace` would give, in half of the time."""
        return Ledger(
            open_,
            late,
            self.former,
            told_points,
            self.forgotten_points,
            own_points,
            self.told_masks,
            self.family,
        )

    def all_told(self, values: np.ndarray) -> Ledger:
        """The same with values (n,) of all candidates of the open generation, in their order."""
        generation, answers = self.open
        answers = answers.told(slice(None), values, generation.count)
        return self._with(Entry(generation, answers), self.late, self.told_points, self.own_points)

    def with_values(self, places: list[Place], values: np.ndarray) -> Ledger:
        """The same with values (n,) of the candidates at these places, and with own points."""
        changes: dict[Any, dict[int, float | None]] = {}
        for place, value in zip(places, values.tolist(), strict=True):
            if place.kind in (OPEN, LATE, FORMER):
                changes.setdefault(place.key, {})[place.index] = value
            elif place.kind == OWN and place.key is not None:
                changes.setdefault(place.key, {}).setdefault(place.index, None)
        ledger = self
        for key, by_index in changes.items():
            ledger = ledger._changed(key, by_index)
        return ledger._remembering(places, self)._without_whole()

    def _remembering(self, places, earlier) -> Ledger:
        """The same with points that were told at these places, in the Ledger `before`."""
        prints, told_points, told_masks = [], self.told_points, self.told_masks
        for place in places:
            if place.kind == OWN and place.print is not None:
                prints.append(place.print)
            elif place.kind in (LATE, FORMER):
                generation = earlier.generation(place.key)[1].generation
                for rows in generation.seen(np.array([place.index])):
                    told_points = told_points.add(rows)
            elif place.kind == FORGOTTEN and place.key is None:
                told_points = told_points.add(np.array([place.print], dtype=np.uint64))
            elif place.kind == FORGOTTEN:
                told_masks = told_masks.append(
                    (place.key, np.arange(place.index + 1) == place.index)
                )
        own_points = self.own_points.add(np.array(prints, dtype=np.uint64))
        return self._replace(own_points=own_points, told_points=told_points, told_masks=told_masks)

    def _changed(self, key, by_index) -> Ledger:
        """The same with what came of the generation with this key.

        by_index   {index: value}; None in place of a value: a point of the user's own came in the
                   place of the candidate
        """
        indices = np.array([i for i, value in by_index.items() if value is not None], dtype=int)
        values = np.array([value for value in by_index.values() if value is not None])
        replaced = np.array([i for i, value in by_index.items() if value is None], dtype=int)

        def changed(entry):
            generation, answers = entry
            if generation.key != key:
                return entry
            if len(indices):
                answers = answers.told(indices, values, len(generation))
            if len(replaced):
                answers = answers.replaced(replaced, len(generation))
            return Entry(generation, answers)

        late, former = (tuple(map(changed, group)) for group in (self.late, self.former))
        return self._replace(open=changed(self.open), late=late, former=former)

    def _without_whole(self) -> Ledger:
        """The same without earlier generations that have all their values."""
        if not any(entry.is_whole for entry in (*self.late, *self.former)):
            return self
        late = tuple(entry for entry in self.late if not entry.is_whole)
        former = tuple(entry for entry in self.former if not entry.is_whole)
        return self._replace(late=late, former=former)

    # -- from generation to generation ------------------------------------------------------------

    def closed(self, generation: Generation) -> Ledger:
        """The same with the open generation closed, and this one in its place."""
        late, told_points = self._closing()
        fresh = Entry(generation, Answers())
        if not late:
            return self._with(fresh, late, told_points, self.own_points)
        closed = [entry for entry in late if entry.is_over(generation.number)]
        if not closed:
            return self._with(fresh, late, told_points, self.own_points)
        late = tuple(entry for entry in late if not entry.is_over(generation.number))
        return self._forgetting(closed)._with(fresh, late, told_points, self.own_points)

    def of_next_run(self, generation: Generation) -> Ledger:
        """The ledger of the run after this one, whose first generation this is.

        What the present run waits for may still come; what it has waited for of the run before it
        is forgotten.
        """
        late, told_points = self._closing()
        former = tuple(entry for entry in late if len(entry.waits))
        ledger = self._replace(former=former)._forgetting(self.former)
        return ledger._with(Entry(generation, Answers()), (), told_points, self.own_points)

    def after(self, former: Ledger) -> Ledger:
        """The same with what the run before waits for, and what it remembers."""
        waiting = tuple(entry for entry in (*former.late, former.open) if len(entry.waits))
        told_points = self.told_points.add(former.told_points.prints())
        forgotten_points = self.forgotten_points.add(former.forgotten_points.prints())
        return self._replace(
            former=waiting, told_points=told_points, forgotten_points=forgotten_points
        )

    def _closing(self) -> tuple[tuple[Entry, ...], KnownPoints]:
        """(late, told) with the open generation among the late ones, or over."""
        (generation, answers), told_points = self.open, self.told_points
        if answers.n_told == generation.count:
            for rows in generation.seen():
                told_points = told_points.add(rows)
            return self.late, told_points
        is_told = self.open.is_told
        for rows in generation.seen(np.flatnonzero(is_told)):
            told_points = told_points.add(rows)
        return (*self.late, Entry(generation.closed(~is_told), answers)), told_points

    def _forgetting(self, groups) -> Ledger:
        """The same with these generations forgotten."""
        forgotten_points, told_masks = self.forgotten_points, self.told_masks
        for entry in groups:
            for rows in entry.generation.seen(np.flatnonzero(~entry.is_told)):
                forgotten_points = forgotten_points.add(rows)
            told_masks = told_masks.append((entry.generation.key, entry.is_told.copy()))
        if len(told_masks) > 2 * OVER:
            told_masks = PersistentList(told_masks.last(OVER))
        return self._replace(forgotten_points=forgotten_points, told_masks=told_masks)

    # -- files ------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise ValueError where two generations have the same number.

        Nobody could tell their candidates apart: a state was assigned that has an earlier one.
        """
        keys = [entry.generation.key for _, entry in self.known()]
        if len(set(keys)) < len(keys):
            raise ValueError("two generations that are waited for have the same number")

    def snapshot(self, structure: Structure) -> dict[str, Any]:
        """What `restored` takes, as `Generation.snapshot`."""
        return {
            "generations": [entry.snapshot(structure) for entry in (*self.late, self.open)],
            "former": [entry.snapshot(structure) for entry in self.former],
            "told": self.told_points.prints(),
            "forgotten": self.forgotten_points.prints(),
            "own": self.own_points.prints(),
        }

    @classmethod
    def restored(
        cls,
        tree: dict[str, Any],
        strategy: Strategy,
        xp: Any,
        origin: int,
        shared: tuple = (None, None),
    ) -> Ledger:
        """The Ledger of a snapshot; the arguments are as for `Generation.restored`.

        Candidates that were handed out by address are of another search.
        """

        def entries(trees):
            if len(trees) > MANY:
                raise ValueError(f"{len(trees)} generations are waited for, {MANY} at most can be")
            return tuple(Entry.restored(part, strategy, xp, origin, shared) for part in trees)

        def points(name):
            prints = tree.get(name, np.empty(0, dtype=np.uint64))  # not in older files
            if prints.ndim != 1 or prints.dtype != np.uint64:
                raise ValueError(f"{name} must be (n,) fingerprints")
            return KnownPoints().add(prints)

        *late, open_ = entries(tree["generations"])
        former = entries(tree.get("former", ()))
        ledger = cls(
            open_,
            tuple(late),
            former,
            told_points=points("told"),
            forgotten_points=points("forgotten"),
            own_points=points("own"),
            told_masks=EMPTY,
            family=(origin,),
        )
        ledger.check()
        return ledger
