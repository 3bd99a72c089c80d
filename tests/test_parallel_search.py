"""Searches with workers: the same bits as without, whoever dies; steady and unfinished
generations; and runs that are killed, interrupted and resumed."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest

from structes import ES, Choice, Evaluator, Float, Int, RestartES, Space, minimize
from structes.runs.experiment import experiment_from
from structes.runs.reader import read_run
from structes.runs.running import run_experiment
from structes.search.loop import run
from structes.shell.cli import cli

from . import crew

pytestmark = pytest.mark.slow  # they start processes

START = np.full(6, 2.0)


def bits(result):
    """All that a search has found, and where it stands."""
    es = result.es
    numbers = [result.x, result.fun, result.mean, es.sigma, result.nfev, result.nit]
    return (
        b"".join(np.asarray(n, dtype=float).tobytes() for n in numbers) + str(es.stop()).encode()
    )


def rough(x):
    """Many minima, to the last bit."""
    x = np.asarray(x)
    return float(10 * x.size + (x**2 - 10 * np.cos(6.28 * x)).sum())


def rough_rows(X):
    return (np.cos(X @ crew.MATRIX[: X.shape[1]]) + 0.1 * (X**2).sum(axis=1)[:, None]).sum(axis=1)


def flaky(x):
    """One point in seven raises, by its bits."""
    if int(abs(x[0]) * 1e9) % 7 == 0:
        raise ArithmeticError("seven")
    return float(x @ x)


SPACE = Space({"rate": Float(1e-5, 1.0, log=True), "n": Int(1, 9), "kind": Choice("a", "b", "c")})


def of_dict(p):
    return float(np.log(p["rate"] / 1e-3) ** 2 + (p["n"] - 4) ** 2 + "abc".index(p["kind"]))


SEARCHES = {
    "point": (rough, START, {"sigma0": 1.0}),
    "rows": (rough_rows, START, {"sigma0": 1.0, "vectorized": True, "popsize": 40}),
    "auto": (crew.sphere, START, {"sigma0": 1.0, "structure": "auto"}),
    "diagonal": (crew.sphere, START, {"sigma0": 1.0, "structure": "diagonal", "popsize": 9}),
    "ipop": (rough, START, {"sigma0": 1.0, "restarts": "ipop", "tolfun": 0.5}),
    "bounds": (crew.sphere, START, {"sigma0": 1.0, "bounds": [(1.0, 3.0)] * 6}),
    "integers": (crew.sphere, START, {"sigma0": 1.0, "integers": [0, 3]}),
    "space": (of_dict, SPACE, {}),
    "raises": (flaky, START, {"sigma0": 1.0}),
    "target": (crew.sphere, START, {"sigma0": 1.0, "target": 1e-3}),
}


def search(name, **given):
    function, x0, options = SEARCHES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of missing values
        return minimize(function, x0, seed=5, max_evaluations=400, **options, **given)


@pytest.fixture(scope="module")
def crews():
    """{number of workers: Evaluator}, which do not evaluate here."""
    evaluators = {n: Evaluator(n, timeout=60) for n in (1, 2, 3)}
    yield evaluators
    for evaluator in evaluators.values():
        evaluator.close()


@pytest.mark.parametrize("transport", ["ship", "redraw"])
@pytest.mark.parametrize("name", SEARCHES)
def test_workers_change_no_bit(name, transport, crews):
    # a vectorised function is called with a 32nd of a generation: here as there
    how = {"workers": "serial"} if name == "rows" else {}
    alone = search(name, **how)
    assert alone.nit > 5
    for evaluator in crews.values():
        evaluator.transport = transport
        together = search(name, workers=evaluator)
        assert bits(together) == bits(alone)
        assert together.errors == alone.errors
    assert alone.errors > 0 or name != "raises"


@pytest.mark.parametrize("how", [1, 2, -1, {"name": "process", "count": 2, "batch": 3}])
def test_what_workers_may_be(how):
    assert bits(search("point", workers=how)) == bits(search("point"))
    assert len(crew.workers_of()) in (0, 6)  # besides those of the fixture


def test_an_evaluator_is_the_callers(crews):
    before = set(crew.workers_of())
    with Evaluator(2, timeout=60) as evaluator:
        first = minimize(rough, START, 1.0, seed=1, max_evaluations=60, workers=evaluator)
        pids = set(crew.workers_of()) - before
        assert len(pids) == 2
        again = minimize(rough, START, 1.0, seed=1, max_evaluations=60, workers=evaluator)
        assert set(crew.workers_of()) - before == pids
        assert bits(first) == bits(again)
        with pytest.raises(ValueError, match="has its own timeout"):
            minimize(rough, START, 1.0, workers=evaluator, timeout=1.0)
    assert crew.survivors(pids, 2.0) == []


@pytest.mark.parametrize("given", [{"timeout": 1.0}, {"mode": "steady"}])
def test_what_needs_workers(given):
    (name,) = given
    with pytest.raises(ValueError, match=f"{name}.*needs workers"):
        minimize(rough, START, 1.0, **given)


def test_unknown_mode():
    with pytest.raises(ValueError, match=r"mode must be.*'stedy'.*steady"):
        minimize(rough, START, 1.0, workers=1, mode="stedy")


def test_a_factory():
    alone = minimize(crew.made, START4, 1.0, seed=3, max_evaluations=80, factory=True)
    together = minimize(
        crew.made, START4, 1.0, seed=3, max_evaluations=80, factory=True, workers=2
    )
    assert bits(alone) == bits(together)


START4 = np.full(crew.DIM, 0.5)


def test_a_crash_on_the_way_changes_no_bit(tmp_path, crews):
    class Crash(crew.OneCrash):
        def __call__(self, x):
            if x[0] < 0 and not os.path.exists(self.flag):
                open(self.flag, "w").close()
                os._exit(9)
            return rough(x)

    crash = Crash(tmp_path / "flag", 0)
    with Evaluator(2) as evaluator:
        hit = minimize(crash, START, 1.0, seed=5, max_evaluations=400, workers=evaluator)
    assert (tmp_path / "flag").exists()
    assert bits(hit) == bits(search("point"))


@pytest.mark.slow
def test_values_are_told_as_they_come_in_long_generations(crews):
    """The bits are those of a generation that was told at once."""

    def slow(x):
        time.sleep(0.25)
        return rough(x)

    told = []
    es = ES(START, 1.0, seed=5, popsize=12, max_evaluations=24)
    run(es, crews[2].bind(slow), after_tell=lambda es: told.append(es.evaluations))
    other = ES(START, 1.0, seed=5, popsize=12, max_evaluations=24)
    run(other, lambda X: np.array([rough(x) for x in X]))
    assert es.mean.tobytes() == other.mean.tobytes()
    assert 12 in told and 24 in told and len(told) > 2
    assert told == sorted(told)


def test_the_budget_is_kept(crews):
    for n in (7, 50, 101):
        for fraction in (1.0, 0.6):
            crews[2].finish_fraction = fraction
            result = minimize(rough, START, 1.0, seed=1, max_evaluations=n, workers=crews[2])
            assert result.nfev == n
            assert result.stop == {"max_evaluations": n}
        crews[2].finish_fraction = 1.0
        result = minimize(
            rough, START, 1.0, seed=1, max_evaluations=n, workers=crews[2], mode="steady"
        )
        assert result.nfev == n


@pytest.mark.slow
def test_an_unfinished_generation():
    """The slowest are not waited for, and told late; what is out at the end is given up."""

    def uneven(x):
        time.sleep(0.05 if int(abs(x[0]) * 1e9) % 8 == 0 else 0.002)
        return float(x @ x)

    with Evaluator(3, finish_fraction=0.8, timeout=60) as evaluator:
        es = ES(START, 1.0, seed=2, popsize=12, target=1e-8, max_evaluations=6000)
        late, f = [], evaluator.bind(uneven)
        reasons = run(es, f, lambda es: late.append(es.info.late if es.info else 0))
        assert "target" in reasons
        assert sum(late) > 0
        assert not f.pending
        assert evaluator.bind(crew.sphere)(np.ones((5, 6))).tolist() == [6.0] * 5


@pytest.mark.slow
@pytest.mark.parametrize("restarts", [None, "ipop"])
def test_steady(restarts):
    evaluations = []
    result = minimize(
        crew.slow_sphere,
        START,
        1.0,
        seed=2,
        restarts=restarts,
        workers=Evaluator(3, timeout=60),
        mode="steady",
        target=1e-8,
        max_evaluations=6000,
        callback=lambda es: evaluations.append(es.evaluations),
    )
    assert result.success and result.fun <= 1e-8
    assert evaluations == sorted(set(evaluations)) and len(evaluations) >= result.nit - 1


def test_time_limits_are_missing_values():
    def stuck(x):
        if x[0] > 2.5:
            time.sleep(1000)
        return float(x @ x)

    with pytest.warns(RuntimeWarning, match=r"evaluations of fun failed.*Timeout"):
        result = minimize(stuck, START, 0.5, seed=3, workers=2, timeout=0.3, max_evaluations=40)
    assert 0 < result.errors < 40
    assert result.nfev == 40 and np.isfinite(result.fun)


def test_where_no_evaluation_gives_a_value():
    from structes import EvaluationError

    def boom(x):
        raise ArithmeticError("never")

    raised = pytest.raises(EvaluationError, match=r"(?s)ArithmeticError: never.*in boom")
    with raised, pytest.warns(RuntimeWarning, match="all values of a generation"):
        minimize(boom, START, 1.0, seed=1, workers=1, max_evaluations=20)


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_an_exception_of_the_drivers_callback_frees_the_workers(error):
    before, seen = set(crew.workers_of()), []

    def callback(es):
        seen.extend(set(crew.workers_of()) - before)
        raise error("mine")

    def search():
        return minimize(
            lambda x: time.sleep(0.01) or float(x @ x), START, 1.0, workers=2, callback=callback
        )

    if error is KeyboardInterrupt:
        found = search()
        assert "interrupted" in found.stop
    else:
        with pytest.raises(error, match="mine") as caught:
            search()
        found = caught.value.result
    assert found.nit == 1 and found.fun == pytest.approx(found.x @ found.x)
    assert seen and crew.survivors(seen, 2.0) == []


def test_a_search_that_was_saved_goes_on_with_other_workers(tmp_path, crews):
    whole = RestartES(START, 1.0, seed=7, restarts="ipop", max_evaluations=300, tolfun=0.5)
    run(whole, crews[1].bind(rough))
    for lazy in ("ship", "redraw"):
        crews[3].transport = crews[2].transport = lazy
        es = RestartES(START, 1.0, seed=7, restarts="ipop", max_evaluations=300, tolfun=0.5)
        run(es, crews[3].bind(rough), lambda es: es.generation == 9)
        X = es.ask()  # it was saved in the middle of a generation
        es.tell(X[2:4], [rough(x) for x in X[2:4]])
        es.save(tmp_path / lazy)
        es = RestartES.load(tmp_path / lazy)
        run(es, crews[2].bind(rough))
        assert es.evaluations == whole.evaluations
        assert es.mean.tobytes() == whole.mean.tobytes()
        assert es.best.x.tobytes() == whole.best.x.tobytes()


# -- runs -----------------------------------------------------------------------------------------

MODULE = """
import os, time
from pathlib import Path

