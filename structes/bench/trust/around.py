"""What is around a search: its bounds, its file, the global generators, and the caller's data."""

from __future__ import annotations

import sys
import tempfile
import warnings
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import numpy as np

from ...files.folders import plain
from . import cells
from .observing import DIM, POPSIZE, SEED, Log, Situation, search, short, sphere, unfit

BOX = [(1.0, 4.0)] * DIM
OPTIMUM = np.array([0.0, -1.0, 2.0, 2.5, 5.0])  # three of its coordinates are outside BOX


# -- bounds ---------------------------------------------------------------------------------------


def bowl(X):
    """The same for an ellipsoid whose optimum is OPTIMUM."""
    scale = np.arange(1.0, DIM + 1)
    return [float(np.sum(scale * np.square(np.asarray(x) - OPTIMUM))) for x in X]


def inside(client):
    optimiser, count_outside, candidates = search(client, bounds=BOX), 0, 0
    low, high = np.transpose(BOX)
    for _ in range(30):
        X = optimiser.ask()
        points = np.array([np.asarray(x) for x in X])
        candidates += len(points)
        count_outside += int(((points < low) | (points > high)).any(axis=1).sum())
        optimiser.tell(X, bowl(X))
    return {"outside": count_outside, "asked": candidates}


def judge_inside(facts):
    share = f"{facts['outside']} of {facts['asked']} candidates outside"
    return (False, share) if facts["outside"] else (True, f"all {facts['asked']} inside")


def start_outside(client):
    log = Log()
    x0 = np.array([5.0, *[3.0] * (DIM - 1)])
    optimiser = log.attempt("", client, x0, 1.0, client.native(SEED, POPSIZE, BOX))
    X = None if optimiser is None else log.attempt("ask", optimiser.ask)
    return {"error": log.error, "warning": log.warning, "asked": X is not None}


def judge_start(facts):
    if not facts["error"]:
        return False, "accepted" + (" with a warning" if facts["warning"] else " without a word")
    return True, f"refused{short(facts['error'])}"


def optimum(client):
    low, high = np.transpose(BOX)
    (best_value,) = bowl([np.clip(OPTIMUM, low, high)])
    log, optimiser, best, used = Log(), search(client, bounds=BOX, function=bowl), np.inf, 0
    while best - best_value > 1e-8 and used < 4000 and not log.error:
        X = optimiser.ask()
        values, used = bowl(X), used + len(X)
        best = min(best, *values)
        log.attempt("tell", optimiser.tell, X, values)
    return {"error": log.error, "away": best - best_value, "evaluations": used}


def judge_optimum(facts):
    if unfit(facts):
        return False, unfit(facts)
    if not facts["away"] <= 1e-6:
        return False, f"{facts['away']:.0e} away after {facts['evaluations']} evaluations"
    end = "" if facts["away"] <= 1e-8 else ", to 1e-6"
    return True, f"found in {facts['evaluations']} evaluations{end}"


# -- files and generators -------------------------------------------------------------------------


def resumed(client):
    """Save a search whose candidates are out, load it in a new process, and go on in both."""
    log, optimiser = Log(), search(client, 5)
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "saved", Path(folder) / "out.npy"
        X = optimiser.ask()
        np.save(out, np.array([np.asarray(x) for x in X]))
        log.attempt("save", optimiser.save, path)
        if log.error:
            return {"failed": log.error}
        words = "resume", cells.name_of(client), str(path), str(out)
        answer = cells.run(*words, limit=cells.LIMIT / 2)
    if "failed" in answer:
        return {"failed": f"load: {answer['failed']}"}
    return {"same": answer["asked"] == goes_on(optimiser, X), "code": answer["code"]}


def goes_on(optimiser, X):
    """The hexadecimal digits of the candidates of three generations, after X is told."""
    candidates = []
    for _ in range(3):
        optimiser.tell(X, sphere(X))
        X = optimiser.ask()
        candidates.append([np.asarray(x, dtype=float).tobytes().hex() for x in X])
    return candidates


