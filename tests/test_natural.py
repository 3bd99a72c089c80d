"""engine="natural": eq. (1) of Lin et al. (2021) as it stands, against dense formulas."""

import numpy as np
import pytest
from scipy.linalg import expm

from structes import ES, RestartES, minimize
from structes.structures import STRUCTURES
from structes.structures.building import build_structure
from structes.structures.dense import Dense
from structes.structures.random_elements import example
from structes.testing.case import Case

DIM = 6


def quartic(X):
    return (X**2) @ np.geomspace(1, 30, X.shape[1]) + 0.3 * (X**4).sum(1) + X[:, 0] * X[:, -1]


def natural(**arguments):
    return {"name": "natural", **arguments}


def told(structure, values_of, generations=1, missing=(), **arguments):
    """A search that has gone on for some generations, and what it was told in the last one."""
    es = ES(np.linspace(1, 2, DIM), 0.5, structure, seed=3, popsize=16, **arguments)
    for _ in range(generations):
        before, X = es.state, es.ask()
        values = values_of(X)
        values[list(missing)] = np.nan
        es.tell(X, values)
    return es, before, X, values


def covariance(es, state=None):
    """sigma² (B Bᵀ)⁻¹ (d, d)."""
    state = es.state if state is None else state
    B = es.structure.to_dense(state.factor)
    return state.sigma**2 * np.linalg.inv(B @ B.T)


# -- xNES is one of them --------------------------------------------------------------------------


@pytest.mark.parametrize("name", STRUCTURES)
def test_ranks_and_exp_are_xnes_to_the_bit(name):
    structure = example(name, DIM)
    kind = "exp" if build_structure(structure, DIM).has_exponential else "h"
    engines = "xnes", natural(retraction=kind), natural(rate=0.6 * (3 + np.log(6)) / 6**1.5)
    one, same, other = (told(structure, quartic, 5, engine=engine)[0] for engine in engines)
    assert one.sigma == same.sigma and one.mean.tobytes() == same.mean.tobytes()
    if kind == "exp" and name != "scalar":  # h differs in terms of third order
        assert one.sigma == pytest.approx(other.sigma, rel=0.05)
        assert one.mean.tobytes() != other.mean.tobytes()


