"""Functions for workers, and looks at who is alive; light, for workers import it."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from math import inf
from pathlib import Path

import numpy as np
import psutil

from structes import Evaluator
from structes.evaluators.channel import Channel, Event
from structes.evaluators.worker import Runner

DIM = 24
MATRIX = np.random.default_rng(5).standard_normal((DIM, 17))
ME = "structes.evaluators.worker"  # in the command line of a worker process


def points(n, seed=0):
    """(n, DIM) points; the first number of each is its row."""
    X = np.random.default_rng(seed).standard_normal((n, DIM))
    X[:, 0] = np.arange(n)
    return X


# -- objectives -----------------------------------------------------------------------------------


def of_point(x):
    """A sum whose bits show the order of its terms."""
    return float(np.sum(np.sin(x @ MATRIX) * 1e3) + x[0])


def of_rows(X):
    """A matrix product: the last bit of a row depends on the rows that it is computed with."""
    return (np.cos(X @ MATRIX) @ MATRIX.T).sum(axis=1) * 1e3


def sphere(x):
    return float(x @ x)


def slow_sphere(x):
    """Unequal durations, 0 … 4 ms, that follow from the point."""
    time.sleep(0.004 * (abs(float(x[0])) * 1e3 % 1))
    return float(x @ x)


def made():
    """A factory of what does not pickle."""
    lock = __import__("threading").Lock()

    def function(x):
        with lock:
            return of_point(x)

    return function


class Instance:
    """A callable object."""

    def __init__(self, offset):
        self.offset = offset

    def __call__(self, x):
        return of_point(x) + self.offset


def closure(offset):
    return lambda x: of_point(x) + offset


CASES = {  # name: (function, arguments of `bind`)
    "point": (of_point, {}),
    "rows": (of_rows, {"vectorized": True}),
    "factory": (made, {"factory": True}),
    "factory of rows": (lambda: of_rows, {"factory": True, "vectorized": True}),
    "lambda": (lambda x: of_point(x) * 1.1, {}),
    "closure": (closure(0.1), {}),
    "instance": (Instance(0.3), {}),
}


def of_dict(p):
    return p["rate"] * 1e3 + p["layers"] + {"relu": 0.1, "tanh": 0.7}[p["kind"]]


TRAPS = {5: "exit", 17: "sleep", 23: "raise", 40: "lock", 58: "segfault"}


def spring(trap):
    """Fall into a trap."""
    if trap == "exit":
        os._exit(3)
    if trap == "sleep":
        time.sleep(10**6)
    if trap == "raise":
        raise ValueError("boom")
    if trap == "lock":
        ctypes.PyDLL(None).sleep(10**6)  # holds Python's lock
    if trap == "segfault":
        ctypes.string_at(0)


def trapped(x):
    """of_point, but for points whose row is in TRAPS."""
    spring(TRAPS.get(int(x[0])))
    return of_point(x)


class NoPickle(Exception):
    def __reduce__(self):
        raise TypeError("not me")


class OneCrash:
    """`function`, whose evaluation of row `row` ends its worker the first time."""

    def __init__(self, flag, row, function=of_point):
        self.flag, self.row, self.function = str(flag), row, function

    def __call__(self, x):
        if self.row in np.atleast_2d(x)[:, 0] and not os.path.exists(self.flag):
            Path(self.flag).touch()
            os._exit(9)
        return self.function(x)


# -- what must be so, whatever the workers are ----------------------------------------------------

X = points(64)


def bits(values):
    return np.asarray(values).tobytes()


def serial(function, points=X, **given):
    with Evaluator("serial") as evaluator:
        return evaluator.bind(function, **given)(points)


def check_traps(evaluator):
    """Of 64 points five are traps: the others have their values, and these five the reason."""
    f = evaluator.bind(trapped)
    values = f(X)
    assert set(np.flatnonzero(np.isnan(values))) == set(TRAPS)
    rest = np.setdiff1d(np.arange(64), list(TRAPS))
    assert bits(values[rest]) == bits(serial(of_point)[rest])
    assert f.errors == 5
    said = {TRAPS[failure.row]: failure for failure in f.failures}
    assert len(said) == 5
    kinds = {trap: failure.kind for trap, failure in said.items()}
    assert kinds == {
        "exit": "WorkerDied",
        "sleep": "Timeout",
        "raise": "ValueError",
        "lock": "Timeout",
        "segfault": "WorkerDied",
    }
    assert said["raise"].message == "boom"
    assert "in spring" in said["raise"].traceback
    assert f"longer than {evaluator.supervisor.timeout:g} s" in said["sleep"].message
    assert bits(f(X[rest])) == bits(values[rest])  # fine afterwards
    f.close()
    return said


def awkward(what):
    """Functions that take row 2 for something that is no plain exception."""

    def function(x):
        if x[0] == 2:
            if what == "sys.exit":
                sys.exit(4)
            if what == "KeyboardInterrupt":
                raise KeyboardInterrupt
            if what == "GeneratorExit":
                raise GeneratorExit
            if what == "no pickle":
                raise NoPickle("it is 2")
            if what == "recursion":
                return function(x)
            if what == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
        return of_point(x)

    return function


AWKWARD = {
    "sys.exit": ("WorkerDied", "exit code 4"),
    "KeyboardInterrupt": ("WorkerDied", "exit code 1"),
    "GeneratorExit": ("WorkerDied", "exit code 1"),
    "no pickle": ("NoPickle", "it is 2"),
    "recursion": ("RecursionError", "recursion"),
    "kill": ("WorkerDied", "out of memory"),
}


# -- who is alive ---------------------------------------------------------------------------------


def alive(pid):
    """Is there a process of this id that runs?"""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def survivors(pids, seconds=8.0):
    """Those that still run after so many seconds, at most; they are ended, to be on the safe
    side."""
    end = time.monotonic() + seconds
    while (left := [pid for pid in pids if alive(pid)]) and time.monotonic() < end:
        time.sleep(0.02)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return left


def _named(children):
    """Those of some processes that have ME in their command line, and run."""
    found = []
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            if ME in " ".join(child.cmdline()) and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
    return found


def keepers_of(pid=None):
    """Ids of the processes that a process has started as its workers."""
    return sorted(child.pid for child in _named(psutil.Process(pid).children()))


def workers_of(pid=None):
    """Ids of the processes in which the functions of a process are evaluated: children of those
    that it has started, where these are keepers."""
    found = []
    for child in _named(psutil.Process(pid).children()):
        with contextlib.suppress(psutil.NoSuchProcess):
            found += _named(child.children()) or [child]
    return sorted(child.pid for child in found)


def children_of(pid=None):
    """Ids of all that a process has started."""
    return sorted(child.pid for child in psutil.Process(pid).children(recursive=True))


def wait_for(true, seconds=30.0):
    """Wait until `true()`; AssertionError if that takes too long."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.01)


