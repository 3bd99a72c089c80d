"""A run folder that this process writes, and no other: how it is made, taken over, and made again.

It is filled under a hidden name and renamed, so that it appears complete, and no two runs share
one. It is locked before anybody can see it, or before anything of it is read that is to be gone on
with. A folder that is renamed meanwhile is written where it is; one that is deleted is made again.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ..files.folders import Folder, file_name, settle
from ..files.locks import NAME, Lock, is_locked
from ..files.opening import NoFile
from .log import Lines, keep_rows

_OLD = 60.0  # seconds after which a folder that nobody has locked will not be filled any more


class OwnFolder:
    """A folder, its lock, and its files.

    Parameters
    ----------
    folder, lock
        The Folder and the Lock of it, which are its own from now on.
    texts : Mapping
        {name: text} of the files that do not change, for the case that it is deleted; they may be
        added to.
    """

    def __init__(self, folder: Folder, lock: Lock, texts: Mapping):
        self._folder, self._lock = folder, lock
        self.texts = dict(texts)
        self._lines: list[Lines] = []

    @classmethod
    def make(
        cls,
        runs: str | os.PathLike[str],
        name: str,
        moment: datetime,
        texts: Mapping,
        changing: Mapping,
    ) -> OwnFolder:
        """Return a new one in the folder `runs`, which is made where there is none, called by its
        moment and `name`, with the files {name: text} `texts` and `changing`, which will change.

        Raises
        ------
        OSError
            Where it cannot be written: then nothing is left of it.
        """
        runs = Path(runs)
        sweep(runs)
        hidden = runs / f".{os.getpid()}-{time.time_ns()}.tmp"
        try:
            runs.mkdir(parents=True, exist_ok=True)
            hidden.mkdir()
            folder = Folder(hidden)
            self = cls(folder, Lock(folder), texts)  # before anybody can see it
            for file, text in {**texts, **changing}.items():
                self.replace(file, text)
            stamp = moment.astimezone().strftime("%Y%m%d-%H%M%S")
            folder.path = settle(hidden, runs / f"{stamp}-{file_name(name)}")
        except BaseException as error:
            shutil.rmtree(hidden, ignore_errors=True)
            if not isinstance(error, OSError):
                raise
            reason = "it is a file" if runs.is_file() else error.strerror
            raise OSError(f"runs cannot be recorded in {str(runs)!r}: {reason}") from error
        return self

    @classmethod
    def take_over(cls, path: str | os.PathLike[str], added_to: Iterable[str]) -> OwnFolder:
        """Return one that no process writes any more; `added_to` are names of files to be added
        to.

        Raises
        ------
        ValueError
            Where another process writes it, and where one of these files, or its lock, is a link,
            has other names, or is no file.
        """
        folder = Folder(path)
        try:
            for name in (*added_to, NAME):
                try:
                    folder.check(name)
                except NoFile as error:
                    message = f"{name} {error.strerror}: nothing is written there"
                    raise ValueError(f"{str(path)!r}: {message}") from None
            self = cls(folder, Lock(folder), {})
        except BaseException:
            folder.close()
            raise
        folder.sweep()
        sweep(folder.path.parent)
        return self

    @property
    def path(self) -> Path:
        """The path of the folder now."""
        return self._folder.where

    def lines(self, name: str, kind: type[Lines] = Lines) -> Lines:
        """Return a file of the folder to which lines are added, of the class `kind`."""
        lines = kind(self._folder, name)
        self._lines.append(lines)
        return lines

    def replace(self, name: str, content: str | Callable[[Any], Any]) -> None:
        """Replace a file of it: by a text, or by what a function writes that is given the file."""
        if isinstance(content, str):
            data = content.encode("utf-8", "surrogateescape")
            self._folder.replace(name, lambda file: file.write(data))
        else:
            self._folder.replace(name, content)

    def keep_rows(self, name: str, problem: str, rows: int) -> None:
        """Leave the first `rows` rows of a problem in a log, as `log.keep_rows` does."""
        keep_rows(self._folder, name, problem, rows)

    def mend(self) -> bool:
        """Make the folder again where it has been deleted, with `texts` and all lines: was that
        so? What else was in it is the caller's to write again, or lost."""
        if not self._folder.is_gone:
            return False
        path = self._folder.path
        path.mkdir(parents=True, exist_ok=True)
        folder = Folder(path)
        try:
            lock = Lock(folder)
        except BaseException:
            folder.close()
            raise
        for resource in (self._lock, self._folder):
            resource.close()
        self._folder, self._lock = folder, lock
        for lines in self._lines:
            lines.folder = folder
            lines.sync()
        for name, text in self.texts.items():
            self.replace(name, text)
        return True

    def close(self) -> None:
        """Let go of it, and of the lock."""
        for resource in (*self._lines, self._lock, self._folder):
            resource.close()


def sweep(runs: Path) -> None:
    """Remove folders in `runs` that were being filled when their process was killed."""
    for path in runs.glob(".*-*.tmp") if runs.is_dir() else ():
        try:
            old = path.is_dir() and time.time() - path.stat().st_mtime > _OLD
        except OSError:  # it has just been filled, and renamed
            continue
        if old and re.fullmatch(r"\.\d+-\d+\.tmp", path.name) and not is_locked(path):
            shutil.rmtree(path, ignore_errors=True)
