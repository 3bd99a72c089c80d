"""Does a search that watches itself raise alarms where there is nothing? Two are counted.

`structure="auto"` changes the structure where what it watches says so. Nothing says so, or
something says the wrong thing, on

    random      values that are random numbers: no change at all is right
    sphere      no scales and no couplings: `diagonal` loses nothing, but `dense` after it is wrong
    separable   scales 1 … 10⁶: `diagonal`, and `dense` after it is wrong
    rotated     the same, rotated at random: no change at all is right
    rosenbrock, rastrigin (the latter rotated at random): no change at all is right

`noise="auto"` looks for noise. None of these functions is noisy but `random`, which is left out;
an alarm is a measured ratio of noise above 0, or a share eta of the mean's step below 1. What
looking for it costs is the ratio of evaluations until f ≤ 10⁻⁸ to those of a search that looks for
nothing.

A run ends there, by the search's own criteria, or at the budget. Each seed has a start of its own,
standard normal around 3, and sigma0 2.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...arrays import noise
from ...search.es import ES
from ..measuring import geometric_mean, quiet
from ..tables import markdown
from ..tasks import run_tasks

COLUMNS = {"watch": str, "function": str, "d": int, "seed": int, "budget": int}
COLUMNS |= {"evaluations": int, "reached": int, "alarm": int}
WATCHES = {"structure": {"structure": "auto"}, "noise": {"noise": "auto"}, "nothing": {}}
TARGET = 1e-8


class Task(NamedTuple):
    """One run; watch: what is watched; budget: evaluations."""

    watch: str
    function: str
    d: int
    seed: int
    budget: int


def _rotation(d: int, seed: int):
    return np.linalg.qr(noise.normals(seed, noise.PROBLEM, 0, 0, d, d))[0]


def _sphere(d, seed):
    return lambda X: np.sum(X * X, axis=1)


def _separable(d, seed):
    scales = np.geomspace(1, 1e6, d)
    return lambda X: X**2 @ scales


def _rotated(d, seed):
    R, separable = _rotation(d, seed), _separable(d, seed)
    return lambda X: separable(X @ R)


def _rosenbrock(d, seed):
    return lambda X: np.sum(100 * (X[:, 1:] - X[:, :-1] ** 2) ** 2 + (1 - X[:, :-1]) ** 2, axis=1)


def _rastrigin(d, seed):
    R = _rotation(d, seed)

    def function(X):
        Y = X @ R
        return 10 * d + np.sum(Y * Y - 10 * np.cos(2 * np.pi * Y), axis=1)

    return function


def _random(d, seed):
    used = 0

    def function(X):
        nonlocal used
        values = noise.normals(seed, noise.PROBLEM, 1, used, len(X), 1)[:, 0]
        used += len(X)
        return values

    return function


FUNCTIONS: dict[str, Callable] = {
    "random": _random,
    "sphere": _sphere,
    "separable": _separable,
    "rotated": _rotated,
    "rosenbrock": _rosenbrock,
    "rastrigin": _rastrigin,
}
SEPARABLE = ("sphere", "separable")


def solve(task: Task) -> dict:
    """Run one task: a row of COLUMNS; alarm: 1 where there was a false one."""
    x0 = 3 + noise.normals(task.seed, noise.STARTS, 0, 0, 1, task.d)[0]
    target = None if task.function == "random" else TARGET
    budget, watch = task.budget, WATCHES[task.watch]
    es = ES(x0, 2.0, seed=task.seed, max_evaluations=budget, target=target, **watch)
    function, alarm = FUNCTIONS[task.function](task.d, task.seed), False
    with quiet():
        while not es.stop():
            X = es.ask()
            es.tell(X, function(X))
            if task.watch == "noise":
                alarm |= es.state.noisy.ratio > 0 or es.state.noisy.eta < 1
    if task.watch == "structure":
        names = [switch.structure for switch in es.switches]
        alarm = names not in ([], ["diagonal"]) if task.function in SEPARABLE else bool(names)
    reached = int("target" in es.stop())
    return task._asdict() | {
        "evaluations": es.evaluations,
        "reached": reached,
        "alarm": int(alarm),
    }


def tasks_of(functions, dims, seeds: int, budget: int) -> list[Task]:
    """All runs; `budget` in evaluations a dimension."""
    return [
        Task(watch, function, d, seed, budget * d)
        for watch in WATCHES
        for function in functions
        if watch == "structure" or function != "random"
        for d in dims
        for seed in range(1, seeds + 1)
    ]


def run(tasks, path: Path, jobs: int, report=lambda count, total: None) -> list[dict]:
    """Run the tasks that are not in the CSV file yet, appending a row for each: rows of all."""
    return run_tasks(tasks, solve, COLUMNS, path, jobs, report, lambda task: task.budget)


def lines(rows):
    """The report, line by line: Markdown."""
    yield "False alarms / runs."
    yield ""
    functions = list(dict.fromkeys(row["function"] for row in rows))
    table = [["", *functions, "all"]]
    for watch in ("structure", "noise"):
        watched = [row for row in rows if row["watch"] == watch]
        groups = [[row for row in watched if row["function"] == name] for name in functions]
        table.append([f'`{watch}="auto"`', *map(_count, groups), _count(watched)])
    yield from markdown(table)
    yield ""
    yield f'Evaluations to {TARGET:g}, `noise="auto"` / nothing, where both reach it: '
    yield f"{_cost(rows):.3f} (geometric mean)."


def _cost(rows) -> float:
    """Return what looking for noise costs."""
    of = {
        watch: {
            (row["function"], row["d"], row["seed"]): row["evaluations"]
            for row in rows
            if row["watch"] == watch and row["reached"]
        }
        for watch in ("noise", "nothing")
    }
    pairs = of["noise"].keys() & of["nothing"].keys()
    return geometric_mean(of["noise"][key] / of["nothing"][key] for key in sorted(pairs))


def _count(rows) -> str:
    return f"{sum(row['alarm'] for row in rows)} / {len(rows)}" if rows else "–"