def pids_in(folder, names, seconds=30.0):
    """The numbers of the processes that write them to files of these names, when all have."""
    paths = [Path(folder) / name for name in names]
    wait_for(lambda: all(path.exists() and path.read_text() for path in paths), seconds)
    return [int(path.read_text()) for path in paths]


def start(script, *arguments, **environment):
    """A Python process of a script's text, in a group of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **environment},
    )


# -- a transport that is never kind ---------------------------------------------------------------


class Clock:
    """Stands for the module `time`."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


class _Clerk:
    """A worker of Chaos."""

    def __init__(self):
        self.runner, self.calls, self.due, self.begun = Runner(), [], None, 0.0
        self.ready = self.silent = False
        self.rows = 0  # that it was ever given


class Chaos(Channel):
    """Workers in this process that answer in any order, die, or say nothing more; one that dies
    may take the answer of its call before with it.

    moods     random.Random
    count     how many at most; how many there can be changes all the time
    unit      {row: that of its batch}; no row is hit by bad luck so often that it is a failure
    deadly    rows that end their worker; slow: rows that its alarm ends, after timeout
    attempts, max_calls  as for the supervisor
    luck      how likely it is bad

    calls     [(rows, unit)] of all calls; tries: {row: [(rows, unit)]} of those that ended with
              their worker
    """

    POLLS = 50_000

    def __init__(
        self,
        moods,
        clock,
        count,
        unit,
        *,
        deadly=(),
        slow=(),
        attempts=2,
        luck=0.2,
        max_calls=None,
    ):
        super().__init__()
        self.max_calls = max_calls or inf
        self.moods, self.clock, self.count, self.unit = moods, clock, count, unit
        self.deadly, self.slow, self.attempts, self.luck = set(deadly), set(slow), attempts, luck
        self.depth = moods.choice((1, 2, 3))
        self.latency = moods.choice((0.0, 1e-4, 1e-2))
        self.clerks, self.hits, self.tries, self.calls = [], {}, {}, []
        self.polls = self.stillborn = 0

    def capacity(self):
        return self.moods.randint(0 if self.moods.random() < 0.2 else 1, self.count)

    def start_worker(self):
        self.clerks.append(_Clerk())
        return self.clerks[-1]

    def put(self, worker, key, thing):
        worker.runner.put(key, self.packed(key, thing))

    def drop(self, worker, key):
        worker.runner.drop(key)

    def send(self, worker, call):
        assert worker.ready
        assert len(worker.calls) < self.depth
        assert worker.rows < self.max_calls
        worker.rows += len(call.points)
        assert worker.rows < self.max_calls + call.unit
        if not worker.calls:
            worker.begun = self.clock and self.clock.now
        worker.calls.append(call)
        self.calls.append((_numbers(call), call.unit))

    def poll(self, seconds):
        self.polls += 1
        assert self.polls < self.POLLS, "it loops for ever"
        some = self.moods.sample(self.clerks, self.moods.randint(0, len(self.clerks)))
        some += [c for c in self.clerks if c.due is not None and c not in some]  # alarms are exact
        events = [event for clerk in some for event in self._act(clerk)]
        if not events:
            self.clock.now += seconds
        return events

    def _act(self, clerk):
        lucky = self.moods.random() >= self.luck
        if clerk.silent:
            return []
        if clerk.due is not None:
            return [self._gone(clerk)] if self.clock.now >= clerk.due else []
        if not clerk.ready:
            if not lucky and self.stillborn < 2:  # three in a row would be too many
                self.stillborn += 1
                return [self._gone(clerk)]
            clerk.ready, self.stillborn = True, 0
            return [Event(clerk)]
        if not clerk.calls:
            return [] if lucky or self.moods.random() < 0.7 else [self._gone(clerk)]
        call = clerk.calls[0]
        rows = _numbers(call)
        if not lucky and all(self._may_be_hit(row, call) for row in rows):
            for row in rows:
                self.hits[row] = self.hits.get(row, 0) + 1
            self._tried(rows, call)
            if call.timeout is not None and self.moods.random() < 0.5:
                clerk.silent = True
                return []
            return [self._gone(clerk)]
        for a in range(0, len(rows), call.unit):
            unit = set(rows[a : a + call.unit])
            if unit & self.slow:
                clerk.due = clerk.begun + call.timeout * len(unit)
                return []
            if unit & self.deadly:
                self._tried(rows, call)
                return [self._gone(clerk)]
        if not lucky and self._ends(clerk.calls[1:2]):  # before its answer has left
            for row in rows:
                self.hits[row] = self.hits.get(row, 0) + 1
            return [self._gone(clerk)]
        clerk.calls.pop(0)
        cost = self.moods.choice((1e-5, 1e-3, 1e-2)) * len(rows)
        self.clock.now += cost
        clerk.begun = self.clock.now
        return [Event(clerk, clerk.runner.run(call._replace(timeout=None))._replace(seconds=cost))]

    def _ends(self, calls):
        first = [set(_numbers(call)[: call.unit]) for call in calls]
        return any(self.deadly & rows and not self.slow & rows for rows in first)

    def _may_be_hit(self, row, call):
        whole = call.unit == self.unit[row]
        return whole and self.hits.get(row, 0) < self.attempts - 1

    def _tried(self, rows, call):
        for row in rows:
            self.tries.setdefault(row, []).append((tuple(rows), call.unit))

    def _gone(self, clerk):
        self.clerks.remove(clerk)
        return Event(clerk, ending="bad luck")

    def end_worker(self, worker):
        self.clerks.remove(worker)

    def close(self):
        self.clerks.clear()


def _numbers(call):
    return call.points[:, 0].astype(int).tolist()
