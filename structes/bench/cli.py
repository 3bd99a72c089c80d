"""`structes bench …`: what the bench measures, from the shell."""

from __future__ import annotations

from pathlib import Path

import click

from ..terminal.output import visible
from . import PEERS
from .evaluations.commands import ablation, bbob, keep, report, tables
from .seconds.commands import throughput, workers
from .seconds.gpu_commands import gpu, on_device, opened
from .shell import bar, check, interruptible, known, names, numbers
from .solvers import check as check_solver
from .trust.commands import faults, wire


@click.group()
def bench():
    """Measure structes beside its peers, in one run."""


@bench.command("list")
def list_():
    """List the solvers that --against and --structures know."""
    for name in PEERS:
        click.echo(f"{name:14} {(PEERS[name].__doc__ or '').splitlines()[0]}")
    click.echo(
        "structes-X     structes with structure X (see: structes list structures), and with"
    )
    click.echo("               options of structes.ES: structes-X@popsize=20;tolx=1e-9")


for _command in (bbob, report, ablation, keep, tables, throughput, workers, faults, wire, gpu):
    bench.add_command(_command)


@bench.command()
@click.option("--dims", default="10,100,1000", callback=numbers, show_default=True)
@click.option("--seconds", default=2.0, show_default=True, help="time for each row")
def overhead(dims, seconds):
    """Milliseconds a generation (ask, tell, stop) beside peers and the floor, on one core.

    Floor: drawing the normals of a generation, and for full matrices one product of them with a
    d×d matrix. Every line is the smallest of interleaved repetitions, so a busy machine harms all
    alike. Set OPENBLAS_NUM_THREADS=1 for one core.
    """
    from .seconds.overhead import measure

    click.echo(f"{'d':>5} {'kind':10} {'solver':12} {'ms':>9}  structes/this")
    for row in measure(dims, seconds):
        click.echo(f"{row.d:5d} {row.kind:10} {row.name:12} {row.ms:9.3f}  {row.ratio:6.2f}")


@bench.command()
@click.option("--structures", callback=names, default="", help="default: all")
@click.option("--dims", default="1000,10000,100000,1000000", callback=numbers, show_default=True)
@click.option("--popsize", default=32, type=click.IntRange(min=2), show_default=True)
@on_device("numpy")
def scaling(structures, dims, popsize, backend, dtype):
    """Seconds and peak memory of a generation against the dimension, and their exponents.

    One process at a time for each structure and dimension. floor: seconds for drawing the normals
    alone; x floor: how many times that; arrays: peak of all arrays, in GB and in units of a
    population (8 bytes · popsize · d; 4 in float32); resident: growth of resident memory. On a
    device both are of CuPy's memory pool. Structures that keep d² numbers stop at d = 3000. The
    exponents are least-squares slopes of logarithms; that of `x floor` has 1 added, for the floor
    is linear: a busy machine changes it least. Set
    OPENBLAS_NUM_THREADS=1 for one core.
    """
    from ..structures.building import build_structure
    from ..structures.random_elements import example
    from .seconds import scaling

    specs = {name: scaling.VARIANTS.get(name, name) for name in structures}
    check(specs, lambda name: build_structure(example(specs[name], 50), 50))
    opened(backend, dtype)
    heads = ("dof", "seconds", "floor", "x floor", "arrays", "units", "resident")
    click.echo(f"{'structure':24} {'d':>8}" + "".join(f"{h:>10}" for h in heads))
    table = {}
    for name in structures or scaling.names():
        for d in sorted({min(d, scaling.largest(name)) for d in dims}):
            try:
                row = scaling.measure(name, d, popsize, backend, dtype)
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


@bench.command()
@click.option("--against", default="pycma,cmaes,nevergrad", callback=names, show_default=True)
@click.option("--only", callback=names, default="", metavar="ROW", help="default: all rows")
@click.option("--jobs", default=2, show_default=True, help="processes")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="YAML file that keeps it")
def behaviour(against, only, jobs, output):
    """What optimisers do in situations of a real tuning job: late values, NaN, bounds, resume, …

    Every cell is run, in a process of its own with a time limit, and says what happened and
    whether that is in order. Exit code 1 where not all of structes' are.
    """
    from . import kept as reference
    from .trust import behaviour

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
        behaviour.keep(output, table, reference.provenance(" ".join(words)))
    if not all(cell.ok for cell in table if cell.solver == "structes"):
        raise SystemExit(1)


