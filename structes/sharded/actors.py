"""Ray actors that hold an object each and are called all at once (replica.py).

What their methods return may stay where it is, in Ray's object store, and go from there to other
actors: the process that has called them holds a reference only.
"""

from __future__ import annotations

import os
import pickle
import sys

from ..evaluators import guard
from ..evaluators.channel import pickled
from ..evaluators.ray import Ray, said_of
from ..evaluators.supervisor import EvaluationError


class _Actor:
    """An actor that holds an object and calls its methods."""

    def __init__(self, paths, environment):
        sys.path += [p for p in paths if p not in sys.path]
        os.environ.update(environment)

    def make(self, thing: bytes, begin):
        with guard.unpickling():
            kind, job = pickle.loads(thing)
        self.held = kind(job, begin)

    def call(self, method, *arguments):
        return getattr(self.held, method)(*arguments)

    def keep(self, method, *arguments):
        return None, self.call(method, *arguments)


class Actors:
    """count actors, each of which holds an object kind(job, begin); all are called at once.

    count      None: as many as the cluster has room for now, at most `most`
    resources  of each, and address: as for `Ray`

    `start` and `call` are those of `LocalReplicas` (local.py). What is kept is in Ray's object
    store: it goes from actor to actor, and not through this process.
    """

    def __init__(self, kind, job, count=None, most=None, address=None, resources=None):
        thing = pickled((kind, job))  # first: it may fail
        self._room = Ray(count, address, resources)
        self._actor_class = self._room.class_of(_Actor)
        self._ray, self._actors, self._thing = self._room.ray, {}, None
        try:
            self.count = min(self._room.capacity(), most or count)
            if not self.count:
                raise EvaluationError(f"no actor can be had{self._room.wants()}")
            self._thing = self._ray.put(thing)
        except BaseException:
            self.close()
            raise

    def start(self, which, begin, seconds=None) -> dict:
        """New actors with these numbers: {number: why it could not be}."""
        begin = begin if isinstance(begin, self._ray.ObjectRef) else self._ray.put(begin)
        refs = {}
        for k in which:
            self._dismiss(k)
            self._actors[k] = self._actor_class.remote(sys.path, self._room.environment)
            refs[k] = self._actors[k].make.remote(self._thing, begin)
        return self._answers(refs, seconds)[1]

    def call(self, method: str, arguments: dict, seconds=None, keep=False) -> tuple[dict, dict]:
        """As `local.LocalReplicas.call`. Raises EvaluationError where the method itself raises."""
        away = {k: "it is not there" for k in arguments if k not in self._actors}
        refs, kept = {}, {}
        for k in arguments.keys() - away.keys():
            if keep:
                two = self._actors[k].keep.options(num_returns=2)
                refs[k], kept[k] = two.remote(method, *arguments[k])
            else:
                refs[k] = self._actors[k].call.remote(method, *arguments[k])
        found, lost = self._answers(refs, seconds)
        return {k: kept[k] for k in found} if keep else found, {**away, **lost}

    def _answers(self, refs, seconds):
        if not refs:
            return {}, {}
        there, _ = self._ray.wait(list(refs.values()), num_returns=len(refs), timeout=seconds)
        there, found, lost = set(there), {}, {}
        for k, ref in refs.items():
            try:
                if ref in there:
                    found[k] = self._ray.get(ref)
                else:
                    lost[k] = "it has not answered in time"
            except self._ray.exceptions.RayTaskError as error:
                raise EvaluationError(f"an actor failed:\n{error}") from None
            except self._ray.exceptions.RayError as error:
                lost[k] = said_of(error)
        for k in lost:
            self._dismiss(k)
        return found, lost

    def _dismiss(self, k):
        if k in self._actors:
            self._ray.kill(self._actors.pop(k))

    def close(self) -> None:
        """End the actors, and the Ray that was started for them."""
        try:
            for k in list(self._actors):
                self._dismiss(k)
        finally:
            self._thing = None
            self._room.close()
