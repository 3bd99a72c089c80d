"""The structures: matrix groups in which the factor B of the precision sigma⁻² B Bᵀ lives.

One file a structure (or a family that shares its formulas), one line in the table below. What a
structure is, and the laws that it obeys, is said in `base.py`; `tests/test_laws.py` checks every
row of the table against the dense truth. What several structures share has a room of its own:
`entrywise` (diagonal, scalar), `blocks` (block triangular, hierarchical), `gathers` and `patterns`
(sparse), `placement` (direct sums).
"""

from __future__ import annotations

from .building import STRUCTURES, build_structure

STRUCTURES.table.update(
    {
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
        "circulant": "structes.structures.circulant:Circulant",
        "sparse": "structes.structures.sparse:Sparse",
        "kronecker": "structes.structures.kronecker:Kronecker",
        "direct_sum": "structes.structures.direct_sum:DirectSum",
    }
)

__all__ = ["STRUCTURES", "build_structure"]
