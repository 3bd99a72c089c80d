"""What a search is given: one behaviour of every face, conflicts and misspellings by name."""

import re
from collections import deque
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import structes
from structes import ES, Choice, Float, Int, RestartES, ShardedES, Space, minimize
from structes.naming import foreign
from structes.search.options import NAMES, OPTIONS, STOPPING

from .searches import objective


def sphere(x):
    return float(x @ x)


def restarting(*given, **more):
    return RestartES(*given, **{"max_evaluations": 10**4, **more})


def sharded(*given, **more):
    return ShardedES(objective, *given, **{"structure": "diagonal", "replicas": 1, **more})


def minimized(*given, **more):
    return minimize(sphere, *given, **{"max_evaluations": 30, **more})


FACES = {"ES": ES, "RestartES": restarting, "ShardedES": sharded, "minimize": minimized}
WORKERS = pytest.param({"workers": 2}, marks=pytest.mark.slow)  # it starts processes
SPACE = Space({"a": Float(0, 1), "n": Int(1, 9), "c": Choice("x", "y", "z")})


# -- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", ["maxfevals", "ftarget", "tol", "rng", "sigma", "constraints"])
def test_a_foreign_name_is_told_ours(face, name):
    with pytest.raises(TypeError, match=f"has no argument '{name}': here it is") as caught:
        FACES[face](np.ones(3), 0.5, **{name: 1})
    assert foreign.NAMES[name] in str(caught.value)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(
    ("wrong", "meant"), [("popsiz", "popsize"), ("max_evaluation", "max_evaluations")]
)
def test_a_misspelt_name_is_told_the_right_one(face, wrong, meant):
    with pytest.raises(TypeError, match=f"has no argument '{wrong}' .did you mean '{meant}'"):
        FACES[face](np.ones(3), 0.5, **{wrong: 10})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("population", "popsize"),
        ("walltime", "max_seconds"),
        ("objective", "fun"),
        ("func", "fun"),
        ("function", "fun"),
        ("guess", "x0"),
        ("minimise", "maximize"),
        ("parametrization", "x0"),
        ("instrumentation", "x0"),
        ("mutation", "sigma0"),
        ("polish", "nothing"),
    ],
)
def test_a_foreign_name_is_not_told_what_looks_alike(name, meant):
    with pytest.raises(TypeError, match=f"no argument '{name}': here it is {meant}"):
        ES(np.ones(3), 0.5, **{name: 1})


@pytest.mark.parametrize("name", ["elitism", "repair", "accuracy", "annealing"])
def test_what_is_not_near_is_not_meant(name):
    with pytest.raises(TypeError, match=f"no argument '{name}'; it takes: x0, sigma0"):
        ES(np.ones(3), 0.5, **{name: 1})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Float(min=0, high=1), "Float has no argument 'min': here it is low"),
        (lambda: Float(0, max=1), "'max': here it is high"),
        (lambda: Float(lower=0, upper=1), "'lower': here it is low"),
        (lambda: Float(0, 1, init=0.5), "'init': here it is start"),
        (lambda: Float(0, 1, default=0.5), "'default': here it is start"),
        (lambda: Float(0, 1, sigm=0.5), "'sigm' .did you mean 'sigma'"),
        (lambda: Float(0, 1, wrap=0.5), "'wrap'; it takes: low, high, log, start, sigma, step"),
        (lambda: Int(0, 9, step=3), "Int has no argument 'step': here it is step of a Float, or"),
        (
            lambda: Choice(options=["a", "b"]),
            "Choice has no argument 'options': here it is one by",
        ),
        (lambda: Choice("a", "b", default="a"), "'default': here it is start"),
        (lambda: structes.Stopping(tolfunn=1), "'tolfunn' .did you mean 'tolfun'"),
        (lambda: structes.Stopping(maxiter=1), "'maxiter': here it is max_generations"),
    ],
)
def test_kinds_are_told_what_is_meant(make, words):
    with pytest.raises(TypeError, match=words):
        make()


def test_what_foreign_names_are_told_is_there():
    """Each names an argument of ours, and is none itself."""
    import inspect

    ours = {*inspect.signature(minimize).parameters, *OPTIONS, *NAMES} - {"options"}
    for name, told in foreign.NAMES.items():
        assert name not in ours and name == name.lower()
        words = set(re.findall(r"[a-z0-9_]+", told))
        assert words & ours or told.startswith("nothing"), (name, told)


