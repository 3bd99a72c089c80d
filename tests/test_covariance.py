"""A covariance to start from: exact where a structure has it, the nearest one where it has not."""

import copy
import pickle

import numpy as np
import pytest

import structes
from structes.search.covariance import covariance_of, read_covariance, shaped, with_correlations
from structes.strategy.strategy import Strategy
from structes.structures.building import STRUCTURES, build_structure
from structes.structures.low_rank import LowRank

from .structure_table import TRUTH

CASES = [
    case for name, truth in TRUTH.items() if STRUCTURES[name].is_group for case in truth.cases
]
LOW_RANK = ({"name": "low_rank", "long": 2, "short": 1}, 6)


def ids(case):
    return f"{case[0]}-{case[1]}"


def random_spd(rng, d, condition=1e3):
    Q = np.linalg.qr(rng.normal(size=(d, d)))[0]
    return (Q * np.geomspace(1, condition, d)) @ Q.T


def element(structure, rng, size=0.5, steps=8):
    """A factor well away from the identity: its covariance has condition numbers up to 10⁴."""
    factor = structure.identity(np, np.float64)
    rows = structure.whiten(factor, rng.normal(size=(5, structure.dim)))
    for _ in range(steps):
        M = structure.tangent_at(factor, rows, rng.normal(size=5))
        norm = structure.norm(M)
        factor = structure.retract(factor, structure.scale(M, size / norm if norm > 0 else 0.0))
    return factor


def covariance(structure, factor):
    B = np.asarray(structure.to_dense(factor))
    return np.linalg.inv(B @ B.T)


def divergence(A, B):
    """KL(N(0, A) ‖ N(0, B))."""
    ratio = np.linalg.solve(B, A)
    return 0.5 * (np.trace(ratio) - np.linalg.slogdet(ratio)[1] - len(A))


def begun(structure, scale=None, sigma=1.0):
    d = structure.dim
    strategy = Strategy(structure)
    return strategy, strategy.init(np.zeros(d), sigma, np.ones(d) if scale is None else scale)


@pytest.mark.parametrize("case", CASES, ids=ids)
@pytest.mark.parametrize("precision", [False, True])
def test_a_structure_takes_a_covariance_of_its_own_to_the_last_digits(case, precision):
    spec, d = case
    structure = build_structure(spec, d)
    wanted = 0.03 * covariance(structure, element(structure, np.random.default_rng(d)))
    _, state = begun(structure, sigma=2.0)
    state = shaped(structure, state, np.linalg.inv(wanted) if precision else wanted, precision)
    np.testing.assert_allclose(covariance_of(structure, state), 4 * wanted, rtol=1e-6, atol=1e-9)
    assert abs(structure.logdet(state.factor)) < 1e-6  # sigma is the mean of the deviations


@pytest.mark.parametrize("precision", [False, True])
def test_low_rank_comes_near_to_one_of_its_own(precision):
    structure = build_structure(*LOW_RANK)
    wanted = covariance(structure, element(structure, np.random.default_rng(1)))
    _, state = begun(structure)
    state = shaped(structure, state, np.linalg.inv(wanted) if precision else wanted, precision)
    got = covariance(structure, state.factor)
    wanted *= np.linalg.det(got @ np.linalg.inv(wanted)) ** (1 / 6)
    alone = np.diag(np.diag(wanted))
    assert divergence(wanted, got) < 0.02 < 0.1 < divergence(wanted, alone)


