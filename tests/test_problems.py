"""Laws over the table of problems, and each definition against a plain scalar formula.

The formulas below are written with `math` alone, term by term as in the literature, so they share
nothing with the library but the reader's eyes. COCO's values are compared with COCO's own.
"""

import copy
import itertools
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest

from structes.arrays import noise
from structes.named_problems import PROBLEMS, load_problem
from structes.problem import Problem
from structes.problems import TABLE, place

CLASSIC = [name for name in TABLE if not name.startswith("bbob")]
PLACES = [{}, {"rotate": 3}, {"shift": 4}, {"rotate": 3, "shift": 4}]
COCO = ["bbob:f1", "bbob:f10:i3", "bbob:f20:i7", "bbob:f24", "bbob-largescale:f9:i2"]
COCO += ["bbob-mixint:f17:i2", "bbob-boxed:f3:i5"]
DIMS = [1, 2, 7]


def make(name, dim, **words):
    return load_problem({"name": name, **words}, dim=dim)


def dims(name):
    return [d for d in DIMS if d > 1 or name != "rosenbrock"]


CASES = [(name, d, where) for name in CLASSIC for d in dims(name) for where in PLACES]


def points(problem, n=40, seed=11):
    """(n, d) points uniform in the box."""
    u = noise.uniforms(seed, noise.PROBLEM, 5, 0, n, problem.dim)
    return problem.lower + u * (problem.upper - problem.lower)


# ---- definitions


def sphere(x):
    return sum(v * v for v in x)


def spread(x):
    d = len(x)
    return [(i - 1) / (d - 1) if d > 1 else 0.0 for i in range(1, d + 1)]


def ellipsoid(x):
    return sum(10 ** (6 * t) * v * v for t, v in zip(spread(x), x, strict=True))


def cigar(x):
    return x[0] ** 2 + 1e6 * sum(v * v for v in x[1:])


def discus(x):
    return 1e6 * x[0] ** 2 + sum(v * v for v in x[1:])


def different_powers(x):
    return sum(abs(v) ** (2 + 4 * t) for t, v in zip(spread(x), x, strict=True))


def rosenbrock(x):
    return sum(100 * (b - a**2) ** 2 + (1 - a) ** 2 for a, b in itertools.pairwise(x))


def dixon_price(x):
    tail = sum(i * (2 * x[i - 1] ** 2 - x[i - 2]) ** 2 for i in range(2, len(x) + 1))
    return (x[0] - 1) ** 2 + tail


def rastrigin(x):
    return 10 * len(x) + sum(v * v - 10 * math.cos(2 * math.pi * v) for v in x)


def ackley(x):
    d = len(x)
    a = -20 * math.exp(-0.2 * math.sqrt(sum(v * v for v in x) / d))
    return a - math.exp(sum(math.cos(2 * math.pi * v) for v in x) / d) + 20 + math.e


def schwefel(x):
    return 418.9828872724338 * len(x) - sum(v * math.sin(math.sqrt(abs(v))) for v in x)


def griewank(x):
    product = math.prod(math.cos(v / math.sqrt(i)) for i, v in enumerate(x, 1))
    return 1 + sum(v * v for v in x) / 4000 - product


def levy(x):
    w = [1 + (v - 1) / 4 for v in x]
    middle = sum((v - 1) ** 2 * (1 + 10 * math.sin(math.pi * v + 1) ** 2) for v in w[:-1])
    end = (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)
    return math.sin(math.pi * w[0]) ** 2 + middle + end


def styblinski_tang(x):
    return sum(v**4 - 16 * v**2 + 5 * v for v in x) / 2


@pytest.mark.parametrize("name", CLASSIC)
def test_definition(name):
    formula = globals()[name]
    for d in [*dims(name), 12]:
        problem = make(name, d)
        X = np.vstack([points(problem), problem.x0()[None, :]])
        expected = [formula([float(v) for v in x]) for x in X]
        np.testing.assert_allclose(problem(X), expected, rtol=1e-11)


