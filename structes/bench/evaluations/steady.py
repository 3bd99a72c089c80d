"""Workers that never wait: a search in steady state beside synchronous generations, simulated.

W workers evaluate candidates, and evaluations take unequally long. With synchronous generations
(a barrier) a worker that has nothing left to do waits for the slowest one; in steady state it asks
for one more candidate, `ask(1)`, and tells its value when it is there: late, if the generation
that it came from has closed meanwhile. That costs evaluations (they are made without knowing those
in flight) and saves time. How much of each is measured here, in a simulation: a heap of finish
times, nobody sleeps.

Worker w evaluates its k-th candidate in

    exp(0.5 n(w, k)) / speed(w),    speed(w) = 4^u(w)

units of time, n standard normal and u uniform, both from the addressable noise of the seed. So all
solvers meet the same workers, the first 4 of 64 are the 4, and everything repeats. The objective
is evaluated when the worker is done; the search itself costs no simulated time.

    steady    ask(1) whenever a worker is free; a late value counts as arrivals.py says, by a power
              of the ratio of the densities
    full      the same with the ratio itself
    fresh     the same with late values counted as if they were fresh
    dropped   the same with late values left out
    sync      synchronous generations: free workers take the candidates of the generation, first
              come first served, and its values are told all at once
    pycma     the same with pycma

There are no restarts. A run that misses the target within the cap on evaluations, or ends by its
own criteria before, has not solved its problem, and counts in no ratio.
"""

from __future__ import annotations

import math
import time
from collections import deque
from contextlib import contextmanager
from functools import cache
from heapq import heappop, heappush
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np

from ...arrays import noise
from ...population import late as arrivals
from ...search.es import ES
from ...strategy.settings import default_popsize
from ..measuring import geometric_mean, quiet
from ..peers.ours import Structes
from ..peers.pycma import Pycma
from ..tables import aligned
from ..tasks import run_tasks

TARGET = 1e-8
FASTEST = 4.0  # speed of the fastest worker that there may be; the slowest has 1
SPREAD = 0.5  # standard deviation of the logarithm of an evaluation's duration
LATE = {  # how much a late value counts, from the ratio of the densities in [0, 1] and the power
    "steady": lambda ratio, power: ratio**power,
    "full": lambda ratio, power: ratio,
    "fresh": lambda ratio, power: 1.0,
    "dropped": lambda ratio, power: 0.0,
}
SOLVERS = (*LATE, "sync", "pycma")
FUNCTIONS = {
    "sphere": lambda x: float(x @ x),
    "ellipsoid": lambda x: float(_axes(len(x)) @ (x * x)),
    "rosenbrock": lambda x: float(
        np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2) + np.sum((1 - x[:-1]) ** 2)
    ),
}
COLUMNS = {"solver": str, "function": str, "d": int, "workers": int, "popsize": int, "seed": int}
COLUMNS |= {"cap": int, "evaluations": int, "time": float, "ended": str, "late": int}
COLUMNS |= {"stale": int, "seconds": float}
LEGEND = f"""\
evaluations / simulated time to {TARGET:g}: ratios to sync of the same workers and popsize,
geometric means over seeds; all: over functions too; pycma: the same, to pycma
late, stale   shares of the values that came late and were used, and that were of no use
solved        runs that reached the target (the others count in no ratio)
ms            CPU of ask and tell for an evaluation"""
_SPEEDS, _DURATIONS = 5, 6  # "generations" of the problem's noise; the last of them and onward


@cache
def _axes(d):
    return np.geomspace(1, 1e6, d)


class Task(NamedTuple):
    """One run: a solver of SOLVERS on one of FUNCTIONS; cap: largest number of evaluations."""

    solver: str
    function: str
    d: int
    workers: int
    popsize: int
    seed: int
    cap: int


