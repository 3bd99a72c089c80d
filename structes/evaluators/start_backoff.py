"""How starting workers has gone of late: when to try again, and how long to wait for one.

A worker that cannot be started (no descriptor, process or memory is left), that ends before it is
ready, or that cannot make a function that others have made, has had a *bad start*. The others go
on; another one is tried after a while, which grows.
"""

from __future__ import annotations

from math import inf

from ..terminal.output import warn

STARTS = 3  # workers in a row that end by themselves before they are ready: all of them would
_FIRST, _MOST = 0.2, 5.0  # seconds until it is tried again, after one bad start, and at most


class StartBackoff:
    """bad: bad starts in a row, `ended`: of those, workers that ended by themselves; why: what was
    wrong with the last of them, in words."""

    def __init__(self):
        self.bad = self.ended = 0
        self.reason, self._last = "", -inf
        self._warned: set = set()

    def may_try(self, now: float) -> bool:
        """Is it time to start another worker?"""
        return not self.bad or now - self._last >= min(
            _MOST, _FIRST * 2.0 ** min(self.bad - 1, 20)
        )

    def seconds(self, patience: float, limit: float) -> float:
        """How long to wait until a worker is ready: the longer, the more have taken too long."""
        return min(patience, limit * 2.0**self.bad)

    def has_started(self) -> None:
        """A worker is ready."""
        self.ended = 0

    def went_well(self) -> None:
        """A worker that is new has evaluated."""
        self.bad = 0

    def went_badly(self, reason: str, now: float, by_itself: bool, has_others: bool) -> None:
        """A bad start; a warning says so, once, where there are others that go on."""
        self.bad, self.ended = min(self.bad + 1, 20), self.ended + by_itself
        self.reason, self._last = reason, now
        if has_others and reason not in self._warned:
            self._warned.add(reason)
            warn(f"a worker could not be started, the others go on: {reason}", stacklevel=5)
