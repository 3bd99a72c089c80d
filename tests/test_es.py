"""ask and tell: any order, any portions, failures, strangers' points, and every wrong input."""

import subprocess
import sys
import warnings

import numpy as np
import pytest

from structes import ES, STRUCTURES

STRUCTURE_NAMES = ("dense", "diagonal", "scalar", "lower", "upper")


def sphere(x):
    return float(x @ x)


def make(dim=5, **options):
    return ES(np.arange(1.0, dim + 1), 0.8, **{"seed": 3, **options})


def same(a, b):
    np.testing.assert_array_equal(a.mean, b.mean)
    assert (a.sigma, a.generation, a.evaluations) == (b.sigma, b.generation, b.evaluations)
    assert a.best.fun == b.best.fun
    np.testing.assert_array_equal(a.best.x, b.best.x)


def go(es, generations, tell=None):
    for _ in range(generations):
        X = es.ask()
        (tell or ES.tell)(es, X, [sphere(x) for x in X])
    return es


# -- the contract of ask and tell -----------------------------------------------------------------


@pytest.mark.parametrize("name", STRUCTURE_NAMES)
def test_same_seed_same_bits_other_seed_other_bits(name):
    same(go(make(structure=name), 20), go(make(structure=name), 20))
    assert go(make(structure=name), 5).sigma != go(make(structure=name, seed=4), 5).sigma


def test_rows_may_come_back_in_any_order_and_as_lists():
    random = np.random.default_rng(0)

    def shuffled(es, X, values):
        order = random.permutation(len(X))
        es.tell([list(X[i]) for i in order], tuple(values[i] for i in order))

    same(go(make(), 20), go(make(), 20, shuffled))


def test_rows_may_come_back_in_portions():
    def portions(es, X, values):
        generation = es.generation
        es.tell(X[5:], values[5:])
        es.tell(X[:2], values[:2])
        assert es.generation == generation
        es.tell(X[2:5], values[2:5])
        assert es.generation == generation + 1

    whole, parts = go(make(), 20), go(make(), 20, portions)
    assert parts.evaluations == whole.evaluations
    np.testing.assert_array_equal(parts.mean, whole.mean)


def test_asking_again_gives_further_candidates_of_the_same_generation():
    es, twin = make(), make()
    X, more = es.ask(), es.ask()
    whole = twin.strategy.draw(twin.state, twin.seed, 0, 2 * twin.popsize)[2]
    np.testing.assert_array_equal(np.concatenate([X, more]), whole)
    es.tell(np.concatenate([more, X]), [sphere(x) for x in [*more, *X]])
    assert es.generation == 1 and es.evaluations == 16


def test_of_equal_values_the_first_is_the_best():
    es = make()
    X = es.ask()
    es.tell(X, np.ones(len(X)))
    first = es.best
    Y = es.ask()
    es.tell(Y, np.ones(len(Y)))
    assert es.best.evaluations == first.evaluations == len(X)
    np.testing.assert_array_equal(es.best.x, X[0])


def test_a_value_told_twice_counts_once():
    es, twin = make(), make()
    X = es.ask()
    values = [sphere(x) for x in X]
    es.tell(X, values)
    with pytest.warns(RuntimeWarning, match="told before are ignored"):
        es.tell(X[:3], values[:3])
    go(twin, 1)
    same(es, twin)
    X = es.ask()  # and inside an open generation the later value stands
    es.tell(X[:2], [-1.0, 1e9])
    es.tell(X[:2], [sphere(x) for x in X[:2]])
    es.tell(X[2:], [sphere(x) for x in X[2:]])
    go(twin, 1)
    np.testing.assert_array_equal(es.mean, twin.mean)


def test_advance_closes_a_generation_with_what_is_there():
    es = make()
    with pytest.raises(ValueError, match="at least one value"):
        es.advance()
    X = es.ask()
    es.tell(X[:4], [sphere(x) for x in X[:4]])
    es.advance()
    assert es.generation == 1 and not np.array_equal(es.mean, np.arange(1.0, 6))
    X, before = es.ask(), es.mean
    es.tell(X[:1], [1.0])
    es.advance()  # one value alone says nothing
    assert es.generation == 2
    np.testing.assert_array_equal(es.mean, before)
    with pytest.raises(ValueError, match="at least one value"):
        es.advance()


