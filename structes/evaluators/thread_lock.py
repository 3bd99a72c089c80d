"""A lock for threads that use the same workers: they do so one after the other."""

from __future__ import annotations

import os
import threading


class ThreadLock:
    """One thread at a time has it, from `acquire` until `release`; it may acquire it again.

    Other than threading.RLock, a lock whose thread has ended is free; it can be copied and
    pickled, and a copy, also one in another process, is nobody's.
    """

    def __init__(self):
        self._begin()

    def _begin(self):
        self._condition, self._owner, self._process = threading.Condition(), None, os.getpid()

    def __reduce__(self):
        return ThreadLock, ()

    def acquire(self) -> bool:
        """Wait until no other thread has the lock, and take it.

        Returns
        -------
        bool
            Whether a thread has ended without releasing it.
        """
        if self._process != os.getpid():  # a fork, in which no other thread goes on
            self._begin()
        with self._condition:
            while not self._is_free():
                self._condition.wait(0.5)
            was_abandoned = self._owner not in (None, threading.get_ident())
            self._owner = threading.get_ident()
        return was_abandoned

    def release(self) -> None:
        """Let the next thread have the lock, where this thread has it."""
        if self.is_mine:
            with self._condition:
                self._owner = None
                self._condition.notify()

    @property
    def is_mine(self) -> bool:
        """Does this thread have the lock?"""
        return self._owner == threading.get_ident() and self._process == os.getpid()

    def _is_free(self):
        if self._owner in (None, threading.get_ident()):
            return True
        return all(thread.ident != self._owner for thread in threading.enumerate())
