"""Patterns of a sparse factor: which of them are groups, and what is wrong with the others.

The invertible matrices whose non-zeros lie in a pattern form a group when the pattern is
*transitive*: with (i, l) and (l, j) it holds (i, j). A product then never leaves the pattern, nor
does an inverse. Most patterns that come to mind are not transitive (a band is not); the smallest
transitive superset, the *closure*, is what products of such matrices fill in. An entry and its
mirror image make a dense block, which is a matter for the block structures.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from .gathers import Plan, arrange, levels, ranges

MOST = 2**30  # entries, or chains i → l → j: more of them do not fit in memory
FEW = 2**20  # chains: so many are looked at at a time
NAMED = 10_000  # entries that miss, where a pattern has more chains than that
GIVEN = ("ancestors", "descendants")


class Pattern:
    """A transitive pattern of off-diagonal entries; immutable, equal when the entries are.

    row, col  (entries,) of the entries, in the working order of `columns`
    added     how many of them were added to close what the user gave
    longest   largest number of entries in a column, the diagonal counted
    """

    def __init__(self, dim: int, keys, added: int = 0):
        """keys (entries,): row · dim + column, increasing."""
        self.dim, self.added, self._keys = dim, added, keys
        self._hash = hash((dim, keys.tobytes()))
        row, col = np.divmod(keys, dim)
        level = levels(col, row, dim)
        if (level < 0).any():
            raise ValueError(_cycle(dim, keys, level))
        self._chains = _find_chains(dim, keys, MOST, FEW)
        if self._chains is None:
            raise ValueError(
                f"Sparse: the pattern of {len(keys)} entries has more than {MOST} chains (i, l), "
                "(l, j), and an update costs as many products; use `lower` or a block structure"
            )
        if len(self._chains.missing):
            raise ValueError(_not_transitive(dim, keys, self._chains.missing))
        if self._chains.first is None:  # they are found again when an update wants them
            self._chains = None
        plan = arrange(col, dim, level)
        self._sorted = plan.terms
        self.row, self.col = row[plan.terms], col[plan.terms]
        self.longest = int(np.bincount(col, minlength=dim).max()) + 1
        self.columns = plan._replace(terms=None, sources=(plan.place[self.row],))
        self._copies = {}

    def entries(self) -> np.ndarray:
        """Return (entries, 2) integers: row and column of each."""
        return np.stack(np.divmod(self._keys, self.dim), axis=1)

    def __len__(self):
        return len(self.row)

    def __eq__(self, other):
        is_same = (
            isinstance(other, Pattern) and self._hash == other._hash and self.dim == other.dim
        )
        return is_same and np.array_equal(self._keys, other._keys)

    def __hash__(self):
        return self._hash

    def __reduce__(self):
        return Pattern, (self.dim, self._keys, self.added)

    def __repr__(self):
        added = f", {self.added} of them added to close it" if self.added else ""
        return f"<{len(self)} entries{added}>"

    @cached_property
    def rows(self) -> Plan:
        """Every row gathers its columns, by levels of substitution (`columns`: vice versa)."""
        plan = arrange(self.row, self.dim, levels(self.row, self.col, self.dim))
        return plan._replace(sources=(plan.place[self.col[plan.terms]],))

    @cached_property
    def products(self) -> Plan:
        """Every entry (i, j) gathers its chains: the entries (i, l) and (l, j). Levels: of i."""
        level = levels(self.row, self.col, self.dim)[self.row]
        chains = self._chains or _find_chains(self.dim, self._keys, MOST)
        self._chains = None
        places = np.empty(len(self), dtype=np.int64)  # place of the k-th entry of the sorted ones
        places[self._sorted] = np.arange(len(self))
        plan = arrange(places[chains.out], len(self), level)
        pair = places[chains.first[plan.terms]], places[chains.second[plan.terms]]
        return plan._replace(terms=None, sources=pair)

    @property
    def dense(self):
        """(d, d) where an entry of the matrix stands in (diagonal, entries, zero) put together."""
        index = np.full((self.dim, self.dim), self.dim + len(self))
        index[np.arange(self.dim), np.arange(self.dim)] = np.arange(self.dim)
        index[self.row, self.col] = self.dim + np.arange(len(self))
        return index

    def on(self, xp, attribute: str):
        """Return an attribute of this pattern (a plan or indices) with arrays of the
        library xp."""
        if xp is np:
            return getattr(self, attribute)
        key = attribute, xp.__name__
        if key not in self._copies:
            value = getattr(self, attribute)
            self._copies[key] = value.on(xp) if isinstance(value, Plan) else xp.asarray(value)
        return self._copies[key]


# -- what a user gives ----------------------------------------------------------------------------


def read_pattern(dim: int, pattern, close: bool) -> Pattern:
    """Return the pattern of a scipy.sparse or boolean matrix, of a list of (row, column), or of a
    Pattern."""
    if isinstance(pattern, Pattern):
        if pattern.dim != dim:
            raise ValueError(f"Sparse: pattern is for dim {pattern.dim}; got dim {dim}")
        return pattern
    row, col = _entries(dim, pattern)
    keys = np.unique(row * dim + col)
    keys = keys[keys // dim != keys % dim]
    if not close:
        return Pattern(dim, keys)
    level = levels(keys % dim, keys // dim, dim)
    if (level < 0).any():
        raise ValueError(_cycle(dim, keys, level))
    closed = _closure(dim, keys, MOST)
    if closed is None:
        raise ValueError(
            f"Sparse: the closure of the pattern of {len(keys)} entries has more than {MOST} "
            "entries or chains (i, l), (l, j); a dense triangle is what `lower` is for"
        )
    return Pattern(dim, closed, len(closed) - len(keys))


def read_tree(dim: int, tree, relation: str) -> Pattern:
    """Return the pattern of a tree or forest: parent of every coordinate, −1 for a root."""
    try:
        parent = np.asarray(tree)
    except ValueError:
        parent = np.empty(0)
    if parent.ndim != 1 or not (np.issubdtype(parent.dtype, np.integer) or parent.size == 0):
        raise TypeError(
            "Sparse: tree must be a list of integers, the parent of each coordinate or -1; "
            f"got {_short(tree)}"
        )
    if len(parent) != dim:
        raise ValueError(f"Sparse: tree must have {dim} parents, one each; got {len(parent)}")
    parent = parent.astype(np.int64)
    bad = np.flatnonzero((parent < -1) | (parent >= dim))
    if len(bad):
        raise ValueError(
            f"Sparse: tree must name parents from 0 to {dim - 1}, or -1 for a root; "
            f"tree[{bad[0]}] is {parent[bad[0]]}"
        )
    depth, ancestor = (parent >= 0).astype(np.int64), parent
    for _ in range(dim.bit_length()):  # each time twice as far up
        depth = depth + np.where(ancestor >= 0, depth[ancestor], 0)
        ancestor = np.where(ancestor >= 0, ancestor[ancestor], -1)
    if (ancestor >= 0).any():
        path = _walk(int(ancestor[ancestor >= 0][0]), lambda i: int(parent[i]))
        raise ValueError(f"Sparse: tree has a cycle: the parents go {_arrows(path)}")
    if depth.sum() > MOST:
        raise ValueError(
            f"Sparse: every parameter has all its ancestors, together {depth.sum()} entries, and "
            f"at most {MOST} are possible; this tree is {depth.max()} deep"
        )
    child, ancestor, pairs = np.arange(dim), parent, []
    while len(child):
        child, ancestor = child[ancestor >= 0], ancestor[ancestor >= 0]
        pairs.append((child, ancestor))
        ancestor = parent[ancestor]
    child, ancestor = (np.concatenate(part) for part in zip(*pairs, strict=True))
    row, col = (ancestor, child) if relation == "ancestors" else (child, ancestor)
    return Pattern(dim, np.sort(row * dim + col))


def _entries(dim, pattern):
    """Return (row, col) of the entries that the user gave, checked."""
    if hasattr(pattern, "tocoo"):
        matrix = pattern.tocoo()
        _check_square(dim, matrix.shape)
        nonzero = matrix.data != 0
        return matrix.row[nonzero].astype(np.int64), matrix.col[nonzero].astype(np.int64)
    try:
        table = np.asarray(pattern)
    except ValueError:
        table = np.empty(0, dtype=object)
    if table.dtype == bool and table.ndim == 2:
        _check_square(dim, table.shape)
        return np.nonzero(table)
    if table.size == 0 and table.dtype != object:
        table = np.empty((0, 2), dtype=np.int64)
    if table.ndim != 2 or table.shape[1] != 2 or not np.issubdtype(table.dtype, np.integer):
        raise TypeError(
            "Sparse: pattern must be a scipy.sparse matrix, a boolean matrix or a list of integer "
            f"pairs (row, column); got {_short(pattern)}"
        )
    table = table.astype(np.int64)
    bad = np.flatnonzero(((table < 0) | (table >= dim)).any(axis=1))
    if len(bad):
        raise ValueError(
            f"Sparse: pattern must have rows and columns from 0 to {dim - 1}; {len(bad)} entries "
            f"have not, the first ({table[bad[0], 0]}, {table[bad[0], 1]})"
        )
    return table[:, 0], table[:, 1]


def _check_square(dim, shape):
    if tuple(shape) != (dim, dim):
        raise ValueError(f"Sparse: pattern must be square, {dim} × {dim}; got {_times(shape)}")


def _times(shape):
    return " × ".join(map(str, shape))


def _short(value):
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


# -- transitivity ---------------------------------------------------------------------------------


class Chains(NamedTuple):
    """All i → l → j: numbers of the entries (i, l), (l, j), (i, j), None where they are not kept;
    keys of (i, j) that miss."""

    first: Any
    second: Any
    out: Any
    missing: Any


def _find_chains(dim, keys, limit, storable=MOST):
    """Return the chains of the sorted entries `keys`; None where there are more than `limit`.
    Where there are more than `storable`, the search ends at the first that miss, and keeps no
    chain."""
    row, col = np.divmod(keys, dim)
    start = np.searchsorted(row, np.arange(dim + 1))
    ends = np.cumsum(start[col + 1] - start[col])
    total = int(ends[-1]) if len(ends) else 0
    if total > limit:
        return None
    first = second = out = None
    if total <= storable:
        first, second, out = (np.empty(total, dtype=np.int64) for _ in range(3))
    missing = np.empty(0, dtype=np.int64)
    cuts = np.searchsorted(ends, np.arange(0, total, FEW)).tolist() or [0]
    for a, b in zip(cuts, [*cuts[1:], len(keys)], strict=True):
        s, e = (int(ends[a - 1]) if a else 0), (int(ends[b - 1]) if b else 0)
        left = np.repeat(np.arange(a, b), start[col[a:b] + 1] - start[col[a:b]])
        right = ranges(start[col[a:b]], start[col[a:b] + 1])
        target = row[left] * dim + col[right]
        position = np.minimum(np.searchsorted(keys, target), len(keys) - 1)
        absent = target[keys[position] != target]
        if first is not None:
            first[s:e], second[s:e], out[s:e] = left, right, position
        elif len(absent):
            return Chains(None, None, None, np.unique(absent[:NAMED]))
        if len(absent):
            missing = np.union1d(missing, absent)
    return Chains(first, second, out, missing)


def _closure(dim, keys, limit):
    """Return the keys of the closure; None where it has more than `limit` chains."""
    while True:
        chains = _find_chains(dim, keys, limit)
        if chains is None:
            return None
        if not len(chains.missing):
            return keys
        keys = np.union1d(keys, chains.missing)


def _not_transitive(dim, keys, missing):
    row, col = np.divmod(keys, dim)
    reasons = []
    for key in missing[:3].tolist():
        i, j = divmod(key, dim)
        via = int(np.intersect1d(col[row == i], row[col == j])[0])
        reasons.append(f"({i}, {j}) because of ({i}, {via}) and ({via}, {j})")
    closed = _closure(dim, keys, FEW)
    additions = f"at least {len(missing)}" if closed is None else str(len(closed) - len(keys))
    return (
        f"Sparse: the pattern of {len(keys)} entries is not transitive, so products leave it; "
        f"{'at least ' * (closed is None)}{len(missing)} entries are missing: {'; '.join(reasons)}"
        + ("; …" if len(missing) > 3 else "")
        + f". close=True takes the smallest transitive pattern around it, {additions} entries more"
    )


def _cycle(dim, keys, level):
    """Return what to say of a pattern that has a cycle; level −1 marks what is on or behind
    one."""
    mirror = np.sort(keys % dim * dim + keys // dim)
    mutual = np.intersect1d(keys, mirror)
    advice = "makes an invertible block: use a block structure (block_diagonal, block_upper, …)"
    if len(mutual):
        i, j = divmod(int(mutual[0]), dim)
        return (
            f"Sparse: the pattern has ({i}, {j}) and ({j}, {i}), {len(mutual) // 2} such pairs in "
            f"all; an entry with its mirror image {advice}, or give one of each pair"
        )
    row, col = np.divmod(keys, dim)
    on_cycle = (level[row] < 0) & (level[col] < 0)
    parents = dict(zip(col[on_cycle].tolist(), row[on_cycle].tolist(), strict=True))
    path = _walk(next(iter(parents)), parents.__getitem__)
    return f"Sparse: the pattern has the cycle {_arrows(path[::-1])}; its closure {advice}"


def _walk(i, step):
    """Return the cycle that steps from i run into."""
    path = {}
    while i not in path:
        path[i] = None
        i = step(i)
    path = list(path)
    return [*path[path.index(i) :], i]


def _arrows(path):
    steps = path if len(path) <= 8 else [*path[:6], "…", path[-1]]
    return " → ".join(map(str, steps))
