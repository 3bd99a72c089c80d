"""RestartES: one search as many runs, each with another population, under one budget.

It answers to the words of `ES` and holds one ES at a time; a restart strategy (`restarts.py`) says
what comes next. Run k is an ES like any other whose seed and start follow from the search's seed
and k alone, and run 0 is the ES that there would be without restarts, to the bit. The state of a
search is the ES of the present run, the plan it was made from, the rows of the runs before it, and
the best point of those.
"""

from __future__ import annotations

import copy
import time

import numpy as np

from . import checkpoint, checks, noise
from .candidates import Candidates, point, take
from .es import ES, Best, restored_best
from .files import plain
from .pending import FOREIGN, FORGOTTEN, REPEATED, Ledger
from .restarts import ENDS, LIMITS, RESTARTS, Plan, Run, build_restarts, spec_of_restarts
from .space import Space


def start_search(x0, sigma0, structure, seed, popsize=None, restarts=None, **options):
    """An ES, or with `restarts` a RestartES; both are asked and told alike. With a Space for x0
    structure="auto" is one that suits it."""
    if isinstance(x0, Space) and structure == "auto":
        structure = x0.structure
    if restarts is None:
        return ES(x0, sigma0, structure, seed, popsize, **options)
    return RestartES(x0, sigma0, structure, seed, popsize, restarts=restarts, **options)


def restored(kind: str, tree: dict, structure=None):
    """The ES or RestartES (`kind`) of a snapshot; `structure` as for `ES.load`."""
    if kind == "ES":
        return ES.restored(tree, structure)
    return RestartES.restored(tree, structure)


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


