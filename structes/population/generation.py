"""A generation: the candidates that were drawn from one state, asked, recognised, and closed.

How its candidates are drawn, and drawn again, is in drawing.py. Here are its changes, each of
which makes the next version; what rows that come back are compared with; and its file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from .. import checks
from ..arrays import noise
from ..arrays.libraries import namespace, to_numpy
from ..arrays.persistent import PersistentList
from ..naming.error_text import brief
from ..space.building import WIDEST
from ..strategy.state import MOST, State, same_state
from ..strategy.strategy import Strategy
from ..structures.base import Structure
from ..structures.building import build_structure, known_spec, spec_of
from .candidates import Candidates, boundaries
from .drawing import DrawnGeneration, copied, slices
from .fingerprints import fingerprints, joined
from .memory import check_population
from .portion import NUMBERS, Portion, sampled, taken, within

SHORT = 2**12  # numbers that are compared fastest as bytes
_NONE: list[int] = []


class Generation(DrawnGeneration):
    """Candidates that were drawn from one state: a value, of which `ask` gives the next one."""

    __slots__ = ()

    @classmethod
    def of(
        cls, strategy: Strategy, state: State, seed: int, sizes: Iterable[int], origin: int = 0
    ) -> Generation:
        """A generation of which so many candidates at a time were asked; none is drawn yet."""
        ends = np.cumsum([0, *sizes]).tolist()
        portions = PersistentList(Portion(a, b - a) for a, b in pairwise(ends))
        return cls(strategy, state, seed, origin, portions)

    # -- asking -----------------------------------------------------------------------------------

    def ask(self, n: int) -> tuple[Generation, Any]:
        """The generation with n further candidates, and their points (n, d)."""
        portion, X = self._drawn(Portion(self.count, n))
        return self._with(portion), X

    def ask_lazily(self, n: int) -> tuple[Generation, Candidates]:
        """The generation with n further candidates, none of which is drawn."""
        generation = self._with(Portion(self.count, n))
        start = self.count
        return generation, generation.candidates(np.arange(start, start + n))

    def candidates(self, indices: np.ndarray) -> Candidates:
        """The candidates with these indices (n,)."""
        return Candidates([(self, indices)], self.strategy.domain.size)

    def _with(self, portion) -> Generation:
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
                portion.X = X.copy() if isinstance(X, np.ndarray) else copied(X)
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

    # -- recognising ------------------------------------------------------------------------------

    def prints_of(self, portion: Portion) -> Any:
        """The fingerprints (count,) of the points of a portion."""
        if portion.prints is None:
            if portion.X is not None and portion.indices is None:
                portion.prints = fingerprints(portion.X)
            else:
                self._look_again(portion)
        return portion.prints

    def _look_again(self, portion) -> None:
        """Draw a portion again, for what it is recognised by."""
        pieces = slices(portion.start + boundaries([portion.count], self.strategy.tile))
        drawn = [(fingerprints(X), sampled(X)) for X in self._points_of_pieces(pieces)]
        prints, samples = zip(*drawn, strict=True)
        portion.prints = joined(list(prints))
        portion.sample = np.concatenate([to_numpy(sample) for sample in samples])

    def _points_of_pieces(self, pieces) -> Iterator[Any]:
        return (self.recipe().draw(range(t.start, t.stop)) for t in pieces)

    def find(self, fingerprint: int) -> list[int]:
        """The candidates whose points have this fingerprint."""
        n, index = self._index
        if n < len(self.portions):
            for portion in self.portions.last(len(self.portions) - n):
                prints = to_numpy(self.prints_of(portion)).tolist()
                for i, print_ in enumerate(prints, portion.start):
                    index.setdefault(print_, []).append(i)
            self._index = len(self.portions), index
        return index.get(fingerprint, _NONE)

    def seen(self, indices: np.ndarray | None = None) -> list:
        """What candidates are known by, as far as it is kept.

        Parameters
        ----------
        indices : (n,) array, optional
            Increasing indices; None: all.

        Returns
        -------
        list
            Arrays of points (m, d), or of fingerprints (m,).
        """
        if indices is None and len(self.portions) == 1:
            portion = self.portions[0]
            rows = portion.X if portion.prints is None else portion.prints
            return [] if rows is None or portion.indices is not None else [rows]
        blocks = []
        for portion in self.portions:
            rows = portion.X if portion.prints is None else portion.prints
            if indices is None and portion.indices is not None:
                rows = None
            if indices is not None:
                part = within(indices, portion)
                if rows is None or not len(part):
                    continue
                has_prints = portion.prints is not None
                places = part - portion.start if has_prints else portion.rows(part)
                rows = None if places is None else taken(rows, places)
            if rows is not None:
                blocks.append(rows)
        return blocks

    def some_coordinates(self, indices: np.ndarray) -> np.ndarray:
        """Some coordinates (n, ≤ SAMPLED) of the points of candidates, which `columns` names.

        The indices (n,) are increasing.
        """
        parts = []
        for portion in self.portions:
            part = within(indices, portion)
            if len(part):
                if portion.sample is None:
                    self._look_again(portion)
                parts.append(to_numpy(portion.sample)[part - portion.start])
        return np.concatenate(parts)

    def is_whole(self, X: Any) -> bool:
        """Whether X (n, d) is all that was asked, in the same order and to the bit."""
        n = self.count
        if X.shape[0] != n or not n:
            return False
        if len(self.portions) == 1:
            return self._is_portion(self.portions[0], X)
        return all(self._is_portion(p, X[p.start : p.stop, :]) for p in self.portions)

    def is_last(self, X: Any) -> bool:
        """Whether X (n, d) is the portion that was asked last, in order and to the bit."""
        if not len(self.portions) or self.portions[-1].count != X.shape[0]:
            return False
        return self._is_portion(self.portions[-1], X)

    def _is_portion(self, portion, X) -> bool:
        xp, points = namespace(X), portion.X
        if points is not None and portion.indices is None:
            if xp is np and isinstance(points, np.ndarray):
                if X.size <= SHORT and X.dtype == points.dtype:
                    return X.tobytes() == points.tobytes()  # a tenth of the time
                return not np.count_nonzero(points != X)
            return bool(xp.all(xp.asarray(to_numpy(points) if xp is np else points) == X))
        if xp is np or xp.__name__.endswith("cupy"):  # one answer of the device is waited for
            prints = self.prints_of(portion)
            return bool(xp.all(xp.asarray(fingerprints(X)) == xp.asarray(to_numpy(prints))))
        start = portion.start
        pieces = slices(start + boundaries([portion.count], self.strategy.tile))
        drawn = zip(pieces, self._points_of_pieces(pieces), strict=True)
        return all(bool(xp.all(X[t.start - start : t.stop - start, :] == D)) for t, D in drawn)

    # -- later ------------------------------------------------------------------------------------

    def closed(self, waits: np.ndarray) -> Generation:
        """The same when it is closed.

        What can be drawn again is kept only of the candidates where waits (n,) is true.
        """
        portions = [p.reduced(waits[p.start : p.stop]) for p in self.portions]
        return Generation(
            self.strategy, self.state, self.seed, self.origin, PersistentList(portions)
        )

    def snapshot(self, structure: Structure) -> dict[str, Any]:
        """What `restored` takes: plain values and arrays, as a checkpoint holds them.

        `structure` is that of the search; where it is the generation's, it goes without saying.
        """
        is_same = self.strategy.structure == structure
        lazy = [k for k, p in enumerate(self.portions) if p.X is None and p.prints is None]
        prints = [self.prints_of(p) for k, p in enumerate(self.portions) if k not in lazy]
        return {
            "structure": None if is_same else spec_of(self.strategy.structure),
            "popsize": self.strategy.popsize,
            "seed": self.seed,
            "zones": self.strategy.domain.zones,
            "state": self.state,
            "asked": self.asked,
            "lazy": lazy,
            "prints": to_numpy(joined(prints)),
        }

    @classmethod
    def restored(
        cls,
        tree: dict[str, Any],
        strategy: Strategy,
        xp: Any,
        origin: int,
        shared: tuple[Any, State | None] = (None, None),
    ) -> Generation:
        """The Generation of a snapshot.

        Parameters
        ----------
        tree : dict
            What `snapshot` has returned.
        strategy : Strategy
            That of the search; it may have had another structure or population then.
        xp : module
            The array library of the search.
        origin : int
            Name of the search.
        shared : tuple
            The state of the search as it is in the file, and as it was restored: as a rule the
            generation shares it.

        Raises
        ------
        ValueError, TypeError, LookupError
            Where the tree does not hold what it should.
        """
        if tree["structure"] is None and same_state(tree["state"], shared[0]):
            state = shared[1]
        else:
            state = None
        if tree["structure"] is not None:
            structure = build_structure(known_spec(tree["structure"]), strategy.structure.dim)
            strategy = replace(strategy, structure=structure)
        if tree["popsize"] != strategy.popsize:
            popsize = checks.count("popsize", tree["popsize"], 2, MOST)
            check_population(popsize)
            strategy = replace(strategy, popsize=popsize)
        strategy = _with_zones(strategy, tree.get("zones"))  # not in older files
        sizes = [checks.count("asked", n, 1, MOST) for n in tree["asked"]]
        seed = noise.check_seed(checks.count("seed", tree["seed"], 0))
        state = strategy.restored(tree["state"], xp) if state is None else state
        generation = cls.of(strategy, state, seed, sizes, origin)
        portions = list(generation.portions)
        lazy = set(tree["lazy"] if "prints" in tree else range(len(portions)))
        drawn = [portion for k, portion in enumerate(portions) if k not in lazy]
        prints = tree.get("prints", np.empty(0, dtype=np.uint64))  # not in the oldest files
        if prints.dtype != np.uint64 or prints.shape != (sum(p.count for p in drawn),):
            raise ValueError(f"{prints.shape} fingerprints for portions of {sizes}")
        ends = np.cumsum([portion.count for portion in drawn])[:-1]
        for portion, part in zip(drawn, np.split(prints, ends) if drawn else [], strict=True):
            portion.prints = part
        return generation


def _with_zones(strategy, zones) -> Strategy:
    """The Strategy of a generation whose domain had zones of these widths, or None, at its bounds:
    in a search with restarts they are those of its run."""
    present = strategy.domain.zones
    if zones is None or present is None or np.array_equal(zones, present):
        return strategy
    fits = zones.shape == present.shape and zones.dtype == float
    if not (fits and ((zones >= 0) & (zones <= WIDEST)).all()):
        raise ValueError(f"zones must be ({len(present)},) widths; got {brief(zones)}")
    return replace(strategy, domain=strategy.domain.with_zones(zones))
