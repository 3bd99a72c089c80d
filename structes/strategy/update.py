"""The update: weights from the ranks of the values, sums over the samples, and the step.

A generation in memory is summed at once. One that is not, because it is large or because it lies
on several devices (sharded.py), is summed part by part: all that the step wants to know of the
samples is in their `Sums`, and sums of parts add up.
"""

from __future__ import annotations

from functools import partial
from math import exp, inf, sqrt
from typing import Any, NamedTuple

import numpy as np

from ..arrays.kernels import steps
from ..arrays.libraries import cast, namespace
from ..arrays.scalars import number, read, where
from ..structures.diagonal import Diagonal
from .ranking import LEAST, assign, ranking, tied_with_best, with_missing
from .redrawn import Redrawn
from .state import Info, State
from .uncertainty import measure, share
from .weights_and_rates import Plan, plan_of


class Weighed(NamedTuple):
    """Weights of samples by the ranks of their values.

    rows   (3, n): weights of the mean, and of the covariance those ≥ 0 and those < 0; None where
           all values tie, or count as less than two
    seen   best, median and worst value
    plan   Plan that they are of
    tied   share of the values that equal the best one, where some coordinates are integers, which
           is then their plateau (integers.py); elsewhere 0
    """

    rows: np.ndarray | None
    seen: tuple
    plan: Plan | None
    tied: float = 0.0


class Sums(NamedTuple):
    """Over samples: z = Σ w z (noise_dim,), their tangent M, and identity = ½ Σ (w° − w)."""

    z: Any
    M: tuple
    identity: Any


def updated(strategy, state: State, Z, Y, values, mass=None) -> tuple[State, Info]:
    """Next state from n candidates: Z, Y (n, d) as drawn, values (n,) NumPy, smaller better.

    Z      of a generation that is large, or drawn again: its tiles, an iterable of arrays or
           Redrawn, and Y is None; the result is that of the whole Z, Y up to rounding
    mass   (n,) in (0, 1], how much each counts: 1 for one that was drawn from `state`, the
           ratio of the densities for one of an earlier distribution; None: 1 for all

    Tied values share their weights (with integers the one that was drawn first ranks first:
    integers.py), NaN ranks last and counts a quarter; when all are equal (or they count as less
    than two), only the generation counter moves, and the standard deviations of integers.
    """
    weighed = weigh(strategy, values, mass)
    if weighed.rows is None:
        return stand(strategy, state, weighed)
    if Y is None:
        weights = weights_of(strategy, weighed, state)
        return move(strategy, state, weighed, sums_of(strategy, state, Z, weights))
    w_mean, good, bad = weights_of(strategy, weighed, state)
    noisy = state.noisy
    if noisy is not None:
        noisy = measure(strategy.noise, noisy, state.sigma, Z, values, strategy.popsize)
    if strategy.domain.is_mixed:
        Z, Y = strategy.centred(state, Z, Y, w_mean)
    w, identity = _stretched(strategy, Z, good, bad)
    dz, dy = w_mean @ Z, w_mean @ Y
    tangent = partial(_gradient, strategy, Z, w, factor=state.factor)
    return _move(strategy, state, weighed, dz, dy, tangent, identity, noisy, Y)


# -- its parts: weights from values, sums over samples, and the step ------------------------------


