"""Ranking: weights of ranks, ties, values that are missing."""

import numpy as np
import pytest

from structes import ES
from structes.strategy.ranking import assign, ranking, tied_with_best, with_missing
from structes.strategy.weights_and_rates import recombination_weights


@pytest.mark.parametrize("n", [2, 3, 10, 101])
def test_weights(n):
    good, mirrored, bad, mueff, mueff_bad = recombination_weights(np.ones(n))
    raw = np.log((n + 1) / 2) - np.log(np.arange(1, n + 1))
    assert good.sum() == pytest.approx(1) and bad.sum() == pytest.approx(-1)
    assert (good[raw <= 0] == 0).all() and (bad[raw >= 0] == 0).all()
    assert mueff == pytest.approx(1 / np.sum(good**2))
    assert mueff_bad == pytest.approx(1 / np.sum(bad**2))
    assert (np.diff(good) <= 0).all() and (np.diff(bad) <= 0).all()
    np.testing.assert_allclose(mirrored, good[::-1])


def test_ranks_nan_last_ties_share():
    tables = np.array([[4.0, 3.0, 2.0, 1.0, 0.0], [8.0, 4.0, 2.0, 1.0, 0.5]])
    nan, inf = np.nan, np.inf
    order, ranked = ranking(np.array([3.0, 1.0, nan, 2.0, 0.0]))
    given = assign(order, ranked, tables)
    np.testing.assert_array_equal(given[0], [1, 3, 0, 2, 4])
    np.testing.assert_array_equal(ranked, [0, 1, 2, 3, nan])
    given = assign(*ranking(np.array([1.0, 0.0, 1.0, nan, inf])), tables)
    np.testing.assert_array_equal(given, [[2.5, 4, 2.5, 0.5, 0.5], [3, 8, 3, 0.75, 0.75]])
    for same in (np.full(5, 2.0), np.full(5, nan), np.array([inf, nan, inf, nan, inf])):
        assert assign(*ranking(same), tables) is None


def test_with_twins_apart_equal_values_rank_by_place_the_even_ones_first():
    nan, inf = np.nan, np.inf
    order, ranked = ranking(np.array([1.0, 0, 0, 0, 0, nan, inf, nan]), twins_apart=True)
    np.testing.assert_array_equal(order, [2, 4, 1, 3, 0, 6, 5, 7])
    np.testing.assert_array_equal(ranked, [0, 0, 0, 0, 1, inf, nan, nan])
    tables = np.arange(8.0)[None, ::-1]
    given = assign(order, ranked, tables, shared=False)
    np.testing.assert_array_equal(given, [[3, 5, 7, 4, 6, 1, 1, 1]])  # what failed still shares
    for same in (np.full(8, 2.0), np.full(8, nan), np.array([inf, nan] * 4)):
        assert assign(*ranking(same, True), tables, shared=False) is None


def test_the_share_that_is_tied_with_the_best():
    nan, inf = np.nan, np.inf
    cases = [([0, 1, 2], 0), ([0, 0, 2], 0.5), ([1, 1, 1], 1), ([0, 0, inf, nan], 0.5), ([3], 0)]
    cases += [([inf, inf], 1), ([2, nan], 0), ([nan, nan], 0)]
    for ranked, share in cases:
        assert tied_with_best(np.array(ranked, dtype=float)) == share, ranked


def test_missing_values_count_a_quarter_and_more_where_few_are_known():
    nan = np.nan
    assert with_missing(np.array([1.0, 2.0]), None) is None
    assert with_missing(np.array([nan, nan]), None) is None
    mass = with_missing(np.array([1.0, nan, 3.0, nan]), None)
    np.testing.assert_array_equal(mass, [1, 0.25, 1, 0.25])
    mass = with_missing(np.array([1.0, nan, 3.0]), np.array([0.5, 0.8, 1.0]))
    np.testing.assert_allclose(mass, [0.5, 0.5, 1.0])  # 2 in all
    np.testing.assert_array_equal(with_missing(np.array([1.0, nan, nan]), None), [1, 0.5, 0.5])
    np.testing.assert_array_equal(with_missing(np.array([1.0, nan]), None), [1, 1])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:all values of a generation were NaN")
@pytest.mark.parametrize("share", [0.2, 0.4])
def test_failures_by_luck_cost_little_more_than_themselves(share):
    def evaluations(share, seed):
        random = np.random.default_rng(seed)
        es = ES(random.uniform(1, 3, 8), 1.0, seed=seed, target=1e-8)
        while not es.stop():
            X = es.ask()
            values = (X * X) @ 10.0 ** np.arange(8)
            es.tell(X, np.where(random.uniform(size=len(X)) < share, np.nan, values))
        assert "target" in es.stop()
        return es.evaluations

    lost, whole = (np.mean([evaluations(p, seed) for seed in range(5)]) for p in (share, 0))
    assert lost < 1.7 * whole / (1 - share)  # 1.3; counted whole they cost 1.5 and 2.8
