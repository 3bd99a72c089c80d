"""Peers that run on a GPU: EvoTorch (torch) and evosax (jax), a generation at a time.

None of them is installed with structes. One process for each peer times all of its cells, as
`bench gpu` times ours (gpu.py): the same dimension, population and type of numbers, an objective
whose values lie on the device beforehand, regions of several generations with the device waited
for at both ends. A generation is what a user of ask and tell, or of `step`, would do; what jax
compiles at the first call is not timed. A peer that would take longer than its limit is timed for
one generation.

What a peer computes wrongly is said beside its figures. Where that changes the work, it is no
peer to be compared with, and `correct` is False; read in evosax 0.3.2 and EvoTorch 0.6.1.
"""

from __future__ import annotations

import importlib.util
import math
from statistics import median
from typing import NamedTuple

from ..measuring import Skipped, in_own_process, region, warm_up


class Peer(NamedTuple):
    """An optimiser of a package.

    counterpart  our structure that it stands beside
    kind         its class, and the options that it is made with
    products     does it hold the outer products of all samples, λ d² numbers?
    note         what is to be said of it; correct: nothing that changes the work
    """

    name: str
    package: str
    kind: str
    counterpart: str
    options: dict = {}
    products: bool = False
    correct: bool = True
    note: str = ""


PEERS = (
    Peer("evotorch-snes", "evotorch", "SNES", "diagonal"),
    Peer("evotorch-sep-cma", "evotorch", "CMAES", "diagonal", {"separable": True}),
    Peer("evosax-snes", "evosax", "SNES", "diagonal"),
    Peer(
        "evosax-sep-cma",
        "evosax",
        "Sep_CMA_ES",
        "diagonal",
        note="learns with the rates of a full matrix, (d + 2)/3 times too slowly; same work",
    ),
    Peer("evotorch-xnes", "evotorch", "XNES", "dense", products=True),
    Peer("evotorch-cma", "evotorch", "CMAES", "dense", products=True),
    Peer(
        "evosax-xnes",
        "evosax",
        "xNES",
        "dense",
        correct=False,
        note="exp of a matrix taken element by element, so that its B stays diagonal",
    ),
    Peer("evosax-cma", "evosax", "CMA_ES", "dense"),
)
NEEDS = {"evotorch": ("torch", "evotorch"), "evosax": ("jax", "evosax")}


class Answer(NamedTuple):
    """seconds of a generation; nan where there are none, and `reason` says why."""

    peer: Peer
    d: int
    popsize: int
    seconds: float
    reason: str = ""


def missing(peer: Peer) -> str:
    """The packages that it needs and are not installed; empty where there are none."""
    return ", ".join(name for name in NEEDS[peer.package] if not importlib.util.find_spec(name))


def measure(peer: Peer, cells, device, repeats: int, limit: float) -> list[Answer]:
    """An Answer for each cell (d, popsize), all from one process.

    device   as in device.py
    limit    seconds for a cell, about; the process is ended after three times that for each
    """
    free, answers, requested = device.free(), {}, []
    for d, popsize in cells:
        needed = popsize * d * (d if peer.products else 1) * device.itemsize
        if needed > free:
            reason = f"an array of {needed / 1e9:.1f} GB does not fit into {free / 1e9:.1f} GB"
            answers[d, popsize] = Answer(peer, d, popsize, math.nan, reason)
        else:
            requested.append((d, popsize))
    if requested:
        rows, reason_ended = in_own_process(
            "peers.gpu:answers",
            [peer.name, device.backend, device.dtype, repeats, limit, requested],
            timeout=120 + 3 * limit * len(requested),
            XLA_PYTHON_CLIENT_PREALLOCATE="false",
        )
        answers |= {cell: Answer(peer, *cell, math.nan, reason_ended) for cell in requested}
        for d, popsize, seconds, reason in rows:
            seconds = math.nan if seconds is None else seconds
            answers[d, popsize] = Answer(peer, d, popsize, seconds, reason)
    return [answers[cell] for cell in cells]


# -- in the process of its own --------------------------------------------------------------------


def answers(name: str, backend: str, dtype: str, repeats: int, limit: float, cells):
    """Yield [d, popsize, seconds of a generation or None, why there are none] of each cell."""
    peer = next(p for p in PEERS if p.name == name)
    for d, popsize in cells:
        seconds, reason = None, ""
        try:
            seconds = _seconds(peer, backend, dtype, d, popsize, repeats, limit)
        except Exception as error:  # whatever a peer raises is its answer
            reason = first_line(error)
        yield [d, popsize, seconds, reason]


def first_line(error) -> str:
    """Type and first line of what an exception says, not longer than a line."""
    reason = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {reason[0][:200]}"


def _seconds(peer, backend, dtype, d, popsize, repeats, limit) -> float:
    make = {"evotorch": _evotorch, "evosax": _evosax}[peer.package]
    step, synchronise = make(peer, backend, dtype, d, popsize)
    try:
        calls = warm_up(step, synchronise, repeats, limit)
    except Skipped:
        return region(step, synchronise, 1)
    return median(region(step, synchronise, calls) for _ in range(repeats))


def _values(popsize):
    from ...arrays import noise

    return noise.uniforms(1, noise.PROBLEM, 0, 0, 1, popsize)[0]


def _evotorch(peer, backend, dtype, d, popsize):
    """(a generation, the wait for the device) of a search of EvoTorch."""
    import torch
    from evotorch import Problem, algorithms

    if backend == "cupy" and not torch.cuda.is_available():
        raise RuntimeError("this torch sees no CUDA device")
    number = getattr(torch, dtype)
    place = torch.device("cuda:0" if backend == "cupy" else "cpu")
    values = torch.as_tensor(_values(popsize), dtype=number, device=place)
    problem = Problem(
        "min",
        lambda X: values,
        vectorized=True,
        solution_length=d,
        initial_bounds=(-1.0, 1.0),
        dtype=number,
        device=place,
    )
    search = getattr(algorithms, peer.kind)(
        problem,
        stdev_init=1.0,
        popsize=popsize,
        center_init=torch.zeros(d, dtype=number, device=place),
        **peer.options,
    )
    return search.step, torch.cuda.synchronize if backend == "cupy" else _nothing


def _evosax(peer, backend, dtype, d, popsize):
    """(a generation, the wait for the device) of a search of evosax."""
    import jax

    jax.config.update("jax_enable_x64", dtype == "float64")
    if backend == "numpy":
        jax.config.update("jax_platforms", "cpu")
    import jax.numpy as jnp
    from evosax import algorithms

    if backend == "cupy" and jax.default_backend() != "gpu":
        raise RuntimeError("this jax sees no CUDA device")
    values = jnp.asarray(_values(popsize), dtype=dtype)
    es = getattr(algorithms, peer.kind)(popsize, jnp.zeros(d, dtype=dtype), **peer.options)
    params = es.default_params
    key = jax.random.key(1)
    state = es.init(key, jnp.zeros(d, dtype=dtype), params)

    def step():
        nonlocal key, state
        key, to_ask, to_tell = jax.random.split(key, 3)
        X, state = es.ask(to_ask, state, params)
        state, _ = es.tell(to_tell, X, values, state, params)

    return step, lambda: jax.block_until_ready(state)


def _nothing():
    """The processor is never behind."""
