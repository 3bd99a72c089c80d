"""What the structures are, in full d×d matrices, written from the papers and not from the code.

A structure says which matrices M its tangent space V holds. All else follows from that:

    natural gradient   the M in V with ⟨M + Mᵀ, D⟩ = −⟨G, D⟩ for every D in V (Lin et al. 2021,
                       section 3: sym M = −½ Proj G). Where V is all matrices with support in a
                       pattern that is M_ij = −G_ij, halved where (j, i) is in the pattern, too.
    step               B ← B h(M), h(M) = I + M + M²/2, unless the structure says otherwise
    dof                the dimension of V
    row                how many numbers the longest row of B⁻ᵀ has; one in k rows counts 1/k
    groups             what of M learns at a rate of its own, and from how many numbers it follows

`low_rank` is no group, and stands apart.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import expm

from structes.structures import STRUCTURES, build_structure


def h(M):
    return np.eye(len(M)) + M + M @ M / 2


class Part(NamedTuple):
    """Some entries of M, the numbers that their rate follows from, and whether the path of the
    mean tells anything about them."""

    entries: Any  # (d, d) of bool
    dof: int
    on_path: bool = True


class Matrices:
    """A matrix group, by the basis of its tangent space."""

    is_group, moves_straight = True, False  # straight: the covariances hold straight lines

    def __init__(self, basis, row):
        self.basis, self.row = np.array(basis), row
        self.dim, self.dof = self.basis.shape[1], len(self.basis)
        self.length = self.dim  # of a row z
        self.parts = [Part(np.ones((self.dim, self.dim), dtype=bool), self.dof)]
        self._rows = self.basis.reshape(self.dof, -1)
        symmetric = self.basis + self.basis.transpose(0, 2, 1)
        metric = symmetric.reshape(self.dof, -1) @ self._rows.T
        self._inverse_metric = np.linalg.pinv(metric, rcond=1e-12, hermitian=True)

    def gradient(self, G):
        """The natural gradient of the symmetric G."""
        numbers = self._inverse_metric @ -(self._rows @ G.ravel())
        return (numbers @ self._rows).reshape(G.shape)

    def multiplied(self, M, rates):
        """M with each part multiplied by its rate."""
        return sum(rate * part.entries * M for rate, part in zip(rates, self.parts, strict=True))

    def step(self, M, gradient=None, rates=None):
        """What B is multiplied with. The natural gradient before its parts were multiplied by
        their rates, and those, are for `Dense` alone."""
        return h(M)


class Pattern(Matrices):
    """Every matrix with support in a pattern (d, d), of which the entries `stiff` are told nothing
    by the path; the entries on the diagonal learn at a rate of their own."""

    def __init__(self, allowed, stiff=()):
        d = self.dim = self.length = len(allowed)
        self.allowed = allowed
        self.factor = np.where(allowed & allowed.T, 0.5, 1.0) * allowed
        self.dof = int(np.triu(allowed | allowed.T).sum())
        self.row = float(allowed.sum(axis=0).max())
        own, is_stiff = np.eye(d, dtype=bool), np.zeros((d, d), dtype=bool)
        for rows, columns in stiff:
            is_stiff[np.ix_(rows, columns)] = True
        self.parts = [
            Part(allowed & ~own & ~is_stiff, self.dof),
            Part(is_stiff, self.dof, on_path=False),
            Part(own, d),
        ]

    @property
    def basis(self):
        d = self.dim
        matrices = []
        for i, j in np.argwhere(np.triu(self.allowed | self.allowed.T)):
            M = np.zeros((d, d))
            M[i, j], M[j, i] = self.allowed[i, j], self.allowed[j, i]
            matrices.append(M)
        return np.array(matrices)

    def gradient(self, G):
        return -self.factor * G


class Dense(Pattern):
    """All matrices, V symmetric. With rates of its own for the diagonal, s beside c, the step is
    taken in two: B ← B h(L) h(D), D = (s − c) times the diagonal of the natural gradient, L the
    rest of M."""

    moves_straight = True

    def __init__(self, d, retraction="h"):
        super().__init__(np.ones((d, d), dtype=bool))
        self.retraction = retraction
        del self.parts[1]

    def step(self, M, gradient=None, rates=None):
        if self.retraction == "exp":
            return expm(M)
        if rates is None:
            return h(M)
        D = (rates[1] - rates[0]) * np.diag(np.diag(gradient))
        return h(M - D) @ h(D)


class Kronecker(Matrices):
    """M₁ ⊗ I + I ⊗ M₂; the step is h(M₁) ⊗ h(M₂), the scale shared by halves."""

    def __init__(self, left, right):
        n, m = left.dim, right.dim
        both = [np.kron(M, np.eye(m)) for M in left.basis]
        both += [np.kron(np.eye(n), M) for M in right.basis]
        super().__init__(both, left.row / m + right.row / n)
        self.dof -= 1  # the identity is in both
        self.parts = [self.parts[0]._replace(dof=self.dof)]
        self.left, self.right = left, right

    def step(self, M, gradient=None, rates=None):
        n, m = self.left.dim, self.right.dim
        blocks, half = M.reshape(n, m, n, m), np.trace(M) / (2 * n * m)
        left = np.einsum("iaja->ij", blocks) / m - half * np.eye(n)
        right = np.einsum("iaib->ab", blocks) / n - half * np.eye(m)
        return np.kron(self.left.step(left), self.right.step(right))


class DirectSum(Matrices):
    """Block diagonal, each block with coordinates and a structure of its own."""

    def __init__(self, blocks, d):
        self.blocks, self.dim, self.length = blocks, d, d
        self.dof = sum(structure.dof for structure, _ in blocks)
        self.row = max(structure.row for structure, _ in blocks)
        self.parts = [
            part._replace(entries=self._embedded([(part.entries, at)]) > 0)
            for structure, at in blocks
            for part in structure.parts
        ]

    def _embedded(self, matrices):
        whole = np.zeros((self.dim, self.dim))
        for matrix, at in matrices:
            whole[np.ix_(at, at)] = matrix
        return whole

    @property
    def basis(self):
        return [self._embedded([(M, at)]) for block, at in self.blocks for M in block.basis]

    def gradient(self, G):
        return self._embedded([(s.gradient(G[np.ix_(at, at)]), at) for s, at in self.blocks])

    def step(self, M, gradient=None, rates=None):
        steps, start = [], 0
        for structure, at in self.blocks:
            own, stop = np.ix_(at, at), start + len(structure.parts)
            rest = () if rates is None else (gradient[own], rates[start:stop])
            steps.append((structure.step(M[own], *rest), at))
            start = stop
        return self._embedded(steps)


# -- by name --------------------------------------------------------------------------------------


def reference_structure(spec, dim):
    """The structure that a specification names."""
    spec = {"name": spec} if isinstance(spec, str) else dict(spec)
    build = _KINDS[spec.pop("name")]
    if "k" in spec:  # two blocks
        spec["k1"] = spec.pop("k")
    return build(dim, **spec)


def _triangle(which):
    return lambda d: _without_stiff(Pattern(which(np.ones((d, d), dtype=bool))))


def _without_stiff(pattern):
    del pattern.parts[1]
    return pattern


def _diagonal(d):
    pattern = Pattern(np.eye(d, dtype=bool))
    pattern.parts, pattern.moves_straight = pattern.parts[2:], True
    return pattern


def _scalar(d):
    multiples = Matrices([np.eye(d)], 1 / d)
    multiples.moves_straight = True
    return multiples


def _toeplitz(sign):
    def build(d):
        basis = [np.diag(np.ones(d - j), sign * j) for j in range(d)]
        return Matrices(basis, sum(1 / (d - j) for j in range(d)))

    return build


def _circulant(d):
    distance = np.abs(np.arange(d)[:, None] - np.arange(d))
    distance = np.minimum(distance, d - distance)
    basis = [1.0 * (distance == k) for k in range(d // 2 + 1)]
    return Matrices(basis, len(basis) / d)


def _block_diagonal(d, sizes):
    sizes = [sizes] * (d // sizes) if isinstance(sizes, int) else sizes
    number = np.repeat(np.arange(len(sizes)), sizes)
    pattern = _without_stiff(Pattern(number[:, None] == number))
    pattern.moves_straight = True
    return pattern


def _blocks(*edges):
    """Blocks a and e, dense, and m, diagonal, with full blocks at (row, column)."""

    def build(d, k1, k2=0, lead=None, tail=None):
        lead = list(range(k1)) if lead is None else list(lead)
        tail = list(range(d - k2, d)) if tail is None else list(tail)
        block = {"a": lead, "m": [i for i in range(d) if i not in lead + tail], "e": tail}
        allowed = np.eye(d, dtype=bool)
        for row, column in [*edges, "aa", "ee"]:
            allowed[np.ix_(block[row], block[column])] = True
        # sums of many parameters that a few columns make stiff
        stiff = [(block[row], block[column]) for row, column in edges if row == "m"]
        pattern = Pattern(allowed, stiff)
        return pattern if stiff else _without_stiff(pattern)

    return build


def _sparse(d, pattern=None, tree=None, given="ancestors", close=False):
    allowed = np.eye(d, dtype=bool)
    if tree is None:
        for i, j in pattern:
            allowed[i, j] = True
    else:
        for i, parent in enumerate(tree):
            while parent >= 0:
                allowed[parent, i] = True
                parent = tree[parent]
        allowed = allowed if given == "ancestors" else allowed.T
    while close and (allowed @ allowed != allowed).any():
        allowed = allowed @ allowed
    return _without_stiff(Pattern(allowed))


def _kronecker(d, rows, cols, left="dense", right="dense"):
    return Kronecker(reference_structure(left, rows), reference_structure(right, cols))


def _direct_sum(d, blocks):
    """The places of the blocks are those of the product: they are no part of the algorithm."""
    placed = build_structure({"name": "direct_sum", "blocks": blocks}, d).blocks
    parts = []
    for block in placed:
        given = blocks[block.name]
        given = {"name": given} if isinstance(given, str) else given
        spec = {key: value for key, value in given.items() if key not in ("at", "dim")}
        parts.append((reference_structure(spec, block.structure.dim), list(block.at)))
    return DirectSum(parts, d)


class LowRank:
    """C = s ∘ (D + VᵀV) ∘ s, D = (I + WᵀW)⁻¹, seen as the covariance of y = T z, where z = (a, u,
    b) is a standard normal vector of a larger space.

    Back from y comes the mean of z given y, and P = E z zᵀ of that. V and W begin as the product
    has them: small and random.
    """

    is_group, moves_straight, row = False, False, 0.0

    def __init__(self, d, long=5, short=5):
        self.dim, self.long, self.short = d, long, short
        self.length = long + d + short
        start = STRUCTURES["low_rank"](d, long, short).identity(np, np.float64)
        self.s, self.V, self.W = start
        self.a, self.u = slice(0, long), slice(long, long + d)
        self.b = slice(long + d, None)
        axes = sum(k * d - k * (k - 1) // 2 for k in (min(long, d), min(short, d)))
        self.dof = min(d + axes, d * (d + 1) // 2)
        axes = [*range(long), *range(short)]
        # which entries they have stands in `multiplied`
        self.parts = [Part(None, (j + 2) * d, n < long) for n, j in enumerate(axes)]
        self.parts.append(Part(None, d))

        self._refresh()

    def _refresh(self):
        """D, T (d, long + d + short), C and P, as V, W and s are now."""
        self.D = np.linalg.inv(np.eye(self.dim) + self.W.T @ self.W)
        self.T = self.s[:, None] * np.hstack([self.V.T, self.D, self.D @ self.W.T])
        self.C = self.T @ self.T.T
        self.back = np.linalg.solve(self.C, self.T)
        self.P = self.T.T @ self.back

    def covariance(self):
        return self.C

    def whiten(self, Y):
        return Y @ self.back

    def unwhiten(self, Z):
        return Z @ self.T.T

    def tangent(self, Z, w):
        """−C⊙Σ w (z zᵀ − P) on the blocks aa, au, uu (its diagonal), bu, bb, which makes it the
        matrix of `block_upper` (a before u) and of `block_lower` (b before u)."""
        G = (Z.T * w) @ Z - np.sum(w) * self.P
        return -self._blocks() * G

    def _blocks(self):
        C = np.zeros((self.length, self.length))
        C[self.a, self.a] = C[self.b, self.b] = 0.5
        C[self.u, self.u] = 0.5 * np.eye(self.dim)
        C[self.a, self.u] = C[self.b, self.u] = 1.0
        return C

    def multiplied(self, M, rates):
        """Each axis at its rate, two of them at the lower one of theirs, scales at the last."""
        rate = np.array([*rates[: self.long], *(rates[-1],) * self.dim, *rates[self.long : -1]])
        matrix = np.tile(rate[:, None], self.length)
        for axes in (self.a, self.b):
            matrix[axes, axes] = np.minimum(rate[axes, None], rate[axes])
        return matrix * M

    def _velocity(self, M):
        """How s, V and W change with M, in first order."""
        aa, au, uu, bu, bb = self._of(M)
        V = self.V * uu - aa @ self.V - au
        W = bb @ self.W + bu - self.W * uu
        return -self.s * uu, V, W

    def _of(self, M):
        a, u, b = self.a, self.u, self.b
        return M[a, a], M[a, u], np.diag(M[u, u]), M[b, u], M[b, b]

    def trace(self, M):
        """The change of ln |det B| = −½ ln det C."""
        ds, dV, dW = self._velocity(M)
        D = self.D
        own = D + self.V.T @ self.V
        change = -D @ (dW.T @ self.W + self.W.T @ dW) @ D + dV.T @ self.V + self.V.T @ dV
        relative = np.linalg.solve(own, change)
        return -0.5 * np.trace(relative) - np.sum(ds / self.s)

    def move(self, M, q):
        """Retract, and return the same vector y in the new coordinates: V ← h(M_aa)⁻¹ (V h(M_uu) −
        h_au), s ← s / h(M_uu), W ← (h(M_bb) W + h_bu) / h(M_uu), each coordinate with a tenth of
        its own variance at least."""
        H, y = h(M), self.unwhiten(q[None, :])
        aa, au, uu, bu, bb = self._of(H)
        V = np.linalg.solve(aa, self.V * uu - au)
        W = (bb @ self.W + bu) / uu
        self.s = self.s / uu
        self.is_bounded = []
        for name, axes, power in (("V", V, 1), ("W", W, -1)):
            lengths = np.sum(axes**2, axis=1, keepdims=True)
            axes = axes * np.sqrt(1e12 / np.maximum(lengths, 1e12))
            share = np.diag(np.linalg.inv(np.eye(self.dim) + axes.T @ axes))
            growth = np.sqrt(0.1 / np.minimum(share, 0.1))
            setattr(self, name, axes / growth)
            self.s = self.s * growth**power
            self.is_bounded.append((growth > 1).any())
        self._refresh()
        return self.whiten(y)[0]


_KINDS = {
    "dense": Dense,
    "diagonal": _diagonal,
    "scalar": _scalar,
    "lower": _triangle(np.tril),
    "upper": _triangle(np.triu),
    "block_diagonal": _block_diagonal,
    "block_upper": _blocks("am"),
    "block_lower": _blocks("ma"),
    "hierarchical_lower": _blocks("ma", "ea", "em"),
    "hierarchical_upper": _blocks("am", "ae", "me"),
    "hierarchical_upper_lower": _blocks("am", "ae", "em"),
    "hierarchical_lower_upper": _blocks("ma", "ea", "me"),
    "kronecker": _kronecker,
    "direct_sum": _direct_sum,
    "toeplitz_lower": _toeplitz(-1),
    "toeplitz_upper": _toeplitz(1),
    "circulant": _circulant,
    "sparse": _sparse,
    "low_rank": LowRank,
}
