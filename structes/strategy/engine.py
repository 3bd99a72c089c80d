"""The update rule by name, and every place where the default leaves CMA-ES.

    "default"   what is best on the benchmarks: all of the below
    "cma"       none of it: the weights, rates, damping and sampling of CMA-ES (Hansen 2016)
    "xnes"      the natural gradient alone: no paths, one rate (Glasmachers et al. 2010); with
                `dense` it is xNES exactly, exponential included

A mapping changes single switches: `engine={"name": "default", "sampling": "independent"}`. What
each one gives is measured by `structes bench ablation`.
"""

from __future__ import annotations

from dataclasses import dataclass

from .. import checks
from ..naming.error_text import brief
from ..naming.registry import Registry
from ..structures.base import Structure
from .sampling import Sampling

SAMPLINGS = ("auto", "independent", "orthogonal", "mirrored")
LONG = 1000  # rows longer than this are drawn independently


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
    natural : bool
        Whether there is only the natural gradient of the expected utility, as in xNES: no paths;
        mean and covariance with the utilities and the rate of xNES. The switches above do nothing
        then.

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
    natural: bool = False

    def __post_init__(self):
        if self.sampling not in SAMPLINGS:
            raise ValueError(
                f"engine: sampling must be one of {', '.join(SAMPLINGS)}; "
                f"got {brief(self.sampling)}"
            )
        checks.number("engine: mirror", self.mirror)
        if not 0 <= self.mirror <= 1:
            raise ValueError(f"engine: mirror must lie in [0, 1]; got {self.mirror}")
        if not 1e-6 <= checks.number("engine: speed", self.speed) <= 1e6:
            raise ValueError(f"engine: speed must lie in [1e-6, 1e6]; got {self.speed}")
        if self.damping is not None:
            checks.number("engine: damping", self.damping, positive=True)
        for name in ("parts", "natural"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(
                    f"engine: {name} must be true or false; got {brief(getattr(self, name))}"
                )

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

    def fit(self, structure: Structure) -> Structure:
        """Return the structure as this engine uses it."""
        return structure.with_exponential() if self.natural else structure


def cma(sampling="independent", mirror=0.0, damping=1.0, speed=1.0, parts=False) -> Engine:
    """Return the engine of CMA-ES: its weights, rates, damping and sampling; single switches may
    be set."""
    return Engine(sampling, mirror, damping, speed, parts)


def xnes() -> Engine:
    """Return the engine of xNES: the natural gradient alone, no paths; with `dense` to the last
    digit."""
    return Engine(sampling="independent", natural=True)


ENGINES = Registry(
    "engine",
    {
        "default": "structes.strategy.engine:Engine",
        "cma": "structes.strategy.engine:cma",
        "xnes": "structes.strategy.engine:xnes",
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
