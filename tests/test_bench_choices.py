"""The bench of choices: its problems have minimum 0, it repeats, and it reports both solvers."""

from itertools import product

import numpy as np
import pytest

from structes.bench.evaluations import choices as bench


@pytest.mark.parametrize("kind", ["separable", "pairs", "chain", "moving"])
def test_the_minimum_is_zero_at_the_best_options_and_nowhere_else(kind):
    case = bench.Case(kind, 4, 3, 2)
    problem = bench.Problem(case, 7)
    C = np.array(list(product(range(3), repeat=4)))
    X = np.tile(problem.optima[0, 0], (len(C), 1))
    if kind == "moving":
        X = problem.optima[np.arange(4), C].sum(axis=1)
        assert len(np.unique(X, axis=0)) == 81
    values = np.sort(problem.value(C, X))
    assert abs(values[0]) < 1e-15 and values[1] > 1e-4
    np.testing.assert_allclose(np.sort(problem.value(C, X + np.array([3.0, 4.0]))), values + 25)


def test_pairs_do_not_show_in_what_a_choice_does_alone():
    problem = bench.Problem(bench.Case("pairs", 2, 10, 0), 3)
    assert problem.tables[0].shape == (10, 10) and problem.tables[0].min() == 0
    chain = bench.Problem(bench.Case("chain", 4, 3, 0), 3)
    assert len(chain.tables) == 3 and chain.places == [(0, 1), (1, 2), (2, 3)]


def test_the_bench_repeats_and_reports():
    pytest.importorskip("cmaes")
    cases = ["separable-4x5", "separable-4x5-6"]
    tasks = bench.tasks_of(cases, [3], 2000)
    rows = [bench.solve(task) for task in tasks]
    assert rows[:2] == [bench.solve(task) for task in tasks[:2]]
    assert all(row["solved"] and row["first_solved"] for row in rows)
    text = "\n".join(bench.lines(rows))
    assert all(name in text for name in [*bench.SOLVERS, *cases])
    assert bench.expected([dict(evaluations=10, solved=1), dict(evaluations=5, solved=0)]) == 15


def test_a_search_that_ends_is_started_anew_with_another_seed(monkeypatch):
    seeds = []

    def short(case, seed):  # two generations of four, and in the third run the optimum
        seeds.append(seed)
        problem = bench.Problem(case, 5)
        C = np.zeros((4, case.n), dtype=int)
        X = np.tile(problem.optima[0, 0], (4, 1)) + 1.0
        assert (yield C, X).shape == (4,)
        if len(seeds) == 3:
            C[1] = [int(t.argmin()) for t in problem.tables]
            X[1] -= 1.0
        yield C, X

    monkeypatch.setitem(bench.SOLVERS, "ours", short)
    task = bench.Task("ours", "separable-4x5-6", 5, 100)
    row = bench.solve(task)
    assert (row["evaluations"], row["solved"]) == (8 + 8 + 4 + 2, 1)
    assert (row["first"], row["first_solved"]) == (8, 0)
    assert seeds == [5000, 5001, 5002]
    seeds.clear()
    row = bench.solve(task._replace(budget=16))
    assert (row["evaluations"], row["solved"], len(seeds)) == (16, 0, 2)
