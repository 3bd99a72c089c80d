"""A loaded search is the one that was saved in every field, whichever they are (walking.py).

Each search here has lived: in it nearly everything has happened that can, so that hardly a field
has the value with which a search begins. What a file left out would then not be there.
"""

import functools
import time
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from structes import ES, Bool, Choice, Constant, Float, Int, RestartES, ShardedES, Space, minimize
from structes.search import base
from structes.strategy import auto

from .searches import goes_on, objective
from .walking import LEFT_OUT, differences, leaves, moved, owners, seen_left_out

X0, SIGMA0 = [2.0, 3.0, 1.5, 2.0, 1.0, 1.0], [0.5, 2.0, 0.4, 0.3, 0.4, 1.0]
LIMITS = dict(
    bounds=[(-30, 30), (1, 9), (None, 40), (1e-3, 1e3), (-30, 30), (-2, None)],
    boundary="reflect",
    transforms={3: "log"},
    integers=[1],
    fixed={5: 1.0},
)
CRITERIA = dict(
    target=-1e9, max_evaluations=10**6, max_generations=10**5, max_seconds=1e4, tolfun=1e-30,
    tolfunhist=1e-31, tolx=1e-20, tolxup=1e9, condition=1e15, stagnation=5, flat=77,
    failures=66, noeffect=False,
)  # fmt: skip


@pytest.fixture
def clock(monkeypatch):
    """Stands in for the module `time` where searches count their age; it stands still."""
    made = SimpleNamespace(now=100.0, monotonic=lambda: made.now)
    monkeypatch.setattr(base, "time", made)
    return made


# -- searches that have lived ---------------------------------------------------------------------


def values_of(X, number=0):
    """Values with noise; the lowest ones come early."""
    z = np.random.default_rng(number).normal(size=len(X))
    return objective(X) * (1 + 0.5 * z) + 1e4 * number - 1e8 * (number == 0)


def mixed(es, lost, late, told):
    """Tell a generation that stays open values of every kind.

    lost, late, told   candidates of earlier generations: forgotten by now; waited for; told
    """
    sign = -1 if es.arguments.maximize else 1
    X, own = es.ask(6), np.array(es.mean, dtype=float)
    es.tell(late, sign * values_of(late, 91))
    es.tell(lost, [sign * 3.0])
    es.tell(told, [sign * 4.0])
    es.tell(X[2:4], [np.nan, sign * np.inf])
    X[4, 0] += 0.3 * es.deviations[0]  # in the place of a candidate
    es.tell(X[4:5], [sign * 5.0])
    own[0] += 0.01 * es.deviations[0]
    es.tell(own[None, :], [sign * 6.0])


def lived(es, clock, generations=55):
    """The search when all of that has happened to it, in its last generation and in the next."""
    sign = -1 if es.arguments.maximize else 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        lost = es.ask(2)
        for number in range(generations):
            clock.now += 0.5
            late, told = es.ask(4), es.ask()
            es.tell(told, sign * values_of(told, number))
            if number < generations - 1:
                es.tell(late, sign * values_of(late, number))
        mixed(es, lost[:1], late[:1], told[:1])
        es.advance()
        mixed(es, lost[1:], late[1:2], told[1:2])
    return es


def with_every_argument(clock, patch):
    noise = {"name": "auto", "target": 0.6, "speed": 0.2, "every": 3}
    engine = {"name": "natural", "rate": 0.1, "gamma": 0.01, "trust_region": 3.0}
    options = {**LIMITS, **CRITERIA, "target": 1e9}
    es = ES(X0, SIGMA0, "auto", 5, 11, noise=noise, maximize=True, engine=engine, **options)
    return lived(es, clock)


def with_few_axes(clock, patch):
    """low_rank, of which it is asked period after period whether it is enough; they are short."""
    for name, value in {"PERIOD": 0.4, "PATIENCE": 20, "LIKELY": np.inf}.items():
        patch.setattr(auto, name, value)
    es = lived(ES(np.linspace(1, 2, 64), 0.4, "auto", 3, dtype="float32"), clock)
    state = es._search
    assert es.structure.noise_dim > 64 and not state.auto.decided and state.auto.periods
    return es


