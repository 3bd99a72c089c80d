"""The comparison of solvers in words: by dimension, by group of functions, by function."""

from __future__ import annotations

import math

from ..tables import aligned
from .compare import compare, group_of, losses

LEGEND = """\
ratio   evaluations, ours / the peer's: geometric mean over targets that both reached
ERT     expected running time, ours / the peer's: geometric mean where both are finite
        (how many; + finite for us alone; - finite for the peer alone)
solved  share of all targets reached (the peer's)
cpu     CPU time of whole runs, ours / the peer's, without the function's own; and an evaluation"""


def rows_of_kind(rows, division: str) -> list[tuple[str, object]]:
    """[(name, condition on a row)] of the parts that `division` divides the rows into.

    division   "dimension", "group" or "function"
    """
    if division == "dimension":
        return [
            (f"d = {d}", lambda row, d=d: row["d"] == d) for d in sorted({r["d"] for r in rows})
        ]
    if division == "function":
        return [(f"f{f}", lambda row, f=f: row["f"] == f) for f in sorted({r["f"] for r in rows})]
    if division != "group":
        raise ValueError(f"rows are divided by dimension, group or function; got {division!r}")
    ordered = sorted(rows, key=lambda row: row["f"])
    groups = dict.fromkeys(group_of(row["suite"], row["f"]) for row in ordered)
    return [
        (name, lambda row, name=name: group_of(row["suite"], row["f"]) == name) for name in groups
    ]


def everything(row) -> bool:
    return True


def report(rows, pairs, division=("group",)) -> list[str]:
    """Lines of the whole report.

    pairs      [(solver, solver that it is compared with)]
    division   which tables follow the one by dimension: of "group" and "function"
    """
    lines = [LEGEND, "", *by_dimension(rows, pairs)]
    for kind in division:
        for solver, peer in pairs:
            lines += ["", f"{solver} against {peer}, by {kind}: ratio (solved %, the peer's)"]
            lines += matrix(rows, solver, peer, kind)
    lines += ["", "functions where we lose (ratio > 1.05, or fewer targets solved)"]
    for solver, peer in pairs:
        lines += lost(rows, solver, peer)
    return lines


def by_dimension(rows, pairs) -> list[str]:
    """A line for each pair of solvers and dimension, and one for all dimensions."""
    parts = rows_of_kind(rows, "dimension")
    if len(parts) > 1:
        parts.append(("all", everything))
    table = [["solver", "against", "", "ratio", "ERT", "(both + -)", "solved", "", "cpu", "/eval"]]
    for solver, peer in pairs:
        for name, condition in parts:
            c = compare(rows, solver, peer, condition)
            counts = f"({c.erts} +{c.ert_only} -{c.ert_only_other})"
            numbers = [_ratio(c.ratio), _ratio(c.ert), counts, f"{c.solved:.3f}"]
            numbers += [f"({c.solved_other:.3f})", _ratio(c.cpu), _ratio(c.seconds)]
            table.append([solver, peer, name, *numbers])
    return aligned(table, {0, 1, 2})


def matrix(rows, solver: str, peer: str, division: str) -> list[str]:
    """A line for each group or function, a column for each dimension, and the sums of both."""
    columns = rows_of_kind(rows, "dimension")
    if len(columns) > 1:
        columns.append(("all", everything))
    table = [["", *(name for name, _ in columns)]]
    for name, is_of_row in [*rows_of_kind(rows, division), ("all", everything)]:
        cells = [
            cell(
                compare(
                    rows, solver, peer, lambda row, a=is_of_row, b=is_of_column: a(row) and b(row)
                )
            )
            for _, is_of_column in columns
        ]
        table.append([name, *cells])
    return aligned(table, {0})


def cell(c) -> str:
    """A comparison as one cell: "0.94 (63, 62)"; "-" where there are no runs of both."""
    if c.pairs == 0 and c.solved == c.solved_other == 0:
        return "-"
    return f"{_ratio(c.ratio)} ({100 * c.solved:.0f}, {100 * c.solved_other:.0f})"


def lost(rows, solver: str, peer: str) -> list[str]:
    """A line for each dimension that names the functions where we lose."""
    lines = []
    for name, condition in rows_of_kind(rows, "dimension"):
        lost_functions = losses(rows, solver, peer, condition)
        words = ", ".join(f"f{f} {cell(c)}" for f, c in lost_functions.items())
        lines.append(f"{solver} against {peer}, {name}: {words or 'none'}")
    return lines


def _ratio(value: float) -> str:
    return "nan" if math.isnan(value) else f"{value:.2f}"
