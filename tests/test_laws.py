"""The law suite: every structure of the table, on every backend, against the dense truth.

What a structure is in d×d matrices stands in `structure_table.py`; a new structure joins by its
line there. Elements are made by retracting random tangents from the identity, so nothing here
knows how a structure stores them.
"""

import numpy as np
import pytest

from structes.structures import STRUCTURES
from structes.structures.building import build_structure

from .conftest import on_host
from .structure_table import TRUTH, retraction

CASES = [(name, *case) for name, truth in TRUTH.items() for case in truth.cases]


@pytest.fixture(params=CASES, ids=lambda c: f"{c[0]}-{c[1]}-{c[2]}")
def law(request, backend):
    return Law(*request.param, backend)


class Law:
    """A structure, an element B that is not the identity, samples and weights."""

    def __init__(self, name, spec, dim, backend):
        self.truth = TRUTH[name]
        self.structure = build_structure(spec, dim)
        self.backend, self.dim = backend, dim
        self.random = np.random.default_rng(dim)
        self.factor = self.element()

    def samples(self, n=4):
        """Rows Z (n, d) and weights of both signs that do not sum to zero."""
        Z = self.backend.array(self.random.normal(size=(n, self.dim)))
        return Z, self.backend.array(self.random.normal(size=n) * 0.2 + 0.1)

    def tangent(self, n=4):
        M = self.structure.tangent(*self.samples(n))
        return self.backend.freeze(self.structure.scale(M, 0.4 / max(self.structure.norm(M), 0.4)))

    def element(self, steps=3):
        factor = self.structure.identity(self.backend.xp, self.backend.xp.float64)
        for _ in range(steps):
            factor = self.structure.retract(self.backend.freeze(factor), self.tangent())
        return self.backend.freeze(factor)

    def B(self, factor=None):
        return self.backend.numpy(self.structure.to_dense(factor or self.factor))

    def M(self, tangent):
        return self.backend.numpy(self.structure.tangent_to_dense(tangent))

    def h(self, tangent):
        """What retract multiplies B with, as a dense matrix."""
        return retraction(self.structure, on_host(tangent))

    def close(self, got, wanted, tol=1e-10):
        np.testing.assert_allclose(self.backend.numpy(got), wanted, rtol=tol, atol=tol)


def test_every_structure_of_the_table_has_its_truth_written_down():
    assert set(TRUTH) == set(STRUCTURES)


def test_identity_is_the_identity(law):
    factor = law.structure.identity(law.backend.xp, law.backend.xp.float64)
    np.testing.assert_array_equal(law.B(factor), np.eye(law.dim))


def test_unwhiten_and_whiten_agree_with_the_dense_matrix(law):
    Z, _ = law.samples()
    z, B = law.backend.numpy(Z), law.B()
    Y = law.structure.unwhiten(law.factor, Z)
    law.close(Y, np.linalg.solve(B.T, z.T).T)
    law.close(law.structure.whiten(law.factor, Z), z @ B)
    law.close(law.structure.whiten(law.factor, Y), z)


def test_retraction_is_B_times_h_of_M(law):
    M = law.tangent()
    wanted = law.B() @ law.h(M)
    law.close(law.structure.to_dense(law.structure.retract(law.factor, M)), wanted)


def test_retraction_uses_given_products_of_some_or_all_rows(law):
    Z, w = law.samples()
    M = law.structure.tangent(Z, w)
    wanted = law.structure.to_dense(law.structure.retract(law.factor, M))
    Y = law.structure.unwhiten(law.factor, Z)
    for n in (1, 3, 4):
        got = law.structure.to_dense(law.structure.retract(law.factor, M, Y[:n, :]))
        law.close(got, law.backend.numpy(wanted))


def test_transport_is_h_of_M_transposed(law):
    M = law.tangent()
    q = law.backend.array(law.random.normal(size=law.dim))
    law.close(law.structure.transport(M, q), law.h(M).T @ law.backend.numpy(q))
    Q, _ = law.samples(3)  # or rows of several
    law.close(law.structure.transport(M, Q), law.backend.numpy(Q) @ law.h(M))
    # and with the retraction
    factor, moved = law.structure.move(law.factor, M, q)
    law.close(moved, law.h(M).T @ law.backend.numpy(q))
    law.close(law.structure.to_dense(factor), law.B() @ law.h(M))


