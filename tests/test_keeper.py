"""Nothing of a worker stays: not what its function has started, not one that has been stopped,
also where the driver, the worker or its keeper is killed. And a worker that is stopped holds up
nobody."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from structes import EvaluationError, Evaluator, minimize
from structes.evaluators import process
from structes.evaluators.process import Processes

from . import crew, torture
from .crew import X, bits, serial

pytestmark = [
    pytest.mark.slow,  # they start processes
    pytest.mark.skipif(sys.platform != "linux", reason="keepers need Linux"),
]


@pytest.fixture
def tag():
    """A word in the environment of workers, and so in that of all that they start."""
    word = os.urandom(8).hex()
    yield word
    for pid in torture.tagged(word):
        os.kill(pid, signal.SIGKILL)


def evaluator(count, tag, **given):
    return Evaluator(count, environment={torture.TAG: tag}, **given)


def ended(tag, seconds=5.0):
    return crew.survivors(torture.tagged(tag), seconds) == []


def sleepers(x):
    """Starts what would outlive it: in sessions, and with parents, of their own."""
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
    subprocess.Popen(["sh", "-c", "setsid sh -c 'sleep 1000 & sleep 1000' &"])
    if os.fork() == 0:
        os.setsid()
        time.sleep(1000)
        os._exit(0)
    return float(x @ x)


# -- what a function starts -----------------------------------------------------------------------


def test_what_has_left_the_session_ends_at_close(tag):
    with evaluator(2, tag, timeout=30) as its:
        assert bits(its.bind(sleepers)(X[:4])) == bits(serial(crew.sphere, X[:4]))
        assert (
            len(torture.tagged(tag)) >= 4 + 4 * 4
        )  # keepers, workers, and what these have started
    assert ended(tag, 0.0)


@pytest.mark.parametrize("how", ["exit", "crash", "timeout", "max_calls"])
def test_what_has_left_the_session_ends_with_its_worker(how, tag):
    def function(x):
        value = sleepers(x)
        if how == "exit" and x[0] == 1:
            os._exit(3)
        if how == "crash" and x[0] == 1:
            os.kill(os.getpid(), signal.SIGSEGV)
        if how == "timeout" and x[0] == 1:
            time.sleep(1000)
        return value

    given = {"max_calls": 1} if how == "max_calls" else {"timeout": 1.0, "attempts": 1}
    with evaluator(1, tag, **given) as its:
        f = its.bind(function)
        f(X[1:2])
        end = time.monotonic() + 5
        while len(torture.tagged(tag)) > 0 and time.monotonic() < end:
            time.sleep(0.01)
        assert torture.tagged(tag) == []
        words = {"exit": "exit code 3", "crash": "SIGSEGV", "timeout": "it took longer than 1 s"}
        if how in words:
            assert words[how] in f.failures[0].message


ALONE = """
import os, subprocess, sys, time
import numpy as np
from structes import Evaluator
def f(x):
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
    return float(x @ x)
with Evaluator(2) as evaluator:
    g = evaluator.bind(f)
    g(np.ones((4, 3)))
    print("ready", flush=True)
    time.sleep(1000)
"""


@pytest.mark.parametrize("stop", ["", "workers", "keepers", "both"])
def test_a_driver_that_is_killed_leaves_nothing(stop, tag):
    driver = crew.start(ALONE, **{torture.TAG: tag})
    try:
        assert driver.stdout.readline() == "ready\n"
        stopped = crew.workers_of(driver.pid) * (stop in ("workers", "both"))
        stopped += crew.keepers_of(driver.pid) * (stop in ("keepers", "both"))
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
    finally:
        driver.kill()
        driver.communicate(timeout=20)
    assert ended(tag)


FORKED = ALONE.replace(
    'print("ready"',
    """
    if os.fork() == 0:
        os.setsid()
        os.closerange(0, 3)
        time.sleep(1000)
        os._exit(0)
    print("ready\"""",
)


