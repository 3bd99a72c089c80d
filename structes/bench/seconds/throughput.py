"""How much longer than ideal a generation takes: structes' workers beside other schedulers.

A generation of λ candidates that take c seconds each cannot take less than c·λ/W with W workers.
The factor over that is what calls, waiting and unequal shares cost; where c is 0 there is only
overhead, and milliseconds are given. The objective sleeps, or spins (so many seconds of CPU).
`floor` is what nobody can beat on this machine: how long c really takes, asked for alone.

All solvers of a cell are started, evaluate small generations for a moment, so that whoever learns
what an evaluation costs has learnt it, and then take turns until there are enough repetitions; the
smallest of each counts. So a busy machine harms all alike, and what
Ray's own processes take while they idle (some percent of a core) harms all alike too.

    serial, process, ray   structes.evaluators, with default options
    pool                   multiprocessing.Pool.map with its own chunks (started by spawn)
    joblib                 joblib.Parallel (loky) with its own batches
    ray-tasks              one Ray task for each candidate, as in Ray's own examples
    evotorch               the scheme of EvoTorch (core.py, `_parallelize` and `_evaluate_all`; not
                           EvoTorch itself): one Ray actor for each worker, ActorPool.map_unordered
                           over as many pieces as actors, its default
    evotorch-single        the same with num_subbatches = λ: a piece for each candidate
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import NamedTuple

import numpy as np

from ...arrays import noise
from ..measuring import turns
from ..tables import aligned

D = 100  # numbers of a candidate
WARM = 64  # candidates at most of the first generations, which are not timed
LEAST = 1.0  # seconds that short cells are repeated at least
GOALS = {  # (population, milliseconds): {solver: largest factor}, with two workers that sleep
    (256, 1.0): {"process": 1.15, "ray": 1.20},
    (256, 20.0): {"process": 1.03, "ray": 1.04},
    (4096, 1.0): {"process": 1.10, "ray": 1.12},
}
INSTALL = {"ray": "pip install 'structes[ray]'"}


class Cell(NamedTuple):
    """Measured in one cell.

    cost      milliseconds of an evaluation
    seconds   {solver: of a generation}; floor: seconds of one evaluation alone
    rounds    how many repetitions there were of each
    """

    population: int
    cost: float
    seconds: dict
    floor: float
    rounds: int


# -- objectives


def sleep(seconds: float, x) -> float:
    """x[0] after so many seconds of sleep."""
    if seconds:
        time.sleep(seconds)
    return float(x[0])


def spin(seconds: float, x) -> float:
    """x[0] after so many seconds of CPU."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
    return float(x[0])


def alone(function, seconds: float = 0.2) -> float:
    """Seconds that one call takes here: of runs of calls the best mean."""
    x, best = np.zeros(D), np.inf
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start_time, n = time.perf_counter(), 0
        while n == 0 or time.perf_counter() - start_time < seconds / 4:
            function(x)
            n += 1
        best = min(best, (time.perf_counter() - start_time) / n)
    return best


# -- solvers: (function of a point, workers) -> context of a function (n, d) -> (n,) values


@contextmanager
def _ours(kind, function, workers):
    from ...evaluators import Evaluator

    with Evaluator(kind, workers) if kind != "serial" else Evaluator(kind) as evaluator:
        yield evaluator.bind(function)


@contextmanager
def _pool(function, workers):
    pool = multiprocessing.get_context("spawn").Pool(workers)  # Ray's threads forbid a fork
    try:
        yield lambda X: np.array(pool.map(function, X))
    finally:
        pool.close()
        pool.join()


@contextmanager
def _joblib(function, workers):
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor

    call = delayed(function)
    try:
        with Parallel(n_jobs=workers) as parallel:
            yield lambda X: np.array(parallel(call(x) for x in X))
    finally:
        get_reusable_executor().shutdown(wait=True)


@contextmanager
def _ray_tasks(function, workers):
    import ray

    task = ray.remote(num_cpus=1)(lambda x: function(x))
    yield lambda X: np.array(ray.get([task.remote(x) for x in X]))


class _EvaluationActor:
    def __init__(self, function):
        self.function = function

    def evaluate(self, i, X):
        return i, np.array([self.function(x) for x in X])


@contextmanager
def _evotorch(single, function, workers):
    import ray
    from ray.util import ActorPool

    kind = ray.remote(num_cpus=0)(_EvaluationActor)  # 0: an actor that runs needs no CPU of Ray's
    actors = [kind.remote(function) for _ in range(workers)]
    pool = ActorPool(actors)

    def evaluate(X):
        values = np.empty(len(X))
        rows = np.array_split(np.arange(len(X)), len(X) if single else min(len(X), workers))
        pieces = [(i, X[rows_of_piece]) for i, rows_of_piece in enumerate(rows)]
        for i, piece_values in pool.map_unordered(lambda a, v: a.evaluate.remote(*v), pieces):
            values[rows[i]] = piece_values
        return values

    try:
        yield evaluate
    finally:
        for actor in actors:
            ray.kill(actor)


