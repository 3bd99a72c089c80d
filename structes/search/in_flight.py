"""Points that workers are evaluating, and those of their values that have come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..population.candidates import take

if TYPE_CHECKING:
    from .es import ES
    from .restart_es import RestartES


class InFlight:
    """Points that are being evaluated, in batches.

    Parameters
    ----------
    X : (n, d) array, or Candidates
        The points.
    batches : iterable of Batch
        What they were handed out as, in their order.

    Attributes
    ----------
    out : int
        How many have no value yet.
    """

    def __init__(self, X: Any, batches: Iterable[Any]):
        self.X, self.out = X, X.shape[0]
        self._starts, start = {}, 0
        for batch in batches:
            self._starts[batch] = start
            start += batch.size
        self._values = np.full(self.out, np.nan)
        self._has_come = np.zeros(self.out, dtype=bool)
        self._is_told = np.zeros(self.out, dtype=bool)

    @property
    def is_heard(self) -> bool:
        """Whether any value has come."""
        return self.out < len(self._has_come)

    def take(self, spans: Iterable[Any]) -> None:
        """Take values that have come: (batch, start, stop, …) of a part of a batch each."""
        for batch, start, stop, _ in spans:
            if batch in self._starts:
                first = self._starts[batch]
                self._values[first + start : first + stop] = batch.values[start:stop]
                self._has_come[first + start : first + stop] = True
                self.out -= stop - start

    def tell(self, es: ES | RestartES) -> None:
        """Tell a search all values that have come."""
        self._tell(es, np.flatnonzero(self._has_come & ~self._is_told))

    def tell_head(self, es: ES | RestartES) -> bool:
        """Tell the values that have come without a gap from the first on; False: there is none."""
        arrived_spans = self._has_come
        head = len(arrived_spans) if arrived_spans.all() else int(arrived_spans.argmin())
        rows = np.flatnonzero(~self._is_told[:head])
        self._tell(es, rows)
        return bool(len(rows))

    def _tell(self, es, rows):
        if len(rows):
            self._is_told[rows] = True
            X = self.X if len(rows) == len(self._is_told) else take(self.X, rows)
            es.tell(X, self._values[rows])
