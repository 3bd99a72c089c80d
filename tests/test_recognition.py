"""A candidate that comes back rounded is the candidate, a repaired row is the point that it is,
and own points close generations."""

import csv
import io
import json
import warnings

import numpy as np
import pytest

from structes import ES, Choice, Float, Int, RestartES, Space
from structes.bench.evaluations.rounding import measure
from structes.population.fingerprints import fingerprints
from structes.population.places import FARTHEST, FORGOTTEN, LATE, OPEN, OWN, REPEATED, reach
from structes.population.portion import NUMBERS
from structes.strategy import tiling

from .structure_table import TRUTH

STRANGERS = pytest.mark.filterwarnings("ignore:none of the points that were told")
CASES = [truth.cases[-1] for truth in TRUTH.values() if truth.cases]


def sphere(X):
    return (np.asarray(X, dtype=float) ** 2).sum(axis=1)


def through_csv(X):
    text = io.StringIO()
    csv.writer(text).writerows([f"{v:.6g}" for v in x] for x in X)
    text.seek(0)
    return [[float(v) for v in row] for row in csv.reader(text)]


FORMS = {
    "float32": lambda X: X.astype(np.float32),
    "float16": lambda X: X.astype(np.float16),
    "six digits": lambda X: [[float(f"{v:.6g}") for v in x] for x in X],
    "three decimals": lambda X: np.round(X, 3),
    "csv": through_csv,
    "json": lambda X: json.loads(json.dumps(X.astype(np.float32).tolist())),
}


def search(structure="dense", dim=6, **options):
    options = {"seed": 3, "tolfun": None, "tolfunhist": None, **options}
    return ES(np.linspace(1, 2, dim), 0.8, structure, **options)


def state_of(es):
    """All that the next candidates follow from."""
    s = es.state
    return [s.mean, s.sigma, s.path, s.path_sigma, s.generation, *leaves(s.factor)]


def leaves(factor):
    return [a for part in factor for a in (leaves(part) if isinstance(part, tuple) else [part])]


def same(a, b):
    for its, other in zip(state_of(a), state_of(b), strict=True):
        np.testing.assert_array_equal(its, other)
    assert a.evaluations == b.evaluations


# -- a rounded row is the candidate, with the candidate's own z -----------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", ["whole", "shuffled", "one by one", "in two", "further asks"])
def test_a_rounded_row_gives_the_bits_of_the_row_itself(form, way):
    exact, rounded, random = search(), search(), np.random.default_rng(0)
    for t in range(12):
        X, again = exact.ask(), rounded.ask()
        if way == "further asks" and t % 3 == 0:
            X = np.concatenate([X, exact.ask(2)])
            again = np.concatenate([again, rounded.ask(2)])
        np.testing.assert_array_equal(X, again)
        values = sphere(X)
        exact.tell(X, values)
        back = FORMS[form](X)
        order = np.arange(len(X)) if way == "whole" else random.permutation(len(X))
        parts = {"one by one": len(X), "in two": 2}.get(way, 1)
        for part in np.array_split(order, parts):
            rounded.tell([list(back[i]) for i in part], values[part])
        assert rounded.info.injected == 0 and not len(rounded.pending)
    same(exact, rounded)


@pytest.mark.parametrize(("spec", "dim"), CASES)
def test_every_structure_recognises_its_own(spec, dim):
    exact, rounded = search(spec, dim), search(spec, dim)
    for _ in range(6):
        X = exact.ask()
        np.testing.assert_array_equal(X, rounded.ask())
        exact.tell(X, sphere(X))
        rounded.tell(X[::-1].astype(np.float32), sphere(X)[::-1])
    same(exact, rounded)


@STRANGERS  # in the end
@pytest.mark.parametrize("form", FORMS)
def test_a_search_that_sees_only_rounded_rows_converges(form):
    """float32 and digits are relative, so nothing ends the descent; decimals end it at theirs."""
    es = search(dim=10)
    for _ in range(400):
        X = es.ask()
        es.tell(FORMS[form](X), sphere(X))
    assert es.best.fun < (1e-5 if form == "three decimals" else 1e-12)


