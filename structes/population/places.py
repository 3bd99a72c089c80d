"""What a row is that is told: a candidate of some generation, or a point of the user's own."""

from __future__ import annotations

from typing import NamedTuple

OPEN, LATE, FORMER, FORGOTTEN, REPEATED, OWN = range(6)  # the kinds (recognition.py)

FARTHEST = 0.1  # standard deviations that rounding may move a coordinate
MISTAKEN = 1e-3  # probability that a point of somebody's own is taken for a candidate


class Place(NamedTuple):
    """What a row is.

    Attributes
    ----------
    kind : int
        One of OPEN, LATE, FORMER, FORGOTTEN, REPEATED and OWN.
    key : tuple or None
        Of a candidate, that of its generation. Of an own row that came in the place of a
        candidate it is the candidate's.
    index : int
        Of the candidate, in its generation.
    print : int or None
        The row's fingerprint, where it is wanted.
    """

    kind: int
    key: tuple | None = None
    index: int = -1  # pyright: ignore[reportIncompatibleMethodOverride]
    print: int | None = None


def reach(dim: int, candidates: int) -> float:
    """How far a row may be from a candidate and still be it, in each of `dim` coordinates.

    Parameters
    ----------
    dim : int
        The number of continuous coordinates.
    candidates : int
        The number of candidates for which it could be taken.

    Returns
    -------
    float
        In standard deviations.
    """
    if not dim:  # integers and choices alone are compared exactly
        return 1e-9
    return min(FARTHEST, (MISTAKEN / max(1, candidates)) ** (1 / dim) / 0.564)
