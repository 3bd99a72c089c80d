"""Circulant: its spectrum against matrices written out, and what it is good for."""

import numpy as np
import pytest
from scipy.linalg import circulant

import structes
from structes.search.covariance import covariance_of
from structes.structures.circulant import Circulant
from structes.structures.dense import Dense


@pytest.mark.parametrize("dim", [1, 2, 3, 8, 9])
def test_the_factor_is_the_half_spectrum_of_B(dim):
    s = np.random.default_rng(dim).uniform(0.5, 2, size=dim // 2 + 1)
    B = Circulant(dim).to_dense((s,))
    np.testing.assert_allclose(B, circulant(np.fft.irfft(s, n=dim)), atol=1e-14)
    full = [s[min(f, dim - f)] for f in range(dim)]
    np.testing.assert_allclose(np.linalg.eigvalsh(B), np.sort(full), atol=1e-13)


@pytest.mark.parametrize("dim", [1, 2, 5, 8])
def test_the_tangent_is_that_of_dense_averaged_around_the_ring(dim):
    random = np.random.default_rng(dim)
    Z, w = random.normal(size=(6, dim)), random.normal(size=6)
    M = Dense(dim).tangent_to_dense(Dense(dim).tangent(Z, w))
    distance = (np.arange(dim)[:, None] - np.arange(dim)) % dim
    wanted = np.array([M[(distance == k) | (distance == dim - k)].mean() for k in range(dim)])
    ring = Circulant(dim)
    got = ring.tangent_to_dense(ring.tangent(Z, w))
    np.testing.assert_allclose(got, wanted[np.minimum(distance, dim - distance)], atol=1e-13)


def test_a_covariance_around_a_ring_is_learned_faster_than_by_dense():
    dim = 24
    K = np.eye(dim) - 0.49 * (np.roll(np.eye(dim), 1, 0) + np.roll(np.eye(dim), -1, 0))

    def f(X):
        return np.sum((X @ K) ** 2, axis=1)

    used = [
        structes.minimize(
            f, [1.0] * dim, 1.0, structure=name, seed=1, target=1e-9, vectorized=True
        ).nfev
        for name in ("circulant", "dense")
    ]
    assert used[0] < 0.6 * used[1]


def test_a_covariance_of_the_ring_is_taken_exactly():
    C = circulant([1.0, 0.6, 0.3, 0.3, 0.6])
    es = structes.ES(np.zeros(5), 0.3, "circulant", covariance=C)
    got = covariance_of(es.structure, es.state)
    np.testing.assert_allclose(got, 0.09 * C, atol=1e-8)