class Workers:
    """How long evaluations take.

    n         how many workers there are
    fastest   their speeds are log-uniform in [1, fastest]
    spread    standard deviation of the logarithm of an evaluation's duration
    """

    def __init__(self, n: int, seed: int, fastest: float = FASTEST, spread: float = SPREAD):
        self.n, self.seed, self.spread = n, seed, spread
        self.speeds = fastest ** noise.uniforms(seed, noise.PROBLEM, _SPEEDS, 0, n, 1)[:, 0]

    def duration(self, worker: int, k: int) -> float:
        """Of the k-th evaluation of a worker."""
        z = 0.0
        if self.spread:
            address = self.seed, noise.PROBLEM, _DURATIONS + worker, k, 1, 1
            z = float(noise.normals(*address)[0, 0])
        return math.exp(self.spread * z) / float(self.speeds[worker])


class Steady:
    """A search of ours that is asked for one candidate at a time.

    late, stale   how many values came late and were used, and were of no use any more
    """

    def __init__(self, es: ES):
        self.es, self.late, self.stale = es, 0, 0

    def ask(self):
        """A candidate: what `tell` knows it by, and the point (d,)."""
        X = self.es.ask(1)
        return X, X[0]

    def tell(self, X, value: float) -> None:
        generation = self.es.generation
        self.es.tell(X, [value])
        if self.es.generation > generation:
            self.late += self.es.info.late
            self.stale += self.es.info.stale

    def stop(self) -> bool:
        return bool(self.es.stop())


class Barrier:
    """A search by generations, handed out candidate by candidate. `search` is a peer."""

    late = stale = 0

    def __init__(self, search):
        self.search, self.queue, self.unfinished = search, deque(), 0

    def ask(self):
        """As of Steady; None while the last values of the generation are out."""
        if not self.queue:
            if self.unfinished:
                return None
            self.X = self.search.ask()
            self.values = np.full(len(self.X), np.nan)
            self.queue.extend(range(len(self.X)))
        i = self.queue.popleft()
        self.unfinished += 1
        return i, self.X[i]

    def tell(self, i: int, value: float) -> None:
        self.values[i] = value
        self.unfinished -= 1
        if not self.queue and not self.unfinished:
            self.search.tell(self.X, self.values)

    def stop(self) -> bool:
        return not self.queue and not self.unfinished and bool(self.search.stop())


class Outcome(NamedTuple):
    """evaluations that were finished; simulated time; how it ended: target, cap, gave up; CPU
    seconds of the search alone."""

    evaluations: int
    time: float
    ended: str
    seconds: float


def simulate(search, function, workers: Workers, target: float, cap: int) -> Outcome:
    """Run a search (Steady or Barrier) on a function of one point until target, cap or its end."""
    free, counts = deque(range(workers.n)), [0] * workers.n
    heap, started, finished, now, seconds = [], 0, 0, 0.0, 0.0
    while True:
        start_time = time.process_time()
        while free and (candidate := search.ask()) is not None:
            worker = free.popleft()
            end = now + workers.duration(worker, counts[worker])
            counts[worker] += 1
            heappush(heap, (end, started, worker, candidate))  # `started` decides between equals
            started += 1
        seconds += time.process_time() - start_time
        now, _, worker, (name, x) = heappop(heap)
        value = function(x)
        finished += 1
        if value <= target:
            return Outcome(finished, now, "target", seconds)
        if finished == cap:
            return Outcome(finished, now, "cap", seconds)
        start_time = time.process_time()
        search.tell(name, value)
        stopped = search.stop()
        seconds += time.process_time() - start_time
        if stopped:
            return Outcome(finished, now, "gave up", seconds)
        free.append(worker)


@contextmanager
def late_values(count):
    """Within it late values count `count(ratio of the densities, power)`, in all of this
    process."""

    def late(now, generation, *arguments):
        arrival = arrivals.late(now, generation, *arguments)
        power = arrivals.temper(now.strategy, now.number - generation.number)
        return arrival._replace(importance=count(arrival.importance ** (1 / power), power))

    with mock.patch("structes.population.arrivals.late", late):
        yield


def start(function: str, d: int, seed: int):
    """(x0 (d,), sigma0): uniform in [−4, 4]^d and 2; for rosenbrock 0 and ½, in the valley, so
    that hardly a run ends in its other minimum (value 4; such a run "gave up")."""
    if function == "rosenbrock":
        return np.zeros(d), 0.5
    return 8 * noise.uniforms(seed, noise.STARTS, 0, 0, 1, d)[0] - 4, 2.0


