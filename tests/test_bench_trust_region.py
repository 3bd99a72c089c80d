"""The trust region: what it is for, when it acts, and the bench that measures it."""

from math import inf, sqrt

import numpy as np
import pytest
from click.testing import CliRunner

from structes.bench.cli import bench
from structes.bench.evaluations import trust_region
from structes.bench.evaluations.trust_region import Task, lines, solve, tasks_of, with_injected
from structes.search.es import ES
from structes.strategy.engine import Engine


def task(radius=0.5, function="sphere", d=5, multiple=40, cap=12, injected=0):
    return Task(radius, "dense", function, d, multiple, 1, cap, injected)


def test_a_radius_acts_where_the_norm_is_longer_and_nowhere_else():
    never, often, always = (solve(task(radius)) for radius in (inf, 0.5, 1e-3))
    assert never["acted"] == 0 and 0.5 < never["norm"] < 1.5
    assert 0 < often["acted"] < always["acted"] == 1
    assert solve(task(never["norm"] + 0.01)) == {**never, "radius": never["norm"] + 0.01}
    assert solve(task(often["radius"])) == often


@pytest.mark.parametrize("function", ["sphere", "ellipsoid", "rastrigin"])
@pytest.mark.parametrize("multiple", [0, 40])
def test_no_step_of_drawn_candidates_is_as_long_as_the_default(function, multiple):
    assert solve(task(Engine().trust_region, function, multiple=multiple, cap=25))["acted"] == 0


def test_the_default_holds_a_search_that_is_told_points_far_away():
    bounded, free = (
        solve(task(radius, d=10, cap=12, injected=50)) for radius in (Engine().trust_region, inf)
    )
    assert bounded["acted"] > 0.5 and bounded["sigma"] < 100
    assert free["norm"] == free["sigma"] == inf  # a step that is an error


@pytest.mark.parametrize("structure, d, popsize", [("diagonal", 20, 40), ("dense", 10, 100)])
def test_the_norm_of_noise_is_as_docs_update_has_it(structure, d, popsize):
    es = ES(np.zeros(d), 1.0, structure, seed=1, popsize=popsize)
    plan, norms = es.strategy.plan(popsize), []
    for generation in range(40):
        X = es.ask()
        es.tell(X, np.random.default_rng(generation).random(popsize))
        norms.append(es.info.norm)
    weights = plan.tables[1] + plan.tables[2]  # times cmu
    expected = sqrt(0.5 * es.strategy.structure.dof * (weights @ weights))
    assert expected < 0.5 and np.mean(norms) == pytest.approx(expected, rel=0.15)


def test_evaluations_end_at_the_first_hit_and_without_one_at_the_cap():
    assert solve(task(cap=3))["evaluations"] == 3 * 200
    rows = [solve(task(multiple=0, cap=500)._replace(seed=seed)) for seed in (1, 2, 3)]
    assert all(row["solved"] and 200 < row["evaluations"] < 500 * 8 for row in rows)
    assert any(row["evaluations"] % 8 for row in rows)  # not where the generation ends


def test_points_of_ones_own_lie_on_a_line_through_the_mean():
    es = ES(np.ones(5), 0.1, seed=1, popsize=20)
    X = es.ask()
    X_told = with_injected(es, X, task(injected=25))
    assert np.array_equal(X_told[5:], X[5:]) and np.array_equal(X_told[:5, 1:], np.ones((5, 4)))
    assert 10 < np.abs(X_told[:5, 0] - 1).max() < 0.1 * 1000 * 4
    assert with_injected(es, X, task(injected=0)) is X


def row(radius, function, seed, evaluations, solved=1, **changed):
    values = Task(radius, "dense", function, 5, 10, seed, 9, 0)._asdict()
    more = {"evaluations": evaluations, "solved": solved, "acted": 0.25, "norm": 1.5, "sigma": 1.0}
    return values | more | changed


def test_the_report_compares_runs_of_one_problem_that_both_solved():
    rows = [row(0.5, "sphere", 1, 100), row(0.5, "sphere", 2, 300), row(0.5, "discus", 1, 7, 0)]
    rows += [row(2.0, "sphere", 1, 200), row(2.0, "sphere", 2, 5, 0), row(2.0, "discus", 1, 9)]
    rows += [row(r, "levy", s, 100, int(s == 1 or r == 2)) for s in (1, 2) for r in (0.5, 2.0)]
    rows += [row(0.5, "ackley", 1, 100), row(2.0, "ackley", 1, 100, 0)]  # one that never found it
    rows += [
        row(0.5, "sphere", 1, 1, 0, injected=50),
        row(2.0, "sphere", 1, 1, injected=50, sigma=inf),
    ]
    table = [line.split(" | ")[1:] for line in lines(rows) if line.startswith("| 10 ")]
    assert table[0] == ["1.000; 25%, ≤ 1.5", "2.000; 25%, ≤ 1.5 |"]
    assert table[1] == ["67%, 1.00; 25%, ≤ 1.5", "67%, 0.50; 25%, ≤ 1.5 |"]
    assert table[2] == ["0%, lost 0%; 25%, ≤ 1.5", "100%, lost 100%; 25%, ≤ 1.5 |"]


def test_the_command_runs_once_and_refuses_what_is_no_radius(tmp_path):
    words = ["trust-region", "--radii", "0.5,inf", "--dims", "2", "--multiples", "0,10"]
    words += ["--functions", "sphere", "--seeds", "1", "--cap", "5", "--jobs", "1"]
    words += ["-o", str(tmp_path / "rows.csv")]
    first, second = (CliRunner().invoke(bench, words) for _ in range(2))
    assert first.exit_code == 0 and "radius inf" in first.output
    assert first.output.count("\n| default |") == 1
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 5
    assert second.output.splitlines()[-5:] == first.output.splitlines()[-5:]
    for radii in ("0", "-1", "x", "nan"):
        assert CliRunner().invoke(bench, ["trust-region", "--radii", radii]).exit_code == 2


def test_tasks_are_all_runs_and_their_cap_is_one_of_generations():
    tasks = tasks_of([0.5, 1], "dense", ["sphere", "levy"], [5], [0, 40], [1, 2], 9, 0)
    assert len(set(tasks)) == 16 and {trust_region.popsize_of(t) for t in tasks} == {8, 200}
    with pytest.raises(ValueError, match="trust_region"):
        solve(task(radius=0.0))
