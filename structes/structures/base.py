"""What a structure is, and the laws that it obeys.

The search distribution is N(mean, sigma² (B Bᵀ)⁻¹) and B is an element of a matrix group. With
z ~ N(0, I), a sample is y = B⁻ᵀ z and back z = Bᵀ y. A step of natural gradient is an element M of
a linear space V, the *tangent space*, and moves B along the group by the retraction

    B ← B h(M),   h(M) = I + M + M²/2.

The natural gradient of weighted samples (larger weight = better) is the one M in V with

    sym M = −½ Proj_{sym V} G,     G = Σ w_k (z_k z_kᵀ − I)          (−C⊙κ(G) in the paper)

V holds no antisymmetric matrix, which makes M unique (Lin et al. 2021, "Tractable structured
natural-gradient descent using local parameterizations"; Fisher metric 2⟨sym E, sym E'⟩).

A structure is a frozen dataclass of `dim` and sizes. Its *factor* (B, or B⁻ᵀ where that is the
cheaper thing to keep) and its *tangents* are tuples of arrays in whatever compact form suits it.
All operations are pure, take their array namespace from the arrays, and write no argument.

A structure is begun with one method or two. A group whose B are all the matrices with support in
a pattern needs `support`; one whose B is linear in some numbers needs `identity`, which says how
many, and `to_dense`. All else then follows with d×d matrices (`fallbacks.py`), and is replaced by
something faster method by method; `structes.testing.check_structure` says what is still slow.

The laws that `structes.testing` checks against the d×d matrices of `to_dense`:

    identity     `identity` gives the same bits whenever it is asked; of a group, `to_dense` of it
                 is I, bit for bit, so that the first candidates are mean + sigma D₀ z
    samples      `unwhiten` is linear, y = A z, and A Aᵀ = (B Bᵀ)⁻¹; `whiten` gives the shortest z
                 that makes y; `whiten_gradient` is Aᵀ, `unwhiten_gradient` the transpose of
                 `whiten`. Of a group A = B⁻ᵀ
    tangent      tangents form a linear space that contains I, and `tangent` is linear in the
                 weighted samples; of a group it is the natural gradient above
    retraction   of a group, with B' = dense(retract(B, M)) and `retraction_order` = inf,

                     B' = B h(M)

                 up to rounding. Where the order p is finite, the precision agrees up to terms of
                 order p, with any rotation R: B' = B h(M) R (I + O(‖M‖^p))
    transport    the local coordinates of a vector follow the retraction: `transport(M, q)` at B'
                 is the same y as q at B

A structure that is no group (`is_group` = False: `low_rank`) obeys those of all structures; its
retraction moves B so that the weighted log likelihood of the samples grows, and the trace of M is
the change of ln |det B| in first order.
"""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass, fields
from functools import cached_property
from math import inf, isfinite
from typing import Any, ClassVar

import numpy as np

from ..arrays.libraries import namespace
from ..naming.error_text import brief
from . import exponential, fallbacks

Array = Any  # of NumPy, CuPy, or another library of the standard
Factor = tuple[Any, ...]  # of arrays, nested where a structure has parts that are structures
Tangent = tuple[Any, ...]  # of arrays, as a factor
Number = Any  # a float of NumPy's arrays; of a device's, an array () there (arrays/scalars.py)


