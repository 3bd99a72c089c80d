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
from functools import cached_property, partial
from math import exp, inf, log, sqrt
from typing import Any, NamedTuple

import numpy as np

from .backend import at_most, cast, namespace, number, read, to_numpy, where
from .domain import Domain
from .engine import Engine
from .noisy import Noise, Noisy, measure, share
from .plan import Plan, plan_for, plan_of
from .ranking import LEAST, assign, ranking, with_missing
from .redrawn import Redrawn, redrawn, sample
from .sampling import Sampling
from .state import Info, State, restored_as
from .structures.base import Structure
from .structures.dense import Dense
from .structures.entrywise import Entrywise

LARGE = 2**22  # numbers in a generation from which on it is large: 32 MB
LONG = 2**12  # in its rows, at least: tiles of short ones would cost more than they save
SLIM = 32  # numbers in B for each parameter, at most: they are added up for every tile
TILE = 8  # rows of a tile, at most
DEVICE = 2**26  # on a device: numbers of a tile, and of a generation that is large


class Weighed(NamedTuple):
    """Weights of samples by the ranks of their values.

    rows   (3, n): weights of the mean, and of the covariance those ≥ 0 and those < 0; None where
           all values tie, or count as less than two
    seen   best, median and worst value
    plan   Plan that they are of
    """

    rows: np.ndarray | None
    seen: tuple
    plan: Plan | None


