"""What a worker process is started with: its path, its pipes, its output, and no interrupt."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from multiprocessing import connection
from pathlib import Path
from typing import Any


def path_of_workers() -> list[str]:
    """Return where workers look for what they need themselves: where it is looked for here, but
    for the working folder, which comes last. A file `json.py` there is the user's, or anybody's.
    """
    path = [p for p in sys.path if isinstance(p, str) and "\0" not in p]
    try:
        folder = os.path.realpath("")
    except OSError:  # the folder is gone
        return path
    package_folder = str(Path(__file__).parents[2])  # where structes is
    if os.path.realpath(package_folder) == folder:
        return path
    return sorted(path, key=lambda p: os.path.realpath(p) == folder)


def pipe(duplex: bool) -> tuple[connection.Connection, ...]:
    """Return two ends that close when they are forgotten; a program without standard streams has
    their numbers to spare, and a worker would take them for its own."""
    ends = connection.Pipe(duplex)
    if min(end.fileno() for end in ends) > 2:
        return ends
    from fcntl import F_DUPFD_CLOEXEC, fcntl

    return tuple(connection.Connection(fcntl(end.fileno(), F_DUPFD_CLOEXEC, 3)) for end in ends)


def output_of(number: int, stream: Any) -> int | None:
    """Return what a worker's standard output or error is: the driver's, where it has one."""
    try:
        os.fstat(number)
    except OSError:  # it has been closed
        return subprocess.DEVNULL
    return subprocess.DEVNULL if stream is None else None


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Let Ctrl-C wait, in this context, so that no process is started and then forgotten.

    A process that is started in it holds interrupts, too, until it says what they are to it.
    """
    handler, signals = signal.getsignal(signal.SIGINT), []
    is_main = callable(handler) and threading.current_thread() is threading.main_thread()
    if is_main:  # the mask is this thread's, and any other one may be given the signal
        signal.signal(signal.SIGINT, lambda *arguments: signals.append(arguments))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if is_main:
            signal.signal(signal.SIGINT, handler)
        if signals:
            handler(*signals[-1])
