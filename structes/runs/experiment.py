"""An experiment: problems, a structure, a start, and when to stop; run and recorded.

A config is a mapping, mostly from a YAML file; `experiment_from` makes it an Experiment, which
names everything that a search needs, and refuses what it does not know. `run_experiment` searches
the problems one after the other and writes a run folder (record.py); the config in there is the
experiment again, so running it repeats the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from operator import methodcaller
from typing import NamedTuple

import numpy as np

from .. import checks
from ..arrays import noise
from ..error_text import brief, nearest, place_of
from ..evaluators import Evaluator, build_evaluator
from ..evaluators.failures import traceback_of
from ..evaluators.missing import Evaluation, check_on_error
from ..files.yaml_text import check_fits
from ..named_problems import load_problem
from ..problem import Problem
from ..rowwise import Rowwise
from ..search.arguments import Arguments
from ..search.building import arguments_from
from ..search.kinds import search_of
from ..search.loop import check_mode, run
from ..search.options import LIMITS
from ..search.progress import progress_of
from ..strategy.stopping import Stopping
from .config import check_problems, coerce, numbers
from .reader import RunFolder
from .recorder import Recorder


class LoadError(Exception):
    """A user's own module raised something while a problem was loaded from it."""


@dataclass(frozen=True)
class Experiment:
    """What a run does. In a config the fields of `stopping` stand beside the others.

    Parameters
    ----------
    problems : tuple
        Specifications (strings or mappings) as `load_problem` takes them.
    name : str
        A part of the run folder's name.
    description : str
        A line for `structes list`.
    dim : int, optional
        The number of parameters, where a problem's specification does not say.
    structure : str or dict
        The structure of the covariance: a name or a mapping, as for `ES`.
    engine : str or dict
        The update: a name ("default", "cma", "xnes") or a mapping, as for `ES`.
    backend : {"numpy", "cupy"}
        With "cupy" the search is on the GPU, and so are the points of problems that take them
        there (`Problem.device`).
    dtype : {"float64", "float32"}
        The dtype of candidates.
    noise : str or dict, optional
        How noisy values are dealt with: "auto" or a mapping, as for `ES`.
    seed : int, optional
        An integer in [0, 2⁶⁴), the same for every problem.
    popsize : int, optional
        The number of candidates a generation; None means 4 + ⌊3 ln d⌋.
    restarts : str or dict, optional
        A restart strategy: a name ("ipop", "bipop") or a mapping.
    x0, sigma0 : list or float, optional
        The start (d,), and the initial standard deviation, a number or (d,); None: the problem's.
    bounds : list or str, optional
        d pairs (lower, upper), null for open; or "box": the box of the problem.
    boundary, transforms, integers, choices, fixed : optional
        As for `ES`.
    on_error : {"missing", "raise"}
        Whether an exception in a problem is a missing value, or ends the search of that problem.
    workers : int, str or dict, optional
        What `build_evaluator` takes: a number of processes, "ray", an address, or a mapping with
        more. None means that problems are evaluated in this process.
    timeout : float, optional
        The seconds that an evaluation may take, with workers.
    mode : {"generations", "steady"}
        How workers are given candidates.
    target_error : float, optional
        The search stops when the best value is this close to the problem's known minimum.
    stopping : Stopping
        When else to stop; its `target` is a value of the objective.
    """

    problems: tuple
    name: str = "run"
    description: str = ""
    dim: int | None = None
    structure: str | dict = "auto"
    engine: str | dict = "default"
    backend: str = "numpy"
    dtype: str = "float64"
    noise: str | dict | None = None
    seed: int | None = None
    popsize: int | None = None
    restarts: str | dict | None = None
    x0: list | None = None
    sigma0: float | list | None = None
    bounds: str | list | None = None
    boundary: str | None = None
    transforms: list | dict | None = None
    integers: bool | list | None = None
    choices: list | None = None
    fixed: dict | None = None
    on_error: str = "missing"
    workers: int | str | dict | None = None
    timeout: float | None = None
    mode: str = "generations"
    target_error: float | None = None
    stopping: Stopping = field(default_factory=Stopping)

    def config(self) -> dict:
        """Return the mapping that `experiment_from` makes this experiment from; the caller's to
        keep.
        """
        config = asdict(self)
        config.update(config.pop("stopping"), problems=list(config["problems"]))
        return config


_ROWS = methodcaller("rows")
_OWN = {f.name: f.type for f in fields(Experiment) if f.name != "stopping"}
_STOPPING = {f.name: f.type for f in fields(Stopping)}


