"""Reading run folders: what a Recorder has written, for the shell and for pandas.

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
from ..naming.error_text import brief, nearest
from ..terminal.output import warn
from .log import COLUMNS, COUNTS
from .result import check_result

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


def read_run(folder: str | os.PathLike[str], is_writer: bool = False) -> RunFolder:
    """Return what a run folder holds.

    A run that never ended has the status "running" as long as its process lives, and "unfinished
    (killed?)" after that.

    Parameters
    ----------
    folder : path-like
        The folder.
    is_writer : bool
        Whether this process is the one that writes it.

    Raises
    ------
    ValueError
        For anything that is not a run folder, naming what is missing, and for a damaged one,
        naming the file and what is wrong with it.
    """
    from ..files.yaml_text import LARGEST, read_yaml  # here, not above: many programs read no run

    folder = Path(folder)
    for name in ("lock", "log.csv"):
        _check_file(folder, name)
    # before the result, which may become the last one now
    alive = not is_writer and is_locked(folder)
    config = _mapping(folder, "config.yaml", partial(read_yaml, name="it", twice=True), LARGEST)
    versions = _mapping(folder, "versions.json", parse_json, LARGEST)
    result = _mapping(folder, "result.json", parse_json, LARGEST_RESULT)
    try:
        check_result(result)
    except ValueError as error:
        raise _damaged(folder, "result.json", error) from None
    named = [e.get(key) for e in result["problems"] for key in ("state", "checkpoint")]
    for name in (
        ("failures.jsonl", *filter(None, named)) if is_writer else ()
    ):  # will be written, too
        _check_file(folder, name)
    if result["status"] == "running" and not alive:
        result["status"] = "unfinished (killed?)"
        for entry in result["problems"]:
            if entry["status"] == "running":
                entry["status"] = "unfinished"
    return RunFolder(folder, config, versions, result)


def recorded(runs: str | os.PathLike[str] = "runs") -> list[Path]:
    """Return the run folders in the folder `runs`, whole or damaged, the one that started last at
    the end.

    Raises
    ------
    ValueError
        Where `runs` is no folder; where it does not exist there are none.
    """
    runs = Path(runs)
    if not runs.exists():
        return []
    if not runs.is_dir():
        raise ValueError(f"runs must be a folder that holds runs; {str(runs)!r} is a file")
    paths = [p for p in runs.iterdir() if p.name[:1] != "." and _has(p, "result.json")]
    return sorted(paths, key=lambda folder: (_started(folder), folder.name))


def find_run(run: str = LATEST, runs: str | os.PathLike[str] = "runs") -> Path:
    """Return folder of a run that is called by its path, by its name in the folder `runs`, by the
    name that it was given (`--name`; the last one of that name), or "latest": the run that was
    started last, of those that are not damaged.

    Raises
    ------
    ValueError
        Naming the nearest, where there is none.
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
    matches = [folder for folder in folders if of_name.fullmatch(folder.name)]
    if matches:
        return matches[-1]
    hint = nearest(run, [*names, LATEST])
    raise ValueError(f"there is no run {run!r}, neither here nor in {str(runs)!r}{hint}")


def tail_log(folder: str | os.PathLike[str], n: int) -> list[dict]:
    """Return the last n rows of a run's log, as dicts from column to text, without a torn last
    line.
    """
    path, limit = Path(folder) / "log.csv", min(max(1, n) * LONGEST, 2**28)
    try:
        with open(path, "rb", opener=regular) as file:
            head = file.readline(LONGEST)
            begin = file.tell()
            skipped = max(0, os.fstat(file.fileno()).st_size - limit - begin)
            file.seek(begin + skipped)
            last = file.read(limit).split(b"\n")
        lines = last[skipped > 0 : -1]  # the first may be a part of a line, the last is torn
        words = [line.decode("utf-8", "replace").replace("\0", "") for line in lines[-n:] if n]
        columns = head.decode("utf-8", "replace").replace("\0", "").strip().split(",")
        return list(csv.DictReader(words, columns))
    except (csv.Error, NoFile) as error:
        raise _damaged(Path(folder), "log.csv", error) from None
    except OSError as error:
        raise ValueError(
            f"{str(folder)!r} is not a run folder: {_reason(Path(folder), error)}"
        ) from None