@bench.command("noise")
@click.option("--functions", default="sphere,ellipsoid,rosenbrock", callback=names)
@click.option("--dims", default="5,20", callback=numbers, show_default=True)
@click.option("--strengths", default="0,0.1,1,10", show_default=True, help="of the noise")
@click.option("--seeds", default=3, type=click.IntRange(min=1), show_default=True)
@click.option("--budget", default=1000, show_default=True, help="evaluations / dimension")
@click.option("--jobs", default=2, show_default=True, help="processes")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default="runs/noise.csv",
    show_default=True,
    help="results; existing rows are kept and not run again",
)
def noise_(functions, dims, strengths, seeds, budget, jobs, output):
    """True value at the mean when values are noisy: ours with and without noise="auto", and peers.

    Additive normal noise of constant standard deviation; cmaes with lr_adapt, pycma with its
    NoiseHandler. With strength 0, what being prepared for noise costs where there is none.
    """
    from .evaluations import noise

    check(functions, known("function", noise.FUNCTIONS))
    try:
        levels = [float(word) for word in strengths.split(",")]
    except ValueError:
        levels = [-1.0]
    if min(levels) < 0:
        raise click.UsageError(f"--strengths must be numbers ≥ 0; got {strengths!r}")
    tasks = noise.tasks_of(functions, dims, levels, seeds, budget)
    with interruptible(output), bar("noise") as show:
        rows = noise.run(tasks, output, jobs, show)
    for line in noise.lines(rows):
        click.echo(visible(line))


@bench.command()
@click.option("--dims", default="10,20", callback=numbers, show_default=True)
@click.option("--workers", default="1,4,16,64", callback=numbers, show_default=True)
@click.option("--functions", default="sphere,ellipsoid,rosenbrock", callback=names)
@click.option("--solvers", default="", callback=names, help="default: all")
@click.option("--seeds", default=3, type=click.IntRange(min=1), show_default=True)
@click.option("--cap", default=2000, show_default=True, help="evaluations / dimension")
@click.option("--jobs", default=2, show_default=True, help="processes")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default="runs/steady.csv",
    show_default=True,
    help="results; existing rows are kept and not run again",
)
def steady(dims, workers, functions, solvers, seeds, cap, jobs, output):
    """Workers that never wait beside synchronous generations, in simulated time.

    Workers of unequal speed evaluate for unequally long; nobody sleeps. Ours asked for a candidate
    whenever one is free, with late values counted in four ways (steady: the default), beside
    generations that wait for all values, ours (sync) and pycma's; each at the default popsize, and
    at one candidate for each worker where those are more.
    """
    from .evaluations import steady

    check(functions, known("function", steady.FUNCTIONS))
    check(solvers, known("solver", steady.SOLVERS))
    tasks = steady.tasks_of(functions, dims, workers, seeds, solvers or steady.SOLVERS, cap)
    with interruptible(output), bar("steady") as show:
        rows = steady.run(tasks, output, jobs, show)
    for line in steady.lines(rows):
        click.echo(visible(line))


@bench.command()
@click.option("--dims", default="1,2,3,5,10,40", callback=numbers, show_default=True)
@click.option("--repeats", default=200, type=click.IntRange(min=1), show_default=True)
def rounding(dims, repeats):
    """How well candidates are recognised that come back rounded.

    Candidates of a search under way come back in random order, each coordinate moved by at most r
    standard deviations: the share that is recognised, that is mistaken for another candidate, and
    of points that nobody asked the share that is taken for a candidate.
    """
    from .evaluations.rounding import measure

    click.echo(f"{'d':>4} {'r':>8} {'recognised':>11} {'mistaken':>9} {'strangers':>10}")
    for row in measure(dims, repeats=repeats):
        click.echo(
            f"{row.dim:4d} {row.rounding:8g} {row.recognised:11.4f} {row.mistaken:9.4f} "
            f"{row.strangers:10.4f}"
        )


@bench.command("structures")
@click.option("--structures", callback=names, default="", help="default: all smaller than dense")
@click.option("--dims", default="40,200", callback=numbers, show_default=True)
@click.option("--seeds", default="3,1", callback=numbers, help="for each of dims; default: 3,1")
@click.option("--cap", default=5000, show_default=True, help="evaluations / dimension")
@click.option("--peer-cap", default=2000, show_default=True, help="the same for the peers")
@click.option("--against", default="pycma,pycma-sep,pycma-vkd", callback=names, show_default=True)
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
    from ..structures.building import build_structure
    from ..structures.random_elements import example
    from .evaluations import families

    check(structures, lambda name: [build_structure(example(name, d), d) for d in dims])
    check(against, lambda name: check_solver(name, dims[0]))
    structures = structures or families.smaller(dims[0])
    tasks = families.tasks_of(structures, against, dims, seeds, cap, peer_cap)
    with interruptible(output), bar("structures") as show:
        rows = families.run(tasks, output, jobs, show)
    for line in families.lines(rows, structures, against, dims):
        click.echo(visible(line))
