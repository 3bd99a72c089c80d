"""Results that are kept, and README's tables made from them.

A kept result is two files beside each other: NAME.csv, the rows of a run, and NAME.yaml, how they
were made (command, date, versions, processor; no host and no paths). In README a table stands
between two lines, and the first says what it shows:

    <!-- bench:NAME -->              for each structure and peer: a column for each dimension
    <!-- bench:NAME by=group -->     a table for each pair, a line for each group; or by=function
    <!-- bench:NAME by=ablation -->  a line for each switch of the update
    <!-- bench:behaviour -->         what optimisers did in situations of a real tuning job (from
                                     behaviour.yaml alone: `structes bench behaviour -o` writes it)
    <!-- bench:trust_region -->      evaluations with each radius of the trust region, by λ/d
    <!-- /bench -->

`structes bench tables` writes them anew; a test asserts that nothing changes then.
"""

from __future__ import annotations

import re
from pathlib import Path

from .evaluations import ablation, bbob, trust_region
from .evaluations.compare import compare
from .evaluations.report import cell, everything, rows_of_kind
from .solvers import OURS
from .tables import markdown
from .tasks import write_rows
from .trust import behaviour

MARK = re.compile(r"(<!-- bench:(\S+)(?: by=(\w+))? -->\n)(.*?)(<!-- /bench -->)", re.DOTALL)


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
    provenance = (folder / "made.yaml").read_text(encoding="utf-8")
    target.with_name(f"{target.name}.yaml").write_text(provenance, encoding="utf-8")


def with_tables(text: str, results: Path) -> str:
    """The text with the tables between its marks made from the results in a folder.

    Raises ValueError for a mark whose result is not there.
    """

    def fill(match):
        name, division = match[2], match[3] or "dimension"
        if name == "behaviour":
            return f"{match[1]}{behaviour_table(results / 'behaviour.yaml')}\n{match[5]}"
        bench = trust_region if name == "trust_region" else bbob
        rows = bench.read(results / f"{name}.csv")
        if not rows:
            raise ValueError(f"{match[0].splitlines()[0]}: there is no {results / name}.csv")
        if bench is trust_region:
            return match[1] + "\n".join(trust_region.lines(rows)) + "\n" + match[5]
        return f"{match[1]}{table(rows, division)}\n{match[5]}"

    return MARK.sub(fill, text)


def table(rows, division: str = "dimension") -> str:
    """Markdown of the comparison of each structure with each peer.

    division   dimension: one line a pair, a column a dimension. group, function: one line each, a
         column a pair. ablation: one line a switch

    A cell is the paired ratio, the ratio of ERT, and the shares of targets solved.
    """
    if division == "ablation":
        return "\n".join(markdown(ablation.table(rows, "dense")))
    solvers = list(dict.fromkeys(row["solver"] for row in rows))
    own_solvers = [name for name in solvers if name.startswith(OURS)]
    pairs = [(a, b) for a in own_solvers for b in solvers if b not in own_solvers]
    parts = [*rows_of_kind(rows, division), ("all", everything)]
    cells = [[_cell(compare(rows, *pair, condition)) for _, condition in parts] for pair in pairs]
    heads = [name for name, _ in parts]
    labels = [f"`{a.removeprefix(OURS)}` / {b}" for a, b in pairs]
    if division != "dimension":
        cells, heads, labels = list(zip(*cells, strict=True)), labels, heads
    lines = [[label, *line] for label, line in zip(labels, cells, strict=True)]
    return "\n".join(markdown([["", *heads], *lines]))


def behaviour_table(path: Path) -> str:
    """Markdown of the table of `structes bench behaviour` that is kept in a file.

    Raises ValueError where there is none.
    """
    if not path.exists():
        raise ValueError(f"<!-- bench:behaviour -->: there is no {path}")
    return "\n".join(markdown(behaviour.table_of(behaviour.read(path)[0])))


def _cell(c):
    if cell(c) == "-":
        return "–"
    shares = f"({100 * c.solved:.0f} %, {100 * c.solved_other:.0f} %)"
    return f"{c.ratio:.2f}, {c.ert:.2f} {shares}"
