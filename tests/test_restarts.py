"""Restarts: what a strategy says next, one budget for all runs, and every run an ES on its own."""

import ast
import copy
import doctest
import itertools
import math
import pickle
import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.special import ndtr, ndtri

import structes
from structes.arrays import noise
from structes.runs.experiment import experiment_from
from structes.runs.plan import plan, start
from structes.runs.reader import read_run
from structes.runs.recorder import Recorder
from structes.runs.running import run_experiment
from structes.search import restart_es
from structes.search.kinds import runs_of
from structes.search.loop import run
from structes.search.restart_es import RestartES
from structes.shell.cli import cli
from structes.strategy import monitor
from structes.strategy.restarts import (
    BIPOP,
    ENDS,
    IPOP,
    Plan,
    RestartStrategy,
    Run,
    build_restarts,
)
from structes.strategy.stopping import Stopping


def sphere(x):
    return float(x @ x)


def rastrigin(x):
    return float(10 * len(x) + np.sum(x**2 - 10 * np.cos(2 * np.pi * x)))


def minimize(fun=rastrigin, x0=(3.0, -2.0, 1.0), sigma0=0.5, **more):
    given = {"structure": "dense", "seed": 1, "restarts": "ipop", "popsize": 7, **more}
    return structes.minimize(fun, x0, sigma0, **given)


def trap(x):
    """Two bowls: the minimum, 0, at the origin, and another, 1, at (5, 5, …)."""
    return min(sphere(x), 1.0 + sphere(x - 5.0))


def out_of_the_trap(k):
    """The first run starts in the wrong bowl of `trap`, the others in the right one."""
    return [5.1 if k == 0 else 0.1] * 3


def row(regime, popsize, evaluations):
    return Run(0, regime, popsize, 1.0, 1, evaluations, 1, 0.0, {})


# -- strategies: pure functions of the runs so far


def test_ipop_doubles_until_it_has_restarted_often_enough():
    runs, sizes = (row("first", 7, 100),), []
    while (plan := IPOP(max_restarts=4).next(runs, (0.5, 0.5))) is not None:
        assert plan == Plan("large", plan.popsize, 1.0, None)
        sizes.append(plan.popsize)
        runs += (row(plan.regime, plan.popsize, 100),)
    assert sizes == [14, 28, 56, 112]
    assert IPOP(max_restarts=0).next(runs[:1], (0.5, 0.5)) is None
    assert IPOP(factor=1.5).next(runs[:2], (0.5, 0.5)).popsize == round(7 * 1.5**2)
    assert IPOP(max_restarts=None).next(runs, (0.5, 0.5)).popsize == 224


def test_bipop_balances_the_evaluations_of_its_regimes():
    """However much a run takes, no regime is ahead by more than the one run that put it there."""
    evaluations = itertools.cycle([900, 130, 4000, 1, 77, 2500])
    runs, larges = (row("first", 10, 500),), 0
    for k in range(1, 200):
        before = {r: sum(x.evaluations for x in runs if x.regime == r) for r in ("large", "small")}
        before["small"] += 500  # the first run counts as a small one
        u = noise.uniforms(3, noise.STARTS, k, 0, 1, 2)[0]
        plan = BIPOP(max_restarts=None).next(runs, u)
        assert plan == BIPOP(max_restarts=None).next(runs, u)
        assert plan.regime == ("small" if before["small"] < before["large"] else "large")
        used = next(evaluations)
        if plan.regime == "large":
            larges += 1
            assert plan == Plan("large", 10 * 2**larges)
        else:
            last = [x for x in runs if x.regime == "large"][-1]
            assert plan.popsize == int(10 * (last.popsize / 20) ** (u[0] ** 2))
            assert 10 <= plan.popsize <= last.popsize / 2
            assert plan.scale == 10 ** (-2 * u[1]) and plan.limit == max(1, last.evaluations // 2)
            used = min(used, plan.limit)
        runs += (row(plan.regime, plan.popsize, used),)
    assert larges > 5 and sum(x.regime == "small" for x in runs) > 5


def test_bipop_counts_large_restarts_alone():
    runs = (row("first", 10, 500), row("large", 20, 800))
    assert BIPOP(max_restarts=1).next(runs, (0.5, 0.5)).regime == "small"
    assert BIPOP(max_restarts=1).next((*runs, row("small", 10, 300)), (0.5, 0.5)) is None
    assert BIPOP(max_restarts=2).next((*runs, row("small", 10, 300)), (0, 0)).popsize == 40


def test_every_criterion_is_in_the_table_of_what_it_ends():
    """The reasons are read from the source of monitor.py, wherever one is set."""
    source = Path(monitor.__file__).read_text()
    reasons = {
        node.slice.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Subscript)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
        and node.value.id == "fired"
    }
    assert reasons | {"regime_budget"} == set(ENDS)
    assert {f.name for f in fields(Stopping)} - {"noeffect"} <= reasons
    budgets = {f.name for f in fields(Stopping) if f.name.startswith("max_")}
    assert {k for k, what in ENDS.items() if what == "search"} == budgets | {"target"}
    assert set(ENDS.values()) == {"search", "run"}


