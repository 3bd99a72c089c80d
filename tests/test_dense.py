"""Dense with few samples: what has a low rank is what is plain, with one rate or with two."""

import numpy as np
import pytest
from scipy.linalg import expm

from structes.structures.dense import Dense, LowRank, Plain

from .conftest import on_host
from .structure_table import h, retraction


@pytest.mark.parametrize("rates", [None, (1.0, 1.0), (1.0, 3.0), (0.5, 0.0), (0.0, 2.0)])
@pytest.mark.parametrize("dim", [12, 41, 100])
def test_low_rank_tangents_do_what_plain_ones_do(dim, rates, backend):
    random = np.random.default_rng(dim)
    structure, r = Dense(dim), 2
    Z = backend.array(0.6 * random.normal(size=(r, dim)))
    w = backend.array(0.3 * random.normal(size=r))
    A = backend.array(np.eye(dim) + 0.1 * random.normal(size=(dim, dim)))
    M = structure.shift(structure.tangent(Z, w), 0.05)
    if rates is not None:
        M = structure.scale(M, rates)
    assert isinstance(M, LowRank)
    plain = Plain((M.U.T * M.v) @ M.U, M.x, M.D)
    M, plain, A = backend.freeze(M), backend.freeze(plain), backend.freeze(A)

    def same(a, b):
        np.testing.assert_allclose(backend.numpy(a), backend.numpy(b), rtol=1e-10, atol=1e-12)

    assert float(structure.norm(M)) == pytest.approx(float(structure.norm(plain)), rel=1e-10)
    assert float(structure.trace(M)) == pytest.approx(float(structure.trace(plain)), rel=1e-10)
    q = backend.array(random.normal(size=dim))
    factor = retraction(structure, on_host(plain))
    same(structure.tangent_to_dense(M), backend.numpy(structure.tangent_to_dense(plain)))
    same(structure.transport(M, q), backend.numpy(q) @ factor)
    wanted = backend.numpy(A) @ np.linalg.inv(factor).T
    same(structure.retract((A,), M)[0], wanted)
    same(structure.retract((A,), plain)[0], wanted)
    same(structure.transport(plain, q), backend.numpy(q) @ factor)
    for n in (1, r):
        Y = structure.unwhiten((A,), Z[:n, :])
        same(structure.retract((A,), structure.with_samples(M, Y))[0], wanted)
    more = structure.tangent(
        backend.array(random.normal(size=(dim, dim))), backend.array(np.ones(dim))
    )
    same(
        structure.tangent_to_dense(structure.add(M, more)),
        backend.numpy(structure.tangent_to_dense(plain))
        + backend.numpy(structure.tangent_to_dense(more)),
    )


@pytest.mark.parametrize(("dim", "kind"), [(30, LowRank), (8, Plain)])
@pytest.mark.parametrize("rates", [(1.0, 3.0), (1.0, 0.0)])
def test_a_step_in_two_is_as_exact_as_h(rates, dim, kind):
    """B Bᵀ after the step, against B exp(2 M) Bᵀ: both are off by terms of third order."""
    random = np.random.default_rng(3)
    structure = Dense(dim)
    M = structure.tangent(random.normal(size=(3, dim)), np.array([0.3, 0.1, -0.2]))
    M = structure.scale(M, rates)
    M = structure.scale(M, 1 / structure.norm(M))
    assert isinstance(M, kind)

    def errors(eps):
        small = structure.scale(M, eps)
        dense = structure.tangent_to_dense(small)
        factors = retraction(structure, small), h(dense)
        assert np.abs(factors[0] - factors[1]).max() > 0.01 * eps**2  # it is another factor
        return [np.linalg.norm(f @ f.T - expm(2 * dense)) for f in factors]

    for coarse, fine in zip(errors(2e-2), errors(1e-2), strict=True):
        assert np.log2(coarse / fine) == pytest.approx(3, abs=0.1)
