"""The bench of workers: laws of the simulator, its tables, and small real runs."""

import math
import sys
from functools import partial
from heapq import heappop, heappush
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from structes.bench.seconds import call_costs, prediction, throughput
from structes.bench.seconds import commands as parallel_commands
from structes.bench.seconds.call_costs import Absent
from structes.bench.seconds.prediction import Costs, simulate
from structes.bench.seconds.throughput import Cell
from structes.evaluators.channel import Event
from structes.evaluators.spans import Batch
from structes.evaluators.supervisor import Supervisor
from structes.evaluators.worker import Outcome

CALLS = Costs(call=2e-4, beside=1e-4, wake=1e-6, event=1e-8, byte=1e-9, latency=1e-3, rule=1e-3)


def same(line, expected):
    """But for spaces."""
    return line.split() == expected.split()


def test_without_overhead_equal_durations_are_ideal():
    for workers in (1, 2, 7, 64):
        for ratio in (1, 2, 4, 32):
            found = simulate(np.full(ratio * workers, 0.25), workers, Costs())
            assert math.isclose(found.seconds, ratio * 0.25)
            assert found.busy == 0 and sum(found.spans) == ratio * workers


@pytest.mark.parametrize("depth", [1, 2])
def test_without_overhead_nobody_waits_while_there_is_work(depth):
    """Graham's bound of list scheduling, in spans."""
    durations = prediction.draw(500, 0.5, 3)
    for workers in (1, 3, 50):
        found = simulate(durations, workers, Costs(depth=depth))
        ideal, longest = durations.sum() / workers, durations.max()
        assert ideal <= found.seconds + 1e-9
        if depth == 1:
            assert found.seconds <= ideal + longest


def test_a_generation_takes_the_driver_at_least_its_calls():
    costs = Costs(call=1e-3, event=1e-5)
    for workers in (1, 10, 300):
        found = simulate(np.zeros(1000), workers, costs)
        least = len(found.spans) * (costs.call + workers * costs.event)
        assert least - 1e-9 <= found.busy <= found.seconds + 1e-9


def test_one_point_and_one_worker_by_hand():
    costs = Costs(call=0.1, beside=0.01, wake=0.02, event=0.03, byte=0.005, latency=0.4)
    found = simulate(np.array([7.0]), 1, costs, size=8, bandwidth=16.0)
    # half a call, pickling, the other thread, the line, there; the point; back, a look, the answer
    way = 0.05 + 8 * 0.005 + 0.01 + 8 / 16 + 0.2
    assert math.isclose(found.seconds, way + 7 + 0.2 + 0.02 + 0.05 + 0.03)
    assert math.isclose(found.busy, 0.05 + 8 * 0.005 + 0.02 + 0.05 + 0.03)
    assert found.spans == [1]


def test_two_workers_and_three_points_by_hand():
    found = simulate(np.array([3.0, 1.0, 1.5]), 2, Costs(call=0.2))
    # calls leave at 0.1 and 0.2; the second ends at 1.2, is heard until 1.3, and its worker has
    # the third at 1.4 until 2.9 (heard 3.0); the first ends at 3.1
    assert math.isclose(found.seconds, 3.2)
    assert math.isclose(found.busy, 0.6)


def test_a_slow_network_is_a_bound():
    found = simulate(np.full(64, 0.01), 16, Costs(), size=1000, bandwidth=1e4)
    assert 6.4 <= found.seconds <= 6.4 + 0.05
    assert simulate(np.full(64, 0.01), 16, Costs(), size=1000).seconds < 0.05


class Virtual(Absent):
    """Workers that need exactly so many seconds for a point, on a clock that jumps."""

    latency, depth = 1e-3, 2

    def __init__(self, count, seconds):
        super().__init__(count, seconds=seconds)
        self.now, self.free, self.sizes, self.due = 0.0, {}, [], []

    def send(self, worker, call):
        n = len(call.points)
        self.sizes.append(n)
        self.free[worker] = max(self.now, self.free.get(worker, 0.0)) + n * self.seconds
        event = Event(worker, Outcome(np.zeros(n), n * self.seconds, []))
        heappush(self.due, (self.free[worker], len(self.sizes), event))

    def poll(self, seconds):
        if not self.due:
            return super().poll(seconds)
        self.now, events = self.due[0][0], []
        while self.due and self.due[0][0] == self.now:
            events.append(heappop(self.due)[2])
        return events


