"""Generations that are large: drawn tile by tile, or drawn again.

A generation of many numbers is *large*: it is drawn tile by tile, a tile is a few rows, and the
update wants its tiles one after the other, each once. Every sum over samples is a sum over tiles,
the tangent is one of them, and Σ w y = B⁻ᵀ Σ w z, so that no array of the population's size is
needed, and what is drawn again for the update is z alone.
"""

from __future__ import annotations

from ..arrays.tiles import LAUNCHED
from ..structures.base import Structure

LARGE = 2**22  # numbers in a generation from which on it is large: 32 MB
LONG = 2**12  # in its rows, at least: tiles of short ones would cost more than they save
SLIM = 32  # numbers in B for each parameter, at most: they are added up for every tile
TILE = 8  # rows of a tile, at most
DEVICE = LAUNCHED  # on a device: numbers of a tile, and of a generation that is large


def rows_of_tile(structure: Structure, popsize: int, on_device: bool) -> int | None:
    """Return the rows of a tile; None where generations are not large.

    It takes a structure whose numbers grow as d: where B has d² of them the tangent is kept as low
    rank (`dense`), or outweighs the population.
    """
    d = structure.dim
    numbers, limit = (DEVICE, DEVICE) if on_device else (LARGE, TILE)
    large = d >= LONG and d * popsize >= numbers and structure.dof <= SLIM * d
    return max(1, min(limit, numbers // d)) if large else None


def is_redrawn(structure: Structure) -> bool:
    """Return whether noise is drawn again on a device in place of being kept: rows are long, and
    sums of squares say all of the samples (redrawn.py)."""
    return structure.is_diagonal and structure.dim >= LONG
