"""The map from search coordinates to the points that are evaluated, and back.

A search moves in all of R^d; the user's points live in a box, on a logarithmic scale, on integers.
`decode` makes points of search coordinates, `encode` is its inverse on points that are allowed.
Every point that `decode` gives is inside the bounds, exactly, and has exact integers.

`Domain` is the map of a search without bounds, and says what every map has to do; `Limited`
(limited.py) has bounds, logarithms and integers, `Fixed` (fixed.py) coordinates that do not move,
`Choosing` (choices.py) choices among options. `build_domain` (building.py) makes the first two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays.libraries import cast


@dataclass(frozen=True, eq=False)
class Domain:
    """All of R^d: the search coordinates are those of the points.

    Parameters
    ----------
    dim : int
        The number of search coordinates, d.
    """

    dim: int

    @property
    def has_integers(self) -> bool:
        return False

    @property
    def size(self) -> int:
        """The number of coordinates of a point."""
        return self.dim

    def completed(self, x: Any) -> Any:
        """Return a point (d,) with what is fixed in its place."""
        return x

    def spread(self, std: Any) -> Any:
        """Return the standard deviations (d,) of the coordinates of a point, from those of the
        search.
        """
        return std

    def restricted(self, free: np.ndarray) -> Domain:
        """Return the domain of the coordinates `free` (k,), which increase, alone."""
        return Domain(len(free))

    @property
    def settling(self) -> np.ndarray | None:
        """(d,) bool: coordinates whose standard deviation goes to zero where a search converges;
        None: all. Integers and choices are kept from freezing, and differ exactly or not at all.
        """
        return None

    @property
    def zones(self) -> np.ndarray | None:
        """(d,) widths of the rounded zones at bounds, which sigma0 has said; None: no bounds."""
        return None

    def with_zones(self, zones: np.ndarray) -> Domain:
        """Return the same with other widths (d,)."""
        return self

    @property
    def continuous(self) -> int:
        """How many of the coordinates are no integers and in no choice."""
        return self.dim if self.settling is None else int(self.settling.sum())

    def comes_again(self, X: Any) -> np.ndarray:
        """Return (n,) which of the NumPy points X (n, d) many candidates can be.

        They are those of which each coordinate is an integer or lies on a bound.
        """
        return np.zeros(X.shape[0], dtype=bool)

    def in_units(self, X: Any, std: Any, columns: np.ndarray | None = None) -> Any:
        """Return points in units of standard deviations, in which two of them are compared.

        A difference of 1 is one standard deviation, of the logarithm where the search moves that;
        integers and options that differ are at least 1 apart. NaN stands where a point cannot be.

        Parameters
        ----------
        X : array of shape (n, k)
            The points.
        std : array of shape (d,)
            The standard deviations of the search coordinates.
        columns : array of shape (k,), optional
            Which coordinates the columns of X are; None: all.
        """
        return X / (std if columns is None else std[columns])

    def decode(self, U: Any) -> Any:
        """Return the points X (n, d) of search coordinates U (n, d), which may be U itself."""
        return U

    def encode(self, X: Any, name: str = "X") -> Any:
        """Return the search coordinates U (n, d) of points X (n, d).

        `decode(encode(X))` is X, to rounding.

        Raises
        ------
        ValueError
            Where a point lies outside; `name` is what the message calls X.
        """
        return X

    def check_integers(self, X: Any, name: str) -> None:
        """Raise ValueError where a coordinate of points X (n, d) is no integer and must be one.

        `name` is what the message calls X.
        """

    @property
    def is_mixed(self) -> bool:
        """Are there integers beside continuous coordinates?"""
        return self.has_integers and self.continuous > 0

    def centred(self, U: Any, mean: Any) -> Any:
        """Return search coordinates in which integers lie in the middle of their cells.

        It does so for each integer of U (n, d) that is another one than that of the mean (d,) (see
        integers.py). The coordinates decode to the same points.
        """
        return U

    def rounded(self, X: Any, dtype: Any) -> Any:
        """Return points X (n, d) in another dtype ("float32"); they stay inside."""
        return cast(X, dtype)

    def adjust(self, state: Any, structure: Any, tied: float = 0.0) -> Any:
        """Return the state of a new generation, kept from freezing and from stepping too far.

        Coordinates that are integers are kept from freezing, and no standard deviation is longer
        than the box is wide.

        Parameters
        ----------
        state : State
            The state after the update.
        structure : Structure
            Its structure.
        tied : float
            The share of the last values that equal the best of them (integers.py).
        """
        return state
