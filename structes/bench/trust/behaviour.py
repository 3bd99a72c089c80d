"""How optimisers behave in a real tuning job: one table, every cell of which is run.

Workers ask at any time, values come in parts, late, twice or not at all, jobs are killed and go
on elsewhere. A row is a situation of that kind, a column an optimiser, a cell what happened (found
by running it, in a process of its own) and whether that is in order, which a small predicate says
of what was observed, the same for all. Nothing is written down beforehand.

    observing.py  a situation; what the observations share
    telling.py    asking more than once, telling in parts, late, twice, in another order
    values.py     values that are missing, infinite, or equal
    around.py     bounds, files, global generators, the caller's data
    clients.py    the optimisers, in the same few words
    situations.py all of them by name
    cells.py      one cell in a process of its own, one_cell.py
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import yaml

from ...files.yaml_text import read_yaml
from ..tables import aligned
from . import cells
from .clients import CLIENTS
from .observing import short
from .situations import SITUATIONS

__all__ = [
    "CLIENTS",
    "SITUATIONS",
    "Cell",
    "judge",
    "keep",
    "lines",
    "measure",
    "read",
    "table_of",
]

WORDS = {True: "ok", False: "not ok", None: "n.a."}


class Cell(NamedTuple):
    """What a solver did in a situation; ok is None where it could not be run at all."""

    situation: str
    solver: str
    ok: bool | None
    outcome: str


def judge(situation: str, solver: str, facts: dict) -> Cell:
    """The cell of what was observed."""
    if facts.get("missing"):
        return Cell(situation, solver, None, facts["missing"])
    if "failed" in facts:
        return Cell(situation, solver, False, short(facts["failed"]))
    return Cell(situation, solver, *SITUATIONS[situation].judge(facts))


def measure(situations, solvers, jobs: int = 2, show=None) -> list[Cell]:
    """The cells of all situations and solvers, row by row, each run in a process of its own.

    solvers   names of `CLIENTS`, or "module:Class"
    show      function of (done, total), called whenever a cell is there
    """
    with ThreadPoolExecutor(jobs) as pool:
        checks = pool.map(lambda solver: cells.run("check", solver), solvers)
        missing = dict(zip(solvers, checks, strict=True))
        verdicts = {}

        def one(situation, solver):
            reason = missing[solver].get("failed")
            facts = {"missing": reason} if reason else cells.run("cell", solver, situation)
            return judge(situation, solver, facts)

        places = [(situation, solver) for situation in situations for solver in solvers]
        futures = {pool.submit(one, *place): place for place in places}
        for future in as_completed(futures):
            verdicts[futures[future]] = future.result()
            if show:
                show(len(verdicts), len(places))
    return [verdicts[place] for place in places]


def lines(table: list[Cell]) -> list[str]:
    """The table for a terminal: a line a cell, and what is missing once."""
    texts = [["row", "solver", "", "what happened"]]
    missing = {cell.solver: cell.outcome for cell in table if cell.ok is None}
    for name, cells_ in groupby(table, lambda cell: cell.situation):
        texts.append([name, "", "", SITUATIONS[name].title])
        texts += [["", c.solver, WORDS[c.ok], c.outcome] for c in cells_ if c.ok is not None]
    for solver, words in counts(table).items():
        texts.append(["in order", solver, "", "–" if solver in missing else words])
    return aligned(texts, {0, 1, 2, 3}) + [f"{s}: {reason}" for s, reason in missing.items()]


def counts(table: list[Cell]) -> dict:
    """{solver: "n of m"}: the cells that are in order."""
    verdicts: dict = {}
    for cell in table:
        verdicts.setdefault(cell.solver, []).append(cell.ok)
    return {s: f"{ok.count(True)} of {len(ok) - ok.count(None)}" for s, ok in verdicts.items()}


def keep(path: Path, table: list[Cell], provenance: dict) -> None:
    """Write the table, and how it was made (`provenance`), to a YAML file."""
    rows: dict = {}
    for cell in table:
        rows.setdefault(cell.situation, {})[cell.solver] = {
            "verdict": WORDS[cell.ok],
            "outcome": cell.outcome,
        }
    path.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump({"made": provenance, "cells": rows}, sort_keys=False, allow_unicode=True)
    path.write_text(text, encoding="utf-8")


def read(path: Path) -> tuple[list[Cell], dict]:
    """(table, how it was made) of a file that `keep` has written."""
    document = read_yaml(path.read_text(encoding="utf-8"), str(path))
    verdict = {word: ok for ok, word in WORDS.items()}
    table = [
        Cell(situation, solver, verdict[cell["verdict"]], cell["outcome"])
        for situation, row in document["cells"].items()
        for solver, cell in row.items()
    ]
    return table, document["made"]


def table_of(table: list[Cell]) -> list[list[str]]:
    """Lines of texts: heads, then one line a situation; what is not ok is bold, as in Markdown."""
    solvers = list(dict.fromkeys(cell.solver for cell in table))
    rows: dict = {}
    for cell in table:
        mark = {True: "", False: "**no:** ", None: "– "}[cell.ok]
        rows.setdefault(cell.situation, {})[cell.solver] = mark + cell.outcome.replace("|", "/")
    texts = [["", "in order is", *solvers]]
    for name, row in rows.items():
        situation = SITUATIONS[name]
        texts.append([situation.title, situation.want, *(row.get(s, "–") for s in solvers)])
    return [*texts, ["in order", "", *counts(table).values()]]
