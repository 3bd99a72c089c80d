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

from .backend import to_numpy
from .forms import numbers
from .registry import Registry, brief, load_object
from .whose import home_of, is_library, is_standard, said_of


@dataclass(frozen=True, eq=False)
class Problem:
    """A function to minimise.

    function   callable, (n, dim) array -> (n,) values; writes nothing into its argument. With a
               space: dict of parameters -> a number
    dim        number of parameters, d; a space says it
    name       short name for logs and tables
    lower, upper   box of interest, (d,) arrays or None; outside a value is still given, maybe +inf
    optimum    (d,) best point, or None where unknown
    minimum    value at the optimum, or None where unknown
    start      (d,) where a search starts, or None: `box()` tells its middle
    scale      initial standard deviation that suits the start: a number or (d,), or None
    source     where the definition comes from
    device     True: of a search on a GPU the function takes the arrays as they are (CuPy's), and
               may return such; False: it is given NumPy's
    space      None, or a `structes.Space` (or its mapping) of named parameters, which says dim,
               start, deviations and bounds
    """

    function: Callable[[Any], Any]
    dim: int | None = None
    name: str = "problem"
    lower: Any = None
    upper: Any = None
    optimum: Any = None
    minimum: float | None = None
    start: Any = None
    scale: Any = None
    source: str = ""
    device: bool = False
    space: Any = None

    def __post_init__(self):
        if self.space is not None:  # a space lives a layer above
            space = load_object("structes.space:build_space")(self.space)
            object.__setattr__(self, "space", space)
            if self.dim not in (None, space.dim):
                raise ValueError(
                    f"problem {self.name!r}: its space has dim {space.dim}; got dim {self.dim}"
                )
            object.__setattr__(self, "dim", space.dim)
        elif self.dim is None:
            raise TypeError(f"problem {self.name!r} needs dim, or a space")

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
        return self.rows()(X)

    def rows(self) -> Callable:
        """The function of rows (n, dim); a `Rowwise` where it is one of single points."""
        if self.space is not None:
            return self.space.rows(self.function, name=self.name)
        if self.device:
            return self.function
        if isinstance(self.function, Rowwise):
            return Rowwise(_OnHost(self.function.of_point), self.function.name)
        return _OnHost(self.function)

    def x0(self) -> np.ndarray:
        """(d,) the start: the space's, `start`, else the middle of the box, else zeros."""
        if self.space is not None:
            return self.space.x0
        if self.start is not None:
            return np.array(self.start, dtype=float)
        if self.lower is not None and self.upper is not None:
            return (np.asarray(self.lower, float) + np.asarray(self.upper, float)) / 2
        return np.zeros(self.dim)

    def sigma0(self):
        """Initial standard deviation: the space's, `scale`, else a fifth of the box, else 1."""
        if self.space is not None:
            return self.space.sigma0
        if self.scale is not None:
            return self.scale
        if self.lower is not None and self.upper is not None:
            return (np.asarray(self.upper, float) - np.asarray(self.lower, float)) / 5
        return 1.0


class _OnHost:
    """A function of NumPy arrays as one of those of any library."""

    def __init__(self, function: Callable):
        self.function = function

    def __call__(self, X):
        return self.function(to_numpy(X))


class Rowwise:
    """A function of one point (d,) as a function of many: (n, d) -> (n,) array.

    of_point   the function of one point; name: what error messages call it
    """

    def __init__(self, of_point: Callable, name: str = "objective"):
        self.of_point, self.name = of_point, name

    def __call__(self, X):
        return np.array([scalar(self.of_point(X[i, :]), self.name) for i in range(X.shape[0])])


def rowwise(function: Callable, name: str = "objective") -> Rowwise:
    """`function` of one point (d,) as a function of many: (n, d) -> (n,) array."""
    return Rowwise(function, name)


