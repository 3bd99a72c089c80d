"""What users read of a search whose state is in this process."""

from __future__ import annotations

from typing import Any

from ..arrays.libraries import load_namespace
from ..population.arrivals import Arrivals
from ..population.candidates import Candidates
from ..population.ledger import Ledger
from ..space.domain import Domain
from ..strategy.auto import Switch
from ..strategy.engine import Engine
from ..strategy.monitor import Monitor
from ..strategy.state import Info, State
from ..strategy.strategy import Strategy
from ..structures.base import Structure
from .arguments import Arguments
from .state import SearchState


class StateProperties:
    """The properties of a search, worked out from its `SearchState`."""

    _search: SearchState
    arguments: Arguments

    # -- what was asked ---------------------------------------------------------------------------

    @property
    def pending(self) -> Any:
        """The points (n, d) that were asked and not told, the oldest first.

        A candidate is waited for until `structes.population.asked.KEPT` generations have closed
        after its own.
        """
        waiting = self.waiting
        return waiting.points() if waiting else self._xp.empty((0, self.dim))

    @property
    def waiting(self) -> Candidates:
        """The points in `pending` as Candidates: nothing is drawn."""
        return Candidates(self._search.ledger.waiting(), self.dim)

    @property
    def ledger(self) -> Ledger:
        """The candidates of the search, and the values that have come of them."""
        return self._search.ledger

    @property
    def gathered(self) -> Arrivals:
        """What else has come for the open generation: late values, and the user's own points."""
        return self._search.arrivals

    # -- settings ---------------------------------------------------------------------------------

    @property
    def dim(self) -> int:
        """The number of parameters, d."""
        return self._search.strategy.domain.size

    @property
    def popsize(self) -> int:
        """The number of candidates of a generation."""
        return self._search.strategy.popsize

    @property
    def engine(self) -> Engine:
        """The switches of the update."""
        return self._search.strategy.engine

    @property
    def strategy(self) -> Strategy:
        """The structure and the settings of the update."""
        return self._search.strategy

    @property
    def structure(self) -> Structure:
        """The structure of the covariance; structure="auto" may change it on the way."""
        return self._search.strategy.structure

    @property
    def domain(self) -> Domain:
        """Where the points live."""
        return self._search.strategy.domain

    # -- where the search is ----------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The search distribution."""
        return self._search.state

    @property
    def mean(self) -> Any:
        """The mean (d,) of the search distribution, as a point: the best estimate under noise."""
        u = self._xp.asarray(self.state.mean, copy=True)
        return self.domain.decode(u[None, :])[0, :]

    @property
    def sigma(self) -> float:
        """The overall standard deviation (step size), relative to the structure's factor."""
        return self.state.sigma

    @property
    def deviations(self) -> Any:
        """The standard deviation (d,) of each coordinate; 0 where one is fixed."""
        spread = self.structure.deviations(self.state.factor)
        return self.domain.spread(self.state.sigma * self.state.scale * spread)

    @property
    def evaluations(self) -> int:
        """The number of values so far, missing ones included."""
        return self._search.evaluations

    @property
    def info(self) -> Info:
        """What the last update saw and did."""
        return self._search.info.signed(self.arguments.sign)

    @property
    def switches(self) -> list[Switch]:
        """The changes of structure so far (auto.py)."""
        return list(self._search.switches)

    @property
    def monitor(self) -> Monitor:
        """What the stopping criteria have seen."""
        return self._search.monitor

    @property
    def _xp(self) -> Any:
        """The array library of the search."""
        return load_namespace(self.arguments.backend)