def test_injected_points_are_used_and_clipped():
    far, best = np.full(5, 1e6), np.zeros(5)
    for point, value in ((far, 1e30), (best, 0.0), (far, -1.0)):
        es = make()
        X = es.ask()
        es.tell(np.vstack([X, point]), [*(sphere(x) for x in X), value])
        assert es.generation == 1 and es.evaluations == len(X) + 1
        assert np.abs(es.mean).max() < 20  # a point 10⁶ away moves the mean by its clipped length
    assert es.best.fun == -1.0
    np.testing.assert_array_equal(es.best.x, far)
    without, with_best = go(make(), 1), make()
    X = with_best.ask()
    with_best.tell(np.vstack([X, best]), [*(sphere(x) for x in X), 0.0])
    assert np.linalg.norm(with_best.mean) < np.linalg.norm(without.mean)


@pytest.mark.parametrize("name", STRUCTURE_NAMES)
def test_an_injected_candidate_is_whitened_back_to_itself(name):
    # the candidates of a twin are strangers here, yet inside the clip they are the same step
    es, twin = go(make(structure=name), 12), go(make(structure=name), 12)
    X = twin.ask()
    values = [sphere(x) for x in X]
    twin.tell(X, values)
    es.tell(X, values)  # never asked of es
    np.testing.assert_allclose(es.mean, twin.mean, rtol=1e-9)
    assert es.sigma == pytest.approx(twin.sigma, rel=1e-9)


def test_per_coordinate_sigma0_is_a_change_of_units():
    scales = np.array([1e-3, 1.0, 1e4, 7.0])
    plain = ES(np.full(4, 2.0), 0.5, seed=1)
    scaled = ES(2.0 * scales, 0.5 * scales, seed=1)
    for _ in range(40):
        X, Y = plain.ask(), scaled.ask()
        np.testing.assert_allclose(Y / scales, X, rtol=1e-9, atol=1e-12)
        plain.tell(X, [sphere(x) for x in X])
        scaled.tell(Y, [sphere(y / scales) for y in Y])
    np.testing.assert_allclose(scaled.deviations, plain.deviations * scales, rtol=1e-9)


def test_failures_rank_last_and_ties_are_fine():
    es = make(structure="diagonal")
    for _ in range(150):
        X = es.ask()
        values = np.array([sphere(x) for x in X])
        values[::4] = np.nan
        es.tell(X, np.round(values, 9))
    assert es.best.fun < 1e-6


def test_all_values_nan_moves_nothing_warns_once_and_stops_after_ten():
    es = make()
    before = es.mean
    with pytest.warns(RuntimeWarning, match="all values of a generation were NaN") as caught:
        for _ in range(10):
            assert not es.stop()
            X = es.ask()
            es.tell(X, [np.nan] * len(X))
    assert len(caught) == 1
    np.testing.assert_array_equal(es.mean, before)
    assert es.stop() == {"failures": 10} and es.best.x is None


def test_all_values_equal_moves_nothing_and_stops():
    es = make()
    before, sigma = es.mean, es.sigma
    while not es.stop():
        X = es.ask()
        es.tell(X, [1.0] * len(X))
    np.testing.assert_array_equal(es.mean, before)
    assert es.sigma == sigma and es.stop()["flat"] == 10 and es.generation == 10


def test_nothing_of_the_caller_is_changed():
    x0, sigma0 = np.ones(3), np.full(3, 0.5)
    structure = {"name": "dense", "retraction": "h"}
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    es = ES(x0, sigma0, structure, seed=1)
    X = es.ask()
    values = [3.0, 1.0, 2.0, np.nan, 5.0, 1.0, 0.0]
    kept, rows = list(values), X.copy()
    es.tell(X, values)
    X[:] = 0  # and what the caller does with its copy harms nobody
    assert values[:3] == kept[:3] and structure == {"name": "dense", "retraction": "h"}
    np.testing.assert_array_equal(rows, make_rows(x0, sigma0))
    np.testing.assert_array_equal(x0, np.ones(3))
    np.testing.assert_array_equal(sigma0, np.full(3, 0.5))
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def make_rows(x0, sigma0):
    return ES(x0, sigma0, seed=1).ask()


def test_repairing_the_asked_array_in_place_is_an_injection():
    es = make()
    X = es.ask()
    np.clip(X, 1.0, None, out=X)
    es.tell(X, [sphere(x) for x in X])
    assert es.evaluations == len(X)
    assert es.best.x.min() >= 1.0


