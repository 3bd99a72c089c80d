"""The kinds of parameters: a real number, an integer, a choice among options, a constant.

Each knows how it stands in a vector: a number is one coordinate, a choice of k options is k of
them, and what has one value only is none. A config says a kind as a mapping: {"kind": "float",
"low": 1e-5, "high": 1e-1, "log": true}.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import floor, inf, isfinite, log, sqrt
from typing import Any, NamedTuple

import numpy as np

from .. import checks
from ..foreign import OF_PARAMETERS, telling
from ..registry import Registry, brief, nearest
from .stored import equal, same

KINDS = Registry(
    "kind of parameter",
    {
        "float": "structes.space.parameters:Float",
        "int": "structes.space.parameters:Int",
        "choice": "structes.space.parameters:_choice_of",
        "bool": "structes.space.parameters:Bool",
        "constant": "structes.space.parameters:Constant",
    },
)


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

    Parameters
    ----------
    low, high : float, optional
        The bounds, which belong to the range; None is open.
    log : bool
        Whether the parameter acts by its ratios, so that the search moves its logarithm. All
        numbers are then > 0.
    start : float, optional
        Where the search begins; None is the middle of the range, on its scale.
    sigma : float, optional
        The initial standard deviation, with `log` that of ln x; None is a fifth of the range, on
        its scale. An open range needs start and sigma.
    step : float, optional
        The distance of the values low, low + step, low + 2 step, …; it does not go with `log`.

    Raises
    ------
    ValueError, TypeError
        Where the arguments do not fit together; the message names one.
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
            what = "log=True" if self.log else "low=None: it is the first of the values"
            raise ValueError(f"step does not go with {what}")
        if self.high is not None:
            last = self.low + step * floor((self.high - self.low) / step + 1e-9)
            object.__setattr__(self, "high", last)
        if self.start is not None:
            at = self.low + step * round((self.start - self.low) / step)
            object.__setattr__(self, "start", at)

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

    def read(self, block: Any) -> float:
        """The value of its coordinates."""
        if not len(block):
            return float(self.low)
        return float(block[0] if self.step is None else self.low + self.step * round(block[0]))

    def write(self, what: str, value: Any) -> list:
        """The coordinates of a user's value. Raises ValueError or TypeError, with `what` for
        it."""
        value = _within(self, what, checks.real(what, _read(value)))
        if self.step is not None:
            number = (value - self.low) / self.step
            if abs(number - round(number)) > 1e-6:
                raise ValueError(
                    f"{what} must be one of {self.low:g}, {self.low + self.step:g}, …; got {value}"
                )
            value = float(round(number))
        return [value] if self.coordinates() else []


@telling(OF_PARAMETERS)
@dataclass(frozen=True)
class Int:
    """An integer from `low` to `high`, both included. It is a Python int in the dict.

    Parameters
    ----------
    low, high : int, optional
        The bounds; None is open.
    log : bool
        Whether the parameter acts by its ratios (32, 64, 128, …). All numbers are then > 0.
    start : int, optional
        Where the search begins; None is the middle of the range, on its scale.
    sigma : float, optional
        The initial standard deviation, with `log` that of ln x; None is a fifth of the range
        (low − ½ to high + ½), on its scale. An open range needs start and sigma.

    Raises
    ------
    ValueError, TypeError
        Where the arguments do not fit together; the message names one.
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

    def read(self, block: Any) -> int:
        """The value of its coordinates."""
        return round(float(block[0])) if len(block) else self.low

    def write(self, what: str, value: Any) -> list:
        """The coordinates of a user's value. Raises ValueError or TypeError, with `what` for
        it."""
        value = _within(self, what, _integer(what, _read(value)))
        return [float(value)] if self.coordinates() else []


@telling(OF_PARAMETERS)
@dataclass(frozen=True, init=False)
class Choice:
    """One of several options, without order: strings, numbers, functions, None, …

    Parameters
    ----------
    *options : hashable
        The options, all different, one by one or as one list. In the place of a list write a
        tuple.
    start : hashable, optional
        The option to begin with, which then has a lead of one standard deviation; None gives all
        of them the same chance.

    Raises
    ------
    ValueError, TypeError
        For options that are equal, or not hashable, and for a start that is none of them.
    """

    options: tuple
    start: object = None

    def __init__(self, *options: Any, start: object = None):
        if len(options) == 1 and isinstance(options[0], (list, tuple)):
            options = tuple(options[0])
        if not options:
            raise ValueError("Choice needs an option at least; got none")
        for i, option in enumerate(options):
            try:
                again = option in set(options[:i])
            except TypeError:
                hint = " (write a tuple)" if isinstance(option, list) else ""
                raise TypeError(
                    f"an option must be hashable; {option!r} is not{hint}. Or let the options be "
                    "names, and look them up in a dict of your own."
                ) from None
            if again:
                raise ValueError(f"options must be different; {option!r} is equal to another one")
        object.__setattr__(self, "options", options)
        object.__setattr__(self, "start", start)
        if start is not None:
            self.write("start", start)

    def spec(self) -> dict:
        """The mapping that means the same in a config."""
        return {"kind": "choice", "options": list(self.options), "start": self.start}

    def coordinates(self) -> list[Coordinate]:
        """How it stands in a vector: one coordinate for each option, unless it is the only one."""
        if len(self.options) == 1:
            return []
        first = None if self.start is None else self._number_of(self.start)
        return [Coordinate(float(i == first), 1.0) for i in range(len(self.options))]

    def read(self, block: Any) -> Any:
        """The option that its coordinates mean: the largest one decides."""
        return self.options[int(np.argmax(block)) if len(block) else 0]

    def write(self, what: str, value: Any) -> list:
        """The coordinates (k,) of an option: 1 for it, 0 for the others. Raises ValueError, with
        `what` for its name."""
        number = self._number_of(value)
        if number is None:
            known = ", ".join(map(repr, self.options))
            hint = nearest(value, self.options) if isinstance(value, str) else ""
            raise ValueError(f"{what} must be one of {known}; got {brief(value)}{hint}")
        return [float(i == number) for i in range(len(self.options))] * (len(self.options) > 1)

    def _number_of(self, value) -> int | None:
        """The number of an option; None of anything else. Options are found by their hashes: a
        scalar of NumPy does not compare with a tuple. Then by what a table makes of them."""
        try:
            number = {option: i for i, option in enumerate(self.options)}.get(value)
        except TypeError:  # it is not hashable, and no option
            return None
        if number is not None:
            return number
        alike = [i for i, option in enumerate(self.options) if _alike(value, option)]
        return alike[0] if len(alike) == 1 else None


