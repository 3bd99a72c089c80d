"""What goes wrong on one machine and on a cluster, planted and watched.

On one machine, 64 points of 20 ms each, five of which are traps: one ends its process, one sleeps
for ever, one raises, one holds Python's lock for ever, one reads address 0. All others must have
their values, and these five the right reason, in at most ten times the time of a clean run.

On a cluster of three pretend hosts (hosts.py), while a search runs: a host is killed, a host is
cut off the network (packets vanish, nobody is told), a host joins. The search must end with the
bits of one that ran here, alone, without workers.

And what goes over the wire: a search with a million parameters on two hosts, the bytes of a
generation as the network interfaces count them beside those of a population, λ d 8.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from structes.evaluators import Evaluator
from structes.search.es import ES
from structes.search.loop import run

ROOT = Path(__file__).parents[2]  # where `tests` is found
COST = 0.02  # seconds of an evaluation
TIMEOUT = 0.5
TRAPS = {7: "exit", 19: "sleep", 23: "raise", 41: "lock", 55: "segfault"}
REASONS = {  # what a failure must say
    "exit": ("WorkerDied",),
    "sleep": ("Timeout",),
    "raise": ("ValueError", "boom"),
    "lock": ("Timeout",),
    "segfault": ("WorkerDied",),
}
LIMIT = 10.0  # times the clean run


def clean(x) -> float:
    """A point's first number, in COST seconds."""
    time.sleep(COST)
    return float(x[0])


def trapped(x) -> float:
    """The same; points whose first number is in TRAPS do not get that far."""
    trap = TRAPS.get(int(x[0]))
    if trap == "exit":
        os._exit(3)
    if trap == "sleep":
        time.sleep(1e6)
    if trap == "raise":
        raise ValueError("boom")
    if trap == "lock":
        ctypes.PyDLL(None).sleep(10**6)  # PyDLL keeps the lock
    if trap == "segfault":
        ctypes.string_at(0)
    return clean(x)


class Local(NamedTuple):
    """One kind of workers among the traps: seconds with traps and without; which rows are
    missing, and why; whether all is as it must be."""

    kind: str
    seconds: float
    clean: float
    reasons: dict
    ok: bool


def local(kind: str, workers: int = 2) -> Local:
    """The traps, on this machine."""
    X = np.arange(64.0)[:, None]
    with Evaluator(kind, workers, timeout=TIMEOUT) as evaluator:
        easy, hard = evaluator.bind(clean), evaluator.bind(trapped)
        easy(X)  # the workers are there
        began = time.perf_counter()
        right = easy(X)
        usual = time.perf_counter() - began
        began = time.perf_counter()
        values = hard(X)
        seconds = time.perf_counter() - began
        after = easy(X)
    reasons = {f.row: f"{f.kind}: {f.message}" for f in hard.failures}
    rest = ~np.isin(X[:, 0], list(TRAPS))
    ok = (
        bool((right == X[:, 0]).all() and (after == right).all())
        and bool((values[rest] == right[rest]).all() and np.isnan(values[~rest]).all())
        and sorted(reasons) == sorted(TRAPS)
        and all(w in reasons[row] for row, trap in TRAPS.items() for w in REASONS[trap])
        and seconds <= LIMIT * usual
    )
    return Local(kind, seconds, usual, reasons, ok)


# -- a cluster ------------------------------------------------------------------------------------


class Search(NamedTuple):
    """A search of the cluster: its sizes, and seconds that an evaluation sleeps."""

    dim: int = 10
    popsize: int = 32
    generations: int = 18
    cost: float = 0.05
    structure: str = "dense"

    def es(self) -> ES:
        return ES(
            np.full(self.dim, 3.0),
            1.0,
            self.structure,
            seed=1,
            popsize=self.popsize,
            max_generations=self.generations,
        )

    def objective(self):
        cost = self.cost

        def ellipsoid(x):
            time.sleep(cost)
            return float(np.sum(x * x * np.linspace(1, 100, x.size)))

        return ellipsoid


def digest(es) -> str:
    """A hash of all numbers of the state of a search, and of its best point."""
    sha = hashlib.sha256()
    arrays = [es.state.mean, *_flat(es.state.factor), es.state.path, es.state.path_sigma]
    for array in (*arrays, [es.state.sigma, es.best.fun, es.evaluations], es.best.x):
        sha.update(np.asarray(array, dtype=float).tobytes())
    return sha.hexdigest()[:16]


