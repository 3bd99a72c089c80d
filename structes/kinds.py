"""The kinds of parameters: a real number, an integer, a choice among options.

Each knows how it stands in a vector: a number is one coordinate, a choice of k options is k of
them. A config says a kind as a mapping: {"kind": "float", "low": 1e-5, "high": 1e-1, "log": true}.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite, log, sqrt

import numpy as np

from . import checks
from .registry import Registry, brief, nearest

KINDS = Registry(
    "kind of parameter",
    {
        "float": "structes.kinds:Float",
        "int": "structes.kinds:Int",
        "choice": "structes.kinds:_choice_of",
        "bool": "structes.kinds:_bool",
    },
)


@dataclass(frozen=True)
class Float:
    """A real number from `low` to `high`.

    low, high  bounds, which belong to the range; None: open
    log        True: it acts by its ratios, so that the search moves its logarithm; all is > 0
    start      where the search begins; None: the middle of the range, on its scale
    sigma      initial standard deviation, with log that of ln x; None: a fifth of the range, on
               its scale. An open range needs start and sigma.

    Raises ValueError or TypeError, naming the argument, where they do not fit together.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    start: float | None = None
    sigma: float | None = None

    def __post_init__(self):
        _check_number(self, checks.number)
        if self.start is None:
            low, high = self.low, self.high
            middle = sqrt(low) * sqrt(high) if self.log else low / 2 + high / 2
            object.__setattr__(self, "start", min(max(middle, low), high))
        if self.sigma is None:
            scale = log if self.log else float
            object.__setattr__(self, "sigma", scale(self.high) / 5 - scale(self.low) / 5)

    def read(self, x) -> float:
        return float(x)

    def write(self, what: str, value) -> float:
        """The coordinate of a user's value. Raises ValueError or TypeError, with `what` for it."""
        return _within(self, what, checks.number(what, value))


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

    def read(self, x) -> int:
        return round(float(x))

    def write(self, what: str, value) -> float:
        """The coordinate of a user's value. Raises ValueError or TypeError, with `what` for it."""
        return float(_within(self, what, _integer(what, value)))


@dataclass(frozen=True, init=False)
class Choice:
    """One of two or more options, without order: strings, numbers, functions, None, …

    options  different and hashable (a tuple in the place of a list)
    start    the option to begin with, which then has a lead of one standard deviation; None: all
             have the same chance

    Raises ValueError or TypeError where that does not hold.
    """

    options: tuple
    start: object = None

    def __init__(self, *options, start=None):
        if len(options) < 2:
            hint = ": give the options one by one, as in Choice('relu', 'tanh')"
            listed = len(options) == 1 and isinstance(options[0], (list, tuple, set, frozenset))
            raise ValueError(
                f"Choice needs two options at least; got {len(options)}{hint * listed}"
            )
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

    def read(self, block):
        return self.options[int(np.argmax(block))]

    def write(self, what: str, value) -> list:
        """The coordinates (k,) of an option: 1 for it, 0 for the others. Raises ValueError, with
        `what` for its name."""
        try:
            number = self.options.index(value)
        except ValueError:
            known = ", ".join(map(repr, self.options))
            hint = nearest(value, self.options) if isinstance(value, str) else ""
            raise ValueError(f"{what} must be one of {known}; got {brief(value)}{hint}") from None
        return [float(i == number) for i in range(len(self.options))]


def _choice_of(options: list, start=None) -> Choice:
    """A Choice from a config, where the options are a list."""
    if isinstance(options, str) or not isinstance(options, (list, tuple)):
        raise TypeError(f"options must be a list; got {brief(options)}")
    return Choice(*options, start=start)


def _bool(start=None) -> Choice:
    return Choice(False, True, start=start)


def build_parameter(name, given):
    """The parameter that `given` means; errors begin with its name."""
    if not isinstance(name, str):
        raise TypeError(f"the name of a parameter must be a string; got {brief(name)}")
    if isinstance(given, (Float, Int, Choice)):
        return given
    if not isinstance(given, Mapping):
        raise TypeError(
            f"parameter {name!r} must be a Float, an Int, a Choice or a mapping with its kind; "
            f"got {brief(given)}"
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
    if p.low is not None and p.high is not None and not p.low < p.high:
        raise ValueError(f"low must be less than high; got {p.low} and {p.high}")
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
        sigma = checks.number("sigma", p.sigma, positive=True)
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
