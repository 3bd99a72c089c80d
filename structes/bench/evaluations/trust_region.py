"""What the trust region is worth: evaluations with one radius beside another, by λ/d.

The update shortens a step M where ‖M‖ exceeds `Engine.trust_region`. Where λ is the default ‖M‖ is
a quarter and no radius matters; it grows with λ, as the learning rates do. So every radius is run
with several populations, without restarts, on turned and moved functions: on unimodal ones the
question is how many evaluations it takes, on multimodal ones also how many runs find the minimum.

Where some candidates are replaced by points of the user's own, which no distribution has drawn,
the question is whether the search survives: all of them lie far away, on one line.

What is recorded besides is how often steps were shortened, and the largest ‖M‖ before that.
"""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...arrays import noise
from ...named_problems import load_problem
from ...search.es import ES
from ...strategy.settings import default_popsize
from ..measuring import geometric_mean, quiet
from ..tables import markdown
from ..tasks import read_rows, run_tasks

COLUMNS = {"radius": float, "structure": str, "function": str, "d": int, "multiple": int}
COLUMNS |= {"seed": int, "cap": int, "injected": int, "evaluations": int, "solved": int}
COLUMNS |= {"acted": float, "norm": float, "sigma": float}
UNIMODAL = ("sphere", "ellipsoid", "cigar", "discus", "different_powers", "rosenbrock")
MULTIMODAL = ("rastrigin", "ackley", "griewank", "levy")
FUNCTIONS = (*UNIMODAL, *MULTIMODAL)
TARGET = 1e-8
FAR = 1e3  # standard deviations between the mean and a point of the user's own
GROWN = 1e6  # sigma above so many times the first one: the search is lost


class Task(NamedTuple):
    """One run.

    radius     of the trust region
    multiple   popsize / d; 0: the default popsize
    cap        generations after which the run is over
    injected   percent of the candidates that are replaced by points of the user's own
    """

    radius: float
    structure: str
    function: str
    d: int
    multiple: int
    seed: int
    cap: int
    injected: int


def popsize_of(task: Task) -> int:
    """The population of a task."""
    return task.multiple * task.d or default_popsize(task.d)


def solve(task: Task) -> dict:
    """Run one task: a row of COLUMNS."""
    name = f"{task.function}:rotate{task.seed}:shift{task.seed}"
    if task.structure == "diagonal":  # which fits what is not turned
        name = f"{task.function}:shift{task.seed}"
    problem, popsize = load_problem(name, task.d), popsize_of(task)
    width = problem.upper - problem.lower
    uniform = noise.uniforms(task.seed, noise.STARTS, 0, 0, 1, task.d)[0]
    engine = {"name": "default", "trust_region": task.radius}
    es = ES(
        problem.lower + width * (0.1 + 0.8 * uniform),
        0.2 * float(width.mean()),
        task.structure,
        task.seed,
        popsize,
        engine=engine,
    )
    first, used, acted, norm, generations = es.sigma, 0, 0, 0.0, 0
    solved, growth = False, 1.0
    with quiet(), np.errstate(all="ignore"):
        while not (solved or es.stop() or generations == task.cap):
            X = with_injected(es, es.ask(), task)
            values = problem.function(X)
            hits = np.nonzero(values - problem.minimum <= TARGET)[0]
            solved, used = len(hits) > 0, used + (int(hits[0]) + 1 if len(hits) else len(X))
            generations += 1
            if not told(es, X, values):
                norm = growth = inf
                break
            acted += es.info.clipped
            norm, growth = max(norm, es.info.norm), es.sigma / first
            if not growth < GROWN:
                break
    row = {"evaluations": used, "solved": int(solved), "acted": round(acted / generations, 4)}
    return task._asdict() | row | {"norm": round(norm, 3), "sigma": growth}


def told(es: ES, X, values) -> bool:
    """Tell the search the values: whether it goes on (a step that is too long for any use is an
    error, core/step.py)."""
    try:
        es.tell(X, values)
    except ValueError as error:
        if "too long for any use" not in str(error):
            raise
        return False
    return True


def with_injected(es: ES, X, task: Task):
    """The candidates X (n, d), of which the first are replaced by points on a line through the
    mean, normal with FAR standard deviations."""
    count = len(X) * task.injected // 100
    if not count:
        return X
    generation = es.generation
    normal = noise.normals(task.seed, noise.PROBLEM, generation, 0, count, 1)
    X = np.array(X)
    X[:count] = es.mean
    X[:count, 0] += FAR * es.sigma * normal[:, 0]
    return X


