"""minimize: the whole loop in one call, with SciPy's result object."""

from __future__ import annotations

import inspect
import time
from contextlib import ExitStack
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from .. import checks
from ..arrays.libraries import to_numpy
from ..evaluators import Evaluator, as_it_is, build_evaluator
from ..evaluators.missing import Evaluation
from ..foreign import unknown
from ..registry import brief
from ..rowwise import rowwise
from ..strategy.settings import default_popsize
from ..terminal import output
from ..terminal.interrupts import held
from .arguments import NAMES, OPTIONS, STOPPING, OptionsOfMinimize, arguments_from
from .loop import check_mode, run
from .outcome import intermediate_result, result_of
from .progress import progress_of
from .restart_es import start_search

if TYPE_CHECKING:
    from typing_extensions import Unpack

OWN = ("vectorized", "callback", "progress", "restarts", "on_error", "workers", "timeout")
OWN += ("mode", "factory", "args", "first", "es")


def minimize(
    fun,
    x0=None,
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
    args=(),
    first=None,
    es=None,
    **options: Unpack[OptionsOfMinimize],
):
    """Minimise `fun` from its values alone.

    fun              function of one point (d,) that returns a number; NaN = failed
    x0, sigma0       (d,) start; initial standard deviation, a number or (d,). With closed bounds
                     they may be left out: the middle, and a fifth of the range. With restarts x0
                     may be a function of the number of the run, 0, 1, …, that returns its start.
                     Or x0 is a `structes.Space`: `fun` then takes a dict, or keywords where its
                     arguments are the names of the parameters. Another start: space=space and x0
                     a dict
    structure, seed  as for `ES`; "auto": dense, diagonal or low_rank, by what the samples show
    max_evaluations  never more than so many evaluations; None: until a stopping criterion fires
    target           stop when a value ≤ target was found (≥ with maximize=True)
    vectorized       True: `fun` takes (n, d) rows (a list of n dicts, with a space) and returns
                     (n,) values
    callback         called with the ES after every generation, or as in SciPy with an
                     OptimizeResult as `intermediate_result`, where its argument is called so. The
                     answer True ends the search, and no other answer; so does StopIteration
    progress         True: a bar on a terminal, a line now and then elsewhere (both on stderr)
    restarts         None: one run. "ipop": whenever a run ends by itself another one begins, with
                     twice the population; a number: so often at most; "bipop": with large and
                     small populations by turns; a mapping for more
                     (`structes.strategy.restarts`). They share max_evaluations, target,
                     max_seconds and max_generations, which end the search; the other criteria end
                     a run. The ES is then a `RestartES`
    on_error         "missing": an exception in `fun` is a missing value, as NaN is, and the first
                     one is told in a RuntimeWarning at the end; so is what is no value (None,
                     text, −inf), once a good value has come. "raise": it is the caller's
    workers          None: `fun` is called here. A number of processes (-1: one for every
                     processor); "ray", or the address of a cluster; an Executor of yours, or a
                     function like map (`pool.map`), which stay yours; or an `Evaluator` for more,
                     which is the caller's to close
    timeout          seconds that one evaluation may take (with workers); then it is missing
    mode             "generations"; "steady": no worker waits for another, which saves time where
                     evaluations take unequally long. It does not repeat itself to the bit
    factory          `fun` takes nothing and returns the function: called once in every worker
    args             further arguments of `fun`: it is called as fun(x, *args)
    first            points (or dicts of parameters) that are evaluated before the search begins,
                     [x0, …], and told to it; True: x0
    es               an ES or RestartES that goes on, such as `es` of an earlier result: with more
                     budget (max_evaluations counts from its beginning; es.extend lifts it, with
                     None), or other criteria. Then nothing else that makes a search may be given
    options          popsize, bounds, transforms, integers, fixed, prior, covariance, maximize and
                     what else `ES` takes, and any stopping criterion of `structes.Stopping`. With
                     backend="cupy" `fun` is given CuPy's arrays (workers are given NumPy's)

    A generation of many numbers (from 32 MB on) is never in memory as a whole: with `vectorized`
    `fun` is given some rows of it at a time.

    Returns scipy.optimize.OptimizeResult: x (d,) and fun of the best point, mean (d,) of the
    search distribution (under noise the better estimate: the best value was lucky), nfev, nit
    (generations), success (target reached or, without a target, the run that found x converged),
    message, stop (dict of reasons), restarts (a `Run` for each run, the first one included), es
    (the ES itself), errors (number of evaluations that raised or returned no value, NaN not among
    them; with workers also of those that died or took too long), and with a space params (x as a
    dict).

    Nothing that was found is lost: Ctrl-C returns the result so far (stop reason "interrupted"),
    and any other exception has it as its attribute `result`. Where no evaluation has given a value
    the first exception is raised, as soon as a generation of them has failed; one in a worker as
    an `EvaluationError` with its traceback.
    """
    began = time.monotonic()
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
    options |= {"max_evaluations": max_evaluations, "target": target}
    if hasattr(options.get("prior"), "__next__"):
        options["prior"] = list(options["prior"])  # it is looked at twice
    with ExitStack() as stack:
        evaluator = _evaluator(stack, workers, timeout, mode)
        if es is None:
            if mode == "steady" and options.get("popsize") is None:
                options["popsize"] = _steady_popsize(x0, sigma0, options, evaluator)
            es = start_search(x0, sigma0, structure, seed, restarts=restarts, **options)
            es.count_from(began)
        else:
            named = {"x0": x0, "sigma0": sigma0, "seed": seed, "restarts": restarts}
            named |= {name: options.pop(name) for name in ("max_evaluations", "target")}
            named = {name: value for name, value in named.items() if value is not None}
            _go_on(es, {**named, **options}, structure)
        evaluate = _evaluation(stack, evaluator, es, fun, args, vectorized, factory, on_error)
        report = stack.enter_context(progress_of(progress, es))
        try:
            _evaluate_first(es, evaluate, first)
            ended = run(es, evaluate, _Callback(report, callback), _check(evaluate), mode)
        except KeyboardInterrupt:
            ended = {**es.stop(), "interrupted": True}
        except BaseException as error:
            _hand_over(error, es, evaluate)
            raise
    es.ended_at = es.seconds
    if es.best.x is None and evaluate.errors and "interrupted" not in ended:
        raise evaluate.first
    result = result_of(es, ended, evaluate.errors)
    if evaluate.errors:
        try:
            output.warn(_said_of(evaluate, es))
        except Warning as error:  # where warnings are errors
            error.result = result
            raise
    return result