@pytest.mark.parametrize(
    ("spec", "built"),
    [
        ("ipop", IPOP()),
        ("bipop", BIPOP()),
        ("ipop:factor3", IPOP(factor=3)),
        ({"name": "bipop", "max_restarts": "4", "spread": "1e-1"}, BIPOP(2.0, 4, 0.1)),
        ({"name": "structes.strategy.restarts:IPOP", "factor": 3}, IPOP(factor=3)),
        (IPOP(max_restarts=2), IPOP(max_restarts=2)),
        (3, IPOP(max_restarts=3)),
    ],
)
def test_specifications(spec, built):
    assert build_restarts(spec) == built and type(build_restarts(spec)) is type(built)


@pytest.mark.parametrize(
    ("restarts", "error", "message"),
    [
        ("ipp", ValueError, "unknown restarts 'ipp' .did you mean 'ipop'"),
        (-1, ValueError, "max_restarts must be .* ≥ 0; got -1"),
        (2.5, TypeError, r"restarts must be a name, a mapping .* got 2\.5"),
        (True, TypeError, "restarts must be a name, a mapping .* got True"),
        ({"name": "ipop", "factr": 3}, ValueError, "'factr' .did you mean 'factor'"),
        ({"name": "ipop", "factor": 0.5}, ValueError, "factor must be ≥ 1; got 0.5"),
        ({"name": "ipop", "factor": math.nan}, ValueError, "factor must be a number; got nan"),
        ({"name": "ipop", "factor": math.inf}, ValueError, "factor must be finite"),
        ({"name": "ipop", "max_restarts": -1}, ValueError, "max_restarts must be .* ≥ 0; got -1"),
        ({"name": "ipop", "max_restarts": 1.5}, TypeError, "max_restarts must be an integer"),
        ({"name": "ipop", "spread": -1}, ValueError, "spread must be ≥ 0 and finite; got -1"),
        ({"name": "bipop", "spread": math.inf}, ValueError, "spread must be ≥ 0 and finite"),
        ("structes.strategy.stopping:Stopping", TypeError, "restarts must be a RestartStrategy"),
        ({"name": "ipop", "max_restarts": None}, ValueError, "need an end: give max_evaluations"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(restarts, error, message):
    with pytest.raises(error, match=message):
        minimize(restarts=restarts, target=1e-8)  # a target may never be reached: no end


# -- one search


def test_without_restarts_and_the_first_run_are_the_same_to_the_bit():
    alone = structes.minimize(rastrigin, [3.0, -2.0, 1.0], 0.5, seed=1, popsize=7)
    assert len(alone.restarts) == 1 and alone.restarts[0].stop == alone.stop
    assert isinstance(alone.es, structes.ES)
    for restarts in ("ipop", "bipop"):
        both = minimize(restarts=restarts, max_evaluations=alone.nfev + 100)
        first, second = both.restarts
        assert first == alone.restarts[0] and first.fun == alone.fun
        assert second.evaluations == 100 and second.popsize == 2 * first.popsize


@pytest.mark.slow
@pytest.mark.parametrize("restarts", ["ipop", "bipop"])
def test_every_run_is_an_es_of_its_own(restarts):
    """Its row says which one: started alone, at the same place, it does the same to the bit."""
    starts = np.random.RandomState(3).uniform(-4, 4, (99, 3))
    result = minimize(x0=lambda k: starts[k], restarts=restarts, max_evaluations=30_000)
    assert len(result.restarts) > 3 and len({r.seed for r in result.restarts}) > 3
    for r in result.restarts[:-1]:
        alone = structes.ES(starts[r.number], r.sigma0, seed=r.seed, popsize=r.popsize)
        while not alone.stop() and alone.evaluations < r.evaluations:
            X = alone.ask()
            alone.tell(X, [rastrigin(x) for x in X])
        assert (alone.best.fun, alone.evaluations) == (r.fun, r.evaluations)
        assert alone.generation == r.generations
        assert {k: v for k, v in r.stop.items() if k != "regime_budget"} == alone.stop()


@pytest.mark.parametrize("restarts", ["ipop", "bipop"])
def test_totals_are_sums_and_the_best_is_the_best_of_all(restarts):
    calls = []
    result = minimize(
        lambda x: calls.append(rastrigin(x)) or calls[-1],
        restarts=restarts,
        max_evaluations=20_000,
    )
    rows = result.restarts
    assert [r.number for r in rows] == list(range(len(rows))) and len(rows) > 2
    assert len(calls) == result.nfev == sum(r.evaluations for r in rows) == 20_000
    assert result.nit == sum(r.generations for r in rows) == result.es.generation
    assert result.fun == min(r.fun for r in rows) == min(calls) == rastrigin(result.x)
    assert result.es.best.evaluations >= calls.index(min(calls)) + 1
    assert calls.index(min(calls)) + 1 > result.es.best.evaluations - max(r.popsize for r in rows)
    at = 0
    for r in rows:
        assert r.fun == min(calls[at : at + r.evaluations])
        at += r.evaluations
    assert result.stop["max_evaluations"] == 20_000
    assert (
        f" after {len(rows) - 1} restarts. minimize(fun, es=result.es, …) goes on"
        in result.message
    )


@pytest.mark.parametrize("restarts", ["ipop", "bipop"])
@pytest.mark.parametrize("limit", [1, 7, 500, 1501, 9973])
def test_never_more_evaluations_than_allowed(restarts, limit):
    calls = []
    fun = lambda x: calls.append(1) or rastrigin(x)  # noqa: E731
    result = minimize(fun, restarts=restarts, max_evaluations=limit)
    assert len(calls) == result.nfev == limit and "max_evaluations" in result.stop


@pytest.mark.slow
def test_the_small_regime_stays_within_its_share():
    late = {"tolfun": None, "tolfunhist": None}  # runs go on until something else ends them
    result = minimize(restarts="bipop", max_evaluations=100_000, popsize=6, **late)
    rows = result.restarts
    small = [r for r in rows[:-1] if r.regime == "small"]
    assert any("regime_budget" in r.stop for r in small)
    for r in small:
        last = [x for x in rows[: r.number] if x.regime == "large"][-1]
        assert r.evaluations < last.evaluations // 2 + r.popsize
        assert r.sigma0 <= 0.5 and r.sigma0 >= 0.5 * 0.01


def test_a_small_run_has_the_population_and_the_steps_that_its_seed_says():
    es = RestartES(np.ones(3), 0.5, seed=4, restarts="bipop", popsize=6, flat=1)
    while es.restart < 12:
        X = es.ask()
        if es.runs[-1].regime == "small":
            u = noise.uniforms(es.es.seed, noise.STARTS, 0, 0, 1, 2)[0]
            large = [run.popsize for run in es.finished if run.regime == "large"][-1]
            assert es.popsize == int(6 * (large / 12) ** (u[0] ** 2))
            assert es.runs[-1].sigma0 == pytest.approx(0.5 * 10 ** (-2 * u[1]))
            if not es.es.generation:
                assert es.sigma == pytest.approx(es.runs[-1].sigma0)
        es.tell(X, np.ones(len(X)))  # flat: the run ends
    assert sum(run.regime == "small" for run in es.runs) > 3


def test_a_run_that_has_had_its_share_ends_with_it():
    class Shares(IPOP):
        def next(self, runs, u):
            return Plan("small", 7, 1.0, 14)

    es = RestartES(np.ones(3), 1.0, seed=1, restarts=Shares(), popsize=7, max_evaluations=2000)
    while not es.stop():
        X = es.ask()
        es.tell(X, (X * X).sum(axis=1))
    later = es.finished[1:]
    assert len(later) > 3 and {(run.evaluations, run.generations) for run in later} == {(14, 2)}
    assert all(run.stop == {"regime_budget": 14} for run in later)


def test_the_start_of_a_run_says_nothing_of_its_size():
    """The numbers that its plan was made of are others than those of its start."""
    es = RestartES(np.zeros(2), 1.0, seed=3, flat=1, restarts=IPOP(factor=1, max_restarts=9))
    while not es.stop():
        X = es.ask()
        if es.restart and not es.es.generation:
            u = noise.uniforms(es.es.seed, noise.STARTS, 0, 0, 1, 2)[0]
            assert np.abs(ndtr(es.mean) - u).max() > 1e-6
            normal = noise.normals(es.es.seed, noise.STARTS, 1, 0, 1, 2)[0]
            np.testing.assert_allclose(es.mean, normal)  # as far as sigma0 says, unless told
        es.tell(X, np.ones(len(X)))


def test_a_value_of_the_run_before_is_the_searchs_and_not_this_runs():
    es = RestartES(np.ones(4), 1.0, restarts="ipop", seed=2, flat=1, target=-3.0)
    X = es.ask(2 * es.popsize)
    es.tell(X[: es.popsize], np.ones(es.popsize))  # flat: the run ends
    Y = es.ask()
    assert es.restart == 1
    es.tell(Y[:1], [0.5])
    es.tell(X[-1:], [-2.0])
    assert es.best.fun == -2.0 and es.es.best.fun == es.runs[-1].fun == 0.5
    np.testing.assert_array_equal(es.best.x, X[-1])
    assert not es.stop()
    es.tell(X[-2:-1], [-3.0])
    assert es.stop() == {"target": -3.0} and es.runs[-1].fun == 0.5


def test_a_target_ends_the_search_in_whichever_run():
    result = minimize(trap, out_of_the_trap, 0.1, target=1e-8)
    assert result.success and result.fun <= 1e-8
    assert re.fullmatch(r".* reached \(target .*\), after 1 restart", result.message)
    first, second = result.restarts
    assert 1 <= first.fun < 1 + 1e-8 and "target" not in first.stop
    assert second.fun == result.fun and second.stop == {"target": result.fun}


def test_without_a_target_success_is_that_the_best_run_converged():
    free = minimize(trap, out_of_the_trap, 0.1, restarts={"name": "ipop", "max_restarts": 1})
    used = [r.evaluations for r in free.restarts]
    assert free.success and "tolfun" in free.restarts[1].stop
    cut = minimize(trap, out_of_the_trap, 0.1, max_evaluations=sum(used) + 50)  # in the third run
    assert cut.success and cut.restarts[2].fun > cut.fun
    cut = minimize(trap, out_of_the_trap, 0.1, max_evaluations=sum(used) - 50)
    assert not cut.success and cut.restarts[0].stop and cut.fun < 1


def test_max_restarts_ends_a_search_that_nothing_else_ends():
    result = minimize(restarts={"name": "ipop", "max_restarts": 2})
    assert [r.popsize for r in result.restarts] == [7, 14, 28]
    assert result.stop["max_restarts"] == 2 and "max_evaluations" not in result.stop
    assert result.restarts[-1].stop == {
        k: v for k, v in result.stop.items() if k != "max_restarts"
    }
    assert "max_restarts 2" in result.message


def test_generations_and_seconds_are_those_of_the_search(monkeypatch):
    whole = minimize(max_evaluations=4000)
    for limit in (1, 150, whole.nit - 1):
        result = minimize(max_generations=limit)
        assert result.nit == limit and result.stop["max_generations"] == limit
    assert len(result.restarts) > 1
    clock = itertools.count()
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    result = minimize(max_seconds=9000)  # of a clock that moves whenever it is read
    assert len(result.restarts) > 2 and 9000 <= result.stop["max_seconds"] < 9040


def test_a_function_that_never_answers_ends_the_search_and_one_that_did_does_not():
    with pytest.warns(RuntimeWarning, match="NaN"):
        result = minimize(lambda x: math.nan)
    assert result.stop == {"failures": 10} and len(result.restarts) == 1

    calls = itertools.count()
    with pytest.warns(RuntimeWarning, match="NaN"):  # dead for a while, then alive again
        result = minimize(lambda x: math.nan if 20 < next(calls) < 120 else sphere(x), target=1e-8)
    assert "failures" in result.restarts[0].stop and result.success
    assert len(result.restarts) == 2


def test_a_flat_function_ends():
    result = minimize(lambda x: 0.0, restarts={"name": "ipop", "max_restarts": 3})
    assert "flat" in result.stop and len(result.restarts) == 4


def test_a_callback_ends_the_search_and_sees_every_run():
    seen = []
    result = minimize(
        callback=lambda es: seen.append((es.restart, es.popsize, es.sigma)) or es.restart == 2
    )
    assert result.stop == {"callback": True} and len(result.restarts) == 3
    assert {(k, popsize) for k, popsize, _ in seen} == {(0, 7), (1, 14), (2, 28)}


# -- where runs begin


def first_candidates(**more):
    """The first generation of each run: {restart: (popsize, d)}."""
    es = RestartES([3.0, -2.0], **{"sigma0": [0.5, 5.0], "seed": 1, **more})
    found = {}
    while not es.stop():
        X = es.ask()
        found.setdefault(es.restart, X)
        es.tell(X, np.full(len(X), 1.0))  # flat: every run ends soon
    return es, found


def test_restarts_begin_around_x0_in_units_of_sigma0():
    starts = []
    for seed in range(40):
        restarts = IPOP(factor=1, max_restarts=4, spread=3.0)
        es = RestartES([3.0, -2.0], [0.5, 5.0], seed=seed, restarts=restarts, flat=1)
        while not es.stop():
            if es.es.generation == 0 and es.restart == 0:
                assert es.mean.tolist() == [3.0, -2.0]
            X = es.ask()
            if es.restart and es.es.generation == 0:
                starts.append(es.mean)
            es.tell(X, np.full(len(X), 1.0))
    z = (np.array(starts) - [3.0, -2.0]) / (3.0 * np.array([0.5, 5.0]))
    assert len(z) == 160 and len({tuple(v) for v in z}) == 160
    assert np.abs(z.mean(axis=0)).max() < 0.3 and np.abs(z.std(axis=0) - 1).max() < 0.2
    _, found = first_candidates(restarts={"name": "ipop", "spread": 0, "max_restarts": 1})
    assert np.abs(found[1].mean(axis=0) - [3.0, -2.0]).max() < 5


def test_a_start_of_the_users_own_for_every_run():
    asked = []
    es = RestartES(lambda k: asked.append(k) or [100.0 * k, 1.0], 0.5, seed=1, max_evaluations=500)
    means = {}
    while not es.stop():
        X = es.ask()
        means.setdefault(es.restart, es.mean[0])
        es.tell(X, np.full(len(X), 1.0))
    assert asked == list(means) and means == {k: 100.0 * k for k in asked} and len(asked) > 2
    with pytest.raises(ValueError, match=r"x0\(1\) must have 1 numbers; got 2"):
        minimize(lambda x: 0.0, x0=lambda k: [1.0] * (k + 1))
    with pytest.raises(TypeError, match=r"x0\(0\) must be a 1-d sequence"):
        minimize(x0=lambda k: None)


def test_what_is_handed_in_is_neither_changed_nor_kept():
    x0, sigma0, structure = np.array([3.0, -2.0]), np.array([0.5, 0.5]), {"name": "dense"}
    before = copy.deepcopy((x0, sigma0, structure))

    def search(spoil):
        es = RestartES(x0.copy(), s := sigma0.copy(), structure, 1, max_evaluations=3000)
        if spoil:
            s[:] = 77.0
        run(es, lambda X: np.array([rastrigin(x) for x in X]))
        return es.best.fun, es.runs

    assert search(False) == search(True)
    assert str(before) == str((x0, sigma0, structure))


def test_the_same_seed_gives_the_same_runs_and_another_one_others():
    a, b = (minimize(max_evaluations=5000, restarts="bipop") for _ in range(2))
    assert a.restarts == b.restarts and a.x.tolist() == b.x.tolist()
    c = minimize(max_evaluations=5000, restarts="bipop", seed=2)
    assert {r.seed for r in c.restarts}.isdisjoint({r.seed for r in a.restarts})
    es = RestartES([1.0], 1.0)
    assert 0 <= es.seed < 2**64 and es.es.seed == es.seed


def first_words(seed, stream, generation, n):
    """Uniforms of the address of noise.py, by its formula."""
    key = np.array([seed, stream], dtype=np.uint64)
    philox = np.random.Philox(key=key, counter=(0, 0, generation, 0))
    return (philox.random_raw(n) >> np.uint64(11)) * 2.0**-53 + 2.0**-54


def test_seeds_and_starts_of_runs_follow_from_seed_and_number():
    """The seed of run k is the first word of the stream of starts, generation k; the start, in
    search coordinates, is around x0 by normals of that seed."""
    options = dict(bounds=[(-9, 9), (1e-3, 1e3)], transforms={1: "log"}, restarts={"spread": 0.7})
    options["restarts"]["name"] = "ipop"
    x0, sigma0 = np.array([1.0, 2.0]), np.array([0.5, 0.2])
    everything = set()
    for seed in (0, 1, 2**64 - 1):
        es = RestartES(x0, sigma0, seed=seed, flat=1, max_evaluations=400, **options)
        means = []
        while not es.stop():
            X = es.ask()
            means.append(es.mean)
            es.tell(X, np.ones(len(X)))
        seeds = [run.seed for run in es.runs]
        assert seeds[0] == seed and len(seeds) > 4
        assert seeds[1:] == [
            int(2**53 * first_words(seed, 2, k, 1)[0]) for k in range(1, len(seeds))
        ]
        for run_seed, mean in zip(seeds[1:], means[1:], strict=True):
            step = 0.7 * sigma0 * ndtri(first_words(run_seed, 2, 1, 2))
            np.testing.assert_allclose(mean, [1.0 + step[0], 2.0 * np.exp(step[1])], rtol=1e-12)
        everything |= set(seeds)
    assert len(everything) == 3 * len(seeds)


# -- asking and telling


def test_a_run_that_ended_is_there_until_one_asks():
    es = RestartES([3.0, -2.0], 0.5, seed=1, flat=1)
    X = es.ask()
    es.tell(X, [1.0] * len(X))
    assert es.es.stop() and es.stop() == {} and es.restart == 0 and len(es.runs) == 1
    assert "flat" in es.runs[0].stop
    assert len(es.ask()) == 2 * len(X) and es.restart == 1 and es.runs[1].stop == {}
    assert "restart 1" in repr(es)


def test_values_in_portions_and_advance():
    one = RestartES([3.0, -2.0, 1.0], 0.5, seed=1, max_evaluations=3000)
    two = RestartES([3.0, -2.0, 1.0], 0.5, seed=1, max_evaluations=3000)
    while not one.stop():
        X = one.ask()
        one.tell(X, [rastrigin(x) for x in X])
        order = np.argsort(X[:, 0])
        X = two.ask()
        for part in np.array_split(order, 3):
            two.tell(X[part], [rastrigin(x) for x in X[part]])
    assert one.runs == two.runs and len(one.runs) > 1
    X = (es := RestartES([3.0, -2.0], 0.5, seed=1)).ask()
    es.tell(X[:3], [1.0, 2.0, 3.0])
    es.advance()
    assert es.generation == 1 and es.evaluations == 3


def test_what_is_not_there_is_an_attribute_error():
    es = RestartES([1.0, 2.0], 0.5, seed=1)
    with pytest.raises(AttributeError, match="no attribute 'sigmaa'"):
        es.sigmaa  # noqa: B018
    with pytest.raises(AttributeError):
        RestartES.__new__(RestartES).es  # noqa: B018


def test_rows_are_plain():
    rows = minimize(max_evaluations=3000).restarts
    assert pickle.loads(pickle.dumps(rows)) == rows
    assert runs_of(structes.ES([1.0], 1.0, seed=5))[0].seed == 5
    with pytest.raises(TypeError, match="abstract"):
        RestartStrategy()


def test_examples_in_the_documentation():
    found = doctest.testmod(restart_es)
    assert found.attempted and not found.failed


# -- recorded


def test_a_recorded_search_with_restarts(tmp_path):
    config = {"problems": ["rastrigin"], "dim": 3, "seed": 1, "x0": [3, -2, 1], "sigma0": 0.5}
    config |= {"restarts": "ipop", "max_evaluations": 6000}
    done = run_experiment(experiment_from(config), tmp_path)
    (entry,) = done.result["problems"]
    rows = entry["restarts"]
    assert len(rows) > 2 and sum(r["evaluations"] for r in rows) == entry["evaluations"] == 6000
    assert done.config["restarts"] == "ipop"
    frame = structes.load_runs(done.folder)
    assert (frame.evaluations.diff().dropna() > 0).all() and (
        frame.best.diff().dropna() <= 0
    ).all()
    assert (frame.generation.diff().dropna() >= 0).all()
    for r, group in zip(rows, (g for _, g in frame.groupby("restart")), strict=True):
        assert set(group.restart) == {r["number"]} and set(group.popsize) == {r["popsize"]}
        assert len(group) == r["generations"] + (
            r is rows[-1] and group.generation_best.isna().any()
        )
        assert 0.2 < group.sigma.iloc[0] / r["sigma0"] < 5  # it jumps back
        ratio = group.deviation_max.iloc[0] / group.sigma.iloc[0]
        assert ratio == pytest.approx(1, rel=0.5)  # and the shape is measured anew
    with np.load(done.folder / entry["state"]) as state:
        assert state["restart"] == len(rows) - 1 and state["popsize"] == rows[-1]["popsize"]
        assert state["seed"] == 1
    again = run_experiment(experiment_from(done.config), tmp_path)
    assert again.result["problems"][0]["restarts"] == rows


def test_a_search_without_restarts_has_none_in_its_result(tmp_path):
    config = {"problems": ["sphere"], "dim": 3, "seed": 1, "max_evaluations": 100}
    done = run_experiment(experiment_from(config), tmp_path)
    assert "restarts" not in done.result["problems"][0]
    assert set(structes.load_runs(done.folder).restart) == {0}


def test_a_restart_cut_short_in_its_first_generation_is_logged_as_it_was(tmp_path):
    config = {"problems": ["ellipsoid"], "dim": 3, "seed": 1, "restarts": "ipop"}
    whole = run_experiment(experiment_from({**config, "max_evaluations": 9000}), tmp_path)
    first = whole.result["problems"][0]["restarts"][0]["evaluations"]
    done = run_experiment(experiment_from({**config, "max_evaluations": first + 3}), tmp_path)
    before, last = (structes.load_runs(done.folder).iloc[k] for k in (-2, -1))
    assert (before.restart, last.restart) == (0, 1) and last.evaluations == before.evaluations + 3
    assert before.deviation_max > 100 * before.deviation_min  # the shape that was learnt
    assert last.deviation_max == last.deviation_min == last.sigma  # and is forgotten
    assert np.isnan(last.generation_best) and last.generation == before.generation


@pytest.mark.parametrize("restarts", ["ipp", {"name": "bipop", "max_restarts": -1}])
def test_all_is_checked_before_anything_is_written(restarts, tmp_path):
    config = {"problems": ["sphere"], "dim": 3, "restarts": restarts}
    with pytest.raises(ValueError, match=r"ipop|max_restarts must be"):
        run_experiment(experiment_from(config), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_search_under_way_tells_of_its_runs(tmp_path):
    """As after a kill -9: the folder is read while nobody has ended it."""
    config = {"problems": ["rastrigin"], "dim": 2, "seed": 1, "flat": 1}
    e = experiment_from({**config, "restarts": {"name": "ipop", "max_restarts": 3}})
    (task,) = plan(e)
    es = start(e, task)
    with Recorder(tmp_path, "try", e.config(), [task.label], {"seed": 1}) as log:
        log.begin(task.label, es, 0.0)
        while es.restart < 2:
            X = es.ask()
            es.tell(X, np.full(len(X), 1.0))
            log.generation(es)
            log._noted = -math.inf  # do not wait for the next second
        frame = structes.load_runs(log.folder)
        entry = read_run(log.folder).result["problems"][0]
    assert frame.restart.tolist() == [0, 1, 2] and entry["status"] == "running"
    assert [r["number"] for r in entry["restarts"]][:2] == [0, 1]


# -- shown


def test_progress_tells_the_restart_and_its_population(capsys):
    minimize(max_evaluations=3000, progress=True)
    last = capsys.readouterr().err.splitlines()[-1]
    assert re.search(r"restart [1-9]\d*, popsize (14|28|56)  3000 evaluations", last)
    minimize(max_evaluations=30, progress=True)
    assert "restart" not in capsys.readouterr().err


def test_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(line):
        return CliRunner().invoke(cli, line.split(), prog_name="structes")

    given = "--dim 3 --x0 [3,-2,1] --sigma0 0.5 --seed 1 --max-evaluations 4000 -q"
    result = call(f"run --problem rastrigin --problem sphere --restarts bipop {given}")
    assert result.exit_code == 0, result.output
    (folder,) = (tmp_path / "runs").iterdir()
    run_ = read_run(folder)
    assert run_.config["restarts"] == "bipop"
    lines = result.stdout.splitlines()
    assert lines[0].split()[:4] == ["problem", "error", "restarts", "evaluations"]
    for line, entry in zip(lines[2:4], run_.result["problems"], strict=True):
        assert int(line.split()[2]) == len(entry["restarts"]) - 1 > 0
    shown = call(f"show {folder}").stdout
    table = shown[shown.index("the runs of rastrigin") :].splitlines()
    assert table[1].split()[:3] == ["restart", "regime", "popsize"]
    rows = run_.result["problems"][0]["restarts"]
    for line, r in zip(table[3 : 3 + len(rows)], rows, strict=True):
        assert line.split()[:3] == [str(r["number"]), r["regime"], str(r["popsize"])]
        assert line.rstrip().endswith(", ".join(r["stop"]))
    tail = shown[shown.index("last rows of log.csv") :].splitlines()
    assert tail[1].split()[:4] == ["problem", "restart", "popsize", "generation"]

    changed = call(f"run {folder} --set restarts=null -q")
    assert changed.exit_code == 0 and "restarts" not in changed.stdout.splitlines()[0]
    wrong = call(f"run --problem rastrigin --restarts ipp {given}")
    assert wrong.exit_code == 2 and "unknown restarts 'ipp' (did you mean 'ipop'?)" in wrong.stderr