@pytest.mark.parametrize("name", sorted({*OPTIONS} - {"space", "fixed", "choices"}))
def test_every_face_takes_every_option(name):
    values = {
        "bounds": [(-5, 5)] * 3,
        "boundary": "reflect",
        "transforms": {0: "log"},
        "integers": [1],
        "prior": (np.eye(3), [1.0, 2.0, 3.0]),
        "covariance": [1.0, 4.0, 9.0],
        "engine": "cma",
        "noise": "auto",
        "backend": "numpy",
        "dtype": "float32",
        "maximize": False,
        "noeffect": False,
        "max_seconds": 100.0,
        "stagnation": "auto",
    }
    for face, make in FACES.items():
        if (face, name) in (("ShardedES", "noise"), ("ShardedES", "prior")):
            continue  # which says that it has none
        made = make(np.ones(3), 0.5, **{name: values.get(name, 1000)})
        es = getattr(made, "es", made)
        its = (es.es if isinstance(es, RestartES) else es).arguments
        if name in STOPPING:
            assert getattr(its.stopping, name) == values.get(name, 1000)


# -- conflicts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(
    ("name", "value"),
    [("bounds", [(0, 1)] * 5), ("integers", True), ("transforms", {0: "log"}), ("choices", [])],
)
def test_a_space_says_its_limits_itself(face, name, value):
    if name == "choices":
        value = [[2, 3, 4]]
    with pytest.raises(ValueError, match=f"{name}.*(Space|space)"):
        FACES[face](SPACE, **{name: value})


@pytest.mark.parametrize("face", FACES)
def test_every_face_takes_a_space(face):
    if face == "minimize":
        result = minimize(lambda p: p["a"] + p["n"] + (p["c"] != "y"), SPACE, seed=1)
        assert result.params["c"] == "y" and result.fun < 1.01
        return
    es = FACES[face](SPACE, seed=1)
    assert es.space is SPACE and es.dim == 5
    getattr(es, "close", lambda: None)()


def test_auto_is_auto():
    """{"name": "auto"} is "auto", with choices, too."""
    for start in ((SPACE,), (np.ones(4), 0.5)):
        one, two = (ES(*start, structure=its, seed=1) for its in ("auto", {"name": "auto"}))
        assert one.structure == two.structure and (one.ask() == two.ask()).all()


def test_a_dict_is_a_start_of_a_space():
    start = {"a": 0.25, "n": 7, "c": "z"}
    for make in (ES, restarting):
        es = make(start, space=SPACE, seed=1)
        assert (
            SPACE.to_dict(es.arguments.start() if make is ES else es.es.arguments.start()) == start
        )
    with pytest.raises((ValueError, TypeError), match=r"(?i)space"):
        ES(start, 0.5)
    with pytest.raises(ValueError, match="'d'"):
        ES({**start, "d": 1}, space=SPACE)


# -- starts from bounds ---------------------------------------------------------------------------


@pytest.mark.parametrize("face", FACES)
def test_closed_bounds_say_where_to_start(face):
    given = {"bounds": [(-1, 3), (0, 10)], "seed": 1}
    made, whole = FACES[face](**given), FACES[face]([1.0, 5.0], [0.8, 2.0], **given)
    if face == "minimize":
        made, whole = made.es, whole.es
    assert made.mean.tobytes() == whole.mean.tobytes() and made.sigma == whole.sigma
    if face != "ShardedES":
        assert (made.deviations == whole.deviations).all()


def test_logarithms_and_integers_start_in_their_middle():
    es = ES(bounds=[(1e-4, 1.0), (0, 7)], transforms={0: "log"}, integers=[1], seed=1)
    x = es.arguments.start()
    assert x[0] == pytest.approx(1e-2) and x[1] in (3.0, 4.0)
    assert es.arguments.sigma0[0] == pytest.approx(np.log(1e4) / 5)
    for bounds, log, start in (
        ((-0.4, 5.6), False, 3.0),  # 2.6, rounded
        ((-6.9, -0.2), False, -4.0),
        ((1.5, 40.2), True, 8.0),
        ((0.6, 2.4), False, 2.0),  # 1.5, to the even one
    ):
        transforms = ["log" if log else None, None]
        es = ES(bounds=[bounds, (0, 1)], integers=[0], transforms=transforms, seed=1)
        assert es.arguments.start()[0] == start