@pytest.mark.parametrize("case", [c for c in CASES if c[1] > 1] + [LOW_RANK], ids=ids)
@pytest.mark.parametrize("precision", [False, True])
def test_of_a_foreign_one_it_takes_the_nearest(case, precision):
    """Along no direction of the tangent space does the divergence fall."""
    spec, d = case
    structure, rng = build_structure(spec, d), np.random.default_rng(7)
    C = random_spd(rng, d, 30.0)
    _, state = begun(structure)
    state = shaped(structure, state, np.linalg.inv(C) if precision else C, precision)

    def distance(factor):
        its = state.sigma**2 * covariance(structure, factor)
        return divergence(its, C) if precision else divergence(C, its)

    here, step = distance(state.factor), 0.02
    rows = structure.whiten(state.factor, rng.normal(size=(4, d)))
    for _ in range(5):
        M = structure.tangent_at(state.factor, rows, rng.normal(size=4))
        M = structure.scale(M, step / structure.norm(M))
        there, back = (
            distance(structure.retract(state.factor, structure.scale(M, s))) for s in (1, -1)
        )
        # no slope beyond what a slow end leaves, and curved upwards
        assert abs(there - back) < 0.02 * step * (1 + here)
        assert there + back > 2 * here


def test_a_covariance_keeps_the_moments_and_a_precision_stays_inside():
    """Of a diagonal structure: variances, or the inverse of the diagonal of the precision."""
    C, structure = random_spd(np.random.default_rng(2), 5), build_structure("diagonal", 5)
    _, state = begun(structure)
    outer = covariance_of(structure, shaped(structure, state, C))
    inner = covariance_of(structure, shaped(structure, state, np.linalg.inv(C), precision=True))
    np.testing.assert_allclose(np.diag(outer), np.diag(C), rtol=1e-8)
    np.testing.assert_allclose(np.diag(inner), 1 / np.diag(np.linalg.inv(C)), rtol=1e-8)


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_a_search_begins_with_sigma0_squared_times_it(case):
    spec, d = case
    structure, rng = build_structure(spec, d), np.random.default_rng(d)
    C = 9 * covariance(structure, element(structure, rng))
    es = structes.ES(np.zeros(d), 0.5, structure, covariance=C)
    np.testing.assert_allclose(
        covariance_of(es.structure, es.state), 0.25 * C, rtol=1e-6, atol=1e-9
    )


def test_sigma0_for_each_coordinate_multiplies_it():
    rng = np.random.default_rng(3)
    C, size = random_spd(rng, 4), np.array([1.0, 0.1, 3.0, 20.0])
    for structure in ("dense", "lower", "upper"):
        es = structes.ES(np.zeros(4), size, structure, covariance=C)
        wanted = C * np.outer(size, size)
        np.testing.assert_allclose(covariance_of(es.structure, es.state), wanted, rtol=1e-9)
        np.testing.assert_allclose(es.deviations, np.sqrt(np.diag(wanted)), rtol=1e-9)


def test_it_is_the_covariance_of_what_is_asked():
    C = random_spd(np.random.default_rng(4), 4, 50.0)
    es = structes.ES(np.zeros(4), 2.0, "lower", seed=1, covariance=C)
    sample = np.cov(es.ask(40_000).T) / 4
    np.testing.assert_allclose(sample, C, atol=0.03 * np.abs(C).max())


def test_variances_are_deviations_squared():
    one = structes.ES(np.ones(4), 2.0, seed=1, covariance=[1.0, 4.0, 9.0, 0.25])
    full = structes.ES(np.ones(4), 2.0, seed=1, covariance=np.diag([1.0, 4.0, 9.0, 0.25]))
    wanted = structes.ES(np.ones(4), [2.0, 4.0, 6.0, 1.0], seed=1).ask()
    np.testing.assert_allclose(one.ask(), wanted, rtol=1e-14)
    np.testing.assert_allclose(full.ask(), wanted, rtol=1e-12)


@pytest.mark.parametrize("structure", ["dense", "lower", "upper"])
def test_the_right_one_makes_a_sphere_of_an_ellipsoid(structure):
    root = random_spd(np.random.default_rng(5), 8, 1e3)
    H, start = root @ root, np.linalg.solve(root, np.ones(8))

    def evaluations(f, x0, **given):
        runs = (
            structes.minimize(f, x0, 0.5, structure, s, target=1e-10, **given) for s in (1, 2, 3)
        )
        return sorted(run.nfev for run in runs)[1]

    sphere = evaluations(lambda x: x @ x, np.ones(8))
    assert evaluations(lambda x: x @ H @ x, start, covariance=np.linalg.inv(H)) < 1.2 * sphere
    assert evaluations(lambda x: x @ H @ x, start) > 1.6 * sphere


