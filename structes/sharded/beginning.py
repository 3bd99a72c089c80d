"""Where a sharded search begins: from its arguments, or from a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from .. import checks
from ..arrays.libraries import BACKENDS
from ..files import checkpoint
from ..search.arguments import Arguments
from ..strategy.strategy import Strategy
from ..structures.building import build_structure
from .job import Job, Start


def job_of(
    arguments: Arguments, fun: Callable[..., Any], factory: bool, shards: int
) -> tuple[Job, Start]:
    """What the replicas of a search have in common, and where they begin.

    Raises ValueError or TypeError for arguments that a sharded search does not take.
    """
    if arguments.prior is not None:
        raise ValueError("prior is not for ShardedES: use ES(…, prior=…) with an Evaluator")
    if arguments.correlations is not None:
        raise ValueError(
            "covariance: ShardedES takes variances (d,) only; a matrix, or a search that has "
            "learned correlations, is for ES and minimize"
        )
    backend, x0 = arguments.backend, arguments.start()
    checks.choice("backend", backend, BACKENDS)
    domain, sigma0 = arguments.domain(x0)
    structure = arguments.structure_for(domain)
    if isinstance(structure, str) and structure == "auto":
        raise ValueError("structure must be one by name here: 'auto' is for ES and minimize")
    sigma, scale = checks.scale("sigma0", sigma0, domain.dim)
    engine = replace(arguments.engine, sampling="independent")
    strategy = Strategy(
        build_structure(structure, domain.dim),
        engine,
        arguments.popsize_for(domain),
        domain=domain,
        dtype=arguments.dtype,
        on_device=backend == "cupy",
    )
    job = Job(
        strategy,
        arguments.stopping,
        sigma,
        arguments.seed,
        min(checks.count("shards", shards, 1), strategy.popsize),
        backend,
        fun,
        factory,
        arguments.space,
        arguments.sign,
    )
    u0 = domain.encode(domain.completed(x0)[None, :], "x0")[0, :]
    return job, Start(u0, sigma, scale)


class Beginning:
    """Where replicas begin that have nobody to ask: a Start, or what was saved or loaded last.

    Attributes
    ----------
    begin : Start, dict or None
        A Start, or a snapshot that was just read.
    path : Path or None
        The file that was saved or loaded last.
    """

    def __init__(self, begin: Start, seed: int):
        self.begin: Start | dict[str, Any] | None = begin
        self.path: Path | None = None
        self._seed = seed

    def __call__(self) -> Start | dict[str, Any]:
        """The Start, or a snapshot.

        Raises OSError or ValueError where the file does not hold the search any more.
        """
        if self.path is None:
            return cast("Start | dict[str, Any]", self.begin)  # until there is a file it stays
        begin, self.begin = self.begin, None  # it is read once, and then from the file
        if isinstance(begin, dict):
            return begin
        kind, tree = checkpoint.read(self.path)
        if kind != "ShardedES" or tree["arguments"]["seed"] != self._seed:
            raise ValueError(f"{str(self.path)!r} no longer holds this search")
        return tree["replica"]
