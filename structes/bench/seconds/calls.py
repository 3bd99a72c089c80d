"""What a call of a worker costs, and how many workers one driver can keep busy.

The driver, the process that searches, spends some of its own time on every call: it cuts the
span, pickles it, sends it, and reads the answer. Where it spends all of its time so, further
workers are of no use. That time is measured here, with workers whose function costs nothing:

    driver    seconds of the driver's own thread for a call and its answer (CPU time)
    threads   the same of its other threads (Ray's)
    latency   seconds from a call to its answer beyond that, with nothing else under way
    start     seconds until the first worker has answered

A driver that shall spend at most half of its time so can make 0.5 / driver calls a second, which
keeps (seconds of an evaluation) times as many workers busy: `served`. Evaluations that take less
than about 25 ms are sent several at a time, so that there the number is too low; and a call is the
dearer the more workers there are, so that it is measured with some numbers of them.
"""

from __future__ import annotations

import statistics
import time
from typing import NamedTuple

import numpy as np

from ...evaluators import Evaluator
from ..tables import aligned
from .throughput import D

KINDS = ("process", "ray")
BUSY = 0.5  # share of the driver's time that calls may take
CLOCKS = (time.thread_time, time.process_time)


class Calls(NamedTuple):
    """Seconds that a call costs with so many workers of a kind; see above."""

    kind: str
    workers: int
    driver: float
    threads: float
    latency: float
    start: float

    def served(self, cost: float) -> int:
        """How many workers the driver keeps busy for half of its time, of evaluations of `cost`
        seconds."""
        return int(BUSY * cost / self.driver)


def nothing(X):
    """The cheapest function of rows there is."""
    return X[:, 0] * 0.0


def measure(kind: str, workers: int, calls: int = 400) -> Calls:
    """Measure workers of one kind on this machine; Ray must run, if it is that."""
    begin_time = time.perf_counter()
    # a time limit: who asks for one gets workers, however cheap the function is
    with Evaluator(kind, workers, timeout=1e6) as evaluator:
        function = evaluator.bind(nothing, vectorized=True)
        x = np.zeros((1, D))
        function(x)
        start = time.perf_counter() - begin_time
        _stream(function, x, 8 * workers, 2 * workers)
        supervisor = evaluator.supervisor
        while sum(seat.ready for seat in supervisor.seats) < workers:
            _stream(function, x, workers, 2 * workers)
        streams = [_stream(function, x, calls, 2 * workers) for _ in range(3)]
        trips = []
        for _ in range(100):
            begin_time = time.perf_counter()
            function(x)
            trips.append(time.perf_counter() - begin_time)
    driver, process = (min(column) for column in zip(*streams, strict=True))
    latency = max(0.0, statistics.median(trips) - process)
    return Calls(kind, workers, driver, max(0.0, process - driver), latency, start)


def _stream(function, x, calls: int, window: int) -> list[float]:
    """Seconds of this thread, and of this process, for each of many calls, so many at a time."""
    clocks_at_start, submitted, answered = [clock() for clock in CLOCKS], 0, 0
    while answered < calls:
        while submitted < calls and submitted - answered < window:
            function.submit(x)
            submitted += 1
        answered += len(function.collect())
    return [(clock() - b) / calls for clock, b in zip(CLOCKS, clocks_at_start, strict=True)]


def lines(rows: list[Calls], costs: list[float]) -> list[str]:
    """The table; `costs` in milliseconds."""
    heads = ["ms a call", "workers", "driver", "threads", "latency", "start, s"]
    table = [[*heads, *(f"{cost:g} ms" for cost in costs)]]
    for row in rows:
        figures = [f"{1e3 * s:.3f}" for s in (row.driver, row.threads, row.latency)]
        served = [str(row.served(1e-3 * cost)) for cost in costs]
        table.append([row.kind, str(row.workers), *figures, f"{row.start:.2f}", *served])
    return [
        *aligned(table, {0}),
        "… ms: workers that evaluate so long and leave the driver half idle",
    ]
