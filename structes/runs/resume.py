"""Going on with a recorded run: after a kill, after Ctrl-C, or after its budget has been raised.

A search is in its last checkpoint, and goes on from there to the bits of one that nothing has
happened to. That also holds for one that has ended by its budget, because a budget decides when a
search stops and nothing else: with a larger one it is the search that had it from the start. The
config in the folder then says the larger one, so that repeating the run repeats what it is now.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, fields
from math import inf
from typing import Any

from ..files import checkpoint
from ..naming.error_text import nearest
from ..search.kinds import restored
from ..search.restart_es import RestartES
from ..strategy.stopping import Stopping
from ..terminal.output import visible
from .experiment import Experiment, evaluator_of, experiment_from
from .plan import Task, plan
from .reader import RunFolder
from .recorder import Recorder
from .running import search_all
from .trust import check

CHANGEABLE = (*(f.name for f in fields(Stopping)), "target_error")
_SMALLER = ("target", "tolx")  # fire below their limit, others from it on
_RELATIVE = ("tolfun", "tolfunhist")


def resume_experiment(
    folder: str | os.PathLike[str],
    progress: bool = False,
    workers: Any = None,
    timeout: float | None = None,
    changes: Mapping | None = None,
    trust: bool = False,
) -> RunFolder:
    """Go on with a run that was killed or interrupted, or that has used up its budget.

    Searches that have ended stay, but for those that failed, and those that the stopping criteria
    in `changes` (or in a config.yaml that was edited) let go on. One that was under way goes on
    from its last checkpoint, to the bits of a run that nothing had happened to. The others follow.

    Parameters
    ----------
    folder : path-like
        The run folder.
    progress : bool
        Whether to show how the searches go.
    workers, timeout
        Other ones than before; None: the same.
    changes : Mapping, optional
        {name: value} of stopping criteria, as in a config: max_evaluations, target, target_error
        and the other fields of `Stopping`.
    trust : bool
        False: a folder that names code ("module:attribute") has to bear the signature of this
        user's own run (trust.py), and nothing that it names is imported otherwise. True: the user
        trusts whoever made the folder.

    Returns
    -------
    RunFolder
        What the folder then holds.

    Raises
    ------
    ValueError
        For a folder that is no run, for one that is still being written, for one that names code
        and is not the user's own, for changes of anything but stopping criteria, and for changes
        with which no search goes on; and what `run_experiment` raises.
    """
    changes = dict(changes or {})
    for name in changes:
        if name not in CHANGEABLE:
            new = f" (a new run with another one: structes run RUN --set {name}=…)"
            raise ValueError(
                f"a run goes on with other stopping criteria only, and {name!r} is none"
                f"{nearest(name, CHANGEABLE) or new}: they are {', '.join(CHANGEABLE)}"
            )
    with Recorder.reopen(folder) as record:
        config = record.run.config
        check(record.folder, config, trust)
        experiment = experiment_from({**config, **changes})
        tasks, entries = _tasks(experiment, record), record.result["problems"]

        def restore(task):
            tree = record.saved(task.label)
            es = tree and _search_of(experiment, task, tree, record)
            tree = record.keep(task.label, tree, goes_on=es is not None and not es.stop())
            return tree and (es, tree)

        pairs = zip(tasks, entries, strict=True)
        open_tasks = [task for task, entry in pairs if _goes_on(experiment, task, entry, record)]
        if changes and not open_tasks:
            raise ValueError(_why_not(entries))
        workers = experiment.workers if workers is None else workers
        timeout = experiment.timeout if timeout is None else timeout
        evaluator = evaluator_of(workers, timeout, experiment.mode)
        if changes:
            record.configure(experiment.config())
        with evaluator or nullcontext():
            search_all(experiment, open_tasks, evaluator, record, progress, restore)
        return record.content()


def _tasks(experiment: Experiment, record: Recorder) -> list[Task]:
    """Return the searches of the experiment, under the names that the run folder has for them."""
    tasks, entries = plan(experiment), record.result["problems"]
    if len(tasks) != len(entries):
        raise ValueError(
            f"{str(record.folder)!r} is damaged: its config.yaml has {len(tasks)} problems and "
            f"its result.json {len(entries)}"
        )
    return [t._replace(label=e["problem"]) for t, e in zip(tasks, entries, strict=True)]


def _goes_on(experiment: Experiment, task, entry: dict, record: Recorder) -> bool:
    """Is there something left to do for this problem?"""
    if entry["status"] != "done":
        return True
    stop = entry.get("stop") or {}
    if all(holds(name, value, None, task.stopping) for name, value in stop.items()):
        return False
    tree = record.saved(task.label)
    return tree is not None and not _search_of(experiment, task, tree, record).stop()


def _search_of(experiment, task, tree, record):
    """Return the ES or RestartES of a checkpoint, with the stopping criteria that the task has
    now.
    """
    with checkpoint.restoring(record.folder, "search"):
        structure = None if experiment.structure == "auto" else experiment.structure
        es = restored(tree["kind"], tree["search"], structure, task.problem.space)
        go_on(es, task.stopping)
    return es


def go_on(es: Any, stopping: Stopping) -> None:
    """Give an ES or RestartES other stopping criteria. Reasons to stop that no longer hold are
    taken back, and those that hold now are there."""
    run = es.es if isinstance(es, RestartES) else es
    reasons, previous = run.monitor.reasons.items(), run.stopping
    valid = {k: v for k, v in reasons if holds(k, v, previous, stopping)}
    es.go_under(stopping, valid)


def holds(reason: str, value: Any, previous: Stopping | None, current: Stopping) -> bool:
    """Does a reason to stop, which fired with this value under the criteria `previous` (None: not
    known), hold under the criteria `current`?"""
    name = "noeffect" if reason.startswith("noeffect") else reason
    if name not in asdict(current):
        return True  # a callback, or no restart was left
    limit = getattr(current, name)
    if previous is not None and limit == getattr(previous, name):
        return True
    if not limit and name != "target":  # None, False or 0: it is switched off
        return False
    if limit is None or value is None:  # null stands for what JSON cannot say
        return limit is not None
    if limit == "auto" or limit is True:
        return True
    if name in _RELATIVE:  # to a range that is not known here
        return previous is not None and limit >= getattr(previous, name)
    if name in _SMALLER:
        return value <= limit if name == "target" else value < limit
    return value >= limit


# What lets a search go on that has ended for this reason.
_HELP = {
    "max_evaluations": "--max-evaluations",
    "target": "a lower --target",
    "max_generations": "--set max_generations",
    "max_seconds": "--set max_seconds",
    "max_restarts": "a new run with more of them: --set restarts.max_restarts=…",
    "flat": "a new run with another start or a larger --sigma0",
    "failures": "a function that returns numbers",
}
_CONVERGED = "a new run with --restarts ipop, or a smaller tolerance (--set tolfun=null: none)"


def _why_not(entries) -> str:
    """Return what is said where no search goes on."""
    endings, helps = [], []
    for entry in entries:
        reasons = entry.get("stop") or {"nothing": inf}
        endings.append(
            f"{visible(entry['problem'], 200, False)} has ended by {', '.join(reasons)}"
        )
        helps += [_HELP.get(reason, _CONVERGED) for reason in reasons]
    advice = "; ".join(dict.fromkeys(helps))
    return f"there is nothing to go on with: {', '.join(endings)}. What may help: {advice}"