def test_an_earlier_search_gives_its_shape_and_sigma0_the_size():
    H = random_spd(np.random.default_rng(6), 5, 1e4)
    before = structes.minimize(lambda x: x @ H @ x, np.ones(5), 1.0, "dense", seed=1)
    for given in (before, before.es):
        es = structes.ES(np.ones(5), 0.3, covariance=given)
        C = covariance_of(es.structure, es.state)
        assert np.linalg.det(C) == pytest.approx(0.3**10)
        e = np.linalg.eigvals(C @ H).real
        assert e.max() < 30 * e.min()  # where H has 10⁴
    ipop = structes.RestartES(np.ones(5), 1.0, max_evaluations=100)
    assert structes.ES(np.ones(5), 0.3, covariance=ipop).sigma == pytest.approx(0.3)


def test_an_earlier_search_of_a_million_parameters_gives_its_deviations():
    d = 10**6
    before = structes.ES(np.zeros(d), np.where(np.arange(d) % 2, 1.0, 4.0), "diagonal", seed=1)
    es = structes.ES(np.zeros(d), 1.0, "diagonal", seed=1, covariance=before)
    np.testing.assert_allclose(es.deviations[:4], [2.0, 0.5, 2.0, 0.5])


def test_an_earlier_search_and_sigma0_for_each_coordinate_are_not_multiplied():
    """As with a Space, whose deviations were those of the earlier search as well."""
    before = structes.ES(np.zeros(3), [0.01, 1.0, 100.0], "diagonal", seed=1)
    for sigma0 in (1.0, [0.01, 1.0, 100.0]):
        es = structes.ES(np.zeros(3), sigma0, covariance=before)
        np.testing.assert_allclose(es.deviations, [0.01, 1.0, 100.0])


@pytest.mark.parametrize("structure", ["dense", "lower", "auto"])
@pytest.mark.parametrize("make", [structes.ES, structes.RestartES])
def test_copies_pickles_and_files_go_on_to_the_same_bits(tmp_path, make, structure):
    C = random_spd(np.random.default_rng(8), 6)
    given = {} if make is structes.ES else {"max_evaluations": 10**4}
    es = make(np.zeros(6), 1.0, structure, 1, covariance=C, bounds=[(-9, 9)] * 6, **given)
    for generations in (0, 3):
        for _ in range(generations):
            X = es.ask()
            es.tell(X, [x @ x for x in X])
        es.save(tmp_path / "es.npz")
        others = copy.copy(es), copy.deepcopy(es), pickle.loads(pickle.dumps(es))
        X = es.ask()
        for other in (*others, make.load(tmp_path / "es.npz")):
            np.testing.assert_array_equal(other.ask(), X)
            assert other.monitor.sigma0 == es.monitor.sigma0
            np.testing.assert_array_equal(other.arguments.correlations, es.arguments.correlations)
        es.tell(X, [x @ x for x in X])


def test_every_run_of_a_search_with_restarts_begins_with_it(tmp_path):
    C = np.array([[4.0, 1.8], [1.8, 1.0]])
    es = structes.RestartES([0.0, 0.0], 0.5, covariance=C, seed=1, flat=1, max_evaluations=10**4)
    while es.restart < 2:
        X = es.ask()
        es.tell(X, np.zeros(len(X)))
        if es.generation == 1:
            es.save(tmp_path / "es.npz")
            es = structes.RestartES.load(tmp_path / "es.npz")
    its = covariance_of(es.structure, es.state)
    np.testing.assert_allclose(its / its[1, 1], C, rtol=1e-9)


