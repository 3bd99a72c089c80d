"""`python -m tests.plant`: which of the kept faults do the tests notice?"""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from pathlib import Path

import click

from . import ROOT, chosen, kept_faults
from .trial import HANGS, NOT_PLANTED, NOT_RUN, SURVIVES, Trial, tree_digest, trials


@click.command()
@click.argument("ids", nargs=-1)
@click.option("--list", "is_list", is_flag=True, help="print the faults, and plant none")
@click.option("-j", "--jobs", default=1, show_default=True, help="copies of the tree at a time")
@click.option("--timeout", default=120.0, show_default=True, help="seconds of the tests of one")
@click.option("--allowed", default=0, show_default=True, help="faults that may survive")
@click.option("--log", type=click.Path(dir_okay=False, path_type=Path), help="a line for each")
@click.option("--unchecked", is_flag=True, help="do not run the tests without a fault first")
def main(ids, is_list, jobs, timeout, allowed, log, unchecked):
    """Plant the faults of tests/plant/faults.yaml, one at a time, in a copy of the tree, and run
    the tests that should notice them.

    IDS are ids of faults, or what they begin with; without them all are planted. A run that was
    interrupted goes on where it ended with the same --log, as long as the tree is the same: each
    of its lines is a JSON object. The exit status is 1 where more survive than are allowed, and 2
    where one could not be planted, its tests could not be run, or fail without it.
    """
    try:
        faults = chosen(kept_faults(), ids)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if is_list:
        for fault in faults:
            click.echo(f"{fault.id:5} {fault.file}: {fault.what}")
        return
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # so that nothing is left behind
            signal.signal(getattr(signal, name), _interrupt)
    digest = tree_digest(ROOT)
    results = [trial for trial in _logged(log, digest) if trial.id in {f.id for f in faults}]
    for trial in results:
        click.echo(f"{_row(trial)}  (logged)")
    rest = [fault for fault in faults if fault.id not in {trial.id for trial in results}]
    start = time.monotonic()
    try:
        for trial in trials(ROOT, rest, max(1, jobs), timeout, not unchecked):
            results.append(trial)
            _write(log, digest, trial)
            click.echo(f"{_row(trial)}  {len(results)} of {len(faults)}")
    except RuntimeError as error:
        click.echo(error, err=True)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        click.echo(f"interrupted after {len(results)} of {len(faults)}", err=True)
        raise SystemExit(130) from None
    _conclude(faults, results, time.monotonic() - start, allowed)


def _conclude(faults, results, seconds, allowed):
    """Say what survives, and end with the exit status."""
    words = {fault.id: fault.what for fault in faults}
    counts = Counter(trial.outcome for trial in results)
    survivors = [trial for trial in results if trial.outcome == SURVIVES]
    broken = [trial for trial in results if trial.outcome in (NOT_PLANTED, NOT_RUN)]
    click.echo()
    for trial in [*survivors, *broken]:
        click.echo(f"{trial.id:5} {trial.outcome}: {words[trial.id]} {trial.test}".rstrip())
    n_noticed = len(results) - len(survivors) - len(broken)
    click.echo(
        f"{len(results)} faults: {n_noticed} noticed ({counts[HANGS]} of them by a hang), "
        f"{len(survivors)} survive ({allowed} may), {len(broken)} not tried; {seconds:.0f} s"
    )
    if broken:
        raise SystemExit(2)
    if len(survivors) > allowed:
        raise SystemExit(1)


def _row(trial: Trial) -> str:
    return f"{trial.id:5} {trial.outcome:15} {trial.seconds:6.1f} s  {trial.test}"


def _logged(path, digest) -> list[Trial]:
    """The trials of a log that are of this tree, the last one of each fault."""
    if path is None or not path.is_file():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    found = {row["id"]: row for row in rows if row["tree"] == digest}
    return [Trial(*(row[name] for name in Trial._fields)) for row in found.values()]


def _write(path, digest, trial):
    if path is not None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**trial._asdict(), "tree": digest}) + "\n")


def _interrupt(*_):
    raise KeyboardInterrupt


if __name__ == "__main__":
    main(prog_name="python -m tests.plant")