def with_choices(clock, patch):
    """Each of its steps is shortened."""
    options = {"choices": [[2, 4, 5]], "engine": {"name": "default", "trust_region": 1e-3}}
    covariance = 0.3 * np.eye(6) + 0.1
    return lived(ES(X0, 0.5, "auto", 4, 11, covariance=covariance, **options), clock)


def with_names(clock, patch):
    kinds = {
        "lr": Float(1e-4, 1e-1, log=True), "width": Int(1, 50), "kind": Choice("a", "b", "c"),
        "on": Bool(), "rest": Float(-3, 3), "name": Constant("x"),
    }  # fmt: skip
    return lived(ES(Space(kinds), seed=4, popsize=11), clock)


def with_another_structure(clock, patch):
    """It was found on the way; and of the last generation all values are missing."""
    es = ES([3.0] * 6, 2.0, "auto", 3, stagnation=7)
    while not es.switches:
        assert es.generation < 99
        es.tell(X := es.ask(), X**2 @ np.geomspace(1, 1e6, 6))
    X = es.ask(lazy=True)
    with pytest.warns(RuntimeWarning, match="were NaN"):
        es.tell(X, np.full(len(X), np.nan))
    es.ask(3, lazy=True)
    return es


def with_restarts(clock, patch):
    """In a small run of BIPOP; candidates of the run before are out."""
    restarts = {"name": "bipop", "spread": 0.5, "factor": 9, "max_restarts": 7}
    options = {**LIMITS, **CRITERIA, "flat": 2, "boundary": "transform"}
    es = RestartES(X0, SIGMA0, "diagonal", 1, 11, restarts=restarts, **options)
    lost = waiting = es.ask(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        while es.plan.regime != "small" or es.es.generation < 3:
            clock.now += 0.5
            assert es.generation < 99
            told, is_new = es.ask(), es.es.generation == 0
            if is_new:
                former, waiting = waiting, es.ask(2)
            late = es.ask(3)
            flat = es.es.generation > 2
            es.tell(told, np.full(len(told), 9.0) if flat else values_of(told, es.restart))
        mixed(es, lost[:1], late[:1], told[:1])
        es.tell(former[:1], [-7.0])
    assert es.popsize != 11
    return es


def sometimes_failing(X):
    if (X[:, 1] == 6).any():
        raise ArithmeticError("six")
    return X**2 @ np.arange(1.0, X.shape[1] + 1)


def in_shards(clock, patch):
    options = {**LIMITS, **CRITERIA, "target": 1e9, "max_evaluations": 12 * 11}
    es = ShardedES(
        sometimes_failing, X0, SIGMA0, "dense", popsize=11, seed=5, shards=3, maximize=True,
        **options,
    )  # fmt: skip
    for _ in range(12):
        clock.now += 0.5
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            es.step()
    assert es.failures
    return es


SEARCHES = (
    with_every_argument,
    with_few_axes,
    with_choices,
    with_names,
    with_another_structure,
    with_restarts,
    in_shards,
)


# -- every field ----------------------------------------------------------------------------------


def load(es, path):
    if not isinstance(es, ShardedES):
        return type(es).load(path)
    twin = ShardedES.load(path, sometimes_failing)
    assert np.isfinite(twin.mean).all()  # the replicas start when something is asked of them
    return twin


def later(es):
    """What a search does from here on: bytes of all of it."""
    if not isinstance(es, ShardedES):
        return goes_on(es)
    infos = [repr(es.step()) for _ in range(3)]
    return infos, es.mean.tobytes(), es.best.x.tobytes(), es.best.fun, es.stop()


def new_search(kind):
    """A search that was given nothing, and has seen nothing."""
    if kind is ShardedES:
        return ShardedES(sometimes_failing, [0.0] * 6, 1.0, seed=1)
    return kind([0.0] * 6, 1.0, "auto" if kind is ES else "dense", 1)


@pytest.fixture(scope="module")
def walks(tmp_path_factory):
    """Of a search, by its function: walks before it is saved and after it was loaded, and what
    both do then; and one of a new search."""
    path = tmp_path_factory.mktemp("walks") / "search"

    @functools.cache
    def of(make):
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            clock = SimpleNamespace(now=100.0, monotonic=lambda: clock.now)
            patch.setattr(base, "time", clock)
            es = make(clock, patch)
            es.save(path)
            here, new = leaves(es), leaves(new_search(type(es)))
            afterwards = later(es)
            clock.now += 1e6
            twin = load(es, path)
            return here, leaves(twin), new, afterwards, later(twin)

    return of


@pytest.mark.parametrize("make", SEARCHES)
def test_every_field_is_the_one_that_was_saved(make, walks):
    here, there, *_ = walks(make)
    assert [(path, here.get(path), there.get(path)) for path in differences(here, there)] == []


@pytest.mark.parametrize("make", SEARCHES)
def test_it_goes_on_to_the_same_bits(make, walks):
    *_, here, there = walks(make)
    assert here == there


NEVER = {  # what has the value in every search here that it has in a new one, and why
    "Arguments.backend": "there is one array library without a GPU",
    "Counts.missing": "counted when the generation closes",
    "Engine": "written and read as a whole, whatever its switches",
    "Natural": "as Engine",
    "Job": "of a new search with the same arguments",
    "Lockstep": "how the replicas are",
    "Placement": "given again to `load`",
    "SearchState.earlier": "there from the beginning where there are restarts",
    "Strategy.on_device": "as Arguments.backend",
}


def test_hardly_a_field_has_the_value_that_it_has_in_a_new_search(walks):
    """So that a file that leaves one out is noticed, whichever it is."""
    all_of_them, others = set(), set()
    for make in SEARCHES:
        here, _, new, *_ = walks(make)
        all_of_them |= owners(here)
        others |= moved(here, new)
    same = {name for name in all_of_them - others if not {name, name.split(".")[0]} & set(NEVER)}
    assert same == set()
    assert set(LEFT_OUT) == seen_left_out  # there is no other word in the table


# -- going on -------------------------------------------------------------------------------------


def generations_of(es, f, until):
    """Bytes of all that a search asks until a generation, and of where it is then."""
    asked = b""
    while es.generation < until:
        asked += (X := es.ask()).tobytes()
        es.tell(X, f(X))
    return asked, es.sigma, np.asarray(es.mean).tobytes(), es.switches, es.info


@pytest.mark.parametrize("generation", [3, 10, 18])
def test_a_structure_is_found_when_it_would_have_been(generation, tmp_path):
    """The statistics are those of all generations: they are saved, and change it at 20."""
    scales = np.geomspace(1, 1e6, 10)

    def to_the_end(es):
        return generations_of(es, lambda X: X**2 @ scales, 30)

    never_saved, es = (ES(np.full(10, 3.0), 2.0, "auto", 3) for _ in range(2))
    generations_of(es, lambda X: X**2 @ scales, generation)
    es.save(tmp_path / "a")
    there = to_the_end(ES.load(tmp_path / "a"))
    assert there == to_the_end(es)
    *expected, switches, _ = to_the_end(never_saved)
    assert list(there[1:3]) == expected[1:] and expected[0].endswith(there[0])
    assert [(s.generation, s.structure) for s in switches] == [(20, "diagonal")]
    assert there[3] == switches


@pytest.mark.parametrize("generation", [3, 10, 18, 40])
def test_low_rank_goes_on_to_the_same_bits(generation, tmp_path, monkeypatch):
    """structure="auto" begins with it from 61 parameters on; here two periods of 16 generations,
    after the first 20, find that it is not enough."""
    monkeypatch.setattr(auto, "PERIOD", 0.25)
    monkeypatch.setattr(auto, "SURE", -np.inf)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(64, 64)))[0]
    scales = np.geomspace(1, 1e3, 64)

    def f(X):
        return (X @ rotation) ** 2 @ scales

    es = ES(np.full(64, 3.0), 2.0, "auto", 1)
    generations_of(es, f, generation)
    es.save(tmp_path / "a")
    twin = ES.load(tmp_path / "a")
    assert twin.structure == es.structure and es.structure.noise_dim > 64
    there = generations_of(twin, f, 56)
    assert there == generations_of(es, f, 56)
    assert [(s.generation, s.structure) for s in es.switches] == [(52, "dense")]


