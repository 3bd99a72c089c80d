"""ES: ask for candidates, tell their values, until it says stop.

A thin class around a value: all that changes is one `SearchState` (state.py), and every call goes
over from one to the next in a single step (transitions.py). How values are computed is not known.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any

from .. import checks
from ..arrays import forms
from ..population.candidates import Candidates
from ..population.memory import LITTLE, check_memory
from ..strategy.state import State
from ..strategy.stopping import Stopping
from . import transitions
from .arguments import Arguments
from .base import BaseSearch
from .beginning import first_state, restored_state
from .building import arguments_from
from .properties import StateProperties
from .state import Best

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from typing_extensions import Unpack

    from ..space.space import Space
    from .options import Options, StartLike, StructureSpec


class ES(StateProperties, BaseSearch):
    """Evolution strategy with a structured covariance: it minimises from values alone.

    Parameters
    ----------
    x0 : (d,) array, Space or mapping, optional
        The start, finite and inside the bounds; or a `structes.Space` of named parameters, which
        says sigma0, bounds, transforms, integers and choices as well (with space=…, x0 is a dict
        of its parameters: another start). It may be left out where bounds are closed: then it is
        the middle of the box.
    sigma0 : float or (d,) array, optional
        Initial standard deviation, positive; of a coordinate whose transform is "log", that of
        ln x. It may be left out where bounds are closed: then it is a fifth of the range.
    structure : str, mapping or Structure
        Name of one of `structes.STRUCTURES`, mapping with its parameters, or a Structure; "auto"
        finds one on the way (see `switches`, and auto.py).
    seed : int, optional
        In [0, 2⁶⁴); None takes one from the operating system (see `seed`).
    popsize : int, optional
        Candidates of a generation, at least 2; None: 4 + ⌊3 ln d⌋.
    space : Space, optional
        The named parameters, where x0 is another start than theirs.
    bounds : sequence of pairs, or scipy.optimize.Bounds, optional
        (lower, upper) for each coordinate, with None for open: every candidate is inside.
    boundary : str, optional
        How candidates are kept inside (`structes.space.building.BOUNDARIES`).
    transforms : sequence or mapping, optional
        "log" or None for each coordinate, or {index: "log"}: the search moves ln x.
    integers : sequence of int, or True, optional
        Coordinates that take integers only; True: all of them.
    choices : sequence of sequences of int, optional
        Groups of coordinates of which the largest one decides (choices.py).
    fixed : mapping, optional
        {index: value} of coordinates that do not move, as those with lower == upper.
    prior : tuple or sequence of pairs, optional
        (X, values) of an earlier study, or pairs [(x, value), …]: where the search begins, how
        far it looks, and in which directions (prior.py). x0 and sigma0 may then be left out; with
        them, sigma0 is the unit in which points are near or far.
    covariance : (d, d) or (d,) array, search or result, optional
        The covariance matrix, or the variances, to start from in place of the identity: the
        search draws from sigma0² times it (sigma0 may be left out, and is 1 then). Or an earlier
        search, or a result, whose shape it is; sigma0 says the size. A structure takes the
        nearest one that it has (covariance.py).
    engine : str, mapping or Engine
        The update: name of one of `structes.ENGINES` ("default", "cma", "xnes"), or a mapping
        with its switches (engine.py).
    noise : str or mapping, optional
        None: values are exact. "auto": the search notices when they are noisy, and keeps
        converging (uncertainty.py; `state.noisy` says how noisy, and `mean`, not `best`, is then
        the answer); a mapping sets its switches.
    backend : {"numpy", "cupy"}
        Array library of state and candidates. With "cupy" all of it is on the GPU (extras
        gpu-cuda12, gpu-cuda13): `ask` gives its arrays, `tell` takes these or the host's, and
        values of either.
    dtype : {"float64", "float32"}
        Of candidates. float32 takes half of the memory and less time; the state of the search
        stays in float64.
    maximize : bool
        Whether larger values are better; all values are told and shown as they are.
    **options
        Any field of `structes.Stopping`, such as target=1e-8 or max_evaluations=10_000.

    Attributes
    ----------
    arguments : Arguments
        What the search was given, checked.

    Raises
    ------
    ValueError, TypeError
        For an argument that does not fit; the message names it.

    Examples
    --------
    >>> es = ES([3.0, 3.0], 1.0, seed=1, target=1e-8)
    >>> while not es.stop():
    ...     X = es.ask()
    ...     es.tell(X, [x @ x for x in X])
    >>> es.best.fun <= 1e-8
    True
    """

    KIND = "ES"

    _assigned = False  # whether a state was assigned, which may be anything

    def __init__(
        self,
        x0: StartLike = None,
        sigma0: ArrayLike | None = None,
        structure: StructureSpec = "dense",
        seed: int | None = None,
        popsize: int | None = None,
        **options: Unpack[Options],
    ):
        self._begin(arguments_from("ES", x0, sigma0, structure, seed, popsize, **options))

    @classmethod
    def of(cls, arguments: Arguments) -> ES:
        """The search of Arguments, which are checked already."""
        es = cls.__new__(cls)
        es._begin(arguments)
        return es

    def _begin(self, arguments: Arguments) -> None:
        self._search = first_state(arguments)
        self._prepare(replace(arguments, prior=None))  # which is in the state now

    # -- the loop ---------------------------------------------------------------------------------

    def ask(self, n: int | None = None, lazy: bool = False) -> Any:
        """New candidates, at any time, also while others are out.

        They are in `pending` until they are told.

        Parameters
        ----------
        n : int, optional
            How many; None: `popsize`.
        lazy : bool
            Whether to return Candidates in place of an array: addresses, from which this process
            or another draws the same points to the bit, when it wants them (candidates.py).

        Returns
        -------
        (n, d) array, or Candidates
        """
        strategy = self._search.strategy
        n = strategy.popsize if n is None else checks.count("n", n, 1)
        if n * strategy.domain.size > LITTLE:
            check_memory(n, self.dim, lazy)
        with self._lock:
            self._search, X = transitions.ask(self._search, n, lazy)
        return X

    def tell(self, X: Any, values: ArrayLike | Iterable[Any] | None = None) -> None:
        """Tell values of candidates: any of those that are out, of any `ask`, in any order.

        When `popsize` values are there the generation closes and the distribution moves. A value
        of an earlier generation is used as well: the sample counts as much as the ratio of the
        present density to the one it was drawn from, at most 1, and the generation is closed when
        the samples count as `popsize`. Points of your own join with their Mahalanobis length
        clipped, count as one sample each, and close generations as candidates do. Of a candidate
        that is told again while its generation is open the later value stands; after that it is
        ignored, with a warning. `info` counts all of these.

        A row need not come back to the bit. One that differs from a candidate by rounding, to
        float32 or to some digits, is that candidate; one that was repaired is a point of your own
        (recognition.py).

        A call that is interrupted has not happened, or has happened as a whole, and may be made
        again.

        Parameters
        ----------
        X : (n, d) array, Candidates, or a sequence
            Rows that were asked, or points of your own: arrays, lists, tensors, a DataFrame;
            dicts of parameters, with a Space; one point (d,) and its value; or pairs (x, value),
            without `values`. Or Candidates: what was asked lazily, `waiting`, or any part of
            these.
        values : (n,) array
            Smaller is better; NaN: the evaluation failed, the value is missing; +inf: the worst
            value there is.

        Raises
        ------
        TypeError, ValueError
            Where shapes or types do not fit; nothing has changed then.
        """
        arguments = self.arguments
        if isinstance(X, Candidates):
            values = forms.objective_values(values, len(X), arguments.sign)
        else:
            form = self.dim, arguments.backend, arguments.space, arguments.sign
            X, values = forms.told(X, values, *form)
        with self._lock:
            self._search, notices = transitions.tell(self._search, X, values, self.seconds)
        if notices:
            self._warn(notices)

    def advance(self) -> None:
        """Close the generation with the values so far; ValueError where none has come.

        `tell` does it by itself when enough are in.
        """
        with self._lock:
            self._search, notices = transitions.advance(self._search, self.seconds)
        self._warn(notices)

    def stop(self) -> dict[str, Any]:
        """{criterion: value} of every stopping criterion that has fired; empty: go on."""
        reasons, limit = dict(self.monitor.reasons), self.arguments.stopping.max_seconds
        if limit is not None and self.seconds >= limit:
            reasons.setdefault("max_seconds", self.seconds)
        if "target" in reasons:
            reasons["target"] *= self.arguments.sign
        return reasons

    def go_under(self, stopping: Stopping, reasons: Mapping[str, Any] | None = None) -> None:
        """Go on under these criteria, as `BaseSearch.go_under`."""
        with self._lock:
            search = self._search
            monitor = search.monitor.under(stopping, search.state.generation, dict(reasons or {}))
            monitor = monitor.told(search.best.fun, search.evaluations, self.seconds)
            self.arguments = replace(self.arguments, stopping=stopping)
            self._search = search._replace(monitor=monitor)

    # -- files ------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise ValueError where the search cannot go on.

        Its numbers have overflowed, or a state was assigned that is none (sound.py).
        """
        self._search.check(from_updates=not self._assigned)

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        structure: StructureSpec | None = None,
        space: Space | None = None,
    ) -> ES:
        """The search in a file of `save`.

        Parameters
        ----------
        path : str or path
            The file.
        structure : Structure, str or mapping, optional
            Where the search has one of your own class: the Structure, or what ES takes for one; a
            file is never let to name what is imported.
        space : Space, optional
            Where the search has a Space with options or constants that are functions or objects,
            which no file holds: the Space.

        Raises
        ------
        OSError
            Where the file cannot be opened.
        ValueError
            For a file that is torn, forged, of another version, or holds something else.
        """
        with cls._opened(path) as tree:
            return cls.restored(tree, structure, space)

    def snapshot(self) -> dict[str, Any]:
        """All of the search in plain values and arrays, as a checkpoint holds it."""
        search = self._search
        return {
            "arguments": self.arguments.plain(search.strategy.noise),
            "engine": self.engine.plain(),
            "seed": self.seed,
            "popsize": self.popsize,
            **search.snapshot(),
            "seconds": self.seconds - self._idle(),
            "warned": sorted(self._warned),
        }

    @classmethod
    def restored(
        cls,
        tree: dict[str, Any],
        structure: StructureSpec | None = None,
        space: Space | None = None,
    ) -> ES:
        """The search of a snapshot; `structure` and `space` are as for `load`."""
        arguments, state = restored_state(tree, structure, space)
        es = cls.__new__(cls)
        es._search = state
        es._prepare(arguments)
        es._restore_age(tree["seconds"])
        es._warned = {checks.text("warned", name) for name in tree["warned"]}
        return es

    # -- copies -----------------------------------------------------------------------------------

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        super().__setstate__(attributes)
        ledger = self._search.ledger.copy(secrets.randbits(62))
        self._search = self._search._replace(ledger=ledger)

    # -- where the search is ----------------------------------------------------------------------

    @property
    def seed(self) -> int:
        """The seed of the candidates: the same one gives the same bits."""
        return self._search.seed

    @property
    def state(self) -> State:
        """The search distribution; one that is assigned is what the search goes on from."""
        return self._search.state

    @state.setter
    def state(self, state: State) -> None:
        self._assigned = True
        self._search = self._search._replace(state=state)

    @property
    def best(self) -> Best:
        """The best point so far."""
        return self._search.best.signed(self.arguments.sign)

    @property
    def generation(self) -> int:
        """The number of generations closed."""
        return self._search.state.generation

    def __repr__(self) -> str:
        return (
            f"<ES {self.structure!r} generation {self.generation}, "
            f"{self.evaluations} evaluations, best {self.best.fun:.6g}, sigma {self.sigma:.3g}>"
        )