@pytest.mark.parametrize("cost", [2**-17, 2**-10, 2**-6, 1.0])  # whose multiples are exact
@pytest.mark.parametrize("left", [1, 30, 1000])
def test_spans_are_those_of_the_supervisor(cost, left, monkeypatch):
    transport = Virtual(8, cost)
    clock = SimpleNamespace(monotonic=lambda: transport.now)
    monkeypatch.setattr("structes.evaluators.supervisor.time", clock)
    supervisor = Supervisor(transport, {"f": None})

    def generation(n):
        began = transport.now
        transport.sizes.clear()
        supervisor.submit(Batch("f", np.zeros((n, 1)), 1))
        while supervisor.busy:
            supervisor.wait()
        return transport.now - began

    generation(20)  # it learns what a point costs
    generation(20)
    seconds = generation(left)
    expected = simulate(np.full(left, cost), 8, Costs(depth=2, rule=1e-3))
    assert transport.sizes == expected.spans
    assert math.isclose(seconds, expected.seconds)


@pytest.mark.parametrize("left", [16, 100, 128, 1000, 4096])
@pytest.mark.parametrize("cost", [1e-3, 5e-3])
@pytest.mark.parametrize("workers", [2, 8])
def test_the_last_spans_of_equal_points_end_together(left, cost, workers):
    found = simulate(np.full(left, cost), workers, Costs(depth=2, rule=1e-3))
    assert found.seconds <= cost * (math.ceil(left / workers) + 1) + 1e-9


def test_what_limits_is_what_costs_most():
    free = Costs()
    predict = partial(prediction.predict, 1.0, 10, 40)
    assert predict(free, 0.0).limit == "stragglers"
    assert predict(free, 100.0).limit == "update"
    assert predict(free, 0.0, size=1e3, bandwidth=1e3).limit == "bytes"
    slow = predict(CALLS._replace(call=2.0), 0.0, spread=0.0)
    assert slow.limit == "calls" and slow.busy > 0.8 and slow.loss > 0.5
    none = predict(free, 0.0, spread=0.0)
    assert math.isclose(none.efficiency, 1) and none.loss == 0 and none.busy == 0


def test_how_many_workers_leave_the_driver_idle():
    updates = {1: 0.0, 1000: 0.0}
    few = prediction.enough(0.1, 4, Costs(call=1e-2), updates)
    many = prediction.enough(1.0, 4, Costs(call=1e-2), updates)
    assert 2 <= few < many < 200  # about cost / call / 2
    assert prediction.enough(0.1, 4, Costs(call=1.0), updates) == 0
    assert prediction.enough(1.0, 1, Costs(), {1: 10.0}) == 0
    words = prediction.enough_line(many, 1.0, 4)
    assert (
        words
        == f"1 s, popsize = 4 × workers: up to {many} workers leave the driver below 50% busy"
    )
    assert "no number" in prediction.enough_line(0, 0.1, 1)
    assert "at least" in prediction.enough_line(prediction.MOST, 0.1, 1)


def test_scan_costs_are_seconds():
    wake, event = call_costs.scan_costs(8, 64)
    assert 0 <= event < 1e-5 and 0 <= wake < 1e-4


def test_words_of_constants_checks_and_predictions():
    lines = prediction.constants_lines({"ray": CALLS}, 100, {40: 1e-3, 10: 5e-4})
    assert same(lines[1], "ray 200 100 1.000 0.010 1.00 1000 0.00")
    assert lines[-1].endswith("10: 0.5, 40: 1")
    checks = [call_costs.Check("ray", 2, 1e-3, 8, p, 2e-3) for p in (1e-3, 4e-3)]
    lines = prediction.check_lines(checks)
    assert same(lines[1], "ray 2 1 8 1.0 2.0 0.50")
    assert lines[-1] == "predicted / measured: 1.00 on average, 0.50 … 2.00"
    rows = [
        prediction.Prediction(10, 0.02, 40, 0.1, 0.8, 0.07, "stragglers", 0.18),
        prediction.Prediction(10, 60.0, 40, 240.0, 1.0, 0.0, "calls", 0.01),
    ]
    lines = prediction.prediction_lines(rows)
    assert same(lines[1], "10 20 ms 40 0.1 80% 7% stragglers 18%")
    assert same(lines[2], "10 60 s 40 240 100% 0% –")


# -- throughput


