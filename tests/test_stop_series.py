"""The generation in which each criterion fires, on series of values and states that are written
down: in that one, in none before it, and never where what it looks at is just beyond its bound.

What is expected is worked out here from what `Stopping` says of its criteria.
"""

from dataclasses import asdict
from math import ceil, inf, nan, nextafter, sqrt

import numpy as np
import pytest

from structes.space.building import build_domain
from structes.strategy.monitor import Monitor, Rules
from structes.strategy.state import Info, State
from structes.strategy.stopping import Stopping
from structes.strategy.uncertainty import Noisy
from structes.structures.building import build_structure

SIGMA0 = 0.5
SHAPES = [(2, 6), (5, 8), (7, 40), (40, 15)]  # d and candidates of a generation
KINDS = {"numbers": 30, "some integers": 60, "integers": 300}  # and generations, times d/λ
OFF = dict(
    tolfun=None, tolfunhist=None, tolx=None, tolxup=None, condition=None, stagnation=None,
    flat=None, failures=None, noeffect=False,
)  # fmt: skip


def window(dim, popsize, kind="numbers"):
    return 10 + ceil(KINDS[kind] * dim / popsize)


def domain(dim, kind):
    integers = {"numbers": None, "some integers": [0], "integers": True}[kind]
    return build_domain(dim, integers=integers)


def series(
    criteria, n, values=lambda t: (1.0, 2.0, 3.0), dim=3, popsize=7, kind="numbers",
    structure="dense", scale0=1.0, **states,
):  # fmt: skip
    """{criterion: generation in which it has fired} in n generations, and the values with it.

    values   from the generation t = 1, 2, … to (best, median, worst), or to an Info
    states   {field of State: its value, or a function from t to it}
    """
    structure = build_structure(structure, dim)
    scale0 = np.broadcast_to(np.asarray(scale0, dtype=float), dim).copy()
    stopping = Stopping(**{**OFF, **criteria})
    rules = Rules(stopping, structure, popsize, SIGMA0, scale0, domain(dim, kind))
    monitor, found = Monitor(rules), {}
    path = np.zeros(structure.noise_dim)
    first = dict(mean=np.ones(dim), sigma=SIGMA0, scale=scale0, path_sigma=path, path=path)
    first["factor"] = structure.identity(np, "float64")
    for t in range(1, n + 1):
        given = {name: v(t) if callable(v) else v for name, v in states.items()}
        state = State(**{**first, **given}, generation=t)
        info = values(t)
        info = info if isinstance(info, Info) else Info(*info, updated=True)
        monitor = monitor.closed(state, info, seconds=0.25 * t)
        for reason, value in monitor.reasons.items():
            found.setdefault(reason, (t, value))
    return found


def generations(*args, **options):
    return {reason: t for reason, (t, _) in series(*args, **options).items()}


def settled(t, best=0.0, worst=0.0, first=1e3):
    """Values that have a range of `first` in generation 1, and agree from then on."""
    return (first,) * 3 if t == 1 else (best, best, worst)


# -- values that agree ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["numbers", "some integers"])
@pytest.mark.parametrize(("dim", "popsize"), SHAPES)
@pytest.mark.parametrize("name", ["tolfun", "tolfunhist"])
def test_values_agree_for_as_many_generations_as_it_says(name, dim, popsize, kind):
    n = 1 + window(dim, popsize, kind)  # the first generation must have left the window
    options = dict(dim=dim, popsize=popsize, kind=kind, sigma=1e-9)
    assert generations({name: 1e-6}, n + 5, settled, **options) == {name: n}


def test_the_values_of_the_generation_and_the_best_ones_count():
    """A share 1e-6 of the range 1000 is 1e-3; tolfunhist looks at the best values alone."""
    n, both = 1 + window(3, 7), dict(tolfun=1e-6, tolfunhist=1e-6)
    less, more = 0.999e-3, 1.001e-3

    def fired(best, worst):
        return generations(both, n + 9, lambda t: settled(t, best(t), worst(t)), sigma=1e-9)

    zero = lambda t: 0.0  # noqa: E731
    both_at_n = {"tolfun": n, "tolfunhist": n}
    assert fired(zero, lambda t: less) == both_at_n
    assert fired(zero, lambda t: more) == {"tolfunhist": n}
    assert fired(lambda t: less * (t % 2), lambda t: less) == both_at_n
    assert fired(lambda t: more * (t % 2), lambda t: more) == {}
    # the worst one counts in the generation itself, and not in those before it
    assert fired(zero, lambda t: more if t < n + 4 else less) == {"tolfunhist": n, "tolfun": n + 4}
    # one best value that is off must leave the window
    off = generations(
        both, 2 * n + 9, lambda t: settled(t, more * (t == 9), more * (t == 9)), sigma=1e-9
    )
    assert off == {"tolfun": 8 + n, "tolfunhist": 8 + n}


