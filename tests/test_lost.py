"""What was found is never lost: whatever ends a search, and whatever a function returns."""

import pickle
import threading
import time
import warnings

import numpy as np
import pytest

from structes import ES, EvaluationError, Evaluator, RestartES, ShardedES, minimize

from .searches import objective


def sphere(x):
    return float(x @ x)


class After:
    """A function that does something else after so many good values; it counts them."""

    def __init__(self, good, then):
        self.good, self.then, self.calls, self.best = good, then, 0, np.inf

    def __call__(self, x):
        self.calls += 1
        if self.calls > self.good:
            return self.then()
        self.best = min(self.best, sphere(x))
        return sphere(x)


def interrupt():
    raise KeyboardInterrupt


SEARCH = {"x0": [1.0, 2.0, 3.0], "sigma0": 0.5, "seed": 1}
FACES = [{}, {"restarts": "ipop", "max_evaluations": 10**5}]


# -- what ends a search ---------------------------------------------------------------------------


@pytest.mark.parametrize("more", FACES, ids=["one run", "restarts"])
@pytest.mark.parametrize("good", [1, 17, 60])
def test_ctrl_c_returns_the_result_so_far(more, good):
    f = After(good, interrupt)
    result = minimize(f, **SEARCH, **more)
    assert result.stop["interrupted"] is True and "interrupted" in result.message
    assert result.nfev == good and result.fun == f.best and not result.success
    assert sphere(result.x) == f.best


def test_ctrl_c_among_rows_and_among_the_first_points():
    def f(X):
        if seen:
            raise KeyboardInterrupt
        seen.append(X)
        return objective(X)

    seen = []
    result = minimize(f, **SEARCH, vectorized=True)
    assert result.nfev == len(seen[0]) and result.fun == objective(seen[0]).min()
    f = After(2, interrupt)
    result = minimize(f, **SEARCH, first=[[1.0, 0, 0], [2.0, 0, 0], [3.0, 0, 0]])
    assert result.nfev == 2 and result.fun == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["generations", "steady"])
def test_ctrl_c_with_workers(mode):
    """What workers have finished is told before the search ends."""
    main = threading.get_ident()

    def later():
        time.sleep(1.5)
        import signal

        signal.pthread_kill(main, signal.SIGINT)

    with Evaluator(2) as evaluator:
        evaluator.bind(sphere)(np.ones((4, 3)))  # the workers are there
        threading.Thread(target=later).start()
        slow = lambda x: (time.sleep(0.02), sphere(x))[1]  # noqa: E731
        result = minimize(slow, **SEARCH, workers=evaluator, mode=mode, tolfun=None, tolx=None)
    assert "interrupted" in result.stop and result.nfev > 20 and result.fun < 3


def test_a_search_that_was_interrupted_goes_on_to_the_same_bits():
    f = After(33, interrupt)
    cut = minimize(f, **SEARCH)
    longer = minimize(sphere, es=cut.es, max_evaluations=200)
    whole = minimize(sphere, **SEARCH, max_evaluations=200)
    assert longer.x.tobytes() == whole.x.tobytes() and longer.nfev == whole.nfev


@pytest.mark.parametrize("answer", [True, np.True_])
def test_true_from_a_callback_ends(answer):
    result = minimize(sphere, **SEARCH, callback=lambda es: es.generation >= 3 and answer)
    assert result.nit == 3 and result.stop == {"callback": True}


@pytest.mark.parametrize("answer", [1, "stop", [0], 0.5, np.ones(3)])
def test_no_other_answer_does(answer):
    result = minimize(sphere, **SEARCH, callback=lambda es: answer, max_evaluations=70)
    assert result.nfev == 70


def test_stop_iteration_from_a_callback_ends():
    def callback(intermediate_result):
        seen.append(intermediate_result.fun)
        assert intermediate_result.x.shape == (3,)
        if len(seen) == 4:
            raise StopIteration

    seen = []
    result = minimize(sphere, **SEARCH, callback=callback)
    assert result.nit == 4 and result.fun == seen[-1] and "callback" in result.stop


@pytest.mark.parametrize("more", FACES, ids=["one run", "restarts"])
def test_any_other_exception_carries_the_result(more):
    def callback(es):
        if es.generation == 3:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full") as caught:
        minimize(sphere, **SEARCH, callback=callback, **more)
    result = caught.value.result
    assert result.nit == 3 and result.fun < 14 and result.stop == {"exception": True}
    assert "an exception ended it" in str(result)
    f = After(20, lambda: 1 / 0)  # the point at which it raises has no value
    with pytest.raises(ZeroDivisionError) as caught:
        minimize(f, **SEARCH, on_error="raise", **more)
    assert caught.value.result.nfev == 20 and caught.value.result.fun == f.best


