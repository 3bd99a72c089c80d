"""RestartES: one search as many runs, each with another population, under one budget.

A restart strategy (`structes.strategy.restarts`) says which run comes next. Run k is an ES like
any other whose seed and start follow from the search's seed and k alone, and run 0 is the ES that
there would be without restarts, to the bit. The state of a search is the `SearchState` of the
present run, whose `earlier` is what it knows of the runs before.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..population.ledger import Ledger
from ..strategy.restarts import (
    ENDS,
    LIMITS,
    Plan,
    RestartStrategy,
    Run,
    build_restarts,
    spec_of_restarts,
)
from ..strategy.stopping import Stopping
from ..structures.building import known_spec
from .arguments import Arguments, read_arguments
from .base import BaseSearch
from .building import arguments_from
from .es import ES
from .later_runs import (
    arguments_of_run,
    check_that_it_ends,
    known_restarts,
    next_plan,
    row_of,
    stopping_of_run,
)
from .properties import StateProperties
from .state import Best, EarlierRuns, SearchState

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from typing_extensions import Unpack

    from ..space.space import Space
    from .options import Options, StartLike, StructureSpec


class RestartES(StateProperties, BaseSearch):
    """A search with restarts: `ask`, `tell`, `advance` and `stop` as for ES, run after run.

    A run that ended is replaced when `ask` is called, so until then one can look at it.

    Parameters
    ----------
    x0 : (d,) array, Space, mapping or callable
        The start of the first run; restarts begin around it (`RestartStrategy.spread`). Or a
        function of the number of the run, 0, 1, 2, …, that returns its start (d,).
    sigma0, structure, seed, popsize, **options
        As for `ES`; a prior is for the first run. target, max_evaluations, max_generations and
        max_seconds are those of the whole search; the other criteria end a run only
        (`structes.strategy.restarts.ENDS`).
    restarts : str, int, mapping or RestartStrategy
        What `structes.strategy.restarts.build_restarts` takes.

    Attributes
    ----------
    es : ES
        The present run. mean, sigma, popsize, state and the like are its own; best, evaluations,
        generation and seconds are those of the whole search.
    restarts : RestartStrategy
        What says which run comes next.

    Raises
    ------
    ValueError, TypeError
        For an argument that does not fit, and for restarts without an end or a budget.

    Examples
    --------
    >>> es = RestartES([3.0, 3.0], 1.0, seed=1, max_evaluations=3000)
    >>> while not es.stop():
    ...     X = es.ask()
    ...     es.tell(X, [10 * len(x) + sum(x**2 - 10 * np.cos(6.28 * x)) for x in X])
    >>> es.restart > 0 and es.best.fun == min(run.fun for run in es.runs)
    True
    """

    KIND = "RestartES"

    def __init__(
        self,
        x0: StartLike = None,
        sigma0: ArrayLike | None = None,
        structure: StructureSpec = "dense",
        seed: int | None = None,
        popsize: int | None = None,
        *,
        restarts: str | int | Mapping[str, Any] | RestartStrategy = "ipop",
        **options: Unpack[Options],
    ):
        arguments = arguments_from("RestartES", x0, sigma0, structure, seed, popsize, **options)
        self._begin(arguments, restarts)

    @classmethod
    def of(cls, arguments: Arguments, restarts: Any = "ipop") -> RestartES:
        """The search of Arguments, which are checked already."""
        es = cls.__new__(cls)
        es._begin(arguments, restarts)
        return es

    def _begin(self, arguments, restarts):
        self._prepare(replace(arguments, prior=None))  # which is for the first run
        self.restarts = build_restarts(restarts)
        check_that_it_ends(self.restarts, arguments.stopping)
        es = ES.of(replace(arguments, x0=arguments.start(0)))
        no_best = Best(None, np.inf, 0)
        earlier = EarlierRuns(Plan("first", es.popsize), (), no_best, 0, 0, 0.0)
        es._search = es._search._replace(earlier=earlier)
        self.es = es

    # -- the loop ---------------------------------------------------------------------------------

    def ask(self, n: int | None = None, lazy: bool = False) -> Any:
        """New candidates, as `ES.ask`: of the next run, where the present one has ended."""
        with self._lock:
            plan = self._next_plan() if self._ended() and not self.stop() else None
            if plan is not None:
                self.es = self._next_run(plan)
            return self.es.ask(n, lazy)

    def tell(self, X: Any, values: ArrayLike | Iterable[Any] | None = None) -> None:
        """Tell values, as `ES.tell`; those of the run before count, but teach this run nothing."""
        with self._lock:
            self.es.tell(X, values)

    def advance(self) -> None:
        """Close the generation with the values told so far, as `ES.advance`."""
        self.es.advance()

    def stop(self) -> dict[str, Any]:
        """{criterion: value} that ended the search; empty while it should go on.

        It is "max_restarts" where a run ended and the strategy has no other."""
        reasons = self._ended()
        if not reasons:
            return {}
        final = any(ENDS[reason] == "search" for reason in reasons)
        if not final and not ("failures" in reasons and self.best.x is None):
            if self._next_plan() is not None:
                return {}
            reasons["max_restarts"] = sum(run.regime == "large" for run in self.runs)
        if "max_generations" in reasons:
            reasons["max_generations"] = self.generation
        if "max_seconds" in reasons:
            reasons["max_seconds"] += self._earlier.seconds
        return reasons

    def go_under(self, stopping: Stopping, reasons: Mapping[str, Any] | None = None) -> None:
        """Go on under these criteria, which are those of the whole search."""
        check_that_it_ends(self.restarts, stopping)
        with self._lock:
            self.es.go_under(stopping_of_run(stopping, self._earlier), reasons)
            self.arguments = replace(self.arguments, stopping=stopping)

    def rest(self, seconds: float) -> None:
        """Let so many seconds not count, in which nothing was searched."""
        super().rest(seconds)
        self.es.rest(seconds)

    def count_from(self, moment: float) -> None:
        """Let the age count from a moment (of time.monotonic)."""
        super().count_from(moment)
        self.es.count_from(moment)

    # -- files ------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise ValueError where the search cannot go on, as `ES.check`."""
        self.es.check()

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        structure: StructureSpec | None = None,
        x0: Callable[..., Any] | None = None,
        restarts: RestartStrategy | None = None,
        space: Space | None = None,
    ) -> RestartES:
        """The search in a file of `save`.

        Parameters
        ----------
        path, structure, space : optional
            As for `ES.load`.
        x0 : callable, optional
            The function that gives the starts, where the search was made with one.
        restarts : RestartStrategy, optional
            The strategy, where it is of your own class.

        Raises
        ------
        OSError, ValueError
            As `ES.load`.
        """
        with cls._opened(path) as tree:
            return cls.restored(tree, structure, x0, restarts, space)

    def snapshot(self) -> dict[str, Any]:
        """All of the search in plain values and arrays, as a checkpoint holds it."""
        earlier, arguments, idle = self._earlier, self.arguments, self._idle()
        options = arguments.plain(self.strategy.noise)
        return {
            "es": {**self.es.snapshot(), "seconds": self.es.seconds - idle},
            "seed": arguments.seed,
            "x0": options.pop("x0"),
            "sigma0": options.pop("sigma0"),
            "auto": arguments.is_auto,
            "options": options,
            "limits": {name: arguments.criterion(name) for name in LIMITS},
            "restarts": spec_of_restarts(self.restarts),
            "first_popsize": self.runs[0].popsize,
            **earlier.snapshot(),
            "former": None,  # of version 1, where it was no part of the ES
            "seconds": self.seconds - idle,
        }

    @classmethod
    def restored(
        cls,
        tree: dict[str, Any],
        structure: StructureSpec | None = None,
        x0: Callable[..., Any] | None = None,
        restarts: RestartStrategy | None = None,
        space: Space | None = None,
    ) -> RestartES:
        """The search of a snapshot; the arguments are as for `load`."""
        if tree["x0"] is None and x0 is None:
            raise ValueError("its starts come from a function: give it, load(path, x0=…)")
        strategy = known_restarts(tree["restarts"]) if restarts is None else restarts
        es = ES.restored(tree["es"], structure, space)
        structure = "auto" if tree["auto"] else structure or known_spec(tree["es"]["structure"])
        search = cls(
            tree["x0"] if x0 is None else x0,
            tree["sigma0"],
            structure,
            tree["seed"],
            tree["first_popsize"],
            restarts=strategy,
            engine=es.engine,
            **read_arguments({**tree["options"], **tree["limits"]}, space),
        )
        earlier = EarlierRuns.restored(tree, es.dim, es.evaluations)
        es._search = es._search._replace(earlier=earlier)
        if tree["former"] is not None:  # a file of version 1
            ledger = es.ledger
            former = Ledger.restored(tree["former"], es.strategy, es._xp, ledger.family[-1])
            es._search = es._search._replace(ledger=ledger.after(former))
        search.es = es
        search._restore_age(tree["seconds"])
        return search

    # -- copies -----------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "es": copy.copy(self.es)}

    # -- where the search is ----------------------------------------------------------------------

    @property
    def _search(self) -> SearchState:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.es._search

    @property
    def _earlier(self) -> EarlierRuns:
        return cast(EarlierRuns, self.es._search.earlier)  # which every run of these has

    @property
    def restart(self) -> int:
        """The number of the present run: 0 is the first."""
        return len(self._earlier.finished)

    @property
    def plan(self) -> Plan:
        """What the present run was made from."""
        return self._earlier.plan

    @property
    def finished(self) -> tuple[Run, ...]:
        """The runs before the present one."""
        return self._earlier.finished

    @property
    def runs(self) -> tuple[Run, ...]:
        """All runs, the present one last."""
        earlier = self._earlier
        row = row_of(self.es, earlier.plan, self.restart, earlier.evaluations, self._ended())
        return (*earlier.finished, row)

    @property
    def best(self) -> Best:
        """The best point of all runs."""
        return self._best.signed(self.arguments.sign)

    @property
    def _best(self) -> Best:
        """The best point of all runs, to be minimised."""
        present, earlier = self._search.best, self._earlier.best
        return present if present.fun < earlier.fun else earlier

    @property
    def generation(self) -> int:
        """The number of generations closed in all runs."""
        return self._earlier.generations + self.es.generation

    def __repr__(self) -> str:
        return f"<RestartES restart {self.restart}, best {self.best.fun:.6g}, now {self.es!r}>"

    # -- from run to run --------------------------------------------------------------------------

    def _ended(self) -> dict[str, Any]:
        """Why the present run is over; empty while it goes on."""
        reasons = self.es.stop()
        used = self.es.evaluations - self._earlier.evaluations
        if self.plan.limit is not None and used >= self.plan.limit:
            reasons["regime_budget"] = used
        return reasons

    def _next_plan(self) -> Plan | None:
        return next_plan(self.arguments, self.restarts, self.runs)

    def _next_run(self, plan: Plan) -> ES:
        """The ES of the next run, which knows what the runs before it have left."""
        former = self.es
        earlier = EarlierRuns(
            plan, self.runs, self._best, former.evaluations, self.generation, self.seconds
        )
        es = ES.of(arguments_of_run(self.arguments, self.restarts, earlier, former.domain))
        ledger = former.ledger.of_next_run(es.ledger.open.generation)
        es._search = es._search._replace(
            ledger=ledger, earlier=earlier, evaluations=earlier.evaluations
        )
        es._warned = former._warned
        return es
