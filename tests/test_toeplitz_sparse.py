"""Toeplitz and sparse structures: what the laws do not say."""

import pickle
import tracemalloc

import numpy as np
import pytest
import scipy.sparse
import yaml
from scipy.linalg import solve_triangular, toeplitz

import structes
from structes.strategy.settings import default_popsize
from structes.strategy.strategy import Strategy
from structes.structures import gathers, patterns
from structes.structures.building import build_structure
from structes.structures.sparse import Sparse
from structes.structures.toeplitz import ToeplitzLower, ToeplitzUpper

TOEPLITZ = [ToeplitzLower, ToeplitzUpper]


def random_tangent(structure, random, norm=0.4, n=4):
    Z = random.normal(size=(n, structure.dim))
    M = structure.tangent(Z, random.normal(size=n))
    return structure.scale(M, norm / structure.norm(M))


def element(structure, random, steps=3):
    factor = structure.identity(np, np.float64)
    for _ in range(steps):
        factor = structure.retract(factor, random_tangent(structure, random))
    return factor


def peak(function):
    """Bytes that `function` takes at most while it runs, its result included."""
    function()  # plans and caches are made once
    tracemalloc.start()
    function()
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return used


# -- Toeplitz -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TOEPLITZ)
@pytest.mark.parametrize("dim", [31, 32, 33, 64, 100, 257])
def test_inverse_series_of_any_length(kind, dim):
    # beyond 32 coefficients Newton's steps begin
    structure, random = kind(dim), np.random.default_rng(dim)
    a = np.concatenate([[2.0], 0.7 ** np.arange(1, dim) * random.normal(size=dim - 1)])
    A = toeplitz(a, np.zeros(dim))
    B = solve_triangular(A, np.eye(dim), lower=True)
    B = B if structure.lower else B.T
    np.testing.assert_allclose(structure.to_dense((a,)), B, atol=1e-13 * np.abs(B).max())
    Y = random.normal(size=(3, dim))
    np.testing.assert_allclose(structure.whiten((a,), Y), Y @ B, atol=1e-12 * np.abs(B).max())
    M = random_tangent(structure, random)
    m = structure.tangent_to_dense(M)
    wanted = B @ (np.eye(dim) + m + m @ m / 2)
    got = structure.to_dense(structure.retract((a,), M))
    np.testing.assert_allclose(got, wanted, atol=1e-13 * np.abs(wanted).max())


@pytest.mark.slow
@pytest.mark.parametrize("kind", TOEPLITZ)
def test_samples_stay_right_when_the_inverse_blows_up(kind):
    # steps that drift one way: the inverse leaves all bounds, the factor and its samples do not
    structure, random = kind(200), np.random.default_rng(1)
    factor, A = structure.identity(np, np.float64), np.eye(200)
    drift = random_tangent(structure, random, 0.5)
    for _ in range(500):
        M = structure.add(drift, random_tangent(structure, random, 0.1))
        m = structure.tangent_to_dense(M)
        A = A @ np.linalg.inv(np.eye(200) + m + m @ m / 2).T
        factor = structure.retract(factor, M)
    assert structure.condition(factor) > 1e16
    samples = structure.unwhiten(factor, np.eye(200)).T
    np.testing.assert_allclose(samples, A, atol=1e-12 * np.abs(A).max())
    deviations = structure.deviations(factor)
    np.testing.assert_allclose(deviations, np.linalg.norm(A, axis=1), rtol=1e-10)
    Y = structure.unwhiten(factor, random.normal(size=(20_000, 200)))
    correlation = (Y.T @ Y / 20_000 - A @ A.T) / np.outer(deviations, deviations)
    assert np.abs(correlation).max() < 6 / np.sqrt(20_000)


@pytest.mark.parametrize("kind", TOEPLITZ)
def test_an_inverse_beyond_all_numbers_is_said_and_samples_go_on(kind):
    structure = kind(400)
    factor = (np.concatenate([[1.0, 3.0], np.zeros(398)]),)  # inverse (−3)^j
    assert structure.condition(factor) == np.inf
    with pytest.raises(OverflowError, match=r"beyond 1e\+100 among its first 400.*injected"):
        structure.whiten(factor, np.ones((1, 400)))
    assert np.isfinite(structure.unwhiten(factor, np.ones((1, 400)))).all()
    moved = structure.retract(factor, random_tangent(structure, np.random.default_rng(0)))
    assert np.isfinite(moved[0]).all()


