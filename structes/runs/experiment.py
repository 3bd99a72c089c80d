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
from ..evaluators import Evaluator, build_evaluator
from ..evaluators.failures import traceback_of
from ..evaluators.missing import Evaluation, check_on_error
from ..files.yaml_text import check_fits
from ..named_problems import load_problem
from ..problem import Problem
from ..registry import brief, nearest, place_of
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

    problems      tuple of specifications (strings or mappings) as `load_problem` takes them
    name          part of the run folder's name
    description   a line for `structes list`
    dim           number of parameters, where a problem's specification does not say
    structure     name or mapping, as for `ES`
    engine        the update: a name ("default", "cma", "xnes") or mapping, as for `ES`
    backend       "numpy", or "cupy": the search is on the GPU, and so are the points of problems
                  that take them there (`Problem.device`)
    dtype         of candidates: "float64" or "float32"
    noise         None, or how noisy values are dealt with: "auto" or a mapping, as for `ES`
    seed          integer in [0, 2⁶⁴), the same for every problem
    popsize       candidates a generation; None: 4 + ⌊3 ln d⌋
    restarts      None, or a restart strategy: a name ("ipop", "bipop") or mapping
    x0, sigma0    start (d,), initial standard deviation (number or (d,)); None: the problem's
    bounds        d pairs (lower, upper), null for open; or "box": the box of the problem
    boundary, transforms, integers, choices, fixed   as for `ES`
    on_error      "missing": an exception in a problem is a missing value; "raise": it ends the
                  search of that problem
    workers       None: problems are evaluated here; or what `build_evaluator` takes: a number of
                  processes, "ray", an address, or a mapping with more
    timeout       seconds that an evaluation may take, with workers
    mode          with workers: "generations" or "steady"
    target_error  stop when the best value is this close to the problem's known minimum
    stopping      when else to stop; its `target` is a value of the objective
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
        """The mapping that `experiment_from` makes this experiment from; the caller's to keep."""
        config = asdict(self)
        config.update(config.pop("stopping"), problems=list(config["problems"]))
        return config


_ROWS = methodcaller("rows")
_OWN = {f.name: f.type for f in fields(Experiment) if f.name != "stopping"}
_STOPPING = {f.name: f.type for f in fields(Stopping)}


def experiment_from(config: Mapping) -> Experiment:
    """The Experiment of a mapping, which stays as it is; without a seed it gets a random one.

    Numbers may be given as strings, because YAML reads 1e-3 as one. Raises ValueError for an
    unknown key, naming the nearest, and ValueError or TypeError for a value that does not fit.
    """
    check_fits(config)  # it will be written, and is to be read again
    own, stopping = {}, {}
    for key, value in config.items():
        if not isinstance(key, str):
            hint = " (YAML reads on, off, yes and no as true and false: write it in quotes)"
            raise ValueError(
                f"a config's keys must be words; got {brief(key)}{hint * isinstance(key, bool)}"
            )
        if key == "problems":
            own[key] = check_problems(value)
        elif key in ("bounds", "transforms", "integers", "choices", "fixed"):
            own[key] = numbers(value)
        elif key in _OWN:
            own[key] = coerce(value, _OWN[key], key)
        elif key in _STOPPING:
            stopping[key] = coerce(value, _STOPPING[key], key)
        else:
            known = [*_OWN, *_STOPPING]
            raise ValueError(
                f"unknown config key {key!r}{nearest(key, known)}; known: {', '.join(known)}"
            )
    if "problems" not in own:
        raise ValueError("an experiment needs problems: none is given")
    own["seed"] = noise.check_seed(own.get("seed"))
    check_on_error(own.get("on_error", "missing"))
    check_mode(own.get("mode", "generations"))
    evaluator_of(own.get("workers"), own.get("timeout"), own.get("mode"))
    for name, check in {
        "dim": lambda v: checks.count("dim", v, 1),
        "popsize": lambda v: checks.count("popsize", v, 2),
        "target_error": lambda v: checks.number("target_error", v, positive=True),
    }.items():
        if own.get(name) is not None:
            check(own[name])
    return Experiment(stopping=Stopping(**stopping), **own)