# values printed in the literature, or checked by hand
KNOWN = [
    ("rosenbrock", [-1.2, 1.0], 24.2),
    ("rosenbrock", [0.0, 0.0, 0.0], 2.0),
    ("ellipsoid", [1.0, 1.0, 1.0], 1 + 1e3 + 1e6),
    ("cigar", [2.0, 1.0, 1.0], 4 + 2e6),
    ("discus", [2.0, 1.0, 1.0], 4e6 + 2),
    ("different_powers", [2.0, 2.0, 2.0], 4.0 + 16 + 64),
    ("dixon_price", [1 / 3, 0.0], 2 / 3),
    ("rastrigin", [1.0, 1.0], 2.0),
    ("rastrigin", [0.5], 20.25),
    ("ackley", [1.0, 1.0], 3.6253849384403627),
    ("schwefel", [0.0, 0.0], 2 * 418.9828872724338),
    ("griewank", [0.0, math.pi * math.sqrt(2)], 2 + 2 * math.pi**2 / 4000),
    ("levy", [-3.0], 1.0),
    ("styblinski_tang", [0.0, 1.0], -5.0),
]


@pytest.mark.parametrize("name, x, value", KNOWN)
def test_known_values(name, x, value):
    assert make(name, len(x))(np.array(x)) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("name", ["ellipsoid", "cigar", "discus"])
def test_condition_is_the_ratio_of_curvatures(name):
    values = make(name, 5, condition=37.0)(np.eye(5))
    assert max(values) / min(values) == pytest.approx(37.0)


def test_schwefel_outside_its_box():
    problem = make("schwefel", 2)
    outside = np.array([[510.0, 420.0], [-3000.0, 700.0]])
    penalty = 0.01 * np.array([10**2, 2500**2 + 200**2])
    inside = problem(np.clip(outside, -500, 500))
    np.testing.assert_allclose(problem(outside), inside + penalty, rtol=1e-14)
    line = np.linspace(-5000, 5000, 200_001)[:, None]
    assert make("schwefel", 1)(line).min() > -1e-10  # the textbook sum goes down to −4000 here


@pytest.mark.parametrize("name", ["rastrigin", "ackley", "levy", "sphere", "rosenbrock"])
def test_small_errors_keep_their_digits(name):
    """Near the optimum the error falls as the step or its square, with no floor of 1e-16."""
    problem = make(name, 3, shift=4)
    problem = Problem(
        problem.function.function, 3
    )  # textbook coordinates, so that steps are exact
    optimum = make(name, 3).optimum
    step = 1e-9 if name in ("levy", "rosenbrock") else 1e-20
    e1, e2 = (problem(optimum + step * k) for k in (1, 2))
    assert e2 / e1 == pytest.approx(2 if name == "ackley" else 4, rel=1e-6)


# ---- laws


@pytest.mark.parametrize("name, d, where", CASES)
def test_facts_agree_with_the_function(name, d, where):
    problem = make(name, d, **where)
    assert problem.name == name and problem.dim == d and problem.source
    for fact in (problem.lower, problem.upper, problem.optimum, problem.start):
        assert fact.shape == (d,) and fact.dtype == float
    X = points(problem)
    values = problem(X)
    assert values.shape == (len(X),)
    size = np.abs(values).max() + abs(problem.minimum)
    assert abs(problem(problem.optimum) - problem.minimum) <= 1e-12 * size
    assert (values > problem.minimum).all()
    assert (problem.lower < problem.optimum).all() and (problem.optimum < problem.upper).all()
    assert (problem.lower <= problem.x0()).all() and (problem.x0() <= problem.upper).all()
    assert problem(problem.x0()) > problem.minimum + 1e-3  # the start is not the optimum
    assert problem.sigma0() > 0


@pytest.mark.parametrize("name, d, where", CASES)
def test_optimum_is_a_minimum_nearby(name, d, where):
    problem = make(name, d, **where)
    z = noise.normals(8, noise.PROBLEM, 9, 0, 30, d)
    width = problem.upper - problem.lower
    near = problem(problem.optimum + 1e-3 * width * z)
    assert (near > problem.minimum).all()


@pytest.mark.parametrize("name, d, where", CASES)
def test_many_points_are_as_one_by_one(name, d, where):
    problem = make(name, d, **where)
    X = points(problem)
    one_by_one = [problem(x) for x in X]
    np.testing.assert_allclose(problem(X), one_by_one, rtol=1e-9 if where else 1e-13)
    assert problem(X[:0]).shape == (0,)


