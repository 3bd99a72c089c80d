"""The state of a search: all that changes while it runs, as one value.

A `SearchState` is a tree of plain values and arrays, and none of its parts is ever changed: what
happens to a search makes a new state (transitions.py), to which the search goes over in one step,
when nothing can fail any more. So a call that is interrupted, by Ctrl-C or by an error, has not
happened; a copy of a search goes its own way; and a file of the state is a file of the search.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import inf
from typing import Any, NamedTuple

import numpy as np

from .. import checks
from ..arrays.libraries import to_numpy
from ..naming.error_text import brief
from ..population.arrivals import Arrivals
from ..population.ledger import Ledger
from ..strategy.auto import Auto, Switch
from ..strategy.monitor import Monitor
from ..strategy.restarts import Plan, Run
from ..strategy.state import MOST, Info, State
from ..strategy.strategy import Strategy
from ..structures.building import build_structure, known_spec, spec_of


class Best:
    """The best point whose value a search was told.

    Attributes
    ----------
    x : (d,) array or None
        The point, a copy that is the caller's own; None before the first value. A point of a
        device stays there until somebody looks at it.
    fun : float
        Its value; inf before the first (−inf where values are maximised).
    evaluations : int
        Number of values when it came.
    """

    __slots__ = ("_x", "evaluations", "fun")

    def __init__(self, x: Any, fun: float, evaluations: int):
        self._x, self.fun, self.evaluations = x, fun, evaluations

    @classmethod
    def restored(cls, row: list, dim: int, limit: int) -> Best:
        """The Best that a checkpoint holds as a list.

        Raises ValueError where it is not one of `dim` coordinates and at most `most` evaluations.
        """
        x, fun, evaluations = row
        x = None if x is None else checks.point("best", x, dim)
        if (checks.number("best", fun) == inf) != (x is None) or fun == -inf:
            raise ValueError(f"best has the value {fun} and the point {brief(x)}")
        return cls(x, fun, checks.count("best", evaluations, 0, limit))

    @property
    def x(self) -> np.ndarray | None:
        """The point (d,), or None."""
        if self._x is None:
            return None
        return np.array(to_numpy(self._x), dtype=float)

    def signed(self, sign: int) -> Best:
        """The same with the value times `sign`, 1 or −1."""
        return self if sign == 1 else Best(self._x, -self.fun, self.evaluations)

    def __reduce__(self):
        return Best, (self._x, self.fun, self.evaluations)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.x, self.fun, self.evaluations))

    def __repr__(self) -> str:
        return f"Best(x={self.x}, fun={self.fun}, evaluations={self.evaluations})"


class EarlierRuns(NamedTuple):
    """What a search with restarts knows of the runs before the present one.

    Attributes
    ----------
    plan : Plan
        From which the present run was made.
    finished : tuple of Run
        A row for each run before it.
    best : Best
        The best point of those.
    evaluations, generations : int
        What had been spent when the present run began.
    seconds : float
        The age of the search then.
    """

    plan: Plan
    finished: tuple[Run, ...]
    best: Best
    evaluations: int
    generations: int
    seconds: float

    def snapshot(self) -> dict[str, Any]:
        """What `restored` takes, as a checkpoint holds it."""
        return {
            "plan": self.plan,
            "finished": self.finished,
            "best": tuple(self.best),
            "began": (self.evaluations, self.generations, self.seconds),
        }

    @classmethod
    def restored(cls, tree: dict[str, Any], dim: int, limit: int) -> EarlierRuns:
        """The EarlierRuns of a snapshot.

        Raises ValueError where they are not of a search with `dim` coordinates and at most `most`
        evaluations.
        """
        evaluations, generations, seconds = tree["began"]
        return cls(
            Plan.restored(tree["plan"]),
            tuple(map(Run.restored, tree["finished"])),
            Best.restored(tree["best"], dim, limit),
            checks.count("began", evaluations, 0, limit),
            checks.count("began", generations, 0, MOST),
            checks.seconds("began", seconds),
        )


class SearchState(NamedTuple):
    """All that changes during a search.

    Attributes
    ----------
    strategy : Strategy
        The structure and the settings; structure="auto" may change them.
    state : State
        The search distribution.
    seed : int
        Of the candidates.
    ledger : Ledger
        The candidates, and the values of them.
    arrivals : Arrivals
        The late values and the user's own points of the open generation.
    monitor : Monitor
        What the stopping criteria have seen.
    auto : Auto or None
        What chooses the structure; None where it was given.
    best : Best
        The best point, to be minimised.
    evaluations : int
        Number of values so far.
    info : Info
        What the last update saw and did.
    switches : tuple of Switch
        Changes of structure.
    earlier : EarlierRuns or None
        Of a search with restarts.
    """

    strategy: Strategy
    state: State
    seed: int
    ledger: Ledger
    arrivals: Arrivals
    monitor: Monitor
    auto: Auto | None
    best: Best
    evaluations: int
    info: Info
    switches: tuple[Switch, ...] = ()
    earlier: EarlierRuns | None = None

    @property
    def origin(self) -> int:
        """The name of the search."""
        return self.ledger.family[-1]

    def check(self, from_updates: bool) -> None:
        """Raise ValueError where the search cannot go on.

        Parameters
        ----------
        own : bool
            As for `Strategy.check`: whether the states are those of the search itself.
        """
        checked = [(self.strategy, self.state)]
        for _, (generation, _) in self.ledger.known():
            pair = generation.strategy, generation.state
            if pair[0] is not self.strategy or pair[1] is not self.state:
                checked.append(pair)
        for strategy, state in checked:
            strategy.check(state, from_updates)
        self.ledger.check()

    # -- files ------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """The state in plain values and arrays, as a checkpoint holds it."""
        structure = self.strategy.structure
        return {
            "structure": spec_of(structure),
            "auto": None if self.auto is None else self.auto.snapshot(),
            "switches": self.switches,
            "state": self.state,
            "best": tuple(self.best),
            "evaluations": self.evaluations,
            "info": self.info,
            "monitor": self.monitor.snapshot(),
            "ledger": self.ledger.snapshot(structure),
            **self.arrivals.snapshot(),
        }

    def restored(self, tree: dict[str, Any], xp: Any) -> SearchState:
        """The state of a snapshot.

        The receiver is the state of a new search with the same arguments.

        Parameters
        ----------
        tree : dict
            What `snapshot` has returned.
        xp : module
            The array library of the search.

        Raises
        ------
        ValueError, TypeError, LookupError
            Where the tree does not hold what it should.
        """
        strategy, monitor, auto = self.strategy, self.monitor, None
        if tree["auto"]:
            if self.auto is None:
                raise ValueError("its structure is said to be found on the way, and cannot be")
            auto = self.auto.restored(tree["auto"])
            structure = build_structure(known_spec(tree["structure"]), strategy.structure.dim)
            strategy, monitor = replace(strategy, structure=structure), monitor.of(structure)
        state = strategy.restored(tree["state"], xp)
        evaluations = checks.count("evaluations", tree["evaluations"], 0, MOST)
        shared = tree["state"], state
        return self._replace(
            strategy=strategy,
            state=state,
            ledger=Ledger.restored(tree["ledger"], strategy, xp, self.origin, shared),
            arrivals=Arrivals.restored(tree, strategy, state, xp),
            monitor=monitor.restored(tree["monitor"]),
            auto=auto,
            best=Best.restored(tree["best"], strategy.domain.size, evaluations),
            evaluations=evaluations,
            info=Info.restored(tree["info"]),
            switches=tuple(map(Switch.restored, tree["switches"])),
        )
