"""Milliseconds of a generation on a device, and how many times what no generation can avoid.

A generation is `ask` and `tell` through `ES`. The objective costs nothing: its values lie on the
device beforehand. A timed region is several generations; the device is waited for at both of its
ends and nowhere in between, so that what the search itself waits for is in it. Regions of the
search and of the drawing take turns, so that a busy machine harms both alike; medians count. The
floor is

    eager   drawing λ d normals, and the way of X out and of Z back in: 2 λ d numbers
    lazy    drawing λ d normals twice

Drawing is timed as our kernel does it alone, which ends with the normals in memory: that is the
writing of Z, so it is no part of the bytes. What a generation does to the state is left out (a
vector has 1/λ of the population's bytes), and so is arithmetic, of which a product with a factor
takes more than its numbers' way: the floor of `kronecker`, `block_upper` and `dense` is lower
than anybody can be. Bytes take as long as those of a copy of a large array do, whose read and
written bytes both count. A population that does not fit into memory is asked lazily. Then X is
drawn tile by tile for whoever evaluates it, and forgotten; this bench does so, because a
generation whose candidates nobody looks at would be half of one. The update draws again. Neither
needs a way through memory, so that nothing is added for bytes.
"""

from __future__ import annotations

import math
import statistics
from typing import NamedTuple

from ...arrays import noise
from ...structures.building import build_structure
from ...structures.random_elements import example
from .. import measuring
from ..measuring import Skipped
from . import scaling
from .device import search

STRUCTURES = ("diagonal", "block_upper:k16", "kronecker", "dense")
DENSE_POPSIZE = 64  # of structures that keep d² numbers
STORED = 4  # arrays of the population's size: X, Z, and what is made on the way
COPIES = 8  # of the numbers of a structure: the factor, its change, and what is made on the way
DRAWN = 2**27  # numbers that are drawn by one call, at most

LINEAR = 2.0  # goals: times the floor, for structures whose numbers grow as d,
LARGE = 10**8  # from so many numbers in a population on;
DENSE = {(10_000, 64): 15.0}  # milliseconds of `dense` for (d, popsize);
AHEAD = 5.0  # times faster than every peer


class Row(NamedTuple):
    """One structure in one dimension with one popsize: seconds a generation, and of the floor its
    two parts. lazy: how it was asked."""

    structure: str
    d: int
    popsize: int
    lazy: bool
    seconds: float
    drawing: float
    moving: float

    @property
    def floor(self) -> float:
        return self.drawing + self.moving

    @property
    def ratio(self) -> float:
        return self.seconds / self.floor


# -- what is measured


def cells_of(structures, dims, popsizes, dense_dims):
    """[(structure, d, popsize)]: structures that keep d² numbers in dimensions of their own; each
    from small populations to large ones."""
    cells = []
    for name in structures:
        square = is_square(name)
        pairs = [
            (d, popsize)
            for d in (dense_dims if square else dims)
            for popsize in ([DENSE_POPSIZE] if square else popsizes)
        ]
        cells += [(name, *pair) for pair in sorted(pairs, key=lambda p: (p[0] * p[1], p[0]))]
    return cells


def is_square(name: str) -> bool:
    """Does the structure keep d² numbers?"""
    return scaling.largest(name) < 10**9


def memory(numbers: int, d: int, rows: int, itemsize: int) -> int:
    """Bytes that a generation takes, about, of which so many rows are there at a time.

    numbers   that the structure keeps, in float64
    """
    return itemsize * STORED * rows * d + 8 * COPIES * numbers


