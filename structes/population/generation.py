"""The candidates that were drawn from one state.

A candidate follows from the state, the seed and its index, so that none of them has to be kept. A
generation of ordinary size keeps what costs little and saves a second drawing: the points, by
which candidates are recognised when they come back (recognition.py), and the samples Z and Y, of
which the update wants sums. Of a larger one it keeps 64 bits of each point, of a very large one
not even Y (strategy.py), and of what was asked lazily nothing.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from .. import checks
from ..arrays import noise
from ..arrays.libraries import namespace, to_numpy
from ..arrays.persistent import EMPTY, PersistentList
from ..arrays.threads import blas_threads
from ..strategy.redrawn import Redrawn
from ..strategy.state import MOST, same_state
from ..structures.building import build_structure, known_spec, spec_of
from .candidates import Candidates, Recipe, boundaries
from .fingerprints import fingerprints, joined
from .memory import check_population
from .portion import NUMBERS, Portion, sampled, taken, within


class Generation:
    """Candidates that were drawn from one state: a value, of which `ask` gives the one with
    further candidates.

    strategy, state, seed   what they are drawn with
    origin     name of the search that has drawn them
    portions   PersistentList of Portion; count: of all candidates
    """

    __slots__ = (
        "_index",
        "_recipe",
        "_redrawn",
        "_volume",
        "count",
        "origin",
        "portions",
        "seed",
        "state",
        "strategy",
    )

    def __init__(self, strategy, state, seed: int, origin: int, portions: PersistentList = EMPTY):
        self.strategy, self.state, self.seed, self.origin = strategy, state, seed, origin
        self.portions = portions
        self.count = portions[-1].stop if len(portions) else 0
        # worked out when it is wanted
        self._recipe: Recipe | None = None
        self._index: tuple[int, dict] = 0, {}  # of so many portions
        self._redrawn = None
        self._volume: float | None = None

    @classmethod
    def of(cls, strategy, state, seed: int, asked, origin: int = 0) -> Generation:
        """One of which so many candidates at a time were asked, none of them drawn yet."""
        ends = np.cumsum([0, *asked]).tolist()
        portions = PersistentList(Portion(a, b - a) for a, b in pairwise(ends))
        return cls(strategy, state, seed, origin, portions)

    def __getstate__(self):
        return self.strategy, self.state, self.seed, self.origin, self.portions

    def __setstate__(self, state):
        self.__init__(*state)

    @property
    def number(self) -> int:
        """How many generations of the run were closed before."""
        return self.state.generation

    @property
    def key(self) -> tuple:
        """What it has in common with versions and copies of itself, and with nothing else."""
        return self.origin, self.seed, self.number

    @property
    def asked(self) -> list[int]:
        """How many candidates were asked at a time: a portion is drawn again as it was."""
        return [portion.count for portion in self.portions]

    def __len__(self):
        return self.count

    # -- asking -----------------------------------------------------------------------------------

    def ask(self, n: int):
        """(the generation with n further candidates, their points (n, d))."""
        portion, X = self._drawn(Portion(self.count, n))
        return self._with(portion), X

    def ask_lazily(self, n: int) -> tuple[Generation, Candidates]:
        """The same, but none of them is drawn."""
        generation = self._with(Portion(self.count, n))
        start = self.count
        return generation, generation.candidates(np.arange(start, start + n))

    def candidates(self, at) -> Candidates:
        """Those with these indices (n,)."""
        return Candidates([(self, at)], self.strategy.domain.size)

    def _with(self, portion):
        generation = Generation(
            self.strategy, self.state, self.seed, self.origin, self.portions.append(portion)
        )
        generation._index, self._index = self._index, (0, {})
        generation._volume = self._volume
        return generation

    def _drawn(self, portion):
        """(portion with what is kept of it, its points (count, d))."""
        strategy, n = self.strategy, portion.count
        if strategy.redraws:
            X, portion.Z = strategy.sample(self.state, self.seed, portion.start, n)
            portion.look(X)
            return portion, X
        if strategy.tile is None:
            Z, Y, X = strategy.draw(self.state, self.seed, portion.start, n)
            portion.Z, portion.Y = Z, Y
            if n * X.shape[1] <= NUMBERS:
                portion.X = X.copy() if isinstance(X, np.ndarray) else _copied(X)
            else:
                portion.look(X)
            return portion, X
        xp = namespace(self.state.mean)
        dtype = getattr(xp, strategy.dtype)
        X = xp.empty((n, strategy.domain.size), dtype=dtype)
        Z = xp.empty((n, strategy.structure.noise_dim), dtype=dtype)
        for t in slices(boundaries([n], strategy.tile)):
            address = self.state, self.seed, portion.start + t.start, t.stop - t.start
            Z[t, :], _, X[t, :] = strategy.draw(*address)
        portion.Z = Z
        portion.look(X)
        return portion, X

    # -- drawing again ----------------------------------------------------------------------------

    def recipe(self) -> Recipe:
        """How the candidates that were asked so far are drawn."""
        if self._recipe is None:
            state = self.state._replace(path=None, path_sigma=None)
            threads = None if self.strategy.tile is None else blas_threads()
            asked = tuple(self.asked)
            key = *self.key, hash(asked)
            self._recipe = Recipe(self.strategy, state, self.seed, asked, key, threads)
        return self._recipe

    def points(self, at):
        """(n, d) the points of the candidates with these indices (n,)."""
        if len(at) and (len(at) == 1 or (np.diff(at) > 0).all()):
            first, last = (self._number_of(int(at[k])) for k in (0, -1))
            portions = [self.portions[k] for k in range(first, last + 1)]
            kept = [_kept_rows(p, within(at, p)) for p in portions]
            if not any(X is None for X in kept):
                return kept[0] if len(kept) == 1 else namespace(kept[0]).concat(kept)
        return self.recipe().draw(at)

    def about(self, at):
        """The points of `points`, but for rounding: a single one costs no drawing of others."""
        if len(at) == 1 and not self.keeps(at):
            return self.strategy.points(self.state, self.seed, int(at[0]), 1)
        return self.points(at)

    def _number_of(self, i) -> int:
        """Number of the portion with candidate i."""
        low, high = 0, len(self.portions) - 1
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.portions[middle].start <= i else (low, middle - 1)
        return low

    # -- samples ----------------------------------------------------------------------------------

    def samples(self, at=None):
        """(Z, Y) of the candidates `at` (indices, increasing; None: all), as `Strategy.update`
        takes them: (n, noise_dim) and (n, d) arrays, or tiles of Z and None."""
        if self.strategy.in_tiles:
            return self._tiles(np.arange(len(self)) if at is None else at), None
        if len(self.portions) == 1 and at is None:
            return self._samples_of(self.portions[0])
        Z, Y = zip(*map(self._samples_of, self.portions), strict=True)
        xp = namespace(Z[0])
        Z, Y = (xp.concat(list(Z)), xp.concat(list(Y))) if len(Z) > 1 else (Z[0], Y[0])
        return (Z, Y) if at is None else (taken(Z, at), taken(Y, at))

    def _samples_of(self, portion):
        """(Z, Y) of a portion; drawn again where they are not there."""
        if portion.Y is None or portion.at is not None:
            address = self.state, self.seed, portion.start, portion.count
            return self.strategy.draw(*address)[:2]
        return portion.Z, portion.Y

    def _tiles(self, at):
        """Tiles of Z: pieces, put together to as many rows as the structure has numbers for each
        parameter, because every tile costs a pass over those."""
        structure, held, rows = self.strategy.structure, [], 0
        if self.strategy.redraws:
            yield from self._pieces(at)
            return
        least = max(self.strategy.tile, structure.dof // structure.dim)
        for Z in self._pieces(at):
            held.append(Z)
            rows += Z.shape[0]
            if rows >= least:
                yield _stacked(held)
                held, rows = [], 0
        if held:
            yield _stacked(held)

    def _pieces(self, at):
        """The rows `at` of Z, piece by piece."""
        for portion in self.portions:
            start = portion.start
            for t in slices(start + boundaries([portion.count], self.strategy.tile)):
                rows = at[slice(*np.searchsorted(at, (t.start, t.stop)))] - t.start
                if not rows.size:
                    continue
                if portion.Z is None:
                    Z = self.strategy.draw_local(self.state, self.seed, t.start, t.stop - t.start)
                else:
                    its = slice(t.start - start, t.stop - start)
                    Z = portion.Z[its] if self.strategy.redraws else portion.Z[its, :]
                if rows.size == t.stop - t.start:
                    yield Z
                elif isinstance(Z, Redrawn):
                    yield from (Z[run] for run in _runs(rows))
                else:
                    yield taken(Z, rows)

    def sample(self, i: int):
        """(Z (1, noise_dim), Y (1, d)) of candidate i."""
        portion = self.portions[self._number_of(i)]
        rows = portion.rows(np.array([i]))
        if portion.Y is not None and rows is not None:
            k = int(rows[0])
            return portion.Z[k : k + 1, :], portion.Y[k : k + 1, :]
        ends = boundaries(self.asked, self.strategy.tile)
        k = int(np.searchsorted(ends, i, side="right")) - 1
        start, n = int(ends[k]), int(ends[k + 1] - ends[k])
        if self._redrawn is None or self._redrawn[0] != k:
            self._redrawn = k, self.strategy.draw(self.state, self.seed, start, n)[:2]
        return tuple(a[i - start : i - start + 1, :] for a in self._redrawn[1])

    @property
    def volume(self) -> float:
        """That of the distribution, as of `Strategy.volume`."""
        if self._volume is None:
            self._volume = self.strategy.volume(self.state)
        return self._volume

    # -- recognising ------------------------------------------------------------------------------

    def prints_of(self, portion: Portion):
        """(count,) fingerprints of the points of a portion."""
        if portion.prints is None:
            if portion.X is not None and portion.at is None:
                portion.prints = fingerprints(portion.X)
            else:
                self._look_again(portion)
        return portion.prints

    def _look_again(self, portion):
        """Draw a portion again, for what it is recognised by."""
        pieces = slices(portion.start + boundaries([portion.count], self.strategy.tile))
        drawn = [(fingerprints(X), sampled(X)) for X in self._pieces_of_points(pieces)]
        prints, samples = zip(*drawn, strict=True)
        portion.prints = joined(list(prints))
        portion.sample = np.concatenate([to_numpy(its) for its in samples])

    def _pieces_of_points(self, pieces):
        return (self.recipe().draw(range(t.start, t.stop)) for t in pieces)

    def find(self, print_: int) -> list[int]:
        """The candidates whose points have this fingerprint."""
        n, index = self._index
        if n < len(self.portions):
            for portion in self.portions.last(len(self.portions) - n):
                for i, p in enumerate(to_numpy(self.prints_of(portion)).tolist(), portion.start):
                    index.setdefault(p, []).append(i)
            self._index = len(self.portions), index
        return index.get(print_, _NOBODY)

    def seen(self, at=None) -> list:
        """What the candidates `at` (indices, increasing; None: all) are known by, as far as it is
        there: arrays of points (n, d), or of fingerprints (n,)."""
        if at is None and len(self.portions) == 1:
            portion = self.portions[0]
            its = portion.X if portion.prints is None else portion.prints
            return [] if its is None or portion.at is not None else [its]
        found = []
        for portion in self.portions:
            its = portion.X if portion.prints is None else portion.prints
            if at is None and portion.at is not None:
                its = None
            if at is not None:
                here = within(at, portion)
                if its is None or not len(here):
                    continue
                rows = here - portion.start if portion.prints is not None else portion.rows(here)
                its = None if rows is None else taken(its, rows)
            if its is not None:
                found.append(its)
        return found

    def keeps(self, at) -> bool:
        """Are the points of the candidates `at` (indices, increasing) kept?"""
        first, last = (self._number_of(int(at[k])) for k in (0, -1))
        portions = (self.portions[k] for k in range(first, last + 1))
        return all(p.X is not None and p.rows(within(at, p)) is not None for p in portions)

    def some_coordinates(self, at) -> np.ndarray:
        """(n, ≤ SAMPLED) some coordinates (`columns`) of the points of the candidates `at` (n,),
        increasing."""
        found = []
        for portion in self.portions:
            here = within(at, portion)
            if len(here):
                if portion.sample is None:
                    self._look_again(portion)
                found.append(to_numpy(portion.sample)[here - portion.start])
        return np.concatenate(found)

    def is_whole(self, X) -> bool:
        """Is X (n, d) all that was asked, in the same order and to the bit?"""
        n = self.count
        if X.shape[0] != n or not n:
            return False
        if len(self.portions) == 1:
            return self._is_portion(self.portions[0], X)
        return all(self._is_portion(p, X[p.start : p.stop, :]) for p in self.portions)

    def is_last(self, X) -> bool:
        """Is X (n, d) the portion that was asked last, in the same order and to the bit?"""
        if not len(self.portions) or self.portions[-1].count != X.shape[0]:
            return False
        return self._is_portion(self.portions[-1], X)

    def _is_portion(self, portion, X):
        xp, kept = namespace(X), portion.X
        if kept is not None and portion.at is None:
            if xp is np and isinstance(kept, np.ndarray):
                if X.size <= SHORT and X.dtype == kept.dtype:
                    return X.tobytes() == kept.tobytes()  # a tenth of the time
                return not np.count_nonzero(kept != X)
            return bool(xp.all(xp.asarray(to_numpy(kept) if xp is np else kept) == X))
        if xp is np or xp.__name__.endswith("cupy"):  # one answer of the device is waited for
            prints = self.prints_of(portion)
            return bool(xp.all(xp.asarray(fingerprints(X)) == xp.asarray(to_numpy(prints))))
        start = portion.start
        pieces = slices(start + boundaries([portion.count], self.strategy.tile))
        drawn = zip(pieces, self._pieces_of_points(pieces), strict=True)
        return all(bool(xp.all(X[t.start - start : t.stop - start, :] == D)) for t, D in drawn)

    # -- later ------------------------------------------------------------------------------------

    def closed(self, waits) -> Generation:
        """The same when it is closed: what can be drawn again is kept only of the candidates
        where waits (n,) is true."""
        portions = [p.reduced(waits[p.start : p.stop]) for p in self.portions]
        return Generation(
            self.strategy, self.state, self.seed, self.origin, PersistentList(portions)
        )

    def snapshot(self, structure) -> dict:
        """What `restored` takes: plain values and arrays, as in checkpoint.py.

        structure   that of the search, which goes without saying
        """
        same = self.strategy.structure == structure
        lazy = [k for k, p in enumerate(self.portions) if p.X is None and p.prints is None]
        prints = [self.prints_of(p) for k, p in enumerate(self.portions) if k not in lazy]
        return {
            "structure": None if same else spec_of(self.strategy.structure),
            "popsize": self.strategy.popsize,
            "seed": self.seed,
            "state": self.state,
            "asked": self.asked,
            "lazy": lazy,
            "prints": to_numpy(joined(prints)),
        }

    @classmethod
    def restored(cls, tree: dict, strategy, xp, origin: int, known=(None, None)) -> Generation:
        """The Generation of a snapshot, with arrays of the library xp. `strategy` is that of the
        search; it may have had another structure or population then. known: the state of the
        search as it is in the file, and as it was restored: as a rule the generation shares it."""
        if tree["structure"] is None and same_state(tree["state"], known[0]):
            state = known[1]
        else:
            state = None
        if tree["structure"] is not None:
            structure = build_structure(known_spec(tree["structure"]), strategy.structure.dim)
            strategy = replace(strategy, structure=strategy.engine.fit(structure))
        if tree["popsize"] != strategy.popsize:
            popsize = checks.count("popsize", tree["popsize"], 2, MOST)
            check_population(popsize)
            strategy = replace(strategy, popsize=popsize)
        asked = [checks.count("asked", n, 1, MOST) for n in tree["asked"]]
        seed = noise.check_seed(checks.count("seed", tree["seed"], 0))
        state = strategy.restored(tree["state"], xp) if state is None else state
        generation = cls.of(strategy, state, seed, asked, origin)
        portions = list(generation.portions)
        lazy = set(tree["lazy"] if "prints" in tree else range(len(portions)))
        there = [p for k, p in enumerate(portions) if k not in lazy]
        prints = tree.get("prints", np.empty(0, dtype=np.uint64))  # not in the oldest files
        if prints.dtype != np.uint64 or prints.shape != (sum(p.count for p in there),):
            raise ValueError(f"{prints.shape} fingerprints for portions of {asked}")
        for portion, its in zip(there, _cut(prints, [p.count for p in there]), strict=True):
            portion.prints = its
        return generation


SHORT = 2**12  # numbers
_NOBODY: list = []


def _cut(array, sizes):
    return np.split(array, np.cumsum(sizes)[:-1]) if sizes else []


def _kept_rows(portion, at):
    """(n, d) the points of the candidates `at` (n,) of a portion, an array of its own; None where
    they are not kept."""
    rows = None if portion.X is None else portion.rows(at)
    if rows is None:
        return None
    return _copied(portion.X) if len(rows) == portion.X.shape[0] else taken(portion.X, rows)


def _copied(X):
    return namespace(X).asarray(X, copy=True)


def _stacked(Z: list):
    return Z[0] if len(Z) == 1 else namespace(Z[0]).concat(Z)


def _runs(rows) -> list[slice]:
    """Increasing numbers as slices."""
    parts = np.split(rows, 1 + np.flatnonzero(np.diff(rows) > 1))
    return [slice(int(part[0]), int(part[-1]) + 1) for part in parts]


def slices(ends) -> list[slice]:
    """The stretches between the numbers `ends` (k + 1,)."""
    return [slice(a, b) for a, b in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)]
