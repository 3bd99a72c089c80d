"""`structes bench bbob` and `ablation`, on suites of COCO; report, keep, tables of their rows."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from ...terminal.output import visible
from ..shell import bar, check, interruptible, jobs_option, known, names, numbers

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


def _problem_options(dims, functions, instances):
    """Options that say which problems are run, and where their results go."""
    options = (
        click.option("--suite", default="bbob", show_default=True, help="a COCO suite"),
        click.option("--dims", default=dims, callback=numbers, show_default=True),
        click.option("--functions", default=functions, callback=numbers, show_default=True),
        click.option("--instances", default=instances, callback=numbers, show_default=True),
        click.option("--budget", default=1000, show_default=True, help="evaluations / dimension"),
        jobs_option,
    )

    def decorate(command):
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _output(default):
    return click.option(
        "-o",
        "--output",
        type=FOLDER,
        default=default,
        show_default=True,
        help="folder of the results; runs that are in it are not run again",
    )


@click.command()
@_problem_options("5,10", "1-24", "1-3")
@click.option("--structures", default="dense", callback=names, show_default=True)
@click.option("--against", default="pycma", callback=names, show_default=True)
@click.option("--coco", type=FOLDER, help="also write COCO's data format there, for cocopp")
@click.option("--no-plots", is_flag=True, help="no pictures (they need the extra `plot`)")
@_output("runs/bbob")
def bbob(structures, against, coco, no_plots, output, **problems):
    """Evaluations to reach targets 1e1 … 1e-7, same starts, restarts and budget for all.

    Each of --structures may carry options of structes.ES after an @, joined by semicolons:
    dense@engine=cma;popsize=20. See `structes bench list` for --against.

    Writes into the output folder results.csv (a row a run), report.txt, ecdf.png and ert.png, and
    prints the report by dimension and group. Ctrl-C ends it at once; the same command goes on.

    With --coco each run goes on to 1e-8, and `python -m cocopp DIR/*` makes COCO's own pages.
    """
    own_solvers = [f"structes-{name}" for name in structures]
    rows = _run(own_solvers + against, problems, output, "bbob", coco)
    _report(rows, own_solvers, against, output, not no_plots)


@click.command()
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--structures", callback=names, default="", help="default: all in the results")
@click.option("--against", callback=names, default="", help="default: all others")
@click.option(
    "--by",
    "division",
    type=click.Choice(["group", "function"]),
    default="group",
    show_default=True,
)
@click.option("--no-plots", is_flag=True, help="no pictures (they need the extra `plot`)")
@click.option("-o", "--output", type=FOLDER, required=True, help="folder of report and plots")
def report(results, structures, against, division, no_plots, output):
    """Report and plots from RESULTS: folders of `bench bbob`, or CSV files of that kind.

    Where two of them hold the same run, the later one counts.
    """
    from .bbob import Task, read

    every = [r for p in results for r in read(p / "results.csv" if p.is_dir() else p)]
    rows = list({tuple(r[k] for k in Task._fields): r for r in every}.values())
    solvers = dict.fromkeys(row["solver"] for row in rows)
    own_solvers = [f"structes-{s}" for s in structures] or [s for s in solvers if "structes" in s]
    against = against or [name for name in solvers if name not in own_solvers]
    for name in [*own_solvers, *against]:
        if name not in solvers:
            raise click.UsageError(f"no run of {name!r}; there are: {', '.join(solvers)}")
    _report(rows, own_solvers, against, output, not no_plots, division)


@click.command()
@_problem_options("5,10", "1,2,6,8,10,13,15,20", "1-3")
@click.option("--structure", default="dense", show_default=True)
@click.option("--switches", callback=names, default="", help="default: all")
@_output("runs/ablation")
def ablation(structure, switches, output, **problems):
    """The default update beside each of its switches turned off or changed.

    Ratios are the switch / the default: above 1 the default needs fewer evaluations.
    """
    from .ablation import SWITCHES, lines, solvers

    table = {switch.name: switch for switch in SWITCHES}
    check(switches, known("switch", table))
    selected = [table[name] for name in switches or table]
    rows = _run(solvers(structure, selected), problems, output, "ablation", None)
    text = "\n".join(lines(rows, structure, selected))
    (output / "report.txt").write_text(text + "\n", encoding="utf-8")
    click.echo(visible(text))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.argument("target", type=click.Path(path_type=Path))
def keep(folder, target):
    """Keep the results in FOLDER as reference: TARGET.csv, and how they were made, TARGET.yaml."""
    from ..kept import keep

    try:
        keep(folder, target)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    click.echo(f"kept in {target}.csv and {target}.yaml")


@click.command()
@click.option("--results", type=FOLDER, default="structes/bench/results", show_default=True)
@click.option("--readme", type=FILE, default="README.md", show_default=True)
def tables(results, readme):
    """Make the tables in a README anew from kept results, between <!-- bench:NAME --> marks."""
    from ..kept import with_tables

    old = readme.read_text(encoding="utf-8")
    try:
        new = with_tables(old, results)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    readme.write_text(new, encoding="utf-8")
    click.echo(f"{readme}: {'nothing changed' if new == old else 'tables made anew'}")


# -- what the commands share ----------------------------------------------------------------------


def _run(solvers, problems, output, command, coco):
    """Rows of all solvers on all problems, run where they are not in the output folder yet."""
    from ..provenance import note
    from ..solvers import check as check_solver
    from ..tasks import Failed
    from .bbob import Task, run

    dims = problems["dims"]
    check(solvers, lambda name: check_solver(name, dims[0]))
    tasks = [
        Task(solver, problems["suite"], f, i, d, problems["budget"] * d)
        for d in dims
        for f in problems["functions"]
        for i in problems["instances"]
        for solver in solvers
    ]
    context = click.get_current_context()
    note(output / "made.yaml", _words(command, context.params))
    try:
        with interruptible(output), bar(command) as show:
            return run(tasks, output / "results.csv", problems["jobs"], show, coco)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except Failed as error:
        raise click.ClickException(str(error)) from None


def _words(command, params) -> str:
    """The command line that says what is run, without folders and processes."""
    words = ["structes", "bench", command]
    for key, value in params.items():
        if value and not isinstance(value, (Path, bool)) and key != "jobs":
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            words += [f"--{key}", text]
    return shlex.join(words)


def _report(rows, own_solvers, against, output, plots, division="group"):
    from .figures import draw
    from .report import report

    pairs = [(a, b) for a in own_solvers for b in against if a != b]
    output.mkdir(parents=True, exist_ok=True)
    text = "\n".join(report(rows, pairs, ("group", "function")))
    (output / "report.txt").write_text(text + "\n", encoding="utf-8")
    click.echo(visible("\n".join(report(rows, pairs, (division,))), 10**7))
    click.echo(f"\nwritten: {output / 'report.txt'}")
    if plots:
        for path in draw(rows, [*own_solvers, *against], output):
            click.echo(f"written: {path}")