@pytest.mark.parametrize("name, d, where", CASES)
def test_backends_and_read_only(name, d, where):
    strict = pytest.importorskip("array_api_strict")
    problem = make(name, d, **where)
    X = points(problem)
    before, expected = X.copy(), problem(X)
    X.flags.writeable = False
    np.testing.assert_array_equal(problem(X), expected)
    Y = strict.asarray(X)
    values = problem.function(Y)
    assert type(values) is type(Y)
    np.testing.assert_allclose(np.from_dlpack(values), expected, rtol=1e-12)
    np.testing.assert_array_equal(X, before)
    single = problem(X.astype(np.float32))
    assert single.dtype == np.float32
    assert np.isfinite(single).all()


@pytest.mark.parametrize("name", CLASSIC)
def test_nan_gives_nan_and_only_there(name):
    problem = make(name, 4, shift=1)
    X = points(problem, 3)
    X[1, 2] = np.nan
    assert np.isnan(problem(X)).tolist() == [False, True, False]


@pytest.mark.parametrize("name", CLASSIC)
def test_classic_problems_pickle_and_copy(name):
    problem = make(name, 5, rotate=1, shift=2)
    X = points(problem)
    for twin in (pickle.loads(pickle.dumps(problem)), copy.deepcopy(problem)):
        np.testing.assert_array_equal(twin(X), problem(X))
        np.testing.assert_array_equal(twin.optimum, problem.optimum)


# ---- rotation and shift


@pytest.mark.parametrize("d", [1, 2, 5, 30])
def test_rotation_is_orthogonal(d):
    R = place.rotation(d, 3)
    np.testing.assert_allclose(R @ R.T, np.eye(d), atol=1e-13)
    np.testing.assert_array_equal(R, place.rotation(d, 3))
    if d > 1:
        assert np.abs(R - place.rotation(d, 4)).max() > 0.1


def test_rotation_is_uniform():
    """E[R] = 0 and E[R_ij²] = 1/d: without the sign fix the diagonal is always negative."""
    R = np.array([place.rotation(3, seed) for seed in range(2000)])
    np.testing.assert_allclose(R.mean(axis=0), 0, atol=0.06)
    np.testing.assert_allclose((R**2).mean(axis=0), 1 / 3, atol=0.03)


def test_rotate_and_shift_say_what_is_computed():
    """f(x) = g(z* + R (x − x*)), row by row, on a function that no rotation leaves alone."""
    plain = make("rosenbrock", 6)
    placed = make("rosenbrock", 6, rotate=9, shift=2)
    R = place.rotation(6, 9)
    X = points(placed)
    expected = [rosenbrock(list(1.0 + R @ (x - placed.optimum))) for x in X]
    np.testing.assert_allclose(placed(X), expected, rtol=1e-10)
    np.testing.assert_array_equal(placed.lower, plain.lower)
    np.testing.assert_array_equal(make("rosenbrock", 6, rotate=9).optimum, plain.optimum)
    assert np.abs(placed.optimum - plain.optimum).max() > 0.1
    assert (
        make("sphere", 6, shift=2).optimum.tolist() != make("sphere", 6, shift=3).optimum.tolist()
    )


def test_rotation_keeps_the_sphere():
    X = points(make("sphere", 6))
    np.testing.assert_allclose(make("sphere", 6, rotate=1)(X), make("sphere", 6)(X), rtol=1e-13)


# ---- errors


@pytest.mark.parametrize("name", CLASSIC)
@pytest.mark.parametrize("dim", [0, -3])
def test_dim_too_small(name, dim):
    with pytest.raises(ValueError, match=f"{name}: dim must be an integer of at least"):
        make(name, dim)


