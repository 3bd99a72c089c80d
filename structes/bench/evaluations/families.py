"""Does a structure pay? Evaluations on objectives that it fits, and on one that it does not.

For each structure a family of quadratics whose inverse Hessian is a covariance of that structure,

    f(x) = ½ ‖Bᵀ (x − x*)‖² / λ_min(B Bᵀ),   cond(B Bᵀ) = 10⁶,

with B a random element of the group (structures/random_elements.py: a point on a random curve
through the identity, far enough out to have that condition), x* standard normal; and the family
`rotated`, the same with eigenvalues 1 … 10⁶ evenly spaced in the logarithm and axes that are
uniformly random, which no structure short of a full one fits. Each seed has its own B, x*, start
(uniform in [−4, 4]^d) and search; all solvers share them, start with sigma0 = 2 and their own
default population, and run until f ≤ 10⁻⁹, the cap on evaluations, or their own criteria end them.
There are no restarts: a solver that gives up has given up.
"""

from __future__ import annotations

import statistics
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...arrays import noise
from ...structures import STRUCTURES
from ...structures.building import build_structure
from ...structures.random_elements import element, example
from .. import PEERS
from ..measuring import quiet
from ..tasks import run_tasks

CONDITION = 1e6
TARGET = 1e-9
ROTATED = "rotated"
SYNONYMS = ("hierarchical_upper_lower", "hierarchical_lower_upper")  # of block_upper, block_lower
BASELINES = ("diagonal", "dense")
COLUMNS = {"solver": str, "family": str, "d": int, "seed": int, "cap": int}
COLUMNS |= {"evaluations": int, "best": float, "ended": str, "seconds": float}


class Task(NamedTuple):
    """One solver on one objective.

    solver   a structure (name, or specification in words) or a name of PEERS
    family   structure whose covariances the objective has, or ROTATED
    seed     of the objective, the start and the search; cap: largest number of evaluations
    """

    solver: str
    family: str
    d: int
    seed: int
    cap: int


def objective(family: str, d: int, seed: int):
    """The objective of a family: a function of (n, d) rows, values (n,), minimum 0.

    Raises ValueError for a structure without elements of this condition (`scalar`).
    """
    optimum = noise.normals(seed, noise.PROBLEM, 3, 0, 1, d)[0]
    if family == ROTATED:
        Q = np.linalg.qr(noise.normals(seed, noise.PROBLEM, 4, 0, d, d))[0]
        roots = np.sqrt(np.geomspace(1, CONDITION, d))
        return lambda X: 0.5 * np.sum((((X - optimum) @ Q) * roots) ** 2, axis=1)
    structure = build_structure(example(family, d), d)
    B = np.asarray(structure.to_dense(element(structure, CONDITION, seed)))
    B = B / np.linalg.svd(B, compute_uv=False)[-1]  # in full: most cheaply evaluated for all
    return lambda X: 0.5 * np.sum(((X - optimum) @ B) ** 2, axis=1)


def solve(task: Task) -> dict:
    """Run one task: a row of COLUMNS. seconds: CPU time without the objective's own."""
    function = objective(task.family, task.d, task.seed)
    x0 = 8 * noise.uniforms(task.seed, noise.STARTS, 0, 0, 1, task.d)[0] - 4
    used, best, ended, in_function = 0, np.inf, "cap", 0.0
    with quiet():
        start_time = time.process_time()
        search = _solver(task.solver, task.d)(x0=x0, sigma0=2.0, seed=task.seed)
        while used < task.cap:
            X = search.ask()
            t = time.process_time()
            values = function(X)
            in_function += time.process_time() - t
            hit = np.flatnonzero(values <= TARGET)
            if hit.size:
                used, best, ended = used + int(hit[0]) + 1, float(values[hit[0]]), "target"
                break
            used, best = used + len(X), min(best, float(np.min(values)))
            search.tell(X, values)
            if search.stop():
                ended = "gave up"
                break
        seconds = time.process_time() - start_time - in_function
    row = {"evaluations": used, "best": best, "ended": ended, "seconds": round(seconds, 4)}
    return task._asdict() | row


def _solver(name, d):
    if name in PEERS and name not in STRUCTURES:
        return PEERS[name]
    return partial(PEERS["structes"], structure=example(name, d))


