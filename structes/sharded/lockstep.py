"""Replicas that make each step together, and new ones in the place of those that are lost.

Nothing changes in a replica before the last part of a step, so that a loss is made good at once:
the new one gets the state of one that is there, does its share of what was lost, and the step has
the bits that it would have had. Where all are lost the search begins again where it began, or was
saved last, and comes to the same bits.
"""

from __future__ import annotations

import time
import weakref
from itertools import pairwise

import numpy as np

from ..evaluators.supervisor import EvaluationError, check_that_it_works
from .job import StepResult

ATTEMPTS = 3  # at a step, before it is given up
PATIENCE = 120.0  # seconds to wait for new replicas
SOON = 10.0  # and for what can be done without


class _AllLost(Exception):
    """No replica is left that knows where the search is."""


class Lockstep:
    """The replicas of a group, each with its share of the shards.

    start       makes the group (`local.LocalReplicas`, `actors.Actors`), when it is first needed
    shards      of a generation
    timeout     seconds that a step may take; a replica that has not answered then is lost
    beginning   gives what a `Replica` begins with that has nobody to ask
    result      the StepResult of the search then

    Raises EvaluationError for a function that returns what is no value, where replicas cannot be
    started, and where they are lost again and again; RuntimeError after `close`.
    """

    def __init__(self, start, shards: int, timeout: float | None, beginning, result: StepResult):
        self.result, self.timeout = result, timeout
        self._start_group, self._shards, self._beginning = start, shards, beginning
        self._group, self._is_closed = None, False
        self._is_torn = False  # was a step broken off, when some may have made it?

    @property
    def is_closed(self) -> bool:
        """Have the replicas ended?"""
        return self._is_closed

    def step(self, seconds: float) -> list:
        """One generation: the failures of its evaluations. seconds: since the search began."""
        failures = []
        self._reach(self.result.generation + 1, seconds, failures)
        return failures

    def ask(self, method: str):
        """What a replica says: the first that answers."""
        return self._reach(self.result.generation, 0.0, [], method)

    def close(self, methods=()) -> dict:
        """End the replicas: {method: what the first one says before, if it does so soon}."""
        self._is_closed = True
        words = {}
        if self._group is not None:
            try:
                for method in methods:
                    words[method] = self._group.call(method, {0: ()}, SOON)[0][0]
            except KeyError:  # it is lost
                pass
            finally:
                self._finalizer()
        return words

    # -- inside -----------------------------------------------------------------------------------

    def _reach(self, target, seconds, failures, method=None):
        """Come to a generation, and let a replica say something."""
        lost = None
        for _ in range(ATTEMPTS):
            try:
                self._start()
                if lost is not None:
                    self._start_replicas(self._everyone, self._beginning())
                    self._is_torn = True  # for `result` is not where they are
                if self._is_torn:
                    self._mend()
                while self.result.generation < target:  # further away where all were lost
                    self.result, found = self._step(seconds)
                    failures.extend(found)
                return method and self._first(method)
            except _AllLost as error:
                lost = error
        raise EvaluationError(f"all replicas were lost {ATTEMPTS} times: {lost}")

    def _start(self):
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
        outcomes = {}  # what has been evaluated is kept for the next attempt
        for _ in range(ATTEMPTS):
            end = None if self.timeout is None else time.monotonic() + self.timeout
            receipt, lost = self._attempt(outcomes, seconds, end)
            if lost:
                self._replace(lost)
            if receipt is not None:
                return receipt, [f for k in self._everyone for f in outcomes[k].failures]
        raise EvaluationError(f"{ATTEMPTS} attempts at a generation have failed: {_said(lost)}")

    def _attempt(self, outcomes, seconds, end):
        """(StepResult or None, {number: why it is lost})."""
        everyone, call = self._everyone, self._group.call
        todo = {k: (self._shares[k],) for k in everyone if k not in outcomes}
        found, lost = call("values", todo, _left(end))
        outcomes.update(found)
        for outcome in found.values():
            check_that_it_works(outcome)
        if lost:
            return None, lost
        values = np.concatenate([outcomes[k].values for k in everyone])
        shares = {k: (self._shares[k], values) for k in everyone}
        sums, lost = call("sums", shares, _left(end), keep=True)
        if lost:
            return None, lost
        given = {k: (values, seconds, *(sums[j] for j in everyone if j != k)) for k in everyone}
        self._is_torn = True
        receipts, lost = call("move", given, _left(end))
        self._is_torn = False
        return next(iter(receipts.values()), None), lost

    def _mend(self):
        """Bring all to where the first of them is, after a step that was broken off."""
        receipts, lost = self._group.call("result", {k: () for k in self._everyone}, self.timeout)
        latest = max((its.generation for its in receipts.values()), default=0)
        lost.update({k: "late" for k, its in receipts.items() if its.generation < latest})
        if lost:
            self._replace(lost)
        self.result, self._is_torn = self._first("result"), False

    def _replace(self, lost):
        """Let new replicas begin where one that is there is."""
        state = self._found("snapshot", lost, keep=True)
        self._start_replicas(list(lost), state)

    def _first(self, method):
        """What a replica says. The lost ones that are met on the way are replaced."""
        lost = {}
        answer = self._found(method, lost, keep=False)
        if lost:
            self._replace(lost)
        return answer

    def _found(self, method, lost, keep):
        """The answer of the first replica that is not lost; `lost` gets those that turn out to be
        lost, too."""
        for k in self._everyone:
            if k not in lost:
                answers, more = self._group.call(method, {k: ()}, self.timeout, keep)
                lost.update(more)
                if answers:
                    return answers[k]
        raise _AllLost(_said(lost))

    def _start_replicas(self, which, begin):
        for _ in range(ATTEMPTS):
            lost = self._group.start(which, begin, PATIENCE)
            if not lost:
                return
            which = list(lost)
        raise EvaluationError(f"{len(lost)} replicas cannot be started: {_said(lost)}")


def _left(end):
    """Seconds until `end`."""
    return None if end is None else max(0.0, end - time.monotonic())


def _said(lost):
    return "; ".join(f"replica {k}: {why}" for k, why in lost.items())
