"""What the default does beyond CMA-ES: sampling, weights, and the pure forms by name."""

import numpy as np
import pytest
from scipy.stats import kstest

from structes import ES, minimize
from structes.strategy.engine import Engine, build_engine
from structes.strategy.sampling import Sampling
from structes.strategy.strategy import Strategy
from structes.strategy.weights_and_rates import recombination_weights
from structes.structures.building import build_structure

SAMPLINGS = [Sampling(1, False), Sampling(4, False), Sampling(4, True), Sampling(1, True)]


def quartic(X):
    d = X.shape[1]
    return (X**2) @ (1 + np.arange(d)) ** 2 + (X**4).sum(1)


# -- sampling -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_candidate_is_a_function_of_its_index_alone(sampling):
    whole = sampling.draw(3, 7, 0, 30, 6)
    for start in range(0, 30, 7):
        for count in (1, 2, 9):
            rows = sampling.draw(3, 7, start, min(count, 30 - start), 6)
            np.testing.assert_array_equal(rows, whole[start : start + count])
    assert np.abs(sampling.draw(3, 8, 0, 30, 6) - whole).min() > 0


def test_rows_of_a_block_are_orthogonal_and_keep_their_length():
    Z = Sampling(5, False).draw(1, 2, 0, 10, 7)
    plain = Sampling().draw(1, 2, 0, 10, 7)
    for block in (slice(0, 5), slice(5, 10)):
        gram = Z[block] @ Z[block].T
        np.testing.assert_allclose(gram, np.diag(gram.diagonal()), atol=1e-12)
    np.testing.assert_allclose((Z**2).sum(1), (plain**2).sum(1), rtol=1e-12)
    np.testing.assert_allclose(Z[0], plain[0], rtol=1e-12)  # the first row of a block stays


def test_mirror_images_follow_each_other():
    Z = Sampling(3, True).draw(1, 2, 0, 12, 7)
    np.testing.assert_array_equal(Z[0::2], -Z[1::2])
    np.testing.assert_array_equal(Z[0::2], Sampling(3, False).draw(1, 2, 0, 6, 7))


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_every_single_row_is_standard_normal(sampling):
    # the last row of a block is the one that orthogonality constrains most
    last = sampling.size * (2 if sampling.mirrored else 1) - 1
    Z = np.concatenate([sampling.draw(11, t, last, 1, 4) for t in range(4000)])
    for j in range(4):
        assert kstest(Z[:, j], "norm").pvalue > 1e-3
    assert kstest((Z @ np.full(4, 0.5)), "norm").pvalue > 1e-3
    np.testing.assert_allclose(np.cov(Z.T), np.eye(4), atol=0.12)


def test_auto_sampling_mirrors_where_candidates_are_many():
    engine = Engine()
    assert engine.sampling_of(10, 10) == Sampling(5, True)
    assert engine.sampling_of(10, 21) == Sampling(10, False)
    assert engine.sampling_of(400, 41) == Sampling(41, True)
    assert engine.sampling_of(10, 201) == engine.sampling_of(500, 1001) == Sampling()
    assert Engine(sampling="independent").sampling_of(10, 10) == Sampling()


# -- the pure forms -------------------------------------------------------------------------------


def test_xnes_is_that_of_the_cmaes_package_over_a_whole_run():
    cmaes = pytest.importorskip("cmaes")
    dim = 6
    peer = cmaes.XNES(mean=np.ones(dim), sigma=1.3, seed=3)
    es = ES(np.ones(dim), 1.3, "dense", seed=1, engine="xnes", popsize=peer.population_size)
    for _ in range(50):
        # the peer gets our local coordinates, mapped by its own mean, sigma and B
        Z = es.strategy.draw(es.state, es.seed, 0, es.popsize)[0]
        X = es.ask()
        theirs = peer._mean + peer._sigma * (Z @ peer._B.T)
        peer.tell(list(zip(theirs, quartic(theirs), strict=True)))
        es.tell(X, quartic(X))
        np.testing.assert_allclose(es.mean, peer._mean, rtol=1e-9, atol=1e-12)
        assert es.sigma == pytest.approx(peer._sigma, rel=1e-10)


