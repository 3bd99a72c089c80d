"""Evaluations to reach targets on COCO's suites, ours beside the peers'.

Every solver gets the same problems, the same starting points (uniform in [−4, 4]^d, drawn from
the addressable noise by instance and restart), sigma0 = 2, the same seeds, the same budget, and
the same restarts: when a search stops by its own criteria before the last target, it is started
anew with twice the population (IPOP; Auger & Hansen 2005). What is recorded is the number of
evaluations at which each target error 10¹ … 10⁻⁷ was first reached.

On `bbob-boxed` and `bbob-mixint` a solver that takes a box and integers is told them (`Frame`); in
another box than [−5, 5]^d start and sigma0 lie in it as they lie there: sigma0 is a fifth of each
width.

Solvers that call the function themselves restart by themselves; see `structes.bench.peers`.
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...arrays import noise
from ...named_problems import load_problem
from ..measuring import quiet
from ..solvers import build
from ..tasks import read_rows, run_tasks
from . import coco

TARGETS = tuple(10.0**k for k in range(1, -8, -1))
HITS = tuple(f"{t:.0e}" for t in TARGETS)
COLUMNS = {"solver": str, "suite": str, "f": int, "i": int, "d": int, "budget": int}
COLUMNS |= {"evaluations": int, "restarts": int, "seconds": float}
COLUMNS |= {key: lambda text: int(text) if text else "" for key in HITS}


class Task(NamedTuple):
    """One solver on one problem: a name of `solvers`, suite name, function, instance, dim."""

    solver: str
    suite: str
    f: int
    i: int
    d: int
    budget: int  # evaluations


class Frame(NamedTuple):
    """What a solver may know of a problem besides its values.

    bounds     d pairs (lower, upper), or None where the problem has none that matter
    integers   indices of the coordinates that are integers, or None where none is
    """

    bounds: Any = None
    integers: Any = None


class Finished(BaseException):
    """Ends a solver that calls the function itself. No `Exception`: none may swallow it."""


class Evaluations:
    """The function as solvers see it: counts, and notes when each target was first reached.

    function   (n, d) -> (n,) values
    minimum    value of the minimum
    budget     evaluations after which the run is over
    last       error at which it is over

    used: evaluations so far; hits: those at which each of TARGETS was reached, or None; seconds:
    CPU time inside the function.
    """

    def __init__(self, function, minimum: float, budget: int, last: float = TARGETS[-1]):
        self.function, self.minimum, self.budget, self.last = function, minimum, budget, last
        self.used, self.hits, self.seconds, self.error = 0, [None] * len(TARGETS), 0.0, np.inf

    @property
    def over(self) -> bool:
        return self.used >= self.budget or self.error <= self.last

    def __call__(self, X):
        """Values (n,) of the rows of X (n, d)."""
        start_time = time.process_time()
        values = self.function(X)
        self.seconds += time.process_time() - start_time
        errors = np.minimum.accumulate(values - self.minimum)
        for k, target in enumerate(TARGETS):
            if self.hits[k] is None and errors[-1] <= target:
                self.hits[k] = self.used + int(np.argmax(errors <= target)) + 1
        self.error = min(self.error, float(errors[-1]))
        self.used += len(X)
        return values

    def one(self, x) -> float:
        """Value of one point (d,). Raises Finished when that was the last one."""
        if self.over:
            raise Finished
        value = float(self(np.array(x, dtype=float)[None, :])[0])
        if self.over:
            raise Finished
        return value


def solve(task: Task, folder: Path | None = None) -> dict:
    """Run one task with restarts: a row of COLUMNS.

    folder   where COCO's own data go, or None for none. With them the run goes on to the error
             10⁻⁸, the last target of cocopp.
    """
    problem = load_problem(f"{task.suite}:f{task.f}:i{task.i}", task.d)
    with coco.observed(task, folder, problem.function) as function, quiet():
        _warm_up(task.solver, task.d)
        start_time = time.process_time()
        last = TARGETS[-1] if folder is None else coco.LAST
        evaluations = Evaluations(function, problem.minimum, task.budget, last)
        restarts = _search(task, evaluations, frame_of(task.suite, problem))
        seconds = time.process_time() - start_time - evaluations.seconds
    row = dict(task._asdict(), evaluations=evaluations.used, restarts=restarts)
    row["seconds"] = round(seconds, 4)
    hits = ("" if h is None else h for h in evaluations.hits)
    return row | dict(zip(HITS, hits, strict=True))


@cache
def _warm_up(solver, dim):
    """A short search, once in a process: what it imports is not counted as its CPU time."""
    task = Task(solver, "sphere", 1, 1, dim, 100)
    _search(task, Evaluations(lambda X: (X**2).sum(1), -1.0, task.budget), Frame())


def frame_of(suite: str, problem) -> Frame:
    """The Frame of a problem: a box is told where it is kept, or holds integers."""
    if suite not in ("bbob-boxed", "bbob-mixint"):
        return Frame()
    box = list(zip(problem.lower.tolist(), problem.upper.tolist(), strict=True))
    return Frame(box, list(range(problem.dim * 4 // 5)) if suite == "bbob-mixint" else None)


def _search(task, evaluations, frame) -> int:
    """Search until the run is over: the number of restarts."""
    restart, popsize = 0, None
    lower, upper = np.array(frame.bounds or [(-5.0, 5.0)] * task.d).T
    sigma0 = (upper - lower) / 5
    if np.ptp(sigma0) == 0:  # as most solvers want it
        sigma0 = float(sigma0[0])
    while True:
        start = noise.uniforms(1000 + task.i, noise.STARTS, restart, task.f, 1, task.d)[0]
        x0 = lower + (upper - lower) * (0.8 * start + 0.1)
        seed, used = 100 * task.i + restart, evaluations.used
        search = build(task.solver, x0, sigma0, popsize, seed, task.budget - used, *frame)
        if hasattr(search, "minimise"):
            with suppress(Finished):
                search.minimise(evaluations.one)
        else:
            while not evaluations.over and not search.stop():
                X = search.ask()
                search.tell(X, evaluations(X))
        if evaluations.over:
            return restart
        if evaluations.used == used:
            raise RuntimeError(f"{task.solver} stopped before it evaluated anything: {task}")
        popsize = 2 * search.popsize if search.popsize else None
        restart += 1


def run(tasks, path: Path, jobs: int, report=lambda count, total: None, folder=None) -> list[dict]:
    """Run the tasks that are not in the CSV file yet, appending a row for each: all rows.

    folder   where COCO's own data go, or None. Raises ValueError where rows are there without.
    """
    if folder is not None:
        coco.check_complete(tasks, read(path), folder)
    task = partial(solve, folder=folder)
    return run_tasks(tasks, task, COLUMNS, path, jobs, report, lambda task: task.budget)


def read(path: Path) -> list[dict]:
    """Rows of a result file, numbers as numbers; [] where there is none."""
    return read_rows(path, COLUMNS)
