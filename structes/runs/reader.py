"""Reading run folders: what `record.py` has written, for the shell and for pandas.

A folder may have been cut short by a full disk, edited by hand, or come from somebody else. So
what is read is checked before it is used: `read_run` raises ValueError for a damaged folder and
says which file is wrong. What looks at many folders (`latest`, a pattern) passes over such ones.
Only regular files under their own names are read (opening.py), and no more of them than a run can
have written.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable
from functools import partial
from glob import glob
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..files.locks import is_locked
from ..files.opening import (
    LONGEST,
    NoFile,
    check_regular,
    lines_of,
    parse_json,
    read_text,
    regular,
)
from ..registry import brief, nearest
from ..terminal.output import warn
from .log import COLUMNS, COUNTS

if TYPE_CHECKING:
    import pandas

LATEST = "latest"  # the word for the run that was started last
_OF_NAME = r"\d{{8}}-\d{{6}}-{}(-\d+)?"  # names of the folders of runs of a name
LARGEST_RESULT = 2**26  # bytes of a result.json: the best points of a million parameters have half
LARGEST_LOG = 2**30  # of a log that is read whole


class RunFolder(NamedTuple):
    """What is read back: the folder, and the contents of config, versions and result (dicts)."""

    folder: Path
    config: dict
    versions: dict
    result: dict


def read_run(folder, held: bool = False) -> RunFolder:
    """What a run folder holds. A run that never ended has the status "running" as long as its
    process lives, and "unfinished (killed?)" after that.

    held   True: this process is the one that writes it

    Raises ValueError for anything that is not a run folder, naming what is missing, and for a
    damaged one, naming the file and what is wrong with it.
    """
    from ..files.yaml_text import LARGEST, read_yaml  # here, not above: many programs read no run

    folder = Path(folder)
    for name in ("lock", "log.csv"):
        _check_file(folder, name)
    # before the result, which may become the last one now
    alive = not held and is_locked(folder)
    config = _mapping(folder, "config.yaml", partial(read_yaml, what="it", twice=True), LARGEST)
    versions = _mapping(folder, "versions.json", parse_json, LARGEST)
    result = _mapping(folder, "result.json", parse_json, LARGEST_RESULT)
    try:
        _check_result(result)
    except ValueError as error:
        raise _damaged(folder, "result.json", error) from None
    named = [e.get(key) for e in result["problems"] for key in ("state", "checkpoint")]
    for name in ("failures.jsonl", *filter(None, named)) if held else ():  # will be written, too
        _check_file(folder, name)
    if result["status"] == "running" and not alive:
        result["status"] = "unfinished (killed?)"
        for entry in result["problems"]:
            if entry["status"] == "running":
                entry["status"] = "unfinished"
    return RunFolder(folder, config, versions, result)


def recorded(runs="runs") -> list[Path]:
    """The run folders in the folder `runs`, whole or damaged, the one that started last at the
    end. Raises ValueError where `runs` is no folder; where it does not exist there are none."""
    runs = Path(runs)
    if not runs.exists():
        return []
    if not runs.is_dir():
        raise ValueError(f"runs must be a folder that holds runs; {str(runs)!r} is a file")
    found = [p for p in runs.iterdir() if p.name[:1] != "." and _has(p, "result.json")]
    return sorted(found, key=lambda folder: (_started(folder), folder.name))


def find_run(run: str = LATEST, runs="runs") -> Path:
    """Folder of a run that is called by its path, by its name in the folder `runs`, by the name
    that it was given (`--name`; the last one of that name), or "latest": the run that was started
    last, of those that are not damaged.

    Raises ValueError, naming the nearest, where there is none.
    """
    if Path(run).is_dir():
        return Path(run)
    folders = recorded(runs)
    names = {folder.name: folder for folder in folders}
    if run in names:
        return names[run]
    if run == LATEST:
        wrong = []
        for folder in reversed(folders):
            try:
                return read_run(folder).folder
            except (ValueError, OSError) as error:
                wrong.append(error)
        if wrong:
            raise ValueError(f"no run in {str(runs)!r} can be read; the latest: {wrong[0]}")
        raise ValueError(f"no run is recorded in {str(runs)!r} yet")
    of_name = re.compile(_OF_NAME.format(re.escape(str(run))))
    called = [folder for folder in folders if of_name.fullmatch(folder.name)]
    if called:
        return called[-1]
    hint = nearest(run, [*names, LATEST])
    raise ValueError(f"there is no run {run!r}, neither here nor in {str(runs)!r}{hint}")


def tail_log(folder, n: int) -> list[dict]:
    """The last n rows of a run's log, as dicts from column to text, without a torn last line."""
    path, most = Path(folder) / "log.csv", min(max(1, n) * LONGEST, 2**28)
    try:
        with open(path, "rb", opener=regular) as file:
            head = file.readline(LONGEST)
            begin = file.tell()
            skipped = max(0, os.fstat(file.fileno()).st_size - most - begin)
            file.seek(begin + skipped)
            last = file.read(most).split(b"\n")
        lines = last[skipped > 0 : -1]  # the first may be a part of a line, the last is torn
        words = [line.decode("utf-8", "replace").replace("\0", "") for line in lines[-n:] if n]
        columns = head.decode("utf-8", "replace").replace("\0", "").strip().split(",")
        return list(csv.DictReader(words, columns))
    except (csv.Error, NoFile) as error:
        raise _damaged(Path(folder), "log.csv", error) from None
    except OSError as error:
        raise ValueError(
            f"{str(folder)!r} is not a run folder: {_why(Path(folder), error)}"
        ) from None