def resume(client, path, out):
    """The other half of `resumed`, in the new process: what it asks, and whether the file named
    code that was then imported and called (an event that Python's audit reports of pickles)."""
    code, loading = [], [True]

    def hook(event, args):
        if loading and event == "pickle.find_class":
            code.append(".".join(map(str, args)))

    sys.addaudithook(hook)
    optimiser = client.load(path)
    loading.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {"code": sorted(set(code)), "asked": goes_on(optimiser, list(np.load(out)))}


def judge_resume(facts):
    return (True, "the same bits") if facts["same"] else (False, "other candidates")


def judge_code(facts):
    if facts["code"]:
        return False, f"a pickle: loading imports and runs what it names ({len(facts['code'])})"
    return True, "plain data"


@contextmanager
def generators():
    """{word: function that gives the state} of the generators that a process shares; put back at
    the end. (They are read here, and drawn from by nobody.)"""
    standard, numpy_ = import_module("random"), import_module(".random", "numpy")

    def numpys():
        name, keys, *rest_of_state = numpy_.get_state()
        return name, keys.tobytes(), rest_of_state

    states = standard.getstate(), numpy_.get_state()
    try:
        yield {"random": standard.getstate, "numpy": numpys}, numpy_
    finally:
        standard.setstate(states[0])
        numpy_.set_state(states[1])


def global_generators(client):
    touched = []
    with generators() as (states, numpy_):

        def step(step_name, function, *args):
            state_before = {name: state() for name, state in states.items()}
            result = function(*args)
            touched.extend(
                f"{n} by {step_name}" for n, s in states.items() if s() != state_before[n]
            )
            return result

        def run(seed):
            numpy_.seed(seed)
            optimiser = search(client, 2)
            numpy_.seed(seed)
            return [np.asarray(x).tobytes() for x in optimiser.ask()]

        options = client.native(SEED, POPSIZE, None)
        optimiser = step("the constructor", client, np.full(DIM, 3.0), 1.0, options)
        X = step("ask", optimiser.ask)
        step("tell", optimiser.tell, X, sphere(X))
        return {"touched": touched, "depends": run(1) != run(2)}


def judge_generators(facts):
    words = [", ".join(facts["touched"])] if facts["touched"] else []
    if facts["depends"]:
        words.append("a seed set elsewhere changes the search")
    return (False, "; ".join(words)) if words else (True, "untouched")


def callers_data(client):
    """x0, options and what `tell` is given: lists of candidates and values, then arrays."""
    x0, options = np.full(DIM, 3.0), client.native(SEED, POPSIZE, [(-9.0, 9.0)] * DIM)
    changed_things, states = set(), (x0.copy(), plain(options))
    optimiser = client(x0, 1.0, options)
    for form in (list, list, np.array):
        X = optimiser.ask()
        values = sphere(X)[::-1]
        arguments = optimiser.arguments(form(X), form(values))
        state_before = plain(arguments)
        optimiser.give(*arguments)
        if plain(arguments) != state_before:
            changed_things.add("what is told")
        if not np.array_equal(x0, states[0]):
            changed_things.add("x0")
        if plain(options) != states[1]:
            changed_things.add("options")
    return {"changed": sorted(changed_things)}


def judge_data(facts):
    words = ", ".join(facts["changed"])
    return (False, f"changed: {words}") if words else (True, "unchanged")


SITUATIONS = {
    "bounds": Situation("candidates and bounds", "all are inside", inside, judge_inside),
    "bounds-start": Situation(
        "a start outside the bounds", "an error", start_outside, judge_start
    ),
    "bounds-optimum": Situation(
        "an optimum on three of five bounds",
        "found to 1e-6 in 4000 evaluations",
        optimum,
        judge_optimum,
    ),
    "resume": Situation(
        "saved with candidates out, loaded in a new process",
        "the next candidates are the same bit for bit",
        resumed,
        judge_resume,
    ),
    "file": Situation("the file that is loaded", "it runs no code", resumed, judge_code),
    "generators": Situation(
        "the global random generators",
        "neither changed nor used",
        global_generators,
        judge_generators,
    ),
    "data": Situation(
        "x0, options, and what is told",
        "nothing that was handed in is changed",
        callers_data,
        judge_data,
    ),
}
