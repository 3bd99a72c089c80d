"""The values that have come of the candidates of a generation: a value, as all of a search is.

Values come one by one or all at once, in any order, twice or never. They are kept as they came,
in a log that only grows; the arrays over all candidates that the update wants are worked out of
it, and go along from one version to the next, so that each value costs the same.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..arrays.persistent import EMPTY, PersistentList


class _Columns(NamedTuple):
    """What is known of each candidate, and how much of the log is in it."""

    length: int
    is_told: np.ndarray
    values: np.ndarray
    replaced: np.ndarray


class Answers:
    """Values of candidates, of which `told` and `replaced` give the next version.

    Attributes
    ----------
    log : PersistentList
        (indices, values) as they came: the indices of candidates, (k,) or a slice, and their
        values; None in place of values: a point of the user's own came in their place.
    n_told : int
        How many candidates have a value.
    """

    __slots__ = ("_columns", "log", "n_told")

    def __init__(self, log: PersistentList = EMPTY, n_told: int = 0):
        self.log, self.n_told = log, n_told
        self._columns: _Columns | None = None

    def __getstate__(self) -> tuple[PersistentList, int]:
        return self.log, self.n_told

    def __setstate__(self, state: tuple[PersistentList, int]) -> None:
        self.__init__(*state)

    def told(self, indices: Any, values: np.ndarray, n: int) -> Answers:
        """The same with values of some of n candidates.

        Parameters
        ----------
        indices : slice of step 1, or (k,) array
            Different candidates.
        values : (k,) array
            A later value replaces an earlier one.
        n : int
            The number of candidates of the generation.
        """
        if isinstance(indices, slice):
            indices = slice(*indices.indices(n))
            if not len(self.log):
                return Answers(self.log.append((indices, values)), indices.stop - indices.start)
        count = int(np.count_nonzero(~self._filled(n).is_told[indices]))
        return self._longer((indices, values), self.n_told + count)

    def replaced(self, indices: np.ndarray, n: int) -> Answers:
        """The same with points of the user's own in the place of some of n candidates.

        These are not waited for, but a value of theirs still counts.
        """
        self._filled(n)
        return self._longer((indices, None), self.n_told)

    def _longer(self, entry, n_told) -> Answers:
        answers = Answers(self.log.append(entry), n_told)
        answers._columns, self._columns = self._columns, None
        return answers

    def is_told(self, n: int) -> np.ndarray:
        """Which of n candidates have a value, (n,) bool; not to be written."""
        return self._filled(n).is_told[:n]

    def waits(self, n: int) -> np.ndarray:
        """Which of n candidates are waited for, (n,) bool."""
        columns = self._filled(n)
        return ~(columns.is_told[:n] | columns.replaced[:n])

    def values(self, n: int) -> np.ndarray:
        """The values (n,) of n candidates, NaN where none has come; not to be written."""
        if len(self.log) == 1:  # as a rule all have come at once
            indices, values = self.log[0]
            if isinstance(indices, slice) and indices.stop - indices.start == n:
                return values
        return self._filled(n).values[:n]

    def _filled(self, n: int) -> _Columns:
        """The columns, of n candidates at least, with all of the log in them."""
        if self._columns is None:
            zeros = np.zeros(n, bool)
            self._columns = _Columns(0, zeros, np.full(n, np.nan), zeros.copy())
        length, is_told, values, replaced = self._columns
        if len(is_told) < n:
            growth = max(n, 2 * len(is_told)) - len(is_told)
            is_told = np.append(is_told, np.zeros(growth, bool))
            replaced = np.append(replaced, np.zeros(growth, bool))
            values = np.append(values, np.full(growth, np.nan))
        for indices, entry_values in self.log.last(len(self.log) - length):
            if entry_values is None:
                replaced[indices] = True
            else:
                is_told[indices], values[indices] = True, entry_values
        self._columns = _Columns(len(self.log), is_told, values, replaced)
        return self._columns
