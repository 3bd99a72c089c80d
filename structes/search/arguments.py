"""What a search is made of: one frozen value, which every face takes and stores.

A user's keywords become `Arguments` once, by `arguments_from` (building.py), which checks all of
them. From then on nothing is checked or looked up a second time: `ES`, `RestartES`, `ShardedES`,
`minimize` and the experiments of the command line read the same fields, and what follows from
several of them (the domain, the structure, the start of a later run) is worked out here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import checks
from ..files.folders import plain
from ..naming.foreign import unknown
from ..space.bounds import bounds_of, check_fixed, integers_of, logs_of, one_cell
from ..space.building import check_range, domain_of
from ..space.choices import with_choices
from ..space.domain import Domain
from ..space.fixed import Fixed
from ..space.space import Space, build_space
from ..space.stored_space import kept_space, space_of
from ..strategy.auto import DENSE
from ..strategy.engine import Engine
from ..strategy.settings import default_popsize
from ..strategy.stopping import Stopping
from ..strategy.uncertainty import Noise, known_noise, spec_of_noise
from ..structures.building import build_structure
from .functions import portable, unpacked
from .options import SPACE_LIMITS, STOPPING
from .starts import fixed_at

if TYPE_CHECKING:
    from .options import StructureSpec


@dataclass(frozen=True, eq=False)
class Arguments:
    """The arguments of a search, every one of them checked.

    Attributes
    ----------
    x0 : (d,) array, or callable
        The start, in the user's coordinates; or a function of the number of a run that returns
        one (restarts).
    sigma0 : float or (d,) array
        Standard deviations of the coordinates, in the units of the search (of ln x where a
        transform is "log").
    structure : str, mapping or Structure
        The covariance structure as it was specified, "auto" included.
    seed : int
        In [0, 2⁶⁴).
    popsize : int or None
        Candidates of a generation; None stands for what suits the dimension.
    limits : dict
        Those of bounds, boundary, transforms, integers, choices and fixed that were given, each
        for all d coordinates.
    engine : Engine
        The switches of the update.
    noise : mapping, str or None
        How noisy values are dealt with, as for `ES`.
    backend, dtype : str
        The array library, and the type of the candidates.
    maximize : bool
        Whether larger values are better.
    stopping : Stopping
        The stopping criteria. Its target is that of a minimisation.
    space : Space or None
        The named parameters.
    correlations : (d, d) array or None
        Correlations of the covariance to start from, whose standard deviations are in `sigma0`.
    prior : tuple of (n, d) array and (n,) array, or None
        Points and values to begin with, all finite, inside, and to be minimised. None also where
        they were used already: what they say is then in the state of the search.
    """

    x0: np.ndarray | Callable[..., Any]
    sigma0: float | np.ndarray
    structure: StructureSpec
    seed: int
    popsize: int | None
    limits: dict[str, Any]
    engine: Engine
    noise: str | Mapping[str, Any] | Noise | None
    backend: str
    dtype: str
    maximize: bool
    stopping: Stopping
    space: Space | None
    correlations: np.ndarray | None = None
    prior: tuple[np.ndarray, np.ndarray] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "x0": portable(self.x0)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, x0=unpacked(state["x0"]))

    # -- what follows from them -------------------------------------------------------------------

    @property
    def sign(self) -> int:
        """The factor that makes smaller values better: −1 where values are maximised, else 1."""
        return -1 if self.maximize else 1

    @property
    def is_auto(self) -> bool:
        """Whether the search finds its structure on the way."""
        structure = self.structure
        if isinstance(structure, Mapping):
            return dict(structure) == {"name": "auto"}
        return isinstance(structure, str) and structure == "auto"

    def start(self, number: int = 0, size: int | None = None) -> np.ndarray:
        """The start (d,) of run `number`; `size` is d, where it is known already."""
        if not callable(self.x0):
            return self.x0
        takes_number = inspect.signature(self.x0).parameters
        x0 = self.x0(number) if takes_number else self.x0()
        return checks.point(f"x0({number})", x0, size)

    def domain(self, x0: np.ndarray) -> tuple[Domain, float | np.ndarray]:
        """The domain of a search that starts at x0 (d,).

        Returns
        -------
        domain : Domain
            Where the points live: bounds, transforms, integers, choices and fixed coordinates.
        sigma0 : float or (k,) array
            Standard deviations of the k coordinates that move.

        Raises
        ------
        ValueError, TypeError
            Where limits, covariance or prior do not fit x0 or each other.
        """
        d, limits = x0.size, self.limits
        if self.correlations is not None and len(self.correlations) != d:
            n = len(self.correlations)
            raise ValueError(f"covariance is that of {n} parameters; x0 has {d} of them")
        if self.prior is not None and self.prior[0].shape[1] != d:
            n = self.prior[0].shape[1]
            raise ValueError(f"prior has points of {n} parameters; x0 has {d} of them")
        sigma, scale = checks.scale("sigma0", self.sigma0, d)
        deviations = sigma * scale
        if all(value is None for value in limits.values()):
            check_range(self.dtype, x0, deviations)
            return Domain(d), self.sigma0
        low, high = bounds_of(limits.get("bounds"), d, x0)
        logs = logs_of(limits.get("transforms"), d)
        integer = integers_of(limits.get("integers"), d)
        low, high = one_cell(low, high, logs, integer)
        fixed = fixed_at(limits.get("fixed"), d, low, high)
        check_fixed(fixed, limits.get("fixed"), logs, integer)
        moves = np.ones(d, dtype=bool)
        moves[list(fixed)] = False
        if not moves.any():
            hint = " (bounds are pairs (lower, upper), of which each is one point)"
            hint = hint if not limits.get("fixed") and d == 2 else ""
            raise ValueError(f"all coordinates are fixed: there is nothing to search{hint}")
        low[~moves], high[~moves] = -np.inf, np.inf
        logs, integer = logs & moves, integer & moves
        domain = domain_of(low, high, logs, integer, limits.get("boundary"), deviations)
        domain = with_choices(domain, limits.get("choices"))
        check_range(self.dtype, x0, deviations, low, high, logs, moves)
        if not fixed:
            return domain, self.sigma0
        values, free = x0.copy(), np.flatnonzero(moves)
        values[list(fixed)] = list(fixed.values())
        moving = domain.restricted(free)
        sigma0 = self.sigma0 if np.ndim(self.sigma0) == 0 else np.asarray(self.sigma0)[free]
        return Fixed(len(free), moving, free, values), sigma0

    def popsize_for(self, domain: Domain) -> int:
        """The candidates of a generation, for a search in this domain."""
        return default_popsize(domain.dim) if self.popsize is None else self.popsize

    def correlations_of(self, domain: Domain) -> np.ndarray | None:
        """The correlations (k, k) of the coordinates that move; None where none were given."""
        R = self.correlations
        if R is None or not isinstance(domain, Fixed):
            return R
        return R[np.ix_(domain.free, domain.free)]

    def structure_for(self, domain: Domain) -> StructureSpec:
        """The structure of a search in this domain.

        It is "auto" where the structure is found on the way, unless the domain has choices: then
        a direct sum that suits them takes its place.
        """
        if not self.is_auto:
            return self.structure
        moving = domain.moving if isinstance(domain, Fixed) else domain
        return with_blocks(domain.dim, getattr(moving, "choices", ()))

    # -- the same with a change -------------------------------------------------------------------

    def with_structure(self) -> Arguments:
        """The same with the Structure in place of its specification, which must not be "auto"."""
        domain, _ = self.domain(self.start())
        return replace(self, structure=build_structure(self.structure, domain.dim))

    def with_stopping(self, caller: str, **criteria: Any) -> Arguments:
        """The same with other stopping criteria.

        Parameters
        ----------
        where : str
            The function that a user has called, for error messages.
        **criteria
            Fields of `Stopping`, in the user's sense; those that are not named stay.

        Raises
        ------
        TypeError, ValueError
            For a name that is no criterion, or a value that does not fit.
        """
        for name in criteria:
            if name not in STOPPING:
                raise unknown(name, STOPPING, caller)
        if self.maximize and criteria.get("target") is not None:
            criteria["target"] = -checks.number("target", criteria["target"])
        return replace(self, stopping=Stopping(**{**asdict(self.stopping), **criteria}))

    def criterion(self, name: str) -> Any:
        """A stopping criterion in the user's sense: the target is one of the user's values."""
        value = getattr(self.stopping, name)
        return value * self.sign if name == "target" and value is not None else value

    # -- files ------------------------------------------------------------------------------------

    def plain(self, noise: Noise | None = None) -> dict[str, Any]:
        """Keyword arguments in plain values, from which the same Arguments can be made again.

        The structure, the engine, the seed, popsize and functions are not among them.

        Parameters
        ----------
        noise : Noise or None
            What the argument `noise` was built to.
        """
        limits, x0 = self.limits, None if callable(self.x0) else self.x0
        tree = {"x0": x0, "sigma0": plain(self.sigma0)}
        for name in ("bounds", "boundary", "transforms", "integers", "choices"):
            tree[name] = plain(limits.get(name))
        if limits.get("bounds") is not None and x0 is not None:
            tree["bounds"] = np.stack(bounds_of(limits["bounds"], x0.size, x0), axis=1)
        if limits.get("fixed"):
            tree["fixed"] = plain(dict(limits["fixed"]))
        tree["backend"], tree["dtype"] = self.backend, self.dtype
        if self.maximize:
            tree["maximize"] = True
        if self.correlations is not None:
            tree["covariance"] = self.correlations  # its standard deviations are in sigma0
        defaults = Stopping()
        for name in STOPPING:
            if getattr(self.stopping, name) != getattr(defaults, name):
                tree[name] = self.criterion(name)
        tree["noise"] = spec_of_noise(noise)
        if self.space is not None:
            tree["space"] = kept_space(self.space)
        return tree


def read_arguments(tree: dict[str, Any], space: Space | None = None) -> dict[str, Any]:
    """The keyword arguments in a tree of `Arguments.plain`; nothing in it is looked up.

    Parameters
    ----------
    tree : dict
        What `Arguments.plain` has written.
    space : Space or None
        The Space of the search, where it has options or constants that no file holds, or where
        the file has none.
    """
    tree = {**tree, "noise": known_noise(tree["noise"])}
    if tree.get("bounds") is not None:
        tree["bounds"] = [tuple(pair) for pair in np.asarray(tree["bounds"]).tolist()]
    if tree.get("space") is not None:
        tree["space"] = space_of(tree["space"], space)
    elif space is not None:
        tree["space"] = build_space(space)
    if space is not None and tree.get("x0") is not None and len(tree["x0"]) != tree["space"].dim:
        raise ValueError(
            f"the space must have dim {len(tree['x0'])}, as the search has; got "
            f"{tree['space'].dim} (a parameter that was fixed is a Constant in it)"
        )
    if tree.get("space") is not None:
        for name in SPACE_LIMITS:
            tree.pop(name, None)
    return tree


def with_blocks(dim: int, choices: Sequence[Sequence[int]]) -> str | dict[str, Any]:
    """The structure in place of "auto": "auto" itself where there are no choices.

    With choices it is a direct sum: all numbers together dense (low_rank, from 61 on), and one
    scale for each choice, because nothing else in it matters.
    """
    if not choices:
        return "auto"
    numbers = sorted(set(range(dim)) - {i for choice in choices for i in choice})
    blocks: dict[str, Any] = {}
    if numbers:
        name = "dense" if len(numbers) <= DENSE else "low_rank"
        blocks["numbers"] = {"name": name, "at": numbers}
    for i, choice in enumerate(choices):
        blocks[f"choice {i}"] = {"name": "scalar", "at": list(choice)}
    return {"name": "direct_sum", "blocks": blocks}
