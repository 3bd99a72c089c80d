"""Restart strategies: which population and step size the next run of a search has.

On a function with many local minima a run ends in one of them. `IPOP` then starts again with twice
the population (Auger & Hansen 2005, "A restart CMA evolution strategy with increasing population
size"); `BIPOP` does so too, and spends as much again on runs with small populations and small
steps (Hansen 2009, "Benchmarking a BI-population CMA-ES on the BBOB-2009 function testbed"). A
strategy is a pure function of the runs so far and two uniform numbers; `restart_es.py` searches
with it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from math import inf
from typing import Any, NamedTuple

import numpy as np

from .. import checks
from ..naming.error_text import brief
from ..naming.registry import Registry
from .state import MOST

RESTARTS = Registry(
    "restarts",
    {"ipop": "structes.strategy.restarts:IPOP", "bipop": "structes.strategy.restarts:BIPOP"},
    base="structes.strategy.restarts:RestartStrategy",
)

# What a stopping criterion ends: the whole search, or only the run that it fired in. The max_* are
# budgets and target is a wish: they are the search's. All others say that this run is over: it has
# converged, or cannot go on, and another population from another start may. (A callback's True and
# an exception end the search, too; they are no criteria, and `minimize` sees to them.)
ENDS = {
    "target": "search",
    "max_evaluations": "search",
    "max_generations": "search",
    "max_seconds": "search",
    "tolfun": "run",
    "tolfunhist": "run",
    "tolx": "run",
    "tolxup": "run",
    "condition": "run",
    "stagnation": "run",
    "flat": "run",
    "failures": "run",  # but the search where no value has come in any run: the function is broken
    "noeffectcoord": "run",
    "noeffectaxis": "run",
    "regime_budget": "run",  # BIPOP: this run has had its share
}


LIMITS = ("target", "max_evaluations", "max_generations", "max_seconds")  # of the whole search


class Run(NamedTuple):
    """One run of a search, a row of its result: what it was, and what came out.

    Attributes
    ----------
    number : int
        0 is the first run, k the k-th restart.
    regime : {"first", "large", "small"}
        Which population it had.
    popsize : int
        Candidates of a generation.
    sigma0 : float
        The initial standard deviation, overall.
    seed : int
        ``ES(x0, sigma0, seed=seed, popsize=popsize)`` is this run.
    evaluations, generations : int
        How many there were in this run.
    fun : float
        The best value of this run.
    stop : dict
        {criterion: value} that ended it; {} while it goes on.
    """

    number: int
    regime: str
    popsize: int
    sigma0: float
    seed: int
    evaluations: int
    generations: int
    fun: float
    stop: dict[str, Any]

    @classmethod
    def restored(cls, row) -> Run:
        """Return the Run that was written as a list (files/checkpoint.py). Raises ValueError or
        TypeError."""
        run = cls(*row)
        for name in ("number", "popsize", "evaluations", "generations"):
            checks.count(f"run: {name}", getattr(run, name), 2 * (name == "popsize"), MOST)
        checks.text("run: regime", run.regime)
        checks.number("run: sigma0", run.sigma0, positive=True)
        checks.number("run: fun", run.fun)
        checks.count("run: seed", run.seed, 0, 2**64 - 1)
        for name, value in dict(run.stop).items():
            checks.choice("run: stop", name, ENDS)
            if type(value) not in (int, float):
                raise TypeError(f"run: stop must have numbers; got {brief(value)}")
        return run


class Plan(NamedTuple):
    """The next run: its regime, population, sigma0 as a multiple of the search's, and after how
    many evaluations it ends (None: the search's own limit)."""

    regime: str
    popsize: int
    scale: float = 1.0
    limit: int | None = None

    @classmethod
    def restored(cls, row) -> Plan:
        """Return the Plan that was written as a list (files/checkpoint.py). Raises ValueError or
        TypeError."""
        plan = cls(*row)
        checks.text("plan: regime", plan.regime)
        checks.count("plan: popsize", plan.popsize, 2, MOST)
        if not checks.number("plan: scale", plan.scale, positive=True) < inf:
            raise ValueError(f"plan: scale must be finite; got {plan.scale}")
        if plan.limit is not None:
            checks.number("plan: limit", plan.limit)
        return plan


@dataclass(frozen=True)
class RestartStrategy(ABC):
    """What strategies share.

    factor        by which the population grows with each large restart, ≥ 1
    max_restarts  restarts with a grown population; None: no limit, and a max_evaluations,
                  max_generations or max_seconds must end the search
    spread        a restart begins at x0 + spread · sigma0 · N(0, I). On BBOB f15–f24 (d = 5) 0 to
                  3 made no clear difference with a sigma0 as wide as the box; with a fifth of
                  that 1 reached more targets than 0 or 3
    """

    factor: float = 2.0
    max_restarts: int | None = 9
    spread: float = 1.0

    def __post_init__(self):
        if checks.number("factor", self.factor) < 1:
            raise ValueError(f"factor must be ≥ 1; got {brief(self.factor)}")
        if self.factor == inf:
            raise ValueError("factor must be finite: a population is a number of candidates")
        if self.max_restarts is not None:
            count = checks.count("max_restarts", self.max_restarts, 0)
            object.__setattr__(self, "max_restarts", count)
        if not 0 <= checks.number("spread", self.spread) < inf:
            raise ValueError(f"spread must be ≥ 0 and finite; got {self.spread}")

    @abstractmethod
    def next(self, runs: tuple[Run, ...], u) -> Plan | None:
        """Return the plan of the run after `runs` (one at least); None where there shall be none.

        u   two uniform numbers in (0, 1)
        """

    def grow(self, runs) -> Plan | None:
        """Return the plan of a run with a larger population than all before; None after
        `max_restarts` of them."""
        n = sum(run.regime == "large" for run in runs)
        if self.max_restarts is not None and n >= self.max_restarts:
            return None
        return Plan("large", round(runs[0].popsize * self.factor ** (n + 1)))


class IPOP(RestartStrategy):
    """Every restart has `factor` times the population of the run before."""

    def next(self, runs, u):
        return self.grow(runs)


class BIPOP(RestartStrategy):
    """Large and small populations by turns: the regime that has had fewer evaluations is next.

    A large run is IPOP's next. A small one has population ⌊λ₀ (λ_large / 2 λ₀)^(u₁²)⌋, sigma0
    times 10^(−2 u₂), and at most half the evaluations of the last large run. The first run counts
    as a small one.
    """

    def next(self, runs, u):
        large = [run for run in runs if run.regime == "large"]
        spent = sum(run.evaluations for run in large)
        if 2 * spent <= sum(run.evaluations for run in runs):
            return self.grow(runs)
        first, last = runs[0].popsize, large[-1]
        popsize = int(first * (max(last.popsize / 2, first) / first) ** (u[0] ** 2))
        return Plan("small", popsize, float(10 ** (-2 * u[1])), max(1, last.evaluations // 2))


def build_restarts(spec) -> RestartStrategy:
    """Return the strategy of "ipop", "bipop", {"name": "ipop", "factor": 3, …}, an object, or a
    number: "ipop" with as many restarts at most.

    Raises ValueError or TypeError, naming the nearest, for what is unknown or does not fit.
    """
    if isinstance(spec, (int, np.integer)) and not isinstance(spec, bool):
        return IPOP(max_restarts=int(spec))
    built = spec if isinstance(spec, RestartStrategy) else RESTARTS.build(spec)
    if not isinstance(built, RestartStrategy):
        raise TypeError(f"restarts must be a RestartStrategy; {brief(spec)} is {brief(built)}")
    return built


def spec_of_restarts(restarts: RestartStrategy) -> dict:
    """Return the mapping {"name": …, arguments…} from which `build_restarts` makes the strategy
    again."""
    kind = type(restarts)
    path = f"{kind.__module__}:{kind.__qualname__}"
    name = next((name for name, target in RESTARTS.table.items() if target == path), path)
    return {"name": name, **asdict(restarts)}