def test_late_values_of_rounded_rows_are_late_values():
    exact, rounded = search(), search()
    out = {es: [] for es in (exact, rounded)}
    for t in range(15):
        for es in (exact, rounded):
            X = es.ask()
            out[es].append(X[0])
            es.tell(X[1:], sphere(X[1:]))
            es.advance() if es.generation == t else None
            if t >= 2:
                x = out[es][t - 2][None, :]
                es.tell(x if es is exact else x.astype(np.float32), sphere(x))
    assert exact.info.late == rounded.info.late > 0
    same(exact, rounded)


def test_a_rounded_row_that_was_told_is_not_counted_twice():
    es = search()
    X = es.ask()
    es.tell(X, sphere(X))
    es.ask()
    with pytest.warns(RuntimeWarning, match="told before"):
        es.tell(X[:3].astype(np.float32), sphere(X[:3]))
    assert es.evaluations == es.popsize
    assert {p.kind for p in es.ledger.find(X)} == {REPEATED}


def test_the_later_value_of_an_open_candidate_stands_also_when_rounded():
    es = search()
    X = es.ask()
    es.tell(X[:2], [5.0, 6.0])
    es.tell(X[:1].astype(np.float32), [7.0])
    assert es.evaluations == 2
    assert es.ledger.open.answers.values(len(X))[:2].tolist() == [7.0, 6.0]


