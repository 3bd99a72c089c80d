"""A call that is interrupted, at any line, has not happened or has happened as a whole; and any
number of threads may share a search."""

import copy
import itertools
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import structes
from structes import ES, RestartES, minimize

from .searches import SEARCHES, objective

PACKAGE = str(Path(structes.__file__).parent)
START = itertools.count()
WHOLE = {"tolfun": None, "tolfunhist": None, "flat": None, "stagnation": None, "noeffect": False}


class Ctrl_C(BaseException):
    """Comes at a line, as KeyboardInterrupt does."""


def interrupted(call, at) -> bool:
    """Make a call that is interrupted before line `at` of those of structes that it runs; False
    where it runs fewer."""
    left = at

    def trace(frame, event, argument):
        nonlocal left
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line":
            left -= 1
            if left < 0:
                raise Ctrl_C
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except Ctrl_C:
        return True
    finally:
        sys.settrace(before)
    return False


def seen(es):
    """Bytes of what a search is."""
    its = np.asarray(es.mean).tobytes(), es.sigma, es.evaluations, es.generation, es.best.fun
    runs = [run._replace(stop=None) for run in getattr(es, "runs", ())]
    return its, es.pending.tobytes(), runs, es.stop()


def goes_on(es):
    for _ in range(3):
        X = np.concatenate([es.pending, es.ask()])
        es.tell(X[1:], objective(X[1:]))
        es.tell(X[:1], objective(X[:1]))
    return seen(es)


STEP = 17  # every so many lines; every single one was run by hand (1, 100 s): nothing more


def every_line(es, call):
    """Interrupt `call(es)` at every STEP-th line, make it again, and go on: the bits are the
    same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = copy.copy(es)
        call(whole)
        after, wanted = seen(whole), goes_on(whole)
        for at in itertools.count(next(START) % STEP, STEP):
            its = copy.copy(es)
            before = seen(its)
            if not interrupted(lambda its=its: call(its), at):
                assert at > 5 * STEP
                return
            now = seen(its)
            assert now in (before, after), at
            if now == before or call.__name__ == "tell":  # an ask that was made is made
                call(its)
            assert seen(its) == after, at
            assert goes_on(its) == wanted, at


def amid(es, told):
    """The search with a generation of which so many candidates have values, with a late value
    and a point of the user's own on the way."""
    for _ in range(2):
        X = es.ask()
        es.tell(X, objective(X))
    late = es.ask(2)
    X = es.ask()
    es.tell(X, objective(X))
    es.ask()
    X = es.pending
    es.tell(X[2 : 2 + told], objective(X[2 : 2 + told]))
    return es, late


FEW = [SEARCHES[k] for k in (0, 1, 2, 5, 6, 10)]


@pytest.mark.parametrize(
    "case",
    [FEW[0], *(pytest.param(case, marks=pytest.mark.slow) for case in FEW[1:])],
    ids=lambda case: str(case[0])[:20],
)
def test_a_tell_that_is_interrupted_is_told_again(case):
    structure, dim, options = case
    es, _ = amid(ES(np.full(dim, 0.9), 0.4, structure, seed=3, **WHOLE, **options), 3)

    def tell(es):
        X = es.pending  # two late ones, and all that the generation needs
        es.tell(X, objective(X))

    def close(es):
        X = es.ask()
        es.tell(X, objective(X))

    every_line(es, tell)
    close(es)
    X = es.ask()

    def tell(es):  # the whole generation, as it was asked
        es.tell(X, objective(X))

    every_line(es, tell)


@pytest.mark.slow
def test_single_values_and_points_of_ones_own():
    es, late = amid(ES(np.full(5, 0.9), 0.4, "dense", seed=3, **WHOLE), 2)
    for X in (late[:1], es.pending[-1:], np.full((1, 5), 0.5), es.pending[-1:].astype("f4")):

        def tell(es, X=X):
            es.tell(X, objective(np.asarray(X, float)))

        if (X == 0.5).all():  # told again while candidates wait, it is another point
            tell.__name__ = "tell_once"
        every_line(es, tell)


def test_an_ask_that_is_interrupted_was_made_or_not():
    es, _ = amid(ES(np.full(5, 0.9), 0.4, "dense", seed=3, **WHOLE), 2)

    def ask(es):
        es.ask(3)

    every_line(es, ask)


@pytest.mark.slow
def test_advance():
    es, _ = amid(ES(np.full(5, 0.9), 0.4, "dense", seed=3, **WHOLE), 2)
    every_line(es, lambda es: es.advance() if es.generation < 4 else None)


@pytest.mark.slow
@pytest.mark.parametrize("restarts", ["ipop", "bipop"])
def test_the_ask_that_begins_the_next_run(restarts):
    es = RestartES([2.0, 3.0], 1.0, seed=2, restarts=restarts, max_evaluations=10**4, tolx=0.01)
    while "tolx" not in es.es.stop():
        X = es.ask()
        es.tell(X, objective(X))
    whole = copy.copy(es)
    whole.ask()
    wanted = goes_on(whole)
    assert whole.restart == es.restart + 1
    for at in itertools.count(0, STEP):
        its = copy.copy(es)
        if not interrupted(its.ask, at):
            assert at > 5 * STEP
            return
        if not len(its.pending):  # it has not been made, but for the run that may have begun
            its.ask()
        assert goes_on(its) == wanted, at


# -- threads --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [ES, RestartES])
def test_eight_threads_share_a_search(make):
    given = {} if make is ES else {"max_evaluations": 10**6}
    es, told = make(np.ones(6), 0.5, seed=1, **WHOLE, **given), []
    before = sys.getswitchinterval()
    gate = threading.Barrier(8)

    def work(_):
        gate.wait()
        for _ in range(60):
            X = es.ask(1)
            told.append(X.tobytes())
            es.tell(X, objective(X))

    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
    finally:
        sys.setswitchinterval(before)
    assert len(set(told)) == len(told) == 480
    assert es.evaluations == 480 and not len(es.pending)
    assert es.generation > 30


def test_a_callback_may_look_at_the_search_that_calls_it():
    """The lock lets the thread in that holds it."""
    looked = []

    def callback(es):
        looked.append((copy.copy(es).evaluations, es.stop()))

    minimize(lambda x: x @ x, [1.0, 2.0], 0.5, seed=1, max_evaluations=60, callback=callback)
    assert len(looked) == 10
