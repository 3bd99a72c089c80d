"""minimize: the whole loop in one call, with SciPy's result object."""

from __future__ import annotations

import time
import warnings

import numpy as np

from .evaluation import Evaluation
from .problem import rowwise
from .progress import progress_of
from .restart_es import runs_of, start_search
from .space import Space


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
    options          popsize, bounds, transforms, integers and what else `ES` takes, and any
                     stopping criterion of `structes.Stopping`

    Returns scipy.optimize.OptimizeResult: x (d,) and fun of the best point, mean (d,) of the
    search distribution (under noise the better estimate: the best value was lucky), nfev, nit
    (generations), success (target reached or, without a target, the run that found x converged),
    message, stop (dict of reasons), restarts (a `Run` for each run, the first one included), es
    (the ES itself), errors (number of exceptions in `fun`), and with a space params (x as a dict).
    Where no evaluation has given a value the first exception is raised.
    """
    if not callable(fun):
        raise TypeError(f"fun must be callable; got {fun!r}")
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
    space = x0 if isinstance(x0, Space) else None
    if space is not None:
        evaluate = space.rows(fun, vectorized)
    else:
        evaluate = fun if vectorized else rowwise(fun, "fun")
    with progress_of(progress, es) as report:
        evaluate = Evaluation(evaluate, on_error)
        ended = run(es, evaluate, lambda es: (report(es), callback and callback(es))[1])
    if evaluate.errors:
        if es.best.x is None:
            raise evaluate.first
        warnings.warn(
            f"{evaluate.errors} evaluations of fun raised and count as missing; the first: "
            f"{evaluate.first!r}",
            RuntimeWarning,
            stacklevel=2,
        )
    result = result_of(es, ended)
    result.errors = evaluate.errors
    if space is not None:
        result.params = space.to_dict(result.x)
    return result


def run(es, evaluate, callback=None, told=None) -> dict:
    """Ask, evaluate and tell until `es`, an ES or RestartES, stops: the dict of reasons.

    evaluate   function of (n, d) rows, returns (n,) values; an Evaluation knows what to do when it
               raises
    callback   called with `es` after every generation; a true answer ends the run
    told       called with `es` after every tell, and after the callback where there is one

    Where points are evaluated one by one and a generation takes longer than a second, each value
    is told as soon as it is there: the bits are the same, and a search that is saved by `told`
    loses one evaluation at most. A search that was resumed begins with what is pending.
    """
    if not isinstance(evaluate, Evaluation):
        evaluate = Evaluation(evaluate, "raise")
    limit = es.monitor.stopping.max_evaluations
    X, slow = es.pending, evaluate.by_point
    while not es.stop():
        if not X.shape[0]:
            X = es.ask()
        if limit is not None:
            X = X[: limit - es.evaluations, :]
        begun, rows = time.monotonic(), 1 if slow else X.shape[0]
        for i in range(0, X.shape[0], rows):
            part = X[i : i + rows, :]
            es.tell(part, evaluate(part))
            if told is not None and i + rows < X.shape[0]:
                told(es)
        slow = evaluate.by_point and time.monotonic() - begun > 1
        X = X[:0, :]
        if callback is not None and callback(es):
            return {**es.stop(), "callback": True}
        if told is not None:
            told(es)
    return es.stop()


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
    return OptimizeResult(
        x=np.array(es.mean) if es.best.x is None else es.best.x,
        fun=es.best.fun,
        mean=np.array(es.mean),
        nfev=es.evaluations,
        nit=es.generation,
        success=success,
        message=f"stopped: {said}",
        stop=reasons,
        restarts=runs,
        es=es,
    )
