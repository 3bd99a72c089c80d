"""ParallelFunction: a user's function as one of many points, with workers behind it."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable
from math import ceil, inf
from typing import Any

import numpy as np

from ..arrays.forms import no_value
from ..arrays.libraries import to_numpy
from ..arrays.threads import one_thread
from .channel import pickled
from .failures import Counted, EvaluationError, Failure, check_that_it_works, point_at
from .missing import NoValue, check_on_error
from .spans import Batch, Done
from .worker import Call, Objective, Runner

SHIP = 32 * 2**20  # bytes of a generation that are shipped rather than drawn by the workers
BATCHES = 32  # calls of a vectorised function that a generation is cut into
CHEAP = 5e-5  # seconds of an evaluation below which the driver may do it itself
_ROW, _NUMBER = 1e-6, 1.6e-8  # seconds that it takes to send a point, and each of its numbers
_names = itertools.count()


class ParallelFunction(Counted):
    """A function of rows (n, d) that workers evaluate; made by `Evaluator.bind`.

    Parameters
    ----------
    evaluator : Evaluator
        The workers.
    objective : Objective
        The function, as workers make it.
    local : callable or None
        The function of rows as the driver has it; None: the driver has none.
    by_point : bool
        Whether points are evaluated one by one in any case.
    on_error : {"missing", "raise"}
        Whether a failure is a NaN or an EvaluationError.
    sign : int
        −1 where larger values are better.

    Attributes
    ----------
    first, first_point
        The first failure, an EvaluationError, and the point (d,) of it; or None.
    good : int
        The number of values so far; of failures see `Counted`.
    """

    def __init__(
        self,
        evaluator: Any,
        objective: Objective,
        local: Callable[..., Any] | None,
        by_point: bool,
        on_error: str,
        sign: int = 1,
    ):
        super().__init__()
        self.evaluator, self.by_point = evaluator, by_point
        self.on_error = check_on_error(on_error)
        self.good, self.first_point = 0, None
        self.first: EvaluationError | None = None
        self._objective, self._wrong = objective, -sign * inf
        self._begin(local)

    def _begin(self, local):
        self._supervisor = None  # of the points that were handed in last
        self._key, self._runner = f"objective {next(_names)}", Runner(one_thread)
        if local is not None:
            self._runner.put(self._key, local)
        self._local_results: list[Done] = []
        self._cost = None  # seconds of a row, in the driver

    def __getstate__(self):
        """Return what a copy has: its function, which must pickle, and a count of its own.

        What is being evaluated is not the copy's.
        """
        copied = {
            "_objective": pickled(self._objective),
            "_runner": bool(self._runner.things),
            "failures": list(self.failures),
            "kinds": self.kinds.copy(),
            "_supervisor": None,
            "_here": [],
        }
        return {**self.__dict__, **copied}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._objective = pickle.loads(self._objective)
        self._begin(self._objective.make() if self._runner else None)

    def __call__(self, X: Any) -> np.ndarray:
        """(n,) values of the rows of X, NaN where there is none.

        Parameters
        ----------
        X
            (n, d) array, or Candidates.

        Raises
        ------
        ValueError
            Where X has another shape.
        EvaluationError
            Where the function cannot be made, or fails and on_error is "raise", and where a pool
            of the user's fails itself.
        TypeError
            Where such a pool cannot send the function.
        RuntimeError
            Where the workers are at other points of this thread, as within a callback of a search
            with mode="steady".
        """
        self._begin_turn()
        if self.pending:
            raise RuntimeError(
                "the workers are still at other points that this thread has handed in: evaluate "
                "these by another Evaluator, or later"
            )
        try:
            batches = self.submit(X)
            remaining = sum(batch.size for batch in batches)
            while remaining:
                remaining -= sum(result.stop - result.start for result in self.collect())
        except BaseException:
            self.abandon()
            raise
        self.evaluator.lock.release()
        return np.concatenate([batch.values for batch in batches] or [np.empty(0)])

    def submit(self, X: Any, generation: int | None = None) -> list[Batch]:
        """Hand in points; `collect` tells when they have their values.

        Where another thread has handed in points, this one waits until those have their values.

        Parameters
        ----------
        X : array of shape (n, d), or Candidates
            The points.
        generation : int or None
            The number of points of a whole generation, where X is a part of one.
        """
        self._begin_turn()
        self._supervisor = supervisor = self.evaluator.supervisor
        supervisor.things[self._key] = self._objective
        batches = []
        for points in _parts(X):
            unit = self._unit(points, generation or points.shape[0])
            batch = Batch(self._key, points, unit)
            if self._is_cheap(*points.shape):
                self._evaluate_here(batch)
            else:
                supervisor.submit(batch)
            batches.append(batch)
        return batches

    def collect(self, seconds: float | None = None) -> list[Done]:
        """Return what has been done since, as soon as there is anything.

        It returns nothing after so many seconds, or where nothing is left to do, and raises as
        `__call__` does.
        """
        results, self._local_results = self._local_results or self._supervisor.wait(seconds), []
        if not self.pending:
            self.evaluator.lock.release()
        for result in results:
            values = result.batch.values[result.start : result.stop]
            infinite = result.start + np.flatnonzero(values == self._wrong)
            values[values == self._wrong] = np.nan
            self.good += int(np.count_nonzero(~np.isnan(values)))
            for failure in result.failures:
                self._note(failure, result.batch)
            for row in infinite.tolist():
                message = no_value("the value of fun", 1 if self._wrong < 0 else -1)
                self._note(Failure(row, NoValue.__name__, message), result.batch)
        return results

    @property
    def pending(self) -> bool:
        """Are there points that have been handed in, and have no value?"""
        return bool(self._local_results) or self.evaluator.supervisor.busy

    def wants_lazy(self, es: Any) -> bool:
        """Shall the workers draw the candidates of this search themselves?"""
        mode = self.evaluator.transport
        if es.strategy.on_device:  # who knows whether the workers have one
            return False
        if mode == "auto":
            return es.strategy.tile is not None and 8 * es.popsize * es.dim > SHIP
        return mode == "redraw"

    def traceback(self) -> str | None:
        """Return the first failure as text, None where there is none."""
        return self.first and str(self.first)

    def abandon(self) -> None:
        """Forget what was handed in and has no value."""
        self._local_results = []
        if self.evaluator.lock.is_mine:
            try:
                if self.evaluator.is_open:
                    self.evaluator.supervisor.abandon()
            finally:
                self.evaluator.lock.release()

    def close(self) -> None:
        """Let the workers forget the function, and end those that are at it."""
        self.abandon()
        if self.evaluator.is_open:
            self.evaluator.lock.acquire()
            try:
                if self.evaluator.is_open:
                    self.evaluator.supervisor.forget(self._key)
            finally:
                self.evaluator.lock.release()

    # -- inside -----------------------------------------------------------------------------------

    def _begin_turn(self):
        if self.evaluator.lock.acquire() and self.evaluator.is_open:  # of a thread that has ended
            self.evaluator.supervisor.abandon()

    def _unit(self, points, generation) -> int:
        """Return rows of which a span is a multiple."""
        unit = 1
        if not self.by_point:
            unit = self.evaluator.batch or ceil(generation / BATCHES)
        tile = getattr(points, "unit", 1)  # rows that are drawn together
        if 1 < tile < points.shape[0]:
            unit = tile * ceil(unit / tile)
        return unit

    def _is_cheap(self, n: int, d: int) -> bool:
        """Do n points (d,) take less time here than with workers? Where those were asked for to
        guard against hangs and crashes, or have a place of their own, it does not matter."""
        evaluator, supervisor = self.evaluator, self.evaluator.supervisor
        if evaluator.timeout is not None or evaluator.max_calls is not None or supervisor.deaths:
            return False
        if evaluator.resources or evaluator.environment or evaluator.memory:
            return False
        if supervisor.busy or supervisor.channel.is_local or not self._runner.things:
            return False
        if supervisor.costs.get(self._key, CHEAP) >= CHEAP:
            return False
        if self._cost is None:  # it costs little to try
            return True
        local_seconds, call_seconds = n * self._cost, 4 * supervisor.channel.latency
        return local_seconds < local_seconds / max(1, supervisor.capacity) + call_seconds + n * (
            _ROW + d * _NUMBER
        )

    def _evaluate_here(self, batch):
        outcome = self._runner.run(Call(self._key, np.asarray(batch.points), batch.unit))
        check_that_it_works(outcome)
        batch.values[:] = outcome.values
        self._cost = self.evaluator.supervisor.costs[self._key] = outcome.seconds / batch.size
        self._local_results.append(Done(batch, 0, batch.size, outcome.failures))

    def _note(self, failure: Failure, batch):
        self.count(failure, batch.points)
        is_mistake = failure.kind == NoValue.__name__ and not self.good
        if self.first is None or self.on_error == "raise" or is_mistake:
            text = f"{failure}\n\nin a worker:\n{failure.traceback}" * bool(failure.traceback)
            error = EvaluationError(text or str(failure))
            if self.first is None:
                self.first = error
                self.first_point = point_at(batch.points, failure.row)
            if self.on_error == "raise" or is_mistake:
                raise error


def _parts(X):
    """Return X in parts of one recipe each; an array is one part."""
    if hasattr(X, "by_recipe"):
        return X.by_recipe()
    X = to_numpy(X) if hasattr(X, "dtype") else np.array(X, dtype=float)
    if X.ndim != 2:
        raise ValueError(f"X must be rows: shape (n, d); got shape {X.shape}")
    return [X] if X.shape[0] else []
