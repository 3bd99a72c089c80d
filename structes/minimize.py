"""minimize: the whole loop in one call, with SciPy's result object."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from functools import partial

import numpy as np

from . import checks
from .backend import to_numpy
from .evaluation import Evaluation
from .evaluators import Evaluator, as_it_is, build_evaluator
from .loop import check_mode, run
from .problem import rowwise
from .progress import progress_of
from .restart_es import runs_of, start_search
from .space import Space
from .strategy import default_popsize


def minimize(
    fun,
    x0,
    sigma0=None,
    structure="auto",
    seed=None,
    max_evaluations=None,
    target=None,
    vectorized=False,
    callback=None,
    progress=False,
    restarts=None,
    on_error="missing",
    workers=None,
    timeout=None,
    mode="generations",
    factory=False,
    **options,
):
    """Minimise `fun` from its values alone.

    fun              function of one point (d,) that returns a number; NaN = failed
    x0, sigma0       (d,) start; initial standard deviation, a number or (d,). With restarts x0
                     may be a function of the number of the run, 0, 1, …, that returns its start.
                     Or x0 is a `structes.Space`: `fun` then takes a dict, and sigma0 may be left
                     out
    structure, seed  as for `ES`; "auto": dense, diagonal or low_rank, by what the samples show
    max_evaluations  never more than so many evaluations; None: until a stopping criterion fires
    target           stop when a value ≤ target was found
    vectorized       True: `fun` takes (n, d) rows (a list of n dicts, with a space) and returns
                     (n,) values
    callback         called with the ES after every generation; True ends the search
    progress         True: a bar on a terminal, a line now and then elsewhere (both on stderr)
    restarts         None: one run. "ipop": whenever a run ends by itself another one begins, with
                     twice the population; "bipop": with large and small populations by turns; a
                     mapping for more (`structes.restarts`). They share max_evaluations, target,
                     max_seconds and max_generations, which end the search; the other criteria
                     end a run. The ES is then a `RestartES`
    on_error         "missing": an exception in `fun` is a missing value, as NaN is, and the first
                     one is told in a RuntimeWarning at the end; "raise": it is the caller's
    workers          None: `fun` is called here. A number of processes (-1: one for every
                     processor); "ray", or the address of a cluster; an Executor of yours, or a
                     function like map (`pool.map`), which stay yours; or an `Evaluator` for more,
                     which is the caller's to close
    timeout          seconds that one evaluation may take (with workers); then it is missing
    mode             "generations"; "steady": no worker waits for another, which saves time where
                     evaluations take unequally long. It does not repeat itself to the bit
    factory          `fun` takes nothing and returns the function: called once in every worker
    options          popsize, bounds, transforms, integers and what else `ES` takes, and any
                     stopping criterion of `structes.Stopping`. With backend="cupy" `fun` is given
                     CuPy's arrays (workers are given NumPy's)

    A generation of many numbers (from 32 MB on) is never in memory as a whole: with `vectorized`
    `fun` is given some rows of it at a time.

    Returns scipy.optimize.OptimizeResult: x (d,) and fun of the best point, mean (d,) of the
    search distribution (under noise the better estimate: the best value was lucky), nfev, nit
    (generations), success (target reached or, without a target, the run that found x converged),
    message, stop (dict of reasons), restarts (a `Run` for each run, the first one included), es
    (the ES itself), errors (number of exceptions in `fun`; with workers also of those that died or
    took too long), and with a space params (x as a dict). Where no evaluation has given a value
    the first exception is raised; one in a worker as an `EvaluationError` with its traceback.
    """
    if not callable(fun):
        raise TypeError(f"fun must be callable; got {fun!r}")
    space = x0 if isinstance(x0, Space) else None
    check_mode(mode)
    with ExitStack() as stack:
        evaluator = _evaluator(stack, workers, timeout, mode)
        if mode == "steady" and options.get("popsize") is None:
            options["popsize"] = _steady_popsize(x0, evaluator)
        es = start_search(
            x0,
            sigma0,
            structure,
            seed,
            restarts=restarts,
            max_evaluations=max_evaluations,
            target=target,
            **options,
        )
        wrap = _wrap(space, vectorized)
        if evaluator is None:
            evaluate = Evaluation(wrap(fun() if factory else fun), on_error)
        else:
            evaluate = evaluator.bind_rows(fun, wrap, not vectorized, factory, on_error)
            stack.callback(evaluate.close)
        report = stack.enter_context(progress_of(progress, es))
        ended = run(es, evaluate, lambda es: (report(es), callback and callback(es))[1], mode=mode)
    if evaluate.errors:
        if es.best.x is None:
            raise evaluate.first
        warnings.warn(
            f"{evaluate.errors} evaluations of fun failed and count as missing; the first: "
            f"{evaluate.first!r}",
            RuntimeWarning,
            stacklevel=2,
        )
    result = result_of(es, ended)
    result.errors = evaluate.errors
    if space is not None:
        result.params = space.to_dict(result.x)
    return result


def _wrap(space, vectorized):
    """What makes the user's function one of rows (n, d)."""
    if space is not None:
        return partial(space.rows, vectorized=vectorized)
    return as_it_is if vectorized else partial(rowwise, name="fun")


def _evaluator(stack, workers, timeout, mode) -> Evaluator | None:
    """The Evaluator of what a user says; one that is made here closes with the stack."""
    if workers is None:
        for name, value, default in (("timeout", timeout, None), ("mode", mode, "generations")):
            if value != default:
                raise ValueError(f"{name}={value!r} needs workers; workers=1 is one process")
        return None
    evaluator = build_evaluator(workers, timeout=timeout)
    if evaluator is not workers:
        stack.enter_context(evaluator)
    return evaluator


def _steady_popsize(x0, evaluator) -> int:
    """Candidates of a generation where no worker waits: about half as many as there are workers
    lose least by values that come late (`structes bench steady`)."""
    x0 = x0(0) if callable(x0) else x0
    dim = x0.dim if isinstance(x0, Space) else checks.point("x0", x0).size
    return max(default_popsize(dim), evaluator.capacity // 2)


def result_of(es, reasons: dict):
    """SciPy's OptimizeResult of a search that ended for `reasons`."""
    from scipy.optimize import OptimizeResult

    target = es.monitor.stopping.target
    converged = {"tolfun", "tolfunhist", "tolx", "noeffectcoord", "noeffectaxis"}
    runs = runs_of(es)
    found = min(runs, key=lambda run: run.fun)
    success = "target" in reasons if target is not None else bool(converged & found.stop.keys())
    said = ", ".join(f"{k} ({v:g})" for k, v in reasons.items())
    if len(runs) > 1:
        said += f" after {len(runs) - 1} restart{'s' * (len(runs) > 2)}"
    mean = np.array(to_numpy(es.mean))
    return OptimizeResult(
        x=mean if es.best.x is None else es.best.x,
        fun=es.best.fun,
        mean=mean,
        nfev=es.evaluations,
        nit=es.generation,
        success=success,
        message=f"stopped: {said}",
        stop=reasons,
        restarts=runs,
        es=es,
    )
