"""Does a search keep converging when values are noisy? The true value at its mean, at equal cost.

Functions of known minimum 0 get additive normal noise of constant standard deviation, the
`strength`; solvers see the noisy values alone. What is recorded is the value without noise at the
solver's mean (its favourite point), which nobody evaluates: after a tenth of the budget and at its
end, and the number of evaluations until it is first at most strength/100 (10⁻⁸ where there is no
noise: there the question is what being prepared for it costs). The noise of evaluation i is a pure
function of the seed and i, so that runs repeat. Stopping criteria are off for all: the budget ends
a run. Every solver has the same starts, standard normal around a point far from the minimum.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...arrays import noise
from ...search.es import ES
from ..measuring import geometric_mean, quiet
from ..peers import load_package
from ..tables import markdown
from ..tasks import run_tasks

COLUMNS = {"solver": str, "function": str, "d": int, "strength": float, "seed": int}
COLUMNS |= {"budget": int, "early": float, "late": float, "reached": int}
FLOOR = 1e-10  # true values are compared down to here
SHARE = 0.01  # of the strength: the target
QUIET = 1e-8  # the target without noise


class Task(NamedTuple):
    """One run; budget: evaluations."""

    solver: str
    function: str
    d: int
    strength: float
    seed: int
    budget: int


def _sphere(X):
    return np.sum(X * X, axis=1)


def _ellipsoid(X):
    return np.sum(X * X * np.geomspace(1, 1e3, X.shape[1]), axis=1)


def _rosenbrock(X):
    return np.sum(100 * (X[:, 1:] - X[:, :-1] ** 2) ** 2 + (1 - X[:, :-1]) ** 2, axis=1)


FUNCTIONS = {  # with the middle of the starts, and sigma0
    "sphere": (_sphere, 3.0, 1.0),
    "ellipsoid": (_ellipsoid, 3.0, 1.0),
    "rosenbrock": (_rosenbrock, 0.0, 0.5),
}


class Noisy:
    """Values with noise, counted: `used` so far; function, strength and seed as in Task."""

    def __init__(self, function, strength: float, seed: int):
        self.function, self.strength, self.seed, self.used = function, strength, seed, 0

    def __call__(self, X):
        n = X.shape[0]
        normal = noise.normals(self.seed, noise.PROBLEM, 0, self.used, n, 1)[:, 0]
        self.used += n
        return self.function(X) + self.strength * normal

    def one(self, x) -> float:
        return float(self(np.asarray(x)[None, :])[0])


def _ours(objective, x0, sigma0, seed, **options):
    no_criteria = ("tolfun", "tolfunhist", "tolx", "tolxup", "condition", "stagnation", "flat")
    es = ES(x0, sigma0, seed=seed, noeffect=False, **dict.fromkeys(no_criteria), **options)
    while True:
        X = es.ask()
        es.tell(X, objective(X))
        yield es.mean


def plain(objective, x0, sigma0, seed):
    """structes.ES as if there were no noise."""
    return _ours(objective, x0, sigma0, seed)


def auto(objective, x0, sigma0, seed):
    """structes.ES(noise="auto")."""
    return _ours(objective, x0, sigma0, seed, noise="auto")


def lra(objective, x0, sigma0, seed):
    """cmaes.CMA(lr_adapt=True): LRA-CMA-ES (Nomura, Akimoto & Ono 2023)."""
    es = load_package("cmaes").CMA(mean=x0.copy(), sigma=sigma0, seed=seed, lr_adapt=True)
    while True:
        X = np.array([es.ask() for _ in range(es.population_size)])
        es.tell(list(zip(X, map(float, objective(X)), strict=True)))
        yield es.mean


def handler(objective, x0, sigma0, seed):
    """pycma with cma.NoiseHandler (UH-CMA-ES), as its documentation shows it for noisy functions:
    maxevals=[1, 1, 30]."""
    cma = load_package("cma")
    no_criteria = dict.fromkeys(("tolfun", "tolfunhist", "tolx", "tolstagnation"), 0)
    es = cma.CMAEvolutionStrategy(x0, sigma0, {"verbose": -9, "seed": seed + 1, **no_criteria})
    handler = cma.NoiseHandler(es.N, maxevals=[1, 1, 30])
    while True:
        X, values = es.ask_and_eval(objective.one, evaluations=handler.evaluations)
        es.tell(X, values)
        es.sigma *= handler(X, values, objective.one, es.ask)
        yield np.array(es.mean)


SOLVERS = {"plain": plain, "auto": auto, "cmaes-lra": lra, "pycma-handler": handler}


def solve(task: Task) -> dict:
    """Run one task: a row of COLUMNS; reached: 0 where the target was not."""
    function, middle, sigma0 = FUNCTIONS[task.function]
    objective = Noisy(function, task.strength, task.seed)
    x0 = middle + noise.normals(task.seed, noise.STARTS, 0, 0, 1, task.d)[0]
    target = SHARE * task.strength or QUIET
    early, reached = None, 0
    with quiet(), np.errstate(all="ignore"):
        for mean in SOLVERS[task.solver](objective, x0, sigma0, task.seed):
            true = float(function(mean[None, :])[0])
            if not reached and true <= target:
                reached = objective.used
            if early is None and objective.used >= task.budget / 10:
                early = true
            if objective.used >= task.budget or (reached and not task.strength):
                break
    early = true if early is None else early
    return task._asdict() | {"early": early, "late": true, "reached": reached}


def tasks_of(functions, dims, strengths, seeds: int, budget: int) -> list[Task]:
    """All runs; `budget` in evaluations a dimension."""
    return [
        Task(solver, function, d, strength, seed, budget * d)
        for function in functions
        for d in dims
        for strength in strengths
        for seed in range(1, seeds + 1)
        for solver in SOLVERS
    ]


def run(tasks, path: Path, jobs: int, report=lambda count, total: None) -> list[dict]:
    """Run the tasks that are not in the CSV file yet, appending a row for each: rows of all."""
    size = {"plain": 1, "auto": 1, "cmaes-lra": 4, "pycma-handler": 4}
    return run_tasks(
        tasks, solve, COLUMNS, path, jobs, report, lambda t: t.budget * size[t.solver]
    )


def lines(rows):
    """The report, line by line: Markdown."""
    yield "True value at the mean after budget/10 → budget: geometric means over seeds."
    yield ""
    noisy_rows = [row for row in rows if row["strength"] > 0]
    table = [["function", "d", "strength", *SOLVERS]]
    for key in dict.fromkeys(_key(row) for row in noisy_rows):
        cells = [[r for r in noisy_rows if (_key(r), r["solver"]) == (key, s)] for s in SOLVERS]
        words = [f"{_mean(c, 'early'):.2g} → {_mean(c, 'late'):.2g}" for c in cells]
        table.append([key[0], str(key[1]), f"{key[2]:g}", *words])
    yield from markdown(table)
    yield ""
    yield "`auto` against the others: ratio of true values after budget/10, after budget (below 1:"
    yield "closer); shares of runs that reached strength/100, `auto`'s and the other's."
    yield ""
    functions = list(dict.fromkeys(row["function"] for row in noisy_rows))
    peers = [name for name in SOLVERS if name != "auto"]
    table = [["`auto` /", *functions, "all"]]
    for peer in peers:
        cells = [
            _against([r for r in noisy_rows if r["function"] in f], peer)
            for f in [*([f] for f in functions), functions]
        ]
        table.append([peer, *cells])
    yield from markdown(table)
    quiet_rows = [row for row in rows if row["strength"] == 0]
    if quiet_rows:
        yield ""
        yield f"Without noise: evaluations to {QUIET:g}, `auto` / the other, where both reach it."
        yield ""
        table = [["function", "d", *peers]]
        for key in dict.fromkeys(_key(row) for row in quiet_rows):
            group = [row for row in quiet_rows if _key(row) == key]
            ratios = [_ratio(*_paired(group, peer, "reached")) for peer in peers]
            table.append([key[0], str(key[1]), *ratios])
        yield from markdown(table)


def _key(row):
    return row["function"], row["d"], row["strength"]


def _mean(rows, column):
    return geometric_mean(max(row[column], FLOOR) for row in rows)


def _paired(rows, peer, column):
    """Two lists: the column of `auto` and of the other solver, of the same problems and seeds."""
    of = {s: {(_key(r), r["seed"]): r[column] for r in rows if r["solver"] == s} for s in SOLVERS}
    return zip(*((value, of[peer][k]) for k, value in of["auto"].items()), strict=True)


def _ratio(values, peer_values):
    """Geometric mean of the ratios of positive pairs."""
    ratios = [a / b for a, b in zip(values, peer_values, strict=True) if a > 0 and b > 0]
    return f"{geometric_mean(ratios):.2g}" if ratios else "–"


def _against(rows, peer):
    early, late = (
        _ratio(*(np.maximum(v, FLOOR) for v in _paired(rows, peer, c))) for c in ("early", "late")
    )
    shares = [np.mean(np.array(v) > 0) for v in _paired(rows, peer, "reached")]
    return f"{early}, {late} ({shares[0]:.0%}, {shares[1]:.0%})"
