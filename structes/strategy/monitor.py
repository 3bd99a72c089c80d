"""What watches a search and says which criteria of a Stopping have fired.

The criteria are said in stopping.py; here is what a search must remember for them, and when each
is looked at. Those that cost as much as an update are looked at now and then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import ceil, inf, isfinite, isnan
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from .. import checks
from ..arrays.libraries import namespace, to_numpy
from ..arrays.persistent import EMPTY, PersistentList
from ..files.folders import plain
from ..naming.error_text import brief
from .state import MOST
from .stopping import REASONS, Stopping


@dataclass(frozen=True, eq=False)
class Rules:
    """What a Monitor compares with; during a search only its structure changes.

    stopping    criteria and tolerances
    structure   of the search
    popsize     candidates of a generation
    sigma0      overall initial standard deviation; scale0: (d,) that of each coordinate over it
    domain      where the points live (domain.py)
    """

    stopping: Stopping
    structure: Any
    popsize: int
    sigma0: float
    scale0: Any
    domain: Any
    window: int = field(init=False)  # generations whose best values are compared
    flat: int | None = field(init=False)  # generations without a difference that end a search
    half: int = field(init=False)  # of the generations that stagnation looks at; 0: it does not
    condition: float | None = field(init=False)  # number of the covariance that ends a search

    def __post_init__(self):
        d, continuous, half = self.structure.dim, self.domain.continuous, self.stopping.stagnation
        if half == "auto":
            half = int(100 + 100 * d**1.5 / self.popsize) if continuous else 0
        generations, flat, condition = 30, self.stopping.flat, self.stopping.condition
        if not continuous:
            generations = 300
        elif self.domain.has_integers:
            generations = 60
        if condition == "auto":
            condition = 1e14 if continuous == self.domain.dim else None
        if flat == "auto":
            flat = 10 + self.domain.has_integers * ceil(60 * d / self.popsize)
        object.__setattr__(self, "window", 10 + ceil(generations * d / self.popsize))
        object.__setattr__(self, "flat", flat)
        object.__setattr__(self, "half", half or 0)
        object.__setattr__(self, "condition", condition)


class History(NamedTuple):
    """What a Monitor has seen so far.

    reasons          {criterion: value} of those that have fired; never changed in place
    deviation        smallest and largest standard deviation of a coordinate, relative to sigma;
                     condition: of the covariance. Both as they were measured last, now and then,
                     because that costs as much as an update
    values           (best, median) of the last generations
    low, high        the lowest and the highest finite value so far
    flat, failures   generations in a row whose values were all equal; all missing
    looks            at stagnation
    improved         generation in which the lowest value came; inf: that is not known
    """

    reasons: dict
    deviation: tuple = (1.0, 1.0)
    condition: float = 1.0
    values: PersistentList = EMPTY
    low: float = inf
    high: float = -inf
    flat: int = 0
    failures: int = 0
    looks: int = -1
    improved: float = 0


def _float(name, value):
    """Return a number of a file, which may be NaN; an integer stays one."""
    if type(value) is float or (type(value) is int and abs(value) < MOST):
        return value
    raise TypeError(f"{name} must be a number; got {brief(value)}")


def _floats(name, values) -> list:
    """Return numbers of a file: an array (n,), or a list in older ones."""
    if isinstance(values, np.ndarray):
        if values.ndim != 1 or values.dtype != float:
            raise ValueError(f"{name} must be (n,) numbers; got {values.dtype} {values.shape}")
        return values.tolist()
    return [_float(name, value) for value in values]


ROUNDING = 8 * 2.0**-52  # of values, relative to them


AXES_EVERY = 10  # generations between two looks at the standard deviations


class Monitor(NamedTuple):
    """Watches a search and says which criteria have fired: a value, of which the methods give the
    next one.

    `told` is called for every batch of values, `closed` after every update.
    """

    rules: Rules
    history: History = History({})

    stopping = property(lambda self: self.rules.stopping)
    sigma0 = property(lambda self: self.rules.sigma0)
    reasons = property(lambda self: self.history.reasons)
    deviation = property(lambda self: self.history.deviation)
    condition = property(lambda self: self.history.condition)
    failures = property(lambda self: self.history.failures)

    def of(self, structure) -> Monitor:
        """Return the same for a search that goes on with another structure."""
        return Monitor(replace(self.rules, structure=structure), self.history)

    def under(self, stopping: Stopping, generation: int, reasons: Mapping[str, Any]) -> Monitor:
        """Return the same under other criteria, of which none has fired so far but for `reasons`,
        and a budget of generations that is spent."""
        budget, reasons = stopping.max_generations, dict(reasons)
        if budget is not None and generation >= budget:
            reasons["max_generations"] = generation
        history = self.history._replace(reasons=reasons, flat=0, failures=0)
        return Monitor(replace(self.rules, stopping=stopping), history)

    def snapshot(self) -> dict:
        """Return what `restored` takes: plain values, as in files/checkpoint.py."""
        history = self.history._asdict()
        history["_ticks"] = history.pop("looks")  # its name in files of version 1
        values = history.pop("values").last(self._kept)
        tree = {name: plain(v) for name, v in history.items()}
        for k, name in enumerate(("best", "median")):
            tree[name] = np.array([v[k] for v in values], dtype=float)
        return tree

    def restored(self, tree: dict) -> Monitor:
        """Return the Monitor that had the snapshot `tree`. Raises ValueError or TypeError."""
        best, median = (_floats(name, tree[name]) for name in ("best", "median"))
        finite = [b for b in best if isfinite(b)]
        reasons = dict(tree["reasons"])
        for name in reasons:
            checks.choice("reasons", name, REASONS)
        history = History(
            reasons={name: _float(name, value) for name, value in reasons.items()},
            deviation=tuple(_float("deviation", v) for v in tree["deviation"]),
            condition=_float("condition", tree["condition"]),
            values=PersistentList(zip(best, median, strict=True)),
            low=_float("low", tree.get("low", min(finite, default=inf))),  # not in older files
            high=_float("high", tree.get("high", max(finite, default=-inf))),
            flat=checks.count("flat", tree["flat"], 0, MOST),
            failures=checks.count("failures", tree["failures"], 0, MOST),
            looks=checks.count("looks", tree["_ticks"], -1, MOST),
            improved=_float("improved", tree.get("improved", inf)),
        )
        if len(history.deviation) != 2:
            raise ValueError(f"deviation must be two numbers; got {len(history.deviation)}")
        return Monitor(self.rules, history)

    def told(self, best: float, evaluations: int, seconds: float) -> Monitor:
        """Return the Monitor after values came in, the best of them so far, `seconds` after the
        search began: it looks at what may end a search inside a generation."""
        s, fired = self.rules.stopping, {}
        if s.target is not None and best <= s.target:
            fired["target"] = best
        if s.max_evaluations is not None and evaluations >= s.max_evaluations:
            fired["max_evaluations"] = evaluations
        if s.max_seconds is not None and seconds >= s.max_seconds:
            fired["max_seconds"] = seconds
        if not fired:
            return self
        return Monitor(self.rules, self.history._replace(reasons={**self.reasons, **fired}))

    def closed(self, state, info, seconds: float) -> Monitor:
        """Return the Monitor after an update: the new state, what the update saw, seconds since
        the start."""
        s, history, t = self.rules.stopping, self.history, state.generation
        low, high, worst = history.low, history.high, info.worst
        if not -inf < worst < inf:
            worst = info.median if -inf < info.median < inf else info.best
        improved = history.improved
        if -inf < info.best < inf:
            if info.best < low:
                low, improved = info.best, t
            high = max(high, worst)
        flat = 0 if info.updated else history.flat + 1
        failures = history.failures + 1 if isnan(info.best) else 0
        fired = {}
        if s.max_generations is not None and t >= s.max_generations:
            fired["max_generations"] = t
        if s.max_seconds is not None and seconds >= s.max_seconds:
            fired["max_seconds"] = seconds
        if s.failures is not None and failures >= s.failures:
            fired["failures"] = failures
        elif self.rules.flat is not None and flat >= self.rules.flat:
            fired["flat"] = flat
        if not state.sigma < self.rules.sigma0 * (s.tolxup or inf):
            fired["tolxup"] = state.sigma / self.rules.sigma0
        values = history.values.append((info.best, info.median))
        if len(values) > 1000 and len(values) > 2 * self._kept:
            values = PersistentList(values.last(self._kept))
        deviation, condition, looks = history.deviation, history.condition, history.looks
        if info.updated:
            if state.noisy is None or not state.noisy.matters:
                looks = self._compared(values, info.worst, high - low, state, fired)
                if self._is_over(t - improved):
                    fired["tolfunhist"] = 0.0
            if t % AXES_EVERY == 0:
                deviation = self._measured(state, fired)
            if s.condition is not None and t % max(AXES_EVERY, 5 * self.rules.structure.dim) == 0:
                condition = self.rules.structure.condition(state.factor)
                if not condition < (self.rules.condition or inf):
                    fired["condition"] = condition
        reasons = {**history.reasons, **fired} if fired else history.reasons
        numbers = low, high, flat, failures, looks, improved
        return Monitor(self.rules, History(reasons, deviation, condition, values, *numbers))

    # -- inside -----------------------------------------------------------------------------------

    @property
    def _kept(self) -> int:
        """Of how many generations the values are kept."""
        return max(self.rules.window, 2 * self.rules.half)

    def _compared(self, values, worst, value_range, state, fired) -> int:
        """Look at the values of the last generations, where `value_range` is the range of all so
        far, and return the number of looks at stagnation."""
        s, window, n = self.rules.stopping, self.rules.window, len(values)
        # cheap first: the window's range is at least the distance of its newest to its oldest
        if n >= window and (s.tolfun or s.tolfunhist):
            near = max(s.tolfun or 0.0, s.tolfunhist or 0.0) * value_range
            if abs(values[-1][0] - values[-window][0]) <= near:
                recent = [best for best, _ in values.last(window)]
                spread = max(recent) - min(recent)
                if self._agrees(spread, s.tolfunhist, value_range, state):
                    fired["tolfunhist"] = spread
                spread = max(*recent, worst) - min(recent)
                if self._agrees(spread, s.tolfun, value_range, state):
                    fired["tolfun"] = spread
        half = self.rules.half
        if not half or n < 2 * half:
            return self.history.looks
        looks = (self.history.looks + 1) % AXES_EVERY
        if looks == 0:  # the first time, too
            b, m = zip(*values.last(2 * half), strict=True)
            if median(b[half:]) >= median(b[:half]) and median(m[half:]) >= median(m[:half]):
                fired["stagnation"] = half
        return looks

    def _is_over(self, waited: float) -> bool:
        """Return whether a search without continuous coordinates has waited long enough for a
        better value."""
        rules = self.rules
        return (
            waited >= rules.window
            and not rules.domain.continuous
            and bool(rules.stopping.tolfunhist)
        )

    def _agrees(self, spread, tolerance, value_range, state) -> bool:
        """Return whether values that are `spread` apart agree, and the standard deviations have
        fallen as the values have."""
        if not tolerance or not spread <= tolerance * value_range:
            return False
        if spread <= ROUNDING * abs(self.history.low):
            return True
        std, settling = self._relative(state), self.rules.domain.settling
        if settling is not None:
            std = to_numpy(std)[settling]
        return not std.shape[0] or float(namespace(std).max(std)) <= tolerance**0.5

    def _relative(self, state, vector=None):
        """Return (d,) standard deviations of the coordinates, or a vector (d,), over the initial
        ones."""
        if vector is None:
            vector = self.rules.structure.deviations(state.factor)
        ratio = state.sigma / self.rules.sigma0
        if state.scale is not self.rules.scale0:
            ratio = ratio * (state.scale / self.rules.scale0)
        return ratio * vector

    def _measured(self, state, fired) -> tuple:
        """Look at the standard deviations, and return the smallest and the largest, relative to
        sigma."""
        s, structure = self.rules.stopping, self.rules.structure
        xp = namespace(state.mean)
        std = structure.deviations(state.factor)
        if s.tolx is not None:
            largest = float(xp.max(self._relative(state, std)))
            if largest < s.tolx:
                path = structure.unwhiten(state.factor, state.path[None, :])[0, :]
                if float(xp.max(xp.abs(self._relative(state, path)))) < s.tolx:
                    fired["tolx"] = largest
        if s.noeffect:
            step = state.sigma * state.scale
            if bool(xp.any(state.mean == state.mean + 0.2 * step * std)):
                fired["noeffectcoord"] = state.sigma
            k = (state.generation // AXES_EVERY) % structure.noise_dim
            axis = xp.zeros_like(state.path)
            axis[k] = 1.0
            axis = structure.unwhiten(state.factor, axis[None, :])[0, :]
            if bool(xp.all(state.mean == state.mean + 0.1 * step * axis)):
                fired["noeffectaxis"] = state.sigma
        return float(xp.min(std)), float(xp.max(std))
