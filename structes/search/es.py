"""ES: ask for candidates, tell their values, until it says stop.

A thin class around a value: all that changes is one `Search` (search.py), and every call goes over
from one to the next in a single step. It knows nothing of how values are computed.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from math import inf
from typing import TYPE_CHECKING

from .. import checks
from ..arrays import forms
from ..arrays.libraries import load_namespace
from ..files import checkpoint
from ..population.candidates import Candidates
from ..population.gathered import Gathered
from ..population.ledger import Ledger
from ..population.room import LITTLE, check_population, check_room
from ..registry import brief
from ..space.domain import Domain
from ..space.space import Space
from ..strategy.auto import Auto, Switch
from ..strategy.engine import Engine
from ..strategy.settings import default_popsize
from ..strategy.state import MOST, Info, State, check_shapes
from ..strategy.stopping import Monitor, Rules, Stopping
from ..strategy.strategy import Strategy
from ..strategy.uncertainty import build_noise
from ..structures.base import Structure
from ..structures.building import build_structure, known_spec, spec_of
from ..terminal import output
from .arguments import Arguments, Options, arguments_from, read_arguments, with_stopping
from .covariance import with_correlations
from .prior import begun as begun_from
from .search import Best, advanced, asked, begun, told

if TYPE_CHECKING:
    from typing_extensions import Unpack


def restored_best(row, dim: int, most: int) -> Best:
    """The Best, of so many evaluations, that was written as a list (checkpoint.py)."""
    x, fun, evaluations = row
    x = None if x is None else checks.point("best", x, dim)
    if (checks.number("best", fun) == inf) != (x is None) or fun == -inf:
        raise ValueError(f"best has the value {fun} and the point {brief(x)}")
    return Best(x, fun, checks.count("best", evaluations, 0, most))


class ES:
    """Evolution strategy with a structured covariance: minimises from values alone.

    x0         (d,) start, finite and inside the bounds; or a `structes.Space` of named parameters,
               which says sigma0, bounds, transforms, integers and choices as well (with
               space=…, x0 is a dict of its parameters: another start). None where bounds are
               closed: the middle of the box
    sigma0     initial standard deviation: a positive number, or one for each coordinate (d,); of a
               coordinate whose transform is "log", that of ln x. None where bounds are closed: a
               fifth of the range
    structure  name of `structes.STRUCTURES`, mapping with its parameters, or a Structure; "auto"
               finds one on the way (see `switches`, and auto.py)
    seed       integer in [0, 2⁶⁴); None takes one from the operating system (see `seed`)
    popsize    candidates a generation, ≥ 2; None: 4 + ⌊3 ln d⌋
    bounds     d pairs (lower, upper) with None for open, or a scipy.optimize.Bounds: every
               candidate is inside; boundary names how (`structes.space.domain.BOUNDARIES`)
    transforms "log" or None for each coordinate, or {index: "log"}: the search moves ln x
    integers   indices of the coordinates that take integers only, or True for all of them
    choices    tuples of coordinates of which the largest one decides (choices.py)
    fixed      {index: value} of coordinates that do not move, as those with lower == upper
    maximize   True: larger values are better; all values are told and shown as they are
    prior      (X, values) of an earlier study, or pairs [(x, value), …]: where the search begins,
               how far it looks, and in which directions (prior.py). x0 and sigma0 may then be left
               out; with them, sigma0 is the unit in which points are near or far
    covariance   to start from: a matrix (d, d) or variances (d,) of the coordinates, in place of
               the identity: the search draws from sigma0² times it (sigma0 may be left out, and is
               1 then). Or an earlier search, or a result, whose shape it is; sigma0 says the size.
               A structure takes the nearest one that it has (covariance.py)
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

    ended_at = None  # seconds, where `minimize` has ended: those until it goes on do not count
    _assigned = False  # was a state assigned, which may be anything?

    def __init__(
        self,
        x0=None,
        sigma0=None,
        structure="dense",
        seed=None,
        popsize=None,
        **options: Unpack[Options],
    ):
        self._begin(arguments_from("ES", x0, sigma0, structure, seed, popsize, **options))

    @classmethod
    def of(cls, arguments: Arguments) -> ES:
        """The search of Arguments that were checked already."""
        es = cls.__new__(cls)
        es._begin(arguments)
        return es

    def _begin(self, arguments):
        x0 = arguments.start()
        domain, sigma0 = arguments.domain(x0)
        sigma, scale = checks.scale("sigma0", sigma0, domain.dim)
        self.arguments, self.dim, self.engine = arguments, domain.size, arguments.engine
        popsize = arguments.popsize
        self.popsize = default_popsize(domain.dim) if popsize is None else popsize
        structure, auto = arguments.structure_for(domain), None
        if isinstance(structure, str) and structure == "auto":
            auto = Auto.begin(domain.dim)
            structure = auto.structure
        strategy = Strategy(
            self.engine.fit(build_structure(structure, domain.dim)),
            self.engine,
            self.popsize,
            domain=domain,
            noise=build_noise(arguments.noise, self.popsize),
            dtype=arguments.dtype,
            on_device=arguments.backend == "cupy",
        )
        u0 = domain.encode(domain.completed(x0)[None, :], "x0")[0, :]
        state = strategy.init(u0, sigma, scale, load_namespace(arguments.backend))
        rules = Rules(
            arguments.stopping, strategy.structure, self.popsize, sigma, state.scale, domain
        )
        correlations = arguments.correlations_of(domain)
        if correlations is not None:
            state = with_correlations(strategy, state, correlations)
            auto = None if auto is None else auto.not_separable()
        if arguments.prior is not None:
            X, values = arguments.prior
            state = begun_from(strategy, state, domain.encode(X, "prior"), values)
            self.arguments = replace(arguments, prior=None)
        name = secrets.randbits(62)
        self._search = begun(strategy, state, arguments.seed, Monitor(rules), auto, name)
        self._start = time.monotonic()
        self._warned: set = set()
        self._lock = threading.RLock()

    # -- the loop ---------------------------------------------------------------------------------

    def ask(self, n: int | None = None, lazy: bool = False):
        """(n, d) new candidates, `popsize` of them unless n is given; at any time, also while
        others are out. They are in `pending` until they are told.

        lazy   Candidates in place of an array: addresses, from which this process or another
               draws the same points to the bit, when it wants them (candidates.py)
        """
        n = self.popsize if n is None else checks.count("n", n, 1)
        if n * self.dim > LITTLE:
            check_room(n, self.dim, lazy)
        with self._lock:
            self._search, X = asked(self._search, n, lazy)
        return X

    def tell(self, X, values=None) -> None:
        """Values of candidates: any of those that are out, of any `ask`, in any order.

        X       (n, d) rows that were asked, or points of your own: arrays, lists, tensors, a
                DataFrame; dicts of parameters, with a Space; one point (d,) and its value; or
                pairs (x, value), without `values`. Or Candidates: what was asked lazily,
                `waiting`, or any part of these
        values  (n,) smaller is better; NaN: the evaluation failed, the value is missing; +inf:
                the worst value there is

        When `popsize` values are there the generation closes and the distribution moves. A value
        of an earlier generation is used as well: the sample counts as much as the ratio of the
        present density to the one it was drawn from, at most 1, and the generation is closed when
        the samples count as `popsize`. Points of your own join with their Mahalanobis length
        clipped, count as one sample each, and close generations as candidates do. Of a candidate
        that is told again while its generation is open the later value stands; after that it is
        ignored, with a warning. `info` counts all of these.

        A row need not come back to the bit. One that differs from a candidate by rounding, to
        float32 or to some digits, is that candidate; one that was repaired is a point of your own
        (recognition.py).

        A call that is interrupted has not happened, or has happened as a whole, and may be made
        again. Raises TypeError or ValueError, and changes nothing, when shapes or types do not
        fit.
        """
        its = self.arguments
        if isinstance(X, Candidates):
            values = forms.objective_values(values, len(X), its.sign)
        else:
            X, values = forms.told(X, values, self.dim, its.backend, its.space, its.sign)
        with self._lock:
            self._search, notices = told(self._search, X, values, self.seconds)
        if notices:
            self._say(notices)

    def advance(self) -> None:
        """Close the generation with the values told so far (`tell` does it when enough are in).

        Raises ValueError when nothing was told in this generation.
        """
        with self._lock:
            self._search, notices = advanced(self._search, self.seconds)
        self._say(notices)

    def stop(self) -> dict:
        """{criterion: value} of every stopping criterion that has fired; empty: go on."""
        reasons, limit = dict(self.monitor.reasons), self.arguments.stopping.max_seconds
        if limit is not None and self.seconds >= limit:
            reasons.setdefault("max_seconds", self.seconds)
        if "target" in reasons:
            reasons["target"] *= self.arguments.sign
        return reasons

    def extend(self, **criteria) -> None:
        """Go on after a stop: with a larger budget, or under other criteria.

        criteria   fields of `structes.Stopping`; those that are not named stay. What has fired is
                   forgotten; a budget that is still spent, or a target that is reached, fires
                   again at once, and what tells convergence after the next generation

        Raises TypeError or ValueError, and changes nothing, for what does not fit.
        """
        self.go_under(with_stopping(self.arguments, "extend", **criteria).stopping)

    def go_under(self, stopping: Stopping, reasons: Mapping | None = None) -> None:
        """Go on under these stopping criteria; of what has fired `reasons` stay."""
        with self._lock:
            its = self._search
            monitor = its.monitor.under(stopping, its.state.generation, reasons or {})
            monitor = monitor.told(its.best.fun, its.evaluations, self.seconds)
            self.arguments = replace(self.arguments, stopping=stopping)
            self._search = its._replace(monitor=monitor)

    # -- files ------------------------------------------------------------------------------------

    def save(self, path) -> None:
        """Write all of the search into one file, whole or not at all: its state, what is out, what
        was told and not used yet. The search that `load` makes of it goes on to the same bits.

        Nothing in the file is code. A structure of your own class has to be given to `load` again,
        and so has a Space with options or constants that are functions or objects.
        Raises OSError where the file cannot be written; and ValueError, which leaves the file as
        it was, where nobody could go on with the search: its numbers have overflowed, or a state
        was assigned that is none.
        """
        self.check()
        checkpoint.write(path, "ES", self.snapshot())

    def check(self) -> None:
        """Raise ValueError where the search cannot go on: its numbers have overflowed, or a state
        was assigned that is none (sound.py)."""
        self._search.check(own=not self._assigned)

    @classmethod
    def load(cls, path, structure=None, space=None) -> ES:
        """The search in a file of `save`.

        structure   where the search has one of your own class: the Structure, or what ES takes
                    for one; a file is never let to name what is imported
        space       where the search has a Space with options or constants that are functions or
                    objects, which no file holds: the Space

        Raises OSError where the file cannot be opened, and ValueError for one that is torn,
        forged, of another version, or holds something else.
        """
        kind, tree = checkpoint.read(path)
        if kind != "ES":
            raise ValueError(
                f"{str(path)!r} holds a {kind:.40}: structes.{kind:.40}.load reads it"
            )
        with checkpoint.restoring(path, "ES"):
            return cls.restored(tree, structure, space)

    def snapshot(self) -> dict:
        """All of the search in plain values and arrays, as in checkpoint.py."""
        its = self._search
        return {
            "arguments": self.arguments.plain(its.strategy.noise),
            "engine": asdict(self.engine),
            "seed": self.seed,
            "popsize": self.popsize,
            "structure": spec_of(self.structure),
            "auto": None if its.auto is None else its.auto.snapshot(),
            "switches": its.switches,
            "state": its.state,
            "best": tuple(its.best),
            "evaluations": its.evaluations,
            "info": its.info,
            "monitor": its.monitor.snapshot(),
            "ledger": its.ledger.snapshot(self.structure),
            **its.gathered.snapshot(),
            "seconds": self.seconds,
            "warned": sorted(self._warned),
        }

    @classmethod
    def restored(cls, tree: dict, structure=None, space=None) -> ES:
        """The search of a snapshot; `structure` and `space` as for `load`."""
        auto = tree["auto"]
        arguments = arguments_from(
            "ES",
            structure="auto" if auto else structure or known_spec(tree["structure"]),
            seed=tree["seed"],
            popsize=checks.count("popsize", tree["popsize"], 2, MOST),
            engine=Engine(**tree["engine"]),
            **read_arguments(tree["arguments"], space),
        )
        if arguments.popsize is not None:
            check_population(arguments.popsize)
        if not auto:  # it takes no room before the file is known to hold as much
            arguments = arguments.with_structure()
            check_shapes(arguments.structure, tree["state"])
        es = cls.of(arguments)
        its, xp = es._search, es._xp
        strategy, monitor = its.strategy, its.monitor
        if auto and its.auto is None:
            raise ValueError("its structure is said to be found on the way, and cannot be")
        if auto:
            auto = its.auto.restored(auto)
            dim = strategy.structure.dim
            now = es.engine.fit(build_structure(known_spec(tree["structure"]), dim))
            strategy, monitor = replace(strategy, structure=now), monitor.of(now)
        state = strategy.restored(tree["state"], xp)
        evaluations = checks.count("evaluations", tree["evaluations"], 0, MOST)
        es._search = its._replace(
            strategy=strategy,
            state=state,
            ledger=Ledger.restored(
                tree["ledger"], strategy, xp, its.origin, (tree["state"], state)
            ),
            gathered=Gathered.restored(tree, strategy, state, xp),
            monitor=monitor.restored(tree["monitor"]),
            auto=auto or None,
            best=restored_best(tree["best"], es.dim, evaluations),
            evaluations=evaluations,
            info=Info.restored(tree["info"]),
            switches=tuple(map(Switch.restored, tree["switches"])),
        )
        es._start = time.monotonic() - checks.seconds("seconds", tree["seconds"])
        es._warned = {checks.text("warned", name) for name in tree["warned"]}
        return es

    # -- copies -----------------------------------------------------------------------------------

    def __getstate__(self):
        with self._lock:
            kept = {k: v for k, v in vars(self).items() if k not in ("_lock", "_start")}
        return {**kept, "_warned": set(self._warned), "seconds": self.seconds}

    def __setstate__(self, kept):
        kept = dict(kept)
        self._start = time.monotonic() - kept.pop("seconds")
        self._lock = threading.RLock()
        vars(self).update(kept)
        ledger = self._search.ledger.copy(secrets.randbits(62))
        self._search = self._search._replace(ledger=ledger)

    # -- what it knows ----------------------------------------------------------------------------

    @property
    def pending(self):
        """(n, d) points that were asked and not told, the oldest first. A candidate is waited for
        until `structes.population.ledger.KEPT` generations have closed after its own."""
        return self.waiting.points() if self.waiting else self._xp.empty((0, self.dim))

    @property
    def waiting(self) -> Candidates:
        """The same as Candidates: nothing is drawn."""
        return Candidates(self.ledger.waiting(), self.dim)

    @property
    def stopping(self) -> Stopping:
        """The stopping criteria."""
        return self.arguments.stopping

    @property
    def space(self) -> Space | None:
        """The Space of the parameters, where the search has one."""
        return self.arguments.space

    @property
    def seed(self) -> int:
        """Of the candidates: the same seed gives the same bits."""
        return self._search.seed

    @property
    def state(self) -> State:
        """The search distribution."""
        return self._search.state

    @state.setter
    def state(self, state):
        self._assigned = True
        self._search = self._search._replace(state=state)

    @property
    def best(self) -> Best:
        """The best point so far."""
        return self._search.best.signed(self.arguments.sign)

    @property
    def evaluations(self) -> int:
        """Number of values so far, missing ones included."""
        return self._search.evaluations

    @property
    def info(self) -> Info:
        """What the last update saw and did."""
        return self._search.info.signed(self.arguments.sign)

    @property
    def switches(self) -> list:
        """Changes of structure so far (auto.py)."""
        return list(self._search.switches)

    @property
    def strategy(self) -> Strategy:
        """The structure and the settings of the update."""
        return self._search.strategy

    @property
    def structure(self) -> Structure:
        """The structure of the covariance; structure="auto" may change it on the way."""
        return self._search.strategy.structure

    @property
    def domain(self) -> Domain:
        """Where the points live."""
        return self._search.strategy.domain

    @property
    def monitor(self) -> Monitor:
        """What the stopping criteria have seen."""
        return self._search.monitor

    @property
    def ledger(self) -> Ledger:
        """What was asked, and what came back of it."""
        return self._search.ledger

    @property
    def gathered(self) -> Gathered:
        """What else has come for the open generation."""
        return self._search.gathered

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
        """(d,) standard deviation of each coordinate of the search distribution; 0 where one is
        fixed."""
        spread = self.structure.deviations(self.state.factor)
        return self.domain.spread(self.state.sigma * self.state.scale * spread)

    @property
    def seconds(self) -> float:
        """Seconds since this object was made."""
        return time.monotonic() - self._start

    def rest(self, seconds: float) -> None:
        """Let so many seconds not count, in which nothing was searched."""
        self._start += seconds

    def count_from(self, moment: float) -> None:
        """Let `seconds` count from a moment (of time.monotonic)."""
        self._start = moment

    def __repr__(self):
        return (
            f"<ES {self.structure!r} generation {self.generation}, "
            f"{self.evaluations} evaluations, best {self.best.fun:.6g}, sigma {self.sigma:.3g}>"
        )

    # -- inside -----------------------------------------------------------------------------------

    @property
    def _xp(self):
        return load_namespace(self.arguments.backend)

    def _say(self, notices):
        for message in notices:
            about = message.split(":")[0]
            if about not in self._warned:
                self._warned.add(about)
                output.warn(message, stacklevel=3)
