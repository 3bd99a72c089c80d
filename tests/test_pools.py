"""Pools of the user's: the values are those of the serial evaluator, to the bit, what fails is
told as elsewhere, and the pool is its owner's before, meanwhile and afterwards."""

import copy
import gc
import multiprocessing
import os
import pickle
import random
import signal
import sys
import threading
import time
import weakref
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from multiprocessing.pool import ThreadPool

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from structes import ES, EvaluationError, Evaluator, minimize
from structes.arrays import threads
from structes.evaluators import parcels, recursion_guard
from structes.search.loop import run

from . import crew
from .crew import X, bits, serial
from .test_parallel_search import bits as bits_of
from .test_parallel_search import search

pytestmark = pytest.mark.slow  # they start processes

START = np.ones(3)


def listed(function, items):
    return [function(item) for item in items]


@pytest.fixture(scope="module")
def pool_of():
    """{name: what `workers` may be}."""
    spawn = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(3))
        processes = stack.enter_context(ProcessPoolExecutor(2, mp_context=spawn))
        pool = stack.enter_context(spawn.Pool(2))
        yield {
            "threads": threads,
            "processes": processes,
            "threads.map": threads.map,
            "processes.map": processes.map,
            "pool.map": pool.map,
            "pool.imap_unordered": pool.imap_unordered,
            "ThreadPool.map": stack.enter_context(ThreadPool(2)).map,
            "map": map,
            "listed": listed,
        }


NAMES = [
    "threads",
    "processes",
    "threads.map",
    "processes.map",
    "pool.map",
    "pool.imap_unordered",
    "ThreadPool.map",
    "map",
    "listed",
]
FOUR = ["threads", "processes", "pool.map", "map"]


# -- the same bits --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_pools_give_the_serial_values(name, pool_of):
    with Evaluator(pool_of[name]) as evaluator:
        for function, given in crew.CASES.values():
            expected = serial(function, **given)
            f = evaluator.bind(function, **given)
            for _ in range(2):  # spans are longer the second time
                assert bits(f(X)) == bits(expected)
            assert f.errors == 0
            f.close()


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["ship", "redraw"])
@pytest.mark.parametrize("name", FOUR)
def test_searches_in_pools_have_the_serial_bits(name, transport, pool_of):
    evaluator = Evaluator(pool_of[name], transport=transport)
    for what in ("rows", "auto") if transport == "redraw" else ("rows", "ipop", "space", "raises"):
        alone = search(what, **({"workers": "serial"} if what == "rows" else {}))
        together = search(what, workers=evaluator)
        assert bits_of(together) == bits_of(alone), what
        assert together.errors == alone.errors


def test_loky():
    loky = pytest.importorskip("joblib.externals.loky")
    with loky.ProcessPoolExecutor(2) as executor, Evaluator(executor) as evaluator:
        f = evaluator.bind(lambda x: crew.of_point(x) * 1.1)
        assert bits(f(X)) == bits(serial(lambda x: crew.of_point(x) * 1.1))


@pytest.mark.slow
def test_a_pool_may_start_its_workers_anew():
    """Each call meets a process that has nothing."""
    if sys.version_info < (3, 11):
        pytest.skip("max_tasks_per_child is of Python 3.11")
    spawn = multiprocessing.get_context("spawn")
    heavy = np.zeros(10_000)
    with ProcessPoolExecutor(2, mp_context=spawn, max_tasks_per_child=1) as executor:
        f = Evaluator(executor).bind(lambda x: crew.of_point(x) + heavy[0])
        assert bits(f(X[:4])) == bits(serial(crew.of_point, X[:4]))


def test_a_pool_is_its_owners():
    with ThreadPoolExecutor(2) as executor:
        for _ in range(2):
            found = minimize(crew.sphere, START, 0.5, seed=1, max_evaluations=30, workers=executor)
            assert found.nfev == 30
        assert executor.submit(abs, -3).result() == 3
        evaluator = Evaluator(executor)
        evaluator.bind(crew.sphere)(X)
        evaluator.close()
        assert executor.submit(abs, -3).result() == 3


def test_how_many_calls_a_pool_has_at_a_time():
    class Counted(Executor):
        def __init__(self):
            self.now, self.most, self.lock = 0, 0, threading.Lock()

        def submit(self, function, *arguments):
            with self.lock:
                self.now += 1
                self.most = max(self.most, self.now)
            future = Future()

            def go():
                answer = function(*arguments)
                with self.lock:
                    self.now -= 1
                future.set_result(answer)

            threading.Thread(target=go).start()
            return future

    def slow(x):
        time.sleep(0.11)  # nothing waits behind such a call
        return 1.0

    counted = Counted()
    Evaluator(counted, 3).bind(slow)(X[:9])
    assert counted.most == 3
    with ThreadPoolExecutor(5) as executor:
        assert Evaluator(executor).capacity == 5
    assert Evaluator(Counted()).capacity == Evaluator(-1).capacity


