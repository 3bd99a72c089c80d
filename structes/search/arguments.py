"""The one door: what a search is made of, as a user says it, checked once and written out.

`ES`, `RestartES`, `ShardedES`, `minimize` and configs take the same arguments, with the same
meaning, and hand them here. A Space is unpacked, what follows from bounds alone is filled in,
coordinates that cannot move are taken out, arguments that contradict each other are refused by
name, and a name that is unknown is told what it is called here.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from .. import checks
from ..arrays.noise import check_seed
from ..files.folders import plain
from ..foreign import unknown
from ..registry import brief
from ..space.bounds import bounds_of, check_fixed, integers_of, logs_of, one_cell
from ..space.building import check_range, domain_of
from ..space.choices import with_choices
from ..space.domain import Domain
from ..space.fixed import Fixed
from ..space.space import Space, build_space, kept_space, space_of
from ..strategy.auto import DENSE
from ..strategy.engine import Engine, build_engine
from ..strategy.stopping import Stopping
from ..strategy.uncertainty import Noise, known_noise, spec_of_noise
from ..structures.building import build_structure
from .covariance import searched
from .functions import portable, unpacked
from .starts import fixed_at, from_bounds, with_covariance, with_prior

if TYPE_CHECKING:
    from typing_extensions import Unpack as Unpack


class Further(TypedDict, total=False):
    """Keyword arguments of every search but those that some name themselves; what they mean is
    said by `ES`, and of the stopping criteria, from `max_generations` on, by `Stopping`."""

    space: Any
    bounds: Any
    boundary: str | None
    transforms: Any
    integers: Any
    choices: Any
    fixed: Mapping | None
    prior: Any
    covariance: Any
    engine: str | Mapping | Engine
    noise: str | Mapping | Noise | None
    backend: str
    dtype: Any
    maximize: bool
    max_generations: int | None
    max_seconds: float | None
    tolfun: float | None
    tolfunhist: float | None
    tolx: float | None
    tolxup: float | None
    condition: float | None
    stagnation: int | str | None
    flat: int | str | None
    failures: int | None
    noeffect: bool


class Options(Further, total=False):
    """Those of `ES`."""

    target: float | None
    max_evaluations: int | None


class OptionsOfMinimize(Further, total=False):
    """Those of `minimize`, which has `target` and `max_evaluations` among its own."""

    popsize: int | None


NAMES = ("x0", "sigma0", "structure", "seed", "popsize")  # the others are keywords only
OPTIONS = tuple(Options.__annotations__)
STOPPING = tuple(f.name for f in fields(Stopping))
LIMITS = ("bounds", "boundary", "transforms", "integers", "choices", "fixed")
SAID_BY_SPACE = ("bounds", "transforms", "integers", "choices")  # for each of its parameters


@dataclass(frozen=True, eq=False)
class Arguments:
    """What a search is made of: every field is checked, and is what the search uses.

    x0       (d,) start, in the user's coordinates; or a function of the number of a run that
             returns one (restarts)
    sigma0   standard deviation of the coordinates: a number or (d,), in the units of the search
    structure   specification or Structure, "auto" included
    seed     integer; popsize: integer, or None for what suits the dimension
    limits   {bounds, boundary, transforms, integers, choices, fixed}, of all d coordinates; those
             that were given
    engine, noise, backend, dtype, maximize, stopping   as for `ES`
    space    Space of named parameters, or None
    correlations   (d, d) of the covariance to start from, whose standard deviations are in sigma0;
             None: there are none
    prior    (X (n, d), values (n,)) to begin with, all finite and inside, to be minimised. None:
             there are none, or they were used: what they say is in the state of the search
    """

    x0: Any
    sigma0: Any
    structure: Any
    seed: int
    popsize: int | None
    limits: dict
    engine: Engine
    noise: Any
    backend: str
    dtype: str
    maximize: bool
    stopping: Stopping
    space: Space | None
    correlations: np.ndarray | None = None
    prior: tuple | None = None

    def __getstate__(self):
        return {**vars(self), "x0": portable(self.x0)}

    def __setstate__(self, state):
        vars(self).update(state, x0=unpacked(state["x0"]))

    # -- what follows -----------------------------------------------------------------------------

    @property
    def sign(self) -> int:
        """What values are multiplied with, so that less is better: −1 where they are maximised."""
        return -1 if self.maximize else 1

    def start(self, number: int = 0, size: int | None = None) -> np.ndarray:
        """(d,) start of run `number`."""
        if not callable(self.x0):
            return self.x0
        takes = inspect.signature(self.x0).parameters
        x0 = self.x0(number) if takes else self.x0()
        return checks.point(f"x0({number})", x0, size)

    def domain(self, x0) -> tuple[Domain, Any]:
        """(Domain of the points, sigma0 of the coordinates that move, a number or (k,)), for a
        start (d,)."""
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
        at = fixed_at(limits.get("fixed"), d, low, high)
        check_fixed(at, limits.get("fixed"), logs, integer)
        moves = np.ones(d, dtype=bool)
        moves[list(at)] = False
        if not moves.any():
            hint = " (bounds are pairs (lower, upper), of which each is one point)"
            hint = hint if not limits.get("fixed") and d == 2 else ""
            raise ValueError(f"all coordinates are fixed: there is nothing to search{hint}")
        low[~moves], high[~moves] = -np.inf, np.inf
        logs, integer = logs & moves, integer & moves
        domain = domain_of(low, high, logs, integer, limits.get("boundary"), deviations)
        domain = with_choices(domain, limits.get("choices"))
        check_range(self.dtype, x0, deviations, low, high, logs, moves)
        if not at:
            return domain, self.sigma0
        values, free = x0.copy(), np.flatnonzero(moves)
        values[list(at)] = list(at.values())
        moving = domain.restricted(free)
        sigma0 = self.sigma0 if np.ndim(self.sigma0) == 0 else np.asarray(self.sigma0)[free]
        return Fixed(len(free), moving, free, values), sigma0

    def correlations_of(self, domain: Domain) -> np.ndarray | None:
        """(k, k) correlations of the coordinates that move; None: there are none."""
        R = self.correlations
        if R is None or not isinstance(domain, Fixed):
            return R
        return R[np.ix_(domain.free, domain.free)]

    def structure_for(self, domain: Domain) -> Any:
        """The structure of a search in this domain: "auto" where it is to be found on the way;
        where there are choices, one that suits them takes its place."""
        structure = self.structure
        if isinstance(structure, Mapping) and dict(structure) == {"name": "auto"}:
            structure = "auto"
        if not (isinstance(structure, str) and structure == "auto"):
            return structure
        moving = domain.moving if isinstance(domain, Fixed) else domain
        return with_blocks(domain.dim, getattr(moving, "choices", ()))

    def with_structure(self) -> Arguments:
        """The same with the Structure in the place of its specification; not for "auto"."""
        domain, _ = self.domain(self.start())
        return replace(self, structure=build_structure(self.structure, domain.dim))

    # -- files ------------------------------------------------------------------------------------

    def plain(self, noise: Noise | None = None) -> dict:
        """Keyword arguments in plain values, from which `arguments_from` makes the same again, as
        far as a file can hold them: not the structure, the engine, the seed and popsize, and no
        function. noise: what `noise` was built to."""
        limits, x0 = self.limits, None if callable(self.x0) else self.x0
        kept = {"x0": x0, "sigma0": plain(self.sigma0)}
        for name in ("bounds", "boundary", "transforms", "integers", "choices"):
            kept[name] = plain(limits.get(name))
        if limits.get("bounds") is not None and x0 is not None:
            kept["bounds"] = np.stack(bounds_of(limits["bounds"], x0.size, x0), axis=1)
        if limits.get("fixed"):
            kept["fixed"] = plain(dict(limits["fixed"]))
        kept["backend"], kept["dtype"] = self.backend, self.dtype
        if self.maximize:
            kept["maximize"] = True
        if self.correlations is not None:
            kept["covariance"] = self.correlations  # its standard deviations are in sigma0
        usual = Stopping()
        for name in STOPPING:
            if getattr(self.stopping, name) != getattr(usual, name):
                kept[name] = getattr(self.stopping, name)
        if self.maximize and "target" in kept:
            kept["target"] = -kept["target"]
        kept["noise"] = spec_of_noise(noise)
        if self.space is not None:
            kept["space"] = kept_space(self.space)
        return kept


def read_arguments(kept: dict, space: Space | None = None) -> dict:
    """The keyword arguments that `Arguments.plain` has written: nothing in them is looked up.

    space   the Space of the search, where it has options or constants that no file holds, or
            where the file has none
    """
    kept = {**kept, "noise": known_noise(kept["noise"])}
    if kept.get("bounds") is not None:
        kept["bounds"] = [tuple(pair) for pair in np.asarray(kept["bounds"]).tolist()]
    if kept.get("space") is not None:
        kept["space"] = space_of(kept["space"], space)
    elif space is not None:
        kept["space"] = build_space(space)
    if space is not None and kept.get("x0") is not None and len(kept["x0"]) != kept["space"].dim:
        raise ValueError(
            f"the space must have dim {len(kept['x0'])}, as the search has; got "
            f"{kept['space'].dim} (a parameter that was fixed is a Constant in it)"
        )
    if kept.get("space") is not None:
        for name in SAID_BY_SPACE:
            kept.pop(name, None)
    return kept


def arguments_from(
    where: str,
    x0=None,
    sigma0=None,
    structure="dense",
    seed=None,
    popsize=None,
    **options,
) -> Arguments:
    """Arguments of what a user says; `where` is the function or class that was called.

    Raises ValueError or TypeError, naming the argument, what was expected, and what came.
    """
    for name in options:
        if name not in OPTIONS:
            raise unknown(name, (*NAMES, *OPTIONS), where)
    maximize = options.get("maximize", False)
    if not isinstance(maximize, (bool, np.bool_)):
        raise TypeError(f"maximize must be True or False; got {brief(maximize)}")
    sigma0, structure, noise = copy.deepcopy((sigma0, structure, options.get("noise")))
    given = copy.deepcopy({k: options[k] for k in LIMITS if options.get(k) is not None})
    covariance = options.get("covariance")
    if sigma0 is None and covariance is not None and searched(covariance) is None:
        sigma0 = 1.0  # it has a size of its own
    x0, sigma0, space, given = _unpacked(x0, sigma0, options.get("space"), given)
    if x0 is not None and not callable(x0):
        x0 = checks.point("x0", x0)
    if sigma0 is not None:
        sigma0 = _deviations(sigma0, "d" if x0 is None or callable(x0) else x0.size, given)
    prior = options.get("prior")
    if prior is not None:
        x0, sigma0, prior = with_prior(prior, x0, sigma0, space, given, maximize)
    if x0 is None or (sigma0 is None and not callable(x0)):
        x0, sigma0 = from_bounds(x0, sigma0, given)
    if not callable(x0):
        x0 = checks.point("x0", x0)
        checks.scale("sigma0", sigma0, x0.size)
    elif sigma0 is None:
        raise ValueError("sigma0 must be given: how far from x0 does the search look at first?")
    correlations = None
    if covariance is not None:
        sigma0, correlations = with_covariance(covariance, x0, sigma0)
    if popsize is not None:
        popsize = checks.count("popsize", popsize, 2)
    if isinstance(structure, Mapping) and "name" not in structure:
        _check_no_options(structure)
    stopping = {name: options[name] for name in STOPPING if name in options}
    if maximize and stopping.get("target") is not None:
        stopping["target"] = -checks.number("target", stopping["target"])
    return Arguments(
        x0,
        sigma0,
        structure,
        check_seed(seed),
        popsize,
        given,
        build_engine(options.get("engine", "default")),
        noise,
        options.get("backend", "numpy"),
        checks.dtype(options.get("dtype", "float64")),
        bool(maximize),
        Stopping(**stopping),
        space,
        correlations,
        prior,
    )


def _unpacked(x0, sigma0, space, given):
    """(x0, sigma0, space, limits) with what a Space says."""
    if isinstance(x0, Space):
        if space is not None:
            raise ValueError("a Space was given twice: as x0 and as space")
        x0, space = None, x0
    elif isinstance(x0, Mapping) and space is None:
        space, x0, sigma0 = _space_of(x0, sigma0)
    if space is None:
        return x0, sigma0, None, given
    space = build_space(space)
    for name in SAID_BY_SPACE:
        if name in given:
            raise ValueError(
                f"{name} does not go with a Space, whose parameters say it themselves; "
                f"got {brief(given[name])}"
            )
    if "fixed" in given:
        space = space.with_constants(given.pop("fixed"))
    if isinstance(x0, Mapping):
        space, x0 = space.starting_at(x0), None
    if x0 is None:
        x0 = space.x0
    if sigma0 is None:
        sigma0 = space.sigma0
    if not callable(x0):
        x0 = checks.point("x0", x0, space.dim)
    own = {name: value for name, value in space.arguments().items() if name in SAID_BY_SPACE}
    return x0, sigma0, space, {**given, **own}


def _deviations(sigma0, d, given):
    """sigma0 as a float, or as an array in which what a coordinate that is fixed may have for a
    deviation, zero, is one."""
    sigma0 = checks.numbers("sigma0", sigma0, f"a positive number or {d} of them")
    if sigma0.ndim == 0:
        return float(sigma0)
    if sigma0.ndim == 1 and (sigma0 == 0).any() and d in ("d", sigma0.size):
        low, high = bounds_of(given.get("bounds"), sigma0.size)
        at = fixed_at(given.get("fixed"), sigma0.size, low, high)
        sigma0 = np.array([1.0 if i in at and s == 0 else s for i, s in enumerate(sigma0)])
    return sigma0


def _space_of(mapping, sigma0):
    """(space, x0, sigma0) of a mapping in the place of x0: of parameters, or of the numbers at
    which they start."""
    numbers = all(map(checks.is_number, mapping.values()))
    if not numbers or any(isinstance(v, (bool, np.bool_)) for v in mapping.values()):
        return Space(mapping), None, sigma0
    if sigma0 is None:
        raise ValueError("x0 is a mapping of numbers: sigma0 must say how far they may move")
    sigma, scale = checks.scale("sigma0", sigma0, len(mapping))
    kinds = {
        name: {"kind": "float", "start": float(v), "sigma": float(sigma * s)}
        for (name, v), s in zip(mapping.items(), scale, strict=True)
    }
    return Space(kinds), None, None


def _check_no_options(structure):
    """A mapping of options in the fourth place, as pycma takes them."""
    for name in structure:
        if name in (*NAMES, *OPTIONS) or str(unknown(name, OPTIONS, "")).count("here it is"):
            raise TypeError(
                f"structure must be a name, or a mapping with 'name'; got {dict(structure)!r}: "
                "options are keyword arguments here, as in max_evaluations=1000"
            )


def with_blocks(dim: int, choices) -> str | dict:
    """A structure that suits: "auto" without choices. With them a direct sum: all numbers together
    dense (low_rank, from 61 on), and one scale for each choice, because nothing else in it
    matters."""
    if not choices:
        return "auto"
    number = sorted(set(range(dim)) - {i for choice in choices for i in choice})
    blocks = {}
    if number:
        name = "dense" if len(number) <= DENSE else "low_rank"
        blocks["numbers"] = {"name": name, "at": number}
    for i, choice in enumerate(choices):
        blocks[f"choice {i}"] = {"name": "scalar", "at": list(choice)}
    return {"name": "direct_sum", "blocks": blocks}


def with_stopping(arguments: Arguments, where: str, **criteria) -> Arguments:
    """The same with other stopping criteria; those that are not named stay."""
    for name in criteria:
        if name not in STOPPING:
            raise unknown(name, STOPPING, where)
    if arguments.maximize and criteria.get("target") is not None:
        criteria["target"] = -checks.number("target", criteria["target"])
    return replace(arguments, stopping=Stopping(**{**asdict(arguments.stopping), **criteria}))
