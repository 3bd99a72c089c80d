"""From a natural gradient to a step: its scale apart from its shape, and neither of them too long.

A tangent M changes all standard deviations together by its trace, and their shape by the rest:

    M = s I + M₀,   s = tr M / d,   tr M₀ = 0,   ‖M‖² = ‖M₀‖² + d s²

The scale s goes into sigma, which so is the geometric mean of the standard deviations up to D₀,
and M₀ moves B by the retraction, so that |det B| stays 1. Both are shortened by the same number
where ‖M‖ exceeds the trust region.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt
from typing import Any, NamedTuple

from ..arrays.scalars import read
from ..structures.base import Structure, Tangent


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
    also : list of float
        The numbers that were read in the same look at the device.
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
    parts : tuple of float, optional
        A learning rate for each of the structure's parts, with which M is multiplied first.
    identity : float
        How much of I there is in M that is not meant; it is taken off the scale.
    also : sequence of numbers
        Numbers on the device that the caller wants to look at. To look is to wait for all that
        was asked of the device before, so that one look serves for all.

    Returns
    -------
    Step
    """
    if parts is not None:
        M, identity = structure.scale(M, parts), identity * parts[-1]
    scale = structure.trace(M) / structure.dim
    M = structure.shift(M, -scale)
    scale, shape, identity, *also = read(scale, structure.norm(M), identity, *also)
    size = length(structure.dim, scale, shape, identity, longest)
    if size.clipped:
        M = structure.scale(M, size.shortened)
    return Step(M, size.scale, size.norm, size.clipped, also)


class Length(NamedTuple):
    """How long a step is, in numbers: the scale after it was shortened, ‖M‖ before, whether it was
    shortened, and by which factor."""

    scale: float
    norm: float
    clipped: bool
    shortened: float


def length(dim: int, scale: float, shape: float, identity: float, longest: float) -> Length:
    """Return what follows from s = tr M / d, ‖M₀‖, the identity that is not meant and the radius
    of the trust region."""
    scale -= identity
    norm = sqrt(shape * shape + dim * scale * scale)
    clipped = norm > longest
    shortened = longest / norm if clipped else 1.0
    return Length(scale * shortened, norm, clipped, shortened)
