"""Dense with few samples: products of low rank are the plain ones, with one rate or with two."""

import numpy as np
import pytest

from structes.structures.dense import Dense, LowRank, Plain


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
    plain = Plain(structure.tangent_to_dense(M))
    M, plain, A = backend.freeze(M), backend.freeze(plain), backend.freeze(A)

    def same(a, b):
        np.testing.assert_allclose(backend.numpy(a), backend.numpy(b), rtol=1e-10, atol=1e-12)

    assert float(structure.norm(M)) == pytest.approx(float(structure.norm(plain)), rel=1e-10)
    assert float(structure.trace(M)) == pytest.approx(float(structure.trace(plain)), rel=1e-10)
    q = backend.array(random.normal(size=dim))
    same(structure.transport(M, q), structure.transport(plain, q))
    wanted = structure.retract((A,), plain)[0]
    same(structure.retract((A,), M)[0], wanted)
    same(structure.retract((A,), M, structure.unwhiten((A,), Z))[0], wanted)
    more = structure.tangent(
        backend.array(random.normal(size=(dim, dim))), backend.array(np.ones(dim))
    )
    same(
        structure.tangent_to_dense(structure.add(M, more)),
        backend.numpy(plain.M) + backend.numpy(more.M),
    )