@pytest.mark.parametrize("retraction", ["h", "exp"])
def test_dense_moves_by_what_the_engine_says(retraction):
    """B ← B h(M) or B exp(M), scale and shape apart, from the utilities of xNES."""
    es, before, X, values = told("dense", quartic, engine=natural(retraction=retraction))
    Z = (X - before.mean) / before.sigma
    n = len(X)
    ranked = np.maximum(0, np.log(n / 2 + 1) - np.log(np.arange(1, n + 1)))
    w = np.empty(n)
    w[np.argsort(values)] = ranked / ranked.sum() - 1 / n
    M = -0.5 * 0.6 * (3 + np.log(DIM)) / DIM**1.5 * (Z.T * w) @ Z
    s = np.trace(M) / DIM
    shape = M - s * np.eye(DIM)
    moved = expm(shape) if retraction == "exp" else np.eye(DIM) + shape + shape @ shape / 2
    B = moved * np.exp(s) / before.sigma
    np.testing.assert_allclose(covariance(es), np.linalg.inv(B @ B.T), rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(es.mean, before.mean + before.sigma * w @ Z, rtol=1e-13)


# -- raw values -----------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [(), (2, 11)])
@pytest.mark.parametrize("baseline", ["leave-one-out", "mean", 3.5, 0.0])
def test_raw_values_are_the_gradient_of_the_mean(baseline, missing):
    """mean − β₁ σ Σ (f − b) z / n, and exp of −½ β₂ Σ (f − b) (z zᵀ − I) / n, γ beside it."""
    rates = {"mean_rate": 0.02, "rate": 0.003, "gamma": 2.0}
    engine = natural(values="raw", baseline=baseline, retraction="exp", **rates)
    es, before, X, values = told("dense", quartic, missing=missing, engine=engine)
    known = np.isfinite(values)
    Z, f = (X[known] - before.mean) / before.sigma, values[known]
    if baseline == "leave-one-out":
        g = np.array([f[k] - np.delete(f, k).mean() for k in range(len(f))])
    else:
        g = f - (f.mean() if baseline == "mean" else baseline)
    eye, n = np.eye(DIM), len(f)
    X_ = ((Z.T * g) @ Z - g.sum() * eye) / n
    B = expm(0.5 * 0.003 * (X_ - 2.0 * eye)) / before.sigma
    np.testing.assert_allclose(es.mean, before.mean - 0.02 * before.sigma * g @ Z / n, rtol=1e-12)
    np.testing.assert_allclose(covariance(es), np.linalg.inv(B @ B.T), rtol=1e-10, atol=1e-13)


def test_leaving_one_out_is_unbiased_and_blind_to_an_offset():
    """Means over many generations of the same distribution: E (f − b) z = E ∇f (Stein)."""
    H, m = np.diag(np.geomspace(1, 4, DIM)), np.linspace(1, 2, DIM)
    f = lambda X: 0.5 * ((X @ H) * X).sum(1)  # noqa: E731
    steps = []
    for seed in range(400):
        engine = natural(values="raw", mean_rate=1e-6, rate=0.0)
        es = ES(m, 0.5, "diagonal", seed=seed, popsize=6, engine=engine)
        X = es.ask()
        es.tell(X, f(X) + 1e3)
        steps.append((es.mean - m) / -1e-6)
    mean, error = np.mean(steps, axis=0), np.std(steps, axis=0) / np.sqrt(400)
    truth = 0.25 * H @ m  # sigma² ∇f of the mean: natural, in search coordinates
    assert np.all(np.abs(mean - truth) < 4 * error)
    assert error.max() < 0.1 * truth.max()  # the offset of 1000 is gone


@pytest.mark.parametrize("values", ["raw", "ranks"])
def test_samples_of_earlier_distributions_count_as_their_masses(values):
    """With masses m: weights −m (f − b)/Σm, b the mean of all others, or utilities of places."""
    engine = natural(values=values, rate=0.002, mean_rate=0.01, retraction="exp")
    es = ES(np.linspace(1, 2, DIM), 0.5, "dense", seed=3, popsize=12, engine=engine)
    state, random = es.state, np.random.default_rng(2)
    Z, Y, X = es.strategy.draw(state, 3, 0, 12)
    mass, f = random.uniform(0.2, 1, 12), quartic(X)
    moved, _ = es.strategy.update(state, Z, Y, f, mass)
    n = mass.sum()
    if values == "raw":
        b = [(mass @ f - m * v) / (n - m) for m, v in zip(mass, f, strict=True)]
        w = -mass * (f - b) / n
    else:
        order = np.argsort(f)
        place = np.cumsum(mass[order]) - mass[order] / 2 + 0.5
        u = mass[order] * np.maximum(0, np.log(n / 2 + 1) - np.log(place))
        w = np.empty(12)
        w[order] = u / u.sum() - mass[order] / n
    np.testing.assert_allclose(moved.mean, state.mean + 0.01 * 0.5 * w @ Z, rtol=1e-12)
    B = expm(-0.5 * 0.002 * ((Z.T * w) @ Z - w.sum() * np.eye(DIM))) / 0.5
    np.testing.assert_allclose(
        covariance(es, moved), np.linalg.inv(B @ B.T), rtol=1e-10, atol=1e-13
    )


# -- entropy --------------------------------------------------------------------------------------


@pytest.mark.parametrize("retraction", ["h", "auto"])
@pytest.mark.parametrize("name", STRUCTURES)
def test_the_search_distribution_becomes_that_of_the_temperature(name, retraction):
    """On f = ½ xᵀHx, with H⁻¹ in the family, it goes to exp(−f/γ): covariance γ H⁻¹."""
    structure, gamma = build_structure(example(name, DIM), DIM), 0.3
    B = Case(structure).B()
    H, rate = B @ B.T, 0.15 / gamma
    engine = natural(mean_rate=rate, rate=rate, values="raw", gamma=gamma, retraction=retraction)
    es = ES(np.full(DIM, 0.1), 0.4, example(name, DIM), seed=3, popsize=300, engine=engine)
    found = []
    for generation in range(90 if structure.is_group else 250):
        X = es.ask()
        es.tell(X, 0.5 * ((X @ H) * X).sum(1))
        if generation >= 40:
            found.append(covariance(es))
    ratio = np.linalg.eigvals(np.mean(found, axis=0) @ H / gamma).real
    noise = 0.08  # of 50 generations of 300, over seeds
    assert np.abs(np.log(ratio)).max() < noise, ratio
    assert np.linalg.norm(es.mean) < 0.25 * np.sqrt(gamma)


@pytest.mark.parametrize("values", ["raw", "ranks"])
def test_where_all_values_tie_the_entropy_alone_acts(values):
    engine = natural(values=values, gamma=0.5, rate=0.1)
    es, *_ = told("dense", lambda X: np.zeros(len(X)), 4, engine=engine)
    assert es.sigma == pytest.approx(0.5 * np.exp(4 * 0.1 * 0.5 / 2), rel=1e-13)
    np.testing.assert_allclose(es.mean, np.linspace(1, 2, DIM), rtol=1e-14)


def test_a_unit_of_f_is_a_unit_of_gamma_and_of_the_rates():
    one, many = (
        told(
            "lower",
            lambda X, c=c: c * quartic(X),
            8,
            engine=natural(values="raw", gamma=2.0 * c, rate=0.002 / c, mean_rate=0.01 / c),
        )[0]
        for c in (1.0, 1e6)
    )
    np.testing.assert_allclose(one.mean, many.mean, rtol=1e-9)
    assert one.sigma == pytest.approx(many.sigma, rel=1e-9)


# -- how it is asked for --------------------------------------------------------------------------


def test_it_is_kept_in_a_checkpoint(tmp_path):
    engine = natural(values="raw", gamma=0.5, rate=0.003, mean_rate=0.01, baseline=2.0)
    es, *_ = told("dense", quartic, 3, engine=engine)
    es.save(tmp_path / "es.ckpt")
    loaded = ES.load(tmp_path / "es.ckpt")
    assert loaded.engine == es.engine
    for search in (es, loaded):
        X = search.ask()
        search.tell(X, quartic(X))
    assert loaded.mean.tobytes() == es.mean.tobytes()
    search = RestartES(np.ones(DIM), 0.5, engine=engine)
    search.save(tmp_path / "restarts.ckpt")
    assert RestartES.load(tmp_path / "restarts.ckpt").engine == es.engine


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gamma": -1.0}, "gamma must be 0 or more; got -1"),
        ({"gamma": "hot"}, "gamma"),
        ({"rate": -0.1}, "rate must be 0 or more; got -0.1"),
        ({"mean_rate": float("nan")}, "mean_rate"),
        ({"values": "scores"}, "values must be one of ranks, raw; got 'scores'"),
        ({"baseline": "mean"}, "baseline is for values='raw'"),
        (
            {"values": "raw", "baseline": "median"},
            "baseline, if no number, must be one of leave-one-out",
        ),
        ({"values": "raw", "baseline": "a number"}, "must be one of leave-one-out, mean; got"),
        ({"values": "raw", "baseline": float("inf")}, "baseline"),
        ({"retraction": "cayley"}, "retraction must be one of auto, h, exp"),
        ({"retraction": "exp"}, "has B exp"),
        ({"trust_region": 0}, "trust_region"),
        ({"temperature": 1.0}, "no argument 'temperature'"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    structure = "low_rank" if arguments == {"retraction": "exp"} else "dense"
    with pytest.raises((ValueError, TypeError), match=message):
        ES(np.ones(DIM), 0.5, structure, engine=natural(**arguments))


def test_a_rate_that_is_too_large_for_the_values_is_said_so_and_nothing_is_lost():
    es = ES(np.linspace(1, 2, DIM), 0.5, engine=natural(values="raw"), seed=1)
    X = es.ask()
    values, before = 1e6 * quartic(X), (es.mean.tobytes(), es.sigma, es.generation)
    with pytest.raises(ValueError, match="a smaller rate"):
        es.tell(X, values)
    assert (es.mean.tobytes(), es.sigma, es.generation) == before
    es.tell(X, 1e-7 * values)  # the same candidates, in another unit
    assert es.generation == 1


def test_a_mean_that_flies_away_is_no_success():
    engine = natural(values="raw", mean_rate=10.0, rate=10.0, trust_region=1.0)
    with pytest.raises(ValueError, match="a smaller mean_rate") as caught:
        minimize(lambda x: 1e3 * x @ x, [1.0] * 4, 0.5, engine=engine, seed=1)
    assert not caught.value.result.success


def test_a_retraction_is_said_once():
    with pytest.raises(ValueError, match="retraction is 'h', but that of the structure Dense"):
        ES(np.ones(DIM), 0.5, Dense(DIM, retraction="exp"), engine=natural(retraction="h"))
