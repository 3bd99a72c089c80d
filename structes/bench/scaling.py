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

λ d numbers of 8 bytes are the unit for judging memory: the candidates X of a population are one of
them, the normals Z and the steps Y behind them two more.
The exponent is the slope of the logarithms, by least squares over all dimensions measured.
"""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import time
import tracemalloc
from typing import NamedTuple

import numpy as np

from .. import noise
from ..es import ES
from ..examples import example
from ..structures import STRUCTURES

QUADRATIC = {name: 3000 for name in ("dense", "lower", "upper")}  # largest d: they keep d² numbers
VARIANTS = {  # more than one line for a structure; what is not said here is its typical example
    "kronecker-diagonal": {"name": "kronecker", "left": "diagonal", "right": "diagonal"},
    "kronecker-lower": {"name": "kronecker", "left": "lower", "right": "lower"},
}
SECONDS = 1.0  # time enough generations to fill so much, but no fewer than LEAST
LEAST = 3


class Row(NamedTuple):
    """One structure in one dimension; arrays and resident in bytes, units is arrays / (8 λ d)."""

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


def measure(name: str, d: int, popsize: int) -> Row:
    """One row, measured in a process of its own.

    name   of `names()`, or any specification in words

    Raises RuntimeError with the last line of what it said where that process fails.
    """
    command = [sys.executable, "-c", "from structes.bench.scaling import _child; _child()"]
    asked = json.dumps([name, d, popsize])
    done = subprocess.run([*command, asked], capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"killed by signal {-done.returncode}"]
        raise RuntimeError(f"{name}, d = {d}: {said[-1]}")
    return Row(*json.loads(done.stdout.splitlines()[-1]))


def exponent(dims, values) -> float:
    """Slope of log values against log dims by least squares; nan with fewer than two."""
    if len(dims) < 2:
        return np.nan
    return float(np.polyfit(np.log(dims), np.log(values), 1)[0])


# -- in the process of its own --------------------------------------------------------------------


def _child():
    name, d, popsize = json.loads(sys.argv[-1])
    print(json.dumps(_measure_here(name, d, popsize)))


def _measure_here(name, d, popsize) -> Row:
    small = _search(name, 50, popsize)
    for _ in range(3):
        _generation(small)
    start = _forget_peak()
    es = _search(name, d, popsize)
    times, floors = [], []
    while len(times) <= LEAST or (sum(times) < SECONDS and len(times) < 200):
        times.append(_generation(es))
        floors.append(_draw(d, popsize))  # in turns, so that a busy machine harms both alike
    resident = _peak() - start
    dof = es.structure.dof
    del es
    gc.collect()
    tracemalloc.start()
    es = _search(name, d, popsize)
    for _ in range(LEAST):
        _generation(es)
    arrays = tracemalloc.get_traced_memory()[1]
    seconds, floor = statistics.median(times[1:]), statistics.median(floors[1:])
    return Row(name, d, dof, seconds, floor, arrays, resident, arrays / (8 * popsize * d))


def _search(name, d, popsize):
    spec = example(VARIANTS.get(name, name), d)
    return ES(np.zeros(d), 1.0, spec, seed=1, popsize=popsize)


def _generation(es):
    """Seconds of one."""
    values = noise.uniforms(1, noise.PROBLEM, es.generation, 0, 1, es.popsize)[0]
    began = time.perf_counter()
    X = es.ask()
    es.tell(X, values)
    return time.perf_counter() - began


def _draw(d, popsize):
    began = time.perf_counter()
    noise.normals(1, noise.CANDIDATES, 0, 0, popsize, d)
    return time.perf_counter() - began


def _forget_peak() -> int:
    """Resident memory now, in bytes; where Linux allows, the peak starts anew from here."""
    gc.collect()
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass
    return _peak()


def _peak() -> int:
    """Peak resident memory of this process in bytes."""
    try:
        with open("/proc/self/status") as file:
            return next(int(s.split()[1]) for s in file if s.startswith("VmHWM")) * 1024
    except (OSError, StopIteration):
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
