"""Bounds, logarithms and integers: how a search sees them.

A bound folds the search coordinate: what steps over it comes back inside, as from a mirror (with
two bounds as between two mirrors), so that the search sees the function on both sides of the bound
and its minimum there as one that it can surround. Behind a plain mirror ("reflect") a minimum on
the bound is a kink, g |u|, beside the other coordinates' u²: the condition number grows for ever
as the search converges. Therefore the mirror is rounded ("transform"): within a zone of width a
from the bound x is quadratic, and a minimum on the bound is one of u² like the others:

    x = u                        where u ≥ lower + a, exactly
    x = lower + (u − m)²/(4 a)   where u is nearer to the mirror at m = lower − a

What was tried, on sphere, ellipsoids (rotated, too), Rosenbrock and slopes with the minimum on one
bound, on some, on all, inside and close by (d = 5, 10): the rounded mirror solves all, in 0.63 of
pycma's evaluations (its zone is 0.05 |lower| wide). The plain one solves 85 % in 1.08 of them, and
is better where the slope vanishes on the bound (on a rotated ellipsoid four times). Clipping for
evaluation and learning from clipped steps freeze (42 and 48 % solved). Clipping with a penalty in
units of the spread of the values (a simple form of Hansen et al. 2009) is good inside, twice as
slow on bounds, and fails on ill-conditioned ones. A zone of 0.03 sigma0 is a compromise: 0.3 saves
5 % on bounds, and costs 20 % on bbob-boxed, where minima are inside; 0.01 costs 12 % on bounds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log
from typing import Any

import numpy as np

from ..arrays.libraries import cast, namespace, to_numpy
from .domain import Domain
from .integers import widened, with_margin

_FAR = 1e300  # a bound beyond it has no mirror; points are clipped
WHOLE = 1e-6  # by which an integer may be off, as after a file with few digits
_LARGEST = log(np.finfo(float).max) - 1e-9


@dataclass(frozen=True, eq=False)
class Limited(Domain):
    """Coordinates of which some are bounded, logarithms, or integers.

    Parameters
    ----------
    low, high : array of shape (d,)
        The bounds of x, −inf and inf where open; integers where x is an integer.
    log : array of bool, of shape (d,)
        Where u = ln x.
    integer : array of bool, of shape (d,)
        Where x is the nearest integer.
    zone : array of shape (d,)
        The width a of the rounded zone, in u; 0 where the mirror is plain.
    """

    low: Any
    high: Any
    log: Any
    integer: Any
    zone: Any

    def __post_init__(self):
        half = 0.5 * self.integer  # an integer has the cell from k − ½ to k + ½
        floor, ceiling = (
            logarithm(bound, self.log) for bound in (self.low - half, self.high + half)
        )
        left, right = (np.abs(side) < _FAR for side in (floor, ceiling))
        two = left & right
        width = np.where(two, ceiling, 0.0) - np.where(two, floor, 0.0)
        fields = {
            "_floor": np.where(left, floor, 0.0),  # where the bounds are, in u
            "_ceiling": np.where(right, ceiling, 0.0),
            "_inner": np.where(left, floor + self.zone, -np.inf),  # x = u from here …
            "_outer": np.where(right, ceiling - self.zone, np.inf),  # … to there
            "_left": np.where(left, floor - self.zone, 0.0),  # where the mirrors are
            "_right": np.where(right, ceiling + self.zone, 0.0),
            "_two": two,
            "_one": left & ~right,
            "_other": right & ~left,
            "_slope": np.where(self.zone > 0, 4 * self.zone, 1.0),
            "_longest": np.where(  # standard deviation; an open integer has no cells beyond 2⁵³
                two, np.maximum(width / 3, 1e-300), np.where(self.integer, 2.0**53, np.inf)
            ),
        }
        fields["_turn"] = np.where(two, fields["_right"] - fields["_left"], 1.0)
        fields["_some_log"], fields["_at"] = bool(self.log.any()), np.flatnonzero(self.integer)
        fields["_loose"] = not (two.any() or self.integer.any())  # nothing to adjust
        far = (~left & np.isfinite(self.low)) | (~right & np.isfinite(self.high))
        fields["_is_clipped"] = bool(far.any())
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    @property
    def has_integers(self) -> bool:
        return len(self._at) > 0

    def restricted(self, free: np.ndarray) -> Domain:
        fields = (getattr(self, name)[free] for name in ("low", "high", "log", "integer", "zone"))
        low, high, log_, integer, zone = fields
        if not (np.isfinite(low).any() or np.isfinite(high).any() or (log_ | integer).any()):
            return Domain(len(free))
        return Limited(len(free), low, high, log_, integer, zone)

    @property
    def settling(self) -> np.ndarray | None:
        return ~self.integer if self.has_integers else None

    @property
    def zones(self) -> np.ndarray | None:
        return self.zone

    def with_zones(self, zones: np.ndarray) -> Domain:
        return replace(self, zone=zones)

    def check_integers(self, X: Any, name: str) -> None:
        X = to_numpy(X)
        for row, i in np.argwhere(self.integer & (np.abs(X - np.round(X)) > WHOLE)):
            raise ValueError(f"{name}: coordinate {i} must be an integer; got {X[row, i]}")

    def comes_again(self, X: Any) -> np.ndarray:
        return (self.integer | (self.low >= X) | (self.high <= X)).all(axis=1)

    def in_units(self, X: Any, std: Any, columns: np.ndarray | None = None) -> Any:
        columns = slice(None) if columns is None else columns
        log_, integer = self.log[columns], self.integer[columns]
        with np.errstate(invalid="ignore", divide="ignore"):
            U = np.where(log_ & ~integer, np.log(np.where(X > 0, X, np.nan)), X)
        return np.where(integer, X, U / std[columns])

    def decode(self, U: Any) -> Any:
        xp = namespace(U)
        get = self if xp is np else _Constants(self, U, xp)
        is_inside = (get._inner <= U) & (get._outer >= U)
        all_inside = xp is np and bool(is_inside.all())  # a device would have to be waited for
        X = U if all_inside else xp.where(is_inside, U, _rounded(get, _folded(get, U)[0]))
        if self._some_log:
            bounded = xp.clip(xp.where(get.log, X, 0.0), -_LARGEST, _LARGEST)
            X = xp.where(get.log, xp.exp(bounded), X)
        elif all_inside and not len(self._at) and not self._is_clipped:
            return X
        if len(self._at):
            X = xp.where(get.integer, xp.floor(X + 0.5), X)
        return xp.clip(X, get.low, get.high)

    def encode(self, X: Any, name: str = "X") -> Any:
        self._check(X, name)
        xp = namespace(X)
        get = self if xp is np else _Constants(self, X, xp)
        U = X
        if self._some_log:
            U = xp.where(get.log, xp.log(xp.where(get.log, X, 1.0)), X)
        low = get._inner > U
        high = get._outer < U
        if bool(xp.any(low | high)):
            depth = xp.where(low, U - get._floor, xp.where(high, get._ceiling - U, 0.0))
            depth = xp.sqrt(get._slope * xp.abs(depth))
            rounded = get.zone > 0
            U = xp.where(low & rounded, get._left + depth, U)
            U = xp.where(high & rounded, get._right - depth, U)
        return U

    def centred(self, U: Any, mean: Any) -> Any:
        xp = namespace(U)
        get = self if xp is np else _Constants(self, U, xp)
        V, turned = _folded(get, xp.concat([U, mean[None, :]]))
        X = V
        if self._some_log:
            X = xp.where(get.log, xp.exp(xp.clip(V, -_LARGEST, _LARGEST)), V)
        X = xp.clip(xp.floor(X + 0.5), get.low, get.high)
        is_away = get.integer & (X[:-1, :] != X[-1:, :])
        X, V, turned = X[:-1, :], V[:-1, :], turned[:-1, :]
        if self._some_log:
            log_ = get.log & is_away
            X = xp.where(log_, xp.log(xp.where(log_, X, 1.0)), X)
        return xp.where(is_away, U + xp.where(turned, V - X, X - V), U)

    def rounded(self, X: Any, dtype: Any) -> Any:
        with np.errstate(over="ignore"):  # what is beyond a dtype is clipped
            X, inf = cast(X, dtype), np.dtype(dtype).type(np.inf)
            low, high = self.low.astype(dtype), self.high.astype(dtype)
            low = np.where(low < self.low, np.nextafter(low, inf), low)
            high = np.where(high > self.high, np.nextafter(high, -inf), high)
        info = np.finfo(dtype)
        low = np.where(self.log, np.maximum(low, info.tiny), low)  # no zero, and none is infinite
        high = np.where(self.log, np.minimum(high, info.max), high)
        xp = namespace(X)
        return xp.clip(X, xp.asarray(low), xp.asarray(high))

    def adjust(self, state: Any, structure: Any, tied: float = 0.0) -> Any:
        if self._loose:
            return state
        xp = namespace(state.mean)
        if xp is not np and not len(self._at):
            std = structure.deviations(state.factor) * (state.sigma * state.scale)
            longest = _Constants(self, std, xp)._longest
            return state._replace(scale=state.scale * xp.minimum(longest / std, 1.0 + 0 * std))
        std = to_numpy(structure.deviations(state.factor) * (state.sigma * state.scale))
        new = np.minimum(np.where(self.integer, widened(std, tied), std), self._longest)
        if len(self._at):
            index, mean = self._at, np.array(to_numpy(state.mean))
            step, new[index] = with_margin(*self._distances(mean), new[index], self.dim)
            if step.any():
                mean[index] += step
                mean = xp.asarray(mean, dtype=state.mean.dtype)
                state = state._replace(mean=mean)
        if (new != std).any():
            change = xp.asarray(new / std, dtype=state.scale.dtype)
            state = state._replace(scale=state.scale * change)
        return state

    # -- inside -----------------------------------------------------------------------------------

    def _distances(self, mean):
        """Return (k,) distances from the mean (d,) to the next value below and above, for each
        integer: to where x changes, so a mirror is none."""
        V, turned = (a[self._at] for a in _folded(self, mean))
        low, high, log_ = self.low[self._at], self.high[self._at], self.log[self._at]
        x = np.where(log_, np.exp(np.clip(np.where(log_, V, 0.0), -_LARGEST, _LARGEST)), V)
        cell = np.clip(np.floor(x + 0.5), low, high)
        edge_below, edge_above = logarithm(cell - 0.5, log_), logarithm(cell + 0.5, log_)
        gap_below, gap_above = V - edge_below, edge_above - V
        at_low, at_high = cell == low, cell == high
        to_floor, to_ceiling = V - self._floor[self._at], self._ceiling[self._at] - V
        gap_below, gap_above = (
            np.where(at_low, 2 * to_floor + gap_above, gap_below),
            np.where(at_high, 2 * to_ceiling + gap_below, gap_above),
        )
        return np.where(turned, gap_above, gap_below), np.where(turned, gap_below, gap_above)

    def _check(self, X, name):
        X = to_numpy(X)
        is_outside = ~(
            (self.low - 0.5 * self.integer <= X) & (self.high + 0.5 * self.integer >= X)
        )
        if (self.log & ~(X > 0)).any():
            row, i = (int(k[0]) for k in np.nonzero(self.log & ~(X > 0)))
            raise ValueError(
                f"{name}{'' if X.shape[0] == 1 else f': row {row}'}: coordinate {i} must be "
                f"positive, because its transform is 'log'; got {X[row, i]}"
            )
        if is_outside.any():
            row, i = (int(k[0]) for k in np.nonzero(is_outside))
            raise ValueError(
                f"{name}{'' if X.shape[0] == 1 else f': row {row}'}: coordinate {i} is "
                f"{X[row, i]}, outside its bounds [{self.low[i]}, {self.high[i]}]"
            )


class _Constants:
    """The arrays of a Limited as those of the library `xp`, in the precision of `like`."""

    def __init__(self, domain, like, xp):
        self._domain, self._like, self._xp = domain, like, xp

    def __getattr__(self, name):
        value = getattr(self._domain, name)
        dtype = self._xp.bool if value.dtype == bool else self._like.dtype
        value = self._xp.asarray(value, dtype=dtype)
        setattr(self, name, value)
        return value


def _folded(get, U):
    """Return U between the mirrors, and where that has turned it round."""
    xp, two = namespace(U), get._two
    phase = xp.remainder(U - get._left, 2 * get._turn)
    turned = (two & (phase > get._turn)) | (get._one & (get._left > U))
    turned = turned | (get._other & (get._right < U))
    V = get._left + (get._turn - xp.abs(phase - get._turn))
    return xp.where(two, V, xp.where(turned, 2 * (get._left + get._right) - U, U)), turned


def _rounded(get, V):
    """Return x, or ln x, of V that lies between the mirrors."""
    xp = namespace(V)
    end = 2 * get.zone  # of the zone, from the mirror
    low, high = xp.clip(V - get._left, 0.0, end), xp.clip(get._right - V, 0.0, end)
    X = xp.where((get.zone > 0) & (get._inner > V), get._floor + low * low / get._slope, V)
    near = (get.zone > 0) & (get._outer < V)
    return xp.where(near, get._ceiling - high * high / get._slope, X)


def logarithm(x: Any, mask: Any) -> np.ndarray:
    """Return ln x where `mask`, else x; of what is not positive −inf."""
    positive = mask & (x > 0)
    return np.where(
        mask & ~positive, -np.inf, np.where(mask, np.log(np.where(positive, x, 1.0)), x)
    )


# -- from what a user says ------------------------------------------------------------------------
