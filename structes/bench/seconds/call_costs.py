"""What the calls of workers cost on this machine, and whether predictions from it come true.

The parts that `prediction.Costs` names are measured one by one: what a call costs the driver, with
few workers and with each further one, which do not exist here and answer by themselves (`Absent`);
what a byte costs; how long an answer takes; what ask and tell take. `validate` measures whole
generations of a few workers beside their prediction.
"""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from multiprocessing import Pipe, connection
from typing import NamedTuple

import numpy as np

from ...arrays import noise
from ...evaluators import Evaluator
from ...evaluators.channel import Channel, Event
from ...evaluators.spans import Batch
from ...evaluators.supervisor import Supervisor
from ...evaluators.worker import Call, Outcome
from ...search.es import ES
from .prediction import Costs, simulate
from .throughput import D, sleep, warm_up


def nothing(X):
    """The cheapest function of rows there is."""
    return X[:, 0] * 0.0


def measure_costs(kind: str, calls: int = 400) -> Costs:
    """Of the workers of one kind on this machine; Ray must run, if it is that."""
    rows = 256
    began = time.perf_counter()
    # a time limit: who asks for one gets workers however cheap the function is
    with Evaluator(kind, 1, timeout=1e6) as evaluator:
        evaluator.bind(nothing, vectorized=True)(np.zeros((2, D)))
        start = time.perf_counter() - began
    with Evaluator(kind, 2, timeout=1e6, batch=rows) as evaluator:
        f = evaluator.bind(nothing, vectorized=True)
        X = np.zeros((rows, D))
        _stream(f, X, 8)
        small = [_stream(f, X[:1], calls) for _ in range(3)]
        large = [_stream(f, X, calls // 4) for _ in range(3)]
        trips = []
        for _ in range(100):
            began = time.perf_counter()
            f(X[:1])
            trips.append(time.perf_counter() - began)
        transport = evaluator.supervisor.channel
        depth, rule = transport.depth, transport.latency
    call, process = np.min(small, axis=0)
    beside = max(0.0, process - call)
    byte = (np.min(large, axis=0)[1] - process) / ((rows - 1) * D * 8)
    latency = max(0.0, float(np.median(trips)) - call - beside)
    wake, event = scan_costs()
    wake += {"process": _pipe_cost, "ray": _ray_cost}[kind]()
    constants = (call, beside, wake, event, max(0.0, byte), latency)
    return Costs(*map(float, constants), depth=depth, rule=rule, start=start)


def _stream(f, X, calls, window=4):
    """Seconds of this thread, and of this process, for each of many calls, few at a time."""
    began, sent, done = (time.thread_time(), time.process_time()), 0, 0
    while done < calls:
        while sent < calls and sent - done < window:
            f.submit(X)
            sent += 1
        done += len(f.collect())
    return [(now() - b) / calls for now, b in zip(_CLOCKS, began, strict=True)]


_CLOCKS = (time.thread_time, time.process_time)


class Absent(Channel):
    """Workers that answer by themselves, some at each poll, here and there: what is left is the
    supervisor's own time.

    seconds   that they say a point took
    """

    def __init__(self, count: int, answers: int = 1, seconds: float = 1.0):
        super().__init__()
        self.count, self.answers, self.seconds = count, answers, seconds
        self.events, self.calls, self.busy, self.picked = [], {}, [], 0

    def capacity(self):
        return self.count

    def start_worker(self):
        worker = object()
        self.events.append(Event(worker))
        return worker

    def send(self, worker, call):
        calls = self.calls.setdefault(worker, deque())
        calls.append(len(call.points))
        if len(calls) == 1:
            self.busy.append(worker)

    def poll(self, seconds):
        if self.events:
            events, self.events = self.events, []
            return events
        return [self._answer() for _ in range(min(self.answers, len(self.busy)))]

    def _answer(self):
        """Of one of the busy workers, to its oldest call."""
        i = self.picked = (self.picked + 7919) % len(self.busy)
        worker, n = self.busy[i], self.calls[self.busy[i]].popleft()
        if not self.calls[worker]:
            self.busy[i] = self.busy[-1]
            self.busy.pop()
        return Event(worker, Outcome(np.zeros(n), self.seconds * n, []))

    def put(self, worker, key, thing):
        """It has it."""

    def drop(self, worker, key):
        """It may keep it."""

    def end_worker(self, worker):
        """There is nobody."""

    def close(self):
        """There is nothing."""


def scan_costs(few: int = 64, many: int = 1024, answers: int = 16):
    """(wake, event) of Costs, the supervisor's part."""
    one = _supervised(many, 1) - _supervised(few, 1)
    several = _supervised(many, answers) - _supervised(few, answers)
    event = max(0.0, (several - one) / (answers - 1) / (many - few))
    return max(0.0, one / (many - few) - event), event


def _supervised(workers, answers, times=30):
    """Seconds of the supervisor from one wake-up to the next, the smallest of some means."""
    supervisor = Supervisor(Absent(workers, answers), {"f": None})
    supervisor.submit(Batch("f", np.zeros((workers + 5 * times * answers, 1)), 1))
    best = np.inf
    for _ in range(4):
        began = time.thread_time()
        for _ in range(times):
            supervisor.wait()
        best = min(best, (time.thread_time() - began) / times)
    return best


def _pipe_cost(few=4, many=100):
    """Seconds for each pipe that is waited for."""

    def seconds(n):
        pipes = [Pipe() for _ in range(n)]
        lines = [ours for ours, _ in pipes]
        pipes[0][1].send_bytes(b"something")
        found = _best(lambda: connection.wait(lines, 0))
        for ends in pipes:
            for end in ends:
                end.close()
        return found

    return max(0.0, (seconds(many) - seconds(few)) / (many - few))


def _ray_cost(few=32, many=512):
    """Seconds for each call that Ray is asked about, while others answer: one worker sleeps and
    has a queue, the other does nothing, all the time."""
    from ...evaluators.ray import Ray
    from ...evaluators.worker import Objective

    transport = Ray(2)
    try:
        ready, sleeper = transport.start_worker(), transport.start_worker()
        while transport.poll(1.0):
            pass
        x = np.zeros((1, 1))
        for worker, seconds in ((ready, 0.0), (sleeper, 1e6)):
            key = f"sleep {seconds}"
            transport.put(worker, key, Objective(partial(_sleeper, seconds)))

        def answer():
            transport.send(ready, Call("sleep 0.0", x, 1))
            time.sleep(0.005)  # so that no wait is timed
            began = time.thread_time()
            while not transport.poll(1.0):
                pass
            return time.thread_time() - began

        found = []
        for n in (few, many - few):
            for _ in range(n):
                transport.send(sleeper, Call("sleep 1000000.0", x, 1))
            found.append(min(answer() for _ in range(30)))
        return max(0.0, (found[1] - found[0]) / (many - few))
    finally:
        transport.close()


def _sleeper(seconds):
    return partial(_rest, seconds)


def _rest(seconds, X):
    time.sleep(seconds)
    return np.zeros(len(X))


def _best(function, times=20):
    best = np.inf
    for _ in range(5):
        began = time.thread_time()
        for _ in range(times):
            function()
        best = min(best, (time.thread_time() - began) / times)
    return best


def update_seconds(d: int, popsize: int) -> float:
    """Seconds of ask and tell, the smallest of some."""
    es = ES(np.zeros(d), 1.0, seed=1, popsize=popsize)
    values = noise.uniforms(1, noise.PROBLEM, 0, 0, 1, popsize)[0]
    best = np.inf
    for _ in range(4):
        began = time.perf_counter()
        X = es.ask()
        es.tell(X, values)
        best = min(best, time.perf_counter() - began)
    return best


class Check(NamedTuple):
    """Seconds of a generation with a function that sleeps, predicted and measured (a median: what
    the supervisor believes of an evaluation's cost, and so its spans, vary a little)."""

    kind: str
    workers: int
    cost: float
    popsize: int
    predicted: float
    measured: float


def validate(kind, costs, workers, seconds_of, ratios=(4, 16), repeats=7):
    """A Check for each number of workers, ratio (candidates for each worker) and cost.

    seconds_of   {seconds asked for: seconds that such a sleep takes}
    """
    for n in workers:
        for asked, taken in seconds_of.items():
            with Evaluator(kind, n) as evaluator:
                f = evaluator.bind(partial(sleep, asked))
                for ratio in ratios:
                    X, times = np.zeros((ratio * n, D)), []
                    warm_up(f, X)
                    while sum(slot.ready for slot in evaluator.supervisor.slots) < n:
                        f(X)  # those that start take time from those that work
                    for _ in range(repeats):
                        began = time.perf_counter()
                        f(X)
                        times.append(time.perf_counter() - began)
                    done = simulate(np.full(len(X), taken), n, costs, 8 * D)
                    yield Check(kind, n, asked, len(X), done.seconds, float(np.median(times)))
