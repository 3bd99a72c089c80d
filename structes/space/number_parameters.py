"""The parameters that are numbers: a real number and an integer, each from `low` to `high`.

Each is one coordinate of a vector; with one value only it is none.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import floor, inf, isfinite, log, sqrt
from typing import NamedTuple

import numpy as np

from .. import checks
from ..error_text import brief
from ..foreign import OF_PARAMETERS, telling


class Coordinate(NamedTuple):
    """One coordinate of a vector: start and initial standard deviation (of ln x with `log`),
    bounds (None: open), whether it moves by its logarithm, and whether it is an integer."""

    start: float
    sigma: float
    low: float | None = None
    high: float | None = None
    log: bool = False
    integer: bool = False


@telling(OF_PARAMETERS)
@dataclass(frozen=True)
class Float:
    """A real number from `low` to `high`.

    low, high  bounds, which belong to the range; None: open
    log        True: it acts by its ratios, so that the search moves its logarithm; all is > 0
    start      where the search begins; None: the middle of the range, on its scale
    sigma      initial standard deviation, with log that of ln x; None: a fifth of the range, on
               its scale. An open range needs start and sigma.
    step       None, or the distance of the values: low, low + step, low + 2 step, … (not with log)

    Raises ValueError or TypeError, naming the argument, where they do not fit together.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    start: float | None = None
    sigma: float | None = None
    step: float | None = None

    def __post_init__(self):
        _check_number(self, checks.real)
        if self.step is not None:
            self._check_step()
        if self.start is None:
            low, high = self.low, self.high
            middle = sqrt(low) * sqrt(high) if self.log else low / 2 + high / 2
            object.__setattr__(self, "start", min(max(middle, low), high))
        if self.sigma is None:
            scale = log if self.log else float
            sigma = scale(self.high) / 5 - scale(self.low) / 5
            object.__setattr__(self, "sigma", max(sigma, (self.step or 0.0) / 2))

    def _check_step(self):
        """A grid that begins at `low`; `high` becomes its last point."""
        step = checks.number("step", self.step, positive=True)
        if self.log or self.low is None:
            reason = "log=True" if self.log else "low=None: it is the first of the values"
            raise ValueError(f"step does not go with {reason}")
        if self.high is not None:
            last = self.low + step * floor((self.high - self.low) / step + 1e-9)
            object.__setattr__(self, "high", last)
        if self.start is not None:
            grid_start = self.low + step * round((self.start - self.low) / step)
            object.__setattr__(self, "start", grid_start)

    def spec(self) -> dict:
        """The mapping that means the same in a config."""
        return {"kind": "float", **asdict(self)}

    def coordinates(self) -> list[Coordinate]:
        """How it stands in a vector: with a step by the number of the value."""
        if self.low == self.high and self.low is not None:
            return []
        if self.step is None:
            return [Coordinate(self.start, self.sigma, self.low, self.high, self.log)]
        start, sigma = (self.start - self.low) / self.step, self.sigma / self.step
        last = None if self.high is None else round((self.high - self.low) / self.step)
        return [Coordinate(round(start), sigma, 0, last, False, True)]

    def read(self, block) -> float:
        """The value of its coordinates."""
        if not len(block):
            return float(self.low)
        return float(block[0] if self.step is None else self.low + self.step * round(block[0]))

    def write(self, label: str, value) -> list:
        """The coordinates of a user's value. Raises ValueError or TypeError, with `label` for
        it."""
        value = _within(self, label, checks.real(label, _read(value)))
        if self.step is not None:
            number = (value - self.low) / self.step
            if abs(number - round(number)) > 1e-6:
                raise ValueError(
                    f"{label} must be one of {self.low:g}, {self.low + self.step:g}, …; "
                    f"got {value}"
                )
            value = float(round(number))
        return [value] if self.coordinates() else []