def test_what_does_not_move_is_left_out_of_it():
    C = random_spd(np.random.default_rng(1), 4)
    es = structes.ES(np.zeros(4), 1.0, covariance=C, fixed={2: 0.0}, seed=1)
    at = [0, 1, 3]
    np.testing.assert_allclose(covariance_of(es.structure, es.state), C[np.ix_(at, at)])
    np.testing.assert_allclose(es.deviations, np.sqrt(C.diagonal()) * [1, 1, 0, 1])
    again = structes.ES(np.zeros(4), 1.0, covariance=es, fixed={2: 0.0})
    shape = C[np.ix_(at, at)] / np.linalg.det(C[np.ix_(at, at)]) ** (1 / 3)
    np.testing.assert_allclose(covariance_of(again.structure, again.state), shape)


def test_it_has_a_size_of_its_own_where_sigma0_is_left_out():
    C, bounds = np.diag([4.0, 9.0]), [(-10, 10)] * 2
    for es in (
        structes.ES([0.0, 0.0], covariance=C),
        structes.ES(covariance=C, bounds=bounds),
        structes.ES({"a": structes.Float(-10, 10), "b": structes.Float(-10, 10)}, covariance=C),
    ):
        np.testing.assert_allclose(es.deviations, [2.0, 3.0])
    es = structes.ES(covariance=structes.ES([0.0, 0.0], [1.0, 2.25]), bounds=bounds)
    np.testing.assert_allclose(es.deviations, [4 / 1.5, 4 * 1.5])  # a fifth of the range: 4


def test_spaces_and_starts_from_a_function_take_it():
    space = structes.Space(
        a=structes.Float(1e-3, 1e3, log=True), n=structes.Int(0, 9), c=structes.Choice("x", "y")
    )
    C = random_spd(np.random.default_rng(3), space.dim, 4.0) / 9
    result = structes.minimize(
        lambda p: np.log(p["a"]) ** 2 + (p["n"] - 3) ** 2 + (p["c"] == "x"),
        space,
        covariance=C,
        seed=1,
        max_evaluations=2000,
    )
    assert result.params["n"] == 3 and result.params["c"] == "y" and result.fun < 1e-6
    es = structes.RestartES(lambda k: [1.0, k], 2.0, covariance=GOOD, max_evaluations=100)
    np.testing.assert_allclose(covariance_of(es.structure, es.state), 4 * GOOD)
    with pytest.raises(ValueError, match="covariance is that of 2 parameters; x0 has 3"):
        structes.RestartES(lambda k: np.ones(3), 2.0, covariance=GOOD, max_evaluations=100)


def test_no_step_is_longer_than_the_box_is_wide():
    C = random_spd(np.random.default_rng(2), 4, 300.0)
    for name in ("toeplitz_lower", "low_rank:long1:short1", "diagonal"):
        es = structes.ES(np.zeros(4), structure=name, covariance=C, bounds=[(-1, 1)] * 4)
        assert es.deviations.max() < 2 / 3 * (1 + 1e-9)


def test_auto_stays_with_correlations_that_were_given():
    scales = np.geomspace(1, 1e3, 8)

    def chosen(**given):
        result = structes.minimize(
            lambda x: scales @ (x * x), np.ones(8), 1.0, seed=1, max_evaluations=3000, **given
        )
        return [switch.structure for switch in result.es.switches]

    assert chosen() == ["diagonal"]
    assert chosen(covariance=1 / scales) in ([], ["diagonal"])
    assert chosen(covariance=random_spd(np.random.default_rng(1), 8, 10.0)) == []


def test_sharded_takes_variances_and_refuses_a_matrix_by_name():
    def f(X):
        return (X * X).sum(axis=1)

    with structes.ShardedES(f, [1.0, 1.0], 1.0, covariance=[4.0, 9.0]) as es:
        np.testing.assert_allclose(es.state.sigma * es.state.scale, [2.0, 3.0])
    with pytest.raises(ValueError, match="covariance: ShardedES takes variances"):
        structes.ShardedES(f, [1.0, 1.0], 1.0, covariance=GOOD)


def test_a_large_one_does_not_end_the_search_at_once():
    es = structes.ES(np.zeros(3), 1.0, covariance=1e12 * np.eye(3))
    X = es.ask()
    es.tell(X, [x @ x for x in X])
    assert not es.stop()


