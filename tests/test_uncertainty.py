"""Noisy values: measured, dealt with, and of no account where there is no noise."""

import numpy as np
import pytest

import structes
from structes.arrays import noise
from structes.strategy.strategy import Strategy
from structes.strategy.uncertainty import Noise, Noisy, build_noise, measure, share
from structes.structures.building import build_structure

D = 10
OFF = {"tolfun": None, "tolfunhist": None, "stagnation": None}


def sphere(X):
    return np.sum(X * X, axis=1)


def search(
    noise_=None, std=1.0, seed=1, evaluations=500 * D, function=sphere, start=3.0, **options
):
    """A search on function + std · normal noise, run to its end."""
    options = {"max_evaluations": evaluations, **options}
    es = structes.ES([start] * D, 1.0, seed=seed, noise=noise_, **options)
    used = 0
    while not es.stop():
        X = es.ask()
        normal = noise.normals(seed, noise.PROBLEM, 0, used, X.shape[0], 1)[:, 0]
        used += X.shape[0]
        es.tell(X, function(X) + std * normal)
    return es


def true(es, function=sphere):
    return float(function(es.mean[None, :])[0])


# -- it keeps converging --------------------------------------------------------------------------


@pytest.mark.slow
def test_converges_where_the_plain_search_stalls():
    plain = [true(search(None, seed=s, **OFF)) for s in (1, 2, 3)]
    auto = [true(search("auto", seed=s)) for s in (1, 2, 3)]
    assert np.median(plain) > 0.1
    assert max(auto) < 0.2 * min(plain)


@pytest.mark.slow
def test_more_evaluations_bring_it_closer():
    near = [true(search("auto", seed=s, evaluations=200 * D)) for s in (1, 2, 3)]
    nearer = [true(search("auto", seed=s, evaluations=1000 * D)) for s in (1, 2, 3)]
    assert np.median(nearer) < 0.5 * np.median(near)  # 0.2 in the limit


@pytest.mark.parametrize("structure", ["diagonal", "low_rank", "hierarchical_lower", "auto"])
def test_with_every_kind_of_structure(structure):
    es = search("auto", structure=structure, evaluations=300 * D)
    assert true(es) < 0.06
    assert es.state.noisy.matters and es.state.noisy.eta < 0.2


def test_survives_a_change_of_structure():
    """`auto` goes to diagonal and the knowledge of the noise goes with it."""
    scales = np.geomspace(1, 1e4, D)
    es = search(
        "auto", structure="auto", function=lambda X: sphere(X * scales), evaluations=600 * D
    )
    assert es.switches and es.state.noisy.matters


def test_noise_that_sigma_cannot_help_does_not_drive_it_away():
    """Multiplied noise: the share of noise is the same for every sigma."""
    es = structes.ES([3.0] * D, 1.0, seed=1, noise="auto", max_evaluations=600 * D)
    used = 0
    while not es.stop():
        X = es.ask()
        normal = noise.normals(1, noise.PROBLEM, 1, used, X.shape[0], 1)[:, 0]
        used += X.shape[0]
        es.tell(X, sphere(X) * np.exp(normal))
    assert es.sigma < 1.0 and true(es) < 10


def test_values_that_are_missing():
    es = structes.ES([3.0] * D, 1.0, seed=1, noise="auto", max_evaluations=500 * D)
    used = 0
    while not es.stop():
        X = es.ask()
        draws = noise.normals(1, noise.PROBLEM, 2, used, X.shape[0], 2)
        used += X.shape[0]
        es.tell(X, np.where(draws[:, 1] > 1, np.nan, sphere(X) + draws[:, 0]))
    assert true(es) < 0.1 and es.state.noisy.measured > 50


def test_values_told_one_by_one_are_the_same_search():
    batch = search("auto", evaluations=50 * D)
    es = structes.ES([3.0] * D, 1.0, seed=1, noise="auto", max_evaluations=50 * D)
    used = 0
    while not es.stop():
        X = es.ask()
        normal = noise.normals(1, noise.PROBLEM, 0, used, X.shape[0], 1)[:, 0]
        used += X.shape[0]
        for x, value in zip(X, sphere(X) + normal, strict=True):
            es.tell(x[None, :], [value])
    assert np.array_equal(es.mean, batch.mean)
    assert es.state.noisy == batch.state.noisy


