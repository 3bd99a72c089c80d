"""Workers that are Ray actors: on this machine, on a cluster, with GPUs.

Ray finds the places, starts the processes and carries the bytes. Everything else is the
supervisor's: actors are never restarted and calls never repeated by Ray, whose own retries would
run a function twice in silence, and an actor that does not answer is killed, which is the one
thing that ends a call for certain, also on a host that the network has lost. Connecting to a Ray,
or starting one, is in ray_cluster.py.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from .channel import Channel, Event
from .ray_cluster import start, stop
from .worker import Call, Outcome, Runner, become_worker


class _Actor:
    """A Runner behind Ray."""

    def __init__(self, paths, environment):
        sys.path += [p for p in paths if p not in sys.path]
        os.environ.update(environment)
        become_worker()
        self.runner = Runner(is_alone=True)

    def ready(self):
        return True

    def put(self, key, thing):
        self.runner.put(key, thing)

    def make(self, key):
        self.runner.make(key)
        return True

    def drop(self, key):
        self.runner.drop(key)

    def run(self, call: bytes) -> bytes:
        return self.runner.run(pickle.loads(call)).to_bytes()


class _Worker:
    """An actor; refs of its answers in the order of the calls, and those of them that are there,
    but for one before them."""

    def __init__(self, actor):
        self.actor, self.refs, self.answered = actor, deque(), set()


class Ray(Channel):
    """Ray actors: so many, or as many as the cluster has room for, now and when it grows.

    Parameters
    ----------
    count : int or None
        How many; None: as many as there is room for.
    address : str or None
        As for `start` (ray_cluster.py).
    resources : Mapping, optional
        What each needs: num_cpus (1), num_gpus (0), and others by their names.
    environment : Mapping, optional
        {name: value} of variables.
    """

    depth = 2
    latency = 1e-3

    def __init__(
        self,
        count: int | None = None,
        address: str | None = None,
        resources: Mapping[str, float] | None = None,
        environment: Mapping[str, str] | None = None,
    ):
        super().__init__()
        self.count = count
        resources = dict(resources or {})
        self.cpus = resources.pop("num_cpus", 1)
        self.gpus = resources.pop("num_gpus", 0)
        self.resources = resources
        self.environment = dict(environment or {})
        if not self.gpus:
            self.environment.setdefault("CUDA_VISIBLE_DEVICES", "")
        cpus = None if count is None else max(1, int(count * self.cpus + 0.5))
        self._is_owner = start(cpus, address)
        import ray

        self.ray, self._refs, self._things, self._workers = ray, {}, {}, []
        self._runtime = {"env_vars": self.environment} if environment else None
        self._class = self.class_of(_Actor)

    def class_of(self, kind: type) -> Any:
        """Return the class of actors that are made of a class."""
        return self.ray.remote(kind).options(
            num_cpus=self.cpus,
            num_gpus=self.gpus,
            resources=self.resources or None,
            max_restarts=0,
            max_task_retries=0,
            runtime_env=self._runtime,
        )

    def capacity(self) -> int:
        if self.count is not None:
            return self.count
        demand = {"CPU": self.cpus, "GPU": self.gpus, **self.resources}
        supply = self.ray.cluster_resources()
        room = [
            int(supply.get(name, 0) / amount + 1e-9) for name, amount in demand.items() if amount
        ]
        return min(room, default=1)

    def wants(self) -> str:
        demand = {"CPU": self.cpus, "GPU": self.gpus, **self.resources}
        supply = self.ray.cluster_resources()
        available = {name: supply.get(name, 0) for name in demand}
        return f": each needs {demand}, and the cluster has {available}"

    def start_worker(self) -> Any:
        worker = _Worker(self._class.remote(sys.path, self.environment))
        self._workers.append(worker)
        self._expect(worker, worker.actor.ready.remote())
        return worker

    def put(self, worker: Any, key: Any, thing: Any) -> None:
        if key not in self._things:
            self._things[key] = self.ray.put(self.packed(key, thing))
        worker.actor.put.remote(key, self._things[key])

    def make(self, worker: Any, key: Any) -> bool:
        self._expect(worker, worker.actor.make.remote(key))
        return True

    def drop(self, worker: Any, key: Any) -> None:
        worker.actor.drop.remote(key)

    def send(self, worker: Any, call: Call) -> None:
        # pickled here: Ray's own way with arrays takes longer
        self._expect(worker, worker.actor.run.remote(pickle.dumps(call, 5)))

    def _expect(self, worker, ref):
        self._refs[ref] = worker
        worker.refs.append(ref)

    def poll(self, seconds: float) -> list[Event]:
        """Return what has happened, in the order of the calls of each actor.

        Ray may show the answers of an actor in another order; one that comes early waits for those
        before it.
        """
        if not self._refs:
            time.sleep(seconds)
            return []
        refs, _ = self.ray.wait(list(self._refs), num_returns=1, timeout=seconds)
        if refs and len(self._refs) > 1:  # and the others that are there
            refs, _ = self.ray.wait(list(self._refs), num_returns=len(self._refs), timeout=0)
        workers = {}
        for ref in refs:
            worker = self._refs.pop(ref)
            worker.answered.add(ref)
            workers[id(worker)] = worker
        return [event for worker in workers.values() for event in self._answers(worker)]

    def _answers(self, worker):
        while worker.refs and worker.refs[0] in worker.answered:
            ref = worker.refs.popleft()
            worker.answered.remove(ref)
            try:
                data = self.ray.get(ref)
            except self.ray.exceptions.RayError as error:
                self.end_worker(worker)
                alone = "worker process has died" in str(error)  # and not its host with it
                yield Event(worker, ending=ending_in_words(error), is_innocent=not alone)
            else:
                yield Event(worker, None if data is True else Outcome.of_bytes(data))

    def end_worker(self, worker: Any) -> None:
        self._workers = [w for w in self._workers if w is not worker]
        for ref in worker.refs:
            self._refs.pop(ref, None)
        worker.refs.clear()
        self.ray.kill(worker.actor)

    def forget(self, key: Any) -> None:
        super().forget(key)
        self._things.pop(key, None)

    def close(self) -> None:
        try:
            for worker in list(self._workers):
                self.end_worker(worker)
        finally:
            if self._is_owner:
                stop()


def ending_in_words(error: BaseException) -> str:
    """Return in a line why an actor is no more."""
    text = " ".join(str(error).split())
    detail = text.partition("exit detail: ")[2].partition(". ")[0]  # Ray's own, of a page of text
    return f"{type(error).__name__}: {detail or text[-300:]}"
