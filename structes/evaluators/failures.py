"""Evaluations without a value: what each of them was, how many there were, which ones to keep.

A simulator that fails in one of a hundred evaluations does so a hundred thousand times in a long
run, mostly in a few ways. So failures are counted by their kinds, and the first ones of each kind
are kept in full, with the parameters at which they happened. Texts are cut: an exception may carry
a whole mesh in its words.
"""

from __future__ import annotations

import json
import os
import traceback
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..arrays.libraries import to_numpy
from ..files.opening import regular

KEPT = 100  # failures whose words are kept until somebody takes them
SAMPLES = 20  # failures of a kind that are written down in full
OTHER = "other"  # the kind of all that are of more kinds than that
_KINDS = 50
MESSAGE, TRACEBACK = 2000, 10_000  # characters that are kept of each, and few more
_LONGEST = 2**18  # characters of a line; what is cut takes up to 12 in JSON
_LONG = 1000  # points of more numbers are not written down


def cut(text: str, limit: int) -> str:
    """Return `text`, without its middle where it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]} … [{len(text) - 2 * half} characters] … {text[-half:]}"


class EvaluationError(RuntimeError):
    """A function, or all workers, failed: in words, with the worker's traceback."""


def check_that_it_works(outcome: Any) -> None:
    """Raises EvaluationError where the function as such is wrong."""
    if outcome.fatal is not None:
        raise EvaluationError(f"a worker cannot evaluate the function:\n{outcome.fatal}")


class Failure(NamedTuple):
    """One evaluation without a value.

    Parameters
    ----------
    row : int
        Which row.
    kind : str
        The exception's class, "NoValue", "Timeout" or "WorkerDied".
    message : str
        In words, what was wrong.
    traceback : str
        The traceback, where there is one.
    point : list or None
        The d numbers of the point, where they are kept.
    """

    row: int
    kind: str
    message: str
    traceback: str = ""
    point: list | None = None

    @classmethod
    def of(cls, error: BaseException, row: int) -> Failure:
        """Return what an exception says."""
        try:
            words = str(error)
        except Exception:  # an exception of the user's that cannot even be printed
            return cls(row, type(error).__name__[:100], "it cannot be printed")
        trace = traceback_of(error)
        return cls(row, type(error).__name__[:100], cut(words, MESSAGE), trace)

    def __str__(self):
        return f"{self.kind}: {self.message}" if self.message else self.kind


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an exception as text, which is cut where it is very long."""
    try:
        return cut("".join(traceback.format_exception(error)), TRACEBACK)
    except Exception:  # of the user's, in the words of an exception
        return f"{type(error).__name__}: it cannot be printed"


class Counted:
    """What counts failures: a part of whatever evaluates.

    Attributes
    ----------
    errors : int
        The number of failures so far.
    kinds : Counter
        How many there were of each kind.
    failures : list of Failure
        The latest of them; whoever reads them may clear the list.
    """

    def __init__(self):
        self.errors = 0
        self.kinds: Counter = Counter()
        self.failures: list[Failure] = []

    def count(self, failure: Failure, X: Any) -> None:
        """Take down a failure at a row of X (n, d)."""
        kind = failure.kind
        if kind not in self.kinds and len(self.kinds) >= _KINDS:
            kind = OTHER
        self.errors += 1
        self.kinds[kind] += 1
        if self.kinds[kind] <= SAMPLES and X.shape[1] <= _LONG:
            failure = failure._replace(point=point_at(X, failure.row).tolist())
        self.failures = [*self.failures, failure][-KEPT:]


def point_at(X: Any, row: int) -> np.ndarray:
    """Return the point (d,) in a row of X, an array of any library or Candidates."""
    rows = X[row : row + 1]
    return np.array(to_numpy(rows.points() if hasattr(rows, "points") else rows)[0])


class Table:
    """The failures of one problem of a run: counts by kind, and lines for the first of each.

    Parameters
    ----------
    problem : str
        The label of the problem.
    space : Space or None
        The space of its parameters, by whose names a point is written.
    earlier_counts : Mapping or None
        The counts by kind of an earlier part of the same search.
    n_written : int or None
        How many lines were written in that; None: as many as should have been.
    """

    def __init__(
        self,
        problem: str,
        space: Any = None,
        earlier_counts: Mapping | None = None,
        n_written: int | None = None,
    ):
        self._problem, self._space = problem, space
        self._earlier_counts = Counter(earlier_counts or {})
        self._n_written_of = Counter(
            {kind: min(n, SAMPLES) for kind, n in self._earlier_counts.items()}
        )
        self.n_written = sum(self._n_written_of.values()) if n_written is None else n_written
        self.counts = dict(self._earlier_counts)

    def take(self, evaluate: Any, generation: int) -> list[str]:
        """Take over what has been counted since: lines of JSON for those to be kept."""
        lines = []
        for failure in evaluate.failures:
            kind = failure.kind if failure.kind in evaluate.kinds else OTHER
            if self._n_written_of[kind] < SAMPLES:
                self._n_written_of[kind] += 1
                self.n_written += 1
                lines.append(self._line(failure, generation))
        evaluate.failures.clear()
        self.counts = dict(self._earlier_counts + evaluate.kinds)
        return lines

    def _line(self, failure, generation):
        record = {"problem": self._problem, "generation": generation, **failure._asdict()}
        params = record.pop("point")
        if params is not None and self._space is not None:
            named = self._space.to_dict(params)
            params = {name: plain_option(value) for name, value in named.items()}
        return json.dumps({**record, "params": params}) + "\n"


def first_lines(path: str | os.PathLike[str], problem: str, limit: int) -> str:
    """Return the lines of a file of failures, of those of one problem the first `limit` only."""
    lines = []
    with open(path, encoding="utf-8", errors="surrogateescape", opener=regular) as file:
        for line in iter(lambda: file.readline(_LONGEST), ""):
            is_of_problem = _problem_of(line) == problem
            if line.endswith("\n") and (not is_of_problem or limit > 0):
                lines.append(line)
            limit -= is_of_problem
    return "".join(lines)


def _problem_of(line: str) -> str | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record.get("problem") if isinstance(record, dict) else None


def plain_option(value: Any) -> Any:
    """Return an option of a choice as JSON has it; of an object of the user's its repr."""
    return value if isinstance(value, (bool, int, float, str, type(None))) else repr(value)