def test_restarts_pass_it_on():
    es = structes.RestartES(
        [3.0] * D, 1.0, seed=1, noise="auto", restarts="ipop", max_generations=30, tolx=0.5
    )
    while not es.stop():
        X = es.ask()
        es.tell(X, sphere(X))
    assert es.restart > 0
    assert es.es.strategy.noise == Noise()


def test_saved_and_loaded_it_goes_on_to_the_same_bits(tmp_path):
    def go(es, n, used):
        while es.evaluations < n:
            X = es.ask()
            normal = noise.normals(1, noise.PROBLEM, 0, used, X.shape[0], 1)[:, 0]
            used += X.shape[0]
            es.tell(X, sphere(X) + normal)
        return es, used

    es, used = go(structes.ES([3.0] * D, 1.0, seed=1, noise={"name": "auto", "every": 7}), 500, 0)
    es.save(tmp_path / "search")
    other = structes.ES.load(tmp_path / "search")
    assert other.state.noisy == es.state.noisy and other.strategy.noise == Noise(every=7)
    assert np.array_equal(go(es, 900, used)[0].mean, go(other, 900, used)[0].mean)


def test_stagnation_and_tolfun_rest_while_noise_matters():
    assert "stagnation" in search(None, stagnation=40).stop()
    assert set(search("auto", stagnation=40).stop()) == {"max_evaluations"}


# -- and is the plain search where there is no noise ----------------------------------------------


@pytest.mark.parametrize("structure", ["dense", "low_rank"])
def test_without_noise_only_the_repeated_candidates_differ(structure):
    """Up to the second measurement the two searches see the same, but for one candidate."""
    settings = {"name": "auto", "every": 10**6}
    plain = Strategy(build_structure(structure, D))
    auto = Strategy(plain.structure, noise=build_noise(settings, plain.popsize))
    state = auto.init(np.full(D, 3.0), 1.0, np.ones(D))
    Z, Y, X = auto.draw(state, 1, 0, auto.popsize)
    assert np.array_equal(X[-1], X[0])
    last = auto.draw(state, 1, auto.popsize - 1, 1)  # by a worker of its own
    assert np.allclose(last[2][0], X[0], rtol=1e-14)
    state, _ = auto.update(state, Z, Y, sphere(X))
    assert state.noisy.measured == 1 and state.noisy.wait == 10**6 - 1
    for _ in range(50):
        same = state._replace(noisy=None)
        Z, Y, X = auto.draw(state, 1, 0, auto.popsize)
        Zp, Yp, Xp = plain.draw(same, 1, 0, auto.popsize)
        assert np.array_equal(X, Xp)
        state, _ = auto.update(state, Z, Y, sphere(X))
        same, _ = plain.update(same, Zp, Yp, sphere(Xp))
        assert np.array_equal(state.mean, same.mean) and state.sigma == same.sigma
        assert state.noisy.eta == 1.0


def test_without_noise_it_takes_about_as_many_evaluations():
    scales = np.geomspace(1, 1e3, D)
    ratios = []
    for seed in range(1, 7):
        used = [
            search(n, 0.0, seed, 10**5, lambda X: sphere(X * scales), target=1e-8).evaluations
            for n in (None, "auto")
        ]
        ratios.append(used[1] / used[0])
    assert np.exp(np.mean(np.log(ratios))) < 1.1


def test_off_is_off():
    es = structes.ES([3.0] * D, 1.0, seed=1)
    assert es.state.noisy is None and es.strategy.noise is None
    assert len(np.unique(es.ask(), axis=0)) == es.popsize


def test_the_same_seed_gives_the_same_bits():
    a, b = (search("auto", evaluations=60 * D) for _ in range(2))
    assert np.array_equal(a.mean, b.mean) and a.state.noisy == b.state.noisy


# -- the pieces -----------------------------------------------------------------------------------