def test_tangent_stays_in_its_space_and_the_group_is_closed(law):
    assert law.truth.algebra(law.structure, law.M(law.tangent()))
    if law.truth.closed:
        assert law.truth.algebra(law.structure, law.B() - np.eye(law.dim))
        assert law.truth.algebra(law.structure, np.linalg.inv(law.B()))


def test_natural_gradient_without_a_basis(law):
    # ⟨M + Mᵀ, D⟩ = −⟨G, D⟩ for every D of the tangent space: the Fisher metric is 2⟨sym, sym⟩
    Z, w = law.samples()
    z, weights = law.backend.numpy(Z), law.backend.numpy(w)
    G = (z.T * weights) @ z - weights.sum() * np.eye(law.dim)
    M = law.M(law.structure.tangent(Z, w))
    for _ in range(2 * law.dim):
        D = law.M(law.tangent(law.dim + 2))
        assert np.sum((M + M.T) * D) == pytest.approx(-np.sum(G * D), rel=1e-9, abs=1e-10)


def test_tangents_span_the_space(law):
    # dof is the dimension of the covariance family: the rank of D -> sym D over the tangent space
    D = np.array([law.M(law.tangent(2)) for _ in range(law.dim * (law.dim + 1))])
    sym = (D + D.transpose(0, 2, 1)).reshape(len(D), -1)
    assert np.linalg.matrix_rank(sym) == law.structure.dof


def test_tangent_is_the_gradient_of_the_weighted_log_likelihood(law):
    # along D: d/dε Σ w log q(y; B h(εD)) = 2⟨sym M, sym D⟩, by central differences
    Z, w = law.samples()
    Y = law.structure.unwhiten(law.factor, Z)
    M, direction = law.structure.tangent(Z, w), law.tangent()

    def likelihood(eps):
        factor = law.structure.retract(law.factor, law.structure.scale(direction, eps))
        z = law.backend.numpy(law.structure.whiten(factor, Y))
        log_q = law.structure.logdet(factor) - np.sum(z * z, axis=1) / 2
        return law.backend.numpy(w) @ log_q

    eps = 1e-5
    slope = (likelihood(eps) - likelihood(-eps)) / (2 * eps)
    m, D = law.M(M), law.M(direction)
    assert slope == pytest.approx(np.sum((m + m.T) * (D + D.T)) / 2, rel=1e-6, abs=1e-8)


def test_fisher_metric_is_that_of_the_exact_kl(law):
    # KL(N(0, S⁻¹) ‖ N(0, S'⁻¹)) in closed form, one small step along D: ε² ‖sym D‖² + O(ε³)
    direction, eps = law.tangent(), 1e-3
    S = law.B() @ law.B().T

    def divergence(eps):
        moved = law.structure.retract(law.factor, law.structure.scale(direction, eps))
        moved = law.B(moved)
        ratio = np.linalg.solve(S, moved @ moved.T)
        return 0.5 * (np.trace(ratio) - law.dim - np.linalg.slogdet(ratio)[1])

    D = law.M(direction)
    wanted = np.sum((D + D.T) ** 2) / 4
    both = (divergence(eps) + divergence(-eps)) / (2 * eps**2)  # odd terms cancel
    assert both == pytest.approx(wanted, rel=1e-4, abs=1e-7)


def test_norm_scale_trace(law):
    M = law.structure.tangent(*law.samples())
    dense = law.M(M)
    assert float(law.structure.norm(M)) == pytest.approx(np.linalg.norm(dense), rel=1e-12)
    assert float(law.structure.trace(M)) == pytest.approx(np.trace(dense), rel=1e-12, abs=1e-12)
    law.close(law.structure.tangent_to_dense(law.structure.scale(M, -2.5)), -2.5 * dense)
    assert float(law.structure.norm(law.structure.scale(M, 3.0))) == pytest.approx(
        3 * np.linalg.norm(dense), rel=1e-12
    )


def test_tangents_are_a_linear_space_with_the_identity(law):
    M, N = law.tangent(), law.tangent(7)
    law.close(law.structure.tangent_to_dense(law.structure.add(M, N)), law.M(M) + law.M(N))
    shifted = law.structure.shift(M, -0.7)
    law.close(law.structure.tangent_to_dense(shifted), law.M(M) - 0.7 * np.eye(law.dim))
    # and a sum retracts as what it is
    both = law.structure.scale(law.structure.add(M, N), 0.3)
    wanted = law.B() @ law.h(both)
    law.close(law.structure.to_dense(law.structure.retract(law.factor, both)), wanted)


