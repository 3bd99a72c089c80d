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

import numpy as np

from . import checks
from .backend import to_numpy
from .kinds import Choice, Int, build_parameter
from .problem import rowwise
from .registry import brief, nearest


@dataclass(frozen=True, eq=False, init=False)
class Space:
    """Named parameters that a search moves as a vector of `dim` numbers.

    parameters  mapping name -> Float, Int or Choice; or, as in a config, a mapping such as
                {"kind": "float", "low": 1e-5, "high": 1e-1, "log": True}, with "kind" one of
                float, int, choice (with "options", a list) and bool

    `ES` and `minimize` take a space in the place of x0. Raises ValueError or TypeError, naming
    the parameter, for what does not fit.

    >>> from structes import Choice, Float, Int
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
            raise TypeError(
                f"a space is made of a mapping name -> parameter; got {brief(parameters)}"
            )
        if not parameters:
            raise ValueError("a space needs at least one parameter; got none")
        built = {name: build_parameter(name, given) for name, given in parameters.items()}
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
            raise TypeError(f"params must be a mapping name -> value; got {brief(params)}")
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
            return rowwise(lambda x: function(self.to_dict(to_numpy(x))), name)
        return lambda X: function([self.to_dict(x) for x in to_numpy(X)])

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
