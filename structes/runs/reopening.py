"""Taking over the folder of a run that no process writes any more, to go on with it."""

from __future__ import annotations

import os
from contextlib import suppress

from ..files.opening import LONGEST, read_text, regular
from . import trust
from .log import COLUMNS
from .own_folder import OwnFolder
from .reader import RunFolder, read_run

LOG, FAILURES = "log.csv", "failures.jsonl"


def reopened(path: str | os.PathLike[str]) -> tuple[OwnFolder, RunFolder]:
    """Return a folder as this process owns it now, and what it holds.

    Raises
    ------
    ValueError
        Where another process writes the folder; where its log has the columns of another version
        of structes; and where a file of it is a link, has other names, or is no file.
    """
    from ..files.yaml_text import LARGEST  # here, not above: YAML is not for everybody

    path = read_run(path).folder  # a clear error where it is none
    own_folder = OwnFolder.take_over(path, (LOG, FAILURES))
    try:
        run = read_run(path, is_writer=True)  # now that nobody else changes it
        _check_head(own_folder, path)
        for name in ("config.yaml", "versions.json"):
            own_folder.texts[name] = read_text(path / name, LARGEST)
        with suppress(OSError, ValueError):  # it has none, or one that `trust.check` refuses
            own_folder.texts[trust.SIGNATURE] = read_text(path / trust.SIGNATURE, LARGEST)
    except BaseException as error:
        own_folder.close()
        if isinstance(error, OSError) and error.filename is not None:
            filename = str(path / str(error.filename))
            raise OSError(error.errno, error.strerror, filename) from error
        raise
    return own_folder, run


def _check_head(own_folder: OwnFolder, path) -> None:
    """Write the first line of the log where it is torn; refuse one of another version."""
    head, first_line = ",".join(COLUMNS) + "\n", ""
    with (
        suppress(FileNotFoundError),
        open(path / LOG, encoding="utf-8", errors="replace", opener=regular) as log,
    ):
        first_line = log.readline(LONGEST)
    if first_line != head and head.startswith(first_line):  # `Recorder.keep` says what is lost
        own_folder.replace(LOG, head)
    elif first_line.strip() != head.strip():
        raise ValueError(f"the log of {str(path)!r} has the columns of another version")