def weigh(strategy, values, mass=None) -> Weighed:
    """What follows from the ranks of values (n,) that count `mass` (n,)."""
    integers = strategy.domain.has_integers
    order, ranked = ranking(values, integers)
    seen = float(ranked[0]), float(ranked[len(ranked) // 2]), float(ranked[-1])
    if ranked[-1] != ranked[-1]:  # NaN sorts last
        mass = with_missing(values, mass)
    if (len(values) if mass is None else mass.sum()) < LEAST:  # says nothing
        return Weighed(None, seen, None)
    if mass is None:
        plan = strategy.plan(len(values))
    else:
        mass = mass[order]
        plan = plan_of(strategy.structure, strategy.engine, mass, mirrored=False)
    rows = assign(order, ranked, plan.tables, mass, shared=not integers)
    return Weighed(rows, seen, plan, tied_with_best(ranked) if integers else 0.0)


def shape_weights(strategy, Z, values, mass=None):
    """Weights (n,) with which the samples enter the covariance; None when all tie."""
    weighed = weigh(strategy, values, mass)
    if weighed.rows is None:
        return None
    xp = namespace(Z)
    _, good, bad = (xp.asarray(row, dtype=Z.dtype) for row in weighed.rows)
    return _stretched(strategy, Z, good, bad)[0]


def weights_of(strategy, weighed: Weighed, state: State) -> tuple:
    """The rows of the weights as arrays of the library and the precision of candidates."""
    rows = weighed.rows
    if not isinstance(state.mean, np.ndarray):
        rows = namespace(state.mean).asarray(rows)
        rows = [rows[k, :] for k in range(3)]
    return tuple(rows) if strategy.redraws else strategy.lowered(tuple(rows))


def sums_of(strategy, state: State, tiles, weights) -> Sums:
    """Over the samples whose z are in `tiles`, arrays or Redrawn, in one pass; weights (three
    rows): theirs, as of `weights_of`. Sums of parts add up: `add_sums`."""
    total, start = None, 0
    for Z in tiles:
        w_mean, good, bad = (w[start : start + Z.shape[0]] for w in weights)
        if isinstance(Z, Redrawn):
            z, squares, weight, identity = Z.sums(w_mean, good, bad)
            part = Sums(z, strategy.structure.tangent_of_squares(squares, weight), identity)
        else:
            if strategy.domain.is_mixed:
                Y = strategy.structure.unwhiten(strategy.lowered(state.factor), Z)
                Z, _ = strategy.centred(state, Z, Y, w_mean)
            w, identity = _stretched(strategy, Z, good, bad)
            M = strategy.structure.tangent(Z, w, state.factor)
            part = Sums(cast(w_mean @ Z, "float64"), M, identity)
        total = part if total is None else add_sums(strategy, total, part)
        start += Z.shape[0]
    return total


def add_sums(strategy, a: Sums, b: Sums) -> Sums:
    """Of the samples of both."""
    return Sums(a.z + b.z, strategy.structure.add(a.M, b.M), a.identity + b.identity)


def stand(strategy, state: State, weighed: Weighed) -> tuple[State, Info]:
    """Next state where the values say nothing."""
    state = state._replace(generation=state.generation + 1)
    if weighed.tied:
        state = strategy.domain.adjust(state, strategy.structure, weighed.tied)
    return state, Info(*weighed.seen)


def move(strategy, state: State, weighed: Weighed, sums: Sums) -> tuple[State, Info]:
    """Next state from the sums over all samples."""
    if strategy.is_short and isinstance(strategy.structure, Diagonal):
        return _stride(strategy, state, weighed, sums)
    dy = strategy.structure.unwhiten(state.factor, sums.z[None, :])[0, :]
    tangent = partial(_with_path, strategy, sums.M, factor=state.factor)
    return _move(strategy, state, weighed, sums.z, dy, tangent, sums.identity, state.noisy)


def _move(strategy, state, weighed, dz, dy, tangent, identity, noisy, Y=None):
    """The step. dz, dy: Σ w z and Σ w y; tangent(q, c): the natural gradient of the samples
    and of a row q (1, d) with weight c."""
    structure, rates = strategy.structure, weighed.plan.rates
    eta = 1.0 if noisy is None else noisy.eta
    pulls = _pulls(strategy, state, weighed.plan, eta)
    mean, path_sigma, q, square = _paths(strategy, state, dz, dy, eta * state.sigma, pulls)

    # natural gradient of G = cmu Σ (w° z zᵀ − w I) + c1 (q qᵀ − I): the bad samples enter
    # with their length set to √d, w° = w d / ‖z‖² for w < 0. The scale s of M goes into sigma,
    # so that it is the geometric mean of the standard deviations, and the shape into B, so
    # that |det B| = 1
    M = tangent(q[None, :], rates.c1)
    if strategy.dtype != "float64":
        M = cast(M, "float64")
    if rates.parts is not None:
        M = structure.scale(M, rates.parts)
        identity = identity * rates.parts[-1]
    s = structure.trace(M) / structure.dim
    M = structure.shift(M, -s)
    numbers = read(square, s, structure.norm(M), identity)
    s, shorter, change, told = _reckoned(strategy, weighed, eta, *numbers)
    if shorter < 1:
        M = structure.scale(M, shorter)
    if noisy is not None:
        change, noisy = share(strategy.noise, noisy, change)
    factor, q = structure.move(state.factor, M, q, Y)
    its = mean, factor, path_sigma, exp(s) * q, noisy
    return _moved(strategy, state, weighed.tied, change, *its), told


def _stride(strategy, state, weighed, sums):
    """The step where B is diagonal and vectors are short, on a device."""
    plan, (m,) = weighed.plan, sums.M
    rate = 1.0 if plan.rates.parts is None else plan.rates.parts[-1]
    (mean, path_sigma, path, b), numbers = steps.stride(
        state,
        (sums.z, m, sums.identity),
        state.sigma,
        _pulls(strategy, state, plan, 1.0),
        (plan.rates.c1, rate, _longest(strategy)),
    )
    _, _, change, told = _reckoned(strategy, weighed, 1.0, *read(numbers))
    its = mean, (b,), path_sigma, path, None
    return _moved(strategy, state, weighed.tied, change, *its), told


def _pulls(strategy, state, plan, eta):
    """cs; how hard Σ w z pulls at the path of the step size; cc; how hard at the other path; and
    ‖path_sigma‖² from which on that one waits, because the step size still grows fast."""
    d, cc, cs = strategy.structure.dim, plan.rates.cc, eta * plan.rates.cs
    pull_sigma, pull = sqrt(cs * (2 - cs) * plan.mueff), sqrt(cc * (2 - cc) * plan.mueff)
    wait = (2 + 4 / (d + 1)) * d * (1 - (1 - cs) ** (2 * (state.generation + 1)))
    return cs, pull_sigma, cc, pull, wait


def _paths(strategy, state, dz, dy, far, pulls):
    """The mean, which goes so far by dy; the path of the step size; that of the rank-one part; and
    the square of the former's length."""
    if strategy.is_short:
        return steps.paths(state, dz, dy, far, pulls)
    cs, pull_sigma, cc, pull, wait = pulls
    mean = state.mean + (far * state.scale) * dy
    path_sigma = (1 - cs) * state.path_sigma + pull_sigma * dz
    square = number(path_sigma @ path_sigma)
    q = (1 - cc) * state.path
    waits = square >= wait
    if waits is not True:
        q += where(waits, 0.0 * square, pull) * dz
    return mean, path_sigma, q, square


def _longest(strategy):
    """The largest norm of a step."""
    return inf if strategy.engine.natural else strategy.trust_region


def _reckoned(strategy, weighed, eta, square, s, shape, identity):
    """What follows from ‖path_sigma‖², the trace of M over d, and the norm of the rest: the scale
    s, by what the step is shortened, the change of ln sigma, and Info."""
    rates, longest = weighed.plan.rates, _longest(strategy)
    s -= identity
    norm = sqrt(shape * shape + strategy.structure.dim * s * s)
    clipped = norm > longest
    shorter = longest / norm if clipped else 1.0
    s *= shorter
    path_length = sqrt(square) / rates.chi
    change = min(eta * rates.cs / rates.ds * (path_length - 1), 1.0) - eta * s
    return s, shorter, change, Info(*weighed.seen, True, norm, clipped, path_length)


def _moved(strategy, state, tied, change, mean, factor, path_sigma, path, noisy):
    """Next state."""
    sigma, generation = state.sigma * exp(change), state.generation + 1
    state = State(mean, sigma, state.scale, factor, path_sigma, path, generation, noisy)
    return strategy.domain.adjust(state, strategy.structure, tied)


def _stretched(strategy, Z, good, bad):
    """w° (n,) of the rows of Z, and ½ Σ (w° − w): `tangent` subtracts Σ w° I, not Σ w I."""
    squares = namespace(Z).vecdot(Z, Z)
    if strategy.on_device:
        w, _, identity = steps.stretch(good, bad, squares, strategy.structure.dim)
        return strategy.lowered(w), identity
    stretch = strategy.structure.dim / squares
    return good + bad * stretch, 0.5 * number(bad @ (stretch - 1))


def _gradient(strategy, Z, w, q, c1, *, factor):
    """Natural gradient of the rows of Z with weights w and of the row q (1, d) with c1."""
    xp, structure = namespace(Z), strategy.structure
    numbers = Z.shape[0] * Z.shape[1]
    # a copy of a large Z costs more than two tangents
    if structure.path_parts is not None or numbers > max(2**20, 4 * structure.dof):
        return _with_path(strategy, structure.tangent(Z, w, factor), q, c1, factor=factor)
    if strategy.dtype != "float64":
        q = cast(q, strategy.dtype)
    both = xp.empty(w.shape[0] + 1, dtype=w.dtype)
    both[:-1] = w
    both[-1] = c1
    return structure.tangent(xp.concat([Z, q]), both, factor)


def _with_path(strategy, M, q, c1, *, factor):
    """M and the natural gradient of the row q (1, d) with weight c1."""
    xp, structure = namespace(q), strategy.structure
    path = structure.tangent(q, xp.asarray([c1], dtype=q.dtype), factor)
    if structure.path_parts is not None:
        path = structure.scale(path, structure.path_parts)
    return structure.add(M, path)
