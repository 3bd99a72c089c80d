"""Kronecker products and direct sums: what the laws do not say of structures of structures."""

import dataclasses
import pickle
import tracemalloc
from functools import cache

import numpy as np
import pytest

import structes
from structes.strategy.strategy import Strategy
from structes.structures.building import build_structure
from structes.structures.direct_sum import DirectSum
from structes.structures.kronecker import Kronecker

from .structure_table import direct_sum, kronecker

SCATTERED = np.random.default_rng(5).permutation(12)[:6].tolist()


def samples(n, dim, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, dim)), random.normal(size=n) / n


def element(structure, seed=1):
    """A factor some way from the identity."""
    factor = structure.identity(np, np.float64)
    for k in range(3):
        M = structure.tangent(*samples(4, structure.dim, seed + k))
        factor = structure.retract(factor, structure.scale(M, 0.4 / structure.norm(M)))
    return factor


# -- Kronecker ------------------------------------------------------------------------------------


def test_a_candidate_is_a_matrix_read_row_by_row():
    structure = Kronecker(6, 2, 3, "lower", "upper")
    factor = element(structure)
    Z = np.random.default_rng(2).normal(size=(2, 3))
    left, right = (
        part.to_dense(f) for part, f in zip((structure.left, structure.right), factor, strict=True)
    )
    wanted = np.linalg.inv(left).T @ Z @ np.linalg.inv(right)
    got = structure.unwhiten(factor, Z.reshape(1, 6)).reshape(2, 3)
    np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_the_scale_is_counted_once():
    # M is the projection of −G/2 on the span of S₁⊗I and I⊗S₂, found here by least squares
    rows, cols = 3, 4
    structure = Kronecker(12, rows, cols)
    Z, w = samples(5, 12)
    G = (Z.T * w) @ Z - w.sum() * np.eye(12)
    basis = []
    for n, embed in (
        (rows, lambda S: np.kron(S, np.eye(cols))),
        (cols, lambda S: np.kron(np.eye(rows), S)),
    ):
        for i in range(n):
            for j in range(i + 1):
                S = np.zeros((n, n))
                S[i, j] = S[j, i] = 1
                basis.append(embed(S).ravel())
    basis = np.array(basis).T
    nearest = basis @ np.linalg.lstsq(basis, G.ravel(), rcond=None)[0]
    M = structure.tangent(Z, w)
    np.testing.assert_allclose(
        structure.tangent_to_dense(M).ravel(), -nearest / 2, rtol=1e-10, atol=1e-13
    )
    assert structure.trace(M) == pytest.approx(-np.trace(G) / 2)
    halves = structure.left.trace(M[0]) / rows, structure.right.trace(M[1]) / cols
    assert halves == pytest.approx((-np.trace(G) / 48, -np.trace(G) / 48))


def test_the_scales_of_the_factors_stay_together():
    # they part by third-order terms only: hardly over a search's worth of large steps
    structure = Kronecker(12, 3, 4)
    factor = structure.identity(np, np.float64)
    for k in range(1000):
        M = structure.tangent(*samples(6, 12, k))
        factor = structure.retract(factor, structure.scale(M, 0.3 / structure.norm(M)))
    scales = structure.left.logdet(factor[0]) / 3, structure.right.logdet(factor[1]) / 4
    assert abs(scales[0] - scales[1]) < 0.05


def test_dof_and_row_of_a_product():
    structure = Kronecker(200, 10, 20, "diagonal", "lower")
    assert structure.dof == 10 + 210 - 1
    assert structure.row == pytest.approx(1 / 20 + 20 / 10)
    nested = Kronecker(24, 2, 12, "dense", kronecker(3, 4, "diagonal", "scalar"))
    assert nested.dof == 3 + (3 + 1 - 1) - 1