def test_table_and_goals_of_cells():
    cells = [
        Cell(16, 0.0, {"process": 2e-3, "pool": 1e-3}, 1e-7, 9),
        Cell(256, 1.0, {"process": 0.128 * 1.14, "pool": 0.256}, 1.1e-3, 5),
        Cell(256, 20.0, {"process": 2.56 * 1.05, "ray": 2.56 * 1.02, "pool": 3.0}, 20e-3, 1),
    ]
    lines = throughput.lines(cells, 2, ["process", "pool"])
    assert same(lines[0], "16 × 0 ms 256 × 1 ms 256 × 20 ms")
    assert same(lines[1], "floor 1.100 1.000")
    assert same(lines[2], "process 2 ms 1.140 1.050")
    assert same(lines[3], "pool 1 ms 2.000 1.172")
    assert same(lines[4], "rounds 9 5 1")
    met, missed, ray = throughput.goals(cells, 2)
    assert "1.140" in met and "≤ 1.15" in met and " met " in met and met.endswith("1.036")
    assert "missed" in missed and "20 ms" in missed
    assert ray.startswith("ray") and " met " in ray
    assert throughput.goals(cells[:1], 2) == []


def test_cells_that_take_too_long_are_left_out():
    cells, too_long = throughput.cells_of([16, 4096], [0.0, 20.0], 2, 5.0)
    assert cells == [(16, 0.0), (4096, 0.0), (16, 20.0)] and too_long == [(4096, 20.0)]


def test_objectives_take_their_time():
    assert 1e-3 <= throughput.alone(partial(throughput.sleep, 1e-3), 0.02) < 0.1
    assert 1e-3 <= throughput.alone(partial(throughput.spin, 1e-3), 0.02) < 0.1
    assert throughput.sleep(0.0, np.array([3.0, 4.0])) == throughput.spin(0.0, [3.0]) == 3.0


def test_a_missing_package_is_skipped_with_its_install_line(monkeypatch):
    monkeypatch.setattr(throughput.importlib.util, "find_spec", lambda name: None)
    assert throughput.missing(["serial", "joblib", "ray"]) == {
        "joblib": "pip install joblib",
        "ray": "pip install 'structes[ray]'",
    }
    words = "--solvers serial,joblib --populations 4 --costs 0,5000 --seconds 0.1"
    result = CliRunner().invoke(parallel_commands.throughput, words)
    assert result.exit_code == 0, result.output
    assert "skipped: joblib needs a package that is not installed: pip install joblib" in (
        result.output
    )
    assert "skipped: 4 × 5000 ms takes 10 s at best; --limit 10 runs it" in result.output
    assert "serial" in result.stdout and "joblib" not in result.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "command, words, said",
    [
        ("throughput", "--solvers proces", "did you mean 'process'"),
        ("throughput", "--costs x", "numbers ≥ 0"),
        ("workers", "--kinds pool", "no kind of workers 'pool'"),
        ("workers", "--costs 0", "must be positive"),
    ],
)
def test_wrong_options_are_named(command, words, said):
    result = CliRunner().invoke(getattr(parallel_commands, command), words)
    assert result.exit_code == 2 and said in result.output


@pytest.mark.slow
def test_solvers_of_processes_in_a_small_cell():
    pytest.importorskip("joblib")
    names = ["serial", "process", "pool", "joblib"]
    (cell,) = throughput.measure([(16, 1.0)], 2, names, 2, 0.1)
    assert list(cell.seconds) == names and cell.rounds >= 1
    assert all(1 <= throughput.factor(cell, name, 2) < np.inf for name in names)


@pytest.mark.slow
def test_solvers_of_ray_in_a_small_cell():
    if throughput.missing(["ray"]):
        pytest.skip("Ray is not installed")
    names = ["ray", "ray-tasks", "evotorch", "evotorch-single"]
    (cell,) = throughput.measure([(16, 1.0)], 2, names, 2, 0.1)
    assert list(cell.seconds) == names
    assert all(1 <= throughput.factor(cell, name, 2) < np.inf for name in names)
    assert not sys.modules["ray"].is_initialized()


@pytest.mark.slow
def test_workers_are_predicted_after_measuring_them():
    words = "--kinds process --workers 10,1000 --ratios 4 --costs 20 --dim 5 --try 2"
    result = CliRunner().invoke(parallel_commands.workers, words)
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()]
    assert any(row[:4] == ["10", "20", "ms", "40"] for row in rows)
    assert not any(row[:1] == ["1000"] for row in rows)  # no such machine
    assert "leave the driver below 50% busy" in result.stdout
    ratios = [float(row[-1]) for row in rows if row[:2] == ["process", "2"]]
    assert len(ratios) == 4 and all(0.1 < ratio < 2 for ratio in ratios)
