"""`structes resume`: a run that was killed, or whose budget is raised, goes on to the bits of one
that was not, or that had that budget from the start."""

import csv
import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

import structes
from structes.files.folders import Folder
from structes.files.locks import Lock
from structes.runs.config import load_config
from structes.runs.experiment import experiment_from
from structes.runs.reader import read_run
from structes.runs.resume import go_on, resume_experiment
from structes.runs.running import run_experiment
from structes.shell.cli import cli

SLOW = """
import math, time
def f(x):
    time.sleep(0.0004)
    return sum(v * v + 10 * (1 - math.cos(6.28 * v)) for v in x)
"""
CONFIG = {
    "problems": ["slow:f", "sphere"],
    "dim": 4,
    "seed": 3,
    "restarts": "ipop",
    "max_evaluations": 5000,
    "sigma0": 1.0,
    "x0": [2.0, 2.0, 2.0, 2.0],
    "bounds": [[-5, 5]] * 4,
    "tolfun": 1e-3,
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "slow.py").write_text(SLOW)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    yield tmp_path
    sys.modules.pop("slow", None)


def rows(folder):
    """The log but for its seconds."""
    with open(folder / "log.csv") as file:
        return [row[:-1] for row in csv.reader(file)]


def state(folder, name):
    with np.load(folder / name) as file:
        return {key: file[key].tobytes() for key in file.files}


def killed(command, folder_of, seconds):
    """Run it, and kill it `seconds` after its first checkpoint has come: the run's folder."""
    process = subprocess.Popen([sys.executable, "-m", "structes", *command])
    try:
        end = time.monotonic() + 60
        while not (found := list(folder_of.glob("*/search-*.ckpt"))):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.01)
        time.sleep(seconds)
        assert process.poll() is None, "it ended before it was killed"
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    return found[0].parent


@pytest.mark.slow
def test_a_run_that_was_killed_twice_is_resumed_to_the_same_bits(here):
    (here / "config.yaml").write_text(json.dumps(CONFIG))
    whole = run_experiment(experiment_from(CONFIG), here / "whole").folder
    runs = here / "runs"
    folder = killed(["run", "config.yaml", "-q", "--runs", "runs"], runs, 1.3)
    assert read_run(folder).result["status"] == "unfinished (killed?)"
    again = killed(["resume", str(folder), "-q"], runs, 0.7)
    assert again == folder
    done = resume_experiment(folder)
    assert done.result["status"] == "done" and list(runs.glob("*")) == [folder]
    assert rows(folder) == rows(whole)
    entries, theirs = done.result["problems"], read_run(whole).result["problems"]
    assert len(entries[0]["restarts"]) > 3 and entries[0]["fun"] == theirs[0]["fun"]
    for entry in entries:
        assert entry["status"] == "done"
        assert state(folder, entry["state"]) == state(whole, entry["state"])
    before = rows(folder)
    assert resume_experiment(folder).result["problems"][0]["fun"] == theirs[0]["fun"]
    assert rows(folder) == before  # what has ended stays


def test_what_cannot_be_resumed_is_refused(here):
    with pytest.raises(ValueError, match="is not a run folder"):
        resume_experiment(here)
    config = {**CONFIG, "problems": ["sphere"], "max_evaluations": 100, "restarts": None}
    folder = run_experiment(experiment_from(config), here / "runs").folder
    result = json.loads((folder / "result.json").read_text())
    result["problems"][0]["status"] = "interrupted"
    (folder / "result.json").write_text(json.dumps(result))
    (name,) = folder.glob("*.ckpt")
    name.write_bytes(name.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"ckpt' is no checkpoint of structes"):
        resume_experiment(folder)
    name.unlink()  # without a checkpoint it begins anew
    before = rows(folder)
    assert resume_experiment(folder).result["status"] == "done"
    assert rows(folder) == before


def test_only_one_process_goes_on(here):
    """Also where the other one has taken the lock between our look and our own."""
    folder = run_with(here, "part", problems=["sphere"], max_evaluations=100)
    change = {"max_evaluations": 200}
    other = Lock(Folder(folder))
    assert read_run(folder).result["status"] == "done"
    with pytest.raises(ValueError, match=f"is still running .process {os.getpid()} on .* since"):
        resume_experiment(folder, changes=change)
    other.close()
    with open(folder / "lock") as reader:  # who only looks, for a moment, is waited for
        fcntl.flock(reader, fcntl.LOCK_SH)
        threading.Timer(0.1, reader.close).start()
        assert resume_experiment(folder, changes=change).result["status"] == "done"


