"""The candidates that were drawn from one state: how many were asked at a time, and their values.

Points are not kept: they follow from the state, the seed and their indices. While the generation
is open it keeps what the update will want of those that were drawn here: Z and Y, of a large one
Z alone (drawing it again takes most of the time that drawing takes). Of those that were asked
lazily it keeps nothing.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

import numpy as np

from . import checks, noise
from .backend import blas_threads, namespace, to_numpy
from .candidates import Candidates, Recipe, boundaries
from .fingerprints import fingerprints, joined
from .redrawn import Redrawn
from .structures import build_structure, known_spec, spec_of


class Generation:
    """Candidates that were drawn from one state.

    strategy, state, seed   what they were drawn with
    asked    how many at a time: a portion is drawn again as it was, to the bit
    values   (n,) NumPy; `told` (n,) says where one has come
    listed   how many of them are known by their fingerprints (Ledger)
    waits    whether values are waited for
    """

    def __init__(self, strategy, state, seed: int, asked=()):
        self.strategy, self.state, self.seed = strategy, state, seed
        self.asked = list(asked)
        self.values = np.full(sum(self.asked), np.nan)
        self.told = np.zeros(sum(self.asked), dtype=bool)
        self.listed, self.waits = 0, True
        # of each portion, None where it is not there: (Z, Y) while it is open, and fingerprints
        self._drawn: list = [None] * len(self.asked)
        self._prints: list = [None] * len(self.asked)
        self._recipe: Recipe | None = None

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
            "lazy": [k for k, prints in enumerate(self._prints) if prints is None],
            "prints": to_numpy(self.known(np.ones(len(self), dtype=bool))),
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
        if "prints" in tree:
            self._restore_prints(tree["prints"], tree["lazy"])
        else:  # a file of before there were lazy ones
            self.prints()
        return self

    def _restore_prints(self, prints, lazy):
        there = [k for k in range(len(self.asked)) if k not in lazy]
        ends = np.cumsum([self.asked[k] for k in there])
        if prints.dtype != np.uint64 or prints.shape != (sum(self.asked[k] for k in there),):
            raise ValueError(f"{prints.shape} fingerprints for portions of {self.asked}")
        for k, part in zip(there, np.split(prints, ends[:-1]), strict=False):
            self._prints[k] = part

    def __len__(self):
        return len(self.told)

    @property
    def heard(self) -> int:
        """How many have a value."""
        return int(np.count_nonzero(self.told))

    @property
    def number(self) -> int:
        return self.state.generation

    def ask(self, n: int):
        """(n, d) further candidates."""
        strategy, start = self.strategy, len(self)
        if strategy.redraws:
            X, z = strategy.sample(self.state, self.seed, start, n)
            self._add(n, (z, None), fingerprints(X))
            return X
        if strategy.tile is None:
            Z, Y, X = strategy.draw(self.state, self.seed, start, n)
            self._add(n, (Z, Y), fingerprints(X))
            return X
        xp = namespace(self.state.mean)
        dtype = getattr(xp, strategy.dtype)
        X = xp.empty((n, strategy.structure.dim), dtype=dtype)
        Z = xp.empty((n, strategy.structure.noise_dim), dtype=dtype)
        for t in _slices(boundaries([n], strategy.tile)):
            Z[t, :], _, X[t, :] = strategy.draw(
                self.state, self.seed, start + t.start, t.stop - t.start
            )
        self._add(n, (Z, None), fingerprints(X))
        return X

    def ask_lazily(self, n: int) -> Candidates:
        """n further candidates, none of which is drawn."""
        start = len(self)
        self._add(n)
        return self.candidates(np.arange(start, start + n))

    def candidates(self, at) -> Candidates:
        """Those with these indices (n,)."""
        return Candidates([(self, at)], self.strategy.structure.dim)

    def _add(self, n, drawn=None, prints=None):
        self.asked.append(n)
        self._drawn.append(drawn)
        self._prints.append(prints)
        values = np.empty(n)
        values.fill(np.nan)
        if len(self):
            values = np.append(self.values, values)
        self.values, told = values, self.told
        self.told = np.zeros(len(values), dtype=bool)
        self.told[: len(told)] = told

    def recipe(self) -> Recipe:
        """How the candidates that were asked so far are drawn."""
        if self._recipe is None or len(self._recipe.asked) < len(self.asked):
            name = self._recipe.key[0] if self._recipe else secrets.token_hex(8)
            state = self.state._replace(path=None, path_sigma=None)
            threads = None if self.strategy.tile is None else blas_threads()
            key = name, len(self.asked)
            asked = tuple(self.asked)
            self._recipe = Recipe(self.strategy, state, self.seed, asked, key, threads)
        return self._recipe

    def samples(self, at=None):
        """(Z, Y) of the candidates `at` (indices, increasing; None: all), as `Strategy.update`
        takes them: (n, noise_dim) and (n, d) arrays, or tiles of Z and None."""
        if self.strategy.in_tiles:
            return self._tiles(np.arange(len(self)) if at is None else at), None
        Z, Y = zip(*map(self._portion, range(len(self.asked))), strict=True)
        xp = namespace(Z[0])
        Z, Y = (xp.concat(list(Z)), xp.concat(list(Y))) if len(Z) > 1 else (Z[0], Y[0])
        if at is None:
            return Z, Y
        rows = xp.asarray(at)
        return xp.take(Z, rows, axis=0), xp.take(Y, rows, axis=0)

    def _portion(self, k):
        """(Z, Y) of a portion; drawn again where it is not there."""
        if self._drawn[k] is None:
            start = sum(self.asked[:k])
            return self.strategy.draw(self.state, self.seed, start, self.asked[k])[:2]
        return self._drawn[k]

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
        start = 0
        for n, drawn in zip(self.asked, self._drawn, strict=True):
            for t in _slices(start + boundaries([n], self.strategy.tile)):
                rows = at[slice(*np.searchsorted(at, (t.start, t.stop)))] - t.start
                if not rows.size:
                    continue
                if drawn is None:
                    Z = self.strategy.draw_local(self.state, self.seed, t.start, t.stop - t.start)
                else:
                    its = slice(t.start - start, t.stop - start)
                    Z = drawn[0][its] if self.strategy.redraws else drawn[0][its, :]
                if rows.size == t.stop - t.start:
                    yield Z
                elif isinstance(Z, Redrawn):
                    yield from (Z[run] for run in _runs(rows))
                else:
                    yield namespace(Z).take(Z, namespace(Z).asarray(rows), axis=0)
            start += n

    def sample(self, i: int):
        """(Z (1, noise_dim), Y (1, d)) of candidate i."""
        ends = boundaries(self.asked, self.strategy.tile)
        k = int(np.searchsorted(ends, i, side="right")) - 1
        start, n = int(ends[k]), int(ends[k + 1] - ends[k])
        kept = None if self.strategy.in_tiles else self._drawn[k]
        drawn = kept or self.strategy.draw(self.state, self.seed, start, n)
        return tuple(a[i - start : i - start + 1, :] for a in drawn[:2])

    def prints(self):
        """(n,) fingerprints of all candidates, as `fingerprints.joined` gives them."""
        start = 0
        for k, n in enumerate(self.asked):
            if self._prints[k] is None:
                pieces = _slices(start + boundaries([n], self.strategy.tile))
                points = (self.recipe().draw(range(t.start, t.stop)) for t in pieces)
                self._prints[k] = joined([fingerprints(X) for X in points])
            start += n
        return joined(self._prints)

    def print(self, i: int) -> int | None:
        """Fingerprint of candidate i; None where it was never made."""
        for n, prints in zip(self.asked, self._prints, strict=True):
            if i < n:
                return None if prints is None else int(prints[i])
            i -= n
        raise IndexError(i)

    def is_asked(self, X) -> bool:
        """Is X what was asked, all of it and in the same order? (The common case, made cheap.)"""
        if X.shape[0] != len(self) or not len(self):
            return False
        if isinstance(X, np.ndarray):
            return np.count_nonzero(fingerprints(X) != to_numpy(self.prints())) == 0
        xp = namespace(X)
        if xp.__name__.endswith("cupy"):  # one answer of the device is waited for
            return bool(xp.all(fingerprints(X) == xp.asarray(self.prints())))
        return all(bool(xp.all(X[t, :] == points)) for t, points in self._points())

    def _points(self):
        """(slice, points) piece by piece."""
        start = 0
        for n, drawn in zip(self.asked, self._drawn, strict=True):
            for t in _slices(start + boundaries([n], self.strategy.tile)):
                if drawn is None or drawn[1] is None:
                    yield t, self.recipe().draw(range(t.start, t.stop))
                else:
                    yield t, self.strategy.place(self.state, drawn[1])
            start += n

    def tell(self, at, values) -> int:
        """Values of the candidates `at` (an index); a later value replaces an earlier one.
        Returns how many have their first one now."""
        before = self.heard
        self.values[at] = values
        self.told[at] = True
        return self.heard - before

    def known(self, which) -> np.ndarray:
        """(m,) fingerprints of the candidates where which (n,) is true, as far as they were ever
        made."""
        found, start = [], 0
        for n, prints in zip(self.asked, self._prints, strict=True):
            if prints is not None:
                its = which[start : start + n]
                whole = np.count_nonzero(its) == n  # then they stay on their device
                found.append(prints if whole else to_numpy(prints)[its])
            start += n
        return joined(found)

    def close(self):
        """Forget what can be drawn again."""
        self._drawn = [None] * len(self.asked)


def _stacked(Z: list):
    return Z[0] if len(Z) == 1 else namespace(Z[0]).concat(Z)


def _runs(rows) -> list[slice]:
    """Increasing numbers as slices."""
    parts = np.split(rows, 1 + np.flatnonzero(np.diff(rows) > 1))
    return [slice(int(part[0]), int(part[-1]) + 1) for part in parts]


def _slices(ends) -> list[slice]:
    return [slice(a, b) for a, b in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)]
