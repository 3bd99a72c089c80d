"""RestartES: one search as many runs, each with another population, under one budget.

It answers to the words of `ES` and holds one ES at a time; a restart strategy (`restarts.py`) says
what comes next. Run k is an ES like any other whose seed and start follow from the search's seed
and k alone, and run 0 is the ES that there would be without restarts, to the bit. The state of a
search is the ES of the present run, the plan it was made from, the rows of the runs before it, and
the best point of those.
"""

from __future__ import annotations

import copy
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import checks
from ..arrays import noise
from ..files import checkpoint
from ..population.ledger import Ledger
from ..strategy.restarts import ENDS, LIMITS, RESTARTS, Plan, Run, build_restarts, spec_of_restarts
from ..strategy.state import MOST
from ..strategy.stopping import Stopping
from ..structures.building import known_spec
from .arguments import Options, arguments_from, read_arguments, with_stopping
from .es import ES, restored_best
from .search import Best

if TYPE_CHECKING:
    from typing_extensions import Unpack


def start_search(
    x0=None, sigma0=None, structure="auto", seed=None, popsize=None, restarts=None, **options
):
    """An ES, or with `restarts` a RestartES; both are asked and told alike."""
    if restarts is None:
        return ES(x0, sigma0, structure, seed, popsize, **options)
    return RestartES(x0, sigma0, structure, seed, popsize, restarts=restarts, **options)


def restored(kind: str, tree: dict, structure=None, space=None):
    """The ES or RestartES (`kind`) of a snapshot; `structure` and `space` as for `ES.load`."""
    if kind == "ES":
        return ES.restored(tree, structure, space)
    return RestartES.restored(tree, structure, space=space)


def runs_of(es) -> tuple[Run, ...]:
    """A row for each run of a search, the present one last; an ES is one run."""
    if isinstance(es, RestartES):
        return es.runs
    return (row_of(es, Plan("first", es.popsize), 0, 0, es.stop()),)


def row_of(es: ES, plan: Plan, number: int, before: int, stop: dict) -> Run:
    """The row of a run whose ES began after `before` evaluations of the search."""
    used = es.evaluations - before
    numbers = es.monitor.sigma0, es.seed, used, es.generation, es.best.fun
    return Run(number, plan.regime, es.popsize, *numbers, stop)


class Before(NamedTuple):
    """What a search knows of its runs: the plan of the present one; a row for each of those before
    it; their best point; evaluations, generations and seconds when the present one began."""

    plan: Plan
    finished: tuple
    best: Best
    evaluations: int
    generations: int
    seconds: float


def _of_run(name: str, what: str) -> property:
    """A property that the ES of the present run answers."""
    return property(lambda self: getattr(self.es, name), doc=what)


