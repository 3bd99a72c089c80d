"""Evaluations to reach targets on COCO's BBOB suites, ours beside the peers'.

Every solver gets the same problems, the same starting points (uniform in [−4, 4]^d, drawn from
the addressable noise by instance and restart), sigma0 = 2, the same seeds, the same budget, and
the same restarts: when a search stops by its own criteria before the last target, it is started
anew with twice the population (IPOP; Auger & Hansen 2005). What is recorded is the number of
evaluations at which each target error 10¹ … 10⁻⁷ was first reached.

The report is paired: over all (function, instance, target) that both solvers reached, the
geometric mean of the ratio of their evaluations; beside it the share of targets that each reached
at all, for a ratio alone would hide what was never solved.
"""

from __future__ import annotations

import math
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import noise
from ..problem import load_problem
from . import PEERS
from .tasks import read_rows, run_tasks

TARGETS = tuple(10.0**k for k in range(1, -8, -1))
HITS = tuple(f"{t:.0e}" for t in TARGETS)


class Task(NamedTuple):
    """One solver on one problem: a specification of PEERS, suite name, function, instance, dim."""

    solver: str
    suite: str
    f: int
    i: int
    d: int
    budget: int  # evaluations


def solve(task: Task) -> dict:
    """Run one task with restarts: a row of FIELDS and HITS (evaluations at each target or '')."""
    problem = load_problem(f"{task.suite}:f{task.f}:i{task.i}", task.d)
    name, given = PEERS.parse(_solver(task.solver))
    used, restart, popsize = 0, 0, None
    hits = [None] * len(TARGETS)
    began, in_function = time.process_time(), 0.0
    while used < task.budget and hits[-1] is None:
        x0 = 8 * noise.uniforms(1000 + task.i, noise.STARTS, restart, task.f, 1, task.d)[0] - 4
        search = PEERS.call(
            PEERS[name],
            name,
            given,
            x0=x0,
            sigma0=2.0,
            popsize=popsize,
            seed=100 * task.i + restart,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a peer's advice to its user is no part of the bench
            while used < task.budget and hits[-1] is None and not search.stop():
                X = search.ask()
                t = time.process_time()
                values = problem(X)
                in_function += time.process_time() - t
                errors = np.minimum.accumulate(values - problem.minimum)
                for k, target in enumerate(TARGETS):
                    if hits[k] is None and errors[-1] <= target:
                        hits[k] = used + int(np.argmax(errors <= target)) + 1
                used += len(X)
                search.tell(X, values)
        popsize = 2 * search.popsize
        restart += 1
    row = dict(task._asdict(), evaluations=used, restarts=restart - 1)
    row["seconds"] = round(time.process_time() - began - in_function, 4)
    row.update(zip(HITS, ("" if h is None else h for h in hits), strict=True))
    return row


def _solver(solver: str):
    """ "structes-diagonal" is structes with that structure; every other name is a peer's."""
    if solver.startswith("structes-"):
        return {"name": "structes", "structure": solver.removeprefix("structes-")}
    return solver


COLUMNS = {"solver": str, "suite": str, "f": int, "i": int, "d": int, "budget": int}
COLUMNS |= {"evaluations": int, "restarts": int, "seconds": float}
COLUMNS |= {key: lambda text: int(text) if text else "" for key in HITS}


def run(tasks, path: Path, jobs: int, report=lambda done, total: None) -> list[dict]:
    """Run the tasks that are not in the CSV file yet, appending a row for each: all rows."""
    return run_tasks(tasks, solve, COLUMNS, path, jobs, report)


def read(path: Path) -> list[dict]:
    """Rows of a result file, numbers as numbers; [] where there is none."""
    return read_rows(path, COLUMNS)


class Comparison(NamedTuple):
    """One solver against another. ratio: geometric mean of evaluations, ours / theirs (nan where
    no target was reached by both); pairs: how many; solved, solved_other: shares of targets;
    seconds: ratio of CPU time an evaluation, without the function's own."""

    ratio: float
    pairs: int
    solved: float
    solved_other: float
    seconds: float


def compare(rows, ours: str, other: str, where=lambda row: True) -> Comparison:
    """Paired comparison over the rows that both solvers have."""
    table = {}
    for row in rows:
        if where(row):
            table.setdefault((row["suite"], row["f"], row["i"], row["d"]), {})[row["solver"]] = row
    both = [(t[ours], t[other]) for t in table.values() if ours in t and other in t]
    logs, hit, hit_other = [], 0, 0
    for a, b in both:
        for key in HITS:
            hit += a[key] != ""
            hit_other += b[key] != ""
            if a[key] != "" and b[key] != "":
                logs.append(math.log(a[key] / b[key]))
    n = max(1, len(both) * len(HITS))
    cost = (
        [
            sum(r["seconds"] for r in side) / max(1, sum(r["evaluations"] for r in side))
            for side in zip(*both, strict=True)
        ]
        if both
        else [math.nan, math.nan]
    )
    return Comparison(
        math.exp(sum(logs) / len(logs)) if logs else math.nan,
        len(logs),
        hit / n,
        hit_other / n,
        cost[0] / cost[1] if cost[1] else math.nan,
    )