def test_they_are_compared_with_the_range_of_all_values_so_far():
    n = 1 + window(3, 7)

    def fired(first, worst, rest=(0.0, 0.0, 1e-3)):
        values = lambda t: (first, first, worst) if t == 1 else rest  # noqa: E731
        return generations(dict(tolfun=1e-6), n + 9, values, sigma=1e-9)

    assert fired(1001.0, 1001.0) == {"tolfun": n} and fired(999.0, 999.0) == {}
    assert fired(0.0, 1001.0) == {"tolfun": n - 1} and fired(0.0, 999.0) == {}
    rest = (-600.0, -600.0, -600.0 + 1e-3)  # the share is one of the range, not of a value
    assert fired(401.0, 401.0, rest) == {"tolfun": n} and fired(399.0, 399.0, rest) == {}
    rest = (1e3, 1e3, 1e3 + 1e-3)  # the lowest value may be an early one
    assert fired(-1.0, 0.0, rest) == {"tolfun": n} and fired(1.0, 2.0, rest) == {}
    # where the worst value is no number the median stands for it
    assert fired(1001.0, inf) == {"tolfun": n} and fired(999.0, inf) == {}


@pytest.mark.parametrize("name", ["tolfun", "tolfunhist"])
def test_the_standard_deviations_must_have_fallen_as_the_values_have(name):
    late = 1 + window(3, 7) + 5

    def fired(factor, scale=1.0, kind="numbers"):
        def sigma(t):
            return SIGMA0 if t < late else factor * 1e-3 * SIGMA0  # √tolfun = 1e-3

        options = dict(sigma=sigma, scale=lambda t: np.array(scale) * [1.0, 4.0, 2.0], kind=kind)
        values = lambda t: settled(t, 5e-4 * (t % 2), 5e-4)  # noqa: E731
        return generations({name: 1e-6}, late + 30, values, scale0=[1.0, 4.0, 2.0], **options)

    assert fired(0.999) == {name: late} and fired(1.001) == {}
    assert fired(0.999, [1.0, 1.002, 1.0]) == {}
    # an integer stays wide: it is not looked at
    assert fired(0.999, [9.0, 1.0, 1.0]) == {}
    n = 1 + window(3, 7, "some integers")
    assert fired(0.999, [9.0, 1.0, 1.0], "some integers") == {name: max(n, late)}


def test_values_that_agree_to_rounding_need_no_small_deviations():
    n, unit = 1 + window(3, 7), 2.0**-52

    def fired(spread):
        values = lambda t: settled(t, 1.0, 1.0 + spread * unit, 1e9)  # noqa: E731
        return generations(dict(tolfun=1e-6), n + 9, values)

    assert fired(8) == {"tolfun": n} and fired(9) == {}


@pytest.mark.parametrize(("dim", "popsize"), SHAPES)
def test_integers_alone_wait_for_a_better_value(dim, popsize):
    wait = window(dim, popsize, "integers")
    options = dict(dim=dim, popsize=popsize, kind="integers")

    def fired(name, later):
        values = lambda t: (9.0 if t < 4 else 8.0 + later * (t % 2), 9.0, 500.0)  # noqa: E731
        return generations({name: 1e-9}, wait + 9, values, **options)

    assert fired("tolfunhist", 0.25) == {"tolfunhist": 4 + wait}
    assert fired("tolfunhist", 0.0) == {"tolfunhist": 3 + wait}  # so many agree
    assert fired("tolfun", 0.25) == fired("tolfun", 0.0) == {}


def test_nothing_is_compared_while_noise_matters():
    n = 1 + window(3, 7)
    criteria = dict(tolfun=1e-6, tolfunhist=1e-6, stagnation=10)
    noisy = lambda t: Noisy(ratio=0.11 if t < n + 4 else 0.1)  # noqa: E731
    fired = generations(criteria, n + 9, settled, sigma=1e-9, noisy=noisy)
    assert fired == dict.fromkeys(criteria, n + 4)


# -- steps ----------------------------------------------------------------------------------------


def tens(t):
    """The generation from t on in which it is looked at."""
    return 10 * ceil(t / 10)


