"""Spaces of named parameters: dicts and vectors, kinds and ranges, and searches that find them."""

import doctest
import pickle

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import structes
from structes import Choice, Float, Int, Space
from structes.shell.cli import cli
from structes.space import choices, space
from structes.space.domain import Domain
from structes.strategy.strategy import Strategy
from structes.structures.building import build_structure

MIXED = Space(
    {
        "lr": Float(1e-5, 1e-1, log=True),
        "momentum": Float(0.0, 1.0),
        "layers": Int(1, 8),
        "activation": Choice("relu", "tanh", "gelu"),
        "units": Int(8, 512, log=True),
        "bias": {"kind": "bool"},
    }
)


def test_the_documentation_is_true():
    found = doctest.testmod(space)
    assert found.attempted > 0 and found.failed == 0


def test_a_space_says_what_a_search_needs():
    assert MIXED.dim == 9 and len(MIXED) == 6
    assert MIXED.bounds[:3] == [(1e-5, 1e-1), (0.0, 1.0), (1, 8)]
    assert MIXED.bounds[3:] == [(None, None)] * 3 + [(8, 512)] + [(None, None)] * 2
    assert MIXED.transforms == ["log", None, None, None, None, None, "log", None, None]
    assert MIXED.integers == (2, 6) and MIXED.choices == ((3, 4, 5), (7, 8))
    np.testing.assert_allclose(MIXED.x0, [1e-3, 0.5, 4, 0, 0, 0, 64, 0, 0])
    wide = [np.log(1e4) / 5, 0.2, 8 / 5, 1, 1, 1, np.log(512.5 / 7.5) / 5, 1, 1]
    np.testing.assert_allclose(MIXED.sigma0, wide)
    assert list(MIXED.arguments()) == [
        "x0",
        "sigma0",
        "bounds",
        "transforms",
        "integers",
        "choices",
    ]
    assert "choices" not in Space({"x": Float(0, 1)}).arguments()


def test_a_dict_has_pythons_own_types():
    found = MIXED.to_dict(MIXED.x0)
    assert {name: type(value) for name, value in found.items()} == {
        "lr": float,
        "momentum": float,
        "layers": int,
        "activation": str,
        "units": int,
        "bias": bool,
    }
    pair = (64, 64)
    own = Space({"op": Choice(np.sin, None, pair, start=pair), "n": Int(0, 3, start=3)})
    assert own.to_dict(own.x0) == {"op": pair, "n": 3}
    assert own.to_dict([5.0, 1.0, 2.0, 1.0])["op"] is np.sin


values = st.fixed_dictionaries(
    {
        "lr": st.floats(1e-5, 1e-1),
        "momentum": st.floats(0, 1),
        "layers": st.integers(1, 8),
        "activation": st.sampled_from(["relu", "tanh", "gelu"]),
        "units": st.integers(8, 512),
        "bias": st.booleans(),
    }
)


@given(params=values)
def test_dicts_come_back_from_vectors_as_they_were(params):
    x = MIXED.from_dict(params)
    found = MIXED.to_dict(x)
    assert found == params and list(found) == list(MIXED.parameters)
    np.testing.assert_array_equal(MIXED.from_dict(found), x)


@given(low=st.floats(1e-9, 1e9), factor=st.floats(1.01, 1e9), whole=st.integers(1, 10**6), log=...)
def test_starts_lie_in_the_range_and_deviations_are_positive(low, factor, whole, log: bool):
    for p in (Float(low, low * factor, log=log), Int(whole, whole + int(factor), log=log)):
        assert p.low <= p.start <= p.high and 0 < p.sigma < np.inf
        alone = Space({"p": p})
        assert alone.to_dict(alone.x0) == {"p": p.start}
    assert isinstance(p.start, int)


def test_a_mapping_is_the_same_space():
    config = {
        "lr": {"kind": "float", "low": "1e-5", "high": 1e-1, "log": True},
        "n": {"kind": "int", "low": 1, "high": 8, "start": 2, "sigma": 1.5},
        "act": {"kind": "choice", "options": ["relu", "tanh"], "start": "tanh"},
        "bias": {"kind": "bool"},
    }
    made = {
        "lr": Float(1e-5, 1e-1, log=True),
        "n": Int(1, 8, start=2, sigma=1.5),
        "act": Choice("relu", "tanh", start="tanh"),
        "bias": Choice(False, True),
    }
    assert Space(config).parameters == made == Space(made).parameters
    assert "kind" in config["lr"]
    again = pickle.loads(pickle.dumps(Space(made)))
    assert again.parameters == made and again.choices == Space(made).choices


