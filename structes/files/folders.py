"""Files that are never half written, folders that are never shared, and plain values for them."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import secrets
import stat
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from .opening import check_regular, regular

_TEMPORARY = ".tmp"  # how the names of files end that are being written


def file_name(text: str) -> str:
    """Return `text` as a part of a file name: letters, digits, `_.-`; the rest becomes `-`."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[:80].strip("-.") or "run"


def settle(hidden: Path, place: Path) -> Path:
    """Rename to `place`, or the first of place-2, place-3, … that nobody has: never replaces."""
    for n in count(1):
        target = place if n == 1 else place.with_name(f"{place.name}-{n}")
        if target.exists():
            continue
        try:
            return hidden.rename(target)
        except OSError:  # another run was faster: its folder is not empty, so rename refuses
            if not target.exists():
                raise
            if not hidden.exists():  # it is done all the same
                return target


def replace(path: str | os.PathLike[str], write: Callable[[Any], Any]) -> None:
    """Replace the file at `path`, as a whole or not at all, whenever one looks.

    That holds after a power cut, too, and several processes or threads may do so at once. A link
    stays one: the file that it leads to is replaced. The file keeps its mode.

    Parameters
    ----------
    path : path-like
        The file.
    write : callable
        It is given a binary file, and writes into it.

    Raises
    ------
    OSError
        It names the file that was meant, and not the one that is written beside it; also where
        something is there that is no file: a folder, a device, a pipe.
    """
    place = Path(os.path.realpath(path))
    try:
        with Folder(place.parent) as folder:
            folder.replace(place.name, write)
    except OSError as error:
        if error.filename is not None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


class Folder:
    """A folder that is written into, and stays the same one where it is renamed meanwhile.

    Files are called by their names in it. A link in the place of a file is never followed, and
    only a regular file is opened. On a system without `openat` the path stands for the folder.

    Parameters
    ----------
    path
        Where it was when it was opened; `where` says where it is now.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self._fd = None
        if os.open in os.supports_dir_fd:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """Let go of the folder; `path` is where it was last."""
        if self._fd is not None:
            self.path, fd, self._fd = self.where, self._fd, None
            with suppress(OSError):  # it is closed all the same
                os.close(fd)

    def open(self, name: str, flags: int) -> int:
        """Return the descriptor of a regular file (`opening.regular`). Raises OSError."""
        return regular(self._place(name), flags, self._fd)

    def check(self, name: str) -> None:
        """Raise NoFile where a file of this name is none that may be added to."""
        check_regular(self._place(name), True, self._fd)

    def itself(self) -> int | None:
        """Return another descriptor of the folder, to be locked; None where there is no such
        thing.
        """
        if self._fd is None:
            return None
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._fd)

    def stat(self, name: str) -> os.stat_result | None:
        """Return what is known of a file, or of the link in its place; None where there is
        none."""
        try:
            return os.stat(self._place(name), dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def names(self) -> list[str]:
        """Return the names of all that is in the folder."""
        return os.listdir(self.path if self._fd is None else self._fd)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(self._place(name), dir_fd=self._fd)

    def replace(self, name: str, write: Callable[[Any], Any]) -> None:
        """Replace a file of this folder as `replace` does; but a link is replaced, and not
        followed.
        """
        status = self.stat(name)
        if status is not None and not stat.S_ISREG(status.st_mode) | stat.S_ISLNK(status.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", name)
        temporary = f".{secrets.token_hex(8)}{_TEMPORARY}"  # containers may share process numbers
        try:
            fd = self.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            with os.fdopen(fd, "wb") as file:
                if status is not None and stat.S_ISREG(status.st_mode) and hasattr(os, "fchmod"):
                    os.fchmod(fd, status.st_mode & 0o777)
                write(file)
                file.flush()
                os.fsync(fd)  # else a power cut may leave an empty file in its place
            folders = {"src_dir_fd": self._fd, "dst_dir_fd": self._fd}
            os.replace(self._place(temporary), self._place(name), **folders)
        except BaseException as error:
            with suppress(OSError):
                self.remove(temporary)
            if isinstance(error, OSError) and error.filename is not None:
                raise OSError(error.errno, error.strerror, name) from error
            raise
        self.sync()

    def sync(self) -> None:
        """Let the names that files were given be there after a power cut."""
        if self._fd is not None:
            try:
                os.fsync(self._fd)
            except OSError as error:  # some file systems cannot do that for folders
                if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                    raise

    def sweep(self) -> None:
        """Remove what a `replace` has left that was killed. To be called by who has the folder for
        itself."""
        for name in self.names():
            if name[:1] == "." and name.endswith(_TEMPORARY):
                self.remove(name)

    @property
    def is_gone(self) -> bool:
        """Has the folder been deleted?"""
        if self._fd is None:
            return not self.path.is_dir()
        return os.fstat(self._fd).st_nlink == 0

    @property
    def where(self) -> Path:
        """The path of the folder now; where the system does not say it, the path it had before."""
        if self._fd is None or is_same(self._fd, self.path):
            return self.path
        for place in (f"/proc/self/fd/{self._fd}", f"/dev/fd/{self._fd}"):
            with suppress(OSError):
                target = Path(os.readlink(place))
                if is_same(self._fd, target):
                    self.path = target
        return self.path

    def _place(self, name):
        if os.path.basename(name) != name or name in ("", ".", ".."):
            raise ValueError(f"a file of a folder is called by its name; got {name!r}")
        return name if self._fd is not None else str(self.path / name)


def is_same(fd: int, path: str | os.PathLike[str]) -> bool:
    """Is what was opened still at this path?"""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except OSError:
        return False


def plain(value: Any) -> Any:
    """Return a copy in plain types: mappings and tuples as dict and list, NumPy's as Python's."""
    if isinstance(value, Mapping):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, range, deque)):
        return [plain(v) for v in value]
    return value.tolist() if hasattr(value, "tolist") else value


def to_json(value: Any) -> str:
    """Return JSON of `value`, in which null stands for what JSON cannot say: nan and inf."""
    return json.dumps(_finite(plain(value)), indent=1, allow_nan=False) + "\n"


def to_yaml(value: Any) -> str:
    """Return YAML of a mapping of plain values, in its own order."""
    import yaml  # not for everybody

    return yaml.safe_dump(dict(value), sort_keys=False, allow_unicode=True)


def _finite(value):
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
