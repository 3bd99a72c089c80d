"""A search is a value: copies of any kind are independent and go on to the same bits, and results
come back from pools."""

import copy
import gc
import importlib.util
import multiprocessing
import pickle
import weakref
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import pytest

import structes
from structes import ES, Choice, Float, Int, RestartES, ShardedES, Space, minimize

from .searches import CASES, SEARCHES, busy, goes_on, objective

COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda its: pickle.loads(pickle.dumps(its)),
    "pickle 2": lambda its: pickle.loads(pickle.dumps(its, protocol=2)),
}


@pytest.fixture(params=COPIES)
def copied(request):
    return COPIES[request.param]


def sphere(x):
    return float(np.sum(np.asarray(x) ** 2))


# -- ES -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("structure", "dim", "options"), SEARCHES)
def test_a_copy_goes_on_to_the_same_bits_and_its_own_way(structure, dim, options, copied):
    es = busy(ES([1.0 + (i == 0) for i in range(dim)], 0.4, structure, seed=5, **options))
    first, second = copied(es), copied(es)
    here = goes_on(first)  # the original must not notice
    assert goes_on(es) == here
    assert goes_on(copied(second)) == here  # a copy of a copy, of before all that
    assert goes_on(second) == here


@pytest.mark.parametrize(("spec", "dim"), CASES)
def test_copies_of_every_structure(spec, dim):
    es = busy(ES(np.linspace(1, 2, dim), 0.4, spec, seed=5))
    twins = [make(es) for make in COPIES.values()]
    here = goes_on(es, 4)
    assert all(goes_on(twin, 4) == here for twin in twins)


def test_both_know_what_is_out():
    """Candidates that were asked before the copy was made are candidates of both."""
    es = ES(np.ones(4), 0.5, seed=1)
    X, C = es.ask(), es.ask(3, lazy=True)
    twin = copy.copy(es)
    for its in (es, twin):
        its.tell(X, [sphere(x) for x in X])
        its.tell(C, [sphere(x) for x in C.points()])
        assert its.info.injected == 0
    np.testing.assert_array_equal(es.mean, twin.mean)
    assert es.evaluations == twin.evaluations == len(X) + 3


def test_candidates_by_handle_that_were_told_before_the_copy_are_known_to_it():
    es = ES(np.ones(4), 0.5, seed=1)
    C = es.ask(lazy=True)
    es.tell(C, [sphere(x) for x in C.points()])
    twin = copy.copy(es)
    for its in (es, twin, copy.copy(twin)):
        with pytest.warns(RuntimeWarning, match="told before are ignored: 2"):
            its.tell(C[:2], [-1.0, -1.0])
        assert its.evaluations == len(C) and its.best.fun == es.best.fun > 0


def test_candidates_by_handle_that_the_other_has_asked_are_strangers():
    es = ES(np.ones(4), 0.5, seed=1)
    twin = copy.copy(es)
    C = twin.ask(3, lazy=True)
    with pytest.raises(ValueError, match="must be candidates of this search"):
        es.tell(C, [1.0, 2.0, 3.0])


def test_a_copy_has_used_the_seconds_of_the_original(copied):
    es = ES(np.ones(4), 0.5, seed=1, max_seconds=1000)
    es.count_from(es._start - 500)
    assert 500 <= copied(es).seconds < 600


# -- the others -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("restarts", ["ipop", "bipop"])
def test_searches_with_restarts(restarts, copied):
    def rastrigin(X):
        return 10 * X.shape[1] + (X**2 - 10 * np.cos(6.28 * X)).sum(axis=1)

    es = RestartES([2.0, 3.0], 1.0, seed=2, restarts=restarts, max_evaluations=5000)
    while es.restart < 2:
        X = es.ask()
        es.tell(X[1:], rastrigin(X[1:]))
        es.tell(X[:1], rastrigin(X[:1]))
    es.ask(3)
    searches = es, copied(es), copied(copied(es))
    seen = []
    for its in searches:
        rows = []
        while not its.stop():
            X = np.concatenate([its.pending, its.ask()])
            its.tell(X, rastrigin(X))
            rows.append((X.tobytes(), its.sigma, its.evaluations))
        seen.append((rows, its.runs, its.stop(), its.best.x.tobytes()))
    assert seen[0] == seen[1] == seen[2] and len(es.runs) > 3


def test_sharded_searches(copied):
    def go(es, n):
        for _ in range(n):
            es.step()
        return es.mean.tobytes(), es.sigma, es.best.fun, es.evaluations, es.generation

    with ShardedES(objective, np.ones(6), 0.5, "diagonal", seed=1, replicas=2) as es:
        begun = copied(es)
        go(es, 5)
        twin = copied(es)
        there = go(twin, 5)
        assert go(es, 5) == there
        assert go(begun, 10) == there
    closed = copied(es)
    assert closed.mean.tobytes() == es.mean.tobytes() and closed.best.fun == es.best.fun
    twin.close()
    begun.close()


def test_spaces(copied):
    space = Space({"a": Float(1e-3, 1, log=True), "n": Int(1, 9), "c": Choice(["x", "y"])})
    es = ES(space, seed=3)
    twin = ES(copied(space), seed=3)
    for _ in range(5):
        X = es.ask()
        np.testing.assert_array_equal(X, twin.ask())
        assert [space.to_dict(x) for x in X] == [twin.space.to_dict(x) for x in X]
        for its in (es, twin):
            its.tell(X, X[:, 0])


