"""The parameters that are numbers: a real number and an integer, each from `low` to `high`.

Each is one coordinate of a vector; with one value only it is none.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import floor, inf, isfinite, log, sqrt
from typing import Any, NamedTuple

import numpy as np

from .. import checks
from ..naming.error_text import brief
from ..naming.foreign import OF_PARAMETERS, telling


class Coordinate(NamedTuple):
    """One coordinate of a vector.

    Parameters
    ----------
    start : float
        Where the search begins.
    sigma : float
        The initial standard deviation; with `log` that of ln x.
    low, high : float or None
        The bounds; None: open.
    log : bool
        Whether the search moves the logarithm.
    integer : bool
        Whether the coordinate is an integer.
    """

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

    Parameters
    ----------
    low, high : float, optional
        The bounds, which belong to the range; None means open.
    log : bool
        Whether the number acts by its ratios, so that the search moves its logarithm. All values
        are positive then.
    start : float, optional
        Where the search begins; None means the middle of the range, on its scale.
    sigma : float, optional
        The initial standard deviation, with `log` that of ln x; None means a fifth of the range,
        on its scale. An open range needs start and sigma.
    step : float, optional
        The distance of the values, which are low, low + step, low + 2 step, … (not with `log`).
        None means that every number of the range is a value.

    Raises
    ------
    ValueError, TypeError
        Where the arguments do not fit together; the message names the argument.

    Examples
    --------
    >>> Float(1e-5, 1e-1, log=True).start
    0.001
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
        """Make the range a grid that begins at `low`; `high` becomes its last point."""
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
        """Return the mapping that means the same in a config."""
        return {"kind": "float", **asdict(self)}

    def coordinates(self) -> list[Coordinate]:
        """Return how the parameter stands in a vector: one coordinate, or none."""
        if self.low == self.high and self.low is not None:
            return []
        if self.step is None:
            return [Coordinate(self.start, self.sigma, self.low, self.high, self.log)]
        start, sigma = (self.start - self.low) / self.step, self.sigma / self.step
        last = None if self.high is None else round((self.high - self.low) / self.step)
        return [Coordinate(round(start), sigma, 0, last, False, True)]

    def read(self, block: Any) -> float:
        """Return the value of the coordinates (1,), or of none."""
        if not len(block):
            return float(self.low)
        return float(block[0] if self.step is None else self.low + self.step * round(block[0]))

    def write(self, label: str, value: Any) -> list:
        """Return the coordinates of a user's value.

        Raises
        ------
        ValueError, TypeError
            Where it is no value of the parameter; `label` is what the message calls it.
        """
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
    """An integer from `low` to `high`, both included; it is a Python int in the dict.

    Parameters
    ----------
    low, high : int, optional
        The bounds; None means open.
    log : bool
        Whether the number acts by its ratios (32, 64, 128, …). All values are positive then.
    start : int, optional
        Where the search begins; None means the middle of the range, on its scale.
    sigma : float, optional
        The initial standard deviation, with `log` that of ln x; None means a fifth of the range
        (low − ½ to high + ½), on its scale. An open range needs start and sigma.

    Raises
    ------
    ValueError, TypeError
        Where the arguments do not fit together; the message names the argument.

    Examples
    --------
    >>> Int(1, 8).start
    4
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
        """Return the mapping that means the same in a config."""
        return {"kind": "int", **asdict(self)}

    def coordinates(self) -> list[Coordinate]:
        """Return how the parameter stands in a vector: one coordinate, or none."""
        if self.low == self.high and self.low is not None:
            return []
        return [Coordinate(self.start, self.sigma, self.low, self.high, self.log, True)]

    def read(self, block: Any) -> int:
        """Return the value of the coordinates (1,), or of none."""
        return round(float(block[0])) if len(block) else self.low

    def write(self, label: str, value: Any) -> list:
        """Return the coordinates of a user's value.

        Raises
        ------
        ValueError, TypeError
            Where it is no value of the parameter; `label` is what the message calls it.
        """
        value = _within(self, label, _integer(label, _read(value)))
        return [float(value)] if self.coordinates() else []


def _read(value):
    """Return the number of a text, an int where it is one; anything else as it is."""
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
    """Return `value` as an int, where it is one."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{label} must be an integer; got {brief(value)}")
    return int(value)


def _within(p, label, value):
    """Return `value`, when it is finite and in the range of p."""
    low, high = (-inf if p.low is None else p.low), (inf if p.high is None else p.high)
    if not (low <= value <= high and isfinite(value)):
        raise ValueError(f"{label} must be a number from {low} to {high}; got {value}")
    if p.log and value <= 0:
        raise ValueError(f"{label} must be positive, with log=True; got {value}")
    return value
