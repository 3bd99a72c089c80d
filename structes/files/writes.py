"""Writes that may fail for a while: the disk is full, a server does not answer, a folder is gone.

A search that has run for hours does not end because of that. Whoever has something to write hands
in a function that brings a file up to what is known now. Where it raises, the user is told once,
and it is called again and again, until it has succeeded or there is nobody left to wait.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from ..terminal.output import Output, visible

_PAUSE = 1.0  # seconds between tries of what has failed
_LAST = 10.0  # seconds in which it is tried at the end


class NotWritten(OSError):
    """Something of a run could not be written. run: the RunFolder that it should have become, with
    all that is known of it."""

    run: Any = None


class Writes:
    """Functions that write a file each, called until they succeed.

    Parameters
    ----------
    folder : callable
        It returns the path of the folder, for messages.
    mend : callable
        It is called before a try that follows a failure, and may make anew what has been deleted.
    waiting : callable
        It returns how many rows of the log wait in memory, for messages.
    """

    def __init__(
        self, folder: Callable[[], Path], mend: Callable[[], Any], waiting: Callable[[], int]
    ):
        self._folder, self._mend, self._waiting = folder, mend, waiting
        self._owed: dict = {}
        self._error: Exception | None = None  # what failed last, as long as anything is owed
        self._name = ""  # of the file at which that was
        self._fault: Exception | None = None
        self._due = 0.0

    def do(self, name: str, write: Callable[[], Any]) -> None:
        """Write the file `name` by calling `write`, now or later; it never raises an Exception."""
        self._owed.pop(name, None)
        self._owed[name] = write  # also where Ctrl-C comes now
        if self._error is None or time.monotonic() >= self._due:
            self._try()

    def owes_others(self, name: str) -> bool:
        """Are there files besides this one that could not be written yet?"""
        return bool(self._owed.keys() - {name})

    def fail(self, error: Exception) -> None:
        """Take down a fault that cannot be tried again: the user is told once, and `finish` raises
        it.
        """
        if self._fault is None:
            self._fault = error
            say(f"{self._incomplete(error)}. The search goes on")

    def finish(self) -> None:
        """Write what is left, for some seconds.

        Raises
        ------
        NotWritten
            Where that does not succeed, or something else went wrong.
        """
        end = time.monotonic() + _LAST
        while self._owed and not self._try() and time.monotonic() < end:
            time.sleep(0.1)
        if self._owed:
            names = ", ".join(self._owed)
            raise NotWritten(
                f"{self._failure()}: {names} of this run could not be written to the end; what is "
                f"there is whole, and older: structes resume {self._folder()}"
            )
        if self._fault is not None:
            raise NotWritten(self._incomplete(self._fault)) from self._fault

    def _incomplete(self, error) -> str:
        path = str(self._folder())
        return f"the record of the run in {path!r} is not whole: {type(error).__name__}: {error}"

    def _try(self) -> bool:
        """Call all that is owed: is nothing left?"""
        failed = self._error is not None
        for name, write in list(self._owed.items()):
            try:
                if self._error is not None:
                    self._mend()
                write()
            except Exception as error:
                self._due = time.monotonic() + _PAUSE
                self._error, self._name = error, name
                if not failed:
                    failed = True
                    rows = f" ({n} rows)" if (n := self._waiting()) > 1 else ""
                    say(
                        f"{self._failure()}. The search goes on; what cannot be written is kept "
                        f"in memory{rows} and tried again every second. If this process ends "
                        f"before that, structes resume {self._folder()} goes on from what is there"
                    )
            else:
                self._owed.pop(name, None)
        if failed and not self._owed:
            self._error = None
            say(f"{str(self._folder())!r}: everything is written again")
        return not self._owed

    def _failure(self) -> str:
        """Return which file it is, and why."""
        error = self._error
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        return f"{str(self._folder() / self._name)!r}: {reason}"


def apart(method: Callable[..., Any]) -> Callable[..., None]:
    """Return a method of what has `_writes`, in which an exception ends nothing: it is handed to
    `Writes.fail`, which tells it once, and raises it at the end."""

    @wraps(method)
    def call(self, *arguments, **keywords):
        try:
            method(self, *arguments, **keywords)
        except Exception as error:
            self._writes.fail(error)

    return call


def say(message: str) -> None:
    """Tell the user something on stderr, where anybody listens; the search does not depend on it,
    so that this is no warning, which a filter may make an error or say only once."""
    stream = Output(sys.stderr)
    stream.write(f"Warning: {visible(' '.join(message.split()))}\n")
    stream.flush()