def test_one_size_of_the_matrix_is_enough():
    whole = Kronecker(6, 2, 3)
    assert Kronecker(6, rows=2) == Kronecker(6, cols=3) == whole
    assert build_structure("kronecker:rows2:cols3", 6) == whole
    assert build_structure({"name": "kronecker", "rows": "2"}, 6) == whole


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "needs rows or cols .* dim 12"),
        ({"rows": 3, "cols": 5}, r"rows · cols must be dim 12; got 3 · 5 = 15"),
        ({"rows": 5}, "rows must divide dim 12; got 5, which leaves 2"),
        ({"cols": 24}, "cols must divide dim 12; got 24, which leaves 12"),
        ({"rows": 0}, "rows must be an integer ≥ 1; got 0"),
        ({"rows": 3, "left": "diagnal"}, "left: .*did you mean 'diagonal'"),
        ({"rows": 3, "right": kronecker(2, 3)}, "right: .* must be dim 4; got 2 · 3 = 6"),
        (
            {"rows": 3, "left": build_structure("dense", 5)},
            "left: must be a structure for 3 parameters; .* has 5",
        ),
    ],
)
def test_what_is_no_kronecker_product(given, message):
    with pytest.raises(ValueError, match=message):
        build_structure({"name": "kronecker", **given}, 12)


def test_a_size_must_be_an_integer():
    with pytest.raises(TypeError, match=r"rows must be an integer ≥ 1; got 2\.5"):
        Kronecker(12, rows=2.5)


# -- direct sum -----------------------------------------------------------------------------------


def test_blocks_find_their_places():
    structure = DirectSum(
        12,
        {
            "w": kronecker(2, 2),
            "odd": {"name": "lower", "at": [5, 7, 9]},
            "rest": "diagonal",
            "inner": direct_sum(a={"name": "scalar", "dim": 2}),
        },
    )
    places = {name: list(at) for name, _, at in structure.blocks}
    assert places == {
        "w": [0, 1, 2, 3],
        "odd": [5, 7, 9],
        "rest": [4, 6, 8],
        "inner": [10, 11],
    }
    assert structure.dof == 5 + 6 + 3 + 1 and structure.row == 3.0
    assert [s.dim for _, s, _ in structure.blocks] == [4, 3, 3, 2]


def test_an_at_keeps_its_order():
    # parameter order matters to a triangular block: [2, 0] is not [0, 2]
    structure = DirectSum(3, {"a": {"name": "lower", "at": [2, 0]}, "b": "scalar"})
    B = structure.to_dense(element(structure))
    assert B[0, 2] != 0 and B[2, 0] == 0


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ({}, "at least one block; got none"),
        ({"a": {"name": "dense", "dim": 0}}, "block 'a': .* must be an integer ≥ 1; got 0"),
        ({"a": {"name": "dense", "at": []}, "b": "dense"}, "by at must be an integer ≥ 1; got 0"),
        (
            {"a": kronecker(2, 3), "b": {"name": "dense", "dim": 2}},
            r"must sum to dim 10; got 6 \('a'\) \+ 2 \('b'\) = 8",
        ),
        ({"a": "dense", "b": "diagonal"}, "all blocks but one .* 'a', 'b' leave it open"),
        (
            {"a": {"name": "dense", "dim": 10}, "b": "diagonal"},
            r"'b' gets what the others leave of dim 10; nothing is left: 10 \('a'\) = 10",
        ),
        (
            {"a": {"name": "dense", "at": [0, 3, 4]}, "b": {"name": "dense", "at": [3, 5, 4]}},
            "'a' and 'b' both name 3, 4",
        ),
        (
            {"a": {"name": "dense", "at": range(5)}, "b": {"name": "dense", "at": [6, 7, 9]}},
            "every coordinate from 0 to 9 must belong to a block; 5, 8 belong to none",
        ),
        (
            {"a": {"name": "dense", "at": [0, 10, -1]}, "b": "dense"},
            "coordinates from 0 to 9; got 10, -1",
        ),
        ({"a": {"name": "dense", "at": [4, 2, 4]}, "b": "dense"}, "once; repeated: 4"),
        (
            {"a": {**kronecker(2, 3), "at": [0, 1]}, "b": "dense"},
            "block 'a' must have one size; got 2 by at, 6 by its structure",
        ),
        ({"a": "dens"}, "block 'a': unknown structure 'dens' .*'dense'"),
        ({"a": {"name": "dense", "rows": 3}}, "block 'a': .* has no argument 'rows'"),
        ({"a": {"dim": 10}}, "block 'a': .*needs 'name'"),
    ],
)
def test_what_is_no_direct_sum(blocks, message):
    with pytest.raises(ValueError, match=message):
        build_structure({"name": "direct_sum", "blocks": blocks}, 10)


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (["dense"], "blocks must be a mapping"),
        ({3: "dense"}, "names of blocks must be strings"),
        ({"a": {"name": "dense", "at": [0.5]}}, "at must be a list of coordinates"),
        ({"a": {"name": "dense", "at": 3}}, "at must be a list of coordinates"),
        ({"a": {"name": "dense", "dim": "ten"}}, "size given by dim must be an integer"),
    ],
)
def test_what_has_the_wrong_type(blocks, message):
    with pytest.raises(TypeError, match=message):
        DirectSum(10, blocks)


