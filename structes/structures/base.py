"""What a structure is.

The search distribution is N(mean, sigma² (B Bᵀ)⁻¹) and B is an element of a matrix group. With
z ~ N(0, I), a sample is y = B⁻ᵀ z and back z = Bᵀ y. A step of natural gradient is an element M of
a linear space V, the *tangent*, and moves B along the group by the retraction

    B ← B h(M),   h(M) = I + M + M²/2.

The natural gradient of weighted samples (larger weight = better) is the one M in V with

    sym M = −½ Proj_{sym V} G,     G = Σ w_k (z_k z_kᵀ − I)          (−C⊙κ(G) in the paper)

V holds no antisymmetric matrix, which makes M unique (Lin et al. 2021, "Tractable structured
natural-gradient descent using local parameterizations"; Fisher metric 2⟨sym E, sym E'⟩).

A structure is a frozen dataclass of `dim` and sizes. Its *factor* (B, or B⁻ᵀ where that is the
cheaper thing to keep) and its *tangents* are tuples of arrays in whatever compact form suits it;
whatever is stored, `dense(retract(B, M)) = dense(B) h(dense(M))`. All operations are pure, take
their array namespace from the arrays, and none factorises a d×d matrix in its update.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from math import isfinite
from typing import ClassVar

import numpy as np

from ..arrays.libraries import namespace
from ..registry import brief


@dataclass(frozen=True)
class Structure(ABC):
    """A matrix group and its operations. Rows of Z and Y are vectors: shape (n, dim).

    Subclasses are final; they share by functions, not by inheritance.

    dim    number of parameters, d ≥ 1
    """

    dim: int

    # -- capabilities: what a structure can do beyond the contract; callers ask before they call --

    is_group: ClassVar[bool] = True
    is_diagonal: ClassVar[bool] = False
    is_entrywise: ClassVar[bool] = False
    has_any_matrix: ClassVar[bool] = False

    def __post_init__(self):
        if isinstance(self.dim, bool) or not isinstance(self.dim, int) or self.dim < 1:
            raise ValueError(
                f"{type(self).__name__}: dim must be an integer ≥ 1; got {brief(self.dim)}"
            )

    # -- sizes, from which the learning rates follow (rates.py) -----------------------------------

    @property
    @abstractmethod
    def dof(self) -> int:
        """Degrees of freedom of the covariances of this structure (scale included)."""

    @property
    def row(self) -> float:
        """Largest number of non-zeros in a row of B⁻ᵀ (tied entries share)."""
        return self.dof / self.dim

    @property
    def parts(self) -> tuple:
        """Degrees of freedom of the parts of the algebra that learn at rates of their own.

        `scale` takes one number for each. The last one holds the identity.
        """
        return (self.dof,)

    @property
    def path_parts(self) -> tuple | None:
        """For each of `parts` 1 where the path of the mean tells something about it, 0 where not;
        None: about all of them."""
        return None

    @property
    def noise_dim(self) -> int:
        """Numbers in a row of local coordinates z; more than `dim` where some are latent."""
        return self.dim

    def arguments(self) -> dict:
        """{name: value} of the arguments, `dim` left out, that make this structure again."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "dim"}

    @classmethod
    def implied_dim(cls, **given) -> int | None:
        """The `dim` that follows from the other arguments (rows and cols, say); None: open."""
        return None

    # -- the group --------------------------------------------------------------------------------

    @abstractmethod
    def identity(self, xp, dtype) -> tuple:
        """Factor of B = I."""

    def blank(self) -> tuple:
        """A factor as far as its shapes go: NumPy arrays of zeros that take no memory, so that a
        file can be compared with it before anything is allocated (checkpoint.py)."""
        return _blank(self.identity(np, np.float64))

    @abstractmethod
    def unwhiten(self, factor, Z):
        """Rows B⁻ᵀ z of the rows z of Z (n, d): what makes samples."""

    @abstractmethod
    def whiten(self, factor, Y):
        """Rows Bᵀ y of the rows y of Y (n, d): the inverse of `unwhiten`."""

    @abstractmethod
    def whiten_gradient(self, factor, G):
        """Rows B⁻¹ g of the rows g of G (n, d): gradients in local coordinates."""

    @abstractmethod
    def unwhiten_gradient(self, factor, G):
        """Rows B g of the rows g of G (n, d): the inverse of `whiten_gradient`."""

    @abstractmethod
    def logdet(self, factor) -> float:
        """log |det B|."""

    def is_element(self, factor) -> bool:
        """Is this, arrays of the right shapes with finite numbers, the factor of an invertible B?
        It costs a factorisation, where the structure has none."""
        try:
            return isfinite(self.logdet(factor))
        except (ArithmeticError, ValueError):  # LinAlgError is one of them
            return False

    @abstractmethod
    def to_dense(self, factor):
        """B as a (d, d) array; for tests and plots."""

    # -- the tangent space ------------------------------------------------------------------------

    @abstractmethod
    def tangent(self, Z, w, factor=None) -> tuple:
        """Natural gradient M of the samples Z (n, d) with weights w (n,), signed to improve.

        factor   where; a group ignores it, its tangent is the same everywhere
        """

    def tangent_at(self, factor, Z, w) -> tuple:
        """Natural gradient at the factor, for callers who hold any structure.

        The tangent of a group is the same everywhere, and this is `tangent(Z, w)`.
        """
        return self.tangent(Z, w)

    def tangent_of_squares(self, squares, weight) -> tuple:
        """`tangent` from Σ w z² (d,) and Σ w; only where `is_diagonal`."""
        raise TypeError(f"{type(self).__name__}: its tangent needs more than sums of squares")

    def tangent_of_pairs(self, factor, Z, U, w) -> tuple:
        """Natural gradient of Σ w sym(z uᵀ), with sym(z uᵀ) = ½ (z uᵀ + u zᵀ), signed to improve.

        Z, U of shape (n, noise_dim) hold the pairs row by row, w (n,) their weights. By
        polarisation, sym(z uᵀ) = ¼ [(z + u)(z + u)ᵀ − (z − u)(z − u)ᵀ], it is the tangent of 2 n
        samples whose weights sum to 0, so that the identity of z zᵀ − I cancels.
        """
        xp = namespace(Z)
        return self.tangent_at(factor, xp.concat([Z + U, Z - U]), xp.concat([0.25 * w, -0.25 * w]))

    def with_samples(self, M, Y) -> tuple:
        """M, where it can use that `unwhiten(factor, Z)` is Y for the first rows of its Z.

        It saves `retract` a product in structures that keep M as low rank; others return M.
        """
        return M

    def with_exponential(self) -> Structure:
        """The structure with B exp(M) for its retraction, where it has that; else itself."""
        return self

    def factor_of(self, B) -> tuple:
        """Factor of the matrix B (d, d); only where `has_any_matrix`."""
        raise TypeError(f"{type(self).__name__}: not every matrix is one of this structure")

    @abstractmethod
    def retract(self, factor, M, Y=None) -> tuple:
        """Factor of B h(M). h is never singular on V, so B stays invertible.

        Y   `unwhiten(factor, Z)` for the first rows of the Z that made M, where the caller has
            them; saves a product in structures that keep M as low rank, ignored by the others.
        """

    @abstractmethod
    def transport(self, M, q):
        """h(M)ᵀ q of a vector q (d,), or of the rows of q (n, d): how a path in local coordinates
        follows the retraction."""

    def move(self, factor, M, q, Y=None) -> tuple:
        """(retract(factor, M, Y), transport(M, q)), for structures where they share work."""
        return self.retract(factor, M, Y), self.transport(M, q)

    @abstractmethod
    def norm(self, M) -> float:
        """Frobenius norm of M; of arrays of a device an array () there, as `trace`."""

    def add(self, M, N) -> tuple:
        """M + N."""
        return tuple(m + n for m, n in zip(M, N, strict=True))

    def scale(self, M, factor) -> tuple:
        """factor · M; `factor` is a number, or one for each of `parts`."""
        if isinstance(factor, tuple):
            (factor,) = factor
        return tuple(factor * m for m in M)

    @abstractmethod
    def shift(self, M, value) -> tuple:
        """M + value · I; every structure here contains the identity."""

    @abstractmethod
    def trace(self, M) -> float:
        """Trace of M."""

    @abstractmethod
    def tangent_to_dense(self, M):
        """M as a (d, d) array; for tests."""

    # -- what a stopping rule asks (not every generation) -----------------------------------------

    @abstractmethod
    def deviations(self, factor):
        """(d,) standard deviations of the coordinates: √diag (B Bᵀ)⁻¹."""

    def condition(self, factor) -> float:
        """Condition number of the covariance (B Bᵀ)⁻¹ (largest over smallest eigenvalue).

        Unless a structure knows better, by 30 steps of power iteration from both ends: a lower
        bound, within a few per cent where the ends stand apart.
        """
        return self._largest(factor, self.unwhiten, self.whiten_gradient) * self._largest(
            factor, self.whiten, self.unwhiten_gradient
        )

    def _largest(self, factor, forth, back, steps=30) -> float:
        """Largest eigenvalue of FᵀF for F = `forth` with transpose `back`."""
        first = factor
        while isinstance(first, tuple):  # of a structure of structures
            first = first[0]
        xp = namespace(first)
        v = 1 + 0.5 * xp.cos(xp.arange(1, self.dim + 1, dtype=first.dtype))[None, :]
        value = 1.0
        for _ in range(steps):
            v = v / float(xp.sum(v * v)) ** 0.5
            v = back(factor, forth(factor, v))
            value = float(xp.sum(v * v)) ** 0.5
        return value


def zeros(*shape) -> np.ndarray:
    """Zeros that take no memory and cannot be written; for `blank`."""
    return np.broadcast_to(_ZERO, shape)


def _blank(factor):
    if isinstance(factor, tuple):
        return tuple(map(_blank, factor))
    return np.broadcast_to(np.zeros((), factor.dtype), factor.shape)


_ZERO = np.zeros(())
