"""Candidates by address: who they are is known, where they lie is worked out when it is needed.

A candidate follows from the state of its generation, the seed and its index. So a population of
large dimension need not be anywhere: the search hands out `Candidates`, a light sequence of
addresses, a `Recipe` says how those of one generation are drawn, and whoever wants points draws
them, in this process or in another, a few at a time.

A row of a matrix product depends, in its last bit, on the rows that it is computed with. So a
generation is *defined* piece by piece: every `ask` is one piece, or, where the generation is large
(`Strategy.tile`), every so many rows of it are. Whole pieces are drawn, always, and by as many
BLAS threads as the search has; that makes a candidate the same to the bit whoever draws it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from ..arrays.libraries import namespace, to_numpy
from ..arrays.persistent import Slotted
from ..arrays.threads import blas_threads, limited_blas
from ..strategy.state import State
from ..strategy.strategy import Strategy


def boundaries(sizes: Iterable[int], tile: int | None) -> np.ndarray:
    """Where the pieces of a generation begin, and where the last one ends: (pieces + 1,).

    Parameters
    ----------
    asked : iterable of int
        How many candidates were asked at a time.
    tile : int or None
        Rows of a piece at most; None: each portion is one.
    """
    ends = np.cumsum([0, *sizes])
    if tile is None:
        return ends
    starts = [np.arange(a, b, tile) for a, b in pairwise(ends)]
    return np.concatenate([*starts, ends[-1:]])


@dataclass(frozen=True, eq=False)
class Recipe:
    """How the candidates of one generation are drawn; small, and made to be pickled.

    Attributes
    ----------
    strategy, state, seed
        What they are drawn with; the state lacks what drawing does not need.
    asked : tuple of int
        How many candidates were asked at a time.
    key : tuple
        Hashable; whoever holds a recipe of this key need not be sent it again.
    threads : int or None
        BLAS threads that they must be drawn with; None: any number.
    """

    strategy: Strategy
    state: State
    seed: int
    asked: tuple[int, ...]
    key: tuple
    threads: int | None = None

    @property
    def tile(self) -> int:
        """The rows of the largest piece: what it costs to draw any row of it."""
        return self.strategy.tile or max(self.asked, default=1)

    @cached_property
    def _boundaries(self) -> np.ndarray:
        return boundaries(self.asked, self.strategy.tile)

    def draw(self, indices: Any) -> Any:
        """The points (n, d) of these candidates, (n,) integers from 0 to sum(asked) − 1."""
        indices = np.asarray(indices, dtype=np.int64)
        xp, d = namespace(self.state.mean), self.strategy.domain.size
        pieces = np.searchsorted(self._boundaries, indices, side="right") - 1
        with self._limited():
            if indices.size and (pieces == pieces[0]).all():
                return _rows(self._piece(pieces[0]), indices - self._boundaries[pieces[0]])
            points = xp.empty((indices.size, d), dtype=getattr(xp, self.strategy.dtype))
            order = np.argsort(pieces, kind="stable")
            numbers, starts = np.unique(pieces[order], return_index=True)
            for k, rows in zip(numbers, np.split(order, starts[1:]), strict=True):
                X: Any = self._piece(k)
                places = indices[rows] - self._boundaries[k]
                for i, j in zip(rows.tolist(), places, strict=True):
                    points[i, :] = X[int(j), :]
        return points

    def _piece(self, k):
        """All points of piece k."""
        start, end = self._boundaries[k : k + 2].tolist()
        return self.strategy.points(self.state, self.seed, start, end - start)

    def _limited(self):
        """A context with the BLAS threads that the points need."""
        if self.threads is None or self.threads == blas_threads():
            return nullcontext()
        return limited_blas(self.threads)


class Candidates(Slotted):
    """An immutable sequence of candidates, none of which is drawn before it is looked at.

    `c[a:b]` and `c[indices]` are Candidates again; `c[i]` is a point (d,), and so is what a loop
    over them gives; `np.asarray(c)` is all of their points. `ES.tell` takes them as they are.

    Parameters
    ----------
    parts : iterable
        (generation, indices (n,)) of candidates that follow each other.
    dim : int
        The number of parameters, d.

    Examples
    --------
    >>> from structes import ES
    >>> es = ES([3.0, 3.0], 1.0, seed=1)
    >>> c = es.ask(lazy=True)
    >>> c.shape, len(c[2:4]), (np.asarray(c) == ES([3.0, 3.0], 1.0, seed=1).ask()).all()
    ((6, 2), 2, np.True_)
    >>> es.tell(c, [x @ x for x in c])
    """

    __slots__ = ("_dim", "_ends", "_parts")

    def __init__(self, parts: Iterable[tuple[Any, np.ndarray]], dim: int):
        self._parts = tuple((generation, indices) for generation, indices in parts if len(indices))
        self._ends = np.cumsum([len(indices) for _, indices in self._parts])
        self._dim = dim

    @property
    def parts(self) -> tuple[tuple[Any, np.ndarray], ...]:
        """(generation, indices (n,)) of candidates that follow each other."""
        return self._parts

    @property
    def shape(self) -> tuple[int, int]:
        """The shape (n, d) of their points."""
        return len(self), self._dim

    @property
    def unit(self) -> int:
        """How many candidates are best drawn together.

        Chunks of so many, counted from the first one that was asked, are whole pieces. Any other
        chunks give the same points for more work.
        """
        return max((generation.recipe().tile for generation, _ in self._parts), default=1)

    def recipes(self) -> list[tuple[Recipe, Any]]:
        """(Recipe, indices) of candidates that follow each other, by which others draw them.

        The indices are a range where they are consecutive, otherwise an array (n,).
        """
        return [(generation.recipe(), _compact(indices)) for generation, indices in self._parts]

    def by_recipe(self) -> list[Candidates]:
        """The candidates, cut where the recipe changes."""
        return [Candidates([part], self._dim) for part in self._parts]

    def points(self) -> Any:
        """The points (n, d), an array of the library of the search."""
        drawn = [generation.points(indices) for generation, indices in self._parts]
        if len(drawn) == 1:
            return drawn[0]
        return namespace(drawn[0]).concat(drawn) if drawn else np.empty((0, self._dim))

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        if copy is False:
            raise ValueError("candidates are nowhere before they are drawn: copy=False cannot be")
        return np.asarray(to_numpy(self.points()), dtype=dtype)

    def __len__(self) -> int:
        return int(self._ends[-1]) if self._parts else 0

    def __iter__(self) -> Iterator[Any]:
        for candidates in self.by_recipe():
            for start in range(0, len(candidates), self.unit):
                yield from candidates[start : start + self.unit].points()

    def __getitem__(self, selection: Any) -> Any:
        if isinstance(selection, (int, np.integer)):
            return self[[selection]].points()[0, :]
        indices = np.arange(len(self))[selection]
        if indices.ndim != 1:
            raise IndexError(f"candidates have one axis; got the index {selection!r}")
        if len(self._parts) == 1:
            ((generation, own_indices),) = self._parts
            return Candidates([(generation, own_indices[indices])], self._dim)
        numbers = np.searchsorted(self._ends, indices, side="right")
        runs = np.split(np.arange(indices.size), 1 + np.flatnonzero(np.diff(numbers)))
        starts = self._ends - [len(own_indices) for _, own_indices in self._parts]
        parts: Any = ((numbers[run[0]], indices[run]) for run in runs if run.size)
        return Candidates(
            ((self._parts[k][0], self._parts[k][1][rows - starts[k]]) for k, rows in parts),
            self._dim,
        )

    def __repr__(self) -> str:
        numbers = ", ".join(str(generation.number) for generation, _ in self._parts)
        return f"<{len(self)} candidates of {self._dim} parameters, generation {numbers or '–'}>"


def _rows(X, rows):
    """The rows of X, X itself where they are all of it."""
    if rows.size == X.shape[0] and (np.diff(rows) == 1).all():
        return X
    return namespace(X).take(X, namespace(X).asarray(rows), axis=0)


def _compact(indices):
    """A range where the indices are consecutive, else the indices."""
    if (np.diff(indices) == 1).all():
        return range(int(indices[0]), int(indices[-1]) + 1)
    return indices


def take(X: Any, indices: np.ndarray) -> Any:
    """The rows of X, an (n, d) array or Candidates, with these indices."""
    if isinstance(X, Candidates):
        return X[indices]
    return namespace(X).take(X, namespace(X).asarray(indices), axis=0)


def part(X: Any, start: int, stop: int) -> Any:
    """The rows start … stop − 1 of X, an (n, d) array or Candidates."""
    return X[start:stop] if isinstance(X, Candidates) else X[start:stop, :]


def point(X: Any, i: int) -> Any:
    """Row i of X, an (n, d) array or Candidates: an array (d,) that shares nothing with X."""
    row = X[i] if isinstance(X, Candidates) else X[i, :]
    return namespace(row).asarray(row, copy=True)
