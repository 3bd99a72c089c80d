"""The log of a run, log.csv: a row for each generation, all problems one below the other."""

from __future__ import annotations

import csv
import os

from .files import lock, replace
from .opening import lines_of, regular

COLUMNS = (
    "problem",
    "restart",  # 0 in the first run
    "generation",  # closed so far, of all runs
    "evaluations",  # of all runs
    "best",  # value of the best point so far, of all runs
    "error",  # its distance from the problem's minimum; nan where that is unknown
    "generation_best",  # of this generation's values (nan: the budget cut the generation short)
    "generation_median",
    "popsize",
    "dof",  # degrees of freedom of the structure: a jump is a switch of structure="auto"
    "sigma",
    "deviation_min",  # smallest and largest standard deviation of a coordinate; the shape is
    "deviation_max",  # measured every tenth generation, in between only sigma moves them
    "condition",  # of the covariance, as the stopping rules last measured it
    "norm",  # Frobenius norm of the natural-gradient step
    "path_length",  # of the step-size path, over its expectation
    "missing",  # values of this generation that were NaN, or an exception
    "late",  # values of earlier generations' candidates that were used in this one
    "stale",  # the same, left out because the distribution has moved too far
    "injected",  # points of the user's own in this generation
    "failures",  # generations in a row without any value
    "seconds",  # since the start of this problem
)
COUNTS = ("restart", "generation", "evaluations", "popsize", "dof")
COUNTS += ("missing", "late", "stale", "injected", "failures")


def hold(path):
    """The log, open to append whole lines to it, and held by this process until it is closed.

    Raises ValueError where another process holds it.
    """
    while True:
        log = open(  # noqa: SIM115
            path, "a", buffering=1, newline="", encoding="utf-8", opener=regular
        )
        if not lock(log):
            log.close()
            raise ValueError(f"{str(path.parent)!r} is still running")
        if os.path.samestat(os.fstat(log.fileno()), os.stat(path)):
            return log
        log.close()  # another process has replaced it since


def rows_of(path, problem: str) -> list[tuple[int, int]]:
    """(restart, generation) of each row of a problem, without a torn last one."""
    at = [COLUMNS.index(name) for name in ("problem", "restart", "generation")]
    with open(path, newline="\n", encoding="utf-8", opener=regular) as file:
        rows = csv.reader(lines_of(file))
        next(rows, None)
        found = [[row[i] for i in at] for row in rows if len(row) == len(COLUMNS)]
    return [(int(restart), int(generation)) for p, restart, generation in found if p == problem]


def keep_rows(path, problem: str, rows: int) -> None:
    """Leave the first `rows` rows of the problem in the log, and all of the others; atomic."""
    kept = []
    with open(path, newline="\n", encoding="utf-8", opener=regular) as file:
        lines = list(lines_of(file))
    for line in lines:
        if next(csv.reader([line]))[0] == problem:
            if rows == 0:
                continue
            rows -= 1
        kept.append(line)
    replace(path, lambda file: file.write("".join(kept).encode()))