SOLVERS = {
    "serial": partial(_ours, "serial"),
    "process": partial(_ours, "process"),
    "ray": partial(_ours, "ray"),
    "pool": _pool,
    "joblib": _joblib,
    "ray-tasks": _ray_tasks,
    "evotorch": partial(_evotorch, False),
    "evotorch-single": partial(_evotorch, True),
}
NEEDS = {"joblib": "joblib"} | {s: "ray" for s in SOLVERS if "ray" in s or "evotorch" in s}


def missing(solvers) -> dict:
    """{solver: the line that installs what it needs}, of those that cannot run here."""
    return {
        name: INSTALL.get(NEEDS[name], f"pip install {NEEDS[name]}")
        for name in solvers
        if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None
    }


@contextmanager
def ray_for(cpus: int):
    """Within it there is a Ray of at least so many processors, if cpus > 0: quiet, on the loopback
    interface only, and ended afterwards where it was started here."""
    if not cpus:
        yield
        return
    from ...evaluators.ray_cluster import start, stop

    started_here = start(cpus)
    try:
        yield
    finally:
        if started_here:
            stop()


# -- measurement


def ideal(population: int, cost: float, workers: int) -> float:
    """Seconds of a generation without overhead; cost in milliseconds."""
    return 1e-3 * cost * population / workers


def cells_of(populations, costs, workers: int, limit: float):
    """([(population, cost)] to be measured, the same of those whose ideal exceeds `limit`
    seconds)."""
    cells = [(n, cost) for cost in costs for n in populations]
    too_long = [cell for cell in cells if ideal(*cell, workers) > limit]
    return [cell for cell in cells if cell not in too_long], too_long


def measure(cells, workers, solvers, repeats, seconds, spinning=False, report=lambda *_: None):
    """A Cell for each (population, cost in ms).

    repeats   of every solver, at least; short ones are repeated for a second
    seconds   for a cell; there is one repetition at least
    report    called with (done, total)

    Raises RuntimeError where a solver gives other values than the objective.
    """
    on_ray = [name for name in solvers if NEEDS.get(name) == "ray"]
    cpus = workers * (bool(on_ray) + ("ray" in on_ray))  # our actors hold theirs
    with ray_for(cpus):
        for number, (population, cost) in enumerate(cells):
            report(number, len(cells))
            function = partial(spin if spinning else sleep, 1e-3 * cost)
            X = noise.normals(1, noise.PROBLEM, 0, 0, population, D)
            with ExitStack() as stack:
                run = {
                    name: stack.enter_context(SOLVERS[name](function, workers)) for name in solvers
                }
                for evaluate in run.values():
                    warm_up(evaluate, X[:WARM])
                best, rounds = _turns(run, X, repeats, seconds)
            yield Cell(population, cost, best, alone(function), rounds)
        report(len(cells), len(cells))


def warm_up(evaluate, X, seconds: float = 0.3) -> None:
    """Evaluate X at least once, and again until so much time has passed."""
    end = time.perf_counter() + seconds
    evaluate(X)
    while time.perf_counter() < end:
        evaluate(X)


def _turns(run, X, repeats, seconds):
    """({solver: seconds}, rounds): the best of turns that all take one after the other."""

    def timed(name):
        start_time = time.perf_counter()
        values = run[name](X)
        passed = time.perf_counter() - start_time
        if not np.array_equal(values, X[:, 0]):
            raise RuntimeError(f"{name} gave other values than the objective")
        return passed

    def goes_on(rounds, passed):
        fits = passed * (rounds + 1) / rounds <= seconds
        return fits and (rounds < repeats or passed <= LEAST)

    return turns({name: partial(timed, name) for name in run}, goes_on)


# -- words


def head(cell: Cell) -> str:
    """ "256 × 1 ms" """
    return f"{cell.population} × {cell.cost:g} ms"


def lines(cells, workers: int, solvers) -> list[str]:
    """The table: factor over the ideal, or milliseconds where an evaluation costs nothing."""
    table = [["", *map(head, cells)]]
    table.append(["floor", *("" if not c.cost else f"{_floor(c):.3f}" for c in cells)])
    for name in solvers:
        table.append([name, *(_text(cell, name, workers) for cell in cells)])
    table.append(["rounds", *(str(cell.rounds) for cell in cells)])
    return aligned(table, {0})


def factor(cell: Cell, name: str, workers: int) -> float:
    """Seconds of a generation over the ideal."""
    return cell.seconds[name] / ideal(cell.population, cell.cost, workers)


def _floor(cell):
    return 1e3 * cell.floor / cell.cost


def _text(cell, name, workers):
    if not cell.cost:
        return f"{1e3 * cell.seconds[name]:.3g} ms"
    return f"{factor(cell, name, workers):.3f}"


def goals(cells, workers: int) -> list[str]:
    """A line for each goal whose cell was measured: met or missed, and the figures."""
    table = []
    for cell in cells:
        for name, bound in GOALS.get((cell.population, cell.cost), {}).items():
            if name in cell.seconds:
                ratio = factor(cell, name, workers)
                words = "met" if ratio <= bound else "missed"
                floor = f"floor {_floor(cell):.3f}, over it {ratio / _floor(cell):.3f}"
                table.append([name, head(cell), f"{ratio:.3f}", f"≤ {bound:.2f}", words, floor])
    return aligned(table, {0, 1, 4, 5}) if table else []