@pytest.mark.parametrize(
    ("low", "high", "step", "values"),
    [
        (0.0, 1.0, 0.25, [0, 0.25, 0.5, 0.75, 1]),
        (0.0, 0.3, 0.1, [0, 0.1, 0.2, 0.3]),  # 0.3 / 0.1 is a little less than 3
        (-1.5, 1.0, 1.0, [-1.5, -0.5, 0.5]),
        (2.0, 2.9, 0.5, [2.0, 2.5]),
    ],
)
def test_a_float_with_a_step_is_on_its_grid(low, high, step, values):
    """From low on, to the last point that is not above high."""
    p = Float(low, high, step=step)
    (coordinate,) = p.coordinates()
    assert (coordinate.low, coordinate.high, coordinate.integer) == (0, len(values) - 1, True)
    assert [p.read([k]) for k in range(len(values))] == pytest.approx(values)
    assert p.high == pytest.approx(values[-1]) and coordinate.start in range(len(values))
    for k, value in enumerate(values):
        assert p.write("x", value) == [k]
    with pytest.raises(ValueError, match="x must be one of"):
        p.write("x", low + 0.4 * step)


def test_open_ranges_need_a_start_and_a_deviation():
    scale = Float(high=10.0, start=3.0, sigma=0.5, log=True)
    p = Space({"x": Float(-np.inf, start=1.0, sigma=2.0), "y": scale})
    assert p.bounds == [(None, None), (None, 10.0)]
    np.testing.assert_array_equal(p.x0, [1.0, 3.0])
    np.testing.assert_array_equal(p.sigma0, [2.0, 0.5])
    for some in ({}, {"low": 0.0, "start": 1.0}, {"high": 1.0, "sigma": 1.0}):
        with pytest.raises(ValueError, match=r"open .* needs start and sigma; missing"):
            Float(**some)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Float(1.0, 0.5), ValueError, "low must not be more than high; got 1.0 and 0.5"),
        (lambda: Int(3, 2), ValueError, "low must not be more than high"),
        (lambda: Float(0.0, 1.0, log=True, step=0.1), ValueError, "low must be positive"),
        (lambda: Float(0.1, 1.0, log=True, step=0.1), ValueError, "step does not go with log"),
        (lambda: Float(step=0.1, start=0.0, sigma=1.0), ValueError, "step does not go with low"),
        (lambda: Float(0.0, 1.0, step=0.0), ValueError, "step must be a positive number"),
        (lambda: Float(-1.0, 1.0, log=True), ValueError, "log=True low must be positive; got -1"),
        (lambda: Int(0, 4, log=True), ValueError, "log=True low must be positive; got 0"),
        (lambda: Float(0.0, 1.0, start=2.0), ValueError, "start must be a number from 0.0 to 1.0"),
        (lambda: Float(start=-1.0, sigma=1.0, log=True), ValueError, "start must be positive"),
        (lambda: Float(0.0, 1.0, sigma=0.0), ValueError, "sigma must be a positive number"),
        (lambda: Float(0.0, float("nan")), ValueError, "high must be a number"),
        (lambda: Float(np.inf, 1.0), ValueError, "low must be a number or None"),
        (lambda: Float("a", 1.0), TypeError, "low must be a number; got 'a'"),
        (lambda: Float(0, 1, log="yes"), TypeError, "log must be true or false"),
        (lambda: Int(0.5, 2), TypeError, "low must be an integer; got 0.5"),
        (lambda: Int(0, True), TypeError, "high must be an integer; got True"),
        (lambda: Choice(), ValueError, "an option at least; got none"),
        (lambda: Space({"a": 1, "b": Float(2, 2)}), ValueError, "all of them are"),
        (lambda: Space({"a": Float}), TypeError, r"write Float\(…\), with brackets"),
        (lambda: Space({"a": [1, 2]}), TypeError, r"options\? write Choice\(\*\[1, 2\]\)"),
        (lambda: Space({"a": {"b": Float(0, 1)}}), TypeError, "a space within a space"),
        (lambda: Choice("a", "b", "a"), ValueError, "must be different; 'a'"),
        (lambda: Choice(1, True), ValueError, "must be different; True is equal"),
        (lambda: Choice([1], [2]), TypeError, r"\[1\] is not \(write a tuple\)"),
        (lambda: Choice("a", "b", start="c"), ValueError, "start must be one of 'a', 'b'"),
        (lambda: Space({}), ValueError, "at least one parameter"),
        (lambda: Space([Float(0, 1)]), TypeError, "a mapping name -> parameter"),
        (lambda: Space({1: Float(0, 1)}), TypeError, "name of a parameter must be a string"),
        (lambda: Space({"x": (0, 1)}), TypeError, r"range\? write Int\(0, 1\)"),
        (lambda: Space({"x": (0, 1.5)}), TypeError, r"range\? write Float\(0, 1.5\)"),
        (
            lambda: Space({"x": {"kind": "flaot", "low": 0}}),
            ValueError,
            r"parameter 'x': kind must be one of .*did you mean 'float'",
        ),
        (
            lambda: Space({"x": {"kind": "float", "lo": 0, "high": 1}}),
            ValueError,
            r"parameter 'x': .* has no argument 'lo' \(did you mean 'low'",
        ),
        (
            lambda: Space({"x": {"kind": "float", "low": 2, "high": 1}}),
            ValueError,
            "parameter 'x': low must not be more than high",
        ),
        (
            lambda: Space({"x": {"kind": "choice", "options": "ab"}}),
            TypeError,
            "parameter 'x': options must be a list; got 'ab'",
        ),
    ],
)
def test_what_does_not_fit_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"momentun": 0.5}, ValueError, r"no parameter 'momentun' \(did you mean 'momentum'\?\)"),
        ({"lr": 1.0}, ValueError, "parameter 'lr' must be a number from 1e-05 to 0.1; got 1.0"),
        ({"lr": "a"}, TypeError, "parameter 'lr' must be a number; got 'a'"),
        ({"layers": 2.5}, TypeError, "parameter 'layers' must be an integer; got 2.5"),
        ({"layers": 9}, ValueError, "parameter 'layers' must be a number from 1 to 8"),
        ({"activation": "rel"}, ValueError, r"'gelu'; got 'rel' \(did you mean 'relu'"),
        ({"activation": None}, ValueError, "parameter 'activation' must be one of"),
    ],
)
def test_wrong_dicts_are_named(change, error, message):
    good = MIXED.to_dict(MIXED.x0)
    with pytest.raises(error, match=message):
        MIXED.from_dict({**good, **change})


