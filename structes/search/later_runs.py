"""The runs of a search with restarts: what each of them is given, and the row that is left of it.

All of it follows from the arguments of the search and the number of the run: the seed and the
start are words of the addressable noise, and the budgets are what the runs before have left.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import noise
from ..space.domain import Domain
from ..strategy.restarts import RESTARTS, Plan, RestartStrategy, Run
from ..strategy.stopping import Stopping
from .arguments import Arguments
from .state import EarlierRuns

if TYPE_CHECKING:
    from .es import ES


def check_that_it_ends(restarts: RestartStrategy, stopping: Stopping) -> None:
    """Raise ValueError for a strategy without an end, where no budget sets one."""
    budgets = stopping.max_evaluations, stopping.max_generations, stopping.max_seconds
    if restarts.max_restarts is None and set(budgets) == {None}:
        raise ValueError(
            "restarts with max_restarts=None need an end: give max_evaluations, "
            f"max_generations or max_seconds; got {restarts!r}"
        )


def known_restarts(spec: dict[str, Any]) -> dict[str, Any]:
    """The specification of a restart strategy in a file; ValueError where it is none of ours."""
    if spec["name"] not in RESTARTS:
        raise ValueError(
            f"its restarts {spec['name']!r} are none of structes' own: give them, "
            "load(path, restarts=…)"
        )
    return spec


def next_plan(
    arguments: Arguments, restarts: RestartStrategy, runs: tuple[Run, ...]
) -> Plan | None:
    """The Plan of the run after these; None where the strategy has no other."""
    uniform = noise.uniforms(seed_of_run(arguments, len(runs)), noise.STARTS, 0, 0, 1, 2)
    return restarts.next(runs, uniform[0])


def arguments_of_run(
    arguments: Arguments,
    restarts: RestartStrategy,
    earlier: EarlierRuns,
    domain: Domain,
) -> Arguments:
    """The arguments of the run whose plan is `earlier.plan`, after those that are finished.

    The domain is that of the runs before, in which the start is drawn.
    """
    number, plan = len(earlier.finished), earlier.plan
    return replace(
        arguments,
        stopping=stopping_of_run(arguments.stopping, earlier),
        x0=_start_of_run(arguments, restarts, number, domain),
        sigma0=np.multiply(arguments.sigma0, plan.scale),
        seed=seed_of_run(arguments, number),
        popsize=plan.popsize,
    )


def stopping_of_run(stopping: Stopping, earlier: EarlierRuns) -> Stopping:
    """The stopping criteria of a run, of those of the whole search.

    A run counts evaluations on from those before it, so that max_evaluations is the search's; of
    the other budgets it has what remains.
    """
    budgets: dict[str, Any] = {}
    if stopping.max_generations is not None:
        budgets["max_generations"] = max(1, stopping.max_generations - earlier.generations)
    if stopping.max_seconds is not None:
        budgets["max_seconds"] = max(1e-9, stopping.max_seconds - earlier.seconds)
    return replace(stopping, **budgets)


def seed_of_run(arguments: Arguments, number: int) -> int:
    """The seed of a run: the search's own for the first, then a word of the addressable noise."""
    if number == 0:
        return arguments.seed
    uniform = noise.uniforms(arguments.seed, noise.STARTS, number, 0, 1, 1)[0, 0]
    return int(uniform * 2**53)


def _start_of_run(arguments, restarts, number, domain) -> np.ndarray:
    """The start (d,) of a run: around that of the first, in units of sigma0."""
    if callable(arguments.x0) or number == 0:
        return arguments.start(number, domain.size)
    _, sigma0 = arguments.domain(arguments.x0)
    seed = seed_of_run(arguments, number)
    normal = noise.normals(seed, noise.STARTS, 1, 0, 1, domain.dim)[0]
    step = restarts.spread * np.asarray(sigma0) * normal
    middle = domain.encode(domain.completed(arguments.x0)[None, :])
    return domain.decode(middle + step)[0, :]


def row_of(es: ES, plan: Plan, number: int, spent: int, reasons: dict[str, Any]) -> Run:
    """The row of run `number`, an ES that began after `spent` evaluations of the search."""
    evaluations = es.evaluations - spent
    numbers = es.monitor.sigma0, es.seed, evaluations, es.generation, es.best.fun
    return Run(number, plan.regime, es.popsize, *numbers, reasons)