def test_the_ratio_is_1_for_noise_alone_and_0_without():
    n, ratios = 8, []
    for t in range(4000):
        values = noise.normals(5, noise.PROBLEM, t, 0, n, 1)[:, 0]
        ratios.append(measure(Noise(), Noisy(measured=0), 1.0, np.zeros((n, 2)), values, n).rank)
    assert abs(np.mean(ratios) - 1) < 4 * np.std(ratios) / 4000**0.5
    values[-1] = values[0]
    assert measure(Noise(), Noisy(), 1.0, np.zeros((n, 2)), values, n).ratio == 0


def test_ranks_of_the_pair_are_among_the_others_and_a_tie_counts_half():
    """6 K² / (m (m + 1)) of the difference K of the ranks of two values of one point among the m
    others: 1 on average where values are noise alone."""
    values = np.array([1.0, 0, 1, 1, 2, 3, 5, 3])  # a pair 1, 3 among 0 1 1 2 3 5
    first = 1 + 2 / 2  # one is less, and two tie
    last = 4 + 1 / 2
    noisy = measure(Noise(), Noisy(), 0.5, np.zeros((8, 2)), values, 8)
    assert noisy.rank == pytest.approx(6 * (last - first) ** 2 / (6 * 7))
    assert noisy.ratio == pytest.approx(noisy.rank / 2)  # no noise at all is believed once
    assert noisy.log_sigma == pytest.approx(np.log(0.5)) and noisy.measured == 1


def test_eta_does_not_vanish():
    change, after = share(Noise(), Noisy(eta=1e-6, ratio=1.0), -5.0)
    assert (change, after.eta) == (pytest.approx(-5.0), pytest.approx(1e-6))
    assert Noise().target == 0.5  # where ranks say as much as they hide


@pytest.mark.parametrize("at", [0, 7])
def test_a_pair_with_a_missing_value_measures_nothing(at):
    values = np.arange(8.0)
    values[at] = np.nan
    assert measure(Noise(), Noisy(), 1.0, np.zeros((8, 2)), values, 8) == Noisy()


def test_the_change_is_shared_between_sigma_and_eta():
    settings = Noise()
    assert share(settings, Noisy(), -0.25) == (-0.25, Noisy())  # no noise: sigma
    noisy = Noisy(ratio=settings.target)
    change, after = share(settings, noisy, -0.25)  # at the target: eta
    assert change == pytest.approx(0) and np.log(after.eta) == pytest.approx(-0.25)
    change, after = share(settings, after, 0.75)  # eta is at most 1
    assert change == pytest.approx(0.5) and after.eta == 1.0
    # where sigma did not change the ratio there is no use in holding it
    flat = noisy._replace(variance=10.0, covariance=0.5)
    assert share(settings, flat, -0.25)[0] == -0.25


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ("atuo", ValueError, "unknown noise 'atuo'.*'auto'"),
        (True, TypeError, "noise must be"),
        (0.1, TypeError, "noise must be"),
        ({"target": 0.4}, ValueError, "needs 'name'"),
        ({"name": "auto", "target": 1.5}, ValueError, "target must lie in"),
        ({"name": "auto", "targt": 0.5}, ValueError, "'targt'.*'target'"),
        ({"name": "auto", "speed": 0}, ValueError, "speed must be a positive"),
        ({"name": "auto", "every": 0}, ValueError, "every must be"),
    ],
)
def test_wrong_arguments_are_named(given, error, words):
    with pytest.raises(error, match=words):
        structes.ES([1.0, 2.0], 1.0, noise=given)


def test_a_population_too_small_to_rank_is_refused():
    with pytest.raises(ValueError, match="popsize ≥ 4; got 3"):
        structes.ES([1.0, 2.0], 1.0, popsize=3, noise="auto")


def test_in_a_config():
    from structes.runs.experiment import experiment_from
    from structes.runs.plan import plan, start

    experiment = experiment_from({"problems": ["sphere"], "dim": 4, "noise": "auto"})
    assert start(experiment, plan(experiment)[0]).strategy.noise == Noise()
    with pytest.raises(ValueError, match="unknown noise"):
        plan(experiment_from({"problems": ["sphere"], "dim": 4, "noise": "on_off"}))
