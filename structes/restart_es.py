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

from . import checks, noise
from .es import ES, Best
from .restarts import ENDS, Plan, Run, build_restarts


def start_search(x0, sigma0, structure, seed, popsize=None, restarts=None, **options):
    """An ES, or with `restarts` a RestartES; both are asked and told alike."""
    if restarts is None:
        return ES(x0, sigma0, structure, seed, popsize, **options)
    return RestartES(x0, sigma0, structure, seed, popsize, restarts=restarts, **options)


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
    ended is replaced when `ask` is called, so until then one can look at it; values of its
    candidates that come later join the next run as points of the user's own.

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
        sigma0,
        structure="dense",
        seed=None,
        popsize=None,
        *,
        restarts="ipop",
        **options,
    ):
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

    # -- the loop ---------------------------------------------------------------------------------

    def ask(self):
        """(popsize, d) new candidates: of the next run, where the present one has ended."""
        if self._ended() and not self.stop():
            self._begin(self._next())
        return self.es.ask()

    def tell(self, X, values) -> None:
        """Values of candidates, as `ES.tell` takes them."""
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

    def _next(self) -> Plan | None:
        uniform = noise.uniforms(self._seed_of(self.restart + 1), noise.STARTS, 0, 0, 1, 2)
        return self.restarts.next(self.runs, uniform[0])

    def _begin(self, plan):
        """The next run. It counts evaluations on from those before it, so that max_evaluations
        is the search's; of the other budgets it is given what is left."""
        self._best, self.finished = self.best, self.runs
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
        return self._x0 + self.restarts.spread * np.asarray(self._given[0]) * normal

    def _check_that_it_ends(self):
        s, most = self.stopping, self.restarts.max_restarts
        if {most, s.max_evaluations, s.max_generations, s.max_seconds} == {None}:
            raise ValueError(
                "restarts with max_restarts=None need an end: give max_evaluations, "
                f"max_generations or max_seconds; got {self.restarts!r}"
            )
