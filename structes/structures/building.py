"""Structures by name: from what a user says to a structure, and from a structure to its words.

The table of the names is filled by `__init__.py`; this file names no structure, so that those
which hold others (`kronecker`, `direct_sum`) can build them.
"""

from __future__ import annotations

from ..naming.error_text import brief
from ..naming.registry import Registry
from .base import Structure

AUTO = "auto"  # found on the way (strategy/auto.py): `ES` takes this word before it looks here
STRUCTURES = Registry("structure", {}, also=(AUTO,), base="structes.structures.base:Structure")


def build_structure(spec, dim: int) -> Structure:
    """Return the structure that `spec` names, for `dim` parameters.

    spec   a table name, "module:attribute", a mapping {"name": …, parameters…} or a Structure.

    Raises ValueError when the name, a parameter or the dimension does not fit.
    """
    structure = spec if isinstance(spec, Structure) else STRUCTURES.build(spec, dim=dim)
    if not isinstance(structure, Structure):
        raise TypeError(f"structure must be a Structure; {brief(spec)} gave {brief(structure)}")
    if structure.dim != dim:
        raise ValueError(f"structure {brief(structure)} is for dim {structure.dim}; x0 has {dim}")
    return structure


def spec_of(structure: Structure) -> dict:
    """Return the mapping {"name": …, arguments…} of plain values and arrays from which
    `build_structure` makes this structure again. The name of a user's own class is its
    "module:attribute"."""
    kind = type(structure)
    path = f"{kind.__module__}:{kind.__qualname__}"
    name = next((name for name, target in STRUCTURES.table.items() if target == path), path)
    return {"name": name, **_plain(structure.arguments())}


def known_spec(spec) -> dict:
    """Return `spec`, a mapping that `spec_of` may have made, where it names nothing but structures
    of the table: so nothing is imported by a name that came with a file. Raises ValueError."""
    for name in _names(spec):
        if name not in STRUCTURES:
            raise ValueError(
                f"its structure {name!r:.80} is none of structes' own: give it, "
                "load(path, structure=…)"
            )
    _check_sparse(spec)
    return spec


def _check_sparse(spec):
    """Raise ValueError where a pattern is to be worked out: `spec_of` writes its entries, and a
    few parents or pairs may come to any number of them."""
    if isinstance(spec, dict):
        if spec.get("name") == "sparse" and not spec.keys() <= {"name", "dim", "at", "pattern"}:
            raise ValueError("its structure 'sparse' has more than the entries of a pattern")
        for part in spec.values():
            _check_sparse(part)
    elif isinstance(spec, (list, tuple)):
        for part in spec:
            _check_sparse(part)


def _names(value, is_name=False):
    """Return all words of a specification that may name a structure, or something to import."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _names(part, key == "name")
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _names(part)
    elif isinstance(value, str) and (is_name or ":" in value):
        yield value


def _plain(value):
    if isinstance(value, Structure):
        return spec_of(value)
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (tuple, range)) else value


def build_part(subject: str, spec, dim: int) -> Structure:
    """As `build_structure`, for a structure inside another: errors begin with `subject`."""
    try:
        if isinstance(spec, Structure) and spec.dim != dim:
            raise ValueError(
                f"must be a structure for {dim} parameters; {brief(spec)} has {spec.dim}"
            )
        part = build_structure(spec, dim)
        if not part.is_group:
            reason = "is no group" if part.noise_dim == dim else "has latent coordinates"
            raise ValueError(f"{brief(spec)} {reason} and cannot be part of another")
        return part
    except (TypeError, ValueError) as error:
        raise type(error)(f"{subject}: {error}") from error


def implied_dim(spec) -> int | None:
    """Return the number of parameters that `spec` implies by itself; None where it leaves it
    open."""
    if isinstance(spec, Structure):
        return spec.dim
    name, arguments = STRUCTURES.parse(spec)
    imply = getattr(STRUCTURES.resolve(name), "implied_dim", None)
    return imply(**arguments) if imply else None
