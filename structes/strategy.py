"""The algorithm on one screen: an evolution strategy whose covariance lives in a matrix group.

Everything happens in local coordinates. A candidate is

    x = mean + sigma D₀ y,    y = B⁻ᵀ z,    z ~ N(0, I)

with D₀ the per-coordinate scale that the user gave. The structure supplies B⁻ᵀ z, the projected
natural gradient, the retraction, and how a path in local coordinates follows it; the engine says
how candidates are drawn and weighed and how fast things are learned; everything else is the same
for all. With the engine `cma` and a dense B this is, to first order, CMA-ES (Hansen 2016), with a
diagonal B sep-CMA-ES; with the engine `xnes` it is xNES (Glasmachers et al. 2010).

The functions are pure: `init` makes a State, `draw` makes candidates from it, `update` takes their
values and makes the next State. Nothing here knows of evaluation, stopping or randomness's source.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, cached_property
from math import exp, inf, log, nan, sqrt
from typing import Any, NamedTuple

import numpy as np

from .backend import namespace, to_numpy
from .domain import Domain
from .engine import Engine
from .noisy import Noise, Noisy, measure, share
from .ranking import (
    LEAST,
    assign,
    ranking,
    recombination_weights,
    with_missing,
    xnes_utilities,
)
from .rates import Rates, learning_rates
from .structures.base import Structure
from .structures.dense import Dense


class State(NamedTuple):
    """The search distribution and its memory: arrays and numbers, nothing else.

    mean (d,) · sigma (number) · scale (d,) D₀ · factor (tuple of arrays) B, |det B| = 1 to
    third order in the steps
    path_sigma, path (noise_dim,) step-size path and rank-one path, both in local coordinates
    generation (int) number of updates made
    noisy (Noisy or None) what is known of the noise, where it is dealt with (noisy.py)
    """

    mean: Any
    sigma: float
    scale: Any
    factor: tuple
    path_sigma: Any
    path: Any
    generation: int
    noisy: Noisy | None = None


class Info(NamedTuple):
    """What one update saw and did; for logs and stopping rules.

    best, median, worst   of the values (NaN ranks last)
    updated      False when all values were equal or missing: then only the generation moved
    norm         ‖M‖, Frobenius, before the trust region; clipped: whether that acted
    path_length  ‖path_sigma‖ over its expectation
    missing      values that were NaN
    late         values of earlier generations' candidates that were used, weighted by the ratio of
                 the densities; stale: those left out, because it was next to nothing
    injected     points that were told but never asked
    repeated     values of candidates that were told before; left out
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


class Plan(NamedTuple):
    """Weights and rates for n ranked values."""

    tables: np.ndarray  # (3, n) by rank: weights of the mean; cmu times those of G, + and −
    mueff: float
    rates: Rates


