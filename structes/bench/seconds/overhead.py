"""Seconds a generation: structes beside its peers and beside the floor.

The floor is what no sampler of this kind can avoid: drawing λ d standard normals and, for full
matrices, one product of the (λ, d) normals with a (d, d) matrix. The objective costs nothing (its
values are drawn beforehand, with enough disorder that nothing converges).
"""

from __future__ import annotations

import time
from functools import partial
from typing import NamedTuple

import numpy as np

from ...arrays import noise
from .. import PEERS
from ..measuring import quiet, turns
from ..peers.ours import Structes

FULL = ("pycma", "cmaes", "cmaes-xnes")
DIAGONAL = ("pycma-sep", "cmaes-sep")
BATCH = 100  # generations of a fresh search: on values without meaning a search drifts away
SLOW = {"cmaes": 300, "cmaes-xnes": 100}  # largest dimension worth waiting for


class Row(NamedTuple):
    """ms: milliseconds a generation; ratio: structes' milliseconds over these."""

    d: int
    kind: str
    name: str
    ms: float
    ratio: float


def measure(dims, seconds: float):
    """Rows of the table, dimension by dimension; about `seconds` are spent on each."""
    for d in dims:
        for kind, structure, peers in (
            ("full", "dense", FULL),
            ("diagonal", "diagonal", DIAGONAL),
        ):
            popsize = Structes(np.zeros(d), 1.0).popsize
            makers = {
                "structes": partial(_search, partial(Structes, structure=structure), d, popsize)
            }
            for name in peers:
                if d <= SLOW.get(name, d):
                    makers[name] = partial(_search, PEERS[name], d, popsize)
            makers["noise"] = partial(_noise, d, popsize)
            if kind == "full":
                makers["floor"] = partial(_floor, d, popsize)
            end, measurements = seconds * len(makers), {}
            for name, maker in makers.items():
                measurements[name] = partial(_batch, maker)
            with quiet():
                best, _ = turns(measurements, lambda rounds, passed, end=end: passed < end)
            for name, best_seconds in best.items():
                yield Row(d, kind, name, 1e3 * best_seconds, best["structes"] / best_seconds)


def _search(solver, d, popsize):
    """A fresh search, and one generation of it as a function of the generation's number."""
    search = solver(np.zeros(d), 1.0, popsize)
    values = noise.uniforms(0, noise.PROBLEM, 0, 0, BATCH, popsize)

    def step(t):
        X = search.ask()
        search.tell(X, values[t])
        search.stop()

    return step


def _noise(d, popsize):
    return lambda t: noise.normals(1, noise.CANDIDATES, t, 0, popsize, d)


def _floor(d, popsize):
    A = noise.normals(2, noise.PROBLEM, 0, 0, d, d)
    return lambda t: noise.normals(1, noise.CANDIDATES, t, 0, popsize, d) @ A.T


def _batch(maker) -> float:
    """Seconds of a generation: the mean over a batch of a fresh search."""
    step = maker()
    step(0)
    step(1)
    start_time, n = time.perf_counter(), 0
    while n < BATCH - 2 and time.perf_counter() - start_time < 0.05:
        n += 1
        step(n + 1)
    return (time.perf_counter() - start_time) / n
