"""Reading run folders: what `record.py` has written, for the shell and for pandas."""

from __future__ import annotations

import csv
import json
import os
from collections import deque
from glob import glob
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from .files import is_locked
from .record import COLUMNS, COUNTS
from .registry import nearest


class RunFolder(NamedTuple):
    """What is read back: the folder, and the contents of config, versions and result (dicts)."""

    folder: Path
    config: dict
    versions: dict
    result: dict


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
            frame[column] = frame[column].to_numpy().astype(int if column in COUNTS else float)
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
