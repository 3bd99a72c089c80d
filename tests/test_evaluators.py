"""Evaluators: the values are those of the serial one, to the bit, whatever happens to the workers;
what fails is told; and nobody is left behind."""

import contextlib
import copy
import itertools
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

import numpy as np
import pytest

from structes import EvaluationError, Evaluator, Space, minimize
from structes.evaluators import build_evaluator, parallel_function, supervisor
from structes.space.number_parameters import Float, Int
from structes.space.parameters import Choice

from . import crew
from .crew import AWKWARD, X, awkward, bits, check_traps, serial

pytestmark = pytest.mark.slow  # they start processes

# -- the same bits --------------------------------------------------------------------------------

SPACE = Space(
    {"rate": Float(1e-5, 1.0, log=True), "layers": Int(1, 9), "kind": Choice("relu", "tanh")}
)


@pytest.fixture(scope="module")
def crews():
    """{number: Evaluator of so many processes}; the time limit keeps them from evaluating here."""
    with contextlib.ExitStack() as stack:
        yield {n: stack.enter_context(Evaluator(n, timeout=60)) for n in (1, 2, 3)}


def test_a_product_depends_on_its_batch():
    """Otherwise the tests below could not fail."""
    alone = np.concatenate([crew.of_rows(X[i : i + 1]) for i in range(64)])
    assert bits(alone) != bits(crew.of_rows(X))
    sizes = []
    serial(lambda rows: [sizes.append(len(rows)) or 1.0] * len(rows), vectorized=True)
    assert sizes == [2] * 32  # 64 / 32


@pytest.mark.parametrize("case", crew.CASES)
def test_processes_give_the_serial_values(case, crews):
    function, given = crew.CASES[case]
    expected = serial(function, **given)
    assert np.isfinite(expected).all()
    for evaluator in crews.values():
        f = evaluator.bind(function, **given)
        for _ in range(2):  # spans are longer the second time
            assert bits(f(X)) == bits(expected)
        assert f.errors == 0
        f.close()


@pytest.mark.parametrize("batch", [1, 5, 64, 100])
def test_the_batch_is_what_the_bits_depend_on(batch, crews):
    whole = [crew.of_rows(X[a : a + batch]) for a in range(0, 64, batch)]
    with Evaluator(2, timeout=60, batch=batch) as evaluator:
        f = evaluator.bind(crew.of_rows, vectorized=True)
        assert bits(f(X)) == bits(np.concatenate(whole))


@pytest.mark.parametrize("vectorized", [False, True])
def test_a_space(vectorized, crews):
    from functools import partial

    function = crew.of_dict
    if vectorized:
        function = lambda dicts: np.array([crew.of_dict(p) for p in dicts])  # noqa: E731
    wrap = partial(SPACE.rows, vectorized=vectorized)
    rng = np.random.default_rng(3)
    points = SPACE.x0 + 0.1 * rng.random((20, SPACE.dim))
    with Evaluator("serial") as evaluator:
        expected = evaluator.bind_rows(function, wrap, not vectorized)(points)
    assert len(set(expected)) > 5
    assert bits(crews[2].bind_rows(function, wrap, not vectorized)(points)) == bits(expected)


@pytest.mark.slow
def test_a_script_without_a_main_guard():
    script = """
import numpy as np
from structes import Evaluator
print("started")
SCALE = 3.0
class Objective:
    def __init__(self, power): self.power = power
    def __call__(self, x): return helper(x) ** self.power
def helper(x): return float(np.sum(np.sin(SCALE * x)))
X = np.random.default_rng(1).standard_normal((16, 5))
for function in (helper, Objective(3), lambda x: SCALE * helper(x)):
    values = []
    for how in ("serial", 2):
        with Evaluator(how) as evaluator:
            values.append(evaluator.bind(function)(X).tobytes().hex())
    print(values[0] == values[1] != "")
"""
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert out.stdout.split() == ["started", "True", "True", "True"], out.stderr


def test_no_points_and_one_point(crews):
    f = crews[2].bind(crew.of_point)
    assert f(X[:0]).shape == (0,)
    assert bits(f(X[3:4])) == bits(serial(crew.of_point, X[3:4]))


