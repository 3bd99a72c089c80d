"""Tables and numbers as a terminal shows them, and the lists of what there is to name."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import datetime
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import click

from ..terminal.output import visible

if TYPE_CHECKING:
    from ..runs.reader import RunFolder

LEFT = {"problem", "problems", "status", "started", "stopped by", ""}  # of columns of words
WRAPS = {"stopped by", ""}


def print_table(columns: Sequence[str], rows: Sequence) -> None:
    """Print a table as wide as it needs to be.

    On a terminal lines wrap, but no word or number does.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    cells = [[visible(cell, 300, lines=False) for cell in row] for row in rows]
    filled = [i for i in range(len(columns)) if any(row[i] != "" for row in cells)]
    for i in filled:
        name = columns[i]
        texts = [name, *(row[i] for row in cells)]
        words = [word for text in texts for word in (text.split() if name in WRAPS else [text])]
        table.add_column(
            name,
            justify="left" if name in LEFT or i == 0 else "right",
            no_wrap=name not in WRAPS,
            min_width=max(Text(word).cell_len for word in words),
        )
    for row in cells:
        table.add_row(*(Text(row[i]) for i in filled))
    console = Console(file=sys.stdout)
    width, height = console.size
    console.size = 10_000, height
    if console.is_terminal:
        console.size = max(width, console.measure(table).minimum), height
    console.print(table)
    console.print()


def number_text(value: Any, digits: int = 6) -> str:
    """Return a number (or the string of one) for reading; nothing for nan and None."""
    if value is None or value == "nan":
        return ""
    try:
        return f"{float(value):.{digits}g}" if not str(value).isdigit() else str(value)
    except (ValueError, TypeError, OverflowError):  # no number: what a file says in its place
        return str(value)


def vector_text(x: Any, limit: int = 10) -> str:
    """Return a vector in one line, with as many of its numbers as one reads."""
    text = ", ".join(f"{v:.6g}" for v in x[:limit])
    return f"[{text}{f', … ({len(x)} in all)' if len(x) > limit else ''}]"


def restarts_table(entry: dict) -> tuple[tuple, list]:
    """Return columns and rows of the runs of a search with restarts."""
    keys = ("number", "regime", "popsize", "sigma0", "evaluations", "generations", "fun")
    rows = [
        [*(number_text(run.get(key)) for key in keys), ", ".join(run["stop"])]
        for run in entry["restarts"]
    ]
    return ("restart", *keys[1:-1], "best", "stopped by"), rows


def result_table(record: RunFolder) -> tuple[tuple, list]:
    """Return columns and rows of the problems of a run that was read back."""
    columns = ("problem", "error", "value", "restarts", "evaluations", "generations")
    columns += ("stopped by", "seconds")
    rows = []
    for e in record.result["problems"]:
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


def best_lines(record: RunFolder) -> list[str]:
    """Return a line for each problem whose minimum is not known: the best point, by the names and
    options of its parameters where it has a space, and its value."""
    return [
        best_line(e) for e in record.result["problems"] if e.get("minimum") is None and e.get("x")
    ]


def best_line(entry: dict) -> str:
    """Return the best point of a problem and its value."""
    point, fun = f"x = {vector_text(entry['x'])}", number_text(entry.get("fun"), 15)
    if entry.get("params"):
        point = ", ".join(f"{name} = {value}" for name, value in entry["params"].items())
    name, point = visible(entry["problem"], 200, lines=False), visible(point, 10_000, lines=False)
    return f"{name}: best value {fun} at {point}"