def test_an_executor_works_without_waiting():
    def uneven(x):
        time.sleep(0.02 if int(abs(x[0]) * 1e9) % 8 == 0 else 0.001)
        return float(x @ x)

    with ThreadPoolExecutor(3) as executor:
        given = {"seed": 2, "target": 1e-6, "max_evaluations": 3000}
        assert minimize(uneven, START, 1.0, workers=executor, mode="steady", **given).success
        es, late = ES(START, 1.0, popsize=12, **given), []
        f = Evaluator(executor, finish_fraction=0.7).bind(uneven)
        assert "target" in run(es, f, lambda es: late.append(es.info.late if es.info else 0))
        assert sum(late) > 0


@pytest.mark.parametrize("popsize", [None, 8])
def test_a_map_takes_whole_generations(popsize):
    with pytest.raises(ValueError, match=r"mode='steady' needs.*give the Executor itself"):
        minimize(crew.sphere, START, 1.0, workers=map, mode="steady", popsize=popsize)


# -- functions ------------------------------------------------------------------------------------


def test_a_function_that_does_not_pickle(pool_of):
    lock = threading.Lock()

    def locked(x):
        with lock:
            return crew.of_point(x)

    for name in ("threads", "threads.map", "ThreadPool.map", "map", "listed"):
        assert bits(Evaluator(pool_of[name]).bind(locked)(X)) == bits(serial(crew.of_point))
    for name in ("processes", "processes.map", "pool.map"):
        f = Evaluator(pool_of[name]).bind(locked)
        for _ in range(2):
            with pytest.raises(TypeError, match=r"cannot be sent to a worker.*factory=True"):
                f(X)
        f = Evaluator(pool_of[name]).bind(crew.sphere)
        assert bits(f(X)) == bits(serial(crew.sphere))


def test_a_factory_is_called_once_in_every_worker(tmp_path, pool_of):
    def factory():
        (tmp_path / f"{os.getpid()}-{threading.get_ident()}").touch(exist_ok=False)
        return lambda x: (time.sleep(0.01), float(x[0]))[1]

    for name, most in (("threads", 3), ("processes", 2), ("pool.map", 2)):
        f = Evaluator(pool_of[name]).bind(factory, factory=True)
        for _ in range(3):
            np.testing.assert_array_equal(f(X[:9]), np.arange(9.0))
        made = list(tmp_path.iterdir())
        assert 0 < len(made) <= most
        for path in made:
            path.unlink()


READY = []


def make_ready(value):
    READY.append(value)


def needs_readiness(x):
    return READY[0] + x[0]


def test_a_cheap_function_is_called_where_the_pool_has_made_ready_for_it():
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, make_ready, (2.5,)) as executor:
        f = Evaluator(executor).bind(needs_readiness)
        f.evaluator.supervisor.costs[f._key] = 1e-7  # processes would not be asked
        for _ in range(3):
            np.testing.assert_array_equal(f(X[:4]), 2.5 + np.arange(4))
        assert f.errors == 0


class Pickling(Executor):
    """Sends calls as pickles, each to some process, which lacks what it was not sent."""

    def __init__(self, processes):
        self.stores = [dict() for _ in range(processes)]
        self.sizes, self.moods = [], random.Random(1)

    def submit(self, *call):
        data, future = pickle.dumps(call), Future()
        self.sizes.append(len(data))
        store = self.moods.choice(self.stores)
        parcels._parcel_cache.clear()
        parcels._parcel_cache.update(store)
        function, *arguments = pickle.loads(data)
        future.set_result(function(*arguments))
        store.clear()
        store.update(parcels._parcel_cache)
        parcels._parcel_cache.clear()
        return future


def test_a_large_function_is_not_sent_to_workers_that_have_it(monkeypatch):
    monkeypatch.setattr(recursion_guard, "_is_worker", [])
    large, executor = np.ones(200_000), Pickling(3)
    f = Evaluator(executor, count=1).bind(lambda x: crew.of_point(x) + large[0] - 1)
    expected = serial(lambda x: crew.of_point(x) + large[0] - 1)
    for _ in range(60):
        assert bits(f(X)) == bits(expected)
    heavy = [size > large.nbytes for size in executor.sizes]
    assert any(heavy) and len(heavy) > 60 and not any(heavy[-30:])


def test_workers_keep_the_latest_functions_only(monkeypatch):
    monkeypatch.setattr(recursion_guard, "_is_worker", [])
    executor = Pickling(1)
    with Evaluator(executor) as evaluator:
        for k in range(3 * parcels.KEPT):
            assert evaluator.bind(lambda x, k=k: float(k))(X[:2]).tolist() == [k, k]
    assert len(executor.stores[0]) == parcels.KEPT