def test_a_strided_array(crews):
    assert bits(crews[2].bind(crew.of_point)(X[::-2])) == bits(serial(crew.of_point, X[::-2]))


def test_missing_infinite_and_integer_values(crews):
    function = lambda x: [np.nan, np.inf, 7, True, np.float32(0.1)][int(x[0])]  # noqa: E731
    f = crews[2].bind(function)
    assert bits(f(X[:5])) == bits([np.nan, np.inf, 7.0, 1.0, float(np.float32(0.1))])
    assert f.errors == 0 and f.first is None  # NaN is an answer


def test_points_may_be_written_to_in_a_worker(crews):
    def spoils(x):
        x *= 2
        return float(x.sum())

    mine = X.copy()
    assert bits(crews[2].bind(spoils)(mine)) == bits([2 * x.sum() for x in X])
    assert bits(mine) == bits(X)


def test_cheap_points_are_evaluated_here_to_the_same_bits():
    with Evaluator(2) as evaluator:
        f = evaluator.bind(crew.of_rows, vectorized=True)
        who = evaluator.bind(lambda x: float(os.getpid()))
        values = [f(X[:4]) for _ in range(5)]
        pids = [set(who(X[:4])) for _ in range(40)]  # what one costs is known after a few
    assert len({bits(v) for v in values}) == 1
    assert bits(values[0]) == bits(serial(crew.of_rows, X[:4], vectorized=True))
    assert {os.getpid()} in pids
    with Evaluator(2, timeout=60) as evaluator:  # never, where one may be ended
        who = evaluator.bind(lambda x: float(os.getpid()))
        assert all(os.getpid() not in set(who(X[:4])) for _ in range(3))


@pytest.mark.slow
def test_slow_points_are_shared_by_all_workers():
    before = set(crew.workers_of())
    with Evaluator(3) as evaluator:
        who = evaluator.bind(lambda x: (time.sleep(0.05), float(os.getpid()))[1])
        pids = set(who(X[:60]))
        assert len(pids) == 3
        assert pids == set(crew.workers_of()) - before


def test_workers_have_the_environment_asked_for_and_no_gpu():
    def look(x):
        names = ("CUDA_VISIBLE_DEVICES", "OPENBLAS_NUM_THREADS", "COLOUR")
        raise RuntimeError(repr([os.environ.get(name) for name in names]))

    for asked, expected in (
        ({}, ["", "1", None]),
        ({"COLOUR": "red", "CUDA_VISIBLE_DEVICES": "3"}, ["3", "1", "red"]),
        ({"COLOUR": 7, "OPENBLAS_NUM_THREADS": 2}, ["", "2", "7"]),
    ):
        with Evaluator(1, environment=asked) as evaluator:
            f = evaluator.bind(look)
            f(X[:1])
            assert f.failures[0].message == repr(expected)


# -- faults ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_five_traps():
    with Evaluator(3, timeout=0.5) as evaluator:
        said = check_traps(evaluator)
    assert "exit code 3" in said["exit"].message
    assert "SIGSEGV" in said["segfault"].message


@pytest.mark.slow
@pytest.mark.parametrize("what", AWKWARD)
def test_awkward_ends(what, crews):
    f = crews[1].bind(awkward(what))
    values = f(X[:5])
    assert bits(np.delete(values, 2)) == bits(np.delete(serial(crew.of_point, X[:5]), 2))
    assert np.isnan(values[2])
    (failure,) = f.failures
    kind, words = AWKWARD[what]
    assert (failure.row, failure.kind) == (2, kind)
    assert words in failure.message
    f.close()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["fork", "subprocess"])
def test_what_an_evaluation_started_ends_with_its_worker(how, tmp_path):
    def function(x):
        if how == "fork":
            pid = os.fork() or (time.sleep(1000), os._exit(0))
        else:
            pid = subprocess.Popen(["sleep", "1000"]).pid
        (tmp_path / str(int(x[0]))).write_text(str(pid))
        if x[0] == 1:
            time.sleep(1000)
        return 1.0

    with Evaluator(1, timeout=0.7) as evaluator:
        f = evaluator.bind(function)
        np.testing.assert_array_equal(f(X[1:2]), [np.nan])  # ended by its time limit
        assert f.failures[0].kind == "Timeout"
        assert crew.survivors([int((tmp_path / "1").read_text())]) == []
        assert f(X[2:3]) == [1.0]  # ended by close
        left = int((tmp_path / "2").read_text())
        assert crew.alive(left)
    assert crew.survivors([left]) == []


