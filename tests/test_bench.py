"""The bench measures what it says: counting, resuming, and the commands, on small real runs."""

import os
import signal
import subprocess
import sys
import time
from typing import NamedTuple

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

pytest.importorskip("cocoex")
pytest.importorskip("cma")
pytest.importorskip("cmaes")

from structes.bench import PEERS, solvers
from structes.bench.cli import bench
from structes.bench.evaluations import bbob
from structes.bench.evaluations.ablation import SWITCHES
from structes.bench.evaluations.bbob import HITS, TARGETS, Task
from structes.bench.evaluations.compare import compare
from structes.bench.seconds.overhead import measure
from structes.bench.tasks import Failed, read_rows, run_tasks
from structes.named_problems import load_problem


def test_solve_counts_the_evaluation_at_which_a_target_was_first_reached():
    task = Task("structes-dense", "bbob", 1, 2, 5, 2000)
    result = bbob.solve(task)
    hits = [result[key] for key in HITS]
    assert hits == sorted(hits)
    assert hits[-1] <= result["evaluations"] < hits[-1] + 8
    # again by hand, value by value
    search = PEERS["structes"](
        8 * bbob.noise.uniforms(1002, bbob.noise.STARTS, 0, 1, 1, 5)[0] - 4, 2.0, None, 200
    )
    problem = load_problem("bbob:f1:i2", 5)
    errors = []
    while not errors or min(errors) > TARGETS[-1]:
        X = search.ask()
        values = problem(X)
        errors += list(values - problem.minimum)
        search.tell(X, values)
    wanted = [next(n for n, e in enumerate(errors, 1) if e <= t) for t in TARGETS]
    assert hits == wanted


def test_a_run_goes_on_where_it_was_interrupted(tmp_path):
    path = tmp_path / "out.csv"
    tasks = [Task("structes-dense", "bbob", f, 1, 2, 200) for f in (1, 2, 3)]
    first = bbob.run(tasks[:2], path, 1)
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])  # killed while writing the last row
    assert len(bbob.read(path)) == 1
    rows = bbob.run(tasks, path, 1)
    assert sorted(r["f"] for r in rows) == [1, 2, 3]

    def without_time(r):
        return {k: v for k, v in r.items() if k != "seconds"}

    for r in first:
        assert without_time(r) in [without_time(x) for x in rows]


def test_overhead_prints_ratios_to_peers_and_floor():
    rows = list(measure([3], 0.05))
    names = {(r.kind, r.name) for r in rows}
    assert {("full", "pycma"), ("full", "floor"), ("diagonal", "noise")} <= names
    for r in rows:
        assert r.ms > 0
    own = [r for r in rows if r.name == "structes"]
    assert [r.ratio for r in own] == [1.0, 1.0]


def test_budget_and_last_target_end_a_solver_that_drives():
    evaluations = bbob.Evaluations(lambda X: (X**2).sum(1), 0.0, budget=3)
    assert evaluations.one([1.0, 0.0]) == 1.0
    evaluations.one([2.0, 0.0])
    with pytest.raises(bbob.Finished):
        evaluations.one([0.09, 0.0])
    with pytest.raises(bbob.Finished):
        evaluations.one([0.0, 0.0])
    assert evaluations.used == 3
    assert evaluations.hits[:4] == [1, 1, 3, 3]  # 10, 1, 0.1, 0.01
    again = bbob.Evaluations(lambda X: (X**2).sum(1), 0.0, budget=100)
    with pytest.raises(bbob.Finished):
        again.one([0.0])
    assert again.hits == [1] * len(TARGETS)


def test_a_solver_name_carries_options_of_es():
    name = solvers.name_of("dense", {"popsize": 20, "tolx": 1e-10, "engine": {"name": "cma"}})
    assert name == "structes-dense@popsize=20;tolx=1e-10;engine={name: cma}"
    wanted = {"structure": "dense", "popsize": 20, "tolx": 1e-10, "engine": {"name": "cma"}}
    assert solvers.parse(name) == ("structes", wanted)
    assert solvers.parse("structes-block_upper:k2")[1] == {"structure": "block_upper:k2"}
    assert solvers.split_names("dense,dense@engine={name: cma, kappa: 0.5};tolx=1,lower") == [
        "dense",
        "dense@engine={name: cma, kappa: 0.5};tolx=1",
        "lower",
    ]
    x0 = np.zeros(4)
    search = solvers.build("structes-dense@popsize=20;tolx=1e-10", x0, 1.0, None, 1, 100)
    assert search.popsize == 20 and search.es.monitor.stopping.tolx == 1e-10
    assert solvers.build("structes-dense@popsize=20", x0, 1.0, 40, 1, 100).popsize == 40
    for wrong, said in (("dense@popsize", "KEY=VALUE"), ("dense@tolxx=1", "tolx")):
        with pytest.raises((ValueError, TypeError), match=said):
            solvers.check(f"structes-{wrong}", 4)


def _twice(task):
    if task.n == 2:
        raise ValueError("two is wrong")
    return {"n": task.n, "twice": 2 * task.n}


class Number(NamedTuple):
    n: int


def test_a_task_that_fails_stops_no_other(tmp_path):
    path, columns, sizes = tmp_path / "out.csv", {"n": int, "twice": int}, []
    tasks = [Number(n) for n in (1, 2, 3)]
    with pytest.raises(Failed, match="1 of 3 runs failed") as failed:
        run_tasks(tasks, _twice, columns, path, 2, lambda *a: sizes.append(a), lambda t: t.n)
    assert list(failed.value.failures) == [Number(2)] and "two is wrong" in str(failed.value)
    assert sorted(r["twice"] for r in read_rows(path, columns)) == [2, 6]
    assert sizes[0] == (0, 6) and sizes[-1] == (6, 6)


