"""ES: ask for candidates, tell their values, until it says stop.

A thin stateful class on the pure functions of `strategy.py`. It keeps the state of the search, the
candidates that are out, the best point seen, and the reasons to stop; it knows nothing of how
values are computed.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import asdict, replace

import numpy as np

from . import checkpoint, checks
from .auto import Auto, Switch
from .backend import load_namespace, to_numpy
from .candidates import Candidates, point
from .choices import with_choices
from .domain import build_domain
from .engine import Engine, build_engine
from .files import plain
from .gathered import Gathered
from .generation import Generation
from .limits import bounds_of
from .noise import check_seed
from .noisy import build_noise, known_noise, spec_of_noise
from .pending import Ledger
from .space import Space
from .stopping import Monitor, stopping_from
from .strategy import Info, Strategy, default_popsize
from .structures import build_structure, known_spec, spec_of
from .update import shape_weights


class Best:
    """The best point told so far: x (d,) or None, fun (inf before the first), evaluations then.

    A point of a device stays there until somebody looks at it.
    """

    __slots__ = ("_x", "evaluations", "fun")

    def __init__(self, x, fun: float, evaluations: int):
        self._x, self.fun, self.evaluations = x, fun, evaluations

    @property
    def x(self) -> np.ndarray | None:
        if self._x is not None:
            self._x = np.asarray(to_numpy(self._x), dtype=float)
        return self._x

    def __iter__(self):
        return iter((self.x, self.fun, self.evaluations))

    def __repr__(self):
        return f"Best(x={self.x}, fun={self.fun}, evaluations={self.evaluations})"


def restored_best(row, dim: int) -> Best:
    """The Best that was written as a list (checkpoint.py)."""
    x, fun, evaluations = row
    x = None if x is None else checks.point("best", x, dim)
    return Best(x, checks.number("best", fun), checks.count("best", evaluations, 0))


class ES:
    """Evolution strategy with a structured covariance: minimises from values alone.

    x0         (d,) start, finite and inside the bounds; or a `structes.Space` of named parameters,
               which says sigma0, bounds, transforms, integers and choices as well
    sigma0     initial standard deviation: a positive number, or one for each coordinate (d,); of a
               coordinate whose transform is "log", that of ln x
    structure  name of `structes.STRUCTURES`, mapping with its parameters, or a Structure; "auto"
               finds one on the way (see `switches`, and auto.py)
    seed       integer in [0, 2⁶⁴); None takes one from the operating system (see `seed`)
    popsize    candidates a generation, ≥ 2; None: 4 + ⌊3 ln d⌋
    bounds     d pairs (lower, upper) with None for open, or a scipy.optimize.Bounds: every
               candidate is inside; boundary names how (`structes.domain.BOUNDARIES`)
    transforms "log" or None for each coordinate, or {index: "log"}: the search moves ln x
    integers   indices of the coordinates that take integers only, or True for all of them
    choices    tuples of coordinates of which the largest one decides (choices.py)
    engine     the update: name of `structes.ENGINES` ("default", "cma", "xnes"), or a mapping with
               its switches (engine.py)
    noise      None: values are what they are; "auto": notices when they are noisy, and keeps
               converging (noisy.py; `state.noisy` says how noisy, and `mean`, not `best`, is then
               the answer); a mapping sets its switches
    backend    array library of state and candidates: "numpy", or "cupy": all of it on the GPU
               (extras gpu-cuda12, gpu-cuda13); `ask` gives its arrays, `tell` takes these or the
               host's, and values of either
    dtype      of candidates: "float64", or "float32": half of the memory, less time; the state of
               the search stays in float64
    stopping   any field of `structes.Stopping`, such as target=1e-8 or max_evaluations=10_000

    Raises ValueError or TypeError, naming the argument, for anything that does not fit.

    >>> es = ES([3.0, 3.0], 1.0, seed=1, target=1e-8)
    >>> while not es.stop():
    ...     X = es.ask()
    ...     es.tell(X, [x @ x for x in X])
    >>> es.best.fun <= 1e-8
    True
    """

    def __init__(
        self,
        x0,
        sigma0=None,
        structure="dense",
        seed=None,
        popsize=None,
        *,
        bounds=None,
        boundary=None,
        transforms=None,
        integers=None,
        choices=None,
        engine="default",
        noise=None,
        backend="numpy",
        dtype="float64",
        **stopping,
    ):
        if isinstance(x0, Space):
            its = x0.arguments()
            x0, sigma0 = its["x0"], its["sigma0"] if sigma0 is None else sigma0
            bounds, transforms, integers = its["bounds"], its["transforms"], its["integers"]
            choices = its.get("choices")
        x0, dtype = checks.point("x0", x0), checks.dtype(dtype)
        self.dim = x0.size
        self._arguments = {
            "x0": x0,
            "sigma0": plain(sigma0),
            "bounds": None if bounds is None else np.stack(bounds_of(bounds, self.dim), axis=1),
            "boundary": boundary,
            "transforms": plain(transforms),
            "integers": plain(integers),
            "choices": plain(choices),
            "backend": backend,
            "dtype": dtype,
            **stopping,
        }
        sigma, scale = checks.scale("sigma0", sigma0, self.dim)
        self.popsize = (
            default_popsize(self.dim) if popsize is None else checks.count("popsize", popsize, 2)
        )
        self.seed = check_seed(seed)
        self.engine = build_engine(engine)
        settings = build_noise(noise, self.popsize)
        self._arguments["noise"] = spec_of_noise(settings)
        self._auto = Auto(self.dim) if structure in ("auto", {"name": "auto"}) else None
        if self._auto is not None:
            structure = self._auto.structure
        self.structure = self.engine.fit(build_structure(structure, self.dim))
        domain = build_domain(self.dim, bounds, boundary, transforms, integers, sigma * scale)
        self.domain = with_choices(domain, choices)
        self._xp = load_namespace(backend)
        self.strategy = Strategy(
            self.structure,
            self.engine,
            self.popsize,
            domain=self.domain,
            noise=settings,
            dtype=dtype,
            on_device=backend == "cupy",
        )
        u0 = self.domain.encode(x0[None, :], "x0")[0, :]
        self.state = self.strategy.init(u0, sigma, scale, self._xp)
        self.best = Best(None, np.inf, 0)
        self.evaluations = 0
        self.info = Info()
        self.switches: list[Switch] = []
        self.monitor = Monitor(
            stopping_from(stopping), self.structure, self.popsize, sigma, self.domain.has_integers
        )
        self.ledger = Ledger(self._generation())
        self.gathered = Gathered()
        self._start = time.monotonic()
        self._warned = set()

    # -- the loop ---------------------------------------------------------------------------------

    def ask(self, n: int | None = None, lazy: bool = False):
        """(n, d) new candidates, `popsize` of them unless n is given; at any time, also while
        others are out. They are in `pending` until they are told.

        lazy   Candidates in place of an array: addresses, from which this process or another
               draws the same points to the bit, when it wants them (candidates.py)
        """
        n = self.popsize if n is None else checks.count("n", n, 1)
        generation = self.ledger.open
        return generation.ask_lazily(n) if lazy else generation.ask(n)

    def tell(self, X, values) -> None:
        """Values of candidates: any of those that are out, of any `ask`, in any order.

        X       (n, d) rows that were asked, or points of your own; or Candidates: what was asked
                lazily, `waiting`, or any part of these
        values  (n,) smaller is better; NaN: the evaluation failed, the value is missing; +inf:
                the worst value there is

        When `popsize` values are there the generation closes and the distribution moves. A value
        of an earlier generation is used as well: the sample counts as much as the ratio of the
        present density to the one it was drawn from, at most 1, and the generation is closed when
        the samples count as `popsize`. Points of your own join with their Mahalanobis length
        clipped. Of a candidate that is told again while its generation is open the later value
        stands; after that it is ignored, with a warning. `info` counts all of these.

        Raises TypeError or ValueError, and changes nothing, when shapes or types do not fit.
        """
        if not isinstance(X, Candidates):
            X = checks.rows("X", X, self.dim, self._xp)
        values = checks.objective_values(values, X.shape[0])
        generation, ignored = self.ledger.open, 0
        at = self.ledger.open_rows(X)
        if at is not None:
            self.evaluations += generation.tell(at, values)
        else:
            taken = self.gathered.take(X, values, self.ledger, self.strategy, self.state)
            first, kept = taken
            self.evaluations += first
            ignored = int(np.count_nonzero(~kept))
            values = np.where(kept, values, np.nan)
        self._remember(X, values)
        self.monitor.tell(self.best.fun, self.evaluations)
        if self.gathered.is_full(self.ledger.open, self.popsize):
            self.advance()
        if ignored:
            self._warn(f"values of candidates that were told before are ignored: {ignored}")

    def advance(self) -> None:
        """Close the generation with the values told so far (`tell` does it when enough are in).

        Raises ValueError when nothing was told in this generation.
        """
        generation = self.ledger.open
        if not (generation.heard or self.gathered.arrivals):
            raise ValueError("advance() needs at least one value; none was told since the last")
        Z, Y, values, mass = self.gathered.samples(generation)
        before, counts = self.state, self.gathered.counts
        self.state, info = self.strategy.update(before, Z, Y, values, mass)
        if info.worst != info.worst:  # NaN ranks last
            counts["missing"] = int(np.isnan(values).sum())
        self.info = info._replace(**counts) if any(counts.values()) else info
        if self._auto is not None and not self._auto.decided:
            self._watch(before, Z, Y, values, mass)
        self.gathered = Gathered()
        self.ledger.next(self._generation())
        self.monitor.generation(self.state, self.info, self.seconds)
        if self.monitor.failures:
            self._warn("all values of a generation were NaN: the search did not move")

    def stop(self) -> dict:
        """{criterion: value} of every stopping criterion that has fired; empty: go on."""
        return dict(self.monitor.reasons)

    # -- files ------------------------------------------------------------------------------------

    def save(self, path) -> None:
        """Write all of the search into one file, whole or not at all: its state, what is out, what
        was told and not used yet. The search that `load` makes of it goes on to the same bits.

        Nothing in the file is code. A structure of your own class has to be given to `load` again.
        Raises OSError where the file cannot be written.
        """
        checkpoint.write(path, "ES", self.snapshot())

    @classmethod
    def load(cls, path, structure=None) -> ES:
        """The search in a file of `save`.

        structure   where the search has one of your own class: the Structure, or what ES takes
                    for one; a file is never let to name what is imported

        Raises OSError where the file cannot be opened, and ValueError for one that is torn,
        forged, of another version, or holds something else.
        """
        kind, tree = checkpoint.read(path)
        if kind != "ES":
            raise ValueError(f"{str(path)!r} holds a {kind}: structes.{kind}.load reads it")
        with checkpoint.restoring(path, "ES"):
            return cls.restored(tree, structure)

    def snapshot(self) -> dict:
        return {
            "arguments": self._arguments,
            "engine": asdict(self.engine),
            "seed": self.seed,
            "popsize": self.popsize,
            "structure": spec_of(self.structure),
            "auto": None if self._auto is None else self._auto.snapshot(),
            "switches": self.switches,
            "state": self.state,
            "best": tuple(self.best),
            "evaluations": self.evaluations,
            "info": self.info,
            "monitor": self.monitor.snapshot(),
            "ledger": self.ledger.snapshot(self.structure),
            **self.gathered.snapshot(),
            "seconds": self.seconds,
            "warned": sorted(self._warned),
        }

    @classmethod
    def restored(cls, tree: dict, structure=None) -> ES:
        auto = tree["auto"]
        es = cls(
            structure="auto" if auto else structure or known_spec(tree["structure"]),
            seed=tree["seed"],
            popsize=tree["popsize"],
            engine=Engine(**tree["engine"]),
            **{**tree["arguments"], "noise": known_noise(tree["arguments"]["noise"])},
        )
        if auto:
            es._auto.restore(auto)
            es._use(es.engine.fit(build_structure(known_spec(tree["structure"]), es.dim)))
        es.switches = [Switch(*row) for row in tree["switches"]]
        es.state = es.strategy.restored(tree["state"], es._xp)
        es.best, es.info = restored_best(tree["best"], es.dim), Info(*tree["info"])
        es.evaluations = checks.count("evaluations", tree["evaluations"], 0)
        es.monitor.restore(tree["monitor"])
        es.ledger = Ledger.restored(tree["ledger"], es.strategy, es._xp)
        es.gathered = Gathered.restored(tree, es.strategy, es._xp)
        es._start = time.monotonic() - tree["seconds"]
        es._warned = set(tree["warned"])
        return es

    # -- what it knows ----------------------------------------------------------------------------

    @property
    def pending(self):
        """(n, d) points that were asked and not told, the oldest first. A candidate is waited for
        until `structes.pending.KEPT` generations have closed after its own."""
        return self.waiting.points() if self.waiting else self._xp.empty((0, self.dim))

    @property
    def waiting(self) -> Candidates:
        """The same as Candidates: nothing is drawn."""
        return Candidates(self.ledger.waiting(), self.dim)

    @property
    def generation(self) -> int:
        """Number of generations closed."""
        return self.state.generation

    @property
    def mean(self):
        """(d,) mean of the search distribution, as a point: the best estimate under noise."""
        u = self._xp.asarray(self.state.mean, copy=True)
        return self.domain.decode(u[None, :])[0, :]

    @property
    def sigma(self) -> float:
        """Overall standard deviation (step size), relative to the structure's factor."""
        return self.state.sigma

    @property
    def deviations(self):
        """(d,) standard deviation of each coordinate of the search distribution."""
        spread = self.structure.deviations(self.state.factor)
        return self.state.sigma * self.state.scale * spread

    @property
    def seconds(self) -> float:
        """Seconds since this object was made."""
        return time.monotonic() - self._start

    def __repr__(self):
        return (
            f"<ES {self.structure!r} generation {self.generation}, "
            f"{self.evaluations} evaluations, best {self.best.fun:.6g}, sigma {self.sigma:.3g}>"
        )

    # -- inside -----------------------------------------------------------------------------------

    def _watch(self, state, Z, Y, values, mass):
        """Let `auto` see a generation that was drawn from `state`, and go on with the structure
        that it chooses."""
        weights = shape_weights(self.strategy, Z, values, mass)
        if weights is None:
            return
        if self.structure.noise_dim > self.dim:  # Z has more numbers than d
            Z = Y @ self.structure.to_dense(state.factor)
        statistic = self._auto.observe(Z, weights)
        if statistic is None:
            return
        name, before = self._auto.structure, self.structure
        self._use(self.engine.fit(build_structure(name, self.dim)))
        self.state = self.strategy.adopt(self.state, before)
        self.switches.append(Switch(self.generation, self.evaluations, name, statistic))

    def _use(self, structure):
        self.structure = self.monitor.structure = structure
        self.strategy = replace(self.strategy, structure=structure)

    def _generation(self) -> Generation:
        return Generation(self.strategy, self.state, self.seed)

    def _remember(self, X, values):
        if not len(values):
            return
        i = int(values.argmin())  # NaN, where there is one
        if values[i] != values[i]:
            if np.isnan(values).all():
                return
            i = int(np.nanargmin(values))
        if values[i] < self.best.fun:
            self.best = Best(point(X, i), float(values[i]), self.evaluations)

    def _warn(self, message):
        if message.split(":")[0] not in self._warned:
            self._warned.add(message.split(":")[0])
            warnings.warn(message, RuntimeWarning, stacklevel=3)
