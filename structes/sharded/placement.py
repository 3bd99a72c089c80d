"""Where the replicas of a search are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import checks
from ..arrays.libraries import load_namespace
from .job import Job
from .local import LocalReplicas
from .replica import Replica

if TYPE_CHECKING:
    from .actors import Actors

WORKERS = ("serial", "ray")


class Placement(NamedTuple):
    """Where the replicas of a search are; the fields are arguments of `ShardedES`."""

    workers: str = "serial"
    replicas: int | None = None
    resources: Mapping[str, float] | None = None
    address: str | None = None
    timeout: float | None = None

    @property
    def is_local(self) -> bool:
        """Whether they are in this process."""
        return self.workers == "serial"

    def check(self, shards: int, backend: str) -> None:
        """Raise ValueError or TypeError for what does not fit a search with so many shards."""
        checks.choice("workers", self.workers, WORKERS)
        if self.replicas is not None:
            checks.count("replicas", self.replicas, 1, shards)
        if self.timeout is not None:
            checks.number("timeout", self.timeout, positive=True)
        if self.is_local:
            for name in ("resources", "address", "timeout"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name}={getattr(self, name)!r} needs workers='ray'")
            load_namespace(backend)  # is it here? machines of actors say so themselves

    def start(self, job: Job) -> LocalReplicas | Actors:
        """The replicas of a search, none of which is started yet."""
        if self.is_local:
            return LocalReplicas(job, self.replicas or 1)
        from .actors import Actors

        resources = self.resources
        if resources is None and job.backend == "cupy":
            resources = {"num_gpus": 1}
        settings: tuple[Any, ...] = self.replicas, job.shards, self.address, resources
        return Actors(Replica, job, *settings)