@pytest.mark.slow
def test_ctrl_c_ends_at_once_and_leaves_no_worker(tmp_path):
    command = [sys.executable, "-m", "structes", "bench", "bbob", "--no-plots", "-o", "out"]
    command += ["--dims", "2,20", "--functions", "1,3", "--instances", "1", "--budget", "1000000"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    results = tmp_path / "out" / "results.csv"
    deadline = time.monotonic() + 60
    while not results.exists() or results.read_text().count("\n") < 2:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    said = process.communicate(timeout=20)[1]
    assert process.returncode == 130
    assert "the same command goes on" in said and "Traceback" not in said
    with pytest.raises(ProcessLookupError):  # the session that it led is empty
        os.killpg(process.pid, 0)
    assert len(bbob.read(results)) >= 1


def test_commands(tmp_path):
    runner = CliRunner()
    out = tmp_path / "out"
    args = ["bbob", "--dims", "2,3", "--functions", "1,5", "--instances", "1", "--budget", "200"]
    result = runner.invoke(bench, [*args, "--jobs", "1", "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert "structes-dense  pycma    d = 2" in result.output and "separable" in result.output
    assert {p.name for p in out.iterdir()} == {
        "results.csv",
        "made.yaml",
        "report.txt",
        "ecdf.png",
        "ert.png",
    }
    assert (out / "ecdf.png").read_bytes()[:4] == b"\x89PNG"
    (made,) = yaml.safe_load((out / "made.yaml").read_text())
    assert "--dims 2,3 --functions 1,5 --instances 1" in made["command"]
    assert str(tmp_path) not in (out / "made.yaml").read_text()
    again = runner.invoke(
        bench, ["report", str(out), "--by", "function", "--no-plots", "-o", str(tmp_path / "r")]
    )
    assert again.exit_code == 0, again.output
    assert "f5" in again.output
    assert (tmp_path / "r" / "report.txt").read_text() == (out / "report.txt").read_text()
    kept = runner.invoke(bench, ["keep", str(out), str(tmp_path / "results" / "small")])
    assert kept.exit_code == 0, kept.output
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- bench:small -->\n<!-- /bench -->\nafter\n")
    tables = ["tables", "--results", str(tmp_path / "results"), "--readme", str(readme)]
    assert runner.invoke(bench, tables).exit_code == 0
    text = readme.read_text()
    assert "| `dense` / pycma | " in text and text.endswith("<!-- /bench -->\nafter\n")
    assert "nothing changed" in runner.invoke(bench, tables).output
    assert "pycma" in runner.invoke(bench, ["list"]).output


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["bbob", "--against", "pycam"], "did you mean 'pycma'"),
        (["bbob", "--structures", "dens"], "did you mean 'dense'"),
        (["bbob", "--structures", "dense@popsise=3"], "no argument 'popsise'"),
        (["bbob", "--dims", "two"], "numbers and ranges"),
        (["bbob", "--dims", "7", "--functions", "1", "--coco", "c"], "in dimensions 2, 3, 5"),
        (["ablation", "--switches", "nothing"], "no switch 'nothing'"),
    ],
)
def test_wrong_words_are_named(wrong, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(bench, wrong)
    assert result.exit_code == 2 and said in result.output


def test_ablation_prints_a_line_for_each_switch(tmp_path):
    args = ["ablation", "--dims", "3", "--functions", "1", "--instances", "1", "--budget", "200"]
    result = CliRunner().invoke(bench, [*args, "--jobs", "1", "-o", str(tmp_path)])
    assert result.exit_code == 0, result.output
    for switch in SWITCHES:
        assert any(
            line.startswith(switch.name) and line.endswith(switch.sentence)
            for line in result.output.splitlines()
        )
    names = [switch.name for switch in SWITCHES]
    assert len(set(names)) == len(names)


@pytest.mark.slow
def test_evaluations_are_within_ten_percent_of_pycma(tmp_path):
    # functions that both solve, so that the number is stable; README has the whole suite
    ours = [f"structes-{structure}" for structure in ("dense", "lower", "upper")]
    tasks = [
        Task(solver, "bbob", f, i, 5, 5000)
        for f in (1, 2, 5, 6, 8, 9, 10, 11, 12, 13, 14)
        for i in (1, 2)
        for solver in (*ours, "pycma")
    ]
    rows = bbob.run(tasks, tmp_path / "x.csv", 2)
    for solver in ours:
        got = compare(rows, solver, "pycma")
        assert got.ratio < 1.1 and got.solved > 0.9, solver


@pytest.mark.slow
def test_diagonal_beats_the_separable_modes_on_separable_functions(tmp_path):
    tasks = [
        Task(solver, "bbob", f, i, 20, 20_000)
        for f in (1, 2, 5)
        for i in (1, 2, 3)
        for solver in ("structes-diagonal", "pycma-sep", "cmaes-sep")
    ]
    rows = bbob.run(tasks, tmp_path / "x.csv", 2)
    for peer in ("pycma-sep", "cmaes-sep"):
        got = compare(rows, "structes-diagonal", peer)
        assert got.ratio < 0.95 and got.solved == 1
