"""Where the blocks of a direct sum lie: what a user says of each, sorted into coordinates.

A block says its size, or implies it, or leaves it open (one may); it names its coordinates, or
takes what the others leave, in order. Everything that can be wrong with that is said here, with
the numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import checks
from ..naming.error_text import brief
from .base import Structure
from .building import build_part, implied_dim


class Block(NamedTuple):
    """A block of a direct sum: its name, its structure, and its coordinates in their order (a
    range where the distance is regular, a tuple otherwise)."""

    name: str
    structure: Structure
    at: Any


class Request(NamedTuple):
    """What a user says of a block: size None is open; at None: wherever there is room."""

    name: str
    spec: Any
    size: int | None
    at: Any


def place(dim, blocks) -> tuple:
    """Return the blocks with their structures and coordinates."""
    requests = [_read(name, spec) for name, spec in _pairs(blocks)]
    owner = np.full(dim, -1)
    for k, r in enumerate(requests):
        if r.at is not None:
            _claim(owner, k, requests)
    if all(r.at is not None for r in requests) and (owner < 0).any():
        raise ValueError(
            f"DirectSum: every coordinate from 0 to {dim - 1} must belong to a block; "
            f"{_some(np.flatnonzero(owner < 0))} belong to none"
        )
    unclaimed, start = np.flatnonzero(owner < 0), 0
    placed = []
    for r, size in zip(requests, _all_sizes(dim, requests), strict=True):
        at = r.at
        if at is None:
            at, start = unclaimed[start : start + size], start + size
        structure = build_part(f"DirectSum: block {r.name!r}", r.spec, size)
        placed.append(Block(r.name, structure, _compact(at)))
    return tuple(placed)


def implied_size(blocks):
    """Return the sum of the sizes of the blocks; None where one is open."""
    sizes = [_read(name, spec).size for name, spec in _pairs(blocks)]
    return None if None in sizes else sum(sizes)


def _pairs(blocks) -> list:
    """Return (name, spec) pairs of what `blocks` may be."""
    if isinstance(blocks, Mapping):
        pairs = list(blocks.items())
    elif isinstance(blocks, tuple) and all(isinstance(b, Block) for b in blocks):
        pairs = [(b.name, b) for b in blocks]
    else:
        raise TypeError(
            "DirectSum: blocks must be a mapping from names to structures, as in "
            f"{{'w': {{'name': 'kronecker', 'rows': 3, 'cols': 2}}}}; got {brief(blocks)}"
        )
    if not pairs:
        raise ValueError("DirectSum: blocks must hold at least one block; got none")
    return pairs


def _read(name, spec) -> Request:
    """Return the request of one block."""
    name_of_block = f"DirectSum: block {name!r}"
    if isinstance(spec, Block):
        return Request(name, spec.structure, spec.structure.dim, np.asarray(spec.at))
    if not isinstance(name, str) or not name:
        raise TypeError(
            f"DirectSum: names of blocks must be strings, not empty; got {brief(name)}"
        )
    size = at = None
    if isinstance(spec, Mapping):
        spec = dict(spec)
        size, at = spec.pop("dim", None), _coordinates(name_of_block, spec.pop("at", None))
    try:
        implied = implied_dim(spec)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name_of_block}: {error}") from error
    sizes = {"dim": size, "at": None if at is None else len(at), "its structure": implied}
    sizes_given = {key: value for key, value in sizes.items() if value is not None}
    for key, value in sizes_given.items():
        sizes_given[key] = checks.count(f"{name_of_block}: the size given by {key}", value, 1)
    if len(set(sizes_given.values())) > 1:
        listing = ", ".join(f"{value} by {key}" for key, value in sizes_given.items())
        raise ValueError(f"{name_of_block} must have one size; got {listing}")
    return Request(name, spec, next(iter(sizes_given.values()), None), at)


def _coordinates(subject, at):
    """Return `at` as an integer array, or None."""
    if at is None:
        return None
    array = np.asarray(list(at) if isinstance(at, Iterable) and not isinstance(at, str) else at)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise TypeError(f"{subject}: at must be a list of coordinates (integers); got {brief(at)}")
    return array.astype(np.int64)


def _all_sizes(dim, requests) -> list:
    """Return the sizes of the blocks: an open one gets what remains; their sum is dim."""
    open_names = [r.name for r in requests if r.size is None]
    total = sum(r.size or 0 for r in requests)
    listing = " + ".join(f"{r.size} ({r.name!r})" for r in requests if r.size is not None)
    if len(open_names) > 1:
        raise ValueError(
            "DirectSum: all blocks but one must say their dim; "
            f"{', '.join(map(repr, open_names))} leave it open"
        )
    if open_names and total >= dim:
        raise ValueError(
            f"DirectSum: block {open_names[0]!r} gets what the others leave of dim {dim}; "
            f"nothing is left: {listing} = {total}"
        )
    if not open_names and total != dim:
        raise ValueError(
            f"DirectSum: the sizes of the blocks must sum to dim {dim}; got {listing} = {total}"
        )
    return [dim - total if r.size is None else r.size for r in requests]


def _claim(owner, k, requests):
    """Write k over the coordinates of request k in `owner`, which no other may own."""
    name, at = requests[k].name, requests[k].at
    strangers = at[(at < 0) | (at >= len(owner))]
    if strangers.size:
        raise ValueError(
            f"DirectSum: block {name!r}: at must hold coordinates from 0 to {len(owner) - 1}; "
            f"got {_some(strangers)}"
        )
    values, counts = np.unique(at, return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f"DirectSum: block {name!r}: at must name a coordinate once; "
            f"repeated: {_some(values[counts > 1])}"
        )
    overlap = values[owner[values] >= 0]
    if overlap.size:
        raise ValueError(
            f"DirectSum: blocks must not overlap; {requests[owner[overlap[0]]].name!r} and "
            f"{name!r} both name {_some(overlap[owner[overlap] == owner[overlap[0]]])}"
        )
    owner[at] = k


def _compact(at):
    """Return coordinates as a range where their distance is regular, as a tuple otherwise."""
    step = int(at[1] - at[0]) if len(at) > 1 else 1
    regular = range(int(at[0]), int(at[-1]) + 1, step) if step > 0 else ()
    return regular if np.array_equal(regular, at) else tuple(at.tolist())


def _some(numbers) -> str:
    """Return the first of these coordinates, for an error."""
    names = ", ".join(str(int(i)) for i in numbers[:8])
    return names + (f", … ({len(numbers)} in all)" if len(numbers) > 8 else "")
