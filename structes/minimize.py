"""minimize: the whole loop in one call, with SciPy's result object."""

from __future__ import annotations

import numpy as np

from .problem import rowwise
from .progress import progress_of
from .restart_es import runs_of, start_search


def minimize(
    fun,
    x0,
    sigma0,
    structure="auto",
    seed=None,
    max_evaluations=None,
    target=None,
    vectorized=False,
    callback=None,
    progress=False,
    restarts=None,
    **options,
):
    """Minimise `fun` from its values alone.

    fun              function of one point (d,) that returns a number; NaN = failed
    x0, sigma0       (d,) start; initial standard deviation, a number or (d,). With restarts x0
                     may be a function of the number of the run, 0, 1, …, that returns its start
    structure, seed  as for `ES`; "auto": dense, diagonal or low_rank, by what the samples show
    max_evaluations  never more than so many evaluations; None: until a stopping criterion fires
    target           stop when a value ≤ target was found
    vectorized       True: `fun` takes (n, d) rows and returns (n,) values
    callback         called with the ES after every generation; True ends the search
    progress         True: a bar on a terminal, a line now and then elsewhere (both on stderr)
    restarts         None: one run. "ipop": whenever a run ends by itself another one begins, with
                     twice the population; "bipop": with large and small populations by turns; a
                     mapping for more (`structes.restarts`). They share max_evaluations, target,
                     max_seconds and max_generations, which end the search; the other criteria
                     end a run. The ES is then a `RestartES`
    options          popsize, and any stopping criterion of `structes.Stopping`

    Returns scipy.optimize.OptimizeResult: x (d,) and fun of the best point, nfev, nit
    (generations), success (target reached or, without a target, the run that found x converged),
    message, stop (dict of reasons), restarts (a `Run` for each run, the first one included) and es
    (the ES itself). An exception in `fun` is raised to the caller.
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
    evaluate = fun if vectorized else rowwise(fun, "fun")
    with progress_of(progress, es) as report:
        ended = run(es, evaluate, lambda es: (report(es), callback and callback(es))[1])
    return result_of(es, ended)


def run(es, evaluate, callback=None) -> dict:
    """Ask, evaluate and tell until `es`, an ES or RestartES, stops: the dict of reasons.

    evaluate   function of (n, d) rows, returns (n,) values
    callback   called with `es` after every generation; a true answer ends the run
    """
    limit = es.monitor.stopping.max_evaluations
    while not es.stop():
        X = es.ask()
        if limit is not None:
            X = X[: limit - es.evaluations, :]
        es.tell(X, evaluate(X))
        if callback is not None and callback(es):
            return {**es.stop(), "callback": True}
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
        nfev=es.evaluations,
        nit=es.generation,
        success=success,
        message=f"stopped: {said}",
        stop=reasons,
        restarts=runs,
        es=es,
    )
