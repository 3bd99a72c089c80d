"""Are the best options found, and at what cost? Ours beside CatCMAwM, of the package cmaes.

A problem has n choices of k options and m numbers x, and its minimum is 0:

    separable   f = Σ_i t_i[c_i] + ‖x − x*‖²
    pairs       f = Σ_i t_i[c_{2i}, c_{2i+1}] + ‖x − x*‖²: two choices act together
    chain       f = Σ_i t_i[c_i, c_{i+1}] − its minimum + ‖x − x*‖²: each acts with the next one
    moving      f = Σ_i t_i[c_i] + ‖x − Σ_i x*_i[c_i]‖²: the optimum of the numbers moves

All entries of the tables t are uniform in [0, 1), so that nothing in the margins of a table of two
choices shows its smallest entry, which is then subtracted; coordinates of x* are uniform in [−1,
1). A seed says the tables, x*, and the searches. Each solver has its own default population,
starts at x = 0 with sigma 1 and all options alike, and runs until f ≤ 10⁻⁸ (all options are the
best ones then: the second-best are worse by far more), until its own criteria end it, or until the
budget is spent. One that has ended is started anew with another seed, and the evaluations go on
counting. What is recorded is how the first run ended, and how all of them did together. CatCMAwM
has no criteria where there are no numbers.
"""

from __future__ import annotations

from math import inf, isfinite
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...arrays import noise
from ...search.es import ES
from ..measuring import geometric_mean, quiet
from ..peers import load_package
from ..tables import markdown
from ..tasks import read_rows, run_tasks

COLUMNS = {"solver": str, "case": str, "seed": int, "budget": int}
COLUMNS |= {"evaluations": int, "solved": int, "first": int, "first_solved": int}
TARGET = 1e-8
RUNS = 1000  # by which the seeds of searches on one problem lie apart from those on the next


class Case(NamedTuple):
    """A kind of problem: n choices of k options and m numbers."""

    kind: str
    n: int
    k: int
    m: int

    @property
    def name(self) -> str:
        numbers = f"-{self.m}" if self.m else ""
        return f"{self.kind}-{self.n}x{self.k}{numbers}"


CASES = {
    case.name: case
    for case in (
        Case("separable", 4, 5, 6),
        Case("separable", 4, 5, 0),
        Case("separable", 10, 3, 6),
        Case("pairs", 4, 5, 6),
        Case("pairs", 4, 5, 0),
        Case("pairs", 2, 10, 6),
        Case("pairs", 2, 10, 0),
        Case("pairs", 10, 3, 6),
        Case("chain", 10, 3, 6),
        Case("chain", 20, 4, 6),
        Case("moving", 1, 5, 6),
        Case("moving", 2, 5, 6),
    )
}


class Task(NamedTuple):
    """One solver on one problem; budget: evaluations."""

    solver: str
    case: str
    seed: int
    budget: int


class Problem:
    """The function of a case: `value` of options C (r, n), integers, and numbers X (r, m)."""

    def __init__(self, case: Case, seed: int):
        self.case = case
        kind, n, k, m = case
        edges = {"pairs": range(0, n - 1, 2), "chain": range(n - 1)}
        single = [(i,) for i in range(n)]
        self.places = [(i, i + 1) for i in edges[kind]] if kind in edges else single
        shape = (k,) * len(self.places[0])
        drawn = noise.uniforms(seed, noise.PROBLEM, 0, 0, len(self.places), k ** len(shape))
        self.tables = [row.reshape(shape) for row in drawn]
        if kind != "chain":
            self.tables = [table - table.min() for table in self.tables]
        self.minimum = smallest_chain(self.tables) if kind == "chain" else 0.0
        optima = 2 * noise.uniforms(seed, noise.PROBLEM, 1, 0, n * k, max(m, 1))[:, :m] - 1
        self.optima = optima.reshape(n, k, m)

    def value(self, C, X):
        rows = zip(self.tables, self.places, strict=True)
        values = sum(table[tuple(C[:, i] for i in place)] for table, place in rows) - self.minimum
        if self.case.kind == "moving":
            optimum = self.optima[np.arange(self.case.n), C].sum(axis=1)
        else:
            optimum = self.optima[0, 0]
        return values + np.sum((X - optimum) ** 2, axis=1)


def smallest_chain(tables) -> float:
    """Return min over c of Σ tables[i][c_i, c_{i+1}], by dynamic programming."""
    best = np.zeros(tables[0].shape[0])
    for table in tables:
        best = (best[:, None] + table).min(axis=0)
    return float(best.min())