# -- what is no value -----------------------------------------------------------------------------

WRONG = {
    "none": lambda: None,
    "text": lambda: "high",
    "-inf": lambda: -np.inf,
    "complex": lambda: 1j,
    "two": lambda: np.ones(2),
    "raises": lambda: 1 / 0,
    "nan": lambda: np.nan,
}


@pytest.mark.parametrize("workers", [None, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("what", WRONG)
def test_after_good_values_it_is_missing(what, workers):
    """It is counted, and the first one is told with its parameters; the search goes on."""

    def is_bad(x):
        return sphere(x) < 5 and int(1e6 * abs(x[0])) % 5 == 0

    def f(x):
        return WRONG[what]() if is_bad(x) else sphere(x)

    def nan(x):
        return np.nan if is_bad(x) else sphere(x)

    given = {**SEARCH, "max_evaluations": 70, "workers": workers}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        result = minimize(f, **given)
    assert result.x.tobytes() == minimize(nan, **given).x.tobytes()
    assert result.nfev == 70
    if what == "nan":
        assert result.errors == 0 and not said
        return
    words = [str(w.message) for w in said if "count as missing" in str(w.message)]
    assert result.errors > 2 and len(words) == 1
    assert words[0].startswith(f"{result.errors} evaluations")
    if workers is None:
        assert "at [" in words[0]
    if what == "-inf":
        assert "logarithm" in words[0]


@pytest.mark.parametrize("workers", [None, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("what", ["none", "text", "-inf", "complex", "two"])
def test_before_any_it_is_a_mistake(what, workers):
    with pytest.raises((ValueError, EvaluationError), match=r"number|-inf"):
        minimize(lambda x: WRONG[what](), **SEARCH, workers=workers)


@pytest.mark.parametrize("workers", [None, 2])
def test_a_function_that_only_raises_ends_after_a_generation(workers, tmp_path):
    log = tmp_path / "calls"

    def f(x):
        with open(log, "a") as file:
            file.write("x")
        return undefined_name + x  # noqa: F821

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a search that does not move
        with pytest.raises((NameError, EvaluationError), match="undefined_name"):
            minimize(f, **SEARCH, popsize=8, workers=workers)
    assert len(log.read_text()) <= 8


def test_a_few_failures_at_first_do_not_end_it():
    calls = []

    def f(x):
        calls.append(x)
        if len(calls) <= 5:
            raise OSError("not there yet")
        return sphere(x)

    with pytest.warns(RuntimeWarning, match=r"5 evaluations.*not there yet"):
        result = minimize(f, **SEARCH, popsize=6, max_evaluations=60)
    assert result.errors == 5 and result.nfev == 60


# -- time and budgets -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "more", [{}, {"vectorized": True}, {"workers": 2}, {"workers": 2, "mode": "steady"}], ids=str
)
@pytest.mark.parametrize("restarts", [None, "ipop"])
def test_max_seconds_is_looked_at_within_a_generation(more, restarts):
    def f(x):
        time.sleep(0.05)
        return (x * x).sum(axis=-1)

    given = {**SEARCH, "popsize": 60, "restarts": restarts, **more}
    result = minimize(f, **given, max_seconds=0.6)
    assert "max_seconds" in result.stop and result.nfev > 0
    # evaluations are not broken off: as many as fit, and those under way
    assert result.es.seconds < (3.5 if "vectorized" in more else 1.5)
    assert result.nfev < 60 or "vectorized" in more


def test_a_budget_is_raised_and_a_search_goes_on():
    for more in ({}, {"restarts": "ipop"}):
        whole = minimize(sphere, **SEARCH, max_evaluations=300, **more)
        part = minimize(sphere, **SEARCH, max_evaluations=100, **more)
        assert "goes on with a larger one" in part.message
        again = minimize(sphere, es=part.es, max_evaluations=300)
        assert again.nfev == 300 and again.x.tobytes() == whole.x.tobytes()
        assert again.es is part.es


@pytest.mark.parametrize("make", [ES, RestartES])
def test_a_search_that_is_told_by_hand_goes_on(make):
    es = make(np.ones(3), 0.5, seed=1, max_evaluations=30)
    twin = make(np.ones(3), 0.5, seed=1, max_evaluations=90)

    def go(es):
        while not es.stop():
            X = es.ask()
            es.tell(X, objective(X))

    go(es)
    assert es.stop() == {"max_evaluations": es.evaluations}
    es.extend(max_evaluations=90)
    assert not es.stop()
    go(es)
    go(twin)
    assert es.evaluations == twin.evaluations and es.mean.tobytes() == twin.mean.tobytes()
    with pytest.raises(TypeError, match=r"max_evaluation'.*did you mean 'max_evaluations'"):
        es.extend(max_evaluation=3)
    with pytest.raises((TypeError, ValueError), match="popsize"):
        es.extend(popsize=3)


@pytest.mark.parametrize("name", ["x0", "sigma0", "seed", "popsize", "bounds", "structure"])
def test_what_belongs_to_a_search_does_not_go_with_it(name):
    es = ES(np.ones(3), 0.5, seed=1)
    value = {"x0": np.zeros(3), "structure": "diagonal", "bounds": [(0, 1)] * 3}.get(name, 4)
    with pytest.raises(ValueError, match=f"{name} does not go with es"):
        minimize(sphere, es=es, **{name: value})
    with pytest.raises(TypeError, match="es must be an ES or a RestartES"):
        minimize(sphere, es="es")


def test_points_that_come_first_twice_keep_the_budget():
    f = After(100, interrupt)
    result = minimize(f, **SEARCH, first=[[1.0, 1.0, 1.0]] * 5, max_evaluations=9)
    assert result.nfev == f.calls == 9
    seen = []
    minimize(
        lambda x: seen.append(x.tolist()) or sphere(x),
        **SEARCH,
        first=[[2.0, 1, 1], [1.0, 1, 1], [2.0, 1, 1]],
        max_evaluations=3,
    )
    assert seen[:2] == [[2.0, 1, 1], [1.0, 1, 1]] and len(seen) == 3
    bounded = minimize(sphere, **SEARCH, first=[], bounds=[(-5, 5)] * 3, max_evaluations=9)
    assert bounded.nfev == 9


def test_a_warning_that_is_an_error_carries_the_result():
    f = After(29, lambda: None)
    with pytest.raises(RuntimeWarning, match="count as missing") as caught:
        minimize(f, **SEARCH, max_evaluations=30)
    assert caught.value.result.nfev == 30 and caught.value.result.fun == f.best


@pytest.mark.slow
@pytest.mark.parametrize("make", [ES, RestartES])
def test_time_between_two_calls_does_not_count(make):
    more = {} if make is ES else {"restarts": "ipop"}
    wait = lambda x: (time.sleep(0.01), sphere(x))[1]  # noqa: E731
    part = minimize(wait, **SEARCH, max_seconds=0.2, **more)
    time.sleep(0.5)
    again = minimize(wait, es=part.es, max_seconds=0.4)
    assert again.nfev > part.nfev + 5 and 0.4 <= again.es.seconds < 0.6
    time.sleep(0.3)
    pickled = pickle.loads(pickle.dumps(again))
    time.sleep(0.3)
    assert minimize(wait, es=pickled.es, max_seconds=0.6).nfev > again.nfev + 5


def test_none_lifts_a_criterion_that_had_fired():
    part = minimize(sphere, **SEARCH, max_generations=5)
    again = minimize(sphere, es=part.es, max_generations=None, max_evaluations=100)
    assert again.nfev == 100 and list(again.stop) == ["max_evaluations"]
    endless = minimize(sphere, es=again.es, max_evaluations=np.inf, target=1e-12)
    assert list(endless.stop) == ["target"]


def test_that_nothing_was_found_is_said():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = minimize(lambda x: np.nan, **SEARCH, max_evaluations=30)
    assert "no evaluation has given a value" in result.message and not result.success


def test_integers_of_ones_own_are_integers():
    given = {"integers": [0], "bounds": [(0, 9)] * 2, "seed": 1}
    with pytest.raises(ValueError, match=r"first: coordinate 0 must be an integer; got 2\.5"):
        minimize(sphere, [3.0, 3.0], 1.0, **given, first=[[2.5, 2.5]])
    es = ES([3.0, 3.0], 1.0, **given)
    with pytest.raises(ValueError, match=r"X\[0\]: coordinate 0 must be an integer; got 2\.5"):
        es.tell([[2.5, 2.5]], [0.0])
    assert es.evaluations == 0
    es.tell([[2.0 + 9e-7, 2.5]], [0.0])  # after a file with few digits
    assert es.evaluations == 1
    with pytest.raises(ValueError, match=r"coordinate 0 must be an integer; got 2\.0000011"):
        es.tell([[2.0 + 1.1e-6, 2.5]], [0.0])


def test_a_sharded_function_that_only_raises_ends_after_a_generation():
    calls = []

    def f(X):
        calls.append(X)
        return np.smu(X)

    with ShardedES(f, np.ones(4), 0.5, "diagonal", seed=1) as es:
        with pytest.raises(EvaluationError, match=r"(?s)whole generation.*smu"):
            es.run()
        assert sum(len(X) for X in calls) <= 2 * es.popsize
