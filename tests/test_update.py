"""The update: invariances of whole runs, equality with xNES, the scale apart from the shape."""

import numpy as np
import pytest
from scipy.linalg import expm

from structes.arrays import noise
from structes.strategy.engine import Engine
from structes.strategy.settings import default_popsize
from structes.strategy.strategy import Strategy
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

    a = list(trajectory(strategy, numpy_state, f, 8))[-1]
    b = list(trajectory(strategy, strict_state, f, 8))[-1]
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
    M = structure.shift(structure.scale(structure.shift(M, -s), eta_B), eta_sigma * s)
    factor = structure.retract((A,), M)
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
    strategy = Strategy(build_structure("dense", 3), Engine(trust_region=0.05))
    state = strategy.init(np.zeros(3), 1.0, np.ones(3))
    Z, Y, X = strategy.draw(state, 1, 0, 200)
    after, info = strategy.update(state, Z, Y, quartic(X - 3))
    assert info.clipped and info.norm > 0.05
    B = strategy.structure.to_dense(after.factor)
    assert np.linalg.norm(B - np.eye(3), 2) < 0.06


@pytest.mark.parametrize(("spec", "dim"), [("diagonal", 2000), ("dense", 60), ("circulant", 500)])
def test_steps_are_not_rounded_to_the_precision_of_candidates(spec, dim):
    """A generation of float32 moves B as the same samples do in float64: 1 + m in float32 would
    lose the more of a step m the smaller it is."""
    structure = build_structure(spec, dim)
    low, high = (Strategy(structure, dtype=dtype) for dtype in ("float32", "float64"))
    state = low.init(np.zeros(dim), 1.0, np.ones(dim))
    Z, Y, X = low.draw(state, 3, 0, low.popsize)
    values = (X.astype(float) - 1) ** 2 @ np.arange(1.0, dim + 1)
    moved = low.update(state, Z, Y, values)[0].factor[0]
    wanted = high.update(state, Z.astype(float), Y.astype(float), values)[0].factor[0]
    assert X.dtype == np.float32 and moved.dtype == np.float64
    step = np.linalg.norm(wanted - state.factor[0])
    assert np.linalg.norm(moved - wanted) < 1e-6 * step
