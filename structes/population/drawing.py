"""Candidates of one state, and how they are drawn again.

A candidate follows from the state, the seed and its index, so that none of them has to be kept. A
generation of ordinary size keeps what costs little and saves a second drawing: the points, by
which candidates are recognised when they come back (recognition.py), and the samples Z and Y, of
which the update wants sums. Of a larger one it keeps 64 bits of each point, of a very large one
not even Y, and of what was asked lazily nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..arrays.libraries import namespace
from ..arrays.persistent import EMPTY, PersistentList
from ..arrays.threads import blas_threads
from ..strategy.redrawn import Redrawn
from ..strategy.state import State
from ..strategy.strategy import Strategy
from .candidates import Recipe, boundaries
from .portion import taken, within


class DrawnGeneration:
    """Candidates that were drawn from one state.

    Attributes
    ----------
    strategy, state, seed
        What they are drawn with.
    origin : int
        Name of the search that has drawn them.
    portions : PersistentList of Portion
        The candidates, as they were asked.
    count : int
        How many there are.
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

    def __init__(
        self,
        strategy: Strategy,
        state: State,
        seed: int,
        origin: int,
        portions: PersistentList = EMPTY,
    ):
        self.strategy, self.state, self.seed, self.origin = strategy, state, seed, origin
        self.portions = portions
        self.count = portions[-1].stop if len(portions) else 0
        # worked out when it is wanted
        self._recipe: Recipe | None = None
        self._index: tuple[int, dict[int, list[int]]] = 0, {}  # of so many portions
        self._redrawn: tuple[int, tuple[Any, Any]] | None = None
        self._volume: float | None = None

    def __getstate__(self) -> tuple:
        return self.strategy, self.state, self.seed, self.origin, self.portions

    def __setstate__(self, state: tuple) -> None:
        self.__init__(*state)

    def __len__(self) -> int:
        return self.count

    @property
    def number(self) -> int:
        """How many generations of the run were closed before."""
        return self.state.generation

    @property
    def key(self) -> tuple[int, int, int]:
        """What it has in common with versions and copies of itself, and with nothing else."""
        return self.origin, self.seed, self.number

    @property
    def asked(self) -> list[int]:
        """How many candidates were asked at a time: a portion is drawn again as it was."""
        return [portion.count for portion in self.portions]

    @property
    def volume(self) -> float:
        """That of the distribution, as of `Strategy.volume`."""
        if self._volume is None:
            self._volume = self.strategy.volume(self.state)
        return self._volume

    def _number_of(self, i) -> int:
        """Number of the portion with candidate i."""
        low, high = 0, len(self.portions) - 1
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.portions[middle].start <= i else (low, middle - 1)
        return low

    # -- points -----------------------------------------------------------------------------------

    def recipe(self) -> Recipe:
        """How the candidates that were asked so far are drawn."""
        if self._recipe is None:
            state = self.state._replace(path=None, path_sigma=None)
            threads = None if self.strategy.tile is None else blas_threads()
            sizes = tuple(self.asked)
            key = *self.key, hash(sizes)
            self._recipe = Recipe(self.strategy, state, self.seed, sizes, key, threads)
        return self._recipe

    def points(self, indices: np.ndarray) -> Any:
        """The points (n, d) of the candidates with these indices (n,)."""
        if len(indices) and (len(indices) == 1 or (np.diff(indices) > 0).all()):
            first, last = (self._number_of(int(indices[k])) for k in (0, -1))
            portions = [self.portions[k] for k in range(first, last + 1)]
            parts: list[Any] = [_kept_points(p, within(indices, p)) for p in portions]
            if not any(X is None for X in parts):
                return parts[0] if len(parts) == 1 else namespace(parts[0]).concat(parts)
        return self.recipe().draw(indices)

    def rounded_points(self, indices: np.ndarray) -> Any:
        """The points of `points`, but for rounding: a single one costs no drawing of others."""
        if len(indices) == 1 and not self.keeps(indices):
            return self.strategy.points(self.state, self.seed, int(indices[0]), 1)
        return self.points(indices)

    def keeps(self, indices: np.ndarray) -> bool:
        """Whether the points of the candidates with these increasing indices are kept."""
        first, last = (self._number_of(int(indices[k])) for k in (0, -1))
        portions = (self.portions[k] for k in range(first, last + 1))
        return all(p.X is not None and p.rows(within(indices, p)) is not None for p in portions)

    # -- samples ----------------------------------------------------------------------------------

    def samples(self, indices: np.ndarray | None = None) -> tuple[Any, Any]:
        """The samples (Z, Y) of candidates, as `Strategy.update` takes them.

        Parameters
        ----------
        indices : (n,) array, optional
            Increasing indices; None: all.

        Returns
        -------
        Z, Y
            (n, noise_dim) and (n, d) arrays; or tiles of Z, and None.
        """
        if self.strategy.in_tiles:
            return self._tiles(np.arange(len(self)) if indices is None else indices), None
        if len(self.portions) == 1 and indices is None:
            return self._samples_of(self.portions[0])
        pairs = [self._samples_of(portion) for portion in self.portions]
        Z, Y = pairs[0]
        if len(pairs) > 1:
            concat = namespace(Z).concat
            Z, Y = concat([Z for Z, _ in pairs]), concat([Y for _, Y in pairs])
        return (Z, Y) if indices is None else (taken(Z, indices), taken(Y, indices))

    def sample(self, i: int) -> tuple[Any, Any]:
        """The sample (Z (1, noise_dim), Y (1, d)) of candidate i."""
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
        Z, Y = self._redrawn[1]
        return Z[i - start : i - start + 1, :], Y[i - start : i - start + 1, :]

    def _samples_of(self, portion):
        """(Z, Y) of a portion; drawn again where they are not kept."""
        if portion.Y is None or portion.indices is not None:
            address = self.state, self.seed, portion.start, portion.count
            return self.strategy.draw(*address)[:2]
        return portion.Z, portion.Y

    def _tiles(self, indices) -> Iterator[Any]:
        """Tiles of Z, each of several pieces.

        They have as many rows as the structure has numbers for each parameter, because every tile
        costs a pass over those.
        """
        structure, buffer, rows = self.strategy.structure, [], 0
        if self.strategy.redraws:
            yield from self._pieces(indices)
            return
        minimum = max(self.strategy.tile or 1, structure.dof // structure.dim)
        for Z in self._pieces(indices):
            buffer.append(Z)
            rows += Z.shape[0]
            if rows >= minimum:
                yield _stacked(buffer)
                buffer, rows = [], 0
        if buffer:
            yield _stacked(buffer)

    def _pieces(self, indices) -> Iterator[Any]:
        """The rows `indices` of Z, piece by piece."""
        for portion in self.portions:
            start = portion.start
            for t in slices(start + boundaries([portion.count], self.strategy.tile)):
                rows = indices[slice(*np.searchsorted(indices, (t.start, t.stop)))] - t.start
                if not rows.size:
                    continue
                if portion.Z is None:
                    Z = self.strategy.draw_local(self.state, self.seed, t.start, t.stop - t.start)
                else:
                    piece = slice(t.start - start, t.stop - start)
                    Z = portion.Z[piece] if self.strategy.redraws else portion.Z[piece, :]
                if rows.size == t.stop - t.start:
                    yield Z
                elif isinstance(Z, Redrawn):
                    yield from (Z[run] for run in _runs(rows))
                else:
                    yield taken(Z, rows)


def _kept_points(portion, indices):
    """A copy of the points (n, d) of candidates of a portion; None: they are not kept."""
    X = portion.X
    rows = None if X is None else portion.rows(indices)
    if X is None or rows is None:
        return None
    return copied(X) if len(rows) == X.shape[0] else taken(X, rows)


def copied(X: Any) -> Any:
    """A copy of an array of any library."""
    return namespace(X).asarray(X, copy=True)


def _stacked(Z: list):
    return Z[0] if len(Z) == 1 else namespace(Z[0]).concat(Z)


def _runs(rows) -> list[slice]:
    """Increasing numbers as slices."""
    parts = np.split(rows, 1 + np.flatnonzero(np.diff(rows) > 1))
    return [slice(int(part[0]), int(part[-1]) + 1) for part in parts]


def slices(ends: np.ndarray) -> list[slice]:
    """The stretches between the numbers `ends` (k + 1,)."""
    return [slice(a, b) for a, b in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)]
