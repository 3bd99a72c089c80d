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
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from . import checks, noise
from .backend import namespace, tiles, to_numpy
from .structures import build_structure, known_spec, spec_of

KEPT = 50  # generations for which an untold candidate is waited for
REMEMBERED = 2000  # rows, at least, of which it is known that they were told or forgotten
_SHIFT = np.uint64(29)  # so that the signs reach more than one bit
_CHUNK = 8192  # numbers of a row that are taken into its fingerprint at a time

OPEN, LATE, FORGOTTEN, REPEATED, FOREIGN = range(5)


def fingerprints(X) -> np.ndarray:
    """(n,) uint64, one for each row of X (n, d): rows with the same bits have the same one."""
    X = np.ascontiguousarray(to_numpy(X), dtype=np.float64).view(np.uint64)
    if X.shape[1] <= _CHUNK:
        return np.einsum("ij,j->i", X ^ (X >> _SHIFT), _multipliers(X.shape[1]))
    out = np.zeros(X.shape[0], dtype=np.uint64)
    for a in range(0, X.shape[1], _CHUNK):
        words = X[:, a : a + _CHUNK]
        words = words ^ (words >> _SHIFT)
        out += np.einsum("ij,j->i", words, _multipliers(words.shape[1])) * np.uint64(2 * a + 1)
    return out


@lru_cache(maxsize=8)
def _multipliers(n: int) -> np.ndarray:
    u = noise.uniforms(0, noise.STARTS, 0, 0, 1, 2 * n)[0]
    low, high = (u * 2.0**32).astype(np.uint64).reshape(2, n)
    return (high << np.uint64(32)) | low | np.uint64(1)


class Generation:
    """Candidates that were drawn from one state.

    strategy, state, seed   what they were drawn with
    asked    how many at a time: a portion is drawn again as it was, to the bit
    values   (n,) NumPy; `told` (n,) says where one has come
    """

    def __init__(self, strategy, state, seed: int, asked=()):
        self.strategy, self.state, self.seed = strategy, state, seed
        self.asked = list(asked)
        self.values = np.full(sum(self.asked), np.nan)
        self.told = np.zeros(sum(self.asked), dtype=bool)
        self._portions: list = []  # (Z, Y, fingerprints) of each, while it is open

    def snapshot(self, structure) -> dict:
        """What `restored` takes: plain values and arrays, as in checkpoint.py.

        structure   that of the search, which goes without saying
        """
        same = self.strategy.structure == structure
        return {
            "structure": None if same else spec_of(self.strategy.structure),
            "popsize": self.strategy.popsize,
            "seed": self.seed,
            "state": self.state,
            "asked": self.asked,
            "told": self.told,
            "values": self.values,
        }

    @classmethod
    def restored(cls, tree: dict, strategy, xp) -> Generation:
        """The Generation of a snapshot, with arrays of the library xp. `strategy` is that of the
        search; it may have had another structure or population then."""
        if tree["structure"] is not None:
            structure = build_structure(known_spec(tree["structure"]), strategy.structure.dim)
            strategy = replace(strategy, structure=strategy.engine.fit(structure))
        if tree["popsize"] != strategy.popsize:
            popsize = checks.count("popsize", tree["popsize"], 2)
            strategy = replace(strategy, popsize=popsize)
        asked = [checks.count("asked", n, 1) for n in tree["asked"]]
        for name, dtype in (("told", bool), ("values", float)):  # before any is made so large
            its = tree[name]
            if its.shape != (sum(asked),) or its.dtype != dtype:
                raise ValueError(f"{name} has shape {its.shape} for {sum(asked)} candidates")
        seed = noise.check_seed(tree["seed"])
        self = cls(strategy, strategy.restored(tree["state"], xp), seed, asked)
        self.told, self.values = tree["told"], tree["values"]
        return self

    def __len__(self):
        return len(self.told)

    @property
    def number(self) -> int:
        return self.state.generation

    def ask(self, n: int):
        """(n, d) further candidates."""
        self._portions = self.portions()
        *portion, X = self._draw(len(self), n)
        self._portions.append((*portion, fingerprints(X)))
        self.asked.append(n)
        values = np.empty(n)
        values.fill(np.nan)
        if len(self):
            values = np.append(self.values, values)
        self.values, told = values, self.told
        self.told = np.zeros(len(values), dtype=bool)
        self.told[: len(told)] = told
        return X

    def _draw(self, start, n):
        return self.strategy.draw(self.state, self.seed, start, n)

    def points(self):
        """The portions of points (n, d), as they were asked."""
        start = 0
        for n in self.asked:
            yield self._draw(start, n)[2]
            start += n

    def portions(self) -> list:
        """(Z, Y, fingerprints) of each portion, drawn again where they are not there."""
        if len(self._portions) == len(self.asked):
            return self._portions
        starts = np.cumsum([0, *self.asked])
        drawn = (self._draw(start, n) for start, n in zip(starts, self.asked, strict=False))
        return [(Z, Y, fingerprints(X)) for Z, Y, X in drawn]

    def samples(self):
        """Z (n, noise_dim) and Y (n, d) of all candidates: local coordinates, and steps."""
        Z, Y, _ = zip(*self.portions(), strict=True)
        concat = namespace(Z[0]).concat
        return (concat(list(Z)), concat(list(Y))) if len(Z) > 1 else (Z[0], Y[0])

    def sample(self, i: int):
        """(Z (1, noise_dim), Y (1, d)) of candidate i."""
        start = 0
        for k, n in enumerate(self.asked):
            if i < start + n:
                kept = self._portions[k] if k < len(self._portions) else self._draw(start, n)
                return tuple(a[i - start : i - start + 1, :] for a in kept[:2])
            start += n
        raise IndexError(i)

    def prints(self) -> np.ndarray:
        """(n,) fingerprints of all candidates."""
        parts = [prints for _, _, prints in self.portions()]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.uint64)

    def is_asked(self, X) -> bool:
        """Is X what was asked, all of it and in the same order? (The common case, made cheap.)"""
        if X.shape[0] != len(self) or not len(self):
            return False
        if isinstance(X, np.ndarray):
            return bool((fingerprints(X) == self.prints()).all())
        xp, (_, Y) = namespace(X), self.samples()  # an array of a device stays there
        return all(
            bool(xp.all(X[t, :] == self.strategy.place(self.state, Y[t, :])))
            for t in tiles(*X.shape)
        )

    def tell(self, at, values):
        """Values of the candidates `at` (indices); a later value replaces an earlier one."""
        self.values[at] = values
        self.told[at] = True

    def close(self):
        """Forget what can be drawn again."""
        self._portions = []