def test_missing_parameters_and_wrong_points_are_named():
    good = MIXED.to_dict(MIXED.x0)
    del good["layers"]
    with pytest.raises(ValueError, match="'layers' is missing"):
        MIXED.from_dict(good)
    with pytest.raises(TypeError, match="params must be a mapping"):
        MIXED.from_dict([1, 2])
    with pytest.raises(ValueError, match="x must have 9 numbers; got 2"):
        MIXED.to_dict([1.0, 2.0])
    with pytest.raises(ValueError, match="x must be finite"):
        MIXED.to_dict([np.nan] * 9)


# -- searches -------------------------------------------------------------------------------------

COST = {"relu": 0.02, "tanh": 0.0, "gelu": 0.01}


def loss(p):
    """Its minimum, 0, at lr 3e-3, momentum 0.9, 3 layers, tanh, 100 units, bias."""
    return (
        np.log(p["lr"] / 3e-3) ** 2
        + (p["momentum"] - 0.9) ** 2
        + (p["layers"] - 3) ** 2 * 0.1
        + COST[p["activation"]]
        + np.log(p["units"] / 100) ** 2
        + 0.5 * (not p["bias"])
    )


@pytest.mark.parametrize("seed", range(6))
def test_minimize_finds_the_best_of_a_mixed_space(seed):
    result = structes.minimize(loss, MIXED, seed=seed, target=1e-8, max_evaluations=6000)
    assert result.success, result
    best = result.params
    assert (best["activation"], best["layers"], best["units"], best["bias"]) == (
        "tanh",
        3,
        100,
        True,
    )
    assert best == MIXED.to_dict(result.x) and loss(best) == result.fun


