"""ShardedES: a search whose candidates are drawn, evaluated and added up where they are.

For objectives that run where the candidates are: a function of arrays on a GPU, or on several, one
replica of the search distribution on each (evaluators/replicas.py). Values travel, and weighted
sums, a few numbers for each parameter and replica; candidates do not. The number of replicas
changes no bit of the result.
"""

from __future__ import annotations

import time
import weakref
from dataclasses import asdict, replace
from functools import partial
from math import inf, isnan
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import checks
from ..arrays.libraries import BACKENDS, load_namespace
from ..evaluators import EvaluationError
from ..evaluators.failures import KEPT
from ..files import checkpoint
from ..search.arguments import Options, arguments_from, read_arguments, with_stopping
from ..search.functions import portable, unpacked
from ..search.loop import ends
from ..search.search import Best
from ..strategy.engine import Engine
from ..strategy.state import MOST, Info, State
from ..strategy.strategy import Strategy
from ..structures.building import build_structure, known_spec, spec_of
from ..terminal import output
from .lockstep import Lockstep
from .replica import Here, Job, Receipt, Replica, Start

if TYPE_CHECKING:
    from typing_extensions import Unpack

WORKERS = ("serial", "ray")
_PLACE = {"workers", "replicas", "resources", "address", "factory", "timeout"}


