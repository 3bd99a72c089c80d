"""When to stop, and why: a dict from criterion to the value that fired it.

The criteria are those of CMA-ES practice (Hansen 2016, appendix B.3; Auger & Hansen 2005), so a
user of pycma finds them again. A run that stops on its own has usually converged, or cannot go on
in floating point; which of the two, the reason tells.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields
from math import ceil, inf, isnan
from statistics import median

from . import checks
from .backend import namespace
from .files import plain
from .registry import nearest


@dataclass(frozen=True)
class Stopping:
    """The criteria and their tolerances; None switches one off. The reason has the field's name.

    target           stop when the best value is ≤ target
    max_evaluations  stop after so many values were told
    max_generations  stop after so many updates
    max_seconds      stop after so many seconds since the search was made
    tolfun           the values of the generation and the best values of the last
                     10 + ⌈30 d/λ⌉ generations (60 d/λ where some coordinates are integers:
                     each of them must have its chance to change) all lie within tolfun
    tolfunhist       the best values of those generations lie within tolfunhist
    tolx             standard deviations and path are below tolx · sigma0 in all coordinates
    tolxup           sigma has grown beyond tolxup · sigma0: sigma0 was far too small, or f has no
                     minimum there
    condition        condition number of the covariance above it (looked at every 5 d generations)
    stagnation       medians of best and median values did not improve over so many generations;
                     "auto" is 100 + 100 d^1.5/λ. This and tolfun, tolfunhist rest while noise was
                     found to matter (noisy.py)
    flat             all values equal (+inf and missing ones are) in so many generations in a row
    failures         all values missing (NaN) in so many generations in a row
    noeffect         True: stop when a fifth of a standard deviation changes no digit of the mean
                     in some coordinate (reason "noeffectcoord"), or a tenth of one along some axis
                     changes no coordinate ("noeffectaxis")
    """

    target: float | None = None
    max_evaluations: int | None = None
    max_generations: int | None = None
    max_seconds: float | None = None
    tolfun: float | None = 1e-12
    tolfunhist: float | None = 1e-12
    tolx: float | None = 1e-12
    tolxup: float | None = 1e4
    condition: float | None = 1e14
    stagnation: int | str | None = "auto"
    flat: int | None = 10
    failures: int | None = 10
    noeffect: bool = True

    def __post_init__(self):
        for name in ("max_evaluations", "max_generations", "flat", "failures"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, checks.count(name, getattr(self, name), 1))
        for name in ("max_seconds", "tolfun", "tolfunhist", "tolx", "tolxup", "condition"):
            if getattr(self, name) is not None:
                checks.number(name, getattr(self, name), positive=True)
        if self.target is not None:
            checks.number("target", self.target)
        if self.stagnation not in (None, "auto"):
            checks.count("stagnation", self.stagnation, 1)


def stopping_from(given: dict) -> Stopping:
    """Stopping(**given), with unknown names refused and the nearest known one named."""
    known = [f.name for f in fields(Stopping)]
    for name in given:
        if name not in known:
            raise TypeError(
                f"unknown argument {name!r}{nearest(name, known)}; stopping criteria are: "
                f"{', '.join(known)}"
            )
    return Stopping(**given)


class Monitor:
    """Watches a search and says which criteria have fired.

    `tell` is called for every batch of values, `generation` after every update; both add to
    `reasons`. `deviation` (smallest and largest standard deviation over coordinates) and
    `condition` are the last measured ones; they are looked at now and then, because they cost as
    much as an update.
    """

    def __init__(
        self, stopping: Stopping, structure, popsize: int, sigma0: float, integers: bool = False
    ):
        self.stopping = stopping
        self.structure = structure
        self.popsize = popsize
        self.sigma0 = sigma0
        self.reasons: dict = {}
        self.deviation = (1.0, 1.0)
        self.condition = 1.0
        d = structure.dim
        self._window = 10 + ceil((60 if integers else 30) * d / popsize)
        stagnation = stopping.stagnation
        if stagnation == "auto":
            stagnation = int(100 + 100 * d**1.5 / popsize)
        self._stagnation = stagnation
        length = max(self._window, 2 * (stagnation or 0))
        self.best = deque(maxlen=length)
        self.median = deque(maxlen=length)
        self.flat = self.failures = 0
        self._ticks = -1
        self._axis_every = 10
        self._condition_every = max(10, 5 * d)

    _KEPT = ("reasons", "deviation", "condition", "best", "median", "flat", "failures", "_ticks")

    def snapshot(self) -> dict:
        """What `restore` takes: plain values, as in checkpoint.py."""
        return {name: plain(getattr(self, name)) for name in self._KEPT}

    def restore(self, tree: dict) -> None:
        for name in self._KEPT:
            value, now = tree[name], getattr(self, name)
            if isinstance(now, deque):
                value = deque(value, maxlen=now.maxlen)
            setattr(self, name, type(now)(value) if isinstance(now, tuple) else value)

    def tell(self, best: float, evaluations: int) -> None:
        """After values came in: what may end a search inside a generation."""
        s = self.stopping
        if s.target is not None and best <= s.target:
            self.reasons["target"] = best
        if s.max_evaluations is not None and evaluations >= s.max_evaluations:
            self.reasons["max_evaluations"] = evaluations

    def generation(self, state, info, seconds: float) -> None:
        """After an update: the new state, what the update saw, seconds since the start."""
        s, fired = self.stopping, self.reasons
        t = state.generation
        self.best.append(info.best)
        self.median.append(info.median)
        self.failures = self.failures + 1 if isnan(info.best) else 0
        self.flat = self.flat + 1 if not info.updated else 0

        if s.max_generations is not None and t >= s.max_generations:
            fired["max_generations"] = t
        if s.max_seconds is not None and seconds >= s.max_seconds:
            fired["max_seconds"] = seconds
        if s.failures is not None and self.failures >= s.failures:
            fired["failures"] = self.failures
        elif s.flat is not None and self.flat >= s.flat:
            fired["flat"] = self.flat
        if not state.sigma < self.sigma0 * (s.tolxup or inf):
            fired["tolxup"] = state.sigma / self.sigma0
        if info.updated:
            if state.noisy is None or not state.noisy.matters:
                self._check_values(info.best, info.worst)
            if t % self._axis_every == 0:
                self._check_axes(state)
            if t % self._condition_every == 0 and s.condition is not None:
                self.condition = self.structure.condition(state.factor)
                if not self.condition < s.condition:
                    fired["condition"] = self.condition

    def _check_values(self, low, high):
        s, n = self.stopping, len(self.best)
        # cheap first: the window's range is at least the distance of its newest to its oldest
        if n >= self._window and (s.tolfun or s.tolfunhist):
            near = max(s.tolfun or 0.0, s.tolfunhist or 0.0)
            if abs(low - self.best[-self._window]) <= near:
                recent = [self.best[-i] for i in range(1, self._window + 1)]
                spread = max(recent) - min(recent)
                if s.tolfunhist is not None and spread < s.tolfunhist:
                    self.reasons["tolfunhist"] = spread
                spread = max(*recent, high) - min(recent)
                if s.tolfun is not None and spread < s.tolfun:
                    self.reasons["tolfun"] = spread
        if self._stagnation and n >= 2 * self._stagnation and self._due():
            half = self._stagnation
            b, m = list(self.best)[-2 * half :], list(self.median)[-2 * half :]
            if median(b[half:]) >= median(b[:half]) and median(m[half:]) >= median(m[:half]):
                self.reasons["stagnation"] = half

    def _due(self):
        """Every tenth time; the first time, too."""
        self._ticks = (self._ticks + 1) % self._axis_every
        return self._ticks == 0

    def _check_axes(self, state):
        s = self.stopping
        xp = namespace(state.mean)
        std = self.structure.deviations(state.factor)
        low, high = float(xp.min(std)), float(xp.max(std))
        self.deviation = low, high
        size = state.sigma / self.sigma0
        if s.tolx is not None and size * high < s.tolx:
            path = self.structure.unwhiten(state.factor, state.path[None, :])
            if size * float(xp.max(xp.abs(path))) < s.tolx:
                self.reasons["tolx"] = size * high
        if s.noeffect:
            step = state.sigma * state.scale
            if bool(xp.any(state.mean == state.mean + 0.2 * step * std)):
                self.reasons["noeffectcoord"] = state.sigma
            k = (state.generation // self._axis_every) % self.structure.noise_dim
            axis = xp.zeros_like(state.path)
            axis[k] = 1.0
            axis = self.structure.unwhiten(state.factor, axis[None, :])[0, :]
            if bool(xp.all(state.mean == state.mean + 0.1 * step * axis)):
                self.reasons["noeffectaxis"] = state.sigma
