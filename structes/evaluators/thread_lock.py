"""ThreadLock: threads that use the same workers do so one after the other."""

from __future__ import annotations

import os
import threading


class ThreadLock:
    """One thread at a time has the turn, from `take` until `give_back`; it may take it again.

    A copy, also one in another process, is nobody's.
    """

    def __init__(self):
        self._begin()

    def _begin(self):
        self._condition, self._owner, self._process = threading.Condition(), None, os.getpid()

    def __reduce__(self):
        return ThreadLock, ()

    def acquire(self) -> bool:
        """Wait until no other thread has the turn. Has it ended without giving it back?"""
        if self._process != os.getpid():  # a fork, in which no other thread goes on
            self._begin()
        with self._condition:
            while not self._is_free():
                self._condition.wait(0.5)
            was_abandoned = self._owner not in (None, threading.get_ident())
            self._owner = threading.get_ident()
        return was_abandoned

    def release(self) -> None:
        """Let the next one have it, where this thread had it."""
        if self.is_mine:
            with self._condition:
                self._owner = None
                self._condition.notify()

    @property
    def is_mine(self) -> bool:
        """Does this thread have the turn?"""
        return self._owner == threading.get_ident() and self._process == os.getpid()

    def _is_free(self):
        if self._owner in (None, threading.get_ident()):
            return True
        return all(thread.ident != self._owner for thread in threading.enumerate())
