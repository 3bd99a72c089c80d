"""An evolution strategy whose covariance lives in a matrix group, as pure functions.

`init` makes a State, `draw` makes candidates from it, `update` (update.py) takes their values and
makes the next State. Nothing here knows of evaluation or of stopping.
"""

from __future__ import annotations

from functools import cached_property, partial

import numpy as np

from ..arrays.libraries import namespace
from ..arrays.threads import single_threaded
from ..structures.fallbacks import zeros
from .on_device import stride
from .redrawn import Redrawn, redrawn, sample
from .samples import Rows, Sampled, summed
from .settings import Settings
from .sound import check_state
from .state import Info, State, restored_as
from .uncertainty import Noisy
from .update import update


class Strategy(Settings):
    """Settings, and what they make: states, candidates and updates."""

    # -- states -----------------------------------------------------------------------------------

    def init(self, mean, sigma, scale, xp=np) -> State:
        """Return the state of the first generation, with arrays of the library xp.

        Parameters
        ----------
        mean, scale : array_like (d,)
        sigma : float
            Positive.
        xp : module
        """
        dtype = xp.float64
        path = xp.zeros(self.structure.noise_dim, dtype=dtype)
        state = State(
            mean=xp.asarray(mean, dtype=dtype),
            sigma=float(sigma),
            scale=xp.asarray(scale, dtype=dtype),
            factor=self.structure.identity(xp, dtype),
            path_sigma=path,
            path=path,
            generation=0,
            noisy=None if self.noise is None else Noisy(),
        )
        return self.domain.adjust(state, self.structure)

    def restored(self, tree, xp=np) -> State:
        """Return the state, with arrays of the library xp, that was written as a list of plain
        values and NumPy arrays (files/checkpoint.py).

        Raises ValueError where it is not one of this structure, or where no search can go on from
        it (sound.py). Nothing is allocated before its arrays are known to be as large.
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

    def check(self, state: State, from_updates: bool = False) -> None:
        """Raise ValueError where `restored` would not take this state.

        from_updates  whether it came of updates: they keep B invertible, which costs as much as a
              generation to see, so that it is not looked at again
        """
        restored_as(self._like, state, np)
        single_threaded(check_state, self.structure.dim, self, state, from_updates)

    # -- candidates -------------------------------------------------------------------------------

    def draw(self, state: State, seed: int, start: int, count: int):
        """Return (Z, Y, X) of candidates start … start+count−1 of this generation: Z
        (count, noise_dim), Y and X (count, d)."""
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
        """Return the X (count, d) of `draw` alone."""
        if self.redraws:
            return self.sample(state, seed, start, count)[0]
        return self.draw(state, seed, start, count)[2]

    def sample(self, state: State, seed: int, start: int, count: int):
        """Return (X, Redrawn) of candidates, where the structure `redraws`."""
        step = state.sigma * state.scale / state.factor[0]
        address = seed, state.generation, start, count
        U, z = sample(state.mean, step, *address, self.dtype)
        return self.decoded(U), z

    def draw_local(self, state: State, seed: int, start: int, count: int):
        """Return the Z (count, noise_dim) of `draw` alone, where generations are large: an array,
        or Redrawn."""
        if self.redraws:
            return self._redrawn(state, seed, start, count)
        Z = self._normals(state, seed, start, count)
        if self.structure.noise_dim > self.structure.dim:
            factor = self.lowered(state.factor)
            Z = self.structure.whiten(factor, self.structure.unwhiten(factor, Z))
        return Z

    def _redrawn(self, state, seed, start, count) -> Redrawn:
        d = self.structure.dim
        return redrawn(seed, state.generation, start, count, d, self.dtype)

    def _normals(self, state, seed, start, count):
        address = seed, state.generation, start, count, self.structure.noise_dim
        return self.sampling.draw(*address, xp=namespace(state.mean), dtype=self.dtype)

    def _repeat(self, state, seed, start, Z, Y):
        """Make candidate popsize − 1 the first one again, where it is among these: two values of
        one point show the noise."""
        i = self.popsize - 1 - start
        if 0 <= i < Y.shape[0]:
            first = self.draw(state, seed, 0, 1) if start else (Z, Y)
            Z[i, :], Y[i, :] = first[0][0, :], first[1][0, :]

    # -- updates ----------------------------------------------------------------------------------

    def update(self, state: State, Z, Y, values, mass=None) -> tuple[State, Info]:
        """Return the next state from the values of n candidates, and what the update saw.

        Parameters
        ----------
        state : State
        Z, Y : arrays (n, noise_dim) and (n, d), as drawn
            Of a generation that is large, or drawn again, Z are its tiles, an iterable of arrays
            or Redrawn, and Y is None; the result is that of the whole Z, Y up to rounding.
        values : array (n,) of NumPy
            Smaller is better, NaN is missing.
        mass : array (n,), optional
            Importance weights (update.py).
        """
        if Y is None:
            return self.update_summed(state, values, partial(summed, self, state, Z), mass)
        rows = partial(Rows, self, state, Z, Y)
        return single_threaded(update, self.structure.dim, self, state, values, rows, mass)

    def update_summed(
        self, state: State, values, sampled: Sampled, mass=None
    ) -> tuple[State, Info]:
        """Return the same from samples that are summed elsewhere (samples.py: `Summed`)."""
        is_stride = self.is_short and self.structure.is_entrywise and self.retraction == "h"
        rule = stride if is_stride else update
        return single_threaded(rule, self.structure.dim, self, state, values, sampled, mass)