def test_seconds_count_on_after_a_load(clock, tmp_path):
    def sphere(X):
        return (X**2).sum(axis=1)

    def told(es):
        es.tell(X := es.ask(), np.full(len(X), 1.0))  # a run with flat=1 ends with it
        return es

    options = dict(seed=1, max_seconds=100.0)
    restarted = told(RestartES([1.0, 2.0], 1.0, flat=1, **options))
    clock.now += 20.0
    told(restarted)
    assert restarted.restart == 1
    shards = ShardedES(sphere, [1.0, 2.0], 1.0, **options)
    shards.step()
    es = told(ES([1.0, 2.0], 1.0, **options))
    moment = clock.now
    for search, age in [(es, 0.0), (restarted, 20.0), (shards, 0.0)]:
        clock.now = moment + 30.0
        search.save(tmp_path / "a")
        clock.now += 1e6
        is_sharded = isinstance(search, ShardedES)
        twin = (
            ShardedES.load(tmp_path / "a", sphere) if is_sharded else load(search, tmp_path / "a")
        )
        assert twin.seconds == age + 30.0 and not twin.stop()
        clock.now += 69.0 - age

        def go_on():
            twin.step() if is_sharded else twin.tell(X := twin.ask(), sphere(X))  # noqa: B023
            return "max_seconds" in twin.stop()  # noqa: B023

        assert not go_on()
        clock.now += 1.0
        assert go_on() and twin.stop()["max_seconds"] == 100.0


