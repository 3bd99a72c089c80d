"""Sparse: the user says which parameters lean directly on which.

    B = ⎡■        ⎤   (i, j) in the pattern: B_ij may be non-zero, parameter j is drawn given i
        ⎢  ■      ⎥   M_jj = −½ Σ w (z_j² − 1)
        ⎢■   ■    ⎥   M_ij = −Σ w z_i z_j  for (i, j) in the pattern
        ⎣■ ■   ■  ⎦   B ← B h(M)

The pattern is transitive and without cycles (`patterns.py`), in the user's own order. Kept are the
diagonal of B and its entries, one array each. Samples come from substitution, level by level:
y_j = (z_j − Σ_i B_ij y_i)/B_jj; products run over the chains i → l → j. Which number meets which
is worked out once (`gathers.py`), so every operation is some gathers, products and sums.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..arrays.libraries import namespace
from ..arrays.linalg import weighted_squares
from ..arrays.scalars import number
from ..arrays.tiles import by_rows, tiles
from ..naming.error_text import brief
from .base import Structure
from .fallbacks import zeros
from .patterns import GIVEN, read_pattern, read_tree


@dataclass(frozen=True, repr=False)
class Sparse(Structure):
    """Sparse Cholesky: a parameter depends on its ancestors, and on nothing else directly.

    Choose it when you can say what depends on what: members on their group and groups on the
    whole (a tree), or the parents of every parameter (a graph). The diagonal is always there.
    dof: entries + d. A generation costs O(λ · entries + chains), memory O(entries + chains), where
    a chain is a pair of entries (i, l), (l, j); a tree of depth t has up to d t entries and
    d t²/2 chains. (Lin et al. 2021: "sparse Cholesky"; Wermuth 1980 for what the zeros mean.)

    Parameters
    ----------
    dim : int
        Number of parameters, d.
    pattern : list of (row, column), or matrix
        Entries off the diagonal: pairs, a boolean (d, d) matrix or a scipy.sparse matrix. It must
        be transitive and have no cycle.
    tree : list of int
        Instead of a pattern the parent of every parameter, −1 for a root.
    given : {"ancestors", "descendants"}
        For a tree, what a parameter is drawn given. With "ancestors" column i of B holds i's
        ancestors: children share what moves their parent, and are independent when it is known.
        With "descendants" row i of B holds them: a total and its parts; parts in different
        branches are independent. The first can be learned much faster.
    close : bool
        Take the smallest transitive pattern around the one that is said; `added` says how many
        entries that took.

    Raises
    ------
    ValueError
        For a pattern that is not transitive, naming what is missing.
    """

    pattern: Any = None
    tree: Any = field(default=None, compare=False)
    given: str = field(default="ancestors", compare=False)
    close: bool = field(default=False, compare=False)

    def __post_init__(self):
        super().__post_init__()
        if (self.pattern is None) == (self.tree is None):
            raise ValueError(
                "Sparse: give either pattern (entries (row, column) of B) or tree (parents); got "
                + ("neither" if self.tree is None else "both")
            )
        if self.given not in GIVEN:
            raise ValueError(f"Sparse: given must be one of {GIVEN}; got {brief(self.given)}")
        if not isinstance(self.close, bool):
            raise TypeError(f"Sparse: close must be True or False; got {brief(self.close)}")
        if self.tree is None:
            pattern = read_pattern(self.dim, self.pattern, self.close)
        else:
            pattern = read_tree(self.dim, self.tree, self.given)
        object.__setattr__(self, "pattern", pattern)  # what all of them come to
        object.__setattr__(self, "tree", None)

    def __repr__(self):
        return f"Sparse(dim={self.dim}, pattern={self.pattern!r})"

    def arguments(self):
        return {"pattern": self.pattern.entries()}

    @classmethod
    def implied_dim(cls, tree=None, pattern=None, **arguments):
        if hasattr(tree, "__len__"):
            return len(tree)
        matrix = hasattr(pattern, "tocoo") or str(getattr(pattern, "dtype", "")) == "bool"
        return pattern.shape[0] if matrix else getattr(pattern, "dim", None)

    @property
    def added(self) -> int:
        """Entries that closing the pattern has added."""
        return self.pattern.added

    @property
    def dof(self):
        return self.dim + len(self.pattern)

    @property
    def row(self):
        return float(self.pattern.longest)

    @property
    def parts(self):
        """Two parameter groups: the entries off the diagonal, and those on it."""
        return (self.dof, self.dim)

    def identity(self, xp, dtype):
        return xp.ones(self.dim, dtype=dtype), xp.zeros(len(self.pattern), dtype=dtype)

    def blank(self):
        return zeros(self.dim), zeros(len(self.pattern))

    def unwhiten(self, factor, Z):
        return self._solve("columns", factor, Z)

    def whiten(self, factor, Y):
        return self._multiply("columns", factor, Y)

    def whiten_gradient(self, factor, G):
        return self._solve("rows", factor, G)

    def unwhiten_gradient(self, factor, G):
        return self._multiply("rows", factor, G)

    def _multiply(self, axis, T, X):
        """Return the rows Tᵀ x for "columns" (every column of T gathers its rows), T x for
        "rows"."""
        plan, diagonal, values = self._in_order(axis, T)

        def rows(X):
            W = namespace(X).take(X, plan.order, axis=1)
            out = W * diagonal
            for g in plan.groups:
                if g.count:
                    out[:, g.begin : g.end] += _sum(plan, g, values, W)
            return namespace(X).take(out, plan.place, axis=1)

        return by_rows(rows, X)

    def _solve(self, axis, T, X):
        """Return the inverse of `_multiply`: level by level."""
        plan, diagonal, values = self._in_order(axis, T)

        def rows(X):
            W = namespace(X).take(X, plan.order, axis=1)
            for g in plan.groups:
                if g.count:
                    W[:, g.begin : g.end] -= _sum(plan, g, values, W)
                W[:, g.begin : g.end] /= diagonal[g.begin : g.end]
            return namespace(X).take(W, plan.place, axis=1)

        return by_rows(rows, X)

    def _in_order(self, axis, T):
        """Return the plan, and diagonal and entries of T in its working order."""
        xp, (diagonal, values) = namespace(T[0]), T
        plan = self.pattern.on(xp, axis)
        if plan.terms is not None:
            values = xp.take(values, plan.terms)
        return plan, xp.take(diagonal, plan.order), values

    def logdet(self, factor):
        xp = namespace(factor[0])
        return float(xp.sum(xp.log(xp.abs(factor[0]))))

    def to_dense(self, factor):
        xp = namespace(factor[0])
        numbers = xp.concat([*factor, xp.zeros(1, dtype=factor[0].dtype)])
        index = self.pattern.on(xp, "dense")
        return xp.reshape(xp.take(numbers, xp.reshape(index, (-1,))), (self.dim, self.dim))

    def tangent(self, Z, w):
        xp = namespace(Z)
        plan = self.pattern.on(xp, "columns")
        values = xp.zeros(len(self.pattern), dtype=Z.dtype)
        for t in tiles(Z):
            W = xp.take(Z[t, :], plan.order, axis=1)
            V = w[t][:, None] * W
            for g in plan.groups:
                if g.count:
                    terms = _gather(plan, g, W) * V[:, None, g.begin : g.end]
                    values[g.first : g.last] -= xp.reshape(xp.sum(terms, axis=0), (-1,))
        return 0.5 * (xp.sum(w) - weighted_squares(Z, w)), values

    def retract(self, factor, M):
        T = self._product(factor, M)
        (b, B), (t, T), (u, U) = factor, T, self._product(T, M)
        return b + t + 0.5 * u, B + T + 0.5 * U

    def _product(self, S, T):
        """Return the matrix S T."""
        xp, (s, S), (t, T) = namespace(S[0]), S, T
        row, col = self.pattern.on(xp, "row"), self.pattern.on(xp, "col")
        out = xp.take(s, row) * T
        out += S * xp.take(t, col)
        plan = self.pattern.on(xp, "products")
        chains = xp.zeros_like(out)
        for g in plan.groups:
            if g.count:
                factors = xp.take(T, plan.sources[1][g.first : g.last])
                chains[g.begin : g.end] = _chains(plan, g, S, factors)
        out += xp.take(chains, plan.place)
        return s * t, out

    def transport(self, M, q):
        rows = q[None, :] if q.ndim == 1 else q
        t = self._multiply("columns", M, rows)
        rows = rows + t + 0.5 * self._multiply("columns", M, t)
        return rows[0, :] if q.ndim == 1 else rows

    def norm(self, M):
        return number(M[0] @ M[0] + M[1] @ M[1]) ** 0.5

    def scale(self, M, rates):
        coupling, diagonal = rates if isinstance(rates, tuple) else (rates, rates)
        return diagonal * M[0], coupling * M[1]

    def shift(self, M, value):
        return M[0] + value, M[1]

    def trace(self, M):
        return number(namespace(M[0]).sum(M[0]))

    def deviations(self, factor):
        xp = namespace(factor[0])
        diagonal, values = self._inverse(factor)
        ones = xp.ones((1, self.dim), dtype=diagonal.dtype)
        squares = self._multiply("columns", (diagonal * diagonal, values * values), ones)
        return xp.sqrt(squares[0, :])  # column sums of B⁻¹, entries squared

    def _inverse(self, factor):
        """Return B⁻¹, which has the pattern of B: C_ij = −(B_ij C_jj + Σ_l B_il C_lj)/B_ii."""
        xp, (b, B) = namespace(factor[0]), factor
        row, col = self.pattern.on(xp, "row"), self.pattern.on(xp, "col")
        plan = self.pattern.on(xp, "products")
        scale = xp.take(-1 / b, xp.take(row, plan.order))
        C = xp.take(B / xp.take(b, col), plan.order)
        for g in plan.groups:
            targets = slice(g.begin, g.end)
            if g.count:
                sources = xp.take(plan.place, plan.sources[1][g.first : g.last])
                C[targets] += _chains(plan, g, B, xp.take(C, sources))
            C[targets] *= scale[targets]
        return 1 / b, xp.take(C, plan.place)


def _gather(plan, g, W):
    """Return (n, count, targets) what a group's terms gather from the rows of W, in working
    order."""
    xp = namespace(W)
    terms = xp.take(W, plan.sources[0][g.first : g.last], axis=1)
    return xp.reshape(terms, (W.shape[0], g.count, g.end - g.begin))


def _sum(plan, g, values, W):
    """Return (n, targets) sums of a group: values times what they gather from W."""
    shape = (1, g.count, g.end - g.begin)
    terms = _gather(plan, g, W)
    terms *= namespace(W).reshape(values[g.first : g.last], shape)
    return namespace(W).sum(terms, axis=1)


def _chains(plan, g, S, factors):
    """Return (targets,) sums of a group of products: entries of S times `right`, gathered
    already."""
    xp = namespace(S)
    terms = xp.take(S, plan.sources[0][g.first : g.last]) * factors
    return xp.sum(xp.reshape(terms, (g.count, g.end - g.begin)), axis=0)
