"""Seconds and memory of a generation against the dimension, for every structure.

What is measured is `ask` and `tell` through `ES` on values that are drawn beforehand, so that the
objective costs nothing. Each (structure, dimension) has a fresh process of its own, which warms up
in 50 dimensions first:

    seconds   median over generations (at least three, after one that is not counted)
    floor     drawing the normals of a generation, which nothing avoids: median, in turns with it
    arrays    peak of all memory that Python allocates (tracemalloc, which sees every NumPy array)
              for making the ES and three generations: exact, also where it is small
    resident  growth of the process's peak resident memory over the timed generations: what the
              machine sees, page by page, libraries' own buffers included

On a device (backend "cupy") every generation and every drawing is waited for, arrays are the peak
of the used bytes of CuPy's memory pool, and resident is the growth of the whole pool.

λ d numbers are the unit for judging memory (8 bytes each, in float32 4): the candidates X of a
population are one of them, the normals Z and the steps Y behind them two more.
The exponent is the slope of the logarithms, by least squares over all dimensions measured.
"""

from __future__ import annotations

import statistics
from typing import NamedTuple

import numpy as np

from ...arrays import noise
from ...structures import STRUCTURES
from ...structures.random_elements import example
from ..measuring import in_own_process, region
from .device import open_device, search

QUADRATIC = {name: 3000 for name in ("dense", "lower", "upper")}  # largest d: they keep d² numbers
VARIANTS = {  # more than one line for a structure; what is not said here is its typical example
    "kronecker-diagonal": {"name": "kronecker", "left": "diagonal", "right": "diagonal"},
    "kronecker-lower": {"name": "kronecker", "left": "lower", "right": "lower"},
}
SECONDS = 1.0  # time enough generations to fill so much, but no fewer than LEAST
LEAST = 3


class Row(NamedTuple):
    """One structure in one dimension; arrays and resident in bytes, units is arrays over the
    bytes of λ d numbers."""

    name: str
    d: int
    dof: int
    seconds: float
    floor: float
    arrays: int
    resident: int
    units: float


def names() -> list[str]:
    """What can be measured: the table of structures, Kronecker by its factors."""
    return [*(n for n in STRUCTURES if n != "kronecker"), *VARIANTS, "kronecker"]


def largest(name: str) -> float:
    """The largest dimension that `name` is measured in, in place of any larger one."""
    return QUADRATIC.get(name.partition(":")[0], 10**9)


def measure(
    name: str, d: int, popsize: int, backend: str = "numpy", dtype: str = "float64"
) -> Row:
    """One row, measured in a process of its own.

    name             of `names()`, or any specification in words
    backend, dtype   of the arrays, as ES takes them

    Raises RuntimeError with the last line of what it said where that process fails.
    """
    answers, message = in_own_process("seconds.scaling:rows", [name, d, popsize, backend, dtype])
    if message:
        raise RuntimeError(f"{name}, d = {d}: {message}")
    return Row(*answers[0])


def exponent(dims, values) -> float:
    """Slope of log values against log dims by least squares; nan with fewer than two."""
    if len(dims) < 2:
        return np.nan
    return float(np.polyfit(np.log(dims), np.log(values), 1)[0])


# -- in the process of its own --------------------------------------------------------------------


def rows(name: str, d: int, popsize: int, backend: str, dtype: str):
    """Yield the one Row, measured here."""
    device = open_device(backend, dtype)
    small = _search(name, 50, popsize, device)
    for _ in range(3):
        _generation(small, device)
    start = device.forget_peak()
    es = _search(name, d, popsize, device)
    times, floors = [], []
    while len(times) <= LEAST or (sum(times) < SECONDS and len(times) < 200):
        times.append(_generation(es, device))
        floors.append(_draw(d, popsize, device))  # in turns: a busy machine harms both alike
    resident = device.peak() - start
    dof = es.structure.dof
    del es
    device.release()
    with device.arrays() as peak:
        es = _search(name, d, popsize, device)
        for _ in range(LEAST):
            _generation(es, device)
        arrays = peak()
    seconds, floor = statistics.median(times[1:]), statistics.median(floors[1:])
    units = arrays / (device.itemsize * popsize * d)
    yield Row(name, d, dof, seconds, floor, arrays, resident, units)


def _search(name, d, popsize, device):
    spec = example(VARIANTS.get(name, name), d)
    return search(spec, d, popsize, device.backend, device.dtype)


def _generation(es, device):
    """Seconds of one."""
    values = noise.uniforms(1, noise.PROBLEM, es.generation, 0, 1, es.popsize)[0]
    return region(lambda: es.tell(es.ask(), values), device.synchronise, 1)


def _draw(d, popsize, device):
    """Seconds of drawing the normals of one."""
    return region(lambda: device.normals(popsize, d), device.synchronise, 1)
