"""Running an experiment: its searches one after the other, recorded in a folder.

The config in the folder is the experiment again, so running it repeats the run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from operator import methodcaller
from typing import Any

from ..evaluators.failures import traceback_of
from ..evaluators.missing import Evaluation
from ..rowwise import Rowwise
from ..search.loop import run
from ..search.progress import progress_of
from .experiment import Experiment, evaluator_of
from .plan import Task, label_of, plan, start
from .reader import RunFolder
from .recorder import Recorder

_ROWS = methodcaller("rows")


def run_experiment(
    experiment: Experiment, runs: str | os.PathLike[str] = "runs", progress: bool = False
) -> RunFolder:
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


def search_all(
    experiment: Experiment,
    tasks: Iterable[Task],
    evaluator: Any,
    record: Recorder,
    progress: bool,
    restore: Callable[[Task], tuple | None] | None = None,
) -> None:
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
