"""Hierarchical: two small dense blocks and a long diagonal one, coupled in a chain.

The blocks are a (k1 coordinates), m (the long middle, diagonal) and e (k2 coordinates). Of the
four closed ways to couple them, the two chains (Heisenberg groups) are a family of their own; the
other two are block triangular in disguise, and their docstrings say so. (Lin et al. 2021,
"Tractable structured natural-gradient descent using local parameterizations"; the mixed one is
that of Lin et al. 2023, "Structured inverse-free natural gradient", SINGD.)
"""

from __future__ import annotations

from dataclasses import dataclass

from .. import checks
from .blocks import Blocks


@dataclass(frozen=True)
class ThreeBlocks(Blocks):
    """Blocks a (k1, dense), m (the rest, diagonal), e (k2, dense)."""

    k1: int = 1
    k2: int = 1
    lead: tuple | None = None
    tail: tuple | None = None

    _dense = (True, False, True)

    def __post_init__(self):
        super().__post_init__()
        name = type(self).__name__
        checks.count(f"{name}: k1", self.k1, 0, self.dim)
        checks.count(f"{name}: k2", self.k2, 0, self.dim - self.k1)
        for key, k in (("lead", self.k1), ("tail", self.k2)):
            if getattr(self, key) is not None:
                indices = checks.indices(f"{name}: {key}", getattr(self, key), k, self.dim)
                object.__setattr__(self, key, indices)
        shared = set(self.lead or ()) & set(self.tail or ())
        if shared:
            raise ValueError(
                f"{name}: lead and tail must not share coordinates; both have {shared}"
            )
        if (self.lead is None) != (self.tail is None) and self.k1 and self.k2:
            raise ValueError(f"{name}: give both lead and tail, or neither")

    @property
    def _sizes(self):
        return (self.k1, self.dim - self.k1 - self.k2, self.k2)

    @property
    def _groups(self):
        return (self.lead, None, self.tail)


class HierarchicalLower(ThreeBlocks):
    """A few long and a few stiff directions at once (lower Heisenberg).

        B = ⎡■ ■        ⎤  k1     m follows a, e follows a and m. For the middle coordinates the
            ⎢■ ■        ⎥         precision is rank k1 plus diagonal and the covariance is rank k2
            ⎢■ ■ ╲      ⎥  m      plus diagonal: no other structure has both.
            ⎢■ ■   ╲    ⎥
            ⎣■ ■ ■ ■ ■ ■⎦  k2

    Choose it when neither `block_upper` nor `block_lower` is enough. dof k1(k1+1)/2 + k2(k2+1)/2 +
    k1 k2 + (k1+k2+1) m; a generation costs O(λ (k1+k2) d + (k1+k2)² d), memory O((k1+k2) d).
    (Lin et al. 2021.)

    Parameters
    ----------
    dim : int
        Number of parameters, d.
    k1, k2 : int
        Block sizes of the two dense blocks, k1 + k2 ≤ d.
    lead, tail : sequence of int, optional
        Their coordinates, k1 and k2 indices; without them the first k1 and the last k2.
    """

    _edges = ((1, 0), (2, 0), (2, 1))


class HierarchicalUpper(ThreeBlocks):
    """A few stiff and a few long directions at once (upper Heisenberg).

        B = ⎡■ ■ ■ ■ ■ ■⎤  k1     the same family as `hierarchical_lower` with k1 and k2 exchanged
            ⎢    ╲   ■ ■⎥         and the first and last block exchanged
            ⎢      ╲ ■ ■⎥  m
            ⎣        ■ ■⎦  k2

    dof, cost and parameters as there. (Lin et al. 2021.)
    """

    _edges = ((0, 1), (0, 2), (1, 2))


class HierarchicalUpperLower(ThreeBlocks):
    """The coordinates of SINGD; as covariances the same as `block_upper` with k = k1 + k2.

        B = ⎡■ ■ ■ ■ ■ ■⎤  k1     a and e both lead: a sees m and e, e sees m
            ⎢    ╲      ⎥
            ⎢      ╲    ⎥  m
            ⎣    ■ ■ ■ ■⎦  k2

    Use `block_upper` unless these coordinates matter to you (they differ in second order only).
    dof, cost and parameters as for `hierarchical_lower`. (Lin et al. 2023.)
    """

    _edges = ((0, 1), (0, 2), (2, 1))


class HierarchicalLowerUpper(ThreeBlocks):
    """The dual of SINGD's coordinates; the same covariances as `block_lower` with k = k1 + k2.

        B = ⎡■ ■        ⎤  k1     m follows a and e, e follows a
            ⎢■ ■ ╲   ■ ■⎥
            ⎢■ ■   ╲ ■ ■⎥  m
            ⎣■ ■     ■ ■⎦  k2

    Use `block_lower` unless these coordinates matter to you (they differ in second order only).
    dof, cost and parameters as for `hierarchical_lower`. (Lin et al. 2023.)
    """

    _edges = ((1, 0), (2, 0), (1, 2))
