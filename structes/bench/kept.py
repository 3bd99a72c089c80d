"""Results that are kept, and README's tables made from them.

A kept result is two files beside each other: NAME.csv, the rows of a run, and NAME.yaml, how they
were made (command, date, versions, processor; no host and no paths). In README a table stands
between two lines, and the first says what it shows:

    <!-- bench:NAME -->              for each structure and peer: a column for each dimension
    <!-- bench:NAME by=group -->     a table for each pair, a line for each group; or by=function
    <!-- bench:NAME by=ablation -->  a line for each switch of the update
    <!-- bench:behaviour -->         what optimisers did in situations of a real tuning job (from
                                     behaviour.yaml alone: `structes bench behaviour -o` writes it)
    <!-- /bench -->

`structes bench tables` writes them anew; a test asserts that nothing changes then.
"""

from __future__ import annotations

import platform
import re
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

import yaml

from ..files.yaml_text import read_yaml
from .evaluations import ablation, bbob
from .evaluations.compare import compare
from .evaluations.report import cell, everything, rows_of_kind
from .solvers import OURS
from .tasks import write_rows
from .trust import behaviour

PACKAGES = (
    "structes",
    "numpy",
    "scipy",
    "coco-experiment",
    "cma",
    "cmaes",
    "pypop7",
    "nevergrad",
)
MARK = re.compile(r"(<!-- bench:(\S+)(?: by=(\w+))? -->\n)(.*?)(<!-- /bench -->)", re.DOTALL)


def provenance(command: str) -> dict:
    """How a result is made, here and now."""
    return {
        "command": command,
        "date": datetime.now(timezone.utc).date().isoformat(),
        "versions": {"python": platform.python_version(), **_versions()},
        "processor": _processor(),
    }


def note(path: Path, command: str) -> None:
    """Append `provenance(command)` to a YAML file, where it does not say so already."""
    known = read_yaml(path.read_text(encoding="utf-8"), str(path)) if path.exists() else []
    made = provenance(command)
    if made not in known:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump([*known, made], sort_keys=False, allow_unicode=True)
        path.write_text(text, encoding="utf-8")


def keep(folder: Path, target: Path) -> None:
    """Copy the results in `folder` to target.csv and target.yaml, rows in order.

    Raises ValueError where there are none.
    """
    rows = bbob.read(folder / "results.csv")
    if not rows:
        raise ValueError(f"there are no results in {folder}")
    order = ("suite", "d", "f", "i", "solver", "budget")
    rows.sort(key=lambda row: [row[key] for key in order])
    write_rows(target.with_name(f"{target.name}.csv"), rows, bbob.COLUMNS)
    made = (folder / "made.yaml").read_text(encoding="utf-8")
    target.with_name(f"{target.name}.yaml").write_text(made, encoding="utf-8")


def with_tables(text: str, results: Path) -> str:
    """The text with the tables between its marks made from the results in a folder.

    Raises ValueError for a mark whose result is not there.
    """

    def fill(match):
        name, by = match[2], match[3] or "dimension"
        if name == "behaviour":
            return f"{match[1]}{behaviour_table(results / 'behaviour.yaml')}\n{match[5]}"
        rows = bbob.read(results / f"{name}.csv")
        if not rows:
            raise ValueError(f"{match[0].splitlines()[0]}: there is no {results / name}.csv")
        return f"{match[1]}{table(rows, by)}\n{match[5]}"

    return MARK.sub(fill, text)


def table(rows, by: str = "dimension") -> str:
    """Markdown of the comparison of each structure with each peer.

    by   dimension: one line a pair, a column a dimension. group, function: one line each, a
         column a pair. ablation: one line a switch

    A cell is the paired ratio, the ratio of ERT, and the shares of targets solved.
    """
    if by == "ablation":
        heads, *lines = ablation.table(rows, "dense")
        return _markdown([heads, ["---"] * len(heads), *lines])
    solvers = list(dict.fromkeys(row["solver"] for row in rows))
    ours = [name for name in solvers if name.startswith(OURS)]
    pairs = [(a, b) for a in ours for b in solvers if b not in ours]
    parts = [*rows_of_kind(rows, by), ("all", everything)]
    cells = [[_cell(compare(rows, *pair, where)) for _, where in parts] for pair in pairs]
    heads = [name for name, _ in parts]
    labels = [f"`{a.removeprefix(OURS)}` / {b}" for a, b in pairs]
    if by != "dimension":
        cells, heads, labels = list(zip(*cells, strict=True)), labels, heads
    lines = [["", *heads], ["---"] * (len(heads) + 1)]
    lines += [[label, *line] for label, line in zip(labels, cells, strict=True)]
    return _markdown(lines)


def behaviour_table(path: Path) -> str:
    """Markdown of the table of `structes bench behaviour` that is kept in a file.

    Raises ValueError where there is none.
    """
    if not path.exists():
        raise ValueError(f"<!-- bench:behaviour -->: there is no {path}")
    heads, *lines = behaviour.table_of(behaviour.read(path)[0])
    return _markdown([heads, ["---"] * len(heads), *lines])


def _markdown(lines) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(c):
    if cell(c) == "-":
        return "–"
    shares = f"({100 * c.solved:.0f} %, {100 * c.solved_other:.0f} %)"
    return f"{c.ratio:.2f}, {c.ert:.2f} {shares}"


def _versions():
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # a result does not depend on what is not there
    return found


def _processor() -> str:
    """The processor's model, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()
