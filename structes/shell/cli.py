"""The command line: run, list, show, draw, and the bench where its packages are installed.

Thin on purpose: a command turns words into arguments, calls one function, and prints what comes
back. Results go to stdout, everything else to stderr. What a user can get wrong ends in one line
that says so, and in an exit code that scripts can read. Heavy imports wait inside the commands, so
that `structes --help` is there at once.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import click

from ..files.writes import NotWritten
from ..naming.error_text import nearest
from ..terminal import interrupts
from ..terminal.commands import (
    EXIT_FAILED,
    EXIT_MISSED,
    EXIT_USAGE,
    CommandError,
    CommandGroup,
    LazyCommand,
)
from ..terminal.output import protect, visible, was_cut_off
from ..version import __version__
from .tables import LISTS, best_lines, print_run, print_table, result_table, runs_table


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="structes %(version)s")
def cli() -> None:
    """Evolution strategies whose covariance has the structure you choose.

    \b
    structes run quickstart                            four benchmark functions, recorded
    structes run --problem rosenbrock --dim 20         any function, from flags alone
    structes run --problem my_module:f --dim 5         a function of your own
    structes show                                      what came out of the latest run
    structes resume                                    go on with it
    structes draw block_upper                          a picture of a structure
    """


@cli.command(no_args_is_help=True)
@click.argument("config", required=False)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set a config key.")
@click.option("--problem", multiple=True, help="Name, bbob:f10:i3 or module:function; repeatable.")
@click.option("--dim", metavar="N", help="Number of parameters.")
@click.option("--structure", help="Structure of the covariance: `structes list structures`.")
@click.option("--engine", help="The update: default, cma, xnes or natural.")
@click.option("--backend", metavar="NAME", help="cupy: the search is on the GPU.")
@click.option("--dtype", metavar="NAME", help="Of candidates: float64, or float32.")
@click.option("--seed", metavar="N", help="Same seed, same run; default: a random one.")
@click.option("--popsize", metavar="N", help="Candidates a generation; default: 4 + 3 ln(dim).")
@click.option("--restarts", metavar="NAME", help="ipop or bipop: start anew when a run has ended.")
@click.option("--x0", metavar="X,X,…", help="Start, a number for each; default: the problem's.")
@click.option("--sigma0", metavar="S", help="Initial standard deviation: S, or S,S,… for each.")
@click.option("--workers", metavar="N|NAME", help="Evaluate by N processes, or by ray.")
@click.option("--address", metavar="A", help="Of a Ray cluster: host:port or ray://host:port.")
@click.option("--timeout", metavar="S", help="Seconds that an evaluation may take, with workers.")
@click.option("--mode", metavar="NAME", help="steady: no worker waits for another.")
@click.option("--max-evaluations", metavar="N", help="Never evaluate more often, each problem.")
@click.option("--target", metavar="F", help="Stop at a value this low.")
@click.option("--target-error", metavar="E", help="Stop this close to the known minimum.")
@click.option("--name", help="Name of the run; default: that of the config or the problem.")
@click.option("--runs", default="runs", metavar="DIR", help="Where to record; default: runs.")
@click.option("--trust", is_flag=True, help="Import what a run names that is not yours.")
@click.option("--require-target", is_flag=True, help="Exit with 3 if a target is missed.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@click.pass_context
def run(
    ctx: click.Context,
    config: str | None,
    settings: tuple[str, ...],
    runs: str,
    trust: bool,
    require_target: bool,
    quiet: bool,
    **flags: Any,
) -> None:
    """Search the minima of problems, and record it.

    CONFIG is the name of a config (`structes list configs`), the path of a YAML file, or a run
    that was recorded (its folder, its name, or `latest`), which is repeated. Its keys can be
    changed by --set (structure.k=5 reaches into a section) and by the other options; with
    --problem no CONFIG is needed.

    Ctrl-C ends the run with the best so far, and so does the signal TERM. What becomes of the
    output ends nothing: where a pipe is closed the run goes on quietly.

    \b
    Exit codes: 0 ended normally          3 a target was missed (--require-target)
                1 a function failed,    130 interrupted (143 by the signal TERM,
                  or a file                 129 by HUP)
                2 wrong usage
    """
    from ..runs.plan import LoadError
    from ..runs.running import run_experiment
    from .flags import experiment_of

    try:
        if not runs:
            raise ValueError("--runs needs the name of a folder; got ''")
        experiment = experiment_of(config, settings, flags, runs, trust)
        if require_target and experiment.target_error is experiment.stopping.target is None:
            raise ValueError("--require-target needs a target or a target_error")
        record = run_experiment(experiment, runs, progress=not quiet)
    except NotWritten as error:
        raise _not_written(error) from error
    except (ValueError, TypeError, OverflowError) as error:
        raise CommandError(error, EXIT_USAGE) from error
    except (LoadError, OSError, MemoryError) as error:
        raise CommandError(error) from error
    missed = any("target" not in e.get("stop", {}) for e in record.result["problems"])
    ctx.exit(_report(record) or (EXIT_MISSED if require_target and missed else 0))


@cli.command()
@click.argument("run", default="latest")
@click.option("--runs", default="runs", metavar="DIR", help="Where runs are; default: runs.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="When else to stop.")
@click.option("--max-evaluations", metavar="N", help="A larger budget, for each problem.")
@click.option("--target", metavar="F", help="Stop at a value this low.")
@click.option("--target-error", metavar="E", help="Stop this close to the known minimum.")
@click.option("--workers", metavar="N|NAME", help="Other workers than before.")
@click.option("--address", metavar="A", help="Of a Ray cluster.")
@click.option("--timeout", metavar="S", help="Seconds that an evaluation may take, with workers.")
@click.option("--trust", is_flag=True, help="Import what a run names that is not yours.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@click.pass_context
def resume(
    ctx: click.Context,
    run: str,
    runs: str,
    settings: tuple[str, ...],
    workers: str | None,
    address: str | None,
    timeout: str | None,
    trust: bool,
    quiet: bool,
    **flags: Any,
) -> None:
    """Go on with a run that was killed or interrupted, or that has used up its budget.

    RUN is a run's folder, its name inside runs/, or `latest`, which is the default. What comes out
    is to the bit what the run would have found by itself.

    A run that has ended goes on where --max-evaluations, or --set with any other stopping
    criterion, lets it: to the bits of a run that had this budget from the start. Its config.yaml
    then says so. Exit codes are those of `structes run`.

    What a run names as module:function is imported where you have run it yourself; else --trust.
    """
    from ..runs.config import coerce
    from ..runs.plan import LoadError
    from ..runs.reader import find_run, read_run
    from ..runs.resume import resume_experiment
    from ..runs.trust import check
    from .flags import find_local_modules, given_flags, pairs, workers_of

    try:
        changes = {**dict(pairs(settings)), **given_flags(flags)}
        seconds = coerce(timeout, "float | None", "--timeout")
        crew = workers_of(workers, address)
        previous = read_run(find_run(run, runs))
        check(previous.folder, previous.config, trust)
        find_local_modules(previous.config)
        record = resume_experiment(previous.folder, not quiet, crew, seconds, changes, trust)
    except NotWritten as error:
        raise _not_written(error) from error
    except (ValueError, TypeError, OverflowError) as error:
        raise CommandError(error, EXIT_USAGE) from error
    except (LoadError, OSError, MemoryError) as error:
        raise CommandError(error) from error
    if record.result["problems"] == previous.result["problems"]:
        hint = "structes resume --max-evaluations N goes on where a budget has ended it"
        click.echo(f"nothing was left to do ({hint}):", err=True)
    ctx.exit(_report(record))


@cli.command("list", short_help="What there is to name.")
@click.argument("kind", required=False, metavar="[WHAT]")
@click.option("--runs", default="runs", metavar="DIR", help="Where runs are; default: runs.")
def list_(kind: str | None, runs: str) -> None:
    """What there is to name: structures, engines, restarts, problems, configs; or all of these.

    `structes list runs` shows what was recorded, the latest run at the end.
    """
    names = [*LISTS, "runs"]
    if kind is not None and kind not in names:
        hint = f"{nearest(kind, names)}; known: {', '.join(names)}"
        raise CommandError(f"nothing to list under {kind!r}{hint}", EXIT_USAGE)
    if kind == "runs":
        try:
            columns, rows = runs_table(runs)
            if not rows:
                click.echo(f"no run is recorded in {runs!r} yet")
            print_table(columns, rows)
        except ValueError as error:
            raise CommandError(error, EXIT_USAGE) from error
        except OSError as error:
            raise CommandError(error) from error
        return
    for name in LISTS if kind is None else [kind]:
        print_table((name, ""), LISTS[name]())


@cli.command()
@click.argument("run", default="latest")
@click.option("--runs", default="runs", metavar="DIR", help="Where runs are; default: runs.")
@click.option(
    "--rows",
    default=5,
    type=click.IntRange(min=0),
    metavar="N",
    help="Rows of the log to show; default: 5.",
)
def show(run: str, runs: str, rows: int) -> None:
    """What a run was and what came out.

    RUN is a run's folder, its name inside runs/, or `latest`, which is the default.
    """
    from ..runs.reader import find_run, read_run

    try:
        print_run(read_run(find_run(run, runs)), rows)
    except ValueError as error:
        raise CommandError(error, EXIT_USAGE) from error
    except OSError as error:
        raise CommandError(error) from error


@cli.command(no_args_is_help=True)
@click.argument("structure")
@click.option(
    "--dim",
    default=24,
    type=click.IntRange(min=1),
    show_default=True,
    metavar="N",
    help="Number of parameters.",
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set a parameter.")
@click.option("--seed", default=1, show_default=True, metavar="N", help="Of the random element.")
@click.option("--output", "-o", metavar="FILE", help="PNG, SVG or PDF; default: STRUCTURE.png")
def draw(
    structure: str, dim: int, settings: tuple[str, ...], seed: int, output: str | None
) -> None:
    """Draw a structure: its factor B, the precision and the covariance of a random element.

    STRUCTURE is a name (`structes list structures`), a name with numbers (block_upper:k3), your
    own module:Class, or `all`, and then -o is a folder. What is not set has a typical size.
    """
    from ..report.structures import draw as draw_one
    from ..report.structures import draw_all
    from ..structures.building import build_structure
    from .flags import find_local_modules, structure_of

    try:
        find_local_modules({"structure": structure})
        if structure == "all":
            if settings:
                raise ValueError("--set is for one structure; got `all`")
            paths = draw_all(output or ".", dim, seed)
        else:
            built = build_structure(structure_of(structure, dim, settings), dim)
            paths = [output or f"{structure.replace(':', '-')}.png"]
            draw_one(built, paths[0], seed=seed)
    except (ValueError, TypeError) as error:
        raise CommandError(error, EXIT_USAGE) from error
    except OSError as error:
        raise CommandError(error) from error
    for path in paths:
        click.echo(visible(f"drawn in {path}", lines=False))


cli.add_command(
    LazyCommand(
        "bench",
        "structes.bench.cli:bench",
        help="Measure structes beside its peers (needs the extra `bench`).",
        extra="bench",
    )
)


def main() -> None:
    """The console script. Whatever becomes of the output, the command runs to its end: a pipe that
    its reader has closed (`structes list | head -2`) is no failure, and what could not be written
    for another reason, as on a full disk, is exit code 1."""
    output, errors = protect()
    warnings.formatwarning = lambda message, *_: f"Warning: {visible(message, 10_000)}\n"
    try:
        cli(prog_name="structes")
    except SystemExit as ended:
        code = ended.code
    output.flush()
    if output.error is not None and not was_cut_off(output.error):
        errors.write(f"Error: the output was lost: {output.error}\n")
        code = code or EXIT_FAILED
    errors.flush()
    sys.exit(code)


def _not_written(error) -> CommandError:
    """Show what came out all the same, where the run could not be recorded to the end."""
    if error.run is not None:
        _report(error.run)
    return CommandError(error)


def _report(record) -> int:
    """Print what came out of a run: the exit code."""
    status = record.result["status"]
    if status == "interrupted":
        click.echo("interrupted; the best so far (structes resume goes on):", err=True)
    print_table(*result_table(record))
    for line in best_lines(record):
        click.echo(line)
    for entry in record.result["problems"]:
        if "traceback" in entry:
            last = entry["traceback"].strip().splitlines()[-1]
            n = entry.get("errors") or 0
            outcome = "failed" if entry["status"] == "failed" else f"{n} failure{'s' * (n != 1)}"
            hint = f"more: structes show {record.folder}"
            name, last = visible(entry["problem"], 200, False), visible(last, 2000, False)
            click.echo(f"{name} {outcome}: {last} ({visible(hint, lines=False)})", err=True)
    click.echo(visible(f"recorded in {record.folder}", lines=False))
    codes = {"failed": EXIT_FAILED, "interrupted": interrupts.exit_code()}
    return codes.get(status, 0)
