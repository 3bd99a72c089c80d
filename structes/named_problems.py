"""Problems by name: from what a config, a flag or a call says to a Problem."""

from __future__ import annotations

import inspect
from typing import Any

from .naming.error_text import brief
from .naming.registry import Registry
from .naming.whose import description_of, home_of, is_library, is_standard
from .problem import Problem
from .problems import TABLE
from .rowwise import rowwise


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
                f"own; {brief(name)} is {description_of(target)}"
            )


def _holds_no_problem(module: str) -> bool:
    is_structes, room = f"{module}.".startswith("structes."), f"{module}.".split(".")[1]
    return (is_structes and room != "problems") or is_standard(module)


PROBLEMS = _Problems("problem", TABLE)


def _makes_problems(name, target) -> bool:
    """Is it a function of `dim` that returns a Problem, and no objective?"""
    if name in PROBLEMS or isinstance(target, type):
        return True
    try:
        return "dim" in inspect.signature(target).parameters
    except (TypeError, ValueError):  # a function of C that does not say
        return False


def _refuse_library(name, target, reason: str) -> None:
    """A library's function takes points, which are numbers; whatever else a config says is for
    functions that were written for it (`yaml.unsafe_load` of the right words runs them)."""
    if is_library(target):
        raise TypeError(
            f"problem {brief(name)} is {description_of(target)}, a library, and {reason}: write a "
            "function of your own that calls it"
        )


def load_problem(spec: Any, dim: int | None = None) -> Problem:
    """Return the problem that a specification names.

    Parameters
    ----------
    spec : str, Mapping or Problem
        A name of the table ("rosenbrock"); a name with numbers ("bbob:f10:i3"); a mapping
        ({"name": "rosenbrock", "dim": 20, "rotate": 3}); "module:attribute"; or a Problem. What is
        behind "module:attribute" may be a Problem, a function with a parameter `dim` that returns
        one, or a plain objective: a function of one point (d,). A mapping may then also hold
        vectorized (bool) and the fields of Problem; with `space` the function takes a dict.
    dim : int, optional
        The number of parameters, where the specification does not say.

    Returns
    -------
    Problem

    Raises
    ------
    ValueError
        For an unknown name or argument (the nearest is named), and for a value that does not fit.
    TypeError
        For an object that is no problem.
    ImportError
        Where the module cannot be imported, because it raises.

    Examples
    --------
    >>> load_problem("rosenbrock", dim=3).minimum
    0.0
    """
    if isinstance(spec, Problem):
        return _of_dim(spec, dim)
    name, arguments = PROBLEMS.parse(spec)
    target = PROBLEMS.resolve(name)
    if isinstance(target, Problem):
        if arguments:
            raise ValueError(
                f"problem {name!r} is ready-made and takes no arguments; got {arguments}"
            )
        return _of_dim(target, dim)
    context = {} if dim is None or "dim" in arguments else {"dim": dim}
    if "space" in arguments and "dim" not in {**arguments, **context}:
        context = {"dim": None}
    if _makes_problems(name, target):
        _refuse_library(name, target, "makes no Problem")
        problem = PROBLEMS.call(target, name, arguments, **context)
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

    return PROBLEMS.call(objective, name, arguments, **context)


def _of_dim(problem: Problem, dim):
    if dim is not None and dim != problem.dim:
        raise ValueError(f"problem {problem.name!r} has dim {problem.dim}; got dim {dim}")
    return problem
