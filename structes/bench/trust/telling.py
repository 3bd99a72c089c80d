"""Asking more than once, telling in parts, late, twice, and in another order."""

from __future__ import annotations

import numpy as np

from .observing import Log, Situation, same, search, short, sphere, unfit, use

FAR = 10.0  # standard deviations that one generation may not move the mean
LARGE = {"dim": 300, "popsize": 21}  # 4 + 3 ln d, everybody's default


def ask_twice(optimiser, values, log):
    first, second = optimiser.ask(), log.attempt("the second ask", optimiser.ask)
    log.attempt("the first tell", optimiser.tell, first, values(0, first))
    if second is not None:
        log.attempt("the second tell", optimiser.tell, second, values(1, second))


def ask_twice_tell_once(optimiser, values, log):
    first, second = list(optimiser.ask()), log.attempt("the second ask", optimiser.ask)
    if second is not None:
        second = list(second)
        log.attempt("tell", optimiser.tell, first + second, values(0, first) + values(1, second))


def parts(optimiser, values, log, first):
    X = optimiser.ask()
    values = values(0, X[:first]), values(1, X[first:])
    log.attempt(f"{first} of {len(X)}", optimiser.tell, X[:first], values[0])
    log.attempt("the rest", optimiser.tell, X[first:], values[1])


def in_parts(client, popsize, first):
    facts = use(client, lambda *args: parts(*args, first), 2, popsize=popsize)

    def whole(optimiser, values, log):
        X = optimiser.ask()
        log.attempt("all", optimiser.tell, X, values(0, X))

    facts["as_one"] = same(facts["state"], use(client, whole, 0, popsize=popsize)["state"])
    return facts


def late(optimiser, values, log):
    """Portion 0 is told a generation after the one that closed after it."""
    old, new = optimiser.ask(), log.attempt("the second ask", optimiser.ask)
    if new is not None:
        log.attempt("the tell before", optimiser.tell, new, sphere(new))
    X = log.attempt("the third ask", optimiser.ask)
    if X is not None:
        log.attempt("the tell before", optimiser.tell, X, sphere(X))
    present = log.attempt("the fourth ask", optimiser.ask)
    log.attempt("the late tell", optimiser.tell, old, values(0, old))
    if present is not None:
        log.attempt("the tell after", optimiser.tell, present, sphere(present))


def judge_use(facts):
    wrong = unfit(facts)
    if wrong is None and not all(facts["used"]):
        portion = [("first", "second")[k] for k, used in enumerate(facts["used"]) if not used]
        portion = "they are" if len(facts["used"]) == 1 else f"the {' and the '.join(portion)} are"
        wrong = f"{portion} ignored{' without a word' if not facts['warning'] else ''}"
    if wrong is not None:
        missing = [k for k, used in enumerate(facts["used"]) if not used]
        suffix = (
            f"; {len(missing)} of {len(facts['used'])} lost" if missing and facts["error"] else ""
        )
        return False, wrong + suffix
    if "as_one" in facts:
        verdict = "used, in another way than at once"
        return True, "as if told at once" if facts["as_one"] else verdict
    return True, "used" if len(facts["used"]) == 1 else "both used"


def stale(client):
    """Values of candidates of 80 generations ago, told when the search has converged."""
    log, optimiser = Log(), search(client)
    old = optimiser.ask()
    for _ in range(80):
        X = optimiser.ask()
        optimiser.tell(X, sphere(X))
    mean_before, spread = optimiser.mean, optimiser.spread
    X = optimiser.ask()
    log.attempt("the late tell", optimiser.tell, old, sphere(old))
    jump = float(np.linalg.norm(optimiser.mean - mean_before) / spread)
    log.attempt("the tell after", optimiser.tell, X, sphere(X))
    jump = max(jump, float(np.linalg.norm(optimiser.mean - mean_before) / spread))
    finite = bool(np.isfinite(optimiser.state()).all())
    return {"error": log.error, "finite": finite, "jump": jump}


