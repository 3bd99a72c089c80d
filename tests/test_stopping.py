"""Every criterion can fire, can be switched off, and is told with its value."""

import zlib

import numpy as np
import pytest

from structes import ES


def sphere(x):
    return float(x @ x)


def finish(f, dim=3, sigma0=0.8, **options):
    es = ES(np.ones(dim), sigma0, **{"seed": 1, "max_generations": 20_000, **options})
    while not es.stop():
        X = es.ask()
        es.tell(X, [f(x) for x in X])
    return es


OFF = dict(tolfun=None, tolfunhist=None, tolx=None, stagnation=None, noeffect=False)


@pytest.mark.parametrize(
    ("reason", "f", "options"),
    [
        ("target", sphere, dict(target=1e-5)),
        ("max_evaluations", sphere, dict(max_evaluations=50)),
        ("max_generations", sphere, dict(max_generations=7)),
        ("max_seconds", sphere, dict(max_seconds=1e-6)),
        ("tolfun", sphere, {**OFF, "tolfun": 1e-9}),
        ("tolfunhist", sphere, {**OFF, "tolfunhist": 1e-9}),
        ("tolx", sphere, {**OFF, "tolx": 1e-6}),
        ("tolxup", lambda x: -x.sum(), OFF),
        ("condition", lambda x: x[0] ** 2 + 1e30 * x[1] ** 2 + x[2] ** 2, OFF),
        ("stagnation", lambda x: 1 + zlib.crc32(x.tobytes()) % 1000, {**OFF, "stagnation": 50}),
        (
            "noeffectcoord",
            lambda x: sphere(x - [1e6, 0.0, 0.0]),
            {**OFF, "noeffect": True, "flat": None, "sigma0": 1e5},
        ),
        (
            "noeffectaxis",
            lambda x: sphere(x - 1e6),
            {**OFF, "noeffect": True, "flat": None, "sigma0": 1e5},
        ),
        ("flat", lambda x: 0.0, {}),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_every_reason_to_stop_can_happen(reason, f, options):
    es = finish(f, **options)
    assert reason in es.stop(), es.stop()


def test_flat_waits_longer_with_integers():
    def flat(**options):
        es = finish(lambda x: 0.0, dim=6, popsize=8, **options)
        assert set(es.stop()) == {"flat"}
        return es.stop()["flat"]

    assert flat() == flat(integers=None, flat="auto") == 10
    assert flat(integers=[2]) == flat(integers=True) == 10 + 60 * 6 // 8
    assert flat(integers=True, flat=4) == 4
    assert flat(integers=range(5), fixed={5: 1.0}) == 10 + -(-60 * 5 // 8)
    with pytest.raises((TypeError, ValueError), match="flat"):
        ES(np.ones(3), 0.8, flat="soon")


def test_a_search_without_numbers_waits_longest_for_a_better_value():
    def waited(**options):
        es = finish(lambda x: float(abs(x[:2]).sum()), dim=6, popsize=8, **options)
        assert set(es.stop()) <= {"tolfun", "tolfunhist"}, es.stop()
        return es.generation

    only = {"integers": True, "bounds": [(-4, 4)] * 6}
    assert waited(**only) > 10 + 300 * 6 // 8
    assert 10 + 60 * 6 // 8 < waited(integers=range(5), bounds=only["bounds"]) < 235


def test_switched_off_criteria_stay_silent():
    es = finish(sphere, **{**OFF, "max_generations": 600})
    assert set(es.stop()) == {"max_generations"}


def test_stop_is_empty_while_there_is_progress_and_is_the_callers_own_dict():
    es = ES(np.ones(5), 0.8, seed=3)
    assert es.stop() == {}
    es.stop()["mine"] = 1
    assert es.stop() == {}


def test_a_reached_target_stops_inside_a_generation():
    es = ES(np.ones(5), 0.8, seed=3, target=10.0)
    X = es.ask()
    es.tell(X[:1], [9.0])
    assert es.stop() == {"target": 9.0} and es.generation == 0


@pytest.mark.parametrize(("budget", "ends"), [(4, True), (5, True), (6, False)])
def test_a_budget_of_generations_that_is_spent_ends_the_next_part_at_once(budget, ends):
    es = ES([1.0, 2.0], 0.5, seed=1)
    for _ in range(5):
        X = es.ask()
        es.tell(X, (X**2).sum(axis=1))
    es.extend(max_generations=budget)
    assert (es.stop() == {"max_generations": 5}) == ends == bool(es.stop())


def test_a_loaded_search_stagnates_when_the_saved_one_does(tmp_path):
    """It needs the medians of both halves, which are more than the window of tolfun."""
    values = np.random.default_rng(2).normal(size=(1000, 40))
    options = {"tolfun": None, "tolfunhist": None, "stagnation": 60, "popsize": 40}
    es = ES([1.0, 2.0], 0.5, seed=1, **options)
    ends = []
    for generation in range(1000):
        if generation == 119:
            es.save(tmp_path / "es.ckpt")
        es.tell(es.ask(), values[generation])
        if es.stop():
            break
    ends.append((es.generation, es.stop()))
    es = ES.load(tmp_path / "es.ckpt")
    while not es.stop():
        es.tell(es.ask(), values[es.generation])
    ends.append((es.generation, es.stop()))
    assert "stagnation" in ends[0][1] and ends[0] == ends[1]
