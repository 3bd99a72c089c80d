"""What every structure is, said in full d×d matrices: the truth that the laws compare with.

The laws are those of `structes.testing`. A new structure joins the suite by one entry here: the
cases to try (specification, dim; edge sizes included), and what its tangent space V is. Where its
retraction is not B h(M), `retraction` says what it is, to the last digit.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import expm, toeplitz

from structes.structures import STRUCTURES
from structes.structures.dense import Dense
from structes.structures.direct_sum import DirectSum
from structes.structures.kronecker import Kronecker

DIMS = (1, 2, 5, 13)  # 13 with one or two samples takes dense through its low-rank form


class Truth(NamedTuple):
    """cases: (specification, dim) to try. algebra(structure, D): does the d×d matrix D lie in V?
    closed: is V closed under products (then B − I and B⁻¹ have its pattern)? no_group: cases of a
    structure that is no group, which obeys the laws of all structures alone."""

    cases: list
    algebra: Any
    closed: bool = True
    no_group: tuple | list = ()


def symmetric(structure, D):
    return np.allclose(D, D.T)


def pattern(mask):
    """V is every matrix with support in mask(structure), a boolean (d, d) array."""
    return lambda structure, D: np.allclose(D[~mask(structure)], 0)


def triangle(which):
    return pattern(lambda s: which(np.ones((s.dim, s.dim), dtype=bool)))


def multiple_of_identity(structure, D):
    return np.allclose(D, D[0, 0] * np.eye(len(D)))


TRUTH = {
    "dense": Truth(
        [("dense", d) for d in DIMS]
        + [({"name": "dense", "retraction": "exp"}, d) for d in (1, 5, 13)],
        symmetric,
        closed=False,
    ),
    "diagonal": Truth(
        [("diagonal", d) for d in DIMS], pattern(lambda s: np.eye(s.dim, dtype=bool))
    ),
    "scalar": Truth([("scalar", d) for d in DIMS], multiple_of_identity),
    "lower": Truth([("lower", d) for d in DIMS], triangle(np.tril)),
    "upper": Truth([("upper", d) for d in DIMS], triangle(np.triu)),
}


def block_pattern(*edges):
    """The mask of blocks a (dense), m (diagonal), e (dense), with full blocks at (row, column)."""

    def mask(s):
        k2 = getattr(s, "k2", 0)
        k1 = getattr(s, "k1", getattr(s, "k", 0))
        lead = list(s.lead if s.lead is not None else range(k1))
        tail = getattr(s, "tail", None)
        tail = list(tail if tail is not None else range(s.dim - k2, s.dim))
        rest = [i for i in range(s.dim) if i not in lead + tail]
        allowed = np.eye(s.dim, dtype=bool)
        blocks = {"a": lead, "m": rest, "e": tail}
        for r, c in [*edges, "aa", "ee"]:
            allowed[np.ix_(blocks[r], blocks[c])] = True
        return allowed

    return pattern(mask)


def two(name):
    cases = [(1, 0), (1, 1), (2, 1), (5, 0), (5, 2), (5, 5), (13, 3)]
    out = [({"name": name, "k": k}, d) for d, k in cases]
    return [*out, ({"name": name, "k": 2, "lead": [4, 1]}, 6)]


def three(name):
    cases = [(1, 0, 0), (1, 0, 1), (2, 1, 1), (5, 2, 0), (5, 3, 2), (13, 2, 3)]
    out = [({"name": name, "k1": i, "k2": j}, d) for d, i, j in cases]
    return [*out, ({"name": name, "k1": 1, "k2": 2, "lead": [3], "tail": [5, 0]}, 7)]


def symmetric_blocks(s, D):
    ends = np.cumsum(s.sizes)
    number = np.searchsorted(ends, np.arange(s.dim), side="right")
    return pattern(lambda s: number[:, None] == number)(s, D) and symmetric(s, D)


TRUTH |= {
    "block_diagonal": Truth(
        [
            ({"name": "block_diagonal", "sizes": sizes}, d)
            for d, sizes in [(1, 1), (2, [2]), (5, [5]), (6, 2), (5, [1, 3, 0, 1]), (13, [4, 9])]
        ],
        symmetric_blocks,
        closed=False,
    ),
    "block_upper": Truth(two("block_upper"), block_pattern("am")),
    "block_lower": Truth(two("block_lower"), block_pattern("ma")),
    "hierarchical_lower": Truth(three("hierarchical_lower"), block_pattern("ma", "ea", "em")),
    "hierarchical_upper": Truth(three("hierarchical_upper"), block_pattern("am", "ae", "me")),
    "hierarchical_upper_lower": Truth(
        three("hierarchical_upper_lower"), block_pattern("am", "ae", "em")
    ),
    "hierarchical_lower_upper": Truth(
        three("hierarchical_lower_upper"), block_pattern("ma", "ea", "me")
    ),
}


def kronecker(rows, cols, left="dense", right="dense"):
    return {"name": "kronecker", "rows": rows, "cols": cols, "left": left, "right": right}


def direct_sum(**blocks):
    return {"name": "direct_sum", "blocks": blocks}


def lies_in(structure, D):
    """Does D lie in the tangent space of a structure, whatever it is?"""
    name = next(n for n in TRUTH if STRUCTURES[n] is type(structure))
    return TRUTH[name].algebra(structure, D)


def kronecker_sum(s, D):
    T = D.reshape(s.rows, s.cols, s.rows, s.cols)
    left, right = np.einsum("iaja->ij", T) / s.cols, np.einsum("iaib->ab", T) / s.rows
    both = np.kron(left, np.eye(s.cols)) + np.kron(np.eye(s.rows), right)
    both -= np.trace(D) / s.dim * np.eye(s.dim)
    return np.allclose(D, both) and lies_in(s.left, left) and lies_in(s.right, right)


def block_by_block(s, D):
    rest = D.copy()
    for _, structure, at in s.blocks:
        rest[np.ix_(at, at)] = 0
        if not lies_in(structure, D[np.ix_(at, at)]):
            return False
    return np.allclose(rest, 0)


TRUTH |= {
    "kronecker": Truth(
        [
            (kronecker(1, 1), 1),
            (kronecker(1, 3, "lower"), 3),
            (kronecker(3, 1, "upper", "scalar"), 3),
            (kronecker(2, 3), 6),
            (kronecker(3, 2, "diagonal", "lower"), 6),
            (kronecker(2, 3, "scalar", {"name": "dense", "retraction": "exp"}), 6),
            (kronecker(2, 6, "upper", kronecker(3, 2, "diagonal")), 12),
            (kronecker(5, 2, direct_sum(a={"name": "lower", "dim": 2}, b="dense")), 10),
            (kronecker(13, 1), 13),
        ],
        kronecker_sum,
        closed=False,
    ),
    "direct_sum": Truth(
        [
            (direct_sum(all="dense"), 1),
            (direct_sum(a={"name": "scalar", "dim": 1}, b="diagonal"), 2),
            (direct_sum(odd={"name": "lower", "at": [1, 3, 5]}, even="dense"), 7),
            (
                direct_sum(
                    w={**kronecker(2, 3), "at": [6, 0, 3, 1, 4, 8]},
                    b={"name": "diagonal", "dim": 1},
                    c="upper",
                ),
                9,
            ),
            (
                direct_sum(
                    w=kronecker(2, 3, "lower", {"name": "block_upper", "k": 1}),
                    inner=direct_sum(u=kronecker(2, 2, "diagonal"), v={"name": "upper", "dim": 2}),
                    b="scalar",
                ),
                13,
            ),
        ],
        block_by_block,
        closed=False,
    ),
}


def constant_diagonals(which):
    """Every matrix with one number a diagonal, on one side of the main one."""
    return lambda s, D: np.allclose(D, which(toeplitz(D[:, 0], D[0, :])))


def ring(s, D):
    """Symmetric, and an entry depends on i − j modulo d alone."""
    distance = (np.arange(s.dim)[:, None] - np.arange(s.dim)) % s.dim
    return np.allclose(D, D[distance, 0]) and np.allclose(D, D.T)


def sparse(edges, **given):
    return {"name": "sparse", "pattern": edges, **given}


def entries(s):
    """The mask of the diagonal and of the entries that the structure names."""
    mask = np.eye(s.dim, dtype=bool)
    mask[s.pattern.row, s.pattern.col] = True
    return mask


TRUTH |= {
    "toeplitz_lower": Truth([("toeplitz_lower", d) for d in DIMS], constant_diagonals(np.tril)),
    "toeplitz_upper": Truth([("toeplitz_upper", d) for d in DIMS], constant_diagonals(np.triu)),
    "circulant": Truth([("circulant", d) for d in (1, 2, 3, 4, 5, 13, 16)], ring),
    "sparse": Truth(
        [
            (sparse([]), 1),
            (sparse([[0, 1]]), 2),
            (sparse([]), 5),
            (sparse([(i, j) for i in range(5) for j in range(i)]), 5),
            ({"name": "sparse", "tree": [3, 0, -1, 2, 0, 3, -1], "given": "descendants"}, 7),
            (sparse([(4, 1), (1, 6), (7, 6), (1, 2), (2, 0), (3, 2)], close=True), 8),
            ({"name": "sparse", "tree": [-1, 0, 0, 1, 1, 1, 2, 6, 6, 7, 3, 0, 11]}, 13),
        ],
        pattern(entries),
    ),
}


def latent_blocks(s, D):
    """M of the larger space (a, u, b): block upper triangular, u diagonal, aa and bb symmetric."""
    block = np.repeat([0, 1, 2], [s.long, s.dim, s.short])
    allowed = block[:, None] <= block
    allowed[np.ix_(block == 0, block == 2)] = False
    u = np.ix_(block == 1, block == 1)
    allowed[u] = np.eye(s.dim, dtype=bool)
    ends = [np.ix_(block == b, block == b) for b in (0, 2)]
    return np.allclose(D[~allowed], 0) and all(np.allclose(D[e], D[e].T) for e in ends)


TRUTH["low_rank"] = Truth(
    [],
    latent_blocks,
    closed=False,
    no_group=[
        ({"name": "low_rank", "long": long, "short": short}, d)
        for d, long, short in [
            (1, 0, 0),
            (1, 1, 1),
            (4, 0, 0),
            (5, 2, 0),
            (5, 0, 2),
            (7, 3, 2),
            (3, 5, 4),
            (13, 1, 2),
            (7, 2, 1),
        ]
    ],
)


def h(M):
    return np.eye(len(M)) + M + M @ M / 2


def retraction(structure, M):
    """What `structure.retract(B, M)` multiplies B with: h(M), unless the structure says otherwise.

    M   a tangent with NumPy arrays
    """
    if isinstance(structure, Kronecker):
        return np.kron(retraction(structure.left, M[0]), retraction(structure.right, M[1]))
    if isinstance(structure, DirectSum):
        whole = np.zeros((structure.dim, structure.dim))
        for (_, inner, at), m in zip(structure.blocks, M, strict=True):
            whole[np.ix_(at, at)] = retraction(inner, m)
        return whole
    dense = np.asarray(structure.tangent_to_dense(M))
    if isinstance(structure, Dense) and structure.retraction == "exp":
        return expm(dense)
    if isinstance(structure, Dense) and M.D is not None:  # in two steps: L, D
        return h(dense - np.diag(M.D)) @ h(np.diag(M.D))
    return h(dense)
