"""Replicas that make each step together, and new ones in the place of those that are lost.

Nothing changes in a replica before the last part of a step, so that a loss is made good at once:
the new one gets the state of one that is left, does its share of what was lost, and the step has
the bits that it would have had. Where all are lost the search begins again where it began, or was
saved last, and comes to the same bits.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from ..evaluators.supervisor import EvaluationError, check_that_it_works
from .job import StepResult

ATTEMPTS = 3  # at a step, before it is given up
PATIENCE = 120.0  # seconds to wait for new replicas
SOON = 10.0  # and for what can be done without


class _AllLost(Exception):
    """No replica is left that knows where the search is."""


class Lockstep:
    """A group of replicas, each with its share of the shards.

    Parameters
    ----------
    start : callable
        It makes the group (`LocalReplicas`, `Actors`), when it is first needed.
    shards : int
        Of a generation.
    timeout : float or None
        Seconds that a step may take; a replica that has not answered then is lost.
    beginning : callable
        It returns what a `Replica` begins with that has nobody to ask.
    result : StepResult
        Of the search as it begins.

    Attributes
    ----------
    result : StepResult
        Of the last step.

    Raises
    ------
    EvaluationError
        For a function that returns what is no value, where replicas cannot be started, and where
        they are lost again and again.
    RuntimeError
        After `close`.
    """

    def __init__(
        self,
        start: Callable[[], Any],
        shards: int,
        timeout: float | None,
        beginning: Callable[[], Any],
        result: StepResult,
    ):
        self.result, self.timeout = result, timeout
        self._start_group, self._shards, self._beginning = start, shards, beginning
        self._group: Any = None
        self._is_closed = False
        self._is_torn = False  # whether a step was broken off, when some may have made it

    @property
    def is_closed(self) -> bool:
        """Whether the replicas have ended."""
        return self._is_closed

    def step(self, seconds: float) -> list:
        """One generation: the failures of its evaluations. The search is so many seconds old."""
        failures: list = []
        self._reach(self.result.generation + 1, seconds, failures)
        return failures

    def ask(self, method: str) -> Any:
        """What a method of a replica returns: of the first that answers."""
        return self._reach(self.result.generation, 0.0, [], method)

    def close(self, methods: Iterable[str] = ()) -> dict[str, Any]:
        """End the replicas.

        Parameters
        ----------
        methods : iterable of str
            What the first replica is asked before.

        Returns
        -------
        dict
            {method: its answer}, of those that it answers soon.
        """
        self._is_closed = True
        answers: dict[str, Any] = {}
        if self._group is not None:
            try:
                for method in methods:
                    answers[method] = self._group.call(method, {0: ()}, SOON)[0][0]
            except KeyError:  # it is lost
                pass
            finally:
                self._finalizer()
        return answers

    # -- inside -----------------------------------------------------------------------------------

    def _reach(self, target, seconds, failures, method=None):
        """Come to a generation, and let a replica answer."""
        error = None
        for _ in range(ATTEMPTS):
            try:
                self._start()
                if error is not None:
                    self._start_replicas(self._everyone, self._beginning())
                    self._is_torn = True  # for `result` is not where they are
                if self._is_torn:
                    self._mend()
                while self.result.generation < target:  # further away where all were lost
                    self.result, new = self._step(seconds)
                    failures.extend(new)
                return method and self._first(method)
            except _AllLost as all_lost:
                error = all_lost
        raise EvaluationError(f"all replicas were lost {ATTEMPTS} times: {error}")

    def _start(self):
        """Start the group, unless it is started."""
        if self._is_closed:
            raise RuntimeError("this search is closed: its replicas, and its state, are gone")
        if self._group is not None:
            return
        self._group = group = self._start_group()
        self._finalizer = weakref.finalize(self, group.close)
        self._everyone = range(group.count)
        cuts = [self._shards * k // group.count for k in range(group.count + 1)]
        self._shares = list(pairwise(cuts))
        try:
            self._start_replicas(self._everyone, self._beginning())
        except BaseException:
            self._group = None
            self._finalizer()
            raise

    def _step(self, seconds):
        """(StepResult, failures) of a generation."""
        outcomes, losses = {}, {}  # what has been evaluated is kept for the next attempt
        for _ in range(ATTEMPTS):
            end = None if self.timeout is None else time.monotonic() + self.timeout
            result, losses = self._attempt(outcomes, seconds, end)
            if losses:
                self._replace(losses)
            if result is not None:
                return result, [f for k in self._everyone for f in outcomes[k].failures]
        raise EvaluationError(
            f"{ATTEMPTS} attempts at a generation have failed: {_listed(losses)}"
        )

    def _attempt(self, outcomes, seconds, end):
        """(StepResult or None, {number: why it is lost})."""
        everyone, call = self._everyone, self._group.call
        missing = {k: (self._shares[k],) for k in everyone if k not in outcomes}
        answers, losses = call("values", missing, _until(end))
        outcomes.update(answers)
        for outcome in answers.values():
            check_that_it_works(outcome)
        if losses:
            return None, losses
        values = np.concatenate([outcomes[k].values for k in everyone])
        shares = {k: (self._shares[k], values) for k in everyone}
        sums, losses = call("sums", shares, _until(end), keep=True)
        if losses:
            return None, losses
        parts = {k: (values, seconds, *(sums[j] for j in everyone if j != k)) for k in everyone}
        self._is_torn = True
        results, losses = call("move", parts, _until(end))
        self._is_torn = False
        return next(iter(results.values()), None), losses

    def _mend(self):
        """Bring all to where the first of them is, after a step that was broken off."""
        results, losses = self._group.call("result", {k: () for k in self._everyone}, self.timeout)
        latest = max((result.generation for result in results.values()), default=0)
        losses.update({k: "late" for k, r in results.items() if r.generation < latest})
        if losses:
            self._replace(losses)
        self.result, self._is_torn = self._first("result"), False

    def _replace(self, losses):
        """Let new replicas begin where one that is left is."""
        snapshot = self._answer("snapshot", losses, keep=True)
        self._start_replicas(list(losses), snapshot)

    def _first(self, method):
        """What a replica answers. The lost ones that are met on the way are replaced."""
        losses = {}
        answer = self._answer(method, losses, keep=False)
        if losses:
            self._replace(losses)
        return answer

    def _answer(self, method, losses, keep):
        """The answer of the first replica that is not lost; more that are join `lost`."""
        for k in self._everyone:
            if k not in losses:
                answers, further = self._group.call(method, {k: ()}, self.timeout, keep)
                losses.update(further)
                if answers:
                    return answers[k]
        raise _AllLost(_listed(losses))

    def _start_replicas(self, numbers, begin):
        losses = {}
        for _ in range(ATTEMPTS):
            losses = self._group.start(numbers, begin, PATIENCE)
            if not losses:
                return
            numbers = list(losses)
        raise EvaluationError(f"{len(losses)} replicas cannot be started: {_listed(losses)}")


def _until(end):
    """The seconds until `end`; None: there is none."""
    return None if end is None else max(0.0, end - time.monotonic())


def _listed(losses):
    """Which replicas are lost, and why."""
    return "; ".join(f"replica {k}: {reason}" for k, reason in losses.items())