@pytest.mark.slow
def test_a_fork_that_comes_back_gives_no_value(crews):
    """A second answer to one call would be taken for that of the next one."""

    def function(x):
        return x[0] if os.fork() else -7.0

    f = crews[1].bind(function)
    np.testing.assert_array_equal(f(X[:20]), np.arange(20.0))
    np.testing.assert_array_equal(f(X[20:40]), np.arange(20.0, 40.0))
    f.close()


@pytest.mark.parametrize("vectorized", [False, True])
def test_a_crash_that_happens_once_leaves_no_trace(vectorized, tmp_path, crews):
    function = crew.of_rows if vectorized else crew.of_point
    crash = crew.OneCrash(tmp_path / "flag", 17, function)
    f = crews[2].bind(crash, vectorized=vectorized)
    assert bits(f(X)) == bits(serial(function, vectorized=vectorized))
    assert (tmp_path / "flag").exists() and f.errors == 0
    f.close()


def test_attempts(tmp_path):
    def function(x):
        with open(tmp_path / "log", "a") as file:
            file.write(f"{int(x[0])}\n")
        if x[0] == 0:  # the first one is alone in its call: nobody knows yet what one costs
            os._exit(1)
        return 1.0

    with Evaluator(1, attempts=3) as evaluator:
        f = evaluator.bind(function)
        np.testing.assert_array_equal(f(X[:3]), [np.nan, 1.0, 1.0])
    tried = (tmp_path / "log").read_text().split()
    assert sorted(tried) == ["0", "0", "0", "1", "2"]


def test_a_point_that_takes_too_long_is_tried_once(tmp_path):
    def function(x):
        with open(tmp_path / "log", "a") as file:
            file.write(f"{int(x[0])}\n")
        time.sleep(100 * (x[0] == 0))
        return 1.0

    with Evaluator(1, attempts=3, timeout=0.3) as evaluator:
        f = evaluator.bind(function)
        np.testing.assert_array_equal(f(X[:3]), [np.nan, 1.0, 1.0])
    assert (tmp_path / "log").read_text().split() == ["0", "1", "2"]


@pytest.mark.slow
def test_a_time_limit_holds_for_each_point_of_a_batch(crews):
    """Four rows in one call, of 0.2 s each, may take four times 0.3 s; the one that takes for ever
    does not take the others with it."""

    def function(rows):
        for x in rows:
            time.sleep(1000 if x[0] == 6 else 0.2)
        return rows[:, 0]

    with Evaluator(2, timeout=0.3, batch=4) as evaluator:
        f = evaluator.bind(function, vectorized=True)
        values = f(X[:8])
    assert np.isnan(values[6])
    np.testing.assert_array_equal(np.delete(values, 6), np.delete(np.arange(8.0), 6))
    assert [(failure.row, failure.kind) for failure in f.failures] == [(6, "Timeout")]


@pytest.mark.slow
def test_a_function_that_blocks_the_alarm_is_ended_all_the_same(monkeypatch):
    monkeypatch.setattr(supervisor, "GRACE", 0.5)

    def function(x):
        if x[0] == 1:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
            time.sleep(1000)
        return 1.0

    with Evaluator(1, timeout=0.2, attempts=1) as evaluator:
        f = evaluator.bind(function)
        began = time.monotonic()
        np.testing.assert_array_equal(f(X[:3]), [1.0, np.nan, 1.0])
        assert time.monotonic() - began < 15
        assert len(f.failures) == 1


@pytest.mark.parametrize("timeout", [1e9, 1e300, np.inf])
def test_a_time_limit_that_nobody_will_see(timeout):
    with Evaluator(1, timeout=timeout) as evaluator:
        assert bits(evaluator.bind(crew.of_point)(X[:2])) == bits(serial(crew.of_point, X[:2]))


# -- errors ---------------------------------------------------------------------------------------


