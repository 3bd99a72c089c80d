"""What has come back of the candidates of a generation: a value, as all of a search is.

Values come one by one or all at once, in any order, twice or never. What was told is kept as it
came, in a list that only grows; the arrays over all candidates that the update wants are worked
out of it, and go along from one version to the next, so that each value costs the same.
"""

from __future__ import annotations

import numpy as np

from ..arrays.persistent import EMPTY, PersistentList


class Answers:
    """Values of candidates, of which `told` gives the next version.

    log     PersistentList of (indices, values): of which candidates, (k,) or a slice, and what;
            values None: a point of the user's own came in the place of the candidate
    heard   how many candidates have a value
    """

    __slots__ = ("_arrays", "heard", "log")

    def __init__(self, log: PersistentList = EMPTY, heard: int = 0):
        self.log, self.heard = log, heard
        self._arrays = None  # (how much of the log is in them, told, values, replaced)

    def __getstate__(self):
        return self.log, self.heard

    def __setstate__(self, state):
        self.__init__(*state)

    def told(self, at, values, n: int) -> Answers:
        """With values of the candidates `at`, of n: a slice of step 1, or (k,) different indices.
        A later value replaces an earlier one."""
        if isinstance(at, slice):
            at = slice(*at.indices(n))
            if not len(self.log):
                return Answers(self.log.append((at, values)), at.stop - at.start)
        first = int(np.count_nonzero(~self._brought(n)[1][at]))
        answers = Answers(self.log.append((at, values)), self.heard + first)
        answers._arrays, self._arrays = self._arrays, None
        return answers

    def replaced(self, at, n: int) -> Answers:
        """With points of the user's own in the place of the candidates `at` (k,), of n: these are
        not waited for, but a value of theirs still counts."""
        self._brought(n)
        answers = Answers(self.log.append((at, None)), self.heard)
        answers._arrays, self._arrays = self._arrays, None
        return answers

    def is_told(self, n: int) -> np.ndarray:
        """(n,) bool: which of n candidates have a value; not to be written."""
        return self._brought(n)[1][:n]

    def waits(self, n: int) -> np.ndarray:
        """(n,) bool: which of n candidates are waited for."""
        _, told, _, replaced = self._brought(n)
        return ~(told[:n] | replaced[:n])

    def values(self, n: int) -> np.ndarray:
        """(n,) values of n candidates, NaN where none has come; not to be written."""
        if len(self.log) == 1:  # as a rule all have come at once
            at, values = self.log[0]
            if isinstance(at, slice) and at.stop - at.start == n:
                return values
        return self._brought(n)[2][:n]

    def _brought(self, n):
        """The arrays, of n candidates at least, with all of the log in them."""
        if self._arrays is None:
            self._arrays = 0, np.zeros(n, bool), np.full(n, np.nan), np.zeros(n, bool)
        done, told, values, replaced = self._arrays
        if len(told) < n:
            more = max(n, 2 * len(told)) - len(told)
            told = np.append(told, np.zeros(more, bool))
            replaced = np.append(replaced, np.zeros(more, bool))
            values = np.append(values, np.full(more, np.nan))
        for at, its in self.log.last(len(self.log) - done):
            if its is None:
                replaced[at] = True
            else:
                told[at], values[at] = True, its
        self._arrays = len(self.log), told, values, replaced
        return self._arrays
