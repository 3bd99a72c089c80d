"""What users read of a sharded search: the result of its last step, or what a replica answers."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np

from ..search.arguments import Arguments
from ..search.state import Best
from ..strategy.state import Info, State
from ..strategy.strategy import Strategy
from ..structures.base import Structure
from .job import StepResult
from .lockstep import Lockstep


class ReplicaProperties:
    """The properties of a search whose state is in replicas."""

    arguments: Arguments
    strategy: Strategy
    _lockstep: Lockstep
    _answers: dict[str, Any]  # answers from before the end of the replicas
    _shown_best: Callable[[], BestPoint | None]  # a weak reference

    @property
    def dim(self) -> int:
        """The number of parameters, d."""
        return self.strategy.domain.size

    @property
    def popsize(self) -> int:
        """The number of candidates of a generation."""
        return self.strategy.popsize

    @property
    def structure(self) -> Structure:
        """The structure of the covariance."""
        return self.strategy.structure

    @property
    def info(self) -> Info:
        """What the last update saw and did."""
        return self._result.info.signed(self.arguments.sign)

    @property
    def generation(self) -> int:
        """The number of generations closed."""
        return self._result.generation

    @property
    def evaluations(self) -> int:
        """The number of values so far, missing ones included."""
        return self._result.evaluations

    @property
    def sigma(self) -> float:
        """The overall standard deviation (step size), relative to the structure's factor."""
        return self._result.sigma

    @property
    def best(self) -> Best:
        """The best point so far; x is drawn again when somebody looks at it."""
        result = self._result
        if result.fun == inf:
            return Best(None, inf, 0)
        point = BestPoint(self)
        self._shown_best = weakref.ref(point)
        best = Best(point, result.fun, result.best_evaluations)
        return best.signed(self.arguments.sign)

    @property
    def mean(self) -> np.ndarray:
        """The mean (d,) of the search distribution, as a point: the best estimate under noise."""
        return np.array(self._ask("mean"))

    @property
    def state(self) -> State:
        """The search distribution, with NumPy's arrays. Of a large one that is much to send."""
        return self._ask("host_state")

    @property
    def _result(self) -> StepResult:
        """Of the last step."""
        return self._lockstep.result

    def _ask(self, method):
        """What a replica answers; of a search that is closed what was kept."""
        if method in self._answers:
            return self._answers[method]
        return self._lockstep.ask(method)


class BestPoint:
    """The best point of a search.

    It is asked for when somebody looks at it, or before the search goes on.
    """

    def __init__(self, search: ReplicaProperties):
        self._search: ReplicaProperties | None = search
        self._x: np.ndarray | None = None

    def fetch(self) -> np.ndarray | None:
        """The point (d,)."""
        if self._x is None and self._search is not None:
            self._x, self._search = self._search._ask("best"), None
        return self._x

    def __array__(self, dtype=None, copy=None):
        return np.array(self.fetch(), dtype=dtype)