def test_a_function_is_forgotten_with_its_search():
    class Function:
        def __call__(self, x):
            return 1.0

    function = Function()
    left = weakref.ref(function)
    with ThreadPoolExecutor(2) as executor:
        minimize(function, START, 1.0, max_evaluations=20, workers=executor)
        del function
        gc.collect()
        assert left() is None


def test_blas_has_one_thread_while_threads_of_this_process_evaluate(monkeypatch):
    monkeypatch.setattr(threads, "blas_threads", lambda: 2)

    def numbers():
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    seen = []
    with threadpool_limits(2, user_api="blas"), ThreadPoolExecutor(2) as executor:
        for workers in (executor, executor.map, map):
            f = Evaluator(workers).bind(lambda x: seen.append(numbers()) or 1.0)
            f(X[:6])
            assert seen == [{1}] * 6 and numbers() == {2}
            seen.clear()


# -- faults ---------------------------------------------------------------------------------------

ENDS = {
    "raise": ("ValueError", "boom"),
    "sys.exit": ("WorkerDied", "SystemExit: 4"),
    "KeyboardInterrupt": ("WorkerDied", "KeyboardInterrupt"),
    "GeneratorExit": ("WorkerDied", "GeneratorExit"),
    "no pickle": ("NoPickle", "it is 2"),
}


@pytest.mark.parametrize("what", ENDS)
@pytest.mark.parametrize("name", ["threads", "processes", "threads.map", "pool.map"])
def test_awkward_ends(name, what, pool_of):
    def function(x):
        if what == "raise" and x[0] == 2:
            raise ValueError("boom")
        return awkward(x)

    awkward = crew.awkward(what)
    f = Evaluator(pool_of[name]).bind(function)
    values = f(X[:5])
    assert bits(np.delete(values, 2)) == bits(np.delete(serial(crew.of_point, X[:5]), 2))
    assert np.isnan(values[2])
    (failure,) = f.failures
    kind, words = ENDS[what]
    assert (failure.row, failure.kind) == (2, kind)
    assert words in failure.message
    assert what != "raise" or "in function" in failure.traceback


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_what_ends_the_program_ends_it_in_map_too(error):
    def function(x):
        raise error("mine")

    with pytest.raises(error, match="mine"):
        Evaluator(map).bind(function)(X)


@pytest.mark.parametrize("name", ["processes", "pool.map", "map"])
def test_on_error_raise(name, pool_of):
    f = Evaluator(pool_of[name]).bind(crew.trapped, on_error="raise")
    with pytest.raises(EvaluationError, match=r"(?s)boom.*in spring"):
        f(X[20:30])
    assert not f.pending


