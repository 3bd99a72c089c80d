"""Bounds and transforms: every candidate is inside, and nothing is lost by it."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds

import structes
from structes.space.building import BOUNDARIES, build_domain
from structes.space.domain import Domain
from structes.strategy.strategy import Strategy
from structes.structures.building import build_structure

from .structure_table import TRUTH

KINDS = [(0.0, 1.0), (None, 3.0), (-2.0, np.inf), (None, None), (-5.0, 5.0), (1e-5, 1e2)]
LOG = {5: "log"}


def inside(X, bounds):
    low = np.array([-np.inf if a is None else a for a, _ in bounds])
    high = np.array([np.inf if b is None else b for _, b in bounds])
    return bool(((low <= X) & (high >= X)).all())


def sample(random, n):
    """Points inside KINDS, many of them close to a bound or on it."""
    near = random.uniform(size=(n, 6)) ** random.choice([1, 8], size=(n, 6))
    near *= random.uniform(size=(n, 6)) > 0.1
    X = np.stack(
        [
            near[:, 0],
            3 - 9 * near[:, 1],
            9 * near[:, 2] - 2,
            near[:, 3],
            near[:, 4],
            0 * near[:, 5],
        ],
        1,
    )
    X[:, 4] = 5 - 10 * near[:, 4]
    X[:, 5] = np.clip(1e-5 * 1e7 ** near[:, 5], 1e-5, 1e2)
    return X


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_decode_is_the_inverse_of_encode(boundary, backend):
    X = sample(np.random.default_rng(1), 200)
    domain = build_domain(6, KINDS, boundary, LOG, sigma0=np.array([1, 1, 2, 1, 3, 0.5]))
    U = domain.encode(backend.freeze((backend.array(X),))[0])
    back = backend.numpy(domain.decode(backend.freeze((U,))[0]))
    np.testing.assert_allclose(back, X, rtol=1e-12, atol=1e-14)
    assert inside(back, KINDS)
    on_bound = (X == 0.0) | (X == 3.0) | (X == 5.0) | (X == 1e-5) | (X == -2.0)
    on_bound[:, 3] = False
    on_bound[:, 1] &= X[:, 1] == 3.0
    assert on_bound[:, [0, 1, 2, 4]].sum() > 50
    assert (back[on_bound] == X[on_bound]).all()


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_all_libraries_decode_alike_and_inside(boundary, backend):
    U = (
        np.random.default_rng(2).normal(size=(300, 6))
        * 10.0 ** np.arange(-2, 4).repeat(50)[:, None]
    )
    domain = build_domain(6, KINDS, boundary, LOG, [2], 0.7)
    expected = domain.decode(U.copy())
    X = backend.numpy(domain.decode(backend.array(U)))
    np.testing.assert_allclose(X, expected, rtol=1e-12)
    assert inside(X, KINDS) and (X[:, 2] == np.round(X[:, 2])).all()
    assert np.ptp(X[:, 4]) > 9 and np.ptp(X[:, 0]) > 0.99


def test_the_rounded_mirror_is_what_the_docstring_says():
    domain = build_domain(2, [(1.0, 9.0), (None, 4.0)], "transform", sigma0=np.array([20.0, 10.0]))
    a, b = domain.zone
    assert (a, b) == (0.6, 0.3)
    u = np.linspace(-3, 13, 1601)
    x, y = domain.decode(np.stack([u, u], 1)).T
    plain = (u >= 1 + a) & (u <= 9 - a)
    assert (x[plain] == u[plain]).all() and (y[u <= 4 - b] == u[u <= 4 - b]).all()
    near = np.abs(u - (1 - a)) < 2 * a
    np.testing.assert_allclose(x[near], 1 + (u[near] - 1 + a) ** 2 / (4 * a), atol=1e-12)
    assert (np.abs(np.diff(x)) <= 0.01 + 1e-12).all()  # no jump, and no slope above 1
    beyond = (u > 4 + b) & (u < 11)
    image = np.interp(2 * (4 + b) - u[beyond], u, y)
    np.testing.assert_allclose(y[beyond], image, atol=1e-4)


def test_a_zone_is_at_most_a_quarter_of_the_width_and_plain_mirrors_have_none():
    assert build_domain(1, [(0, 1)], sigma0=100.0).zone == [0.25]
    assert build_domain(1, [(0, 1)], "reflect", sigma0=100.0).zone == [0.0]
    assert build_domain(1, [(0, 1)], integers=True).zone == [0.0]
    assert (build_domain(2, [(0, None), (None, None)]).zone == [0.03, 0.0]).all()


bound = st.floats(-1e6, 1e6) | st.sampled_from([0.0, -1e-300, 1e300, -1e308, 1e308, 5e-324])


@settings(max_examples=60)
@given(
    pairs=st.lists(st.tuples(bound | st.none(), bound | st.none()), min_size=1, max_size=4),
    sigma=st.floats(1e-9, 1e9),
    boundary=st.sampled_from(list(BOUNDARIES)),
    seed=st.integers(0, 1000),
)
def test_every_candidate_is_inside_whatever_the_bounds_and_sigma(pairs, sigma, boundary, seed):
    pairs = [(min(p), max(p)) if None not in p and p[0] != p[1] else (p[0], None) for p in pairs]
    x0 = [a if a is not None else b if b is not None else 0.0 for a, b in pairs]  # on a bound
    es = structes.ES(x0, sigma, seed=seed, bounds=pairs, boundary=boundary)
    with np.errstate(over="ignore"):
        for _ in range(5):
            X = es.ask()
            assert np.isfinite(X).all() and inside(X, pairs)
            es.tell(X, (X / 1e4).sum(1))
    assert inside(es.mean, pairs)


reals = st.floats(allow_nan=False, allow_infinity=False)
SINGLE = [float(np.float32(v)) for v in (0.1, 1 / 3, 1e-40, 3e38)]
BESIDE = [float(np.nextafter(v, end)) for v in SINGLE for end in (v, np.inf, -np.inf)]


@settings(max_examples=200)
@given(
    low=reals | st.sampled_from(BESIDE),
    high=reals | st.sampled_from(BESIDE) | st.just(np.inf),
    inside_share=st.floats(0, 1),
)
def test_float32_bounds_are_rounded_inward(low, high, inside_share):
    """Numbers of float32 about a bound: the ones that are kept are inside, and the nearest."""
    low, high = min(low, high), max(low, high)
    with np.errstate(over="ignore"):
        narrow = np.float32([low, high, low + inside_share * (min(high, 1e308) - low)])
        outer = np.nextafter(narrow, np.float32(np.inf)), np.nextafter(narrow, np.float32(-np.inf))
    numbers = np.concatenate([narrow, *outer, np.float32([-3e38, 0, 3e38])])
    numbers = numbers[np.isfinite(numbers)]
    fits = numbers[(low <= numbers.astype(float)) & (high >= numbers.astype(float))]
    if not len(fits) or not low < high:
        return  # no number of float32 is between them
    domain = build_domain(1, [(low, high)], "reflect")
    X = domain.rounded(numbers[:, None].astype(float), "float32")[:, 0]
    assert X.dtype == np.float32
    for number, x in zip(numbers.astype(float), X.astype(float), strict=True):
        assert low <= x <= high
        assert x == min(max(number, fits.min()), fits.max())


@pytest.mark.parametrize("sigma", [1e-9, 1.0, 100.0])
def test_candidates_in_float32_satisfy_bounds_in_float64(sigma):
    """0.1, 0.3 and 1/3 are larger or smaller in float32."""
    bounds = [(0.1, 0.7), (0.3, None), (None, 0.1), (1 / 3, 2 / 3), (1e-3, 0.1), (-0.1, 0.3)]
    low = np.array([-np.inf if low is None else low for low, _ in bounds])
    high = np.array([np.inf if high is None else high for _, high in bounds])
    x0 = [0.4, 0.3, 0.1, 1 / 3, 0.1, 0.3]
    options = dict(bounds=bounds, transforms={4: "log"}, dtype="float32", popsize=40)
    for boundary in BOUNDARIES:
        es, touched = structes.ES(x0, sigma, seed=3, boundary=boundary, **options), 0
        for _ in range(4):
            X = es.ask()
            assert X.dtype == np.float32
            assert ((low <= X.astype(float)) & (high >= X.astype(float))).all()
            touched += int((np.float32(low) >= X).sum() + (np.float32(high) <= X).sum())
            es.tell(X, X.astype(float) @ np.ones(6))
        assert touched or sigma > 1e-9


def test_bounds_between_which_float32_has_nothing_to_choose_are_refused():
    def search(low, high, dtype):
        return structes.ES([low], 1e-9, bounds=[(low, high)], dtype=dtype)

    with pytest.raises(ValueError, match=r"bounds\[0\]: float32 cannot tell numbers between 1.0 "):
        search(1.0, 1.0 + 1e-9, "float32")
    with pytest.raises(ValueError, match=r"sigma0 must be so small .* a number of float32"):
        search(1e39, 2e39, "float32")
    X = search(1.0, 1.0 + 1e-9, "float64").ask(50)
    assert ((X >= 1.0) & (X <= 1.0 + 1e-9)).all() and len(np.unique(X)) > 9


def test_bounds_that_are_far_change_no_bit():
    def run(**options):
        es = structes.ES([3.0] * 5, 1.0, seed=4, max_generations=80, **options)
        while not es.stop():
            X = es.ask()
            es.tell(X, (X**2) @ np.arange(1, 6))
        return es

    free, bounded = (
        run(),
        run(bounds=[(-1e3, 1e3), (-50, None), (None, 1e9), (None, None), (-99, 99)]),
    )
    assert free.best.fun < 1e-6
    assert free.best.fun == bounded.best.fun and free.sigma == bounded.sigma
    assert (free.state.mean == bounded.state.mean).all()
    assert type(free.domain) is Domain


# -- convergence ----------------------------------------------------------------------------------


def boxed(where, d=6):
    """A separable ellipsoid in [−1, 2]^d and its constrained minimum value: the free minimum lies
    beyond the lower bound in the coordinates `where`."""
    a = 10.0 ** (np.arange(d) / (d - 1))
    free = np.full(d, 0.3)
    free[list(where)] = -1.4
    best = np.clip(free, -1, 2)
    return lambda X: ((X - free) ** 2) @ a - ((best - free) ** 2) @ a


def evaluations(f, boundary, seed, d=6):
    es = structes.ES(
        [1.0] * d,
        0.8,
        seed=seed,
        bounds=[(-1, 2)] * d,
        boundary=boundary,
        target=1e-8,
        max_evaluations=20_000,
    )
    while not es.stop():
        X = es.ask()
        assert (X >= -1).all() and (X <= 2).all()
        es.tell(X, f(X))
    assert "target" in es.stop(), es.stop()
    return es.evaluations


@pytest.mark.parametrize(
    "where", [(), (0,), (1, 2, 5), range(6)], ids=["in", "one", "half", "all"]
)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_all_handlings_converge(boundary, where):
    for seed in (1, 2):
        evaluations(boxed(where), boundary, seed)


def test_a_minimum_on_the_bound_costs_no_more_than_one_inside():
    free = np.median([evaluations(boxed(()), None, seed) for seed in range(5)])
    for where in [(0,), (1, 2, 5), range(6)]:
        used = np.median([evaluations(boxed(where), None, seed) for seed in range(5)])
        assert used <= 1.25 * free, (where, used, free)


def test_steps_that_are_longer_than_the_box_is_wide_are_shortened():
    bounds = [(0.0, 1e-3), (-5, 5), (0, None)]
    es = structes.ES([5e-4, 0.0, 1.0], 2.0, bounds=bounds, seed=1)
    np.testing.assert_allclose(es.deviations, [1e-3 / 3, 2.0, 2.0], rtol=1e-12)
    for _ in range(30):  # nothing to learn: sigma may drift
        X = es.ask()
        es.tell(X, np.random.default_rng(es.generation).normal(size=len(X)))
        assert (es.deviations[:2] <= np.array([1e-3, 10]) / 3 * (1 + 1e-12)).all()


@pytest.mark.parametrize("half", [(0.0, None), (None, 0.0)])
def test_half_open_bounds_converge_on_the_bound(half):
    sign = 1 if half[0] is not None else -1
    es = structes.ES([3.0 * sign] * 4, 1.0, bounds=[half] * 4, seed=2, target=1e-9)
    while not es.stop():
        X = es.ask()
        es.tell(X, (sign * X) @ [1, 10, 100, 1000])
    assert "target" in es.stop()


CASES = [(name, *truth.cases[-1]) for name, truth in TRUTH.items() if truth.cases]


@pytest.mark.parametrize(("name", "spec", "dim"), [*CASES, ("low_rank", "low_rank", 9)])
def test_every_structure_takes_bounds_and_integers(name, spec, dim, backend):
    integers = range(0, dim, 3)
    domain = build_domain(dim, [(-3, 3)] * dim, None, None, integers, 1.0)
    strategy = Strategy(build_structure(spec, dim), domain=domain)
    state = strategy.init(domain.encode(np.full((1, dim), 2.0))[0], 1.0, np.ones(dim), backend.xp)
    for _ in range(25):
        Z, Y, X = strategy.draw(backend.freeze(state), 1, 0, 12)
        X = backend.numpy(X)
        assert (np.abs(X) <= 3).all() and (X[:, ::3] == np.round(X[:, ::3])).all()
        state, info = strategy.update(state, Z, Y, ((X + 4) ** 2).sum(1))
    assert info.median < 16 * dim  # it was 36 d in the beginning; 1 d is the minimum
    assert float(domain.decode(state.mean[None, :])[0, 0]) < 0


# -- logarithms -----------------------------------------------------------------------------------


def test_log_searches_ratios():
    es = structes.ES([1e-3, 5.0], [0.5, 0.1], transforms=["log", None], seed=1)
    X = np.concatenate([es.ask() for _ in range(200)])
    assert np.std(np.log(X[:, 0])) == pytest.approx(0.5, rel=0.1)
    assert np.exp(np.mean(np.log(X[:, 0]))) == pytest.approx(1e-3, rel=0.1)
    assert np.std(X[:, 1]) == pytest.approx(0.1, rel=0.1)
    assert es.mean == pytest.approx([1e-3, 5.0], rel=1e-14)


def test_log_with_bounds_is_exactly_inside_and_converges_over_decades():
    bounds = [(1e-7, 0.3), (0.1, None), (None, 0.7)]
    es = structes.ES(
        [0.1, 1e3, 0.5], 2.0, bounds=bounds, transforms=["log"] * 3, seed=3, target=1e-9
    )
    while not es.stop():
        X = es.ask()
        assert inside(X, bounds) and (X > 0).all()
        es.tell(X, ((np.log(X) - np.log([1e-7, 0.1, 0.02])) ** 2).sum(1))
    assert "target" in es.stop()


def test_two_points_are_compared_in_standard_deviations_of_the_search():
    """Of the logarithm where the search moves that; integers differ by their difference, and what
    is no point by NaN."""
    domain = build_domain(4, integers=[2, 3], transforms={1: "log", 3: "log"})
    std = np.array([0.5, 0.25, 0.125, 0.01])
    X = np.array([[1.0, 2.0, 3.0, 4.0], [2.0, 2.0 * np.exp(0.5), 7.0, 5.0], [1.0, -1.0, 3.0, 4.0]])
    units = domain.in_units(X, std)
    np.testing.assert_allclose(units[1] - units[0], [2, 2, 4, 1], rtol=1e-12)
    assert np.isnan(units[2]).tolist() == [False, True, False, False]
    columns = np.array([1, 3])
    np.testing.assert_array_equal(domain.in_units(X[:, columns], std, columns), units[:, columns])


def test_points_that_many_candidates_can_be_are_corners_of_integers_and_bounds():
    domain = build_domain(3, [(0, 9), (0.0, 1.0), (None, 2.0)], integers=[0])
    X = np.array([[3.0, 0.0, 2.0], [3.0, 1.0, 2.0], [3.0, 0.5, 2.0], [0.0, 0.0, 1.0]])
    assert domain.comes_again(X).tolist() == [True, True, False, False]
    assert not Domain(2).comes_again(np.zeros((3, 2))).any()


def test_a_coordinate_that_is_fixed_may_be_off_by_a_few_digits():
    """As after a file: by 10⁻⁵ of its value, or of 1."""
    es = structes.ES([1.0, 2.0, 300.0], 0.5, seed=1, fixed={1: 2.0, 2: 300.0})
    encode = es.strategy.domain.encode
    np.testing.assert_array_equal(es.deviations, [0.5, 0, 0])  # and it does not move
    for off, is_taken in ((0, True), (0.9, True), (1.1, False), (-1.1, False)):
        for x in ([1.5, 2 * (1 + 1e-5 * off), 300.0], [1.5, 2.0, 300 * (1 + 1e-5 * off)]):
            if is_taken:
                np.testing.assert_array_equal(encode(np.array([x])), [[1.5]])
            else:
                with pytest.raises(ValueError, match="is fixed at"):
                    encode(np.array([x]))


def test_log_stays_finite():
    domain = build_domain(1, transforms=["log"])
    X = domain.decode(np.array([[1e5], [-1e5], [0.0]]))
    assert np.isfinite(X).all() and (X > 0).all() and X[2, 0] == 1.0
    X = domain.rounded(X, "float32")
    assert X.dtype == np.float32 and np.isfinite(X).all() and (X > 0).all() and X[2, 0] == 1.0
    half = build_domain(1, [(0.5, None)], transforms=["log"])
    X = half.rounded(half.decode(np.array([[1e5], [0.0]])), "float32")
    assert np.isfinite(X).all() and X[1, 0] == 1.0


# -- what users say -------------------------------------------------------------------------------


def test_bounds_are_read_as_scipy_gives_them():
    expected = build_domain(2, [(0, None), (-np.inf, 4.0)])
    for bounds in (
        [[0.0, np.inf], (None, 4)],
        np.array([[0, np.inf], [-np.inf, 4]]),
        Bounds([0, -np.inf], [np.inf, 4]),
    ):
        domain = build_domain(2, bounds)
        assert (domain.low == expected.low).all() and (domain.high == expected.high).all()
    domain = build_domain(3, Bounds(-1, [1, 2, 3]))
    assert (domain.low == -1).all() and (domain.high == [1, 2, 3]).all()
    for nothing in (None, [(None, None)] * 2, [(-np.inf, np.inf)] * 2):
        assert type(build_domain(2, nothing)) is Domain


def test_nothing_that_is_handed_in_changes():
    bounds, transforms, x0 = np.array([[1.0, 2.0], [1.0, 3.0]]), {1: "log"}, np.array([1.0, 3.0])
    for a in (bounds, x0):
        a.flags.writeable = False
    es = structes.ES(x0, 1.0, bounds=bounds, transforms=transforms, integers=[0])
    es.tell(es.ask(), np.arange(es.popsize))
    U = np.random.default_rng(0).normal(size=(5, 2)) * 3
    kept = U.copy()
    es.domain.decode(U)
    assert (kept == U).all() and transforms == {1: "log"}


WRONG = [
    ({"bounds": (0, (1, 2))}, TypeError, r"bounds must be 3 pairs .* bounds\[0\] is no pair"),
    ({"bounds": 1.0}, TypeError, "bounds must be 3 pairs"),
    ({"bounds": [(0, 1)] * 2}, ValueError, "bounds must be 3 pairs .* got 2 of them"),
    ({"bounds": [(0, 1), (0, 1, 2), (0, 1)]}, ValueError, r"bounds\[1\] must be a pair"),
    ({"bounds": [(0, 1), (0, "x"), (0, 1)]}, TypeError, r"bounds\[1\]\[1\] must be a number"),
    ({"bounds": [(0, 1), (0, np.nan), (0, 1)]}, ValueError, r"bounds\[1\]\[1\] must be a num"),
    ({"bounds": [(0, 1), (2, 1), (0, 1)]}, ValueError,
     r"bounds\[1\]: lower must not be above upper; got \(2.0, 1.0\)"),
    ({"bounds": [(0.5, 0.5)] * 3}, ValueError, "all coordinates are fixed"),
    ({"bounds": [(0, 1), (0, 1), (np.inf, None)]}, ValueError, r"bounds\[2\]: lower must not be"),
    ({"bounds": SimpleNamespace(lb=0, ub=[1, 2])}, ValueError, "bounds.ub must be a number or 3"),
    ({"bounds": SimpleNamespace(lb="a", ub=1)}, TypeError, "bounds.lb must be a number or 3"),
    ({"bounds": SimpleNamespace(lb=np.nan, ub=1)}, ValueError, "bounds.lb must not hold NaN"),
    ({"bounds": [(0, 1), (0.7, 1), (0, 1)]}, ValueError,
     r"x0: coordinate 1 is 0.5, outside its bounds \[0.7, 1.0\]"),
    ({"boundary": "reflekt"}, ValueError, "one of transform, reflect;.*did you mean 'reflect'"),
    ({"boundary": ["reflect"]}, ValueError, "boundary must be one of"),
    ({"transforms": "log"}, TypeError, "transforms must be 3 names"),
    ({"transforms": ["log"]}, ValueError, "transforms must be 3 names.* got 1"),
    ({"transforms": {1: "lgo"}}, ValueError, r"transforms\[1\] must be None, 'linear' or 'log'"),
    ({"transforms": {3: "log"}}, ValueError, "transforms: index must be an integer from 0 to 2"),
    ({"transforms": {1: "log"}, "x0": [1, 0, 1]}, ValueError, "x0: coordinate 1 must be positive"),
    ({"transforms": {1: "log"}, "bounds": [(0, 1)] * 3}, ValueError, r"bounds\[1\] must be posi"),
    ({"transforms": {1: "log"}, "bounds": [(None, -1)] * 3}, ValueError, r"bounds\[1\] must be p"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "error", "message"), WRONG)
def test_what_is_wrong_is_named(given, error, message):
    given = {"x0": [0.5] * 3, **given}
    with pytest.raises(error, match=message):
        structes.ES(sigma0=0.1, **given)


def test_a_point_that_is_told_must_lie_inside():
    es = structes.ES([0.5] * 3, 0.1, bounds=[(0, 1)] * 3, seed=1)
    before = es.state, es.evaluations
    with pytest.raises(ValueError, match=r"coordinate 2 is 1.5, outside its bounds \[0.0, 1.0\]"):
        es.tell(np.array([[0.5, 0.5, 1.5]]), [1.0])
    assert (es.state, es.evaluations) == before
    es.tell(np.array([[0.5, 0.0, 1.0]]), [1.0])
    assert es.evaluations == 1 and (es.best.x == [0.5, 0.0, 1.0]).all()


def test_a_start_on_the_bound_is_fine_and_moves_off_it():
    es = structes.ES([0.0, 1.0], 0.3, bounds=[(0, 1)] * 2, seed=1)
    assert (es.mean == [0.0, 1.0]).all()
    X = es.ask()
    assert ((X > 0) & (X < 1)).all()


@pytest.mark.parametrize("restarts", ["ipop", "bipop"])
def test_restarts_stay_inside(restarts):
    bounds = [(0, 3), (1e-3, 10), (None, 5)]

    def f(X):
        assert inside(X, bounds) and (X[:, 0] == np.round(X[:, 0])).all()
        return 10 * 3 + (X**2 - 10 * np.cos(6.28 * X)).sum(1)

    result = structes.minimize(
        f, [3, 10.0, 5.0], 3.0, "dense", 1, 3000, vectorized=True, restarts=restarts,
        bounds=bounds, transforms={1: "log"}, integers=[0],
    )  # fmt: skip
    assert len(result.restarts) > 2