def tasks_of(
    radii, structure: str, functions, dims, multiples, seeds, cap: int, injected: int
) -> list[Task]:
    """All runs."""
    return [
        Task(radius, structure, function, d, multiple, seed, cap, injected)
        for d in dims
        for multiple in multiples
        for function in functions
        for seed in seeds
        for radius in radii
    ]


def read(path: Path) -> list[dict]:
    """Rows of a result file; [] where there is none."""
    return read_rows(path, COLUMNS)


def run(tasks, path: Path, jobs: int, report=lambda count, total: None) -> list[dict]:
    """Run the tasks that are not in the CSV file yet, appending a row for each: rows of all."""
    return run_tasks(tasks, solve, COLUMNS, path, jobs, report, popsize_of)


# -- the report -----------------------------------------------------------------------------------


def lines(rows):
    """The report, line by line: Markdown. The first radius is the one compared with."""
    radii = list(dict.fromkeys(row["radius"] for row in rows))
    for title, cell, selected in (
        (UNIMODAL_TITLE, _unimodal, [r for r in rows if not r["injected"] and _is_unimodal(r)]),
        (
            MULTIMODAL_TITLE,
            _multimodal,
            [r for r in rows if not r["injected"] and not _is_unimodal(r)],
        ),
        (INJECTED_TITLE, _injected, [r for r in rows if r["injected"]]),
    ):
        if not selected:
            continue
        yield from [*title.format(target=TARGET, first=f"{radii[0]:g}").splitlines(), ""]
        table = [["λ/d", *(f"radius {radius:g}" for radius in radii)]]
        for multiple in [*sorted({row["multiple"] for row in selected}), None]:
            part = [row for row in selected if multiple in (None, row["multiple"])]
            cells = [cell(part, radius, radii[0]) for radius in radii]
            table.append([{0: "default", None: "all"}.get(multiple, str(multiple)), *cells])
        yield from [*markdown(table), ""]


UNIMODAL_TITLE = """\
Unimodal functions: evaluations to {target:g} / those with radius {first}, geometric mean over the
runs that both solved; share of generations in which the step was shortened; the largest norm."""
MULTIMODAL_TITLE = """\
Multimodal functions: share of runs that found the minimum; geometric mean over functions of ERT
(evaluations of all runs / runs that found it) / that with radius {first}, where both are finite;
share of generations in which the step was shortened; the largest norm."""
INJECTED_TITLE = """\
With points of the user's own, far away on a line: share of runs that found the minimum, and of
those that were lost (a step too long for any use, or sigma a million times the first one); share
of generations in which the step was shortened; the largest norm."""


def _is_unimodal(row):
    return row["function"] in UNIMODAL


def _with(rows, radius):
    return [row for row in rows if row["radius"] == radius]


def _unimodal(rows, radius, first):
    group = _with(rows, radius)
    base = {_run_of(row): row for row in _with(rows, first) if row["solved"]}
    ratio = geometric_mean(
        row["evaluations"] / base[_run_of(row)]["evaluations"]
        for row in group
        if row["solved"] and _run_of(row) in base
    )
    return f"{ratio:.3f}; {_acted(group)}"


def _multimodal(rows, radius, first):
    group = _with(rows, radius)
    of = dict.fromkeys((row["d"], row["multiple"], row["function"]) for row in group)
    pairs = [[_ert(_with(rows, r), key) for r in (radius, first)] for key in of]
    ratio = geometric_mean(a / b for a, b in pairs if max(a, b) < inf)
    return f"{_share(group, 'solved')}, {ratio:.2f}; {_acted(group)}"


def _injected(rows, radius, first):
    group = _with(rows, radius)
    share = np.mean([not row["sigma"] < GROWN for row in group])
    return f"{_share(group, 'solved')}, lost {share:.0%}; {_acted(group)}"


def _run_of(row):
    return row["structure"], row["function"], row["d"], row["multiple"], row["seed"]


def _ert(rows, key):
    group = [row for row in rows if (row["d"], row["multiple"], row["function"]) == key]
    solved = sum(row["solved"] for row in group)
    return sum(row["evaluations"] for row in group) / solved if solved else inf


def _share(rows, column):
    return f"{np.mean([row[column] for row in rows]):.0%}"


def _acted(rows):
    return f"{_share(rows, 'acted')}, ≤ {max(row['norm'] for row in rows):.2g}"
