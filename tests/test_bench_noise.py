"""The bench of noisy values: it repeats, and its report has all solvers."""

import pytest

pytest.importorskip("cma")

from structes.bench.evaluations import noise as bench


def test_the_bench_repeats_and_its_report_has_all_solvers(tmp_path):

    names = {"plain", "auto"}
    tasks = [t for t in bench.tasks_of(["sphere"], [4], [0.0, 1.0], 1, 100) if t.solver in names]
    rows = [bench.solve(task) for task in tasks]
    assert rows == [bench.solve(task) for task in tasks]
    assert {row["solver"] for row in rows} == names
    others = [{**row, "solver": s} for s in bench.SOLVERS if s not in names for row in rows[:1]]
    others += [{**row, "solver": s} for s in bench.SOLVERS if s not in names for row in rows[-1:]]
    text = "\n".join(bench.lines(rows + others))
    assert all(name in text for name in bench.SOLVERS) and "Without noise" in text
