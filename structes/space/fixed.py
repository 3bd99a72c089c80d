"""A domain of which some coordinates of the points do not move.

What is fixed is no part of the search, which has fewer coordinates than the points that it hands
out; so a structure, its learning rates and its population are those of the parameters that move.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arrays.libraries import cast, namespace, to_numpy
from .domain import Domain

CLOSE = 1e-5  # by which a coordinate that is told may differ from what it is fixed at, relative


@dataclass(frozen=True, eq=False)
class Fixed(Domain):
    """Points of `size` coordinates, of which `dim` move.

    Parameters
    ----------
    moving : Domain
        Domain of those that move.
    free : Any
        (dim,) which they are, increasing.
    values : Any
        (size,) what the others are fixed at; of those that move it says nothing.
    """

    moving: Domain
    free: Any
    values: Any

    @property
    def size(self) -> int:
        return len(self.values)

    def completed(self, x: Any) -> Any:
        filled = self.values.copy()
        filled[self.free] = x[self.free]
        return filled

    def spread(self, std: Any) -> Any:
        xp = namespace(std)
        spread = np.zeros(self.size)
        spread[self.free] = to_numpy(std)
        return xp.asarray(spread)

    @property
    def has_integers(self) -> bool:
        return self.moving.has_integers

    @property
    def settling(self) -> np.ndarray | None:
        return self.moving.settling

    @property
    def zones(self) -> np.ndarray | None:
        return self.moving.zones

    def with_zones(self, zones: np.ndarray) -> Domain:
        return replace(self, moving=self.moving.with_zones(zones))

    def in_units(self, X: Any, std: Any, columns: np.ndarray | None = None) -> Any:
        if columns is None:
            return self.moving.in_units(X[:, self.free], std)
        is_free = np.isin(columns, self.free)
        return self.moving.in_units(
            X[:, is_free], std, np.searchsorted(self.free, columns[is_free])
        )

    def decode(self, U: Any) -> Any:
        return self._filled(self.moving.decode(U))

    def encode(self, X: Any, name: str = "X") -> Any:
        host = to_numpy(X)
        is_off = np.abs(host - self.values) > CLOSE * np.maximum(1, np.abs(self.values))
        is_off[:, self.free] = False
        if is_off.any():
            row, i = (int(k[0]) for k in np.nonzero(is_off))
            label = "" if host.shape[0] == 1 else f": row {row}"
            raise ValueError(
                f"{name}{label}: coordinate {i} is fixed at {self.values[i]}; got {host[row, i]}"
            )
        xp = namespace(X)
        return self.moving.encode(xp.take(X, xp.asarray(self.free), axis=1), name)

    def check_integers(self, X: Any, name: str) -> None:
        self.moving.check_integers(to_numpy(X)[:, self.free], name)

    def comes_again(self, X: Any) -> np.ndarray:
        return self.moving.comes_again(X[:, self.free])

    def centred(self, U: Any, mean: Any) -> Any:
        return self.moving.centred(U, mean)

    def rounded(self, X: Any, dtype: Any) -> Any:
        xp = namespace(X)
        moving = self.moving.rounded(xp.take(X, xp.asarray(self.free), axis=1), dtype)
        return cast(self._filled(moving), dtype)

    def adjust(self, state: Any, structure: Any, tied: float = 0.0) -> Any:
        return self.moving.adjust(state, structure, tied)

    def _filled(self, X):
        """Return points (n, size) of the coordinates that move (n, dim)."""
        xp, n = namespace(X), X.shape[0]
        if xp is np:
            filled = np.empty((n, self.size), dtype=X.dtype)
            filled[:] = self.values
            filled[:, self.free] = X
            return filled
        rest = np.setdiff1d(np.arange(self.size), self.free)
        fixed = xp.asarray(np.tile(self.values[rest], (n, 1)), dtype=X.dtype)
        order = np.argsort(np.concatenate([self.free, rest]))
        return xp.take(xp.concat([X, fixed], axis=1), xp.asarray(order), axis=1)