def test_what_does_not_pickle_is_refused_at_once():
    import threading

    lock, before = threading.Lock(), crew.workers_of()
    with Evaluator(2) as evaluator:
        with pytest.raises(TypeError, match=r"cannot be sent to a worker.*factory=True"):
            evaluator.bind(lambda x: lock.locked())
        with pytest.raises(TypeError, match="function must be callable; got 3"):
            evaluator.bind(3)
        with pytest.raises(ValueError, match="on_error must be"):
            evaluator.bind(crew.of_point, on_error="ignore")
        assert crew.workers_of() == before  # they start when they are needed


def broken_factory():
    raise OSError("no licence")


@pytest.mark.parametrize("how", ["serial", "process"])
def test_a_factory_that_raises(how, crews):
    evaluator = Evaluator("serial") if how == "serial" else crews[1]
    f = evaluator.bind(broken_factory, factory=True)
    with pytest.raises(EvaluationError, match=r"(?s)in broken_factory.*OSError: no licence"):
        f(X)
    assert bits(evaluator.bind(crew.of_point)(X)) == bits(serial(crew.of_point))


NO_VALUES = {
    "text": (lambda x: "high", {}, "must return one real number for one point; got 'high'"),
    "complex": (lambda x: 1j, {}, "must return one real number for one point; got 1j"),
    "none": (lambda x: None, {}, "must return one real number for one point; got None"),
    "two": (lambda x: x[:2], {}, "say vectorized"),
    "text rows": (lambda X: ["high"] * len(X), {"vectorized": True}, "a real number for each row"),
    "few rows": (lambda X: X[:1, 0], {"vectorized": True}, r"2 rows must give 2 values"),
    "-inf rows": (lambda X: -np.inf * X[:, 1] ** 2, {"vectorized": True}, "must not be -inf"),
}


@pytest.mark.parametrize("what", NO_VALUES)
@pytest.mark.parametrize("how", ["serial", "process"])
def test_what_is_no_value_ends_it(how, what, crews):
    function, given, words = NO_VALUES[what]
    evaluator = Evaluator("serial") if how == "serial" else crews[2]
    f = evaluator.bind(function, **given)
    with pytest.raises(EvaluationError, match=words):
        f(X)
    f.close()


def test_on_error_raise(crews):
    f = crews[2].bind(crew.spring, on_error="raise")
    before = crews[2].bind(crew.of_point)(X)

    def boom(x):
        time.sleep(0.01)
        if x[0] == 20:
            raise ArithmeticError("no root")
        return 1.0

    f = crews[2].bind(boom, on_error="raise")
    with pytest.raises(EvaluationError, match=r"(?s)ArithmeticError: no root.*in boom"):
        f(X)
    assert not f.pending
    assert "no root" in f.traceback()
    assert bits(crews[2].bind(crew.of_point)(X)) == bits(before)


def test_exceptions_are_missing_values_and_kept(crews):
    def boom(x):
        if x[0] % 2:
            raise ArithmeticError(f"odd {x[0]:g}")
        return 1.0

    points = np.zeros((300, crew.DIM))
    points[:, 0] = np.arange(300)
    for evaluator in (crews[2], Evaluator("serial")):
        f = evaluator.bind(boom)
        values = f(points)
        np.testing.assert_array_equal(np.isnan(values), np.arange(300) % 2 == 1)
        assert f.errors == 150
        assert isinstance(f.first, EvaluationError)
        assert "ArithmeticError: odd" in f.traceback() and "in boom" in f.traceback()
        assert len(f.failures) == 100  # of the latest
        for failure in f.failures:
            assert failure.message == f"odd {failure.row}"


