"""Block structures: what their docstrings claim of covariance and precision, and wrong input."""

import numpy as np
import pytest

import structes
from structes.structures.building import build_structure


def element(structure, steps=3):
    """Dense B of a random element, and its tangent arrays' sizes."""
    random = np.random.default_rng(5)
    factor = structure.identity(np, np.float64)
    for _ in range(steps):
        M = structure.tangent(random.normal(size=(6, structure.dim)), random.normal(size=6))
        factor = structure.retract(factor, structure.scale(M, 0.5 / structure.norm(M)))
    return factor


def matrices(structure):
    B = structure.to_dense(element(structure))
    return B, B @ B.T, np.linalg.inv(B @ B.T)


def rank(A):
    return np.linalg.matrix_rank(A, tol=1e-10)


def test_block_upper_is_a_covariance_of_rank_k_plus_diagonal():
    B, precision, covariance = matrices(build_structure({"name": "block_upper", "k": 3}, 10))
    own = np.diag(np.r_[np.zeros(3), np.diag(B)[3:] ** -2.0])
    assert rank(covariance - own) == 3
    rest = precision[3:, 3:]
    np.testing.assert_allclose(rest, np.diag(np.diag(rest)), atol=1e-14)  # an arrow


def test_block_lower_is_a_precision_of_rank_k_plus_diagonal():
    B, precision, covariance = matrices(build_structure({"name": "block_lower", "k": 3}, 10))
    own = np.diag(np.r_[np.zeros(3), np.diag(B)[3:] ** 2.0])
    assert rank(precision - own) == 3
    rest = covariance[3:, 3:]
    np.testing.assert_allclose(rest, np.diag(np.diag(rest)), atol=1e-13)


@pytest.mark.parametrize(("name", "a", "b"), [("lower", 2, 3), ("upper", 3, 2)])
def test_hierarchical_has_low_rank_in_precision_and_in_covariance(name, a, b):
    structure = build_structure({"name": f"hierarchical_{name}", "k1": 2, "k2": 3}, 14)
    B, precision, covariance = matrices(structure)
    middle = slice(2, 11)
    D = np.diag(B)[middle]
    assert rank(precision[middle, middle] - np.diag(D**2)) == a
    assert rank(covariance[middle, middle] - np.diag(D**-2.0)) == b


def test_upper_heisenberg_is_the_lower_one_with_its_ends_exchanged():
    upper = element(build_structure({"name": "hierarchical_upper", "k1": 2, "k2": 3}, 9))
    structure = build_structure({"name": "hierarchical_upper", "k1": 2, "k2": 3}, 9)
    support = structure.to_dense(upper) != 0
    swapped = [*range(6, 9), *range(2, 6), *range(2)]
    other = build_structure({"name": "hierarchical_lower", "k1": 3, "k2": 2}, 9)
    wanted = other.to_dense(element(other)) != 0
    np.testing.assert_array_equal(support[np.ix_(swapped, swapped)], wanted)


@pytest.mark.parametrize(("name", "power"), [("upper_lower", -2.0), ("lower_upper", 2.0)])
def test_the_mixed_orientations_are_block_triangular_families(name, power):
    # docstrings: the covariances (precisions) of block_upper (block_lower) with k = k1 + k2
    structure = build_structure({"name": f"hierarchical_{name}", "k1": 2, "k2": 1}, 9)
    B, precision, covariance = matrices(structure)
    own = np.zeros(9)
    own[2:8] = np.diag(B)[2:8] ** power
    assert rank((covariance if power < 0 else precision) - np.diag(own)) == 3


@pytest.mark.parametrize("name", ["block_upper", "block_lower"])
def test_the_ends_are_diagonal_and_dense(name):
    """With one rate for all: else dense takes its step in two."""
    engine = {"name": "default", "parts": False}

    def run(structure):
        es = structes.ES(np.ones(6), 1.0, structure, seed=2, engine=engine)
        for _ in range(30):
            X = es.ask()
            es.tell(X, (X**2 @ 10.0 ** np.arange(6)) + X.sum(1) ** 2)
        return es.mean

    ends = ((0, "diagonal"), (6, "dense"))
    for k, same in ends:
        np.testing.assert_allclose(run({"name": name, "k": k}), run(same), rtol=1e-7)