def _flat(arrays):
    for a in arrays:
        yield from _flat(a) if isinstance(a, tuple) else [a]


def alone(search: Search) -> str:
    """The digest of a search that runs here, without workers, and does not sleep."""
    es, f = search.es(), search._replace(cost=0.0).objective()
    run(es, lambda X: np.array([f(x) for x in X]))
    return digest(es)


def drive(address: str, timeout: float, *numbers) -> None:
    """Run a search on a cluster, on its head: says each generation, and the digest at the end."""
    search = Search(*numbers)
    with Evaluator("ray", address=address, timeout=timeout or None) as evaluator:
        evaluate, es = evaluator.bind(search.objective()), search.es()

        def say(es):
            supervisor = evaluator.supervisor
            print(f"generation {es.generation}, {len(supervisor.slots)} workers", flush=True)

        run(es, evaluate, say)
        print(f"deaths {evaluator.supervisor.deaths}")
        print(f"failures {evaluate.errors}")
        print(f"digest {digest(es)}", flush=True)


def driver(hosts, search: Search, timeout: float = 0, address: str | None = None):
    """`drive` on the head of Hosts: the running program."""
    arguments = address or hosts.address, timeout, *search
    words = f"from tests.cluster.faults import drive; drive{arguments!r}"
    return hosts.run(hosts.head, [sys.executable, "-c", words], cwd=ROOT)


class Story(NamedTuple):
    """What happened to a cluster: seconds of the search; workers that were lost; whether its bits
    are those of the search alone; the longest generation in seconds."""

    name: str
    seconds: float
    deaths: int
    ok: bool
    longest: float


STORIES = ("undisturbed", "killed", "cut off", "joined")


def tell(name: str, search: Search | None = None, timeout: float = 2.0) -> Story:
    """One of STORIES on three hosts; the search runs on the head, which evaluates nothing.

    timeout   seconds that an evaluation may take; 0: for ever, so that only Ray's health checks
              see that a host is gone
    """
    from .hosts import Hosts

    search = search or Search()
    if name == "joined":  # it takes some seconds
        search = search._replace(generations=3 * search.generations)
    expected = alone(search)
    with Hosts(["head", "one", "two"], cpus=[0, 2, 2]) as hosts:
        hosts.start_ray()
        began = time.perf_counter()
        running = driver(hosts, search, timeout)
        running.until(f"generation {search.generations // 3},", 120)
        if name == "killed":
            hosts.kill("two")
        elif name == "cut off":
            hosts.cut("two")
        elif name == "joined":
            hosts.join("three", cpus=2)
        times = [time.perf_counter()]
        for k in range(search.generations // 3 + 1, search.generations + 1):
            running.until(f"generation {k},", 120)
            times.append(time.perf_counter())
        said = running.until("digest", 120)
        seconds = time.perf_counter() - began
    words = [line.split(" ", 1) for line in said.splitlines() if " " in line]
    facts = {key: rest for key, rest in words if key in ("deaths", "failures", "digest")}
    ok = facts["digest"] == expected and facts["failures"] == "0"
    if name == "joined":
        ok = ok and ", 6 workers" in said
    return Story(name, seconds, int(facts["deaths"]), ok, max(np.diff(times)))


class Wire(NamedTuple):
    """Bytes that all interfaces received in a generation, of a search with d parameters and λ
    candidates; `candidate`: those that grow with λ, for each; `state`: once a host."""

    dim: int
    popsize: int
    received: float
    population: float


def wire(dim: int = 10**6, popsizes=(32, 64), generations: int = 6) -> list[Wire]:
    """What goes over the wire between a head and two hosts, each with two workers."""
    from .hosts import Hosts

    rows = []
    for popsize in popsizes:
        search = Search(dim, popsize, generations, 0.0, "diagonal")
        with Hosts(["head", "one", "two"], cpus=[0, 2, 2]) as hosts:
            hosts.start_ray()
            running = driver(hosts, search)
            running.until("generation 2,", 300)
            before = hosts.bytes()
            running.until(f"generation {generations},", 300)
            after = hosts.bytes()
            running.until("digest", 60)
        received = sum(after[name][0] - before[name][0] for name in after) / (generations - 2)
        rows.append(Wire(dim, popsize, received, 8.0 * dim * popsize))
    return rows