def load_runs(
    runs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
) -> pandas.DataFrame:
    """Return the log rows of recorded runs as one pandas DataFrame.

    pandas comes with the extra `plot`: ``pip install 'structes[plot]'``.

    Parameters
    ----------
    runs : str or path, or a list of these
        A folder; a pattern such as `runs/*`, of which what is no run is left out; or "latest",
        which is the run in the folder `runs` that was started last.

    Returns
    -------
    pandas.DataFrame
        Its columns are run (the folder's name), structure, seed, dim, and those of log.csv, which
        `structes.runs.log.COLUMNS` lists and explains.

    Raises
    ------
    ValueError
        Where nothing matches, or a folder is no run.
    ImportError
        Where pandas is not installed.

    Warns
    -----
    RuntimeWarning
        For a damaged folder that a pattern matches: it is left out.
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError("load_runs needs pandas: pip install 'structes[plot]'") from error

    frames, empty = [], None
    for folder, may_be_damaged in _folders(runs):
        try:
            frame = _frame(folder, pandas)
        except (ValueError, OSError) as error:
            if not may_be_damaged:
                raise
            warn(f"left out: {error}", stacklevel=2)
            continue
        if len(frame):
            frames.append(frame)
        else:
            empty = frame
    if not frames and empty is None:
        raise ValueError(f"all runs that match {brief(runs)} are damaged")
    return pandas.concat(frames, ignore_index=True) if frames else empty


# -- inside ---------------------------------------------------------------------------------------


def _frame(folder, pandas):
    """The log of a run as a DataFrame."""
    run = read_run(folder)
    try:
        path = folder / "log.csv"
        with open(path, newline="\n", encoding="utf-8", opener=regular) as file:
            if os.fstat(file.fileno()).st_size > LARGEST_LOG:
                raise ValueError(f"it has more than {LARGEST_LOG} bytes")
            whole = "".join(lines_of(file)) or ",".join(COLUMNS)  # a torn last line is dropped
        frame = pandas.read_csv(StringIO(whole), dtype=object, keep_default_na=False)
        for column in COLUMNS[1:]:  # float() gives back every bit; pandas' own reader need not
            frame[column] = frame[column].to_numpy().astype(int if column in COUNTS else float)
        dims = {e["problem"]: e.get("dim") for e in run.result["problems"]}
        frame.insert(0, "run", folder.name)
        frame.insert(1, "structure", run.result.get("structure"))
        frame.insert(2, "seed", run.result.get("seed"))
        frame.insert(3, "dim", frame["problem"].map(dims))
    except KeyError as error:
        raise _damaged(folder, "log.csv", f"it has no column {error}") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise _damaged(folder, "log.csv", error) from None
    return frame


def _folders(runs) -> list:
    """(folder, is it one of many that a pattern matches?) of each run that is meant."""
    if not isinstance(runs, (str, Path)):
        found = [folder for part in runs for folder in _folders(part)]
        if not found:
            raise ValueError("runs must be a folder, a pattern or a list of them; got none")
        return found
    folder = Path(runs)
    if _has(folder, "log.csv"):
        return [(folder, False)]
    if not folder.exists():
        if str(runs) == LATEST:
            return [(find_run(LATEST), False)]
        found = [p for p in map(Path, sorted(glob(str(runs)))) if _has(p, "log.csv")]
        if found:
            return [(p, True) for p in found]
        raise ValueError(f"no run matches {str(runs)!r} (looked from {os.getcwd()})")
    raise ValueError(f"{str(folder)!r} is not a run folder: {_why(folder, None)}")


def _has(folder, name) -> bool:
    """Does something lie there under this name, whatever it is? True where one may not look: what
    reads it says so."""
    try:
        os.lstat(folder / name)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _check_file(folder, name) -> None:
    """ValueError where a file of a run folder is a link, a pipe or anything else but a file."""
    try:
        check_regular(folder / name)
    except NoFile as error:
        raise _damaged(folder, name, error) from None
    except OSError as error:
        raise ValueError(f"{str(folder)!r} is not a run folder: {_why(folder, error)}") from None


def _mapping(folder, name, parse, most: int) -> dict:
    """The mapping in a file of a run folder, which has at most so many bytes."""
    try:
        value = parse(read_text(folder / name, most))
    except NoFile as error:
        raise _damaged(folder, name, error) from None
    except OSError as error:
        raise ValueError(f"{str(folder)!r} is not a run folder: {_why(folder, error)}") from None
    except (ValueError, RecursionError) as error:
        raise _damaged(folder, name, error) from None
    if not isinstance(value, dict):
        raise _damaged(folder, name, f"it holds no mapping but {brief(value)}")
    return value


# What result.json says of a problem, where it says it; null is allowed.
_KINDS = {
    "dim": int,
    "popsize": int,
    "minimum": (int, float),
    "x": list,
    "fun": (int, float),
    "error": (int, float),
    "evaluations": int,
    "generations": int,
    "seconds": (int, float),
    "errors": int,
    "stop": dict,
    "params": dict,
    "restarts": list,
    "switches": list,
    "traceback": str,
    "state": str,
    "checkpoint": str,
}


def _check_result(result) -> None:
    """ValueError where result.json is none that a Recorder writes."""
    if not isinstance(result.get("status"), str):
        raise ValueError(f"it must say its status; got {brief(result.get('status'))}")
    seconds = result.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float, type(None))):
        raise ValueError(f"its seconds cannot be {brief(seconds)}")
    if not isinstance(result.get("problems"), list):
        raise ValueError(f"its problems must be a list; got {brief(result.get('problems'))}")
    for i, entry in enumerate(result["problems"]):
        for key in ("problem", "status"):
            if not isinstance(entry, dict) or not isinstance(entry.get(key), str):
                raise ValueError(f"problems[{i}] must say its {key}; got {brief(entry)}")
        for key, kinds in _KINDS.items():
            value = entry.get(key)
            null = value is None and not (key == "stop" and key in entry)
            fits = isinstance(value, kinds) and not isinstance(value, bool)
            if not null and not (fits and _is_sane(value)):
                raise ValueError(f"problems[{i}]: {key} cannot be {brief(value)}")
        for key, end in (("state", ".npz"), ("checkpoint", ".ckpt")):  # of this folder, no other
            name = entry.get(key)
            own = name and os.path.basename(name) == name and name.endswith(end)
            if key in entry and (not own or "\0" in name):
                raise ValueError(f"problems[{i}]: {key} is no file name: {brief(entry[key])}")
        if not all(isinstance(v, (int, float)) and _is_sane(v) for v in entry.get("x") or ()):
            raise ValueError(f"problems[{i}]: x must hold numbers; got {brief(entry['x'])}")
        for run in entry.get("restarts") or ():
            if not isinstance(run, dict) or not isinstance(run.get("stop"), dict):
                raise ValueError(f"problems[{i}]: restarts cannot hold {brief(run)}")


def _is_sane(value) -> bool:
    """Is it no integer of hundreds of digits?"""
    return not isinstance(value, int) or value.bit_length() < 1000


def _started(folder) -> str:
    """When a run was started, as text that sorts; "" where that cannot be read."""
    try:
        found = parse_json(read_text(folder / "result.json", LARGEST_RESULT))
        return str(found.get("started", ""))
    except (OSError, ValueError, AttributeError, RecursionError):
        return ""


def _damaged(folder, name, error) -> ValueError:
    if isinstance(error, NoFile):
        return ValueError(f"{str(folder)!r} is damaged: {name} {error.strerror}")
    said = " ".join(str(error).split())
    return ValueError(f"{str(folder)!r} is damaged: {name}: {said[:200]}")


def _why(folder: Path, error) -> str:
    if not folder.exists():
        around = folder.parent
        try:
            names = [p.name for p in around.iterdir()] if around.is_dir() else []
        except OSError:
            names = []
        return f"there is no such folder{nearest(folder.name, names)}"
    if isinstance(error, PermissionError):
        return f"{Path(error.filename).name} may not be read (permission denied)"
    if folder.is_dir() and any(folder.glob("*/log.csv")):
        return f"it holds runs (did you mean {str(folder / '*')!r}?)"
    if not folder.is_dir():
        return "it is a file"
    return f"it has no {Path(error.filename).name if error else 'log.csv'}"
