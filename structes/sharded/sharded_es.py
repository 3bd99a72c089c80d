"""ShardedES: a search whose candidates are drawn, evaluated and added up where they are.

For objectives that run where the candidates are: a function of arrays on a GPU, or on several, one
replica of the search distribution on each (replica.py). Values travel, and weighted sums, a few
numbers for each parameter and replica; candidates do not. The number of replicas changes no bit of
the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from math import inf, isnan
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .. import checks
from ..evaluators import EvaluationError
from ..evaluators.failures import KEPT, Failure
from ..files import checkpoint
from ..search.arguments import read_arguments
from ..search.base import BaseSearch
from ..search.building import arguments_from
from ..search.functions import portable, unpacked
from ..search.loop import ends
from ..strategy.engine import from_plain
from ..strategy.state import MOST, Info
from ..strategy.stopping import Stopping
from ..structures.building import known_spec, spec_of
from .beginning import Beginning, job_of
from .job import StepResult
from .lockstep import Lockstep
from .placement import Placement
from .properties import ReplicaProperties
from .replica import Replica

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from typing_extensions import Unpack

    from ..search.options import Options, StartLike, StructureSpec
    from ..space.space import Space


class ShardedES(ReplicaProperties, BaseSearch):
    """An ES that evaluates by itself, on one device or on several, to the same bits.

    Candidates are always drawn independently (`engine` with sampling "independent"), as `ES` does
    by itself for d > 1000. Generations are whole: `max_evaluations` ends the search after the one
    that reaches it. The replicas start with the first step, and end with the `with` block or
    `close`; after that `mean` and `best` are still there, `state` and `save` are not.

    Parameters
    ----------
    fun : callable
        Vectorised: from an (n, d) array of the backend to (n,) values (of it, or of the host);
        NaN or an exception: missing, as everywhere. With a Space it takes a list of dicts.
    x0, sigma0, structure, popsize, seed
        As for `ES`, but structure is not "auto".
    shards : int
        Pieces of a generation that are drawn and added up by themselves: the most replicas that
        there can be. The bits of a search depend on it, and not on the replicas.
    workers : {"serial", "ray"}
        "serial": in this process; "ray": an actor for each replica.
    replicas : int, optional
        How many, at most `shards`; None: one here, with Ray as many as there is room for.
    resources : mapping, optional
        Of Ray, for each replica: {"num_gpus": 1}, which is what None is with the backend "cupy";
        otherwise None is {"num_cpus": 1}.
    address : str, optional
        Of a Ray cluster: "auto", "host:port", "ray://host:port"; None: as for `Evaluator`.
    factory : bool
        Whether `fun` takes nothing and returns the function: called once in every replica.
    timeout : float, optional
        Seconds that a generation may take; replicas that have not answered then, or that have
        died, are replaced, and their work is done again. Only with Ray.
    **options
        Everything else that `ES` takes, but for noise, a prior, and a covariance matrix.

    Attributes
    ----------
    arguments : Arguments
        What the search was given, checked.
    strategy : Strategy
        The structure and the settings of the update.
    shards : int
        Into how many a generation is cut: at most `popsize`.
    failures : list of Failure
        The latest evaluations that raised, with their tracebacks; the first one is told in a
        RuntimeWarning.

    Raises
    ------
    ValueError, TypeError
        For an argument that does not fit; the message names it.

    Examples
    --------
    >>> with ShardedES(lambda X: (X * X).sum(axis=1), [3.0] * 5, 1.0, seed=1, target=1e-8) as es:
    ...     reasons = es.run()
    >>> list(reasons), es.best.fun <= 1e-8
    (['target'], True)
    """

    KIND = "ShardedES"

    def __init__(
        self,
        fun: Callable[..., Any],
        x0: StartLike = None,
        sigma0: ArrayLike | None = None,
        structure: StructureSpec = "diagonal",
        *,
        popsize: int | None = None,
        seed: int | None = None,
        shards: int = 16,
        workers: Literal["serial", "ray"] = "serial",
        replicas: int | None = None,
        resources: Mapping[str, float] | None = None,
        address: str | None = None,
        factory: bool = False,
        timeout: float | None = None,
        **options: Unpack[Options],
    ):
        if options.get("noise") is not None:
            raise ValueError("noise is not for ShardedES: use ES(…, noise=…) with an Evaluator")
        arguments = arguments_from("ShardedES", x0, sigma0, structure, seed, popsize, **options)
        placement = Placement(workers, replicas, resources, address, timeout)
        self._begin(arguments, fun, factory, shards, placement)

    def _begin(self, arguments, fun, factory, shards, placement):
        if not callable(fun):
            raise TypeError(f"fun must be callable; got {fun!r}")
        self._job, first = job_of(arguments, fun, factory, shards)
        self.strategy, self.shards = self._job.strategy, self._job.shards
        placement.check(self.shards, arguments.backend)
        self._placement = placement
        self._beginning = Beginning(first, arguments.seed)
        start = partial(placement.start, self._job)
        result = StepResult(Info(), 0, first.sigma, 0, inf, 0, {})
        self._lockstep = Lockstep(start, self.shards, placement.timeout, self._beginning, result)
        self._answers = {}
        self.failures: list[Failure] = []
        self._shown_best = lambda: None
        self._prepare(arguments)

    # -- the loop ---------------------------------------------------------------------------------

    def step(self) -> Info:
        """One generation: what the update saw and did.

        Raises EvaluationError for a function that returns what is no value, or only raises, and
        where the replicas cannot be kept alive.
        """
        point = self._shown_best()
        if point is not None:  # somebody has it, and has not looked
            point.fetch()
        failures = self._lockstep.step(self.seconds)
        if failures and self._result.fun == inf and isnan(self._result.info.best):
            raise EvaluationError(
                f"fun has given no value in a whole generation; the first: {failures[0]}\n"
                f"{failures[0].traceback}"
            )
        self._note(failures)
        return self.info

    def run(self, callback: Callable[[ShardedES], Any] | None = None) -> dict[str, Any]:
        """Steps until `stop()`: the reasons.

        Parameters
        ----------
        callback : callable, optional
            Called with this search after every generation; the answer True, no other, and
            StopIteration end the run.
        """
        while not self.stop():
            self.step()
            if callback is not None and ends(callback, self):
                return {**self.stop(), "callback": True}
        return self.stop()

    def stop(self) -> dict[str, Any]:
        """{criterion: value} of every stopping criterion that has fired; empty: go on."""
        reasons = dict(self._result.reasons)
        if "target" in reasons:
            reasons["target"] *= self.arguments.sign
        return reasons

    def go_under(self, stopping: Stopping, reasons: Mapping[str, Any] | None = None) -> None:
        """Go on under these criteria, as `BaseSearch.go_under`; the replicas start anew."""
        snapshot, seconds, job = self._ask("snapshot"), self.seconds, self._job
        fresh = {"reasons": dict(reasons or {}), "flat": 0, "failures": 0}
        snapshot["monitor"] = {**snapshot["monitor"], **fresh}
        warned, failures = self._warned, self.failures
        self._lockstep.close()
        arguments = replace(self.arguments, stopping=stopping)
        self._begin(arguments, job.fun, job.factory, self.shards, self._placement)
        replica = self._replica_at(snapshot)
        replica.monitor = replica.monitor.told(replica.fun, replica.evaluations, seconds)
        self._go_on_from(replica.snapshot(), seconds)
        self._warned, self.failures = warned, failures

    # -- files ------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise ValueError where the numbers of the search have overflowed."""
        self.strategy.restored(self._ask("snapshot")["state"])

    def save(self, path: str | PathLike[str]) -> None:
        """Write the search into one file, as `ES.save`; any replicas can go on with it."""
        tree = self.snapshot()
        self.strategy.restored(tree["replica"]["state"])  # raises as `check`
        checkpoint.write(path, self.KIND, tree)
        self._beginning.path = Path(path).absolute()

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        fun: Callable[..., Any],
        structure: StructureSpec | None = None,
        space: Space | None = None,
        **placement: Any,
    ) -> ShardedES:
        """The search in a file of `save`, with this function.

        Parameters
        ----------
        path, structure, space
            As for `ES.load`.
        fun : callable
            As for the class.
        **placement
            workers, replicas, resources, address, factory and timeout.

        Raises
        ------
        OSError, ValueError
            As `ES.load`.
        """
        for name in placement.keys() - {*Placement._fields, "factory"}:
            raise TypeError(f"load takes no argument {name!r}: the search has its own")
        with cls._opened(path) as tree:
            arguments = read_arguments({"noise": None, **tree["arguments"]}, space)
            x0, engine = arguments.pop("x0"), from_plain(tree["engine"])
            structure = structure or known_spec(tree["structure"])
            checks.count("shards", arguments["shards"], 1, 2**20)
            checks.count("popsize", arguments["popsize"], 2, MOST)
            es = cls(fun, x0, structure=structure, engine=engine, **arguments, **placement)
            es._go_on_from(tree["replica"], tree["seconds"])
            warned = tree.get("warned", ())  # not in older files
            es._warned = {checks.text("warned", name) for name in warned}
        es._beginning.path = Path(path).absolute()
        return es

    def snapshot(self) -> dict[str, Any]:
        """All of the search in plain values and arrays, as a checkpoint holds it."""
        numbers = {"popsize": self.popsize, "seed": self.seed, "shards": self.shards}
        return {
            "arguments": {**self.arguments.plain(), **numbers},
            "engine": self.arguments.engine.plain(),
            "structure": spec_of(self.structure),
            "replica": self._ask("snapshot"),
            "seconds": self.seconds,
            "warned": sorted(self._warned),
        }

    def _replica_at(self, snapshot):
        """A replica in this process that evaluates nothing."""
        return Replica(self._job._replace(backend="numpy", fun=None, factory=False), snapshot)

    def _go_on_from(self, snapshot, seconds):
        """Begin where the snapshot of a replica was taken, `seconds` after its search began."""
        self._lockstep.result = self._replica_at(snapshot).result()
        self._restore_age(seconds)
        self._beginning.begin = snapshot

    # -- copies, and the end ----------------------------------------------------------------------

    def __reduce__(self):
        snapshot = None if self._lockstep.is_closed else self._ask("snapshot")
        job = self._job
        origin = self.arguments, portable(job.fun), job.factory, self.shards, self._placement
        state = snapshot, self.seconds, self._answers, self._result, self.failures
        return _copied, (origin, *state)

    def close(self) -> None:
        """End the replicas; `mean` and `best` stay."""
        self._answers.update(self._lockstep.close(("mean", "best")))

    def __enter__(self) -> ShardedES:
        return self

    def __exit__(self, kind, *_) -> None:
        if kind is None or self._placement.is_local:
            self.close()
        else:  # actors may be busy
            self._lockstep.close()

    def __repr__(self) -> str:
        return (
            f"<ShardedES {self.structure!r} generation {self.generation}, {self.evaluations} "
            f"evaluations, best {self._result.fun:.6g}, sigma {self.sigma:.3g}>"
        )

    # -- inside -----------------------------------------------------------------------------------

    def _note(self, failures):
        self.failures = [*self.failures, *failures][-KEPT:]
        notices = []
        if isnan(self._result.info.best):
            notices.append("all values of a generation were missing: the search did not move")
        if failures:
            notices.append(
                f"evaluations of fun failed and count as missing; the first: {failures[0]}\n"
                f"{failures[0].traceback}"
            )
        self._warn(notices, stacklevel=4)


def _copied(origin, snapshot, seconds, answers, result, failures) -> ShardedES:
    """The copy of a search that was pickled: its replicas start when they are needed."""
    es = ShardedES.__new__(ShardedES)
    arguments, fun, *placement = origin
    es._begin(arguments, unpacked(fun), *placement)
    if snapshot is None:  # it is closed
        es._lockstep.close()
        es._lockstep.result, es._answers = result, dict(answers)
    else:
        es._go_on_from(snapshot, seconds)
    es.failures = list(failures)
    return es
