"""A Gaussian and a step against the dense truth, for every structure."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import multivariate_normal

import structes
from structes.core import Gaussian, step
from structes.structures import STRUCTURES, build_structure
from structes.structures.random_elements import element, example

NAMES = sorted(STRUCTURES)
D = 6


def gaussian_of(name, seed=3):
    """A Gaussian of this structure away from the identity, with a scale and a mean."""
    structure = build_structure(example(name, D), D)
    rng = np.random.default_rng(seed)
    mean, scale = rng.normal(size=D), np.exp(0.3 * rng.normal(size=D))
    if name == "scalar":  # it has this one covariance
        return Gaussian(structure, mean, 0.7, scale, structure.identity(np, np.float64))
    return Gaussian(structure, mean, 0.7, scale, element(structure, 30.0, seed))


def covariance_of(gaussian):
    """(d, d), from B as a matrix."""
    B = gaussian.structure.to_dense(gaussian.factor)
    root = gaussian.sigma * gaussian.scale[:, None] * np.linalg.inv(B).T
    return root @ root.T


@pytest.mark.parametrize("name", NAMES)
def test_densities_and_entropy_are_those_of_the_covariance(name):
    gaussian = gaussian_of(name)
    truth = multivariate_normal(gaussian.mean, covariance_of(gaussian))
    X = gaussian.mean + np.random.default_rng(1).normal(size=(5, D))
    np.testing.assert_allclose(gaussian.log_density(X), truth.logpdf(X), rtol=1e-9)
    assert gaussian.entropy() == pytest.approx(truth.entropy(), rel=1e-12)
    np.testing.assert_allclose(gaussian.deviations() ** 2, np.diag(truth.cov), rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_samples_have_the_covariance_and_whiten_undoes_them(name):
    gaussian = gaussian_of(name)
    Z, X = gaussian.draw(seed=5, count=40_000)
    assert Z.shape == (40_000, gaussian.structure.noise_dim)
    C = covariance_of(gaussian)
    root = np.linalg.inv(np.linalg.cholesky(C))
    np.testing.assert_allclose(root @ np.cov(X.T) @ root.T, np.eye(D), atol=0.04)
    np.testing.assert_allclose(gaussian.at(gaussian.whiten(X[:7])), X[:7], rtol=1e-9)
    again = gaussian.draw(seed=5, count=3, start=4)[1]
    np.testing.assert_allclose(again, X[4:7], rtol=1e-13)  # by address


@pytest.mark.parametrize("name", NAMES)
def test_gradients_in_local_coordinates_are_those_by_differences(name):
    gaussian = gaussian_of(name)
    if gaussian.structure.noise_dim > D:
        pytest.skip("z of latent structures is not a function of x")
    a = np.arange(1.0, D + 1)
    z = 0.1 * a
    x = gaussian.at(z[None, :])[0]
    gradient = np.cos(x) * a  # of Σ a sin x
    truth = approx_fprime(z, lambda z: float(a @ np.sin(gaussian.at(z[None, :])[0])), 1e-7)
    found = gaussian.whiten_gradient(gradient[None, :])[0]
    np.testing.assert_allclose(found, truth, rtol=1e-5, atol=1e-5)


def tangent_of(structure, factor, seed=2, size=0.2):
    rng = np.random.default_rng(seed)
    Z, w = rng.normal(size=(4, structure.noise_dim)), size * rng.normal(size=4)
    return structure.tangent_at(factor, Z, w)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("longest", [np.inf, 0.05])
def test_a_step_is_its_tangent_without_the_trace_and_not_too_long(name, longest):
    gaussian = gaussian_of(name)
    structure = gaussian.structure
    M = tangent_of(structure, gaussian.factor)
    dense = np.array(structure.tangent_to_dense(M))
    size = dense.shape[0]
    found = step(structure, M, longest, also=[7.0])
    shape = np.array(structure.tangent_to_dense(found.shape))
    assert found.also == [7.0]
    assert found.clipped == (longest < 1)
    by = min(1.0, longest / found.norm)
    if size == D:  # not of latent structures, whose M is of another size
        assert found.norm == pytest.approx(np.linalg.norm(dense), rel=1e-12)
        assert found.scale == pytest.approx(by * np.trace(dense) / D, rel=1e-12)
        np.testing.assert_allclose(
            shape, by * (dense - np.trace(dense) / D * np.eye(D)), atol=1e-13
        )
        whole = np.linalg.norm(shape + found.scale * np.eye(D))
        assert whole == pytest.approx(min(np.linalg.norm(dense), longest), rel=1e-12)


def test_rates_of_the_parts_come_before_the_trust_region():
    structure = build_structure("dense", D)
    M = tangent_of(structure, None)
    dense = np.array(structure.tangent_to_dense(M))
    off, on = 0.5, 2.0
    wanted = off * dense + (on - off) * np.diag(np.diag(dense))
    found = step(structure, M, parts=(off, on), identity=0.125)
    assert found.scale == pytest.approx(np.trace(wanted) / D - on * 0.125, rel=1e-12)
    shape = structure.tangent_to_dense(found.shape)
    np.testing.assert_allclose(shape, wanted - np.trace(wanted) / D * np.eye(D), atol=1e-13)
    norm = np.linalg.norm(shape + found.scale * np.eye(D))
    assert found.norm == pytest.approx(norm, rel=1e-12)


def test_what_m_has_too_much_of_i_is_taken_off_before_the_blocks_have_their_rates():
    """A `kronecker` has one group, which learns slower than the diagonal of a `dense`."""
    kronecker = {"name": "kronecker", "rows": 2, "cols": 2, "at": range(3, 7)}
    blocks = {"a": {"name": "dense", "at": range(3)}, "b": kronecker}
    structure = build_structure({"name": "direct_sum", "blocks": blocks}, 7)
    rng = np.random.default_rng(3)
    M = structure.tangent(rng.normal(size=(3, 7)), np.array([0.2, 0.1, -0.1]))
    off, on, joint = rates = (0.5, 2.0, 0.25)
    meant = np.array(structure.tangent_to_dense(M)) - 0.125 * np.eye(7)
    a, b = meant[:3, :3], meant[3:, 3:]
    wanted = np.zeros((7, 7))
    wanted[:3, :3] = off * a + (on - off) * np.diag(np.diag(a))
    wanted[3:, 3:] = joint * b
    found = step(structure, M, parts=rates, identity=0.125)
    shape = np.array(structure.tangent_to_dense(found.shape))
    np.testing.assert_allclose(shape + found.scale * np.eye(7), wanted, atol=1e-13)
    assert found.scale == pytest.approx(np.trace(wanted) / 7, rel=1e-12)


@pytest.mark.parametrize("whole", [False, True])
def test_the_scale_may_stay_with_the_shape(whole):
    structure = build_structure("dense", D)
    M = tangent_of(structure, None)
    found = step(structure, M, whole=whole, identity=0.125)
    assert (found.scale == 0) == whole
    wanted = np.array(structure.tangent_to_dense(M)) - 0.125 * np.eye(D)
    moved = np.array(structure.tangent_to_dense(found.shape)) + found.scale * np.eye(D)
    np.testing.assert_allclose(moved, wanted, atol=1e-13)
    assert found.norm == pytest.approx(np.linalg.norm(wanted), rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_moved_gaussian_keeps_the_determinant_of_b(name):
    gaussian = gaussian_of(name)
    structure = gaussian.structure
    M = structure.scale(tangent_of(structure, gaussian.factor, size=0.02), 1.0)
    move = step(structure, M)
    dz = 0.1 * np.ones(structure.noise_dim)
    moved = gaussian.moved(move, dz)
    np.testing.assert_allclose(moved.mean, gaussian.at(dz[None, :])[0], rtol=1e-12)
    assert moved.sigma == pytest.approx(gaussian.sigma * np.exp(-move.scale), rel=1e-12)
    before, after = structure.logdet(gaussian.factor), structure.logdet(moved.factor)
    assert abs(after - before) < 50 * move.norm**3 + 1e-12
    if structure.is_group:
        B = structure.to_dense(gaussian.factor) @ np.array(h(structure, move.shape))
        np.testing.assert_allclose(
            structure.to_dense(moved.factor), B, atol=5 * move.norm**2, rtol=0
        )


def h(structure, M):
    M = np.array(structure.tangent_to_dense(M))
    return np.eye(len(M)) + M + 0.5 * M @ M


@pytest.mark.parametrize("name", NAMES)
def test_another_structure_adopts_what_it_can_hold(name):
    gaussian = gaussian_of(name)
    dense = gaussian.adopt(build_structure("dense", D))
    truth = covariance_of(gaussian)
    np.testing.assert_allclose(covariance_of(dense), truth, rtol=1e-9, atol=1e-12)
    diagonal = gaussian.adopt(build_structure("diagonal", D))
    np.testing.assert_allclose(
        covariance_of(diagonal), np.diag(np.diag(truth)), rtol=1e-9, atol=1e-12
    )


def test_a_search_draws_from_its_gaussian():
    es = structes.ES(np.ones(4), 0.5, "dense", seed=1, engine="cma")
    for _ in range(5):
        X = es.ask()
        es.tell(X, np.sum(X**2, axis=1))
    X = es.ask()
    gaussian = es.strategy.gaussian(es.state)
    np.testing.assert_allclose(
        gaussian.draw(es.seed, es.popsize, generation=es.generation)[1], X, rtol=1e-13
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: Gaussian.standard("lower"), "structure must be a Structure.*got 'lower'"),
        (lambda s: Gaussian.standard(s, [1, 2]), r"mean must have shape \(3,\); got \(2,\)"),
        (lambda s: Gaussian.standard(s, [1, 2, np.nan]), "mean must be finite"),
        (lambda s: Gaussian.standard(s, sigma=-1), "sigma must be a positive number"),
        (lambda s: Gaussian.standard(s, scale=2.0), r"scale must have shape \(3,\); got \(\)"),
        (lambda s: Gaussian.standard(s, scale=[1, -2, 1]), "scale must be positive"),
        (lambda s: Gaussian.standard(s).at([[0, 0, 0]]), r"Z must be an array \(n, 3\); got list"),
        (lambda s: Gaussian.standard(s).log_density(np.ones(3)), r"X must be an array \(n, 3\)"),
        (
            lambda s: step(s, tangent_of(s, None), -1.0),
            "longest must be a positive number; got -1",
        ),
        (
            lambda s: Gaussian.standard(s).moved(step(s, tangent_of(s, None)), np.ones(2)),
            r"dz must be an array \(3,\)",
        ),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call(build_structure("lower", 3))


def test_the_standard_gaussian():
    gaussian = Gaussian.standard(build_structure("lower", 3))
    truth = multivariate_normal(np.zeros(3), np.eye(3))
    assert gaussian.log_density(np.ones((1, 3)))[0] == pytest.approx(truth.logpdf(np.ones(3)))
    moved = Gaussian.standard(build_structure("lower", 3), [1, 2, 3], 2.0, [1, 1, 4])
    np.testing.assert_allclose(moved.deviations(), [2, 2, 8])