def test_open_bounds_do_not():
    with pytest.raises(ValueError, match=r"x0 and sigma0 must be given.*bounds\[1\] is \(0"):
        ES(bounds=[(0, 1), (0, None)])
    with pytest.raises(ValueError, match="sigma0 must be given"):
        ES([1.0, 2.0])
    with pytest.raises((ValueError, TypeError), match="x0"):
        ES()


# -- fixed coordinates ----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["fixed", "bounds"])
@pytest.mark.parametrize("face", ["ES", "RestartES", "minimize"])
def test_a_fixed_coordinate_is_none_of_the_search(face, how):
    """The others are searched for as if it were not there, to the bit."""
    say = {
        "fixed": {"fixed": {1: 7.0}, "bounds": [(-3, 3), (None, None), (-3, 3)]},
        "bounds": {"bounds": [(-3, 3), (7, 7), (-3, 3)]},
    }[how]
    whole = FACES[face]([0.5, 7.0, 0.25], 0.5, seed=1, **say)
    part = FACES[face]([0.5, 0.25], 0.5, seed=1, bounds=[(-3, 3)] * 2)
    if face == "minimize":
        assert whole.x[1] == 7.0 and len(whole.x) == 3
        return
    for _ in range(8):
        X, Y = whole.ask(), part.ask()
        assert (X[:, 1] == 7).all()
        np.testing.assert_array_equal(X[:, [0, 2]], Y)
        for es, its in ((whole, X), (part, Y)):
            es.tell(its, objective(Y))
    assert whole.best.x[1] == 7.0
    np.testing.assert_array_equal(whole.mean[[0, 2]], part.mean)
    assert whole.mean[1] == 7.0 and whole.mean.shape == (3,)


def test_searches_with_fixed_coordinates_are_saved(tmp_path):
    es = ES([0.5, 7.0, 0.25], 0.5, seed=1, fixed={1: 6.5}, maximize=True, target=9.0)
    es.tell(X := es.ask(), objective(X))
    es.save(tmp_path / "es")
    again = ES.load(tmp_path / "es")
    np.testing.assert_array_equal(again.ask(), es.ask())
    assert again.best.fun == es.best.fun and (again.best.x == es.best.x).all()
    assert again.arguments.maximize and again.stopping.target == es.stopping.target


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"fixed": {3: 1.0}}, "fixed: index"),
        ({"fixed": {0: np.nan}}, r"fixed\[0\]"),
        ({"fixed": {0: 9.0}, "bounds": [(0, 1)] * 2}, r"fixed\[0\].*(0|bounds)"),
        ({"fixed": [1.0]}, "fixed must be a mapping"),
        ({"fixed": {0: 1.0, 1: 2.0}}, "nothing to search"),
        ({"bounds": [(1, 1), (2, 2)]}, "nothing to search"),
        ({"bounds": [(1, 0), (2, 2)]}, r"bounds\[0\]: lower must not be above upper"),
    ],
)
def test_what_cannot_be_fixed(given, words):
    with pytest.raises((TypeError, ValueError), match=words):
        ES([0.5, 2.0], 0.5, **given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"integers": [0], "fixed": {0: 1.5}}, r"fixed\[0\] must be an integer.*1.5"),
        ({"integers": True, "bounds": [(1.5, 1.5), (0, 9)]}, r"bounds\[0\] must be an integer"),
        ({"transforms": {0: "log"}, "fixed": {0: -1.5}}, r"fixed\[0\] must be positive.*-1.5"),
        ({"transforms": {0: "log"}, "fixed": {0: 0}}, r"fixed\[0\] must be positive"),
        ({"integers": True, "bounds": [(0.2, 0.9), (0, 9)]}, r"bounds\[0\] must hold an integer"),
        ({"integers": True, "bounds": (0.2, 1.7)}, "nothing to search"),
    ],
)
def test_what_is_fixed_is_a_value_of_its_coordinate(given, words):
    with pytest.raises(ValueError, match=words):
        ES([1.0, 2.0], 0.5, **given)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("x0", [None, [1.0, 2.0]])
