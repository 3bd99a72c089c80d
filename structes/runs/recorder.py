"""A run folder: what a run was, what happened, and what came out, in files that anything reads.

    runs/20260131-142500-quickstart/
        config.yaml      the experiment, every key: `structes run` on it repeats the run
        signature        where the config names code: whose run it is (trust.py)
        versions.json    of structes and what it stands on, the command, the machine, the start
        log.csv          a row for each generation, all problems one below the other
        result.json      for each problem: best point and value, why it stopped, how many
                         evaluations failed in which way, a row for each run of a search with
                         restarts; rewritten whole
        failures.jsonl   a line for each of the first failures of a kind: the parameters, the
                         message, the traceback
        state-….npz      the search distribution at the end of each problem
        search-….ckpt    each search as it was a few seconds ago (checkpoint.py): `structes resume`
                         goes on from there
        lock             held by the process that writes the folder, and by one only (locks.py)

A run can be killed at any moment, so nothing here needs an orderly end. The folder is filled under
a hidden name and renamed, so it appears complete, and no two runs share one. Each row of the log
goes to the operating system at once, and to the disk before a checkpoint that counts on it. Every
other file is written beside its place and moved there. The best point of a search under way is in
result.json too, a few seconds old at most.

A search does not end because its folder cannot be written: what is to be written waits in memory,
and is tried again (writes.py). A folder that is renamed meanwhile is written where it is; one that
is deleted is made again.

`Recorder` writes such a folder, `read_run` and `tail_log` read one, `load_runs` hands the logs of
many to pandas.
"""

from __future__ import annotations

import csv
import json
import math
import os
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from functools import partial, wraps
from io import StringIO
from pathlib import Path

import numpy as np

from .. import checks
from ..arrays.libraries import to_numpy
from ..evaluators.failures import Table, first_lines, plain_option
from ..files import checkpoint
from ..files.folders import file_name, to_json
from ..files.opening import LONGEST, read_text, regular
from ..files.writes import NotWritten, Writes, say
from ..search.kinds import runs_of
from ..search.restart_es import RestartES
from . import trust
from .about import versions
from .log import COLUMNS, cells_of, rows_of
from .own_folder import OwnFolder
from .reader import RunFolder, read_run

_LOG, _FAILURES = "log.csv", "failures.jsonl"
_EVERY = 1.0  # seconds between notes of the best point in result.json, and between checkpoints
_SHARE = 50.0  # a note or a checkpoint takes one part of so many of the time, at most


def _apart(method):
    """The method of a Recorder, but that an exception in it ends no search: it is told once, and
    when the run ends."""

    @wraps(method)
    def call(self, *arguments, **more):
        try:
            method(self, *arguments, **more)
        except Exception as error:
            self._writes.fail(error)

    return call


