"""A run folder: what a run was, what happened, and what came out, in files that anything reads.

    runs/20260131-142500-quickstart/
        config.yaml      the experiment, every key: `structes run` on it repeats the run
        versions.json    of structes and what it stands on, the command, the machine, the start
        log.csv          a row for each generation, all problems one below the other
        result.json      for each problem: best point and value, why it stopped, a row for each
                         run of a search with restarts; rewritten whole
        state-….npz      the search distribution at the end of each problem

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
import platform
import sys
import time
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timezone
from glob import glob
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .backend import to_numpy
from .files import file_name, is_locked, lock, replace, settle, to_json
from .registry import nearest
from .restart_es import RestartES, runs_of

COLUMNS = (
    "problem",
    "restart",  # 0 in the first run
    "generation",  # closed so far, of all runs
    "evaluations",  # of all runs
    "best",  # value of the best point so far, of all runs
    "error",  # its distance from the problem's minimum; nan where that is unknown
    "generation_best",  # of this generation's values (nan: the budget cut the generation short)
    "generation_median",
    "popsize",
    "dof",  # degrees of freedom of the structure: a jump is a switch of structure="auto"
    "sigma",
    "deviation_min",  # smallest and largest standard deviation of a coordinate; the shape is
    "deviation_max",  # measured every tenth generation, in between only sigma moves them
    "condition",  # of the covariance, as the stopping rules last measured it
    "norm",  # Frobenius norm of the natural-gradient step
    "path_length",  # of the step-size path, over its expectation
    "failures",  # generations in a row without any value
    "seconds",  # since the start of this problem
)
_COUNTS = ("restart", "generation", "evaluations", "popsize", "dof", "failures")
_EVERY = 1.0  # seconds between notes of the best point in result.json


class RunFolder(NamedTuple):
    """What is read back: the folder, and the contents of config, versions and result (dicts)."""

    folder: Path
    config: dict
    versions: dict
    result: dict


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
        import yaml

        now = datetime.now(timezone.utc)
        runs = Path(runs)
        runs.mkdir(parents=True, exist_ok=True)
        hidden = runs / f".{os.getpid()}-{time.time_ns()}.tmp"
        hidden.mkdir()
        text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
        (hidden / "config.yaml").write_text(text, encoding="utf-8")
        (hidden / "versions.json").write_text(to_json(_versions(now)), encoding="utf-8")
        (hidden / "log.csv").write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
        self.result = {
            "name": name,
            "status": "running",
            "started": now.isoformat(),
            **about,
            "problems": [{"problem": p, "status": "not run"} for p in problems],
        }
        (hidden / "result.json").write_text(to_json(self.result), encoding="utf-8")
        stamp = now.astimezone().strftime("%Y%m%d-%H%M%S")
        self.folder = settle(hidden, runs / f"{stamp}-{file_name(name)}")
        log = self.folder / "log.csv"
        self._log = open(log, "a", buffering=1, newline="", encoding="utf-8")  # noqa: SIM115
        lock(self._log)
        self._writer = csv.writer(self._log, lineterminator="\n")
        self._start = time.monotonic()
        self._es = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._log.close()

    def begin(self, problem: str, es, minimum: float | None) -> None:
        """A search starts: the problem's name, its ES or RestartES, its minimum or None."""
        self._es, self._minimum = es, math.nan if minimum is None else minimum
        self._entry = next(e for e in self.result["problems"] if e["problem"] == problem)
        self._shape = math.nan, math.nan
        self._row = -math.inf, -math.inf  # restart, generation
        self._entry.update(status="running", dim=es.dim, popsize=es.popsize, minimum=minimum)
        self._note()
        self._noted = -math.inf  # and again with the first generation

    def generation(self, es) -> None:
        """A row of the log: to be called after every generation of the search that began."""
        restart = len(runs_of(es)) - 1
        closed = es.generation != self._row[1]
        if restart != self._row[0] or (closed and es.generation % 10 == 0):
            shape = to_numpy(es.deviations) / es.sigma
            self._shape = float(shape.min()), float(shape.max())
        self._row = restart, es.generation
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
                es.monitor.failures,
                f"{es.seconds:.6f}",
            )
        )
        if time.monotonic() > self._noted:
            self._note()

    def end(self, status: str, traceback: str | None = None) -> None:
        """The search ends: status "done", "failed" (with the traceback) or "interrupted"."""
        name = f"state-{file_name(self._entry['problem'])}.npz"
        others = [e.get("state", "").lower() for e in self.result["problems"]]
        if name.lower() in others and self._entry.get("state") != name:
            at = self.result["problems"].index(self._entry) + 1
            name = f"{name[:-4]}-{at}.npz"
        es = self._es
        about = {"seed": es.seed, "popsize": es.popsize, "restart": len(runs_of(es)) - 1}
        arrays = _arrays("", es.state._asdict()) | about
        replace(self.folder / name, lambda file: np.savez(file, **arrays))
        self._entry.update(status=status, stop=es.stop(), state=name)
        if traceback is not None:
            self._entry["traceback"] = traceback
        self._note()
        self._es = None

    def finish(self, status: str | None = None) -> None:
        """The run ends, and with it a search under way; status None: "done", or "failed" where a
        search was."""
        if self._es is not None:
            self.end(status)
        failed = any(e["status"] == "failed" for e in self.result["problems"])
        self.result["status"] = status or ("failed" if failed else "done")
        self._write()

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
        if isinstance(es, RestartES):
            self._entry["restarts"] = [run._asdict() for run in es.runs]
        self._write()
        now = time.monotonic()
        self._noted = now + max(_EVERY, 50 * (now - begun))

    def _write(self):
        self.result["seconds"] = time.monotonic() - self._start
        text = to_json(self.result).encode()
        replace(self.folder / "result.json", lambda file: file.write(text))


