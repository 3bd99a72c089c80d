"""Large generations and candidates by address: the same bits whoever draws them, the same update
in tiles as in one piece, handles told in any order, and no population in memory."""

import pickle
import subprocess
import sys
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from structes import ES, Float, RestartES, Space
from structes.arrays.libraries import load_namespace, to_numpy
from structes.population import candidates, memory
from structes.population.asked import KEPT
from structes.population.candidates import Candidates
from structes.strategy import tiling
from structes.strategy.engine import Engine
from structes.strategy.strategy import Strategy
from structes.structures.building import build_structure

from .structure_table import TRUTH

SPECS = [
    "diagonal",
    "scalar",
    "circulant",
    "toeplitz_lower",
    "toeplitz_upper",
    {"name": "block_diagonal", "sizes": 4},
    {"name": "block_upper", "k": 3},
    {"name": "block_lower", "k": 2, "lead": [5, 1]},
    {"name": "hierarchical_lower", "k1": 2, "k2": 3},
    {"name": "hierarchical_upper_lower", "k1": 2, "k2": 3},
    {"name": "low_rank", "long": 2, "short": 1},
    {"name": "low_rank", "long": 0, "short": 2},
    {"name": "kronecker", "rows": 6, "cols": 4},
    {"name": "kronecker", "rows": 4, "cols": 6, "left": "lower", "right": "diagonal"},
    {"name": "sparse", "tree": [-1] + [k // 3 for k in range(23)]},
    {
        "name": "direct_sum",
        "blocks": {
            "w": {"name": "kronecker", "rows": 2, "cols": 6},
            "head": {"name": "dense", "dim": 6, "at": [23, 1, 2, 9, 5, 4]},
            "b": "diagonal",
        },
    },
]
D, N = 24, 19


@pytest.fixture
def tiny(monkeypatch):
    """Generations are large from 24 parameters on, with tiles of four rows."""
    monkeypatch.setattr(tiling, "LONG", D)
    monkeypatch.setattr(tiling, "TILE", 4)
    monkeypatch.setattr(tiling, "LARGE", 4 * D)


def values_of(X):
    X = np.asarray(X)
    return (X**2) @ np.arange(1, X.shape[1] + 1) + X[:, 0] * X[:, -1]


def search(spec="diagonal", make=ES, **options):
    options = {"engine": {"name": "default", "sampling": "independent"}, **options}
    return make(np.ones(D), 0.7, spec, seed=3, **{"popsize": N, **options})


def assert_same(a, b):
    assert (a.sigma, a.generation, a.evaluations) == (b.sigma, b.generation, b.evaluations)
    assert a.info == b.info and a.best.fun == b.best.fun
    np.testing.assert_array_equal(a.mean, b.mean)
    np.testing.assert_array_equal(a.best.x, b.best.x)


# -- what is large --------------------------------------------------------------------------------


def test_what_is_large():
    def tile(d, popsize, spec="diagonal", **options):
        return Strategy(build_structure(spec, d), popsize=popsize, **options).tile

    assert [tile(d, 64) for d in (2**16, 2**17, 2**19, 2**20, 2**21, 10**7)] == [8, 8, 8, 4, 2, 1]
    assert tile(2**15, 64) is None and tile(2000, 10**4) is None
    assert tile(10**6, 64, {"name": "block_upper", "k": 16}) == 4
    assert tile(10**6, 64, {"name": "kronecker", "rows": 1000}) == 4
    assert tile(5000, 1000, "dense") is tile(5000, 1000, "lower") is None
    assert tile(2**17, 64, noise=ES([1.0] * 9, 1.0, noise="auto").strategy.noise) is None
    assert tile(2**17, 64, engine=Engine(sampling="orthogonal")) is None


# -- the law of the update ------------------------------------------------------------------------


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("engine", ["default", "cma", "xnes"])
def test_the_update_in_tiles_is_the_whole_update(spec, engine):
    plain = search(spec, engine=engine)
    strategy_, state = plain.strategy, plain.state
    for t in range(3):
        Z, Y, X = strategy_.draw(state, 1, 0, N)
        values, mass = values_of(X), np.linspace(0.3, 1, N) if t else None
        tiles = (Z[a : a + 4] for a in range(0, N, 4))
        whole, info = strategy_.update(state, Z, Y, values, mass)
        tiled, same = strategy_.update(state, tiles, None, values, mass)
        np.testing.assert_allclose(same[:7], info[:7], rtol=1e-11)
        for a, b in zip(flat(tiled), flat(whole), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12 * np.abs(b).max(initial=0))
        state = whole


def flat(tree):
    if isinstance(tree, tuple):
        return [a for part in tree for a in flat(part)]
    return [] if tree is None else [np.asarray(tree)]


def test_every_structure_is_in_the_law():
    named = {spec if isinstance(spec, str) else spec["name"] for spec in SPECS}
    twins = {"hierarchical_upper", "hierarchical_lower_upper"}
    assert named | twins == set(TRUTH) - {"dense", "lower", "upper"}


# -- eager is lazy --------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("large", [True, False])
def test_eager_and_lazy_are_the_same_to_the_bit(spec, large, request):
    if large:
        request.getfixturevalue("tiny")
    eager, lazy = search(spec), search(spec)
    assert eager.strategy.tile == (4 if large else None)
    for portions in ([N], [7, 1, 13], [3, 5]):
        X, c = [eager.ask(n) for n in portions], [lazy.ask(n, lazy=True) for n in portions]
        for x, handle in zip(X, c, strict=True):
            np.testing.assert_array_equal(x, handle)
            np.testing.assert_array_equal(x[2:][::-1], handle[2:][::-1])
            eager.tell(x, values_of(x))
            lazy.tell(handle, values_of(x))
    assert eager.generation > 1  # late ones are among them
    assert_same(eager, lazy)
    eager.advance()
    lazy.advance()
    assert_same(eager, lazy)


def test_bounds_and_integers_are_the_same(tiny):
    options = {"bounds": [(-1, 2)] * D, "integers": [1, 4]}
    eager, lazy = search(**options), search(**options)
    for _ in range(3):
        X, c = eager.ask(), lazy.ask(lazy=True)
        np.testing.assert_array_equal(X, c)
        eager.tell(X, values_of(X))
        lazy.tell(c, values_of(X))
        assert_same(eager, lazy)
    space = Space({"x": Float(0.0, 1.0), "y": Float(-1.0, 1.0)})
    np.testing.assert_array_equal(ES(space, seed=1).ask(), ES(space, seed=1).ask(lazy=True))


def test_part_of_a_large_generation_is_enough_and_own_points_may_join(tiny):
    eager, lazy = search(), search()
    for es, lazily in ((eager, False), (lazy, True)):
        for t in range(4):
            c = es.ask(N + 5, lazy=lazily)
            values = values_of(np.asarray(c))
            own = np.full((1, D), 0.1 * t)
            es.tell(own, values_of(own))
            at = np.array([1, 8, 2, 20, 9])
            es.tell(c[at], values[at])
            es.advance()
            es.tell(c[3:8], values[3:8])
    assert lazy.info.late and lazy.info.injected
    assert_same(eager, lazy)


@pytest.mark.parametrize("xp", ["numpy", "array_api_strict"])
def test_tiles_are_within_the_array_standard(tiny, xp):
    pytest.importorskip(xp)
    plain, es = (
        search({"name": "block_upper", "k": 3}),
        search({"name": "block_upper", "k": 3}, backend=xp),
    )
    for lazy in (True, False):
        X, c = plain.ask(), es.ask(lazy=lazy)
        points = c.points() if lazy else c
        assert isinstance(points, type(load_namespace(xp).ones(1)))
        np.testing.assert_allclose(to_numpy(points), X, rtol=1e-9)
        plain.tell(X, values_of(X))
        es.tell(c, values_of(X))
    assert es.sigma == pytest.approx(plain.sigma)


# -- Candidates -----------------------------------------------------------------------------------


@pytest.mark.parametrize("large", [True, False])
def test_candidates_are_a_sequence(large, request):
    if large:
        request.getfixturevalue("tiny")
    X, es = search().ask(), search()
    c = es.ask(lazy=True)
    assert (len(c), c.shape, c.unit) == (N, (N, D), 4 if large else N)
    assert repr(c) == f"<{N} candidates of {D} parameters, generation 0>"
    for which in (slice(2, 9), slice(None, None, -2), [4, 4, 0], np.arange(N) % 3 == 0, slice(0)):
        assert isinstance(c[which], Candidates)
        np.testing.assert_array_equal(np.asarray(c[which]).reshape(-1, D), X[which])
    np.testing.assert_array_equal(c[-1], X[-1])
    np.testing.assert_array_equal(list(c), X)
    np.testing.assert_array_equal(c.points(), X)
    assert np.asarray(c, dtype=np.float32).dtype == np.float32
    for bad in (N, [N], (0, 1), "one"):
        with pytest.raises(IndexError):
            c[bad]
    with pytest.raises(ValueError, match="nowhere"):
        np.array(c, copy=False)


def test_candidates_of_several_generations():
    eager, es = search(), search()
    X = [eager.ask(4), eager.ask(5)]
    parts = [es.ask(4, lazy=True), es.ask(5, lazy=True)]
    values = values_of(np.concatenate(X))
    es.tell(parts[0][:2], values[:2])
    eager.tell(X[0][:2], values[:2])
    es.advance()
    eager.advance()
    X.append(eager.ask(3))
    es.ask(3, lazy=True)
    waiting, out = es.waiting, np.concatenate(X)[2:]
    np.testing.assert_array_equal(waiting, out)
    np.testing.assert_array_equal(es.pending, out)
    assert repr(waiting) == f"<10 candidates of {D} parameters, generation 0, 1>"
    for which in (slice(5, 9), [9, 0, 8, 1], slice(None, None, -1)):
        np.testing.assert_array_equal(waiting[which], out[which])
    assert [len(part) for part in waiting.by_recipe()] == [7, 3]
    (old, at), (new, rest) = waiting.recipes()
    assert (at, rest) == (range(2, 9), range(3)) and old.key != new.key
    np.testing.assert_array_equal(old.draw(at), out[:7])
    es.tell(waiting[[9, 0, 5]], values_of(out[[9, 0, 5]]))
    eager.tell(out[[9, 0, 5]], values_of(out[[9, 0, 5]]))
    assert_same(es, eager)
    assert len(es.waiting) == 7


# -- recipes --------------------------------------------------------------------------------------

CHILD = """
import pickle, sys, numpy as np
recipe, at = pickle.load(sys.stdin.buffer)
sys.stdout.buffer.write(np.ascontiguousarray(recipe.draw(at)).tobytes())
"""


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["diagonal", {"name": "block_upper", "k": 16}])
def test_another_process_draws_the_same_bits(spec):
    d, n = 2**16, 64
    es = ES(np.zeros(d), 1.0, spec, seed=1, popsize=n)
    c = es.ask(lazy=True)
    ((recipe, at),) = c[5:23].recipes()
    state = es.state
    size = 8 * d * (2 + sum(a.size for a in state.factor) / d)
    assert len(pickle.dumps(recipe)) < size + 4000 and recipe.tile == c.unit == 8
    assert len(pickle.dumps((recipe.key, at[3:4]))) < 100
    said = subprocess.run(
        [sys.executable, "-c", CHILD], input=pickle.dumps((recipe, at)), capture_output=True
    )
    there = np.frombuffer(said.stdout).reshape(-1, d)
    np.testing.assert_array_equal(there, recipe.draw(at))
    np.testing.assert_array_equal(there, es.ledger.open.generation.recipe().draw(range(n))[5:23])


def test_keys_are_unique_and_last_as_long_as_the_recipe():
    es = search()
    c = es.ask(5, lazy=True)
    assert c.recipes()[0][0] is c[2:].recipes()[0][0]
    first = c.recipes()[0][0].key
    more = es.ask(5, lazy=True)
    assert c.recipes()[0][0].key == first != more.recipes()[0][0].key
    keys = {search().ask(lazy=True).recipes()[0][0].key for _ in range(5)}
    assert len({first, more.recipes()[0][0].key, *keys}) == 7


def test_a_recipe_takes_along_nothing_that_was_worked_out():
    es = ES(np.zeros(5000), 1.0, {"name": "block_lower", "k": 2, "lead": [7, 3]}, popsize=8)
    before = len(pickle.dumps(es.strategy))
    es.tell(es.ask(lazy=True), np.arange(8.0))
    assert "_order" in vars(es.structure)
    assert len(pickle.dumps(es.strategy)) == before
    again = pickle.loads(pickle.dumps(es.strategy))
    assert again.structure == es.structure
    assert vars(again.structure).keys() < vars(es.structure).keys()


def test_drawing_is_limited_to_the_threads_of_the_search(tiny, monkeypatch):
    from threadpoolctl import threadpool_info, threadpool_limits

    def threads():
        return {p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"}

    seen, draw = [], Strategy.draw
    ((recipe, at),) = search().ask(lazy=True).recipes()
    assert recipe.threads == candidates.blas_threads()
    monkeypatch.setattr(Strategy, "draw", lambda *a: seen.append(threads()) or draw(*a))
    with threadpool_limits(1, user_api="blas"):
        X = recipe.draw(at)
        np.testing.assert_array_equal(replace(recipe, threads=2).draw(at), X)
    assert seen[0] == {1} and max(seen[-1]) >= 1 and len(seen) == 2 * len(recipe._boundaries) - 2
    monkeypatch.setattr(candidates, "blas_threads", lambda: 8)
    seen.clear()
    replace(recipe, threads=1).draw(at)
    assert all(its == {1} for its in seen)


# -- telling by handle ----------------------------------------------------------------------------


def test_a_handle_told_twice():
    es = search()
    c = es.ask(lazy=True)
    values = values_of(c)
    es.tell(c[:4], values[:4] + 100)
    es.tell(c[:4], values[:4])  # open: the later value stands
    assert es.evaluations == 4
    es.tell(c[[7, 7]], values[[7, 7]])
    assert es.evaluations == 5
    es.tell(c, values)
    plain = search()
    X = plain.ask()
    plain.tell(X, values)
    np.testing.assert_array_equal(es.mean, plain.mean)
    with pytest.warns(RuntimeWarning, match="told before are ignored: 2"):
        es.tell(c[3:5], [-1.0, -1.0])  # closed
    assert es.evaluations == N and es.best.fun > 0
    new = es.ask(lazy=True)
    es.tell(new, values_of(new))
    assert es.info.repeated == 2


def test_late_twice_stale_and_strange_handles():
    es = search(stagnation=None)
    c = es.ask(lazy=True)
    values = values_of(c)
    es.tell(c[:10], values[:10])
    es.advance()
    with pytest.warns(RuntimeWarning, match="ignored: 1"):
        es.tell(c[[10, 10]], values[[10, 10]])
    assert es.evaluations == 11
    es.advance()
    assert (es.info.late, es.info.repeated) == (1, 1)
    for _ in range(KEPT + 2):
        new = es.ask(lazy=True)
        es.tell(new, values_of(new))
    assert not len(es.waiting) and not es.ledger.late
    before = es.evaluations
    es.tell(c[11:13], [-5.0, values[12]])
    assert es.evaluations == before + 2 and es.best.fun == -5.0
    np.testing.assert_array_equal(es.best.x, c[11])
    es.tell(c[11:12], [-9.0])
    new = es.ask(lazy=True)
    es.tell(new, values_of(new))
    assert (es.info.stale, es.info.repeated, es.info.injected) == (2, 1, 0)
    with pytest.raises(ValueError, match="candidates of this search; candidate 0 is none"):
        es.tell(search().ask(lazy=True), values)
    with pytest.raises(ValueError, match="shape"):
        es.tell(c, values[1:])


@pytest.mark.parametrize("large", [True, False])
def test_arrays_of_what_was_asked_lazily_are_recognised(large, request):
    if large:
        request.getfixturevalue("tiny")
    es, plain = search(), search()
    X = plain.ask()
    es.ask(lazy=True)
    assert es.ledger.open.generation.portions[0].prints is None
    values = values_of(X)
    for at in (slice(3, 6), slice(None)):
        es.tell(X[at], values[at])
        plain.tell(X[at], values[at])
    assert_same(es, plain)
    with pytest.warns(RuntimeWarning, match="ignored: 1"):
        es.tell(X[:1], values[:1])  # its fingerprints were made
    out = es.ask(lazy=True)
    es.tell(out[:9], values[:9])
    es.advance()
    points = np.asarray(out)
    es.tell(points[9:11], values[9:11])
    es.advance()
    assert es.info.late == 2 and len(es.waiting) == N - 11


def test_a_search_that_was_saved_amid_a_lazy_generation_goes_on(tiny, tmp_path):
    es = search({"name": "block_upper", "k": 2})
    old = es.ask(lazy=True)
    es.tell(old[:12], values_of(old[:12]))
    es.advance()
    c = es.ask(lazy=True)
    es.tell(c[2:7], values_of(c[2:7]))
    es.save(tmp_path / "search")
    twin = ES.load(tmp_path / "search")
    with pytest.raises(ValueError, match="candidates of this search"):
        twin.tell(c, values_of(c))
    assert twin.ledger.open.generation.portions[0].prints is None
    np.testing.assert_array_equal(twin.waiting, es.waiting)
    for its in (es, twin):
        rest = its.waiting
        its.tell(rest[::2], values_of(rest[::2]))
        its.tell(its.waiting, values_of(its.waiting))
    assert_same(es, twin)


def test_restarts_take_handles_of_the_former_run():
    def restarting():
        return search(make=RestartES, max_evaluations=10**5, flat=1, restarts="ipop")

    es, plain = restarting(), restarting()
    c, X = es.ask(2 * N, lazy=True), plain.ask(2 * N)
    values = np.ones(2 * N)
    es.tell(c[:N], values[:N])
    plain.tell(X[:N], values[:N])
    new = es.ask(lazy=True)
    plain.ask()
    assert es.restart == plain.restart == 1
    np.testing.assert_array_equal(es.waiting, plain.pending)
    np.testing.assert_array_equal(es.pending, plain.pending)
    values[N] = -1.0
    es.tell(c[N : N + 3], values[N : N + 3])
    plain.tell(X[N : N + 3], values[N : N + 3])
    both = es.waiting[[0, len(es.waiting) - 1]]
    es.tell(both, [3.0, 1.0])
    plain.tell(plain.pending[[0, -1]], [3.0, 1.0])
    assert_same(es, plain)
    assert es.best.fun == -1.0 and len(es.waiting) == N - 4 + len(new) - 1
    es.tell(new, np.ones(len(new)))
    es.ask(lazy=True)
    assert es.restart == 2
    before = es.evaluations
    es.tell(c[-1:], [-2.0])  # of the run before the former one
    assert es.evaluations == before + 1 and es.best.fun == -2.0
    es.tell(es.es.waiting, np.ones(len(es.es.waiting)))
    assert es.info.stale == 1
    with pytest.raises(ValueError, match="candidates of this search"):
        es.tell(search().ask(2, lazy=True), [1.0, 2.0])


# -- memory ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("is_lazy", "numbers"), [(False, 3 * 10), (True, 2)])
def test_no_more_is_asked_than_memory_holds(is_lazy, numbers, monkeypatch):
    """Three arrays of candidates, eight bytes a number; by address, little more than values."""
    for free, fits in ((8 * 1000 * numbers, True), (8 * 1000 * numbers - 1, False)):
        monkeypatch.setattr(memory, "available", lambda free=free: free)
        if fits:
            memory.check_memory(1000, 10, is_lazy)
        else:
            with pytest.raises(ValueError, match="n=1000 candidates of 10 numbers take"):
                memory.check_memory(1000, 10, is_lazy)


@pytest.mark.slow
def test_no_population_in_memory():
    d, n = 2**17, 128
    es = ES(np.zeros(d), 1.0, "diagonal", seed=1, popsize=n)
    unit = 8 * d * n
    values = np.cos(np.arange(n))
    assert es.strategy.tile == 8
    tracemalloc.start()
    try:
        c = es.ask(lazy=True)
        assert tracemalloc.get_traced_memory()[1] < unit / 100
        for a in range(0, n, c.unit):
            c[a : a + c.unit].points()
        es.tell(c, values)
        assert es.generation == 1
        assert tracemalloc.get_traced_memory()[1] < unit / 4
        tracemalloc.reset_peak()
        X = es.ask()  # with the Z that the update will want
        assert tracemalloc.get_traced_memory()[1] < 2.4 * unit
        es.tell(X, values)
        del X
        assert tracemalloc.get_traced_memory()[0] < unit / 8
    finally:
        tracemalloc.stop()
