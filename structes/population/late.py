"""Samples that the present distribution did not draw, made fit to join its generation.

A candidate of an earlier generation, whose value comes *late*, was drawn from another density q₀.
Under the present one, q, its importance weight is

    w = min(1, q(u) / q₀(u))^p,    p = min(1, min(½, 0.6 mueff / d) · (1 + k) / 2)

in samples, k ≥ 1 generations late; mueff is that of the mean's weights in a whole generation. It
is the ratio of importance sampling (the densities are cheap for every structure), clipped, so that
no sample outweighs a fresh one, and tempered. The full ratio, which is unbiased,
throws more away than it corrects: a generation moves the mean by √(d / mueff) standard deviations,
so the logarithm of the ratio falls by d / (2 mueff) each, and with many parameters nothing late
would be used; with p a value that is one generation late counts about three quarters. Measured
with 4 to 64 workers, d = 10 to 100: p = 1 takes 5 to 30 % more evaluations, p = 0 diverges where
many values are late (`structes bench steady`). It grows with k because the mean of a search that
has lost its way does not return to samples of ten generations ago: without that, four of nine
runs with 64 workers and populations of 10 fail. Where the weight is next to nothing the sample is
left out.

A point of the user's *own* has no density at all; it counts as one sample. Both enter with their
Mahalanobis length clipped (Hansen 2011, "Injecting external solutions into CMA-ES", INRIA
RR-7748): it is at most what a sample has, and at least a little, because a bad sample is stretched
to √d, which the mean itself cannot be.
"""

from __future__ import annotations

from math import exp, inf
from typing import Any, NamedTuple

import numpy as np

from .. import checks
from ..arrays.libraries import namespace
from ..strategy.state import MOST, State
from ..strategy.strategy import Strategy
from .generation import Generation

NEGLIGIBLE = 0.1  # a sample with a smaller importance weight is left out
TEMPER = 0.6  # of the power of the ratio
SHORTEST = 1e-3  # length of a sample, of √d
FARTHEST = 1e100  # a coordinate of a user's point, in standard deviations: its square is a number


class Arrival(NamedTuple):
    """One sample that the present distribution did not draw.

    Attributes
    ----------
    Z : (1, noise_dim) array
    Y : (1, d) array
    value : float
    importance : float
        Its importance weight, in (0, 1].
    key : tuple of int
        What it is sorted by, so that the order in which values come does not matter.
    """

    Z: Any
    Y: Any
    value: float
    importance: float
    key: tuple[int, int]

    @classmethod
    def restored(cls, strategy: Strategy, factor: Any, row: list, xp: Any) -> Arrival:
        """The Arrival that a checkpoint holds as a list.

        Parameters
        ----------
        strategy : Strategy
            That of the search.
        factor : tree of NumPy arrays
            That of the state of the search.
        row : list
            The fields.
        xp : module
            The array library of the search.

        Raises
        ------
        ValueError
            Where it is no sample that such a search could have.
        """
        *parts, value, importance, key = row
        shapes = (1, strategy.structure.noise_dim), (1, strategy.structure.dim)
        for a, shape in zip(parts, shapes, strict=True):
            if getattr(a, "shape", None) != shape or a.dtype.name not in ("float64", "float32"):
                raise ValueError(f"an arrival needs arrays of shapes {shapes}")
        with np.errstate(over="ignore"):
            if not np.linalg.norm(parts[0]) <= 1.01 * _longest(strategy.structure.dim):
                raise ValueError("an arrival is longer than samples are, or not finite")
            far = 1e6 * np.abs(strategy.structure.unwhiten(factor, parts[0])).max()
            if not np.abs(parts[1]).max() <= far:
                raise ValueError("an arrival is not where its sample is")
        if type(value) is not float or value == -inf or not 0 < importance <= 1:
            raise ValueError(f"an arrival has value {value!r:.60} and mass {importance!r:.60}")
        number, index = (checks.count("key", k, 0, MOST) for k in key)
        Z, Y = (xp.asarray(a) for a in parts)
        return cls(Z, Y, value, importance, (number, index))


def late(present: Generation, generation: Generation, index: int, value: float) -> Arrival:
    """The arrival, in the generation `present`, of candidate `index` of an earlier one."""
    strategy, state = present.strategy, present.state
    Z, Y = generation.sample(index)
    log_drawn = generation.strategy.log_density(Z, generation.volume)[0]
    U = generation.strategy.coordinates(generation.state, Y)
    key = generation.number, index
    try:
        Z = strategy.locate(state, U)
    except (ArithmeticError, np.linalg.LinAlgError):  # singular in floating point
        return Arrival(Z, Y, value, 0.0, key)
    log_ratio = float(strategy.log_density(Z, present.volume)[0] - log_drawn)
    power = temper(strategy, state.generation - generation.number)
    is_number = log_ratio == log_ratio  # otherwise it is infinitely far
    importance = exp(power * min(0.0, log_ratio)) if is_number else 0.0
    Z, Y = _clipped(strategy, state, Z)
    return Arrival(Z, Y, value, importance, key)


def temper(strategy: Strategy, age: int = 1) -> float:
    """The power p of the ratio of densities.

    Parameters
    ----------
    strategy : Strategy
        That of the present generation.
    age : int
        How many generations late the value is; less than 1 where a state was assigned that has an
        earlier number, which counts as 1.
    """
    p = min(0.5, TEMPER * strategy.plan(strategy.popsize).mueff / strategy.structure.dim)
    return min(1.0, p * (1 + max(1, age)) / 2)


def own(strategy: Strategy, state: State, x: Any, value: float, number: int, name: str) -> Arrival:
    """The arrival of a point of the user's own; it sorts behind all others.

    Parameters
    ----------
    strategy, state
        Those of the search.
    x : (1, d) array
        The point.
    value : float
        Its value.
    number : int
        How many own points came before, by which they are sorted.
    name : str
        What x is called in error messages.

    Raises
    ------
    ValueError
        Where the point lies outside the bounds, or where a coordinate is no integer that must be
        one.
    """
    strategy.domain.check_integers(x, name)
    U, far = strategy.domain.encode(x, name), FARTHEST * state.sigma * state.scale
    U = namespace(U).clip(U, state.mean - far, state.mean + far)
    key = state.generation + 1, number
    try:
        Z = strategy.locate(state, U)
    except (ArithmeticError, np.linalg.LinAlgError):  # singular in floating point
        return Arrival(U, U[:, :0], value, 0.0, key)
    if not bool(namespace(Z).all(namespace(Z).isfinite(Z))):  # B is nearly singular
        return Arrival(Z, Z[:, :0], value, 0.0, key)
    Z, Y = _clipped(strategy, state, Z)
    return Arrival(Z, Y, value, 1.0, key)


def _clipped(strategy, state, Z) -> tuple:
    """(Z, Y) with the length of Z clipped; the mean itself gets a direction that is fixed."""
    d, xp = strategy.structure.dim, namespace(Z)
    shortest, longest = SHORTEST * d**0.5, _longest(d)
    length = float(xp.vecdot(Z, Z)[0]) ** 0.5
    if length < 1e-150:
        Z = strategy.structure.whiten(state.factor, xp.ones((1, d), dtype=Z.dtype))
        length = float(xp.vecdot(Z, Z)[0]) ** 0.5
        Z, length = Z * (shortest / length), shortest
    Z = Z * min(max(1.0, shortest / length), longest / length)
    return Z, strategy.structure.unwhiten(state.factor, Z)


def _longest(d: int) -> float:
    """The length to which a sample is clipped."""
    return d**0.5 + 2 * d / (d + 2)