def test_a_fork_of_a_driver_does_not_keep_its_workers(tag):
    """It has the other ends of their lifelines, unless it closes them."""
    driver = crew.start(FORKED, **{torture.TAG: tag})
    assert driver.stdout.readline() == "ready\n"
    workers = crew.workers_of(driver.pid) + crew.keepers_of(driver.pid)
    assert len(workers) == 4
    driver.kill()
    driver.communicate(timeout=20)
    left = crew.survivors(workers, 5.0)
    for pid in torture.tagged(tag):  # the fork, which lives on
        os.kill(pid, signal.SIGKILL)
    assert left == []


def test_a_keeper_that_is_killed(tag):
    with evaluator(1, tag, timeout=30) as its:
        f = its.bind(sleepers)
        f(X[:2])
        before = torture.tagged(tag)
        os.kill(its.supervisor.slots[0].worker.process.pid, signal.SIGKILL)
        assert bits(f(X[:2])) == bits(serial(crew.sphere, X[:2]))
        assert crew.survivors(before, 1.0) == []
    assert ended(tag, 0.0)


def test_zombies_do_not_pile_up(tag):
    """What is orphaned becomes the keeper's child, which must bury it."""

    def function(x):
        subprocess.run(["sh", "-c", "true & true &"])
        return float(x @ x)

    with evaluator(1, tag, timeout=30) as its:
        its.bind(function)(X[:30])
        (keeper,) = crew.keepers_of()
        crew.wait_for(lambda: len(crew.children_of(keeper)) == 1, 5.0)


# -- workers that are stopped ---------------------------------------------------------------------


def stopped_pids(whom):
    pids = crew.workers_of() if whom == "workers" else crew.keepers_of()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    return pids


@pytest.mark.parametrize("whom", ["workers", "keepers"])
@pytest.mark.parametrize("dim", [5, 300_000])
def test_stopped_workers_are_replaced(dim, whom):
    """They read nothing: what is sent to them does not fit into the line."""
    points = np.ones((4, dim))
    with Evaluator(2, timeout=0.5) as its:
        f = its.bind(crew.sphere)
        f(points)
        stopped_pids(whom)
        began = time.monotonic()
        assert f(points).tolist() == [float(dim)] * 4
        assert time.monotonic() - began < 15 and f.errors == 0
    assert crew.keepers_of() == []


def test_a_worker_that_is_stopped_before_it_has_made_the_function():
    """It is not waited for as one is that takes long to make it."""
    with Evaluator(1, timeout=0.5) as its:
        its.bind(crew.sphere)(X[:2])  # a worker is there
        stopped_pids("workers")
        began = time.monotonic()
        assert its.bind(lambda x: float(x @ x) + 1)(X[:2]).size == 2
        assert time.monotonic() - began < 15


def test_a_stopped_worker_holds_up_neither_others_nor_the_end():
    with Evaluator(2) as its:
        f = its.bind(lambda x: time.sleep(0.005) or float(x @ x))
        f(X[:8])
        pid = crew.workers_of()[0]
        os.kill(pid, signal.SIGSTOP)
        (batch,) = f.submit(X)
        done, end = 0, time.monotonic() + 2.0
        while time.monotonic() < end:
            done += sum(each.stop - each.start for each in f.collect(0.1))
        assert 0 < done < len(X)
        os.kill(pid, signal.SIGCONT)
        while f.pending:
            f.collect(1.0)
        assert bits(batch.values) == bits(serial(crew.sphere))
        os.kill(pid, signal.SIGSTOP)
        f.submit(X)
        began = time.monotonic()
    assert time.monotonic() - began < 3 and not crew.alive(pid)