@pytest.mark.parametrize("kind", TOEPLITZ)
def test_a_signal_has_the_same_correlation_everywhere(kind):
    # away from the end where the filter is cut off, covariances depend on the distance alone
    structure = kind(50)
    factor = (np.concatenate([0.5 ** np.arange(10), np.zeros(40)]),)
    A = structure.unwhiten(factor, np.eye(50)).T
    whole = (A @ A.T)[:40, :40] if structure.lower else (A @ A.T)[10:, 10:]
    np.testing.assert_allclose(whole, toeplitz(whole[:, 0]), atol=1e-12)
    deviations = structure.deviations(factor)
    at_rest = deviations[-1] if structure.lower else deviations[0]
    assert at_rest == pytest.approx(1) and deviations.max() > 1.15


def test_toeplitz_keeps_single_precision():
    structure, random = ToeplitzLower(100), np.random.default_rng(0)
    Z = random.normal(size=(4, 100)).astype(np.float32)
    w = np.full(4, 0.01, dtype=np.float32)
    M = structure.tangent(Z, w)
    factor = structure.retract(structure.identity(np, np.float32), M)
    for array in (M[0], factor[0], structure.unwhiten(factor, Z), structure.transport(M, Z[0])):
        assert array.dtype == np.float32
    exact = structure.tangent(Z.astype(float), w.astype(float))
    np.testing.assert_allclose(M[0], exact[0], atol=1e-6)


# -- sparse: equal to the structures that it contains ---------------------------------------------


def run(structure, f, generations=30, x0=0.5):
    strategy = Strategy(structure)
    state = strategy.init(np.full(structure.dim, x0), 1.0, np.ones(structure.dim))
    n = default_popsize(structure.dim)
    for _ in range(generations):
        Z, Y, X = strategy.draw(state, 7, 0, n)
        state, _ = strategy.update(state, Z, Y, f(X))
    return state


def skew(X):
    d = X.shape[1]
    return (X @ (np.eye(d) + 0.5 * np.eye(d, k=1))) ** 2 @ (1.0 + np.arange(d)) ** 2