def test_minimize_takes_lists_of_dicts_and_restarts():
    plain = structes.minimize(loss, MIXED, seed=1, max_evaluations=300)
    rows = structes.minimize(
        lambda many: [loss(p) for p in many], MIXED, seed=1, max_evaluations=300, vectorized=True
    )
    assert plain.fun == rows.fun and plain.params == rows.params
    again = structes.minimize(loss, MIXED, seed=1, max_evaluations=3000, restarts="ipop")
    assert again.nfev == 3000 and again.fun <= 1e-6


def test_every_point_lies_in_the_space():
    seen = []
    structes.minimize(lambda p: seen.append(p) or loss(p), MIXED, seed=3, max_evaluations=500)
    for p in seen:
        MIXED.from_dict(p)  # raises where a value is outside
    assert {p["activation"] for p in seen} == set(COST)


def test_an_exception_of_the_objective_is_the_callers():
    def fails(p):
        return 1 / (p["x"] * 0)

    with pytest.raises(ZeroDivisionError):
        structes.minimize(fails, Space({"x": Float(0.0, 1.0)}), seed=1, on_error="raise")
    with pytest.raises(ValueError, match="fun must return one real number"):
        structes.minimize(lambda p: "bad", Space({"x": Float(0.0, 1.0)}), seed=1)


def test_a_space_of_choices_alone():
    cost = {"a": 2, "b": 1, "c": 0, "d": 3}
    only = Space({f"c{i}": Choice(*cost) for i in range(4)})
    for seed in range(4):
        result = structes.minimize(
            lambda p: sum(cost[v] for v in p.values()), only, seed=seed, target=0
        )
        assert result.success and set(result.params.values()) == {"c"}


# -- why choices do not freeze --------------------------------------------------------------------


def lost_state(k=4, seed=0):
    """A search of 3 numbers and two choices whose options lost long ago."""
    structure = build_structure("dense", 3 + 2 * k)
    state = Strategy(structure).init(np.zeros(structure.dim), 1e-6, np.ones(structure.dim), np)
    rng = np.random.Generator(np.random.Philox(seed))
    blocks = tuple(range(3, 3 + k)), tuple(range(3 + k, 3 + 2 * k))
    mean = rng.normal(size=structure.dim)
    paths = rng.normal(size=(2, structure.dim)) * 5
    return structure, state._replace(mean=mean, path_sigma=paths[0], path=paths[1]), blocks


def test_a_lost_option_is_tried_with_the_probability_of_the_margin():
    structure, state, blocks = lost_state()
    kept = choices.keep_open(state, structure, blocks)
    alpha = choices.chance(structure.dim, 2)
    assert alpha == pytest.approx(1 / ((4 + 3 * np.log(11)) * 2) / 4)
    rng = np.random.Generator(np.random.Philox(1))
    U = kept.mean + kept.sigma * rng.normal(size=(200_000, structure.dim))
    for block in blocks:
        at = list(block)
        top = state.mean[at].argmax()
        assert kept.mean[at].argmax() == top and kept.mean[at].max() == state.mean[at].max()
        share = np.bincount(U[:, at].argmax(axis=1), minlength=4) / len(U)
        others = np.delete(share, top)
        assert (others > 0.5 * alpha / 3).all() and others.sum() < 1.2 * alpha
    np.testing.assert_array_equal(kept.mean[:3], state.mean[:3])


def test_choices_do_not_steer_the_step_size():
    structure, state, blocks = lost_state()
    kept = choices.keep_open(state, structure, blocks)
    for before, after in ((state.path_sigma, kept.path_sigma), (state.path, kept.path)):
        np.testing.assert_array_equal(before[:3], after[:3])
    # per coordinate as long as in the numbers; the rank-one path as under random selection
    numbers = np.sqrt(np.mean(state.path_sigma[:3] ** 2))
    assert np.sqrt(np.mean(kept.path_sigma[3:] ** 2)) == pytest.approx(numbers)
    assert np.linalg.norm(kept.path[3:]) == pytest.approx(np.sqrt(8))


