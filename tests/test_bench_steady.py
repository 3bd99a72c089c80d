"""The bench of workers that never wait: the laws of its simulator, and small real runs."""

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("cma")

from structes import ES
from structes.bench.cli import bench
from structes.bench.evaluations import steady
from structes.bench.evaluations.steady import Barrier, Steady, Task, Workers, simulate
from structes.bench.peers.ours import Structes
from structes.population import late as arrivals

SPHERE = steady.FUNCTIONS["sphere"]


def search(popsize=6, d=4):
    return ES(np.ones(d), 1.0, seed=3, popsize=popsize)


def barrier(popsize=6, d=4):
    return Barrier(Structes(np.ones(d), 1.0, popsize, 3))


def equal(n):
    """n workers that take one unit of time for each evaluation."""
    return Workers(n, 1, fastest=1.0, spread=0.0)


class Seen:
    """A function of one point that remembers where it was evaluated."""

    def __init__(self):
        self.points = []

    def __call__(self, x):
        self.points.append(np.array(x))
        return SPHERE(x)


# -- the simulator


def test_one_worker_in_steady_state_is_ask_and_tell_one_by_one():
    seen, plain, es = Seen(), Seen(), search()
    simulate(Steady(search()), seen, Workers(1, 7), -1.0, 100)
    for _ in range(100):
        X = es.ask(1)
        es.tell(X, [plain(X[0])])
    np.testing.assert_array_equal(seen.points, plain.points)


def test_one_worker_behind_a_barrier_is_ask_and_tell_by_generations():
    seen, plain, es = Seen(), Seen(), search()
    simulate(barrier(), seen, Workers(1, 7), -1.0, 60)
    for _ in range(10):
        X = es.ask()
        es.tell(X, [plain(x) for x in X])
    np.testing.assert_array_equal(seen.points, plain.points)


