"""Tables and numbers as a terminal shows them, and the lists of what there is to name."""

from __future__ import annotations

import sys
from textwrap import shorten


def print_table(columns, rows):
    """A table as wide as it needs to be: on a terminal lines wrap, but no word or number does."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    left = {"problem", "stopped by", "", columns[0]}
    filled = [i for i in range(len(columns)) if any(row[i] != "" for row in rows)]
    for i in filled:
        justify = "left" if columns[i] in left else "right"
        table.add_column(columns[i], justify=justify, no_wrap=columns[i] not in ("stopped by", ""))
    for row in rows:
        table.add_row(*(Text(str(row[i])) for i in filled))
    console = Console(file=sys.stdout)
    width, console.width = console.width, 10_000
    if console.is_terminal:
        console.width = max(width, console.measure(table).minimum)
    console.print(table)
    console.print()


def number_text(value, digits=6):
    """A number (or the string of one) for reading; nothing for nan and None."""
    if value is None or value == "nan":
        return ""
    try:
        return f"{float(value):.{digits}g}" if not str(value).isdigit() else str(value)
    except ValueError:
        return value


def vector_text(x, most=10):
    """A vector in one line, with as many of its numbers as one reads."""
    text = ", ".join(f"{v:.6g}" for v in x[:most])
    return f"[{text}{f', … ({len(x)} in all)' if len(x) > most else ''}]"


def restarts_table(entry):
    """Columns and rows of the runs of a search with restarts."""
    keys = ("number", "regime", "popsize", "sigma0", "evaluations", "generations", "fun")
    rows = [
        [*(number_text(run[key]) for key in keys), ", ".join(run["stop"])]
        for run in entry["restarts"]
    ]
    return ("restart", *keys[1:-1], "best", "stopped by"), rows


def result_table(done):
    """Columns and rows of the problems of a run that was read back."""
    columns = ("problem", "error", "value", "restarts", "evaluations", "generations")
    columns += ("stopped by", "seconds")
    rows = []
    for e in done.result["problems"]:
        value = e.get("fun") if e.get("error") is None else None  # the error says more
        stop = ", ".join(e.get("stop", {})) if e["status"] == "done" else e["status"]
        seconds = "" if e.get("seconds") is None else f"{e['seconds']:.2f}"
        restarts = len(e["restarts"]) - 1 if e.get("restarts") else None
        counts = [number_text(e.get(k)) for k in ("evaluations", "generations")]
        rows.append(
            [
                e["problem"],
                number_text(e.get("error"), 3),
                number_text(value),
                number_text(restarts),
                *counts,
                stop,
                seconds,
            ]
        )
    return columns, rows


# -- what there is


def _structures():
    from .structures import STRUCTURES

    auto = "Found on the way: dense or diagonal, by what the samples show (auto.py)."
    return [("auto", auto)] + [(name, _first_line(STRUCTURES[name])) for name in STRUCTURES]


def _engines():
    from .engine import ENGINES

    return [(name, _first_line(ENGINES[name])) for name in ENGINES]


def _restarts():
    from .restarts import RESTARTS

    return [(name, _first_line(RESTARTS[name])) for name in RESTARTS]


def _problems():
    from .problem import PROBLEMS

    return [(name, _first_line(PROBLEMS[name])) for name in PROBLEMS]


def _configs():
    from .config import configs, load_config

    return [(name, load_config(name).get("description", "")) for name in configs()]


def _first_line(thing):
    """The first paragraph of a docstring, or as much of it as fits a line."""
    return shorten((thing.__doc__ or "").strip().partition("\n\n")[0], 100, placeholder=" …")


LISTS = {
    "structures": _structures,
    "engines": _engines,
    "restarts": _restarts,
    "problems": _problems,
    "configs": _configs,
}
