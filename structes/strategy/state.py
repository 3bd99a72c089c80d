"""The state of a search between two generations, and what an update says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Any, NamedTuple

import numpy as np

from .. import checks
from .uncertainty import Noisy

MOST = 2**62  # generations, evaluations: what is counted


class State(NamedTuple):
    """The search distribution N(mean, sigma² D₀ (B Bᵀ)⁻¹ D₀) and its memory: arrays and numbers.

    Attributes
    ----------
    mean : (d,) array
        The mean, in search coordinates.
    sigma : float
        The step size.
    scale : (d,) array
        The diagonal of D₀: the standard deviations of the coordinates relative to each other at
        the beginning.
    factor : tuple of arrays
        B, as the structure keeps it; `|det B|` = 1 to third order in the steps.
    path_sigma, path : (noise_dim,) array
        The path of the step size and that of the rank-one update, both in local coordinates.
    generation : int
        The number of updates made.
    noisy : Noisy or None
        What is known of the noise, where it is dealt with (`noise="auto"`).
    """

    mean: Any
    sigma: float
    scale: Any
    factor: tuple[Any, ...]
    path_sigma: Any
    path: Any
    generation: int
    noisy: Noisy | None = None


class Info(NamedTuple):
    """What one update saw and did; for logs and stopping rules.

    Attributes
    ----------
    best, median, worst : float
        The best, the median and the worst value (NaN ranks last).
    updated : bool
        False when all values were equal or missing: then only the generation moved.
    norm : float
        ‖M‖, Frobenius, before the trust region.
    clipped : bool
        Whether the trust region shortened the step.
    path_length : float
        ‖path_sigma‖ over its expectation.
    missing : int
        Values that were NaN.
    late : int
        Values of earlier generations' candidates that were used, with an importance weight.
    stale : int
        Such values that were left out, because their importance weight was next to nothing.
    injected : int
        Points that were told but never asked.
    repeated : int
        Values of candidates that were told before; they are left out.
    """

    best: float = nan
    median: float = nan
    worst: float = nan
    updated: bool = False
    norm: float = 0.0
    clipped: bool = False
    path_length: float = 0.0
    missing: int = 0
    late: int = 0
    stale: int = 0
    injected: int = 0
    repeated: int = 0

    def signed(self, sign: int) -> Info:
        """Return the same in the user's values, which are maximised where sign is −1."""
        if sign == 1:
            return self
        return self._replace(best=-self.best, median=-self.median, worst=-self.worst)

    @classmethod
    def restored(cls, row: Sequence[Any]) -> Info:
        """Return the Info that was written as a list (files/checkpoint.py). Raises ValueError,
        TypeError."""
        info = cls(*row)
        for name in ("best", "median", "worst", "norm", "path_length"):
            if type(getattr(info, name)) is not float:
                raise TypeError(f"info: {name} must be a number; got {getattr(info, name)!r:.60}")
        for name in ("updated", "clipped"):
            checks.flag(f"info: {name}", getattr(info, name))
        for name in ("missing", "late", "stale", "injected", "repeated"):
            checks.count(f"info: {name}", getattr(info, name), 0, MOST)
        return info


def restored_as(like, value, xp):
    """Return `value`, made of lists and NumPy arrays, with the types of `like` and arrays of xp;
    ValueError where it differs."""
    if isinstance(like, tuple):
        if not isinstance(value, (list, tuple)) or len(value) != len(like):
            raise ValueError(f"a state needs {len(like)} parts where it has {value!r:.60}")
        parts = [restored_as(a, b, xp) for a, b in zip(like, value, strict=True)]
        return type(like)(*parts) if hasattr(like, "_fields") else tuple(parts)
    if isinstance(like, np.ndarray):
        dtype = str(getattr(value, "dtype", "")).rpartition(".")[2]  # of any library
        if dtype != like.dtype.name or tuple(value.shape) != like.shape:
            raise ValueError(f"a state needs an array of shape {like.shape}, {like.dtype}")
        return value if xp is np else xp.asarray(value)
    if isinstance(value, np.generic):
        value = value.item()
    if type(value) is not type(like):
        raise ValueError(f"a state needs a {type(like).__name__} where it has {value!r:.60}")
    return value


def check_shapes(structure, tree) -> None:
    """Raise ValueError where the state in a file (checkpoint.py) does not have the factor of this
    structure, before one is made."""
    if not isinstance(tree, list) or len(tree) != len(State._fields):
        raise ValueError(f"a state needs {len(State._fields)} parts")
    restored_as(structure.blank(), tree[State._fields.index("factor")], np)


def same_state(a, b) -> bool:
    """Return whether two states of a file are the same arrays and numbers."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same_state, a, b))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return a is b
    return type(a) is type(b) and a == b