@dataclass(frozen=True)
class Structure(ABC):
    """A matrix group and its operations. Rows of Z and Y are vectors: shape (n, dim).

    A subclass is a frozen dataclass. It defines `support`, or `identity` and `to_dense`; whatever
    else it leaves out works with d×d matrices. Subclasses are final; they share by functions.

    Parameters
    ----------
    dim : int
        Number of parameters, d ≥ 1.

    Attributes
    ----------
    is_group : bool
        B lies in a group, and the tangent space is the same everywhere.
    is_diagonal : bool
        Every covariance is diagonal, and `tangent_of_squares` exists.
    is_entrywise : bool
        Factor and tangent are one vector (d,) each, with which everything is done entry by entry.
    moves_straight : bool
        There is `retract_straight`.
    has_any_matrix : bool
        B may be any invertible matrix, and `factor_of` takes it.
    retraction_order : float
        Order of the terms in which `retract` differs from B h(M): inf where it does not.

    Raises
    ------
    ValueError
        Where dim is no integer ≥ 1.
    TypeError
        Where the subclass does not say what B looks like.
    """

    dim: int

    # capabilities, for which callers ask in place of a structure's class
    is_group: ClassVar[bool] = True
    is_diagonal: ClassVar[bool] = False
    is_entrywise: ClassVar[bool] = False
    moves_straight: ClassVar[bool] = False
    has_any_matrix: ClassVar[bool] = False

    def __post_init__(self):
        kind = type(self)
        if kind.support is Structure.support and (
            kind.to_dense is Structure.to_dense or kind.identity is Structure.identity
        ):
            raise TypeError(
                f"{kind.__name__}: a structure says what B looks like: define support(), or "
                "identity(xp, dtype) and to_dense(factor)"
            )
        if isinstance(self.dim, bool) or not isinstance(self.dim, int) or self.dim < 1:
            raise ValueError(f"{kind.__name__}: dim must be an integer ≥ 1; got {brief(self.dim)}")

    # -- sizes, from which the learning rates follow (strategy/rates.py) --------------------------

    @property
    def dof(self) -> int:
        """Degrees of freedom of the covariances of this structure (scale included)."""
        return self._algebra.dof

    @property
    def row(self) -> float:
        """The largest number of non-zeros in a row of B⁻ᵀ (tied entries share)."""
        return self.dof / self.dim

    @property
    def parts(self) -> tuple[int, ...]:
        """For each parameter group (a part of the tangent space that learns at a rate of its own)
        the degrees of freedom that its rate follows from; those of the first may be of all.

        `scale` takes one number for each. The last one holds the identity, or a share of it.
        """
        return (self.dof,)

    @property
    def path_parts(self) -> tuple[int, ...] | None:
        """For each of `parts` 1 where the path of the mean tells something about it, 0 where not;
        None: about all of them."""
        return None

    @property
    def noise_dim(self) -> int:
        """The latent dimension: numbers in a row of local coordinates z, at least `dim`."""
        return self.dim

    @property
    def retraction_order(self) -> float:
        """The order of the terms in which `retract` differs from B h(M): inf where in none."""
        return inf

    @property
    def has_exponential(self) -> bool:
        """Whether there is B exp(M): of a group that defines it, or whose `retract` is exact."""
        is_defined = type(self).retract_exp is not Structure.retract_exp
        return self.is_group and (is_defined or self.retraction_order == inf)

    def arguments(self) -> dict[str, Any]:
        """Return {name: value} of the arguments, but dim, that make this structure again."""
        names = (f.name for f in fields(self) if f.init and f.name != "dim")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def implied_dim(cls, **arguments: Any) -> int | None:
        """Return the `dim` that follows from the other arguments (rows, cols); None: open."""
        return None

    # -- the group --------------------------------------------------------------------------------

    def support(self) -> np.ndarray:
        """Where B may have entries other than 0: a boolean (d, d) NumPy array.

        A structure that defines it holds every invertible matrix of this pattern, which must be
        reflexive and transitive: with (i, l) and (l, j) there is (i, j). Its factor is (B,).
        """
        raise TypeError(f"{type(self).__name__}: support() is not defined")

    @cached_property
    def _algebra(self):
        named = type(self).support is not Structure.support
        return fallbacks.pattern(self) if named else fallbacks.linear(self)

    def identity(self, xp: Any, dtype: Any) -> Factor:
        """Return the factor of B = I with arrays of the library xp: the same bits whenever it is
        asked."""
        return (xp.eye(self.dim, dtype=dtype),)

    def blank(self) -> Factor:
        """Return a factor as far as its shapes go: NumPy arrays of zeros that take no memory, so
        that a file can be compared with it before anything is allocated (files/checkpoint.py)."""
        return fallbacks.blank(self.identity(np, np.float64))

    def to_dense(self, factor: Factor) -> Array:
        """Return B as a (d, d) array; for tests, plots and the fallbacks."""
        return factor[0]

    def factor_of(self, B: Array) -> Factor:
        """Return the factor of the matrix B (d, d) of this structure; of any B where
        `has_any_matrix`. Raises TypeError where B is not linear in the numbers of the factor."""
        return self._algebra.factor_of(B)

    def unwhiten(self, factor: Factor, Z: Array) -> Array:
        """Return the rows y = B⁻ᵀ z (n, d) of the rows z of Z (n, noise_dim): what makes
        samples."""
        return fallbacks.unwhiten(self.to_dense(factor), Z)

    def whiten(self, factor: Factor, Y: Array) -> Array:
        """Return the rows z = Bᵀ y (n, noise_dim) of the rows y of Y (n, d): the inverse of
        `unwhiten`."""
        return Y @ self.to_dense(factor)

    def whiten_gradient(self, factor: Factor, G: Array) -> Array:
        """Return the rows B⁻¹ g of the rows g of G (n, d): gradients in local coordinates. With
        x = mean + B⁻ᵀ z and g = ∇f(x), that of f as a function of z is B⁻¹ g."""
        return fallbacks.whiten_gradient(self.to_dense(factor), G)

    def unwhiten_gradient(self, factor: Factor, G: Array) -> Array:
        """Return the rows B g of the rows g of G (n, noise_dim): the inverse of
        `whiten_gradient`."""
        return G @ self.to_dense(factor).T

    def logdet(self, factor: Factor) -> float:
        """Return `log |det B|`."""
        return float(namespace(factor[0]).linalg.slogdet(self.to_dense(factor))[1])

    def is_element(self, factor: Factor) -> bool:
        """Is this, arrays of the right shapes with finite numbers, the factor of an invertible B?
        It costs a factorisation, where the structure has none."""
        try:
            return isfinite(self.logdet(factor))
        except (ArithmeticError, ValueError):  # LinAlgError is one of them
            return False

    # -- the tangent space ------------------------------------------------------------------------

    def tangent(self, Z: Array, w: Array) -> Tangent:
        """Return the natural gradient M of the samples Z (n, d) with weights w (n,), signed to
        improve."""
        return self._algebra.tangent(fallbacks.moments(Z, w))

    def tangent_at(self, factor: Factor, Z: Array, w: Array) -> Tangent:
        """Return the natural gradient at the factor, for callers who hold any structure; of a
        group, whose tangent space is the same everywhere, `tangent(Z, w)`."""
        return self.tangent(Z, w)

    def tangent_of_squares(self, squares: Array, weight: Number) -> Tangent:
        """Return `tangent` from Σ w z² (d,) and Σ w; only where `is_diagonal`."""
        raise TypeError(f"{type(self).__name__}: its tangent needs more than sums of squares")

    def tangent_of_pairs(self, factor: Factor, Z: Array, U: Array, w: Array) -> Tangent:
        """Return the natural gradient of a sum of symmetric pairs, Σ w sym(z uᵀ), signed as
        `tangent`:

            sym M = −½ Proj_{sym V} Σ w sym(z uᵀ),   sym(z uᵀ) = ½ (z uᵀ + u zᵀ)

        By polarisation, sym(z uᵀ) = ¼ [(z + u)(z + u)ᵀ − (z − u)(z − u)ᵀ], so it is the tangent of
        2 n samples with weights ± w/4; their sum is 0, and the identity in z zᵀ − I cancels. Z, U
        (n, noise_dim) are the pairs, row by row, in local coordinates: z of `whiten`, and u of
        `whiten_gradient` where u is a gradient (Stein: E[∇²f] = E[sym(z gᵀ)] there); w (n,) are
        their weights, of any sign.
        """
        xp = namespace(Z)
        w = 0.25 * w
        return self.tangent_at(factor, xp.concat([Z + U, Z - U]), xp.concat([w, -w]))

    def with_samples(self, M: Tangent, Y: Array) -> Tangent:
        """Return M, knowing that `unwhiten(factor, Z)` is Y for the first rows of the Z that made
        it: it saves `retract` a product where M is kept as low rank; others return M."""
        return M

    def retract(self, factor: Factor, M: Tangent) -> Factor:
        """Return the factor of B h(M). h is never singular on V, so B stays invertible."""
        return self.factor_of(fallbacks.retract(self.to_dense(factor), self.tangent_to_dense(M)))

    def transport(self, M: Tangent, q: Array) -> Array:
        """Return h(M)ᵀ q of a vector q (d,), or of the rows of q (n, d): how a path in local
        coordinates follows the retraction."""
        return fallbacks.transport(self.tangent_to_dense(M), q)

    def move(self, factor: Factor, M: Tangent, q: Array) -> tuple[Factor, Array]:
        """Return (retract(factor, M), transport(M, q)), for structures where they share work."""
        return self.retract(factor, M), self.transport(M, q)

    def retract_exp(self, factor: Factor, M: Tangent) -> Factor:
        """Return the factor of B exp(M), where it `has_exponential`: of a dozen retractions unless
        a structure knows better (exponential.py)."""
        return exponential.retract(self, factor, M)

    def transport_exp(self, M: Tangent, q: Array) -> Array:
        """Return exp(M)ᵀ q of a vector q (d,), or of the rows of q (n, d), as `transport`."""
        return exponential.transport(self, M, q)

    def retract_straight(self, factor: Factor, M: Tangent) -> Factor:
        """Return the symmetric factor of the covariance (B Bᵀ)⁻¹ − 2 B⁻ᵀ M B⁻¹, on a straight line
        as in CMA-ES (Hansen 2016, eq. 47); only where it `moves_straight`, and I − 2 M > 0."""
        raise TypeError(f"{type(self).__name__}: its covariances hold no straight line")

    def norm(self, M: Tangent) -> Number:
        """Return the Frobenius norm of M: a float, or an array () of a device's."""
        return fallbacks.norm(self.tangent_to_dense(M))

    def add(self, M: Tangent, N: Tangent) -> Tangent:
        """Return M + N."""
        return tuple(m + n for m, n in zip(M, N, strict=True))

    def scale(self, M: Tangent, rates: Number | tuple[Number, ...]) -> Tangent:
        """Return M times `rates`: a number, or a tuple with one for each of `parts`."""
        if isinstance(rates, tuple):
            (rates,) = rates
        return tuple(rates * m for m in M)

    def shift(self, M: Tangent, value: Number) -> Tangent:
        """Return M + value · I; every structure contains the identity."""
        eye = self.identity(namespace(M[0]), M[0].dtype)
        return tuple(m + value * e for m, e in zip(M, eye, strict=True))

    def trace(self, M: Tangent) -> Number:
        """Return the trace of M: a float, or an array () of a device's."""
        return fallbacks.trace(self.tangent_to_dense(M))

    def tangent_to_dense(self, M: Tangent) -> Array:
        """Return M as a (d, d) array; for tests. Where the tangent has the form of the factor, and
        B is linear in it, that is `to_dense(M)`."""
        return self.to_dense(M)

    # -- what a stopping rule asks (not every generation) -----------------------------------------

    def deviations(self, factor: Factor) -> Array:
        """Return the standard deviations (d,) of the coordinates: √diag (B Bᵀ)⁻¹."""
        return fallbacks.deviations(self.to_dense(factor))

    def condition(self, factor: Factor) -> float:
        """Return the condition number of the covariance (B Bᵀ)⁻¹ (largest over smallest
        eigenvalue).

        Unless a structure knows better, by 30 steps of power iteration from both ends: a lower
        bound, within a few per cent where the ends stand apart.
        """
        largest = fallbacks.largest_eigenvalue
        variance = largest(self.dim, factor, self.unwhiten, self.whiten_gradient)
        return variance * largest(self.dim, factor, self.whiten, self.unwhiten_gradient)
