"""Candidates that rows are compared with, in standard deviations of their generation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays.libraries import to_numpy
from .generation import Generation
from .places import reach
from .portion import columns


class NearCandidates:
    """Candidates of a generation, in units of its standard deviations.

    Where their points are not kept only some of the coordinates are compared (`columns`), and
    `confirms` looks at all of them.

    Parameters
    ----------
    generation : Generation
        Theirs.
    indices : (m,) array
        Increasing indices of the candidates.

    Attributes
    ----------
    reach : float
        How far a row may be from a candidate, in each coordinate, and be it.
    """

    def __init__(self, generation: Generation, indices: np.ndarray):
        self.generation, self.indices = generation, indices
        strategy = self.generation.strategy
        self.domain = strategy.domain
        self.std, self.columns = deviations_of(self.generation), None
        if self.generation.keeps(indices):
            points = self.generation.points(indices)
        else:
            self.columns = columns(strategy.domain.size)
            points = self.generation.some_coordinates(indices)
        self.units = self._units(points, self.columns)
        self.reach = reach(self.domain.continuous, len(self.generation))

    def _units(self, X, coordinates) -> np.ndarray:
        return self.domain.in_units(np.asarray(to_numpy(X), dtype=float), self.std, coordinates)

    def units_of(self, X: Any) -> np.ndarray:
        """Rows of X (n, d) in the same units, as far as they are compared."""
        return self._units(X if self.columns is None else X[:, self.columns], self.columns)

    def distances(self, units: np.ndarray) -> np.ndarray:
        """The largest difference (m,) of a coordinate: of one row to each candidate.

        Of m rows it is that of each row to its own candidate.
        """
        return largest(self.units - units)

    def much_nearer(self, units: np.ndarray) -> int | None:
        """The candidate to which a row is much nearer than to all others; None: there is none."""
        differences = np.where(np.isfinite(self.units - units), self.units - units, np.inf)
        distances = np.square(differences).mean(axis=1) ** 0.5
        order = np.argsort(distances, kind="stable")
        second = distances[order[1]] if len(order) > 1 else 2.0
        return int(self.indices[order[0]]) if distances[order[0]] <= 0.5 * second else None

    def confirms(self, X: Any, indices: np.ndarray) -> bool:
        """Whether the rows of X (n, d) are near the candidates with the indices (n,), in all
        coordinates."""
        if self.columns is None:
            return True
        unit = self.generation.recipe().tile
        for a in range(0, len(indices), unit):
            points = self._units(self.generation.rounded_points(indices[a : a + unit]), None)
            distances = largest(points - self._units(X[a : a + unit, :], None))
            if not (distances <= self.reach).all():
                return False
        return True


def deviations_of(generation: Generation) -> np.ndarray:
    """The standard deviations (d,) of the search coordinates."""
    state, structure = generation.state, generation.strategy.structure
    return to_numpy(state.sigma * state.scale * structure.deviations(state.factor))


def largest(differences: np.ndarray) -> np.ndarray:
    """The largest absolute value (n,) in each row; inf where one is NaN."""
    values = np.abs(differences).max(axis=1)
    return np.where(np.isnan(values), np.inf, values)