def test_an_integer_of_one_value_is_fixed(x0, log):
    low = -0.5 if log else 0.2
    given = {"integers": [0], "transforms": {0: "log"} if log else None}
    es = ES(x0, seed=1, bounds=[(low, 1.7), (-4.0, 4.0)], **given)
    assert (es.ask()[:, 0] == 1.0).all() and es.structure.dim == 1


@pytest.mark.parametrize("face", ["ES", "RestartES"])
def test_a_fixed_coordinate_needs_no_deviation(face):
    for say in ({"fixed": {1: 7.0}}, {"bounds": [(-9, 9), (7, 7), (-9, 9)]}):
        one, two = (
            FACES[face]([0.5, 7.0, 0.25], [0.5, s, 2.0], seed=1, **say) for s in (0.0, 1.0)
        )
        np.testing.assert_array_equal(one.ask(), two.ask())
    with pytest.raises(ValueError, match="sigma0 must be positive"):
        ES([0.5, 7.0, 0.25], [0.0, 0.0, 2.0], fixed={1: 7.0})


@pytest.mark.parametrize("as_", [list, tuple, np.array])
def test_two_lows_and_two_highs(as_):
    """As pairs they would fix both coordinates."""
    for x0 in (None, [0.0, 1.0]):
        es = ES(x0, 1.0, seed=1, bounds=as_([[-5, -5], [5, 5]]))
        twin = ES(x0, 1.0, seed=1, bounds=[(-5, 5), (-5, 5)])
        np.testing.assert_array_equal(es.ask(), twin.ask())
    with pytest.raises(ValueError, match=r"nothing to search .bounds are pairs .lower, upper."):
        ES([9.0, 5.0], 1.0, bounds=as_([[-5, -5], [5, 5]]))


# -- numbers of Python ----------------------------------------------------------------------------


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(
    "as_",
    [
        lambda v: [Decimal(str(x)) for x in v],
        lambda v: [Fraction(x) for x in v],
        lambda v: deque(v),
        lambda v: np.array(v, dtype=object),
        lambda v: np.array([v]).view(np.matrix),
    ],
)
def test_starts_and_deviations_of_pythons_numbers(face, as_):
    one = FACES[face](as_([0.5, 0.25, 4.0]), as_([1.0, 0.5, 2.0]), seed=1)
    two = FACES[face]([0.5, 0.25, 4.0], [1.0, 0.5, 2.0], seed=1)
    if face == "minimize":
        assert one.x.tobytes() == two.x.tobytes()
    elif face != "ShardedES":
        np.testing.assert_array_equal(one.ask(), two.ask())


def test_numbers_of_python():
    es = ES([2**70, Fraction(1, 2)], Decimal("0.5"), bounds=(Decimal(0), 2**71), seed=1)
    twin = ES([2.0**70, 0.5], 0.5, bounds=(0, 2.0**71), seed=1)
    np.testing.assert_array_equal(es.ask(), twin.ask())
    assert ES({"a": Decimal(1), "b": 2}, Fraction(1, 2)).space.to_dict([1.5, 2.0])["a"] == 1.5
    space = Space(a=Float(Decimal(0), Fraction(1, 2), sigma=Decimal("0.25")), b=1)
    assert space == Space(a=Float(0.0, 0.5, sigma=0.25), b=1)
    assert space.from_dict({"a": Fraction(1, 4)}) == [0.25]
    for bad in ("1.0", None, 1j, b"1", [1.0], object()):
        with pytest.raises((TypeError, ValueError), match="x0 must be"):
            ES([1.0, bad], 1.0)
    for bad in (10**400, Decimal("nan"), Decimal("sNaN"), Decimal("inf")):
        with pytest.raises((TypeError, ValueError), match="x0 must be"):
            ES([1.0, bad], 1.0)
        with pytest.raises((TypeError, ValueError), match="sigma0 must be"):
            ES([1.0, 1.0], bad)
        with pytest.raises(ValueError, match=r"bounds\[0\]"):
            ES([1.0, 1.0], 1.0, bounds=[(bad, 2.0), (0, 2.0)])


# -- larger is better -----------------------------------------------------------------------------


def up(f):
    return lambda *its: -f(*its)


