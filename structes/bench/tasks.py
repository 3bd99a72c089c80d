"""Many independent runs, in several processes, recorded as they end.

A task is a NamedTuple; solving it gives a row: a dict that holds the task's own fields and what
came out. Rows go to a CSV file one by one, so a run that was interrupted goes on where it was:
call it again and finished tasks are not repeated.
"""

from __future__ import annotations

import csv
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path


def run_tasks(tasks, solve, columns, path: Path, jobs: int, report=lambda done, total: None):
    """Run the tasks that are not in the CSV file yet, appending a row for each: rows of all.

    tasks     NamedTuples of one type, with fields that identify them
    solve     function of a task, of a module's top level: returns its row
    columns   {column: function that reads it from text}, the task's fields among them
    report    called with (done, total) after each

    A torn last line (the process was killed while writing) is done again.
    """
    rows, wanted = read_rows(path, columns), set(tasks)
    fields = type(tasks[0])._fields if tasks else ()
    done = {tuple(row[k] for k in fields) for row in rows}
    left = [task for task in tasks if tuple(task) not in done]
    if left:
        _write(path, rows, columns)
        with open(path, "a", newline="") as file, ProcessPoolExecutor(jobs) as pool:
            writer = csv.DictWriter(file, columns)
            futures = [pool.submit(solve, task) for task in left]
            try:
                for n, future in enumerate(as_completed(futures), 1):
                    rows.append(future.result())
                    writer.writerow(rows[-1])
                    file.flush()
                    report(n, len(left))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return [row for row in rows if tuple(row[k] for k in fields) in wanted]


def _write(path, rows, columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


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
    return [{key: read(row[key]) for key, read in columns.items()} for row in reader]