def solve(task: Task) -> dict:
    """Run one task: a row of COLUMNS."""
    x0, sigma0 = start(task.function, task.d, task.seed)
    workers = Workers(task.workers, task.seed)
    with late_values(LATE.get(task.solver, LATE["steady"])), quiet():
        if task.solver in LATE:
            search = Steady(ES(x0, sigma0, seed=task.seed, popsize=task.popsize))
        else:
            peer = {"sync": Structes, "pycma": Pycma}[task.solver]
            search = Barrier(peer(x0, sigma0, popsize=task.popsize, seed=task.seed))
        outcome = simulate(search, FUNCTIONS[task.function], workers, TARGET, task.cap)
    row = outcome._replace(
        time=round(outcome.time, 4), seconds=round(outcome.seconds, 4)
    )._asdict()
    return task._asdict() | row | {"late": search.late, "stale": search.stale}


def tasks_of(functions, dims, workers, seeds: int, solvers=SOLVERS, cap: int = 2000) -> list[Task]:
    """All runs, at the default popsize and at one candidate for each worker where those are more.

    seeds   1 … seeds;  cap: evaluations a dimension
    """
    return [
        Task(solver, function, d, n, popsize, seed, cap * d)
        for d in dims
        for n in workers
        for popsize in sorted({default_popsize(d), max(n, default_popsize(d))})
        for solver in solvers
        if n > 1 or solver not in ("full", "fresh", "dropped")  # nothing is late
        for function in functions
        for seed in range(1, seeds + 1)
    ]


def run(tasks, path: Path, jobs: int, report=lambda count, total: None) -> list[dict]:
    """Run the tasks that are not in the CSV file yet, appending a row for each: rows of all."""
    return run_tasks(tasks, solve, COLUMNS, path, jobs, report)


def lines(rows) -> list[str]:
    """The report, line by line."""
    functions = list(dict.fromkeys(row["function"] for row in rows))
    text = [LEGEND]
    for d in dict.fromkeys(row["d"] for row in rows):
        heads = ["workers", "popsize", "solver", *functions, "all", "pycma"]
        table = [[*heads, "late", "stale", "solved", "ms"]]
        of_dim = [row for row in rows if row["d"] == d]
        for n, popsize in sorted({(row["workers"], row["popsize"]) for row in of_dim}):
            group = [r for r in of_dim if (r["workers"], r["popsize"]) == (n, popsize)]
            for solver in dict.fromkeys(row["solver"] for row in group):
                table.append([str(n), str(popsize), solver, *_cells(group, solver, functions)])
        text += ["", f"d = {d}", *aligned(table, {2})]
    return text


def _cells(rows, solver, functions):
    """What stands in a line behind its solver."""
    runs = [row for row in rows if row["solver"] == solver]
    cells = [ratios([r for r in rows if r["function"] == f], solver, "sync") for f in functions]
    evaluations = sum(row["evaluations"] for row in runs)
    shares = [f"{sum(row[key] for row in runs) / evaluations:.0%}" for key in ("late", "stale")]
    solved = sum(row["ended"] == "target" for row in runs)
    cost = 1e3 * sum(row["seconds"] for row in runs) / evaluations
    cells += [ratios(rows, solver, "sync"), ratios(rows, solver, "pycma"), *shares]
    return [*cells, f"{solved}/{len(runs)}", f"{cost:.2f}"]


def ratios(rows, solver: str, reference: str) -> str:
    """ "1.30 / 0.95": evaluations and time of a solver over another's, geometric means over the
    runs that both solved; "–" where there are none."""
    key = lambda row: (row["function"], row["seed"])  # noqa: E731
    solved = [row for row in rows if row["ended"] == "target"]
    reference_runs = {key(row): row for row in solved if row["solver"] == reference}
    pairs = [
        (r, reference_runs[key(r)])
        for r in solved
        if r["solver"] == solver and key(r) in reference_runs
    ]
    if not pairs:
        return "–"
    means = (
        geometric_mean(a[column] / b[column] for a, b in pairs)
        for column in ("evaluations", "time")
    )
    return " / ".join(f"{mean:.2f}" for mean in means)