def test_the_parts_of_a_tangent_add_up_and_retract_as_what_they_are(law):
    M, n = law.tangent(), len(law.structure.parts)
    pieces = [
        law.M(law.structure.scale(M, tuple(float(p == q) for q in range(n)))) for p in range(n)
    ]
    np.testing.assert_allclose(sum(pieces), law.M(M), atol=1e-12)
    rates = tuple(1 + 0.5 * p for p in range(n))
    parted = law.structure.scale(M, rates)
    np.testing.assert_allclose(
        sum(rate * piece for rate, piece in zip(rates, pieces, strict=True)),
        law.M(parted),
        atol=1e-12,
    )
    wanted = law.B() @ law.h(parted)
    law.close(law.structure.to_dense(law.structure.retract(law.factor, parted)), wanted)
    identity = law.structure.scale(
        law.structure.shift(law.structure.scale(M, 0.0), 1.0), (*(0.0,) * (n - 1), 1.0)
    )
    if len(law.structure.parts) == 1 or type(law.structure).__name__ != "DirectSum":
        law.close(law.structure.tangent_to_dense(identity), np.eye(law.dim))  # is in the last


def test_tangent_is_linear_in_the_samples(law):
    (Z, w), (more, v) = law.samples(), law.samples(6)
    xp = law.backend.xp
    whole = law.structure.tangent(xp.concat([Z, more]), xp.concat([w, v]))
    parts = law.structure.add(law.structure.tangent(Z, w), law.structure.tangent(more, v))
    law.close(law.structure.tangent_to_dense(parts), law.M(whole))


def test_gradients_transform_by_B(law):
    G, _ = law.samples()
    g, B = law.backend.numpy(G), law.B()
    local = law.structure.whiten_gradient(law.factor, G)
    law.close(local, np.linalg.solve(B, g.T).T)
    law.close(law.structure.unwhiten_gradient(law.factor, G), g @ B.T)
    law.close(law.structure.unwhiten_gradient(law.factor, local), g)


def test_logdet_deviations_condition(law):
    B = law.B()
    covariance = np.linalg.inv(B @ B.T)
    assert law.structure.logdet(law.factor) == pytest.approx(np.linalg.slogdet(B)[1], abs=1e-10)
    law.close(law.structure.deviations(law.factor), np.sqrt(np.diag(covariance)))
    # power iteration is a lower bound; elements here have no far ends
    condition = np.linalg.cond(covariance)
    assert 0.7 * condition <= law.structure.condition(law.factor) <= condition * (1 + 1e-8)


def test_sample_covariance(law):
    n = 20_000
    Z = law.backend.array(law.random.normal(size=(n, law.dim)))
    Y = law.backend.numpy(law.structure.unwhiten(law.factor, Z))
    B = law.B()
    wanted = np.linalg.inv(B @ B.T)
    spread = np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
    assert np.abs((Y.T @ Y / n - wanted) / spread).max() < 6 / np.sqrt(n)


def test_many_samples_and_few_samples_give_the_same_step(law):
    # the same natural gradient from 4 samples and from 4 samples padded with zero weights
    Z, w = law.samples()
    more = law.backend.array(law.random.normal(size=(3 * law.dim, law.dim)))
    xp = law.backend.xp
    padded = law.structure.tangent(
        xp.concat([Z, more]), xp.concat([w, xp.zeros(3 * law.dim, dtype=xp.float64)])
    )
    law.close(law.structure.tangent_to_dense(padded), law.M(law.structure.tangent(Z, w)))
    wanted = law.structure.to_dense(law.structure.retract(law.factor, law.structure.tangent(Z, w)))
    law.close(
        law.structure.to_dense(law.structure.retract(law.factor, padded)),
        law.backend.numpy(wanted),
    )


@pytest.mark.parametrize("spec", ["dense", "diagonal", "scalar", "lower", "upper"])
@pytest.mark.parametrize("dim", [0, -1, 2.0, True, "3"])
def test_dim_must_be_a_positive_integer(spec, dim):
    with pytest.raises(ValueError, match="dim must be an integer ≥ 1"):
        STRUCTURES[spec](dim)
