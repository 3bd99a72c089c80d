"""The bench of false alarms: what counts as one, and that there are few."""

import numpy as np

from structes.bench.evaluations import alarms as bench


def test_noise_raises_no_alarm_on_functions_without_it():
    names = ["sphere", "rosenbrock"]
    tasks = [t for t in bench.tasks_of(names, [3], 3, 200) if t.watch == "noise"]
    rows = [bench.solve(task) for task in tasks]
    assert len(rows) == 6 and not any(row["alarm"] for row in rows)
    assert rows[0] == bench.solve(tasks[0])


def test_an_alarm_is_seen_where_there_is_noise(monkeypatch):
    random = bench.FUNCTIONS["random"](3, 1)
    monkeypatch.setitem(bench.FUNCTIONS, "sphere", lambda d, seed: lambda X: 100 + random(X))
    task = bench.Task("noise", "sphere", 3, 1, 600)
    assert bench.solve(task)["alarm"] == 1


def test_a_change_of_structure_is_an_alarm_where_it_is_wrong(monkeypatch):
    task = bench.Task("structure", "separable", 10, 1, 3000)
    assert bench.solve(task)["alarm"] == 0  # it goes on with `diagonal`, rightly
    monkeypatch.setitem(bench.FUNCTIONS, "rotated", bench.FUNCTIONS["separable"])
    assert bench.solve(task._replace(function="rotated"))["alarm"] == 1
    rotated = bench.FUNCTIONS["rosenbrock"](3, 1)
    assert rotated(np.ones((1, 3)))[0] == 0


def test_the_report_counts():
    row = {"watch": "structure", "function": "random", "d": 2, "seed": 1}
    row |= {"evaluations": 30, "reached": 1, "alarm": 1}
    others = [{**row, "watch": "noise"}, {**row, "watch": "nothing", "evaluations": 20}]
    text = "\n".join(bench.lines([row, {**row, "alarm": 0}, *others]))
    assert "1 / 2" in text and "1 / 1" in text and "1.500" in text
