"""The one door: from the keywords of a user to the Arguments of a search.

`ES`, `RestartES`, `ShardedES`, `minimize` and configs hand what they were called with to
`arguments_from`. There a Space is unpacked, what follows from bounds, a prior or a covariance is
filled in, arguments that contradict each other are refused by name, and for a name that is
unknown the error says what it is called here.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import checks
from ..arrays.noise import check_seed
from ..naming.error_text import brief
from ..naming.foreign import unknown
from ..space.bounds import bounds_of
from ..space.space import Space, build_space
from ..strategy.engine import build_engine
from ..strategy.stopping import Stopping
from .arguments import Arguments
from .covariance import searched
from .options import LIMITS, NAMES, OPTIONS, SPACE_LIMITS, STOPPING
from .starts import fixed_at, from_bounds, with_covariance, with_prior

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .options import Options, StartLike, StructureSpec


def arguments_from(
    caller: str,
    x0: StartLike = None,
    sigma0: Any = None,
    structure: StructureSpec = "dense",
    seed: int | None = None,
    popsize: int | None = None,
    **options: Unpack[Options],
) -> Arguments:
    """The Arguments of what a user has written.

    Parameters
    ----------
    where : str
        Name of the function or class that was called, for error messages.
    x0, sigma0, structure, seed, popsize, **options
        As for `ES`.

    Raises
    ------
    ValueError, TypeError
        For an argument that is unknown, does not fit, or contradicts another one. The message
        names the argument, what was expected, and what came.
    """
    for name in options:
        if name not in OPTIONS:
            raise unknown(name, (*NAMES, *OPTIONS), caller)
    maximize = options.get("maximize", False)
    if not isinstance(maximize, (bool, np.bool_)):
        raise TypeError(f"maximize must be True or False; got {brief(maximize)}")
    sigma0, structure, noise = copy.deepcopy((sigma0, structure, options.get("noise")))
    limits = copy.deepcopy({k: options.get(k) for k in LIMITS if options.get(k) is not None})
    covariance = options.get("covariance")
    if sigma0 is None and covariance is not None and searched(covariance) is None:
        sigma0 = 1.0  # the covariance has a size of its own
    x0, sigma0, space, limits = _without_space(x0, sigma0, options.get("space"), limits)
    if x0 is not None and not callable(x0):
        x0 = checks.point("x0", x0)
    if sigma0 is not None:
        sigma0 = _deviations(sigma0, "d" if x0 is None or callable(x0) else x0.size, limits)
    prior = options.get("prior")
    if prior is not None:
        x0, sigma0, prior = with_prior(prior, x0, sigma0, space, limits, maximize)
    if x0 is None or (sigma0 is None and not callable(x0)):
        x0, sigma0 = from_bounds(x0, sigma0, limits)
    if sigma0 is None:  # and x0 is a function
        raise ValueError("sigma0 must be given: how far from x0 does the search look at first?")
    if not callable(x0):
        x0 = checks.point("x0", x0)
        checks.scale("sigma0", sigma0, x0.size)
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
        limits,
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


def _without_space(x0, sigma0, space, limits) -> tuple:
    """(x0, sigma0, Space or None, limits), with what a Space says written out in the others."""
    if isinstance(x0, Space):
        if space is not None:
            raise ValueError("a Space was given twice: as x0 and as space")
        x0, space = None, x0
    elif isinstance(x0, Mapping) and space is None:
        space, sigma0 = _space_of(x0, sigma0)
        x0 = None
    if space is None:
        return x0, sigma0, None, limits
    space = build_space(space)
    for name in SPACE_LIMITS:
        if name in limits:
            raise ValueError(
                f"{name} does not go with a Space, whose parameters say it themselves; "
                f"got {brief(limits[name])}"
            )
    if "fixed" in limits:
        space = space.with_constants(limits.pop("fixed"))
    if isinstance(x0, Mapping):
        space, x0 = space.starting_at(x0), None
    if x0 is None:
        x0 = space.x0
    if sigma0 is None:
        sigma0 = space.sigma0
    if not callable(x0):
        x0 = checks.point("x0", x0, space.dim)
    from_space = {k: value for k, value in space.arguments().items() if k in SPACE_LIMITS}
    return x0, sigma0, space, {**limits, **from_space}


def _space_of(mapping, sigma0) -> tuple:
    """(Space, sigma0) of a mapping in the place of x0: of parameters, or of their starts."""
    are_numbers = all(map(checks.is_number, mapping.values()))
    if not are_numbers or any(isinstance(v, (bool, np.bool_)) for v in mapping.values()):
        return Space(mapping), sigma0
    if sigma0 is None:
        raise ValueError("x0 is a mapping of numbers: sigma0 must say how far they may move")
    sigma, scale = checks.scale("sigma0", sigma0, len(mapping))
    kinds = {
        name: {"kind": "float", "start": float(v), "sigma": float(sigma * s)}
        for (name, v), s in zip(mapping.items(), scale, strict=True)
    }
    return Space(kinds), None


def _deviations(sigma0, d, limits) -> float | np.ndarray:
    """sigma0 as a float, or as an array without zeros.

    A coordinate that is fixed may have zero for its deviation, which becomes one. d is the number
    of coordinates, or the letter where it is not known yet.
    """
    sigma0 = checks.numbers("sigma0", sigma0, f"a positive number or {d} of them")
    if sigma0.ndim == 0:
        return float(sigma0)
    if sigma0.ndim == 1 and (sigma0 == 0).any() and d in ("d", sigma0.size):
        low, high = bounds_of(limits.get("bounds"), sigma0.size)
        fixed = fixed_at(limits.get("fixed"), sigma0.size, low, high)
        sigma0 = np.array([1.0 if i in fixed and s == 0 else s for i, s in enumerate(sigma0)])
    return sigma0


def _check_no_options(structure) -> None:
    """Raise TypeError for a mapping of options in the fourth place, as pycma takes them."""
    for name in structure:
        if name in (*NAMES, *OPTIONS) or str(unknown(name, OPTIONS, "")).count("here it is"):
            raise TypeError(
                f"structure must be a name, or a mapping with 'name'; got {dict(structure)!r}: "
                "options are keyword arguments here, as in max_evaluations=1000"
            )