@pytest.mark.parametrize("workers", [1, 2, 3, 6, 9])
def test_time_of_equal_workers(workers):
    cap = 60  # ten generations of six
    done = simulate(Steady(search()), SPHERE, equal(workers), -1.0, cap)
    assert done[:3] == (cap, -(-cap // workers), "cap")  # nobody ever waits
    done = simulate(barrier(), SPHERE, equal(workers), -1.0, cap)
    assert done[:3] == (cap, 10 * -(-6 // workers), "cap")


def test_free_workers_do_not_wait_for_news():
    """Six equal workers end at once, but five of them ask before the sixth value closes the
    generation; so one candidate of six is fresh from then on."""
    search_, seen = Steady(search()), Seen()
    simulate(search_, seen, equal(6), -1.0, 12)
    es = search()
    first, more = es.ask(6), es.ask(5)
    es.tell(first, [SPHERE(x) for x in first])
    wanted = np.concatenate([first, more, es.ask(1)])
    np.testing.assert_allclose(seen.points, wanted, rtol=1e-12)
    assert (search_.es.generation, search_.late + search_.stale) == (1, 0)


def test_time_is_that_of_the_durations():
    workers = Workers(3, 5)
    ends = np.cumsum([[workers.duration(w, k) for k in range(40)] for w in range(3)], axis=1)
    done = simulate(Steady(search()), SPHERE, workers, -1.0, 30)
    assert done.time == pytest.approx(np.sort(ends.ravel())[29])


def test_how_it_ends():
    done = simulate(Steady(search()), SPHERE, Workers(4, 1), 1e-3, 10_000)
    assert done.ended == "target" and done.evaluations < 1000
    for make in (Steady(search()), barrier()):
        assert simulate(make, SPHERE, Workers(4, 1), -1.0, 17)[::2] == (17, "cap")
    es = ES(np.ones(4), 1.0, seed=3, popsize=6, max_evaluations=12)
    assert simulate(Steady(es), SPHERE, Workers(4, 1), -1.0, 1000)[::2] == (12, "gave up")


# -- workers


def test_workers_are_the_same_however_many_there_are():
    few, many = Workers(4, 2), Workers(64, 2)
    np.testing.assert_array_equal(few.speeds, many.speeds[:4])
    assert few.duration(3, 11) == many.duration(3, 11)
    assert few.duration(3, 11) != few.duration(3, 12) != Workers(4, 3).duration(3, 12)


def test_speeds_and_durations_have_the_distribution_that_they_claim():
    workers = Workers(500, 1)
    logs = np.log(workers.speeds) / np.log(steady.FASTEST)
    assert 0 < logs.min() < 0.02 < 0.98 < logs.max() < 1
    assert logs.mean() == pytest.approx(0.5, abs=0.05)
    logs = [np.log(workers.duration(7, k) * workers.speeds[7]) for k in range(2000)]
    assert np.mean(logs) == pytest.approx(0, abs=0.05)
    assert np.std(logs) == pytest.approx(steady.SPREAD, abs=0.03)


# -- late values


def test_late_values_count_as_said_and_the_library_is_left_as_it_was():
    es = search()
    late, fresh = es.ask(), es.ask()
    es.tell(fresh, [SPHERE(x) for x in fresh])
    place = es.ledger.find(late[:1])[0]
    generation = es.ledger.generation(place.key)[1].generation
    arguments = es.ledger.open.generation, generation, place.index, 1.0
    before = arrivals.late(*arguments)
    from structes.population import arrivals as module

    for name, count in steady.LATE.items():
        with steady.late_values(count):
            importance = module.late(*arguments).importance
        full = before.importance ** (1 / arrivals.temper(es.strategy))
        wanted = {"steady": before.importance, "full": full, "fresh": 1.0, "dropped": 0.0}
        assert importance == pytest.approx(wanted[name])
    assert module.late is arrivals.late


def solved(solver, workers=4, popsize=6, cap=4000):
    return steady.solve(Task(solver, "sphere", 4, workers, popsize, 1, cap))


@pytest.mark.slow
def test_runs_repeat_and_their_variants_differ():
    rows = {solver: solved(solver) for solver in steady.SOLVERS}
    again = solved("steady")
    assert {**again, "seconds": 0} == {**rows["steady"], "seconds": 0}
    assert all(row["ended"] == "target" for row in rows.values())
    assert rows["steady"]["late"] > 0 == rows["sync"]["late"] == rows["dropped"]["late"]
    assert rows["dropped"]["stale"] > 0 == rows["fresh"]["stale"]
    assert len({row["time"] for row in rows.values()}) == len(rows)


def test_no_waiting_saves_time():
    rows = [steady.solve(Task(s, "sphere", 10, 16, 16, 1, 20_000)) for s in ("steady", "sync")]
    assert rows[0]["time"] < rows[1]["time"] and rows[0]["evaluations"] > rows[1]["evaluations"]


# -- the report


def test_ratios_are_over_runs_that_both_solved():
    def row(solver, seed, evaluations, time, ended="target"):
        return {
            "solver": solver,
            "function": "sphere",
            "seed": seed,
            "evaluations": evaluations,
            "time": time,
            "ended": ended,
        }

    rows = [row("steady", 1, 200, 5.0), row("sync", 1, 100, 10.0)]
    rows += [row("steady", 2, 800, 20.0), row("sync", 2, 100, 10.0)]
    assert steady.ratios(rows, "steady", "sync") == "4.00 / 1.00"
    rows += [row("steady", 3, 1, 1.0, "cap"), row("sync", 3, 1, 1.0)]
    assert steady.ratios(rows, "steady", "sync") == "4.00 / 1.00"
    assert steady.ratios(rows, "steady", "pycma") == "–"


def test_tasks_have_both_populations():
    tasks = steady.tasks_of(["sphere"], [10], [1, 64], 2)
    assert {(t.workers, t.popsize) for t in tasks} == {(1, 10), (64, 10), (64, 64)}
    assert {t.solver for t in tasks if t.workers == 1} == {"steady", "sync", "pycma"}
    assert {t.solver for t in tasks if t.workers == 64} == set(steady.SOLVERS)
    assert len(tasks) == len(set(tasks)) == 2 * (3 + 6 + 6)


def test_the_command(tmp_path):
    words = ["steady", "--dims", "2", "--workers", "1,3", "--functions", "sphere", "--seeds", "1"]
    words += ["--solvers", "steady,sync", "--jobs", "1", "-o", tmp_path / "steady.csv"]
    call = CliRunner().invoke(bench, [str(word) for word in words])
    assert call.exit_code == 0, call.output
    table = call.output.split("d = 2\n")[1].splitlines()
    assert [line.split()[2] for line in table if "/1" in line] == ["steady", "sync"] * 2
    assert all("1.00 / 1.00" in line for line in table if " sync " in line)
    assert CliRunner().invoke(bench, ["steady", "--functions", "spere"]).exit_code == 2