def test_the_condition_of_diagonal_blocks_is_exact():
    structure = DirectSum(5, {"a": {"name": "diagonal", "dim": 2}, "b": "diagonal"})
    factor = (np.array([1.0, 10.0]),), (np.array([0.1, 3.0, 3.0]),)
    assert structure.condition(factor) == pytest.approx(1e4)


# -- both -----------------------------------------------------------------------------------------

BOTH = [
    kronecker(3, 4, "lower", "diagonal"),
    direct_sum(a={**kronecker(2, 3), "at": SCATTERED}, b="upper"),
    direct_sum(a={"name": "dense", "dim": 5}, b=kronecker(7, 1)),
]


@pytest.mark.parametrize("spec", BOTH)
def test_composites_are_values(spec):
    one, two = build_structure(spec, 12), build_structure(spec, 12)
    one.unwhiten(one.identity(np, np.float64), np.ones((1, 12)))  # fills what it remembers
    assert one == two and hash(one) == hash(two) and one is not two
    assert pickle.loads(pickle.dumps(one)) == dataclasses.replace(one) == one
    assert one != build_structure("dense", 12)


def test_a_block_without_a_path_keeps_it_out_of_a_sum():
    spec = direct_sum(a={"name": "block_lower", "k": 2, "dim": 6}, b={"name": "dense", "dim": 6})
    whole, part = build_structure(spec, 12), build_structure({"name": "block_lower", "k": 2}, 6)
    assert whole.path_parts == (*part.path_parts, 1, 1) and len(whole.path_parts) == len(
        whole.parts
    )
    M = whole.tangent(np.ones((1, 12)), np.ones(1))
    kept = whole.tangent_to_dense(whole.scale(M, whole.path_parts))
    full = whole.tangent_to_dense(M)
    assert not kept[2:6, :2].any() and full[2:6, :2].all()  # the stiff couplings, and no others
    kept[2:6, :2] = full[2:6, :2]
    np.testing.assert_array_equal(kept, full)
    plain = direct_sum(a={"name": "dense", "dim": 6}, b={"name": "diagonal", "dim": 6})
    assert build_structure(plain, 12).path_parts is None


@pytest.mark.parametrize("spec", BOTH)
def test_a_population_in_many_tiles_is_one_population(spec):
    structure = build_structure(spec, 12)
    factor, n = element(structure), 60_000  # 720,000 numbers: three tiles
    Z, w = samples(n, 12)
    B = structure.to_dense(factor)
    np.testing.assert_allclose(structure.whiten(factor, Z), Z @ B, rtol=1e-10, atol=1e-10)
    M = structure.tangent(Z, w)
    total = structure.tangent(Z[:1], w[:1])
    for part in np.array_split(np.arange(1, n), 5):
        total = structure.add(total, structure.tangent(Z[part], w[part]))
    np.testing.assert_allclose(
        structure.tangent_to_dense(M), structure.tangent_to_dense(total), rtol=1e-8, atol=1e-12
    )