class RestartES:
    """A search with restarts: `ask`, `tell`, `advance` and `stop` as for ES, run after run.

    x0        (d,) start of the first run; restarts begin around it (`RestartStrategy.spread`).
              Or a function of the number of the run, 0, 1, 2, …, that returns its start (d,)
    restarts  what `build_restarts` takes
    others    as for `ES`. target, max_evaluations, max_generations and max_seconds are those of
              the whole search; the other criteria end a run only (`ENDS`)

    best, evaluations, generation and seconds are those of the whole search. What else is asked of
    it (mean, sigma, popsize, state, …) is answered by `es`, the ES of the present run. A run that
    ended is replaced when `ask` is called, so until then one can look at it.

    >>> es = RestartES([3.0, 3.0], 1.0, seed=1, max_evaluations=3000)
    >>> while not es.stop():
    ...     X = es.ask()
    ...     es.tell(X, [10 * len(x) + sum(x**2 - 10 * np.cos(6.28 * x)) for x in X])
    >>> es.restart > 0 and es.best.fun == min(run.fun for run in es.runs)
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
        restarts="ipop",
        **options,
    ):
        if isinstance(x0, Space):
            options = {**x0.arguments(), **options}
            x0, its = options.pop("x0"), options.pop("sigma0")
            sigma0 = its if sigma0 is None else sigma0
        self._start = time.monotonic()
        self.restarts = build_restarts(restarts)
        self.seed = noise.check_seed(seed)
        self._x0 = x0 if callable(x0) else checks.point("x0", x0)
        self._given = copy.deepcopy((sigma0, structure, options))
        self.es = ES(self._start_of(0), sigma0, structure, self.seed, popsize, **options)
        self.stopping = self.es.monitor.stopping
        self._check_that_it_ends()
        self.plan = Plan("first", self.es.popsize)
        self.finished: tuple[Run, ...] = ()
        self._best = Best(None, np.inf, 0)  # of the finished runs
        self._began = 0, 0, 0.0  # evaluations, generations, seconds when the present run began
        self._former: Ledger | None = None  # of the run before, where it waits for values

    # -- the loop ---------------------------------------------------------------------------------

    def ask(self, n: int | None = None, lazy: bool = False):
        """(n, d) new candidates, `popsize` unless n is given: of the next run, where the present
        one has ended. lazy: Candidates in place of an array, as for `ES.ask`."""
        if self._ended() and not self.stop():
            self._begin(self._next())
        return self.es.ask(n, lazy)

    def tell(self, X, values) -> None:
        """Values of candidates, as `ES.tell` takes them. Those of the run before count as
        evaluations and may be the best; the present run learns nothing from them."""
        if not isinstance(X, Candidates):
            X = checks.rows("X", X, self.es.dim, self.es._xp)
        values = checks.objective_values(values, X.shape[0])
        if self._former is not None and self.es.ledger.open_rows(X) is None:
            X, values = self._tell_former(X, values)
        if len(values):
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
            ended["max_seconds"] += self._began[2]
        return ended

    # -- files ------------------------------------------------------------------------------------

    def save(self, path) -> None:
        """Write all of the search into one file, as `ES.save` does."""
        checkpoint.write(path, "RestartES", self.snapshot())

    @classmethod
    def load(cls, path, structure=None, x0=None, restarts=None) -> RestartES:
        """The search in a file of `save`; arguments and errors as those of `ES.load`.

        x0         the function that gives the starts, where the search was made with one
        restarts   the strategy, where it is of your own class
        """
        kind, tree = checkpoint.read(path)
        if kind != "RestartES":
            raise ValueError(f"{str(path)!r} holds an {kind}: structes.{kind}.load reads it")
        with checkpoint.restoring(path, "RestartES"):
            return cls.restored(tree, structure, x0, restarts)

    def snapshot(self) -> dict:
        sigma0, structure, _ = self._given
        return {
            "es": self.es.snapshot(),
            "seed": self.seed,
            "x0": None if callable(self._x0) else self._x0,
            "sigma0": plain(sigma0),
            "auto": structure in ("auto", {"name": "auto"}),
            "options": {k: v for k, v in self.es._arguments.items() if k not in ("x0", "sigma0")},
            "limits": {name: getattr(self.stopping, name) for name in LIMITS},
            "restarts": spec_of_restarts(self.restarts),
            "first_popsize": self.runs[0].popsize,
            "plan": self.plan,
            "finished": self.finished,
            "best": tuple(self._best),
            "began": self._began,
            "former": None if self._former is None else self._former.snapshot(None),
            "seconds": self.seconds,
        }

    @classmethod
    def restored(cls, tree, structure=None, x0=None, restarts=None) -> RestartES:
        if tree["x0"] is None and x0 is None:
            raise ValueError("its starts come from a function: give it, load(path, x0=…)")
        if restarts is None:
            restarts = tree["restarts"]
            if restarts["name"] not in RESTARTS:
                raise ValueError(
                    f"its restarts {restarts['name']!r} are none of structes' own: give them, "
                    "load(path, restarts=…)"
                )
        es = ES.restored(tree["es"], structure)
        if tree["auto"]:
            structure = "auto"
        elif structure is None:
            structure = tree["es"]["structure"]
        search = cls(
            tree["x0"] if x0 is None else x0,
            tree["sigma0"],
            structure,
            tree["seed"],
            tree["first_popsize"],
            restarts=restarts,
            engine=es.engine,
            **{**tree["options"], **tree["limits"], "noise": es.strategy.noise},
        )
        search.es, search.plan = es, Plan(*tree["plan"])
        search.finished = tuple(Run(*row) for row in tree["finished"])
        search._best = restored_best(tree["best"], es.dim)
        evaluations, generations, seconds = tree["began"]
        search._began = (
            checks.count("began", evaluations, 0),
            checks.count("began", generations, 0),
            checks.number("began", seconds),
        )
        if tree["former"] is not None:
            search._former = Ledger.restored(tree["former"], es.strategy, es._xp)
        search._start = time.monotonic() - tree["seconds"]
        return search

    # -- what it knows ----------------------------------------------------------------------------

    @property
    def restart(self) -> int:
        """Number of the present run: 0 is the first."""
        return len(self.finished)

    @property
    def runs(self) -> tuple[Run, ...]:
        """All runs, the present one last."""
        row = row_of(self.es, self.plan, self.restart, self._began[0], self._ended())
        return (*self.finished, row)

    @property
    def best(self) -> Best:
        """The best point of all runs."""
        return self.es.best if self.es.best.fun < self._best.fun else self._best

    @property
    def pending(self):
        """(n, d) points that were asked and not told, in this run and the one before."""
        return self.waiting.points() if self.waiting else self.es.pending

    @property
    def waiting(self) -> Candidates:
        """The same as Candidates: nothing is drawn."""
        former = [] if self._former is None else self._former.waiting()
        return Candidates([*former, *self.es.ledger.waiting()], self.es.dim)

    @property
    def generation(self) -> int:
        """Number of generations closed in all runs."""
        return self._began[1] + self.es.generation

    @property
    def seconds(self) -> float:
        """Seconds since this object was made."""
        return time.monotonic() - self._start

    def __getattr__(self, name):
        if name == "es":  # not made yet
            raise AttributeError(name)
        return getattr(self.es, name)

    def __repr__(self):
        return f"<RestartES restart {self.restart}, best {self.best.fun:.6g}, now {self.es!r}>"

    # -- inside -----------------------------------------------------------------------------------

    def _ended(self) -> dict:
        """Why the present run is over; {} while it goes on."""
        reasons = self.es.stop()
        used = self.es.evaluations - self._began[0]
        if self.plan.limit is not None and used >= self.plan.limit:
            reasons["regime_budget"] = used
        return reasons

    def _tell_former(self, X, values):
        """Take out the values of candidates of the run before; what is left of X, values."""
        now, before = self.es.ledger.find(X), self._former.find(X)
        left = []
        for i, (place, old) in enumerate(zip(now, before, strict=True)):
            if place.kind != FOREIGN or old.kind == FOREIGN:
                left.append(i)
            elif old.kind == FORGOTTEN or (old.kind != REPEATED and not old.is_told):
                self.es.evaluations += 1
                self._former.tell(old, values[i])
                if values[i] < self.best.fun:
                    self._best = Best(point(X, i), float(values[i]), self.es.evaluations)
        if len(left) < len(now):
            self.es.monitor.tell(self.best.fun, self.es.evaluations)
        left = np.array(left, dtype=int)
        return take(X, left), values[left]

    def _next(self) -> Plan | None:
        uniform = noise.uniforms(self._seed_of(self.restart + 1), noise.STARTS, 0, 0, 1, 2)
        return self.restarts.next(self.runs, uniform[0])

    def _begin(self, plan):
        """The next run. It counts evaluations on from those before it, so that max_evaluations
        is the search's; of the other budgets it is given what is left."""
        self._best, self.finished = self.best, self.runs
        if self._former is not None:
            self._former.forget()
        self._former = self.es.ledger
        self._began = self.es.evaluations, self.generation, self.seconds
        sigma0, structure, options = self._given
        left = {}
        if self.stopping.max_generations is not None:
            left["max_generations"] = self.stopping.max_generations - self._began[1]
        if self.stopping.max_seconds is not None:
            left["max_seconds"] = max(1e-9, self.stopping.max_seconds - self._began[2])
        self.plan = plan
        self.es = ES(
            self._start_of(self.restart),
            np.multiply(sigma0, plan.scale),
            structure,
            self._seed_of(self.restart),
            plan.popsize,
            **{**options, **left},
        )
        self.es.evaluations = self._began[0]
        self.es.ledger.seeds |= self._former.seeds

    def _seed_of(self, k: int) -> int:
        """Seed of run k: the search's own for the first, then words of the addressable noise."""
        if k == 0:
            return self.seed
        return int(noise.uniforms(self.seed, noise.STARTS, k, 0, 1, 1)[0, 0] * 2**53)

    def _start_of(self, k: int) -> np.ndarray:
        """(d,) start of run k."""
        if callable(self._x0):
            return checks.point(f"x0({k})", self._x0(k), self.es.dim if k else None)
        if k == 0:
            return self._x0
        normal = noise.normals(self._seed_of(k), noise.STARTS, 1, 0, 1, self.es.dim)[0]
        domain, step = self.es.domain, self.restarts.spread * np.asarray(self._given[0]) * normal
        return domain.decode(domain.encode(self._x0[None, :]) + step)[0, :]

    def _check_that_it_ends(self):
        s, most = self.stopping, self.restarts.max_restarts
        if {most, s.max_evaluations, s.max_generations, s.max_seconds} == {None}:
            raise ValueError(
                "restarts with max_restarts=None need an end: give max_evaluations, "
                f"max_generations or max_seconds; got {self.restarts!r}"
            )