class _Callback:
    """What is called after every generation: the progress, and the user's callback, which takes
    the ES, or as in SciPy an argument `intermediate_result`."""

    def __init__(self, report, callback):
        self.report, self.callback = report, callback
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable; got {brief(callback)}")
        self.takes_result = callback is not None and _takes_result(callback)

    def __call__(self, es):
        self.report(es)
        if self.callback is None:
            return None
        if self.takes_result:
            return self.callback(intermediate_result=intermediate_result(es))
        return self.callback(es)


def _takes_result(callback) -> bool:
    """Is it a callback of SciPy's? Raises TypeError where it does not take one argument."""
    try:
        parameters = inspect.signature(callback).parameters.values()
    except (TypeError, ValueError):  # a function of C
        return False
    needed = [p for p in parameters if p.default is p.empty and p.kind not in (2, 4)]
    if len(needed) > 1:
        names = ", ".join(p.name for p in needed)
        raise TypeError(f"callback must take one argument, the ES; it takes {names}")
    return any(p.name == "intermediate_result" for p in parameters)


def _check(evaluate):
    """What is called after every tell: a function that only raises is not called for ever."""

    def told(es):
        broken = evaluate.errors >= es.popsize and evaluate.errors == es.evaluations
        if broken and es.best.x is None:
            raise evaluate.first

    return told


def _go_on(es, given, structure):
    """Let a search go on under other criteria; all else belongs to it already."""
    if not hasattr(es, "extend"):
        hint = ""
        if hasattr(es, "es"):
            hint = " (a result? write es=result.es)"
        elif isinstance(es, (str, PathLike)):
            hint = " (a file? structes.ES.load reads it)"
        raise TypeError(f"es must be an ES or a RestartES; got {brief(es)}{hint}")
    for name in given:
        if name not in STOPPING:
            raise ValueError(f"{name} does not go with es, which has its own")
    if structure != "auto":
        raise ValueError("structure does not go with es, which has its own")
    es.rest(es.seconds - es.ended_at if es.ended_at else 0.0)
    es.extend(**given)


