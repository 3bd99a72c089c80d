"""A search between two calls, as a value, and the two things that can happen to it.

Everything that changes during a search is in a `Search`. What comes from outside makes a new one
(`told`, `advanced`), and the search goes over to it in one step, when nothing can fail any more.
So a call that is interrupted, by Ctrl-C or by an error, has not happened, a copy of a search goes
its own way, and a file of it holds all of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..arrays.libraries import to_numpy
from ..population.candidates import Candidates, part, point
from ..population.gathered import Gathered
from ..population.generation import Generation
from ..population.ledger import Ledger
from ..population.recognition import FORMER, OWN, REPEATED
from ..strategy.auto import Auto, Switch
from ..strategy.samples import shape_weights
from ..strategy.state import Info, State
from ..strategy.stopping import Monitor
from ..strategy.strategy import Strategy
from ..structures.building import build_structure

STRANGERS = (
    "none of the points that were told is one that was asked, although candidates are out: they "
    "are used as points of your own. Were they rounded to a few digits, or repaired (bounds= and "
    "integers= give candidates that need no repair)?"
)


NOTHING = Gathered()


class Best:
    """The best point told so far: x (d,) or None, fun (inf before the first), evaluations then.

    x is the caller's own copy. A point of a device stays there until somebody looks at it.
    """

    __slots__ = ("_x", "evaluations", "fun")

    def __init__(self, x, fun: float, evaluations: int):
        self._x, self.fun, self.evaluations = x, fun, evaluations

    @property
    def x(self) -> np.ndarray | None:
        if self._x is None:
            return None
        return np.array(to_numpy(self._x), dtype=float)

    def signed(self, sign: int) -> Best:
        """The same with the value times `sign`, 1 or −1."""
        return self if sign == 1 else Best(self._x, -self.fun, self.evaluations)

    def __reduce__(self):
        return Best, (self._x, self.fun, self.evaluations)

    def __iter__(self):
        return iter((self.x, self.fun, self.evaluations))

    def __repr__(self):
        return f"Best(x={self.x}, fun={self.fun}, evaluations={self.evaluations})"


class Search(NamedTuple):
    """All that changes during a search.

    strategy      the structure and the settings (a search may change its structure)
    state         the search distribution
    seed          of the candidates
    ledger        what was asked, and what came back of it
    gathered      what else has come for the open generation
    monitor       what the stopping criteria have seen
    auto          what chooses the structure; None: it was given
    best          Best point so far
    evaluations   number of values so far
    info          what the last update saw and did
    switches      tuple of Switch: changes of structure
    before        what a search with restarts knows of its runs (restart_es.py)
    """

    strategy: Strategy
    state: State
    seed: int
    ledger: Ledger
    gathered: Gathered
    monitor: Monitor
    auto: Auto | None
    best: Best
    evaluations: int
    info: Info
    switches: tuple = ()
    before: Any = None

    @property
    def origin(self) -> str:
        """Name of the search."""
        return self.ledger.family[-1]

    def check(self, own: bool) -> None:
        """Raise ValueError where it cannot go on from its states; own: as for `Strategy.check`."""
        known = [(self.strategy, self.state)]
        for _, (generation, _) in self.ledger.known():
            its = generation.strategy, generation.state
            if not any(its[0] is a and its[1] is b for a, b in known[:1]):
                known.append(its)
        for strategy, state in known:
            strategy.check(state, own)
        self.ledger.check()


def begun(strategy, state, seed: int, monitor, auto, origin: int) -> Search:
    """A search of which nothing was asked yet."""
    ledger = Ledger.begin(Generation(strategy, state, seed, origin))
    best = Best(None, np.inf, 0)
    return Search(strategy, state, seed, ledger, NOTHING, monitor, auto, best, 0, Info())


def asked(search: Search, n: int, lazy: bool = False) -> tuple[Search, Any]:
    """(the search with n further candidates, their points (n, d), or Candidates)."""
    generation = search.ledger.open.generation
    generation, X = generation.ask_lazily(n) if lazy else generation.ask(n)
    return Search(*search[:3], search.ledger.asked(generation), *search[4:]), X


def told(search: Search, X, values, seconds: float) -> tuple[Search, list]:
    """The search after values (n,) of X, an (n, d) array or Candidates, and what is to be said.

    seconds   since the search began

    Raises ValueError where a row is not finite or outside the bounds, or a candidate is of
    another search.
    """
    if _is_whole(search, X):
        ledger = search.ledger.all_told(values)
        first = ledger.open.answers.heard - search.ledger.open.answers.heard
        return _after(search, ledger, search.gathered, X, values, first, seconds)
    notices: list = []
    for rows in _portions(search, X):
        its, some = part(X, rows.start, rows.stop), values[rows]
        gathered, ledger, first, kinds = search.gathered.taken(
            its, some, search.ledger, search.strategy, search.state
        )
        ignored = int(np.count_nonzero(kinds == REPEATED))
        if ignored:
            notices.append(f"values of candidates that were told before are ignored: {ignored}")
        if (kinds == FORMER).any():
            former = np.where(kinds == FORMER, some, np.nan)
            best = _better(search.before.best, its, former, search.evaluations + first)
            search = search._replace(before=search.before._replace(best=best))
        some = np.where((kinds == REPEATED) | (kinds == FORMER), np.nan, some)
        search, more = _after(search, ledger, gathered, its, some, first, seconds)
        notices += more
    return search, notices


def _is_whole(search, X) -> bool:
    """Is X what was asked in the open generation, all of it and in its order?"""
    open_ = search.ledger.open
    if not isinstance(X, Candidates):
        return open_.generation.is_whole(X)
    if len(X.parts) != 1 or X.parts[0][0].key != open_.generation.key:
        return False
    at = X.parts[0][1]
    return len(at) == len(open_.generation) and bool((at == np.arange(len(at))).all())


def _portions(search, X) -> list[slice]:
    """The rows of X in portions with as many points of the user's own as make a generation."""
    n, most = X.shape[0], search.strategy.popsize
    if n <= most or isinstance(X, Candidates):
        return [slice(0, n)]
    own = np.cumsum([place.kind == OWN for place in search.ledger.find(X)])
    ends = [int(np.searchsorted(own, k, side="right")) for k in range(most, int(own[-1]), most)]
    return [slice(a, b) for a, b in zip([0, *ends], [*ends, n], strict=True)]


