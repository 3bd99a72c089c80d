"""A Space in plain values and arrays, as a file holds it, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .space import Space, build_space
from .stored import kept_value, value_of


def kept_space(space: Space) -> dict:
    """Return {name: what `space_of` reads}: the fields of each parameter in plain values and
    arrays, or, where a value in them cannot be stored, a string that says which one."""
    stored = {}
    for name, spec in space.spec().items():
        try:
            stored[name] = {field: kept_value(value) for field, value in spec.items()}
        except TypeError as error:
            stored[name] = str(error)
    return stored


def space_of(stored: Mapping, space: Any = None) -> Space:
    """Return the Space of what `kept_space` has written.

    Parameters
    ----------
    stored : Mapping
        {name: fields of the parameter}, or in their place a string that says what could not be
        stored.
    space : Space, optional
        The Space as it was; it gives the parameters that could not be stored.

    Raises
    ------
    ValueError
        Where some parameters could not be stored and no space is handed in, or where its names are
        others; the message names them.
    """
    unstored = {name: fields for name, fields in stored.items() if isinstance(fields, str)}
    if space is None and unstored:
        reasons = "; ".join(f"{name!r} has {reason}" for name, reason in unstored.items())
        raise ValueError(
            f"its space has what no file holds: {reasons}. Give the space again, load(path, "
            "space=…); or keep searches by pickle, which holds it"
        )
    space = None if space is None else build_space(space)
    if space is not None and list(space.parameters) != list(stored):
        raise ValueError(
            f"the space must be that of the search, with the parameters {', '.join(stored)}; got "
            f"one with {', '.join(space.parameters)}"
        )
    specs = {}
    for name, fields in stored.items():
        if name in unstored:
            specs[name] = space.parameters[name]
        else:
            specs[name] = {field: value_of(value) for field, value in fields.items()}
    return Space(specs)
