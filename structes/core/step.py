"""From a natural gradient to a step: its scale apart from its shape, and neither of them too long.

A tangent M changes all standard deviations together by its trace, and their shape by the rest:

    M = s I + M₀,   s = tr M / d,   tr M₀ = 0,   ‖M‖² = ‖M₀‖² + d s²

The scale s goes into sigma and M₀ moves B by the retraction, so that |det B| stays 1 to second
order in M₀, and sigma the geometric mean of the standard deviations up to D₀. Both are shortened
by the same number where ‖M‖ exceeds the trust region.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt
from typing import Any, NamedTuple

from ..arrays.scalars import read
from ..structures.base import Structure, Tangent

SENSELESS = 100.0  # h(M) multiplies deviations by thousands: of raw values, or far points


class Step(NamedTuple):
    """A step that may be taken.

    Attributes
    ----------
    shape : tuple
        The tangent M₀ of the structure, which is to be retracted.
    scale : float
        s; the logarithm of sigma changes by −s.
    norm : float
        ‖M‖ before the step was shortened.
    clipped : bool
        Whether it was shortened.
    also : sequence of float
        The numbers that were read together with those of the step.
    """

    shape: Tangent
    scale: float
    norm: float
    clipped: bool
    also: Sequence[float] = ()


def step(
    structure: Structure,
    M: Tangent,
    longest: float = inf,
    whole: bool = False,
    *,
    parts: tuple[float, ...] | None = None,
    identity: Any = 0.0,
    also: Sequence[Any] = (),
) -> Step:
    """Return the step of a natural gradient.

    Parameters
    ----------
    structure : Structure
        The group.
    M : tuple
        A tangent of it.
    longest : float
        The radius of the trust region: the largest ‖M‖ of a step.
    whole : bool
        Whether the scale stays with the shape: then M₀ is all of M, and s is 0.
    parts : tuple of float, optional
        A learning rate for each of the structure's parts, with which M is multiplied first.
    identity : float
        A multiple of I that M has too much, where the caller could not leave it out: it is taken
        off M. (`tangent` subtracts Σ w I; who wants to subtract less says by how much.)
    also : sequence of numbers
        Further numbers that the caller wants as floats. On a GPU reading a number means waiting
        for all work before it, so that they are read together with those of the step.

    Returns
    -------
    Step

    Raises
    ------
    ValueError
        Where `longest` is not positive; where M is so long, and not to be shortened, that no step
        along it makes sense.
    """
    if not longest > 0:
        raise ValueError(f"longest must be a positive number; got {longest!r}")
    if parts is not None:  # the parts that the identity lies in may learn at different rates
        M, identity = structure.scale(structure.shift(M, -identity), parts), 0.0
    if whole:
        M, scale, identity = structure.shift(M, -identity), 0.0, 0.0
    else:
        scale = structure.trace(M) / structure.dim
        M = structure.shift(M, -scale)
    scale, shape, identity, *also = read(scale, structure.norm(M), identity, *also)
    scale, norm, shorter = shortened(structure.dim, scale - identity, shape, longest)
    if norm > longest:
        M = structure.scale(M, shorter)
    elif not norm <= SENSELESS:
        raise ValueError(
            f"a step of norm {norm:.3g} (1 is a long one) is too long for any use: choose a "
            "smaller rate (and gamma) for values of this size, or a trust_region"
        )
    return Step(M, scale, norm, norm > longest, also)


def shortened(dim: int, scale: float, shape: float, longest: float) -> tuple[float, float, float]:
    """Return the scale of a step that is not too long, ‖M‖ before, and the factor ≤ 1 by which it
    was shortened, from s = tr M / d, ‖M₀‖ and the radius of the trust region."""
    norm = sqrt(shape * shape + dim * scale * scale)
    shorter = longest / norm if norm > longest else 1.0
    return scale * shorter, norm, shorter