def test_results(copied):
    for given in ({}, {"restarts": "ipop"}):
        start = sphere, [1.0, 2.0], 0.5
        result = minimize(*start, seed=1, max_evaluations=100, **given)
        twin = copied(result)
        assert twin.fun == result.fun and twin.message == result.message
        assert twin.stop == result.stop and twin.x.tobytes() == result.x.tobytes()
        twin.x[:] = 0
        longer = minimize(sphere, es=twin.es, max_evaluations=200)
        whole = minimize(*start, seed=1, max_evaluations=200, **given)
        assert longer.x.tobytes() == whole.x.tobytes() and longer.nfev == whole.nfev == 200


# -- pools ----------------------------------------------------------------------------------------


def run(seed, given=()):
    return minimize(sphere, [1.0, 2.0, 3.0], 0.5, seed=seed, max_evaluations=200, **dict(given))


def same_results(results):
    for seed, result in enumerate(results):
        here = run(seed)
        assert result.x.tobytes() == here.x.tobytes() and result.nfev == here.nfev == 200
        assert result.es.best.fun == here.fun


@pytest.mark.slow
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_results_come_back_from_processes(method):
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        same_results(pool.map(run, range(3)))
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        same_results(pool.map(run, range(3)))
        searches = [ES(np.ones(3), 0.5, seed=s) for s in range(3)]
        again = list(pool.map(partial(goes_on, generations=3), map(copy.copy, searches)))
        assert again == [goes_on(es, 3) for es in searches]


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("joblib"), reason="joblib is not installed")
def test_results_come_back_from_joblib():
    import joblib

    same_results(joblib.Parallel(n_jobs=2)(joblib.delayed(run)(seed) for seed in range(3)))


# -- the caller's own -----------------------------------------------------------------------------


def test_what_is_handed_out_is_the_callers_own():
    result = minimize(sphere, [1.0, 2.0], 0.5, seed=1, max_evaluations=300)
    es, x = result.es, result.x.copy()
    mean = es.mean.copy()
    for its in (result.x, es.best.x, es.mean, es.deviations, es.ask()):
        its[:] = 1e9
    es.stop().clear()
    es.switches.append("x")
    np.testing.assert_array_equal(es.best.x, x)
    np.testing.assert_array_equal(es.mean, mean)
    assert es.stop() and not es.switches


def test_what_is_handed_in_is_not_kept():
    """A user who goes on writing into the arrays that were told changes nothing."""
    es, twin = (ES(np.ones(3), 0.5, seed=1) for _ in range(2))
    for _ in range(10):
        X = es.ask()
        values = (X**2).sum(axis=1)
        twin.tell(twin.ask(), values.copy())
        its = X.copy()
        es.tell(its, values)
        its[:] = values[:] = X[:] = 7.0
        assert es.best.x.tobytes() == twin.best.x.tobytes()
    np.testing.assert_array_equal(es.mean, twin.mean)


@pytest.mark.parametrize(("structure", "dim", "options"), SEARCHES)
def test_discarded_searches_are_freed(structure, dim, options):
    es = busy(ES(np.ones(dim), 0.4, structure, seed=5, **options))
    known = [weakref.ref(its) for its in (es, es.structure, es.strategy)]
    del es
    gc.collect()
    assert [its() for its in known] == [None] * len(known)


def test_discarded_searches_with_restarts_are_freed():
    result = minimize(sphere, np.ones(3), 0.4, seed=5, restarts=2, max_evaluations=3000)
    known = [weakref.ref(its) for its in (result.es, result.es.es, result.es.structure)]
    del result
    gc.collect()
    assert [its() for its in known] == [None] * len(known)


def test_the_names_of_the_package_pickle():
    for name in structes.__all__:
        its = getattr(structes, name)
        if callable(its):
            assert pickle.loads(pickle.dumps(its)) is its


# -- functions without a name ---------------------------------------------------------------------


def test_a_start_that_is_a_lambda_goes_along(copied):
    result = minimize(
        sphere, lambda k: [float(k)] * 3, 1.0, seed=1, restarts=1, max_evaluations=1500
    )
    twin = copied(result)
    assert twin.x.tobytes() == result.x.tobytes() and len(twin.restarts) == 2
    es = RestartES(lambda k: [float(k + 1)] * 3, 1.0, seed=1, max_evaluations=10**4)
    again = copied(es)
    for _ in range(150):
        for its in (es, again):
            its.tell(X := its.ask(), objective(X))
    assert es.restart == again.restart > 0 and es.mean.tobytes() == again.mean.tobytes()


def test_a_sharded_search_of_a_lambda(copied):
    with ShardedES(lambda X: (X**2).sum(axis=1), np.ones(4), 0.5, "diagonal", seed=1) as es:
        es.step()
        with copied(es) as twin:
            es.step()
            twin.step()
            assert twin.mean.tobytes() == es.mean.tobytes()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol(protocol):
    es = busy(ES(np.ones(6), 0.4, "dense", seed=5))
    twin = pickle.loads(pickle.dumps(es, protocol))
    candidates = pickle.loads(pickle.dumps(es.waiting, protocol))
    np.testing.assert_array_equal(candidates.points(), es.waiting.points())
    assert goes_on(twin) == goes_on(es)
