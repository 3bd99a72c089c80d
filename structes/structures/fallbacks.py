"""What a structure can do without saying more than what its B looks like, with d×d matrices.

They let a new structure run, and pass its laws, before any of its operations has been written:
each costs O(d³), or more, where a structure of its own formulas costs O(d). Two kinds of structure
say enough. One names the entries that B may have (`support`). The other makes B from numbers in
which B is linear (`identity` and `to_dense`): then a tangent is kept as such numbers, too, and
projections are least squares over the matrices that single numbers make.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..arrays.libraries import namespace
from ..arrays.linalg import add_to_diagonal
from ..arrays.scalars import number

# the methods of a structure that work by d×d matrices where it does not define them
SLOW = (
    "dof",
    "unwhiten",
    "whiten",
    "whiten_gradient",
    "unwhiten_gradient",
    "logdet",
    "tangent",
    "retract",
    "transport",
    "norm",
    "trace",
    "deviations",
)


# -- shapes ---------------------------------------------------------------------------------------


def zeros(*shape: int) -> np.ndarray:
    """Return zeros that take no memory and cannot be written; for `Structure.blank`."""
    return np.broadcast_to(_ZERO, shape)


def blank(factor: tuple) -> tuple:
    """Return such zeros in the shapes of a factor."""
    return tuple(
        blank(a) if isinstance(a, tuple) else np.broadcast_to(np.zeros((), a.dtype), a.shape)
        for a in factor
    )


_ZERO = np.zeros(())


# -- operations on B and M as (d, d) arrays -------------------------------------------------------


def unwhiten(B, Z):
    """Return the rows B⁻ᵀ z."""
    return namespace(Z).linalg.solve(B.T, Z.T).T


def whiten_gradient(B, G):
    """Return the rows B⁻¹ g."""
    return namespace(G).linalg.solve(B, G.T).T


def moments(Z, w):
    """Return G = Σ w (z zᵀ − I)."""
    return add_to_diagonal((Z.T * w) @ Z, -namespace(w).sum(w))


def retract(B, M):
    """Return B h(M)."""
    T = B @ M
    return B + T + 0.5 * (T @ M)


def transport(M, q):
    """Return the rows h(M)ᵀ q."""
    return q + (q + 0.5 * (q @ M)) @ M


def norm(M):
    return number(namespace(M).sum(M * M)) ** 0.5


def trace(M):
    return number(namespace(M).linalg.trace(M))


def deviations(B):
    """Return √diag (B Bᵀ)⁻¹: columns of B⁻¹ are rows of B⁻ᵀ."""
    xp = namespace(B)
    inverse = xp.linalg.inv(B)
    return xp.sqrt(xp.sum(inverse * inverse, axis=0))


def largest_eigenvalue(dim, factor, multiply, multiply_back, steps=30) -> float:
    """Return a lower bound of the largest eigenvalue of FᵀF, by power iteration.

    `multiply(factor, v)` multiplies rows v (n, dim) with F, `multiply_back` with its transpose.
    """
    first = factor
    while isinstance(first, tuple):  # of a structure of structures
        first = first[0]
    xp = namespace(first)
    v = 1 + 0.5 * xp.cos(xp.arange(1, dim + 1, dtype=first.dtype))[None, :]
    value = 1.0
    for _ in range(steps):
        v = v / float(xp.sum(v * v)) ** 0.5
        v = multiply_back(factor, multiply(factor, v))
        value = float(xp.sum(v * v)) ** 0.5
    return value


# -- the group and its tangent space --------------------------------------------------------------


class Pattern(NamedTuple):
    """All invertible matrices with entries in a pattern; factor and tangent are the matrix.

    In pairs (i, j), (j, i) of entries M is symmetric, elsewhere it takes all of the entry.
    """

    share: Any  # (d, d) NumPy: how much of −G an entry of M takes: ½, 1, or 0 outside
    dof: int

    def factor_of(self, B):
        return (B,)

    def tangent(self, G):
        return (G * namespace(G).asarray(-self.share, dtype=G.dtype),)


class Linear(NamedTuple):
    """All matrices Σ c_j E_j of numbers c_j that are invertible; the tangent is such numbers, too.

    `coordinates` (k, d²) and `gradient` (k, d²) are NumPy arrays: the least-squares numbers of a
    matrix, and of the element M of the space whose sym M is nearest to a symmetric matrix.
    """

    coordinates: Any
    gradient: Any
    shapes: list
    dof: int

    def factor_of(self, B):
        return self._numbers(self.coordinates, B)

    def tangent(self, G):
        return self._numbers(self.gradient, -0.5 * G)

    def _numbers(self, linear, matrix):
        """Return the numbers that a linear map makes of a matrix, as arrays of their shapes."""
        xp, out, end = namespace(matrix), [], 0
        c = xp.asarray(linear, dtype=matrix.dtype) @ xp.reshape(matrix, (-1,))
        for shape in self.shapes:
            start, end = end, end + int(np.prod(shape))
            out.append(xp.reshape(c[start:end], shape))
        return tuple(out)


def pattern(structure) -> Pattern:
    """Return the group of the matrices with entries in `structure.support()`.

    Raises ValueError where that is no pattern of a group.
    """
    name, d = type(structure).__name__, structure.dim
    R = np.asarray(structure.support())
    if R.shape != (d, d) or R.dtype != bool:
        raise ValueError(
            f"{name}: support() must be a boolean ({d}, {d}) array; got {R.dtype} {R.shape}"
        )
    if not R.diagonal().all():
        i = int(np.argmin(R.diagonal()))
        raise ValueError(f"{name}: support() must hold the diagonal; ({i}, {i}) is not in it")
    missing = np.argwhere((R.astype(float) @ R > 0) & ~R)
    if missing.size:
        i, j = missing[0].tolist()
        middle = int(np.argmax(R[i, :] & R[:, j]))
        raise ValueError(
            f"{name}: support() must be transitive, so that products stay in it: it has "
            f"({i}, {middle}) and ({middle}, {j}), and not ({i}, {j})"
        )
    return Pattern(np.where(R & R.T, 0.5, 1.0) * R, int(np.triu(R | R.T).sum()))


def linear(structure) -> Linear:
    """Return the group of the matrices that `structure.to_dense` makes of numbers.

    Raises TypeError where it is not linear in them.
    """
    name, blank = type(structure).__name__, structure.blank()
    if any(isinstance(a, tuple) for a in blank):
        raise TypeError(f"{name}: fallbacks take a factor that is a tuple of arrays")
    shapes = [a.shape for a in blank]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes]).tolist()

    def matrix(c):
        parts = np.split(np.asarray(c, dtype=float), ends[:-1])
        factor = tuple(p.reshape(shape) for p, shape in zip(parts, shapes, strict=True))
        return np.array(structure.to_dense(factor))

    E = np.stack([matrix(row) for row in np.eye(ends[-1])])
    c = np.cos(np.arange(1, ends[-1] + 1))  # any numbers
    if not np.allclose(matrix(c), np.tensordot(c, E, axes=1), rtol=1e-6, atol=1e-6):
        raise TypeError(
            f"{name}: to_dense() is not linear in the numbers of the factor, and fallbacks do not "
            "apply: define dof, tangent, tangent_to_dense, retract, transport and shift"
        )
    flat, sym = E.reshape(len(E), -1), (E + E.transpose(0, 2, 1)).reshape(len(E), -1) / 2
    coordinates, gradient = (np.linalg.pinv(A.T, rcond=1e-10) for A in (flat, sym))
    return Linear(coordinates, gradient, shapes, int(np.linalg.matrix_rank(sym, rtol=1e-10)))
