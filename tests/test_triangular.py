"""The factored tangent of triangular matrices is the plain one, at any size and any operation."""

import numpy as np
import pytest
from scipy.linalg import expm

from structes.arrays.linalg import solve_triangular
from structes.structures.triangular import Factored, Lower, Plain, Upper


@pytest.fixture(params=[(kind, dim) for kind in (Lower, Upper) for dim in (1, 2, 13, 64, 65, 200)])
def pair(request, backend):
    kind, dim = request.param
    random, r = np.random.default_rng(dim), 5
    U, w, diagonal = random.normal(size=(r, dim)), random.normal(size=r), random.normal(size=dim)
    factored = Factored(*(backend.array(0.1 * a) for a in (U, w, diagonal)))
    structure = kind(dim)
    dense = -((0.1 * U).T * (0.1 * w)) @ (0.1 * U)
    strict = np.tril(dense, -1) if kind is Lower else np.triu(dense, 1)
    plain = Plain(backend.array(strict + np.diag(0.1 * diagonal)))
    B = strict + np.eye(dim)
    return structure, backend.freeze(factored), backend.freeze(plain), backend.array(B), backend


def test_dense_form_norm_and_trace(pair):
    structure, factored, plain, _, backend = pair
    got = backend.numpy(structure.tangent_to_dense(factored))
    np.testing.assert_allclose(got, backend.numpy(plain.M), atol=1e-14)
    assert float(structure.norm(factored)) == pytest.approx(float(structure.norm(plain)), rel=1e-9)
    assert float(structure.trace(factored)) == pytest.approx(
        float(structure.trace(plain)), rel=1e-12
    )


def test_retract_and_transport(pair):
    structure, factored, plain, B, backend = pair
    (got,), (wanted,) = structure.retract((B,), factored), structure.retract((B,), plain)
    np.testing.assert_allclose(backend.numpy(got), backend.numpy(wanted), atol=1e-13)
    q = backend.array(np.random.default_rng(1).normal(size=(3, structure.dim)))
    for rows in (q, q[0, :]):
        got, wanted = structure.transport(factored, rows), structure.transport(plain, rows)
        np.testing.assert_allclose(backend.numpy(got), backend.numpy(wanted), atol=1e-12)


def test_scale_shift_add(pair):
    structure, factored, plain, _, backend = pair
    for M in (factored, plain):
        both = structure.add(structure.scale(M, 2.0), structure.shift(factored, 0.5))
        wanted = 3 * backend.numpy(plain.M) + 0.5 * np.eye(structure.dim)
        got = backend.numpy(structure.tangent_to_dense(both))
        np.testing.assert_allclose(got, wanted, atol=1e-13)


def test_scale_with_a_rate_for_each_parameter_group(pair):
    structure, factored, plain, _, backend = pair
    M = backend.numpy(plain.M)
    wanted = 2 * M + np.diag(M.diagonal())  # 2 off the diagonal, 3 on it
    for form in (factored, plain):
        got = structure.tangent_to_dense(structure.scale(form, (2.0, 3.0)))
        np.testing.assert_allclose(backend.numpy(got), wanted, atol=1e-14)


def test_large_dimensions_keep_the_tangent_factored_and_small_ones_do_not():
    random = np.random.default_rng(0)
    for dim, kind in ((300, Factored), (40, Plain)):
        M = Lower(dim).tangent(random.normal(size=(6, dim)), np.full(6, 0.1))
        assert isinstance(M, kind)
    assert isinstance(Lower(300).tangent(random.normal(size=(90, 300)), np.full(90, 0.1)), Plain)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [0, 1, 7])
@pytest.mark.parametrize("lower", [False, True])
def test_triangular_systems_are_solved_in_any_layout(lower, n, dtype):
    rng = np.random.default_rng(3)
    whole = rng.normal(size=(5, 5)) + 3 * np.eye(5)
    b = rng.normal(size=(5, n)).astype(dtype)
    a = (np.tril(whole) if lower else np.triu(whole)).astype(dtype)
    for orders in ("CC", "CF", "FC", "FF"):
        its = [np.array(x, order=order) for x, order in zip((a, b), orders, strict=True)]
        for trans, matrix in ((False, a), (True, a.T)):
            x = solve_triangular(*its, lower=lower, trans=trans)
            assert x.dtype == dtype and x.shape == b.shape
            np.testing.assert_allclose(matrix @ x, b, atol=1e-5 if dtype == np.float32 else 1e-13)
        assert np.array_equal(its[1], b)


@pytest.mark.parametrize("kind", [Lower, Upper])
@pytest.mark.parametrize("size", [0.3, 0.99, 1.7, 3.0, 9.0])
def test_the_exponential_of_any_norm(kind, size):
    """It is made of retractions (exponential.py), which are taken the more of the longer M is."""
    structure, random = kind(5), np.random.default_rng(3)
    M = (np.tril if kind is Lower else np.triu)(random.normal(size=(5, 5)))
    M *= size / np.linalg.norm(M)
    B, q = np.eye(5) + 0.3 * M / size, random.normal(size=(2, 5))
    (moved,) = structure.retract_exp((B,), Plain(M))
    np.testing.assert_allclose(moved, B @ expm(M), rtol=0, atol=1e-12 * np.exp(size))
    rows = structure.transport_exp(Plain(M), q)
    np.testing.assert_allclose(rows, q @ expm(M), rtol=0, atol=1e-12 * np.exp(size))