def test_an_option_in_reach_is_left_alone():
    structure, state, blocks = lost_state()
    near = state._replace(sigma=1.0, mean=state.mean * 0.1)
    kept = choices.keep_open(near, structure, blocks)
    np.testing.assert_array_equal(kept.mean, near.mean)
    assert kept.sigma == 1.0 and kept.factor is near.factor


@pytest.mark.parametrize("n, k, most", [(2, 4, 2 * 0.6), (2, 2, 2 * 0.4), (5, 3, 2.0)])
def test_in_a_wide_generation_up_to_two_choices_take_another_option(n, k, most):
    structure = build_structure("diagonal", 1 + n * k)
    blocks = tuple(tuple(range(1 + i * k, 1 + (i + 1) * k)) for i in range(n))
    start = Strategy(structure).init(np.zeros(structure.dim), 1e-6, np.ones(structure.dim), np)
    mean = np.arange(structure.dim) % k * 1.0  # all options but one are out of reach
    lost = start._replace(mean=mean, generation=choices.EVERY)
    kept = choices.keep_open(lost, structure, blocks)
    rng = np.random.Generator(np.random.Philox(3))
    U = kept.mean + kept.sigma * kept.scale * rng.normal(size=(50_000, structure.dim))
    others = sum((U[:, b].argmax(axis=1) != mean[list(b)].argmax()).mean() for b in blocks)
    assert 0.6 * most < others < 1.05 * most  # several others may beat the top one at once
    assert kept.scale[0] == 1.0


def test_a_wide_generation_leaves_the_next_one_as_if_it_had_not_been():
    structure, state, blocks = lost_state()
    state = choices.keep_open(state, structure, blocks)
    for generation in range(12):
        kept = choices.keep_open(state._replace(generation=generation), structure, blocks)
        is_wide = generation > 0 and generation % choices.EVERY == 0
        assert (kept.scale[3:] > 1.5).all() == is_wide and (kept.scale[:3] == 1).all()
        np.testing.assert_allclose(kept.mean, state.mean)  # the margin is that of all others
        if not is_wide:
            np.testing.assert_allclose(kept.scale, 1.0, rtol=1e-14)
        state = kept


def test_wide_generations_come_and_go_where_all_values_tie():
    es = structes.ES(np.zeros(4), 1.0, choices=[[1, 2, 3]], seed=1, flat=None)
    widths = []
    for _ in range(11):
        widths.append(es.deviations[1:].max() / es.deviations[0])
        es.tell(es.ask(), np.zeros(es.popsize))
    assert [i for i, width in enumerate(widths) if width > 1.5] == [5, 10]
    np.testing.assert_allclose(np.delete(widths, [5, 10]), 1.0)


def farther(row, mean, blocks):
    """What `moved_over` makes of one row, written down once more."""
    row = row.copy()
    for block in blocks:
        top, winner = max(block, key=lambda i: mean[i]), max(block, key=lambda i: row[i])
        if winner != top:
            gap = mean[top] - mean[winner]
            row[winner] = max(row[winner], mean[top] + 0.3 * gap)
            row[top] = min(row[top], mean[winner] - 0.3 * gap)
    return row


def test_an_option_that_beats_the_top_one_counts_as_if_by_far():
    rng = np.random.Generator(np.random.Philox(5))
    blocks = ((4, 0, 2), (1, 5, 6, 3))
    mean, U = rng.normal(size=8), rng.normal(size=(40, 8)) * 2
    moved = choices.moved_over(U, mean, blocks)
    np.testing.assert_array_equal(moved, [farther(row, mean, blocks) for row in U])
    for block in blocks:
        at = list(block)
        np.testing.assert_array_equal(moved[:, at].argmax(axis=1), U[:, at].argmax(axis=1))
    assert (moved != U).any(axis=1).sum() > 10 and (moved == U).all(axis=1).any()
    order = rng.permutation(8)  # neither the places nor the order of the options say anything
    place = {int(old): new for new, old in enumerate(order)}
    renamed = tuple(tuple(place[i] for i in block[::-1]) for block in blocks[::-1])
    other = choices.moved_over(U[:, order], mean[order], renamed)
    np.testing.assert_array_equal(other, moved[:, order])


