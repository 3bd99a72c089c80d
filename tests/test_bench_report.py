"""The comparison against hand-made rows: ratios, ERT, groups, losses, tables and pictures."""

import math
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("cocoex")

from structes.bench import kept as reference
from structes.bench.evaluations import figures
from structes.bench.evaluations.bbob import HITS, Task
from structes.bench.evaluations.compare import GROUPS, compare, ert, group_of, losses
from structes.bench.evaluations.report import matrix, report
from structes.bench.provenance import note

ROOT = Path(__file__).parent.parent
EVERY = len(HITS)


def row(solver, hits, f=1, i=1, d=5, seconds=1.0, evaluations=100):
    task = Task(solver, "bbob", f, i, d, 1000)
    filled = [*hits, *[""] * (EVERY - len(hits))]
    return dict(task._asdict(), evaluations=evaluations, restarts=0, seconds=seconds) | dict(
        zip(HITS, filled, strict=True)
    )


def test_the_ratio_is_the_geometric_mean_over_targets_that_both_reached():
    rows = [row("a", [10, 20, 30]), row("b", [20, 80]), row("a", [], f=2), row("b", [7], f=2)]
    rows.append(row("a", [1] * EVERY, f=3))  # of one alone: no pair
    got = compare(rows, "a", "b")
    assert got.ratio == pytest.approx(math.sqrt((10 / 20) * (20 / 80)))
    assert got.pairs == 2
    assert (got.solved, got.solved_other) == (3 / 18, 3 / 18)
    assert math.isnan(compare(rows, "a", "nobody").ratio)


def test_cpu_is_of_whole_runs_and_seconds_of_an_evaluation():
    rows = [row("a", [], seconds=3.0, evaluations=300), row("b", [], seconds=2.0)]
    got = compare(rows, "a", "b")
    assert got.cpu == pytest.approx(1.5) and got.seconds == pytest.approx(0.5)


def test_ert_counts_the_evaluations_of_runs_that_failed():
    runs = [row("a", [10, 20]), row("a", [30], i=2, evaluations=500)]
    assert ert(runs, HITS[0]) == (10 + 30) / 2
    assert ert(runs, HITS[1]) == (20 + 500) / 1
    assert ert(runs, HITS[2]) == math.inf
    others = [row("b", [5, 5, 5, 5]), row("b", [15], i=2)]
    got = compare(runs + others, "a", "b")
    wanted = [(20 / 10), (520 / 105)]
    assert got.ert == pytest.approx(math.sqrt(math.prod(wanted)))
    assert (got.erts, got.ert_only, got.ert_only_other) == (2, 0, 2)
    assert compare(runs + others, "b", "a").ert_only == 2


def test_groups_hold_each_function_once():
    for suite, first, last in (("bbob", 1, 24), ("bbob-noisy", 101, 130)):
        functions = [f for fs in GROUPS[suite].values() for f in fs]
        assert functions == list(range(first, last + 1))
    assert group_of("bbob", 9) == "moderate" and group_of("bbob-largescale", 10) != "moderate"
    assert group_of("unheard-of", 3) == "f3"


def test_losses_are_a_worse_ratio_or_fewer_solved():
    rows = [row("b", [100, 100], f=f) for f in (1, 2, 3, 4)]
    rows += [row("a", [104, 104], f=1), row("a", [106, 106], f=2), row("a", [50], f=3)]
    rows += [row("a", [100, 100, 100], f=4)]
    assert list(losses(rows, "a", "b")) == [2, 3]
    text = "\n".join(report(rows, [("a", "b")], ("group", "function")))
    assert "a against b, d = 5: f2 1.06 (22, 22), f3 0.50 (11, 22)" in text


def test_the_matrix_has_groups_and_dimensions_and_their_sums():
    rows = [
        row(s, [10 * n], f=f, d=d) for s, n in (("a", 1), ("b", 2)) for f, d in ((1, 2), (20, 3))
    ]
    lines = matrix(rows, "a", "b", "group")
    assert lines[0].split() == ["d", "=", "2", "d", "=", "3", "all"]
    assert [line.split("  ")[0] for line in lines[1:]] == ["separable", "weak structure", "all"]
    assert lines[1].split()[1:] == ["0.50", "(11,", "11)", "-", "0.50", "(11,", "11)"]


def test_the_runtime_distribution_counts_all_targets():
    times, shares = figures.ecdf([row("a", [10, 20]), row("a", [5], i=2)])
    assert np.array_equal(times, [1, 2, 4])
    assert shares == pytest.approx(np.array([1, 2, 3]) / (2 * EVERY))


def test_pictures_are_drawn_where_nothing_was_reached_too(tmp_path):
    rows = [
        row(s, hits, f=f, d=d)
        for s, hits in (("a", [9]), ("b", []))
        for f in (1, 2)
        for d in (2, 3)
    ]
    rows += [row(s, [], f=3, d=2) for s in "ab"]
    paths = figures.draw(rows, ["a", "b"], tmp_path)
    assert [p.name for p in paths] == ["ecdf.png", "ert.png"]
    assert all(p.stat().st_size > 5000 for p in paths)
    flat = [r for r in rows if r["d"] == 2]
    assert [p.name for p in figures.draw(flat, ["a", "b"], tmp_path)] == ["ecdf.png"]


def test_a_table_of_markdown_has_a_cell_for_each_pair_and_part():
    rows = [row("structes-x", [10], f=1), row("p", [20], f=1), row("structes-x", [], f=2)]
    rows += [row("p", [], f=2)]
    lines = reference.table(rows).splitlines()
    assert lines[0] == "|  | d = 5 | all |"
    assert lines[2] == "| `x` / p | 0.50, 0.50 (6 %, 6 %) | 0.50, 0.50 (6 %, 6 %) |"
    lines = reference.table(rows, "function").splitlines()
    assert lines[0] == "|  | `x` / p |" and lines[3] == "| f2 | – |"


def test_a_mark_without_its_result_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"bench:gone.*there is no"):
        reference.with_tables("<!-- bench:gone -->\n<!-- /bench -->", tmp_path)


def test_readme_is_up_to_date_with_the_kept_results():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    if "<!-- bench:" not in text:
        pytest.skip("README has no tables of kept results yet")
    assert reference.with_tables(text, ROOT / "structes" / "bench" / "results") == text


def test_how_a_result_was_made_names_no_host_and_no_folder(tmp_path):
    path = tmp_path / "made.yaml"
    for command in ("structes bench bbob", "structes bench bbob", "structes bench other"):
        note(path, command)
    made = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert [entry["command"] for entry in made] == ["structes bench bbob", "structes bench other"]
    assert all(set(e) == {"command", "date", "versions", "processor"} for e in made)
    assert made[0]["versions"]["structes"] and made[0]["processor"]
