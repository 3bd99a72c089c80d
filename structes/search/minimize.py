"""minimize: the whole loop in one call, with SciPy's result object."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from ..naming.error_text import brief
from ..naming.foreign import unknown
from ..strategy.restarts import RestartStrategy
from ..terminal import output
from ..terminal.interrupts import held
from .arguments import Arguments
from .building import arguments_from
from .callbacks import Callback, check_that_values_come
from .evaluation import evaluate_first, evaluation_of, evaluator_of
from .kinds import search_of
from .loop import check_mode, run
from .options import NAMES, OPTIONS, STOPPING
from .outcome import result_of
from .progress import progress_of

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import ArrayLike
    from typing_extensions import Unpack

    from ..evaluators import Evaluator
    from .es import ES
    from .options import MinimizeOptions, StartLike, StructureSpec
    from .outcome import Result
    from .restart_es import RestartES

OWN = ("vectorized", "callback", "progress", "restarts", "on_error", "workers", "timeout")
OWN += ("mode", "factory", "args", "first", "es")


def minimize(
    fun: Callable[..., Any],
    x0: StartLike = None,
    sigma0: ArrayLike | None = None,
    structure: StructureSpec = "auto",
    seed: int | None = None,
    max_evaluations: float | None = None,
    target: float | None = None,
    vectorized: bool = False,
    callback: Callable[..., Any] | None = None,
    progress: bool = False,
    restarts: str | int | Mapping[str, Any] | RestartStrategy | None = None,
    on_error: Literal["missing", "raise"] = "missing",
    workers: int | str | Evaluator | Executor | Callable[..., Any] | None = None,
    timeout: float | None = None,
    mode: Literal["generations", "steady"] = "generations",
    factory: bool = False,
    args: tuple[Any, ...] | list[Any] = (),
    first: Any = None,
    es: ES | RestartES | None = None,
    **options: Unpack[MinimizeOptions],
) -> Result:
    """Minimise `fun` from its values alone.

    A generation of many numbers (from 32 MB on) is never in memory as a whole: with `vectorized`
    `fun` is given some rows of it at a time.

    Nothing that was found is lost: Ctrl-C returns the result so far (stop reason "interrupted"),
    and any other exception has it as its attribute `result`.

    Parameters
    ----------
    fun : callable
        Function of one point (d,) that returns a number; NaN: the evaluation failed. With a Space
        it takes a dict, or keywords where its arguments are the names of the parameters.
    x0 : (d,) array, Space, mapping or callable, optional
        The start, or a `structes.Space`; another start than that of a space: space=space and x0 a
        dict. With restarts x0 may be a function of the number of the run, 0, 1, …, that returns
        its start. With closed bounds it may be left out: the middle.
    sigma0 : float or (d,) array, optional
        Initial standard deviation. With closed bounds it may be left out: a fifth of the range.
    structure : str, mapping or Structure
        As for `ES`; "auto": dense, diagonal or low_rank, by what the samples show.
    seed : int, optional
        As for `ES`.
    max_evaluations : int, optional
        Never more than so many evaluations; None: until a stopping criterion fires.
    target : float, optional
        Stop when a value ≤ target was found (≥ with maximize=True).
    vectorized : bool
        Whether `fun` takes (n, d) rows (a list of n dicts, with a space) and returns (n,) values.
    callback : callable, optional
        Called with the ES after every generation, or as in SciPy with an OptimizeResult as
        `intermediate_result`, where its argument is called so. The answer True ends the search,
        and no other answer; so does StopIteration.
    progress : bool
        Whether to show a bar on a terminal, a line now and then elsewhere (both on stderr).
    restarts : str, int, mapping or RestartStrategy, optional
        None: one run. "ipop": whenever a run ends by itself another one begins, with twice the
        population; a number: so often at most; "bipop": with large and small populations by
        turns; a mapping for more (`structes.strategy.restarts`). They share max_evaluations,
        target, max_seconds and max_generations, which end the search; the other criteria end a
        run. The ES is then a `RestartES`.
    on_error : {"missing", "raise"}
        "missing": an exception in `fun` is a missing value, as NaN is, and the first one is told
        in a RuntimeWarning at the end; so is what is no value (None, text, −inf), once a good
        value has come. "raise": it is the caller's.
    workers : int, str, Executor, callable or Evaluator, optional
        None: `fun` is called here. A number of processes (-1: one for every processor); "ray", or
        the address of a cluster; an Executor of yours, or a function like map (`pool.map`), which
        stay yours; or an `Evaluator` for more, which is the caller's to close.
    timeout : float, optional
        Seconds that one evaluation may take (with workers); then it is missing.
    mode : {"generations", "steady"}
        "steady": no worker waits for another, which saves time where evaluations take unequally
        long. It does not repeat itself to the bit.
    factory : bool
        Whether `fun` takes nothing and returns the function: called once in every worker.
    args : tuple
        Further arguments of `fun`: it is called as `fun(x, *args)`.
    first : sequence of points, or True, optional
        Points (or dicts of parameters) that are evaluated before the search begins, [x0, …], and
        told to it; True: x0.
    es : ES or RestartES, optional
        A search that goes on, such as `es` of an earlier result: with more budget
        (max_evaluations counts from its beginning; es.extend lifts it, with None), or other
        criteria. Then nothing else that makes a search may be given.
    **options
        popsize, bounds, transforms, integers, fixed, prior, covariance, maximize and what else
        `ES` takes, and any stopping criterion of `structes.Stopping`. With backend="cupy" `fun`
        is given CuPy's arrays (workers are given NumPy's).

    Returns
    -------
    scipy.optimize.OptimizeResult
        x (d,) and fun of the best point; mean (d,) of the search distribution (under noise the
        better estimate: the best value was lucky); nfev; nit (generations); success (target
        reached or, without a target, the run that found x converged); message; stop (dict of
        reasons); restarts (a `Run` for each run, the first one included); es (the ES itself);
        errors (number of evaluations that raised or returned no value, NaN not among them; with
        workers also of those that died or took too long); and with a space params (x as a dict).

    Raises
    ------
    ValueError, TypeError
        For an argument that does not fit; the message names it.
    Exception
        What `fun` raises, with on_error="raise"; and the first exception of `fun`, where no
        evaluation has given a value, as soon as a generation of them has failed. One in a worker
        is an `EvaluationError` with its traceback.
    """
    start_time = time.monotonic()
    with held():
        import scipy.optimize  # noqa: F401  (for the result: now, because time counts)

    if not callable(fun):
        hint = " (are fun and x0 in the wrong order?)" if callable(x0) else ""
        if isinstance(fun, str):
            hint = f" (a problem by name? structes run --problem {fun})"
        raise TypeError(f"fun must be callable; got {brief(fun)}{hint}")
    check_mode(mode)
    for name in options:
        if name not in OPTIONS and name != "popsize":
            raise unknown(name, ("fun", *NAMES, *OWN, *OPTIONS), "minimize")
    budgets = {"max_evaluations": max_evaluations, "target": target}
    with ExitStack() as stack:
        evaluator = evaluator_of(stack, workers, timeout, mode)
        if es is None:
            arguments = arguments_from(
                "minimize", x0, sigma0, structure, seed, **budgets, **options
            )
            if mode == "steady" and evaluator is not None and arguments.popsize is None:
                arguments = _with_steady_popsize(arguments, evaluator)
            es = search_of(arguments, restarts)
            es.count_from(start_time)
        else:
            named = {"x0": x0, "sigma0": sigma0, "seed": seed, "restarts": restarts, **budgets}
            named = {name: value for name, value in named.items() if value is not None}
            _go_on(es, {**named, **options}, structure)
        evaluate = evaluation_of(stack, evaluator, es, fun, args, vectorized, factory, on_error)
        report = stack.enter_context(progress_of(progress, es))
        try:
            evaluate_first(es, evaluate, first)
            after_tell = check_that_values_come(evaluate)
            reasons = run(es, evaluate, Callback(report, callback), after_tell, mode)
        except KeyboardInterrupt:
            reasons = {**es.stop(), "interrupted": True}
        except BaseException as error:
            _hand_over(error, es, evaluate)
            raise
    es.ended_at = es.seconds
    if evaluate.first is not None and es.best.x is None and "interrupted" not in reasons:
        raise evaluate.first
    result = result_of(es, reasons, evaluate.errors)
    if evaluate.errors:
        try:
            output.warn(_about_errors(evaluate, es))
        except Warning as error:  # where warnings are errors
            error.result = result  # pyright: ignore[reportAttributeAccessIssue]
            raise
    return result


def _with_steady_popsize(arguments: Arguments, evaluator: Evaluator) -> Arguments:
    """The same with a population for workers that do not wait for each other.

    About half as many candidates as there are workers lose least by values that come late
    (`structes bench steady`).
    """
    domain, _ = arguments.domain(arguments.start())
    popsize = max(arguments.popsize_for(domain), evaluator.capacity // 2)
    return replace(arguments, popsize=popsize)


def _go_on(es, criteria, structure) -> None:
    """Let a search go on under other criteria; all else belongs to it already."""
    if not hasattr(es, "extend"):
        hint = ""
        if hasattr(es, "es"):
            hint = " (a result? write es=result.es)"
        elif isinstance(es, (str, PathLike)):
            hint = " (a file? structes.ES.load reads it)"
        raise TypeError(f"es must be an ES or a RestartES; got {brief(es)}{hint}")
    for name in criteria:
        if name not in STOPPING:
            raise ValueError(f"{name} does not go with es, which has its own")
    if structure != "auto":
        raise ValueError("structure does not go with es, which has its own")
    es.rest(es.seconds - es.ended_at if es.ended_at else 0.0)
    es.extend(**criteria)


def _hand_over(error, es, evaluate) -> None:
    """Let an exception that ends a search carry what was found."""
    try:
        error.result = result_of(es, {**es.stop(), "exception": True}, evaluate.errors)
    except AttributeError:  # it takes no attributes
        if hasattr(error, "add_note"):
            error.add_note(f"the best point so far: {es.best}")


def _about_errors(evaluate, es) -> str:
    """The warning about evaluations without a value."""
    place = ""
    if evaluate.first_point is not None:
        point = evaluate.first_point
        words = [f"{v:.6g}" for v in point[:10]] + ["…"] * (len(point) > 10)
        coordinates = f"[{', '.join(words)}]" if es.space is None else es.space.to_dict(point)
        place = f", at {coordinates}"
    return (
        f"{evaluate.errors} evaluations of fun failed and count as missing; the first{place}: "
        f"{evaluate.first!r}"
    )
