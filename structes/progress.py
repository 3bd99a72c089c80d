"""Progress of a search: a bar on a terminal, plain lines in a pipe; always on stderr."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager


@contextmanager
def progress_of(wanted: bool, es, label: str = "", stream=None, every: float = 2.0):
    """A function to call with the ES after each generation; it shows what is new, now and then.

    every   seconds between plain lines (a bar is drawn four times a second)
    """
    stream = sys.stderr if stream is None else stream
    if not wanted:
        yield lambda es: None
    elif stream.isatty():
        yield from _bar(es, label, stream)
    else:
        yield from _lines(es, label, stream, every)


def _describe(es, label):
    head = f"{label}  " if label else ""
    return f"{head}best {es.best.fun:.6g}  sigma {es.sigma:.2e}"


def _bar(es, label, stream):
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeElapsedColumn, TimeRemainingColumn

    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    columns += [TimeElapsedColumn(), TimeRemainingColumn()]
    limit = es.monitor.stopping.max_evaluations
    console = Console(file=stream)
    with Progress(*columns, console=console, refresh_per_second=4, transient=True) as bar:
        task = bar.add_task(_describe(es, label), total=limit)
        last = 0.0

        def report(es):
            nonlocal last
            now = time.monotonic()
            if now - last > 0.1:
                last = now
                bar.update(task, completed=es.evaluations, description=_describe(es, label))

        yield report


def _lines(es, label, stream, every):
    last = time.monotonic()

    def report(es):
        nonlocal last
        now = time.monotonic()
        if now - last >= every:
            last = now
            text = f"{_describe(es, label)}  {es.evaluations} evaluations  {es.seconds:.0f} s"
            print(text, file=stream, flush=True)

    yield report
