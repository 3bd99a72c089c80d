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
from .asked import Asked
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
    open : Asked
        The generation that is asked now.
    late : tuple of Asked
        Those before it of which values are missing, the oldest first.
    former : tuple of Asked
        Those of the run before (restarts), which teach this run nothing.
    told, forgotten : KnownPoints
        Points that were told, and that were forgotten.
    own : KnownPoints
        The points of the user's own that came since the last ask.
    over : PersistentList
        (key, (n,) bool) of generations that were forgotten: which candidates were told.
    family : tuple of int
        The name of this search, which comes last, and of those that it is a copy of.
    """

    open: Asked
    late: tuple[Asked, ...]
    former: tuple[Asked, ...]
    told: KnownPoints
    forgotten: KnownPoints
    own: KnownPoints
    over: PersistentList
    family: tuple[int, ...]

    @classmethod
    def begin(cls, generation: Generation) -> Ledger:
        """The ledger of a search whose first generation this is."""
        asked = Asked(generation, Answers())
        told, forgotten, own = KnownPoints(), KnownPoints(), KnownPoints()
        return cls(asked, (), (), told, forgotten, own, EMPTY, (generation.origin,))

    def copy(self, origin: int) -> Ledger:
        """The same for a copy of the search, which has this name.

        Nothing that is worked out on the way is shared.
        """

        def copied(asked):
            return Asked(copy.copy(asked.generation), copy.copy(asked.answers))

        return Ledger(
            copied(self.open),
            tuple(map(copied, self.late)),
            tuple(map(copied, self.former)),
            copy.copy(self.told),
            copy.copy(self.forgotten),
            copy.copy(self.own),
            self.over,
            (*self.family, origin),
        )

    # -- what it knows ----------------------------------------------------------------------------

    def known(self) -> Iterator[tuple[int, Asked]]:
        """(kind, Asked) of all generations of which values may come."""
        for asked in self.late:
            yield LATE, asked
        yield OPEN, self.open
        for asked in self.former:
            yield FORMER, asked

    def generation(self, key: Any) -> tuple[Any, Any]:
        """(kind, Asked) of the generation with this key; (None, None) where there is none."""
        pairs = (pair for pair in self.known() if pair[1].generation.key == key)
        return next(pairs, (None, None))

    def was_told(self, key: Any, i: int) -> bool:
        """Whether candidate i of a generation that is over was told.

        Of those that were forgotten it is remembered which ones were; all others were told.
        """
        parts = [told for known, told in self.over if known == key]
        return not parts or any(i < len(told) and told[i] for told in parts)

    def waiting(self) -> list[tuple[Generation, np.ndarray]]:
        """(generation, indices) of all that was asked and not told, the oldest first."""
        groups = (*self.former, *self.late, self.open)
        return [(asked.generation, asked.waits) for asked in groups]

    @property
    def is_out(self) -> bool:
        """Whether any candidate was asked in the open generation, or is waited for."""
        earlier = (*self.former, *self.late)
        return self.open.generation.count > 0 or any(len(asked.waits) for asked in earlier)

    def find(self, X: Any) -> list[Place]:
        """The Place of each row of X, an (n, d) array or Candidates: which candidate it is."""
        return places_of(self, X)

    # -- what comes -------------------------------------------------------------------------------

    def asked(self, generation: Generation) -> Ledger:
        """The same with further candidates of the open generation."""
        own = KnownPoints() if len(self.own.parts) else self.own
        return self._with(Asked(generation, self.open.answers), self.late, self.told, own)

    def _with(self, open_, late, told, own) -> Ledger:
        """What `_replace` would give, in half of the time."""
        return Ledger(open_, late, self.former, told, self.forgotten, own, self.over, self.family)

    def all_told(self, values: np.ndarray) -> Ledger:
        """The same with values (n,) of all candidates of the open generation, in their order."""
        generation, answers = self.open
        answers = answers.told(slice(None), values, generation.count)
        return self._with(Asked(generation, answers), self.late, self.told, self.own)

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

    def _remembering(self, places, before) -> Ledger:
        """The same with points that were told at these places, in the Ledger `before`."""
        prints, told, over = [], self.told, self.over
        for place in places:
            if place.kind == OWN and place.print is not None:
                prints.append(place.print)
            elif place.kind in (LATE, FORMER):
                generation = before.generation(place.key)[1].generation
                for rows in generation.seen(np.array([place.index])):
                    told = told.add(rows)
            elif place.kind == FORGOTTEN and place.key is None:
                told = told.add(np.array([place.print], dtype=np.uint64))
            elif place.kind == FORGOTTEN:
                over = over.append((place.key, np.arange(place.index + 1) == place.index))
        own = self.own.add(np.array(prints, dtype=np.uint64))
        return self._replace(own=own, told=told, over=over)

    def _changed(self, key, by_index) -> Ledger:
        """The same with what came of the generation with this key.

        by_index   {index: value}; None in place of a value: a point of the user's own came in the
                   place of the candidate
        """
        indices = np.array([i for i, value in by_index.items() if value is not None], dtype=int)
        values = np.array([value for value in by_index.values() if value is not None])
        replaced = np.array([i for i, value in by_index.items() if value is None], dtype=int)

        def changed(asked):
            generation, answers = asked
            if generation.key != key:
                return asked
            if len(indices):
                answers = answers.told(indices, values, len(generation))
            if len(replaced):
                answers = answers.replaced(replaced, len(generation))
            return Asked(generation, answers)

        late, former = (tuple(map(changed, group)) for group in (self.late, self.former))
        return self._replace(open=changed(self.open), late=late, former=former)

    def _without_whole(self) -> Ledger:
        """The same without earlier generations that have all their values."""
        if not any(asked.is_whole for asked in (*self.late, *self.former)):
            return self
        late = tuple(asked for asked in self.late if not asked.is_whole)
        former = tuple(asked for asked in self.former if not asked.is_whole)
        return self._replace(late=late, former=former)

    # -- from generation to generation ------------------------------------------------------------

    def closed(self, generation: Generation) -> Ledger:
        """The same with the open generation closed, and this one in its place."""
        late, told = self._closing()
        fresh = Asked(generation, Answers())
        if not late:
            return self._with(fresh, late, told, self.own)
        over = [asked for asked in late if asked.is_over(generation.number)]
        if not over:
            return self._with(fresh, late, told, self.own)
        late = tuple(asked for asked in late if not asked.is_over(generation.number))
        return self._forgetting(over)._with(fresh, late, told, self.own)

    def of_next_run(self, generation: Generation) -> Ledger:
        """The ledger of the run after this one, whose first generation this is.

        What the present run waits for may still come; what it has waited for of the run before it
        is forgotten.
        """
        late, told = self._closing()
        former = tuple(asked for asked in late if len(asked.waits))
        ledger = self._replace(former=former)._forgetting(self.former)
        return ledger._with(Asked(generation, Answers()), (), told, self.own)

    def after(self, former: Ledger) -> Ledger:
        """The same with what the run before waits for, and what it remembers."""
        waiting = tuple(asked for asked in (*former.late, former.open) if len(asked.waits))
        told = self.told.add(former.told.prints())
        forgotten = self.forgotten.add(former.forgotten.prints())
        return self._replace(former=waiting, told=told, forgotten=forgotten)

    def _closing(self) -> tuple[tuple[Asked, ...], KnownPoints]:
        """(late, told) with the open generation among the late ones, or over."""
        (generation, answers), told = self.open, self.told
        if answers.heard == generation.count:
            for rows in generation.seen():
                told = told.add(rows)
            return self.late, told
        is_told = self.open.told
        for rows in generation.seen(np.flatnonzero(is_told)):
            told = told.add(rows)
        return (*self.late, Asked(generation.closed(~is_told), answers)), told

    def _forgetting(self, groups) -> Ledger:
        """The same with these generations forgotten."""
        forgotten, over = self.forgotten, self.over
        for asked in groups:
            for rows in asked.generation.seen(np.flatnonzero(~asked.told)):
                forgotten = forgotten.add(rows)
            over = over.append((asked.generation.key, asked.told.copy()))
        if len(over) > 2 * OVER:
            over = PersistentList(over.last(OVER))
        return self._replace(forgotten=forgotten, over=over)

    # -- files ------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise ValueError where two generations have the same number.

        Nobody could tell their candidates apart: a state was assigned that has an earlier one.
        """
        keys = [asked.generation.key for _, asked in self.known()]
        if len(set(keys)) < len(keys):
            raise ValueError("two generations that are waited for have the same number")

    def snapshot(self, structure: Structure) -> dict[str, Any]:
        """What `restored` takes, as `Generation.snapshot`."""
        return {
            "generations": [asked.snapshot(structure) for asked in (*self.late, self.open)],
            "former": [asked.snapshot(structure) for asked in self.former],
            "told": self.told.prints(),
            "forgotten": self.forgotten.prints(),
            "own": self.own.prints(),
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

        def asked(trees):
            if len(trees) > MANY:
                raise ValueError(f"{len(trees)} generations are waited for, {MANY} at most can be")
            return tuple(Asked.restored(part, strategy, xp, origin, shared) for part in trees)

        def points(name):
            prints = tree.get(name, np.empty(0, dtype=np.uint64))  # not in older files
            if prints.ndim != 1 or prints.dtype != np.uint64:
                raise ValueError(f"{name} must be (n,) fingerprints")
            return KnownPoints().add(prints)

        *late, open_ = asked(tree["generations"])
        former = asked(tree.get("former", ()))
        told, forgotten, own = (points(name) for name in ("told", "forgotten", "own"))
        ledger = cls(open_, tuple(late), former, told, forgotten, own, EMPTY, (origin,))
        ledger.check()
        return ledger
