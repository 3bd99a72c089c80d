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

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import checks
from ..arrays.libraries import to_numpy
from ..naming.error_text import brief, nearest
from ..rowwise import rowwise
from .parameters import Choice, Constant, build_parameter, replace_start, value_in
from .stored import same

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True, eq=False, init=False)
class Space:
    """Named parameters that a search moves as a vector of `dim` numbers.

    `ES` and `minimize` take a space in the place of x0.

    Parameters
    ----------
    parameters : Mapping, optional
        {name: parameter}, where a parameter is a Float, Int, Choice, Bool or Constant; or a plain
        value, which is a constant; or, as in a config, a mapping such as {"kind": "float", "low":
        1e-5, "high": 1e-1, "log": True}, with "kind" one of float, int, choice (with "options", a
        list), bool and constant.
    **named
        The same, of names that are identifiers.

    Raises
    ------
    ValueError, TypeError
        For what does not fit; the message names the parameter.

    Examples
    --------
    >>> from structes import Choice, Float, Int
    >>> space = Space({"lr": Float(1e-4, 1e-2, log=True), "layers": Int(1, 8),
    ...                "act": Choice("relu", "tanh")})
    >>> space.dim, space.to_dict(space.x0)
    (4, {'lr': 0.001, 'layers': 4, 'act': 'relu'})
    >>> space.from_dict({"lr": 0.002, "layers": 3, "act": "tanh"})
    array([2.e-03, 3.e+00, 0.e+00, 1.e+00])
    """

    parameters: dict[str, Any]

    def __init__(self, parameters: Mapping[str, Any] | None = None, /, **named: Any):
        if parameters is not None and not isinstance(parameters, Mapping):
            raise TypeError(
                "a space is made of a mapping name -> parameter, or of keywords; got "
                f"{brief(parameters)}"
            )
        specs = {**(parameters or {}), **named}
        if not specs:
            raise ValueError("a space needs at least one parameter; got none")
        built = {name: build_parameter(name, spec) for name, spec in specs.items()}
        object.__setattr__(self, "parameters", built)
        if not self._coordinates:
            raise ValueError("a space needs a parameter that is no constant; all of them are")

    # -- points and dicts -------------------------------------------------------------------------

    def to_dict(self, x: ArrayLike) -> dict[str, Any]:
        """Return {name: value} of a point: floats, ints and the options themselves.

        Parameters
        ----------
        x : array-like of shape (d,)
            The point.
        """
        x = checks.point("x", x, self.dim)
        places = zip(self.parameters.items(), self._places, strict=True)
        return {name: p.read(x[index]) for (name, p), index in places}

    def from_dict(self, params: Mapping[str, Any]) -> np.ndarray:
        """Return the point (d,) of {name: value}, of which `to_dict` gives the same again.

        Parameters
        ----------
        params : Mapping
            A value for each parameter; constants may be left out.

        Raises
        ------
        ValueError, TypeError
            For a name that is missing or unknown (the nearest is named), and for a value of the
            wrong kind or outside its range.
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
        for (name, p), index in zip(self.parameters.items(), self._places, strict=True):
            if name in params:
                x[index] = p.write(f"parameter {name!r}", params[name])
            elif p.coordinates():
                raise ValueError(f"params must hold every parameter; {name!r} is missing")
        return x

    def starting_at(self, params: Mapping[str, Any]) -> Space:
        """Return the same space, of which a search starts at {name: value}; what is left out
        stays.
        """
        start = {**self.to_dict(self.x0), **params}
        self.from_dict(start)
        built = {}
        for name, p in self.parameters.items():
            moves = bool(p.coordinates())
            built[name] = replace_start(p, start[name]) if moves and name in params else p
        return Space(built)

    def with_constants(self, values: Mapping[str, Any]) -> Space:
        """Return the same space with parameters, {name: value}, that do not move."""
        if not isinstance(values, Mapping):
            raise TypeError(
                f"fixed must be a mapping {{name: value}} with a Space; got {brief(values)}"
            )
        for name in values:
            if name not in self.parameters:
                raise ValueError(
                    f"fixed: the space has no parameter {name!r}{nearest(name, self.parameters)}"
                )
        built = dict(self.parameters)
        for name, value in values.items():
            built[name] = Constant(value_in(built[name], f"fixed: {name!r}", value))
        return Space(built)

    def spec(self) -> dict[str, dict[str, Any]]:
        """Return the mapping from which `Space` makes the same again; its options and constants
        are the values themselves."""
        return {name: p.spec() for name, p in self.parameters.items()}

    def rows(
        self, function: Callable[..., Any], vectorized: bool = False, name: str = "fun"
    ) -> Callable[[Any], Any]:
        """Return a function of parameters as one of rows: (n, d) -> (n,) values.

        Parameters
        ----------
        function : callable
            It takes a dict, or keywords where its arguments are the names of the parameters; with
            `vectorized` a list of n dicts, and returns n values.
        vectorized : bool
            Whether the function takes many dicts at once.
        name : str
            What messages call the function.

        Raises
        ------
        TypeError
            For a function that takes neither, with what is missing on both sides.
        """
        if vectorized:
            return lambda X: function([self.to_dict(x) for x in to_numpy(X)])
        if self.takes_keywords(function, name):
            return rowwise(lambda x: function(**self.to_dict(to_numpy(x))), name)
        return rowwise(lambda x: function(self.to_dict(to_numpy(x))), name)

    def takes_keywords(self, function: Callable[..., Any], name: str = "fun") -> bool:
        """Are the arguments of a function the names of the parameters, and no others?

        A function that takes any keywords does so, too. One that does not has to take the dict as
        its only argument; else a TypeError says what is missing on both sides.
        """
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):  # a function of C
            return False
        arguments = signature.parameters.values()
        named = [p for p in arguments if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        open_ended = any(p.kind is p.VAR_KEYWORD for p in arguments)
        unknown = [p.name for p in named if p.default is p.empty and p.name not in self.parameters]
        names = [p.name for p in named]
        missing = [key for key in self.parameters if key not in names and not open_ended]
        has_others = any(p.kind in (p.POSITIONAL_ONLY, p.VAR_POSITIONAL) for p in arguments)
        if not (unknown or missing or has_others):
            return True
        try:
            signature.bind({})
        except TypeError:
            pass
        else:
            if has_others or len(self.parameters.keys() & set(names)) < 2:
                return False
        faults = [f"it takes {u!r}{nearest(u, missing)}, which is no parameter" for u in unknown]
        faults += [f"it does not take {m!r}{nearest(m, unknown)}" for m in missing]
        raise TypeError(
            f"{name} must take one argument, the dict of parameters, or the parameters by their "
            f"names, {', '.join(self.parameters)}: {'; '.join(faults) or signature}"
        )

    # -- what ES needs to know --------------------------------------------------------------------

    def arguments(self) -> dict[str, Any]:
        """Return {argument: value} of `ES` for this space: x0, sigma0, bounds, transforms,
        integers, and choices where there are any."""
        names = ["x0", "sigma0", "bounds", "transforms", "integers"]
        return {name: getattr(self, name) for name in names + ["choices"] * bool(self.choices)}

    @cached_property
    def dim(self) -> int:
        """Number of coordinates, d: one for each number, k for a choice of k options."""
        return len(self._coordinates)

    @property
    def x0(self) -> np.ndarray:
        """(d,) start."""
        return np.array([c.start for c in self._coordinates], dtype=float)

    @property
    def sigma0(self) -> np.ndarray:
        """(d,) initial standard deviations; of coordinates with a logarithmic scale, of ln x."""
        return np.array([c.sigma for c in self._coordinates], dtype=float)

    @property
    def bounds(self) -> list[tuple[float | None, float | None]]:
        """d pairs (low, high), with None where it is open."""
        return [(c.low, c.high) for c in self._coordinates]

    @property
    def transforms(self) -> list[str | None]:
        """For each of the d coordinates "log" or None."""
        return ["log" if c.log else None for c in self._coordinates]

    @property
    def integers(self) -> tuple[int, ...]:
        """The coordinates that are integers."""
        return tuple(i for i, c in enumerate(self._coordinates) if c.integer)

    @property
    def choices(self) -> tuple[tuple[int, ...], ...]:
        """For each choice a tuple of its coordinates, one for each option."""
        return tuple(
            tuple(range(index.start, index.stop))
            for p, index in zip(self._all, self._places, strict=True)
            if isinstance(p, Choice) and index.stop > index.start
        )

    def __len__(self):
        return len(self.parameters)

    def __eq__(self, other):
        """Are the parameters the same, with the same values of the same types, in this order?"""
        if not isinstance(other, Space):
            return NotImplemented
        return same(list(self.spec().items()), list(other.spec().items()))

    def __hash__(self):
        return hash(tuple(self.parameters))

    def __repr__(self):
        text = ", ".join(f"{name!r}: {p!r}" for name, p in self.parameters.items())
        return f"Space({{{text}}})"

    # -- inside -----------------------------------------------------------------------------------

    @property
    def _all(self):
        return self.parameters.values()

    @cached_property
    def _coordinates(self) -> list:
        return [c for p in self._all for c in p.coordinates()]

    @cached_property
    def _places(self) -> list:
        """Where each parameter is in x: slices."""
        ends = np.cumsum([0, *(len(p.coordinates()) for p in self._all)]).tolist()
        return [slice(a, b) for a, b in pairwise(ends)]


def build_space(spec: Any) -> Space:
    """Return the Space of a mapping; a Space stays as it is."""
    return spec if isinstance(spec, Space) else Space(spec)
