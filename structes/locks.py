"""The lock of a run folder: one process at a time goes on with a run.

The lock is a file of its own, which is never replaced, so that whoever waits for it waits for the
right one. The kernel holds it (`flock`) for as long as its owner lives, however that ends. What is
in the file is for people, who want to know which process has the run, and for file systems without
locks, where the process that is named there is looked for.
"""

from __future__ import annotations

import json
import os
import time
import weakref
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from .files import Folder

NAME = "lock"
_SIZE = 4096  # bytes that are read of it, at most
_held: weakref.WeakSet = weakref.WeakSet()  # by this process


class Lock:
    """The right to write into a folder, which this process has until `close`.

    folder     the Folder
    patience   seconds that readers, who hold the lock for a moment, and writers are waited for

    Raises ValueError, which names the process, where another one has it; OSError where the file
    cannot be made. A child that this process forks does not have it.
    """

    def __init__(self, folder: Folder, patience: float = 0.5):
        self._fd = None
        end = time.monotonic() + patience
        while True:
            fd = folder.open(NAME, os.O_RDWR | os.O_CREAT)
            try:
                free = _take(fd)
                its = free and folder.stat(NAME)  # it may have been deleted since
                if its and os.path.samestat(os.fstat(fd), its):
                    _write(fd)
                    break
                owner = _owner(fd)
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)
            if time.monotonic() > end:
                raise ValueError(f"{str(folder.where)!r} is still running{_said(owner)}")
            time.sleep(0.02)
        self._fd = fd
        _held.add(self)

    def close(self) -> None:
        """Give the folder to others."""
        fd, self._fd = self._fd, None
        if fd is not None:
            with suppress(OSError):  # it is closed all the same
                os.close(fd)


def is_locked(path) -> bool:
    """Does a process live that has the Lock of the folder at `path`?"""
    try:
        with Folder(path) as folder:
            fd = folder.open(NAME, os.O_RDONLY)
    except OSError:  # there is none
        return False
    try:
        return not _take(fd, shared=True)
    finally:
        with suppress(OSError):
            os.close(fd)


def _take(fd: int, shared: bool = False) -> bool:
    """Take the lock, if nobody has it."""
    try:
        import fcntl

        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):  # no locks here: is the process there that is named?
        return not _lives(_owner(fd))
    return True


def _write(fd: int) -> None:
    """Write down who has it."""
    me = {"pid": os.getpid(), "host": _host(), "started": _started(os.getpid())}
    me["since"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
    with suppress(OSError):  # on a full disk: it is held all the same
        os.ftruncate(fd, 0)
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(fd, json.dumps(me).encode() + b"\n")


def _owner(fd: int) -> dict:
    """What the file says of its owner; {} where that is nothing."""
    os.lseek(fd, 0, os.SEEK_SET)
    try:
        found = json.loads(os.read(fd, _SIZE))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _lives(owner: dict) -> bool:
    """Does the process live that has written this, another one than this?"""
    pid, started = owner.get("pid"), owner.get("started")
    if owner.get("host") != _host() or not isinstance(pid, int) or pid == os.getpid():
        return False
    return started is not None and _started(pid) == started


def _said(owner: dict) -> str:
    """ " (process 123 on host, since …)", as far as the file says it."""
    pid, host, since = (str(owner.get(key, "?"))[:60] for key in ("pid", "host", "since"))
    return f" (process {pid} on {host}, since {since})" if owner else ""


def _host() -> str:
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")


def _started(pid: int) -> str | None:
    """When a process started, in the kernel's own words; None where it is not there."""
    try:
        said = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {said.rpartition(')')[2].split()[19]}"
    except (OSError, IndexError):
        return None


def _let_go() -> None:
    """In a forked child: the lock is its parent's alone, and ends with that."""
    for lock in list(_held):
        lock.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