def scalar(value, name: str) -> float:
    """The value of one point as a float; ValueError, with `name` of the function, otherwise."""
    if isinstance(value, float):
        return value
    try:
        array = numbers("value", value, "a real number")
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.size != 1:
        hint = ""
        if hasattr(value, "__len__") and not isinstance(value, (str, bytes)):
            hint = " For a function of many points at once, say vectorized."
        if isinstance(value, tuple):
            hint = " If the value is the first of several, return it alone."
        raise ValueError(
            f"{name} must return one real number for one point; got {brief(value)}.{hint}"
        )
    return float(array.reshape(()))


class _Problems(Registry):
    """The table of problems. A user's own is a Problem, a subclass, or a function."""

    def check(self, name, target):
        """Raise TypeError for what is none of these: for other classes, for functions of Python's
        own library, since an objective is called with whatever a config says (`subprocess.run` of
        a dict runs its keys), and for those of structes that are no problems."""
        if isinstance(target, type):
            fits = Problem in target.__mro__
        elif isinstance(target, Problem):
            fits = True
        else:
            homes = name.partition(":")[0], home_of(target)
            fits = callable(target) and not any(map(_holds_no_problem, homes))
        if not fits:
            raise TypeError(
                "problem must be a Problem, a subclass of it, or a function in a module of your "
                f"own; {brief(name)} is {said_of(target)}"
            )


def _holds_no_problem(module: str) -> bool:
    ours, inside = f"{module}.".startswith("structes."), f"{module}.".split(".")[1]
    return (ours and inside != "problems") or is_standard(module)


PROBLEMS = _Problems("problem", "structes.problems:TABLE")


def _makes_problems(name, target) -> bool:
    """Is it a function of `dim` that returns a Problem, and no objective?"""
    if name in PROBLEMS or isinstance(target, type):
        return True
    try:
        return "dim" in inspect.signature(target).parameters
    except (TypeError, ValueError):  # a function of C that does not say
        return False


def _refuse_library(name, target, what: str) -> None:
    """A library's function takes points, which are numbers; whatever else a config says is for
    functions that were written for it (`yaml.unsafe_load` of the right words runs them)."""
    if is_library(target):
        raise TypeError(
            f"problem {brief(name)} is {said_of(target)}, a library, and {what}: write a function "
            "of your own that calls it"
        )


def load_problem(spec, dim: int | None = None) -> Problem:
    """The problem that `spec` names.

    spec   a name of the table ("rosenbrock"), a name with numbers ("bbob:f10:i3"), a mapping
           ({"name": "rosenbrock", "dim": 20, "rotate": 3}), "module:function", or a Problem.
           The attribute behind "module:function" may be a Problem, a function with a parameter
           `dim` that returns one, or a plain objective: a function of one point (d,). The mapping
           may then also hold vectorized (bool) and the fields of Problem; with `space` the
           function takes a dict.
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
    context = {} if dim is None or "dim" in given else {"dim": dim}
    if "space" in given and "dim" not in {**given, **context}:
        context = {"dim": None}
    if _makes_problems(name, target):
        _refuse_library(name, target, "makes no Problem")
        problem = PROBLEMS.call(target, name, given, **context)
        if not isinstance(problem, Problem):
            raise ValueError(f"problem {name!r} must return a Problem; got {brief(problem)}")
        return problem

    def objective(
        dim: int | None,
        vectorized: bool = False,
        lower=None,
        upper=None,
        minimum: float | None = None,
        start=None,
        scale=None,
        device: bool = False,
        space=None,
    ):
        if space is not None:
            _refuse_library(name, target, "does not go with a space")
        as_it_is = vectorized or space is not None
        function = target if as_it_is else rowwise(target, name)
        return Problem(
            function,
            dim,
            name,
            lower=lower,
            upper=upper,
            minimum=minimum,
            start=start,
            scale=scale,
            device=device,
            space=space,
        )

    return PROBLEMS.call(objective, name, given, **context)


def _of_dim(problem: Problem, dim):
    if dim is not None and dim != problem.dim:
        raise ValueError(f"problem {problem.name!r} has dim {problem.dim}; got dim {dim}")
    return problem
