"""Progress of a search: a bar on a terminal, plain lines in a pipe; always on stderr.

Nobody has to look on: where stderr is closed, or there is none, the search goes on without a word.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from textwrap import shorten
from typing import Any

from ..files.writes import say
from ..structures.building import spec_of
from ..terminal.output import Output, visible
from .kinds import runs_of


@contextmanager
def progress_of(
    is_shown: bool,
    es: Any,
    label: str = "",
    minimum: float | None = None,
    stream: Any = None,
    every: float = 2.0,
) -> Iterator[Callable[[Any], Any]]:
    """A function to call with the ES after each generation; it shows what is new, now and then.

    Parameters
    ----------
    wanted : bool
        Whether anything is shown.
    es : ES or RestartES
        The search.
    label : str
        What is searched, at the head of each line.
    minimum : float, optional
        The value of the minimum, where it is known: then the error is shown, not the value.
    stream : text file, optional
        Where it is shown; None: stderr.
    every : float
        Seconds between plain lines, after some quicker ones (a bar moves ten times a second).
    """
    if not is_shown:
        yield lambda es: None
        return
    stream = Output(sys.stderr if stream is None else stream)
    label = visible(label, 80, lines=False)
    describe = _Words(f"{label}  " if label else "", minimum)
    bar = _Shown(_bar if stream.isatty() else _lines, es, describe, stream, every)
    try:
        yield bar.report
    finally:
        bar.close()
    bar.say(describe.end, es)


class _Shown:
    """A context that shows the progress; where it raises, nothing is shown from there on."""

    def __init__(self, kind, *arguments):
        self._stream, self._report = arguments[2], None
        self._context = contextmanager(kind)(*arguments)
        self._report = self._try(self._context.__enter__)

    def report(self, es: Any) -> None:
        """Show what is new."""
        if self._report is not None:
            self._try(self._report, es)

    def say(self, words: Callable[[Any], str], es: Any) -> None:
        """Show a last line."""
        self._try(lambda: print(words(es), file=self._stream, flush=True))

    def close(self) -> None:
        """Show nothing more."""
        if self._report is not None:
            self._try(self._context.__exit__, None, None, None)

    def _try(self, act, *arguments):
        try:
            return act(*arguments)
        except Exception as error:
            self._report = None
            say(f"the progress cannot be shown: {type(error).__name__}: {error}")


def name_of(structure: Any, width: int = 60) -> str:
    """A structure in a few words: its name and sizes, as in block_upper (k=3).

    Of a direct sum they are the names of its blocks. The text has at most so many characters.
    """
    spec = spec_of(structure)
    if "blocks" in spec:
        kinds = Counter(block["name"] for block in spec["blocks"].values())
        blocks = (f"{n} × {kind}" if n > 1 else kind for kind, n in kinds.items())
        text = f"{spec['name']} of {', '.join(blocks)}"
    else:
        sizes = ", ".join(f"{k}={v}" for k, v in spec.items() if type(v) is int)
        text = f"{spec['name']} ({sizes})" if sizes else spec["name"]
    return shorten(visible(text, 1000, lines=False), width, placeholder=" …")


class _Words:
    """The lines about a search, with the same head."""

    def __init__(self, head, minimum):
        self.head, self.minimum = head, minimum

    def start(self, es):
        title = f"{name_of(es.structure)}, d = {es.dim}"
        return f"{self.head}{title}, {es.popsize} candidates a generation"

    def now(self, es):
        run, restart = f"sigma {es.sigma:.1e}", len(runs_of(es)) - 1
        if restart:
            run += f"  restart {restart}, popsize {es.popsize}"
        if self.minimum is None:
            return f"{self.head}best {es.best.fun:<12.6g} {run}"
        return f"{self.head}error {es.best.fun - self.minimum:<8.1e} {run}"

    def end(self, es):
        line = f"{self.now(es)}  {es.evaluations} evaluations  {es.seconds:.1f} s"
        return f"{line}  {', '.join(es.stop()) or 'stopped'}"


def _bar(es, describe, stream, _):
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = [TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn()]
    columns += [TimeElapsedColumn(), TimeRemainingColumn()]
    bar = Progress(
        *columns,
        console=Console(file=stream),
        transient=True,
        redirect_stdout=Output(
            sys.stdout
        ).isatty(),  # what the objective prints goes where it should
    )
    with bar:
        limit = es.monitor.stopping.max_evaluations
        task = bar.add_task(describe.now(es), total=limit)
        last = 0.0

        def report(es):
            nonlocal last
            now = time.monotonic()
            if now - last > 0.1:
                last = now
                bar.update(task, completed=es.evaluations, description=describe.now(es))

        yield report


def _lines(es, describe, stream, every):
    print(describe.start(es), file=stream, flush=True)
    gap = min(0.5, every)
    due = time.monotonic() + gap

    def report(es):
        nonlocal gap, due
        now = time.monotonic()
        if now >= due:
            gap = min(2 * gap, every)
            due = now + gap
            text = f"{describe.now(es)}  {es.evaluations} evaluations  {es.seconds:.1f} s"
            print(text, file=stream, flush=True)

    yield report
