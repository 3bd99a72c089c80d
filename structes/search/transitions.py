"""What can happen to a search: it is asked, it is told, and a generation closes.

Each function here takes a `SearchState` and returns the next one, with what else has come of it.
Nothing else changes a search, and nothing here knows how values are computed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..population.arrivals import Arrivals
from ..population.candidates import Candidates, part, point
from ..population.generation import Generation
from ..population.ledger import Ledger
from ..population.places import FORMER, OWN, REPEATED
from ..strategy.auto import Auto, Switch
from ..strategy.monitor import Monitor
from ..strategy.samples import shape_weights
from ..strategy.state import Info, State
from ..strategy.strategy import Strategy
from ..structures.building import build_structure
from .state import Best, SearchState

STRANGERS = (
    "none of the points that were told is one that was asked, although candidates are out: they "
    "are used as points of your own. Were they rounded to a few digits, or repaired (bounds= and "
    "integers= give candidates that need no repair)?"
)
NO_ARRIVALS = Arrivals()


def begin(
    strategy: Strategy, state: State, seed: int, monitor: Monitor, auto: Auto | None, origin: int
) -> SearchState:
    """The state of a search that was not asked for anything yet."""
    ledger = Ledger.begin(Generation(strategy, state, seed, origin))
    best = Best(None, np.inf, 0)
    return SearchState(strategy, state, seed, ledger, NO_ARRIVALS, monitor, auto, best, 0, Info())


def ask(search: SearchState, n: int, lazy: bool = False) -> tuple[SearchState, Any]:
    """The search with n further candidates, and those.

    Returns
    -------
    search : SearchState
    X : (n, d) array, or Candidates where `lazy` is true
    """
    generation = search.ledger.open.generation
    generation, X = generation.ask_lazily(n) if lazy else generation.ask(n)
    return SearchState(*search[:3], search.ledger.asked(generation), *search[4:]), X


def tell(
    search: SearchState, X: Any, values: np.ndarray, seconds: float
) -> tuple[SearchState, list[str]]:
    """The search after values have come.

    Parameters
    ----------
    X : (n, d) array, or Candidates
    values : (n,) array
        Smaller is better; NaN where an evaluation has failed.
    seconds : float
        The age of the search.

    Returns
    -------
    search : SearchState
    notices : list of str
        What the user should be warned of.

    Raises
    ------
    ValueError
        Where a row is not finite or outside the bounds, or a candidate is of another search.
    """
    if _is_whole(search, X):
        ledger = search.ledger.all_told(values)
        count = ledger.open.answers.n_told - search.ledger.open.answers.n_told
        return _after(search, ledger, search.arrivals, X, values, count, seconds)
    notices: list[str] = []
    for slice_ in _portions(search, X):
        rows, row_values = part(X, slice_.start, slice_.stop), values[slice_]
        arrivals, ledger, count, kinds = search.arrivals.taken(
            rows, row_values, search.ledger, search.strategy, search.state
        )
        ignored = int(np.count_nonzero(kinds == REPEATED))
        if ignored:
            notices.append(f"values of candidates that were told before are ignored: {ignored}")
        if search.earlier is not None and (kinds == FORMER).any():
            former = np.where(kinds == FORMER, row_values, np.nan)
            best = _better(search.earlier.best, rows, former, search.evaluations + count)
            search = search._replace(earlier=search.earlier._replace(best=best))
        row_values = np.where((kinds == REPEATED) | (kinds == FORMER), np.nan, row_values)
        search, further = _after(search, ledger, arrivals, rows, row_values, count, seconds)
        notices += further
    return search, notices


def advance(search: SearchState, seconds: float) -> tuple[SearchState, list[str]]:
    """The search with the open generation closed, and what the user should be warned of.

    Raises ValueError where no value has come for this generation.
    """
    arrivals, entry = search.arrivals, search.ledger.open
    if not (entry.n_told or len(arrivals.samples)):
        raise ValueError("advance() needs at least one value; none was told since the last")
    Z, Y, values, importance = arrivals.joined(entry)
    state_before, counts = search.state, arrivals.counts
    state, info = search.strategy.update(state_before, Z, Y, values, importance)
    if info.worst != info.worst:  # NaN ranks last
        counts = counts._replace(missing=int(np.isnan(values).sum()))
    if any(counts):
        info = info._replace(**counts._asdict())
    strategy, monitor, auto, switches = search.strategy, search.monitor, search.auto, ()
    if auto is not None and not auto.decided:
        auto, strategy, state, switches = _watched(search, auto, state, Z, Y, values, importance)
        monitor = monitor.of(strategy.structure) if switches else monitor
    monitor = monitor.closed(state, info, seconds)
    successor = SearchState(
        strategy,
        state,
        search.seed,
        search.ledger.closed(Generation(strategy, state, search.seed, search.origin)),
        NO_ARRIVALS,
        monitor,
        auto,
        search.best,
        search.evaluations,
        info,
        search.switches + switches,
        search.earlier,
    )
    notices = []
    if monitor.failures:
        notices.append("all values of a generation were NaN: the search did not move")
    if counts.injected and not (entry.n_told or counts.late) and search.ledger.is_out:
        notices.append(STRANGERS)
    return successor, notices


def _is_whole(search: SearchState, X) -> bool:
    """Whether X is what was asked in the open generation, all of it and in its order."""
    entry = search.ledger.open
    if not isinstance(X, Candidates):
        return entry.generation.is_whole(X)
    if len(X.parts) != 1 or X.parts[0][0].key != entry.generation.key:
        return False
    indices = X.parts[0][1]
    n = len(entry.generation)
    return len(indices) == n and bool((indices == np.arange(n)).all())


def _portions(search: SearchState, X) -> list[slice]:
    """The rows of X in portions with as many points of the user's own as make a generation."""
    n, popsize = X.shape[0], search.strategy.popsize
    if n <= popsize or isinstance(X, Candidates):
        return [slice(0, n)]
    own_counts = np.cumsum([place.kind == OWN for place in search.ledger.find(X)])
    counts = range(popsize, int(own_counts[-1]), popsize)
    ends = [int(np.searchsorted(own_counts, k, side="right")) for k in counts]
    return [slice(a, b) for a, b in zip([0, *ends], [*ends, n], strict=True)]


