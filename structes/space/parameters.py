"""The kinds of parameters: a real number, an integer, a choice among options, a constant.

Each knows how it stands in a vector: a number is one coordinate, a choice of k options is k of
them, and what has one value only is none. A config says a kind as a mapping: {"kind": "float",
"low": 1e-5, "high": 1e-1, "log": true}.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..naming.error_text import brief, nearest
from ..naming.foreign import OF_PARAMETERS, telling
from ..naming.registry import Registry
from .number_parameters import Coordinate, Float, Int
from .stored import equal, same

KINDS = Registry(
    "kind of parameter",
    {
        "float": "structes.space.number_parameters:Float",
        "int": "structes.space.number_parameters:Int",
        "choice": "structes.space.parameters:_choice_of",
        "bool": "structes.space.parameters:Bool",
        "constant": "structes.space.parameters:Constant",
    },
)


@telling(OF_PARAMETERS)
@dataclass(frozen=True, init=False)
class Choice:
    """One of several options, without order: strings, numbers, functions, None, …

    Parameters
    ----------
    *options
        Different and hashable values (a tuple in the place of a list), one by one or as one list.
    start : object, optional
        The option to begin with, which then has a lead of one standard deviation. None means that
        all have the same chance.

    Raises
    ------
    ValueError, TypeError
        Where the options are none, not different, or not hashable.

    Examples
    --------
    >>> Choice("relu", "tanh").coordinates()[0].sigma
    1.0
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
                is_repeated = option in set(options[:i])
            except TypeError:
                hint = " (write a tuple)" if isinstance(option, list) else ""
                raise TypeError(
                    f"an option must be hashable; {option!r} is not{hint}. Or let the options be "
                    "names, and look them up in a dict of your own."
                ) from None
            if is_repeated:
                raise ValueError(f"options must be different; {option!r} is equal to another one")
        object.__setattr__(self, "options", options)
        object.__setattr__(self, "start", start)
        if start is not None:
            self.write("start", start)

    def spec(self) -> dict:
        """Return the mapping that means the same in a config."""
        return {"kind": "choice", "options": list(self.options), "start": self.start}

    def coordinates(self) -> list[Coordinate]:
        """Return one coordinate for each option, unless there is only one."""
        if len(self.options) == 1:
            return []
        first = None if self.start is None else self._number_of(self.start)
        return [Coordinate(float(i == first), 1.0) for i in range(len(self.options))]

    def read(self, block: Any) -> Any:
        """Return the option that its coordinates mean: the largest one decides."""
        return self.options[int(np.argmax(block)) if len(block) else 0]

    def write(self, label: str, value: Any) -> list:
        """Return the coordinates (k,) of an option: 1 for it, 0 for the others.

        Raises
        ------
        ValueError
            Where it is no option; `label` is what the message calls the value.
        """
        number = self._number_of(value)
        if number is None:
            names = ", ".join(map(repr, self.options))
            hint = nearest(value, self.options) if isinstance(value, str) else ""
            raise ValueError(f"{label} must be one of {names}; got {brief(value)}{hint}")
        return [float(i == number) for i in range(len(self.options))] * (len(self.options) > 1)

    def _number_of(self, value) -> int | None:
        """Return the number of an option; None of anything else. Options are found by their
        hashes: a scalar of NumPy does not compare with a tuple. Then by what a table makes of
        them.
        """
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
    """A parameter that has one value; it is handed on, and is no coordinate of the search.

    Parameters
    ----------
    value : object
        Anything.
    """

    value: object

    def spec(self) -> dict:
        """Return the mapping that means the same in a config."""
        return {"kind": "constant", "value": self.value}

    def coordinates(self) -> list[Coordinate]:
        """Return no coordinates."""
        return []

    def read(self, block: Any) -> Any:
        """Return the value."""
        return self.value

    def write(self, label: str, value: Any) -> list:
        """Return no coordinates.

        Raises
        ------
        ValueError
            For another value; `label` is what the message calls it.
        """
        if not any(alike(value, self.value) for alike in (same, equal, _alike)):
            raise ValueError(f"{label} is a constant, {self.value!r}; got {brief(value)}")
        return []


def _choice_of(options: list, start=None) -> Choice:
    """Return a Choice from a config, where the options are a list."""
    if isinstance(options, str) or not isinstance(options, (list, tuple)):
        raise TypeError(f"options must be a list; got {brief(options)}")
    return Choice(*options, start=start)


def Bool(start: bool | None = None) -> Choice:
    """Return a Choice of False and True.

    Parameters
    ----------
    start : bool, optional
        The one to begin with; None means that both have the same chance.
    """
    return Choice(False, True, start=start)


def build_parameter(name: Any, spec: Any) -> Any:
    """Return the parameter that `spec` means; errors begin with its name."""
    if not isinstance(name, str):
        raise TypeError(f"the name of a parameter must be a string; got {name!r}")
    if isinstance(spec, (Float, Int, Choice, Constant)):
        return spec
    if isinstance(spec, (str, bool, int, float, np.generic)) or spec is None:
        return Constant(spec)
    if not isinstance(spec, Mapping):
        hint = ""
        if spec in (Bool, Float, Int, Choice):
            hint = f" (write {spec.__name__}(…), with brackets)"
        elif isinstance(spec, tuple) and len(spec) == 2:
            kind = "Int" if all(type(v) is int for v in spec) else "Float"
            hint = f" (a range? write {kind}{spec!r})"
        elif isinstance(spec, list):
            hint = f" (options? write Choice(*{spec!r}))"
        raise TypeError(
            f"parameter {name!r} must be a Float, an Int, a Choice, a Bool, a Constant, a plain "
            f"value that is constant, or a mapping with its kind; got {brief(spec)}{hint}"
        )
    if "kind" not in spec:
        raise TypeError(
            f"parameter {name!r}: a mapping needs its 'kind', one of {', '.join(KINDS)}; got "
            f"{brief(spec)} (a space within a space? write its parameters one by one, or "
            "Constant(…) for a mapping that is handed on)"
        )
    spec = dict(spec)
    kind = spec.pop("kind", None)
    if kind not in KINDS.table:
        hint = nearest(kind, KINDS.table) if isinstance(kind, str) else ""
        raise ValueError(
            f"parameter {name!r}: kind must be one of {', '.join(KINDS)}; got {brief(kind)}{hint}"
        )
    try:
        return KINDS.call(KINDS.resolve(kind), kind, spec)
    except (TypeError, ValueError) as error:
        raise type(error)(f"parameter {name!r}: {error}") from None


def value_in(parameter: Any, label: str, value: Any) -> Any:
    """Return what a user says, as the parameter reads it.

    Of the text of a CSV file it is the number, or the option.

    Raises
    ------
    ValueError, TypeError
        Where it is no value of the parameter; `label` is what the message calls it.
    """
    return parameter.read(parameter.write(label, value))


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


def replace_start(parameter: Any, start: Any) -> Any:
    """Return the same parameter with another start."""
    start = value_in(parameter, "start", start)
    if isinstance(parameter, Choice):
        return Choice(*parameter.options, start=start)
    return replace(parameter, start=start)