def test_a_worker_that_is_stopped_while_it_starts(monkeypatch):
    monkeypatch.setattr(Processes, "start_limit", 1.0)
    hire, hired = Processes.start_worker, []

    def stopped(self):
        worker = hire(self)
        if not hired:
            os.kill(worker.process.pid, signal.SIGSTOP)
        hired.append(worker)
        return worker

    monkeypatch.setattr(Processes, "start_worker", stopped)
    with Evaluator(1, timeout=30) as its:
        began = time.monotonic()
        assert bits(its.bind(crew.sphere)(X[:3])) == bits(serial(crew.sphere, X[:3]))
        assert time.monotonic() - began < 10 and len(hired) > 1


def test_a_keeper_that_does_not_end_is_killed(monkeypatch):
    monkeypatch.setattr(process, "_ask", lambda worker: None)
    monkeypatch.setattr(process, "_ASKED", 0.2)
    with Evaluator(2, timeout=30) as its:
        its.bind(crew.sphere)(X[:4])
        pids = [*crew.keepers_of(), *crew.workers_of()]
        began = time.monotonic()
    assert time.monotonic() - began < 3 and pids
    assert crew.survivors(pids, 1.0) == []


# -- what functions do to their descriptors -------------------------------------------------------


def every(act):
    for fd in range(3, 1100):
        with contextlib.suppress(OSError):
            act(fd)


HARM = {
    "noise": lambda: every(lambda fd: os.write(fd, b"\0\0\0\5hello")),
    "half a frame": lambda: every(lambda fd: os.write(fd, b"\0")),
    "much noise": lambda: every(lambda fd: os.write(fd, b"x" * 10**5)),
    "read": lambda: every(lambda fd: (os.set_blocking(fd, False), os.read(fd, 10))),
    "close": lambda: os.closerange(3, 1100),
    "shut": lambda: every(lambda fd: os.dup2(0, fd)),
}


@pytest.mark.parametrize("timeout", [None, 5.0])
@pytest.mark.parametrize("harm", HARM)
def test_a_function_at_its_descriptors(harm, timeout):
    """Also those that are out of its reach. It costs the evaluation at most, and no time."""

    def function(x):
        if x[0] == 2:
            HARM[harm]()
        return crew.of_point(x)

    with Evaluator(2, timeout=timeout, attempts=1) as its:
        f = its.bind(function)
        f(X[:2])
        began = time.monotonic()
        values = f(X[:20])
        assert time.monotonic() - began < 12
    right = serial(crew.of_point, X[:20])
    assert bits(np.delete(values, 2)) == bits(np.delete(right, 2))
    assert np.isnan(values[2]) or values[2] == right[2]
    if np.isnan(values[2]):
        assert f.failures[0].kind == "WorkerDied"


@pytest.mark.parametrize("timeout", [None, 60.0])
def test_half_an_answer(timeout, monkeypatch):
    """As it is where a worker is ended, or hangs, in the middle of it: the rest never comes."""
    monkeypatch.setattr(process, "STALL", 0.5)

    def function(x):
        if x[0] == 2:
            import gc

            from structes.evaluators.framed_socket import WorkerEnd, _framed

            (line,) = (thing for thing in gc.get_objects() if isinstance(thing, WorkerEnd))
            whole = b"".join(_framed(bytes(line._worker_mark), line._n_sent, b"answer"))
            os.write(line._fd, whole[:-3])
            time.sleep(1000)
        return crew.of_point(x)

    with Evaluator(1, timeout=timeout, attempts=1) as its:
        f = its.bind(function)
        began = time.monotonic()
        values = f(X[:5])
        assert time.monotonic() - began < 10
    assert np.flatnonzero(np.isnan(values)).tolist() == [2]
    assert "wrote into its line" in f.failures[0].message


# -- workers that cannot start --------------------------------------------------------------------