class Sums(NamedTuple):
    """Over samples: z = Σ w z (noise_dim,), their tangent M, and identity = ½ Σ (w° − w)."""

    z: Any
    M: tuple
    identity: Any


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
    dtype          of candidates and all that has a row for each: "float64", or "float32", which
                   takes half of the memory and a third of the time. The state is in float64: its
                   steps become too small for float32, from d = 10⁶ on or near the optimum
    on_device      arrays are not in this machine's memory: tiles are as large as that is for
    """

    structure: Structure
    engine: Engine = field(default_factory=Engine)
    popsize: int | None = None
    trust_region: float = 0.5
    domain: Domain | None = None
    noise: Noise | None = None
    dtype: str = "float64"
    on_device: bool = False

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
        numbers, most = (DEVICE, DEVICE) if self.on_device else (LARGE, TILE)
        large = d >= LONG and d * self.popsize >= numbers and self.structure.dof <= SLIM * d
        return max(1, min(most, numbers // d)) if alone and large else None

    @cached_property
    def redraws(self) -> bool:
        """Is the noise of large generations drawn again where it is wanted (redrawn.py)?"""
        entrywise = isinstance(self.structure, Entrywise)
        return self.on_device and entrywise and self.tile is not None

    def init(self, mean, sigma, scale, xp=np) -> State:
        """State of the first generation. mean (d,), sigma a positive number, scale (d,)."""
        dtype = xp.float64
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
        factor = self._lowered(state.factor)
        Y = self.structure.unwhiten(factor, Z)
        if self.structure.noise_dim > self.structure.dim:
            Z = self.structure.whiten(factor, Y)
        if state.noisy is not None and state.noisy.wait == 0:
            self._repeat(state, seed, start, Z, Y)
        return Z, Y, self.place(state, Y)

    def points(self, state: State, seed: int, start: int, count: int):
        """The X (count, d) of `draw` alone."""
        if self.redraws:
            return self.sample(state, seed, start, count)[0]
        return self.draw(state, seed, start, count)[2]

    def sample(self, state: State, seed: int, start: int, count: int):
        """(X, Redrawn) of candidates, where the structure `redraws`."""
        step = state.sigma * state.scale / state.factor[0]
        address = seed, state.generation, start, count
        X, z = sample(state.mean, step, *address, self.dtype)
        X = self.domain.decode(X)
        return X if self.dtype == "float64" else self.domain.rounded(X, self.dtype), z

    def draw_local(self, state: State, seed: int, start: int, count: int):
        """The Z (count, noise_dim) of `draw` alone, where generations are large: an array, or
        Redrawn."""
        if self.redraws:
            d = self.structure.dim
            return redrawn(seed, state.generation, start, count, d, self.dtype)
        Z = self._normals(state, seed, start, count)
        if self.structure.noise_dim > self.structure.dim:
            factor = self._lowered(state.factor)
            Z = self.structure.whiten(factor, self.structure.unwhiten(factor, Z))
        return Z

    def _normals(self, state, seed, start, count):
        address = seed, state.generation, start, count, self.structure.noise_dim
        return self._sampling.draw(*address, xp=namespace(state.mean), dtype=self.dtype)

    def _lowered(self, arrays):
        """Arrays in the precision of the candidates."""
        if self.dtype == "float64":
            return arrays
        return cast(arrays, self.dtype)

    def _repeat(self, state, seed, start, Z, Y):
        """Make candidate popsize − 1 the first one again, where it is among these: two values of
        one point show the noise."""
        i = self.popsize - 1 - start
        if 0 <= i < Y.shape[0]:
            first = self.draw(state, seed, 0, 1) if start else (Z, Y)
            Z[i, :], Y[i, :] = first[0][0, :], first[1][0, :]

    def place(self, state: State, Y):
        """Points (n, d) of the rows of Y (n, d): u = mean + sigma D₀ y, as the domain has them."""
        X = self.domain.decode(self.coordinates(state, Y))
        return X if self.dtype == "float64" else self.domain.rounded(X, self.dtype)

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
        weighed = self.weigh(values, mass)
        if weighed.rows is None:
            return None
        xp = namespace(Z)
        _, good, bad = (xp.asarray(row, dtype=Z.dtype) for row in weighed.rows)
        return self._stretched(Z, good, bad)[0]

    def plan(self, n: int) -> Plan:
        """Weights and learning rates for n ≥ 2 samples of the present distribution."""
        if n not in self._plans:
            self._plans[n] = plan_for(self.structure, self.engine, n, self._sampling.mirrored)
        return self._plans[n]

    def update(self, state: State, Z, Y, values, mass=None) -> tuple[State, Info]:
        """Next state from n candidates: Z, Y (n, d) as drawn, values (n,) NumPy, smaller better.

        Z      of a large generation: its tiles, an iterable of arrays, and Y is None; the result
               is that of the whole Z, Y up to rounding
        mass   (n,) in (0, 1], how much each counts: 1 for one that was drawn from `state`, the
               ratio of the densities for one of an earlier distribution; None: 1 for all

        Tied values share their weights, NaN ranks last and counts a quarter; when all are equal
        (or they count as less than two), only the generation counter moves.
        """
        weighed = self.weigh(values, mass)
        if weighed.rows is None:
            return self.stand(state, weighed)
        if Y is None:
            weights = self.weights(weighed, state)
            return self.move(state, weighed, self.sums(state, Z, weights))
        w_mean, good, bad = self.weights(weighed, state)
        w, identity = self._stretched(Z, good, bad)
        dz, dy, noisy = w_mean @ Z, w_mean @ Y, state.noisy
        if noisy is not None:
            noisy = measure(self.noise, noisy, state.sigma, Z, values, self.popsize)
        tangent = partial(self._gradient, Z, w, factor=state.factor)
        return self._move(state, weighed, dz, dy, tangent, identity, noisy, Y)

    # -- the parts of an update: weights from values, sums over samples, and the step -------------

    def weigh(self, values, mass=None) -> Weighed:
        """What follows from the ranks of values (n,) that count `mass` (n,)."""
        order, ranked = ranking(values)
        seen = float(ranked[0]), float(ranked[len(ranked) // 2]), float(ranked[-1])
        if ranked[-1] != ranked[-1]:  # NaN sorts last
            mass = with_missing(values, mass)
        if (len(values) if mass is None else mass.sum()) < LEAST:  # says nothing
            return Weighed(None, seen, None)
        if mass is None:
            plan = self.plan(len(values))
        else:
            mass = mass[order]
            plan = plan_of(self.structure, self.engine, mass, mirrored=False)
        return Weighed(assign(order, ranked, plan.tables, mass), seen, plan)

    def weights(self, weighed: Weighed, state: State) -> tuple:
        """The rows of the weights as arrays of the library and the precision of candidates."""
        xp, rows = namespace(state.mean), weighed.rows
        return self._lowered(tuple(rows if xp is np else map(xp.asarray, rows)))

    def sums(self, state: State, tiles, weights) -> Sums:
        """Over the samples whose z are in `tiles`, arrays or Redrawn, in one pass; weights (three
        rows): theirs, as of `weights`. Sums of parts add up: `add_sums`."""
        total, start = None, 0
        for Z in tiles:
            w_mean, good, bad = (w[start : start + Z.shape[0]] for w in weights)
            w, identity = self._stretched(Z, good, bad)
            if isinstance(Z, Redrawn):
                z, squares = Z.sums(w_mean, w)
                part = Sums(z, self.structure.tangent_of_squares(squares, w), identity)
            else:
                M = self.structure.tangent(Z, w, state.factor)
                part = Sums(cast(w_mean @ Z, "float64"), M, identity)
            total = part if total is None else self.add_sums(total, part)
            start += Z.shape[0]
        return total

    def add_sums(self, a: Sums, b: Sums) -> Sums:
        """Of the samples of both."""
        return Sums(a.z + b.z, self.structure.add(a.M, b.M), a.identity + b.identity)

    def stand(self, state: State, weighed: Weighed) -> tuple[State, Info]:
        """Next state where the values say nothing."""
        return state._replace(generation=state.generation + 1), Info(*weighed.seen)

    def move(self, state: State, weighed: Weighed, sums: Sums) -> tuple[State, Info]:
        """Next state from the sums over all samples."""
        dy = self.structure.unwhiten(state.factor, sums.z[None, :])[0, :]
        tangent = partial(self._with_path, sums.M, factor=state.factor)
        return self._move(state, weighed, sums.z, dy, tangent, sums.identity, state.noisy)

    def _move(self, state, weighed, dz, dy, tangent, identity, noisy, Y=None):
        """The step. dz, dy: Σ w z and Σ w y; tangent(q, c): the natural gradient of the samples
        and of a row q (1, d) with weight c."""
        structure, d, plan = self.structure, self.structure.dim, weighed.plan
        c1, _, parts, cc, cs, ds, chi = plan.rates
        eta = 1.0 if noisy is None else noisy.eta
        cs *= eta

        # mean, and the path of the step size
        mean = state.mean + (eta * state.sigma * state.scale) * dy
        ps = (1 - cs) * state.path_sigma + sqrt(cs * (2 - cs) * plan.mueff) * dz
        ps2 = number(ps @ ps)

        # path of the rank-one part; it waits while the step size still grows fast
        t = state.generation + 1
        growing = ps2 / d / (1 - (1 - cs) ** (2 * t)) >= 2 + 4 / (d + 1)
        q = (1 - cc) * state.path
        if growing is not True:
            q += where(growing, 0.0 * ps2, sqrt(cc * (2 - cc) * plan.mueff)) * dz

        # natural gradient of G = cmu Σ (w° z zᵀ − w I) + c1 (q qᵀ − I): the bad samples enter
        # with their length set to √d, w° = w d / ‖z‖² for w < 0. The scale s of M goes into sigma,
        # so that it is the geometric mean of the standard deviations, and the shape into B, so
        # that |det B| = 1
        M = tangent(q[None, :], c1)
        if self.dtype != "float64":
            M = cast(M, "float64")
        if parts is not None:
            M = structure.scale(M, parts)
            identity = identity * parts[-1]
        s = structure.trace(M) / d
        M = structure.shift(M, -s)
        s = s - identity
        norm = (structure.norm(M) ** 2 + d * s * s) ** 0.5
        if not self.engine.natural:
            clipped = norm > self.trust_region
            if clipped is not False:
                shorter = where(clipped, self.trust_region / norm, 1.0)
                M, s = structure.scale(M, shorter), s * shorter

        path_length = ps2**0.5 / chi
        change = at_most(cs / ds * (path_length - 1), 1.0) - eta * s
        s, norm, path_length, change = read(s, norm, path_length, change)
        clipped = norm > self.trust_region and not self.engine.natural
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
        return state, Info(*weighed.seen, True, norm, clipped, path_length)

    def _stretched(self, Z, good, bad):
        """w° (n,) of the rows of Z, and ½ Σ (w° − w): `tangent` subtracts Σ w° I, not Σ w I."""
        squares = Z.squares if isinstance(Z, Redrawn) else namespace(Z).vecdot(Z, Z)
        stretch = self.structure.dim / squares
        return good + bad * stretch, 0.5 * number(bad @ (stretch - 1))

    def _gradient(self, Z, w, q, c1, *, factor):
        """Natural gradient of the rows of Z with weights w and of the row q (1, d) with c1."""
        xp, structure = namespace(Z), self.structure
        numbers = Z.shape[0] * Z.shape[1]
        # a copy of a large Z costs more than two tangents
        if structure.path_parts is not None or numbers > max(2**20, 4 * structure.dof):
            return self._with_path(structure.tangent(Z, w, factor), q, c1, factor=factor)
        q = xp.astype(q, Z.dtype, copy=False)
        both = xp.empty(w.shape[0] + 1, dtype=w.dtype)
        both[:-1] = w
        both[-1] = c1
        return structure.tangent(xp.concat([Z, q]), both, factor)

    def _with_path(self, M, q, c1, *, factor):
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