def test_one_of_several_searches_is_resumed(here):
    config = {**CONFIG, "problems": ["sphere", "slow:f"], "max_evaluations": 300}
    folder = run_experiment(experiment_from(config), here / "runs").folder
    result, before = json.loads((folder / "result.json").read_text()), rows(folder)
    result["problems"][0].update(status="failed", traceback="OSError: the disk is gone")
    (folder / "result.json").write_text(json.dumps(result))
    with open(folder / "log.csv", "a") as file:
        file.write("sphere,0,99")  # torn
    (folder / "search-sphere.ckpt").unlink()
    done = resume_experiment(folder)
    assert done.result["status"] == "done" and "traceback" not in done.result["problems"][0]
    assert sorted(rows(folder)) == sorted(before)


# -- with a larger budget


def facts(folder):
    """All that a run found, but for its seconds: rows of the log by problem, what result.json
    says, the states to the bit, and the config."""
    run = read_run(folder)
    entries = run.result["problems"]
    said = [{k: v for k, v in e.items() if k != "seconds"} for e in entries]
    by_problem = sorted(rows(folder), key=lambda row: row[0])
    return by_problem, said, [state(folder, e["state"]) for e in entries], run.config


def run_with(here, name, **changes):
    config = {**CONFIG, "problems": ["rastrigin", "sphere"], **changes}
    return run_experiment(experiment_from(config), here / name).folder


