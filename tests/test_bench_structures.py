"""The bench of structures: its objectives, its bookkeeping by hand, and small real runs."""

import sys

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("cma")

from structes.bench import PEERS, tasks
from structes.bench.cli import bench
from structes.bench.evaluations import families
from structes.bench.evaluations.families import Cell, Task
from structes.bench.seconds import scaling
from structes.structures import STRUCTURES
from structes.structures.building import build_structure
from structes.structures.random_elements import element, example


def call(*words):
    return CliRunner().invoke(bench, [str(word) for word in words])


# -- objectives


def hessian(function, d):
    """Of a quadratic, from its values: second differences are exact but for rounding."""
    eye = 100 * np.eye(d)
    pairs = (eye[:, None, :] + eye[None, :, :]).reshape(d * d, d)
    single, zero = function(eye), function(np.zeros((1, d)))[0]
    both = function(pairs).reshape(d, d)
    return (both - single[:, None] - single[None, :] + zero) / 1e4


@pytest.mark.parametrize("family", ["block_lower:k2", "kronecker", "diagonal", families.ROTATED])
def test_objectives_have_the_hessian_that_they_claim(family):
    d = 6
    H = hessian(families.objective(family, d, 2), d)
    values = np.linalg.eigvalsh(H)
    assert values[0] == pytest.approx(1, rel=1e-2)
    assert values[-1] == pytest.approx(1e6, rel=1e-3)
    if family == families.ROTATED:
        np.testing.assert_allclose(values, np.geomspace(1, 1e6, d), rtol=1e-2)
    else:
        structure = build_structure(example(family, d), d)
        B = np.asarray(structure.to_dense(element(structure, 1e6, 2)))
        P = B @ B.T
        np.testing.assert_allclose(H / H[-1, -1], P / P[-1, -1], rtol=1e-3, atol=1e-4)


def test_the_minimum_is_zero_at_an_optimum_of_its_own():
    optimum = families.noise.normals(5, families.noise.PROBLEM, 3, 0, 1, 7)
    for family in ("toeplitz_upper", families.ROTATED):
        function = families.objective(family, 7, 5)
        assert function(optimum) == pytest.approx(0, abs=1e-15)
        assert function(optimum + 0.1) > 1e-4
        assert function(optimum + 0.1) != families.objective(family, 7, 6)(optimum + 0.1)


def test_what_has_no_such_objective_is_left_out():
    assert families.fits(["scalar", "diagonal", "dense"], [3, 4]) == ["diagonal", "dense"]
    assert families.fits(["diagonal"], [1]) == []


# -- runs


def test_solve_counts_evaluations_to_the_target():
    task = Task("diagonal", "diagonal", 4, 1, 10_000)
    row = families.solve(task)
    function, seen = families.objective("diagonal", 4, 1), []
    x0 = 8 * families.noise.uniforms(1, families.noise.STARTS, 0, 0, 1, 4)[0] - 4
    search = PEERS["structes"](x0, 2.0, None, 1, "diagonal")
    while not seen or min(seen) > families.TARGET:
        X = search.ask()
        seen += list(function(X))
        search.tell(X, function(X))
    wanted = next(n for n, value in enumerate(seen, 1) if value <= families.TARGET)
    assert (row["evaluations"], row["ended"]) == (wanted, "target")
    assert row["best"] == pytest.approx(seen[wanted - 1])


def test_solve_says_how_it_ended_short_of_the_target(monkeypatch):
    row = families.solve(Task("dense", families.ROTATED, 5, 1, 100))
    assert row["ended"] == "cap" and 100 <= row["evaluations"] < 110 and row["best"] > 1e-9
    monkeypatch.setattr(PEERS["structes"], "stop", lambda self: self.es.generation == 3)
    row = families.solve(Task("dense", families.ROTATED, 5, 1, 1000))
    assert row["ended"] == "gave up" and row["evaluations"] == 3 * 8


@pytest.mark.slow
def test_the_structure_wins_on_its_own_family():
    rows = [
        families.solve(Task(solver, "block_lower:k1", 20, 1, 60_000))
        for solver in ("block_lower:k1", "dense", "pycma-vkd", "diagonal")
    ]
    ours, dense, vkd, diagonal = rows
    assert ours["ended"] == dense["ended"] == vkd["ended"] == "target"
    assert ours["evaluations"] < dense["evaluations"]
    assert diagonal["ended"] != "target" or diagonal["evaluations"] > ours["evaluations"]


