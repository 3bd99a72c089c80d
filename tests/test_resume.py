"""`structes resume`: a run that was killed goes on to the bits of one that was not."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from structes.experiment import experiment_from, resume_experiment, run_experiment
from structes.history import read_run

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


def test_one_of_several_searches_is_resumed(here):
    config = {**CONFIG, "problems": ["sphere", "slow:f"], "max_evaluations": 300}
    folder = run_experiment(experiment_from(config), here / "runs").folder
    result, before = json.loads((folder / "result.json").read_text()), rows(folder)
    result["problems"][0]["status"] = "failed"
    (folder / "result.json").write_text(json.dumps(result))
    with open(folder / "log.csv", "a") as file:
        file.write("sphere,0,99")  # torn
    (folder / "search-sphere.ckpt").unlink()
    assert resume_experiment(folder).result["status"] == "done"
    assert sorted(rows(folder)) == sorted(before)
