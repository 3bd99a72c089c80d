"""How points are cut into spans: all workers end together, in simulated time, and nobody waits."""

import math
from collections import deque
from heapq import heappop, heappush
from types import SimpleNamespace

import numpy as np
import pytest

from structes.evaluators.channel import Channel, Event
from structes.evaluators.spans import (
    LONGEST,
    SHORTEST,
    SPAN,
    Batch,
    Span,
    cut,
    span_length,
    time_limit,
)
from structes.evaluators.supervisor import Supervisor
from structes.evaluators.worker import Outcome


class Simulated(Channel):
    """Workers that need exactly so many seconds for each point, on a clock that jumps.

    durations   of the points of a batch, by their first number
    """

    latency, depth = 1e-3, 2

    def __init__(self, count, durations):
        super().__init__()
        self.count, self.durations = count, durations
        self.now, self.free, self.sizes, self.due, self.started = 0.0, {}, [], [], []

    def capacity(self):
        return self.count

    def start_worker(self):
        worker = object()
        self.started.append(Event(worker))
        return worker

    def send(self, worker, call):
        seconds = self.durations[call.points[:, 0].astype(int)].sum()
        self.sizes.append(len(call.points))
        self.free[worker] = max(self.now, self.free.get(worker, 0.0)) + seconds
        event = Event(worker, Outcome(np.zeros(len(call.points)), seconds, []))
        heappush(self.due, (self.free[worker], id(event), event))

    def poll(self, seconds):
        if self.started:
            events, self.started = self.started, []
            return events
        self.now, events = self.due[0][0], []
        while self.due and self.due[0][0] == self.now:
            events.append(heappop(self.due)[2])
        return events

    def put(self, worker, key, thing):
        """It has it."""

    def drop(self, worker, key):
        """It may keep it."""

    def end_worker(self, worker):
        """There is nobody."""

    def close(self):
        """There is nothing."""


@pytest.fixture
def generation(monkeypatch):
    """A function that runs generations: (workers, durations (n,)) -> (seconds, sizes of spans)."""

    def run(workers, durations):
        channel = Simulated(workers, np.asarray(durations))
        clock = SimpleNamespace(monotonic=lambda: channel.now)
        monkeypatch.setattr("structes.evaluators.supervisor.time", clock)
        supervisor = Supervisor(channel, {"f": None})

        def evaluate(n):
            began = channel.now
            channel.sizes.clear()
            supervisor.submit(Batch("f", np.arange(n)[:, None] * 1.0, 1))
            while supervisor.busy:
                supervisor.wait()
            return channel.now - began, list(channel.sizes)

        for _ in range(2):  # the supervisor learns what a point costs
            evaluate(min(20, len(durations)))
        return evaluate(len(durations))

    return run


@pytest.mark.parametrize("points", [16, 100, 128, 1000, 4096])
@pytest.mark.parametrize("cost", [1e-3, 5e-3])
@pytest.mark.parametrize("workers", [2, 8])
def test_the_last_spans_of_equal_points_end_together(points, cost, workers, generation):
    seconds, sizes = generation(workers, np.full(points, cost))
    assert sum(sizes) == points
    assert seconds <= cost * (math.ceil(points / workers) + 1) + 1e-9


@pytest.mark.parametrize("ratio", [1, 2, 4, 32])
@pytest.mark.parametrize("workers", [1, 2, 7, 64])
def test_long_equal_points_are_dealt_out_one_by_one_in_the_ideal_time(workers, ratio, generation):
    seconds, sizes = generation(workers, np.full(ratio * workers, 0.25))
    assert math.isclose(seconds, ratio * 0.25) and sizes == [1] * (ratio * workers)


@pytest.mark.parametrize("workers", [3, 50])
def test_nobody_waits_while_there_is_work(workers, generation):
    """Graham's bound of list scheduling, for evaluations long enough to be dealt out singly."""
    durations = np.exp(0.5 * np.random.default_rng(3).standard_normal(500))
    seconds, _ = generation(workers, durations)
    ideal = durations.sum() / workers
    assert ideal <= seconds + 1e-9 <= ideal + durations.max() + 2e-9


def test_cheap_points_go_many_at_a_time_and_the_spans_become_shorter(generation):
    seconds, sizes = generation(8, np.full(100_000, 2.0**-17))
    assert sizes[0] == max(sizes) == 100_000 / 8 / 2  # half of a worker's share
    assert 0.9 * SHORTEST * Simulated.latency / 2.0**-17 < min(sizes) < sizes[0]
    assert seconds < 1.05 * 100_000 * 2.0**-17 / 8


@pytest.mark.parametrize("cost", [1e-6, 1e-3, 1.0])
@pytest.mark.parametrize("latency", [1e-5, 1e-3])
def test_a_span_is_never_longer_than_the_longest_or_the_share(cost, latency):
    for share in (0.5, 1, 10, 1e3, 1e9):
        rows = span_length(cost, latency, share)
        assert rows <= max(share, share / 2)
        assert rows * cost <= max(SPAN, LONGEST * latency) * (1 + 1e-12)


def test_spans_are_cut_in_units():
    batch = Batch("f", np.zeros((10, 2)), 4)
    queue = deque([Span(batch, 0, 10, unit=4)])
    assert cut(queue, 5.9)[1:3] == (0, 4) and cut(queue, 0.1)[1:3] == (4, 8)
    assert cut(queue, 100)[1:3] == (8, 10) and not queue


def test_the_time_of_a_call_is_that_of_its_evaluations():
    """Where a function of many rows raises they are evaluated once more, one by one; where a call
    has many units the slow one ends it, and the others take as long as they did of late."""
    batch = Batch("f", np.zeros((40, 2)), 4)
    assert time_limit(Span(batch, 0, 8, unit=4), None, 1.0) is None
    assert time_limit(Span(batch, 0, 1, unit=1), 3.0, 0.1) == 3.0
    assert time_limit(Span(batch, 0, 10, unit=1), 3.0, 0.1) == pytest.approx(3.0 + 5 * 10 * 0.1)
    assert time_limit(Span(batch, 0, 4, unit=4), 3.0, 0.1) == pytest.approx(2 * 4 * 3.0)
    assert time_limit(Span(batch, 0, 8, unit=4), 3.0, 0.1) == pytest.approx(24.0 + 5 * 8 * 0.1)


def test_what_a_row_costs_is_an_average_of_late():
    """A call that took long by chance does not change how many rows are handed out at once."""
    channel = Simulated(1, None)
    channel.send = lambda worker, call: channel.due.append(
        (0.0, 0, Event(worker, Outcome(np.zeros(len(call.points)), seconds, [])))
    )
    supervisor = Supervisor(channel, {"f": None})
    wanted = None
    for seconds in (2.0, 7.0, 1.0):
        supervisor.submit(Batch("f", np.zeros((1, 2)), 1))
        while supervisor.busy:
            supervisor.wait()
        wanted = seconds if wanted is None else 0.7 * wanted + 0.3 * seconds
        assert supervisor.costs["f"] == pytest.approx(wanted)