def test_the_mean_follows_an_option_that_won_as_far_as_its_gap():
    """One candidate of a lost option is best: the gap closes by its weight times 2.6, about."""
    structure, state, blocks = lost_state()
    domain = choices.with_choices(Domain(structure.dim), blocks)
    strategy = Strategy(structure, domain=domain)
    state = choices.keep_open(state, structure, blocks)
    Z, Y, X = strategy.draw(state, 1, 0, strategy.popsize)
    at, top = list(blocks[0]), blocks[0][state.mean[list(blocks[0])].argmax()]
    lost = next(i for i in at if i != top)
    U = np.array(X)
    U[0, lost] = U[0, at].max() + 1e-9
    Y = (U - state.mean) / state.sigma
    Z = structure.whiten(state.factor, Y)
    after, _ = strategy.update(state, Z, Y, np.arange(float(strategy.popsize)))
    gap = state.mean[top] - state.mean[lost]
    w = strategy.plan(strategy.popsize).tables[0, 0]
    closed = 1 - (after.mean[top] - after.mean[lost]) / gap
    assert w > 0.3 and closed == pytest.approx(2.6 * w, abs=0.25)


def test_pairs_of_choices_are_found_that_no_choice_shows_alone():
    table = np.random.Generator(np.random.Philox(1)).uniform(0.1, 1, size=(2, 5, 5))
    best = (3, 0), (2, 4)
    for pair, at in zip(table, best, strict=True):
        pair[at] = 0
    blocks = [list(range(5 * i, 5 * i + 5)) for i in range(4)]

    def f(X):
        c = [X[:, block].argmax(axis=1) for block in blocks]
        return table[0][c[0], c[1]] + table[1][c[2], c[3]]

    for seed in range(2):
        result = structes.minimize(f, np.zeros(20), 1.0, seed=seed, choices=blocks,
                                   vectorized=True, target=0.0)  # fmt: skip
        assert result.success, result


def test_a_search_of_choices_alone_waits_as_one_of_integers_alone_does():
    es = structes.ES(np.zeros(4), 1.0, choices=[[0, 1], [2, 3]], seed=1, flat=None)
    while not es.stop():
        X = es.ask()
        es.tell(X, X[:, :2].argmax(axis=1) + X[:, 2:].argmax(axis=1))
    assert 300 * 4 <= es.evaluations < 300 * 4 + 40 * es.popsize


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([[0, 1], [1, 2]], ValueError, "choices must name each coordinate once; repeated: .1"),
        ([[0]], ValueError, r"choices\[0\] must name 2 coordinates; got 1"),
        ([[0, 4]], ValueError, r"choices\[0\]\[1\] must be an integer from 0 to 3; got 4"),
        ([0, 1], TypeError, r"choices\[0\] must be a list of coordinates; got 0"),
    ],
)
def test_wrong_choices_are_named(given, error, message):
    with pytest.raises(error, match=message):
        structes.ES([0.0] * 4, 1.0, choices=given)


@pytest.mark.parametrize(
    "structure", ["dense", "diagonal", "auto", {"name": "low_rank", "long": 2}]
)
def test_choices_go_with_any_structure_and_with_late_values(structure):
    search = MIXED.arguments()
    es = structes.ES(**search, structure=structure, seed=2, target=1e-6, max_evaluations=9000)
    waiting = es.ask(3)
    while not es.stop():
        X = es.ask()
        es.tell(X, [loss(MIXED.to_dict(x)) for x in X])
        if es.generation == 2:
            es.tell(waiting, [loss(MIXED.to_dict(x)) for x in waiting])
    assert "target" in es.stop(), es
    assert MIXED.to_dict(es.best.x)["activation"] == "tanh"


def test_a_search_with_choices_goes_on_from_its_file(tmp_path):
    def go_on(es):
        while not es.stop():
            X = es.ask()
            es.tell(X, [loss(MIXED.to_dict(x)) for x in X])
        return es.best

    es = structes.ES(**MIXED.arguments(), seed=2, max_generations=40)
    X = es.ask()
    es.tell(X, [loss(MIXED.to_dict(x)) for x in X])
    es.save(tmp_path / "search")
    again = structes.ES.load(tmp_path / "search")
    assert again.domain.choices == MIXED.choices
    a, b = go_on(es), go_on(again)
    assert a.fun == b.fun and (a.x == b.x).all()


