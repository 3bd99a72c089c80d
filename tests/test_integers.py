"""Integer coordinates: candidates are integers, and none of them freezes."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

import structes
from structes.space.building import build_domain
from structes.space.integers import margin, with_margin
from structes.strategy.settings import default_popsize
from structes.strategy.strategy import Strategy
from structes.structures.building import build_structure


def leaving(domain, state, structure, samples=40_001):
    """(d,) by quadrature: probabilities, below and above, of another integer than the mean's."""
    std = structure.deviations(state.factor) * state.sigma * state.scale
    z = np.linspace(-9, 9, samples)
    X = domain.decode(state.mean + np.outer(z, std))  # coordinate by coordinate
    below, above = [], []
    for i in range(domain.dim):
        edges = np.flatnonzero(np.diff(X[:, i]))  # where the integer changes
        left, right = edges[edges < samples // 2], edges[edges >= samples // 2]
        below.append(ndtr(z[left[-1]]) if len(left) else 0.0)
        above.append(ndtr(-z[right[0]]) if len(right) else 0.0)
    return np.array(below), np.array(above)


CASES = {
    "bits": ([(0, 1)] * 4, None),
    "open": (None, None),
    "half-open": ([(0, None), (None, 3), (2, None), (None, -1)], None),
    "range": ([(-7, 7), (0, 1000), (3, 5), (0, 2)], None),
    "log": ([(1, 1024), (1, None), (5, 6), (2, 100)], ["log"] * 4),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("sigma", [1e-12, 0.05, 0.4, 3.0])
def test_every_integer_is_left_with_the_margin_on_both_sides(case, sigma):
    bounds, transforms = CASES[case]
    domain = build_domain(4, bounds, None, transforms, True)
    structure = build_structure("dense", 4)
    strategy = Strategy(structure, domain=domain)
    random = np.random.default_rng(5)
    least = margin(4) / 2
    for _ in range(6):
        mean = random.normal(size=4) * [1, 3, 10, 30]  # also behind the mirrors
        below, above = leaving(domain, strategy.init(mean, sigma, np.ones(4)), structure)
        assert (below >= least * 0.98).all() and (above >= least * 0.98).all(), (
            mean,
            below,
            above,
        )


@pytest.mark.parametrize("dim", [1, 3, 40])
@pytest.mark.parametrize(
    "down, up, std", [(0.9, 0.1, 0.2), (1, 0, 0.3), (4, 0.1, 0.9), (9, 0.2, 0.5)]
)
def test_the_side_that_has_too_little_is_given_it_by_the_others_in_proportion(down, up, std, dim):
    """What the other side, and the integer itself, have beyond α/2 falls by the same share."""
    least = margin(dim) / 2
    below, above = ndtr(-down / std), ndtr(-up / std)
    assert below < least < above
    arrays = (np.array([float(v)]) for v in (down, up, std))
    step, new = (float(a[0]) for a in with_margin(*arrays, dim))
    p, q = ndtr(-(down + step) / new), ndtr(-(up - step) / new)
    assert p == pytest.approx(least)
    inside, kept = 1 - below - above, 1 - p - q
    assert q < above
    assert (kept - least) / (inside - least) == pytest.approx((q - least) / (above - least))


@settings(max_examples=200)
@given(
    down=st.floats(0, 1e6),
    up=st.floats(1e-6, 1e6),
    std=st.floats(1e-15, 1e6),
    dim=st.integers(1, 200),
)
def test_the_margin_is_met_and_what_has_it_is_left_alone(down, up, std, dim):
    step, new = (float(a[0]) for a in with_margin(*(np.array([v]) for v in (down, up, std)), dim))
    least = margin(dim) / 2
    p, q = ndtr(-(down + step) / new), ndtr(-(up - step) / new)
    assert p >= least * (1 - 1e-6) and q >= least * (1 - 1e-6)
    before = ndtr(-down / std), ndtr(-up / std)
    if min(before) >= least:
        assert step == 0 and new == std
    else:
        assert min(p, q) == pytest.approx(least, rel=1e-6)


def test_the_margin_is_one_coordinate_of_one_candidate():
    assert margin(10) == pytest.approx(1 / (10 * default_popsize(10)))
    assert margin(1) == 0.25


def test_a_state_that_has_the_margin_is_the_same_object():
    domain = build_domain(3, [(-50, 50)] * 3, integers=True)
    structure = build_structure("diagonal", 3)
    state = Strategy(structure, domain=domain).init(np.zeros(3), 2.0, np.ones(3))
    assert domain.adjust(state, structure) is state


def test_b_and_paths_and_sigma_stay():
    domain = build_domain(3, integers=[0, 2])
    structure = build_structure("dense", 3)
    plain = Strategy(structure).init(np.full(3, 0.1), 1e-6, np.ones(3))
    state = domain.adjust(plain, structure)
    assert state.sigma == plain.sigma and state.factor is plain.factor and state.path is plain.path
    assert state.mean[1] == 0.1 and state.scale[1] == 1.0
    assert (state.scale[[0, 2]] > 1e5).all() and (np.abs(state.mean[[0, 2]]) < 1e-4).all()


# -- candidates -----------------------------------------------------------------------------------


@pytest.mark.parametrize("integers", [True, [0, 3], np.array([1]), range(2)])
def test_candidates_are_integers_inside(integers):
    bounds = [(-2, 2), (0, 1), (1, 9), (-30, 4)]
    es = structes.ES([0, 0.4, 5, 0], [1, 1, 1, 30], bounds=bounds, integers=integers, seed=1)
    chosen = list(range(4)) if integers is True else list(integers)
    seen = []
    for _ in range(60):
        X = es.ask()
        seen.append(X)
        es.tell(X, ((X - 1.2) ** 2).sum(1))
    X = np.concatenate(seen)
    assert (X[:, chosen] == np.round(X[:, chosen])).all()
    others = [i for i in range(4) if i not in chosen]
    assert (X[:, others] != np.round(X[:, others])).all()
    low, high = np.array(bounds).T
    assert (low <= X).all() and (high >= X).all()
    for i in chosen:
        assert np.abs(es.best.x[i] - 1.2) < 0.9 if i != 1 else es.best.x[i] == 1, i


def test_all_values_of_a_range_are_as_probable_at_the_ends_as_inside():
    es = structes.ES([1.5] * 2, 40.0, bounds=[(0, 3)] * 2, integers=True, seed=2)
    X = np.concatenate([es.ask() for _ in range(500)]).ravel()
    counts = np.bincount(X.astype(int), minlength=4) / len(X)
    np.testing.assert_allclose(counts, [0.22, 0.28, 0.28, 0.22], atol=0.06)


def test_halves_are_rounded_up_on_both_parities():
    domain = build_domain(1, integers=True)
    U = np.array([[-1.5], [-0.5], [0.5], [1.5], [2.5]])
    assert domain.decode(U)[:, 0].tolist() == [-1, 0, 1, 2, 3]


def test_integers_on_a_logarithmic_scale():
    es = structes.ES([100], 2.0, bounds=[(1, 10**6)], transforms=["log"], integers=True, seed=3)
    while not es.stop():
        X = es.ask()
        assert (np.round(X) == X).all() and (X >= 1).all() and (X <= 10**6).all()
        es.tell(X, np.abs(np.log(X[:, 0] / 7001)))
    assert es.best.x[0] == 7001
    unbounded = structes.ES([1], 2.0, transforms=["log"], integers=True, seed=3)
    assert all((unbounded.ask() >= 1).all() for _ in range(5))


def test_bounds_of_integers_are_rounded_inward():
    domain = build_domain(2, [(0.2, 3.9), (-0.7, 1)], integers=[0, 1])
    assert domain.low.tolist() == [1, 0] and domain.high.tolist() == [3, 1]


# -- what margins are for -------------------------------------------------------------------------


def mixed_sphere(X):
    """Three integers, best 3, beside three numbers that weigh 10⁶ times as much."""
    return ((X[:, :3] - 3) ** 2).sum(1) + 1e6 * ((X[:, 3:] - 0.2) ** 2).sum(1)


def rounded(X):
    return mixed_sphere(np.concatenate([np.floor(X[:, :3] + 0.5), X[:, 3:]], axis=1))


@pytest.mark.slow
def test_a_mixed_sphere_is_solved_where_rounding_freezes():
    def solved(f, **options):
        runs = [
            structes.minimize(f, [-5.0] * 6, 2.0, "dense", seed, 6000, 1e-8, True, **options)
            for seed in range(12)
        ]
        return sum(run.success for run in runs)

    assert solved(rounded) <= 2
    assert solved(mixed_sphere, integers=range(3)) == 12
    assert solved(mixed_sphere, integers=range(3), bounds=[(-10, 10)] * 6) == 12
    assert solved(mixed_sphere, integers=range(3), bounds=[(-10, 3)] * 3 + [(-10, 10)] * 3) == 12


@pytest.mark.parametrize("structure", ["dense", "diagonal", "scalar", "lower", "low_rank"])
def test_structures_solve_it(structure):
    for seed in range(3):
        run = structes.minimize(
            mixed_sphere, [-5.0] * 6, 2.0, structure, seed, 20_000, 1e-8, True,
            integers=range(3), bounds=[(-10, 10)] * 6,
        )  # fmt: skip
        # a scalar has one deviation for weights of 1 and 10⁶: D₀ still lifts the integers'
        assert run.success, (structure, seed, run.message)


def test_bits_alone():
    def ones(X):
        return X.shape[1] - X.sum(1)

    for seed in range(5):
        run = structes.minimize(
            ones, [0.5] * 20, 0.5, "diagonal", seed, 10_000, 0.0, True,
            integers=True, bounds=[(0, 1)] * 20,
        )  # fmt: skip
        assert run.success and run.nfev < 3000, run.message


def test_a_search_of_integers_ends_by_itself():
    es = structes.ES([20] * 3, 5.0, integers=True, seed=1, max_evaluations=20_000)
    while not es.stop():
        X = es.ask()
        es.tell(X, ((X - [1, -2, 3]) ** 2).sum(1))
    assert es.best.fun == 0 and "max_evaluations" not in es.stop()


# -- plateaus -------------------------------------------------------------------------------------


def leading_ones(X):
    return -np.cumprod(X, axis=1).sum(1)


def wrong_ones(X):
    return (X != [3, 0, 2, 1, 1, 3, 0, 2]).sum(1).astype(float)


def furthest(X):
    return np.abs(X - [1, 9, 4, 7, 2, 8]).max(1)


@pytest.mark.parametrize(
    ("f", "x0", "sigma0", "high", "target"),
    [
        (leading_ones, [0.0] * 10, 0.5, 1, -10),
        (leading_ones, [0.0] * 20, 0.5, 1, -20),
        (wrong_ones, [1.5] * 8, 1.0, 3, 0),
        (wrong_ones, [0.0] * 8, 1.0, 3, 0),
        (furthest, [5.0] * 6, 2.0, 10, 0),
    ],
)
@pytest.mark.parametrize("structure", ["auto", "dense"])
def test_plateaus_are_crossed(structure, f, x0, sigma0, high, target):
    options = {"integers": True, "bounds": [(0, high)] * len(x0)}
    runs = [
        structes.minimize(f, x0, sigma0, structure, seed, 6000, target, True, **options)
        for seed in range(12)
    ]
    assert sum(run.fun == target for run in runs) >= 11, [run.message for run in runs]


def after(values, state=None, **options):
    """(state before, state after) a generation of a search with such values."""
    es = structes.ES([0.0] * 6, 0.5, "dense", seed=4, popsize=len(values), **options)
    before = es.state
    es.tell(es.ask(), np.array(values, dtype=float))
    return before, es.state


def test_twins_of_the_same_value_do_not_cancel_where_there_are_integers():
    pairs = [5.0, 5, 1, 1, 3, 3, 2, 2]
    before, state = after(pairs)
    np.testing.assert_allclose(state.mean, before.mean, atol=1e-15)
    before, state = after(pairs, integers=True, bounds=[(0, 1)] * 6)
    assert (np.abs(state.mean - before.mean) > 1e-3).all()


def test_the_order_in_which_tied_values_are_told_does_not_matter():
    options = {"seed": 4, "popsize": 9, "integers": [0, 1, 2], "bounds": [(0, 3)] * 6}
    one, other = (structes.ES([1.0] * 6, 0.5, "dense", **options) for _ in range(2))
    order = np.random.default_rng(3).permutation(9)
    for _ in range(8):
        X, same = one.ask(), other.ask()
        np.testing.assert_array_equal(X, same)
        values = np.floor(X.sum(1))
        one.tell(X, values)
        other.tell(same[order], values[order])


@pytest.mark.parametrize("choices", [None, [[4, 5]]])
def test_integers_are_widened_on_a_plateau_up_to_a_third_of_the_box(choices):
    its = {"integers": [0, 1], "bounds": [(-9, 9)] * 4 + [(None, None)] * 2, "choices": choices}

    def widened(values, **options):
        before, state = after(values, **{**its, **options})
        return state.scale / before.scale

    np.testing.assert_allclose(widened([7] * 8), np.exp([0.2] * 2 + [0] * 4))
    np.testing.assert_allclose(widened([7] * 6 + [np.nan] * 2)[:2], np.exp(0.2))
    np.testing.assert_allclose(widened([7] * 7 + [8, 8])[:2], np.exp(0.2 * (2 * 6 / 8 - 1)))
    np.testing.assert_array_equal(widened([7] * 4 + [8] * 4)[:2], 1)
    np.testing.assert_array_equal(widened([7] * 8, integers=None), 1)
    if not choices:
        np.testing.assert_allclose(widened([7] * 8, fixed={3: 0})[:2], np.exp(0.2))
    es = structes.ES([0.0] * 6, 0.5, "dense", seed=4, flat=None, **its)
    for _ in range(41):  # the choices of the last one are not drawn wide
        es.tell(es.ask(), np.zeros(es.popsize))
    np.testing.assert_allclose(es.sigma * es.state.scale, [19 / 3] * 2 + [0.5] * 4)


def test_an_open_plateau_without_an_end_is_no_overflow():
    es = structes.ES([1.0] * 3, 1.0, integers=True, transforms={2: "log"}, flat=None, seed=1)
    for _ in range(250):  # 0.2 · 250 is more than ln 2⁵³
        X = es.ask()
        assert np.isfinite(X).all()
        es.tell(X, np.zeros(len(X)))
    assert es.sigma == 1.0 and (es.state.scale == 2.0**53).all()


# -- one cell -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bounds", "log", "value"),
    [
        ((0.6, 1.9), False, 1.0),
        ((-0.4, 0.4), False, 0.0),
        ((-3.0, -2.5), False, -3.0),
        ((2.0, 2.9), True, 2.0),
        ((0.3, 1.7), True, 1.0),
        ((1e-9, 1.0), True, 1.0),  # 0 has no logarithm
        ((0.0, 1.0), True, 1.0),
        ((-9.0, 1.5), True, 1.0),
        ((5.0, 5.0), False, 5.0),
    ],
)
def test_an_integer_with_one_cell_does_not_move(bounds, log, value):
    es = structes.ES(
        [3.0, value, 0.5], 1.0, seed=1, integers=[0, 1], bounds=[(-9, 9), bounds, (0.0, 1.0)],
        transforms={1: "log"} if log else None,
    )  # fmt: skip
    assert es.structure.dim == 2  # it is no part of the search
    for _ in range(4):
        X = es.ask()
        assert (X[:, 1] == value).all() and len(np.unique(X[:, 0])) > 1
        es.tell(X, (X**2).sum(axis=1))


@pytest.mark.parametrize(
    ("bounds", "log", "values"),
    [((0.6, 2.0), False, {1, 2}), ((-0.4, 1.0), False, {0, 1}), ((0.3, 2.2), True, {1, 2})],
)
def test_an_integer_with_two_cells_moves(bounds, log, values):
    transforms = {0: "log"} if log else None
    es = structes.ES(
        [1.0, 0.5], 1.0, seed=1, integers=[0], bounds=[bounds, (0, 1)], transforms=transforms
    )
    assert es.structure.dim == 2 and set(es.ask(50)[:, 0]) == values
    with pytest.raises(ValueError, match="bounds\\[0\\] must hold an integer"):
        structes.ES([0.5], 1.0, integers=True, bounds=[(0.4, 0.6)])


# -- the middle of cells --------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_integers_that_are_not_the_means_move_to_the_middle_of_their_cells(case):
    bounds, transforms = CASES[case]
    domain = build_domain(4, bounds, None, transforms, [0, 1, 3])
    random = np.random.default_rng(6)
    mean = random.normal(size=4) * [1, 3, 10, 30]
    U = mean + random.normal(size=(300, 4)) * [1, 2, 3, 4]  # also behind the mirrors
    there, X = domain.centred(U, mean), domain.decode(U)
    np.testing.assert_allclose(domain.decode(there), X, rtol=1e-12)
    away = (domain.decode(mean[None]) != X) & [True, True, False, True]
    np.testing.assert_array_equal(there[~away], U[~away])
    assert away.any(axis=0)[[0, 1, 3]].all() and (np.abs(there - U)[away] > 0).all()
    in_u = np.log if transforms else np.array
    first = away & (in_u(X - 0.5) < U) & (in_u(X + 0.5) > U)  # in no mirror image of the cell
    np.testing.assert_allclose(there[first], in_u(X)[first], atol=1e-9)
    assert (np.abs(there - U) <= (0.5 if transforms is None else np.log(2))).all()


@pytest.mark.parametrize("more", [{"choices": [[2, 4]], "fixed": {3: 1}}, {}])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_mean_moves_to_the_middle_of_cells_by_the_good_half_alone(more, dtype):
    bounds = [(-20, 20)] * 2 + [(None, None)] * 4
    options = {"integers": [0, 1], "bounds": bounds, **more}
    es = structes.ES([0.2] * 3 + [1, 0, 0], 3.0, "dense", 3, 12, dtype=dtype, **options)
    strategy, state, values = es.strategy, es.state, np.arange(12.0)
    Z, Y, X = strategy.draw(state, 3, 0, 12)
    weights = strategy.plan(12).tables[0]
    z, y = strategy.centred(state, Z, Y, weights)
    assert z.dtype == y.dtype == dtype
    np.testing.assert_array_equal(strategy.place(state, y)[:, :2], X[:, :2])
    np.testing.assert_allclose(z, strategy.structure.whiten(state.factor, y), atol=1e-6)
    np.testing.assert_array_equal(z[6:], Z[6:])
    U = strategy.coordinates(state, y)
    moved = (X[:6, :2] != 0) & (X[:6, :2] != 20)
    np.testing.assert_allclose(U[:6, :2][moved], X[:6, :2][moved], atol=1e-5)
    after, _ = strategy.update(state, Z, Y, values)
    mean = state.mean + weights @ (U - state.mean)
    np.testing.assert_allclose(after.mean[:2], mean[:2], atol=1e-5)
    tiles, _ = strategy.update(state, [Z[:5], Z[5:]], None, values)
    np.testing.assert_allclose(tiles.mean, after.mean, atol=1e-5)
    for a, b in zip(tiles.factor, after.factor, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


WRONG = [
    ({"integers": 1}, TypeError, "integers must be None, True (all) or indices; got 1"),
    ({"integers": False}, TypeError, "integers must be None, True (all) or indices"),
    ({"integers": "all"}, TypeError, "integers must be None, True (all) or indices"),
    ({"integers": [2]}, ValueError, "integers[0] must be an integer from 0 to 1; got 2"),
    ({"integers": [0, 0]}, ValueError, "repeated: [0]"),
    ({"integers": [True, False]}, TypeError, "integers[0] must be an integer"),
    ({"integers": [1], "bounds": [(0, 1), (0.2, 0.9)]}, ValueError, "bounds[1] must hold an int"),
    ({"integers": [1], "bounds": [(0, 1), (0, 1e17)]}, ValueError, "bounds[1] of an integer must"),
    ({"integers": [1], "transforms": {1: "log"}, "bounds": [(0, 1), (0, 9)]}, ValueError,
     "bounds[1] must be ≥ 1"),
    ({"integers": [1], "bounds": [(0, 1), (3, 9)]}, ValueError, "x0: coordinate 1 is 1.0"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "error", "message"), WRONG)
def test_what_is_wrong_is_named(given, error, message):
    with pytest.raises(error, match=re.escape(message)):
        structes.ES([1.0, 1.0], 0.1, **given)
