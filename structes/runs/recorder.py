"""Writing a run folder while its searches run.

What a run folder holds is said in the room's `__init__`. `read_run` and `tail_log` read one
(reader.py), `load_runs` hands the logs of many to pandas.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays.libraries import to_numpy
from ..evaluators.failures import Table, first_lines
from ..files import checkpoint
from ..files.folders import to_json, to_yaml
from ..files.writes import NotWritten, Writes, apart, say
from ..search.kinds import runs_of
from . import trust
from .about import versions
from .log import COLUMNS, Rows, cells_of, rows_of
from .own_folder import OwnFolder
from .reader import RunFolder
from .reopening import FAILURES, LOG, reopened
from .result import Result
from .saved_search import gap_message, kept_rows, read_saved, was_cut_short

_EVERY = 1.0  # seconds between notes of the best point in result.json, and between checkpoints
_SHARE = 50.0  # a note or a checkpoint takes one part of so many of the time, at most


class Recorder:
    """A run folder that is being written; it is used in a `with`.

    Parameters
    ----------
    runs : path-like
        The folder in which the run's folder is made.
    name : str
        It becomes a part of the folder's name.
    config : Mapping
        The resolved experiment, in plain values.
    problems : sequence of str
        The labels of the problems, each a different one.
    facts : Mapping
        Plain values that result.json shows at its head (structure, seed).

    Raises
    ------
    OSError
        Where the folder cannot be written.
    """

    def __init__(
        self,
        runs: str | os.PathLike[str],
        name: str,
        config: Mapping,
        problems: Iterable[str],
        facts: Mapping,
    ):
        now = datetime.now(timezone.utc)
        self._result = Result.new(name, now, facts, problems)
        self._config = dict(config)
        texts = {"config.yaml": to_yaml(config), "versions.json": to_json(versions(now))}
        texts |= trust.signature(config)
        changing = {LOG: ",".join(COLUMNS) + "\n", "result.json": to_json(self._result.content)}
        self._open(OwnFolder.make(runs, name, now, texts, changing))

    @classmethod
    def reopen(cls, path: str | os.PathLike[str]) -> Recorder:
        """Return the Recorder of a folder that is no longer being written, to go on with it; `run`
        is what the folder holds.

        Raises
        ------
        ValueError
            Where another process writes it; where its log has other columns, of another version of
            structes; and where a file of it is a link, has other names, or is no file.
        """
        self = cls.__new__(cls)
        own_folder, self.run = reopened(path)
        self._open(own_folder)
        self._result, self._config = Result(self.run.result), self.run.config
        return self

    def _open(self, own_folder):
        self._own_folder = own_folder
        self._log = own_folder.lines(LOG, Rows)
        self._failed = own_folder.lines(FAILURES)
        self._writes = Writes(lambda: self.folder, self._mend, lambda: self._log.waiting)
        self._es = self._saved = None
        self._is_ahead = False  # does result.json know more than the other files?
        self._process = os.getpid()

    @property
    def folder(self) -> Path:
        """The path of the folder now."""
        return self._own_folder.path

    @property
    def result(self) -> dict:
        """What result.json holds, or will."""
        return self._result.content

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._own_folder.close()

    def begin(
        self, problem: str, es: Any, minimum: float | None, space: Any = None, evaluate: Any = None
    ) -> None:
        """Take down that a search starts, and what evaluates for it."""
        self._evaluate, self._is_broken = evaluate, False
        self._es, self._minimum = es, math.nan if minimum is None else minimum
        self._space = space
        self._entry = self._result.begin(problem, es, minimum)
        self._failures = Table(problem, space)
        self._shape = math.nan, math.nan
        self._row, self._rows = (-1, -1), 0  # restart and generation; in the log
        self._logged = es.evaluations  # that are in the log
        self._note()
        self._noted = self._saved = -math.inf  # and again with the first generation

    def saved(self, problem: str) -> dict | None:
        """Return the checkpoint of a problem, {"kind", "search", …}, None where there is none.

        Raises
        ------
        ValueError
            Where the file is damaged.
        """
        path = self.folder / (self._result.entry(problem).get("checkpoint") or "")
        if not path.is_file():
            return None
        return read_saved(path)

    def keep(self, problem: str, tree: dict | None, goes_on: bool = True) -> dict | None:
        """Return rows of the log that came after the checkpoint go: what `resumed` takes then.

        Parameters
        ----------
        goes_on : bool
            False: the search in the checkpoint has ended. True, and the last row is one of a
            generation that a budget had cut short: it goes, since the search that has a larger
            budget now closes that generation and writes a row for it.
        """
        rows = []
        if tree is not None:
            rows, has_gap = kept_rows(rows_of(self.folder / LOG, problem), tree)
            if has_gap:
                say(gap_message(self.folder / LOG, problem, tree, rows))
            if goes_on and was_cut_short(rows):
                rows.pop()
                tree = {**tree, "row": rows[-1] if rows else (-1, -1)}
        self._own_folder.keep_rows(LOG, problem, len(rows))
        self._log.close()  # of the file that was replaced
        if tree is None or tree["written"] is not None:
            self._keep_failures(problem, 0 if tree is None else tree["written"])
        return None if tree is None else {**tree, "rows": len(rows)}

    def _keep_failures(self, problem, limit):
        """Drop failures that came after the checkpoint: those evaluations will be made again."""
        path = self.folder / FAILURES
        if path.exists():
            self._own_folder.replace(FAILURES, first_lines(path, problem, limit))
            self._failed.close()  # of the file that was replaced

    def configure(self, config: Mapping) -> None:
        """Let the run be, from here on, what another config says."""
        self._config, text = dict(config), to_yaml(config)
        self._own_folder.texts["config.yaml"] = text
        self._own_folder.replace("config.yaml", text)

    def resumed(self, tree: dict) -> None:
        """Let the search that began go on from a checkpoint."""
        self._row, self._shape = tuple(tree["row"]), tuple(tree["shape"])
        self._rows = tree["rows"]
        failures = tree["failures"], tree["written"]
        self._failures = Table(self._entry["problem"], self._space, *failures)

    @apart
    def told(self, es: Any) -> None:
        """Save the search after values were told, if it is time; 2 % of the time goes into
        this."""
        self._leave_forks()
        start = time.monotonic()
        if start < self._saved:
            return
        self._writes.do(self._entry["checkpoint"], partial(self._save, es))
        now = time.monotonic()
        self._saved = now + max(_EVERY, _SHARE * (now - start))

    def _leave_forks(self):
        """End a fork of this process that the user's function has made, and let return: it would
        write the same run once more."""
        if os.getpid() != self._process:
            os._exit(1)

    def _save(self, es):
        """Write the search as it is now, after the rows of the log that it counts on. One that
        cannot go on, as its numbers have overflowed, does not replace the one before."""
        try:
            es.check()
        except ValueError as error:
            if not self._is_broken:
                self._is_broken = True
                say(f"the search cannot be saved any more: {error}; the file of before stays")
            return
        self._count_failures()
        self._failed.write()
        self._sync_rows()
        tree = {
            "search": es.snapshot(),
            "kind": type(es).__name__,
            "rows": self._rows,
            "row": self._row,
            "shape": self._shape,
            "failures": self._failures.counts,
            "written": self._failures.n_written,
        }
        name = self._entry["checkpoint"]
        self._own_folder.replace(name, checkpoint.writer("search", tree))

    @apart
    def generation(self, es: Any) -> None:
        """Add a row to the log; it is called after every generation of the search that began."""
        self._leave_forks()
        restart = len(runs_of(es)) - 1
        closed = es.generation != self._row[1]
        if restart != self._row[0] or (closed and es.generation % 10 == 0):
            shape = to_numpy(es.deviations) / es.sigma
            self._shape = float(shape.min()), float(shape.max())
        self._row, self._rows = (restart, es.generation), self._rows + 1
        self._logged = es.evaluations
        switches = [{"restart": restart, **s._asdict()} for s in es.switches]
        if switches:  # of the present run; those of earlier runs are there
            history = self._entry.setdefault("switches", [])
            history += [s for s in switches if s not in history]
        self._take_failures()
        facts = {"problem": self._entry["problem"], "restart": restart, "minimum": self._minimum}
        self._log.add_row(cells_of(es, **facts, shape=self._shape, closed=closed))
        self._writes.do(LOG, self._log.write)
        if time.monotonic() > self._noted:
            self._note()

    def _sync_rows(self):
        self._log.sync()
        if self._log.was_cut:
            self._log.was_cut = False
            say(f"somebody has shortened {str(self.folder / LOG)!r}: rows of it are lost")

    def _take_failures(self):
        """Write down the failures that have been seen since."""
        self._count_failures()
        if self._failed.waiting:
            self._writes.do(FAILURES, self._failed.write)

    def _count_failures(self):
        """Count failures, and let those wait that are to be written down."""
        if self._evaluate is None or not self._evaluate.failures:
            return
        for line in self._failures.take(self._evaluate, self._row[1]):
            self._failed.add(line)
        self._entry["failures"] = self._failures.counts
        self._entry["errors"] = sum(self._failures.counts.values())

    @apart
    def end(self, status: str, traceback: str | None = None) -> None:
        """Take down that the search ends: "done", "failed" or "interrupted", and by what
        traceback.
        """
        name, es = self._result.file_name(self._entry, "state", "state", ".npz"), self._es
        self._take_failures()
        if es.evaluations > self._logged:  # values of a generation that was interrupted
            self.generation(es)
        if status != "failed":
            self._saved = -math.inf
            self.told(es)
        facts = {"seed": es.seed, "popsize": es.popsize, "restart": len(runs_of(es)) - 1}
        arrays = checkpoint.named_arrays("", es.state._asdict()) | facts
        self._writes.do(
            name, lambda: self._own_folder.replace(name, lambda file: np.savez(file, **arrays))
        )
        self._result.end(self._entry, status, es.stop(), name, traceback)
        self._note()
        self._es = None

    def finish(self, status: str | None = None) -> None:
        """Take down that the run ends, and a search under way: by its status, or as its searches
        say.

        Raises
        ------
        NotWritten
            Where something of the run could not be written to the end: its `run` is all that is
            known.
        """
        if self._es is not None:
            self.end(status or "done")
        self._result.finish(status)
        self._writes.do(LOG, self._sync_rows)
        self._writes.do(FAILURES, self._failed.sync)
        self._write()
        try:
            self._writes.finish()
            if self._is_ahead:
                self._write()
                self._writes.finish()
        except NotWritten as error:
            error.run = self.content()
            raise

    def content(self) -> RunFolder:
        """Return what the folder holds, or will when all is written; it is not read for that."""
        environment, result = map(
            json.loads, (self._own_folder.texts["versions.json"], to_json(self.result))
        )
        return RunFolder(self.folder, self._config, environment, result)

    def _note(self):
        """Write the best point so far into result.json; at most 2 % of the time goes into this."""
        start = time.monotonic()
        self._result.note(self._entry, self._es, self._minimum, self._space)
        self._write()
        now = time.monotonic()
        self._noted = now + max(_EVERY, _SHARE * (now - start))

    def _write(self):
        self._writes.do("result.json", self._write_result)

    def _write_result(self):
        self._is_ahead = self._writes.owes_others("result.json")
        self._own_folder.replace("result.json", self._result.text(self._is_ahead))

    def _mend(self):
        """Make a folder again that was deleted. What is lost is the final states of problems that
        had ended before."""
        if self._own_folder.mend():
            self._saved = -math.inf
