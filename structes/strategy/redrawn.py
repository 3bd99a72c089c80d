"""Rows of noise that are nowhere: whoever wants a sum over them has it drawn on the way.

A device draws a number about as fast as it reads three from its memory. So where B multiplies each
coordinate by a number of its own (`diagonal`, `scalar`), the noise of a large generation is never
written: candidates are made in one pass, their sums are taken in another, and all that is kept of
a candidate is the length of its z.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..arrays import kernels, noise
from ..arrays.kernels import steps


class Redrawn(NamedTuple):
    """The z of candidates start … start+count−1 of a generation, in place of their array.

    squares   (count,) ‖z‖², float64
    """

    seed: int
    generation: int
    start: int
    count: int
    dim: int
    dtype: str
    squares: Any

    @property
    def shape(self) -> tuple[int, int]:
        return self.count, self.dim

    def __getitem__(self, rows: slice) -> Redrawn:
        """Return those in a slice that says where it starts and stops."""
        squares, count = self.squares[rows], rows.stop - rows.start
        return self._replace(start=self.start + rows.start, count=count, squares=squares)

    def sums(self, w_mean, good, bad):
        """Return Σ w_mean z and Σ w° z², both (dim,) float64, for w° = good + bad dim/‖z‖²; and
        the numbers Σ w° and ½ Σ bad (dim/‖z‖² − 1)."""
        w, weight, identity = steps.stretch(good, bad, self.squares, self.dim)
        address = self.seed, noise.CANDIDATES, self.generation, self.start
        return *kernels.sums(w_mean, w, *address, self.dim, self.dtype), weight, identity


def sample(mean, step, seed: int, generation: int, start: int, count: int, dtype: str):
    """Return (X, Redrawn) of the candidates mean + step z, start … start+count−1: X (count, d) of
    `dtype`, for mean and step (d,) float64."""
    address = seed, noise.CANDIDATES, generation, start, count
    X, squares = kernels.sample(mean, step, *address, dtype)
    return X, Redrawn(seed, generation, start, count, mean.shape[0], dtype, squares)


def redrawn(seed: int, generation: int, start: int, count: int, dim: int, dtype: str) -> Redrawn:
    """Return the Redrawn of `sample` without X."""
    address = seed, noise.CANDIDATES, generation, start, count
    squares = kernels.squares(dim, *address, dtype)
    return Redrawn(seed, generation, start, count, dim, dtype, squares)