class Recorder:
    """A run folder being written; use it in a `with`.

    runs      folder in which the run's folder is made
    name      becomes part of the folder's name
    config    mapping of plain values: the resolved experiment
    problems  their names, each a different one
    about     mapping of plain values that result.json shows at its head (structure, seed)

    Raises OSError where the folder cannot be written.
    """

    def __init__(self, runs, name: str, config: Mapping, problems, about: Mapping):
        now = datetime.now(timezone.utc)
        self.result = {
            "name": name,
            "status": "running",
            "started": now.isoformat(),
            **about,
            "problems": [{"problem": p, "status": "not run"} for p in problems],
        }
        self._config = dict(config)
        texts = {"config.yaml": _yaml(config), "versions.json": to_json(versions(now))}
        texts |= trust.signature(config)
        others = {_LOG: ",".join(COLUMNS) + "\n", "result.json": to_json(self.result)}
        self._open(OwnFolder.make(runs, name, now, texts, others))

    @classmethod
    def reopen(cls, path) -> Recorder:
        """The Recorder of a folder that is no longer being written, to go on with it; `run` is
        what the folder holds.

        Raises ValueError where another process writes it; where its log has other columns, of
        another version of structes; and where a file of it is a link, has other names, or is no
        file.
        """
        from ..files.yaml_text import LARGEST  # here, not above: YAML is not for everybody

        self = cls.__new__(cls)
        path = read_run(path).folder  # a clear error where it is none
        own = OwnFolder.take_over(path, (_LOG, _FAILURES))
        try:
            self.run = read_run(path, held=True)  # now that nobody else changes it
            head, there = ",".join(COLUMNS) + "\n", ""
            with (
                suppress(FileNotFoundError),
                open(path / _LOG, encoding="utf-8", errors="replace", opener=regular) as log,
            ):
                there = log.readline(LONGEST)
            if there != head and head.startswith(there):  # `keep` says what is lost
                own.replace(_LOG, head)
            elif there.strip() != head.strip():
                raise ValueError(f"the log of {str(path)!r} has the columns of another version")
            for name in ("config.yaml", "versions.json"):
                own.texts[name] = read_text(path / name, LARGEST)
            with suppress(OSError, ValueError):  # it has none, or one that `trust.check` refuses
                own.texts[trust.SIGNATURE] = read_text(path / trust.SIGNATURE, LARGEST)
        except BaseException as error:
            own.close()
            if isinstance(error, OSError) and error.filename is not None:
                its = str(path / str(error.filename))
                raise OSError(error.errno, error.strerror, its) from error
            raise
        self._open(own)
        self.result, self._config = self.run.result, self.run.config
        self._start -= self.result.get("seconds") or 0.0
        return self

    def _open(self, own):
        self._own, self._log, self._failed = own, own.lines(_LOG), own.lines(_FAILURES)
        self._cells: deque = deque()  # of the rows that are to be written
        waiting = lambda: self._log.waiting + len(self._cells)  # noqa: E731
        self._writes = Writes(lambda: self.folder, self._mend, waiting)
        self._start = time.monotonic()
        self._es = self._saved = None
        self._ended: list[str] = []  # problems that have ended, whose end is not on the disk
        self._is_ahead = False  # does result.json know more than the other files?
        self._process = os.getpid()

    @property
    def folder(self) -> Path:
        """Where the folder is now."""
        return self._own.path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._own.close()

    def begin(self, problem: str, es, minimum: float | None, space=None, evaluate=None) -> None:
        """A search starts: the problem's name, its ES or RestartES, its minimum or None, the Space
        of its parameters where it has one, and the Evaluation or ParallelFunction, whose failures
        are written down."""
        self._evaluate, self._is_broken = evaluate, False
        self._es, self._minimum = es, math.nan if minimum is None else minimum
        self._space = space
        self._entry = next(e for e in self.result["problems"] if e["problem"] == problem)
        self._failures = Table(problem, space)
        self._shape = math.nan, math.nan
        self._row, self._rows = (-1, -1), 0  # restart and generation; in the log
        self._logged = es.evaluations  # that are in the log
        self.result["status"] = "running"
        if self._entry["status"] == "failed":  # it is tried again: what was wrong may be gone
            self._entry.pop("traceback", None)
        self._entry.setdefault("popsize", runs_of(es)[0].popsize)  # of a run that goes on, its own
        self._entry.update(status="running", dim=es.dim, minimum=minimum)
        self._entry.pop("stop", None)
        if "checkpoint" not in self._entry:
            self._entry["checkpoint"] = self._file("checkpoint", "search", ".ckpt")
        self._note()
        self._noted = self._saved = -math.inf  # and again with the first generation

    def saved(self, problem: str) -> dict | None:
        """The checkpoint of a problem, {"kind", "search", …}, None where there is none.

        Raises ValueError where the file is damaged.
        """
        entry = next(e for e in self.result["problems"] if e["problem"] == problem)
        path = self.folder / (entry.get("checkpoint") or "")
        if not path.is_file():
            return None
        _, tree = checkpoint.read(path)
        with checkpoint.restoring(path, "search"):
            tree["rows"] = checks.count("rows", tree["rows"], 0)
            row, shape = tuple(tree["row"]), tuple(tree["shape"])
            if len(row) != 2 or len(shape) != 2:
                raise ValueError("row and shape must be pairs")
            tree["row"] = tuple(checks.count("row", number, -1) for number in row)
            failures = tree.setdefault("failures", {})  # of an earlier version: not known
            if not isinstance(failures, dict):
                raise ValueError("failures must be counts by their kinds")
            for n in failures.values():
                checks.count("failures", n, 0)
            if tree.setdefault("written", None) is not None:
                tree["written"] = checks.count("written", tree["written"], 0)
        return tree

    def keep(self, problem: str, tree: dict | None, goes_on: bool = True) -> dict | None:
        """Rows of the log that came after the checkpoint go: what `resumed` takes then.

        goes_on   False: the search in the checkpoint has ended. True, and the last row is one of a
                  generation that a budget had cut short: it goes, since the search that has a
                  larger budget now closes that generation and writes a row for it
        """
        rows = []
        if tree is not None:
            known = rows_of(self.folder / _LOG, problem)
            rows = known[: tree["rows"]]
            if len(rows) < tree["rows"] or (rows and rows[-1] != tree["row"]):
                rows = [row for row in known if row <= tree["row"]][: tree["rows"]]
                self._say_gap(problem, tree, rows)
        if goes_on and rows:
            before = rows[-2] if len(rows) > 1 else (-1, 0)
            if rows[-1][1] == before[1]:
                rows.pop()
                tree = {**tree, "row": rows[-1] if rows else (-1, -1)}
        self._own.keep_rows(_LOG, problem, len(rows))
        self._log.close()  # of the file that was replaced
        if tree is None or tree["written"] is not None:
            self._keep_failures(problem, 0 if tree is None else tree["written"])
        return None if tree is None else {**tree, "rows": len(rows)}

    def _keep_failures(self, problem, most):
        """Failures that came after the checkpoint go: those evaluations will be made again."""
        path = self.folder / _FAILURES
        if path.exists():
            self._own.replace(_FAILURES, first_lines(path, problem, most))
            self._failed.close()  # of the file that was replaced

    def _say_gap(self, problem, tree, rows):
        """Rows of the log are lost, as after a power cut: say which."""
        said = f"generations {rows[-1][1] + 1 if rows else 1} to {tree['row'][1]}"
        say(
            f"log.csv in {str(self.folder)!r} lacks {tree['rows'] - len(rows)} of the "
            f"{tree['rows']} rows of {problem!r} ({said}), as after a power cut. The search goes "
            "on from its checkpoint, to the same bits; those rows stay lost"
        )

    def configure(self, config: Mapping) -> None:
        """The run is another one from here on: what its config.yaml says."""
        self._config, text = dict(config), _yaml(config)
        self._own.texts["config.yaml"] = text
        self._own.replace("config.yaml", text)

    def resumed(self, tree: dict) -> None:
        """The search that began goes on from this checkpoint."""
        self._row, self._shape = tuple(tree["row"]), tuple(tree["shape"])
        self._rows = tree["rows"]
        failures = tree["failures"], tree["written"]
        self._failures = Table(self._entry["problem"], self._space, *failures)

    @_apart
    def told(self, es) -> None:
        """Values were told: save the search, if it is time; 2 % of the time goes into this."""
        self._leave_forks()
        begun = time.monotonic()
        if begun < self._saved:
            return
        self._writes.do(self._entry["checkpoint"], partial(self._save, es))
        now = time.monotonic()
        self._saved = now + max(_EVERY, _SHARE * (now - begun))

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
            "written": self._failures.written,
        }
        name = self._entry["checkpoint"]
        self._own.replace(name, checkpoint.writer("search", tree))

    @_apart
    def generation(self, es) -> None:
        """A row of the log: to be called after every generation of the search that began."""
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
            known = self._entry.setdefault("switches", [])
            known += [s for s in switches if s not in known]
        self._take_failures()
        at = {"problem": self._entry["problem"], "restart": restart, "minimum": self._minimum}
        self._cells.append(cells_of(es, **at, shape=self._shape, closed=closed))
        self._writes.do(_LOG, self._write_rows)
        if time.monotonic() > self._noted:
            self._note()

    def _sync_rows(self):
        self._write_rows()
        self._log.sync()
        if self._log.was_cut:
            self._log.was_cut = False
            say(f"somebody has shortened {str(self.folder / _LOG)!r}: rows of it are lost")

    def _write_rows(self):
        while self._cells:
            row = StringIO()
            csv.writer(row, lineterminator="\n").writerow(self._cells[0])
            self._log.add(row.getvalue())
            self._cells.popleft()
        self._log.write()

    def _take_failures(self):
        """Write down the failures that have been seen since."""
        self._count_failures()
        if self._failed.waiting:
            self._writes.do(_FAILURES, self._failed.write)

    def _count_failures(self):
        """Count them, and let those wait that are to be written down."""
        if self._evaluate is None or not self._evaluate.failures:
            return
        for line in self._failures.take(self._evaluate, self._row[1]):
            self._failed.add(line)
        self._entry["failures"] = self._failures.counts
        self._entry["errors"] = sum(self._failures.counts.values())

    @_apart
    def end(self, status: str, traceback: str | None = None) -> None:
        """The search ends: status "done", "failed" or "interrupted"; the traceback of the first
        exception."""
        name, es = self._file("state", "state", ".npz"), self._es
        self._take_failures()
        if es.evaluations > self._logged:  # values of a generation that was interrupted
            self.generation(es)
        if status != "failed":
            self._saved = -math.inf
            self.told(es)
        about = {"seed": es.seed, "popsize": es.popsize, "restart": len(runs_of(es)) - 1}
        arrays = checkpoint.named_arrays("", es.state._asdict()) | about
        self._writes.do(
            name, lambda: self._own.replace(name, lambda file: np.savez(file, **arrays))
        )
        self._entry.update(status=status, stop=es.stop(), state=name)
        self._ended.append(self._entry["problem"])
        self._entry.setdefault("errors", 0)
        if traceback is not None:
            self._entry["traceback"] = traceback
        self._note()
        self._es = None

    def finish(self, status: str | None = None) -> None:
        """The run ends, and with it a search under way; status None: "done", or "failed" where a
        search was.

        Raises NotWritten where something of the run could not be written to the end: its `run` is
        all that is known.
        """
        if self._es is not None:
            self.end(status or "done")
        failed = any(e["status"] == "failed" for e in self.result["problems"])
        self.result["status"] = status or ("failed" if failed else "done")
        self._writes.do(_LOG, self._sync_rows)
        self._writes.do(_FAILURES, self._failed.sync)
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
        """What the folder holds, or will when all is written; it is not read for that."""
        about, result = map(json.loads, (self._own.texts["versions.json"], to_json(self.result)))
        return RunFolder(self.folder, self._config, about, result)

    def _file(self, key, prefix, suffix) -> str:
        """Name of a file of the present problem, which no other problem has."""
        name = f"{prefix}-{file_name(self._entry['problem'])}"
        others = [e.get(key, "").lower() for e in self.result["problems"] if e is not self._entry]
        if f"{name}{suffix}".lower() in others:
            name = f"{name}-{self.result['problems'].index(self._entry) + 1}"
        return name + suffix

    def _note(self):
        """The best point so far into result.json; at most 2 % of the time goes into this."""
        begun, es = time.monotonic(), self._es
        self._entry.update(
            x=es.best.x,
            fun=es.best.fun,
            error=es.best.fun - self._minimum,
            evaluations=es.evaluations,
            generations=es.generation,
            seconds=es.seconds,
        )
        if self._space is not None and es.best.x is not None:
            named = self._space.to_dict(es.best.x)
            self._entry["params"] = {name: plain_option(value) for name, value in named.items()}
        if isinstance(es, RestartES):
            self._entry["restarts"] = [run._asdict() for run in es.runs]
        self._write()
        now = time.monotonic()
        self._noted = now + max(_EVERY, _SHARE * (now - begun))

    def _write(self):
        self._writes.do("result.json", self._write_result)

    def _write_result(self):
        self.result["seconds"] = time.monotonic() - self._start
        shown = self.result
        self._is_ahead = self._writes.owes_others("result.json")
        if self._is_ahead:  # a search has not ended as long as its rows are not in the log
            entries = [
                {**entry, "status": "running"} if entry["problem"] in self._ended else entry
                for entry in shown["problems"]
            ]
            shown = {**shown, "status": "running", "problems": entries}
        else:
            self._ended.clear()
        self._own.replace("result.json", to_json(shown))

    def _mend(self):
        """Make a folder again that was deleted. What is lost is the final states of problems that
        had ended before."""
        if self._own.mend():
            self._saved = -math.inf


def _yaml(config) -> str:
    import yaml

    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
