"""When to stop, and why: a dict from criterion to the value that fired it.

The criteria are those of CMA-ES practice (Hansen 2016, appendix B.3; Auger & Hansen 2005), so a
user of pycma finds them again. A run that stops on its own has usually converged, or cannot go on
in floating point; which of the two, the reason tells.

None of them has a unit. f and a f + b end a search at the same point, because differences between
values are compared with the largest difference that was seen, and steps with the first steps. Near
a minimum values differ as the squares of steps, so that a search whose values agree to a share
`tolfun` has converged where its standard deviations fell to a share √tolfun, too. Both together
also tell convergence from the descent out of a penalty of 1e20, beside which everything agrees.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import inf

from .. import checks
from ..naming.foreign import NAMES, telling

TOLERANCES = ("tolfun", "tolfunhist", "tolx", "tolxup", "condition")


@telling(NAMES)
@dataclass(frozen=True)
class Stopping:
    """The criteria that end a search, and their tolerances.

    None switches a criterion off, and so does 0, but for a budget. The reason that `stop` gives
    has the field's name.

    Parameters
    ----------
    target : float, optional
        Stop when the best value is ≤ target (≥ where values are maximised).
    max_evaluations : int, optional
        Stop after so many values were told.
    max_generations : int, optional
        Stop after so many updates.
    max_seconds : float, optional
        Stop after so many seconds since the search was made.
    tolfun : float, optional
        Stop when the values of the generation, and the best values of the last 10 + ⌈30 d/λ⌉
        generations, all lie within tolfun times the range of all values so far, and the standard
        deviations of all coordinates that are no integers are below √tolfun · sigma0 (or the
        values agree to rounding). It is 60 d/λ where some coordinates are integers: each of them
        must have its chance to change; and 300 d/λ where none is continuous, because nothing then
        shows how far a search still has to go, and plateaus last longer than that.
    tolfunhist : float, optional
        The same for the best values of those generations alone. Where no coordinate is
        continuous: no better value has come in so many generations.
    tolx : float, optional
        Stop when standard deviations and path are below tolx · sigma0 in all coordinates.
    tolxup : float, optional
        Stop when sigma has grown beyond tolxup · sigma0: sigma0 was far too small, or f has no
        minimum there.
    condition : float or "auto", optional
        Stop when the condition number of the covariance is above it (looked at every 5 d
        generations). "auto" is 10¹⁴, and none where some coordinates are integers or choices,
        which stay wide while all others converge.
    stagnation : int or "auto", optional
        Stop when the medians of best and median values did not improve over so many generations.
        "auto" is 100 + 100 d^1.5/λ, and none where no coordinate is continuous. This and tolfun,
        tolfunhist rest while noise was found to matter (`structes.strategy.uncertainty`).
    flat : int or "auto", optional
        Stop when all values were equal (+inf and missing ones are) in so many generations in a
        row. "auto" is 10, and 10 + ⌈60 d/λ⌉ where some coordinates are integers.
    failures : int, optional
        Stop when all values were missing (NaN) in so many generations in a row.
    noeffect : bool
        Stop when a fifth of a standard deviation changes no digit of the mean in some coordinate
        (reason "noeffectcoord"), or a tenth of one along some axis changes no coordinate
        ("noeffectaxis").

    Raises
    ------
    ValueError, TypeError
        For a value that does not fit; the message names the criterion.
    """

    target: float | None = None
    max_evaluations: int | None = None
    max_generations: int | None = None
    max_seconds: float | None = None
    tolfun: float | None = 1e-14
    tolfunhist: float | None = 1e-14
    tolx: float | None = 1e-12
    tolxup: float | None = 1e4
    condition: float | str | None = "auto"
    stagnation: int | str | None = "auto"
    flat: int | str | None = "auto"
    failures: int | None = 10
    noeffect: bool = True

    def __post_init__(self):
        for name in (*TOLERANCES, "flat", "stagnation", "failures"):
            if getattr(self, name) in (0, False):  # as everywhere in the field
                object.__setattr__(self, name, None)
        for name in ("max_evaluations", "max_generations", "max_seconds"):
            if getattr(self, name) == inf:
                object.__setattr__(self, name, None)
        for name in ("max_evaluations", "max_generations", "flat", "failures"):
            if name == "flat" and self.flat == "auto":
                continue
            if getattr(self, name) is not None:
                object.__setattr__(self, name, checks.count(name, getattr(self, name), 1))
        for name in ("max_seconds", *TOLERANCES):
            if getattr(self, name) not in (None, "auto" if name == "condition" else None):
                checks.number(name, getattr(self, name), positive=True)
        if self.target is not None:
            checks.number("target", self.target)
        if self.stagnation not in (None, "auto"):
            checks.count("stagnation", self.stagnation, 1)


REASONS = (*(f.name for f in fields(Stopping)), "noeffectcoord", "noeffectaxis")