def test_lead_names_the_coordinates_that_the_others_share():
    structure = build_structure({"name": "block_upper", "k": 2, "lead": [4, 1]}, 6)
    B = structure.to_dense(element(structure))
    order = [4, 1, 0, 2, 3, 5]
    assert (np.tril(B[np.ix_(order, order)], -1)[2:] == 0).all()


def test_block_diagonal_equals_dense_on_every_block():
    structure = build_structure({"name": "block_diagonal", "sizes": [2, 3, 2]}, 7)
    random = np.random.default_rng(1)
    Z, w = random.normal(size=(5, 7)), random.normal(size=5)
    M = structure.tangent_to_dense(structure.tangent(Z, w))
    start = 0
    for n in (2, 3, 2):
        part = slice(start, start + n)
        dense = build_structure("dense", n)
        wanted = dense.tangent_to_dense(dense.tangent(Z[:, part], w))
        np.testing.assert_allclose(M[part, part], wanted, atol=1e-14)
        start += n


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ({"name": "block_upper", "k": 7}, ValueError, "k must be an integer from 0 to 6; got 7"),
        ({"name": "block_lower", "k": -1}, ValueError, "k must be an integer from 0 to 6; got -1"),
        ({"name": "block_upper", "k": 1.5}, TypeError, "k must be an integer from 0 to 6"),
        (
            {"name": "block_upper", "k": 2, "lead": [0]},
            ValueError,
            "must name 2 coordinates; got 1",
        ),
        ({"name": "block_upper", "k": 2, "lead": [3, 3]}, ValueError, r"once; repeated: \[3\]"),
        ({"name": "block_upper", "k": 1, "lead": [6]}, ValueError, r"lead\[0\] must .* 0 to 5"),
        ({"name": "block_upper", "k": 1, "lead": 3}, TypeError, "a list of 1 coordinates; got 3"),
        ({"name": "block_upper", "kk": 1}, ValueError, "no argument 'kk' .did you mean 'k'"),
        ({"name": "hierarchical_lower", "k1": 4, "k2": 3}, ValueError, "k2 must .* from 0 to 2"),
        ({"name": "hierarchical_lower", "lead": [0], "tail": [0]}, ValueError, "not share"),
        ({"name": "hierarchical_lower", "lead": [0]}, ValueError, "give both lead and tail"),
        ({"name": "block_diagonal", "sizes": [2, 2]}, ValueError, "must sum to dim 6; got 4"),
        ({"name": "block_diagonal", "sizes": 4}, ValueError, "must divide dim 6; got 4"),
        ({"name": "block_diagonal", "sizes": [7, -1]}, ValueError, r"sizes\[1\] must be"),
        ({"name": "block_diagonal", "sizes": 2.5}, TypeError, "sizes must be a list"),
    ],
)
def test_bad_parameters(spec, error, message):
    with pytest.raises(error, match=message):
        structes.ES(np.zeros(6), 1.0, spec)


def ellipsoid(structure, condition=1e6):
    """xᵀ H x, H = (B D)(B D)ᵀ with B D an element of the group: the inverse Hessian fits."""
    B = structure.to_dense(element(structure, steps=12))
    s = condition ** (np.arange(structure.dim) / (structure.dim - 1) / 2)
    H = (B * s) @ (B * s).T
    return lambda X: np.einsum("ij,jk,ik->i", X, H, X)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "dim"),
    [
        ({"name": "block_diagonal", "sizes": 5}, 40),
        ({"name": "block_lower", "k": 2}, 40),
        ({"name": "block_upper", "k": 2}, 40),
    ],
)
def test_a_structure_that_fits_needs_fewer_evaluations_than_dense(spec, dim):
    f = ellipsoid(build_structure(spec, dim))

    def evaluations(structure):
        result = structes.minimize(
            f, np.ones(dim), 1.0, structure, 1, 200_000, target=1e-9, vectorized=True
        )
        assert result.success, result.stop
        return result.nfev

    assert evaluations(spec) < 0.8 * evaluations("dense")
