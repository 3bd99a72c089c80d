"""Threads that share an Evaluator take turns; whoever closes it tells them."""

import copy
import threading
import time

import numpy as np
import pytest

from structes import EvaluationError, Evaluator, minimize
from structes.evaluators.thread_lock import ThreadLock

pytestmark = pytest.mark.slow  # they start processes


def slow(x):
    time.sleep(0.001)
    return float(sum((i + 1) * v * v for i, v in enumerate(x)))


def all_of(jobs):
    """What functions return, or raise, that run in a thread each, all at once."""
    found = [None] * len(jobs)

    def run(k):
        try:
            found[k] = jobs[k]()
        except BaseException as error:
            found[k] = error

    threads = [threading.Thread(target=run, args=(k,), daemon=True) for k in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return found


@pytest.mark.parametrize("mode", ["generations", "steady"])
def test_searches_in_threads_give_the_values_of_one_alone(mode):
    options = {"seed": 1, "max_evaluations": 60, "structure": "diagonal"}
    alone = minimize(slow, [3.0] * 4, 1.0, **options)
    with Evaluator(2, timeout=20) as workers:
        options |= {"workers": workers, "mode": mode}
        job = lambda: minimize(slow, [3.0] * 4, 1.0, **options)  # noqa: E731
        found = all_of([job] * 3)
    assert [result.nfev for result in found] == [60] * 3
    if mode == "generations":
        assert {result.x.tobytes() for result in found} == {alone.x.tobytes()}


def test_functions_of_one_evaluator_take_turns():
    X = np.random.default_rng(1).normal(size=(30, 3))
    with Evaluator(2, timeout=20) as workers:
        functions = [
            workers.bind(lambda x, k=k: (time.sleep(0.001), k * float(x @ x))[1]) for k in range(6)
        ]
        found = all_of([lambda f=f: f(X) for f in functions])
        one = workers.bind(slow)
        same = all_of([lambda: one(X)] * 4)
    for k, values in enumerate(found):
        np.testing.assert_array_equal(values, [k * float(x @ x) for x in X])
    for values in same:
        np.testing.assert_array_equal(values, [slow(x) for x in X])


def test_who_closes_it_tells_who_is_at_it():
    workers = Evaluator(2, timeout=20)
    f = workers.bind(lambda x: (time.sleep(0.01), 1.0)[1])

    def close():
        time.sleep(0.3)
        workers.close()

    error, _ = all_of([lambda: f(np.ones((4000, 2))), close])
    assert isinstance(error, EvaluationError) and "was closed while" in str(error)
    assert f(np.ones((3, 2))).tolist() == [1.0] * 3  # and it starts again
    workers.close()


def test_points_within_points_are_refused():
    """A callback of a steady search, whose other candidates are under way."""
    with Evaluator(2, timeout=20) as workers:
        other = workers.bind(slow)
        with pytest.raises(RuntimeError, match="evaluate these by another Evaluator, or later"):
            minimize(
                slow, [3.0] * 4, 1.0, seed=1, max_evaluations=60, workers=workers, mode="steady",
                callback=lambda es: other(np.ones((2, 4))),
            )  # fmt: skip
        assert other(np.ones((2, 4))).tolist() == [10.0] * 2


def test_turns():
    turns = ThreadLock()
    assert not turns.acquire() and not turns.acquire() and turns.is_mine
    assert not copy.deepcopy(turns).is_mine
    waits = threading.Thread(target=turns.acquire)  # it ends without giving it back
    waits.start()
    time.sleep(0.05)
    assert waits.is_alive()
    turns.release()
    waits.join(5)
    assert not waits.is_alive() and not turns.is_mine
    assert turns.acquire() and turns.is_mine
