"""What gives `minimize` the values of rows: the user's function, here or by workers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import checks
from ..arrays.libraries import to_numpy
from ..evaluators import Evaluator, ParallelFunction, as_it_is, build_evaluator
from ..evaluators.missing import Evaluation
from ..naming.error_text import brief
from ..rowwise import rowwise

if TYPE_CHECKING:
    from .es import ES
    from .restart_es import RestartES


def evaluator_of(
    stack: ExitStack, workers: Any, timeout: float | None, mode: str
) -> Evaluator | None:
    """The Evaluator of the arguments of `minimize`; one that is made here closes with the stack.

    None where the function is called in this process. Raises ValueError or TypeError where the
    arguments do not fit each other.
    """
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


def evaluation_of(
    stack: ExitStack,
    evaluator: Evaluator | None,
    es: ES | RestartES,
    fun: Callable[..., Any],
    args: Any,
    vectorized: bool,
    factory: bool,
    on_error: Literal["missing", "raise"],
) -> Evaluation | ParallelFunction:
    """The function of rows (n, d) that a search calls; one with workers ends with the stack.

    fun, args, vectorized, factory and on_error are as for `minimize`.
    """
    if not isinstance(args, (tuple, list)):
        raise TypeError(f"args must be a tuple, as in args=(1.0,); got {brief(args)}")
    wrap, sign = _wrap(es.space, vectorized, tuple(args)), es.arguments.sign
    if evaluator is None:
        return Evaluation(wrap(fun() if factory else fun), on_error, sign)
    bound = evaluator.bind_rows(fun, wrap, not vectorized, factory, on_error, sign=sign)
    stack.callback(bound.close)
    return bound


def _wrap(space, vectorized, args) -> Callable[..., Any]:
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


def evaluate_first(es: ES | RestartES, evaluate: Any, first: Any) -> None:
    """Evaluate points of the user's own, as far as the budget allows, and tell their values.

    Parameters
    ----------
    es : ES or RestartES
        The search that is told.
    evaluate : Evaluation or ParallelFunction
        What gives the values.
    first : sequence of points, True or None
        Points (d,), or dicts of parameters, where the search has a space; True: the mean. Each
        is evaluated once. None: there are none.

    Raises
    ------
    ValueError, TypeError
        Where a point does not fit; nothing was evaluated then.
    """
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
