"""What an update wants to know of the samples: sums over them, weighted.

A generation in memory is summed at once (`Rows`). One that is not, because it is large or because
it lies on several devices, is summed part by part (`Summed`): sums of parts add up, and Σ w y is
B⁻ᵀ Σ w z. An update takes either, and asks both for the same:

    dz, dy      Σ w z (noise_dim,) and Σ w y (d,), with the weights of the mean
    identity    ½ Σ (w° − w), how much of I is in the natural gradient that is not meant
    gradient    the natural gradient of Σ w° z zᵀ and of a path

Weights w < 0 are stretched, w° = w d / ‖z‖², so that bad samples enter with the length √d: a long
one would else make the precision grow without bound. (Hansen 2016, eq. 46 has d / ‖C^(−1/2) y‖².)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..arrays.kernels import steps
from ..arrays.libraries import cast, namespace
from ..arrays.scalars import number
from .ranking import weigh
from .redrawn import Redrawn
from .settings import Settings
from .state import State

COPIED = 2**20  # numbers of Z up to which a copy of it costs less than two tangents


class Rows:
    """Samples in memory.

    drawn  (n, noise_dim) local coordinates, as they were drawn
    Z, Y   (n, noise_dim) and (n, d), with integers moved to the middle of their cells
    """

    def __init__(self, settings: Settings, state: State, Z, Y, weights):
        w_mean, good, bad = weights
        self.drawn = Z
        if settings.domain.is_mixed:
            Z, Y = settings.centred(state, Z, Y, w_mean)
        self.settings, self.factor, self.Z, self.Y = settings, state.factor, Z, Y
        self.w, self.identity = stretched(settings, Z, good, bad)
        self.dz, self.dy = w_mean @ Z, w_mean @ Y

    def gradient(self, q, c1: float) -> tuple:
        """Return the natural gradient M of the samples and of the row q (1, noise_dim) with the
        weight c1."""
        Z, w, settings = self.Z, self.w, self.settings
        xp, structure = namespace(Z), settings.structure
        is_large = Z.shape[0] * Z.shape[1] > max(COPIED, 4 * structure.dof)
        if is_large or structure.path_parts is not None:
            M = structure.tangent_at(self.factor, Z, w)
            return with_path(structure, M, q, c1, self.factor)
        if settings.dtype != "float64":
            q = cast(q, settings.dtype)
        with_c1 = xp.empty(w.shape[0] + 1, dtype=w.dtype)
        with_c1[:-1] = w
        with_c1[-1] = c1
        return structure.tangent_at(self.factor, xp.concat([Z, q]), with_c1)


class Sums(NamedTuple):
    """Over samples: z = Σ w z (noise_dim,), their tangent M, and identity = ½ Σ (w° − w)."""

    z: Any
    M: tuple
    identity: Any


class Summed:
    """Samples of which the sums are known, and nothing else."""

    drawn = Y = None

    def __init__(self, settings: Settings, state: State, sums: Sums):
        self.settings, self.factor, self.sums = settings, state.factor, sums
        self.identity, self.dz = sums.identity, sums.z
        self.dy = settings.structure.unwhiten(state.factor, sums.z[None, :])[0, :]

    def gradient(self, q, c1: float) -> tuple:
        """As of `Rows`."""
        return with_path(self.settings.structure, self.sums.M, q, c1, self.factor)


Sampled = Callable[[tuple], "Rows | Summed"]  # of the weights, as `weights_of` returns them


def summed(settings: Settings, state: State, tiles: Iterable, weights: tuple) -> Summed:
    """Return the samples with these weights whose z are in `tiles`."""
    return Summed(settings, state, sums_of(settings, state, tiles, weights))


def sums_of(settings: Settings, state: State, tiles: Iterable, weights: tuple) -> Sums:
    """Return the sums over the samples whose z are in `tiles`, arrays or Redrawn, in one pass.

    weights   three rows, theirs, as of `weights_of`
    """
    total, start = None, 0
    for Z in tiles:
        w_mean, good, bad = (w[start : start + Z.shape[0]] for w in weights)
        if isinstance(Z, Redrawn):
            z, squares, weight, identity = Z.sums(w_mean, good, bad)
            part = Sums(z, settings.structure.tangent_of_squares(squares, weight), identity)
        else:
            if settings.domain.is_mixed:
                Y = settings.structure.unwhiten(settings.lowered(state.factor), Z)
                Z, _ = settings.centred(state, Z, Y, w_mean)
            w, identity = stretched(settings, Z, good, bad)
            M = settings.structure.tangent_at(state.factor, Z, w)
            part = Sums(cast(w_mean @ Z, "float64"), M, identity)
        total = part if total is None else add_sums(settings, total, part)
        start += Z.shape[0]
    return total


def add_sums(settings: Settings, a: Sums, b: Sums) -> Sums:
    """Return the sums over the samples of both."""
    return Sums(a.z + b.z, settings.structure.add(a.M, b.M), a.identity + b.identity)


def stretched(settings: Settings, Z, good, bad) -> tuple:
    """Return w° (n,) of the rows of Z, and ½ Σ (w° − w): `tangent` subtracts Σ w° I, not Σ w I."""
    squares = namespace(Z).vecdot(Z, Z)
    if settings.on_device:
        w, _, identity = steps.stretch(good, bad, squares, settings.structure.dim)
        return settings.lowered(w), identity
    stretch = settings.structure.dim / squares
    return good + bad * stretch, 0.5 * number(bad @ (stretch - 1))


def with_path(structure, M, q, c1: float, factor) -> tuple:
    """Return M and the natural gradient of the row q (1, noise_dim) with weight c1."""
    path = structure.tangent_at(factor, q, namespace(q).asarray([c1], dtype=q.dtype))
    if structure.path_parts is not None:
        path = structure.scale(path, structure.path_parts)
    return structure.add(M, path)


def with_entropy(structure, M, weight: float, state: State) -> tuple:
    """Return M and the natural gradient of weight · E log q, downwards.

    log q(mean) is log |det B| up to a constant, and E log q, too: it is that of a sample at the
    mean that weighs −weight; of a group −weight/2 I.
    """
    xp = namespace(state.mean)
    mean, w = xp.zeros((1, structure.noise_dim), dtype=xp.float64), xp.asarray([-weight])
    return structure.add(M, structure.tangent_at(state.factor, mean, w))


def shape_weights(settings: Settings, Z, values, mass=None):
    """Return the weights (n,) with which samples enter the covariance; None where all tie."""
    weighed = weigh(settings, values, mass)
    if weighed.rows is None:
        return None
    xp = namespace(Z)
    _, good, bad = (xp.asarray(row, dtype=Z.dtype) for row in weighed.rows)
    return stretched(settings, Z, good, bad)[0]