def experiment_from(config: Mapping) -> Experiment:
    """Return the Experiment of a mapping, which stays as it is.

    Without a seed the experiment gets a random one. Numbers may be given as strings, because YAML
    reads 1e-3 as one.

    Parameters
    ----------
    config : Mapping
        The fields of Experiment, and those of Stopping beside them.

    Raises
    ------
    ValueError
        For an unknown key (the nearest is named).
    ValueError, TypeError
        For a value that does not fit.
    """
    check_fits(config)  # it will be written, and is to be read again
    values, stopping = {}, {}
    for key, value in config.items():
        if not isinstance(key, str):
            hint = " (YAML reads on, off, yes and no as true and false: write it in quotes)"
            raise ValueError(
                f"a config's keys must be words; got {brief(key)}{hint * isinstance(key, bool)}"
            )
        if key == "problems":
            values[key] = check_problems(value)
        elif key in ("bounds", "transforms", "integers", "choices", "fixed"):
            values[key] = numbers(value)
        elif key in _OWN:
            values[key] = coerce(value, _OWN[key], key)
        elif key in _STOPPING:
            stopping[key] = coerce(value, _STOPPING[key], key)
        else:
            names = [*_OWN, *_STOPPING]
            raise ValueError(
                f"unknown config key {key!r}{nearest(key, names)}; known: {', '.join(names)}"
            )
    if "problems" not in values:
        raise ValueError("an experiment needs problems: none is given")
    values["seed"] = noise.check_seed(values.get("seed"))
    check_on_error(values.get("on_error", "missing"))
    check_mode(values.get("mode", "generations"))
    evaluator_of(values.get("workers"), values.get("timeout"), values.get("mode"))
    for name, check in {
        "dim": lambda v: checks.count("dim", v, 1),
        "popsize": lambda v: checks.count("popsize", v, 2),
        "target_error": lambda v: checks.number("target_error", v, positive=True),
    }.items():
        if values.get(name) is not None:
            check(values[name])
    return Experiment(stopping=Stopping(**stopping), **values)


def evaluator_of(workers, timeout=None, mode=None) -> Evaluator | None:
    """Return the Evaluator that an experiment names, None where it has no workers.

    Raises
    ------
    ValueError, TypeError
        Where the workers do not fit, or a timeout or a mode needs some and there are none.
    """
    if workers is not None:
        return build_evaluator(workers, timeout=timeout)
    if timeout is not None or mode == "steady":
        option = "mode 'steady'" if timeout is None else f"timeout {timeout:g}"
        raise ValueError(f"{option} needs workers: 1 is one process")
    return None


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


def start(experiment: Experiment, task: Task):
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


def run_experiment(experiment: Experiment, runs="runs", progress: bool = False) -> RunFolder:
    """Search all problems, and record it in a new folder.

    An exception in a problem is a missing value, and the first one is recorded with its traceback.
    A problem that gives no value at all has failed, and the others are still searched.
    KeyboardInterrupt (Ctrl-C) ends the run with the best so far; it is not raised again.

    Parameters
    ----------
    experiment : Experiment
        What to do.
    runs : path-like
        The folder in which the run's folder is made.
    progress : bool
        Whether to show how the searches go.

    Returns
    -------
    RunFolder
        What the folder then holds.

    Raises
    ------
    ValueError, TypeError, ImportError
        What `plan` raises, before anything is written.
    OSError
        Where the folder cannot be written, or a cluster does not answer.
    """
    tasks = plan(experiment)
    evaluator = evaluator_of(experiment.workers, experiment.timeout, experiment.mode)
    with evaluator or nullcontext(), _recorder(runs, experiment, tasks) as record:
        search_all(experiment, tasks, evaluator, record, progress)
        return record.content()


def _recorder(runs, experiment, tasks) -> Recorder:
    facts = {"structure": label_of(experiment.structure), "seed": experiment.seed}
    labels = [task.label for task in tasks]
    return Recorder(runs, experiment.name, experiment.config(), labels, facts)


def search_all(experiment, tasks, evaluator, record: Recorder, progress, restore=None) -> None:
    """Search the tasks one after the other, and record it.

    Parameters
    ----------
    restore
        Function of a task that returns its ES as it was, and the checkpoint that it comes from; or
        None, where it has to begin.
    """
    try:
        for task in tasks:
            es, saved = (restore and restore(task)) or (start(experiment, task), None)
            evaluate = _evaluate(experiment, task, evaluator)
            record.begin(task.label, es, task.problem.minimum, task.problem.space, evaluate)
            if saved is not None:
                record.resumed(saved)
            try:
                _search(es, task, evaluate, experiment.mode, record, progress)
            except (Exception, SystemExit) as error:  # the problem's: what looks on raises nothing
                status, trace = "failed", traceback_of(error)
            else:
                failed = es.best.x is None and evaluate.errors
                status, trace = "failed" if failed else "done", evaluate.traceback()
            record.end(status, trace)
        record.finish()
    except KeyboardInterrupt:
        record.finish("interrupted")


def _evaluate(experiment, task, evaluator):
    """Return what evaluates the problem of a task: a problem is made anew in every worker, for not
    all of them pickle."""
    rows = task.problem.rows()
    if evaluator is None:
        return Evaluation(rows, experiment.on_error)
    by_point = isinstance(rows, Rowwise)
    return evaluator.bind_rows(task.load, _ROWS, by_point, True, experiment.on_error, local=rows)


def _search(es, task, evaluate, mode, record, progress):
    with progress_of(progress, es, task.label, task.problem.minimum) as report:

        def after(es):
            record.generation(es)
            report(es)

        run(es, evaluate, after, record.told, mode)


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


def label_of(spec) -> str:
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