def slow(x):
    Path(os.environ["CREW"], str(os.getpid())).touch()
    time.sleep(float(os.environ.get("PAUSE", "0")))
    if int(abs(x[0]) * 1e9) % 11 == 0:
        raise ArithmeticError("eleven")
    return float(x @ x)
"""


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with a module of the user's own, and where its workers sign."""
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "crew").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CREW", str(tmp_path / "crew"))
    return tmp_path


RUN = ["run", "--problem", "mine:slow", "--dim", "5", "--seed", "3", "-q", "--name", "r"]


def structes(*arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "structes", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.getcwd(), **environment},
    )


def logged(folder):
    """A run's log and results without times."""
    rows = [line.split(",") for line in (folder / "log.csv").read_text().splitlines()]
    timed = [k for k, name in enumerate(rows[0]) if "seconds" in name or "time" in name]
    log = [[cell for k, cell in enumerate(row) if k not in timed] for row in rows]
    (entry,) = json.loads((folder / "result.json").read_text())["problems"]
    keys = ("status", "evaluations", "generations", "best", "x", "stop", "errors")
    return log, {key: entry[key] for key in keys if key in entry}


def the_run(runs):
    (folder,) = (path for path in runs.iterdir() if path.is_dir())
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_ended_in_the_middle(how, desk):
    """Its workers end, and with others it comes to the bits of a serial run."""
    budget = ["--max-evaluations", "240"]
    whole = structes(*RUN, *budget, "--runs", "whole")
    assert whole.wait(60) == 0, whole.stderr.read()
    driver = structes(*RUN, *budget, "--runs", "runs", "--workers", "2", PAUSE="0.02")
    log = desk / "runs"
    crew.wait_for(lambda: list(log.glob("[!.]*/log.csv")))  # before it is whole its name has a dot
    crew.wait_for(lambda: the_run(log).joinpath("log.csv").read_text().count("\n") > 6)
    pids = [int(path.name) for path in (desk / "crew").iterdir()]
    pids = [pid for pid in pids if crew.alive(pid)]
    assert len(pids) == 2
    os.killpg(driver.pid, how)
    began = time.monotonic()
    _, said = driver.communicate(timeout=20)
    assert time.monotonic() - began < 5
    assert crew.survivors(pids, 5.0) == []
    done = read_run(the_run(log)).result
    if how == signal.SIGINT:
        assert driver.returncode == 130, said
        assert done["status"] == "interrupted"
        assert done["problems"][0]["evaluations"] > 0
    else:
        assert driver.returncode == -how
    resumed = structes("resume", "latest", "--runs", "runs", "--workers", "3", "-q")
    _, said = resumed.communicate(timeout=60)
    assert resumed.returncode == 0, said
    found, expected = logged(the_run(log)), logged(the_run(desk / "whole"))
    assert found[0] == expected[0]
    assert found[1] == expected[1]
    for stream in (whole.stdout, whole.stderr):
        stream.close()


