"""How the bench measures time, written once.

A machine that is busy with something else makes a single time worthless, so two measurements that
are compared take turns, and what counts is the smallest time of each (or the median): `turns`.
A device works behind the caller's back, so a timed region begins and ends by waiting for it, and
is long enough that the waiting does not count: `region`, whose number of calls `warm_up` finds.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager

WARM = 2  # calls that are not timed, at least: kernels are compiled, memory is taken
REGION = 0.1  # seconds that a region lasts at least,
CALLS = (3, 50)  # with no fewer and no more calls
PREFIX = "answer:"  # begins a line that is an answer; libraries print lines of their own


class Skipped(Exception):
    """A measurement that is left out.

    Parameters
    ----------
    message
        Why it is left out.
    seconds
        What a generation takes, where that is known.
    """

    def __init__(self, message: str, seconds: float | None = None):
        super().__init__(message)
        self.seconds = seconds


@contextmanager
def quiet():
    """Within it no warning is shown: a peer's advice to its user is no part of the bench."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def geometric_mean(values: Iterable[float]) -> float:
    """The geometric mean of positive numbers; nan of none."""
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def turns(
    measurements: Mapping[str, Callable[[], float]], goes_on: Callable[[int, float], bool]
) -> tuple[dict[str, float], int]:
    """The smallest result of each measurement, of turns that all take one after the other.

    Parameters
    ----------
    measurements
        Functions that measure once and return seconds.
    goes_on
        Is asked after each round, with the number of rounds so far and the seconds that they
        took, whether there shall be another.

    Returns
    -------
    The smallest seconds by name, and the number of rounds.
    """
    best, rounds, start_time = dict.fromkeys(measurements, math.inf), 0, time.perf_counter()
    while True:
        for name, measure in measurements.items():
            best[name] = min(best[name], measure())
        rounds += 1
        if not goes_on(rounds, time.perf_counter() - start_time):
            return best, rounds


# -- regions of many calls ------------------------------------------------------------------------


def region(step, synchronise, calls: int) -> float:
    """Seconds of one call, of so many calls that nobody waits for the device in between."""
    synchronise()
    start_time = time.perf_counter()
    for _ in range(calls):
        step()
    synchronise()
    return (time.perf_counter() - start_time) / calls


def warm_up(step, synchronise, repeats: int, limit: float) -> int:
    """The number of calls of a region, found by calls that are not timed.

    Raises Skipped as `affordable` does.
    """
    start_time = time.perf_counter()
    for _ in range(WARM):
        region(step, synchronise, 1)
        if time.perf_counter() - start_time > limit:
            break
    return affordable(region(step, synchronise, 1), repeats, limit)


def affordable(seconds: float, repeats: int, limit: float, verb: str = "takes") -> int:
    """The number of calls of a region, where one takes so many seconds.

    Raises Skipped where `repeats` regions would take more than `limit` seconds.
    """
    calls = calls_of(seconds)
    total = calls * repeats * seconds
    if total > limit:
        raise Skipped(
            f"a generation {verb} {seconds:.2g} s, so this cell {total:.0f} s; "
            f"--limit {math.ceil(1.5 * total)} measures it",
            seconds,
        )
    return calls


def calls_of(seconds: float) -> int:
    """The number of calls that a region needs, where one takes so many seconds."""
    smallest, largest = CALLS
    return min(largest, max(smallest, math.ceil(REGION / max(seconds, 1e-9))))


# -- processes of their own -----------------------------------------------------------------------


def in_own_process(function: str, arguments, timeout: float | None = None, **environment: str):
    """Run a generator of this package in a fresh process.

    Parameters
    ----------
    function
        The generator, as "module:name" below `structes.bench`. What it yields must be what JSON
        can hold.
    arguments
        A list that JSON can hold: the generator's arguments.
    timeout
        Seconds after which the process is ended.
    environment
        Variables that the process has beside those of this one.

    Returns
    -------
    What it yielded, as a list, and an empty text where the process ended well. Where it did not,
    what it had yielded until then, and why it ended.
    """
    module, name = function.split(":")
    code = f"from structes.bench.measuring import answer; answer({module!r}, {name!r})"
    command = [sys.executable, "-c", code, json.dumps(arguments)]
    try:
        ended = subprocess.run(
            command, capture_output=True, timeout=timeout, env={**os.environ, **environment}
        )
    except subprocess.TimeoutExpired as error:
        return _answers(error.stdout or b""), f"ended after {timeout:.0f} s"
    if ended.returncode == 0:
        return _answers(ended.stdout), ""
    last = ended.stderr.decode(errors="replace").strip().splitlines()[-1:]
    killed = [f"killed by signal {-ended.returncode}"] if ended.returncode < 0 else []
    return _answers(ended.stdout), (killed or last or ["it said nothing"])[0]


def answer(module: str, name: str) -> None:
    """In the process of its own: call the generator and print what it yields, a line each."""
    from importlib import import_module

    generator = getattr(import_module(f"structes.bench.{module}"), name)
    for result in generator(*json.loads(sys.argv[-1])):
        print(PREFIX + json.dumps(result), flush=True)


def _answers(printed: bytes) -> list:
    whole = printed[: printed.rfind(b"\n") + 1]  # the last line of one that was ended may be torn
    lines = whole.decode(errors="replace").splitlines()
    return [json.loads(x.removeprefix(PREFIX)) for x in lines if x.startswith(PREFIX)]
