"""engine="cma" is CMA-ES to the letter: the states of pycma and cmaes, told the same samples."""

import numpy as np
import pytest

from structes import ES

GENERATIONS = 30


def quartic(X):
    X = np.asarray(X)
    return (X**2) @ np.geomspace(1, 300, X.shape[1]) + 0.3 * (X**4).sum(1) + X[:, 0] * X[:, -1]


def covariance(es):
    """sigma² C (d, d) of our search."""
    A = np.linalg.inv(es.structure.to_dense(es.state.factor)).T
    return es.sigma**2 * (A @ A.T) * np.outer(es.state.scale, es.state.scale)


def together(dim, peer_tells, peer_state, x0=1.0, sigma0=0.5, **options):
    """30 generations of ours, of which a peer is told every sample; compare after each."""
    es = ES(x0 * np.linspace(1, 2, dim), sigma0, "dense", seed=4, engine="cma", **options)
    for _ in range(GENERATIONS):
        X = es.ask()
        values = quartic(X)
        es.tell(X, values)
        peer_tells(X, values)
        mean, sigma, C, path = peer_state()
        np.testing.assert_allclose(es.mean, mean, rtol=1e-9, atol=1e-12)
        assert es.sigma == pytest.approx(sigma, rel=1e-8)
        C = sigma**2 * C
        close = 1e-8 * C.diagonal().max()  # cmaes adds 1e-8 to the lengths of bad samples
        np.testing.assert_allclose(covariance(es), C, rtol=1e-8, atol=close)
        ours = es.structure.unwhiten(es.state.factor, es.state.path[None, :])[0]
        np.testing.assert_allclose(ours, path, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("dim", [5, 10, 20])
def test_pycma(dim, monkeypatch):
    cma = pytest.importorskip("cma")
    chi = lambda d: np.sqrt(d) * (1 - 1 / (4 * d) + 1 / (21 * d * d))  # noqa: E731
    monkeypatch.setattr(cma.sigma_adaptation.Mh, "chiN", chi)  # of H eq. 44; pycma has Γ
    options = {"seed": 1, "verbose": -9, "CMA_active": True}
    peer = cma.CMAEvolutionStrategy(np.linspace(1, 2, dim), 0.5, options)
    peer.repair_genotype = lambda x, copy_if_changed=False: x  # it cuts far samples it did not ask
    model = peer.sm  # it begins a little off I, for the sake of its eigenvalues
    model.C, model.B, model.D = np.eye(dim), np.eye(dim), np.ones(dim)
    mueff = peer.sp.weights.mueff  # its step-size rates are newer than Hansen's (2016, eq. 55–56)
    peer.adapt_sigma.cs = cs = (mueff + 2) / (dim + mueff + 5)
    peer.adapt_sigma.damps = 1 + 2 * max(0, np.sqrt((mueff - 1) / (dim + 1)) - 1) + cs

    def tells(X, values):
        peer.ask()  # it wants to be asked; what it draws is not used
        peer.tell(list(X), list(values))

    together(dim, tells, lambda: (peer.mean, peer.sigma, peer.C, peer.pc))


def textbook_rate(peer):
    """Give cmaes the cmu of Hansen (2016, eq. 58), which has a quarter more in its numerator, and
    the negative weights that follow (eq. 50–53)."""
    d, mueff, c1 = peer._n_dim, peer._mu_eff, peer._c1
    cmu = min(1 - c1, 2 * (0.25 + mueff + 1 / mueff - 2) / ((d + 2) ** 2 + mueff))
    raw = np.log((peer._popsize + 1) / 2) - np.log(np.arange(1, peer._popsize + 1))
    bad = raw[peer._mu :]
    mueff_bad = bad.sum() ** 2 / (bad @ bad)
    alpha = min(1 + c1 / cmu, 1 + 2 * mueff_bad / (mueff + 2), (1 - c1 - cmu) / (d * cmu))
    peer._cmu, peer._weights[peer._mu :] = cmu, alpha * bad / -bad.sum()


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("dim", [5, 10, 20])
def test_cmaes(dim, far):
    """Also from so far that paths grow long and c1 waits, with so many samples that the negative
    weights are bounded by what keeps C positive."""
    cmaes = pytest.importorskip("cmaes")
    x0, sigma0, popsize = (100.0, 0.1, 8 * dim) if far else (1.0, 0.5, None)
    start = x0 * np.linspace(1, 2, dim)
    peer = cmaes.CMA(mean=start, sigma=sigma0, seed=1, population_size=popsize)
    textbook_rate(peer)
    lengths = []

    def state():
        lengths.append(np.linalg.norm(peer._p_sigma) / peer._chi_n)
        return peer._mean, peer._sigma, peer._C, peer._pc

    def tells(X, values):
        peer.tell(list(zip(X, values, strict=True)))

    together(dim, tells, state, x0, sigma0, popsize=popsize)
    assert (max(lengths) > 1.4 + 2 / (dim + 1)) == far
