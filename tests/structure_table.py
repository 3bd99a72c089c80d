"""What every structure is, said in full d×d matrices: the truth that the laws compare with.

A new structure joins the law suite by one entry here: the cases to try (specification, dim; edge
sizes included), and what its tangent space V is. Where its retraction is not B h(M), `retraction`
says what it is.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import expm

from structes.structures.dense import Dense

DIMS = (1, 2, 5, 13)  # 13 with four samples takes dense through its low-rank form


class Truth(NamedTuple):
    """cases: (specification, dim) to try. algebra(structure, D): does the d×d matrix D lie in V?
    closed: is V closed under products (then B − I and B⁻¹ have its pattern)?"""

    cases: list
    algebra: Any
    closed: bool = True


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


def h(M):
    return np.eye(len(M)) + M + M @ M / 2


def retraction(structure, M):
    """What `structure.retract(B, M)` multiplies B with: h(M), unless the structure says otherwise.

    M   a tangent with NumPy arrays
    """
    dense = np.asarray(structure.tangent_to_dense(M))
    if isinstance(structure, Dense) and structure.retraction == "exp":
        return expm(dense)
    return h(dense)
