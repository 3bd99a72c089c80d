"""Many independent runs, in several processes, recorded as they end.

A task is a NamedTuple; solving it gives a row: a dict that holds the task's own fields and what
came out. Rows go to a CSV file one by one, so a run that was interrupted goes on where it was:
call it again and finished tasks are not repeated.
"""

from __future__ import annotations

import csv
import io
import signal
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from multiprocessing import active_children
from pathlib import Path

from threadpoolctl import threadpool_limits

from ..files.folders import replace


class Failed(RuntimeError):
    """Some tasks failed, with failures: {task: exception}; the rows of the others are recorded."""

    def __init__(self, failures: dict, total: int):
        self.failures = failures
        task, error = next(iter(failures.items()))
        cause = f"{error.__cause__ or error}".strip()
        super().__init__(
            f"{len(failures)} of {total} runs failed; the others are recorded. First: {task}\n"
            f"{cause}"
        )


def run_tasks(
    tasks,
    solve,
    columns,
    path: Path,
    jobs: int,
    report=lambda finished, total: None,
    size=lambda task: 1,
):
    """Run the tasks that are not in the CSV file yet, appending a row for each: rows of all.

    tasks     NamedTuples of one type, with fields that identify them
    solve     function of a task, that can be pickled: returns its row
    columns   {column: function that reads it from text}, the task's fields among them
    report    called with (done, total) at the start and after each, sums of sizes
    size      function of a task: how long it may take, in any unit

    A torn last line (the process was killed while writing) is done again. Ctrl-C ends the workers
    at once; what they were at is lost. A task that fails stops no other; raises Failed at the end.
    """
    rows, wanted_tasks = read_rows(path, columns), set(tasks)
    fields = type(tasks[0])._fields if tasks else ()
    finished = {tuple(row[k] for k in fields) for row in rows}
    remaining = [task for task in tasks if tuple(task) not in finished]
    if remaining:
        write_rows(path, rows, columns)
        with open(path, "a", newline="") as file:
            writer = csv.DictWriter(file, columns)
            size_done, total, failures = 0, sum(map(size, remaining)), {}
            report(size_done, total)
            with closing(_solved(remaining, solve, jobs)) as solved:
                for task, row, error in solved:
                    if error is None:
                        rows.append(row)
                        writer.writerow(row)
                        file.flush()
                    else:
                        failures[task] = error
                    size_done += size(task)
                    report(size_done, total)
        if failures:
            raise Failed(failures, len(remaining)) from next(iter(failures.values()))
    return [row for row in rows if tuple(row[k] for k in fields) in wanted_tasks]


def _solved(tasks, solve, jobs):
    """(task, row, None) of each task as it ends; (task, None, error) of one that fails."""
    children_before = set(active_children())
    pool = ProcessPoolExecutor(jobs, initializer=_begin, initargs=(jobs,))
    try:
        futures = {pool.submit(solve, task): task for task in tasks}
        for future in as_completed(futures):
            error = future.exception()
            yield futures[future], None if error else future.result(), error
    except BaseException:
        for process in set(active_children()) - children_before:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(jobs):
    """A process leaves interrupts to its parent, and the processors to the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if jobs > 1:  # BLAS of many threads in each of many processes is slower by orders of magnitude
        threadpool_limits(1, user_api="blas")


def write_rows(path: Path, rows, columns) -> None:
    """Make the file hold these rows: the old file is there until the new one is whole."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, lambda file: file.write(text.getvalue().encode()))


def read_rows(path: Path, columns: dict) -> list[dict]:
    """Rows of a result file, each column read by its function; [] where there is no file.

    Raises ValueError when the file has other columns.
    """
    if not path.exists():
        return []
    text = path.read_text()
    reader = csv.DictReader(text[: text.rfind("\n") + 1].splitlines())
    if reader.fieldnames and list(reader.fieldnames) != list(columns):
        raise ValueError(f"{path} has columns {', '.join(reader.fieldnames)}: of another bench?")
    return [
        {key: reader_of_column(row[key]) for key, reader_of_column in columns.items()}
        for row in reader
    ]