@pytest.mark.parametrize(
    "words, error, message",
    [
        ({"name": "rosenbrock", "dim": 1}, ValueError, "rosenbrock: dim .*at least 2; got 1"),
        ({"name": "sphere", "dim": 2.0}, TypeError, "sphere: dim must be an integer"),
        ({"name": "sphere", "dim": True}, TypeError, "sphere: dim must be an integer"),
        ({"name": "sphere", "dim": 2, "rotate": -1}, ValueError, "sphere: rotate .*got -1"),
        ({"name": "sphere", "dim": 2, "rotate": 0.5}, TypeError, "sphere: rotate .*got 0.5"),
        ({"name": "sphere", "dim": 2, "shift": 2**64}, ValueError, "sphere: shift"),
        ({"name": "sphere", "dim": 2, "shift": True}, TypeError, "sphere: shift"),
        ({"name": "cigar", "dim": 2, "condition": 0}, ValueError, "cigar: condition"),
        ({"name": "discus", "dim": 2, "condition": math.inf}, ValueError, "discus: condition"),
        ({"name": "ellipsoid", "dim": 2, "condition": [1]}, TypeError, "ellipsoid: condition"),
        ({"name": "sphere", "dim": 2, "rotat": 1}, ValueError, "'rotat' .*did you mean 'rotate'"),
        ({"name": "bbob", "dim": 5}, ValueError, "needs the argument 'f'"),
        ({"name": "bbob", "dim": 5, "f": 0}, ValueError, "bbob: f .*from 1 to 24; got 0"),
        ({"name": "bbob", "dim": 5, "f": 25}, ValueError, "bbob: f .*from 1 to 24; got 25"),
        ({"name": "bbob", "dim": 5, "f": 1.5}, TypeError, "bbob: f must be an integer"),
        ({"name": "bbob", "dim": 5, "f": 1, "i": 0}, ValueError, "bbob: i .*got 0"),
        ({"name": "bbob", "dim": 5, "f": 1, "i": 2**31}, ValueError, "bbob: i .*got"),
        (
            {"name": "bbob", "dim": 1, "f": 1},
            ValueError,
            "bbob: dim .*from 2 to 40; got 1",
        ),
        (
            {"name": "bbob", "dim": 41, "f": 1},
            ValueError,
            "bbob: dim .*from 2 to 40; got 41",
        ),
        ({"name": "bbob-noisy", "dim": 5, "f": 1}, ValueError, "f .*from 101 to 130; got 1"),
        ({"name": "bbob-boxed", "dim": 4, "f": 1}, ValueError, "dim must be one of 2, 3, 5, 10,"),
        ({"name": "bbob-mixint", "dim": 7, "f": 1}, ValueError, "dim must be one of 5, 10, 20"),
        ({"name": "bbob-largescale", "dim": 10, "f": 1}, ValueError, "one of 20, 40, 80, 160"),
        ({"name": "bbob-constrained", "dim": 5}, ValueError, "not support yet"),
    ],
)
def test_bad_arguments_are_named(words, error, message):
    with pytest.raises(error, match=message):
        load_problem(words)


def test_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"takes \(n, 5\) arrays; got shape \(3, 4\)"):
        load_problem("bbob:f1", dim=5)(np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"takes \(n, 5\) arrays; got shape \(3, 4\)"):
        load_problem("bbob:f1", dim=5).function(np.zeros((3, 4)))  # C would read past the row


def test_missing_cocoex_names_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "cocoex", None)
    with pytest.raises(ImportError, match=r"pip install 'structes\[coco\]'"):
        load_problem("bbob:f1", dim=5)


# ---- COCO


@pytest.fixture(scope="module")
def cocoex():
    return pytest.importorskip("cocoex")


def direct(cocoex, suite, f, dim, i):
    """(suite, C problem) straight from cocoex."""
    k = f - 100 if suite == "bbob-noisy" else f
    owner = cocoex.Suite(suite, f"instances:{i}", f"dimensions:{dim} function_indices:{k}")
    assert len(owner) == 1
    return owner, owner[0]


@pytest.mark.parametrize("spec", COCO)
def test_coco_values_are_cocos(cocoex, spec):
    problem = load_problem(spec, dim=20)
    suite, f, dim, i = (getattr(problem.function, w) for w in ("suite", "f", "dim", "i"))
    owner, c = direct(cocoex, suite, f, dim, i)
    assert (c.id_function, c.dimension, c.id_instance) == (f, dim, i)
    X = points(problem)
    X.flags.writeable = False
    assert problem(X).tolist() == [c(x) for x in X] == [problem(x) for x in X]
    np.testing.assert_array_equal(problem.lower, c.lower_bounds)
    np.testing.assert_array_equal(problem.upper, c.upper_bounds)
    np.testing.assert_array_equal(problem.x0(), c.initial_solution)
    assert (problem(X) > problem.minimum).all()
    assert (np.asarray(problem.sigma0()) > 0).all()
    del owner


def test_bbob_spec():
    problem = load_problem("bbob:f10:i3", dim=7)  # 7: the suite does not list it, the C code does
    assert problem.name == "bbob:f10:i3" and problem.dim == 7 and problem.scale == 2.0
    assert problem(problem.optimum) == pytest.approx(problem.minimum, rel=1e-13)
    assert load_problem({"name": "bbob", "f": 10, "i": 3, "dim": 7}).name == problem.name
    assert load_problem("bbob:f10", dim=7).name == "bbob:f10:i1"