def _after(search: SearchState, ledger, arrivals, X, values, count, seconds):
    """The search after values of the rows of X, and what the user should be warned of.

    The values (n,), NaN where one does not count, are in the ledger and the arrivals already;
    `count` of them are the first of their candidates.
    """
    evaluations = search.evaluations + count
    best = _better(search.best, X, values, evaluations)
    lowest = best.fun if search.earlier is None else min(best.fun, search.earlier.best.fun)
    monitor = search.monitor.told(lowest, evaluations, seconds)
    successor = SearchState(
        *search[:3], ledger, arrivals, monitor, search.auto, best, evaluations, *search[9:]
    )
    if arrivals.is_full(ledger.open, search.strategy.popsize):
        return advance(successor, seconds)
    return successor, []


def _better(best: Best, X, values, evaluations: int) -> Best:
    """The best of `best` and of the rows of X with their values, NaN where one does not count."""
    if not len(values):
        return best
    i = int(values.argmin())  # NaN, where there is one
    if values[i] != values[i]:
        if np.isnan(values).all():
            return best
        i = int(np.nanargmin(values))
    return Best(point(X, i), float(values[i]), evaluations) if values[i] < best.fun else best


def _watched(search: SearchState, auto: Auto, state, Z, Y, values, importance) -> tuple:
    """(auto, strategy, state, switches) after `auto` has seen a generation.

    The update has made `state` of it; where a structure is chosen now, the state returned has it.
    """
    strategy = search.strategy
    weights = shape_weights(strategy, Z, values, importance)
    if weights is None:
        return auto, strategy, state, ()
    structure = strategy.structure
    if structure.noise_dim > structure.dim:  # Z has more numbers than d
        Z = Y @ structure.to_dense(search.state.factor)
    auto, statistic = auto.observed(Z, weights)
    if statistic is None:
        return auto, strategy, state, ()
    choice = build_structure(auto.structure, structure.dim)
    strategy = replace(strategy, structure=choice)
    switch = Switch(state.generation, search.evaluations, auto.structure, statistic)
    return auto, strategy, strategy.adopt(state, structure), (switch,)
