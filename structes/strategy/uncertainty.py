"""Values that are noisy: measure how much, keep sigma where values still say something, and let
the mean take small steps. `noise="auto"` of ES; off unless it is asked for.

**Measure.** Now and then the last candidate of a generation is the first one again. Let K be how
many of the m other values lie between the two. When noise alone decides, the two are any two of
m + 2 equal values, and

    E K² = m (m + 1)/6,        ratio = the moving average of 6 K² / (m (m + 1))

is 1; without noise it is 0, exactly. (Re-evaluation and rank changes: Hansen, Niederberger,
Guzzella & Koumoutsakos 2009, "A method for handling uncertainty in evolutionary optimization".)
While the two values never differ in rank this happens in one generation out of `every`, and
nothing else does: the search is the plain one.

**Treat.** On a quadratic function the mean can only be estimated from differences between values.
Smaller steps make them smaller, and with sigma in proportion to the distance from the optimum no
averaging is better than f ~ N^(−1/2) in N evaluations; with sigma held f ~ N^(−1) (Astete-Morales,
Cauwet & Teytaud 2015, "Evolution strategies with additive noise: a convergence rate lower bound").
The variance of what one evaluation says about the mean, (sigma⁴ d/2 + noise²)/sigma², is smallest
where the curvature and the noise contribute alike, that is, at a ratio of ½. So the mean moves by
eta · sigma, and

    ln (eta sigma) ← ln (eta sigma) + eta (Δ_path − s)         Δ_path, s: as in update.py
    ln sigma       ← ln sigma + speed · ln (ratio' / target)   at least so that eta ≤ 1

with the step-size path at the rate eta · cs: what falls in the plain search is sigma, here it is
eta, and everything about the mean slows down with it. In the stationary state the path is a little
shorter than that of random steps, in proportion to eta, so that d eta/dt ~ −eta² and eta ~ 1/t, as
stochastic approximation wants it. The covariance learns as ever. Where ratio' is 0 the second line
says −∞: eta = 1, and to the bit the plain search.

**Does it help?** A larger sigma lowers the ratio where the noise is added. Where it is multiplied,
or a few values are wild, it does not, and holding sigma would be for ever. So the slope of the
ratio against ln sigma is estimated on the way (a moving regression, which believes in −1 until
sigma has moved; the theory says −1 … −½ at a ratio of ½), and ratio' = ratio · min(1, −slope/0.3).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import exp, inf, log
from typing import NamedTuple

import numpy as np

from .. import checks
from ..arrays.libraries import namespace, to_numpy
from ..naming.error_text import brief
from ..naming.registry import Registry

# of the moving averages (in measurements) of the ratio, and of the regression
MEMORY, LONG_MEMORY = 20, 50
SLOPE = 0.3  # −slope from which a larger sigma is believed to help
PRIOR = 0.05  # variance of ln sigma that a belief in the slope −1 is worth
QUIET = 0.02  # a ratio below it is looked at now and then only
MATTERS = 0.1  # a ratio above it: criteria that compare values say nothing
LEAST = 1e-6  # eta


@dataclass(frozen=True)
class Noise:
    """How noisy values are dealt with.

    target   ratio at which sigma is held, in (0, 1); a larger one means a smaller sigma, so less
             bias where the function is far from quadratic, and more variance
    speed    of sigma towards it: change of ln sigma a generation for each ln ratio/target
    every    generations between two measurements while no noise was seen
    """

    target: float = 0.5
    speed: float = 0.1
    every: int = 10

    def __post_init__(self):
        checks.number("noise: target", self.target, positive=True)
        if self.target >= 1:
            raise ValueError(f"noise: target must lie in (0, 1); got {self.target}")
        if checks.number("noise: speed", self.speed, positive=True) == inf:
            raise ValueError("noise: speed must be finite")
        object.__setattr__(self, "every", checks.count("noise: every", self.every, 1, 2**31))


class Noisy(NamedTuple):
    """What is known of the noise: numbers only, a part of the state of the search.

    eta        share of its step that the mean moves, in (0, 1]
    ratio      of the noise: 0 none, 1 values say nothing
    measured   number of measurements
    wait       generations until the next one; 0: the last candidate of this one is its first
    log_sigma, rank   weighted means of ln sigma and of 6 K² / (m (m + 1))
    variance, covariance   of ln sigma; of the two
    """

    eta: float = 1.0
    ratio: float = 0.0
    measured: int = 0
    wait: int = 0
    log_sigma: float = 0.0
    rank: float = 0.0
    variance: float = 0.0
    covariance: float = 0.0

    @property
    def matters(self) -> bool:
        """Whether values of one generation cannot be compared with those of another."""
        return self.ratio > MATTERS

    @property
    def slope(self) -> float:
        """Of the ratio against ln sigma."""
        return (self.covariance - PRIOR) / (self.variance + PRIOR)


NOISE = Registry(
    "noise",
    {"auto": "structes.strategy.uncertainty:Noise"},
    base="structes.strategy.uncertainty:Noise",
)


def build_noise(spec, popsize: int) -> Noise | None:
    """Return the Noise of None, "auto", {"name": "auto", "target": 0.6, …} or a Noise.

    Raises ValueError or TypeError, naming the argument, for what is unknown or does not fit.
    """
    if spec is None:
        return None
    built = spec if isinstance(spec, Noise) else NOISE.build(spec)
    if not isinstance(built, Noise):
        raise TypeError(
            f"noise must be None, 'auto', a mapping or a Noise; {brief(spec)} is {brief(built)}"
        )
    if popsize < 4:
        raise ValueError(f"noise is measured by ranks, which needs popsize ≥ 4; got {popsize}")
    return built


def known_noise(spec) -> Noise | None:
    """Return the Noise of what `spec_of_noise` has made: a name in it is not looked up."""
    return spec and Noise(**{key: value for key, value in spec.items() if key != "name"})


def spec_of_noise(settings: Noise | None) -> dict | None:
    """Return the mapping from which `build_noise` makes it again."""
    return None if settings is None else {"name": "auto", **asdict(settings)}


def measure(settings: Noise, noisy: Noisy, sigma: float, Z, values, popsize: int) -> Noisy:
    """Return `noisy` after a generation: Z (n, noise_dim), values (n,) NumPy, NaN for a missing
    one.

    Candidates 0 and popsize − 1 are compared, where this generation was to measure and both have
    a value; otherwise the next one will.
    """
    if noisy.wait:
        return noisy._replace(wait=noisy.wait - 1)
    first, last = 0, popsize - 1
    if len(values) < popsize or not _same(Z[first, :], Z[last, :]):
        return noisy
    pair = values[[first, last]]
    rivals = np.delete(values, [first, last])
    rivals = rivals[~np.isnan(rivals)]
    m = len(rivals)
    if np.isnan(pair).any() or not m:
        return noisy
    # a tie counts one half
    ranks = [np.count_nonzero(rivals < v) + 0.5 * np.count_nonzero(rivals == v) for v in pair]
    rank = float(6 * (ranks[0] - ranks[1]) ** 2 / (m * (m + 1)))
    n = noisy.measured + 1
    ratio = noisy.ratio + max(1 / MEMORY, 1 / (n + 1)) * (rank - noisy.ratio)
    w = max(1 / LONG_MEMORY, 1 / n)
    dx, dy = log(sigma) - noisy.log_sigma, rank - noisy.rank
    return Noisy(
        eta=noisy.eta,
        ratio=ratio,
        measured=n,
        wait=0 if ratio > QUIET else settings.every - 1,
        log_sigma=noisy.log_sigma + w * dx,
        rank=noisy.rank + w * dy,
        variance=(1 - w) * (noisy.variance + w * dx * dx),
        covariance=(1 - w) * (noisy.covariance + w * dx * dy),
    )


def share(settings: Noise, noisy: Noisy, change: float) -> tuple[float, Noisy]:
    """Return the `change` of ln (eta sigma), shared out: (that of ln sigma, `noisy` with the new
    eta)."""
    ratio = noisy.ratio * min(1.0, max(0.0, -noisy.slope / SLOPE))
    drift = settings.speed * log(ratio / settings.target) if ratio > 0 else -inf
    log_eta = log(noisy.eta)
    next_log_eta = min(0.0, max(log(LEAST), log_eta + change - drift))
    return log_eta + change - next_log_eta, noisy._replace(eta=exp(next_log_eta))


def _same(a, b) -> bool:
    """Return whether two rows of local coordinates are one candidate, up to rounding: some
    structures find them back from the steps."""
    xp = namespace(a)
    return float(to_numpy(xp.max(xp.abs(a - b)))) < 1e-9
