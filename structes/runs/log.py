"""The log of a run, log.csv: a row for each generation, all problems one below the other."""

from __future__ import annotations

import csv
import os
from collections import deque
from contextlib import suppress
from io import StringIO
from math import nan
from typing import Any

from ..files.folders import Folder
from ..files.opening import lines_of, regular

COLUMNS = (
    "problem",
    "restart",  # 0 in the first run
    "generation",  # closed so far, of all runs
    "evaluations",  # of all runs
    "best",  # value of the best point so far, of all runs
    "error",  # its distance from the problem's minimum; nan where that is unknown
    "generation_best",  # of this generation's values (nan: the budget cut the generation short)
    "generation_median",
    "popsize",
    "dof",  # degrees of freedom of the structure: a jump is a switch of structure="auto"
    "sigma",
    "deviation_min",  # smallest and largest standard deviation of a coordinate; the shape is
    "deviation_max",  # measured every tenth generation, in between only sigma moves them
    "condition",  # of the covariance, as the stopping rules last measured it
    "norm",  # Frobenius norm of the natural-gradient step
    "path_length",  # of the step-size path, over its expectation
    "missing",  # values of this generation that were NaN, or an exception
    "late",  # values of earlier generations' candidates that were used in this one
    "stale",  # the same, left out because the distribution has moved too far
    "injected",  # points of the user's own in this generation
    "failures",  # generations in a row without any value
    "seconds",  # since the start of this problem
)
COUNTS = ("restart", "generation", "evaluations", "popsize", "dof")
COUNTS += ("missing", "late", "stale", "injected", "failures")
_RESTART, _GENERATION = COLUMNS.index("restart"), COLUMNS.index("generation")
_BATCH = 1000  # lines that are written at a time
_BLOCK = 2**16  # bytes that are read at a time


def cells_of(
    es: Any, problem: str, restart: int, minimum: float, shape: tuple[float, float], closed: bool
) -> tuple:
    """Return the cells of a row, in the order of COLUMNS.

    Parameters
    ----------
    es
        An ES or RestartES, after a generation.
    minimum : float
        Of the problem; NaN where that is not known.
    shape
        Smallest and largest standard deviation of a coordinate, over sigma.
    closed : bool
        False: a budget has cut the generation short, and nothing is known of it as a whole.
    """
    info, best = es.info, es.best.fun
    return (
        problem,
        restart,
        es.generation,
        es.evaluations,
        best,
        best - minimum,
        info.best if closed else nan,
        info.median if closed else nan,
        es.popsize,
        es.structure.dof,
        es.sigma,
        es.sigma * shape[0],
        es.sigma * shape[1],
        es.monitor.condition,
        info.norm,
        info.path_length,
        *((info.missing, info.late, info.stale, info.injected) if closed else 4 * (0,)),
        es.monitor.failures,
        f"{es.seconds:.6f}",
    )


