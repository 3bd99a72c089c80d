"""Files of a folder that may be somebody else's, opened with care.

In the place of a file there may be a link to a file of the user's, a pipe at which one waits for
ever, a device, or a file that is larger than the memory. What is opened here is a regular file
under this very name, and no more of it is read than its reader can use. Nothing is waited for.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
_CAREFUL = 0  # of the flags those that the system has
for _name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
    _CAREFUL |= getattr(os, _name, 0)
LONGEST = 2**16  # characters of a line of a log
VALUES = 3_000_000  # in a text of JSON
LISTS = 200_000  # and mappings among them


class NoFile(OSError, ValueError):
    """What lies in the place of a file is none; `strerror` says what it is."""


def regular(
    path: str | os.PathLike[str], flags: int = os.O_RDONLY, folder: int | None = None
) -> int:
    """Return the descriptor of a regular file; an opener for `open(path, mode, opener=regular)`.

    No link is followed, and nothing is waited for.

    Parameters
    ----------
    path : path-like
        The file.
    flags : int
        Those of `os.open`.
    folder : int or None
        The descriptor of the folder in which the path begins; None: the working folder.

    Raises
    ------
    NoFile
        Where it is anything else, and where it is to be written and has other names (hard links),
        since it may be another file as well.
    """
    is_written = bool(flags & (os.O_WRONLY | os.O_RDWR))
    check_regular(path, is_written, folder)
    place = os.open(path, flags | _CAREFUL, 0o666, dir_fd=folder)
    try:
        _check_kind(path, os.fstat(place), is_written)
    except BaseException:
        os.close(place)
        raise
    return place


def check_regular(
    path: str | os.PathLike[str], is_written: bool = False, folder: int | None = None
) -> None:
    """Raise NoFile where something lies there that `regular` would not open; nothing is opened."""
    with suppress(FileNotFoundError):
        _check_kind(path, os.stat(path, dir_fd=folder, follow_symlinks=False), is_written)


def read_text(path: str | os.PathLike[str], limit: int, named: bool = False) -> str:
    """Return the text of a file, of at most `limit` bytes. Bytes that are no UTF-8 are kept as
    surrogates.

    Parameters
    ----------
    named : bool
        The user has named this very path: a link is followed then, and a pipe (<(…), /dev/stdin)
        is read.

    Raises
    ------
    NoFile
        For what is no file, other OSErrors where it cannot be read.
    ValueError
        Where it is longer.
    """
    with open(path, "rb", opener=None if named else regular) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"it is too long: more than {limit} bytes")
    return data.decode("utf-8", "surrogateescape")


def parse_json(text: str) -> Any:
    """Return the value in a text of JSON, which holds no more than files of structes can.

    It is weighed before Python makes objects of it: an empty list is two characters, and 64 bytes
    in memory.

    Raises
    ------
    ValueError
        For what is no JSON, for more values, and for more lists and mappings.
    """
    for limit, marks, kind in ((LISTS, "[{", "lists and mappings"), (VALUES, ",", "values")):
        if sum(map(text.count, marks)) > limit:
            raise ValueError(f"it has more than {limit} {kind}")
    return json.loads(text)


def lines_of(file: IO[str], skip: bool = False) -> Iterator[str]:
    """Iterate over the whole lines of a text file, without a torn last one.

    A line that does not end would be read into memory as one: it is left out with `skip`, and
    raises ValueError otherwise.
    """
    while line := file.readline(LONGEST + 1):
        if line.endswith("\n"):
            yield line
        elif len(line) > LONGEST and not skip:
            raise ValueError(f"it has a line of more than {LONGEST} characters")
        else:
            while line and not line.endswith("\n"):
                line = file.readline(LONGEST)


def _check_kind(path, status: os.stat_result, is_written: bool) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise NoFile(errno.EINVAL, f"is {kind}, and no file", str(path))
    if is_written and status.st_nlink > 1:
        reason = "is one file under several names (hard links), of which all would be written"
        raise NoFile(errno.EMLINK, reason, str(path))
