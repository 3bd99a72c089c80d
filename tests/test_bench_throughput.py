"""The bench of workers: the tables of throughput and of calls, and small real runs."""

import sys
from functools import partial

import numpy as np
import pytest
from click.testing import CliRunner

from structes.bench.seconds import calls, throughput
from structes.bench.seconds import commands as parallel_commands
from structes.bench.seconds.throughput import Cell


def same(line, expected):
    """But for spaces."""
    return line.split() == expected.split()


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
        ("workers", "--costs -1", "numbers ≥ 0"),
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


def test_how_many_workers_a_driver_serves():
    rows = [
        calls.Calls("process", 2, 1e-4, 0.0, 2e-4, 0.25),
        calls.Calls("ray", 16, 5e-4, 3e-4, 1e-3, 1.5),
    ]
    # half of a second holds 5000 calls of 0.1 ms, which keep 100 workers of 20 ms busy
    assert rows[0].served(0.02) == 100 and rows[1].served(1.0) == 1000
    lines = calls.lines(rows, [20.0, 1000.0])
    assert same(lines[0], "ms a call workers driver threads latency start, s 20 ms 1000 ms")
    assert same(lines[1], "process 2 0.100 0.000 0.200 0.25 100 5000")
    assert same(lines[2], "ray 16 0.500 0.300 1.000 1.50 20 1000")


@pytest.mark.slow
def test_what_calls_cost_is_measured():
    words = "--kinds process --workers 2 --costs 20"
    result = CliRunner().invoke(parallel_commands.workers, words)
    assert result.exit_code == 0, result.output
    row = result.stdout.splitlines()[1].split()
    driver, threads, latency, start = map(float, row[2:6])
    assert row[:2] == ["process", "2"]
    assert 1e-3 < driver < 10 and 0 <= threads < 10 and 0 <= latency < 1000 and 0 < start < 60
    assert abs(int(row[6]) - 0.5 * 20 / driver) <= 1 + 0.01 * int(row[6])
