"""The algorithm: invariances of whole runs, equality with xNES, noise, weights and rates."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.special import ndtr, ndtri

from structes import ES
from structes.arrays import noise
from structes.strategy.engine import Engine, cma
from structes.strategy.ranking import assign, ranking, tied_with_best, with_missing
from structes.strategy.settings import default_popsize
from structes.strategy.strategy import Strategy
from structes.strategy.weights_and_rates import learning_rates, recombination_weights
from structes.structures.building import build_structure

from .structure_table import TRUTH

CASES = [(name, *case) for name, truth in TRUTH.items() for case in truth.cases]
CASES += [("dense", "dense", 30), ("lower", "lower", 30)]


def quartic(X):
    d = X.shape[1]
    return (X**2) @ (1 + np.arange(d)) ** 2 + (X**4).sum(1) + X[:, 0] * X[:, -1]


def trajectory(strategy, state, f, generations, seed=7):
    n = default_popsize(strategy.structure.dim)
    for _ in range(generations):
        Z, Y, X = strategy.draw(state, seed, 0, n)
        state, _ = strategy.update(state, Z, Y, f(X))
        yield state


@pytest.mark.parametrize(("name", "spec", "dim"), CASES)
def test_runs_are_equivariant_under_the_group(name, spec, dim):
    # with x' = C⁻ᵀ x, C in the group: the run on f(Cᵀ x') from B' = C is the run on f, mapped
    structure = build_structure(spec, dim)
    strategy = Strategy(structure)
    random = np.random.default_rng(3)
    C = structure.identity(np, np.float64)
    for _ in range(3):
        M = structure.tangent(random.normal(size=(3, dim)), random.normal(size=3))
        C = structure.retract(C, structure.scale(M, 0.3 / max(structure.norm(M), 0.3)))
    dense = structure.to_dense(C)
    T = np.linalg.inv(dense).T
    start = random.normal(size=dim)
    plain = strategy.init(start, 0.7, np.ones(dim))
    moved = strategy.init(T @ start, 0.7, np.ones(dim))._replace(factor=C)
    pairs = zip(
        trajectory(strategy, plain, quartic, 25),
        trajectory(strategy, moved, lambda X: quartic(X @ dense), 25),
        strict=True,
    )
    for a, b in pairs:
        np.testing.assert_allclose(b.mean, T @ a.mean, rtol=1e-6, atol=1e-9)
        assert b.sigma == pytest.approx(a.sigma, rel=1e-6)


LAST = [(name, *truth.cases[-1]) for name, truth in TRUTH.items() if truth.cases]


@pytest.mark.parametrize(("name", "spec", "dim"), LAST)
def test_only_ranks_count(name, spec, dim):
    strategy = Strategy(build_structure(spec, dim))
    state = strategy.init(np.ones(dim), 1.0, np.ones(dim))
    plain = list(trajectory(strategy, state, quartic, 30))[-1]
    bent = list(trajectory(strategy, state, lambda X: np.arctan(quartic(X)) ** 3 - 5, 30))[-1]
    np.testing.assert_array_equal(plain.mean, bent.mean)
    assert plain.sigma == bent.sigma


@pytest.mark.parametrize(("name", "spec", "dim"), LAST)
def test_runs_agree_on_the_strict_array_standard(name, spec, dim):
    xp = pytest.importorskip("array_api_strict")
    strategy = Strategy(build_structure(spec, dim))
    numpy_state = strategy.init(np.ones(dim), 1.0, np.ones(dim))
    strict_state = strategy.init(np.ones(dim), 1.0, np.ones(dim), xp)

    def f(X):
        return quartic(np.asarray(np.from_dlpack(X)) if not isinstance(X, np.ndarray) else X)

    a = list(trajectory(strategy, numpy_state, f, 20))[-1]
    b = list(trajectory(strategy, strict_state, f, 20))[-1]
    np.testing.assert_allclose(np.from_dlpack(b.mean), a.mean, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("dim", [1, 2, 3, 8])
def test_dense_with_exp_is_xnes_to_machine_precision(dim):
    # Glasmachers et al. 2010, one step: B_sigma * expm of the trace and of the shape part
    structure = build_structure({"name": "dense", "retraction": "exp"}, dim)
    random = np.random.default_rng(dim)
    A = random.normal(size=(dim, dim)) + 3 * np.eye(dim)
    n = default_popsize(dim)
    Z = random.normal(size=(n, dim))
    utilities = np.maximum(0, np.log(n / 2 + 1) - np.log(np.arange(1, n + 1)))
    utilities = utilities / utilities.sum() - 1 / n
    eta_sigma, eta_B = 0.4, 0.25
    G = (Z.T * utilities) @ Z
    G_sigma = np.trace(G) / dim
    wanted = A * np.exp(eta_sigma / 2 * G_sigma)
    wanted = wanted @ expm(eta_B / 2 * (G - G_sigma * np.eye(dim)))

    M = structure.tangent(Z, utilities)
    s = structure.trace(M) / dim
    dense = eta_B * (structure.tangent_to_dense(M) - s * np.eye(dim)) + eta_sigma * s * np.eye(dim)
    factor = structure.retract((A,), type(M)(dense))
    np.testing.assert_allclose(factor[0], wanted, rtol=1e-12, atol=1e-13)


def test_dense_with_exp_agrees_with_the_xnes_of_the_cmaes_package():
    cmaes = pytest.importorskip("cmaes")
    dim = 6
    peer = cmaes.XNES(mean=np.zeros(dim), sigma=1.0, seed=3)
    structure = build_structure({"name": "dense", "retraction": "exp"}, dim)
    X = np.array([peer.ask() for _ in range(peer.population_size)])
    values = quartic(X)
    peer.tell(list(zip(X, values, strict=True)))

    n = len(X)
    utilities = np.maximum(0, np.log(n / 2 + 1) - np.log(np.arange(1, n + 1)))
    utilities = utilities / utilities.sum() - 1 / n
    rate = 0.6 * (3 + np.log(dim)) / (dim * np.sqrt(dim))  # its eta_B and eta_sigma are equal
    Z = X[np.argsort(values)]  # B = I, sigma = 1: samples are their own local coordinates
    M = structure.scale(structure.tangent(Z, utilities), rate)
    (A,) = structure.retract(structure.identity(np, np.float64), M)
    np.testing.assert_allclose(peer._sigma * peer._B, A, rtol=1e-12, atol=1e-13)


def test_h_agrees_with_exp_to_third_order():
    steps = {}
    for name in ("h", "exp"):
        structure = build_structure({"name": "dense", "retraction": name}, 5)
        M = structure.tangent(np.random.default_rng(1).normal(size=(4, 5)), np.full(4, 0.5))
        M = structure.scale(M, 1 / structure.norm(M))
        steps[name] = [
            structure.to_dense(structure.retract((np.eye(5),), structure.scale(M, eps)))
            for eps in (0.1, 0.05)
        ]
    gaps = [np.abs(a - b).max() for a, b in zip(steps["h"], steps["exp"], strict=True)]
    assert 6.5 < gaps[0] / gaps[1] < 9.5  # halving the step divides the gap by 2³


# -- noise ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("count, dim", [(1, 1_100_003), (2, 600_001), (3, 2**19), (70_000, 9)])
def test_what_threads_draw_together_is_what_one_draws(count, dim, dtype):
    address = (5, 0, 3, 11, count, dim)
    drawn = []
    try:
        for threads in (1, 2, 3, 8):
            noise.use_threads(threads)
            drawn.append(noise.normals(*address, dtype=dtype))
    finally:
        noise.use_threads(None)
    for other in drawn[1:]:
        np.testing.assert_array_equal(other, drawn[0])
    row = noise.normals(5, 0, 3, 11 + count - 1, 1, dim, dtype=dtype)
    np.testing.assert_array_equal(drawn[0][-1:], row)


def test_a_child_that_was_forked_draws_with_threads_of_its_own():
    script = """
