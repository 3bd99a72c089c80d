"""Generations with 10 … 10⁴ workers, calculated from what calls cost here.

There is no such cluster here, so the time of a generation is calculated, in two steps that can be
checked. First the parts are measured on this machine (`Costs`, by call_costs.py): what a call of a
worker costs the driver, what every further worker makes each of these calls dearer, what a byte of
the points costs, how long an answer takes, what ask and tell take. Then a generation is simulated,
a heap of finish times in which nobody sleeps: the driver hands out spans by the supervisor's rule,
one thing after the other; a span leaves over the network, one after the other; a worker takes its
points' durations; the answer comes back. What it predicts for a few workers is measured as well,
and printed beside it.

Not in it: workers that die, networks that are slower to answer than the loopback interface
(0.3 ms more between two hosts), workers of unequal speed, and Ray's own limits on how many actors
it starts and watches.
"""

from __future__ import annotations

import math
from collections import deque
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np

from ...arrays import noise
from ...evaluators.spans import SPAN, span_length
from ..evaluations.report import aligned

KINDS = ("process", "ray")
SPREAD = 0.5  # standard deviation of the logarithm of an evaluation's duration
LOCAL = 100  # workers that one machine may have
BUSY = 0.5  # share of the driver's time that calls and the update may take
MOST = 2**16  # workers that are looked at, to find how many that are
_DRAWS = 2000  # candidates that are simulated at least, in several generations if need be


class Costs(NamedTuple):
    """Seconds.

    call      of the driver for a call and its answer, few workers
    beside    of its other threads for the same
    wake      of the driver for each worker there is, whenever it looks what has happened
    event     of the driver for each worker there is, for every answer
    byte      of the driver for each byte of the points
    latency   from a call to its answer, besides the driver's own time
    depth     calls that a worker is given at a time, where they are short
    rule      the latency that the supervisor reckons with
    start     until a new worker answers
    """

    call: float = 0.0
    beside: float = 0.0
    wake: float = 0.0
    event: float = 0.0
    byte: float = 0.0
    latency: float = 0.0
    depth: int = 1
    rule: float = 0.0
    start: float = 0.0


class Generation(NamedTuple):
    """seconds from the first call to the last answer; busy: seconds of the driver, of its busiest
    thread; spans: numbers of points of all calls, in their order."""

    seconds: float
    busy: float
    spans: list


class Prediction(NamedTuple):
    """seconds of a generation with its update; efficiency: the ideal over this; busy: share of
    the driver's time; limit: what costs most of it; loss: share of the time that this costs."""

    workers: int
    cost: float
    popsize: int
    seconds: float
    efficiency: float
    busy: float
    limit: str
    loss: float


# -- the simulation


def simulate(durations, workers: int, costs: Costs, size=0.0, bandwidth=math.inf) -> Generation:
    """A generation whose points take `durations` (n,) seconds.

    size        bytes of a point
    bandwidth   of the driver's network, bytes a second
    """
    ends = np.concatenate([[0.0], np.cumsum(durations)])
    left, cost = len(durations), max(float(ends[-1]) / len(durations), 1e-9)
    idle = [deque(range(workers)), *(deque() for _ in range(costs.depth))]  # by number of calls
    calls, free = [0] * workers, np.zeros(workers)
    heap, spans = [], []
    now = waited = beside = line = 0.0
    while True:
        short = cost < 2 * SPAN
        total = left + (np.maximum(free - now, 0.0).sum() / cost if short else 0.0)
        for level in range(costs.depth if short else 1):
            leave = []
            while left and idle[level]:
                worker = idle[level].popleft()
                if calls[worker] != level:
                    continue  # it has done or got something since
                share = total / workers - max(0.0, free[worker] - now) / cost
                rows = span_length(cost, costs.rule, share)
                if level and rows < 1:
                    leave.append(worker)
                    continue
                rows = min(left, max(1, round(rows)))
                first = len(durations) - left
                left -= rows
                spans.append(rows)
                now += costs.call / 2 + rows * size * costs.byte
                beside = max(beside, now) + costs.beside
                line = max(line, beside) + rows * size / bandwidth
                begin = max(line + costs.latency / 2, free[worker])
                free[worker] = begin + float(ends[first + rows] - ends[first])
                heappush(heap, (free[worker] + costs.latency / 2, len(spans), worker))
                calls[worker] += 1
                if level + 1 < costs.depth:
                    idle[level + 1].append(worker)
            idle[level].extend(leave)
        if not heap:
            busy = max(now - waited, len(spans) * costs.beside)
            return Generation(now, busy, spans)
        if heap[0][0] > now:
            waited += heap[0][0] - now
            now = heap[0][0]
        until = now
        now += workers * costs.wake
        while heap and heap[0][0] <= until:
            _, _, worker = heappop(heap)
            now += costs.call / 2 + workers * costs.event
            calls[worker] -= 1
            idle[calls[worker]].append(worker)


def draw(n: int, spread: float, seed: int) -> np.ndarray:
    """(n,) durations with mean 1: log-normal."""
    z = noise.normals(seed, noise.PROBLEM, 0, 0, n, 1)[:, 0]
    return np.exp(spread * z - spread**2 / 2)


