"""low_rank: what it does to its s, V, W, against the covariance matrix written out.

Its local coordinates are longer than d, so the laws of `test_laws.py`, which are those of square
B, do not fit as they stand; here are the ones that it obeys instead.
"""

import numpy as np
import pytest

from structes.strategy.samples import with_path
from structes.structures.block_triangular import BlockLower, BlockUpper
from structes.structures.building import build_structure
from structes.structures.diagonal import Diagonal
from structes.structures.low_rank import OWN, LowRank

SIZES = [  # dim, long, short
    (1, 0, 0),
    (1, 1, 1),
    (4, 0, 0),
    (5, 2, 0),
    (5, 0, 2),
    (7, 3, 2),
    (3, 5, 4),
    (13, 1, 2),
]


class Case:
    """A structure, a random factor, samples and weights of both signs."""

    def __init__(self, d, long, short, backend):
        self.backend, self.random = backend, np.random.default_rng(100 * d + 10 * long + short)
        self.structure = LowRank(d, long, short)
        s = np.exp(self.random.normal(size=d))
        V, W = (self.axes(k, d) for k in (long, short))
        self.factor = self.freeze((s, V, W))

    def axes(self, k, d):
        """Random axes that leave every coordinate well more than OWN of itself."""
        V = self.random.normal(size=(k, d)) / d**0.5
        while np.diag(np.linalg.inv(np.eye(d) + V.T @ V)).min() < 4 * OWN:
            V = 0.9 * V
        return V

    def freeze(self, arrays):
        return self.backend.freeze(tuple(self.backend.array(a) for a in arrays))

    def normals(self, *shape):
        return self.backend.array(self.random.normal(size=shape))

    def samples(self, n=4):
        """Rows y in local coordinates, and their weights."""
        Z = self.structure.whiten(self.factor, self.normals(n, self.structure.dim))
        (Z,) = self.backend.freeze((Z,))
        return Z, self.backend.array(self.random.normal(size=n) * 0.2 + 0.1)

    def tangent(self, size=0.3):
        M = self.structure.tangent_at(self.factor, *self.samples())
        return self.structure.scale(M, size / max(self.structure.norm(M), size))

    def numpy(self, x):
        return self.backend.numpy(x)

    def C(self, factor=None):
        return covariance([self.numpy(a) for a in factor or self.factor])

    def M(self, tangent):
        return self.numpy(self.structure.tangent_to_dense(tangent))


def covariance(factor):
    s, V, W = factor
    D = np.linalg.inv(np.eye(len(s)) + W.T @ W)
    return s[:, None] * (D + V.T @ V) * s


def close(got, wanted, tol=1e-10):
    np.testing.assert_allclose(got, wanted, rtol=tol, atol=tol)


@pytest.fixture(params=SIZES, ids=lambda c: "-".join(map(str, c)))
def case(request, backend):
    return Case(*request.param, backend)


def eye(case, n):
    return case.backend.array(np.eye(n))


# -- the group ------------------------------------------------------------------------------------


def test_samples_have_the_covariance(case):
    A = case.numpy(case.structure.unwhiten(case.factor, eye(case, case.structure.noise_dim))).T
    close(A @ A.T, case.C())


def test_local_coordinates_are_the_shortest_ones(case):
    s, d = case.structure, case.structure.dim
    P = case.numpy(s.whiten(case.factor, s.unwhiten(case.factor, eye(case, s.noise_dim))))
    close(P, P.T)
    close(P @ P, P)
    assert np.trace(P) == pytest.approx(d)
    Y = case.normals(5, d)
    Z, y = s.whiten(case.factor, Y), case.numpy(Y)
    close(case.numpy(s.unwhiten(case.factor, Z)), y)
    mahalanobis = np.sum(y * np.linalg.solve(case.C(), y.T).T, axis=1)
    close(np.sum(case.numpy(Z) ** 2, axis=1), mahalanobis)


def test_gradients_go_through_the_same_rectangular_matrix(case):
    s, d = case.structure, case.structure.dim
    A = case.numpy(s.unwhiten(case.factor, eye(case, s.noise_dim))).T
    B = case.numpy(s.whiten(case.factor, eye(case, d)))
    close(case.numpy(s.whiten_gradient(case.factor, eye(case, d))), A)
    close(case.numpy(s.unwhiten_gradient(case.factor, eye(case, s.noise_dim))), B.T)
    G = case.normals(3, d)
    back = s.unwhiten_gradient(case.factor, s.whiten_gradient(case.factor, G))
    close(case.numpy(back), case.numpy(G))


