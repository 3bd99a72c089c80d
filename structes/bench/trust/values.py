"""Values that are missing, infinite, or all equal."""

from __future__ import annotations

import numpy as np

from .observing import Log, Situation, same, search, short, sphere, unfit


def odd(client, spoil, instead=()):
    """Facts on one generation whose values spoil(values) made strange.

    instead   {word: function}: other ways to spoil, with plain numbers; which gives the same?
    """

    def run(spoil, step=1):
        log, optimiser = Log(), search(client, 3)
        mean_before, spread = optimiser.mean, optimiser.spread
        X = optimiser.ask()
        values = spoil(sphere(X))[::step]
        copied = list(values)
        log.attempt("tell", optimiser.tell, X[::step], values)
        moved = float(np.linalg.norm(optimiser.mean - mean_before) / spread)
        is_changed = not same(copied, values, exact=True)
        return optimiser, log, moved, is_changed

    optimiser, log, moved, is_changed = run(spoil)
    state = optimiser.state()
    facts = {"moved": moved, "changed": is_changed, "finite": bool(np.isfinite(state).all())}
    facts["order"] = same(state, run(spoil, -1)[0].state())
    states_instead = {word: run(function)[0].state() for word, function in dict(instead).items()}
    facts["as"] = [
        word for word, other_state in states_instead.items() if same(state, other_state)
    ]
    start, best = float(np.sum(np.square(optimiser.mean))), np.inf
    for _ in range(150):
        X = log.attempt("the next ask", optimiser.ask)
        if X is None:
            break
        log.attempt("the next tell", optimiser.tell, X, sphere(X))
        best = min(best, *sphere(X))
    goes_on = bool(best < 1e-3 * start)
    return facts | {"error": log.error, "warning": log.warning, "goes_on": goes_on}


def at(rank, *new):
    """A function that puts strange values in place of those from a rank on, 0 for the best."""

    def spoil(values):
        values = list(values)
        for place, value in zip(np.argsort(values)[rank:].tolist(), new, strict=False):
            values[place] = value
        return values

    return spoil


NAN, INF, HUGE = float("nan"), float("inf"), 1e9  # HUGE: worse than any other


def judge_odd(facts):
    """A failed candidate is no good one; nothing else depends on it."""
    wrong = unfit(facts)
    if wrong is None and "the best" in facts["as"] and "the worst" not in facts["as"]:
        wrong = "counts as the best"
    if wrong is None and not facts["order"] and not facts["as"]:  # else a tie with another row
        wrong = "the state depends on the order of the rows"
    if wrong is None and not facts["goes_on"]:
        wrong = "the search does not go on"
    words = f"counts as {facts['as'][0]}" if facts["as"] else "as no number would, in any order"
    if facts["changed"]:
        return False, f"{wrong or words}; the caller's list is changed"
    return (False, wrong) if wrong else (True, words)


def judge_several(facts):
    """The same; rows of equal value may count by their order, which has a row of its own."""
    return judge_odd({**facts, "order": True})


def judge_minus(facts):
    if facts["error"] and facts["moved"] == 0 and facts["goes_on"]:
        return True, f"refused: {short(facts['error'].partition(': ')[2])}"
    wrong = unfit(facts) or (None if facts["goes_on"] else "the search does not go on")
    if wrong is None and "the best" not in facts["as"]:
        wrong = "does not count as the best"
    return (False, wrong) if wrong else (True, "counts as the best")


def judge_all_nan(facts):
    """Nothing was learnt, so nothing may move."""
    wrong = unfit(facts) or (None if facts["goes_on"] else "the search does not go on")
    if wrong is None and facts["moved"] > 1e-9:
        wrong = f"the mean moves by {facts['moved']:.2f} standard deviations"
    if facts["changed"]:
        wrong = f"{wrong + '; ' if wrong else ''}the caller's list is changed"
    if wrong:
        return False, wrong
    return True, f"nothing moves{', with a warning' if facts['warning'] else ''}"


def judge_ties(facts):
    """Equal values say nothing on a direction, so the order of the rows must not give one."""
    if unfit(facts):
        return False, unfit(facts)
    if not facts["order"]:
        return False, f"the mean moves {facts['moved']:.2f} sd, by the order of the rows"
    return True, f"the mean moves {facts['moved']:.2f} sd, in any order alike"


def of_the_median(values):
    """The values, the best of which is the median of the others."""
    values, best = list(values), int(np.argmin(values))
    values[best] = float(np.median(np.delete(values, best)))
    return values


INSTEAD = {"the worst": at(0, HUGE), "the median": of_the_median, "the best": at(0, -HUGE)}

SITUATIONS = {
    "nan": Situation(
        "one value is NaN (of the best candidate)",
        "no error, no good candidate, the order of rows is nothing, no list changed",
        lambda client: odd(client, at(0, NAN), INSTEAD),
        judge_odd,
    ),
    "all-nan": Situation(
        "all values of a generation are NaN",
        "no error, and the mean does not move",
        lambda client: odd(client, lambda values: [NAN] * len(values)),
        judge_all_nan,
    ),
    "inf": Situation(
        "one value is +inf",
        "no error, no good candidate, the order of rows is nothing, no list changed",
        lambda client: odd(client, at(0, INF), INSTEAD),
        judge_odd,
    ),
    "infs": Situation(
        "four of ten are +inf",
        "no error, no good candidates, no list changed",
        lambda client: odd(
            client,
            at(0, *[INF] * 4),
            {"the worst": at(0, *[HUGE] * 4), "the best": at(0, *[-HUGE] * 4)},
        ),
        judge_several,
    ),
    "minus-inf": Situation(
        "one value is −inf",
        "it is the best candidate; or an error, and the state is as it was",
        lambda client: odd(client, at(9, -INF), {"the best": at(9, -HUGE)}),
        judge_minus,
    ),
    "ties": Situation(
        "all values of a generation are equal",
        "the order of rows is nothing",
        lambda client: odd(client, lambda values: [1.0] * len(values)),
        judge_ties,
    ),
}
