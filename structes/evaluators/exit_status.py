"""How worker processes have ended, in words; and what they may have left."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from .options import in_words

MARK = "STRUCTES_WORKER"  # variable in the environment of a worker, and of what it starts


def sweep(mark: str) -> None:
    """Kill what a worker has started, where its subreaper could not.

    It is what has this mark as MARK in its environment. Nothing is done on systems without /proc.
    """
    word, me = f"{MARK}={mark}".encode(), os.getpid()
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        with contextlib.suppress(OSError, ValueError):
            if int(name) != me and word in Path(f"/proc/{name}/environ").read_bytes():
                os.kill(int(name), signal.SIGKILL)


def exit_in_words(code: int | None, memory: int | None) -> str:
    """Return an exit code in words; None: there is none yet.

    Parameters
    ----------
    memory : int or None
        Bytes that the worker could have, where that was limited.
    """
    if code is None:
        return "it does not end"
    if code >= 0:
        return f"exit code {code}"
    hint = {signal.SIGSEGV: "segmentation fault, ", signal.SIGKILL: "killed; out of memory?, "}
    text = f"{hint.get(-code, '')}{_name(-code)}"
    if memory is not None and -code in (signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT):
        text += f" (its memory limit is {in_words(memory)})"
    return text


def _name(number: int) -> str:
    """Return the name of a signal; some have none, and are called by their number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def is_stopped(subreaper: int) -> bool:
    """Is a subreaper or its worker in the state in which SIGSTOP puts a process?

    False where the system does not say.
    """
    try:
        with open(f"/proc/{subreaper}/task/{subreaper}/children") as file:
            pids = [subreaper, *map(int, file.read().split())]
        for pid in pids:
            with open(f"/proc/{pid}/stat", "rb") as file:
                if file.read().rpartition(b")")[2].split()[:1] in ([b"T"], [b"t"]):
                    return True
    except (OSError, ValueError):
        pass
    return False
