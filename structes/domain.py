"""The map from search coordinates to the points that are evaluated, and back.

A search moves in all of R^d; the user's points live in a box, on a logarithmic scale, on integers.
`decode` makes points of search coordinates, `encode` is its inverse on points that are allowed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Domain:
    """All of R^d: the two coordinates are the same.

    dim   number of parameters, d
    """

    dim: int

    def decode(self, U):
        """Points X (n, d) of search coordinates U (n, d), which it may give back as they are."""
        return U

    def encode(self, X):
        """Search coordinates U (n, d) of points X (n, d): decode(encode(X)) is X."""
        return X

    def adjust(self, state, structure):
        """The state after an update, kept from freezing where coordinates are integers."""
        return state


def build_domain(dim: int, bounds=None, boundary=None, transforms=None, integers=None) -> Domain:
    """The Domain of what a user says; raises ValueError or TypeError, naming the argument.

    bounds      scipy's: a sequence of d pairs (lower, upper) with None for open, or an object
                with lb and ub (scipy.optimize.Bounds); in the coordinates of the user
    boundary    how bounds are kept: a name; None: the best one by evidence
    transforms  None, or a sequence of d names (None or "linear", "log"), or {index: name}
    integers    None, True (all), or indices of the coordinates that are integers
    """
    return Domain(dim)
