"""Kronecker product: a matrix of parameters whose rows and columns are each other's equals.

Read the d = rows · cols parameters as a matrix X, row by row. One factor mixes its rows, the other
its columns, and each may be any structure:

    B = B₁ ⊗ B₂         (B₁ ⊗ B₂) vec X = vec(B₁ X B₂ᵀ)
    M = M₁ ⊗ I + I ⊗ M₂

The natural gradient follows from the partial traces of G, which are the Gs of the factors: the
left one sees the λ·cols columns of the samples with weights w/cols, the right one the λ·rows rows
with weights w/rows. Both contain the same scale, tr M₁/rows = tr M₂/cols = tr M/d, and it must be
counted once: each factor keeps half of it. (A Fisher matrix that ignores the coupling of the
factors, as is usual in deep learning, moves the scale twice.)

The retraction is B₁h(M₁) ⊗ B₂h(M₂), which agrees with B h(M) to second order in M. No d×d matrix
and no pass over the population that is not in tiles.

B₁ → c B₁, B₂ → B₂/c changes nothing. The two scales part by third-order terms only, and floating
point does not mind a common factor; so nothing brings them together again.
"""

from __future__ import annotations

from dataclasses import dataclass

from .. import checks
from ..arrays.libraries import namespace
from ..arrays.scalars import not_negative
from ..arrays.tiles import tiles
from .base import Structure
from .building import build_part


