"""The structures: matrix groups in which the factor B of the precision sigma⁻² B Bᵀ lives.

One file a structure (or a family that shares its formulas), one line in the table below. What a
structure is, and the laws that it obeys, is said in `base.py`; `tests/test_laws.py` checks every
row of the table against the dense truth. What several structures share has a room of its own:
`entrywise` (diagonal, scalar), `blocks` (block triangular, hierarchical), `gathers` and `patterns`
(sparse), `placement` (direct sums).
"""

from __future__ import annotations

from ..registry import Registry, brief
from .base import Structure

AUTO = "auto"  # found on the way (auto.py): `ES` takes this word before it looks here
STRUCTURES = Registry(
    "structure",
    also=(AUTO,),
    base="structes.structures.base:Structure",
    table={
        "dense": "structes.structures.dense:Dense",
        "diagonal": "structes.structures.diagonal:Diagonal",
        "scalar": "structes.structures.scalar:Scalar",
        "lower": "structes.structures.triangular:Lower",
        "upper": "structes.structures.triangular:Upper",
        "block_diagonal": "structes.structures.block_diagonal:BlockDiagonal",
        "block_upper": "structes.structures.block_triangular:BlockUpper",
        "block_lower": "structes.structures.block_triangular:BlockLower",
        "hierarchical_lower": "structes.structures.hierarchical:HierarchicalLower",
        "hierarchical_upper": "structes.structures.hierarchical:HierarchicalUpper",
        "hierarchical_upper_lower": "structes.structures.hierarchical:HierarchicalUpperLower",
        "hierarchical_lower_upper": "structes.structures.hierarchical:HierarchicalLowerUpper",
        "low_rank": "structes.structures.low_rank:LowRank",
        "toeplitz_lower": "structes.structures.toeplitz:ToeplitzLower",
        "toeplitz_upper": "structes.structures.toeplitz:ToeplitzUpper",
        "sparse": "structes.structures.sparse:Sparse",
        "kronecker": "structes.structures.kronecker:Kronecker",
        "direct_sum": "structes.structures.direct_sum:DirectSum",
    },
)


def build_structure(spec, dim: int) -> Structure:
    """The structure that `spec` names, for `dim` parameters.

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
    """The mapping {"name": …, arguments…} of plain values and arrays from which `build_structure`
    makes this structure again. The name of a user's own class is its "module:attribute"."""
    kind = type(structure)
    path = f"{kind.__module__}:{kind.__qualname__}"
    name = next((name for name, known in STRUCTURES.table.items() if known == path), path)
    return {"name": name, **_plain(structure.arguments())}


def known_spec(spec) -> dict:
    """`spec`, a mapping that `spec_of` may have made, where it names nothing but structures of the
    table: so nothing is imported by a name that came with a file. Raises ValueError."""
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
    """All words of a specification that may name a structure, or something to import."""
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


def build_part(what: str, spec, dim: int) -> Structure:
    """As `build_structure`, for a structure inside another: errors begin with `what`."""
    try:
        if isinstance(spec, Structure) and spec.dim != dim:
            raise ValueError(
                f"must be a structure for {dim} parameters; {brief(spec)} has {spec.dim}"
            )
        part = build_structure(spec, dim)
        if part.noise_dim != dim:
            raise ValueError(f"{brief(spec)} has latent coordinates and cannot be part of another")
        return part
    except (TypeError, ValueError) as error:
        raise type(error)(f"{what}: {error}") from error


def implied_dim(spec) -> int | None:
    """The number of parameters that `spec` implies by itself; None where it leaves it open."""
    if isinstance(spec, Structure):
        return spec.dim
    name, given = STRUCTURES.parse(spec)
    imply = getattr(STRUCTURES.resolve(name), "implied_dim", None)
    return imply(**given) if imply else None
