"""Ray actors that hold an object each and are called all at once (replica.py).

What their methods return may stay where it is, in Ray's object store, and go from there to other
actors: the process that has called them holds a reference only.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..evaluators import recursion_guard
from ..evaluators.channel import pickled
from ..evaluators.ray import Ray, ending_in_words
from ..evaluators.supervisor import EvaluationError


class _Actor:
    """An actor that holds an object and calls its methods."""

    def __init__(self, paths, environment):
        sys.path += [p for p in paths if p not in sys.path]
        os.environ.update(environment)

    def make(self, code: bytes, begin):
        with recursion_guard.unpickling():
            kind, job = pickle.loads(code)
        self.replica = kind(job, begin)

    def call(self, method, *arguments):
        return getattr(self.replica, method)(*arguments)

    def keep(self, method, *arguments):
        return None, self.call(method, *arguments)


class Actors:
    """Actors, each of which holds an object; all are called at once.

    `start` and `call` are those of `LocalReplicas` (local.py). What is kept is in Ray's object
    store: it goes from actor to actor, and not through this process.

    Parameters
    ----------
    kind : callable
        It makes an object of the job, and of where it begins.
    job : Job
        What all of them have in common.
    count : int, optional
        How many; None: as many as the cluster has room for now, at most `most`.
    most : int, optional
        How many there can be.
    address : str, optional
        Of the cluster, as for `Ray`.
    resources : mapping, optional
        Of each actor, as for `Ray`.

    Raises
    ------
    EvaluationError
        Where no actor can be had.
    """

    def __init__(
        self,
        kind: Callable[..., Any],
        job: Any,
        count: int | None = None,
        limit: int | None = None,
        address: str | None = None,
        resources: Mapping[str, float] | None = None,
    ):
        code = pickled((kind, job))  # before all else: it may fail
        self._cluster = Ray(count, address, resources)
        self._actor_class = self._cluster.class_of(_Actor)
        self._ray, self._actors, self._code = self._cluster.ray, {}, None
        try:
            self.count = min(
                n for n in (self._cluster.capacity(), limit or count) if n is not None
            )
            if not self.count:
                raise EvaluationError(f"no actor can be had{self._cluster.wants()}")
            self._code = self._ray.put(code)
        except BaseException:
            self.close()
            raise

    def start(
        self, numbers: Iterable[int], begin: Any, seconds: float | None = None
    ) -> dict[int, str]:
        """Start actors with these numbers, as `LocalReplicas.start`."""
        begin = begin if isinstance(begin, self._ray.ObjectRef) else self._ray.put(begin)
        refs = {}
        for k in numbers:
            self._dismiss(k)
            self._actors[k] = self._actor_class.remote(sys.path, self._cluster.environment)
            refs[k] = self._actors[k].make.remote(self._code, begin)
        return self._answers(refs, seconds)[1]

    def call(
        self,
        method: str,
        arguments: dict[int, tuple],
        seconds: float | None = None,
        keep: bool = False,
    ) -> tuple[dict[int, Any], dict[int, str]]:
        """Call a method of actors, as `LocalReplicas.call`.

        Raises EvaluationError where the method itself raises.
        """
        absent = {k: "it is not there" for k in arguments if k not in self._actors}
        refs, references = {}, {}
        for k in arguments.keys() - absent.keys():
            if keep:
                remote = self._actors[k].keep.options(num_returns=2)
                refs[k], references[k] = remote.remote(method, *arguments[k])
            else:
                refs[k] = self._actors[k].call.remote(method, *arguments[k])
        answers, losses = self._answers(refs, seconds)
        return {k: references[k] for k in answers} if keep else answers, {**absent, **losses}

    def _answers(self, refs, seconds):
        """({number: answer}, {number: why there is none}) of references."""
        if not refs:
            return {}, {}
        ready, _ = self._ray.wait(list(refs.values()), num_returns=len(refs), timeout=seconds)
        ready, answers, losses = set(ready), {}, {}
        for k, ref in refs.items():
            try:
                if ref in ready:
                    answers[k] = self._ray.get(ref)
                else:
                    losses[k] = "it has not answered in time"
            except self._ray.exceptions.RayTaskError as error:
                raise EvaluationError(f"an actor failed:\n{error}") from None
            except self._ray.exceptions.RayError as error:
                losses[k] = ending_in_words(error)
        for k in losses:
            self._dismiss(k)
        return answers, losses

    def _dismiss(self, k):
        if k in self._actors:
            self._ray.kill(self._actors.pop(k))

    def close(self) -> None:
        """End the actors, and the Ray that was started for them."""
        try:
            for k in list(self._actors):
                self._dismiss(k)
        finally:
            self._code = None
            self._cluster.close()