class Lines:
    """A text file of a folder to which whole lines are added, each of which is with the operating
    system when `write` returns. Where that fails the lines wait here.

    Parameters
    ----------
    name : str
        Of the file, which is made with the first line where there is none.
    """

    def __init__(self, folder: Folder, name: str):
        self.folder, self.name = folder, name
        self._fd: int | None = None
        self._waiting: list[bytes] = []
        self._size = self._checked = 0  # bytes of whole lines; of those, known to be in the file
        self._torn = False  # may there be a part of a line behind them?
        self.was_cut = False  # has somebody shortened the file?

    def open(self) -> None:
        """Open the file, or again where it is another one now; a torn last line goes."""
        self.close()
        fd = self.folder.open(self.name, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self._fd, self._torn = fd, True
        self._size = self._checked = _whole(fd)

    def close(self) -> None:
        """Let go of the file, and not of what waits."""
        fd, self._fd = self._fd, None
        if fd is not None:
            with suppress(OSError):  # it is closed all the same, and `sync` has had its say
                os.close(fd)

    @property
    def waiting(self) -> int:
        """How many lines could not be written yet."""
        return len(self._waiting)

    def add(self, line: str) -> None:
        """Hand in a line for the next `write`; it ends with a line end."""
        self._waiting.append(line.encode("utf-8", "backslashreplace"))

    def write(self) -> None:
        """Write all lines that wait.

        Raises
        ------
        OSError
            Then it is as if none had been tried.
        """
        if self._fd is None:
            if not self._waiting:
                return
            self.open()
        size = os.fstat(self._fd).st_size
        if size != self._size and not self._torn:  # somebody has been there
            self.was_cut |= size < self._size
            self._size, self._torn = _whole(self._fd), True
        if self._torn:
            os.ftruncate(self._fd, self._size)
            self._torn = False
        while self._waiting:
            text = b"".join(self._waiting[:_BATCH])
            self._torn, pending = True, memoryview(text)
            while pending:
                pending = pending[os.write(self._fd, pending) :]
            self._size += len(text)
            del self._waiting[:_BATCH]
            self._torn = False

    def sync(self) -> None:
        """Write all lines that wait, to stay there in a power cut. A file that has been deleted or
        replaced since is made again, or gets the lines that were written into the one before."""
        self.write()
        if self._fd is None:
            return
        status = self.folder.stat(self.name)
        if status is None or not os.path.samestat(status, os.fstat(self._fd)):
            self._restore()
            self.folder.sync()
        os.fsync(self._fd)
        self._checked = self._size

    def _restore(self):
        # raises where the folder is gone: the file of before is all that has the lines then
        fd = self.folder.open(self.name, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        try:
            size = _whole(fd)
            unsaved = _read(self._fd, self._checked if size else 0, self._size)
        except BaseException:
            os.close(fd)
            raise
        self.close()
        self._fd, self._size, self._checked, self._torn = fd, size, size, True
        self._waiting[:0] = [unsaved] if unsaved else []
        self.write()


class Rows(Lines):
    """A log to which rows are added; they become lines of CSV when they are written."""

    def __init__(self, folder: Folder, name: str):
        super().__init__(folder, name)
        self._cells: deque = deque()

    @property
    def waiting(self) -> int:
        """How many rows could not be written yet."""
        return super().waiting + len(self._cells)

    def add_row(self, cells: tuple) -> None:
        """Hand in a row for the next `write`."""
        self._cells.append(cells)

    def write(self) -> None:
        """Write all rows that wait.

        Raises
        ------
        OSError
            Then it is as if none had been tried.
        """
        while self._cells:
            row = StringIO()
            csv.writer(row, lineterminator="\n").writerow(self._cells[0])
            self.add(row.getvalue())
            self._cells.popleft()
        super().write()


def _whole(fd: int) -> int:
    """Return bytes of a file up to the end of its last whole line."""
    end = os.fstat(fd).st_size
    while end:
        start = max(0, end - _BLOCK)
        position = _read(fd, start, end).rfind(b"\n")
        if position >= 0:
            return start + position + 1
        end = start
    return 0


def _read(fd: int, start: int, end: int) -> bytes:
    os.lseek(fd, start, os.SEEK_SET)
    parts = []
    while start < end and (part := os.read(fd, end - start)):
        parts.append(part)
        start += len(part)
    return b"".join(parts)


def rows_of(path: str | os.PathLike[str], problem: str) -> list[tuple[int, int]]:
    """Return (restart, generation) of each row of a problem, without a torn last one."""
    rows = [row for _, row in _rows(path) if row[0] == problem]
    return [(int(row[_RESTART]), int(row[_GENERATION])) for row in rows]


def keep_rows(folder: Folder, name: str, problem: str, rows: int) -> None:
    """Leave the first `rows` rows of a problem in the log, and all rows of the others.

    What is torn or no row goes, too. The file is replaced whole or not at all.
    """
    lines = [",".join(COLUMNS) + "\n"]
    for line, row in _rows(folder.where / name):
        if row[0] == problem:
            if rows == 0:
                continue
            rows -= 1
        lines.append(line)
    folder.replace(
        name, lambda file: file.write("".join(lines).encode("utf-8", "surrogateescape"))
    )


def _rows(path):
    """Iterate over (line, its cells) of the rows of a log.

    What is torn, or a power cut has left, is no row.
    """
    options = {"newline": "\n", "encoding": "utf-8", "errors": "surrogateescape"}
    with open(path, opener=regular, **options) as file:
        lines = lines_of(file, skip=True)
        next(lines, None)
        for line in lines:
            try:
                (row,) = csv.reader([line])
            except (csv.Error, ValueError):  # NULs, as a power cut leaves them
                continue
            is_whole = len(row) == len(COLUMNS)
            if is_whole and row[_RESTART].isdecimal() and row[_GENERATION].isdecimal():
                yield line, row