@dataclass(frozen=True)
class Kronecker(Structure):
    """The weights of a layer, a grid, channels × time: parameters that form a matrix.

        B = ⎡a₁₁B₂ a₁₂B₂⎤     left B₁ = (a_ij), right B₂; here rows = 2
            ⎣a₂₁B₂ a₂₂B₂⎦

    The covariance of two parameters is (how their rows covary) × (how their columns covary).
    Choose it when a parameter is known by its row and its column, and rows behave alike. Factors
    may be diagonal (each row and each column has a scale), triangular, dense, or themselves
    Kronecker products, for arrays of more than two axes. dof = dof₁ + dof₂ − 1 (dense factors:
    about (rows² + cols²)/2 in place of d²/2); a generation costs λ·cols times the cost of a sample
    in the left factor plus λ·rows times that in the right (dense: O(λ d (rows + cols))), memory
    that of the factors. (Lin et al. 2021; Martens & Grosse 2015 for layers.)

    Parameters
    ----------
    dim : int
        Number of parameters, d.
    rows, cols : int
        Sizes of the matrix, whose product is d; one of them may be left out.
    left, right : str, dict or Structure
        The structures of the rows and of the columns: names, mappings or objects.

    Raises
    ------
    ValueError, TypeError
        Where the sizes do not make d, or a factor is no group.
    """

    rows: int | None = None
    cols: int | None = None
    left: object = "dense"
    right: object = "dense"

    def __post_init__(self):
        super().__post_init__()
        rows, cols = _sizes(self.dim, self.rows, self.cols)
        parts = {
            "rows": rows,
            "cols": cols,
            "left": build_part("Kronecker: left", self.left, rows),
            "right": build_part("Kronecker: right", self.right, cols),
        }
        for name, value in parts.items():
            object.__setattr__(self, name, value)

    @classmethod
    def implied_dim(cls, rows=None, cols=None, **_):
        sized = isinstance(rows, int) and isinstance(cols, int)
        return rows * cols if sized else None

    @property
    def dof(self):
        return self.left.dof + self.right.dof - 1

    @property
    def row(self):
        return self.left.row / self.cols + self.right.row / self.rows

    @property
    def retraction_order(self):
        """h(M₁) ⊗ h(M₂) differs from h(M) in terms of third order."""
        return min(3, self.left.retraction_order, self.right.retraction_order)

    @property
    def has_exponential(self):
        return self.left.has_exponential and self.right.has_exponential

    # -- a row of d numbers as a matrix -----------------------------------------------------------

    def _rows(self, Z):
        """Return the n·rows rows of the n matrices in Z (n, d)."""
        return namespace(Z).reshape(Z, (-1, self.cols))

    def _columns(self, Z):
        """Return their n·cols columns."""
        xp = namespace(Z)
        return xp.reshape(
            xp.matrix_transpose(xp.reshape(Z, (-1, self.rows, self.cols))), (-1, self.rows)
        )

    def _apply(self, verb, parts, Z):
        """Return what `verb` of both factors does with their `parts`: Z is (n, d) or (d,)."""
        xp = namespace(Z)
        left, right = getattr(self.left, verb), getattr(self.right, verb)
        rows = xp.reshape(Z, (-1, self.dim))
        out = xp.empty(rows.shape, dtype=Z.dtype)
        for t in tiles(rows):
            result = left(parts[0], self._columns(right(parts[1], self._rows(rows[t, :]))))
            result = xp.matrix_transpose(xp.reshape(result, (-1, self.cols, self.rows)))
            out[t, :] = xp.reshape(result, (-1, self.dim))
        return xp.reshape(out, Z.shape)

    # -- the group --------------------------------------------------------------------------------

    def identity(self, xp, dtype):
        return self.left.identity(xp, dtype), self.right.identity(xp, dtype)

    def blank(self):
        return self.left.blank(), self.right.blank()

    def unwhiten(self, factor, Z):
        return self._apply("unwhiten", factor, Z)

    def whiten(self, factor, Y):
        return self._apply("whiten", factor, Y)

    def whiten_gradient(self, factor, G):
        return self._apply("whiten_gradient", factor, G)

    def unwhiten_gradient(self, factor, G):
        return self._apply("unwhiten_gradient", factor, G)

    def logdet(self, factor):
        left, right = factor
        return self.cols * self.left.logdet(left) + self.rows * self.right.logdet(right)

    def to_dense(self, factor):
        return _kron(self.left.to_dense(factor[0]), self.right.to_dense(factor[1]))

    # -- the tangent space: pairs (M₁, M₂) with tr M₁/rows = tr M₂/cols ---------------------------

    def tangent(self, Z, w):
        xp = namespace(Z)
        left = right = None
        for t in tiles(Z):
            v, u = xp.repeat(w[t] / self.cols, self.cols), xp.repeat(w[t] / self.rows, self.rows)
            columns = self.left.tangent(self._columns(Z[t, :]), v)
            rows = self.right.tangent(self._rows(Z[t, :]), u)
            left = columns if left is None else self.left.add(left, columns)
            right = rows if right is None else self.right.add(right, rows)
        half = -0.5 * self.left.trace(left) / self.rows
        return self.left.shift(left, half), self.right.shift(right, half)

    def retract(self, factor, M):
        return self.left.retract(factor[0], M[0]), self.right.retract(factor[1], M[1])

    def transport(self, M, q):
        return self._apply("transport", M, q)

    def retract_exp(self, factor, M):
        """exp(M₁ ⊗ I + I ⊗ M₂) = exp(M₁) ⊗ exp(M₂)."""
        return self.left.retract_exp(factor[0], M[0]), self.right.retract_exp(factor[1], M[1])

    def transport_exp(self, M, q):
        return self._apply("transport_exp", M, q)

    def norm(self, M):
        traces = self.left.trace(M[0]) * self.right.trace(M[1])
        square = self.cols * self.left.norm(M[0]) ** 2 + self.rows * self.right.norm(M[1]) ** 2
        return not_negative(square + 2 * traces) ** 0.5

    def add(self, M, N):
        return self.left.add(M[0], N[0]), self.right.add(M[1], N[1])

    def scale(self, M, rates):
        if isinstance(rates, tuple):
            (rates,) = rates
        return self.left.scale(M[0], rates), self.right.scale(M[1], rates)

    def shift(self, M, value):
        return self.left.shift(M[0], value / 2), self.right.shift(M[1], value / 2)

    def trace(self, M):
        return self.cols * self.left.trace(M[0]) + self.rows * self.right.trace(M[1])

    def tangent_to_dense(self, M):
        left, right = self.left.tangent_to_dense(M[0]), self.right.tangent_to_dense(M[1])
        xp = namespace(left)
        eye = [xp.eye(n, dtype=left.dtype) for n in (self.rows, self.cols)]
        return _kron(left, eye[1]) + _kron(eye[0], right)

    # -- what a stopping rule asks ----------------------------------------------------------------

    def deviations(self, factor):
        left, right = self.left.deviations(factor[0]), self.right.deviations(factor[1])
        return namespace(left).reshape(left[:, None] * right[None, :], (-1,))

    def condition(self, factor):
        return self.left.condition(factor[0]) * self.right.condition(factor[1])


def _sizes(dim, rows, cols):
    """Return (rows, cols) with rows · cols = dim; one of them may be None."""
    if rows is None and cols is None:
        raise ValueError(
            f"Kronecker: needs rows or cols (or both), the sizes of a matrix of dim {dim} numbers"
        )
    sizes = {"rows": rows, "cols": cols}
    for name, value in sizes.items():
        if value is not None:
            sizes[name] = checks.count(f"Kronecker: {name}", value, 1)
    rows, cols = sizes.values()
    if rows is not None and cols is not None:
        if rows * cols != dim:
            raise ValueError(
                f"Kronecker: rows · cols must be dim {dim}; got {rows} · {cols} = {rows * cols}"
            )
        return rows, cols
    name, value = ("rows", rows) if cols is None else ("cols", cols)
    if dim % value:
        raise ValueError(
            f"Kronecker: {name} must divide dim {dim}; got {value}, which leaves {dim % value}"
        )
    return (rows, dim // rows) if cols is None else (dim // cols, cols)


def _kron(a, b):
    n = a.shape[0] * b.shape[0]
    return namespace(a).reshape(a[:, None, :, None] * b[None, :, None, :], (n, n))