def test_failures_are_written_down(desk):
    given = {"problems": ["mine:slow"], "dim": 5, "seed": 3, "max_evaluations": 60}
    sys.path.insert(0, str(desk))
    try:
        folders = [
            run_experiment(experiment_from({**given, **more}), desk / name).folder
            for name, more in {"a": {}, "b": {"workers": 2, "timeout": 60}}.items()
        ]
    finally:
        sys.path.remove(str(desk))
        sys.modules.pop("mine", None)
    alone, together = (
        [json.loads(line) for line in (folder / "failures.jsonl").read_text().splitlines()]
        for folder in folders
    )
    assert len(alone) > 2
    key = lambda row: (row["generation"], row["row"])  # noqa: E731
    assert sorted(map(key, alone)) == sorted(map(key, together))
    for row in together:
        assert (row["kind"], row["message"]) == ("ArithmeticError", "eleven")
        assert "in slow" in row["traceback"]
    assert logged(folders[0]) == logged(folders[1])


def test_wrong_workers_of_a_run(desk):
    from click.testing import CliRunner

    for more, words in (
        (["--workers", "0"], "workers"),
        (["--workers", "-2"], "-1: one for every processor; got -2"),
        (["--workers", "proces"], "workers"),
        (["--timeout", "3"], "needs workers"),
        (["--mode", "steady"], "needs workers"),
        (["--workers", "2", "--mode", "stedy"], "mode must be"),
        (["--workers", "2", "--address", "a:1"], "address"),
    ):
        done = CliRunner().invoke(cli, [*RUN, *more])
        assert done.exit_code == 2, done.output
        assert words in done.output
