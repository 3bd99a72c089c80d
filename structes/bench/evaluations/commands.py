"""`structes bench structures`, `noise`, `choices`, `alarms`, `steady`, `rounding` and
`trust-region`: evaluations on own objectives."""

from __future__ import annotations

import click

from ..shell import (
    check,
    jobs_option,
    known,
    names,
    not_negative,
    numbers,
    radii,
    rows_option,
    run_and_print,
)
from ..solvers import check as check_solver

FUNCTIONS = click.option("--functions", default="sphere,ellipsoid,rosenbrock", callback=names)
SEEDS = click.option("--seeds", default=3, type=click.IntRange(min=1), show_default=True)


@click.command()
@click.option("--structures", callback=names, default="", help="default: all smaller than dense")
@click.option("--dims", default="40,200", callback=numbers, show_default=True)
@click.option("--seeds", default="3,1", callback=numbers, help="for each of dims; default: 3,1")
@click.option("--cap", default=5000, show_default=True, help="evaluations / dimension")
@click.option("--peer-cap", default=2000, show_default=True, help="the same for the peers")
@click.option("--against", default="pycma,pycma-sep,pycma-vkd", callback=names, show_default=True)
@jobs_option
@rows_option("runs/structures.csv")
def structures(structures, dims, seeds, cap, peer_cap, against, jobs, output):
    """Evaluations to 1e-9 on quadratics that each structure fits, and on one that it does not.

    For every structure: itself, diagonal, dense and the peers, on objectives whose inverse Hessian
    is a random covariance of that structure with condition 1e6, and on a randomly rotated
    ellipsoid of the same condition. Same objectives, starts and sigma0 for all; no restarts.
    """
    from ...structures.building import build_structure
    from ...structures.random_elements import example
    from . import families

    check(structures, lambda name: [build_structure(example(name, d), d) for d in dims])
    check(against, lambda name: check_solver(name, dims[0]))
    structures = structures or families.smaller(dims[0])
    tasks = families.tasks_of(structures, against, dims, seeds, cap, peer_cap)
    run_and_print("structures", families, tasks, output, jobs, structures, against, dims)


@click.command()
@FUNCTIONS
@click.option("--dims", default="5,20", callback=numbers, show_default=True)
@click.option(
    "--strengths", default="0,0.1,1,10", callback=not_negative, show_default=True, help="of noise"
)
@SEEDS
@click.option("--budget", default=1000, show_default=True, help="evaluations / dimension")
@jobs_option
@rows_option("runs/noise.csv")
def noise(functions, dims, strengths, seeds, budget, jobs, output):
    """True value at the mean when values are noisy: ours with and without noise="auto", and peers.

    Additive normal noise of constant standard deviation; cmaes with lr_adapt, pycma with its
    NoiseHandler. With strength 0, what being prepared for noise costs where there is none.
    """
    from . import noise

    check(functions, known("function", noise.FUNCTIONS))
    tasks = noise.tasks_of(functions, dims, strengths, seeds, budget)
    run_and_print("noise", noise, tasks, output, jobs)


@click.command()
@click.option("--cases", callback=names, default="", help="default: all")
@click.option("--seeds", default="1-20", callback=numbers, show_default=True, help="of problems")
@click.option("--budget", default=10_000, show_default=True, help="evaluations")
@jobs_option
@rows_option("runs/choices.csv")
def choices(cases, seeds, budget, jobs, output):
    """Choices among options, with and without numbers beside them: ours and cmaes.CatCMAwM.

    Choices that are separable, that act together in pairs or in a chain, and whose options move
    the optimum of the numbers. How many first runs find the best options and numbers, how many do
    with restarts in the budget, and the expected running times.
    """
    from . import choices

    check(cases, known("case", choices.CASES))
    tasks = choices.tasks_of(cases or choices.CASES, seeds, budget)
    run_and_print("choices", choices, tasks, output, jobs)


