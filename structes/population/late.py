"""Samples that the present distribution did not draw, made fit to join its generation.

A candidate of an earlier generation, whose value comes late, was drawn from another density q₀.
Under the present one, q, it counts as

    mass = min(1, q(u) / q₀(u))^p,    p = min(½, 0.6 mueff / d) · (1 + k) / 2, k generations late

samples: the ratio of importance sampling (the densities are cheap for every structure), clipped,
so that no sample outweighs a fresh one, and tempered. The full ratio, which is unbiased, throws
more away than it corrects: a generation moves the mean by √(d / mueff) standard deviations, so the
logarithm of the ratio falls by d / (2 mueff) each, and with many parameters nothing late would be
used; with p a value that is one generation late counts about three quarters. Measured with 4 to 64
workers, d = 10 to 100: p = 1 takes 5 to 30 % more evaluations, p = 0 diverges where many values
are late (`structes bench steady`). It grows with k because the mean of a search that has lost its
way does not return to samples of ten generations ago: without that, four of nine runs with 64
workers and populations of 10 fail. Where the mass is next to nothing the sample is left out.

A point of the user's own has no density at all; it counts as one sample. Both enter with their
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

NEGLIGIBLE = 0.1  # a sample that counts less than this is left out
TEMPER = 0.6  # of the power of the ratio
SHORTEST = 1e-3  # length of a sample, of √d
FARTHEST = 1e100  # a coordinate of a user's point, in standard deviations: its square is a number


class Arrival(NamedTuple):
    """One sample: z (1, noise_dim), y (1, d), its value, how much it counts, and what it is
    sorted by, so that the order in which values come does not matter."""

    Z: Any
    Y: Any
    value: float
    mass: float
    key: tuple

    @classmethod
    def restored(cls, strategy: Strategy, factor, row, xp) -> Arrival:
        """The arrival that was written as a list (checkpoint.py), of a search that has this
        factor, with NumPy's arrays, now. Raises ValueError."""
        *parts, value, mass, key = row
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
        if type(value) is not float or value == -inf or not 0 < mass <= 1:
            raise ValueError(f"an arrival has value {value!r:.60} and mass {mass!r:.60}")
        number, index = (checks.count("key", k, 0, MOST) for k in key)
        return cls(*(xp.asarray(a) for a in parts), value, mass, (number, index))


def late(now, generation, index: int, value: float) -> Arrival:
    """The arrival, in the Generation `now`, of candidate `index` of an earlier one."""
    strategy, state = now.strategy, now.state
    Z, Y = generation.sample(index)
    before = generation.strategy.log_density(Z, generation.volume)[0]
    U = generation.strategy.coordinates(generation.state, Y)
    try:
        Z = strategy.locate(state, U)
    except (ArithmeticError, np.linalg.LinAlgError):  # singular in floating point
        return Arrival(Z, Y, value, 0.0, (generation.number, index))
    ratio = float(strategy.log_density(Z, now.volume)[0] - before)
    power = temper(strategy, state.generation - generation.number)
    mass = exp(power * min(0.0, ratio)) if ratio == ratio else 0.0  # NaN: it is infinitely far
    return Arrival(*_clipped(strategy, state, Z), value, mass, (generation.number, index))


def temper(strategy: Strategy, age: int = 1) -> float:
    """Power p of the ratio of densities, of a value that is `age` ≥ 1 generations late; less where
    a state was assigned that has an earlier number."""
    p = min(0.5, TEMPER * strategy.plan(strategy.popsize).mueff / strategy.structure.dim)
    return min(1.0, p * (1 + max(1, age)) / 2)


def own(strategy: Strategy, state: State, x, value: float, number: int, name: str) -> Arrival:
    """The arrival of a point x (1, d) of the user's own; it sorts behind all others.

    Raises ValueError, with `name` for x, where it lies outside the bounds, or where a coordinate
    is no integer that must be one.
    """
    strategy.domain.check_integers(x, name)
    U, far = strategy.domain.encode(x, name), FARTHEST * state.sigma * state.scale
    Z = strategy.locate(state, namespace(U).clip(U, state.mean - far, state.mean + far))
    key = state.generation + 1, number
    if not bool(namespace(Z).all(namespace(Z).isfinite(Z))):  # B is nearly singular
        return Arrival(Z, Z[:, :0], value, 0.0, key)
    return Arrival(*_clipped(strategy, state, Z), value, 1.0, key)


def _clipped(strategy, state, Z):
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


def _longest(d) -> float:
    """Length to which a sample is clipped."""
    return d**0.5 + 2 * d / (d + 2)
