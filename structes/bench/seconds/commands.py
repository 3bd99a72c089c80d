"""`structes bench overhead`, `scaling`, `throughput` and `workers`: seconds of a generation."""

from __future__ import annotations

import click

from ..shell import bar, check, known, names, not_negative, numbers
from .gpu_commands import on_device, opened


@click.command()
@click.option("--dims", default="10,100,1000", callback=numbers, show_default=True)
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


@click.command()
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
    from ...structures.building import build_structure
    from ...structures.random_elements import example
    from . import scaling

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


@click.command()
@click.option("--populations", default="16,256,4096", callback=numbers, show_default=True)
@click.option("--costs", default="0,1,20", callback=not_negative, show_default=True, help="in ms")
@click.option("--workers", default=2, type=click.IntRange(min=1), show_default=True)
@click.option("--solvers", default="", callback=names, help="default: all")
@click.option("--repeats", default=5, type=click.IntRange(min=1), show_default=True, help="least")
@click.option("--seconds", default=60.0, show_default=True, help="at most for a cell, or 1 repeat")
@click.option("--limit", default=5.0, show_default=True, help="leave out cells of longer ideal, s")
@click.option("--spin", is_flag=True, help="evaluations that use the CPU instead of sleeping")
def throughput(populations, costs, workers, solvers, repeats, seconds, limit, spin):
    """How much longer than ideal a generation takes, beside other schedulers.

    Seconds of a generation over cost·population/workers, and milliseconds where evaluations cost
    nothing; the smallest of interleaved repetitions. floor: what an evaluation takes alone, over
    what it is asked to take. evotorch: its scheme (an actor pool with a piece for each actor;
    -single: for each candidate), not EvoTorch itself.
    """
    from . import throughput

    check(solvers, known("solver", throughput.SOLVERS))
    solvers = solvers or list(throughput.SOLVERS)
    absent = throughput.missing(solvers)
    for name, line in absent.items():
        click.echo(f"skipped: {name} needs a package that is not installed: {line}", err=True)
    solvers = [name for name in solvers if name not in absent]
    cells, too_long = throughput.cells_of(populations, costs, workers, limit)
    for population, cost in too_long:
        ideal = throughput.ideal(population, cost, workers)
        click.echo(
            f"skipped: {population} × {cost:g} ms takes {ideal:.0f} s at best; --limit {ideal:.0f}"
            " runs it",
            err=True,
        )
    with bar("throughput") as show:
        results = throughput.measure(cells, workers, solvers, repeats, seconds, spin, show)
        results = list(results)
    kind = "spin" if spin else "sleep"
    click.echo(f"generation / ideal, {workers} workers that {kind}, d = {throughput.D}")
    for line in throughput.lines(results, workers, solvers):
        click.echo(line)
    if not spin and workers == 2:
        for line in ["", *throughput.goals(results, workers)]:
            click.echo(line)


@click.command()
@click.option("--workers", default="2,16", callback=numbers, show_default=True)
@click.option("--kinds", default="process,ray", callback=names, show_default=True)
@click.option("--costs", default="20,1000", callback=not_negative, show_default=True)
def workers(workers, kinds, costs):
    """What a call of a worker costs the driver, and how many workers it can keep busy.

    Milliseconds of a call, measured with so many workers whose function costs nothing; then, for
    evaluations of so many ms, the number of workers with which the driver spends half of its time
    on calls (help(structes.bench.seconds.calls)). More are of use, but less and less.
    """
    from . import calls, throughput

    check(kinds, known("kind of workers", dict.fromkeys(calls.KINDS)))
    absent = throughput.missing(kinds)
    for name, line in absent.items():
        click.echo(f"skipped: {name} needs a package that is not installed: {line}", err=True)
    kinds = [kind for kind in kinds if kind not in absent]
    with throughput.ray_for(max(workers) if "ray" in kinds else 0):
        rows = [calls.measure(kind, n) for kind in kinds for n in workers]
    for line in calls.lines(rows, costs):
        click.echo(line)