@pytest.mark.parametrize("structure", ["dense", "diagonal"])
def test_tolx_looks_at_deviations_and_path(structure):
    scale0, tolx = np.array([1.0, 4.0, 2.0]), 1e-6
    less, more = 0.999e-6 * SIGMA0, 1.001e-6 * SIGMA0

    def fired(sigma, path=0.0, scale=1.0, since=37):
        states = dict(
            sigma=lambda t: sigma if t >= since else SIGMA0,
            scale=scale * scale0,
            path=path if callable(path) else np.zeros(3) + path,
        )
        return generations(dict(tolx=tolx), 99, structure=structure, scale0=scale0, **states)

    assert fired(less) == {"tolx": 40} and fired(less, since=40) == {"tolx": 40}
    assert fired(less, since=41) == {"tolx": 50}
    assert fired(more) == {} and fired(less, scale=np.array([1.0, 1.0, 1.002])) == {}
    # the path is that of standard normal coordinates
    assert fired(less, -1.0) == {"tolx": 40} and fired(less, -1.002) == {}
    assert fired(less, np.array([0.0, 0.0, 1.002])) == {}
    falling = lambda t: np.array([0.0, 2.0 - t / 64, 0.0])  # noqa: E731
    assert fired(less, falling) == {"tolx": 70}


def test_tolx_looks_where_the_values_differed():
    info = lambda t: Info(1.0, 1.0, 1.0, updated=t > 20)  # noqa: E731
    assert generations(dict(tolx=1e-6), 50, info, sigma=1e-9) == {"tolx": 30}


def test_tolxup_looks_at_the_step_size():
    def fired(factor):
        sigma = lambda t: factor * 50.0 * SIGMA0 if t == 7 else SIGMA0  # noqa: E731
        return series(dict(tolxup=50.0), 20, sigma=sigma)

    assert fired(0.999) == {} and fired(nan) == {"tolxup": (7, pytest.approx(nan, nan_ok=True))}
    assert fired(1.001) == {"tolxup": (7, pytest.approx(50.05))}


@pytest.mark.parametrize(("dim", "every"), [(1, 10), (2, 10), (3, 15), (12, 60)])
def test_the_condition_number_is_looked_at_every_5_d_generations(dim, every):
    def fired(condition, kind="numbers", since=every + 1, limit="auto"):
        def factor(t):
            stretched = np.ones(dim)
            stretched[0] = sqrt(condition) if t >= since and dim > 1 else 1.0
            return (stretched,)

        options = dict(structure="diagonal", factor=factor, dim=dim, kind=kind)
        return generations(dict(condition=limit), 3 * every, **options)

    there = {"condition": 2 * every} if dim > 1 else {}
    assert fired(1.01e14) == there and fired(0.99e14) == {}
    assert fired(1.01e14, since=2 * every + 1) == ({"condition": 3 * every} if dim > 1 else {})
    assert fired(1.01e14, "some integers") == {}
    assert fired(101.0, "some integers", limit=100.0) == there
    assert fired(99.0, limit=100.0) == {}


def test_a_step_without_effect():
    """A number added to 1 changes it from half a unit in its last place on, 2⁻⁵³."""
    half = 2.0**-53

    def fired(sigma, mean):
        return generations(dict(noeffect=True), 99, mean=np.array(mean), sigma=sigma)

    mean = [0.0, 0.0, 1.0]
    assert fired(1.001 * half / 0.1, mean) == {}
    axis = {"noeffectaxis": 20}  # axis k is looked at in generation 10 k, and 10 (k + d), …
    assert fired(0.999 * half / 0.1, mean) == fired(1.001 * half / 0.2, mean) == axis
    assert fired(0.999 * half / 0.2, mean) == {"noeffectcoord": 10, **axis}
    assert fired(0.999 * half / 0.1, [1.0, 0.0, 0.0]) == {"noeffectaxis": 30}
    assert fired(0.999 * half / 0.1, [0.0, 1.0, 0.0]) == {"noeffectaxis": 10}


# -- nothing better, nothing at all ---------------------------------------------------------------


@pytest.mark.parametrize(("dim", "popsize"), SHAPES)
def test_stagnation_waits_for_as_many_generations_as_it_says(dim, popsize):
    half = int(100 + 100 * dim**1.5 / popsize)
    options = dict(dim=dim, popsize=popsize)
    assert generations(dict(stagnation="auto"), 2 * half + 9, **options) == {
        "stagnation": 2 * half
    }
    kind = {"kind": "some integers"}
    assert generations(dict(stagnation="auto"), 2 * half, **options, **kind) == {
        "stagnation": 2 * half
    }
    options["kind"] = "integers"
    assert generations(dict(stagnation="auto"), 2 * half + 9, **options) == {}