def evaluator_of(workers, timeout=None, mode=None) -> Evaluator | None:
    """The Evaluator that an experiment names, None where it has no workers.

    Raises ValueError or TypeError.
    """
    if workers is not None:
        return build_evaluator(workers, timeout=timeout)
    if timeout is not None or mode == "steady":
        what = "mode 'steady'" if timeout is None else f"timeout {timeout:g}"
        raise ValueError(f"{what} needs workers: 1 is one process")
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
    """The searches of an experiment, every argument checked before anything is evaluated.

    Raises ValueError, TypeError or ImportError naming what does not fit, LoadError for a fault in
    a module of the user.
    """
    tasks = []
    for spec in experiment.problems:
        label = label_of(spec)
        same = sum(t.label.split(" #")[0] == label for t in tasks)
        label += f" #{same + 1}" * (same > 0)
        load = partial(load_problem, spec, experiment.dim)
        problem, stopping = _load(load, label, experiment)
        task = Task(label, load, problem, _arguments(experiment, problem, stopping))
        start(experiment, task)
        tasks.append(task)
    return tasks


def start(experiment: Experiment, task: Task):
    """The ES, or RestartES, of one search."""
    return search_of(task.arguments, experiment.restarts)


def _arguments(experiment, problem, stopping) -> Arguments:
    """The Arguments of the search of one problem."""
    x0, sigma0 = experiment.x0, experiment.sigma0
    if problem.space is not None:
        if x0 is not None:
            raise ValueError(f"x0 does not go with a space: its parameters have a start; got {x0}")
        x0 = problem.space
    else:
        x0 = problem.x0() if x0 is None else checks.point("x0", x0, problem.dim)
        sigma0 = problem.sigma0() if sigma0 is None else sigma0
    limits = {name: getattr(experiment, name) for name in LIMITS}
    limits = {name: value for name, value in limits.items() if value is not None}
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
    """Search all problems and record it in a new folder of `runs`: what the folder then holds.

    An exception in a problem is a missing value, and the first one is recorded with its traceback.
    A problem that gives no value at all has failed, and the others are still searched.
    KeyboardInterrupt (Ctrl-C) ends the run with the best so far; it is not raised again. Raises
    what `plan` raises before anything is written, OSError where the folder cannot be written or a
    cluster does not answer.
    """
    tasks = plan(experiment)
    evaluator = evaluator_of(experiment.workers, experiment.timeout, experiment.mode)
    with evaluator or nullcontext(), _recorder(runs, experiment, tasks) as record:
        search_all(experiment, tasks, evaluator, record, progress)
        return record.content()


def _recorder(runs, experiment, tasks) -> Recorder:
    about = {"structure": label_of(experiment.structure), "seed": experiment.seed}
    labels = [task.label for task in tasks]
    return Recorder(runs, experiment.name, experiment.config(), labels, about)


def search_all(experiment, tasks, evaluator, record: Recorder, progress, restore=None) -> None:
    """Search the tasks one after the other, and record it.

    restore   function of a task that returns its ES as it was, and the checkpoint that it comes
              from; or None, where it has to begin
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
                status, said = "failed", traceback_of(error)
            else:
                failed = es.best.x is None and evaluate.errors
                status, said = "failed" if failed else "done", evaluate.traceback()
            record.end(status, said)
        record.finish()
    except KeyboardInterrupt:
        record.finish("interrupted")


def _evaluate(experiment, task, evaluator):
    """What evaluates the problem of a task: a problem is made anew in every worker, for not all of
    them pickle."""
    rows = task.problem.rows()
    if evaluator is None:
        return Evaluation(rows, experiment.on_error)
    by_point = isinstance(rows, Rowwise)
    return evaluator.bind_rows(task.load, _ROWS, by_point, True, experiment.on_error, here=rows)


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
        said = f"raised {type(error).__name__}: {error}{place}"
        raise LoadError(f"problem {label!r} {said}") from error
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
    """A specification in one word: {"name": "rosenbrock", "dim": 20} is "rosenbrock:dim20", and
    {"name": "svm:loss", "space": {…}} is "svm:loss"."""
    if not isinstance(spec, Mapping):
        return str(spec)
    words = [str(spec.get("name", "?"))]
    for key, value in spec.items():
        if key != "name" and not (":" in words[0] and key in _FACTS):
            number = isinstance(value, (int, float)) and abs(value) < 1e300
            words.append(f"{key}{value:.12g}" if number else key)
    return ":".join(words)