def test_dense_logdet_deviations_condition(case):
    B, C = case.numpy(case.structure.to_dense(case.factor)), case.C()
    close(B @ B.T @ C, np.eye(len(C)))
    assert case.structure.logdet(case.factor) == pytest.approx(np.linalg.slogdet(B)[1], abs=1e-10)
    close(case.numpy(case.structure.deviations(case.factor)), np.sqrt(np.diag(C)))
    condition = np.linalg.cond(C)
    assert 0.7 * condition <= case.structure.condition(case.factor) <= condition * (1 + 1e-8)


def test_the_start_is_nearly_the_identity_and_always_the_same(backend):
    s = LowRank(200, 5, 5)
    first, second = (s.identity(backend.xp, backend.xp.float64) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(backend.numpy(a), backend.numpy(b))
    values = np.linalg.eigvalsh(covariance([backend.numpy(a) for a in first]))
    assert 0.6 < values[0] < 1 < values[-1] < 1.6
    assert np.sum(np.abs(values - 1) > 1e-9) == 10


# -- the tangent ----------------------------------------------------------------------------------


def test_no_step_where_the_samples_have_the_covariance(case):
    # E[z zᵀ] = P: rows of A have Σ y yᵀ = C
    s, N = case.structure, case.structure.noise_dim
    Z = s.whiten(case.factor, s.unwhiten(case.factor, eye(case, N)))
    M = s.tangent_at(case.factor, Z, case.backend.array(np.full(N, 1.0)))
    # each block saw Σ z zᵀ = P but Σ w = N, so M = ½ (N − 1) P on its blocks
    wanted = s.scale(M._replace(M=M.P), N - 1.0)
    for got, whole, c in zip(M.M, wanted.M, (0.5, 1, 0.5, 1, 0.5), strict=True):
        close(case.numpy(got), c * case.numpy(whole))


def test_step_ascends_the_weighted_log_likelihood(case):
    # by central differences; the slope is the square of M in the metric of the larger space
    s = case.structure
    Z, w = case.samples()
    M = s.tangent_at(case.factor, Z, w)
    y, weights = case.numpy(s.unwhiten(case.factor, Z)), case.numpy(w)

    def likelihood(eps):
        C = case.C(s.retract(case.factor, s.scale(M, eps)))
        lengths = np.sum(y * np.linalg.solve(C, y.T).T, axis=1)
        return -0.5 * weights @ (lengths + np.linalg.slogdet(C)[1])

    slope = (likelihood(1e-5) - likelihood(-1e-5)) / 2e-5
    aa, au, uu, bu, bb = (case.numpy(m) for m in M.M)
    W = case.numpy(case.factor[2])
    squares = [np.sum(m * m) for m in (aa, au, uu, bu, bb)]
    squares[1] += np.sum((au @ W.T) ** 2)  # δV counts in the precision I + WᵀW of u
    wanted = np.dot((2, 1, 2, 1, 2), squares)
    assert slope == pytest.approx(wanted, rel=1e-5, abs=1e-9)


def test_trace_is_the_change_of_the_log_determinant(case):
    s, M, eps = case.structure, case.tangent(), 1e-5
    after, before = (s.logdet(s.retract(case.factor, s.scale(M, e))) for e in (eps, -eps))
    assert float(s.trace(M)) == pytest.approx((after - before) / (2 * eps), rel=1e-5, abs=1e-9)
    assert float(s.trace(s.shift(M, 0.3))) == pytest.approx(float(s.trace(M)) + 0.3 * s.dim)


def test_shift_alone_changes_the_scale_alone(case):
    s = case.structure
    M = s.shift(s.scale(case.tangent(), 0.0), -0.2)
    h = 1 - 0.2 + 0.02
    close(case.C(s.retract(case.factor, M)), case.C() / h**2)


def test_tangents_are_a_linear_space(case):
    s, M, N = case.structure, case.tangent(), case.tangent()
    close(case.M(s.add(M, N)), case.M(M) + case.M(N))
    close(case.M(s.scale(M, -2.5)), -2.5 * case.M(M))
    close(case.M(s.shift(M, 0.7)), case.M(M) + 0.7 * np.eye(s.noise_dim))
    assert float(s.norm(M)) == pytest.approx(np.linalg.norm(case.M(M)))
    (Z, w), (more, v) = case.samples(), case.samples(6)
    xp = case.backend.xp
    whole = s.tangent_at(case.factor, xp.concat([Z, more]), xp.concat([w, v]))
    halves = s.tangent_at(case.factor, Z, w), s.tangent_at(case.factor, more, v)
    close(case.M(s.add(*halves)), case.M(whole))


def test_symmetric_pairs_enter_every_block_without_an_identity(case):
    s, (Z, w), (U, _) = case.structure, case.samples(), case.samples()
    z, u, weights = case.numpy(Z), case.numpy(U), case.numpy(w)
    G = np.einsum("k,ki,kj->ij", weights, z, u)
    G = (G + G.T) / 2
    a, b = s.long, s.long + s.dim
    M = s.tangent_of_pairs(case.factor, Z, U, w).M
    close(case.numpy(M.aa), -0.5 * G[:a, :a])
    close(case.numpy(M.au), -G[:a, a:b])
    close(case.numpy(M.uu), -0.5 * np.diag(G[a:b, a:b]))
    close(case.numpy(M.bu), -G[b:, a:b])
    close(case.numpy(M.bb), -0.5 * G[b:, b:])


def test_parts_have_rates_of_their_own(case):
    s, M = case.structure, case.tangent()
    assert len(s.parts) == s.long + s.short + 1
    assert s.parts[-1] == s.dim == min(s.parts)
    same = s.scale(M, (0.5,) * len(s.parts))
    close(case.M(same), 0.5 * case.M(M))
    rates = tuple(0.1 * (1 + i) for i in range(len(s.parts)))
    got = case.M(s.scale(M, rates)) / np.where(case.M(M) == 0, 1, case.M(M))
    a, b = s.long, s.long + s.dim
    for i in range(s.long):
        close(got[i, a:b], rates[i])
        close(got[i, :a], np.minimum(rates[i], rates[:a]))
    for i in range(s.short):
        close(got[a:b, b + i], rates[a + i])
    close(np.diag(got)[a:b], rates[-1])


def test_an_axis_is_graded_by_the_numbers_that_are_learned_up_to_it(case):
    """Those of the scales, of the axes of its kind before it, and its own: the numbers of a
    structure with these axes and no others."""
    s, d = case.structure, case.structure.dim
    long = [d + (k + 1) * d for k in range(s.long)]
    short = [d + (k + 1) * d for k in range(s.short)]
    assert s.parts == (*long, *short, d)


def test_the_path_leaves_short_axes_alone(case):
    """It enters the long axes and the scales as a sample does."""
    s = case.structure
    q = s.whiten(case.factor, case.normals(1, s.dim))
    none = s.scale(s.tangent_at(case.factor, *case.samples()), 0.0)
    sample = s.tangent_at(case.factor, q, case.backend.array([0.3])).M
    path = with_path(s, none, q, 0.3, case.factor).M
    for name in ("aa", "au", "uu"):
        close(case.numpy(getattr(path, name)), case.numpy(getattr(sample, name)))
    assert not case.numpy(path.bu).any() and not case.numpy(path.bb).any()
    if s.short and s.dim > 1:
        assert case.numpy(sample.bu).any() and case.numpy(sample.bb).any()


def test_path_stays_the_same_vector(case):
    s, M = case.structure, case.tangent()
    Z, _ = case.samples()
    after = s.retract(case.factor, M)
    y = case.numpy(s.unwhiten(case.factor, Z))
    close(case.numpy(s.unwhiten(after, s.transport(M, Z))), y)
    close(case.numpy(s.transport(M, Z[0, :])), case.numpy(s.transport(M, Z))[0])
    both = s.move(case.factor, M, Z)
    close(case.numpy(s.unwhiten(both[0], both[1])), y)
    close(case.C(both[0]), case.C(after))


# -- the groups of the larger space ---------------------------------------------------------------


@pytest.fixture
def numpy_case(request):
    return lambda *size: Case(*size, _Plain())


class _Plain:
    xp = np
    array = staticmethod(lambda a: np.array(a, dtype=float))
    numpy = staticmethod(np.asarray)
    freeze = staticmethod(lambda arrays: arrays)


def lifted(case, first):
    """Samples and weights of the larger space whose moments are those of the posterior, the rows
    that were added for it (weight each: the sum of weights), cut to the coordinates `first`."""
    s = case.structure
    Z, w = case.samples(6)
    P = s.whiten(case.factor, s.unwhiten(case.factor, np.eye(s.noise_dim)))
    values, vectors = np.linalg.eigh(np.eye(s.noise_dim) - P)
    rest = (vectors * np.sqrt(np.maximum(values, 0))).T
    rows = np.concatenate([Z, rest])[:, first]
    return Z, w, rows, np.concatenate([w, np.full(len(rest), w.sum())])


def group_step(group, B, rows, weights, total):
    """dense(B h(M)) of a group at the dense B, and M."""
    M = group.tangent(rows, weights)
    M = group.shift(M, 0.5 * (total - weights.sum()))  # of Σ w (z zᵀ) − total I
    M = group.scale(M, 0.05)
    m = group.tangent_to_dense(M)
    return B @ (np.eye(len(m)) + m + m @ m / 2)


@pytest.mark.parametrize("d, k", [(1, 1), (5, 2), (9, 3)])
def test_long_axes_are_block_upper_in_the_larger_space(numpy_case, d, k):
    case = numpy_case(d, k, 0)
    s, V, _ = case.factor
    B = np.block([[np.eye(k), -V], [np.zeros((d, k)), np.diag(1 / s)]])
    Z, w, rows, weights = lifted(case, slice(None))
    after = np.linalg.inv(group_step(BlockUpper(k + d, k), B, rows, weights, w.sum())).T
    M = case.structure.scale(case.structure.tangent_at(case.factor, Z, w), 0.05)
    close(case.C(case.structure.retract(case.factor, M)), (after @ after.T)[k:, k:])  # marginal


@pytest.mark.parametrize("d, k", [(2, 1), (5, 2), (9, 3)])
def test_short_axes_are_block_lower_in_the_larger_space(numpy_case, d, k):
    case = numpy_case(d, 0, k)
    s, _, W = case.factor
    S = np.concatenate([W.T, np.eye(d)], axis=1) / s[:, None]
    B = np.concatenate([np.eye(k, k + d), S])
    Z, w = case.samples(6)
    moments = np.concatenate([Z[:, d:], Z[:, :d]], axis=1)  # b before u
    P = S.T @ case.C() @ S
    values, vectors = np.linalg.eigh(np.eye(k + d) - P)
    rest = (vectors * np.sqrt(np.maximum(values, 0))).T
    rows, weights = np.concatenate([moments, rest]), np.append(w, np.full(k + d, w.sum()))
    after = group_step(BlockLower(k + d, k), B, rows, weights, w.sum())[k:]
    M = case.structure.scale(case.structure.tangent_at(case.factor, Z, w), 0.05)
    close(np.linalg.inv(case.C(case.structure.retract(case.factor, M))), after @ after.T)


def test_without_axes_it_is_diagonal(case):
    s = LowRank(case.structure.dim, 0, 0)
    Z, w = case.normals(4, s.dim), case.samples()[1]
    other = Diagonal(s.dim)
    ours, theirs = (x.identity(case.backend.xp, case.backend.xp.float64) for x in (s, other))
    ours = s.retract(ours, s.tangent_at(ours, Z, w))
    theirs = other.retract(theirs, other.tangent(Z, w))
    close(1 / case.numpy(ours[0]), case.numpy(theirs[0]))
    assert s.dof == other.dof and s.parts == other.parts and s.noise_dim == s.dim


@pytest.mark.slow
@pytest.mark.parametrize("d, long, short", [(8, 2, 0), (8, 0, 2), (12, 2, 2)])
def test_steps_end_at_a_covariance_of_the_family(numpy_case, d, long, short):
    case = numpy_case(d, long, short)
    s = case.structure
    V, W = (3 * case.random.normal(size=(k, d)) / d**0.5 for k in (long, short))
    wanted = covariance((case.factor[0], V, W))
    rows = np.linalg.cholesky(wanted).T * d**0.5  # Σ y yᵀ / d = C*
    factor = s.identity(np, np.float64)
    for _ in range(4000):
        M = s.tangent_at(factor, s.whiten(factor, rows), np.full(d, 1 / d))
        factor = s.retract(factor, s.scale(M, min(1.0, 0.5 / s.norm(M))))
    close(np.linalg.solve(wanted, covariance(factor)), np.eye(d), 1e-3)


# -- symmetries and numbers -----------------------------------------------------------------------


@pytest.mark.parametrize("d, long, short", [(6, 2, 1), (9, 1, 3)])
def test_scaling_and_reordering_coordinates_changes_nothing_else(numpy_case, d, long, short):
    case = numpy_case(d, long, short)
    st, (s, V, W) = case.structure, case.factor
    c, order = np.exp(case.random.normal(size=d)), case.random.permutation(d)
    other = ((s * c)[order], V[:, order], W[:, order])
    Y, (_, w) = case.normals(4, d), case.samples()

    def step(factor, Y):
        M = st.tangent_at(factor, st.whiten(factor, Y), w)
        return covariance(st.retract(factor, st.scale(M, 0.3 / max(0.3, st.norm(M)))))

    wanted = (c[:, None] * step(case.factor, Y) * c)[np.ix_(order, order)]
    close(step(other, (Y * c)[:, order]), wanted)


@pytest.mark.parametrize("long, short", [(1e10, 1.0), (1.0, 1e10), (1e5, 1e5)])
def test_condition_1e10(numpy_case, long, short):
    case = numpy_case(40, 3, 3)
    st = case.structure
    Q = np.linalg.qr(case.random.normal(size=(40, 6)))[0].T
    sizes = np.sqrt([long, long**0.5, 1.0, short, short**0.5, 1.0])
    factor = (case.factor[0], sizes[:3, None] * Q[:3], sizes[3:, None] * Q[3:])
    z = case.random.normal(size=(20, st.noise_dim))
    Z = st.whiten(factor, st.unwhiten(factor, z))
    close(st.whiten(factor, st.unwhiten(factor, Z)), Z, 1e-5)
    exact = np.sum(np.log1p(sizes[:3] ** 2)) - np.sum(np.log1p(sizes[3:] ** 2))
    exact = -np.sum(np.log(factor[0])) - 0.5 * exact
    assert st.logdet(factor) == pytest.approx(exact, abs=1e-5)
    lengths = np.sum(
        st.whiten(factor, st.unwhiten(factor, case.random.normal(size=(4000, 46)))) ** 2, 1
    )
    assert np.mean(lengths) == pytest.approx(40, rel=0.02)


def test_axes_are_bounded_and_every_coordinate_keeps_a_share_of_its_own(numpy_case):
    case = numpy_case(6, 2, 2)
    st, (s, V, W) = case.structure, case.factor
    V, W = 1e8 * V, W + 1e3 * np.eye(2, 6)  # long beyond what numbers hold; short ones that have
    still = st.scale(case.tangent(), 0.0)  #  become coordinates 0 and 1
    after = st.retract((s, V, W), still)
    assert np.sum(after[1] ** 2, axis=1) == pytest.approx(1e12)
    precision = np.eye(6) + after[2].T @ after[2]
    assert np.diag(np.linalg.inv(precision)).min() == pytest.approx(0.1, rel=0.1)
    close(after[2] / after[0], W / s)  # what the axes add to the precision stays
    again = st.retract((s, 0 * V, W), still)
    close(np.diag(covariance(again)), np.diag(covariance((s, 0 * V, W))), 0.11)


@pytest.mark.slow
def test_a_million_coordinates_take_no_square_matrix():
    st = LowRank(10**6, 2, 2)
    factor = st.identity(np, np.float64)
    Z = st.whiten(factor, st.unwhiten(factor, np.ones((2, st.noise_dim))))
    M = st.tangent_at(factor, Z, np.array([0.01, 0.01]))
    factor = st.retract(factor, st.scale(M, 1e-6))
    assert np.isfinite(st.logdet(factor)) and st.deviations(factor).shape == (10**6,)


@pytest.mark.parametrize("given", [{"long": -1}, {"short": -1}, {"long": 1.5}, {"short": True}])
def test_numbers_of_axes_are_checked(given):
    with pytest.raises((TypeError, ValueError), match=f"LowRank: {next(iter(given))}"):
        build_structure({"name": "low_rank", **given}, 5)


@pytest.mark.parametrize("d", [1, 2, 3, 12])
def test_dof_is_the_dimension_of_the_family_while_that_is_below_full(d):
    assert LowRank(d, d, d).dof == d * (d + 1) // 2
    assert LowRank(d, 0, 0).dof == d
    assert LowRank(12, 1, 1).dof == 36