@pytest.mark.parametrize("half", [7, 10, 130])
def test_stagnation_compares_the_medians_of_two_halves(half):
    since = 8 * half + 3  # until then it improves; of 1040 generations not all values are kept
    n = since + 3 * half + 20

    def falling(t):
        return float(max(0, since - t))

    def expected(best, middle):
        for t in range(2 * half, n + 1, 10):
            halves = [
                np.median([f(k) for k in range(a, a + half)])
                for f in (best, middle)
                for a in (t - 2 * half + 1, t - half + 1)
            ]
            if halves[1] >= halves[0] and halves[3] >= halves[2]:
                return {"stagnation": t}
        return {}

    def fired(best, middle):
        values = lambda t: (best(t), middle(t), 1e9)  # noqa: E731
        assert generations(dict(stagnation=half), n, values) == expected(best, middle)
        return expected(best, middle)

    constant, always = (lambda t: 1.0), (lambda t: -float(t))
    assert 4 * half < fired(falling, falling)["stagnation"] <= since + 2 * half + 10
    assert fired(falling, constant) == fired(constant, falling) == fired(falling, falling)
    assert fired(constant, constant) == {"stagnation": 2 * half}
    assert fired(always, constant) == fired(constant, always) == {}


@pytest.mark.parametrize(("dim", "popsize"), SHAPES)
def test_flat_counts_generations_in_a_row(dim, popsize):
    n = 10 + ceil(60 * dim / popsize)
    options = dict(dim=dim, popsize=popsize)

    def fired(flat, broken=None, **more):
        values = lambda t: Info(1.0, 1.0, 1.0, updated=t == broken)  # noqa: E731
        return series(dict(flat=flat, failures=3), 2 * n, values, **options, **more)

    assert fired("auto") == {"flat": (10, 10)} and fired(4) == {"flat": (4, 4)}
    assert fired("auto", kind="some integers") == {"flat": (n, n)}
    assert fired("auto", kind="integers") == {"flat": (n, n)}
    assert fired("auto", broken=10) == {"flat": (20, 10)} and fired(4, broken=2) == {
        "flat": (6, 4)
    }


def test_failures_counts_generations_in_a_row_and_is_not_called_flat():
    nothing = Info()

    def fired(failures, broken=None, **more):
        values = lambda t: Info(1.0, nan, nan) if t == broken else nothing  # noqa: E731
        return series(dict(failures=failures, **more), 30, values)

    assert fired(10) == {"failures": (10, 10)} and fired(3, flat=3) == {"failures": (3, 3)}
    assert fired(10, broken=9) == {"failures": (19, 10)}
    assert fired(None, flat=12) == {"flat": (12, 12)}
    assert fired(13, flat=12) == {"flat": (12, 12), "failures": (13, 13)}


# -- budgets, and the target ----------------------------------------------------------------------


def test_generations_and_seconds_are_counted():
    assert series(dict(max_generations=7), 9) == {"max_generations": (7, 7)}
    assert series(dict(max_seconds=2.0), 9) == {"max_seconds": (8, 2.0)}
    assert series(dict(max_seconds=2.01), 9) == {"max_seconds": (9, 2.25)}


@pytest.mark.parametrize(
    ("criteria", "told", "reached"),
    [
        (dict(target=1e-3), lambda k: (nextafter(1e-3, 1) if k < 5 else 1e-3, 0, 0.0), 1e-3),
        (dict(max_evaluations=50), lambda k: (1.0, 10 * k, 0.0), 50),
        (dict(max_evaluations=49), lambda k: (1.0, 10 * k, 0.0), 50),
        (dict(max_seconds=2.5), lambda k: (1.0, 0, 0.5 * k), 2.5),
    ],
)
def test_target_and_budgets_are_looked_at_as_values_come(criteria, told, reached):
    structure = build_structure("dense", 3)
    rules = Rules(Stopping(**criteria), structure, 7, SIGMA0, np.ones(3), domain(3, "numbers"))
    monitor = Monitor(rules)
    for k in range(1, 7):
        monitor = monitor.told(*told(k))
        (name,) = criteria
        assert monitor.reasons.get(name) == (None if k < 5 else reached if k == 5 else told(k)[
            ["target", "max_evaluations", "max_seconds"].index(name)
        ])  # fmt: skip


def test_what_is_switched_off_never_fires():
    states = dict(sigma=lambda t: 1e-300 if t % 2 else 1e300, mean=np.full(3, 1e9))
    values = lambda t: Info(1.0, 1.0, 1.0, updated=t > 50)  # noqa: E731
    assert series({}, 400, values, factor=(np.array([1e30, 1.0, 1.0]),), structure="diagonal",
                  **states) == {}  # fmt: skip


def test_the_tolerances_that_nobody_has_given():
    assert asdict(Stopping()) == dict(
        target=None, max_evaluations=None, max_generations=None, max_seconds=None, tolfun=1e-14,
        tolfunhist=1e-14, tolx=1e-12, tolxup=1e4, condition="auto", stagnation="auto", flat="auto",
        failures=10, noeffect=True,
    )  # fmt: skip