def judge_stale(facts):
    jump = facts["jump"]
    if not jump <= FAR:
        return False, f"the mean is thrown {jump:.1g} standard deviations"
    return (False, unfit(facts)) if unfit(facts) else (True, "the search stays where it is")


def twice(client, later):
    """The values of a generation told again, at once or after the next ask."""

    def run(repeats):
        log, optimiser = Log(), search(client, 1)
        X = optimiser.ask()
        values = sphere(X)
        optimiser.tell(X, list(values))
        if later:
            present = optimiser.ask()
        if repeats:
            log.attempt("again", optimiser.tell, X, list(values))
        if not later:
            present = optimiser.ask()
        log.attempt("the tell after", optimiser.tell, present, sphere(present))
        return optimiser.state(), log

    (once, _), (state, log) = run(False), run(True)
    facts = {"error": log.error, "warning": log.warning, "once": same(once, state)}
    return facts | {"finite": bool(np.isfinite(state).all())}


def judge_twice(facts):
    if not facts["once"] or not facts["finite"]:
        error = f"; {short(facts['error'])}" if facts["error"] else ""
        return False, f"counted twice{error}"
    if facts["error"]:
        return True, f"refused: {short(facts['error'].partition(': ')[2])}"
    return True, "ignored, with a warning" if facts["warning"] else "ignored"


def other_order(client):
    """Three generations, and the same with the rows of each told the other way round."""

    def run(step):
        log, optimiser = Log(), search(client)
        for _ in range(3):
            X = optimiser.ask()
            log.attempt("tell", optimiser.tell, X[::step], sphere(X)[::step])
        return optimiser.state(), log.error

    (forward, error), (backward, _) = run(1), run(-1)
    return {
        "error": error,
        "exact": same(forward, backward, True),
        "same": same(forward, backward),
    }


def judge_order(facts):
    if unfit(facts) or not facts["same"]:
        return False, unfit(facts) or "another state"
    return True, "the same bits" if facts["exact"] else "the same to rounding"


SITUATIONS = {
    "ask-twice": Situation(
        "ask twice, tell one, then the other",
        "no error, all values used",
        lambda client: use(client, ask_twice, 2),
        judge_use,
    ),
    "ask-twice-300": Situation(
        "the same for d = 300",
        "no error, all values used",
        lambda client: use(client, ask_twice, 2, **LARGE),
        judge_use,
    ),
    "ask-twice-once": Situation(
        "ask twice, tell all in one call",
        "no error, all values used",
        lambda client: use(client, ask_twice_tell_once, 2),
        judge_use,
    ),
    "ask-twice-once-300": Situation(
        "the same for d = 300",
        "no error, all values used",
        lambda client: use(client, ask_twice_tell_once, 2, **LARGE),
        judge_use,
    ),
    "part-5-10": Situation(
        "5 of 10 values, then the rest",
        "no error, all values used",
        lambda client: in_parts(client, 10, 5),
        judge_use,
    ),
    "part-2-7": Situation(
        "2 of 7 values, then the rest",
        "no error, all values used",
        lambda client: in_parts(client, 7, 2),
        judge_use,
    ),
    "late": Situation(
        "values that come two generations late",
        "no error, they are used",
        lambda client: use(client, late, 1),
        judge_use,
    ),
    "stale": Situation(
        "values that come 80 generations late",
        f"no error, and they do not move the mean by more than {FAR:g} standard deviations",
        stale,
        judge_stale,
    ),
    "twice": Situation(
        "the same values told twice",
        "they count once; or an error, and the state is as it was",
        lambda client: twice(client, later=False),
        judge_twice,
    ),
    "twice-later": Situation(
        "the same, the second time after the next ask",
        "they count once; or an error, and the state is as it was",
        lambda client: twice(client, later=True),
        judge_twice,
    ),
    "order": Situation(
        "rows told in another order",
        "the same state, to rounding",
        other_order,
        judge_order,
    ),
}