def test_cma_is_the_textbook_update():
    # one generation of Hansen 2016 from C = I, to second order in the small rates
    dim, n = 40, 12
    strategy = Strategy(build_structure("dense", dim), build_engine("cma"), n)
    state = strategy.init(np.zeros(dim), 1.0, np.ones(dim))
    Z, Y, X = strategy.draw(state, 5, 0, n)
    order = np.argsort(quartic(X + 1))
    new, _ = strategy.update(state, Z, Y, quartic(X + 1))
    w = recombination_weights(np.ones(n))
    np.testing.assert_allclose(new.mean, w.positive @ X[order], rtol=1e-12)

    mueff = w.mueff
    c1 = 2 / ((dim + 1.3) ** 2 + mueff)
    cmu = 2 * (mueff - 2 + 1 / mueff + 0.25) / ((dim + 2) ** 2 + mueff)
    alpha = min(1 + c1 / cmu, 1 + 2 * w.mueff_negative / (mueff + 2))
    signed = w.positive + alpha * w.negative
    z = Z[order]
    stretched = np.where(signed < 0, signed * dim / (z**2).sum(1), signed)
    cc = (4 + mueff / dim) / (dim + 4 + 2 * mueff / dim)
    path = np.sqrt(cc * (2 - cc) * mueff) * (w.positive @ z)
    eye = np.eye(dim)
    C = (
        eye
        + cmu * ((z.T * stretched) @ z - signed.sum() * eye)
        + c1 * (np.outer(path, path) - eye)
    )
    A = new.factor[0] * new.sigma
    cs = (mueff + 2) / (dim + mueff + 5)
    ps = np.sqrt(cs * (2 - cs) * mueff) * np.linalg.norm(w.positive @ z)
    chi = np.sqrt(dim) * (1 - 1 / (4 * dim) + 1 / (21 * dim**2))
    ours = A @ A.T / np.exp(2 * cs / (1 + cs) * (ps / chi - 1))
    change = np.linalg.norm(C - eye)
    assert np.linalg.norm(ours - C) < 0.1 * change  # rates agree to 6 %, h to second order


def test_the_pure_forms_are_reached_by_name_and_by_switches():
    f = quartic
    runs = {}
    switches = Engine("independent", 0.0, 1.0, 1.0, False, None, np.inf, True)
    for spec in ("cma", {"name": "cma"}, switches):
        result = minimize(
            f, [1.0] * 4, 1.0, seed=2, engine=spec, max_evaluations=400, vectorized=True
        )
        runs[str(spec)] = result.x.tobytes()
    assert len(set(runs.values())) == 1
    other = minimize(f, [1.0] * 4, 1.0, seed=2, max_evaluations=400, vectorized=True)
    assert other.x.tobytes() not in runs.values()


@pytest.mark.parametrize("name", ["dense", "diagonal", "lower", "block_upper", "kronecker:rows3"])
@pytest.mark.parametrize("engine", ["default", "cma", "xnes"])
def test_every_engine_minimises_with_every_kind_of_structure(name, engine):
    result = minimize(
        quartic, np.ones(6), 0.5, name, seed=1, engine=engine, target=1e-8,
        max_evaluations=20_000, vectorized=True,
    )  # fmt: skip
    assert result.success, result.message


@pytest.mark.slow
@pytest.mark.parametrize("dim", [10, 20])
def test_each_switch_earns_its_keep_on_an_ellipsoid(dim):
    scales = np.geomspace(1, 1e6, dim)

    def cost(**switches):
        engine = {"name": "default", **switches}
        runs = [
            minimize(
                lambda X: X**2 @ scales, np.ones(dim), 1.0, "dense", seed, engine=engine,
                target=1e-9, max_evaluations=100_000, vectorized=True,
            ).nfev
            for seed in range(9)
        ]  # fmt: skip
        return np.exp(np.log(runs).mean())

    default = cost()
    assert default < 0.95 * cost(sampling="independent")
    assert default < 0.95 * cost(parts=False)
    assert default < 0.95 * cost(damping=1.5)
    assert default < 1.05 * cost(mirror=0.0)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cmaes", "unknown engine 'cmaes'.*cma"),
        ({"name": "default", "kapa": 1}, "no argument 'kapa'"),
        ({"name": "default", "sampling": "qmc"}, "sampling must be one of"),
        ({"name": "default", "mirror": 2.0}, r"mirror must lie in \[0, 1\]"),
        ({"name": "default", "damping": -1.0}, "damping must be a positive number"),
        ({"name": "default", "parts": "no"}, "parts must be true or false"),
    ],
)
def test_wrong_engines_are_named(spec, message):
    with pytest.raises((ValueError, TypeError), match=message):
        ES([0.0, 0.0], 1.0, engine=spec)
