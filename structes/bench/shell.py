"""What the commands of the bench share: options, words to numbers, a progress bar, and Ctrl-C."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from pathlib import Path

import click

from ..naming.error_text import nearest
from ..terminal.interrupts import exit_code
from ..terminal.output import visible
from .solvers import split_names


def numbers(ctx, param, text):
    """ "1-5,8" as [1, 2, 3, 4, 5, 8]."""
    try:
        values = []
        for part in text.split(","):
            first, _, last = part.partition("-")
            values += range(int(first), int(last or first) + 1)
        if not values or min(values) < 1:
            raise ValueError
        return list(dict.fromkeys(values))
    except ValueError:
        expected = "must be positive numbers and ranges as in 1-5,8"
        raise click.BadParameter(f"{expected}; got {text!r}") from None


def names(ctx, param, text):
    """ "a,b" as ["a", "b"], each once."""
    return list(dict.fromkeys(split_names(text)))


def not_negative(ctx, param, text):
    """ "0,1,20" as [0.0, 1.0, 20.0]."""
    try:
        values = [float(part) for part in text.split(",")]
        if not all(0 <= value < 1e9 for value in values):
            raise ValueError
    except ValueError:
        expected = "must be numbers ≥ 0, as in 0,1,20"
        raise click.BadParameter(f"{expected}; got {text!r}") from None
    return list(dict.fromkeys(values))


def radii(ctx, param, text):
    """ "0.5,1,inf" as [0.5, 1.0, inf]."""
    try:
        values = [float(part) for part in text.split(",")]
        if not all(value > 0 for value in values):
            raise ValueError
    except ValueError:
        expected = "must be positive numbers or inf, as in 0.5,1,inf"
        raise click.BadParameter(f"{expected}; got {text!r}") from None
    return list(dict.fromkeys(values))


jobs_option = click.option("--jobs", default=2, show_default=True, help="processes")


def rows_option(default: str):
    """The option --output of a command whose runs are rows of a CSV file."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        default=default,
        show_default=True,
        help="results; existing rows are kept and not run again",
    )


def run_and_print(title: str, bench, tasks, output: Path, jobs: int, *words) -> None:
    """Run the tasks that are not in the file yet, and print the report of all.

    Parameters
    ----------
    title
        What the progress bar is called.
    bench
        A module with `run(tasks, path, jobs, report)` and `lines(rows, *words)`.
    """
    with interruptible(output), bar(title) as show:
        rows = bench.run(tasks, output, jobs, show)
    for line in bench.lines(rows, *words):
        click.echo(visible(line))


def check(words, build):
    """Stop with a line that names the wrong one, where `build` of a name refuses it."""
    for name in words:
        try:
            build(name)
        except (ValueError, KeyError, TypeError) as error:
            raise click.UsageError(error.args[0]) from None


def known(kind: str, table):
    """For `check`: a function that refuses names that are not in a table of so-called `kind`s."""

    def refuse(name):
        if name not in table:
            hint = nearest(name, table)
            raise ValueError(f"no {kind} {name!r}; known: {', '.join(table)}{hint}")

    return refuse


@contextmanager
def bar(title):
    """Progress on stderr: gives the function of (done, total) that shows it.

    A bar on a terminal, a line every half minute elsewhere; both with the time that has passed
    and what is left of it if the rest goes as fast as the whole did so far.
    """
    yield from _bar(title) if sys.stderr.isatty() else _lines(title)


def _bar(title):
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = [TextColumn("{task.description}"), BarColumn(), TaskProgressColumn()]
    columns += [TimeElapsedColumn(), TextColumn("elapsed,"), TimeRemainingColumn()]
    columns += [TextColumn("left")]
    console = Console(stderr=True)
    with Progress(*columns, console=console, speed_estimate_period=1e9) as progress:
        task = progress.add_task(title, total=None)
        yield lambda count, total: progress.update(task, completed=count, total=total)


def _lines(title, every=30.0):
    start_time = last = time.monotonic()

    def report(count, total):
        nonlocal last
        now = time.monotonic()
        if now - last >= every or count == total:
            last, passed = now, now - start_time
            remaining = f"{passed * (total - count) / count:.0f} s left" if count else "just begun"
            click.echo(
                f"{title}: {count / total:.0%}, {passed:.0f} s elapsed, {remaining}", err=True
            )

    yield report


@contextmanager
def interruptible(place):
    """Ctrl-C ends with exit code 130 (a signal with that of a shell) and says how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(
            f"\nInterrupted. What is done is in {place}; the same command goes on from there.",
            err=True,
        )
        sys.exit(exit_code())