@dataclass(frozen=True)
class Constant:
    """A parameter that has one value; it is handed on, and no coordinate of the search.

    Parameters
    ----------
    value : object
        The value, which may be anything.
    """

    value: object

    def spec(self) -> dict:
        """The mapping that means the same in a config."""
        return {"kind": "constant", "value": self.value}

    def coordinates(self) -> list[Coordinate]:
        """None."""
        return []

    def read(self, block: Any) -> Any:
        """The value."""
        return self.value

    def write(self, what: str, value: Any) -> list:
        """No coordinates. Raises ValueError, with `what` for its name, for another value."""
        if not any(alike(value, self.value) for alike in (same, equal, _alike)):
            raise ValueError(f"{what} is a constant, {self.value!r}; got {brief(value)}")
        return []


def _choice_of(options: list, start=None) -> Choice:
    """A Choice from a config, where the options are a list."""
    if isinstance(options, str) or not isinstance(options, (list, tuple)):
        raise TypeError(f"options must be a list; got {brief(options)}")
    return Choice(*options, start=start)


def Bool(start: bool | None = None) -> Choice:
    """Return a Choice of False and True.

    Parameters
    ----------
    start : bool, optional
        The one to begin with; None gives both the same chance.

    Returns
    -------
    Choice
    """
    return Choice(False, True, start=start)


def build_parameter(name, given):
    """The parameter that `given` means; errors begin with its name."""
    if not isinstance(name, str):
        raise TypeError(f"the name of a parameter must be a string; got {name!r}")
    if isinstance(given, (Float, Int, Choice, Constant)):
        return given
    if isinstance(given, (str, bool, int, float, np.generic)) or given is None:
        return Constant(given)
    if not isinstance(given, Mapping):
        hint = ""
        if given in (Bool, Float, Int, Choice):
            hint = f" (write {given.__name__}(…), with brackets)"
        elif isinstance(given, tuple) and len(given) == 2:
            kind = "Int" if all(type(v) is int for v in given) else "Float"
            hint = f" (a range? write {kind}{given!r})"
        elif isinstance(given, list):
            hint = f" (options? write Choice(*{given!r}))"
        raise TypeError(
            f"parameter {name!r} must be a Float, an Int, a Choice, a Bool, a Constant, a plain "
            f"value that is constant, or a mapping with its kind; got {brief(given)}{hint}"
        )
    if "kind" not in given:
        raise TypeError(
            f"parameter {name!r}: a mapping needs its 'kind', one of {', '.join(KINDS)}; got "
            f"{brief(given)} (a space within a space? write its parameters one by one, or "
            "Constant(…) for a mapping that is handed on)"
        )
    given = dict(given)
    kind = given.pop("kind", None)
    if kind not in KINDS.table:
        hint = nearest(kind, KINDS.table) if isinstance(kind, str) else ""
        raise ValueError(
            f"parameter {name!r}: kind must be one of {', '.join(KINDS)}; got {brief(kind)}{hint}"
        )
    try:
        return KINDS.call(KINDS.resolve(kind), kind, given)
    except (TypeError, ValueError) as error:
        raise type(error)(f"parameter {name!r}: {error}") from None


def value_in(parameter, what: str, value):
    """`value`, as a user says it, as the parameter reads it: of the text of a CSV file the number,
    or the option. Raises ValueError or TypeError, with `what` for its name."""
    return parameter.read(parameter.write(what, value))


def _read(value):
    """The number of a text, an int where it is one; anything else as it is."""
    for kind in (int, float) if isinstance(value, str) else ():
        try:
            return kind(value)
        except ValueError:
            pass
    return value


def _alike(value, option) -> bool:
    """Does a value in a table mean the option: is it its text, or, as pandas has it, NaN where the
    option is None?"""
    if isinstance(value, str):
        return str(option) == value
    return _is_missing(value) and _is_missing(option)


def _is_missing(value) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating)) and bool(value != value)


def replace_start(parameter, start):
    """The same parameter with another start."""
    start = value_in(parameter, "start", start)
    if isinstance(parameter, Choice):
        return Choice(*parameter.options, start=start)
    return replace(parameter, start=start)


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


def _integer(what, value) -> int:
    """`value` as an int, where it is one."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{what} must be an integer; got {brief(value)}")
    return int(value)


def _within(p, what, value):
    """`value`, when it is finite and in the range of p."""
    low, high = (-inf if p.low is None else p.low), (inf if p.high is None else p.high)
    if not (low <= value <= high and isfinite(value)):
        raise ValueError(f"{what} must be a number from {low} to {high}; got {value}")
    if p.log and value <= 0:
        raise ValueError(f"{what} must be positive, with log=True; got {value}")
    return value
