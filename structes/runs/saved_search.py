"""The checkpoint of a search in a run folder, and the rows of the log that belong to it.

A checkpoint counts the rows that were in the log when it was written. What came after it will be
searched again, so those rows go; where a power cut has taken rows away, fewer are left.
"""

from __future__ import annotations

from .. import checks
from ..files import checkpoint

NO_ROW = (-1, 0)  # restart and generation before the first row


def read_saved(path) -> dict:
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