@pytest.mark.slow
@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("n", [40, NUMBERS // 2000 + 100])
def test_large_generations_recognise_rounded_rows(n, lazy):
    """Those keep fingerprints, or nothing, and some coordinates once one comes back rounded."""
    exact, rounded = (search("diagonal", 2000, popsize=n) for _ in range(2))
    for _ in range(2):
        X = exact.ask()
        Y = rounded.ask(lazy=lazy)
        values = sphere(X)
        exact.tell(X, values)
        order = np.random.default_rng(1).permutation(n)
        half = n // 2
        back = np.asarray(Y.points() if lazy else Y)[order].astype(np.float32)
        rounded.tell(back[:half], values[order[:half]])
        rounded.tell(back[half:], values[order[half:]])
        assert rounded.info.injected == 0
    same(exact, rounded)


def test_generations_that_are_summed_in_tiles_recognise_rounded_rows(monkeypatch):
    monkeypatch.setattr(tiling, "LARGE", 2**18)
    d = tiling.LONG
    exact, rounded = (search("scalar", d, popsize=tiling.LARGE // d + 2) for _ in range(2))
    assert exact.strategy.tile is not None
    X = exact.ask()
    np.testing.assert_array_equal(X, rounded.ask())
    exact.tell(X, sphere(X))
    rounded.tell(X.astype(np.float32), sphere(X))
    same(exact, rounded)


def test_a_choice_among_the_parameters_comes_back_from_its_dict():
    """A choice is a vector of scores, and from_dict knows only which option wins."""
    space = Space({"a": Float(-2, 2), "n": Int(0, 9), "c": Choice(["x", "y", "z"])})
    exact, back = ES(space, seed=1), ES(space, seed=1)
    for _ in range(20):
        X = exact.ask()
        np.testing.assert_array_equal(X, back.ask())
        values = [
            (p["a"] - 1) ** 2 + abs(p["n"] - 4) + (p["c"] != "y") for p in map(space.to_dict, X)
        ]
        exact.tell(X, values)
        back.tell([space.to_dict(x) for x in X], values)
        assert back.info.injected == 0
    np.testing.assert_array_equal(exact.state.mean, back.state.mean)


def test_logarithmic_coordinates_are_compared_as_logarithms():
    options = {"bounds": (1e-6, 1e6), "transforms": ["log"] * 6, "seed": 1}
    exact, rounded = (ES(np.ones(6), 0.5, **options) for _ in range(2))
    for _ in range(20):
        X = exact.ask()
        rounded.ask()
        values = (np.log(X) ** 2).sum(axis=1)
        exact.tell(X, values)
        rounded.tell(X.astype(np.float32)[::-1], values[::-1])
        assert rounded.info.injected == 0
    np.testing.assert_array_equal(exact.state.mean, rounded.state.mean)


def test_restarts_recognise_rounded_rows():
    exact, rounded = (RestartES(np.ones(4), 1.0, restarts="ipop", seed=2) for _ in range(2))
    while exact.restart < 1:
        X = exact.ask()
        np.testing.assert_array_equal(X, rounded.ask())
        exact.tell(X, sphere(X) + 1)
        rounded.tell(X.astype(np.float32), sphere(X) + 1)
    assert rounded.restart == 1
    assert exact.evaluations == rounded.evaluations


# -- a repaired row is the point that it is -------------------------------------------------------


@STRANGERS
def test_a_clipped_row_is_used_as_the_point_that_it_is():
    es = search(dim=4)
    X = es.ask()
    clipped = np.minimum(X, np.median(X, axis=0))
    moved = int((np.abs(clipped - X).max(axis=1) > 0.1 * es.sigma).sum())
    assert 0 < moved <= len(X)
    es.tell(clipped, sphere(clipped))
    assert es.generation == 1 and es.info.injected == moved
    assert es.best.fun == sphere(clipped).min()


@STRANGERS
def test_repair_to_a_grid_finds_the_best_point_of_the_grid():
    target = np.array([0.3, -0.7, 1.1, 2.0, -1.4])

    def f(X):
        return ((X - target) ** 2).sum(axis=1)

    for seed in range(5):
        es = ES(np.zeros(5), 2.0, seed=seed)
        for _ in range(60):
            X = np.round(es.ask() * 2) / 2
            es.tell(X, f(X))
        assert es.best.fun == pytest.approx(f(np.round(target * 2)[None, :] / 2)[0])


@STRANGERS
def test_repair_to_a_box_finds_its_edge():
    """Nobody's search likes repair (bounds= is for that), and cmaes' comes less near."""
    target, best = np.array([2.0, -1, 0.5, 0.25, 0.75]), np.array([1, 0, 0.5, 0.25, 0.75])
    for seed in range(3):
        es = ES(np.full(5, 0.5), 0.3, seed=seed)
        for _ in range(60):
            X = np.clip(es.ask(), 0, 1)
            es.tell(X, ((X - target) ** 2).sum(axis=1))
        np.testing.assert_allclose(es.best.x, best, atol=0.15)


def test_what_a_row_is():
    es = search(dim=5)
    X = es.ask()
    std = es.deviations
    near = X + 0.5 * FARTHEST * std
    far = X + 4 * std * (1 + np.arange(len(X)))[:, None]
    assert [p.kind for p in es.ledger.find(near)] == [OPEN] * len(X)
    assert [p.index for p in es.ledger.find(near[::-1])] == list(range(len(X)))[::-1]
    assert {p.kind for p in es.ledger.find(far)} == {OWN}
    es.tell(X[1:], sphere(X[1:]))
    es.advance()
    assert es.ledger.find(X[:1].astype(np.float32))[0][::2] == (LATE, 0)
    assert es.ledger.find(X[1:2])[0].kind == REPEATED
    for _ in range(60):
        es.tell(Y := es.ask(), sphere(Y))
    assert es.ledger.find(X[:1])[0].kind == FORGOTTEN


# -- points of the user's own ---------------------------------------------------------------------


def test_own_points_close_generations():
    es = search()
    random = np.random.default_rng(5)
    for t in range(5):
        X = es.mean + es.deviations * random.standard_normal((es.popsize, es.dim))
        es.tell(X[:3], sphere(X[:3]))
        assert es.generation == t
        es.tell(X[3:], sphere(X[3:]))
        assert es.generation == t + 1 and es.info.injected == es.popsize
    assert es.evaluations == 5 * es.popsize


@pytest.mark.parametrize("rows", [1, 2, 8])
def test_what_was_told_long_ago_is_known_to_the_bit(rows):
    """Twenty generations later, when nobody looks for rounded rows of it any more."""
    es = ES(np.ones(4), 0.5, seed=1)
    first = es.ask()
    es.tell(first, sphere(first))
    for _ in range(20):
        X = es.ask()
        es.tell(X, sphere(X))
    evaluations, best = es.evaluations, es.best.fun
    es.ask()
    with pytest.warns(RuntimeWarning, match=f"told before are ignored: {rows}"):
        es.tell(first[:rows], np.full(rows, -1.0))
    assert (es.evaluations, es.best.fun) == (evaluations, best)
    X = es.pending
    es.tell(X, sphere(X))
    assert (es.info.repeated, es.info.injected) == (rows, 0)


@pytest.mark.parametrize(("share", "is_taken"), [(0.3, True), (0.36, False), (0.45, False)])
def test_a_point_comes_in_the_place_of_a_candidate_that_is_much_nearer_than_all_others(
    share, is_taken
):
    """Half as far, at most, as the next one."""
    es = search(dim=30, popsize=4)
    X = es.ask()
    x = X[:1] + share * (X[1:2] - X[:1])
    (place,) = es.ledger.find(x)
    assert place.kind == OWN and (place.index if place.key else None) == (0 if is_taken else None)
    es.tell(x, [1.0])
    assert len(es.pending) == (3 if is_taken else 4)


def test_own_points_of_any_call_since_the_last_ask_are_told_again():
    es = search(popsize=20)
    es.ask()
    calls = [es.mean + 5.0 * k + np.arange(12.0).reshape(2, 6) for k in (1, 2, 3)]
    for X in calls:
        es.tell(X, sphere(X))
    assert es.evaluations == 6
    for X in calls:
        with pytest.warns(RuntimeWarning, match="told before are ignored: 2"):
            es._warned = set()
            es.tell(X, sphere(X))
    assert es.evaluations == 6


def test_many_own_points_at_once_are_as_many_generations():
    es = search()
    X = np.random.default_rng(2).normal(1.0, 1.0, (100, es.dim))
    es.tell(X, sphere(X))
    assert es.generation == 100 // es.popsize and es.evaluations == 100
    assert es.sigma < 2 * 0.8


def test_a_search_on_own_points_alone_converges():
    """Someone samples by himself, from the distribution that the search tells."""
    es, random = search(dim=5), np.random.default_rng(1)
    for _ in range(150):
        factor = es.structure.to_dense(es.state.factor)
        Y = np.linalg.solve(factor.T, random.standard_normal((es.dim, es.popsize))).T
        X = es.mean + es.state.sigma * es.state.scale * Y
        es.tell(X, sphere(X))
    assert es.best.fun < 1e-9


def test_nothing_recognised_is_said_once():
    es = search()
    with pytest.warns(RuntimeWarning, match="none of the points that were told"):
        es.ask()
        es.tell(np.random.default_rng(0).normal(5, 1, (es.popsize, es.dim)), np.arange(es.popsize))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        es.ask()
        es.tell(np.random.default_rng(1).normal(5, 1, (es.popsize, es.dim)), np.arange(es.popsize))


def test_own_points_without_candidates_out_are_nothing_to_warn_of():
    es = search()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        X = np.random.default_rng(0).normal(1, 1, (es.popsize, es.dim))
        es.tell(X, sphere(X))


# -- where it is ambiguous ------------------------------------------------------------------------


def test_the_reach_keeps_mistakes_rare():
    """Of a stranger's point the probability to lie within the reach of one of m candidates."""
    random = np.random.default_rng(0)
    for dim, m in ((1, 6), (2, 6), (3, 7), (5, 8)):
        r = reach(dim, m)
        A, B = random.standard_normal((2, 400_000, dim))
        assert m * (np.abs(A - B).max(axis=1) <= r).mean() < 1.5e-3
    assert reach(20, 12) == FARTHEST


@pytest.mark.slow
def test_the_table_of_the_documentation():
    rows = {
        (row.dim, row.rounding): row for row in measure((1, 2, 3, 5), (1e-4, 1e-2, 3e-2, 0.1), 60)
    }
    for dim, rounding in ((1, 1e-4), (2, 1e-2), (3, 3e-2), (5, 0.1)):
        assert rows[dim, rounding].recognised > 0.999
    assert np.mean([row.mistaken for row in rows.values()]) < 2e-3
    assert np.mean([row.strangers for row in rows.values()]) < 2e-3


def test_an_untouched_generation_is_recognised_without_fingerprints(monkeypatch):
    def refuse(X):
        raise AssertionError("fingerprints of an untouched generation")

    monkeypatch.setattr("structes.population.generation.fingerprints", refuse)
    monkeypatch.setattr("structes.population.recognition.fingerprints", refuse)
    monkeypatch.setattr("structes.population.portion.fingerprints", refuse)
    es = search()
    for _ in range(5):
        X = es.ask()
        es.tell(X.copy(), sphere(X))
    assert fingerprints is not refuse and es.generation == 5


# -- points that come again -----------------------------------------------------------------------


def distance(target):
    return lambda X: np.abs(np.asarray(X, float) - target).sum(axis=1)


def box(dim, **more):
    return {"x0": [5.0] * dim, "sigma0": 2.0, "bounds": [(0, 10)] * dim, **more}


AGAIN = {
    # search, what is told in the place of its rows, and the distance from what is told
    "a grid": (lambda d: box(d), np.round, 0.0),
    "a grid, the other corner": (lambda d: box(d), np.round, 10.0),
    "decimals": (lambda d: box(d), lambda X: np.clip(np.round(X, 1), 0, 10), 12.0),
    "a box": (lambda d: {"x0": [5.0] * d, "sigma0": 2.0}, lambda X: np.clip(X, 0, 10), 12.0),
    "logarithms": (
        lambda d: box(d, x0=[2.0] * d, bounds=[(0.1, 10)] * d, transforms=["log"] * d),
        lambda X: np.round(X, 1),
        0.1,
    ),
    "float32": (lambda d: box(d), lambda X: X.astype("f4"), 3.0),
}


@STRANGERS
@pytest.mark.filterwarnings("ignore:values of candidates that were told before")
@pytest.mark.parametrize("portion", [None, 1])
@pytest.mark.parametrize(
    "dim", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("case", AGAIN)
def test_repaired_rows_that_come_again_count_each_time(case, dim, portion):
    """A corner, or a point of a grid, is evaluated again and again; the search ends."""
    make, form, target = AGAIN[case]
    f = distance(target)
    for seed in range(3 if portion is None else 1):
        es, told = ES(**make(dim), seed=seed, max_evaluations=300), 0
        while not es.stop():
            X = form(es.ask(portion))
            es.tell(X, f(X))
            told += len(X)
            assert told < 1000
        assert told - es.evaluations <= 1  # by chance one may be near what was told


@STRANGERS
@pytest.mark.parametrize("dim", [1, 2, 5])
def test_own_points_of_a_grid_count_each_time(dim):
    es, random, told = ES(**box(dim), seed=1, max_evaluations=300), np.random.default_rng(0), 0
    while not es.stop():
        X = random.normal(es.mean, es.deviations, (es.popsize, dim))
        X = np.clip(np.round(X), 0, 10)
        es.tell(X, distance(0.0)(X))
        told += len(X)
        assert told < 1000
    assert es.evaluations >= 0.95 * told


def test_rounded_rows_that_are_told_twice_count_once():
    for form in (lambda X: X, lambda X: X.astype("f4"), lambda X: np.round(X, 3)):
        es, twin = search(), search()
        X = es.ask()
        Y = np.concatenate([form(X), form(X)])
        es.tell(Y, sphere(Y))
        twin.tell(twin.ask(), sphere(form(X)))
        assert es.evaluations == es.popsize and es.info.injected == 0
        assert es.generation == 1 and es.mean.tobytes() == twin.mean.tobytes()


@pytest.mark.parametrize("generations", [0, 1, 4])
@pytest.mark.parametrize("form", ["float32", "four digits"])
def test_a_rounded_generation_that_is_told_again_later_counts_once(form, generations):
    es = search()
    X = es.ask()
    es.tell(X, sphere(X))
    for _ in range(generations):
        es.tell(Y := es.ask(), sphere(Y))
    es.ask()
    again = (
        X.astype("f4")
        if form == "float32"
        else np.array([[float(f"{v:.4g}") for v in x] for x in X])
    )
    before = es.evaluations
    with pytest.warns(RuntimeWarning, match=f"told before are ignored: {len(X)}"):
        es.tell(again, sphere(X))
    assert es.evaluations == before


def test_own_points_that_are_told_again_in_one_call_count_once():
    es = search()
    X = np.random.default_rng(3).normal(size=(3, es.dim))
    es.tell(X, sphere(X))
    with pytest.warns(RuntimeWarning, match="told before are ignored: 3"):
        es.tell(X, sphere(X))
    assert es.evaluations == 3
