"""A structure and the settings of its search, and what follows from them alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import log
from typing import Any

import numpy as np

from ..arrays.kernels.steps import LONGEST
from ..arrays.libraries import cast, namespace, to_numpy
from ..core.gaussian import Gaussian, placed
from ..space.domain import Domain
from ..structures.base import Structure
from .engine import Engine
from .sampling import Sampling
from .state import State
from .tiling import is_redrawn, rows_of_tile
from .uncertainty import Noise
from .weights_and_rates import WeightsAndRates, weights_and_rates


@dataclass(frozen=True)
class Settings:
    """A structure and the settings of its search.

    Parameters
    ----------
    structure : Structure
        The matrix group of B.
    engine : Engine
        The switches of the update (engine.py).
    popsize : int, optional
        How many candidates one generation asks for; they are drawn in blocks that depend on it.
        None: 4 + ⌊3 ln d⌋.
    domain : Domain, optional
        Where the points live (space/domain.py); None: all of R^d.
    noise : Noise, optional
        How noisy values are dealt with (uncertainty.py); None: as if there were no noise.
    dtype : str
        The precision of candidates and all that has a row for each: "float64", or "float32", which
        takes half of the memory and a third of the time. The state is in float64: its steps become
        too small for float32, from d = 10⁶ on or near the optimum.
    on_device : bool
        Whether arrays are not in this machine's memory: tiles are as large as that is for.
    """

    structure: Structure
    engine: Engine = field(default_factory=Engine)
    popsize: int = None  # type: ignore[assignment]  # __post_init__ sets it
    domain: Domain = None  # type: ignore[assignment]
    noise: Noise | None = None
    dtype: str = "float64"
    on_device: bool = False

    def __post_init__(self):
        if self.domain is None:
            object.__setattr__(self, "domain", Domain(self.structure.dim))
        if self.popsize is None:
            object.__setattr__(self, "popsize", default_popsize(self.structure.dim))
        check_retraction(self.engine, self.structure)

    def __getstate__(self):
        """Return what is pickled: neither the settings nor the structure take along what they have
        worked out."""
        return {**_attributes(self), "structure": _bare(self.structure)}

    # -- how candidates are drawn -----------------------------------------------------------------

    @cached_property
    def sampling(self) -> Sampling:
        """How the rows of a generation are drawn."""
        return self.engine.sampling_of(self.popsize, self.structure.noise_dim)

    @cached_property
    def _independent(self) -> bool:
        """Whether candidates are drawn independently, and noise is not measured, which compares
        two of them."""
        return self.sampling == Sampling() and self.noise is None

    @cached_property
    def tile(self) -> int | None:
        """Rows of a tile, where the generations are large; None: they are drawn as a whole."""
        if not self._independent:
            return None
        return rows_of_tile(self.structure, self.popsize, self.on_device)

    @cached_property
    def redraws(self) -> bool:
        """Whether noise is drawn again where it is wanted (redrawn.py)."""
        suits = self.on_device and self._independent and not self.domain.centres
        return suits and is_redrawn(self.structure)

    @property
    def in_tiles(self) -> bool:
        """Whether the update takes the noise alone, tile by tile."""
        return self.tile is not None or self.redraws

    @property
    def is_short(self) -> bool:
        """Whether there are kernels for the step, as vectors are short (kernels/steps.py)."""
        suits = self.on_device and self.noise is None and not self.engine.textbook
        return suits and self.structure.dim <= LONGEST

    # -- how a step moves B -----------------------------------------------------------------------

    @cached_property
    def retraction(self) -> str:
        """What the engine asks for, where the structure has it: "h", "exp" or "straight"."""
        kind, structure = self.engine.retraction, self.structure
        if kind == "straight":
            return kind if structure.moves_straight else "h"
        if kind == "auto":
            return "exp" if structure.has_exponential else "h"
        return kind

    def move(self, factor, M, q) -> tuple[tuple, Any]:
        """Return the factor after the step M, and the local coordinates there of the path q."""
        structure = self.structure
        if self.retraction == "exp":
            return structure.retract_exp(factor, M), structure.transport_exp(M, q)
        if self.retraction == "straight":
            rows = structure.unwhiten(factor, q[None, :])
            factor = structure.retract_straight(factor, M)
            return factor, structure.whiten(factor, rows)[0, :]
        return structure.move(factor, M, q)

    def lowered(self, arrays):
        """Return arrays, or a tuple of them, in the precision of the candidates."""
        return arrays if self.dtype == "float64" else cast(arrays, self.dtype)

    # -- weights and rates ------------------------------------------------------------------------

    @cached_property
    def _plans(self) -> dict:
        return {}

    def plan(self, n: int) -> WeightsAndRates:
        """Return the weights and learning rates of n ≥ 2 samples of the present distribution."""
        if n not in self._plans:
            mirrored = self.sampling.mirrored
            self._plans[n] = weights_and_rates(self.structure, self.engine, np.ones(n), mirrored)
        return self._plans[n]

    # -- the search distribution ------------------------------------------------------------------

    def gaussian(self, state: State) -> Gaussian:
        """Return the search distribution, over the search coordinates."""
        return Gaussian(self.structure, *state[:4])

    def coordinates(self, state: State, Y):
        """Return the search coordinates u = mean + sigma D₀ y (n, d) of the rows of Y (n, d)."""
        return placed(state, Y)

    def place(self, state: State, Y):
        """Return the points (n, d) of the rows of Y (n, d), as the domain has them."""
        return self.decoded(self.coordinates(state, Y))

    def decoded(self, U):
        """Return the points of search coordinates U, both (n, d), in the candidates' precision."""
        X = self.domain.decode(U)
        return X if self.dtype == "float64" else self.domain.rounded(X, self.dtype)

    def centred(self, state: State, Z, Y, weights) -> tuple[Any, Any]:
        """Return (Z, Y), both (n, ·), in which the integers of candidates with positive weights
        (n,) lie in the middle of their cells, and options ahead, where they are not the mean's."""
        xp, step = namespace(Y), state.sigma * state.scale
        U = self.coordinates(state, Y)
        shift = self.domain.centred(U, state.mean) - U
        shift = xp.where((weights > 0)[:, None], shift, 0.0 * shift)
        Y = Y + self.lowered((shift / step,))[0]
        is_moved = xp.any(shift != 0, axis=1)[:, None]
        return xp.where(is_moved, self.structure.whiten(self.lowered(state.factor), Y), Z), Y

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


