"""Linear algebra beyond the array standard: each function beside its definition."""

import numpy as np
import pytest

from structes.arrays import linalg

SHAPES = [(1, 1), (5, 3), (40, 7)]


def drawn(*shape):
    return np.random.default_rng(shape).normal(size=shape)


def triangle(d, lower):
    a = drawn(d, d) / d + 2 * np.eye(d)
    return np.tril(a) if lower else np.triu(a)


@pytest.mark.parametrize("dim, count", SHAPES)
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("trans", [True, False])
def test_triangular_systems(dim, count, lower, trans, backend):
    a, b = triangle(dim, lower), drawn(dim, count)
    for right in (b, np.asfortranarray(b)):
        x = linalg.solve_triangular(
            backend.array(a), backend.array(right), lower=lower, trans=trans
        )
        np.testing.assert_allclose((a.T if trans else a) @ backend.numpy(x), b, atol=1e-12)


def test_triangular_systems_in_single_precision():
    a, b = triangle(30, True).astype(np.float32), drawn(30, 4).astype(np.float32)
    x = linalg.solve_triangular(a, b, lower=True)
    assert x.dtype == np.float32
    np.testing.assert_allclose(a @ x, b, atol=1e-4)


@pytest.mark.parametrize("dim, count", SHAPES)
def test_positive_definite_systems(dim, count, backend):
    root, b = drawn(dim, dim), drawn(dim, count)
    a = root @ root.T + np.eye(dim)
    x = linalg.solve_positive(backend.array(a), backend.array(b))
    np.testing.assert_allclose(a @ backend.numpy(x), b, atol=1e-9)


def test_a_symmetric_matrix_that_is_not_positive_is_solved_all_the_same():
    a, b = np.diag([1.0, -2.0]), np.array([[1.0], [1.0]])
    np.testing.assert_allclose(linalg.solve_positive(a, b), [[1.0], [-0.5]])


@pytest.mark.parametrize("scale", ["a number", "columns"])
@pytest.mark.parametrize("dim, rank", SHAPES)
def test_a_scaled_matrix_and_products_of_rows(dim, rank, scale, backend):
    a, y, p = drawn(dim, dim), drawn(rank, dim), drawn(dim, rank).T
    s = 0.5 if scale == "a number" else np.linspace(1, 2, dim)
    given = s if scale == "a number" else backend.array(s)
    arrays = backend.array(y), backend.array(p)
    found = linalg.scaled_rank_update(backend.array(a), given, *arrays)
    np.testing.assert_allclose(backend.numpy(found), a * s + y.T @ p, atol=1e-13)


@pytest.mark.parametrize("n, dim", [(1, 1), (1, 4), (4, 4), (3, 30)])
def test_orthonormal_rows_are_those_of_gram_and_schmidt(n, dim):
    z, wanted = drawn(n, dim), []
    for row in z:
        for other in wanted:
            row = row - (row @ other) * other
        wanted.append(row / np.linalg.norm(row))
    np.testing.assert_allclose(linalg.orthonormal_rows(z), wanted, atol=1e-12)


@pytest.mark.parametrize("tile", [10**9, 7])
def test_squares_that_are_summed_with_weights(tile, monkeypatch, backend):
    monkeypatch.setattr("structes.arrays.tiles.CACHED", tile)
    Z, w = drawn(11, 3), drawn(11)
    found = linalg.weighted_squares(backend.array(Z), backend.array(w))
    np.testing.assert_allclose(backend.numpy(found), w @ Z**2, atol=1e-13)


@pytest.mark.parametrize("dim", [1, 6])
def test_trace_total_and_diagonals(dim, backend):
    a = drawn(dim, dim)
    assert float(linalg.trace(backend.array(a))) == pytest.approx(np.trace(a))
    assert float(linalg.total(backend.array(a))) == pytest.approx(a.sum())
    parts = linalg.scale_parts(backend.array(a), 0.5, 3.0)
    wanted = 0.5 * a + 2.5 * np.diag(np.diag(a))
    np.testing.assert_allclose(backend.numpy(parts), wanted, atol=1e-14)
    stack = drawn(4, dim, dim)
    parts = linalg.scale_parts(backend.array(stack), 0.5, 3.0)
    np.testing.assert_allclose(
        backend.numpy(parts), [0.5 * b + 2.5 * np.diag(np.diag(b)) for b in stack], atol=1e-14
    )


@pytest.mark.parametrize("order", ["C", "F", "neither"])
def test_a_diagonal_is_added_to_whatever_the_order_in_memory(order, backend):
    a, value = drawn(6, 6), np.arange(6.0)
    mine = backend.xp.asarray(np.array(a, order="F" if order == "F" else "C"))  # it is written
    if order == "neither":
        mine = backend.xp.asarray(drawn(6, 12))[:, ::2]
        a = backend.numpy(mine)
    for added in (2.0, value):
        given = added if isinstance(added, float) else backend.array(added)
        a = a + added * np.eye(6)
        mine = linalg.add_to_diagonal(mine, given)
        np.testing.assert_allclose(backend.numpy(mine), a, atol=1e-14)