def test_tasks_share_what_does_not_depend_on_the_structure():
    made = families.tasks_of(["diagonal", "upper"], ["pycma"], [5, 6], [2, 1], 100, 10)
    assert len(made) == len(set(made))
    assert {t.cap for t in made if t.d == 5 and t.solver == "pycma"} == {50}
    assert {t.cap for t in made if t.d == 6 and t.solver == "upper"} == {600}
    assert {t.seed for t in made if t.d == 5} == {1, 2} and {t.seed for t in made if t.d == 6} == {
        1
    }
    solvers = {
        f: [t.solver for t in made if (t.family, t.d) == (f, 6)] for f in ("upper", "rotated")
    }
    assert solvers == {
        "upper": ["upper", "diagonal", "dense", "pycma"],
        "rotated": ["diagonal", "upper", "dense", "pycma"],
    }


def test_smaller_are_those_worth_a_comparison_with_dense():
    names = families.smaller(12)
    assert {"diagonal", "block_upper", "block_lower"} <= set(names)
    assert not {"dense", "lower", "scalar", *families.SYNONYMS} & set(names)


def result(solver, evaluations, ended, seed=1, seconds=1.0):
    row = Task(solver, "upper", 5, seed, 1000)._asdict()
    return row | {"evaluations": evaluations, "best": 0.0, "ended": ended, "seconds": seconds}


def test_a_cell_is_the_median_run_and_missing_the_target_ranks_last():
    rows = [
        result("a", 400, "target", 1, 1.0),
        result("a", 10, "gave up", 2, 2.0),
        result("a", 700, "target", 3, 6.0),
        result("b", 1000, "cap", 1),
    ]
    assert families.cell(rows, "a", "upper", 5) == Cell(700, 2.0, 2, 3, "target")
    assert str(families.cell(rows, "a", "upper", 5)) == "0.7k 2.0s"
    assert str(families.cell(rows[1:3], "a", "upper", 5)) == "†0.0k 4.0s"
    assert str(families.cell(rows, "b", "upper", 5)) == ">1.0k 1.0s"
    assert families.cell(rows, "a", "rotated", 5) is None


# -- tasks in general


def double(task):
    return task._asdict() | {"evaluations": task.d * 2, "best": 0.5, "ended": "é,", "seconds": 0.0}


def test_rows_survive_the_file_and_a_torn_line_is_done_again(tmp_path):
    path = tmp_path / "deep" / "x.csv"
    made = [Task("a", "b", d, 1, 9) for d in (1, 2, 3)]
    seen = []
    rows = tasks.run_tasks(made[:2], double, families.COLUMNS, path, 1, lambda *n: seen.append(n))
    assert seen == [(0, 2), (1, 2), (2, 2)]
    assert sorted(rows, key=lambda r: r["d"]) == [double(task) for task in made[:2]]
    assert tasks.read_rows(path, families.COLUMNS) == rows
    path.write_bytes(path.read_bytes()[:-3])
    assert len(tasks.read_rows(path, families.COLUMNS)) == 1
    again = tasks.run_tasks(made, double, families.COLUMNS, path, 1)
    assert sorted(r["d"] for r in again) == [1, 2, 3]
    before = path.read_bytes()
    assert tasks.run_tasks(made[:1], double, families.COLUMNS, path, 1) == [double(made[0])]
    assert path.read_bytes() == before  # nothing to do, nothing written
    assert tasks.run_tasks([], double, families.COLUMNS, path, 1) == []
    with pytest.raises(ValueError, match="of another bench"):
        tasks.read_rows(path, {"x": int})


# -- scaling


def test_exponents_are_slopes_of_logarithms():
    dims = [10, 100, 1000, 10_000]
    assert scaling.exponent(dims, [3e-7 * d**1.25 for d in dims]) == pytest.approx(1.25)
    assert scaling.exponent(dims, [5.0] * 4) == pytest.approx(0, abs=1e-12)
    assert np.isnan(scaling.exponent([10], [1.0]))


@pytest.mark.slow
def test_a_measurement_sees_the_arrays_that_there_must_be():
    row = scaling.measure("diagonal", 20_000, 8)
    assert (row.name, row.d, row.dof) == ("diagonal", 20_000, 20_000)
    assert 3 <= row.units == row.arrays / (8 * 8 * 20_000) < 20  # Z, Y, X at least
    assert 0.5 < row.resident / row.arrays < 3
    assert 0 < row.floor < 100 * row.seconds
    single = scaling.measure("diagonal", 20_000, 8, dtype="float32")
    assert single.units == single.arrays / (4 * 8 * 20_000) and single.units >= 3
    assert single.arrays < row.arrays  # numbers of half the width
    dense = scaling.measure("dense", 300, 8)
    assert dense.arrays > 8 * 300**2  # and A