POOL = ThreadPoolExecutor(1)  # without a thread until it is used
WRONG = [
    ((0,), {}, ValueError, "workers"),
    ((-3,), {}, ValueError, "workers must be at least 1, or -1: one for every processor; got -3"),
    ((-1, 2), {}, ValueError, "count"),
    ((-1.0,), {}, ValueError, "workers"),
    ((ThreadPoolExecutor,), {}, ValueError, r"an Executor.*\(a class\)"),
    ((ThreadPool,), {}, ValueError, r"an Executor.*\(a class\)"),
    (("map",), {}, ValueError, "workers"),
    (("executor",), {}, ValueError, "workers"),
    (([2],), {}, ValueError, "workers"),
    ((Evaluator(2),), {}, ValueError, "workers"),
    ((Evaluator(2).bind(crew.sphere),), {}, ValueError, "workers"),
    ((2.5,), {}, ValueError, "workers"),
    ((True,), {}, ValueError, "workers"),
    ((None,), {}, ValueError, "workers"),
    (("proces",), {}, ValueError, "workers.*process"),
    ((2,), {"count": 3}, ValueError, "count"),
    (("process", 0), {}, ValueError, "count"),
    (("process", -2), {}, ValueError, "count must be at least 1, or -1"),
    (("process", "x"), {}, TypeError, "count"),
    (("ray://a:1",), {"address": "b:1"}, ValueError, "address"),
    (("process",), {"address": "b:1"}, ValueError, "address"),
    ((2,), {"resources": {"num_gpus": 1}}, ValueError, "resources"),
    ((2,), {"timeout": 0}, ValueError, "timeout"),
    ((2,), {"timeout": -1}, ValueError, "timeout"),
    ((2,), {"timeout": np.nan}, ValueError, "timeout"),
    ((2,), {"timeout": "1"}, TypeError, "timeout"),
    (("serial",), {"timeout": 1.0}, ValueError, "timeout=1.0 needs workers that can be ended"),
    (("serial",), {"max_calls": 9}, ValueError, "max_calls=9 needs workers that can be ended"),
    ((2,), {"max_calls": 0}, ValueError, "max_calls"),
    ((2,), {"max_calls": 2.5}, TypeError, "max_calls"),
    ((map,), {"timeout": 1.0}, ValueError, "timeout=1.0 needs workers that can be ended"),
    ((map,), {"max_calls": 9}, ValueError, "max_calls"),
    ((map,), {"environment": {"A": 1}}, ValueError, "environment.*that structes starts"),
    ((map,), {"resources": {"A": 1}}, ValueError, "resources.*ray"),
    ((map, 3), {}, ValueError, "count=3 needs workers that are given one call"),
    ((map,), {"finish_fraction": 0.9}, ValueError, "finish_fraction=0.9 needs workers"),
    ((POOL,), {"timeout": 1.0}, ValueError, "timeout=1.0 needs workers that can be ended"),
    ((POOL,), {"max_calls": 9}, ValueError, "max_calls"),
    ((POOL,), {"address": "a:1"}, ValueError, "address.*ray"),
    ((POOL, 0), {}, ValueError, "count"),
    ((2,), {"attempts": 0}, ValueError, "attempts"),
    ((2,), {"finish_fraction": 0}, ValueError, "finish_fraction"),
    ((2,), {"finish_fraction": 1.01}, ValueError, "finish_fraction"),
    ((2,), {"transport": "shipp"}, ValueError, "transport.*ship"),
    ((2,), {"transport": 3}, ValueError, "transport"),
    ((2,), {"batch": 0}, ValueError, "batch"),
    ((2,), {"resources": 3}, TypeError, "resources"),
    ((2,), {"environment": "A=1"}, TypeError, "environment"),
    ((2,), {"patience": 0}, ValueError, "patience"),
    ((2,), {"workerz": 0}, TypeError, "workerz"),
]


@pytest.mark.parametrize("arguments, given, kind, words", WRONG, ids=str)
def test_wrong_arguments_are_named(arguments, given, kind, words):
    with pytest.raises(kind, match=words):
        Evaluator(*arguments, **given)


def test_a_pool_that_is_no_function_is_told_which_of_its_methods_is_one():
    with ThreadPool(1) as pool, pytest.raises(ValueError, match=r"workers=pool\.map"):
        Evaluator(pool)


def test_one_for_every_processor():
    mine = len(os.sched_getaffinity(0))
    for evaluator in (
        Evaluator(-1),
        Evaluator(np.int64(-1)),
        Evaluator("process", -1),
        build_evaluator(-1),
        build_evaluator({"count": -1, "max_calls": 7}),
    ):
        assert evaluator.capacity == mine and evaluator.kind == "process"
        evaluator.close()
    assert Evaluator("ray", -1).count is None


