"""The algorithm on one screen: an evolution strategy whose covariance lives in a matrix group.

Everything happens in local coordinates. A candidate is

    x = mean + sigma D₀ y,    y = B⁻ᵀ z,    z ~ N(0, I)

with D₀ the per-coordinate scale that the user gave. The structure supplies B⁻ᵀ z, the projected
natural gradient, the retraction, and how a path in local coordinates follows it; everything else is
the same for all structures. With a dense B and to first order this is CMA-ES (Hansen 2016); with a
diagonal B sep-CMA-ES; without the paths, and with exp in place of h, xNES (Glasmachers et al. 2010).

The functions are pure: `init` makes a State, `draw` makes candidates from it, `update` takes their
values and makes the next State. Nothing here knows of evaluation, stopping or randomness's source.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from . import noise
from .backend import namespace
from .ranking import assign, recombination_weights
from .rates import Rates, learning_rates
from .structures.base import Structure


class State(NamedTuple):
    """The search distribution and its memory: arrays and numbers, nothing else.

    mean (d,) · sigma (number) · scale (d,) D₀ · factor (tuple of arrays) B
    path_sigma (d,) step-size path · path (d,) rank-one path, both in local coordinates
    generation (int) number of updates made
    """

    mean: Any
    sigma: float
    scale: Any
    factor: tuple
    path_sigma: Any
    path: Any
    generation: int


class Info(NamedTuple):
    """What one update did; for logs and stopping rules.

    norm (‖M‖ before the trust region), clipped (did the trust region act), updated (False when all
    values were tied or missing), path_length (‖path_sigma‖ / its expectation)
    """

    norm: float
    clipped: bool
    updated: bool
    path_length: float


class Plan(NamedTuple):
    """Weights and rates for n values: everything that does not change between generations."""

    tables: np.ndarray  # (2, n) weights by rank: of the mean, of the covariance
    mueff: float
    rates: Rates


@dataclass(frozen=True)
class Strategy:
    """A structure and the settings of its search.

    structure      the matrix group of B
    trust_region   largest Frobenius norm of a step M (math.md 1.4)
    """

    structure: Structure
    trust_region: float = 0.5

    def init(self, mean, sigma, scale, xp=np, dtype=None) -> State:
        """State of the first generation. mean (d,), sigma a positive number, scale (d,)."""
        dtype = xp.float64 if dtype is None else dtype
        zeros = xp.zeros(self.structure.dim, dtype=dtype)
        return State(
            mean=xp.asarray(mean, dtype=dtype),
            sigma=float(sigma),
            scale=xp.asarray(scale, dtype=dtype),
            factor=self.structure.identity(xp, dtype),
            path_sigma=zeros,
            path=zeros,
            generation=0,
        )

    def draw(self, state: State, seed: int, start: int, count: int):
        """(Z, Y, X) of candidates start … start+count−1 of this generation: each (count, d)."""
        xp = namespace(state.mean)
        z = noise.normals(
            seed, noise.CANDIDATES, state.generation, start, count, self.structure.dim
        )
        Z = z if xp is np else xp.asarray(z, dtype=state.mean.dtype)
        Y = self.structure.unwhiten(state.factor, Z)
        return Z, Y, self.place(state, Y)

    def place(self, state: State, Y):
        """Rows x = mean + sigma D₀ y of the rows of Y (n, d)."""
        return state.mean + (state.sigma * state.scale) * Y

    def locate(self, state: State, X):
        """Z (n, d) such that `place(unwhiten(Z))` is X (n, d): points that were not drawn here."""
        Y = (X - state.mean) / (state.sigma * state.scale)
        return self.structure.whiten(state.factor, Y)

    def plan(self, n: int) -> Plan:
        """Weights and learning rates for n values."""
        return _plan(self.structure, n)

    def update(self, state: State, Z, Y, values) -> tuple[State, Info]:
        """Next state from n candidates: Z, Y (n, d) as drawn, values (n,) NumPy, smaller better.

        Tied values share their weights, NaN ranks last; when all are equal, only the generation
        counter moves.
        """
        structure, d = self.structure, self.structure.dim
        xp = namespace(state.mean)
        plan = self.plan(len(values))
        c1, cmu, cc, cs, ds, chi = plan.rates
        weights = assign(values, plan.tables)
        if weights is None:
            return state._replace(generation=state.generation + 1), Info(0.0, False, False, 0.0)
        w_mean, w = weights if xp is np else xp.asarray(weights, dtype=Z.dtype)

        # mean and step-size path
        dz = w_mean @ Z
        mean = state.mean + (state.sigma * state.scale) * (w_mean @ Y)
        ps = (1 - cs) * state.path_sigma + (cs * (2 - cs) * plan.mueff) ** 0.5 * dz
        ps2 = float(ps @ ps)

        # rank-one path, stalled while the step size still grows fast
        grown = ps2 / (1 - (1 - cs) ** (2 * (state.generation + 1))) / d
        hs = grown < 2 + 4 / (d + 1)
        q = (1 - cc) * state.path
        if hs:
            q = q + (cc * (2 - cc) * plan.mueff) ** 0.5 * dz

        # natural gradient of G = cmu Σ w° (z zᵀ − I) + c1 (q qᵀ − I), bad samples at equal length
        lengths = xp.sum(Z * Z, axis=1)
        w = cmu * xp.where(w < 0, w * d / lengths, w)
        rows = xp.concat([Z, q[None, :]])
        M = structure.tangent(rows, xp.concat([w, xp.asarray([c1], dtype=w.dtype)]))
        norm = structure.norm(M)
        clipped = norm > self.trust_region
        if clipped:
            M = structure.scale(M, self.trust_region / norm)

        Y = xp.concat([Y, structure.unwhiten(state.factor, q[None, :])])
        path_length = ps2**0.5 / chi
        state = State(
            mean=mean,
            sigma=state.sigma * float(np.exp(min(1.0, cs / ds * (path_length - 1)))),
            scale=state.scale,
            factor=structure.retract(state.factor, M, Y),
            path_sigma=ps,
            path=structure.transport(M, q),
            generation=state.generation + 1,
        )
        return state, Info(norm, clipped, True, path_length)


@cache
def _plan(structure: Structure, n: int) -> Plan:
    weights = recombination_weights(n)
    d = structure.dim
    rates = learning_rates(d, structure.dof, structure.row, weights.mueff)
    # Hansen 2016 eq. 49–52, without the bound that keeps C positive: h(M) is never singular
    alpha = min(
        1 + rates.c1 / rates.cmu if rates.cmu > 0 else 1.0,
        1 + 2 * weights.mueff_negative / (weights.mueff + 2),
    )
    tables = np.stack([weights.positive, weights.positive + alpha * weights.negative])
    return Plan(tables, weights.mueff, rates)


def default_popsize(dim: int) -> int:
    """λ = 4 + ⌊3 ln d⌋ (Hansen 2016, table 1)."""
    return 4 + int(3 * np.log(dim))
