"""`structes bench behaviour`: what optimisers do in situations of a real tuning job."""

from __future__ import annotations

from pathlib import Path

import click

from ...terminal.output import visible
from ..shell import bar, check, jobs_option, known, names


@click.command()
@click.option("--against", default="pycma,cmaes,nevergrad", callback=names, show_default=True)
@click.option("--only", callback=names, default="", metavar="ROW", help="default: all rows")
@jobs_option
@click.option("-o", "--output", type=click.Path(path_type=Path), help="YAML file that keeps it")
def behaviour(against, only, jobs, output):
    """What optimisers do in situations of a real tuning job: late values, NaN, bounds, resume, …

    Every cell is run, in a process of its own with a time limit, and says what happened and
    whether that is in order. Exit code 1 where not all of structes' are.
    """
    from ..provenance import provenance
    from . import behaviour

    check(only, known("row", behaviour.SITUATIONS))
    check(against, known("solver", behaviour.CLIENTS))
    rows = [name for name in behaviour.SITUATIONS if name in only or not only]
    solvers = list(dict.fromkeys(["structes", *against]))
    with bar("behaviour") as show:
        table = behaviour.measure(rows, solvers, jobs, show)
    for line in behaviour.lines(table):
        click.echo(visible(line))
    if output:
        words = ["structes bench behaviour --against", ",".join(against)]
        words += ["--only", ",".join(only)] if only else []
        behaviour.keep(output, table, provenance(" ".join(words)))
    if not all(cell.ok for cell in table if cell.solver == "structes"):
        raise SystemExit(1)