class ShardedES:
    """An ES that evaluates by itself, on one device or on several, to the same bits.

    fun         vectorised: (n, d) array of the backend -> (n,) values (of it, or of the host);
                NaN or an exception: missing, as everywhere. With factory=True it takes nothing
                and returns that function: called once in every replica
    x0, sigma0, structure, popsize, seed, backend, dtype   as for `ES`. Not "auto"
    shards      pieces of a generation that are drawn and added up by themselves: the most replicas
                that there can be. Its bits depend on it, and not on the replicas
    workers     "serial": here; "ray": an actor for each replica
    replicas    how many, at most `shards`; None: one here, with Ray as many as there is room for
    resources   of Ray, for each replica: {"num_gpus": 1}, which is what None is with the backend
                "cupy"; otherwise None is {"num_cpus": 1}
    address     of a Ray cluster: "auto", "host:port", "ray://host:port"; None: as for `Evaluator`
    timeout     seconds that a generation may take; replicas that have not answered then, or that
                have died, are replaced, and their work is done again. Only with Ray
    options     everything else that `ES` takes, but for noise. With a Space the function takes a
                list of dicts

    Candidates are always drawn independently (`engine` with sampling "independent"), as `ES` does
    by itself for d > 1000. Generations are whole: `max_evaluations` ends the search after the one
    that reaches it. The replicas start with the first step, and end with the `with` block or
    `close`; after that `mean` and `best` are still there, `state` and `save` are not.

    failures    the latest evaluations that raised, with their tracebacks; the first one is told in
                a RuntimeWarning

    Raises ValueError or TypeError, naming the argument, for what does not fit.

    >>> with ShardedES(lambda X: (X * X).sum(axis=1), [3.0] * 5, 1.0, seed=1, target=1e-8) as es:
    ...     reasons = es.run()
    >>> list(reasons), es.best.fun <= 1e-8
    (['target'], True)
    """

    def __init__(
        self,
        fun,
        x0=None,
        sigma0=None,
        structure="diagonal",
        *,
        popsize=None,
        seed=None,
        shards=16,
        workers="serial",
        replicas=None,
        resources=None,
        address=None,
        factory=False,
        timeout=None,
        **options: Unpack[Options],
    ):
        if options.get("noise") is not None:
            raise ValueError("noise is not for ShardedES: use ES(…, noise=…) with an Evaluator")
        given = arguments_from("ShardedES", x0, sigma0, structure, seed, popsize, **options)
        place = {
            "workers": workers,
            "replicas": replicas,
            "resources": resources,
            "address": address,
            "timeout": timeout,
        }
        self._begin(given, fun, factory, shards, place)

    def _begin(self, given, fun, factory, shards, place):
        workers, replicas, timeout = place["workers"], place["replicas"], place["timeout"]
        checks.choice("workers", workers, WORKERS)
        if not callable(fun):
            raise TypeError(f"fun must be callable; got {fun!r}")
        if given.prior is not None:
            raise ValueError("prior is not for ShardedES: use ES(…, prior=…) with an Evaluator")
        if given.correlations is not None:
            raise ValueError(
                "covariance: ShardedES takes variances (d,) only; a matrix, or a search that has "
                "learned correlations, is for ES and minimize"
            )
        backend, x0 = given.backend, given.start()
        checks.choice("backend", backend, BACKENDS)
        domain, sigma0 = given.domain(x0)
        structure = given.structure_for(domain)
        if isinstance(structure, str) and structure == "auto":
            raise ValueError("structure must be one by name here: 'auto' is for ES and minimize")
        sigma, scale = checks.scale("sigma0", sigma0, domain.dim)
        engine = replace(given.engine, sampling="independent")
        self.arguments, self.dim, self.space = given, domain.size, given.space
        self.strategy = Strategy(
            engine.fit(build_structure(structure, domain.dim)),
            engine,
            given.popsize,
            domain=domain,
            dtype=given.dtype,
            on_device=backend == "cupy",
        )
        self.popsize, self.structure = self.strategy.popsize, self.strategy.structure
        self.seed = given.seed
        self.shards = min(checks.count("shards", shards, 1), self.popsize)
        if replicas is not None:
            replicas = checks.count("replicas", replicas, 1, self.shards)
        if timeout is not None:
            checks.number("timeout", timeout, positive=True)
        if workers == "serial":
            for name in ("resources", "address", "timeout"):
                if place[name] is not None:
                    raise ValueError(f"{name}={place[name]!r} needs workers='ray'")
            load_namespace(backend)  # is it here? machines of actors say so themselves
        resources = place["resources"]
        if resources is None and backend == "cupy":
            resources = {"num_gpus": 1}
        sense = given.space, given.sign
        job = self.strategy, given.stopping, sigma, self.seed, self.shards, backend, fun, factory
        self._job, self._place = Job(*job, *sense), place
        u0 = domain.encode(domain.completed(x0)[None, :], "x0")[0, :]
        self._beginning = _Beginning(Start(u0, sigma, scale), self.seed)
        hire = partial(_crew, self._job, workers, replicas, resources, place["address"])
        now = Receipt(Info(), 0, sigma, 0, inf, 0, {})
        self._lockstep = Lockstep(hire, self.shards, timeout, self._beginning, now)
        self._is_here = workers == "serial"
        self._last: dict = {}  # what `close` has kept
        self.failures: list = []
        self._looked = None
        self._warned: set = set()
        self._since = time.monotonic()

    # -- the loop ---------------------------------------------------------------------------------

    def step(self) -> Info:
        """One generation. Raises EvaluationError for a function that returns what is no value, or
        only raises, and where the replicas cannot be kept alive."""
        point = self._looked() if self._looked else None
        if point is not None:  # somebody has it, and has not looked
            point.fetch()
        failures = self._lockstep.step(self.seconds)
        if failures and self._now.fun == inf and isnan(self._now.info.best):
            raise EvaluationError(
                f"fun has given no value in a whole generation; the first: {failures[0]}\n"
                f"{failures[0].traceback}"
            )
        self._note(failures)
        return self.info

    def run(self, callback=None) -> dict:
        """Steps until `stop()`: the reasons. callback: called with this after every generation;
        the answer True, no other, and StopIteration end the run."""
        while not self.stop():
            self.step()
            if callback is not None and ends(callback, self):
                return {**self.stop(), "callback": True}
        return self.stop()

    def stop(self) -> dict:
        """{criterion: value} of every stopping criterion that has fired; empty: go on."""
        reasons = dict(self._now.reasons)
        if "target" in reasons:
            reasons["target"] *= self.arguments.sign
        return reasons

    # -- what it knows ----------------------------------------------------------------------------

    @property
    def _now(self) -> Receipt:
        return self._lockstep.now

    @property
    def info(self) -> Info:
        """What the last update saw and did."""
        return self._now.info.signed(self.arguments.sign)

    @property
    def generation(self) -> int:
        """Number of generations closed."""
        return self._now.generation

    @property
    def evaluations(self) -> int:
        """Number of values so far, missing ones included."""
        return self._now.evaluations

    @property
    def sigma(self) -> float:
        """Overall standard deviation (step size), relative to the structure's factor."""
        return self._now.sigma

    @property
    def best(self) -> Best:
        """The best point so far; x is drawn again when somebody looks at it."""
        if self._now.fun == inf:
            return Best(None, inf, 0)
        point = _Point(self)
        self._looked = weakref.ref(point)
        return Best(point, self._now.fun, self._now.evaluations_then).signed(self.arguments.sign)

    @property
    def mean(self) -> np.ndarray:
        """(d,) mean of the search distribution, as a point: the best estimate under noise."""
        return np.array(self._ask("mean"))

    @property
    def state(self) -> State:
        """The state of the search, with NumPy's arrays. Of a large one that is much to send."""
        return self._ask("host_state")

    @property
    def seconds(self) -> float:
        """Seconds since this object was made."""
        return time.monotonic() - self._since

    # -- files, and the end -----------------------------------------------------------------------

    def save(self, path) -> None:
        """Write the search into one file, whole or not at all; there is no code in it. `load`
        goes on to the same bits, with any replicas. Raises OSError where it cannot be written,
        and ValueError where the numbers of the search have overflowed."""
        replica = self._ask("snapshot")
        self.strategy.restored(replica["state"])
        tree = {
            "arguments": {
                **self.arguments.plain(),
                "popsize": self.popsize,
                "seed": self.seed,
                "shards": self.shards,
            },
            "engine": asdict(self.strategy.engine),
            "structure": spec_of(self.structure),
            "replica": replica,
            "seconds": self.seconds,
        }
        checkpoint.write(path, "ShardedES", tree)
        self._beginning.path = Path(path).absolute()

    @classmethod
    def load(cls, path, fun, structure=None, space=None, **place) -> ShardedES:
        """The search in a file of `save`, with this function.

        structure   where the search has one of your own class: the Structure
        space       where the search has a Space with options or constants that are functions or
                    objects, which no file holds: the Space
        place       workers, replicas, resources, address, factory and timeout

        Raises OSError where the file cannot be opened, and ValueError for one that is torn,
        forged, of another version, or holds something else.
        """
        for name in place.keys() - _PLACE:
            raise TypeError(f"load takes no argument {name!r}: the search has its own")
        kind, tree = checkpoint.read(path)
        if kind != "ShardedES":
            raise ValueError(
                f"{str(path)!r} holds a {kind:.40}: structes.{kind:.40}.load reads it"
            )
        with checkpoint.restoring(path, "ShardedES"):
            given = read_arguments({"noise": None, **tree["arguments"]}, space)
            x0, engine = given.pop("x0"), Engine(**tree["engine"])
            structure = structure or known_spec(tree["structure"])
            checks.count("shards", given["shards"], 1, 2**20)
            checks.count("popsize", given["popsize"], 2, MOST)
            self = cls(fun, x0, structure=structure, engine=engine, **given, **place)
            self._go_on_from(tree["replica"], tree["seconds"])
        self._beginning.path = Path(path).absolute()
        return self

    def _go_on_from(self, snapshot, seconds):
        """Begin where the snapshot of a replica was taken, `seconds` after its search began."""
        there = self._job._replace(backend="numpy", fun=None, factory=False)
        self._lockstep.now = Replica(there, snapshot).receipt()
        self._since = time.monotonic() - checks.seconds("seconds", seconds)
        self._beginning.begin = snapshot

    def extend(self, **criteria) -> None:
        """Go on after a stop, as `ES.extend`; the replicas start anew."""
        given = with_stopping(self.arguments, "extend", **criteria)
        snapshot, seconds, job = self._ask("snapshot"), self.seconds, self._job
        snapshot["monitor"] = {**snapshot["monitor"], "reasons": {}, "flat": 0, "failures": 0}
        kept = self._warned, self.failures
        self._lockstep.close()
        self._begin(given, job.fun, job.factory, self.shards, self._place)
        self._go_on_from(snapshot, seconds)
        self._warned, self.failures = kept

    def __reduce__(self):
        state = None if self._lockstep.is_closed else self._ask("snapshot")
        job, seconds = self._job, self.seconds
        made = self.arguments, portable(job.fun), job.factory, self.shards, self._place
        return _copied, (made, state, seconds, self._last, self._now, self.failures)

    def close(self) -> None:
        """End the replicas; `mean` and `best` stay."""
        self._last.update(self._lockstep.close(("mean", "best")))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None or self._is_here:
            self.close()
        else:  # actors may be busy
            self._lockstep.close()

    def __repr__(self):
        return (
            f"<ShardedES {self.structure!r} generation {self.generation}, {self.evaluations} "
            f"evaluations, best {self._now.fun:.6g}, sigma {self.sigma:.3g}>"
        )

    # -- inside -----------------------------------------------------------------------------------

    def _ask(self, method):
        if method in self._last:
            return self._last[method]
        return self._lockstep.ask(method)

    def _note(self, failures):
        self.failures = [*self.failures, *failures][-KEPT:]
        if self._now.info.best != self._now.info.best:
            self._warn("moved", "all values of a generation were missing: the search did not move")
        if failures:
            self._warn(
                "failed",
                f"evaluations of fun failed and count as missing; the first: {failures[0]}\n"
                f"{failures[0].traceback}",
            )

    def _warn(self, about, message):
        if about not in self._warned:
            self._warned.add(about)
            output.warn(message, stacklevel=4)