def is_lazy(numbers: int, d: int, popsize: int, itemsize: int, free: int, tile) -> bool:
    """Is a population to be asked lazily, because it would not fit into `free` bytes?

    tile   rows that are drawn at a time; None: all of them

    Raises Skipped where that does not fit either.
    """
    if memory(numbers, d, popsize, itemsize) <= free:
        return False
    rows = popsize if tile is None else min(popsize, max(tile, numbers // d))
    _refuse(memory(numbers, d, rows, itemsize), free)
    return True


def _refuse(needed, free):
    if needed > free:
        raise Skipped(f"needs {needed / 1e9:.3g} GB, {free / 1e9:.3g} GB are free")


def measure(device, name: str, d: int, popsize: int, bandwidth: float, repeats: int, limit: float):
    """The Row of a cell.

    bandwidth   bytes a second
    repeats     timed regions
    limit       seconds that it may take

    Raises Skipped where it would take longer or does not fit, and whatever the search raises.
    """
    spec = example(name, d)
    structure = build_structure(spec, d)
    numbers = d * d if is_square(name) else structure.dof
    free = device.free()
    _refuse(memory(numbers, d, 0, device.itemsize), free)
    es = search(spec, d, popsize, device.backend, device.dtype)
    lazy = is_lazy(numbers, d, popsize, device.itemsize, free, es.strategy.tile)
    values = values_on(device, popsize)
    generation = _lazy_generation if lazy else _generation

    def step():
        generation(es, values)

    def draw():
        _draw(device, popsize, d)

    calls = measuring.warm_up(step, device.synchronise, repeats, limit)
    draws = measuring.warm_up(draw, device.synchronise, repeats, math.inf)
    times, drawing = [], []
    for _ in range(repeats):
        times.append(measuring.region(step, device.synchronise, calls))
        drawing.append(measuring.region(draw, device.synchronise, draws))
    return Row(
        name,
        d,
        popsize,
        lazy,
        statistics.median(times),
        (2 if lazy else 1) * statistics.median(drawing),
        moved(d, popsize, device.itemsize, lazy) / bandwidth,
    )


def moved(d: int, popsize: int, itemsize: int, lazy: bool) -> int:
    """Bytes that must move in a generation beside those that drawing writes."""
    return 0 if lazy else 2 * popsize * d * itemsize


def bandwidth_of(device, repeats: int) -> float:
    """Bytes a second, read and written, of a copy of a large array on the device."""
    xp, size = device.xp, min(device.copied, device.free() // 8)
    source = xp.zeros(size // device.itemsize, dtype=getattr(xp, device.dtype))
    target = xp.empty_like(source)

    def copy():
        target[...] = source

    calls = measuring.warm_up(copy, device.synchronise, repeats, math.inf)
    times = [measuring.region(copy, device.synchronise, calls) for _ in range(repeats)]
    return 2 * source.nbytes / statistics.median(times)


def values_on(device, popsize: int):
    """(popsize,) values without meaning on the device, all different."""
    values = noise.uniforms(1, noise.PROBLEM, 0, 0, 1, popsize)[0]
    return device.xp.asarray(values, dtype=getattr(device.xp, device.dtype))


def _generation(es, values):
    es.tell(es.ask(), values)


def _lazy_generation(es, values):
    candidates = es.ask(lazy=True)
    unit = candidates.unit
    for start in range(0, len(candidates), unit):
        candidates[start : start + unit].points()
    es.tell(candidates, values)


def _draw(device, popsize, d):
    rows = max(1, DRAWN // d)
    for start in range(0, popsize, rows):
        device.normals(min(rows, popsize - start), d)


# -- words

HEADS = ("structure", "d", "popsize", "asked", "ms", "drawing", "bytes", "floor", "x floor")
PEER_HEADS = ("peer", "beside", "d", "popsize", "ms", "structes", "x slower", "")


def head_line() -> str:
    return _line(HEADS)


def row_line(row: Row) -> str:
    parts = (row.seconds, row.drawing, row.moving, row.floor)
    ms = [f"{1e3 * seconds:.4g}" for seconds in parts]
    mode = "lazily" if row.lazy else "eagerly"
    words = (row.structure, f"{row.d}", f"{row.popsize}", mode, *ms, f"{row.ratio:.2f}")
    return _line(words)


def skipped_line(cell, message: str, word: str = "skipped") -> str:
    name, d, popsize = cell
    return f"{word}: {name}, d = {d}, popsize {popsize}: {message}"


def _line(words):
    first, *rest_of_words = words
    return f"{first:18}" + "".join(f"{word:>10}" for word in rest_of_words)


def peer_head() -> str:
    return _line(PEER_HEADS).rstrip()


def peer_line(peer, d: int, popsize: int, seconds: float, own_seconds: float) -> str:
    """Of a peer that took so many seconds a generation beside our seconds."""
    words = (peer.name, peer.counterpart, f"{d}", f"{popsize}", f"{1e3 * seconds:.4g}")
    note = f"  {'' if peer.correct else 'not counted: '}{peer.note}" if peer.note else ""
    return _line((*words, f"{1e3 * own_seconds:.4g}", f"{seconds / own_seconds:.2f}")) + note


def goals(rows, peers) -> list[str]:
    """A line for each goal: met, missed or not measured, and the figures.

    rows    of ours
    peers   [(peer, d, popsize, seconds of a peer, our seconds)]
    """
    lines = []
    for name in dict.fromkeys(row.structure for row in rows if not is_square(row.structure)):
        large = [r for r in rows if r.structure == name and r.d * r.popsize >= LARGE]
        worst = max(large, key=lambda r: r.ratio, default=None)
        value = None if worst is None else worst.ratio
        goal = f"{name}, popsize · d ≥ {LARGE:.0e}: at most {LINEAR:g} x floor"
        lines.append(_goal(goal, value, value is not None and value <= LINEAR, _where(worst)))
    for (d, popsize), ms in DENSE.items():
        row = next((r for r in rows if r[:3] == ("dense", d, popsize)), None)
        value = None if row is None else 1e3 * row.seconds
        goal = f"dense, d = {d}, popsize {popsize}: under {ms:g} ms"
        lines.append(_goal(goal, value, value is not None and value < ms))
    for name in dict.fromkeys(peer.name for peer, *_ in peers if peer.correct):
        pairs = [p for p in peers if p[0].name == name]
        _, d, popsize, seconds, own_seconds = min(pairs, key=lambda p: p[3] / p[4])
        value = seconds / own_seconds
        goal = f"{name}: at least {AHEAD:g} times our time"
        lines.append(_goal(goal, value, value >= AHEAD, f"d = {d}, popsize {popsize}"))
    if not any(peer.correct for peer, *_ in peers):
        lines.append(_goal(f"every correct peer: at least {AHEAD:g} times our time", None, False))
    return lines


def _where(row):
    return "" if row is None else f"d = {row.d}, popsize {row.popsize}"


def _goal(goal, value, is_met, place=""):
    if value is None:
        return f"not measured  {goal}"
    return f"{'met' if is_met else 'missed':12}  {goal}; found {value:.3g}" + (
        f" (at worst: {place})" if place else ""
    )
