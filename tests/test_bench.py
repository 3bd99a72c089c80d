"""The bench measures what it says: its bookkeeping against hand-made rows, and small real runs."""

import math
import sys

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("cocoex")
pytest.importorskip("cma")
pytest.importorskip("cmaes")

from structes.bench import PEERS, bbob
from structes.bench.bbob import HITS, TARGETS, Task, compare
from structes.bench.commands import bench
from structes.bench.overhead import measure
from structes.problem import load_problem


def row(solver, hits, f=1, seconds=1.0, evaluations=100):
    task = Task(solver, "bbob", f, 1, 5, 1000)
    filled = [*hits, *[""] * (len(HITS) - len(hits))]
    return dict(task._asdict(), evaluations=evaluations, restarts=0, seconds=seconds) | dict(
        zip(HITS, filled, strict=True)
    )


def test_compare_is_the_geometric_mean_over_targets_that_both_reached():
    rows = [row("a", [10, 20, 30]), row("b", [20, 80]), row("a", [], f=2), row("b", [7], f=2)]
    got = compare(rows, "a", "b")
    assert got.ratio == pytest.approx(math.sqrt((10 / 20) * (20 / 80)))
    assert got.pairs == 2
    assert (got.solved, got.solved_other) == (3 / 18, 3 / 18)
    assert got.seconds == pytest.approx(1.0)
    assert math.isnan(compare(rows, "a", "nobody").ratio)


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


@pytest.mark.parametrize("name", list(PEERS))
def test_every_peer_answers_to_the_same_words_and_converges(name):
    search = PEERS[name](np.full(3, 2.0), 1.0, 10, 1)
    assert search.popsize == 10
    values = np.array([np.inf])
    for _ in range(120):
        X = search.ask()
        assert X.shape == (10, 3)
        values = (X**2).sum(1)
        search.tell(X, values)
    assert values.min() < 1e-6


@pytest.mark.parametrize(("peer", "package"), [("pycma", "cma"), ("cmaes-sep", "cmaes")])
def test_a_missing_peer_says_how_to_install_it(peer, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"{package} is not installed: pip install 'structes"):
        PEERS[peer](np.zeros(2), 1.0)


def test_overhead_prints_ratios_to_peers_and_floor():
    rows = list(measure([3], 0.05))
    names = {(r.kind, r.name) for r in rows}
    assert {("full", "pycma"), ("full", "floor"), ("diagonal", "noise")} <= names
    for r in rows:
        assert r.ms > 0
    own = [r for r in rows if r.name == "structes"]
    assert [r.ratio for r in own] == [1.0, 1.0]


def test_commands(tmp_path):
    runner = CliRunner()
    args = ["bbob", "--dims", "2", "--functions", "1,5", "--instances", "1", "--jobs", "1"]
    result = runner.invoke(bench, [*args, "--budget", "200", "-o", str(tmp_path / "x.csv")])
    assert result.exit_code == 0, result.output
    assert "dense" in result.output and "pycma" in result.output
    for wrong, said in (
        (["bbob", "--against", "pycam"], "did you mean 'pycma'"),
        (["bbob", "--structures", "dens"], "did you mean 'dense'"),
        (["bbob", "--dims", "two"], "numbers and ranges"),
    ):
        result = runner.invoke(bench, wrong)
        assert result.exit_code == 2 and said in result.output
    assert "pycma" in runner.invoke(bench, ["list"]).output


@pytest.mark.slow
@pytest.mark.parametrize("structure", ["dense", "lower", "upper"])
def test_evaluations_are_within_ten_percent_of_pycma(tmp_path, structure):
    # functions that both solve, so that the number is stable; README has the whole suite
    tasks = [
        Task(solver, "bbob", f, i, 5, 5000)
        for f in (1, 2, 5, 6, 8, 9, 10, 11, 12, 13, 14)
        for i in (1, 2)
        for solver in (f"structes-{structure}", "pycma")
    ]
    got = compare(bbob.run(tasks, tmp_path / "x.csv", 2), f"structes-{structure}", "pycma")
    assert got.ratio < 1.1 and got.solved > 0.9


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
