"""COCO's own data format beside our rows, so that `cocopp` makes its tables and plots from a run.

Each run has an observer and a folder of its own, `FOLDER/solver/f1-i1-d5`: processes cannot get
into each other's way, and a run that was interrupted is simply written again. `cocopp` looks for
`.info` files in all depths and merges them, so `FOLDER/solver` is one algorithm to it:

    python -m cocopp FOLDER/structes-dense FOLDER/pycma

All restarts of a run are evaluations of one COCO run. With the observer on, a run goes on to the
error 10⁻⁸, the last target of cocopp, where cocopp stops counting; a run that misses it has the
number of evaluations that our rows have.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ...files.folders import file_name

LAST = 1e-8  # the last target of cocopp
DIMS = {"bbob": (2, 3, 5, 10, 20, 40)}  # that the suite has; other suites refuse others anyway


def place(task, folder: Path) -> Path:
    """The folder of a task's data."""
    return Path(folder) / file_name(task.solver) / f"f{task.f}-i{task.i}-d{task.d}"


def check_complete(tasks, rows, folder: Path) -> None:
    """Raises ValueError where a task cannot have data, or is done without."""
    for task in tasks:
        if task.d not in DIMS.get(task.suite, (task.d,)):
            allowed = ", ".join(map(str, DIMS[task.suite]))
            raise ValueError(f"COCO observes {task.suite} in dimensions {allowed}; got {task.d}")
    solvers = {task.solver for task in tasks}
    if len({file_name(solver) for solver in solvers}) < len(solvers):
        raise ValueError("two solvers would share a folder of COCO data; run them one by one")
    known_tasks = set(tasks)
    for row in rows:
        task = next(iter(known_tasks))._make(row[k] for k in next(iter(known_tasks))._fields)
        if task in known_tasks and not place(task, folder).is_dir():
            raise ValueError(
                f"{place(task, folder)} is missing, but its run is done: it was made without "
                "--coco; take another output folder"
            )


@contextmanager
def observed(task, folder: Path | None, function):
    """The task's function, (n, d) -> (n,), with COCO's observer on it.

    folder     None: no observer, `function` itself is given back
    """
    if folder is None:
        yield function
        return
    import cocoex

    target = place(task, folder).absolute()
    shutil.rmtree(
        target, ignore_errors=True
    )  # of a run that was interrupted: COCO would not reuse it
    cocoex.log_level("warning")  # else a line on stdout for every run
    suite = cocoex.Suite(task.suite, f"instances:{task.i}", f"dimensions:{task.d}")
    problem = suite.get_problem_by_function_dimension_instance(task.f, task.d, task.i)
    observer = cocoex.Observer(
        task.suite,
        f'outer_folder: "{target.parent}" result_folder: {target.name} '
        f"algorithm_name: {target.parent.name} algorithm_info: structes-bench",
    )
    problem.observe_with(observer)
    try:
        yield lambda X: np.array([problem(x) for x in X])
    finally:
        problem.free()  # closes the files
