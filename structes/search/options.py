"""The keyword arguments of a search: their names, their types, and which of them belong together.

Every face takes the same arguments with the same meaning; the classes here are what editors and
type checkers read of them, and the tuples are what the checks at the door go through
(building.py). What each argument means is said once, by `structes.ES`; the stopping criteria are
explained by `structes.Stopping`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from ..space.space import Space
from ..strategy.engine import Engine
from ..strategy.stopping import Stopping
from ..strategy.uncertainty import Noise
from ..structures.base import Structure

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import ArrayLike, DTypeLike

    StartLike: TypeAlias = ArrayLike | Space | Mapping[str, Any] | Callable[..., ArrayLike] | None
    StructureSpec: TypeAlias = str | Mapping[str, Any] | Structure


class RunCriteria(TypedDict, total=False):
    """The fields of `structes.Stopping`, without those that some faces name themselves."""

    max_generations: float | None
    max_seconds: float | None
    tolfun: float | None
    tolfunhist: float | None
    tolx: float | None
    tolxup: float | None
    condition: float | str | None
    stagnation: int | str | None
    flat: int | str | None
    failures: int | None
    noeffect: bool


class Criteria(RunCriteria, total=False):
    """The fields of `structes.Stopping`, as `extend` takes them."""

    target: float | None
    max_evaluations: float | None


class CommonOptions(RunCriteria, total=False):
    """The keyword arguments of every search, without those that some faces name themselves."""

    space: Space | Mapping[str, Any] | None
    bounds: Any
    boundary: str | None
    transforms: Sequence[str | None] | Mapping[int, str] | None
    integers: Iterable[int] | bool | None
    choices: Iterable[Iterable[int]] | None
    fixed: Mapping[int, float] | Mapping[str, Any] | None
    prior: Any
    covariance: Any
    engine: str | Mapping[str, Any] | Engine
    noise: str | Mapping[str, Any] | Noise | None
    backend: Literal["numpy", "cupy"]
    dtype: DTypeLike
    maximize: bool


class Options(CommonOptions, Criteria, total=False):
    """The keyword arguments of `ES`, `RestartES` and `ShardedES`."""


class MinimizeOptions(CommonOptions, total=False):
    """The keyword arguments of `minimize`, which names `target` and `max_evaluations` itself."""

    popsize: int | None


NAMES = ("x0", "sigma0", "structure", "seed", "popsize")  # may also be given by their place
OPTIONS = tuple(sorted(Options.__annotations__, key=Criteria.__annotations__.__contains__))
STOPPING = tuple(f.name for f in fields(Stopping))
LIMITS = ("bounds", "boundary", "transforms", "integers", "choices", "fixed")
SPACE_LIMITS = ("bounds", "transforms", "integers", "choices")  # which a Space says itself