def check_retraction(engine: Engine, structure: Structure) -> None:
    """Raise ValueError where the structure has not the retraction that the engine is told."""
    kind = None if engine.natural is None else engine.natural.retraction
    fixed = getattr(structure, "retraction", "h")
    name = type(structure).__name__
    if kind == "exp" and not structure.has_exponential:
        raise ValueError(
            f"engine: retraction 'exp' needs a structure that has B exp(M), and {name} has a "
            "retraction of its own: name another structure (of 61 parameters and more 'auto' "
            "begins with low_rank), or retraction 'auto', which is exp where there is one"
        )
    if kind == "h" and fixed != "h":
        raise ValueError(
            f"engine: retraction is 'h', but that of the structure {name} is {fixed!r}: say it "
            "once"
        )


def _attributes(value) -> dict:
    """Return the attributes of an object without its cached properties."""
    kind = type(value)
    names = (k for k in vars(value) if not isinstance(getattr(kind, k, None), cached_property))
    return {name: getattr(value, name) for name in names}


def _bare(value):
    """Return a copy of an object without its cached properties."""
    bare = object.__new__(type(value))
    vars(bare).update(_attributes(value))
    return bare


def default_popsize(dim: int) -> int:
    """Return λ = 4 + ⌊3 ln d⌋ (Hansen 2016, table 1)."""
    return 4 + int(3 * log(dim))
