"""A search that is killed by SIGKILL at any moment, and goes on from its last file, asks and finds
to the bit what the uninterrupted one does."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import hashlib, os, random, sys, time
import numpy as np
from structes import RestartES
from structes.structures import build_structure

path, structure, pause = sys.argv[1], eval(sys.argv[2]), float(sys.argv[3])

def rastrigin(X):
    return 10 * X.shape[1] + (X**2 - 10 * np.cos(6.28 * X)).sum(axis=1)

if os.path.exists(path):
    es = RestartES.load(path)
else:
    es = RestartES(
        [2.0, 3.0, -1.0, 1.0], 1.0, structure, seed=7, restarts="ipop", max_evaluations=2400,
        bounds=[(-5, 5)] * 4, tolfun=0.5,
    )
log = open(path + ".log", "a", buffering=1)
while not es.stop():
    X = es.pending  # where a generation was cut in two
    if not len(X):
        X = es.ask()
    n = 1 + es.evaluations % 3  # tells a part, and saves in the middle of a generation
    es.tell(X[:n], rastrigin(X[:n]))
    log.write(f"{es.evaluations} {hashlib.sha256(X.tobytes()).hexdigest()}\\n")
    if pause:  # it is to be killed
        es.save(path)
        time.sleep(pause)
state = b"".join(np.asarray(a).tobytes() for a in (es.mean, es.sigma, es.best.x, es.best.fun))
print(es.restart, es.evaluations, hashlib.sha256(state).hexdigest(), es.stop())
"""
STRUCTURES = ("auto", "dense", "diagonal", {"name": "block_upper", "k": 1}, "low_rank")


def start(path, structure, pause):
    command = [sys.executable, "-c", PROGRAM, str(path), repr(structure), str(pause)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def batches(path):
    """{evaluations: hash of what was asked for} of a search; a repeated line must say the same."""
    found = {}
    for line in (path.parent / (path.name + ".log")).read_text().splitlines():
        evaluations, asked = line.split()
        assert found.setdefault(int(evaluations), asked) == asked
    return found


@pytest.mark.slow
@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_twenty_kills_change_nothing(structure, tmp_path):
    moments = random.Random(str(structure))
    whole = start(tmp_path / "whole", structure, 0).communicate()[0]
    log, size = tmp_path / "killed.log", 0
    for _ in range(4):  # kills, of each structure
        process = start(tmp_path / "killed", structure, 0.004)
        while process.poll() is None and (not log.exists() or log.stat().st_size <= size):
            time.sleep(0.005)  # until it is under way
        time.sleep(moments.uniform(0.02, 0.3))
        assert process.poll() is None, "it ended before it was killed four times"
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        size = log.stat().st_size
    assert start(tmp_path / "killed", structure, 0).communicate()[0] == whole
    assert int(whole.split()[0]) >= 2  # restarts
    assert batches(tmp_path / "killed") == batches(tmp_path / "whole")