def _evaluation(stack, evaluator, es, fun, args, vectorized, factory, on_error):
    """What gives the values of rows."""
    if not isinstance(args, (tuple, list)):
        raise TypeError(f"args must be a tuple, as in args=(1.0,); got {brief(args)}")
    wrap, sign = _wrap(es.space, vectorized, tuple(args)), es.arguments.sign
    if evaluator is None:
        return Evaluation(wrap(fun() if factory else fun), on_error, sign)
    bound = evaluator.bind_rows(fun, wrap, not vectorized, factory, on_error, sign=sign)
    stack.callback(bound.close)
    return bound


def _wrap(space, vectorized, args):
    """What makes the user's function one of rows (n, d)."""
    if space is not None:
        rows = partial(space.rows, vectorized=vectorized)
    else:
        rows = as_it_is if vectorized else partial(rowwise, name="fun")
    return partial(_with_args, rows=rows, args=args) if args else rows


def _with_args(fun, rows, args):
    return rows(_Applied(fun, args))


class _Applied:
    """fun(x, *args) as a function of x."""

    def __init__(self, fun, args):
        self.fun, self.args = fun, args

    def __call__(self, x, /):  # no parameter of a Space has this name
        return self.fun(x, *self.args)


def _evaluator(stack, workers, timeout, mode) -> Evaluator | None:
    """The Evaluator of what a user says; one that is made here closes with the stack."""
    if workers is None:
        for name, value, default in (("timeout", timeout, None), ("mode", mode, "generations")):
            if value != default:
                hint = "; max_seconds limits the whole search" if name == "timeout" else ""
                raise ValueError(f"{name}={value!r} needs workers; workers=1 is one process{hint}")
        return None
    evaluator = build_evaluator(workers, timeout=timeout)
    if evaluator is not workers:
        stack.enter_context(evaluator)
    return evaluator


def _steady_popsize(x0, sigma0, options, evaluator) -> int:
    """Candidates of a generation where no worker waits: about half as many as there are workers
    lose least by values that come late (`structes bench steady`)."""
    given = arguments_from("minimize", x0, sigma0, **options)
    domain, _ = given.domain(given.start())
    return max(default_popsize(domain.dim), evaluator.capacity // 2)


def _evaluate_first(es, evaluate, first):
    """Evaluate points of the user's own, as far as the budget allows, and tell their values."""
    if first is None or first is False:
        return
    if first is True:
        points = np.asarray(to_numpy(es.mean))[None, :]
    elif es.space is not None:
        points = [es.space.from_dict(p) if hasattr(p, "keys") else p for p in first]
    else:
        points = first
    if not len(points):
        return
    X = np.array([checks.point(f"first[{i}]", x, es.dim) for i, x in enumerate(points)])
    X = X[np.sort(np.unique(X, axis=0, return_index=True)[1])]  # each once, in their order
    limit = es.stopping.max_evaluations
    X = X[: None if limit is None else max(0, limit - es.evaluations)]
    es.domain.encode(X, "first")  # all of them are as they must be, or none is evaluated
    es.domain.check_integers(X, "first")
    if isinstance(evaluate, Evaluation):
        unit = 1 if evaluate.by_point else len(X)
    else:
        unit = evaluate.evaluator.capacity
    for a in range(0, len(X), unit):
        if es.stop():
            return
        rows = X[a : a + unit]
        es.tell(rows, evaluate(rows))


def _hand_over(error, es, evaluate):
    """Let an exception that ends a search carry what was found."""
    try:
        error.result = result_of(es, {**es.stop(), "exception": True}, evaluate.errors)
    except AttributeError:  # it takes no attributes
        if hasattr(error, "add_note"):
            error.add_note(f"the best point so far: {es.best}")


def _said_of(evaluate, es) -> str:
    """What is said of evaluations without a value."""
    at = ""
    if evaluate.first_point is not None:
        point = evaluate.first_point
        words = [f"{v:.6g}" for v in point[:10]] + ["…"] * (len(point) > 10)
        where = f"[{', '.join(words)}]" if es.space is None else es.space.to_dict(point)
        at = f", at {where}"
    return (
        f"{evaluate.errors} evaluations of fun failed and count as missing; the first{at}: "
        f"{evaluate.first!r}"
    )