class Place(NamedTuple):
    """Where a row belongs: a kind, its fingerprint, and for OPEN and LATE the generation and the
    index in it."""

    kind: int
    print: int
    generation: Any = None
    index: int = -1

    @property
    def is_told(self) -> bool:
        return self.generation is not None and bool(self.generation.told[self.index])


class Recent:
    """The fingerprints that came last, `REMEMBERED` of them at least."""

    def __init__(self, prints=()):
        self._parts = deque([np.array(prints, dtype=np.uint64)])
        self._size = len(prints)
        self._set = None

    def add(self, prints: np.ndarray) -> None:
        self._parts.append(prints)
        self._size += len(prints)
        self._set = None
        while self._size - len(self._parts[0]) >= REMEMBERED:
            self._size -= len(self._parts.popleft())

    def __contains__(self, print_: int) -> bool:
        if self._set is None:
            self._set = set(self.array().tolist())
        return print_ in self._set

    def array(self) -> np.ndarray:
        return np.concatenate(self._parts)


class Ledger:
    """All candidates of a search that still matter: the open generation, and those before it."""

    def __init__(self, generation: Generation):
        self.open = generation
        self.late: dict[int, Generation] = {}  # by number: those that some values miss
        self.told, self.forgotten = Recent(), Recent()
        self._places: dict[int, list] = {}  # fingerprint -> [(generation, index)]
        self._entered = 0  # candidates of the open generation that are in `_places`

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
            self._list(generation)
        return self

    def next(self, generation: Generation) -> None:
        """Close the open generation; `generation` is the new one."""
        closed, whole = self.open, bool(self.open.told.all())
        if not whole:
            self._enter()
        prints, entered = closed.prints(), self._entered
        closed.close()
        self.open, self._entered = generation, 0
        self.told.add(prints if whole else prints[closed.told])
        if entered:
            self._leave(prints)
        if not whole:
            self.late[closed.number] = closed
        for number in [n for n in self.late if n < generation.number - KEPT]:
            old = self.late.pop(number)
            left, old.told[:] = old.prints()[~old.told], True
            self._leave(left)
            self.forgotten.add(left)

    def find(self, X) -> list[Place]:
        """The Place of each row of X (n, d). A row that was asked several times takes one that was
        not told yet, if any."""
        self._enter()
        taken: set = set()
        return [self._find(p, taken) for p in fingerprints(X).tolist()]

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
        if place.kind != OPEN:
            prints = np.array([place.print], dtype=np.uint64)
            self.told.add(prints)
            self._leave(prints)
        if place.kind == LATE and place.generation.told.all():
            del self.late[place.generation.number]

    def pending(self) -> list:
        """Arrays (n, d) of the points that were asked and not told, the oldest first."""
        found = []
        for generation in [*self.late.values(), self.open]:
            start = 0
            for X in generation.points():
                left = np.flatnonzero(~generation.told[start : start + X.shape[0]])
                found.append(namespace(X).take(X, namespace(X).asarray(left), axis=0))
                start += X.shape[0]
        return found

    # -- inside -----------------------------------------------------------------------------------

    def _enter(self):
        """All candidates of the open generation into `_places`."""
        if self._entered < len(self.open):
            self._list(self.open, self._entered)
            self._entered = len(self.open)

    def _list(self, generation, start=0):
        for i, p in enumerate(generation.prints()[start:].tolist(), start):
            if generation is self.open or not generation.told[i]:
                self._places.setdefault(p, []).append((generation, i))

    def _leave(self, prints):
        """Those that were told are out of `_places`; of the open generation they stay, because a
        later value may replace the first."""
        for p in prints.tolist():
            left = [(g, i) for g, i in self._places.get(p, ()) if g is self.open or not g.told[i]]
            if left:
                self._places[p] = left
            else:
                self._places.pop(p, None)
