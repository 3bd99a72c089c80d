"""What replicas are given, and what they return."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..space.space import Space
from ..strategy.state import Info
from ..strategy.stopping import Stopping
from ..strategy.strategy import Strategy


class Job(NamedTuple):
    """What all replicas of a search have in common.

    Attributes
    ----------
    strategy : Strategy
        Of the search; its candidates are drawn independently.
    stopping : Stopping
    sigma0 : float
    seed : int
    shards : int
        Into how many a generation is cut, at most `strategy.popsize`.
    backend : str
        Name of the array library.
    fun : callable
        From an (n, d) array of the backend to (n,) values; with `factory` it makes this function.
    factory : bool
    space : Space or None
        Named parameters, of which `fun` takes a list of dicts.
    sign : int
        −1 where larger values are better, else 1.
    """

    strategy: Strategy
    stopping: Stopping
    sigma0: float
    seed: int
    shards: int
    backend: str
    fun: Callable[..., Any] | None
    factory: bool = False
    space: Space | None = None
    sign: int = 1


class Start(NamedTuple):
    """Where a search begins, as `Strategy.init` takes it.

    Attributes
    ----------
    mean : (d,) array
    sigma : float
    scale : (d,) array
    """

    mean: np.ndarray
    sigma: float
    scale: np.ndarray


class StepResult(NamedTuple):
    """Where a search is after a step.

    Attributes
    ----------
    info : Info
        What the update saw and did.
    generation : int
    sigma : float
    evaluations : int
    fun : float
        The best value, to be minimised.
    best_evaluations : int
        Number of evaluations when it came.
    reasons : dict
        {criterion: value} of the stopping criteria that have fired.
    """

    info: Info
    generation: int
    sigma: float
    evaluations: int
    fun: float
    best_evaluations: int
    reasons: dict[str, float]