def generation(cost, workers, popsize, costs, update=0.0, spread=SPREAD, **network):
    """(seconds, busy) of a generation with its update: means over several, where it is small.

    cost     seconds of an evaluation, on average
    update   seconds of ask and tell
    """
    found = [
        simulate(cost * draw(popsize, spread, seed), workers, costs, **network)
        for seed in range(math.ceil(_DRAWS / popsize))
    ]
    seconds, busy = (float(np.mean([getattr(g, k) for g in found])) for k in ("seconds", "busy"))
    return update + seconds, update + busy


def predict(cost, workers, popsize, costs, update, spread=SPREAD, **network) -> Prediction:
    """A generation, and what limits it: the part without which it would be shortest."""
    given = {"cost": cost, "workers": workers, "popsize": popsize, "costs": costs}
    given |= {"update": update, "spread": spread, **network}
    seconds, busy = generation(**given)
    without = {
        "calls": {"costs": Costs(byte=costs.byte, depth=costs.depth)},
        "update": {"update": 0.0},
        "stragglers": {"spread": 0.0},
        "bytes": {"costs": costs._replace(byte=0.0), "bandwidth": math.inf},
    }
    times = {name: generation(**(given | change))[0] for name, change in without.items()}
    limit = min(times, key=times.get)
    loss = 1 - times[limit] / seconds
    share = busy / seconds
    ideal = cost * popsize / workers
    return Prediction(workers, cost, popsize, seconds, ideal / seconds, share, limit, loss)


def enough(cost, ratio, costs, updates, **others) -> int:
    """How many workers leave the driver idle for a share of 1 − BUSY, within some percent. MOST
    where it is so for all that are looked at; 0 for none.

    ratio     candidates for each worker
    updates   {popsize: seconds of ask and tell}; between them, and beyond, in proportion
    others    as for `generation`
    """

    def idles(n):
        update = np.interp(ratio * n, sizes, times) * max(1.0, ratio * n / sizes[-1])
        seconds, busy = generation(cost, n, ratio * n, costs, update, **others)
        return busy < BUSY * seconds

    sizes, times = zip(*sorted(updates.items()), strict=True)

    low = high = 1
    while idles(high):
        if high >= MOST:
            return MOST
        low, high = high, 2 * high
    if high == 1:
        return 0
    while high - low > max(1, low // 16):
        middle = (low + high) // 2
        low, high = (middle, high) if idles(middle) else (low, middle)
    return low


# -- words


def constants_lines(measured: dict, d, updates: dict) -> list[str]:
    """What was measured, in microseconds.

    measured   {kind: Costs};  updates: {popsize: seconds of ask and tell}
    """
    heads = ["µs", "call", "beside", "wake/worker", "answer/worker", "ms/MB", "latency", "start s"]
    table = [heads]
    for kind, c in measured.items():
        micro = [f"{1e6 * x:.0f}" for x in (c.call, c.beside)]
        micro += [f"{1e6 * x:.3f}" for x in (c.wake, c.event)]
        rest = [f"{1e9 * c.byte:.2f}", f"{1e6 * c.latency:.0f}", f"{c.start:.2f}"]
        table.append([kind, *micro, *rest])
    words = ", ".join(f"{n}: {1e3 * s:.2g}" for n, s in sorted(updates.items()))
    return [*aligned(table, {0}), "", f"ask and tell, ms, d = {d}, by popsize  {words}"]


def check_lines(checks) -> list[str]:
    """Predictions beside measurements, and how far off they are."""
    table = [["kind", "workers", "cost ms", "popsize", "predicted ms", "measured ms", "ratio"]]
    ratios = []
    for c in checks:
        ratios.append(c.predicted / c.measured)
        row = [c.kind, str(c.workers), f"{1e3 * c.cost:g}", str(c.popsize)]
        row += [f"{1e3 * c.predicted:.1f}", f"{1e3 * c.measured:.1f}", f"{ratios[-1]:.2f}"]
        table.append(row)
    mean = math.exp(float(np.mean(np.log(ratios))))
    ends = f"{min(ratios):.2f} … {max(ratios):.2f}"
    return [*aligned(table, {0}), f"predicted / measured: {mean:.2f} on average, {ends}"]


def prediction_lines(rows) -> list[str]:
    """A line for each Prediction."""
    table = [["workers", "cost", "popsize", "seconds", "efficiency", "driver", "limit", ""]]
    for r in rows:
        limit = [r.limit, f"{r.loss:.0%}"] if r.loss > 0.05 else ["–", ""]
        row = [str(r.workers), seconds_text(r.cost), str(r.popsize), f"{r.seconds:.4g}"]
        table.append([*row, f"{r.efficiency:.0%}", f"{r.busy:.0%}", *limit])
    return aligned(table, {6})


def enough_line(found: int, cost: float, ratio: int) -> str:
    """What `enough` found, in words."""
    words = "no number of workers leaves"
    if found:
        words = f"at least {found}" if found >= MOST else f"up to {found}"
        words += " workers leave"
    times = f"{ratio} × " if ratio > 1 else ""
    what = f"{seconds_text(cost)}, popsize = {times}workers"
    return f"{what}: {words} the driver below {BUSY:.0%} busy"


def seconds_text(seconds: float) -> str:
    """ "20 ms", "60 s" """
    return f"{1e3 * seconds:g} ms" if seconds < 1 else f"{seconds:g} s"
