"""One solver against another, over the runs that both have.

Two measures of evaluations stand side by side, for each hides what the other shows:

    ratio   paired: the geometric mean of ours / theirs over all (function, instance, dimension,
            target) that both reached; what one of the two never reached does not count
    ERT     expected running time of (function, dimension, target) over instances: evaluations of
            all runs, until the target or their end, / number of runs that reached it (Hansen et
            al. 2021). The geometric mean of the ratio over those where both are finite, and how
            many were finite for one of the two alone

Below 1 is fewer than the other. `solved` is the share of all (function, instance, dimension,
target) that was reached at all.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..measuring import geometric_mean
from .bbob import HITS

LOSS = 1.05  # a ratio above this is a loss

_F24 = {
    "separable": range(1, 6),
    "moderate": range(6, 10),
    "ill-conditioned": range(10, 15),
    "multimodal": range(15, 20),
    "weak structure": range(20, 25),
}
_NOISY = {
    "moderate noise": range(101, 107),
    "severe noise": range(107, 122),
    "severe noise, multimodal": range(122, 131),
}
GROUPS = {  # of functions, by suite
    "bbob": _F24,
    "bbob-largescale": _F24,
    "bbob-boxed": _F24,
    "bbob-mixint": _F24,
    "bbob-noisy": _NOISY,
}


def group_of(suite: str, f: int) -> str:
    """The name of a function's group; "f7" where the suite has no groups."""
    return next((name for name, fs in GROUPS.get(suite, {}).items() if f in fs), f"f{f}")


class Comparison(NamedTuple):
    """One solver against another; ratios are ours / theirs, nan where there is nothing to compare.

    ratio, pairs                   geometric mean of evaluations to targets that both reached,
                                   and how many those are
    solved, solved_other           shares of targets reached
    seconds                        CPU time an evaluation, without the function's own
    ert, erts                      geometric mean of ERT where both are finite, and how many
    ert_only, ert_only_other       ERTs that are finite for us alone, and for the other alone
    cpu                            CPU time of the runs, without the function's own
    """

    ratio: float
    pairs: int
    solved: float
    solved_other: float
    seconds: float
    ert: float
    erts: int
    ert_only: int
    ert_only_other: int
    cpu: float

    @property
    def lost(self) -> bool:
        return self.ratio > LOSS or self.solved < self.solved_other


def compare(rows, solver: str, peer: str, condition=lambda row: True) -> Comparison:
    """Comparison over the rows that both solvers have, of those for which `condition` is true."""
    matched = _both(rows, solver, peer, condition)
    ratios, hit, hit_other = [], 0, 0
    for a, b in matched:
        for key in HITS:
            hit += a[key] != ""
            hit_other += b[key] != ""
            if a[key] != "" and b[key] != "":
                ratios.append(a[key] / b[key])
    n = max(1, len(matched) * len(HITS))
    cpu, used = _sums(matched, "seconds"), _sums(matched, "evaluations")
    seconds = _divide(_divide(cpu[0], used[0]), _divide(cpu[1], used[1]))
    erts = _ert_pairs(matched)
    finite = [a / b for a, b in erts if a < math.inf and b < math.inf]
    return Comparison(
        ratio=geometric_mean(ratios),
        pairs=len(ratios),
        solved=hit / n,
        solved_other=hit_other / n,
        seconds=seconds,
        ert=geometric_mean(finite),
        erts=len(finite),
        ert_only=sum(a < b == math.inf for a, b in erts),
        ert_only_other=sum(b < a == math.inf for a, b in erts),
        cpu=_divide(*cpu),
    )


def ert(rows, key: str) -> float:
    """Expected running time to the target `key` (of HITS) of runs on one problem; inf: never."""
    reached = sum(row[key] != "" for row in rows)
    spent = sum(row["evaluations"] if row[key] == "" else row[key] for row in rows)
    return spent / reached if reached else math.inf


def losses(rows, solver: str, peer: str, condition=lambda row: True) -> dict:
    """{f: Comparison} of the functions where the ratio is above LOSS or fewer are solved."""
    lost_functions = {}
    for f in sorted({row["f"] for row in rows if condition(row)}):
        c = compare(rows, solver, peer, lambda row, f=f: row["f"] == f and condition(row))
        if c.lost:
            lost_functions[f] = c
    return lost_functions


def _both(rows, solver, peer, condition):
    """[(row, row of the other)] of the problems that both have."""
    table = {}
    for row in rows:
        if row["solver"] in (solver, peer) and condition(row):
            key = (row["suite"], row["f"], row["i"], row["d"], row["budget"])
            table.setdefault(key, {})[row["solver"]] = row
    return [(t[solver], t[peer]) for t in table.values() if solver in t and peer in t]


def _ert_pairs(matched):
    """[(ERT, ERT of the other)] for each (suite, function, dimension, target)."""
    problems = {}
    for a, b in matched:
        problems.setdefault((a["suite"], a["f"], a["d"]), []).append((a, b))
    return [
        tuple(ert(side, key) for side in zip(*pairs, strict=True))
        for pairs in problems.values()
        for key in HITS
    ]


def _sums(matched, column):
    return [sum(pair[side][column] for pair in matched) for side in (0, 1)]


def _divide(a, b):
    return a / b if b else math.nan