@dataclass(frozen=True)
class Strategy:
    """A structure and the settings of its search.

    structure      the matrix group of B
    engine         switches of the update (engine.py)
    popsize        candidates that one generation asks for; they are drawn in blocks that depend on
                   it; None: 4 + ⌊3 ln d⌋
    trust_region   largest Frobenius norm of a step M
    domain         where the points live (domain.py); None: all of R^d
    noise          how noisy values are dealt with (noisy.py); None: as if there were no noise
    """

    structure: Structure
    engine: Engine = field(default_factory=Engine)
    popsize: int | None = None
    trust_region: float = 0.5
    domain: Domain | None = None
    noise: Noise | None = None

    def __post_init__(self):
        if self.domain is None:
            object.__setattr__(self, "domain", Domain(self.structure.dim))
        if self.popsize is None:
            object.__setattr__(self, "popsize", default_popsize(self.structure.dim))

    @cached_property
    def _plans(self) -> dict:
        return {}

    @cached_property
    def _sampling(self):
        return self.engine.sampling_of(self.popsize, self.structure.noise_dim)

    def init(self, mean, sigma, scale, xp=np, dtype=None) -> State:
        """State of the first generation. mean (d,), sigma a positive number, scale (d,)."""
        dtype = xp.float64 if dtype is None else dtype
        zeros = xp.zeros(self.structure.noise_dim, dtype=dtype)
        state = State(
            mean=xp.asarray(mean, dtype=dtype),
            sigma=float(sigma),
            scale=xp.asarray(scale, dtype=dtype),
            factor=self.structure.identity(xp, dtype),
            path_sigma=zeros,
            path=zeros,
            generation=0,
            noisy=None if self.noise is None else Noisy(),
        )
        return self.domain.adjust(state, self.structure)

    def restored(self, tree, xp=np) -> State:
        """The state, with arrays of the library xp, that was written as a list of plain values and
        NumPy arrays (checkpoint.py).

        Raises ValueError where it is not one of this structure.
        """
        like = self.init(np.zeros(self.structure.dim), 1.0, np.ones(self.structure.dim))
        state = _as(like, tree, xp)
        if not (0 < state.sigma < inf and state.generation >= 0):
            raise ValueError(f"sigma {state.sigma}, generation {state.generation}")
        if state.noisy is not None and not (0 < state.noisy.eta <= 1 and state.noisy.wait >= 0):
            raise ValueError(f"{state.noisy}")
        return state

    def draw(self, state: State, seed: int, start: int, count: int):
        """(Z, Y, X) of candidates start … start+count−1 of this generation: each (count, d)."""
        xp = namespace(state.mean)
        z = self._sampling.draw(seed, state.generation, start, count, self.structure.noise_dim)
        Z = z if xp is np else xp.asarray(z, dtype=state.mean.dtype)
        Y = self.structure.unwhiten(state.factor, Z)
        if self.structure.noise_dim > self.structure.dim:
            Z = self.structure.whiten(state.factor, Y)
        if state.noisy is not None and state.noisy.wait == 0:
            self._repeat(state, seed, start, Z, Y)
        return Z, Y, self.place(state, Y)

    def _repeat(self, state, seed, start, Z, Y):
        """Make candidate popsize − 1 the first one again, where it is among these: two values of
        one point show the noise."""
        i = self.popsize - 1 - start
        if 0 <= i < Y.shape[0]:
            first = self.draw(state, seed, 0, 1) if start else (Z, Y)
            Z[i, :], Y[i, :] = first[0][0, :], first[1][0, :]

    def place(self, state: State, Y):
        """Points (n, d) of the rows of Y (n, d): u = mean + sigma D₀ y, as the domain has them."""
        return self.domain.decode(self.coordinates(state, Y))

    def coordinates(self, state: State, Y):
        """Search coordinates u = mean + sigma D₀ y (n, d) of the rows of Y (n, d)."""
        U = (state.sigma * state.scale) * Y
        U += state.mean
        return U

    def locate(self, state: State, U):
        """Local coordinates z (n, noise_dim) of search coordinates U (n, d): the inverse of
        drawing, for points that were not drawn here."""
        return self.structure.whiten(state.factor, (U - state.mean) / (state.sigma * state.scale))

    def log_density(self, state: State, Z) -> np.ndarray:
        """(n,) log density of the search coordinates whose local ones are Z (n, noise_dim), up to
        a constant of d: −‖z‖²/2 + log |det B| − d log sigma − Σ log D₀ (math: log q(x))."""
        xp = namespace(Z)
        volume = self.structure.dim * log(state.sigma) + float(xp.sum(xp.log(state.scale)))
        volume -= self.structure.logdet(state.factor)
        return -0.5 * to_numpy(xp.vecdot(Z, Z)) - volume

    def adopt(self, state: State, before: Structure) -> State:
        """The state of a search that had the structure `before`, for this one's.

        `dense` keeps the distribution as it is. The others keep its mean and its standard
        deviations, which become the scale, and begin anew with B = I.
        """
        xp = namespace(state.mean)
        paths = before.unwhiten(state.factor, xp.stack([state.path_sigma, state.path]))
        if isinstance(self.structure, Dense):
            factor = self.structure.factor_of(before.to_dense(state.factor))
            scale = sigma = 1.0
        else:
            factor = self.structure.identity(xp, state.mean.dtype)
            scale = before.deviations(state.factor)
            sigma = exp(float(xp.mean(xp.log(scale))))
        paths = self.structure.whiten(factor, paths / scale)
        return state._replace(
            sigma=state.sigma * sigma,
            scale=state.scale * (scale / sigma),
            factor=factor,
            path_sigma=paths[0, :],
            path=paths[1, :],
        )

    def shape_weights(self, Z, values, mass=None):
        """Weights (n,) with which the samples enter the covariance; None when all tie."""
        weights, _, _ = self._weigh(values, mass)
        if weights is None:
            return None
        xp = namespace(Z)
        _, good, bad = (xp.asarray(row, dtype=Z.dtype) for row in weights)
        return good + bad * (self.structure.dim / xp.vecdot(Z, Z))

    def plan(self, n: int) -> Plan:
        """Weights and learning rates for n ≥ 2 samples of the present distribution."""
        if n not in self._plans:
            self._plans[n] = _plan_of(self.structure, self.engine, n, self._sampling.mirrored)
        return self._plans[n]

    def _weigh(self, values, mass):
        """(weights (3, n) or None, ranked values, plan) of values (n,) that count `mass` (n,)."""
        order, ranked = ranking(values)
        if ranked[-1] != ranked[-1]:  # NaN sorts last
            mass = with_missing(values, mass)
        if (len(values) if mass is None else mass.sum()) < LEAST:  # says nothing
            return None, ranked, None
        if mass is None:
            plan = self.plan(len(values))
        else:
            mass = mass[order]
            plan = _plan(self.structure, self.engine, mass, mirrored=False)
        return assign(order, ranked, plan.tables, mass), ranked, plan

    def update(self, state: State, Z, Y, values, mass=None) -> tuple[State, Info]:
        """Next state from n candidates: Z, Y (n, d) as drawn, values (n,) NumPy, smaller better.

        mass   (n,) in (0, 1], how much each counts: 1 for one that was drawn from `state`, the
               ratio of the densities for one of an earlier distribution; None: 1 for all

        Tied values share their weights, NaN ranks last and counts a quarter; when all are equal
        (or they count as less than two), only the generation counter moves.
        """
        structure, d = self.structure, self.structure.dim
        xp = namespace(state.mean)
        weights, ranked, plan = self._weigh(values, mass)
        seen = float(ranked[0]), float(ranked[len(ranked) // 2]), float(ranked[-1])
        if weights is None:
            return state._replace(generation=state.generation + 1), Info(*seen)
        c1, _, parts, cc, cs, ds, chi = plan.rates
        if xp is not np:
            weights = [xp.asarray(row, dtype=Z.dtype) for row in weights]
        w_mean, w_good, w_bad = weights
        step, noisy, eta = state.sigma * state.scale, state.noisy, 1.0
        if noisy is not None:
            noisy = measure(self.noise, noisy, state.sigma, Z, values, self.popsize)
            eta = noisy.eta
            cs *= eta

        # mean, and the path of the step size
        dz = w_mean @ Z
        mean = state.mean + (eta * step) * (w_mean @ Y)
        ps = (1 - cs) * state.path_sigma + sqrt(cs * (2 - cs) * plan.mueff) * dz
        ps2 = float(ps @ ps)

        # path of the rank-one part; it waits while the step size still grows fast
        t = state.generation + 1
        growing = ps2 / d / (1 - (1 - cs) ** (2 * t)) >= 2 + 4 / (d + 1)
        q = (1 - cc) * state.path
        if not growing:
            q += sqrt(cc * (2 - cc) * plan.mueff) * dz

        # natural gradient of G = cmu Σ (w° z zᵀ − w I) + c1 (q qᵀ − I): the bad samples enter
        # with their length set to √d, w° = w d / ‖z‖² for w < 0. The scale s of M goes into sigma,
        # so that it is the geometric mean of the standard deviations, and the shape into B, so
        # that |det B| = 1
        stretch = d / xp.vecdot(Z, Z)
        M = self._gradient(Z, w_good + w_bad * stretch, q[None, :], c1, state.factor)
        identity = 0.5 * float(w_bad @ (stretch - 1))  # `tangent` subtracted Σ w° I, not Σ w I
        if parts is not None:
            M = structure.scale(M, parts)
            identity *= parts[-1]
        s = structure.trace(M) / d
        M = structure.shift(M, -s)
        s -= identity
        norm = (structure.norm(M) ** 2 + d * s * s) ** 0.5
        clipped = norm > self.trust_region and not self.engine.natural
        if clipped:
            M = structure.scale(M, self.trust_region / norm)
            s *= self.trust_region / norm

        path_length = sqrt(ps2) / chi
        change = min(1.0, cs / ds * (path_length - 1)) - eta * s
        if noisy is not None:
            change, noisy = share(self.noise, noisy, change)
        state = State(
            mean=mean,
            sigma=state.sigma * exp(change),
            scale=state.scale,
            factor=structure.retract(state.factor, M, Y),
            path_sigma=ps,
            path=exp(s) * structure.transport(M, q),
            generation=t,
            noisy=noisy,
        )
        state = self.domain.adjust(state, structure)
        return state, Info(*seen, True, norm, clipped, path_length)

    def _gradient(self, Z, w, q, c1, factor):
        """Natural gradient of the rows of Z with weights w and of the row q (1, d) with c1."""
        xp, structure = namespace(Z), self.structure
        numbers = Z.shape[0] * Z.shape[1]
        apart = structure.path_parts
        # a copy of a large Z costs more than two tangents
        if apart is not None or numbers > max(2**20, 4 * structure.dof):
            path = structure.tangent(q, xp.asarray([c1], dtype=w.dtype), factor)
            if apart is not None:
                path = structure.scale(path, apart)
            return structure.add(structure.tangent(Z, w, factor), path)
        both = xp.empty(w.shape[0] + 1, dtype=w.dtype)
        both[:-1] = w
        both[-1] = c1
        return structure.tangent(xp.concat([Z, q]), both, factor)


@cache
def _plan_of(structure: Structure, engine: Engine, n: int, mirrored: bool) -> Plan:
    return _plan(structure, engine, np.ones(n), mirrored)


def _plan(structure: Structure, engine: Engine, mass, mirrored: bool) -> Plan:
    n = float(mass.sum())
    if engine.natural:
        u = xnes_utilities(mass)
        rates = learning_rates(structure, engine, n, mueff=n / 4, mueff_mean=n / 4)
        return Plan(np.stack([u, rates.cmu * u, 0 * u]), 1 / float(u @ u), rates)
    good, other, bad, mueff, mueff_bad = recombination_weights(mass)
    mean = good - engine.mirror / (1 + 0.6 * n / structure.dim) * other
    square = float(mean @ mean)
    if mirrored:  # E ‖Σ w z‖²/d under random ranks, where Σ z = 0
        square = (n * square - float(mean.sum()) ** 2) / (n - 1)
    mueff_mean = 1 / square
    rates = learning_rates(structure, engine, n, mueff, mueff_mean)
    # Hansen 2016 eq. 49–52, without the bound that keeps C positive: h(M) is never singular
    alpha = 1 + 2 * mueff_bad / (mueff + 2)
    if rates.cmu > 0:
        alpha = min(alpha, 1 + rates.c1 / rates.cmu)
    return Plan(np.stack([mean, rates.cmu * good, rates.cmu * alpha * bad]), mueff_mean, rates)


def _as(like, value, xp):
    """`value`, made of lists and NumPy arrays, with the types of `like` and arrays of xp;
    ValueError where it differs."""
    if isinstance(like, tuple):
        if not isinstance(value, list) or len(value) != len(like):
            raise ValueError(f"a state needs {len(like)} parts where it has {value!r:.60}")
        parts = [_as(a, b, xp) for a, b in zip(like, value, strict=True)]
        return type(like)(*parts) if hasattr(like, "_fields") else tuple(parts)
    if isinstance(like, np.ndarray):
        if getattr(value, "shape", None) != like.shape or value.dtype != like.dtype:
            raise ValueError(f"a state needs an array of shape {like.shape}, {like.dtype}")
        return value if xp is np else xp.asarray(value)
    if type(value) is not type(like):
        raise ValueError(f"a state needs a {type(like).__name__} where it has {value!r:.60}")
    return value


def default_popsize(dim: int) -> int:
    """λ = 4 + ⌊3 ln d⌋ (Hansen 2016, table 1)."""
    return 4 + int(3 * log(dim))