import multiprocessing as m, numpy as np
from structes.arrays import noise
noise.use_threads(2)
draw = lambda: noise.normals(1, 0, 0, 0, 4, 2**18).sum()
def child(queue):
    queue.put(draw())
if __name__ == "__main__":
    here, fork = draw(), m.get_context("fork")
    queue = fork.Queue()
    process = fork.Process(target=child, args=(queue,))
    process.start()
    print(queue.get(timeout=30) == here)
    process.join()
"""
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert out.stdout == "True\n", out.stderr


def test_rows_drawn_one_by_one_are_the_block():
    for dim in (1, 3, 4, 7, 5000):
        block = noise.normals(5, 0, 9, 2, 4, dim)
        for i in range(4):
            np.testing.assert_array_equal(noise.normals(5, 0, 9, 2 + i, 1, dim), block[i : i + 1])


def test_noise_has_a_pinned_value_and_no_collisions():
    # integers and exact arithmetic up to the uniforms: the same bits on every machine
    golden = noise.uniforms(2026, 0, 3, 0, 100, 1000)
    digest = hashlib.sha256(golden.tobytes()).hexdigest()
    assert digest == "d52a157f3cebb27f5f66bba57226dce9d6b56d5f61a306f8bc5519d240c48a5d"
    z = noise.normals(2026, 0, 3, 0, 100, 1000)[99, 996:]
    np.testing.assert_allclose(
        z,
        [0.20370814049736785, 1.603673723259834, -0.35080140481129285, 0.5802188263872794],
        rtol=1e-13,
    )
    first = {
        tuple(noise.normals(seed, stream, generation, start, 1, 2)[0])
        for seed in (1, 2)
        for stream in (0, 1)
        for generation in (0, 1)
        for start in (0, 1)
    }
    assert len(first) == 16


def test_noise_is_philox_by_its_published_vector():
    # Random123's known answer for counter 0, key 0; the counter is incremented before use
    words = np.random.Philox(key=0, counter=2**256 - 1).random_raw(4)
    assert [hex(w) for w in words[:2]] == ["0x16554d9eca36314c", "0xdb20fe9d672d0fdc"]
    words = np.random.Philox(key=(7, 2), counter=(12, 0, 5, 0)).random_raw(4)
    wanted = ndtri((words >> np.uint64(11)) * 2.0**-53 + 2.0**-54)
    np.testing.assert_array_equal(noise.normals(7, 2, 5, 12, 1, 4)[0], wanted)


def test_noise_is_standard_normal():
    z = np.sort(noise.normals(1, 0, 0, 0, 200, 1000).ravel())
    n = z.size
    distance = np.abs(ndtr(z) - (np.arange(n) + 0.5) / n).max()  # Kolmogorov–Smirnov
    assert distance < 1.95 / np.sqrt(n)  # p = 0.001


def test_seed_is_checked():
    with pytest.raises(TypeError, match="seed must be an integer"):
        noise.check_seed(1.5)
    with pytest.raises(TypeError, match="seed must be an integer"):
        noise.check_seed(True)
    with pytest.raises(ValueError, match="seed must lie in"):
        noise.check_seed(-1)
    assert noise.check_seed(2**64 - 1) == 2**64 - 1
    assert noise.check_seed(None) != noise.check_seed(None)


# -- weights and rates ----------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 10, 101])
def test_weights(n):
    good, mirrored, bad, mueff, mueff_bad = recombination_weights(np.ones(n))
    raw = np.log((n + 1) / 2) - np.log(np.arange(1, n + 1))
    assert good.sum() == pytest.approx(1) and bad.sum() == pytest.approx(-1)
    assert (good[raw <= 0] == 0).all() and (bad[raw >= 0] == 0).all()
    assert mueff == pytest.approx(1 / np.sum(good**2))
    assert mueff_bad == pytest.approx(1 / np.sum(bad**2))
    assert (np.diff(good) <= 0).all() and (np.diff(bad) <= 0).all()
    np.testing.assert_allclose(mirrored, good[::-1])


def test_ranks_nan_last_ties_share():
    tables = np.array([[4.0, 3.0, 2.0, 1.0, 0.0], [8.0, 4.0, 2.0, 1.0, 0.5]])
    nan, inf = np.nan, np.inf
    order, ranked = ranking(np.array([3.0, 1.0, nan, 2.0, 0.0]))
    given = assign(order, ranked, tables)
    np.testing.assert_array_equal(given[0], [1, 3, 0, 2, 4])
    np.testing.assert_array_equal(ranked, [0, 1, 2, 3, nan])
    given = assign(*ranking(np.array([1.0, 0.0, 1.0, nan, inf])), tables)
    np.testing.assert_array_equal(given, [[2.5, 4, 2.5, 0.5, 0.5], [3, 8, 3, 0.75, 0.75]])
    for same in (np.full(5, 2.0), np.full(5, nan), np.array([inf, nan, inf, nan, inf])):
        assert assign(*ranking(same), tables) is None


def test_with_twins_apart_equal_values_rank_by_place_the_even_ones_first():
    nan, inf = np.nan, np.inf
    order, ranked = ranking(np.array([1.0, 0, 0, 0, 0, nan, inf, nan]), twins_apart=True)
    np.testing.assert_array_equal(order, [2, 4, 1, 3, 0, 6, 5, 7])
    np.testing.assert_array_equal(ranked, [0, 0, 0, 0, 1, inf, nan, nan])
    tables = np.arange(8.0)[None, ::-1]
    given = assign(order, ranked, tables, shared=False)
    np.testing.assert_array_equal(given, [[3, 5, 7, 4, 6, 1, 1, 1]])  # what failed still shares
    for same in (np.full(8, 2.0), np.full(8, nan), np.array([inf, nan] * 4)):
        assert assign(*ranking(same, True), tables, shared=False) is None


def test_the_share_that_is_tied_with_the_best():
    nan, inf = np.nan, np.inf
    cases = [([0, 1, 2], 0), ([0, 0, 2], 0.5), ([1, 1, 1], 1), ([0, 0, inf, nan], 0.5), ([3], 0)]
    cases += [([inf, inf], 1), ([2, nan], 0), ([nan, nan], 0)]
    for ranked, share in cases:
        assert tied_with_best(np.array(ranked, dtype=float)) == share, ranked


def test_missing_values_count_a_quarter_and_more_where_few_are_known():
    nan = np.nan
    assert with_missing(np.array([1.0, 2.0]), None) is None
    assert with_missing(np.array([nan, nan]), None) is None
    mass = with_missing(np.array([1.0, nan, 3.0, nan]), None)
    np.testing.assert_array_equal(mass, [1, 0.25, 1, 0.25])
    mass = with_missing(np.array([1.0, nan, 3.0]), np.array([0.5, 0.8, 1.0]))
    np.testing.assert_allclose(mass, [0.5, 0.5, 1.0])  # 2 in all
    np.testing.assert_array_equal(with_missing(np.array([1.0, nan, nan]), None), [1, 0.5, 0.5])
    np.testing.assert_array_equal(with_missing(np.array([1.0, nan]), None), [1, 1])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:all values of a generation were NaN")
@pytest.mark.parametrize("share", [0.2, 0.4])
def test_failures_by_luck_cost_little_more_than_themselves(share):
    def evaluations(share, seed):
        random = np.random.default_rng(seed)
        es = ES(random.uniform(1, 3, 8), 1.0, seed=seed, target=1e-8)
        while not es.stop():
            X = es.ask()
            values = (X * X) @ 10.0 ** np.arange(8)
            es.tell(X, np.where(random.uniform(size=len(X)) < share, np.nan, values))
        assert "target" in es.stop()
        return es.evaluations

    lost, whole = (np.mean([evaluations(p, seed) for seed in range(5)]) for p in (share, 0))
    assert lost < 1.7 * whole / (1 - share)  # 1.3; counted whole they cost 1.5 and 2.8


@pytest.mark.parametrize(("name", "spec", "dim"), [*CASES, ("dense", "dense", 1000)])
@pytest.mark.parametrize("popsize", [2, 4, 10, 100, 10_000])
def test_rates_are_legal_for_every_structure_dimension_and_population(name, spec, dim, popsize):
    for engine in (Engine(), cma()):
        check_rates(build_structure(spec, dim), engine, popsize)


def check_rates(structure, engine, popsize):
    mueff = recombination_weights(np.ones(popsize)).mueff
    rates = learning_rates(structure, engine, popsize, mueff, 1.5 * mueff)
    for part in rates.parts or (1.0,):
        c1, cmu = part * rates.c1, part * rates.cmu
        assert 0 < c1 < 1 and 0 <= cmu <= 1 and c1 + cmu <= 1
    assert 0 < rates.cc <= 1 and 0 < rates.cs < 1 and rates.ds >= 0.3 + rates.cs


def test_fewer_degrees_of_freedom_learn_faster():
    mueff = recombination_weights(np.ones(12)).mueff
    rates = {
        name: learning_rates(build_structure(name, 20), Engine(), 12, mueff, mueff)
        for name in ("dense", "diagonal", "lower", "upper")
    }
    assert rates["diagonal"].cmu > 5 * rates["dense"].cmu
    assert rates["lower"] == rates["upper"] == rates["dense"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dense", "diagonal", "scalar"])
@pytest.mark.parametrize("dim", [3, 10, 40])
def test_values_without_meaning_neither_grow_nor_shrink_the_distribution(name, dim):
    # under random ranks the mean step of log sigma is zero but for the curvature of the logarithm
    strategy, n = Strategy(build_structure(name, dim)), default_popsize(dim)
    slopes = []
    for seed in range(6):
        state = strategy.init(np.zeros(dim), 1.0, np.ones(dim))
        values = noise.uniforms(seed, noise.PROBLEM, 0, 0, 300, n)
        for t in range(300):
            Z, Y, _ = strategy.draw(state, seed, 0, n)
            state, _ = strategy.update(state, Z, Y, values[t])
        slopes.append(np.log(state.sigma) / 300)
    assert abs(np.mean(slopes)) < 0.03


@pytest.mark.parametrize(("name", "spec", "dim"), LAST)
def test_sigma_carries_the_scale_and_the_factor_the_shape(name, spec, dim):
    strategy = Strategy(build_structure(spec, dim))
    state = strategy.init(np.ones(dim), 1.0, np.ones(dim))
    after = list(trajectory(strategy, state, lambda X: np.sum(X * X, axis=1), 200))[-1]
    assert after.sigma < 0.1
    assert abs(strategy.structure.logdet(after.factor)) / dim < 0.05


def test_the_trust_region_bounds_the_step():
    strategy = Strategy(build_structure("dense", 3), trust_region=0.05)
    state = strategy.init(np.zeros(3), 1.0, np.ones(3))
    Z, Y, X = strategy.draw(state, 1, 0, 200)
    after, info = strategy.update(state, Z, Y, quartic(X - 3))
    assert info.clipped and info.norm > 0.05
    B = strategy.structure.to_dense(after.factor)
    assert np.linalg.norm(B - np.eye(3), 2) < 0.06
