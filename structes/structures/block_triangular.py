"""Block triangular: a few lead coordinates that all others share, the rest on their own."""

from __future__ import annotations

from dataclasses import dataclass

from .. import checks
from .blocks import Blocks


@dataclass(frozen=True)
class TwoBlocks(Blocks):
    """k lead coordinates, dense; d − k others, diagonal; one full block beside the diagonal."""

    k: int = 1
    lead: tuple | None = None

    _dense = (True, False)

    def __post_init__(self):
        super().__post_init__()
        name = type(self).__name__
        checks.count(f"{name}: k", self.k, 0, self.dim)
        if self.lead is not None:
            lead = checks.indices(f"{name}: lead", self.lead, self.k, self.dim)
            object.__setattr__(self, "lead", lead)

    @property
    def _sizes(self):
        return (self.k, self.dim - self.k)

    @property
    def _groups(self):
        return (self.lead, None)


class BlockUpper(TwoBlocks):
    """A few long valleys: covariance of rank k plus diagonal.

        B = ⎡■ ■ ■ ■ ■⎤  k        covariance = U Uᵀ + diag(0, D⁻²),  U d×k
            ⎢■ ■ ■ ■ ■⎥
            ⎢    ╲    ⎥           precision: arrow
            ⎢      ╲  ⎥
            ⎣        ╲⎦

    Choose it when a few combinations of parameters vary far more than the rest. k = 0 is
    `diagonal`, k = d is `dense`. dof k(k+1)/2 + (k+1)(d−k); a generation costs O(λ k d + k² d),
    memory O(k d). (Lin et al. 2021, "Tractable structured natural-gradient descent using local
    parameterizations".)

    Parameters
    ----------
    dim : int
        Number of parameters, d.
    k : int
        Number of lead coordinates, 0 … d.
    lead : sequence of int, optional
        Their indices, k of them, none twice; without it the first k. They carry no noise of their
        own beside the k shared directions, so the choice matters.
    """

    _edges = ((0, 1),)


class BlockLower(TwoBlocks):
    """A few stiff directions: precision of rank k plus diagonal.

        B = ⎡■ ■      ⎤  k        precision = U Uᵀ + diag(0, D²),  U d×k
            ⎢■ ■      ⎥
            ⎢■ ■ ╲    ⎥           covariance: arrow
            ⎢■ ■   ╲  ⎥
            ⎣■ ■     ╲⎦

    Choose it when a few combinations of parameters are far more sensitive than the rest. k = 0 is
    `diagonal`, k = d is `dense`. dof k(k+1)/2 + (k+1)(d−k); a generation costs O(λ k d + k² d),
    memory O(k d). (Lin et al. 2021.)

    Parameters
    ----------
    dim : int
        Number of parameters, d.
    k : int
        Number of lead coordinates, 0 … d.
    lead : sequence of int, optional
        Their indices, k of them, none twice; without it the first k.
    """

    _edges = ((1, 0),)
