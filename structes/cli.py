"""The command line: run, list, show, draw, and the bench where its packages are installed.

Thin on purpose: a command turns words into arguments, calls one function, and prints what comes
back. Results go to stdout, everything else to stderr. What a user can get wrong ends in one line
that says so, and in an exit code that scripts can read. Heavy imports wait inside the commands, so
that `structes --help` is there at once.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import click

from . import __version__
from .registry import load_object, nearest
from .tables import (
    LISTS,
    number_text,
    print_table,
    restarts_table,
    result_table,
    vector_text,
)

EXIT_FAILED, EXIT_USAGE, EXIT_MISSED, EXIT_INTERRUPTED = 1, 2, 3, 130


class Failure(click.ClickException):
    """One line on stderr, and an exit code."""

    def __init__(self, error, exit_code=EXIT_FAILED):
        super().__init__(" ".join(str(error).split()))
        self.exit_code = exit_code


class Commands(click.Group):
    """What all commands share: the nearest name for an unknown one, no traceback for a missing
    package, and the exit code of Ctrl-C."""

    def resolve_command(self, ctx, args):
        if args[0] not in self.commands and not args[0].startswith("-"):
            known = ", ".join(self.commands)
            hint = nearest(args[0], self.commands)
            raise click.UsageError(f"unknown command {args[0]!r}{hint}; known: {known}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except ImportError as error:  # an extra is missing: the message says which
            raise Failure(error) from error
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(EXIT_INTERRUPTED)


class Later(click.Command):
    """A command that is imported when it is called; until then only its name and help exist."""

    def __init__(self, name, path, help, extra):
        super().__init__(name, help=help)
        self.path, self.extra = path, extra

    def make_context(self, info_name, args, parent=None, **extra):
        try:
            command = load_object(self.path)
        except ImportError as error:
            needs = f"`structes {self.name}` needs more: pip install 'structes[{self.extra}]'"
            raise Failure(f"{needs} ({error})") from error
        except ValueError as error:
            raise Failure(error) from error
        return command.make_context(info_name, args, parent=parent, **extra)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="structes %(version)s")
def cli():
    """Evolution strategies whose covariance has the structure you choose.

    \b
    structes run quickstart                            four benchmark functions, recorded
    structes run --problem rosenbrock --dim 20         any function, from flags alone
    structes run --problem my_module:f --dim 5         a function of your own
    structes show latest                               what came out
    structes draw block_upper                          a picture of a structure
    """


@cli.command(no_args_is_help=True)
@click.argument("config", required=False)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set a config key.")
@click.option("--problem", multiple=True, help="Name, bbob:f10:i3 or module:function; repeatable.")
@click.option("--dim", metavar="N", help="Number of parameters.")
@click.option("--structure", help="Structure of the covariance: `structes list structures`.")
@click.option("--engine", help="The update: default, cma or xnes.")
@click.option("--backend", metavar="NAME", help="cupy: the search is on the GPU.")
@click.option("--dtype", metavar="NAME", help="Of candidates: float64, or float32.")
@click.option("--seed", metavar="N", help="Same seed, same run; default: a random one.")
@click.option("--popsize", metavar="N", help="Candidates a generation; default: 4 + 3 ln(dim).")
@click.option("--restarts", metavar="NAME", help="ipop or bipop: start anew when a run has ended.")
@click.option("--x0", metavar="[X, …]", help="Start; default: the problem's.")
@click.option("--sigma0", metavar="S", help="Initial standard deviation: S, or [S, …] for each.")
@click.option("--workers", metavar="N|NAME", help="Evaluate by N processes, or by ray.")
@click.option("--address", metavar="A", help="Of a Ray cluster: host:port or ray://host:port.")
@click.option("--timeout", metavar="S", help="Seconds that an evaluation may take, with workers.")
@click.option("--mode", metavar="NAME", help="steady: no worker waits for another.")
@click.option("--max-evaluations", metavar="N", help="Never evaluate more often, each problem.")
@click.option("--target", metavar="F", help="Stop at a value this low.")
@click.option("--target-error", metavar="E", help="Stop this close to the known minimum.")
@click.option("--name", help="Name of the run; default: that of the config or the problem.")
@click.option("--runs", default="runs", metavar="DIR", help="Where to record; default: runs")
@click.option("--require-target", is_flag=True, help="Exit with 3 if a target is missed.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@click.pass_context
def run(ctx, config, settings, runs, require_target, quiet, **flags):
    """Search the minima of problems, and record it.

    CONFIG is the name of a config (`structes list configs`), the path of a YAML file, or a run
    folder, which is repeated. Its keys can be changed by --set (structure.k=5 reaches into a
    section) and by the other options; with --problem no CONFIG is needed.

    Ctrl-C ends the run with the best so far.

    \b
    Exit codes: 0 ended normally          3 a target was missed (--require-target)
                1 a function failed,    130 interrupted
                  or a file
                2 wrong usage
    """
    from .experiment import LoadError, run_experiment

    _find_local_modules()
    try:
        experiment = _experiment(config, settings, flags)
        if require_target and experiment.target_error is experiment.stopping.target is None:
            raise ValueError("--require-target needs a target or a target_error")
        done = run_experiment(experiment, runs, progress=not quiet)
    except (ValueError, TypeError) as error:
        raise Failure(error, EXIT_USAGE) from error
    except (LoadError, OSError) as error:
        raise Failure(error) from error
    missed = any("target" not in e.get("stop", {}) for e in done.result["problems"])
    ctx.exit(_report(done) or (EXIT_MISSED if require_target and missed else 0))


@cli.command()
@click.argument("run")
@click.option("--runs", default="runs", metavar="DIR", help="Where runs are; default: runs")
@click.option("--workers", metavar="N|NAME", help="Other workers than before.")
@click.option("--address", metavar="A", help="Of a Ray cluster.")
@click.option("--timeout", metavar="S", help="Seconds that an evaluation may take, with workers.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@click.pass_context
def resume(ctx, run, runs, workers, address, timeout, quiet):
    """Go on with a run that was killed or interrupted.

    RUN is a run's folder, its name inside runs/, or `latest`. What comes out is to the bit what
    the run would have found by itself. Exit codes are those of `structes run`.
    """
    from .config import coerce
    from .experiment import LoadError, resume_experiment

    _find_local_modules()
    try:
        seconds = coerce(timeout, "float | None", "--timeout")
        crew = _workers(workers, address)
        done = resume_experiment(_find_run(run, runs), not quiet, crew, seconds)
    except (ValueError, TypeError) as error:
        raise Failure(error, EXIT_USAGE) from error
    except (LoadError, OSError) as error:
        raise Failure(error) from error
    ctx.exit(_report(done))


@cli.command("list", short_help="What there is to name.")
@click.argument("what", required=False)
def list_(what):
    """What there is to name: structures, engines, restarts, problems, configs; or all of it."""
    if what is not None and what not in LISTS:
        hint = f"{nearest(what, LISTS)}; known: {', '.join(LISTS)}"
        raise Failure(f"nothing to list under {what!r}{hint}", EXIT_USAGE)
    for name in LISTS if what is None else [what]:
        print_table((name, ""), LISTS[name]())


@cli.command()
@click.argument("run")
@click.option("--runs", default="runs", metavar="DIR", help="Where runs are; default: runs")
@click.option("--rows", default=5, metavar="N", help="Rows of the log to show; default: 5")
def show(run, runs, rows):
    """What a run was and what came out.

    RUN is a run's folder, its name inside runs/, or `latest`.
    """
    import yaml

    from .history import read_run, tail_log

    try:
        done = read_run(_find_run(run, runs))
    except ValueError as error:
        raise Failure(error, EXIT_USAGE) from error
    config = {key: value for key, value in done.config.items() if value is not None}
    v = done.versions
    click.echo(f"{done.folder}  {done.result['status']}\n")
    click.echo(yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    packages = ("structes", "numpy", "scipy", "coco-experiment", "python")
    click.echo(", ".join(f"{p} {v[p]}" for p in packages if v.get(p)) + f", {v['platform']}")
    click.echo(f"started {v['started']} on {v['host']}: {' '.join(v['argv'])}\n")
    print_table(*result_table(done))
    for entry in done.result["problems"]:
        if entry.get("restarts"):
            click.echo(f"the runs of {entry['problem']}")
            print_table(*restarts_table(entry))
        if entry.get("x") is not None:
            at, fun = f"x = {vector_text(entry['x'])}", number_text(entry["fun"], 15)
            if "params" in entry:
                at = ", ".join(f"{name} = {value}" for name, value in entry["params"].items())
            click.echo(f"{entry['problem']}: best value {fun} at {at}")
        if "traceback" in entry:
            click.echo(f"\n{entry['problem']} failed:\n{entry['traceback']}")
    tail = tail_log(done.folder, rows)
    if tail:
        columns = ("problem", "generation", "evaluations", "best", "error", "sigma", "condition")
        if any(entry.get("restarts") for entry in done.result["problems"]):
            columns = ("problem", "restart", "popsize", *columns[1:])
        click.echo("\nlast rows of log.csv")
        print_table(columns, [[number_text(row.get(c)) for c in columns] for row in tail])


@cli.command(no_args_is_help=True)
@click.argument("structure")
@click.option("--dim", default=24, show_default=True, metavar="N", help="Number of parameters.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set a parameter.")
@click.option("--seed", default=1, show_default=True, metavar="N", help="Of the random element.")
@click.option("--output", "-o", metavar="FILE", help="PNG, SVG or PDF; default: STRUCTURE.png")
def draw(structure, dim, settings, seed, output):
    """Draw a structure: its factor B, the precision and the covariance of a random element.

    STRUCTURE is a name (`structes list structures`), a name with numbers (block_upper:k3), your
    own module:Class, or `all`, and then -o is a folder. What is not set has a typical size.
    """
    from .plots import draw as draw_one
    from .plots import draw_all
    from .structures import build_structure

    _find_local_modules()
    try:
        if structure == "all":
            if settings:
                raise ValueError("--set is for one structure; got `all`")
            paths = draw_all(output or ".", dim, seed)
        else:
            built = build_structure(_structure(structure, dim, settings), dim)
            paths = [output or f"{structure.replace(':', '-')}.png"]
            draw_one(built, paths[0], seed=seed)
    except (ValueError, TypeError) as error:
        raise Failure(error, EXIT_USAGE) from error
    except OSError as error:
        raise Failure(error) from error
    for path in paths:
        click.echo(f"drawn in {path}")


cli.add_command(
    Later(
        "bench",
        "structes.bench.commands:bench",
        help="Measure structes beside its peers (needs the extra `bench`).",
        extra="bench",
    )
)


def main():
    """The console script."""
    warnings.formatwarning = lambda message, *_: f"Warning: {message}\n"
    cli(prog_name="structes")


def _report(done) -> int:
    """Print what came out of a run: the exit code."""
    status = done.result["status"]
    if status == "interrupted":
        click.echo("interrupted; the best so far (structes resume goes on):", err=True)
    print_table(*result_table(done))
    for entry in done.result["problems"]:
        if "traceback" in entry:
            last = entry["traceback"].strip().splitlines()[-1]
            what = "failed" if entry["status"] == "failed" else f"{entry['errors']} failures"
            click.echo(f"{entry['problem']} {what}: {last} (more: structes show)", err=True)
    click.echo(f"recorded in {done.folder}")
    return {"failed": EXIT_FAILED, "interrupted": EXIT_INTERRUPTED}.get(status, 0)


# -- words to arguments ---------------------------------------------------------------------------


def _experiment(config, settings, flags):
    """The Experiment of a config's name (or None), KEY=VALUE strings, and flags (None: not given).

    Raises ValueError or TypeError.
    """
    from .config import load_config, parse_value
    from .experiment import experiment_from, label_of

    mapping = _with_settings({} if config is None else load_config(config), settings)
    problems = [parse_value(p, "--problem") if p[:1] == "{" else p for p in flags.pop("problem")]
    if problems:
        mapping["problems"] = problems
        if config is None:
            mapping.setdefault("name", label_of(problems[0]))
    if "problems" not in mapping:
        raise ValueError("nothing to run: give a CONFIG (structes list configs) or --problem")
    flags["workers"] = _workers(flags["workers"], flags.pop("address"), mapping.get("workers"))
    for key, value in flags.items():
        if key == "workers" and value is not None:
            mapping[key] = value
        elif value is not None:
            sections = key != "name" and value[:1] in ("[", "{")
            mapping[key] = parse_value(value, f"--{key}") if sections else value
    return experiment_from(mapping)


def _workers(workers, address, before=None):
    """What a config has for workers, of the flags (None: not given) and what it had before."""
    from .config import coerce, parse_value

    if workers is not None:
        section = workers[:1] == "{"
        kinds = "int | str"
        workers = parse_value(workers, "--workers") if section else coerce(workers, kinds, "")
    if address is None:
        return workers
    workers = before if workers is None else workers
    section = dict(workers) if isinstance(workers, dict) else {"name": workers or "ray"}
    return {**section, "address": address}


def _structure(words, dim, settings):
    """Specification of a structure of typical sizes, but for what `words` and KEY=VALUEs say."""
    from .examples import example
    from .structures import STRUCTURES

    name, given = STRUCTURES.parse(words)
    given = _with_settings(given, settings)
    return example({"name": name, **given}, dim) if given or name in STRUCTURES else name


def _with_settings(mapping, settings):
    """A copy of the mapping, changed by KEY=VALUE strings."""
    from .config import parse_value, with_setting

    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ValueError(f"--set needs KEY=VALUE; got {setting!r}")
        mapping = with_setting(mapping, key.strip(), parse_value(value, f"--set {key}"))
    return mapping


def _find_local_modules():
    """A user's own module:function is looked for where the user is."""
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)


def _find_run(run, runs) -> Path:
    """Folder of a run that is called by its path, its name in `runs`, or "latest"."""
    if Path(run).is_dir():
        return Path(run)
    names = sorted(p.parent.name for p in Path(runs).glob("*/result.json"))
    if run in names:
        return Path(runs) / run
    if run == "latest" and names:
        return max((Path(runs) / n for n in names), key=_started)
    if run == "latest":
        raise ValueError(f"no run is recorded in {runs!r} yet")
    hint = nearest(run, [*names, "latest"])
    raise ValueError(f"there is no run {run!r}, neither here nor in {runs!r}{hint}")


def _started(folder):
    from .history import read_run

    return read_run(folder).result["started"]