@click.command()
@click.option("--functions", default="", callback=names, help="default: all")
@click.option("--dims", default="2,5,10,20", callback=numbers, show_default=True)
@click.option("--seeds", default=20, type=click.IntRange(min=1), show_default=True)
@click.option("--budget", default=500, show_default=True, help="evaluations / dimension")
@jobs_option
@rows_option("runs/alarms.csv")
def alarms(functions, dims, seeds, budget, jobs, output):
    """How often structure="auto" and noise="auto" raise an alarm where there is nothing.

    Functions without noise, of which it is known whether they are separable, and values that are
    random numbers.
    """
    from . import alarms

    check(functions, known("function", alarms.FUNCTIONS))
    tasks = alarms.tasks_of(functions or alarms.FUNCTIONS, dims, seeds, budget)
    run_and_print("alarms", alarms, tasks, output, jobs)


@click.command()
@click.option("--dims", default="10,20", callback=numbers, show_default=True)
@click.option("--workers", default="1,4,16,64", callback=numbers, show_default=True)
@FUNCTIONS
@click.option("--solvers", default="", callback=names, help="default: all")
@SEEDS
@click.option("--cap", default=2000, show_default=True, help="evaluations / dimension")
@jobs_option
@rows_option("runs/steady.csv")
def steady(dims, workers, functions, solvers, seeds, cap, jobs, output):
    """Workers that never wait beside synchronous generations, in simulated time.

    Workers of unequal speed evaluate for unequally long; nobody sleeps. Ours asked for a candidate
    whenever one is free, with late values counted in four ways (steady: the default), beside
    generations that wait for all values, ours (sync) and pycma's; each at the default popsize, and
    at one candidate for each worker where those are more.
    """
    from . import steady

    check(functions, known("function", steady.FUNCTIONS))
    check(solvers, known("solver", steady.SOLVERS))
    tasks = steady.tasks_of(functions, dims, workers, seeds, solvers or steady.SOLVERS, cap)
    run_and_print("steady", steady, tasks, output, jobs)


@click.command()
@click.option("--dims", default="1,2,3,5,10,40", callback=numbers, show_default=True)
@click.option("--repeats", default=200, type=click.IntRange(min=1), show_default=True)
def rounding(dims, repeats):
    """How well candidates are recognised that come back rounded.

    Candidates of a search under way come back in random order, each coordinate moved by at most r
    standard deviations: the share that is recognised, that is mistaken for another candidate, and
    of points that nobody asked the share that is taken for a candidate.
    """
    from .rounding import measure

    click.echo(f"{'d':>4} {'r':>8} {'recognised':>11} {'mistaken':>9} {'strangers':>10}")
    for row in measure(dims, repeats=repeats):
        click.echo(
            f"{row.dim:4d} {row.rounding:8g} {row.recognised:11.4f} {row.mistaken:9.4f} "
            f"{row.strangers:10.4f}"
        )


@click.command("trust-region")
@click.option("--radii", default="0.5,1,2,inf", callback=radii, show_default=True)
@click.option("--structure", default="dense", show_default=True)
@click.option("--dims", default="5,10,20", callback=numbers, show_default=True)
@click.option(
    "--multiples",
    default="0,2,6,10,20,40",
    callback=not_negative,
    show_default=True,
    help="popsize / dimension; 0: the default popsize",
)
@click.option("--functions", default="", callback=names, help="default: all")
@click.option("--seeds", default="1-3", callback=numbers, show_default=True)
@click.option("--cap", default=3000, show_default=True, help="generations")
@click.option(
    "--injected",
    type=click.IntRange(0, 90),
    default=0,
    show_default=True,
    help="percent of the user's own points",
)
@jobs_option
@rows_option("runs/trust-region.csv")
def trust_region(radii, structure, dims, multiples, functions, seeds, cap, injected, jobs, output):
    """How far a step may go: evaluations with one radius of the trust region beside another.

    Without restarts, with the default popsize and with many candidates a generation, on unimodal
    and on multimodal functions; ratios are a radius / the first one. How often steps were
    shortened stands beside. With --injected some candidates are replaced by points far away.
    """
    from . import trust_region

    functions = functions or trust_region.FUNCTIONS
    check(functions, known("function", trust_region.FUNCTIONS))
    tasks = trust_region.tasks_of(
        radii, structure, functions, dims, list(map(int, multiples)), seeds, cap, injected
    )
    run_and_print("trust-region", trust_region, tasks, output, jobs)