def print_run(record: RunFolder, rows: int) -> None:
    """Print all that is known of a run that was read back, with the last rows of its log."""
    import yaml

    from ..runs.reader import tail_log

    config = {key: _short(value) for key, value in record.config.items() if value is not None}
    v = record.versions
    status = visible(record.result["status"], 200, lines=False)
    click.echo(f"{visible(record.folder, lines=False)}  {status}\n")
    click.echo(visible(yaml.safe_dump(config, sort_keys=False, allow_unicode=True)))
    packages = ("structes", "numpy", "scipy", "coco-experiment", "python")
    lines = [f"{p} {v[p]}" for p in packages if v.get(p)] + [str(v.get("platform", ""))]
    click.echo(visible(", ".join(lines), 1000, lines=False))
    argv = v.get("argv")
    command = " ".join(map(str, argv)) if isinstance(argv, list) else ""
    start_line = f"started {v.get('started')} on {v.get('host')}: {command}"
    click.echo(visible(start_line, 10_000, lines=False) + "\n")
    print_table(*result_table(record))
    for entry in record.result["problems"]:
        if entry.get("restarts"):
            click.echo(f"the runs of {visible(entry['problem'], 200, lines=False)}")
            print_table(*restarts_table(entry))
        if entry.get("x"):
            click.echo(best_line(entry))
        if entry.get("traceback"):
            click.echo(f"\n{visible(entry['problem'], 200, lines=False)} failed:")
            click.echo(visible(entry["traceback"], 20_000))
    tail = tail_log(record.folder, rows)
    if tail:
        columns = ("problem", "generation", "evaluations", "best", "error", "sigma", "condition")
        if any(entry.get("restarts") for entry in record.result["problems"]):
            columns = ("problem", "restart", "popsize", *columns[1:])
        click.echo("\nlast rows of log.csv")
        print_table(columns, [[number_text(row.get(c)) for c in columns] for row in tail])


def _short(value):
    """Return a value of a config whose texts are no longer than one reads."""
    if isinstance(value, dict):
        return {_short(key): _short(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_short(part) for part in value]
    return visible(value, 1000) if isinstance(value, str) and len(value) > 1000 else value


def runs_table(runs: str | os.PathLike[str]) -> tuple[tuple, list]:
    """Return columns and rows of the runs that are recorded in a folder, the latest one last."""
    from ..runs.reader import read_run, recorded

    columns = ("run", "status", "problems", "best", "evaluations", "started")
    return columns, [_run_row(folder, read_run) for folder in recorded(runs)]


def _run_row(folder, read_run):
    try:
        result = read_run(folder).result
    except (ValueError, OSError) as error:
        message = str(error).rpartition("damaged: ")[2].rpartition("a run folder: ")[2]
        return (folder.name, "damaged", message[:60], "", "", "")
    entries = result["problems"]
    evaluated = [e for e in entries if e.get("evaluations") is not None]
    return (
        folder.name,
        result["status"],
        shorten(", ".join(e["problem"][:99] for e in entries[:99]), 40, placeholder=" …"),
        shorten(
            ", ".join(number_text(e.get("fun"), 3) or "–" for e in evaluated), 30, placeholder=" …"
        ),
        number_text(sum(e["evaluations"] for e in evaluated)),
        _moment(result.get("started")),
    )


def _moment(text) -> str:
    """Return a moment as a clock here shows it."""
    try:
        return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (TypeError, ValueError, OverflowError):
        return str(text)


# -- what there is


def _structures():
    from ..strategy.auto import Auto
    from ..structures import STRUCTURES
    from ..structures.building import AUTO

    named = [(name, _first_line(STRUCTURES[name])) for name in STRUCTURES]
    return [(AUTO, _first_line(Auto)), *named]


def _engines():
    from ..strategy.engine import ENGINES

    return [(name, _first_line(ENGINES[name])) for name in ENGINES]


def _restarts():
    from ..strategy.restarts import RESTARTS

    return [(name, _first_line(RESTARTS[name])) for name in RESTARTS]


def _problems():
    from ..named_problems import PROBLEMS

    return [(name, _first_line(PROBLEMS[name])) for name in PROBLEMS]


def _configs():
    from ..runs.config import configs, load_config

    return [(name, load_config(name).get("description", "")) for name in configs()]


def _first_line(thing):
    """Return the first paragraph of a docstring, or as much of it as fits a line."""
    return shorten((thing.__doc__ or "").strip().partition("\n\n")[0], 100, placeholder=" …")


LISTS = {
    "structures": _structures,
    "engines": _engines,
    "restarts": _restarts,
    "problems": _problems,
    "configs": _configs,
}