@pytest.mark.parametrize("restarts", [None, "ipop", pytest.param("bipop", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "budgets",
    [(1, 5), (3, 50), (98, 300), (96, 300), (99, 103, 104, 700)],
    ids=lambda budgets: "-".join(map(str, budgets)),
)
def test_a_larger_budget_gives_the_bits_of_one_from_the_start(here, restarts, budgets):
    """Also where the smaller one has cut a generation short, or the first one, or a restart's."""
    whole = run_with(here, "whole", restarts=restarts, max_evaluations=budgets[-1])
    part = run_with(here, "part", restarts=restarts, max_evaluations=budgets[0])
    for budget in budgets[1:]:
        resume_experiment(part, changes={"max_evaluations": budget})
    assert facts(part) == facts(whole)
    repeated = run_experiment(experiment_from(load_config(part)), here / "again").folder
    assert facts(repeated) == facts(whole)


@pytest.mark.slow
@pytest.mark.parametrize("restarts", ["ipop", "bipop"])
@pytest.mark.parametrize("budget", [1000, 1234, 2000])
def test_a_larger_budget_in_the_middle_of_restarts(here, restarts, budget):
    whole = run_with(here, "whole", restarts=restarts, max_evaluations=3000)
    part = run_with(here, "part", restarts=restarts, max_evaluations=budget)
    assert len(read_run(part).result["problems"][0]["restarts"]) > 1
    resume_experiment(part, changes={"max_evaluations": 3000})
    assert facts(part) == facts(whole)


@pytest.mark.parametrize(("first", "then"), [(70, 73), (70, 120), (90, 94)])
def test_generations_are_those_of_all_restarts(here, first, then):
    more = {"problems": ["rastrigin"], "tolfun": 1.0, "max_evaluations": None}
    whole = run_with(here, "whole", **more, max_generations=then)
    part = run_with(here, "part", **more, max_generations=first)
    assert len(read_run(part).result["problems"][0]["restarts"]) > 1
    resume_experiment(part, changes={"max_generations": then})
    assert facts(part) == facts(whole)
    assert read_run(part).result["problems"][0]["stop"]["max_generations"] == then


@pytest.mark.parametrize("workers", [None, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("name", "first", "then"),
    [
        ("target", 3.0, 1e-3),
        ("target_error", 1.0, 1e-3),
        ("max_generations", 5, 17),
        ("tolfun", 1.0, 1e-6),
        ("tolx", 1e-1, 1e-4),
        ("noeffect", True, False),
    ],
)
def test_other_criteria_may_be_changed(here, name, first, then, workers):
    more = {"problems": ["sphere"], "restarts": None, "max_evaluations": 600, "workers": workers}
    more |= {"tolfun": None, "tolfunhist": None}
    whole = run_with(here, "whole", **{**more, name: then})
    part = run_with(here, "part", **{**more, name: first})
    if name != "noeffect":
        assert facts(part)[0] != facts(whole)[0]  # or the test shows nothing
        resume_experiment(part, changes={name: then})
    assert facts(part)[:3] == facts(whole)[:3]


def test_max_seconds_counts_the_seconds_that_were_spent(here):
    more = {"problems": ["sphere"], "restarts": None, "tolfun": None, "max_evaluations": None}
    more |= {"tolfunhist": None, "tolx": None, "stagnation": None, "flat": None, "noeffect": False}
    part = run_with(here, "part", **more, max_seconds=0.2, structure="scalar")
    (entry,) = read_run(part).result["problems"]
    assert list(entry["stop"]) == ["max_seconds"]
    done = resume_experiment(part, changes={"max_seconds": 0.5})
    (later,) = done.result["problems"]
    assert later["evaluations"] > entry["evaluations"] and later["seconds"] >= 0.5
    begun = time.monotonic()
    with pytest.raises(
        ValueError, match=r"nothing to go on with: sphere has ended by max_seconds"
    ):
        resume_experiment(part, changes={"max_seconds": 0.4})
    assert time.monotonic() - begun < 20


def test_a_search_that_was_interrupted_takes_another_budget(here):
    whole = run_with(here, "whole", max_evaluations=700)
    part = run_with(here, "part", max_evaluations=300)
    for folder, name in ((part, "result.json"),):
        result = json.loads((folder / name).read_text())
        result["status"] = result["problems"][0]["status"] = "interrupted"
        (folder / name).write_text(json.dumps(result))
    resume_experiment(part, changes={"max_evaluations": 700})
    assert facts(part) == facts(whole)


def test_a_budget_that_was_written_into_the_config_counts(here):
    """A kill between config.yaml and the first checkpoint loses nothing: resume goes on."""
    whole = run_with(here, "whole", max_evaluations=400)
    part = run_with(here, "part", max_evaluations=100)
    text = (part / "config.yaml").read_text()
    (part / "config.yaml").write_text(text.replace("max_evaluations: 100", "max_evaluations: 400"))
    resume_experiment(part)
    assert facts(part) == facts(whole)


def test_a_smaller_budget_ends_a_search_that_was_under_way(here):
    part = run_with(here, "part", max_evaluations=300, problems=["sphere"], restarts=None)
    result = json.loads((part / "result.json").read_text())
    result["status"] = result["problems"][0]["status"] = "interrupted"
    (part / "result.json").write_text(json.dumps(result))
    (entry,) = resume_experiment(part, changes={"max_evaluations": 50}).result["problems"]
    assert entry["status"] == "done" and entry["stop"]["max_evaluations"] == entry["evaluations"]


def test_what_does_not_help_is_refused_and_changes_nothing(here):
    more = {"problems": ["sphere"], "restarts": None, "max_evaluations": 5000}
    part = run_with(here, "part", **more)
    (entry,) = read_run(part).result["problems"]
    assert list(entry["stop"]) == ["tolfun"]

    def files():  # the lock says since when it is held
        return {path.name: path.read_bytes() for path in part.iterdir() if path.name != "lock"}

    before = files()
    for changes, message in [
        (
            {"max_evaluations": 10_000},
            r"sphere has ended by tolfun\. What may help: .*--restarts ipop",
        ),
        ({"tolfun": 1e-2}, r"nothing to go on with"),
        ({"popsize": 5}, r"'popsize' is none \(a new run with another one: .*--set popsize=…\)"),
        ({"structure": "dense"}, r"'structure' is none"),
        ({"max_evaluatons": 5}, r"did you mean 'max_evaluations'\?\): they are target, max_ev"),
        ({"max_evaluations": "many"}, "max_evaluations must be an integer or null; got 'many'"),
        ({"tolx": -1}, "tolx must be"),
    ]:
        with pytest.raises(ValueError, match=message):
            resume_experiment(part, changes=changes)
        assert files() == before
    resume_experiment(part, changes={"tolfun": 1e-9})
    assert read_run(part).config["tolfun"] == 1e-9


def test_one_of_several_goes_on_where_the_other_has_converged(here):
    more = {"problems": ["rosenbrock", "sphere"], "restarts": None}
    part = run_with(here, "part", **more, max_evaluations=460)
    one, two = read_run(part).result["problems"]
    assert "max_evaluations" in one["stop"] and list(two["stop"]) == ["tolfun"]
    before = state(part, two["state"])
    resume_experiment(part, changes={"max_evaluations": 500})
    again = read_run(part).result["problems"]
    assert again[0]["evaluations"] == 500 and again[1]["evaluations"] == two["evaluations"]
    assert state(part, two["state"]) == before


def test_a_run_of_an_earlier_version_keeps_the_names_of_its_problems(here):
    """They were "slow:f:lower" where they are "slow:f" today."""
    spec = {"name": "slow:f", "lower": -5, "upper": 5}
    part = run_with(here, "part", problems=[spec], max_evaluations=60)
    for path in (part / "result.json", part / "log.csv"):
        path.write_text(path.read_text().replace("slow:f", "slow:f:lower:upper"))
    (entry,) = resume_experiment(part, changes={"max_evaluations": 120}).result["problems"]
    assert entry["problem"] == "slow:f:lower:upper" and entry["evaluations"] == 120
    assert {row[0] for row in rows(part)[1:]} == {"slow:f:lower:upper"}


@pytest.mark.parametrize("restarts", [None, "ipop"])
def test_a_search_takes_other_criteria(restarts, tmp_path):
    """`go_on` itself: what is asked of the search afterwards, and that a copy of it in a file has
    the new ones."""
    kind = structes.ES if restarts is None else structes.RestartES
    more = {} if restarts is None else {"restarts": restarts}
    es = kind([1.0, 1.0], 1.0, seed=1, max_evaluations=20, max_generations=50, **more)
    while not es.stop():
        X = es.ask()
        es.tell(X, [x @ x for x in X])
    assert set(es.stop()) == {"max_evaluations"}
    go_on(es, structes.Stopping(max_evaluations=40, max_generations=50, target=1e-9))
    assert es.stop() == {}
    es.tell(X := es.ask(), [x @ x for x in X])
    es.save(tmp_path / "it.ckpt")
    again = kind.load(tmp_path / "it.ckpt")
    assert again.monitor.stopping.max_evaluations == 40 and again.monitor.stopping.target == 1e-9
    go_on(es, structes.Stopping(target=1e9, max_generations=1))
    assert set(es.stop()) == {"target", "max_generations"}
    go_on(es, structes.Stopping(max_evaluations=5, max_generations=50))
    assert set(es.stop()) == {"max_evaluations"}


# -- from the command line


def call(*words):
    result = CliRunner().invoke(cli, words, prog_name="structes")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_resume_with_flags(here):
    run_with(here, "runs", problems=["rastrigin"], max_evaluations=100, target=-1.0, restarts=None)
    result = call("resume", "--max-evaluations", "2e2", "--set", "tolx=1e-9", "-q")
    assert result.exit_code == 0 and " 200 " in result.stdout
    (folder,) = (here / "runs").iterdir()
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["max_evaluations"] == 200 and config["tolx"] == 1e-9 and config["target"] == -1.0
    assert call("resume", "--target", "100", "--max-evaluations", "300", "-q").exit_code == 2
    assert call("resume", "--max-evaluations", "300", "-q").exit_code == 0
    for words, message in [
        (["--set", "popsize=3"], "'popsize' is none"),
        (["--set", "structure.k=3"], "'structure.k' is none"),
        (["--set", "max_evaluations"], "--set needs KEY=VALUE"),
        (["--max-evaluations", "x"], "max_evaluations must be an integer"),
        (["--max-evaluations", "200"], "nothing to go on with: rastrigin has ended by max_eval"),
    ]:
        result = call("resume", *words)
        (line,) = result.stderr.splitlines()
        assert result.exit_code == 2 and message in line and "Traceback" not in result.stderr
    result = call("resume")
    assert result.exit_code == 0 and "nothing was left to do" in result.stderr


FAILING = SLOW.replace("time.sleep(0.0004)", "time.sleep(0.002)").replace(
    "    return", "    if x[0] > 2.6: raise ValueError('no')\n    return"
)


def without_seconds(folder):
    """All that a run has found, and the failures that it has kept, but for their tracebacks, which
    name places in whatever process evaluates."""
    by_problem, said, states, _ = facts(folder)
    for entry in said:
        entry.pop("traceback", None)
    lines = [json.loads(line) for line in (folder / "failures.jsonl").read_text().splitlines()]
    failed = [(line["kind"], line["params"]) for line in lines]
    return by_problem, said, states, sorted(failed, key=str)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [None, 2])
def test_a_run_that_is_ended_by_many_signals_finds_what_one_does_that_is_not(here, workers):
    """Each is saved as it is; nothing is evaluated twice, or counted twice. (There are fewer
    failures than are kept: of more it depends on the order of arrival which ones are.)"""
    (here / "slow.py").write_text(FAILING)
    config = {**CONFIG, "max_evaluations": 800, "seed": 5, "workers": workers}
    whole = run_experiment(experiment_from(config), here / "whole").folder
    (here / "config.yaml").write_text(json.dumps(config))
    command, moments, signals = ["run", "config.yaml"], random.Random(1), 0
    while True:
        process = subprocess.Popen([sys.executable, "-m", "structes", *command, "-q"])
        time.sleep(moments.uniform(0.5, 1.2) + 0.1 * signals)  # so that it comes to an end
        process.send_signal(moments.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))
        code = process.wait(60)
        found = [path for path in here.glob("runs/*") if path.name[0] != "."]
        if code == 0:
            break
        signals += 1
        # Where the command does not hold the signals, each has its own effect: TERM and HUP as it
        # imports, all three as the interpreter ends, when the run is whole.
        assert code in (130, 143, 129, -signal.SIGTERM, -signal.SIGHUP, -signal.SIGINT)
        if found:
            command = ["resume", str(found[0])]
    assert signals > 1 and without_seconds(found[0]) == without_seconds(whole)
    assert 0 < len((whole / "failures.jsonl").read_text().splitlines()) < 20