def load_runs(runs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> pandas.DataFrame:
    """Return one pandas DataFrame with the log rows of all runs.

    It needs pandas, which comes with the extra `plot`: pip install 'structes[plot]'. The columns
    are run (the folder's name), structure, seed, dim, and those of log.csv, which
    `structes.runs.log.COLUMNS` lists and explains. A damaged folder that a pattern matches is left
    out with a warning that says what is wrong with it.

    Parameters
    ----------
    runs : str, Path or list
        A folder; a pattern (`runs/*`; what it matches and is no run is left out); "latest" for the
        run in `runs` that was started last; or a list of these.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    ValueError
        Where nothing matches or a folder is no run.
    ImportError
        Where pandas is not installed.
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
    if frames:
        return pandas.concat(frames, ignore_index=True)
    if empty is None:
        raise ValueError(f"all runs that match {brief(runs)} are damaged")
    return empty


# -- inside ---------------------------------------------------------------------------------------


def _frame(folder, pandas):
    """Return the log of a run as a DataFrame."""
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
    """Return (folder, whether it is one of many that a pattern matches) of each run that is
    meant."""
    if not isinstance(runs, (str, Path)):
        paths = [folder for part in runs for folder in _folders(part)]
        if not paths:
            raise ValueError("runs must be a folder, a pattern or a list of them; got none")
        return paths
    folder = Path(runs)
    if _has(folder, "log.csv"):
        return [(folder, False)]
    if not folder.exists():
        if str(runs) == LATEST:
            return [(find_run(LATEST), False)]
        paths = [p for p in map(Path, sorted(glob(str(runs)))) if _has(p, "log.csv")]
        if paths:
            return [(p, True) for p in paths]
        raise ValueError(f"no run matches {str(runs)!r} (looked from {os.getcwd()})")
    raise ValueError(f"{str(folder)!r} is not a run folder: {_reason(folder, None)}")


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
    """Raise ValueError where a file of a run folder is a link, a pipe or anything else but a
    file."""
    try:
        check_regular(folder / name)
    except NoFile as error:
        raise _damaged(folder, name, error) from None
    except OSError as error:
        raise ValueError(
            f"{str(folder)!r} is not a run folder: {_reason(folder, error)}"
        ) from None


def _mapping(folder, name, parse, limit: int) -> dict:
    """Return the mapping in a file of a run folder, which has at most so many bytes."""
    try:
        value = parse(read_text(folder / name, limit))
    except NoFile as error:
        raise _damaged(folder, name, error) from None
    except OSError as error:
        raise ValueError(
            f"{str(folder)!r} is not a run folder: {_reason(folder, error)}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise _damaged(folder, name, error) from None
    if not isinstance(value, dict):
        raise _damaged(folder, name, f"it holds no mapping but {brief(value)}")
    return value


def _started(folder) -> str:
    """Return when a run was started, as text that sorts; "" where that cannot be read."""
    try:
        result = parse_json(read_text(folder / "result.json", LARGEST_RESULT))
        return str(result.get("started", ""))
    except (OSError, ValueError, AttributeError, RecursionError):
        return ""


def _damaged(folder, name, error) -> ValueError:
    if isinstance(error, NoFile):
        return ValueError(f"{str(folder)!r} is damaged: {name} {error.strerror}")
    message = " ".join(str(error).split())
    return ValueError(f"{str(folder)!r} is damaged: {name}: {message[:200]}")


def _reason(folder: Path, error) -> str:
    if not folder.exists():
        parent = folder.parent
        try:
            names = [p.name for p in parent.iterdir()] if parent.is_dir() else []
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
