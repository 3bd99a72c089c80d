"""What a problem is: a function of many points at once, and the facts about it.

A problem knows nothing of search, devices or workers. The facts (a box, an optimum, where to
start and with what step) are for benchmarks and defaults; an optimiser is never shown the optimum.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .registry import Registry

PROBLEMS = Registry("problem", "structes.problems:TABLE")


@dataclass(frozen=True, eq=False)
class Problem:
    """A function to minimise.

    function   callable, (n, dim) array -> (n,) values; writes nothing into its argument
    dim        number of parameters, d
    name       short name for logs and tables
    lower, upper   box of interest, (d,) arrays or None; outside a value is still given, maybe +inf
    optimum    (d,) best point, or None where unknown
    minimum    value at the optimum, or None where unknown
    start      (d,) where a search starts, or None: `box()` tells its middle
    scale      initial standard deviation that suits the start: a number or (d,), or None
    source     where the definition comes from
    """

    function: Callable[[Any], Any]
    dim: int
    name: str = "problem"
    lower: Any = None
    upper: Any = None
    optimum: Any = None
    minimum: float | None = None
    start: Any = None
    scale: Any = None
    source: str = ""

    def __call__(self, X):
        """Values (n,) of the rows of X (n, dim); a single point (dim,) gives a float."""
        if not hasattr(X, "ndim"):
            raise TypeError(f"problem {self.name!r} takes an array; got {type(X).__name__}")
        if X.ndim == 1:
            return float(self(X[None, :])[0])
        if X.ndim != 2 or X.shape[1] != self.dim:
            raise ValueError(
                f"problem {self.name!r} takes (n, {self.dim}) arrays; got shape {X.shape}"
            )
        return self.function(X)

    def x0(self) -> np.ndarray:
        """(d,) the start: `start`, else the middle of the box, else zeros."""
        if self.start is not None:
            return np.array(self.start, dtype=float)
        if self.lower is not None and self.upper is not None:
            return (np.asarray(self.lower, float) + np.asarray(self.upper, float)) / 2
        return np.zeros(self.dim)

    def sigma0(self):
        """Initial standard deviation: `scale`, else a fifth of the box, else 1."""
        if self.scale is not None:
            return self.scale
        if self.lower is not None and self.upper is not None:
            return (np.asarray(self.upper, float) - np.asarray(self.lower, float)) / 5
        return 1.0


def rowwise(function: Callable, name: str = "objective") -> Callable:
    """`function` of one point (d,) as a function of many: (n, d) -> (n,) array."""

    def evaluate(X):
        return np.array([_scalar(function(x), name) for x in X])

    return evaluate


def _scalar(value, name):
    if isinstance(value, float):
        return value
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "fiub":
        raise ValueError(
            f"{name} must return one real number for one point; got {value!r}. "
            "For a function of many points at once, say vectorized."
        )
    return float(array.reshape(()))


def load_problem(spec, dim: int | None = None) -> Problem:
    """The problem that `spec` names.

    spec   a name of the table ("rosenbrock"), a name with numbers ("bbob:f10:i3"), a mapping
           ({"name": "rosenbrock", "dim": 20, "rotate": 3}), "module:function", or a Problem.
           The attribute behind "module:function" may be a Problem, a function with a parameter
           `dim` that returns one, or a plain objective: a function of one point (d,). The mapping
           may then also hold vectorized (bool) and the fields of Problem.
    dim    number of parameters, where the spec does not say
    """
    if isinstance(spec, Problem):
        return _of_dim(spec, dim)
    name, given = PROBLEMS.parse(spec)
    target = PROBLEMS.resolve(name)
    if isinstance(target, Problem):
        if given:
            raise ValueError(f"problem {name!r} is ready-made and takes no arguments; got {given}")
        return _of_dim(target, dim)
    if not callable(target):
        raise ValueError(f"problem {name!r} must be a Problem or a function; got {target!r}")
    context = {} if dim is None or "dim" in given else {"dim": dim}
    if name in PROBLEMS or "dim" in inspect.signature(target).parameters:
        problem = PROBLEMS.call(target, name, given, **context)
        if not isinstance(problem, Problem):
            raise ValueError(f"problem {name!r} must return a Problem; got {problem!r}")
        return problem

    def objective(
        dim: int,
        vectorized: bool = False,
        lower=None,
        upper=None,
        minimum: float | None = None,
        start=None,
        scale=None,
    ):
        function = target if vectorized else rowwise(target, name)
        return Problem(
            function,
            dim,
            name,
            lower=lower,
            upper=upper,
            minimum=minimum,
            start=start,
            scale=scale,
        )

    return PROBLEMS.call(objective, name, given, **context)


def _of_dim(problem: Problem, dim):
    if dim is not None and dim != problem.dim:
        raise ValueError(f"problem {problem.name!r} has dim {problem.dim}; got dim {dim}")
    return problem