def test_as_many_workers_as_there_can_be(monkeypatch):
    popen, started = subprocess.Popen, []

    def full(*arguments, **given):
        if len(started) >= 2:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        started.append(popen(*arguments, **given))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", full)
    with Evaluator(6, timeout=30) as its:
        f = its.bind(lambda x: time.sleep(0.02) or float(x @ x))
        with pytest.warns(RuntimeWarning, match="others go on.*temporarily unavailable") as said:
            assert bits(f(X)) == bits(serial(crew.sphere))
        assert len(said) == 1 and len(its.supervisor.slots) == 2


def test_no_worker_at_all(monkeypatch):
    def full(*arguments, **given):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", full)
    before = len(os.listdir("/proc/self/fd"))
    with Evaluator(2, patience=1.5) as its:
        began = time.monotonic()
        with pytest.raises(EvaluationError, match=r"no worker .* for 1\.5 s.*unavailable"):
            its.bind(crew.sphere)(X)
        assert time.monotonic() - began < 5
    assert len(os.listdir("/proc/self/fd")) == before


def test_few_descriptors():
    script = """
import resource, time
resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
import warnings; warnings.simplefilter("ignore")
import structes
f = lambda x: (time.sleep(0.002), float(x @ x))[1]
given = {"x0": [1.0] * 3, "sigma0": 1.0, "seed": 1, "max_evaluations": 200}
print(structes.minimize(f, workers=16, **given).fun == structes.minimize(f, **given).fun)
"""
    done = crew.start(script)
    out, err = done.communicate(timeout=60)
    assert out == "True\n", err


def test_a_replacement_that_cannot_make_the_function(tmp_path):
    """Others have made it and go on."""

    def made():
        try:
            (tmp_path / f"licence {sum(1 for _ in tmp_path.iterdir())}").touch(exist_ok=False)
        except FileExistsError:
            raise RuntimeError("no licence is left") from None
        if len(list(tmp_path.iterdir())) > 2:
            raise RuntimeError("no licence is left")
        return lambda x: (time.sleep(0.01), os.getpid())[1]

    with Evaluator(2, timeout=30) as its:
        f = its.bind(made, factory=True)
        first, *_ = sorted(set(f(X)))
        os.kill(int(first), signal.SIGKILL)
        with pytest.warns(RuntimeWarning, match="RuntimeError: no licence is left"):
            pids = set(f(X))
        assert len(pids) == 1 and first not in pids and f.errors == 0
        os.kill(int(*pids), signal.SIGKILL)
        with pytest.raises(EvaluationError, match="no licence is left"):
            f(X)


# -- memory ---------------------------------------------------------------------------------------


def greedy(x):
    return float(np.ones(int(1e8)).sum()) if x[0] == 1 else float(x @ x)


def test_a_limit_of_memory():
    with Evaluator(2, limits={"memory": "500MB"}) as its:
        f = its.bind(greedy)
        values = f(X[:5])
        (failure,) = f.failures
    assert (failure.row, failure.kind) == (1, "MemoryError")
    assert bits(np.delete(values, 1)) == bits(np.delete(serial(crew.sphere, X[:5]), 1))


def test_a_worker_that_dies_of_its_limit_says_so():
    def function(x):
        if x[0] == 1:
            try:
                np.ones(int(1e8))
            except MemoryError:  # as a library does that is no Python
                os.abort()
        return float(x @ x)

    with Evaluator(1, limits={"memory": 5 * 10**8}, attempts=1) as its:
        f = its.bind(function)
        f(X[:3])
        assert "SIGABRT (its memory limit is 500 MB)" in f.failures[0].message


def test_a_config_may_limit_memory():
    given = {"seed": 1, "max_evaluations": 40}
    workers = {"name": "process", "count": 2, "limits": {"memory": "1GB"}}
    alone = minimize(crew.sphere, np.ones(3), 0.5, **given)
    assert minimize(crew.sphere, np.ones(3), 0.5, workers=workers, **given).fun == alone.fun


# -- all at once ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_torture():
    number = random.randrange(10**6)
    for k in range(4):
        print("case", number + k)
        torture.case(number + k)
