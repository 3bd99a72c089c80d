"""What happens to an optimiser in a real tuning job, and what of it is in order.

A situation is two functions. `observe(client)` runs an optimiser (a class of `clients.py`) and
returns facts: plain values, found by running it. `judge(facts)` makes of them a verdict and a
short outcome in words; it never sees which optimiser it was. What is asked for is said in `want`,
and is the same for all.

Most facts are comparisons of two searches with the same seed that differ in one thing: whether a
value was used shows in the distribution some generations later, when it is told otherwise.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

DIM, POPSIZE, SEED = 5, 10, 7


class Situation(NamedTuple):
    """title and want: README's words for the situation and for what is in order."""

    title: str
    want: str
    observe: Callable
    judge: Callable


def sphere(X):
    """A list of floats: the values of the candidates X."""
    return [float(np.sum(np.square(np.asarray(x)))) for x in X]


def search(client, generations=0, popsize=POPSIZE, dim=DIM, bounds=None, function=sphere):
    """A search that has seen some ordinary generations."""
    optimiser = client(np.full(dim, 3.0), 1.0, client.native(SEED, popsize, bounds))
    for _ in range(generations):
        X = optimiser.ask()
        optimiser.tell(X, function(X))
    return optimiser


class Log:
    """The first error, the first warning, and where they came from."""

    def __init__(self):
        self.error = self.warning = None

    def attempt(self, step, function, *args):
        """function(*args), or None where it raises."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                return function(*args)
            except Exception as error:
                text = " ".join(str(error).split())
                self.error = self.error or f"{step}: {type(error).__name__} {text}".strip()
            finally:
                for w in caught:
                    self.warning = self.warning or " ".join(str(w.message).split())
        return None


def same(a, b, exact=False):
    """Are two states the same, to rounding or bit for bit?"""
    if exact:
        return bool(np.array_equal(a, b, equal_nan=True))
    return bool(np.allclose(a, b, rtol=1e-7, atol=1e-9, equal_nan=True))


def reversed_(values):
    """The values with their ranks turned round."""
    return [max(values) + min(values) - v for v in values]


def use(client, scenario, portions, **options):
    """Facts on a scenario(search, values, log): were the values of each portion used?

    scenario tells portion k of candidates X as values(k, X). Used: one ordinary generation later
    the distribution is another when that portion's values are told the other way round.
    """

    def run(turned):
        log, optimiser = Log(), search(client, 3, **options)
        scenario(optimiser, lambda k, X: reversed_(sphere(X)) if k == turned else sphere(X), log)
        X = log.attempt("the next ask", optimiser.ask)
        if X is not None:
            log.attempt("the next generation", optimiser.tell, X, sphere(X))
        return optimiser.state(), log

    state, log = run(None)
    return {
        "error": log.error,
        "warning": log.warning,
        "repeatable": same(state, run(None)[0], exact=True),
        "used": [not same(state, run(k)[0]) for k in range(portions)],
        "finite": bool(np.isfinite(state).all()),
        "state": state.tolist(),
    }


def short(text, length=60):
    """The first words of an error."""
    return text if len(text) <= length else text[:length].rsplit(" ", 1)[0] + " …"


def unfit(facts):
    """Words for what is wrong whatever the situation is, or None."""
    if facts.get("error"):
        return short(facts["error"])
    if facts.get("finite") is False:
        return "the state is not finite"
    if facts.get("repeatable") is False:
        return "the same seed gives another search"
    return None
