"""A run folder: what a run was, what happened, and what came out, in files that anything reads.

    runs/20260131-142500-quickstart/
        config.yaml      the experiment, every key: `structes run` on it repeats the run
        signature        where the config names code: whose run it is (trust.py)
        versions.json    of structes and what it stands on, the command, the machine, the start
        log.csv          a row for each generation, all problems one below the other
        result.json      for each problem: best point and value, why it stopped, a row for each
                         run of a search with restarts; rewritten whole
        failures.jsonl   a line for each evaluation that failed, with its traceback (the first
                         hundred of a generation)
        state-….npz      the search distribution at the end of each problem
        search-….ckpt    each search as it was a few seconds ago (checkpoint.py): `structes resume`
                         goes on from there

A run can be killed at any moment, so nothing here needs an orderly end. The folder is filled under
a hidden name and renamed, so it appears complete, and no two runs share one. Each row of the log
goes to the operating system at once. Every other file is written beside its place and moved there.
The best point of a search under way is in result.json too, a few seconds old at most.

`Recorder` writes such a folder, `read_run` and `tail_log` read one, `load_runs` hands the logs of
many to pandas.
"""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from . import checkpoint, checks, trust
from .about import versions
from .backend import to_numpy
from .files import file_name, replace, settle, to_json
from .history import read_run
from .log import COLUMNS, hold, keep_rows, rows_of
from .opening import LONGEST, regular
from .restart_es import RestartES, runs_of