def twice(x):
    return 2 * x


class Own:
    def __eq__(self, other):
        return isinstance(other, Own)

    def __hash__(self):
        return 1


KEPT = Space(
    {
        "a": Float(0.0, 1.0),
        "n": Int(1, 8, start=3),
        "size": Choice(np.float32(2), (3, 4), np.int64(7), (np.str_("s"), None), start=(3, 4)),
        "scalar": Choice(np.bool_(True), 2.5, None, "x"),
        "shape": structes.Constant((1, (2, np.float64(0.1)), [3, {"k": (np.nan, np.inf)}])),
        "table": structes.Constant(np.arange(6.0).reshape(2, 3)),
        "one": 1,
    }
)
LOST = Space(a=Float(0.0, 1.0), act=Choice(twice, np.tanh), own=structes.Constant(Own()))
FACES = {
    "ES": structes.ES,
    "RestartES": lambda *given, **more: structes.RestartES(*given, **more, max_evaluations=500),
}


def loader(face):
    return getattr(structes, face).load


@pytest.mark.parametrize("face", FACES)
def test_a_space_is_in_the_file_with_the_types_of_its_values(face, tmp_path):
    es = FACES[face](KEPT, seed=1, fixed={"n": 4})
    es.tell(X := es.ask(), X[:, 0])
    es.save(tmp_path / "search")
    again = loader(face)(tmp_path / "search")
    assert again.space == es.space and again.space != KEPT
    assert type(again.space.parameters["size"].options[2]) is np.int64
    np.testing.assert_array_equal(again.ask(), X := es.ask())
    params = [es.space.to_dict(x) for x in X]
    again.tell(params, X[:, 0])
    es.tell(X, X[:, 0])
    np.testing.assert_array_equal(again.mean, es.mean)


@pytest.mark.parametrize("face", FACES)
def test_what_no_file_holds_is_given_again(face, tmp_path):
    es = FACES[face](LOST, seed=1)
    es.tell(X := es.ask(), X[:, 0])
    es.save(tmp_path / "search")
    with pytest.raises(ValueError, match=r"'act' has .*twice.*'own' has a Own.*space=.*pickle"):
        loader(face)(tmp_path / "search")
    with pytest.raises(ValueError, match="parameters a, act, own; got one with a, other"):
        loader(face)(tmp_path / "search", space=Space(a=Float(0.0, 1.0), other=1))
    again = loader(face)(tmp_path / "search", space=LOST)
    assert again.space == LOST
    np.testing.assert_array_equal(again.ask(), es.ask())
    FACES[face](LOST, seed=1, fixed={"act": twice}).save(tmp_path / "fixed")
    with pytest.raises(ValueError, match=r"dim 1, as the search has; got 3 .*is a Constant in it"):
        loader(face)(tmp_path / "fixed", space=LOST)
    fixed = LOST.with_constants({"act": twice})
    assert loader(face)(tmp_path / "fixed", space=fixed).space == fixed


def test_a_space_equals_its_copy():
    for its in (MIXED, KEPT, LOST):
        again = pickle.loads(pickle.dumps(its))
        assert again == its and hash(again) == hash(its)
    assert Space(MIXED.spec()) == MIXED and Space(LOST.spec()) == LOST
    others = [
        Space(c=Choice(0, 1)),
        Space(c=Choice(False, True)),
        Space(c=Choice((0, 1), 2)),
        Space(d=Choice(0, 1)),
        Space(c=Choice(0, 1, start=1)),
        Space(c=Float(0, 1)),
        Space(c=Float(0, 1), d=1),
        Space(d=1, c=Float(0, 1)),
        Space(c=Float(0, 1), d=1.0),
    ]
    for i, one in enumerate(others):
        assert [one == other for other in others] == [i == j for j in range(len(others))]
    assert MIXED != 3


def test_choices_on_the_strict_standard_are_the_same_search():
    pytest.importorskip("array_api_strict")
    found = []
    for backend in ("numpy", "array_api_strict"):
        es = structes.ES(**MIXED.arguments(), seed=2, max_generations=8, backend=backend)
        while not es.stop():
            X = es.ask()
            es.tell(X, [loss(MIXED.to_dict(x)) for x in np.asarray(X)])
        found.append(es.best)
    assert found[0].fun == pytest.approx(found[1].fun, rel=1e-9)