def read_run(folder) -> RunFolder:
    """What a run folder holds. A run that never ended has the status "running" as long as its
    process lives, and "unfinished (killed?)" after that.

    Raises ValueError for anything that is not a run folder, naming what is missing.
    """
    import yaml

    folder = Path(folder)
    alive = is_locked(folder / "log.csv")  # before the result, which may become the last one now
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        versions = json.loads((folder / "versions.json").read_text(encoding="utf-8"))
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{str(folder)!r} is not a run folder: {_why(folder, error)}") from None
    if result["status"] == "running" and not alive:
        result["status"] = "unfinished (killed?)"
        for entry in result["problems"]:
            if entry["status"] == "running":
                entry["status"] = "unfinished"
    return RunFolder(folder, config, versions, result)


def tail_log(folder, n: int) -> list[dict]:
    """The last n rows of a run's log, as dicts from column to text, without a torn last line."""
    with open(Path(folder) / "log.csv", newline="", encoding="utf-8") as file:
        lines = (line for line in file if line.endswith("\n"))
        head = next(lines, "").strip().split(",")
        return list(csv.DictReader(deque(lines, maxlen=n), head))


def load_runs(runs):
    """One pandas DataFrame with the log rows of all `runs`.

    runs   a folder, a pattern ("runs/*"; what it matches and is no run is left out), or a list
           of them

    Columns: run (the folder's name), structure, seed, dim, and those of log.csv, which
    `structes.record.COLUMNS` lists and explains. Raises ValueError where nothing matches or a
    folder is no run, ImportError without pandas.
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError("load_runs needs pandas: pip install 'structes[plot]'") from error

    frames = []
    for folder in _folders(runs):
        run = read_run(folder)
        text = (folder / "log.csv").read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1] or ",".join(COLUMNS)  # a torn last line is dropped
        frame = pandas.read_csv(StringIO(whole), dtype=object, keep_default_na=False)
        for column in COLUMNS[1:]:  # float() gives back every bit; pandas' own reader need not
            frame[column] = frame[column].to_numpy().astype(int if column in _COUNTS else float)
        dims = {e["problem"]: e.get("dim") for e in run.result["problems"]}
        frame.insert(0, "run", folder.name)
        frame.insert(1, "structure", run.result.get("structure"))
        frame.insert(2, "seed", run.result.get("seed"))
        frame.insert(3, "dim", frame["problem"].map(dims))
        if len(frame):
            frames.append(frame)
        else:
            empty = frame
    return pandas.concat(frames, ignore_index=True) if frames else empty


# -- inside ---------------------------------------------------------------------------------------


def _folders(runs) -> list[Path]:
    if not isinstance(runs, (str, Path)):
        found = [folder for part in runs for folder in _folders(part)]
        if not found:
            raise ValueError("runs must be a folder, a pattern or a list of them; got none")
        return found
    folder = Path(runs)
    if (folder / "log.csv").exists():
        return [folder]
    if not folder.exists():
        found = [p for p in map(Path, sorted(glob(str(runs)))) if (p / "log.csv").exists()]
        if found:
            return found
        raise ValueError(f"no run matches {str(runs)!r} (looked from {os.getcwd()})")
    raise ValueError(f"{str(folder)!r} is not a run folder: {_why(folder, None)}")


def _why(folder: Path, error) -> str:
    if not folder.exists():
        around = folder.parent
        names = [p.name for p in around.iterdir()] if around.is_dir() else []
        return f"there is no such folder{nearest(folder.name, names)}"
    if folder.is_dir() and any(folder.glob("*/log.csv")):
        return f"it holds runs (did you mean {str(folder / '*')!r}?)"
    return f"it has no {Path(error.filename).name if error else 'log.csv'}"


def _arrays(name, value) -> dict:
    """{name: array} of nested tuples and mappings, for np.savez: factor_0, factor_1, …"""
    if isinstance(value, Mapping):
        parts = value.items()
    elif hasattr(value, "_asdict"):
        parts = value._asdict().items()
    elif isinstance(value, (tuple, list)):
        parts = enumerate(value)
    else:
        return {name: value if isinstance(value, (int, float)) else to_numpy(value)}
    arrays = {}
    for key, part in parts:
        arrays.update(_arrays(f"{name}_{key}" if name else key, part))
    return arrays


def _versions(now) -> dict:
    from importlib import metadata

    packages = {}
    for name in ("structes", "numpy", "scipy", "coco-experiment"):
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            packages[name] = None
    return {
        **packages,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": platform.node(),
        "argv": sys.argv,
        "started": now.isoformat(),
    }