@pytest.mark.parametrize("more", [{}, {"restarts": "ipop"}, {"vectorized": True}, WORKERS])
def test_maximize_is_minimize_upside_down(more):
    """Points, evaluations and ends are the same, values have the other sign."""
    f = objective if "vectorized" in more else sphere
    given = {"seed": 1, "max_evaluations": 300, **more}
    down = minimize(f, [1.0, 2.0], 0.5, target=1e-9, **given)
    rise = minimize(up(f), [1.0, 2.0], 0.5, target=-1e-9, maximize=True, **given)
    assert rise.x.tobytes() == down.x.tobytes() and rise.fun == -down.fun
    assert rise.nfev == down.nfev and rise.success == down.success
    assert rise.es.best.fun == rise.fun
    if "target" in rise.stop:
        assert rise.stop["target"] == -down.stop["target"]
    if "restarts" in more:
        assert [run.fun for run in rise.restarts] == [-run.fun for run in down.restarts]


def test_maximize_where_it_is_told():
    es, twin = (ES(np.ones(3), 0.5, seed=1, maximize=its) for its in (True, False))
    for _ in range(6):
        X = es.ask()
        es.tell(X, -objective(X))
        twin.tell(twin.ask(), objective(X))
        assert (es.info.best, es.info.worst) == (-twin.info.best, -twin.info.worst)
        assert es.mean.tobytes() == twin.mean.tobytes() and es.best.fun == -twin.best.fun
    with pytest.raises(ValueError, match="must not be inf with maximize=True"):
        es.tell(es.ask(), [np.inf] * es.popsize)
    es.tell(es.ask()[:1], [-np.inf])  # the worst


def test_sharded_maximize():
    with sharded(np.ones(4), 0.5, seed=1) as down:
        for _ in range(5):
            down.step()
    with ShardedES(
        up(objective), np.ones(4), 0.5, "diagonal", seed=1, replicas=1, maximize=True
    ) as rise:
        for _ in range(5):
            rise.step()
        assert rise.best.fun == -down.best.fun and rise.mean.tobytes() == down.mean.tobytes()


# -- what minimize takes --------------------------------------------------------------------------


def test_args_are_handed_on():
    seen = []

    def f(x, factor, shift):
        seen.append((factor, shift))
        return factor * sphere(x - shift)

    result = minimize(f, [1.0, 2.0], 0.5, seed=1, args=(3.0, 0.5), target=1e-9)
    assert set(seen) == {(3.0, 0.5)} and np.allclose(result.x, 0.5, atol=1e-3)
    with pytest.raises(TypeError, match="args must be a tuple"):
        minimize(f, [1.0, 2.0], 0.5, args=2.0)


