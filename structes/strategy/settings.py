"""A structure and the settings of its search: what makes states, candidates and updates.

The functions are pure: `init` makes a State, `draw` makes candidates from it, `update` (update.py)
takes their values and makes the next State. Nothing here knows of evaluation or of stopping.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from math import log

import numpy as np

from ..arrays.kernels.steps import LONGEST
from ..arrays.libraries import cast, namespace, to_numpy
from ..arrays.threads import single_threaded
from ..core.gaussian import Gaussian
from ..space.domain import Domain
from ..structures.base import Structure, zeros
from .engine import Engine
from .on_device import stride
from .redrawn import redrawn, sample
from .samples import Sampled, in_memory, in_tiles
from .sampling import Sampling
from .sound import check_state
from .state import Info, State, restored_as
from .tiling import is_redrawn, rows_of_tile
from .uncertainty import Noise, Noisy
from .update import update
from .weights_and_rates import WeightsAndRates, weights_and_rates


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
    def _alone(self) -> bool:
        """Are candidates drawn independently, and is noise not measured, which compares two?"""
        return self._sampling == Sampling() and self.noise is None

    @cached_property
    def tile(self) -> int | None:
        """Rows of a tile, where the generations are large; None: they are drawn as a whole."""
        return rows_of_tile(self.structure, self.popsize, self.on_device) if self._alone else None

    @cached_property
    def redraws(self) -> bool:
        """Whether noise is drawn again where it is wanted (redrawn.py)."""
        suits = self.on_device and self._alone and not self.domain.is_mixed
        return suits and is_redrawn(self.structure)

    @property
    def in_tiles(self) -> bool:
        """Does the update take the noise alone, tile by tile?"""
        return self.tile is not None or self.redraws

    @property
    def is_short(self) -> bool:
        """Are there kernels for the step, as vectors are short (kernels/steps.py)?"""
        return self.on_device and self.noise is None and self.structure.dim <= LONGEST

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

        Raises ValueError where it is not one of this structure, or where no search can go on from
        it (`sound.py`). Nothing is allocated before its arrays are known to be as large.
        """
        state = restored_as(self._like, tree, xp)
        single_threaded(check_state, self.structure.dim, self, state)
        return state

    @cached_property
    def _like(self) -> State:
        """A state as far as types and shapes go; it takes no memory."""
        d, latent = zeros(self.structure.dim), zeros(self.structure.noise_dim)
        noisy = None if self.noise is None else Noisy()
        return State(d, 1.0, d, self.structure.blank(), latent, latent, 0, noisy)

    def check(self, state: State, own: bool = False) -> None:
        """Raise ValueError where `restored` would not take this state.

        own   it came of updates: they keep B invertible, which costs as much as a generation to
              see, so that it is not looked at again
        """
        restored_as(self._like, state, np)
        single_threaded(check_state, self.structure.dim, self, state, own)

    def draw(self, state: State, seed: int, start: int, count: int):
        """(Z, Y, X) of candidates start … start+count−1 of this generation: each (count, d)."""
        return single_threaded(self._draw, self.structure.dim, state, seed, start, count)

    def _draw(self, state, seed, start, count):
        Z = self._normals(state, seed, start, count)
        factor = self.lowered(state.factor)
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
        U, z = sample(state.mean, step, *address, self.dtype)
        return self._decoded(U), z

    def draw_local(self, state: State, seed: int, start: int, count: int):
        """The Z (count, noise_dim) of `draw` alone, where generations are large: an array, or
        Redrawn."""
        if self.redraws:
            d = self.structure.dim
            return redrawn(seed, state.generation, start, count, d, self.dtype)
        Z = self._normals(state, seed, start, count)
        if self.structure.noise_dim > self.structure.dim:
            factor = self.lowered(state.factor)
            Z = self.structure.whiten(factor, self.structure.unwhiten(factor, Z))
        return Z

    def _normals(self, state, seed, start, count):
        address = seed, state.generation, start, count, self.structure.noise_dim
        return self._sampling.draw(*address, xp=namespace(state.mean), dtype=self.dtype)

    def lowered(self, arrays):
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
        return self._decoded(self.coordinates(state, Y))

    def _decoded(self, U):
        X = self.domain.decode(U)
        return X if self.dtype == "float64" else self.domain.rounded(X, self.dtype)

    def gaussian(self, state: State) -> Gaussian:
        """Return the search distribution, over the search coordinates."""
        return Gaussian(self.structure, *state[:4])

    def coordinates(self, state: State, Y):
        """Return the search coordinates mean + sigma D₀ y (n, d) of the rows of Y (n, d)."""
        return self.gaussian(state).placed(Y)

    def centred(self, state: State, Z, Y, weights):
        """(Z, Y), both (n, ·), in which the integers of candidates with positive weights (n,) lie
        in the middle of their cells where they are not the mean's (integers.py)."""
        xp, step = namespace(Y), state.sigma * state.scale
        U = self.coordinates(state, Y)
        moved = self.domain.centred(U, state.mean) - U
        moved = xp.where((weights > 0)[:, None], moved, 0.0 * moved)
        Y = Y + self.lowered((moved / step,))[0]
        away = xp.any(moved != 0, axis=1)[:, None]
        return xp.where(away, self.structure.whiten(self.lowered(state.factor), Y), Z), Y

    def locate(self, state: State, U):
        """Return the local coordinates z (n, noise_dim) of search coordinates U (n, d): the
        inverse of drawing, for points that were not drawn here."""
        return self.gaussian(state).whiten(U)

    def log_density(self, Z, volume: float) -> np.ndarray:
        """Return (n,) log densities of the search coordinates whose local ones are Z
        (n, noise_dim), up to a constant of d: −‖z‖²/2 − volume, that of the state."""
        return -0.5 * to_numpy(namespace(Z).vecdot(Z, Z)) - volume

    def volume(self, state: State) -> float:
        """Return the logarithm of the volume of the search distribution, up to a constant of d."""
        return self.gaussian(state).volume()

    def adopt(self, state: State, former: Structure) -> State:
        """Return the state of a search that had the structure `former`, for this one's
        (`Gaussian.adopt`); the paths keep their search coordinates."""
        xp = namespace(state.mean)
        paths = former.unwhiten(state.factor, xp.stack([state.path_sigma, state.path]))
        adopted = Gaussian(former, *state[:4]).adopt(self.structure)
        if not self.structure.has_any_matrix:
            paths = paths / former.deviations(state.factor)
        paths = self.structure.whiten(adopted.factor, paths)
        return state._replace(
            sigma=adopted.sigma,
            scale=adopted.scale,
            factor=adopted.factor,
            path_sigma=paths[0, :],
            path=paths[1, :],
        )

    def plan(self, n: int) -> WeightsAndRates:
        """Return the weights and learning rates of n ≥ 2 samples of the present distribution."""
        if n not in self._plans:
            mirrored = self._sampling.mirrored
            self._plans[n] = weights_and_rates(self.structure, self.engine, np.ones(n), mirrored)
        return self._plans[n]

    def update(self, state: State, Z, Y, values, mass=None) -> tuple[State, Info]:
        """Return the next state from the values (n,) of n candidates, and what the update saw.

        Z, Y      (n, noise_dim) and (n, d) as drawn. Z of a generation that is large, or drawn
                  again: its tiles, an iterable of arrays or Redrawn, and Y is None; the result is
                  that of the whole Z, Y up to rounding
        values    (n,) NumPy, smaller better; mass: (n,) importance weights (update.py)
        """
        if Y is None:
            return self.update_summed(state, values, in_tiles(self, state, Z), mass)
        return self._run(update, state, values, in_memory(self, state, Z, Y), mass)

    def update_summed(self, state, values, sampled: Sampled, mass=None) -> tuple[State, Info]:
        """Return the same from samples that are summed elsewhere."""
        rule = stride if self.is_short and self.structure.is_entrywise else update
        return self._run(rule, state, values, sampled, mass)

    def _run(self, rule: Callable, *arguments):
        return single_threaded(rule, self.structure.dim, self, *arguments)


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
