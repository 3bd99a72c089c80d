"""Seconds a generation: structes beside its peers and beside the floor.

The floor is what no sampler of this kind can avoid: drawing λ d standard normals and, for full
matrices, one product of the (λ, d) normals with a (d, d) matrix. The objective costs nothing (its
values are drawn beforehand, with enough disorder that nothing converges).
"""

from __future__ import annotations

import time
import warnings
from typing import NamedTuple

import numpy as np

from .. import noise
from . import PEERS
from .peers.ours import Structes

FULL = ("pycma", "cmaes", "cmaes-xnes")
DIAGONAL = ("pycma-sep", "cmaes-sep")
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
            ours = Structes(np.zeros(d), 1.0, structure=structure)
            steps = {"structes": _generation(ours, d)}
            for name in peers:
                if d <= SLOW.get(name, d):
                    steps[name] = _generation(PEERS[name](np.zeros(d), 1.0, ours.popsize), d)
            steps["noise"] = _noise(ours.popsize, d)
            if kind == "full":
                steps["floor"] = _floor(ours.popsize, d)
            best = _interleaved(steps, seconds)
            for name, ms in best.items():
                yield Row(d, kind, name, ms, best["structes"] / ms)


def _generation(search, d):
    values = noise.uniforms(0, noise.PROBLEM, 0, 0, 64, search.popsize)
    count = 0

    def step():
        nonlocal count
        count += 1
        X = search.ask()
        search.tell(X, values[count % 64])
        search.stop()

    return step


def _noise(popsize, d):
    return lambda: noise.normals(1, noise.CANDIDATES, 3, 0, popsize, d)


def _floor(popsize, d):
    A = noise.normals(2, noise.PROBLEM, 0, 0, d, d)
    return lambda: noise.normals(1, noise.CANDIDATES, 3, 0, popsize, d) @ A.T


def _interleaved(steps: dict, seconds: float) -> dict:
    """{name: smallest milliseconds a call}, the steps taking turns so that all see the same noise
    of the machine."""
    best = {}
    batch = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a peer's advice to its user is no part of the bench
        for name, step in steps.items():
            step()
            began = time.perf_counter()
            step()
            batch[name] = max(1, int(0.02 / (time.perf_counter() - began)))
        end = time.perf_counter() + seconds * len(steps)
        while time.perf_counter() < end:
            for name, step in steps.items():
                began = time.perf_counter()
                for _ in range(batch[name]):
                    step()
                ms = 1e3 * (time.perf_counter() - began) / batch[name]
                best[name] = min(ms, best.get(name, ms))
    return best