@pytest.mark.parametrize("workers", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_points_that_are_evaluated_first(workers):
    first = [[0.1, 0.1], [5.0, 5.0]]
    given = {"seed": 1, "max_evaluations": 40, "workers": workers}
    result = minimize(sphere, [3.0, 3.0], 0.5, first=first, **given)
    assert result.nfev == 40 and result.fun <= 0.1**2 * 2 + 1e-12
    only = minimize(sphere, [3.0, 3.0], 0.5, first=True, **{**given, "max_evaluations": 1})
    assert only.nfev == 1 and (only.x == 3.0).all()


def test_dicts_that_are_evaluated_first():
    seen = []

    def f(p):
        seen.append(p)
        return p["a"]

    minimize(f, SPACE, seed=1, first=[{"a": 0.5, "n": 2, "c": "z"}], max_evaluations=8)
    assert seen[0] == {"a": 0.5, "n": 2, "c": "z"} and len(seen) == 8


def test_parameters_as_keywords():
    def f(a, n, c):
        return a + n + (c != "y")

    def g(p):
        return f(p["a"], p["n"], p["c"])

    one, two = (minimize(its, SPACE, seed=1, max_evaluations=200) for its in (f, g))
    assert one.x.tobytes() == two.x.tobytes() and one.fun == two.fun


@pytest.mark.parametrize(
    "fun",
    [
        lambda lr: lr**2,
        lambda *, lr: lr**2,
        lambda lr=1.0: lr**2,
        lambda **its: its["lr"] ** 2,
        lambda p: p["lr"] ** 2,
        lambda lr, /: lr["lr"] ** 2,
        lambda p, scale=1.0: p["lr"] ** 2,
        lambda *its: its[0]["lr"] ** 2,
    ],
)
def test_one_parameter_as_a_keyword_or_in_its_dict(fun):
    one = minimize(fun, Space(lr=Float(1e-4, 1.0, log=True)), seed=1, max_evaluations=20)
    assert one.fun == one.params["lr"] ** 2


def test_with_args_the_first_is_the_dict():
    space = Space(x=Float(0.0, 1.0))
    one = minimize(lambda p, c: p["x"] + c, space, args=(3.0,), seed=1, max_evaluations=20)
    assert one.fun == one.params["x"] + 3.0


@pytest.mark.parametrize("workers", [None, 2])
@pytest.mark.parametrize(
    ("fun", "words"),
    [
        (lambda a, n: a, "does not take 'c'"),
        (lambda a, n, c, d: a, "takes 'd', which is no parameter"),
        (lambda a, n, cc: a, "takes 'cc' .did you mean 'c'.*does not take 'c' .did you mean 'cc'"),
        (lambda a, n=1: a, "does not take 'c'"),
        (lambda: 0.0, "does not take 'a'; it does not take 'n'; it does not take 'c'"),
        (lambda p, q: 0.0, "takes 'p', which is no parameter; it takes 'q'"),
    ],
)
def test_arguments_that_are_not_the_parameters_are_named(fun, words, workers):
    with pytest.raises(TypeError, match=f"fun must take one argument.* a, n, c: .*{words}"):
        minimize(fun, SPACE, seed=1, max_evaluations=20, workers=workers)


def test_kinds_of_parameters():
    space = Space(
        {
            "rate": Float(0.0, 1.0, step=0.25),
            "flag": structes.Bool(start=True),
            "name": "constant",
            "none": None,
            "thing": structes.Constant((1, 2)),
        }
    )
    es = ES(space, seed=1)
    for _ in range(5):
        X = es.ask()
        for x in X:
            p = space.to_dict(x)
            assert p["rate"] in (0.0, 0.25, 0.5, 0.75, 1.0) and type(p["flag"]) is bool
            assert (p["name"], p["none"], p["thing"]) == ("constant", None, (1, 2))
            np.testing.assert_array_equal(space.to_dict(space.from_dict(p))["rate"], p["rate"])
        es.tell([space.to_dict(x) for x in X], [space.to_dict(x)["rate"] for x in X])
        assert es.info.injected == 0
    assert es.dim == 3
    with pytest.raises(ValueError, match=r"rate.*must be one of"):
        space.from_dict({**p, "rate": 0.3})
    with pytest.raises(ValueError, match=r"name.*is a constant"):
        space.from_dict({**p, "name": "other"})
    with pytest.raises(ValueError, match="step does not go with log"):
        Float(1.0, 2.0, log=True, step=0.5)


# -- room -----------------------------------------------------------------------------------------


def test_more_than_memory_holds_is_refused():
    es = ES(np.ones(10**6), 1.0, "diagonal", seed=1)
    with pytest.raises((ValueError, MemoryError), match=r"(?s)1000000.*lazy=True"):
        es.ask(10**6)
    assert es.ask(10**6, lazy=True).shape == (10**6, 10**6)


@pytest.mark.parametrize("face", [ES, RestartES, ShardedES, minimize])
def test_type_checkers_know_every_keyword_once(face):
    """A name that is said twice makes them take any: no misspelt one is seen."""
    import inspect
    import typing

    from structes.search import options

    parameters = inspect.signature(face).parameters
    annotation = parameters["options"].annotation
    keys = getattr(options, annotation.removeprefix("Unpack[").removesuffix("]")).__annotations__
    assert typing.is_typeddict(getattr(options, annotation[7:-1]))
    assert not set(keys) & set(parameters)
    assert {*keys, *parameters} >= {*OPTIONS, *NAMES}


def twice(x):
    return 2 * x


def first_of(params):
    return [p["a"] for p in params]


def test_a_sharded_search_is_given_again_what_no_file_holds(tmp_path):
    space = Space(a=Float(0.0, 1.0), act=Choice(twice, abs))
    given = {"structure": "diagonal", "replicas": 1}
    with ShardedES(first_of, space, seed=1, **given) as es:
        es.step()
        es.save(tmp_path / "search")
    with pytest.raises(ValueError, match="space="):
        ShardedES.load(tmp_path / "search", first_of, replicas=1)
    with ShardedES.load(tmp_path / "search", first_of, space=space, replicas=1) as again:
        assert again.arguments.space == space
