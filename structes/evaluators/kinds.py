"""The kinds of workers that an Evaluator can have, and the channel to each."""

from __future__ import annotations

from typing import Any

from ..naming.error_text import nearest
from .channel import Channel
from .options import processors

KINDS = ("process", "ray", "serial")
POOLS = ("executor", "map")  # of the user's


def kind_of(workers: Any, refused: tuple) -> str:
    """Return the kind of workers that is meant: one of KINDS, or of POOLS.

    Parameters
    ----------
    workers
        What an Evaluator was given.
    refused : tuple of type
        Classes that can be called, and are no pool.

    Raises
    ------
    ValueError
        Where it is neither.
    """
    if isinstance(workers, str) and workers in KINDS:
        return workers
    if not isinstance(workers, (type, *refused)) or workers is map:
        if hasattr(workers, "submit"):
            return "executor"
        if callable(workers):
            return "map"
    hint = nearest(workers, KINDS) if isinstance(workers, str) else ""
    if hasattr(workers, "map"):
        hint = " (a class)" if isinstance(workers, type) else " (its method? workers=pool.map)"
    raise ValueError(
        f"workers must be a number (-1: one for every processor), one of {', '.join(KINDS)}, an "
        f"address ray://host:port, an Executor, or a function like map; got {workers!r}{hint}"
    )


def check_fits(evaluator: Any) -> None:
    """Raise ValueError where an Evaluator has an argument that its kind of workers cannot keep."""
    not_ray = {"process", "serial", *POOLS}
    not_ours, not_local = {"serial", *POOLS}, {"serial", "ray", *POOLS}
    endable = "workers that can be ended, processes (workers=1 is one) or Ray's"
    part = evaluator.finish_fraction if evaluator.finish_fraction < 1 else None
    for name, value, kinds, words in (
        ("address", evaluator.address, not_ray, "workers='ray'"),
        ("resources", evaluator.resources or None, not_ray, "workers='ray'"),
        ("timeout", evaluator.timeout, not_ours, endable),
        ("max_calls", evaluator.max_calls, not_ours, endable),
        ("limits", evaluator.memory, not_local, "processes of this machine, workers=8"),
        ("environment", evaluator.environment or None, POOLS, "workers that structes starts"),
        ("count", evaluator.count, ("map",), "workers that are given one call at a time"),
        ("finish_fraction", part, ("map",), "workers that are given one call at a time"),
    ):
        if value is not None and evaluator.kind in kinds:
            raise ValueError(f"{name}={value!r} needs {words}; got {evaluator!r}")


def channel_of(evaluator: Any) -> Channel:
    """Return the channel to the workers of an Evaluator, which starts them when it is asked to."""
    if evaluator.kind == "serial":
        from .serial import Serial

        return Serial()
    if evaluator.kind == "process":
        from .process import Processes

        return Processes(evaluator.count or processors(), evaluator.environment, evaluator.memory)
    if evaluator.kind == "executor":
        from .pools import Executor

        workers = getattr(evaluator.pool, "_max_workers", 0)  # of concurrent.futures and loky
        workers = workers if isinstance(workers, int) and workers > 0 else processors()
        return Executor(evaluator.pool, evaluator.count or workers)
    if evaluator.kind == "map":
        from .pools import Map

        return Map(evaluator.pool)
    from .ray import Ray

    return Ray(evaluator.count, evaluator.address, evaluator.resources, evaluator.environment)
