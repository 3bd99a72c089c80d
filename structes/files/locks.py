"""The lock of a run folder: one process at a time goes on with a run.

The lock is the folder itself, and a file of its own in it, which is never replaced, so that
whoever waits for it waits for the right one; who deletes the file has not got the folder. The
kernel holds both (`flock`) for as long as their owner lives, however that ends. What is in the
file is for people, who want to know which process has the run, and for file systems without locks,
where the process that is named there is looked for.
"""

from __future__ import annotations

import json
import os
import time
import weakref
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from .folders import Folder

NAME = "lock"
_SIZE = 4096  # bytes that are read of it, at most
_locks: weakref.WeakSet = weakref.WeakSet()  # by this process


class Lock:
    """The right to write into a folder, which this process has until `close`.

    A child that this process forks does not have it.

    Parameters
    ----------
    folder : Folder
        The folder.
    patience : float
        The seconds that readers, who hold the lock for a moment, and writers are waited for.

    Raises
    ------
    ValueError
        Where another process has it; the message names the process.
    OSError
        Where the file cannot be made.
    """

    def __init__(self, folder: Folder, patience: float = 0.5):
        self._fds: list[int] = []
        end = time.monotonic() + patience
        while not self._try(folder):
            owner = owner_of(folder)
            self.close()
            if time.monotonic() > end:
                raise ValueError(f"{str(folder.where)!r} is still running{owner}")
            time.sleep(0.02)
        _locks.add(self)

    def _try(self, folder) -> bool:
        """Lock the folder itself and the file in it, if nobody has them."""
        try:
            folder_fd = folder.itself()
            if folder_fd is not None:
                self._fds.append(folder_fd)
                if _flock(folder_fd) is False:
                    return False
            fd = folder.open(NAME, os.O_RDWR | os.O_CREAT)
            self._fds.append(fd)
            status = _take(fd) and folder.stat(NAME)  # it may have been deleted since
            if not status or not os.path.samestat(os.fstat(fd), status):
                return False
        except BaseException:
            self.close()
            raise
        _write(fd)
        return True

    def close(self) -> None:
        """Give the folder to others."""
        fds, self._fds = self._fds, []
        for fd in fds:
            with suppress(OSError):  # it is closed all the same
                os.close(fd)


def is_locked(path: str | os.PathLike[str]) -> bool:
    """Does a process live that has the Lock of the folder at `path`?"""
    fds = []
    try:
        with Folder(path) as folder:
            folder_fd = folder.itself()
            if folder_fd is not None:
                fds.append(folder_fd)
                if _flock(folder_fd, shared=True) is False:
                    return True
            fds.append(folder.open(NAME, os.O_RDONLY))
        return not _take(fds[-1], shared=True)
    except OSError:  # there is none
        return False
    finally:
        for fd in fds:
            with suppress(OSError):
                os.close(fd)


def owner_of(folder: Folder) -> str:
    """Return who has the Lock of a folder, in words: " (process 123 on host, since …)"; "" where
    nobody says so."""
    try:
        fd = folder.open(NAME, os.O_RDONLY)
    except OSError:
        return ""
    try:
        return _owner_in_words(_owner(fd))
    finally:
        os.close(fd)


def _flock(fd: int, shared: bool = False) -> bool | None:
    """Take the kernel's lock: have we got it? None: there are no locks here."""
    try:
        import fcntl

        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True


def _take(fd: int, shared: bool = False) -> bool:
    """Take the lock of the file, if nobody has it."""
    free = _flock(fd, shared)
    # where there are no locks: is the process there that is named?
    return not _lives(_owner(fd)) if free is None else free


def _write(fd: int) -> None:
    """Write down who has it."""
    me = {"pid": os.getpid(), "host": _host(), "started": _started(os.getpid())}
    me["since"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
    with suppress(OSError):  # on a full disk: it is held all the same
        os.ftruncate(fd, 0)
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(fd, json.dumps(me).encode() + b"\n")


def _owner(fd: int) -> dict:
    """Return what the file says of its owner; {} where that is nothing."""
    os.lseek(fd, 0, os.SEEK_SET)
    try:
        record = json.loads(os.read(fd, _SIZE))
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _lives(owner: dict) -> bool:
    """Does the process live that has written this, another one than this?"""
    pid, started = owner.get("pid"), owner.get("started")
    if owner.get("host") != _host() or not isinstance(pid, int) or pid == os.getpid():
        return False
    return started is not None and _started(pid) == started


def _owner_in_words(owner: dict) -> str:
    """Return " (process 123 on host, since …)", as far as the file says it."""
    pid, host, start = (str(owner.get(key, "?"))[:60] for key in ("pid", "host", "since"))
    return f" (process {pid} on {host}, since {start})" if owner else ""


def _host() -> str:
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")


def _started(pid: int) -> str | None:
    """Return when a process started, in the kernel's own words; None where it is not there."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {text.rpartition(')')[2].split()[19]}"
    except (OSError, IndexError):
        return None


def _close_in_child() -> None:
    """Close the locks in a forked child: they are its parent's alone, and end with that."""
    for lock in list(_locks):
        lock.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