@pytest.mark.parametrize("dim", [1, 2, 7, 20])
@pytest.mark.parametrize(("name", "k"), [("lower", -1), ("upper", 1)])
def test_a_full_triangle_runs_as_lower_or_upper(dim, name, k):
    mask = np.tri(dim, k=-1, dtype=bool)
    pattern = Sparse(dim, mask if name == "lower" else mask.T)
    whole = build_structure(name, dim)
    assert (pattern.dof, pattern.row) == (whole.dof, whole.row)
    a, b = run(pattern, skew), run(whole, skew)
    np.testing.assert_allclose(a.mean, b.mean, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(pattern.to_dense(a.factor), whole.to_dense(b.factor), rtol=1e-8)


@pytest.mark.parametrize("dim", [1, 2, 9])
@pytest.mark.parametrize("empty", [{"pattern": []}, {"tree": -1}])
def test_no_entries_run_as_diagonal(dim, empty):
    pattern = Sparse(dim, **{k: [v] * dim if k == "tree" else v for k, v in empty.items()})
    whole = build_structure("diagonal", dim)
    assert (pattern.dof, pattern.row) == (whole.dof, whole.row)
    a, b = run(pattern, skew), run(whole, skew)
    np.testing.assert_allclose(a.mean, b.mean, rtol=1e-10)
    assert a.sigma == pytest.approx(b.sigma, rel=1e-10)


def test_small_groups_give_the_same_numbers(monkeypatch):
    tree = [-1, *((np.arange(1, 60) - 1) // 3).tolist()]
    whole, random = Sparse(60, tree=tree), np.random.default_rng(2)
    monkeypatch.setattr(gathers, "CHUNK", 8)
    pieces = Sparse(60, tree=tree)
    Z, w = random.normal(size=(5, 60)), random.normal(size=5) / 10

    def step(s):
        return s.to_dense(s.retract(s.identity(np, np.float64), s.tangent(Z, w)))

    assert len(pieces.pattern.columns.groups) > 2 * len(whole.pattern.columns.groups)
    np.testing.assert_allclose(step(pieces), step(whole), rtol=1e-13, atol=1e-15)


# -- sparse: what a pattern means -----------------------------------------------------------------

TREE = [-1, 0, 0, 1, 1, 2]  # 0 is the whole; 1 and 2 groups; 3, 4 in group 1, 5 in group 2


def test_given_ancestors_members_are_independent_when_the_group_is_known():
    structure = Sparse(6, tree=TREE)
    B = structure.to_dense(element(structure, np.random.default_rng(0)))
    assert sorted(zip(*np.nonzero(B - np.diag(np.diag(B))), strict=True)) == [
        (0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (1, 3), (1, 4), (2, 5),
    ]  # fmt: skip
    precision = B @ B.T
    assert abs(precision[3, 4]) < 1e-12 < abs(np.linalg.inv(precision)[3, 4])
    assert abs(precision[1, 2]) < 1e-12 and abs(precision[3, 5]) < 1e-12
    assert structure.row == 3  # itself, its group, the whole


def test_given_descendants_branches_are_independent():
    structure = Sparse(6, tree=TREE, given="descendants")
    B = structure.to_dense(element(structure, np.random.default_rng(0)))
    covariance = np.linalg.inv(B @ B.T)
    assert abs(covariance[3, 4]) < 1e-12 and abs(covariance[1, 2]) < 1e-12
    assert abs(covariance[3, 1]) > 1e-3 < abs(covariance[3, 0])
    assert structure.row == 6  # the root has all


@pytest.mark.parametrize("seed", range(8))
def test_closure_is_warshalls(seed):
    random = np.random.default_rng(seed)
    d = int(random.integers(2, 14))
    order = random.permutation(d)
    mask = np.tri(d, k=-1, dtype=bool) & (random.random((d, d)) < 0.35)
    mask = mask[np.ix_(order, order)]
    wanted = mask.copy()
    for k in range(d):
        wanted |= wanted[:, k : k + 1] & wanted[k, :]
    structure = Sparse(d, mask, close=True)
    got = np.zeros((d, d), dtype=bool)
    got[structure.pattern.row, structure.pattern.col] = True
    np.testing.assert_array_equal(got, wanted)
    assert structure.added == wanted.sum() - mask.sum()
    assert structure.dof == wanted.sum() + d
    if structure.added:
        with pytest.raises(ValueError, match=f"{structure.added} entries more"):
            Sparse(d, mask)
        assert f"{structure.added} of them added" in repr(structure)


def test_a_pattern_can_be_said_in_many_ways():
    edges = [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (1, 3), (1, 4), (2, 5)]
    matrix = scipy.sparse.coo_matrix((np.ones(8), tuple(zip(*edges, strict=True))), shape=(6, 6))
    mask = matrix.toarray().astype(bool)
    said = [
        edges,
        edges[::-1] * 2,
        [*edges, (3, 3)],
        np.array(edges),
        mask,
        matrix,
        matrix.tocsr(),
    ]
    said = [Sparse(6, pattern) for pattern in said]
    said += [Sparse(6, tree=TREE), Sparse(6, tree=np.array(TREE)), Sparse(6, said[0].pattern)]
    said += [Sparse(6, edges, close=True)]
    assert len(set(said)) == 1
    assert said[0] != Sparse(6, tree=TREE, given="descendants") != Sparse(6, edges[:5])
    again = pickle.loads(pickle.dumps(said[0]))
    assert again == said[0] and hash(again) == hash(said[0])
    matrix.data[0] = 0  # an entry that is stored but zero is none
    assert Sparse(6, matrix).dof == said[0].dof - 1


def test_what_a_pattern_says_of_the_dimension():
    known = [
        {"tree": TREE},
        {"pattern": np.eye(6, dtype=bool)},
        {"pattern": Sparse(6, []).pattern},
    ]
    for given in [*known, {"pattern": scipy.sparse.eye(6)}]:
        assert Sparse.implied_dim(**given) == 6
    for given in ({"pattern": [(0, 1)]}, {"pattern": np.array([(0, 1)])}, {"tree": 3}, {}):
        assert Sparse.implied_dim(**given) is None


def test_structures_of_one_dim_do_not_share_their_rates():
    few, many = Sparse(6, []), Sparse(6, tree=TREE)
    assert Strategy(few).plan(10).rates.cmu > Strategy(many).plan(10).rates.cmu


def test_a_config_says_it():
    for text in (
        "{name: sparse, pattern: [[0, 1], [2, 1]]}",
        "{name: sparse, pattern: [[0, 1], [1, 2]], close: true}",
        "{name: sparse, tree: [-1, 0, 1], given: descendants}",
    ):
        structure = build_structure(yaml.safe_load(text), 3)
        assert structure == build_structure(yaml.safe_load(text), 3)
        result = structes.minimize(
            skew, np.ones(3), 1.0, yaml.safe_load(text), 1, 20_000, target=1e-9, vectorized=True
        )
        assert result.success


# -- sparse: what is wrong with a pattern ---------------------------------------------------------

ERRORS = [
    ({}, ValueError, "give either pattern .* or tree .*; got neither"),
    ({"pattern": [], "tree": TREE}, ValueError, "got both"),
    ({"pattern": [], "close": 1}, TypeError, "close must be True or False; got 1"),
    ({"tree": TREE, "given": "parents"}, ValueError, "'ancestors', 'descendants'.*'parents'"),
    ({"pattern": np.eye(5, dtype=bool)}, ValueError, "square, 6 × 6; got 5 × 5"),
    ({"pattern": scipy.sparse.eye(4, 6)}, ValueError, "square, 6 × 6; got 4 × 6"),
    ({"pattern": [(1, 2, 3)]}, TypeError, r"integer pairs \(row, column\); got \[\(1, 2, 3\)\]"),
    ({"pattern": [(1, 2), (3,)]}, TypeError, "integer pairs"),
    ({"pattern": [(1.5, 2)]}, TypeError, "integer pairs"),
    ({"pattern": "tree"}, TypeError, "integer pairs .* got 'tree'"),
    ({"pattern": [(1, 2), (6, 2), (-1, 0)]}, ValueError, r"0 to 5; 2 entries .*first \(6, 2\)"),
    (
        {"pattern": [(1, 2), (2, 1), (4, 3), (3, 4)]},
        ValueError,
        r"has \(1, 2\) and \(2, 1\), 2 such pairs in all; .*block_diagonal",
    ),
    ({"pattern": [(1, 2), (2, 3), (3, 1), (1, 5)]}, ValueError, "the cycle .* → .*block_diagonal"),
    ({"pattern": [(1, 2), (2, 1)], "close": True}, ValueError, "1 such pairs"),
    (
        {"pattern": [(i + 1, i) for i in range(5)]},
        ValueError,
        r"5 entries is not transitive.*4 entries are missing: \(2, 0\) because of \(2, 1\) and "
        r"\(1, 0\); \(3, 1\) .*; \(4, 2\) .*; …. close=True takes .*, 10 entries more",
    ),
    ({"tree": [0] * 5}, ValueError, "tree must have 6 parents, one each; got 5"),
    ({"tree": 3}, TypeError, "list of integers, .* got 3"),
    ({"tree": [0.5] * 6}, TypeError, "list of integers"),
    ({"tree": [-1, 0, 6, 0, 0, 0]}, ValueError, r"0 to 5, or -1 for a root; tree\[2\] is 6"),
    ({"tree": [-1, 2, 3, 1, 0, 1]}, ValueError, r"cycle: the parents go \d → \d → \d → \d"),
    ({"tree": [-1, 1, 0, 0, 0, 0]}, ValueError, "cycle: the parents go 1 → 1"),
    ({"pattern": Sparse(4, []).pattern}, ValueError, "for dim 4; got dim 6"),
]


@pytest.mark.parametrize(("given", "kind", "message"), ERRORS)
def test_what_is_wrong_is_said(given, kind, message):
    with pytest.raises(kind, match=message):
        Sparse(6, **given)


def test_too_deep_is_refused_before_memory_is_gone(monkeypatch):
    with pytest.raises(ValueError, match=r"4999950000 entries.*99999 deep"):
        Sparse(100_000, tree=np.arange(-1, 99_999))
    monkeypatch.setattr(patterns, "MOST", 100)
    with pytest.raises(ValueError, match=r"of 66 entries has more than 100 chains.*`lower`"):
        Sparse(12, np.tri(12, k=-1, dtype=bool))


def test_a_long_band_is_refused_without_making_its_closure(monkeypatch):
    monkeypatch.setattr(patterns, "MOST", 10**5)
    band = [(i + 1, i) for i in range(400)]
    with pytest.raises(ValueError, match="closure of the pattern of 400 entries has more than"):
        Sparse(401, band, close=True)


# -- cost -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec",
    [
        "toeplitz_lower",
        "circulant",
        {"name": "sparse", "tree": [-1, *((np.arange(1, 30_000) - 1) // 4)]},
    ],
)
def test_memory_is_that_of_inputs_and_outputs(spec):
    d, n = 30_000, 32
    structure, random = build_structure(spec, d), np.random.default_rng(0)
    Z, w = random.normal(size=(n, d)), random.normal(size=n) / 100
    M = structure.tangent(Z, w)
    factor = structure.retract(structure.identity(np, np.float64), M)
    population, stored = Z.nbytes, sum(a.nbytes for a in factor)
    tile = 12 * 2**21
    assert peak(lambda: structure.unwhiten(factor, Z)) < population + tile
    assert peak(lambda: structure.tangent(Z, w)) < 3 * stored + tile
    assert peak(lambda: structure.retract(factor, M)) < 30 * stored + tile / 2
    assert peak(lambda: structure.transport(M, Z[0])) < 10 * stored + tile / 2
    assert peak(lambda: structure.deviations(factor)) < 10 * stored + tile / 2


# -- it pays --------------------------------------------------------------------------------------


def filtered(dim, lower):
    """Values ½‖Bᵀx‖² for an autoregressive B (condition 2.5e5 at d = 40)."""
    column = np.zeros(dim)
    column[:3] = np.convolve([1, -0.97], [1, -0.9])
    B = toeplitz(column, np.zeros(dim))
    B = B if lower else B.T
    return lambda X: 0.5 * ((X @ B) ** 2).sum(axis=1)


def hierarchy(dim):
    """Values ½‖Bᵀx‖² for a tree of three children a node (condition 3e7 at d = 40)."""
    structure = Sparse(dim, tree=[-1, *((np.arange(1, dim) - 1) // 3)])
    random = np.random.default_rng(0)
    B = np.diag(10 ** random.uniform(-1.5, 1.5, dim))
    row, col = structure.pattern.row, structure.pattern.col
    B[row, col] = 0.7 * random.normal(size=len(row)) * B[col, col]
    B /= np.linalg.svd(B)[1][-1]
    return structure, lambda X: 0.5 * ((X @ B) ** 2).sum(axis=1)


def evaluations(f, dim, structure, limit):
    used = []
    for seed in (1, 2, 3):
        result = structes.minimize(
            f, np.full(dim, 3.0), 1.0, structure, seed, 2 * limit, target=1e-9, vectorized=True
        )
        used.append(result.nfev if result.success else np.inf)
    return np.median(used)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "lower"), [("toeplitz_lower", True), ("toeplitz_upper", False)])
def test_toeplitz_beats_dense_on_a_filtered_signal(kind, lower):
    f = filtered(40, lower)
    assert evaluations(f, 40, kind, 5000) < 5000  # measured 3.8k; dense 21k
    assert evaluations(f, 40, "dense", 30_000) > 3.5 * 5000


@pytest.mark.slow
def test_a_tree_beats_dense_on_a_hierarchy():
    structure, f = hierarchy(40)
    assert evaluations(f, 40, structure, 14_000) < 14_000  # measured 10.6k; dense 32k
    assert evaluations(f, 40, "dense", 60_000) > 2 * 14_000
