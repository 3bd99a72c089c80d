"""The update rule by name, and every place where the default leaves CMA-ES.

    "default"   what is best on the benchmarks: all of the below
    "cma"       none of it: CMA-ES to the letter (Hansen 2016)
    "xnes"      the natural gradient alone: no paths, one rate, B exp(M) (Glasmachers et al. 2010)
    "natural"   the same with everything open: ranks or raw values, rates, entropy, retraction (Lin
                et al. 2021, eq. 1)

A mapping changes single switches: `engine={"name": "default", "sampling": "independent"}`. What
each one gives is measured by `structes bench ablation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import inf, isfinite
from typing import Any

from .. import checks
from ..naming.error_text import brief
from ..naming.registry import Registry
from .sampling import Sampling

SAMPLINGS = ("auto", "independent", "orthogonal", "mirrored")
LONG = 1000  # rows longer than this are drawn independently
VALUES = ("ranks", "raw")
BASELINES = ("leave-one-out", "mean")
RETRACTIONS = ("auto", "h", "exp")


@dataclass(frozen=True)
class Natural:
    """The natural gradient alone (Lin et al. 2021, eq. 1), which minimises

        E f(x) + gamma E log q(x)   over the search distributions q of the structure.

    With weights w of samples, larger = better, and M of `Structure.tangent`,

        mean ← mean + mean_rate sigma D₀ Σ w y,   B ← B h(rate (M − gamma/2 I))

    where all that is a multiple of I goes into sigma.

    Parameters
    ----------
    mean_rate : float
        β₁, the step of the mean.
    rate : float, optional
        β₂, the step of B. None is that of xNES, 0.6 (3 + ln d) / d^1.5.
    values : {"ranks", "raw"}
        Where w comes from: "ranks" are the utilities of xNES, which do not see how values are
        scaled. "raw" are the values themselves, w = −(f − baseline)/n, so that w and the rates
        have the unit of 1/f; values that are missing or infinite are left out.
    baseline : {"leave-one-out", "mean"} or float
        With raw values: what is subtracted from a value. "leave-one-out" is the mean of all
        others, with which the gradient is unbiased, where candidates are drawn independently, and
        does not change when a number is added to f; "mean" is that of all. A number is itself: 0
        is no baseline.
    gamma : float
        γ ≥ 0, in the unit of the weights' values: how much entropy counts. With raw values the
        search distribution converges to the nearest one to exp(−f/γ) / Z in place of a point; with
        ranks it is a drift of sigma.
    retraction : {"h", "exp", "auto"}
        B h(M), B exp(M), or "auto": exp where the structure has it.

    Raises
    ------
    ValueError, TypeError
        For a value that does not fit; the message names the argument.
    """

    mean_rate: float = 1.0
    rate: float | None = None
    values: str = "ranks"
    baseline: str | float = "leave-one-out"
    gamma: float = 0.0
    retraction: str = "h"

    def __post_init__(self):
        for name in ("mean_rate", "rate", "gamma"):
            value = getattr(self, name)
            if (name, value) != ("rate", None) and _finite(name, value) < 0:
                raise ValueError(f"engine: {name} must be 0 or more; got {value}")
        checks.choice("engine: values", self.values, VALUES)
        checks.choice("engine: retraction", self.retraction, RETRACTIONS)
        if isinstance(self.baseline, str):
            checks.choice("engine: baseline, if no number,", self.baseline, BASELINES)
        else:
            _finite("baseline", self.baseline)
        if self.values == "ranks" and self.baseline != "leave-one-out":
            raise ValueError(
                "engine: baseline is for values='raw', as ranks have none; "
                f"got {brief(self.baseline)}"
            )


@dataclass(frozen=True)
class Engine:
    """The switches of the update: all that is better than CMA-ES on the benchmarks is one.

    Parameters
    ----------
    sampling : {"auto", "orthogonal", "mirrored", "independent"}
        How the rows of a generation are drawn; CMA-ES has "independent". With "orthogonal" they
        are orthogonal to each other, so that few candidates see many directions. With "mirrored"
        each is, besides, followed by its mirror image, so that both sides of a direction are
        seen, but half as many directions. "auto" is mirrored where 2 λ ≥ d, orthogonal where
        20 λ ≥ d, else independent, and above d = 1000 in any case (there rows are nearly
        orthogonal anyway, and a worker should draw a row by itself).
    mirror : float
        The mean moves away from bad candidates, too: with the weights of the good ones, reversed,
        times −mirror / (1 + 0.6 λ/d). On the sphere the bad half knows as much as the good one,
        as long as λ is small (Arnold 2006). CMA-ES has 0.
    damping : float, optional
        The damping of the step size, for small populations: a smaller one lets sigma fall as fast
        as the better-informed mean allows. None is 0.3 + 2/d; CMA-ES has 1.
    speed : float
        The speed of the covariance: it multiplies c1 and cmu where the degrees of freedom are
        many. CMA-ES has 1; diagonal covariances learn faster in any case.
    parts : bool
        Whether parameter groups, such as the entries of B on the diagonal, learn at rates of their
        own, because there are few of them: an ill-scaled problem need not wait for its
        correlations. CMA-ES has False.
    natural : Natural, optional
        The natural gradient alone, as in xNES: no paths, and the switches mirror, damping, speed,
        parts and textbook do nothing. None: the update of CMA-ES.
    trust_region : float
        The largest Frobenius norm of a step M, for points that no distribution has drawn: beyond
        1 the retraction turns back, while candidates that were drawn hardly ask for as much.
        CMA-ES has none, inf.
    textbook : bool
        Whether the update is Hansen's to the letter: his rates, his bound of the step-size path
        and what c1 loses while it holds, his bound of the negative weights, a sigma that may grow
        by more than e in a generation, and a covariance that moves along a straight line,
        C ← C + ΔC, where the structure can (`dense`, `diagonal`, `scalar`, `block_diagonal`).
        Elsewhere B moves by h, which is the same to first order.

    Raises
    ------
    ValueError, TypeError
        For a value that does not fit; the message names the switch.
    """

    sampling: str = "auto"
    mirror: float = 0.5
    damping: float | None = None
    speed: float = 1.25
    parts: bool = True
    natural: Natural | None = None
    trust_region: float = 1.0
    textbook: bool = False

    def __post_init__(self):
        checks.choice("engine: sampling", self.sampling, SAMPLINGS)
        checks.number("engine: mirror", self.mirror)
        if not 0 <= self.mirror <= 1:
            raise ValueError(f"engine: mirror must lie in [0, 1]; got {self.mirror}")
        if not 1e-6 <= checks.number("engine: speed", self.speed) <= 1e6:
            raise ValueError(f"engine: speed must lie in [1e-6, 1e6]; got {self.speed}")
        if self.damping is not None:
            checks.number("engine: damping", self.damping, positive=True)
        if self.trust_region != inf:
            checks.number("engine: trust_region", self.trust_region, positive=True)
        for name in ("parts", "textbook"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(
                    f"engine: {name} must be true or false; got {brief(getattr(self, name))}"
                )
        if not (self.natural is None or isinstance(self.natural, Natural)):
            raise TypeError(
                "engine: natural must be a Natural or None; got "
                f"{brief(self.natural)} (engine='xnes' or engine={{'name': 'natural', …}})"
            )

    @property
    def retraction(self) -> str:
        """How a step moves B: "h", "exp", "straight", or "auto": "exp" where the structure has
        it."""
        if self.natural is not None:
            return self.natural.retraction
        return "straight" if self.textbook else "h"

    def sampling_of(self, popsize: int, dim: int) -> Sampling:
        """Return how rows of `dim` numbers are drawn for generations of `popsize`."""
        kind = self.sampling
        if kind == "auto":
            kind = "mirrored" if 2 * popsize >= dim else "orthogonal"
            kind = "independent" if dim > min(LONG, 20 * popsize) else kind
        if kind == "independent":
            return Sampling()
        mirrored = kind == "mirrored"
        return Sampling(min(dim, -(-popsize // 2) if mirrored else popsize), mirrored)

    def plain(self) -> dict[str, Any]:
        """Return plain values that make this engine again (`from_plain`)."""
        return asdict(self)


def _finite(name: str, value: Any) -> float:
    if not isfinite(checks.number(f"engine: {name}", value)):
        raise ValueError(f"engine: {name} must be finite; got {value}")
    return value


def cma(
    sampling="independent", mirror=0.0, damping=1.0, speed=1.0, parts=False, trust_region=inf
) -> Engine:
    """Return the engine of CMA-ES, to the letter; single switches may be set."""
    return Engine(sampling, mirror, damping, speed, parts, None, trust_region, True)


def xnes() -> Engine:
    """Return the engine of xNES: the natural gradient alone, no paths, B exp(M) where the
    structure has it; with `dense` to the last digit, with `diagonal` it is SNES but for its
    rate."""
    return natural(retraction="auto")


def natural(
    mean_rate: float = 1.0,
    rate: float | None = None,
    values: str = "ranks",
    baseline: str | float = "leave-one-out",
    gamma: float = 0.0,
    retraction: str = "h",
    sampling: str = "independent",
    trust_region: float = inf,
) -> Engine:
    """Return the engine of the natural gradient alone (`Natural`)."""
    rule = Natural(mean_rate, rate, values, baseline, gamma, retraction)
    return Engine(sampling, natural=rule, trust_region=trust_region)


def from_plain(values: Mapping[str, Any]) -> Engine:
    """Return the engine of plain values, as `Engine.plain` gives them, or as a checkpoint of
    version 1 has them, where natural is true or false.

    Raises ValueError, TypeError where a value does not fit.
    """
    rule = values.get("natural")
    if isinstance(rule, bool):  # in version 1 the natural gradient had no trust region
        old = {"natural": Natural(retraction="auto"), "trust_region": inf} if rule else {}
        return Engine(**{**values, "natural": None, **old})
    return Engine(**{**values, "natural": Natural(**rule) if isinstance(rule, dict) else rule})


ENGINES = Registry(
    "engine",
    {
        "default": "structes.strategy.engine:Engine",
        "cma": "structes.strategy.engine:cma",
        "xnes": "structes.strategy.engine:xnes",
        "natural": "structes.strategy.engine:natural",
    },
    base="structes.strategy.engine:Engine",
)


def build_engine(spec) -> Engine:
    """Return the Engine that `spec` names: a name, a mapping {"name": …, switches…}, or an
    Engine."""
    engine = spec if isinstance(spec, Engine) else ENGINES.build(spec)
    if not isinstance(engine, Engine):
        raise TypeError(f"engine must be an Engine; {brief(spec)} gave {brief(engine)}")
    return engine