class _Point:
    """The best point of a search, which is asked for when somebody looks at it, or before the
    search goes on."""

    def __init__(self, search):
        self._search, self._x = search, None

    def fetch(self):
        if self._x is None:
            self._x, self._search = self._search._ask("best"), None
        return self._x

    def __array__(self, dtype=None, copy=None):
        return np.array(self.fetch(), dtype=dtype)


class _Beginning:
    """Where replicas begin that have nobody to ask: a Start, or what was saved or loaded last.

    begin   Start, or a snapshot that was just read; path: of the file, or None
    """

    def __init__(self, begin: Start, seed: int):
        self.begin, self.path, self._seed = begin, None, seed

    def __call__(self):
        if self.path is None:
            return self.begin
        begin, self.begin = self.begin, None
        if isinstance(begin, dict):
            return begin
        kind, tree = checkpoint.read(self.path)
        if kind != "ShardedES" or tree["arguments"]["seed"] != self._seed:
            raise ValueError(f"{str(self.path)!r} no longer holds this search")
        return tree["replica"]


def _copied(made, state, seconds, last, now, failures) -> ShardedES:
    """The copy of a search that was pickled: its replicas start when they are needed."""
    self = ShardedES.__new__(ShardedES)
    arguments, fun, *others = made
    self._begin(arguments, unpacked(fun), *others)
    if state is None:  # it is closed
        self._lockstep.close()
        self._lockstep.now, self._last = now, dict(last)
    else:
        self._go_on_from(state, seconds)
    self.failures = list(failures)
    return self


def _crew(job: Job, workers, replicas, resources, address):
    """The replicas of a search, not yet started."""
    if workers == "serial":
        return Here(job, replicas or 1)
    from .actors import Actors

    return Actors(Replica, job, replicas, job.shards, address, resources)