def test_build_evaluator():
    evaluator = build_evaluator({"name": "process", "count": 2, "attempts": 5}, timeout=3.0)
    assert (evaluator.kind, evaluator.count, evaluator.attempts) == ("process", 2, 5)
    assert evaluator.timeout == 3.0
    assert build_evaluator(evaluator) is evaluator
    assert build_evaluator("ray://a:1").address == "ray://a:1"
    spec = {"count": 3}
    assert build_evaluator(spec, timeout=None).count == 3 and spec == {"count": 3}
    with pytest.raises(ValueError, match="has its own timeout"):
        build_evaluator(evaluator, timeout=1.0)
    with pytest.raises((TypeError, ValueError), match="bogus"):
        build_evaluator({"name": "process", "bogus": 1})


def test_workers_that_cannot_start(capfd):
    before = crew.workers_of()
    evaluator = Evaluator(2, environment={"PYTHONHOME": "/nowhere"})
    with evaluator, pytest.raises(EvaluationError, match="3 workers in a row ended before"):
        evaluator.bind(crew.of_point)(X)
    assert "No module named 'encodings'" in capfd.readouterr().err  # what the interpreter says
    assert crew.workers_of() == before


def test_one_thing_after_the_other(crews):
    f, g = (crews[2].bind(crew.of_point) for _ in range(2))
    (batch,) = f.submit(X)
    with pytest.raises(RuntimeError, match="other points"):
        g(X)
    while f.pending:
        f.collect()
    assert bits(batch.values) == bits(g(X))


# -- nobody is left behind ------------------------------------------------------------------------


def descriptors():
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.slow
def test_close_ends_all_and_a_second_run_works():
    before, open_before = set(crew.workers_of()), descriptors()
    evaluator, seen = Evaluator(2, timeout=60), []
    f = evaluator.bind(lambda x: (time.sleep(0.02), float(os.getpid()))[1])
    for _ in range(2):
        pids = {int(pid) for pid in f(X[:20])}
        assert pids == {int(pid) for pid in f(X[:20])}  # they stay
        assert pids == set(crew.workers_of()) - before
        seen.append(pids)
        evaluator.close()
        assert not evaluator.is_open
        assert crew.survivors(pids, 2.0) == []
        assert descriptors() == open_before
    assert not seen[0] & seen[1]
    evaluator.close()


def test_an_evaluator_that_is_forgotten_ends_its_workers():
    before = set(crew.workers_of())
    evaluator = Evaluator(1)
    evaluator.bind(crew.of_point)(X)
    (pid,) = set(crew.workers_of()) - before
    del evaluator
    import gc

    gc.collect()
    assert crew.survivors([pid], 5.0) == []


def test_abandoned_work_is_ended_and_the_rest_stays(tmp_path):
    def function(x):
        (tmp_path / f"{int(x[0])}").touch()
        time.sleep(1000 * (x[0] == 1))
        return 1.0

    with Evaluator(2) as evaluator:
        f = evaluator.bind(function)
        f.submit(X[:2])
        done = []
        crew.wait_for(lambda: done.extend(f.collect(0.1)) or (done and (tmp_path / "1").exists()))
        (left,) = f.submit(X[2:3])
        f.abandon()
        assert not f.pending
        assert np.isnan(left.values).all()
        assert f(X[4:6]).tolist() == [1.0, 1.0]


STUCK = """
import ctypes, os, subprocess, sys, time
import numpy as np
from structes import Evaluator

folder = sys.argv[1]

def stuck(x):
    kind = int(x[0])
    if kind == 2:
        with open(f"{folder}/child", "w") as file:
            file.write(str(subprocess.Popen(["sleep", "1000"]).pid))
    with open(f"{folder}/{kind}", "w") as file:
        file.write(str(os.getpid()))
    if kind == 1:
        ctypes.PyDLL(None).sleep(1000)
    time.sleep(1000)

evaluator = Evaluator(3)
f = evaluator.bind(stuck)
try:
    f(np.arange(3.0)[:, None])
finally:
    print("finally", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_when_the_driver_is_ended_its_workers_end(how, tmp_path):
    """Also one that holds Python's lock, and what one has started."""
    driver = crew.start(STUCK, tmp_path)
    names = ("0", "1", "2", "child")
    pids = []
    try:
        pids = crew.pids_in(tmp_path, names)
        assert all(map(crew.alive, pids))
        os.killpg(driver.pid, how)
        began = time.monotonic()
        out, err = driver.communicate(timeout=20)
        assert time.monotonic() - began < 5
    finally:
        driver.kill()
        left = crew.survivors(pids)
        driver.communicate(timeout=20)
    assert left == []
    assert driver.returncode == -how
    assert out.split() == ["finally"] * (how == signal.SIGINT)
    if how == signal.SIGINT:
        assert err.splitlines()[-1] == "KeyboardInterrupt"