def ours(case: Case, seed: int):
    """structes.ES with structure="auto". Generates (C, X), and is sent the values."""
    n, k, m = case.n, case.k, case.m
    choices = [range(m + i * k, m + (i + 1) * k) for i in range(n)]
    es = ES(np.zeros(m + n * k), 1.0, "auto", seed=seed, choices=choices)
    while not es.stop():
        U = es.ask()
        values = yield np.stack([U[:, c].argmax(axis=1) for c in choices], axis=1), U[:, :m]
        es.tell(U, values)


def catcmawm(case: Case, seed: int):
    """cmaes.CatCMAwM with its defaults. Generates (C, X), and is sent the values."""
    options = {"c_space": [case.k] * case.n, "seed": seed}
    if case.m:
        options["x_space"] = [[-inf, inf]] * case.m
        options |= {"mean": np.zeros(case.m), "sigma": 1.0}
    es = load_package("cmaes").CatCMAwM(**options)
    while not (case.m and es.should_stop()):
        drawn = [es.ask() for _ in range(es.population_size)]
        C = np.stack([solution.c.argmax(axis=1) for solution in drawn])
        X = np.stack([solution.x for solution in drawn]) if case.m else np.zeros((len(C), 0))
        values = yield C, X
        es.tell(list(zip(drawn, map(float, values), strict=True)))


SOLVERS = {"ours": ours, "CatCMAwM": catcmawm}


def solve(task: Task) -> dict:
    """Run one task: a row of COLUMNS."""
    case = CASES[task.case]
    problem, used, solved, first = Problem(case, task.seed), 0, False, None
    with quiet():
        run = 0
        while used < task.budget and not solved:
            spent, solved = _run(task, problem, task.seed * RUNS + run, task.budget - used)
            used, run = used + spent, run + 1
            first = (spent, solved) if first is None else first
    outcome = {"evaluations": used, "solved": int(solved)}
    return task._asdict() | outcome | {"first": first[0], "first_solved": int(first[1])}


def _run(task, problem, seed, budget) -> tuple[int, bool]:
    """Return how many evaluations one run took, and whether it reached the target."""
    search, used, values = SOLVERS[task.solver](problem.case, seed), 0, None
    while used < budget:
        try:
            C, X = search.send(values)
        except StopIteration:
            break
        values = problem.value(C, X)
        hit = np.flatnonzero(values <= TARGET)
        if hit.size:
            return used + int(hit[0]) + 1, True
        used += len(values)
    return used, False


def tasks_of(cases, seeds, budget: int) -> list[Task]:
    """All runs."""
    return [
        Task(solver, case, seed, budget) for case in cases for seed in seeds for solver in SOLVERS
    ]


def run(tasks, path: Path, jobs: int, report=lambda count, total: None) -> list[dict]:
    """Run the tasks that are not in the CSV file yet, appending a row for each: rows of all."""
    return run_tasks(tasks, solve, COLUMNS, path, jobs, report)


def read(path: Path) -> list[dict]:
    """Rows of a result file; [] where there is none."""
    return read_rows(path, COLUMNS)


def expected(rows) -> float:
    """Return the expected running time: all evaluations over the number of runs that solved."""
    solved = sum(row["solved"] for row in rows)
    return sum(row["evaluations"] for row in rows) / solved if solved else inf


def table(rows) -> list[str]:
    """Markdown: a line for each case."""
    heads = ["n x k (- numbers)", "first runs that solve", "with restarts", "ERT", "ERT, ratio"]
    cells, ratios = [heads], []
    for case in dict.fromkeys(row["case"] for row in rows):
        groups = [[r for r in rows if (r["case"], r["solver"]) == (case, s)] for s in SOLVERS]
        times = [expected(group) for group in groups]
        ratios.append(times[0] / times[1])
        cells.append(
            [
                case,
                ", ".join(str(sum(r["first_solved"] for r in group)) for group in groups),
                ", ".join(str(sum(r["solved"] for r in group)) for group in groups),
                ", ".join(f"{t:.0f}" if isfinite(t) else "–" for t in times),
                f"{ratios[-1]:.2f}" if isfinite(ratios[-1]) else "–",
            ]
        )
    finite = [ratio for ratio in ratios if isfinite(ratio) and ratio > 0]
    cells.append(["geometric mean", "", "", "", f"{geometric_mean(finite):.2f}"])
    return markdown(cells)


def lines(rows):
    """The report, line by line: Markdown."""
    seeds, budgets = {row["seed"] for row in rows}, {row["budget"] for row in rows}
    yield f"{', '.join(SOLVERS)}; {len(seeds)} problems of each kind, {min(budgets)} evaluations."
    yield ""
    yield from table(rows)
