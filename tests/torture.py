"""Searches whose workers are stopped, let go on and killed at random: `python -m tests.torture 60`
does that for a minute. Each case has a number, from which all follows but the moments, and
`python -m tests.torture 0 4711` is case 4711 alone.

The values must be those of the search without workers, to the bit, and nothing may be left behind:
neither a worker, nor its keeper, nor what the function has started in sessions of its own.
"""

import contextlib
import faulthandler
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
import warnings
from pathlib import Path

import numpy as np

from structes import Evaluator, minimize

from . import crew

TAG = "STRUCTES_TORTURE"  # in the environment of all that a case starts


def tagged(tag):
    """Ids of the processes, zombies apart, that have the tag in their environment."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{TAG}={tag}".encode() in (place / "environ").read_bytes():
                found.append(int(place.name))
    return [pid for pid in found if crew.alive(pid)]


def objective(moods):
    """A function that now and then starts what would outlive it."""
    pause, forks = moods.choice([0.0, 0.0003, 0.003]), moods.random() < 0.5
    wide = moods.choice([1, 1, 3000])

    def function(x):
        time.sleep(pause)
        if forks and TAG in os.environ and int(abs(x[0]) * 1e6) % 40 == 0:
            subprocess.Popen(["sleep", "600"], start_new_session=True)
        return float(np.sum(x * x * np.arange(1, 1 + x.size)))

    return function, 4 * wide


def disturb(moods, over):
    """Signals to workers and keepers, until it is over; all that is stopped goes on in time."""
    stopped: dict = {}
    while not over.wait(moods.uniform(0.0, 0.5)):
        now = time.monotonic()
        for pid in [pid for pid, until in stopped.items() if until < now]:
            del stopped[pid]
            send(pid, signal.SIGCONT)
        them = [*crew.keepers_of(), *crew.workers_of()]
        if not them:
            continue
        pid = moods.choice(them)
        number = moods.choices([signal.SIGSTOP, signal.SIGKILL, signal.SIGTERM], [8, 2, 1])[0]
        send(pid, number)
        if number == signal.SIGSTOP:
            stopped[pid] = now + moods.choice([0.02, 0.3, 1.0])
    for pid in stopped:
        send(pid, signal.SIGCONT)


def send(pid, number):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def case(number, seconds=None):
    """One search. Raises AssertionError where something is wrong."""
    moods = random.Random(number)
    function, dim = objective(moods)
    given = {
        "x0": np.linspace(1, 2, dim),
        "sigma0": 0.5,
        "structure": "diagonal",
        "seed": number,
        "max_evaluations": moods.choice([200, 600]),
    }
    alone = minimize(function, **given)
    tag, over = uuid.uuid4().hex, threading.Event()
    evaluator = Evaluator(
        moods.choice([2, 3, 4]),
        attempts=10**6,
        timeout=moods.choice([None, 60.0]),
        max_calls=moods.choice([None, None, 50]),
        limits=moods.choice([None, {"memory": "1GB"}]),
        transport=moods.choice(["ship", "redraw"]),
        environment={TAG: tag},
    )
    thread = threading.Thread(target=disturb, args=(moods, over))
    with evaluator, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "a worker could not be started", RuntimeWarning)
        thread.start()
        try:
            together = minimize(function, workers=evaluator, **given)
        finally:
            over.set()
            thread.join()
    assert together.nfev == alone.nfev and together.fun == alone.fun, (together, alone)
    assert together.x.tobytes() == alone.x.tobytes()
    crew.wait_for(lambda: not tagged(tag), 10.0)
    assert crew.keepers_of() == []


def main(seconds="60", number=None):
    if number is not None:
        case(int(number))
        return
    faulthandler.dump_traceback_later(float(seconds) + 60, exit=True)
    end, number = time.monotonic() + float(seconds), random.randrange(10**6)
    print("from case", number, flush=True)
    first = number
    while time.monotonic() < end:
        began = time.monotonic()
        try:
            case(number)
        except BaseException:
            print("case", number, flush=True)
            raise
        if time.monotonic() - began > 30:
            print("case", number, "took", time.monotonic() - began, flush=True)
        number += 1
    print(number - first, "cases")


if __name__ == "__main__":
    main(*sys.argv[1:])