@telling(OF_PARAMETERS)
@dataclass(frozen=True)
class Int:
    """An integer from `low` to `high`, both included. A Python int in the dict.

    low, high  bounds; None: open
    log        True: it acts by its ratios (32, 64, 128, …); all is > 0
    start      where the search begins; None: the middle of the range, on its scale
    sigma      initial standard deviation, with log that of ln x; None: a fifth of the range
               (low − ½ to high + ½), on its scale. An open range needs start and sigma.

    Raises ValueError or TypeError, naming the argument, where they do not fit together.
    """

    low: int | None = None
    high: int | None = None
    log: bool = False
    start: int | None = None
    sigma: float | None = None

    def __post_init__(self):
        _check_number(self, _integer)
        if self.start is None:
            middle = sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
            object.__setattr__(self, "start", min(max(round(middle), self.low), self.high))
        if self.sigma is None:
            scale = log if self.log else float
            width = scale(self.high + 0.5) - scale(self.low - 0.5)
            object.__setattr__(self, "sigma", width / 5)

    def spec(self) -> dict:
        """The mapping that means the same in a config."""
        return {"kind": "int", **asdict(self)}

    def coordinates(self) -> list[Coordinate]:
        """How it stands in a vector."""
        if self.low == self.high and self.low is not None:
            return []
        return [Coordinate(self.start, self.sigma, self.low, self.high, self.log, True)]

    def read(self, block) -> int:
        """The value of its coordinates."""
        return round(float(block[0])) if len(block) else self.low

    def write(self, label: str, value) -> list:
        """The coordinates of a user's value. Raises ValueError or TypeError, with `label` for
        it."""
        value = _within(self, label, _integer(label, _read(value)))
        return [float(value)] if self.coordinates() else []


def _read(value):
    """The number of a text, an int where it is one; anything else as it is."""
    for kind in (int, float) if isinstance(value, str) else ():
        try:
            return kind(value)
        except ValueError:
            pass
    return value


def _check_number(p, check):
    """Check the fields that a Float and an Int share, and make them what they should be."""
    if not isinstance(p.log, bool):
        raise TypeError(f"log must be true or false; got {brief(p.log)}")
    for name, open_end in (("low", -inf), ("high", inf)):
        value = getattr(p, name)
        if isinstance(value, float) and value == open_end:
            value = None
        if value is not None:
            value = check(name, value)
            if value == -open_end:
                raise ValueError(f"{name} must be a number or None (open); got {value}")
            if p.log and value <= 0:
                raise ValueError(f"with log=True {name} must be positive; got {value}")
        object.__setattr__(p, name, value)
    if p.low is not None and p.high is not None and not p.low <= p.high:
        raise ValueError(f"low must not be more than high; got {p.low} and {p.high}")
    if p.low == p.high and p.low is not None:  # no coordinate at all
        object.__setattr__(p, "start", p.low)
        object.__setattr__(p, "sigma", 1.0)
    if p.low is None or p.high is None:
        missing = [name for name in ("start", "sigma") if getattr(p, name) is None]
        if missing:
            raise ValueError(
                f"a range that is open (low {p.low}, high {p.high}) needs start and sigma; "
                f"missing: {', '.join(missing)}"
            )
    if p.start is not None:
        object.__setattr__(p, "start", _within(p, "start", check("start", p.start)))
    if p.sigma is not None:
        sigma = checks.real("sigma", p.sigma, positive=True)
        if not isfinite(sigma):
            raise ValueError(f"sigma must be finite; got {sigma}")
        object.__setattr__(p, "sigma", sigma)


def _integer(label, value) -> int:
    """`value` as an int, where it is one."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{label} must be an integer; got {brief(value)}")
    return int(value)


def _within(p, label, value):
    """`value`, when it is finite and in the range of p."""
    low, high = (-inf if p.low is None else p.low), (inf if p.high is None else p.high)
    if not (low <= value <= high and isfinite(value)):
        raise ValueError(f"{label} must be a number from {low} to {high}; got {value}")
    if p.log and value <= 0:
        raise ValueError(f"{label} must be positive, with log=True; got {value}")
    return value