# -- problems and experiments ---------------------------------------------------------------------


def test_a_problem_may_come_with_a_space():
    problem = structes.Problem(loss, space=MIXED, name="loss")
    assert problem.dim == 9
    np.testing.assert_array_equal(problem.x0(), MIXED.x0)
    np.testing.assert_array_equal(problem.sigma0(), MIXED.sigma0)
    X = np.stack([MIXED.x0, MIXED.from_dict({**MIXED.to_dict(MIXED.x0), "momentum": 0.9})])
    values = [loss(MIXED.to_dict(x)) for x in X]
    np.testing.assert_array_equal(problem(X), values)
    assert problem(X[1]) == values[1]
    with pytest.raises(ValueError, match="its space has dim 9; got dim 4"):
        structes.Problem(loss, 4, space=MIXED)
    with pytest.raises(TypeError, match="needs dim, or a space"):
        structes.Problem(loss)


def test_a_config_may_hold_a_space(tmp_path, monkeypatch):
    from structes.runs.experiment import experiment_from
    from structes.runs.running import run_experiment

    (tmp_path / "own_space_problem.py").write_text(
        "def f(p):\n    return (p['x'] - 0.25) ** 2 + (p['kind'] != 'b')\n"
        "import structes\n"
        "ready = structes.Problem(f, space={'x': {'kind': 'float', 'low': 0, 'high': 1},\n"
        "    'kind': {'kind': 'choice', 'options': ['a', 'b']}}, name='ready', minimum=0.0)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    inside = {
        "x": {"kind": "float", "low": 0, "high": "1e0"},
        "kind": {"kind": "choice", "options": ["a", "b"]},
    }
    config = {
        "problems": [{"name": "own_space_problem:f", "space": inside, "minimum": 0}],
        "seed": 1,
        "target_error": 1e-8,
        "max_evaluations": 2000,
    }
    folder = run_experiment(experiment_from(config), tmp_path)
    assert folder.result["problems"][0]["fun"] <= 1e-8, folder.result
    config["problems"].append("own_space_problem:ready")
    folder = run_experiment(experiment_from(config), tmp_path)
    first, second = folder.result["problems"]
    assert first["fun"] == second["fun"] <= 1e-8 and first["x"] == second["x"]
    assert first["params"] == {"x": first["x"][0], "kind": "b"}
    shown = CliRunner().invoke(cli, ["show", str(folder.folder)])
    assert (
        f"ready: best value {second['fun']:.15g} at x = {first['x'][0]}, kind = b" in shown.stdout
    )
    with pytest.raises(ValueError, match="x0 does not go with a space"):
        run_experiment(experiment_from({**config, "x0": [0.5, 0, 0]}), tmp_path)
    wrong = {"name": "own_space_problem:f", "space": {"x": {"kind": "flot"}}}
    with pytest.raises(ValueError, match="did you mean 'float'"):
        run_experiment(experiment_from({"problems": [wrong]}), tmp_path)


def test_a_run_with_functions_among_its_options_is_resumed(tmp_path, monkeypatch):
    """The file cannot hold them: the problem gives its space again."""
    from structes.runs import resume
    from structes.runs.experiment import experiment_from
    from structes.runs.running import run_experiment

    (tmp_path / "own_function_space.py").write_text(
        "import structes\n"
        "def less(x):\n    return x - 0.25\n"
        "def more(x):\n    return x + 2\n"
        "def f(p):\n    return p['g'](p['x']) ** 2 + 1e-3\n"
        "ready = structes.Problem(f, space=structes.Space(\n"
        "    x=structes.Float(0, 1), g=structes.Choice(less, more)), name='ready')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = {"problems": ["own_function_space:ready"], "seed": 1}
    whole = run_experiment(experiment_from({**config, "max_evaluations": 400}), tmp_path / "a")
    part = run_experiment(experiment_from({**config, "max_evaluations": 100}), tmp_path / "b")
    again = resume.resume_experiment(part.folder, changes={"max_evaluations": 400})
    assert again.result["problems"][0]["x"] == whole.result["problems"][0]["x"]
