"""Direct sum: named blocks of parameters, each with a structure of its own.

B is block diagonal, and everything is done block by block: a block sees its own columns of the
samples. Blocks lie one after the other, or anywhere: `at` names the coordinates of a block. All
of them share one step size, that of the strategy, as a global scale; the identity parts of the
blocks learn how their scales differ.

Blocks that follow each other are slices, so nothing is copied. Where some block's coordinates lie
in no regular distance, rows are sorted into block order tile by tile, and back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..arrays.libraries import namespace
from ..arrays.tiles import tiles
from .base import Structure
from .building import spec_of
from .fallbacks import largest_eigenvalue
from .placement import implied_size, place


@dataclass(frozen=True)
class DirectSum(Structure):
    """Parameters of several kinds, such as the weights and biases of a network.

        B = ⎡■ ■          ⎤  "w1"   kronecker(64, 32)
            ⎢■ ■          ⎥
            ⎢     ⋱       ⎥  "b1"   diagonal
            ⎣         ■ ■ ⎦  "head" dense

    Parameters of different blocks are independent. Choose it when you can say which parameters
    belong together and what is known of each group (`structes.structure_for` builds it from the
    shapes of arrays). dof, memory and cost of a generation are the sums over the blocks. (A direct
    product of groups; Lin et al. 2021.)

    Parameters
    ----------
    dim : int
        Number of parameters, d.
    blocks : dict
        A structure for every name: a Structure; or a name or a mapping as everywhere, which may
        hold, besides the structure's own arguments, `dim`, the block size, where the structure
        does not imply it (as rows and cols of a Kronecker product do; one block may leave it out
        and gets what remains), and `at`, its coordinates, a list of integers from 0 to d − 1.
        Blocks without `at` take the coordinates that no `at` names, in their order. Afterwards
        it is a tuple of `Block`.

    Raises
    ------
    ValueError, TypeError
        Where the blocks do not make d, overlap, or one of them is no group.
    """

    blocks: Any

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "blocks", place(self.dim, self.blocks))

    def arguments(self):
        return {
            "blocks": {
                b.name: {**spec_of(b.structure), "dim": b.structure.dim, "at": np.asarray(b.at)}
                for b in self.blocks
            }
        }

    @classmethod
    def implied_dim(cls, blocks=(), **_):
        return implied_size(blocks)

    @property
    def dof(self):
        return sum(b.structure.dof for b in self.blocks)

    @property
    def row(self):
        return max(b.structure.row for b in self.blocks)

    @property
    def parts(self):
        """The parameter groups of the blocks, one block after the other. The identity has a share
        in the last one of every block, and they may learn at different rates: a `kronecker` has
        one group only, which learns slower than the diagonal of a `dense`."""
        return tuple(p for b in self.blocks for p in b.structure.parts)

    @property
    def path_parts(self):
        groups = [(b.structure.path_parts, len(b.structure.parts)) for b in self.blocks]
        if all(parts is None for parts, _ in groups):
            return None
        return tuple(p for parts, n in groups for p in parts or (1,) * n)

    @property
    def retraction_order(self):
        return min(b.structure.retraction_order for b in self.blocks)

    @property
    def has_exponential(self):
        return all(b.structure.has_exponential for b in self.blocks)

    # -- where the blocks are ---------------------------------------------------------------------

    @cached_property
    def _order(self):
        """None where all blocks are slices; otherwise (coordinates in block order, their inverse),
        two integer arrays (d,)."""
        if all(isinstance(b.at, range) for b in self.blocks):
            return None
        order = np.concatenate([np.asarray(b.at) for b in self.blocks])
        return order, np.argsort(order)

    @cached_property
    def _slices(self):
        """Slice of each block: of the coordinates, or of the block order where there is one."""
        if self._order is None:
            return [slice(b.at.start, b.at.stop, b.at.step) for b in self.blocks]
        ends = np.cumsum([b.structure.dim for b in self.blocks]).tolist()
        return [slice(e - b.structure.dim, e) for b, e in zip(self.blocks, ends, strict=True)]

    def _parts(self, parts):
        """Return (structure, part of a factor or tangent) of every block."""
        return [(b.structure, part) for b, part in zip(self.blocks, parts, strict=True)]

    def _columns(self, k, Z):
        """Return the columns of Z (n, d) that belong to block k."""
        if self._order is None:
            return Z[:, self._slices[k]]
        xp = namespace(Z)
        return xp.take(Z, xp.asarray(self._order[0][self._slices[k]]), axis=1)

    def _apply(self, verb, parts, Z):
        """Return what `verb` of every block does with its part to its columns of Z: (n, d) or
        (d,)."""
        xp = namespace(Z)
        rows = xp.reshape(Z, (-1, self.dim))
        if self._order is None:
            return xp.reshape(self._apply_sliced(verb, parts, rows), Z.shape)
        order, places = (xp.asarray(index) for index in self._order)
        out = xp.empty(rows.shape, dtype=Z.dtype)
        for t in tiles(rows):
            result = self._apply_sliced(verb, parts, xp.take(rows[t, :], order, axis=1))
            out[t, :] = xp.take(result, places, axis=1)
        return xp.reshape(out, Z.shape)

    def _apply_sliced(self, verb, parts, Z):
        out = namespace(Z).empty(Z.shape, dtype=Z.dtype)
        for (structure, part), span in zip(self._parts(parts), self._slices, strict=True):
            act = getattr(structure, verb)
            for t in tiles(Z, structure.dim):
                out[t, span] = act(part, Z[t, span])
        return out

    def _joined(self, vectors):
        """Return one vector (d,) of one for each block."""
        xp = namespace(vectors[0])
        out = xp.empty(self.dim, dtype=vectors[0].dtype)
        for span, vector in zip(self._slices, vectors, strict=True):
            out[span] = vector
        return out if self._order is None else xp.take(out, xp.asarray(self._order[1]))

    def _dense(self, matrices):
        """Return one matrix (d, d) of one for each block."""
        xp = namespace(matrices[0])
        full = xp.zeros((self.dim, self.dim), dtype=matrices[0].dtype)
        for span, matrix in zip(self._slices, matrices, strict=True):
            full[span, span] = matrix
        if self._order is not None:
            places = xp.asarray(self._order[1])
            full = xp.take(xp.take(full, places, axis=0), places, axis=1)
        return full

    # -- the group --------------------------------------------------------------------------------

    def identity(self, xp, dtype):
        return tuple(b.structure.identity(xp, dtype) for b in self.blocks)

    def blank(self):
        return tuple(b.structure.blank() for b in self.blocks)

    def unwhiten(self, factor, Z):
        return self._apply("unwhiten", factor, Z)

    def whiten(self, factor, Y):
        return self._apply("whiten", factor, Y)

    def whiten_gradient(self, factor, G):
        return self._apply("whiten_gradient", factor, G)

    def unwhiten_gradient(self, factor, G):
        return self._apply("unwhiten_gradient", factor, G)

    def logdet(self, factor):
        return sum(s.logdet(f) for s, f in self._parts(factor))

    def to_dense(self, factor):
        return self._dense([s.to_dense(f) for s, f in self._parts(factor)])

    # -- the tangent space ------------------------------------------------------------------------

    def tangent(self, Z, w):
        return tuple(self._block_tangent(k, Z, w) for k in range(len(self.blocks)))

    def _block_tangent(self, k, Z, w):
        structure = self.blocks[k].structure
        if self._order is None:
            return structure.tangent(self._columns(k, Z), w)
        total = None
        for t in tiles(Z, structure.dim):
            part = structure.tangent(self._columns(k, Z[t, :]), w[t])
            total = part if total is None else structure.add(total, part)
        return total

    def with_samples(self, M, Y):
        parts = enumerate(self._parts(M))
        return tuple(s.with_samples(m, self._columns(k, Y)) for k, (s, m) in parts)

    def retract(self, factor, M):
        parts = zip(self._parts(factor), M, strict=True)
        return tuple(s.retract(f, m) for (s, f), m in parts)

    def transport(self, M, q):
        return self._apply("transport", M, q)

    def retract_exp(self, factor, M):
        parts = zip(self._parts(factor), M, strict=True)
        return tuple(s.retract_exp(f, m) for (s, f), m in parts)

    def transport_exp(self, M, q):
        return self._apply("transport_exp", M, q)

    def norm(self, M):
        return sum(s.norm(m) ** 2 for s, m in self._parts(M)) ** 0.5

    def add(self, M, N):
        parts = zip(self._parts(M), N, strict=True)
        return tuple(s.add(m, n) for (s, m), n in parts)

    def scale(self, M, rates):
        if not isinstance(rates, tuple):
            return tuple(s.scale(m, rates) for s, m in self._parts(M))
        out, remaining = [], rates
        for s, m in self._parts(M):
            block_rates, remaining = remaining[: len(s.parts)], remaining[len(s.parts) :]
            out.append(s.scale(m, block_rates))
        return tuple(out)

    def shift(self, M, value):
        return tuple(s.shift(m, value) for s, m in self._parts(M))

    def trace(self, M):
        return sum(s.trace(m) for s, m in self._parts(M))

    def tangent_to_dense(self, M):
        return self._dense([s.tangent_to_dense(m) for s, m in self._parts(M)])

    # -- what a stopping rule asks ----------------------------------------------------------------

    def deviations(self, factor):
        return self._joined([s.deviations(f) for s, f in self._parts(factor)])

    def condition(self, factor):
        """Return a lower bound, from power iteration in every block, the coordinate axes, and the
        condition numbers of the blocks; exact where the blocks are diagonal."""
        largest = inverse = 0.0
        single = []
        for s, f in self._parts(factor):
            variances = s.deviations(f) ** 2
            xp = namespace(variances)
            high = largest_eigenvalue(s.dim, f, s.unwhiten, s.whiten_gradient)
            low = largest_eigenvalue(s.dim, f, s.whiten, s.unwhiten_gradient)
            largest = max(largest, high, float(xp.max(variances)))
            inverse = max(inverse, low, 1 / float(xp.min(variances)))
            single.append(s.condition(f))
        return max(largest * inverse, *single)