def test_scaling_hands_on_the_backend_and_the_type(monkeypatch):
    seen = []

    def measured(*given):
        seen.append(given)
        raise RuntimeError("that is all")

    monkeypatch.setattr(scaling, "measure", measured)
    words = ("--dims", 60, "--popsize", 5, "--backend", "numpy", "--dtype", "float32")
    assert call("scaling", "--structures", "diagonal", *words).exit_code == 0
    assert seen == [("diagonal", 60, 5, "numpy", "float32")]


def test_the_list_of_what_is_measured():
    names = scaling.names()
    assert set(STRUCTURES) | {"kronecker-diagonal", "kronecker-lower"} == set(names)
    assert len(names) == len(set(names))
    assert scaling.largest("dense") == scaling.largest("upper") == 3000
    assert scaling.largest("diagonal") == scaling.largest("block_upper:k3") >= 10**6


def test_a_process_that_fails_says_why():
    with pytest.raises(RuntimeError, match=r"block_upper:k9000, d = 60: .*k must be"):
        scaling.measure("block_upper:k9000", 60, 4)


# -- commands


def test_scaling_prints_rows_exponents_and_what_it_skips(monkeypatch):
    def measured(name, d, popsize, backend, dtype):
        assert (popsize, backend, dtype) == (32, "numpy", "float64")
        if name == "upper":
            raise RuntimeError("killed")
        return scaling.Row(name, d, d, 1e-6 * d**1.5, 5e-7 * d, 100 * d, 120 * d, 4.25)

    monkeypatch.setattr(scaling, "measure", measured)
    got = call("scaling", "--structures", "diagonal,dense,upper", "--dims", "1000,4000")
    assert got.exit_code == 0, got.output
    printed = got.stdout.splitlines()
    numbers = ["1000", "1000", "0.03162", "0.0005", "63.25", "0.0001", "4.25", "0.00012"]
    assert printed[1].split() == ["diagonal", *numbers]
    assert printed[-2].split()[:3] == ["diagonal", "1.50", "1.50"]
    assert printed[-2].split()[3:] == ["1.00", "d", "=", "1000", "…", "4000"]
    assert printed[-1].split() == ["dense", "1.50", "1.50", "1.00", "d", "=", "1000", "…", "3000"]
    assert got.stderr.splitlines() == ["skipped: killed"] * 2


@pytest.mark.slow
def test_structures_prints_both_tables_and_goes_on_where_it_was(tmp_path):
    path = tmp_path / "x.csv"
    words = ("structures", "--structures", "block_upper:k1,scalar", "--dims", 3, "--seeds", 1)
    words += ("--against", "pycma-vkd", "--cap", 1000, "--peer-cap", 500, "--jobs", 1, "-o", path)
    got = call(*words)
    assert got.exit_code == 0, got.output
    first = [line for line in got.stdout.splitlines() if line.startswith("block_upper:k1")]
    assert len(first) == 2 and all(len(line.split()) == 2 + 2 * 4 for line in first)
    assert "scalar" in got.stdout and "has no such objective" in got.stdout
    before = path.read_bytes()
    assert call(*words).stdout == got.stdout and path.read_bytes() == before


@pytest.mark.parametrize(
    "words, said",
    [
        (["structures", "--structures", "block_uper"], "did you mean 'block_upper'"),
        (["structures", "--structures", "block_upper:k50"], "k must be"),
        (["structures", "--against", "pycam"], "did you mean 'pycma'"),
        (["structures", "--seeds", "few"], "numbers and ranges"),
        (["scaling", "--structures", "diagnal"], "did you mean 'diagonal'"),
        (["scaling", "--dims", "1e3"], "numbers and ranges"),
        (["scaling", "--popsize", "1"], "popsize"),
        (["structures", "--dims", "0"], "positive numbers"),
        (["structures", "--seeds", "3-1"], "positive numbers"),
    ],
)
def test_wrong_input_is_named(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(scaling, "measure", lambda *_: sys.exit("must not get here"))
    got = call(*words)
    assert got.exit_code == 2 and said in got.output, got.output