def fits(structures, dims) -> list[str]:
    """Those of `structures` that have an objective in every one of `dims`."""
    fitting = []
    for name in structures:
        try:
            for d in dims:
                objective(name, d, 1)
        except ValueError:
            continue
        fitting.append(name)
    return fitting


def tasks_of(structures, against, dims, seeds, cap: int, peer_cap: int) -> list[Task]:
    """All runs of the comparison.

    seeds           number of seeds for each of dims; the last one holds for those that follow
    cap, peer_cap   evaluations a dimension for structes, and for the peers
    """
    solvers_of_family = {
        name: dict.fromkeys([name, *BASELINES, *against]) for name in fits(structures, dims)
    }
    solvers_of_family[ROTATED] = dict.fromkeys([*structures, *BASELINES, *against])
    return [
        Task(solver, family, d, seed, d * (peer_cap if solver in against else cap))
        for k, d in enumerate(dims)
        for seed in range(1, seeds[min(k, len(seeds) - 1)] + 1)
        for family, solvers in solvers_of_family.items()
        for solver in solvers
    ]


def smaller(dim: int) -> list[str]:
    """Structures of the table that have fewer degrees of freedom than dense, and a shape."""
    names = []
    for name in STRUCTURES:
        dof = build_structure(example(name, dim), dim).dof
        if 1 < dof < dim * (dim + 1) // 2 and name not in SYNONYMS:
            names.append(name)
    return names


def run(tasks, path: Path, jobs: int, report=lambda count, total: None) -> list[dict]:
    """Run the tasks that are not in the CSV file yet, appending a row for each: rows of all."""
    return run_tasks(tasks, solve, COLUMNS, path, jobs, report)


class Cell(NamedTuple):
    """One solver on one family in one dimension, median over seeds.

    evaluations   to the target; where that was missed, those spent
    reached       of `runs`, how many reached the target; ended: how the median run ended
    seconds       CPU time of the whole run
    """

    evaluations: float
    seconds: float
    reached: int
    runs: int
    ended: str

    def __str__(self):
        sign = {"target": "", "cap": ">", "gave up": "†"}[self.ended]
        return f"{sign}{_short(self.evaluations)} {self.seconds:.1f}s"


def cell(rows, solver: str, family: str, d: int) -> Cell | None:
    """The Cell of the rows for this solver, family and dimension; None where there is none.

    A run that missed the target ranks behind all that reached it, however early it ended; the
    median is the run in the middle (of an even number, the worse of the two).
    """
    runs = [r for r in rows if (r["solver"], r["family"], r["d"]) == (solver, family, d)]
    if not runs:
        return None
    runs.sort(key=lambda r: (r["ended"] != "target", r["evaluations"]))
    middle = runs[len(runs) // 2]
    return Cell(
        middle["evaluations"],
        statistics.median(r["seconds"] for r in runs),
        sum(r["ended"] == "target" for r in runs),
        len(runs),
        middle["ended"],
    )


def _short(n) -> str:
    return f"{n / 1000:.1f}k" if n < 99_950 else f"{n / 1000:.0f}k"


def lines(rows, structures, against, dims):
    """The report, line by line."""
    yield f"evaluations to {TARGET:g} and CPU seconds, median over seeds, condition {CONDITION:g}"
    yield "> the cap was reached    † the solver stopped by its own criteria above the target"
    names = ["this", *BASELINES, *against]
    families = {row["family"] for row in rows}
    for d in dims:
        for fits_structure in (True, False):
            title = (
                "objectives of the structure's own family"
                if fits_structure
                else "a rotated ellipsoid"
            )
            yield f"\nd = {d}, {title}"
            yield f"{'structure':24} {'dof':>6}" + "".join(f"{n:>16}" for n in names)
            for name in structures:
                if fits_structure and name not in families:
                    yield f"{name:24} {'':6}  has no such objective"
                    continue
                family = name if fits_structure else ROTATED
                cells = [cell(rows, s, family, d) for s in (name, *names[1:])]
                dof = build_structure(example(name, d), d).dof
                yield f"{name:24} {dof:>6}" + "".join(f"{c!s:>16}" for c in cells)
