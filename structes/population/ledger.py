"""All candidates of a search that still matter: what was asked, and what came back of it.

A candidate is waited for during `KEPT` generations after its own; then the distribution that it
came from is of no use any more. Of what was told the search remembers the points, a few thousand
of them, so that a value that comes twice counts once.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..arrays.persistent import EMPTY, PersistentList
from ..registry import brief
from .answers import Answers
from .generation import Generation
from .known_points import KnownPoints
from .places import FORGOTTEN, FORMER, LATE, OPEN, OWN, Place
from .recognition import places_of

KEPT = 50  # generations for which an untold candidate is waited for
REPLACED = 2  # and for which it is known, where a point of the user's own came in its place
MANY = 1000  # generations that a file may say are waited for
OVER = 200  # generations that were forgotten of which it is known what was told


class Asked(NamedTuple):
    """A generation, and what came back of it."""

    generation: Generation
    answers: Answers

    @property
    def waits(self) -> np.ndarray:
        """(k,) indices of the candidates that are waited for."""
        return np.flatnonzero(self.answers.waits(len(self.generation)))

    @property
    def told(self) -> np.ndarray:
        """(n,) bool: which candidates have a value."""
        return self.answers.is_told(len(self.generation))

    @property
    def heard(self) -> int:
        """How many candidates have a value."""
        return self.answers.heard

    @property
    def is_whole(self) -> bool:
        """Do all have one?"""
        return self.answers.heard == self.generation.count

    def is_over(self, number: int) -> bool:
        """Is it not waited for any more when generation `number` begins?"""
        age = number - self.generation.number
        return age > KEPT or (age > REPLACED and not len(self.waits))

    def snapshot(self, structure) -> dict:
        """What `restored` takes, as `Generation.snapshot`."""
        n, answers = len(self.generation), self.answers
        return {
            **self.generation.snapshot(structure),
            "told": self.told.copy(),
            "values": answers.values(n).copy(),
            "replaced": ~(answers.waits(n) | self.told),
        }

    @classmethod
    def restored(cls, tree: dict, strategy, xp, origin: int, known) -> Asked:
        """The Asked of a snapshot; arguments as for `Generation.restored`."""
        n = sum(k for k in tree["asked"] if type(k) is int)
        told, values = tree["told"], tree["values"]
        for name, its, dtype in (("told", told, bool), ("values", values, float)):
            if its.shape != (n,) or its.dtype != dtype:
                raise ValueError(f"{name} has shape {its.shape} for {brief(n)} candidates")
        if (values == -np.inf).any():
            raise ValueError("values must not be -inf")
        answers = Answers()
        if told.any():
            at = np.flatnonzero(told)
            answers = answers.told(at, values[at], n)
        replaced = tree.get("replaced")  # not in older files
        if replaced is not None and (replaced.shape != (n,) or replaced.dtype != bool):
            raise ValueError(f"replaced has shape {replaced.shape} for {brief(n)} candidates")
        if replaced is not None and replaced.any():
            answers = answers.replaced(np.flatnonzero(replaced), n)
        return cls(Generation.restored(tree, strategy, xp, origin, known), answers)


class Ledger(NamedTuple):
    """The candidates of a search: a value, of which the methods give the next one.

    open     the generation that is asked now
    late     those before it of which values are missing, the oldest first
    former   those of the run before (restarts), which teach this run nothing
    told, forgotten   KnownPoints of points
    own      KnownPoints of the points of the user's own that came since the last ask
    over     PersistentList of (key, (n,) bool): candidates that were told of generations that
             were forgotten
    family   names of this search, which comes last, and of those that it is a copy of
    """

    open: Asked
    late: tuple
    former: tuple
    told: KnownPoints
    forgotten: KnownPoints
    own: KnownPoints
    over: PersistentList
    family: tuple

    @classmethod
    def begin(cls, generation: Generation) -> Ledger:
        """Of a search whose first generation this is."""
        asked = Asked(generation, Answers())
        memories = KnownPoints(), KnownPoints(), KnownPoints()
        return cls(asked, (), (), *memories, EMPTY, (generation.origin,))

    def copy(self, origin: int) -> Ledger:
        """The same for a copy of the search, which has this name: nothing that is worked out on
        the way is shared."""

        def copied(asked):
            return Asked(copy.copy(asked.generation), copy.copy(asked.answers))

        groups = (tuple(map(copied, its)) for its in (self.late, self.former))
        memories = (copy.copy(its) for its in (self.told, self.forgotten, self.own))
        return Ledger(copied(self.open), *groups, *memories, self.over, (*self.family, origin))

    # -- what it knows ----------------------------------------------------------------------------

    def known(self) -> Iterator[tuple[int, Asked]]:
        """(kind, Asked) of all generations of which values may come."""
        for asked in self.late:
            yield LATE, asked
        yield OPEN, self.open
        for asked in self.former:
            yield FORMER, asked

    def generation(self, key) -> tuple:
        """(kind, Asked) of the generation with this key; (None, None) where there is none."""
        return next((its for its in self.known() if its[1].generation.key == key), (None, None))

    def was_told(self, key, i: int) -> bool:
        """Was candidate i of a generation that is over told? Of those that were forgotten it is
        remembered which ones were; all others were told."""
        parts = [told for known, told in self.over if known == key]
        return not parts or any(i < len(told) and told[i] for told in parts)

    def waiting(self) -> list:
        """(Generation, indices) of all that was asked and not told, the oldest first."""
        return [(its.generation, its.waits) for its in (*self.former, *self.late, self.open)]

    @property
    def is_out(self) -> bool:
        """Was any candidate asked in the open generation, or is any waited for?"""
        known = (*self.former, *self.late)
        return self.open.generation.count > 0 or any(len(its.waits) for its in known)

    def find(self, X) -> list[Place]:
        """The Place of each row of X, an (n, d) array or Candidates: which candidate it is."""
        return places_of(self, X)

    # -- what comes -------------------------------------------------------------------------------

    def asked(self, generation: Generation) -> Ledger:
        """With further candidates of the open generation."""
        own = KnownPoints() if len(self.own.parts) else self.own
        return self._with(Asked(generation, self.open.answers), self.late, self.told, own)

    def _with(self, open_, late, told, own) -> Ledger:
        """What `_replace` would give, in half of the time."""
        return Ledger(open_, late, self.former, told, self.forgotten, own, self.over, self.family)

    def all_told(self, values) -> Ledger:
        """With values (n,) of all candidates of the open generation, in their order."""
        generation, answers = self.open
        answers = answers.told(slice(None), values, generation.count)
        return self._with(Asked(generation, answers), self.late, self.told, self.own)

    def with_values(self, places: list[Place], values) -> Ledger:
        """With values of the candidates at these places; own points are remembered, too."""
        changes: dict = {}
        for place, value in zip(places, values.tolist(), strict=True):
            if place.kind in (OPEN, LATE, FORMER):
                changes.setdefault(place.key, {})[place.index] = value
            elif place.kind == OWN and place.key is not None:
                changes.setdefault(place.key, {}).setdefault(place.index, None)
        ledger = self
        for key, its in changes.items():
            ledger = ledger._changed(key, its)
        return ledger._remembering(places, self)._without_whole()

    def _remembering(self, places, before):
        """With what is known of points that were told at these places, in the Ledger `before`."""
        own, told, over = [], self.told, self.over
        for place in places:
            if place.kind == OWN and place.print is not None:
                own.append(place.print)
            elif place.kind in (LATE, FORMER):
                generation = before.generation(place.key)[1].generation
                for rows in generation.seen(np.array([place.index])):
                    told = told.add(rows)
            elif place.kind == FORGOTTEN and place.key is None:
                told = told.add(np.array([place.print], dtype=np.uint64))
            elif place.kind == FORGOTTEN:
                over = over.append((place.key, np.arange(place.index + 1) == place.index))
        own = self.own.add(np.array(own, dtype=np.uint64))
        return self._replace(own=own, told=told, over=over)

    def _changed(self, key, its):
        """With what came of the generation with this key: {index: value, None for a point of the
        user's own in the place of the candidate}."""
        at = np.array([i for i, value in its.items() if value is not None], dtype=int)
        values = np.array([value for value in its.values() if value is not None])
        replaced = np.array([i for i, value in its.items() if value is None], dtype=int)

        def changed(asked):
            generation, answers = asked
            if generation.key != key:
                return asked
            if len(at):
                answers = answers.told(at, values, len(generation))
            if len(replaced):
                answers = answers.replaced(replaced, len(generation))
            return Asked(generation, answers)

        late, former = (tuple(map(changed, asked)) for asked in (self.late, self.former))
        return self._replace(open=changed(self.open), late=late, former=former)

    def _without_whole(self):
        """Without earlier generations that have all their values."""
        if not any(asked.is_whole for asked in (*self.late, *self.former)):
            return self
        late = tuple(asked for asked in self.late if not asked.is_whole)
        former = tuple(asked for asked in self.former if not asked.is_whole)
        return self._replace(late=late, former=former)

    # -- from generation to generation ------------------------------------------------------------

    def closed(self, generation: Generation) -> Ledger:
        """With the open generation closed, and this one in its place."""
        late, told = self._closing()
        fresh = Asked(generation, Answers())
        if not late:
            return self._with(fresh, late, told, self.own)
        left = [asked for asked in late if asked.is_over(generation.number)]
        if not left:
            return self._with(fresh, late, told, self.own)
        late = tuple(asked for asked in late if not asked.is_over(generation.number))
        return self._forgetting(left)._with(fresh, late, told, self.own)

    def of_next_run(self, generation: Generation) -> Ledger:
        """That of the run after this one, whose first generation this is: what the present run
        waits for may still come, what it has waited for of the run before it is forgotten."""
        late, told = self._closing()
        former = tuple(asked for asked in late if len(asked.waits))
        ledger = self._replace(former=former)._forgetting(self.former)
        return ledger._with(Asked(generation, Answers()), (), told, self.own)

    def after(self, former: Ledger) -> Ledger:
        """The same with what the run before waits for, and what it remembers."""
        waiting = tuple(asked for asked in (*former.late, former.open) if len(asked.waits))
        told, forgotten = (
            ours.add(theirs.prints())
            for ours, theirs in ((self.told, former.told), (self.forgotten, former.forgotten))
        )
        return self._replace(former=waiting, told=told, forgotten=forgotten)

    def _closing(self) -> tuple:
        """(late, told) with the open generation among the late ones, or over."""
        (generation, answers), told = self.open, self.told
        if answers.heard == generation.count:
            for rows in generation.seen():
                told = told.add(rows)
            return self.late, told
        asked = self.open
        for rows in generation.seen(np.flatnonzero(asked.told)):
            told = told.add(rows)
        closed = Asked(asked.generation.closed(~asked.told), asked.answers)
        return (*self.late, closed), told

    def _forgetting(self, left):
        """With these generations forgotten."""
        forgotten, over = self.forgotten, self.over
        for asked in left:
            for rows in asked.generation.seen(np.flatnonzero(~asked.told)):
                forgotten = forgotten.add(rows)
            over = over.append((asked.generation.key, asked.told.copy()))
        if len(over) > 2 * OVER:
            over = PersistentList(over.last(OVER))
        return self._replace(forgotten=forgotten, over=over)

    # -- files ------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise ValueError where two generations have the same number, so that nobody could tell
        their candidates apart: a state was assigned that has an earlier one."""
        keys = [its.generation.key for _, its in self.known()]
        if len(set(keys)) < len(keys):
            raise ValueError("two generations that are waited for have the same number")

    def snapshot(self, structure) -> dict:
        """What `restored` takes, as `Generation.snapshot`."""
        return {
            "generations": [its.snapshot(structure) for its in (*self.late, self.open)],
            "former": [its.snapshot(structure) for its in self.former],
            "told": self.told.prints(),
            "forgotten": self.forgotten.prints(),
            "own": self.own.prints(),
        }

    @classmethod
    def restored(cls, tree: dict, strategy, xp, origin: int, known=(None, None)) -> Ledger:
        """The Ledger of a snapshot; candidates that were handed out by handle are of another.
        Arguments as for `Generation.restored`."""

        def asked(trees):
            if len(trees) > MANY:
                raise ValueError(f"{len(trees)} generations are waited for, {MANY} at most can be")
            return tuple(Asked.restored(its, strategy, xp, origin, known) for its in trees)

        def memory(name):
            prints = tree.get(name, np.empty(0, dtype=np.uint64))  # not in older files
            if prints.ndim != 1 or prints.dtype != np.uint64:
                raise ValueError(f"{name} must be (n,) fingerprints")
            return KnownPoints().add(prints)

        *late, open_ = asked(tree["generations"])
        former = asked(tree.get("former", ()))
        memories = (memory(name) for name in ("told", "forgotten", "own"))
        ledger = cls(open_, tuple(late), former, *memories, EMPTY, (origin,))
        ledger.check()
        return ledger
