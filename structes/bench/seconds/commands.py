"""`structes bench throughput` and `structes bench workers`: generations with many workers."""

from __future__ import annotations

from functools import partial

import click

from ..shell import bar, check, known, names, numbers


def milliseconds(ctx, param, text):
    """ "0,1,20" as [0.0, 1.0, 20.0]."""
    try:
        found = [float(part) for part in text.split(",")]
        if not all(0 <= value < 1e9 for value in found):
            raise ValueError
    except ValueError:
        expected = "must be numbers ≥ 0, as in 0,1,20"
        raise click.BadParameter(f"{expected}; got {text!r}") from None
    return list(dict.fromkeys(found))


@click.command()
@click.option("--populations", default="16,256,4096", callback=numbers, show_default=True)
@click.option("--costs", default="0,1,20", callback=milliseconds, show_default=True, help="in ms")
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
        found = throughput.measure(cells, workers, solvers, repeats, seconds, spin, show)
        found = list(found)
    kind = "spin" if spin else "sleep"
    click.echo(f"generation / ideal, {workers} workers that {kind}, d = {throughput.D}")
    for line in throughput.lines(found, workers, solvers):
        click.echo(line)
    if not spin and workers == 2:
        for line in ["", *throughput.goals(found, workers)]:
            click.echo(line)


@click.command()
@click.option("--workers", default="10,100,1000,10000", callback=numbers, show_default=True)
@click.option("--costs", default="1,20,1000,60000", callback=milliseconds, show_default=True)
@click.option(
    "--ratios", default="4,1", callback=numbers, show_default=True, help="popsize/worker"
)
@click.option("--kinds", default="process,ray", callback=names, show_default=True)
@click.option("--dim", default=100, type=click.IntRange(min=1), show_default=True)
@click.option("--spread", default=0.5, type=click.FloatRange(min=0), show_default=True)
@click.option("--bandwidth", default=1.0, show_default=True, help="of the driver's network, Gb/s")
@click.option("--try", "trial", default="2,4,8", callback=numbers, help="workers; default: 2,4,8")
def workers(workers, costs, ratios, kinds, dim, spread, bandwidth, trial):
    """Seconds of a generation for up to 10000 workers, calculated from what calls cost here.

    First what was measured on this machine, and predictions for a few workers beside their
    measurement. Then, for evaluations of so many ms (log-normal, of the given spread) and points
    that are sent: seconds with ask and tell, efficiency (cost·popsize/workers over that), the
    driver's busy share, and what limits: the part without which a generation would be shortest,
    and what it takes of it. calls: the driver's time for them, waiting for answers, and spans made
    longer for their sake; stragglers: unequal durations; bytes: the points' way over the network.
    Processes are those of one machine, 100 at most.
    """
    from . import call_costs, prediction, throughput

    check(kinds, known("kind of workers", dict.fromkeys(prediction.KINDS)))
    if bandwidth <= 0 or 0 in costs:
        raise click.UsageError("--bandwidth and --costs must be positive")
    for name, line in throughput.missing(kinds).items():
        click.echo(f"skipped: {name} needs a package that is not installed: {line}", err=True)
        kinds.remove(name)
    popsizes = sorted({ratio * n for ratio in ratios for n in workers})
    updates = {n: call_costs.update_seconds(dim, n) for n in popsizes}
    taken = {s: throughput.alone(partial(throughput.sleep, s)) for s in (1e-3, 20e-3)}
    measured, checks = {}, []
    with throughput.ray_for(max(trial) if "ray" in kinds else 0):
        for kind in kinds:
            measured[kind] = call_costs.measure_costs(kind)
            checks += call_costs.validate(kind, measured[kind], trial, taken)
    text = [*prediction.constants_lines(measured, dim, updates), ""]
    text += prediction.check_lines(checks)
    for line in text:
        click.echo(line)
    for kind, constants in measured.items():
        here = [n for n in workers if kind != "process" or n <= prediction.LOCAL]
        network = {"size": 8.0 * dim}
        if kind != "process":
            network["bandwidth"] = bandwidth * 1e9 / 8
        rows = [
            prediction.predict(
                1e-3 * cost, n, ratio * n, constants, updates[ratio * n], spread, **network
            )
            for cost in costs
            for ratio in ratios
            for n in here
        ]
        for line in ["", f"{kind}, d = {dim}", *prediction.prediction_lines(rows)]:
            click.echo(line)
        for cost in costs:
            found = prediction.enough(
                1e-3 * cost, ratios[0], constants, updates, spread=spread, **network
            )
            click.echo(prediction.enough_line(found, 1e-3 * cost, ratios[0]))