@pytest.mark.parametrize("dim", [2, 9, 40])
def test_bbob_optimum_and_minimum(cocoex, dim):
    for f in range(1, 25):
        for i in (1, 4):
            problem = load_problem(f"bbob:f{f}:i{i}", dim=dim)
            assert problem(problem.optimum) == pytest.approx(problem.minimum, rel=1e-13)


@pytest.mark.parametrize(
    "suite, functions, dim",
    [
        ("bbob-boxed", range(1, 25), 5),
        ("bbob-largescale", range(1, 25), 80),
        ("bbob-mixint", range(1, 25), 10),
        ("bbob-mixint", range(1, 25), 80),
    ],
)
def test_minimum_is_the_value_at_cocos_optimum(
    cocoex, tmp_path, monkeypatch, suite, functions, dim
):
    """cocoex tells the optimum of these suites only through a file in the working directory."""
    monkeypatch.chdir(tmp_path)
    for f in functions:
        owner, c = direct(cocoex, suite, f, dim, 3)
        c._best_parameter("print")
        x = np.loadtxt("._bbob_problem_best_parameter.txt")
        problem = load_problem(f"{suite}:f{f}:i3", dim=dim)
        assert problem(x) == pytest.approx(problem.minimum, rel=1e-13)
        del owner


def test_nothing_is_left_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for spec in COCO:
        problem = load_problem(spec, dim=20)
        problem(points(problem))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spec", COCO)
def test_coco_problems_pickle_and_copy(spec):
    problem = load_problem(spec, dim=20)
    X = points(problem)
    for twin in (pickle.loads(pickle.dumps(problem)), copy.deepcopy(problem)):
        np.testing.assert_array_equal(twin(X), problem(X))


def test_a_fresh_process_opens_a_pickled_coco_problem(tmp_path):
    problem = load_problem("bbob-boxed:f10:i3", dim=5)
    (tmp_path / "p").write_bytes(pickle.dumps(problem))
    code = "import pickle, numpy as np; p = pickle.load(open('p', 'rb')); print(p(np.ones(5)))"
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert float(printed) == problem(np.ones(5))


@pytest.mark.parametrize("spec", [*COCO, "bbob-noisy:f101"])
def test_coco_nan_rows(spec):
    problem = load_problem(spec, dim=20)
    X = points(problem, 3)
    X[1, 2] = np.nan
    assert np.isnan(problem(X)).tolist() == [False, True, False]
    assert problem(X[:0]).shape == (0,)
    assert np.isnan(problem(X[1:2])).all()


def test_coco_takes_other_arrays():
    strict = pytest.importorskip("array_api_strict")
    problem = load_problem("bbob:f8", dim=5)
    X = points(problem)
    np.testing.assert_array_equal(problem.function(strict.asarray(X)), problem(X))
    np.testing.assert_array_equal(problem(np.asfortranarray(X)), problem(X))
    np.testing.assert_array_equal(problem(np.ones((2, 5), dtype=int)), problem(np.ones((2, 5))))


def test_boxed_is_infinite_outside():
    problem = load_problem("bbob-boxed:f1", dim=5)
    assert problem(np.array([0, 0, 5.001, 0, 0])) == math.inf
    assert math.isfinite(problem(np.array([0, 0, 5.0, 0, 0])))


def test_mixint_rounds_and_clips_integer_coordinates():
    problem = load_problem("bbob-mixint:f1", dim=10)
    assert problem.upper.tolist() == [1, 1, 3, 3, 7, 7, 15, 15, 5, 5]
    assert problem.sigma0().tolist() == ((problem.upper - problem.lower) / 5).tolist()
    x = points(problem, 1)[0]
    y = x.copy()
    y[:8] = np.floor(x[:8] + 0.5)
    assert problem(x) == problem(y)
    far = y.copy()
    far[4:6], y[4:6] = (-3, 99), (0, 7)
    assert problem(far) == problem(y)
    y[9] += 0.1
    assert problem(far) != problem(y)  # the last fifth is real


