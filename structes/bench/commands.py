"""`structes bench …`: what the bench measures, from the shell."""

from __future__ import annotations

from contextlib import contextmanager
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
        if not numbers or min(numbers) < 1:
            raise ValueError
        return numbers
    except ValueError:
        expected = "must be positive numbers and ranges as in 1-5,8"
        raise click.BadParameter(f"{expected}; got {text!r}") from None


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
    from ..structures import build_structure
    from .bbob import Task, compare, run

    _check(structures, lambda name: build_structure(name, 4))
    _check(against, _check_peer)
    ours = [f"structes-{name}" for name in structures]
    tasks = [
        Task(solver, suite, f, i, d, budget * d)
        for d in dims
        for f in functions
        for i in instances
        for solver in ours + against
    ]
    with _bar("bbob") as report:
        rows = run(tasks, output, jobs, report)
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


def _check(names, build):
    """Stop with a line that names the wrong one, where `build` of a name refuses it."""
    for name in names:
        try:
            build(name)
        except (ValueError, KeyError) as error:
            raise click.UsageError(error.args[0]) from None


def _check_peer(name):
    PEERS.parse(name)
    PEERS.resolve(name)


@bench.command()
@click.option("--structures", callback=_names, default="", help="default: all")
@click.option("--dims", default="1000,10000,100000,1000000", callback=_numbers, show_default=True)
@click.option("--popsize", default=32, type=click.IntRange(min=2), show_default=True)
def scaling(structures, dims, popsize):
    """Seconds and peak memory of a generation against the dimension, and their exponents.

    One process at a time for each structure and dimension. floor: seconds for drawing the normals
    alone; x floor: how many times that; arrays: peak of all arrays, in GB and in units of a
    population (8 bytes · popsize · d); resident: growth of resident memory. Structures that keep
    d² numbers stop at d = 3000. The exponents are least-squares slopes of logarithms; that of
    `x floor` has 1 added, for the floor is linear: a busy machine changes it least. Set
    OPENBLAS_NUM_THREADS=1 for one core.
    """
    from ..examples import example
    from ..structures import build_structure
    from . import scaling

    specs = {name: scaling.VARIANTS.get(name, name) for name in structures}
    _check(specs, lambda name: build_structure(example(specs[name], 50), 50))
    heads = ("dof", "seconds", "floor", "x floor", "arrays", "units", "resident")
    click.echo(f"{'structure':24} {'d':>8}" + "".join(f"{h:>10}" for h in heads))
    table = {}
    for name in structures or scaling.names():
        for d in sorted({min(d, scaling.largest(name)) for d in dims}):
            try:
                row = scaling.measure(name, d, popsize)
            except RuntimeError as error:
                click.echo(f"skipped: {error}", err=True)
                continue
            table.setdefault(name, []).append(row)
            click.echo(
                f"{name:24} {d:8d}{row.dof:10d}{row.seconds:10.4g}{row.floor:10.4g}"
                f"{row.seconds / row.floor:10.2f}{row.arrays / 1e9:10.4g}{row.units:10.2f}"
                f"{row.resident / 1e9:10.4g}"
            )
    click.echo(f"\n{'exponents against d':24} {'seconds':>10} {'x floor':>10} {'arrays':>10}")
    for name, rows in table.items():
        d = [row.d for row in rows]
        slopes = (
            scaling.exponent(d, [row.seconds for row in rows]),
            1 + scaling.exponent(d, [row.seconds / row.floor for row in rows]),
            scaling.exponent(d, [row.arrays for row in rows]),
        )
        words = "".join(f" {slope:10.2f}" for slope in slopes)
        click.echo(f"{name:24}{words}   d = {d[0]} … {d[-1]}")


@bench.command("structures")
@click.option("--structures", callback=_names, default="", help="default: all smaller than dense")
@click.option("--dims", default="40,200", callback=_numbers, show_default=True)
@click.option("--seeds", default="3,1", callback=_numbers, help="for each of dims; default: 3,1")
@click.option("--cap", default=5000, show_default=True, help="evaluations / dimension")
@click.option("--peer-cap", default=2000, show_default=True, help="the same for the peers")
@click.option("--against", default="pycma,pycma-sep,pycma-vkd", callback=_names, show_default=True)
@click.option("--jobs", default=2, show_default=True, help="processes")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default="runs/structures.csv",
    show_default=True,
    help="results; existing rows are kept and not run again",
)
def structures_(structures, dims, seeds, cap, peer_cap, against, jobs, output):
    """Evaluations to 1e-9 on quadratics that each structure fits, and on one that it does not.

    For every structure: itself, diagonal, dense and the peers, on objectives whose inverse Hessian
    is a random covariance of that structure with condition 1e6, and on a randomly rotated
    ellipsoid of the same condition. Same objectives, starts and sigma0 for all; no restarts.
    """
    from ..examples import example
    from ..structures import build_structure
    from . import families

    _check(structures, lambda name: [build_structure(example(name, d), d) for d in dims])
    _check(against, _check_peer)
    structures = structures or families.smaller(dims[0])
    tasks = families.tasks_of(structures, against, dims, seeds, cap, peer_cap)
    with _bar("structures") as report:
        rows = families.run(tasks, output, jobs, report)
    for line in families.lines(rows, structures, against, dims):
        click.echo(line)


@contextmanager
def _bar(title):
    """A progress bar on stderr: gives the function of (done, total) that moves it."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)
