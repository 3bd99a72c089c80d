"""The searches of an experiment: for each problem its label, its arguments, and when to stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .. import checks
from ..named_problems import load_problem
from ..naming.error_text import place_of
from ..problem import Problem
from ..search.arguments import Arguments
from ..search.building import arguments_from
from ..search.kinds import search_of
from ..search.options import LIMITS
from ..strategy.stopping import Stopping
from .experiment import Experiment


class LoadError(Exception):
    """A user's own module raised something while a problem was loaded from it."""


class Task(NamedTuple):
    """One search of an experiment: a label of its own, what makes its problem in a worker, and the
    Arguments of the search."""

    label: str
    load: partial
    problem: Problem
    arguments: Arguments

    @property
    def stopping(self) -> Stopping:
        """When the search stops."""
        return self.arguments.stopping


def plan(experiment: Experiment) -> list[Task]:
    """Return the searches of an experiment, every argument checked before anything is evaluated.

    Raises
    ------
    ValueError, TypeError, ImportError
        For an argument that does not fit; the message names it.
    LoadError
        For a fault in a module of the user.
    """
    tasks = []
    for spec in experiment.problems:
        label = label_of(spec)
        n_same = sum(t.label.split(" #")[0] == label for t in tasks)
        label += f" #{n_same + 1}" * (n_same > 0)
        load = partial(load_problem, spec, experiment.dim)
        problem, stopping = _load(load, label, experiment)
        task = Task(label, load, problem, _arguments(experiment, problem, stopping))
        start(experiment, task)
        tasks.append(task)
    return tasks


def start(experiment: Experiment, task: Task) -> Any:
    """Return the ES, or RestartES, of one search."""
    return search_of(task.arguments, experiment.restarts)


def _arguments(experiment, problem, stopping) -> Arguments:
    """Return the Arguments of the search of one problem."""
    x0, sigma0 = experiment.x0, experiment.sigma0
    if problem.space is not None:
        if x0 is not None:
            raise ValueError(f"x0 does not go with a space: its parameters have a start; got {x0}")
        x0 = problem.space
    else:
        x0 = problem.x0() if x0 is None else checks.point("x0", x0, problem.dim)
        sigma0 = problem.sigma0() if sigma0 is None else sigma0
    values = {name: getattr(experiment, name) for name in LIMITS}
    limits = {name: value for name, value in values.items() if value is not None}
    if limits.get("bounds") == "box":
        limits["bounds"] = _box(problem)
    begins = x0, sigma0, experiment.structure, experiment.seed, experiment.popsize
    return arguments_from(
        "Experiment",
        *begins,
        engine=experiment.engine,
        backend=experiment.backend,
        dtype=experiment.dtype,
        noise=experiment.noise,
        **limits,
        **asdict(stopping),
    )


def _box(problem: Problem) -> list:
    if problem.lower is None or problem.upper is None:
        raise ValueError(f"bounds: 'box' needs a problem that has one; {problem.name!r} has none")
    sides = (np.broadcast_to(side, problem.dim) for side in (problem.lower, problem.upper))
    return np.stack(list(sides), axis=1).tolist()


def _load(load, label, experiment):
    try:
        problem = load()
    except Exception as error:
        place = place_of(error)  # "" where structes has raised it, whose message says enough
        if isinstance(error, ImportError) or (
            not place and type(error) in (ValueError, TypeError)
        ):
            raise
        message = f"raised {type(error).__name__}: {error}{place}"
        raise LoadError(f"problem {label!r} {message}") from error
    stopping = experiment.stopping
    if experiment.target_error is not None:
        if problem.minimum is None:
            raise ValueError(
                f"target_error needs the minimum of the problem, which {label!r} does not tell; "
                "give target, a value of the objective, in its place"
            )
        target = problem.minimum + experiment.target_error
        if stopping.target is not None:  # whichever comes first
            target = max(target, stopping.target)
        stopping = replace(stopping, target=target)
    return problem, stopping


# Facts about a function of the user's, in its specification: they do not make another function.
_FACTS = ("vectorized", "lower", "upper", "minimum", "start", "scale", "device", "space")


def label_of(spec: Any) -> str:
    """Return a specification in one word: {"name": "rosenbrock", "dim": 20} is "rosenbrock:dim20",
    and {"name": "svm:loss", "space": {…}} is "svm:loss"."""
    if not isinstance(spec, Mapping):
        return str(spec)
    words = [str(spec.get("name", "?"))]
    for key, value in spec.items():
        if key != "name" and not (":" in words[0] and key in _FACTS):
            number = isinstance(value, (int, float)) and abs(value) < 1e300
            words.append(f"{key}{value:.12g}" if number else key)
    return ":".join(words)
