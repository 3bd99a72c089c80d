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

A generation of many numbers is *large*: it is drawn tile by tile, a tile is a few rows, and the
update wants its tiles one after the other, each once. Every sum over samples is a sum over tiles,
the tangent is one of them, and Σ w y = B⁻ᵀ Σ w z, so that no array of the population's size is
needed, and what is drawn again for the update is z alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import exp, inf, log, sqrt

import numpy as np

from .backend import namespace, to_numpy
from .domain import Domain
from .engine import Engine
from .noisy import Noise, Noisy, measure, share
from .plan import Plan, plan_for, plan_of
from .ranking import LEAST, assign, ranking, with_missing
from .sampling import Sampling
from .state import Info, State, restored_as
from .structures.base import Structure
from .structures.dense import Dense

LARGE = 2**22  # numbers in a generation from which on it is large: 32 MB
LONG = 2**12  # in its rows, at least: tiles of short ones would cost more than they save
SLIM = 32  # numbers in B for each parameter, at most: they are added up for every tile
TILE = 8  # rows of a tile, at most


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

    def __getstate__(self):
        """What is pickled: neither this nor the structure takes along what it has worked out."""
        return {**_given(self), "structure": _bare(self.structure)}

    @cached_property
    def _plans(self) -> dict:
        return {}

    @cached_property
    def _sampling(self):
        return self.engine.sampling_of(self.popsize, self.structure.noise_dim)

    @cached_property
    def tile(self) -> int | None:
        """Rows of a tile, where the generations are large; None: they are drawn as a whole.

        It takes candidates that are drawn independently, no measurements of noise, which compare
        two of them, and a structure whose numbers grow as d: where B has d² of them the tangent
        is kept as low rank (`dense`), or outweighs the population.
        """
        d = self.structure.dim
        alone = self._sampling == Sampling() and self.noise is None
        large = d >= LONG and d * self.popsize >= LARGE and self.structure.dof <= SLIM * d
        return max(1, min(TILE, LARGE // d)) if alone and large else None

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
        state = restored_as(like, tree, xp)
        if not (0 < state.sigma < inf and state.generation >= 0):
            raise ValueError(f"sigma {state.sigma}, generation {state.generation}")
        if state.noisy is not None and not (0 < state.noisy.eta <= 1 and state.noisy.wait >= 0):
            raise ValueError(f"{state.noisy}")
        return state

    def draw(self, state: State, seed: int, start: int, count: int):
        """(Z, Y, X) of candidates start … start+count−1 of this generation: each (count, d)."""
        Z = self._normals(state, seed, start, count)
        Y = self.structure.unwhiten(state.factor, Z)
        if self.structure.noise_dim > self.structure.dim:
            Z = self.structure.whiten(state.factor, Y)
        if state.noisy is not None and state.noisy.wait == 0:
            self._repeat(state, seed, start, Z, Y)
        return Z, Y, self.place(state, Y)

    def draw_local(self, state: State, seed: int, start: int, count: int):
        """The Z (count, noise_dim) of `draw` alone, where generations are large."""
        Z = self._normals(state, seed, start, count)
        if self.structure.noise_dim > self.structure.dim:
            Z = self.structure.whiten(state.factor, self.structure.unwhiten(state.factor, Z))
        return Z

    def _normals(self, state, seed, start, count):
        xp = namespace(state.mean)
        z = self._sampling.draw(seed, state.generation, start, count, self.structure.noise_dim)
        return z if xp is np else xp.asarray(z, dtype=state.mean.dtype)

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
        return self._stretched(Z, good, bad)[0]

    def plan(self, n: int) -> Plan:
        """Weights and learning rates for n ≥ 2 samples of the present distribution."""
        if n not in self._plans:
            self._plans[n] = plan_for(self.structure, self.engine, n, self._sampling.mirrored)
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
            plan = plan_of(self.structure, self.engine, mass, mirrored=False)
        return assign(order, ranked, plan.tables, mass), ranked, plan

    def update(self, state: State, Z, Y, values, mass=None) -> tuple[State, Info]:
        """Next state from n candidates: Z, Y (n, d) as drawn, values (n,) NumPy, smaller better.

        Z      of a large generation: its tiles, an iterable of arrays, and Y is None; the result
               is that of the whole Z, Y up to rounding
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
            weights = [xp.asarray(row, dtype=state.mean.dtype) for row in weights]
        w_mean, w_good, w_bad = weights
        step, noisy, eta = state.sigma * state.scale, state.noisy, 1.0
        if noisy is not None:
            noisy = measure(self.noise, noisy, state.sigma, Z, values, self.popsize)
            eta = noisy.eta
            cs *= eta

        # mean, and the path of the step size
        if Y is None:
            dz, M, identity = self._sums(Z, weights, state.factor)
            dy = structure.unwhiten(state.factor, dz[None, :])[0, :]
        else:
            dz, dy = w_mean @ Z, w_mean @ Y
            w, identity = self._stretched(Z, w_good, w_bad)
        mean = state.mean + (eta * step) * dy
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
        if Y is None:
            M = self._with_path(M, q[None, :], c1, state.factor)
        else:
            M = self._gradient(Z, w, q[None, :], c1, state.factor)
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

    def _stretched(self, Z, good, bad):
        """w° (n,) of the rows of Z, and ½ Σ (w° − w): `tangent` subtracts Σ w° I, not Σ w I."""
        stretch = self.structure.dim / namespace(Z).vecdot(Z, Z)
        return good + bad * stretch, 0.5 * float(bad @ (stretch - 1))

    def _sums(self, tiles, weights, factor):
        """Σ w z, the tangent of the samples, and ½ Σ (w° − w), in one pass over tiles of Z."""
        structure = self.structure
        dz, M, identity, start = 0.0, None, 0.0, 0
        for Z in tiles:
            w_mean, good, bad = (w[start : start + Z.shape[0]] for w in weights)
            w, more = self._stretched(Z, good, bad)
            part = structure.tangent(Z, w, factor)
            M = part if M is None else structure.add(M, part)
            dz, identity, start = dz + w_mean @ Z, identity + more, start + Z.shape[0]
        return dz, M, identity

    def _gradient(self, Z, w, q, c1, factor):
        """Natural gradient of the rows of Z with weights w and of the row q (1, d) with c1."""
        xp, structure = namespace(Z), self.structure
        numbers = Z.shape[0] * Z.shape[1]
        # a copy of a large Z costs more than two tangents
        if structure.path_parts is not None or numbers > max(2**20, 4 * structure.dof):
            return self._with_path(structure.tangent(Z, w, factor), q, c1, factor)
        both = xp.empty(w.shape[0] + 1, dtype=w.dtype)
        both[:-1] = w
        both[-1] = c1
        return structure.tangent(xp.concat([Z, q]), both, factor)

    def _with_path(self, M, q, c1, factor):
        """M and the natural gradient of the row q (1, d) with weight c1."""
        xp, structure = namespace(q), self.structure
        path = structure.tangent(q, xp.asarray([c1], dtype=q.dtype), factor)
        if structure.path_parts is not None:
            path = structure.scale(path, structure.path_parts)
        return structure.add(M, path)


def _given(value) -> dict:
    """The attributes of an object without its cached properties."""
    kind = type(value)
    kept = (k for k in vars(value) if not isinstance(getattr(kind, k, None), cached_property))
    return {name: getattr(value, name) for name in kept}


def _bare(value):
    """A copy of an object without its cached properties."""
    bare = object.__new__(type(value))
    vars(bare).update(_given(value))
    return bare


def default_popsize(dim: int) -> int:
    """λ = 4 + ⌊3 ln d⌋ (Hansen 2016, table 1)."""
    return 4 + int(3 * log(dim))