_EVERY = 1.0  # seconds between notes of the best point in result.json


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
        runs = Path(runs)
        self.result = {
            "name": name,
            "status": "running",
            "started": now.isoformat(),
            **about,
            "problems": [{"problem": p, "status": "not run"} for p in problems],
        }
        files = {
            "config.yaml": _yaml(config),
            "versions.json": to_json(versions(now)),
            "log.csv": ",".join(COLUMNS) + "\n",
            "result.json": to_json(self.result),
            **trust.signature(config),
        }
        hidden = runs / f".{os.getpid()}-{time.time_ns()}.tmp"
        try:
            runs.mkdir(parents=True, exist_ok=True)
            hidden.mkdir()
            for file, text in files.items():
                (hidden / file).write_text(text, encoding="utf-8")
            stamp = now.astimezone().strftime("%Y%m%d-%H%M%S")
            folder = settle(hidden, runs / f"{stamp}-{file_name(name)}")
        except OSError as error:
            shutil.rmtree(hidden, ignore_errors=True)
            why = "it is a file" if runs.is_file() else error.strerror
            raise OSError(f"runs cannot be recorded in {str(runs)!r}: {why}") from error
        self._open(folder)

    @classmethod
    def reopen(cls, folder) -> Recorder:
        """The Recorder of a folder that is no longer being written, to go on with it; `run` is
        what the folder holds.

        Raises ValueError where another process writes it; where its log has other columns, of
        another version of structes; and where a file of it is a link or anything else but a file,
        for which `read_run` looks.
        """
        self = cls.__new__(cls)
        folder = read_run(folder).folder  # a clear error where it is none
        self._open(folder)
        try:
            self.run = read_run(folder, held=True)  # now that nobody else changes it
            with open(folder / "log.csv", encoding="utf-8", opener=regular) as file:
                if file.readline(LONGEST).strip() != ",".join(COLUMNS):
                    raise ValueError(
                        f"the log of {str(folder)!r} has the columns of another version"
                    )
        except BaseException:
            self._log.close()
            raise
        self.result = self.run.result
        self._start -= self.result.get("seconds") or 0.0
        return self

    def _open(self, folder):
        self.folder = folder
        self._open_log()
        self._start = time.monotonic()
        self._es = self._saved = None

    def _open_log(self):
        self._log = hold(self.folder / "log.csv")
        self._writer = csv.writer(self._log, lineterminator="\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._log.close()

    def begin(self, problem: str, es, minimum: float | None, space=None) -> None:
        """A search starts: the problem's name, its ES or RestartES, its minimum or None, and the
        Space of its parameters where it has one."""
        self._es, self._minimum = es, math.nan if minimum is None else minimum
        self._space = space
        self._entry = next(e for e in self.result["problems"] if e["problem"] == problem)
        self._shape = math.nan, math.nan
        self._row, self._rows = (-1, -1), 0  # restart and generation; in the log
        self._logged = es.evaluations  # that are in the log
        self.evaluation = None
        self.result["status"] = "running"
        if self._entry["status"] == "failed":  # it is tried again: what was wrong may be gone
            self._entry.pop("traceback", None)
        popsize = runs_of(es)[0].popsize
        self._entry.update(status="running", dim=es.dim, popsize=popsize, minimum=minimum)
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
        return tree

    def keep(self, problem: str, tree: dict | None, goes_on: bool = True) -> dict | None:
        """Rows of the log that came after the checkpoint go: what `resumed` takes then.

        goes_on   False: the search in the checkpoint has ended. True, and the last row is one of a
                  generation that a budget had cut short: it goes, since the search that has a
                  larger budget now closes that generation and writes a row for it
        """
        rows = rows_of(self.folder / "log.csv", problem)[: 0 if tree is None else tree["rows"]]
        if goes_on and rows:
            before = rows[-2] if len(rows) > 1 else (-1, 0)
            if rows[-1][1] == before[1]:
                rows.pop()
                tree = {**tree, "row": rows[-1] if rows else (-1, -1)}
        keep_rows(self.folder / "log.csv", problem, len(rows))
        replaced = self._log
        self._open_log()
        replaced.close()
        return None if tree is None else {**tree, "rows": len(rows)}

    def configure(self, config: Mapping) -> None:
        """The run is another one from here on: what its config.yaml says."""
        replace(self.folder / "config.yaml", lambda file: file.write(_yaml(config).encode()))

    def resumed(self, tree: dict) -> None:
        """The search that began goes on from this checkpoint."""
        self._row, self._shape = tuple(tree["row"]), tuple(tree["shape"])
        self._rows = tree["rows"]

    def told(self, es) -> None:
        """Values were told: save the search, if it is time; 2 % of the time goes into this."""
        begun = time.monotonic()
        if begun < self._saved:
            return
        tree = {
            "search": es.snapshot(),
            "kind": type(es).__name__,
            "rows": self._rows,
            "row": self._row,
            "shape": self._shape,
        }
        checkpoint.write(self.folder / self._entry["checkpoint"], "search", tree)
        now = time.monotonic()
        self._saved = now + max(_EVERY, 50 * (now - begun))

    def generation(self, es) -> None:
        """A row of the log: to be called after every generation of the search that began."""
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
        info, best = es.info, es.best.fun
        self._writer.writerow(
            (
                self._entry["problem"],
                restart,
                es.generation,
                es.evaluations,
                best,
                best - self._minimum,
                info.best if closed else math.nan,
                info.median if closed else math.nan,
                es.popsize,
                es.structure.dof,
                es.sigma,
                es.sigma * self._shape[0],
                es.sigma * self._shape[1],
                es.monitor.condition,
                info.norm,
                info.path_length,
                *((info.missing, info.late, info.stale, info.injected) if closed else 4 * (0,)),
                es.monitor.failures,
                f"{es.seconds:.6f}",
            )
        )
        if time.monotonic() > self._noted:
            self._note()

    def failures(self, evaluate) -> None:
        """Write down the failures that an Evaluation or ParallelFunction has seen since."""
        if evaluate.failures:
            at = {"problem": self._entry["problem"], "generation": self._row[1]}
            said = [{**at, **f._asdict()} for f in evaluate.failures]
            evaluate.failures.clear()
            path = self.folder / "failures.jsonl"
            with open(path, "a", encoding="utf-8", opener=regular) as file:
                file.writelines(json.dumps(row) + "\n" for row in said)

    def end(self, status: str, traceback: str | None = None, errors: int = 0) -> None:
        """The search ends: status "done", "failed" or "interrupted"; the traceback of the first
        exception, and how many there were."""
        name, es = self._file("state", "state", ".npz"), self._es
        if es.evaluations > self._logged:  # values of a generation that was interrupted
            self.generation(es)
        if status == "done":
            self._saved = -math.inf
            self.told(es)
        about = {"seed": es.seed, "popsize": es.popsize, "restart": len(runs_of(es)) - 1}
        arrays = checkpoint.named_arrays("", es.state._asdict()) | about
        replace(self.folder / name, lambda file: np.savez(file, **arrays))
        self._entry.update(status=status, stop=es.stop(), state=name)
        self._entry["errors"] = errors + self._entry.get("errors", 0)
        if traceback is not None:
            self._entry["traceback"] = traceback
        self._note()
        self._es = None

    def finish(self, status: str | None = None) -> None:
        """The run ends, and with it a search under way; status None: "done", or "failed" where a
        search was."""
        if self._es is not None:
            self.end(status or "done")
        failed = any(e["status"] == "failed" for e in self.result["problems"])
        self.result["status"] = status or ("failed" if failed else "done")
        self._write()

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
            self._entry["params"] = {name: _said(value) for name, value in named.items()}
        if isinstance(es, RestartES):
            self._entry["restarts"] = [run._asdict() for run in es.runs]
        self._write()
        now = time.monotonic()
        self._noted = now + max(_EVERY, 50 * (now - begun))

    def _write(self):
        self.result["seconds"] = time.monotonic() - self._start
        text = to_json(self.result).encode()
        replace(self.folder / "result.json", lambda file: file.write(text))


def _yaml(config) -> str:
    import yaml

    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)


def _said(value):
    """An option of a choice as JSON has it; of an object of the user's its repr."""
    return value if isinstance(value, (bool, int, float, str, type(None))) else repr(value)