def test_noisy_runs_repeat_and_never_lie_below_the_minimum():
    def run(f):
        problem = load_problem(f"bbob-noisy:f{f}:i2", dim=5)
        X = np.vstack([points(problem, 20), np.tile(problem.optimum, (20, 1))])
        return problem, np.concatenate([problem(X), problem(X)])

    for f in range(101, 131):
        problem, values = run(f)
        np.testing.assert_array_equal(values, run(f)[1])  # making the problem sets the noise back
        assert (values[:20] != values[40:60]).any()  # but it does not stand still
        assert (values >= problem.minimum).all()
        if f % 3 != 1:  # no noise at the optimum, but for Cauchy's: COCO adds 1.01e-8 there
            np.testing.assert_allclose(values[20:40] - problem.minimum, 1.01e-8, atol=1e-12)


def test_noisy_minimum_is_that_of_the_undisturbed_function():
    pairs = [(101, 1), (106, 8), (109, 1), (112, 8), (115, 7), (118, 10), (120, 14), (123, 17)]
    for noisy, clean in [*pairs, (126, 19), (129, 21)]:
        disturbed = load_problem(f"bbob-noisy:f{noisy}:i3", dim=5)
        assert disturbed.minimum == load_problem(f"bbob:f{clean}:i3", dim=5).minimum


def test_the_offered_dimensions_are_cocos(cocoex):
    from structes.problems.coco import _SUITES

    for suite, (dimensions, functions, _) in _SUITES.items():
        owner = cocoex.Suite(suite, "instances:1", f"function_indices:1,{len(functions)}")
        assert set(owner.dimensions) <= set(dimensions)
        if suite != "bbob":
            assert owner.dimensions == list(dimensions)
        first, last = owner[0].id_function, owner[len(owner) - 1].id_function
        assert (first, last) == (functions[0], functions[-1])
    single = {s for s in cocoex.known_suite_names if "biobj" not in s}
    assert single == {n for n in TABLE if n.startswith("bbob")}


# ---- names and a user's own


def test_every_name_resolves_to_a_documented_function():
    for name in TABLE:
        function = PROBLEMS[name]
        assert callable(function) and len(function.__doc__) > 40


def plain(x):
    """A user's objective: one point in, one number out."""
    return float((x[0] - 1) ** 2 + abs(x[1]))


def many(X):
    return (X**2).sum(axis=1)


def family(dim: int, power: float = 2.0) -> Problem:
    return Problem(lambda X: (abs(X) ** power).sum(axis=1), dim, "family", minimum=0.0)


READY = Problem(many, 3, "ready")


def test_users_own_by_name():
    here = __name__
    problem = load_problem(f"{here}:plain", dim=2)
    assert problem(np.array([[1.0, 2.0], [3.0, 0.0]])).tolist() == [2.0, 4.0]
    problem = load_problem(
        {"name": f"{here}:many", "dim": 4, "vectorized": True, "start": [1.0] * 4, "scale": 0.3}
    )
    assert problem(np.ones((2, 4))).tolist() == [4.0, 4.0]
    assert problem.x0().tolist() == [1.0] * 4 and problem.sigma0() == 0.3
    problem = load_problem({"name": f"{here}:family", "power": 3}, dim=2)
    assert problem(np.array([[1.0, 2.0]])).tolist() == [9.0] and problem.minimum == 0.0
    assert load_problem(f"{here}:READY") is READY
    assert load_problem(READY) is READY
    with pytest.raises(ValueError, match="'ready' has dim 3; got dim 5"):
        load_problem(f"{here}:READY", dim=5)
    with pytest.raises(ValueError, match="did you mean 'rosenbrock'"):
        load_problem("rosenbrok", dim=5)


def test_numpys_global_state_is_untouched():
    before = np.random.get_state()  # noqa: NPY002
    for name in CLASSIC:
        problem = make(name, 4, rotate=1, shift=2)
        problem(points(problem))
    for spec in [*COCO, "bbob-noisy:f110"]:
        problem = load_problem(spec, dim=20)
        problem(points(problem))
    after = np.random.get_state()  # noqa: NPY002
    assert before[2:] == after[2:] and (before[1] == after[1]).all()


def test_problems_do_not_import_cocoex_until_asked():
    code = "import sys, structes.problems.coco, structes.problems.unimodal; "
    code += "from structes.named_problems import load_problem; load_problem('sphere', dim=2); "
    code += "sys.exit('cocoex' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