def test_a_module_that_a_worker_lacks_is_named(tmp_path, pool_of, monkeypatch):
    (tmp_path / "only_here.py").write_text("def f(x): return 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    import only_here

    for name in ("processes", "pool.map"):
        with pytest.raises(EvaluationError, match="No module named 'only_here'"):
            Evaluator(pool_of[name]).bind(only_here.f)(X)
        assert bits(Evaluator(pool_of[name]).bind(crew.sphere)(X)) == bits(serial(crew.sphere))


def test_a_broken_pool_is_an_error_that_says_so():
    """The supervisor replaces workers; nobody can replace those of a pool."""

    def deadly(x):
        if x[0] > 1.3:
            os._exit(3)
        return float(x @ x)

    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as executor:
        for function in (deadly, crew.sphere):
            for workers in (executor, executor.map):
                with pytest.raises(EvaluationError, match="BrokenProcessPool") as raised:
                    minimize(function, START, 0.5, seed=1, workers=workers)
                assert isinstance(raised.value.__cause__, BrokenProcessPool)


class ByHand(Executor):
    """Futures that the test completes."""

    def __init__(self):
        self.out = []

    def submit(self, *call):
        future = Future()
        self.out.append((future, call))
        return future

    def answer(self, k):
        future, (function, *arguments) = self.out[k]
        future.set_result(function(*arguments))


def test_values_that_came_before_a_pool_broke_are_told():
    executor = ByHand()
    evaluator = Evaluator(executor, 4)
    f = evaluator.bind(crew.of_point)
    (batch,) = f.submit(X[:4])
    assert f.collect(0.01) == [] and len(executor.out) == 4
    for k in (1, 3):
        executor.answer(k)
    executor.out[0][0].set_exception(BrokenProcessPool("gone"))
    executor.out[2][0].set_exception(BrokenProcessPool("gone"))
    done = f.collect()
    while not any(each.start == 3 for each in done):
        done += f.collect()
    assert sorted(each.start for each in done) == [1, 3]
    assert bits(batch.values[[1, 3]]) == bits(serial(crew.of_point, X[:4])[[1, 3]])
    with pytest.raises(EvaluationError, match="BrokenProcessPool: gone"):
        f.collect()
    f.abandon()
    assert not f.pending


def test_an_answer_of_one_seat_waits_for_the_one_before_it():
    executor = ByHand()
    f = Evaluator(executor, 1).bind(crew.of_point)
    f.evaluator.supervisor.costs[f._key] = 5e-3  # short calls: two at a time
    (batch,) = f.submit(X[:64])
    assert f.collect(0.01) == [] and len(executor.out) == 2
    executor.answer(1)
    assert f.collect(0.01) == []
    executor.answer(0)
    done = f.collect(1.0)
    assert [each.start for each in done] == [0, done[0].stop]
    assert bits(batch.values[: done[1].stop]) == bits(serial(crew.of_point)[: done[1].stop])
    f.abandon()


def test_ctrl_c_cancels_what_is_out():
    executor = ByHand()
    threading.Timer(0.3, signal.raise_signal, (signal.SIGINT,)).start()
    f = Evaluator(executor, 4).bind(crew.sphere)
    with pytest.raises(KeyboardInterrupt):
        f(X)
    assert executor.out and all(future.cancelled() for future, _ in executor.out)
    assert not f.pending


def test_cancelled_calls_are_tried_again():
    class Cancels(ByHand):
        every = 5

        def submit(self, *call):
            future = super().submit(*call)
            if len(self.out) % self.every == 0:
                assert future.cancel()
                future.set_running_or_notify_cancel()
            else:
                self.answer(-1)
            return future

    f = Evaluator(Cancels(), 2).bind(crew.of_point)
    assert bits(f(X)) == bits(serial(crew.of_point)) and f.errors == 0
    executor = Cancels()
    executor.every = 1
    f = Evaluator(executor, 2).bind(crew.of_point)
    assert np.isnan(f(X[:3])).all()
    assert {(each.kind, each.message) for each in f.failures} == {
        ("WorkerDied", "the worker ended: CancelledError: it was cancelled")
    }


def test_a_pool_that_is_closed():
    with ThreadPoolExecutor(2) as executor:
        pass
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pass
    for workers, words in (
        (executor, "cannot schedule new futures after shutdown"),
        (executor.map, "cannot schedule new futures after shutdown"),
        (pool.map, "Pool not running"),
    ):
        with pytest.raises(EvaluationError, match=words):
            minimize(crew.sphere, START, 1.0, workers=workers)


def some(function, items):
    return listed(function, items[1:])


def twice(function, items):
    return [function(items[0]) for _ in items]


def breaks_off(function, items):
    yield function(items[0])
    raise OSError("the network")


WRONG = {
    "fewer": (some, "a result for each of 64 items; got 63"),
    "one twice": (twice, "must give, for each item of a list, what the function returns"),
    "others": (lambda function, items: [1] * len(items), r"returns for it; got 1$"),
    "none": (lambda function, items: None, "TypeError: 'NoneType' object is not iterable"),
    "raises": (lambda function, items: 1 / 0, "ZeroDivisionError: division by zero"),
    "breaks off": (breaks_off, "OSError: the network"),
    "no map": (abs, "TypeError: abs"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_map(what):
    workers, words = WRONG[what]
    f = Evaluator(workers).bind(crew.of_point)
    for _ in range(2):
        with pytest.raises(EvaluationError, match=words):
            f(X)
        assert not f.pending


def test_a_map_may_give_its_results_in_any_order_and_more_of_them():
    def reverse(function, items):
        return listed(function, items)[::-1]

    def endless(function, items):
        while True:
            yield from listed(function, items)

    for workers in (reverse, endless):
        f = Evaluator(workers).bind(crew.of_point)
        for _ in range(2):
            assert bits(f(X)) == bits(serial(crew.of_point))


class NoFuture:
    def submit(self, function, *arguments):
        return function(*arguments)


class Strange(Executor):
    def submit(self, function, *arguments):
        future = Future()
        future.set_result(42)
        return future


def test_what_is_no_executor():
    with pytest.raises(EvaluationError, match="no attribute 'add_done_callback'"):
        Evaluator(NoFuture()).bind(crew.sphere)(X)
    with pytest.raises(EvaluationError, match=r"must return what the function.*got 42"):
        Evaluator(Strange()).bind(crew.sphere)(X)


def test_a_pool_can_be_neither_copied_nor_sent():
    with ThreadPoolExecutor(1) as executor:
        for make in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="its pool belongs to this process"):
                make(Evaluator(executor))
