"""The structures: matrix groups in which the factor B of the precision sigma⁻² B Bᵀ lives.

One file a structure (or a family that shares its formulas), one line in the table below. What a
structure is, and the laws that it obeys, is said in `base.py`; `tests/test_laws.py` checks every
row of the table against the dense truth.
"""

from __future__ import annotations

from ..registry import Registry
from .base import Structure

STRUCTURES = Registry(
    "structure",
    {
        "dense": "structes.structures.dense:Dense",
        "diagonal": "structes.structures.diagonal:Diagonal",
        "scalar": "structes.structures.scalar:Scalar",
        "lower": "structes.structures.triangular:Lower",
        "upper": "structes.structures.triangular:Upper",
    },
)


def build_structure(spec, dim: int) -> Structure:
    """The structure that `spec` names, for `dim` parameters.

    spec   a table name, "module:attribute", a mapping {"name": …, parameters…} or a Structure.

    Raises ValueError when the name, a parameter or the dimension does not fit.
    """
    structure = spec if isinstance(spec, Structure) else STRUCTURES.build(spec, dim=dim)
    if not isinstance(structure, Structure):
        raise TypeError(f"structure must be a Structure; {spec!r} gave {structure!r}")
    if structure.dim != dim:
        raise ValueError(f"structure {structure!r} is for dim {structure.dim}; x0 has {dim}")
    return structure