def test_nobody_listens_to_what_is_printed():
    script = """
import os, sys
import numpy as np
from structes import Evaluator
with Evaluator(1, timeout=60) as evaluator:
    values = evaluator.bind(lambda x: print("x") or float(x[0]))(np.ones((3, 1)))
sys.stderr.write(str(values)); sys.stderr.flush()
os._exit(0)
"""
    with crew.start(script, PYTHONUNBUFFERED="") as driver:
        driver.stdout.close()
        assert driver.stderr.read().endswith("[1. 1. 1.]")
        assert driver.wait(10) == 0


def test_a_fork_of_the_driver_leaves_the_workers_alone():
    script = """
import os, sys, time
import numpy as np
from structes import Evaluator
evaluator = Evaluator(1, timeout=60)
who = evaluator.bind(lambda x: float(os.getpid()))
first = who(np.ones((1, 1)))
if os.fork() == 0:
    sys.exit(0)
os.wait()
print(first == who(np.ones((1, 1))))
"""
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert out.stdout == "[ True]\n", out.stderr


# -- workers that are replaced --------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [None, 60])
def test_workers_are_replaced_after_so_many_calls(timeout):
    before = set(crew.workers_of())
    with Evaluator(2, max_calls=20, timeout=timeout) as evaluator:
        f = evaluator.bind(crew.of_rows, vectorized=True)
        assert bits(f(X)) == bits(serial(crew.of_rows, vectorized=True))
        who = evaluator.bind(lambda x: os.getpid())
        pids = np.concatenate([who(X), who(X)]).astype(int)
        assert os.getpid() not in pids  # what leaks shall not leak here
        assert max(np.unique(pids, return_counts=True)[1]) <= 20
        alive = set(crew.workers_of()) - before
        assert len(alive) <= 2
        assert crew.survivors(set(pids.tolist()) - alive, 0.0) == []
        assert f.errors == who.errors == 0


def test_a_config_may_replace_workers():
    given = {"seed": 1, "max_evaluations": 40}
    alone = minimize(crew.sphere, np.ones(3), 0.5, **given)
    together = minimize(
        crew.sphere, np.ones(3), 0.5, workers={"count": 2, "max_calls": 12}, **given
    )
    assert together.x.tobytes() == alone.x.tobytes() and together.nfev == 40


# -- copies ---------------------------------------------------------------------------------------

COPIES = [copy.copy, copy.deepcopy, lambda its: pickle.loads(pickle.dumps(its))]


@pytest.mark.parametrize("make", COPIES)
def test_a_copy_of_an_evaluator_has_workers_of_its_own(make):
    before = set(crew.workers_of())
    with Evaluator(1, timeout=60, attempts=3) as evaluator:
        f = evaluator.bind(lambda x: float(os.getpid()))
        (pid,) = set(f(X))
        other = make(evaluator)
        assert not other.is_open and (other.timeout, other.attempts) == (60, 3)
        with other:
            assert set(other.bind(lambda x: float(os.getpid()))(X)) != {pid}
        assert set(f(X)) == {pid}
    assert set(crew.workers_of()) == before


@pytest.mark.parametrize("make", COPIES)
@pytest.mark.parametrize("how", ["serial", "process"])
def test_a_copy_of_a_bound_function(how, make, crews):
    offset = 0.25

    def function(x):
        if x[0] == 2:
            raise ValueError("two")
        return crew.of_point(x) + offset

    evaluator = crews[1] if how == "process" else Evaluator("serial")
    f = evaluator.bind(function)
    expected = f(X)
    other = make(f)
    assert other.errors == 1 and str(other.first) == str(f.first)
    assert other.failures == f.failures and other.failures is not f.failures
    assert bits(other(X)) == bits(expected) and other.errors == 2 and f.errors == 1
    assert (other.evaluator is evaluator) == (make is copy.copy)
    if other.evaluator is not evaluator:
        other.evaluator.close()
    other.close()
    assert bits(f(X)) == bits(expected)