class RestartES:
    """A search with restarts: `ask`, `tell`, `advance` and `stop` as for ES, run after run.

    x0        (d,) start of the first run; restarts begin around it (`RestartStrategy.spread`).
              Or a function of the number of the run, 0, 1, 2, …, that returns its start (d,)
    restarts  what `build_restarts` takes
    others    as for `ES`; a prior is for the first run. target, max_evaluations, max_generations
              and max_seconds are those of the whole search; the other criteria end a run only
              (`ENDS`)

    best, evaluations, generation and seconds are those of the whole search; mean, sigma, popsize,
    state and the like those of `es`, the ES of the present run. A run that ended is replaced when
    `ask` is called, so until then one can look at it.

    >>> es = RestartES([3.0, 3.0], 1.0, seed=1, max_evaluations=3000)
    >>> while not es.stop():
    ...     X = es.ask()
    ...     es.tell(X, [10 * len(x) + sum(x**2 - 10 * np.cos(6.28 * x)) for x in X])
    >>> es.restart > 0 and es.best.fun == min(run.fun for run in es.runs)
    True
    """

    ended_at = None  # seconds, where `minimize` has ended: those until it goes on do not count

    def __init__(
        self,
        x0=None,
        sigma0=None,
        structure="dense",
        seed=None,
        popsize=None,
        *,
        restarts="ipop",
        **options: Unpack[Options],
    ):
        given = arguments_from("RestartES", x0, sigma0, structure, seed, popsize, **options)
        self._start = time.monotonic()
        self.restarts = build_restarts(restarts)
        self.arguments = replace(given, prior=None)  # it is for the first run
        check_that_it_ends(self.restarts, given.stopping)
        es = ES.of(replace(given, x0=given.start(0)))
        first = Before(Plan("first", es.popsize), (), Best(None, np.inf, 0), 0, 0, 0.0)
        es._search = es._search._replace(before=first)
        self.es = es
        self._lock = threading.RLock()

    # -- the loop ---------------------------------------------------------------------------------

    def ask(self, n: int | None = None, lazy: bool = False):
        """(n, d) new candidates, `popsize` unless n is given: of the next run, where the present
        one has ended. lazy: Candidates in place of an array, as for `ES.ask`."""
        with self._lock:
            if self._ended() and not self.stop():
                self.es = self._next_run(self._next())
            return self.es.ask(n, lazy)

    def tell(self, X, values=None) -> None:
        """Values of candidates, as `ES.tell` takes them. Those of the run before count as
        evaluations and may be the best; the present run learns nothing from them."""
        with self._lock:
            self.es.tell(X, values)

    def advance(self) -> None:
        """Close the generation with the values told so far, as `ES.advance` does."""
        self.es.advance()

    def stop(self) -> dict:
        """{criterion: value} that ended the search, {} while it should go on. "max_restarts" is
        among them where a run ended and the strategy has no other."""
        ended = self._ended()
        if not ended:
            return {}
        final = any(ENDS[reason] == "search" for reason in ended)
        if not final and not ("failures" in ended and self.best.x is None):
            if self._next() is not None:
                return {}
            ended["max_restarts"] = sum(run.regime == "large" for run in self.runs)
        if "max_generations" in ended:
            ended["max_generations"] = self.generation
        if "max_seconds" in ended:
            ended["max_seconds"] += self._before.seconds
        return ended

    def extend(self, **criteria) -> None:
        """Go on after a stop, as `ES.extend`: the budgets and the target are those of the whole
        search."""
        self.go_under(with_stopping(self.arguments, "extend", **criteria).stopping)

    def go_under(self, stopping: Stopping, reasons=None) -> None:
        """Go on under these stopping criteria; of what has fired `reasons` stay."""
        check_that_it_ends(self.restarts, stopping)
        with self._lock:
            self.es.go_under(_left(stopping, self._before), reasons)
            self.arguments = replace(self.arguments, stopping=stopping)

    # -- files ------------------------------------------------------------------------------------

    def save(self, path) -> None:
        """Write all of the search into one file, as `ES.save` does."""
        self.check()
        checkpoint.write(path, "RestartES", self.snapshot())

    @classmethod
    def load(cls, path, structure=None, x0=None, restarts=None, space=None) -> RestartES:
        """The search in a file of `save`; arguments and errors as those of `ES.load`.

        x0         the function that gives the starts, where the search was made with one
        restarts   the strategy, where it is of your own class
        space      the Space, where it has options or constants that are functions or objects
        """
        kind, tree = checkpoint.read(path)
        if kind != "RestartES":
            raise ValueError(
                f"{str(path)!r} holds an {kind:.40}: structes.{kind:.40}.load reads it"
            )
        with checkpoint.restoring(path, "RestartES"):
            return cls.restored(tree, structure, x0, restarts, space)

    def check(self) -> None:
        """Raise ValueError where the search cannot go on, as `ES.check`."""
        self.es.check()

    def snapshot(self) -> dict:
        """All of the search in plain values and arrays, as in checkpoint.py."""
        its, given = self._before, self.arguments
        options = given.plain(self.strategy.noise)
        auto = given.structure in ("auto", {"name": "auto"})
        return {
            "es": self.es.snapshot(),
            "seed": given.seed,
            "x0": options.pop("x0"),
            "sigma0": options.pop("sigma0"),
            "auto": auto,
            "options": options,
            "limits": {name: _of(given, name) for name in LIMITS},
            "restarts": spec_of_restarts(self.restarts),
            "first_popsize": self.runs[0].popsize,
            "plan": its.plan,
            "finished": its.finished,
            "best": tuple(its.best),
            "began": (its.evaluations, its.generations, its.seconds),
            "former": None,  # of version 1, where it was no part of the ES
            "seconds": self.seconds,
        }

    @classmethod
    def restored(cls, tree, structure=None, x0=None, restarts=None, space=None) -> RestartES:
        """The search of a snapshot; arguments as for `load`."""
        if tree["x0"] is None and x0 is None:
            raise ValueError("its starts come from a function: give it, load(path, x0=…)")
        if restarts is None:
            restarts = tree["restarts"]
            if restarts["name"] not in RESTARTS:
                raise ValueError(
                    f"its restarts {restarts['name']!r} are none of structes' own: give them, "
                    "load(path, restarts=…)"
                )
        es = ES.restored(tree["es"], structure, space)
        if tree["auto"]:
            structure = "auto"
        elif structure is None:
            structure = known_spec(tree["es"]["structure"])
        search = cls(
            tree["x0"] if x0 is None else x0,
            tree["sigma0"],
            structure,
            tree["seed"],
            tree["first_popsize"],
            restarts=restarts,
            engine=es.engine,
            **read_arguments({**tree["options"], **tree["limits"]}, space),
        )
        evaluations, generations, seconds = tree["began"]
        before = Before(
            Plan.restored(tree["plan"]),
            tuple(map(Run.restored, tree["finished"])),
            restored_best(tree["best"], es.dim, es.evaluations),
            checks.count("began", evaluations, 0, es.evaluations),
            checks.count("began", generations, 0, MOST),
            checks.seconds("began", seconds),
        )
        es._search = es._search._replace(before=before)
        if tree["former"] is not None:  # a file of version 1
            ledger = es.ledger
            former = Ledger.restored(tree["former"], es.strategy, es._xp, ledger.family[-1])
            es._search = es._search._replace(ledger=ledger.after(former))
        search.es = es
        search._start = time.monotonic() - checks.seconds("seconds", tree["seconds"])
        return search

    # -- copies -----------------------------------------------------------------------------------

    def __getstate__(self):
        kept = {k: v for k, v in vars(self).items() if k not in ("_lock", "_start")}
        return {**kept, "es": copy.copy(self.es), "seconds": self.seconds}

    def __setstate__(self, kept):
        kept = dict(kept)
        self._start = time.monotonic() - kept.pop("seconds")
        self._lock = threading.RLock()
        vars(self).update(kept)

    # -- what it knows ----------------------------------------------------------------------------

    seed = property(lambda self: self.arguments.seed, doc="Of the first run.")
    stopping = property(lambda self: self.arguments.stopping, doc="Criteria of the whole search.")
    dim = _of_run("dim", "Number of parameters.")
    space = _of_run("space", "The Space of the parameters, or None.")
    engine = _of_run("engine", "The switches of the update.")
    popsize = _of_run("popsize", "Candidates of a generation of the present run.")
    evaluations = _of_run("evaluations", "Number of values so far, in all runs.")
    state = _of_run("state", "The search distribution of the present run.")
    mean = _of_run("mean", "(d,) its mean, as a point.")
    sigma = _of_run("sigma", "Its overall standard deviation.")
    deviations = _of_run("deviations", "(d,) its standard deviations.")
    structure = _of_run("structure", "Its structure.")
    strategy = _of_run("strategy", "The structure and the settings of the present run.")
    domain = _of_run("domain", "Where the points live.")
    monitor = _of_run("monitor", "What the stopping criteria have seen of the present run.")
    info = _of_run("info", "What the last update saw and did.")
    switches = _of_run("switches", "Changes of structure in the present run.")
    ledger = _of_run("ledger", "What was asked, and what came back of it.")
    gathered = _of_run("gathered", "What else has come for the open generation.")
    pending = _of_run("pending", "(n, d) points that wait, of this run and the one before.")
    waiting = _of_run("waiting", "The same as Candidates: nothing is drawn.")

    @property
    def restart(self) -> int:
        """Number of the present run: 0 is the first."""
        return len(self._before.finished)

    @property
    def finished(self) -> tuple[Run, ...]:
        """The runs before the present one."""
        return self._before.finished

    @property
    def plan(self) -> Plan:
        """What the present run was made from."""
        return self._before.plan

    @property
    def runs(self) -> tuple[Run, ...]:
        """All runs, the present one last."""
        its = self._before
        row = row_of(self.es, its.plan, self.restart, its.evaluations, self._ended())
        return (*its.finished, row)

    @property
    def best(self) -> Best:
        """The best point of all runs."""
        return self._best.signed(self.arguments.sign)

    @property
    def _best(self) -> Best:
        now, before = self.es._search.best, self._before.best
        return now if now.fun < before.fun else before

    @property
    def generation(self) -> int:
        """Number of generations closed in all runs."""
        return self._before.generations + self.es.generation

    @property
    def seconds(self) -> float:
        """Seconds since this object was made."""
        return time.monotonic() - self._start

    def rest(self, seconds: float) -> None:
        """Let so many seconds not count, in which nothing was searched."""
        self._start += seconds
        self.es.rest(seconds)

    def count_from(self, moment: float) -> None:
        """Let `seconds` count from a moment (of time.monotonic)."""
        self._start = moment
        self.es.count_from(moment)

    def __repr__(self):
        return f"<RestartES restart {self.restart}, best {self.best.fun:.6g}, now {self.es!r}>"

    # -- inside -----------------------------------------------------------------------------------

    @property
    def _before(self) -> Before:
        return self.es._search.before

    def _ended(self) -> dict:
        """Why the present run is over; {} while it goes on."""
        reasons = self.es.stop()
        used = self.es.evaluations - self._before.evaluations
        if self.plan.limit is not None and used >= self.plan.limit:
            reasons["regime_budget"] = used
        return reasons

    def _next(self) -> Plan | None:
        uniform = noise.uniforms(self._seed_of(self.restart + 1), noise.STARTS, 0, 0, 1, 2)
        return self.restarts.next(self.runs, uniform[0])

    def _next_run(self, plan) -> ES:
        """The ES of the next run. It counts evaluations on from those before it, so that
        max_evaluations is the search's; of the other budgets it is given what is left."""
        former, number = self.es, self.restart + 1
        before = Before(
            plan, self.runs, self._best, former.evaluations, self.generation, self.seconds
        )
        given = self.arguments
        es = ES.of(
            replace(
                given,
                stopping=_left(given.stopping, before),
                x0=self._start_of(number),
                sigma0=np.multiply(given.sigma0, plan.scale),
                seed=self._seed_of(number),
                popsize=plan.popsize,
            )
        )
        its, warned = es._search, former._warned
        ledger = former.ledger.of_next_run(its.ledger.open.generation)
        es._search = its._replace(ledger=ledger, before=before, evaluations=before.evaluations)
        es._warned = warned
        return es

    def _seed_of(self, k: int) -> int:
        """Seed of run k: the search's own for the first, then words of the addressable noise."""
        if k == 0:
            return self.seed
        return int(noise.uniforms(self.seed, noise.STARTS, k, 0, 1, 1)[0, 0] * 2**53)

    def _start_of(self, k: int) -> np.ndarray:
        """(d,) start of run k."""
        given = self.arguments
        if callable(given.x0) or k == 0:
            return given.start(k, self.es.dim)
        domain, (_, sigma0) = self.es.domain, given.domain(given.x0)
        normal = noise.normals(self._seed_of(k), noise.STARTS, 1, 0, 1, domain.dim)[0]
        step = self.restarts.spread * np.asarray(sigma0) * normal
        middle = domain.encode(domain.completed(given.x0)[None, :])
        return domain.decode(middle + step)[0, :]


def check_that_it_ends(restarts, stopping) -> None:
    """Raise ValueError for a strategy without an end, where no budget sets one."""
    budgets = stopping.max_evaluations, stopping.max_generations, stopping.max_seconds
    if restarts.max_restarts is None and set(budgets) == {None}:
        raise ValueError(
            "restarts with max_restarts=None need an end: give max_evaluations, "
            f"max_generations or max_seconds; got {restarts!r}"
        )


def _left(stopping, before: Before) -> Stopping:
    """Stopping criteria of the present run: it counts evaluations on from those before it; of the
    other budgets it is given what is left."""
    left = {}
    if stopping.max_generations is not None:
        left["max_generations"] = max(1, stopping.max_generations - before.generations)
    if stopping.max_seconds is not None:
        left["max_seconds"] = max(1e-9, stopping.max_seconds - before.seconds)
    return replace(stopping, **left)


def _of(arguments, name):
    """A stopping criterion, in the user's sense."""
    value = getattr(arguments.stopping, name)
    return value * arguments.sign if name == "target" and value is not None else value
