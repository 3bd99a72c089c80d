"""Every peer answers to the words of its kind, and converges on a sphere."""

import sys
import warnings

import numpy as np
import pytest

from structes.bench import PEERS
from structes.bench.evaluations.bbob import TARGETS, Evaluations, Finished
from structes.bench.peers import refuse_numpy

REACHES = {  # error on the sphere after 2000 evaluations in d = 4; those not named: 1e-6
    "random": 10.0,
    "scipy-de": 0.1,
    "pypop7-mmes": 1.0,
    "pypop7-r1nes": 1.0,
    "pypop7-lmmaes": 1.0,  # for large d
}


def made(name, *args, **more):
    """The adapter, or a skipped test that says what is missing."""
    try:
        return PEERS[name](*args, **more)
    except ImportError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", list(PEERS))
def test_every_peer_answers_to_its_words_and_converges(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a peer's, as in the bench
        search = made(name, np.full(4, 2.0), 1.0, None, 1)
        evaluations = Evaluations(lambda X: ((X - 0.5) ** 2).sum(1), 0.0, 2000)
        if hasattr(search, "minimise"):
            with pytest.raises(Finished):
                search.minimise(evaluations.one)
            assert evaluations.used <= 2000
        else:
            while not evaluations.over:
                X = search.ask()
                assert X.shape == (search.popsize, 4)
                search.tell(X, evaluations(X))
                assert search.stop() in (True, False)
    assert evaluations.error <= REACHES.get(name, 1e-6)
    assert evaluations.used < 2000 or evaluations.error > TARGETS[-1]


@pytest.mark.parametrize("name", [n for n in PEERS if n not in ("nevergrad", "scipy-da")])
def test_a_seed_and_a_start_and_a_population_are_used(name):
    def first(seed, x0):
        evaluations, seen = Evaluations(lambda X: (X**2).sum(1), 0.0, 30), []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search = made(name, np.full(5, x0), 0.1, 12, seed)
            if hasattr(search, "minimise"):

                def function(x):
                    seen.append(np.array(x))
                    return evaluations.one(x)

                with pytest.raises(Finished):
                    search.minimise(function)
            else:
                assert search.popsize == 12
                seen.extend(search.ask())
        return np.array(seen)

    a, again, other = first(1, 2.0), first(1, 2.0), first(2, 2.0)
    assert np.array_equal(a, again) and not np.array_equal(a, other)
    if name not in ("random", "scipy-de"):
        assert np.linalg.norm(a[:3].mean(0) - 2.0) < 1


@pytest.mark.parametrize(("peer", "package"), [("pycma", "cma"), ("cmaes-sep", "cmaes")])
def test_a_missing_peer_says_how_to_install_it(peer, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"{package} is not installed: pip install 'structes"):
        PEERS[peer](np.zeros(2), 1.0)


def test_a_numpy_that_a_peer_fails_with_is_refused_in_words():
    with pytest.raises(ImportError, match=r"fails with numpy .*: pip install 'numpy<2.0'"):
        refuse_numpy("cmaes", last="999", numpy=(2, 0))
    refuse_numpy("cmaes", last="0.0.1", numpy=(2, 0))
    refuse_numpy("cmaes", last="999", numpy=(99, 0))


BOX = [(0.0, 1.0), (0.0, 7.0), (-5.0, 5.0), (-5.0, 5.0)]


@pytest.mark.parametrize("name", ["structes", "pycma", "cmaes-wm"])
def test_a_box_and_integers_are_told_and_kept(name):
    search = made(name, np.array([1.0, 3.0, 1.0, 4.0]), np.array([0.2, 1.4, 2.0, 2.0]), None, 1,
                  bounds=BOX, integers=[0, 1])  # fmt: skip
    low, high = np.array(BOX).T
    best = np.inf
    for _ in range(120):
        X = search.ask()
        assert (low <= X).all() and (high >= X).all()
        assert (X[:, :2] == np.round(X[:, :2])).all() and (X[:, 2:] != np.round(X[:, 2:])).any()
        values = ((X - [0, 5, 0.5, -6]) ** 2).sum(1) - 1  # the last one's minimum is on the bound
        search.tell(X, values)
        best = min(best, values.min())
    assert best < 1e-2


def test_a_box_without_integers_is_kept_by_cmaes():
    search = made("cmaes", np.array([0.5, 3.0, 1.0, 4.0]), 2.0, None, 1, bounds=BOX)
    X = np.concatenate([search.ask() for _ in range(9)])
    assert (np.array(BOX)[:, 0] <= X).all() and (np.array(BOX)[:, 1] >= X).all()


def test_the_frame_is_told_to_those_who_take_it():
    from structes.bench.evaluations.bbob import frame_of
    from structes.bench.solvers import build
    from structes.named_problems import load_problem

    assert frame_of("bbob", load_problem("bbob:f1", 5)) == (None, None)
    boxed = frame_of("bbob-boxed", load_problem("bbob-boxed:f1", 5))
    assert boxed == ([(-5.0, 5.0)] * 5, None)
    frame = frame_of("bbob-mixint", load_problem("bbob-mixint:f1", 5))
    assert frame.bounds == [(0, 1), (0, 3), (0, 7), (0, 15), (-5, 5)]
    assert frame.integers == [0, 1, 2, 3]
    ours = build("structes-dense", np.ones(5), 0.5, None, 1, 100, *frame)
    assert (ours.ask()[:, :4] % 1 == 0).all()
    build("cmaes-sep", np.ones(5), 0.5, None, 1, 100, *frame).ask()
    build("random", np.ones(5), 0.5, None, 1, 100, *frame)