LARGE = [
    kronecker(400, 350, "diagonal", "diagonal"),
    kronecker(400, 350, "upper", "diagonal"),
    direct_sum(a=kronecker(400, 175, "diagonal", "lower"), b="diagonal"),
    direct_sum(
        a={**kronecker(400, 175, "diagonal"), "at": range(0, 140_000, 2)},
        b={"name": "diagonal", "at": range(139_999, 0, -2)},
    ),
]


@cache
def population(n, dim):
    """Rows of normals, and values of them."""
    random = np.random.default_rng(0)
    return random.normal(size=(n, dim)), random.normal(size=n)


@pytest.mark.parametrize("spec", LARGE)
def test_no_copies_of_the_population(spec):
    dim, n = 140_000, 32
    structure = build_structure(spec, dim)
    strategy = Strategy(structure)
    state = strategy.init(np.ones(dim), 1.0, np.ones(dim))
    Z, values = population(n, dim)

    def peak(f, *args):
        """Populations held at the worst moment, what is returned included."""
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        out = f(*args)
        return out, (tracemalloc.get_traced_memory()[1] - before) / Z.nbytes

    tracemalloc.start()
    try:
        Y, sampling = peak(structure.unwhiten, state.factor, Z)
        _, updating = peak(strategy.update, state, Z, Y, values)
    finally:
        tracemalloc.stop()
    assert sampling < 1.5 and updating < 1.6, (sampling, updating)


@pytest.mark.slow
def test_a_kronecker_problem_takes_fewer_evaluations_than_dense():
    rows, cols = 4, 5
    random = np.random.default_rng(0)
    left, right = (
        (Q * np.logspace(0, 3, len(Q))) @ Q.T
        for Q in (np.linalg.qr(random.normal(size=(n, n)))[0] for n in (rows, cols))
    )

    def f(X):
        X = X.reshape(-1, rows, cols)
        return np.sum(X * (left @ X @ right), axis=(1, 2)) / 2

    used = {}
    for name, spec in {
        "dense": "dense",
        "kronecker": kronecker(rows, cols),
        "triangular": kronecker(rows, cols, "lower", "upper"),
    }.items():
        runs = [
            structes.minimize(f, np.ones(20), 1.0, spec, seed, 20_000, 1e-9, vectorized=True)
            for seed in (1, 2, 3)
        ]
        assert all(run.success for run in runs)
        used[name] = np.median([run.nfev for run in runs])
    # measured: 9700, 3400, 3500
    assert used["kronecker"] < 4600 and used["triangular"] < 4600
    assert used["dense"] > 2 * used["kronecker"]


@pytest.mark.slow
def test_a_direct_sum_learns_every_block():
    random = np.random.default_rng(3)
    Q = np.linalg.qr(random.normal(size=(5, 5)))[0]
    H = np.diag(np.logspace(0, 6, 12))
    H[np.ix_([0, 4, 5, 9, 11], [0, 4, 5, 9, 11])] = (Q * np.logspace(0, 6, 5)) @ Q.T
    spec = direct_sum(a={"name": "dense", "at": [0, 4, 5, 9, 11]}, b="diagonal")
    used = {}
    for name, structure in {"sum": spec, "dense": "dense"}.items():
        run = structes.minimize(
            lambda X: np.sum(X @ H * X, axis=1),
            np.ones(12),
            1.0,
            structure,
            1,
            20_000,
            1e-9,
            vectorized=True,
        )
        assert run.success
        used[name] = run.nfev
    assert used["sum"] < 0.9 * used["dense"], used
