"""The end of a Ray that structes has started: a process that outlives the one that started it.

Ray's server and workers end with their driver, but its agents go on for a minute when the driver
is killed, and its folder stays for ever. So a process is started beside it, as a script that needs
nothing but Python's library: it waits until the driver closes the pipe that is its standard input,
or ends in whatever way. Then it ends every process of Ray that has a file open in the folder,
which is this Ray's alone, or that has inherited its name from Ray, and removes the folder.

    python ray_watch.py FOLDER DRIVER
"""

import contextlib
import os
import select
import shutil
import signal
import sys
import time

MARK = "STRUCTES_RAY"  # variable of the environment of what this Ray has started: its folder
_PATIENCE = 10.0  # seconds in which all has to end
_TICK = 0.1


def wait_for_the_end(driver: int) -> None:
    """Return when standard input is closed, or `driver`, our parent process, is no more."""
    poll = select.poll()
    poll.register(0, select.POLLIN | select.POLLHUP)
    with contextlib.suppress(AttributeError, OSError):  # not Linux, or gone already
        poll.register(os.pidfd_open(driver), select.POLLIN)
    while os.getppid() == driver:
        if poll.poll(1000):
            return


def words_of(pid: int | str) -> bytes:
    """Return the command line of a process, as the kernel has it; nothing where that cannot be
    read.
    """
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read()
    return b""


def inside(folder: str, spared: bytes) -> list[int]:
    """Return processes that name the folder or were marked with it when they were started, and
    those of Ray that have a file of it open, or work in it; but for those with the command line
    `spared`: the driver, and children that it has forked."""
    pids, mark = [], folder + os.sep
    for pid in filter(str.isdigit, os.listdir("/proc")):
        words = words_of(pid)
        if int(pid) != os.getpid() and words != spared and _is_inside(pid, words, mark):
            pids.append(int(pid))
    return pids


def _is_inside(pid: str, words: bytes, mark: str) -> bool:
    if os.fsencode(mark) in words:
        return True
    process = f"/proc/{pid}"
    with contextlib.suppress(OSError):  # it has just ended, or is not ours
        with open(f"{process}/environ", "rb") as file:
            if os.fsencode(f"{MARK}={mark[:-1]}\0") in file.read():
                return True
        if not words.startswith(b"ray::"):  # others may have inherited a file of Ray's
            return False
        fds = [f"{process}/fd/{fd}" for fd in os.listdir(f"{process}/fd")]
        for link in (f"{process}/cwd", *fds):
            with contextlib.suppress(OSError):
                if os.readlink(link).startswith(mark):
                    return True
    return False


def clean(folder: str, spared: bytes) -> None:
    """End what is inside the folder, and remove it."""
    end = time.monotonic() + _PATIENCE
    while os.path.isdir("/proc") and time.monotonic() < end:
        pids = inside(folder, spared)
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if not pids:
            break
        time.sleep(_TICK)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):  # it ends when it has done it
        signal.signal(number, signal.SIG_IGN)
    driver_words = words_of(sys.argv[2])
    wait_for_the_end(int(sys.argv[2]))
    clean(sys.argv[1], driver_words)