@pytest.mark.parametrize("restarts", [None, "ipop"])
def test_seconds_between_minimize_and_save_do_not_count(restarts, tmp_path, monkeypatch):
    """As they do not where `minimize` goes on with the search itself."""
    monotonic, skipped = time.monotonic, 0.0
    monkeypatch.setattr("time.monotonic", lambda: monotonic() + skipped)
    given = dict(seed=1, max_evaluations=900, max_seconds=1000.0, restarts=restarts, tolfun=5.0)
    es = minimize(lambda x: float(x @ x), [3.0] * 3, 1.0, **given).es
    skipped = 5000.0
    es.save(tmp_path / "a")
    twin = type(es).load(tmp_path / "a")
    assert 0 < twin.seconds < 100
    for search in (twin, es):
        more = minimize(lambda x: float(x @ x), es=search, max_evaluations=1000)
        assert "max_seconds" not in more.stop and search.seconds < 100


def test_a_forgotten_row_is_stale_after_a_load(tmp_path):
    """It is no point of the user's own: it was asked, and is too old."""
    es = ES([1.0, 2.0, 3.0], 0.4, seed=3)
    lost = es.ask(4)
    generations_of(es, objective, 52)
    assert not len(es.pending)  # they are not waited for
    es.save(tmp_path / "a")
    for search in (ES.load(tmp_path / "a"), es):
        search.tell(lost[:3], objective(lost[:3]))
        search.save(tmp_path / "b")
        search = ES.load(tmp_path / "b")
        with pytest.warns(RuntimeWarning, match="told before are ignored: 1"):
            search.tell(lost[2:], objective(lost[2:]))
        search.tell(X := search.ask(), objective(X))
        info = search.info
        assert (info.stale, info.injected, info.repeated, info.late) == (4, 0, 1, 0)
