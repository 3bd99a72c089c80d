"""`structes bench …`: what the bench measures, from the shell."""

from __future__ import annotations

from pathlib import Path

import click

from . import PEERS


@click.group()
def bench():
    """Measure structes beside its peers, in one run."""


@bench.command("list")
def list_():
    """List the solvers that --against and --structures know."""
    for name in PEERS:
        click.echo(f"{name:12} {(PEERS[name].__doc__ or '').splitlines()[0]}")
    click.echo("structes-X   structes with structure X (see: structes list structures)")


def _numbers(ctx, param, text):
    """ "1-5,8" as [1, 2, 3, 4, 5, 8]."""
    try:
        numbers = []
        for part in text.split(","):
            first, _, last = part.partition("-")
            numbers += range(int(first), int(last or first) + 1)
        return numbers
    except ValueError:
        raise click.BadParameter(f"must be numbers and ranges as in 1-5,8; got {text!r}") from None


def _names(ctx, param, text):
    return [name for name in text.split(",") if name]


@bench.command()
@click.option("--suite", default="bbob", show_default=True, help="a COCO suite")
@click.option("--dims", default="5,10", callback=_numbers, show_default=True)
@click.option("--functions", default="1-24", callback=_numbers, show_default=True)
@click.option("--instances", default="1-3", callback=_numbers, show_default=True)
@click.option("--budget", default=1000, show_default=True, help="evaluations / dimension")
@click.option("--structures", default="dense", callback=_names, show_default=True)
@click.option("--against", default="pycma", callback=_names, show_default=True)
@click.option("--jobs", default=2, show_default=True, help="processes")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default="runs/bbob.csv",
    show_default=True,
    help="results; existing rows are kept and not run again",
)
def bbob(suite, dims, functions, instances, budget, structures, against, jobs, output):
    """Evaluations to reach targets 1e1 … 1e-7, same starts, restarts and budget for all.

    Prints, for each structure, peer and dimension, the geometric mean of the ratio of evaluations
    over all (function, instance, target) that both reached, below 1 is better than the peer, the
    shares of targets reached, and the ratio of CPU time an evaluation.
    """
    from rich.console import Console
    from rich.progress import Progress

    from ..structures import build_structure
    from .bbob import Task, compare, run

    try:
        for name in structures:
            build_structure(name, 4)
        for name in against:
            PEERS.parse(name)
            PEERS._resolve(name)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    ours = [f"structes-{name}" for name in structures]
    tasks = [
        Task(solver, suite, f, i, d, budget * d)
        for d in dims
        for f in functions
        for i in instances
        for solver in ours + against
    ]
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("bbob", total=None)
        rows = run(
            tasks,
            output,
            jobs,
            lambda done, total: progress.update(bar, completed=done, total=total),
        )
    click.echo("ratio: evaluations, geometric mean over targets both reached; below 1: fewer")
    click.echo(f"{'structure':12} {'against':12} {'d':>3}  ratio  pairs  solved (peer)   cpu")
    for name in structures:
        for peer in against:
            for d in [*dims, None] if len(dims) > 1 else dims:
                c = compare(rows, f"structes-{name}", peer, lambda r, d=d: d in (None, r["d"]))
                click.echo(
                    f"{name:12} {peer:12} {d or 'all':>3}  {c.ratio:5.3f}  {c.pairs:5d}  "
                    f"{c.solved:5.3f} ({c.solved_other:5.3f})  {c.seconds:5.2f}"
                )


@bench.command()
@click.option("--dims", default="10,100,1000", callback=_numbers, show_default=True)
@click.option("--seconds", default=2.0, show_default=True, help="time for each row")
def overhead(dims, seconds):
    """Milliseconds a generation (ask, tell, stop) beside peers and the floor, on one core.

    Floor: drawing the normals of a generation, and for full matrices one product of them with a
    d×d matrix. Every line is the smallest of interleaved repetitions, so a busy machine harms all
    alike. Set OPENBLAS_NUM_THREADS=1 for one core.
    """
    from .overhead import measure

    click.echo(f"{'d':>5} {'kind':10} {'solver':12} {'ms':>9}  structes/this")
    for row in measure(dims, seconds):
        click.echo(f"{row.d:5d} {row.kind:10} {row.name:12} {row.ms:9.3f}  {row.ratio:6.2f}")