def test_a_copy_in_another_process_is_not_taken_for_another_function(monkeypatch):
    """Nothing that came out of a pickle has a name that is given again there."""
    with Evaluator(1, timeout=60) as evaluator:
        monkeypatch.setattr(parallel_function, "_names", itertools.count())
        data = pickle.dumps(evaluator.bind(lambda x: 1.0))
        monkeypatch.setattr(parallel_function, "_names", itertools.count())  # the other process
        f = pickle.loads(data)
        others = [f.evaluator.bind(lambda x, k=k: k) for k in range(2, 5)]
        with f.evaluator:
            assert [g(X[:1])[0] for g in (f, *others)] == [1.0, 2.0, 3.0, 4.0]
            assert [g(X[:1])[0] for g in (f, *others)] == [1.0, 2.0, 3.0, 4.0]


# -- what stays in the driver, and what does not


@pytest.mark.slow
def test_a_slow_factory_is_not_under_the_timeout(tmp_path):
    """Building a simulator may take longer than an evaluation may."""
    made = tmp_path / "made"

    def factory():
        time.sleep(3.5)  # more than the timeout and its grace
        with open(made, "a") as file:
            file.write("made\n")
        return lambda x: float(x[0])

    with Evaluator(1, timeout=0.2) as evaluator:
        f = evaluator.bind(factory, factory=True)
        np.testing.assert_array_equal(f(X[:3]), X[:3, 0])
        assert f.errors == 0
    assert made.read_text() == "made\n"


def test_what_one_function_costs_says_nothing_about_another():
    with Evaluator(2) as evaluator:
        cheap, slow = evaluator.bind(lambda x: os.getpid()), evaluator.bind(slow_pid)
        for _ in range(100):  # on a busy machine it is not sure at once
            here = cheap(X[:4])
            if os.getpid() in here:
                break
        assert set(here) == {os.getpid()}  # it has noticed
        assert os.getpid() not in slow(X[:4])


def slow_pid(x):
    time.sleep(0.01)
    return os.getpid()


def test_a_factory_is_never_called_in_the_driver():
    with Evaluator(2) as evaluator:
        f = evaluator.bind(lambda: lambda x: os.getpid(), factory=True)
        for _ in range(5):
            assert os.getpid() not in f(X[:4])


def test_a_cheap_function_fails_in_the_driver_as_in_a_worker():
    def function(x):
        return "text" if x[0] == 3 else 1.0

    with Evaluator(1) as evaluator:
        f = evaluator.bind(function)
        for _ in range(4):
            f(X[:3])
        assert np.isnan(f(np.full((1, X.shape[1]), 3.0))).all() and f.errors == 1
        assert "must return one real number" in str(f.first)
    with Evaluator(1) as evaluator:
        f = evaluator.bind(function)
        with pytest.raises(EvaluationError, match="must return one real number"):
            f(np.full((1, X.shape[1]), 3.0))


def test_a_function_may_write_into_its_point():
    def function(x):
        value = float(x @ x)
        x *= 0
        return value

    for kind in ("serial", 1):
        with Evaluator(kind) as evaluator:
            f, points = evaluator.bind(function), X[:4].copy()
            for _ in range(4):
                np.testing.assert_array_equal(f(points), [float(x @ x) for x in X[:4]])
            np.testing.assert_array_equal(points, X[:4])
    same = {"x0": [3.0] * 4, "sigma0": 1.0, "seed": 1, "max_evaluations": 200}
    result = minimize(function, **same)
    assert result.nfev == 200 and result.fun == minimize(lambda x: float(x @ x), **same).fun


def test_an_exception_that_cannot_be_printed_is_a_failure():
    class Silent(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    def function(x):
        raise Silent

    with Evaluator("serial") as evaluator:
        f = evaluator.bind(function)
        assert np.isnan(f(X[:2])).all() and f.errors == 2
        assert f.failures[0].kind == "Silent"


def test_points_may_be_lists_of_rows():
    with Evaluator("serial") as evaluator:
        f = evaluator.bind(lambda x: float(x.sum()))
        np.testing.assert_array_equal(f([[1, 2], [3, 4]]), [3.0, 7.0])
        with pytest.raises(ValueError, match=r"X must be rows: shape \(n, d\)"):
            f([1.0, 2.0])