def _after(search, ledger, gathered, X, values, first, seconds):
    """The search after values of the rows of X, NaN where one does not count, which are in the
    ledger and gathered; `first` of them are first values. And what is to be said."""
    evaluations = search.evaluations + first
    best = _better(search.best, X, values, evaluations)
    lowest = best.fun if search.before is None else min(best.fun, search.before.best.fun)
    monitor = search.monitor.told(lowest, evaluations, seconds)
    after = Search(
        *search[:3], ledger, gathered, monitor, search.auto, best, evaluations, *search[9:]
    )
    if gathered.is_full(ledger.open, search.strategy.popsize):
        return advanced(after, seconds)
    return after, []


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


def advanced(search: Search, seconds: float) -> tuple[Search, list]:
    """The search with the open generation closed, and what is to be said.

    Raises ValueError when nothing was told in this generation.
    """
    gathered, asked = search.gathered, search.ledger.open
    if not (asked.heard or len(gathered.arrivals)):
        raise ValueError("advance() needs at least one value; none was told since the last")
    Z, Y, values, mass = gathered.samples(asked)
    before, counts = search.state, gathered.counts
    state, info = search.strategy.update(before, Z, Y, values, mass)
    if info.worst != info.worst:  # NaN ranks last
        counts = counts._replace(missing=int(np.isnan(values).sum()))
    if any(counts):
        info = info._replace(**counts._asdict())
    strategy, monitor, auto, switches = search.strategy, search.monitor, search.auto, ()
    if auto is not None and not auto.decided:
        auto, strategy, state, switches = _watched(search, state, Z, Y, values, mass)
        monitor = monitor.of(strategy.structure) if switches else monitor
    monitor = monitor.closed(state, info, seconds)
    after = Search(
        strategy,
        state,
        search.seed,
        search.ledger.closed(Generation(strategy, state, search.seed, search.origin)),
        NOTHING,
        monitor,
        auto,
        search.best,
        search.evaluations,
        info,
        search.switches + switches,
        search.before,
    )
    notices = []
    if monitor.failures:
        notices.append("all values of a generation were NaN: the search did not move")
    if counts.injected and not (asked.heard or counts.late) and search.ledger.is_out:
        notices.append(STRANGERS)
    return after, notices


def _watched(search, state, Z, Y, values, mass) -> tuple:
    """(auto, strategy, state, switches) after `auto` has seen a generation, of which the update
    has made this state: with the structure that it chooses."""
    strategy = search.strategy
    weights = shape_weights(strategy, Z, values, mass)
    if weights is None:
        return search.auto, strategy, state, ()
    structure = strategy.structure
    if structure.noise_dim > structure.dim:  # Z has more numbers than d
        Z = Y @ structure.to_dense(search.state.factor)
    auto, statistic = search.auto.observed(Z, weights)
    if statistic is None:
        return auto, strategy, state, ()
    chosen = strategy.engine.fit(build_structure(auto.structure, structure.dim))
    strategy = replace(strategy, structure=chosen)
    switch = Switch(state.generation, search.evaluations, auto.structure, statistic)
    return auto, strategy, strategy.adopt(state, structure), (switch,)
