"""What came out of a search: SciPy's result object, and in words what its end means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays.libraries import to_numpy
from .kinds import runs_of

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

    from ..strategy.restarts import Run
    from .es import ES
    from .restart_es import RestartES

    class Result(OptimizeResult):
        """SciPy's OptimizeResult with the attributes of a search, for type checkers alone."""

        x: np.ndarray
        fun: float
        mean: np.ndarray
        nfev: int
        nit: int
        success: bool
        message: str
        stop: dict[str, Any]
        restarts: tuple[Run, ...]
        es: ES | RestartES
        errors: int
        params: dict[str, Any]


CONVERGED = ("tolfun", "tolfunhist", "tolx", "noeffectcoord", "noeffectaxis")

WORDS = {
    "target": "the target was reached",
    "max_evaluations": "the budget of evaluations is spent",
    "max_generations": "the budget of generations is spent",
    "max_seconds": "the time is up",
    "max_restarts": "there were as many restarts as allowed",
    "callback": "the callback ended it",
    "interrupted": "it was interrupted",
    "exception": "an exception ended it",
    "tolfun": "converged: the values of many generations agree",
    "tolfunhist": "converged: the values of many generations agree",
    "tolx": "converged: the steps are tiny beside sigma0",
    "noeffectcoord": "converged: a step changes no digit of a coordinate any more",
    "noeffectaxis": "converged: a step changes no digit of a coordinate any more",
    "tolxup": "the steps have grown beyond all measure: sigma0 was far too small, or there is no "
    "minimum",
    "condition": "the covariance is too ill-conditioned for floating point: rescale the "
    "parameters (a sigma0 for each, transforms), leave out those that say nothing, or, where the "
    "values are noisy, say noise='auto'",
    "stagnation": "no progress for a long time: noisy values (noise='auto'), or a flat region",
    "failures": "no evaluation gave a value in many generations",
    "flat": "all values were equal in many generations: a plateau, or sigma0 is too small to see "
    "a difference",
}
FLAT = "converged: all values are equal to the last digit, or on a plateau"
AGAIN = "another local minimum may be lower: try restarts='ipop' with a budget"
MORE = "minimize(fun, es=result.es, …) goes on with a larger one"


def has_converged(run: Run) -> bool:
    """Whether a run has converged.

    One that has moved and ends flat has, because then its values agree to the last digit.
    """
    return bool(set(CONVERGED) & run.stop.keys()) or is_flat(run)


def is_flat(run: Run) -> bool:
    """Whether a run ended flat, after generations that were not."""
    return run.generations > run.stop.get("flat", run.generations)


def result_of(es: ES | RestartES, reasons: dict[str, Any], errors: int = 0) -> Result:
    """SciPy's OptimizeResult of a search.

    Parameters
    ----------
    es : ES or RestartES
        The search.
    reasons : dict
        {criterion: value}: why it ended.
    errors : int
        How many evaluations gave no value.
    """
    from scipy.optimize import OptimizeResult

    runs, sign = runs_of(es), es.arguments.sign
    best_run = min(runs, key=lambda run: sign * run.fun)
    has_target = es.stopping.target is not None
    mean = np.array(to_numpy(es.mean))
    best = es.best
    result = OptimizeResult(
        x=mean if best.x is None else best.x,
        fun=best.fun,
        mean=mean,
        nfev=es.evaluations,
        nit=es.generation,
        success="target" in reasons if has_target else has_converged(best_run),
        message=message_of(runs, reasons, has_target),
        stop=reasons,
        restarts=runs,
        es=es,
        errors=errors,
    )
    if es.space is not None:
        result.params = es.space.to_dict(result.x)
    return result  # pyright: ignore[reportReturnType]


def intermediate_result(es: ES | RestartES) -> OptimizeResult:
    """SciPy's OptimizeResult of a search under way: x, fun, nfev and nit."""
    from scipy.optimize import OptimizeResult

    best = es.best
    return OptimizeResult(x=best.x, fun=best.fun, nfev=es.evaluations, nit=es.generation)


def message_of(runs: Sequence[Run], reasons: dict[str, Any], has_target: bool) -> str:
    """Why a search of these runs ended, in words, with what may help."""
    causes: dict[str, list[str]] = {}
    last_run = runs[-1]
    for name, value in reasons.items():
        words = FLAT if name == "flat" and is_flat(last_run) else WORDS.get(name, name)
        number = "" if value is True else f" {value:.6g}"
        causes.setdefault(words, []).append(f"{name}{number}")
    parts = [f"{words} ({', '.join(names)})" for words, names in causes.items()]
    message = "; ".join(parts) or "it has not ended"
    if len(runs) > 1:
        message += f", after {len(runs) - 1} restart{'s' * (len(runs) > 2)}"
    advice = []
    if not np.isfinite([run.fun for run in runs]).any():
        advice.append("no evaluation has given a value")
    if "target" not in reasons:
        if has_converged(last_run) and len(runs) == 1:
            advice.append("the target was not reached: " * has_target + AGAIN)
        if {"max_evaluations", "max_generations", "max_seconds"} & reasons.keys():
            advice.append(MORE)
    return ". ".join([message, *advice])