# -- wrong input: the error names the argument, what was expected, what came ----------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(x0=[[1.0]]), ValueError, r"x0 must be 1-d .* got shape \(1, 1\)"),
        (dict(x0=3.0), ValueError, r"x0 must be 1-d .*write \[x\]"),
        (dict(x0=[]), ValueError, "x0 must be 1-d with at least one number"),
        (dict(x0=[1.0, np.inf]), ValueError, r"x0 must be finite; x0\[1\] is inf"),
        (
            dict(x0=["a", "b"]),
            TypeError,
            r"x0 must be a 1-d sequence of finite numbers; got \['a', 'b'\]",
        ),
        (dict(x0=[1, [2]]), ValueError, "x0 must be .* different lengths"),
        (dict(sigma0=0), ValueError, "sigma0 must be positive and finite; got 0"),
        (dict(sigma0=-1.0), ValueError, "sigma0 must be positive"),
        (dict(sigma0=np.nan), ValueError, "sigma0 must be positive"),
        (dict(sigma0=[1.0, 2.0]), ValueError, "sigma0 must be a positive number or 3 of them"),
        (dict(sigma0=[1.0, 0.0, 1.0]), ValueError, "sigma0 must be positive"),
        (dict(sigma0="big"), TypeError, "sigma0 must be a positive number or 3 of them"),
        (dict(popsize=1), ValueError, "popsize must be an integer ≥ 2; got 1"),
        (dict(popsize=2.5), TypeError, "popsize must be an integer ≥ 2; got 2.5"),
        (dict(seed="x"), TypeError, "seed must be an integer"),
        (dict(structure="dens"), ValueError, "unknown structure 'dens' .did you mean 'dense'"),
        (dict(structure={"k": 3}), ValueError, "the mapping needs 'name'"),
        (dict(structure=7), TypeError, "structure must be a name"),
        (
            dict(structure={"name": "dense", "retract": "h"}),
            ValueError,
            "did you mean 'retraction'",
        ),
        (dict(structure=STRUCTURES["dense"](4)), ValueError, "is for dim 4; x0 has 3"),
        (dict(structure="no.such:Thing"), ValueError, "there is no module 'no.such'"),
        (dict(structure="math:sinus"), ValueError, "'math' has no 'sinus' .did you mean"),
        (dict(backend="torch"), ValueError, "backend must be one of numpy"),
        (dict(max_evals=3), TypeError, "no argument 'max_evals' .did you mean 'max_evaluati"),
        (dict(max_evaluations=0), ValueError, "max_evaluations must be an integer ≥ 1"),
        (dict(tolfun=-1), ValueError, "tolfun must be a positive number"),
        (dict(target="low"), TypeError, "target must be a number"),
    ],
)
def test_bad_construction(arguments, error, message):
    good = dict(x0=[1.0, 2.0, 3.0], sigma0=1.0, seed=1)
    with pytest.raises(error, match=message):
        ES(**{**good, **arguments})


NAN, INF = np.nan, np.inf


@pytest.mark.parametrize(
    ("X", "values", "error", "message"),
    [
        (lambda X: X[0], [1.0] * 8, ValueError, r"X must have shape \(n, 5\).*write X\[None, :\]"),
        (lambda X: X[:, :4], [1.0] * 8, ValueError, r"X must have shape \(n, 5\)"),
        (lambda X: "rows", [1.0] * 8, TypeError, "X must be rows of 5 numbers"),
        (
            lambda X: X,
            [1.0] * 7,
            ValueError,
            r"each of the 8 rows of X: shape \(8,\); got shape \(7,",
        ),
        (
            lambda X: X,
            [1.0] * 9,
            ValueError,
            r"each of the 8 rows of X: shape \(8,\); got shape \(9,",
        ),
        (lambda X: X, np.ones((8, 2)), ValueError, r"shape \(8,\); got shape \(8, 2\)"),
        (lambda X: X, ["one"] * 8, TypeError, "values must be a real number for each row"),
        (lambda X: X, [1j] * 8, TypeError, "values must be a real number for each row"),
        (lambda X: X, [None] * 8, TypeError, "values must be a real number for each row"),
        (lambda X: X, [-INF] * 8, ValueError, r"values\[0\] must not be -inf: an overflow"),
        (lambda X: X * NAN, [1.0] * 8, ValueError, "X must be finite; row 0"),
        (lambda X: np.vstack([X[:7], X[7:] + INF]), [1.0] * 8, ValueError, "row 7"),
    ],
)
def test_bad_tell_changes_nothing(X, values, error, message):
    es, twin = make(), make()
    asked = es.ask()
    with pytest.raises(error, match=message), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # inf − inf on the way
        es.tell(X(asked), values)
    assert es.evaluations == 0 and es.best.x is None
    es.tell(asked, [sphere(x) for x in asked])
    same(es, go(twin, 1))


# -- the package ----------------------------------------------------------------------------------


def test_import_is_light():
    code = (
        "import sys, structes; heavy = {'ray', 'cupy', 'pandas', 'matplotlib', 'scipy', 'click', "
        "'rich', 'yaml', 'cocoex'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
