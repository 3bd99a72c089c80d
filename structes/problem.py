"""What a problem is: a function of many points at once, and the facts about it.

A problem knows nothing of search, devices or workers. The facts (a box, an optimum, where to
start and with what step) are for benchmarks and defaults; an optimiser is never shown the optimum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .arrays.libraries import to_numpy
from .rowwise import Rowwise
from .space.space import build_space


@dataclass(frozen=True, eq=False)
class Problem:
    """A function to minimise, and what is known of it.

    Parameters
    ----------
    function : callable
        It takes an array (n, dim), into which it writes nothing, and returns (n,) values. With a
        space it takes a dict of parameters and returns a number.
    dim : int, optional
        The number of parameters, d; a space says it.
    name : str
        A short name for logs and tables.
    lower, upper : array of shape (d,), optional
        The box of interest; outside a value is still given, maybe +inf.
    optimum : array of shape (d,), optional
        The best point, where it is known.
    minimum : float, optional
        The value at the optimum, where it is known.
    start : array of shape (d,), optional
        Where a search starts; None means the middle of the box.
    scale : float or array of shape (d,), optional
        The initial standard deviation that suits the start.
    source : str
        Where the definition comes from.
    device : bool
        Whether, in a search on a GPU, the function takes the arrays as they are (CuPy's), and may
        return such; else it is given NumPy's.
    space : Space or Mapping, optional
        Named parameters, which say dim, start, deviations and bounds.

    Raises
    ------
    TypeError
        Where neither dim nor a space is handed in.
    ValueError
        Where dim is not that of the space.
    """

    function: Callable[[Any], Any]
    dim: int | None = None
    name: str = "problem"
    lower: Any = None
    upper: Any = None
    optimum: Any = None
    minimum: float | None = None
    start: Any = None
    scale: Any = None
    source: str = ""
    device: bool = False
    space: Any = None

    def __post_init__(self):
        if self.space is not None:
            space = build_space(self.space)
            object.__setattr__(self, "space", space)
            if self.dim not in (None, space.dim):
                raise ValueError(
                    f"problem {self.name!r}: its space has dim {space.dim}; got dim {self.dim}"
                )
            object.__setattr__(self, "dim", space.dim)
        elif self.dim is None:
            raise TypeError(f"problem {self.name!r} needs dim, or a space")

    def __call__(self, X: Any) -> Any:
        """Return the values (n,) of the rows of X (n, dim); of a single point (dim,) a float.

        Raises
        ------
        TypeError
            Where X is no array.
        ValueError
            Where X has another shape.
        """
        if not hasattr(X, "ndim"):
            raise TypeError(f"problem {self.name!r} takes an array; got {type(X).__name__}")
        if X.ndim == 1:
            return float(self(X[None, :])[0])
        if X.ndim != 2 or X.shape[1] != self.dim:
            raise ValueError(
                f"problem {self.name!r} takes (n, {self.dim}) arrays; got shape {X.shape}"
            )
        return self.rows()(X)

    def rows(self) -> Callable[[Any], Any]:
        """Return the function of rows (n, dim); a `Rowwise` where it is one of single points."""
        if self.space is not None:
            return self.space.rows(self.function, name=self.name)
        if self.device:
            return self.function
        if isinstance(self.function, Rowwise):
            return Rowwise(_OnHost(self.function.of_point), self.function.name)
        return _OnHost(self.function)

    def x0(self) -> np.ndarray:
        """Return the start (d,): the space's, `start`, else the middle of the box, else zeros."""
        if self.space is not None:
            return self.space.x0
        if self.start is not None:
            return np.array(self.start, dtype=float)
        if self.lower is not None and self.upper is not None:
            return (np.asarray(self.lower, float) + np.asarray(self.upper, float)) / 2
        return np.zeros(self.dim)  # pyright: ignore[reportArgumentType, reportCallIssue]

    def sigma0(self) -> float | np.ndarray:
        """Return the initial standard deviation, a number or (d,).

        It is the space's, or `scale`, else a fifth of the box, else 1.
        """
        if self.space is not None:
            return self.space.sigma0
        if self.scale is not None:
            return self.scale
        if self.lower is not None and self.upper is not None:
            return (np.asarray(self.upper, float) - np.asarray(self.lower, float)) / 5
        return 1.0


class _OnHost:
    """A function of NumPy arrays as one of those of any library."""

    def __init__(self, function: Callable):
        self.function = function

    def __call__(self, X):
        return self.function(to_numpy(X))
