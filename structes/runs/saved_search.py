"""The checkpoint of a search in a run folder, and the rows of the log that belong to it.

A checkpoint counts the rows that were in the log when it was written. What came after it will be
searched again, so those rows go; where a power cut has taken rows away, fewer are left.
"""

from __future__ import annotations

import os

from .. import checks
from ..files import checkpoint

NO_ROW = (-1, 0)  # restart and generation before the first row


def read_saved(path: str | os.PathLike[str]) -> dict:
    """Return the tree of a checkpoint: "search", "kind", "rows", "row", "shape" and "failures".

    Parameters
    ----------
    path : path-like
        The file of the checkpoint.

    Raises
    ------
    ValueError
        Where the file is damaged.
    """
    _, tree = checkpoint.read(path)
    with checkpoint.restoring(path, "search"):
        tree["rows"] = checks.count("rows", tree["rows"], 0)
        row, shape = tuple(tree["row"]), tuple(tree["shape"])
        if len(row) != 2 or len(shape) != 2:
            raise ValueError("row and shape must be pairs")
        tree["row"] = tuple(checks.count("row", number, -1) for number in row)
        failures = tree.setdefault("failures", {})  # of an earlier version: not known
        if not isinstance(failures, dict):
            raise ValueError("failures must be counts by their kinds")
        for n in failures.values():
            checks.count("failures", n, 0)
        if tree.setdefault("written", None) is not None:
            tree["written"] = checks.count("written", tree["written"], 0)
    return tree


def kept_rows(log_rows: list[tuple[int, int]], tree: dict) -> tuple[list, bool]:
    """Return the rows of the log that a checkpoint counts on, and whether some are lost.

    Parameters
    ----------
    log_rows : list of (restart, generation)
        The rows of the problem that are in the log.
    tree : dict
        The checkpoint, as `read_saved` returns it.
    """
    rows = log_rows[: tree["rows"]]
    if len(rows) < tree["rows"] or (rows and rows[-1] != tree["row"]):
        rows = [row for row in log_rows if row <= tree["row"]][: tree["rows"]]
        return rows, True
    return rows, False


def was_cut_short(rows: list[tuple[int, int]]) -> bool:
    """Is the last row one of a generation that a budget has cut short?

    The search that has a larger budget closes that generation, and writes a row for it.
    """
    return bool(rows) and rows[-1][1] == (rows[-2] if len(rows) > 1 else NO_ROW)[1]


def gap_message(
    path: str | os.PathLike[str], problem: str, tree: dict, rows: list[tuple[int, int]]
) -> str:
    """Return what a user is told where rows of the log are lost, as after a power cut."""
    generations = f"generations {rows[-1][1] + 1 if rows else 1} to {tree['row'][1]}"
    return (
        f"{path.name} in {str(path.parent)!r} lacks {tree['rows'] - len(rows)} of the "
        f"{tree['rows']} rows of {problem!r} ({generations}), as after a power cut. The search "
        "goes on from its checkpoint, to the same bits; those rows stay lost"
    )
