"""A space of named parameters: what people tune is a dict, what a search moves is a vector.

    space = structes.Space({
        "lr": structes.Float(1e-5, 1e-1, log=True),
        "momentum": structes.Float(0.0, 1.0),
        "layers": structes.Int(1, 8),
        "activation": structes.Choice("relu", "tanh", "gelu"),
    })
    result = structes.minimize(f, space)      # f takes {"lr": 0.003, "momentum": 0.5, …}
    result.params                             # the best of them

Each parameter says its kind and range; the space says what `ES` needs (start, deviations, bounds,
transforms, integers, choices) and turns points into dicts and back. A number is one coordinate, in
the user's own units; a choice of k options is k coordinates, the largest of which decides
(choices.py says why, and that it works).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import inf, isfinite, log, sqrt

import numpy as np

from . import checks
from .problem import rowwise
from .registry import Registry, nearest

KINDS = Registry(
    "kind of parameter",
    {
        "float": "structes.space:Float",
        "int": "structes.space:Int",
        "choice": "structes.space:_choice_of",
        "bool": "structes.space:_bool",
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
            raise ValueError(f"{what} must be one of {known}; got {value!r}{hint}") from None
        return [float(i == number) for i in range(len(self.options))]


def _choice_of(options: list, start=None) -> Choice:
    """A Choice from a config, where the options are a list."""
    if isinstance(options, str) or not isinstance(options, (list, tuple)):
        raise TypeError(f"options must be a list; got {options!r}")
    return Choice(*options, start=start)


def _bool(start=None) -> Choice:
    return Choice(False, True, start=start)


@dataclass(frozen=True, eq=False, init=False)
class Space:
    """Named parameters that a search moves as a vector of `dim` numbers.

    parameters  mapping name -> Float, Int or Choice; or, as in a config, a mapping such as
                {"kind": "float", "low": 1e-5, "high": 1e-1, "log": True}, with "kind" one of
                float, int, choice (with "options", a list) and bool

    `ES` and `minimize` take a space in the place of x0. Raises ValueError or TypeError, naming
    the parameter, for what does not fit.

    >>> space = Space({"lr": Float(1e-4, 1e-2, log=True), "layers": Int(1, 8),
    ...                "act": Choice("relu", "tanh")})
    >>> space.dim, space.to_dict(space.x0)
    (4, {'lr': 0.001, 'layers': 4, 'act': 'relu'})
    >>> space.from_dict({"lr": 0.002, "layers": 3, "act": "tanh"})
    array([2.e-03, 3.e+00, 0.e+00, 1.e+00])
    """

    parameters: dict

    def __init__(self, parameters):
        if not isinstance(parameters, Mapping):
            raise TypeError(f"a space is made of a mapping name -> parameter; got {parameters!r}")
        if not parameters:
            raise ValueError("a space needs at least one parameter; got none")
        built = {name: _parameter(name, given) for name, given in parameters.items()}
        object.__setattr__(self, "parameters", built)

    # -- points and dicts -------------------------------------------------------------------------

    def to_dict(self, x) -> dict:
        """{name: value} of a point x (d,): floats, ints and the options themselves."""
        x = checks.point("x", x, self.dim)
        places = zip(self.parameters.items(), self._places, strict=True)
        return {name: p.read(x[at]) for (name, p), at in places}

    def from_dict(self, params) -> np.ndarray:
        """(d,) point of {name: value}, of which to_dict gives the same again.

        Raises ValueError or TypeError for a name that is missing or unknown, naming the nearest,
        and for a value of the wrong kind or outside its range.
        """
        if not isinstance(params, Mapping):
            raise TypeError(f"params must be a mapping name -> value; got {params!r}")
        for name in params:
            if name not in self.parameters:
                raise ValueError(
                    f"the space has no parameter {name!r}{nearest(name, self.parameters)}; "
                    f"it has: {', '.join(self.parameters)}"
                )
        x = np.empty(self.dim)
        for (name, p), at in zip(self.parameters.items(), self._places, strict=True):
            if name not in params:
                raise ValueError(f"params must hold every parameter; {name!r} is missing")
            x[at] = p.write(f"parameter {name!r}", params[name])
        return x

    def rows(self, function, vectorized: bool = False, name: str = "fun"):
        """`function` of a dict, or with `vectorized` of a list of n dicts that returns n values,
        as a function of rows (n, d) that returns (n,) values."""
        if not vectorized:
            return rowwise(lambda x: function(self.to_dict(x)), name)
        return lambda X: function([self.to_dict(x) for x in X])

    # -- what ES needs to know --------------------------------------------------------------------

    def arguments(self) -> dict:
        """{argument: value} of `ES` for this space: x0, sigma0, bounds, transforms, integers, and
        choices where there are any."""
        names = ["x0", "sigma0", "bounds", "transforms", "integers"]
        return {name: getattr(self, name) for name in names + ["choices"] * bool(self.choices)}

    @cached_property
    def dim(self) -> int:
        """Number of coordinates, d: one for each number, k for a choice of k options."""
        return sum(len(p.options) if isinstance(p, Choice) else 1 for p in self._all)

    @property
    def x0(self) -> np.ndarray:
        """(d,) start."""
        x = np.zeros(self.dim)
        for p, at in zip(self._all, self._places, strict=True):
            if not isinstance(p, Choice):
                x[at] = p.start
            elif p.start is not None:
                x[at] = p.write("start", p.start)
        return x

    @property
    def sigma0(self) -> np.ndarray:
        """(d,) initial standard deviations; of coordinates with a logarithmic scale, of ln x."""
        sigma = np.ones(self.dim)
        for p, at in zip(self._all, self._places, strict=True):
            if not isinstance(p, Choice):
                sigma[at] = p.sigma
        return sigma

    @property
    def bounds(self) -> list:
        """d pairs (low, high), with None where it is open."""
        return self._each(lambda p: (p.low, p.high), (None, None))

    @property
    def transforms(self) -> list:
        """For each of the d coordinates "log" or None."""
        return self._each(lambda p: "log" if p.log else None, None)

    @property
    def integers(self) -> tuple:
        """The coordinates that are integers."""
        return tuple(np.flatnonzero(self._each(lambda p: isinstance(p, Int), False)).tolist())

    @property
    def choices(self) -> tuple:
        """For each choice a tuple of its coordinates, one for each option."""
        return tuple(
            tuple(range(at.start, at.stop)) for at in self._places if isinstance(at, slice)
        )

    @property
    def structure(self) -> str | dict:
        """A structure that suits: "auto" without choices. With them a direct sum: all numbers
        together dense (low_rank, from 61 on), and one scale for each choice, because nothing else
        in it matters."""
        choices = self.choices
        if not choices:
            return "auto"
        number = sorted(set(range(self.dim)) - {i for choice in choices for i in choice})
        blocks = {}
        if number:
            name = "dense" if len(number) <= 60 else "low_rank"
            blocks["numbers"] = {"name": name, "at": number}
        for i, choice in enumerate(choices):
            blocks[f"choice {i}"] = {"name": "scalar", "at": list(choice)}
        return {"name": "direct_sum", "blocks": blocks}

    def __len__(self):
        return len(self.parameters)

    def __repr__(self):
        inside = ", ".join(f"{name!r}: {p!r}" for name, p in self.parameters.items())
        return f"Space({{{inside}}})"

    # -- inside -----------------------------------------------------------------------------------

    @property
    def _all(self):
        return self.parameters.values()

    @cached_property
    def _places(self) -> list:
        """Where each parameter is in x: an index, or a slice for a choice."""
        places, end = [], 0
        for p in self._all:
            start, end = end, end + (len(p.options) if isinstance(p, Choice) else 1)
            places.append(slice(start, end) if isinstance(p, Choice) else start)
        return places

    def _each(self, of_number, of_choice) -> list:
        """One value for each coordinate."""
        values = []
        for p in self._all:
            values += [of_choice] * len(p.options) if isinstance(p, Choice) else [of_number(p)]
        return values


def build_space(spec) -> Space:
    """The Space of a mapping; a Space stays as it is."""
    return spec if isinstance(spec, Space) else Space(spec)


def _parameter(name, given):
    """The parameter that `given` means; errors begin with its name."""
    if not isinstance(name, str):
        raise TypeError(f"the name of a parameter must be a string; got {name!r}")
    if isinstance(given, (Float, Int, Choice)):
        return given
    if not isinstance(given, Mapping):
        raise TypeError(
            f"parameter {name!r} must be a Float, an Int, a Choice or a mapping with its kind; "
            f"got {given!r}"
        )
    given = dict(given)
    kind = given.pop("kind", None)
    if kind not in KINDS.table:
        hint = nearest(kind, KINDS.table) if isinstance(kind, str) else ""
        raise ValueError(
            f"parameter {name!r}: kind must be one of {', '.join(KINDS)}; got {kind!r}{hint}"
        )
    try:
        return KINDS.call(KINDS.resolve(kind), kind, given)
    except (TypeError, ValueError) as error:
        raise type(error)(f"parameter {name!r}: {error}") from None


def _check_number(p, check):
    """Check the fields that a Float and an Int share, and make them what they should be."""
    if not isinstance(p.log, bool):
        raise TypeError(f"log must be true or false; got {p.log!r}")
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
        raise TypeError(f"{what} must be an integer; got {value!r}")
    return int(value)


def _within(p, what, value):
    """`value`, when it is finite and in the range of p."""
    low, high = (-inf if p.low is None else p.low), (inf if p.high is None else p.high)
    if not (low <= value <= high and isfinite(value)):
        raise ValueError(f"{what} must be a number from {low} to {high}; got {value}")
    if p.log and value <= 0:
        raise ValueError(f"{what} must be positive, with log=True; got {value}")
    return value