def test_it_runs_on_every_backend(backend):
    R = read_covariance(random_spd(np.random.default_rng(9), 5))[1]
    for spec in ("dense", "lower", "kronecker:cols5", "low_rank:long1:short1"):
        strategy = Strategy(build_structure(spec, 5))
        host = strategy.init(np.zeros(5), 1.0, np.ones(5))
        there = strategy.init(np.zeros(5), 1.0, np.ones(5), backend.xp)
        host, there = (with_correlations(strategy, state, R) for state in (host, there))
        assert type(there.scale) is type(backend.xp.zeros(1))
        X = backend.numpy(strategy.draw(there, 1, 0, 4)[2])
        np.testing.assert_allclose(X, strategy.draw(host, 1, 0, 4)[2], rtol=1e-9, atol=1e-12)


GOOD = np.array([[2.0, 1.0], [1.0, 3.0]])


@pytest.mark.parametrize(
    "bad, error, words",
    [
        (np.eye(3), ValueError, r"shape \(2, 2\) or \(2,\); got shape \(3, 3\)"),
        (np.ones((1, 2)), ValueError, r"got shape \(1, 2\)"),
        (4.0, ValueError, r"got shape \(\)"),
        ([[1.0, 2.0], [3.0]], ValueError, "different lengths"),
        ("C", TypeError, "got 'C'"),
        (None, None, None),
        ([[1.0, None], [None, 1.0]], TypeError, "symmetric positive definite.*got None"),
        ([[1.0, 0.0], [0.0, np.nan]], ValueError, "finite"),
        ([[1.0, 0.0], [0.0, np.inf]], ValueError, "finite"),
        ([1.0, 0.0], ValueError, r"variance.*x\[1\] is 0"),
        ([1.0, -2.0], ValueError, r"x\[1\] is -2"),
        ([[-1.0, 0.0], [0.0, 1.0]], ValueError, r"x\[0\] is -1"),
        ([[1.0, 0.5], [0.4, 1.0]], ValueError, r"symmetric; covariance\[0, 1\] is 0.5"),
        ([[1.0, 2.0], [2.0, 1.0]], ValueError, "positive definite.*-1"),
        ([[1.0, 1.0], [1.0, 1.0]], ValueError, "fewer than 3 points"),
        (structes.ES([0.0] * 3, 1.0), ValueError, "of 3 parameters; this search has 2"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(bad, error, words):
    if error is None:
        assert structes.ES([0.0, 0.0], 1.0, covariance=bad).sigma == 1.0
        return
    with pytest.raises(error, match=f"(?s)covariance.*{words}"):
        structes.ES([0.0, 0.0], 1.0, covariance=bad)


def test_rounding_is_no_asymmetry_and_the_callers_matrix_stays_as_it_is():
    given = GOOD * (1 + 1e-12 * np.array([[0, 1], [-1, 0]]))
    before = given.copy()
    deviations, R = read_covariance(given, 2)
    assert (R == R.T).all() and (R.diagonal() == 1).all() and (given == before).all()
    np.testing.assert_allclose(R * np.outer(deviations, deviations), GOOD)
    assert read_covariance(GOOD.astype(np.float32))[1].dtype == np.float64
    structes.ES([0.0, 0.0], 1.0, covariance=[[2, 1], [1, 3]])


def test_a_matrix_of_many_parameters_is_refused_before_it_costs_anything():
    with pytest.raises(ValueError, match="up to 2000 parameters"):
        read_covariance(np.eye(2001, dtype=np.float32), 2001)


def test_low_rank_has_latent_coordinates_and_the_paths_fit():
    es = structes.ES(
        np.zeros(6), 1.0, LowRank(6, 2, 1), covariance=random_spd(np.random.default_rng(1), 6)
    )
    assert es.state.path.shape == (9,)
    for _ in range(5):
        X = es.ask()
        es.tell(X, [x @ x for x in X])
    assert np.isfinite(es.mean).all()
