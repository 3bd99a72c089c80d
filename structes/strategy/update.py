"""THE update: from the values of a generation to the next search distribution, on one screen.

A candidate is x = mean + sigma D₀ y with y = B⁻ᵀ z and z ~ N(0, I), and all of this is done in
local coordinates z, where the search distribution is the standard one. The letters and equations
are those of Hansen, "The CMA evolution strategy: a tutorial" (2016; H), of Glasmachers et al.,
"Exponential natural evolution strategies" (2010; G) and of Lin et al., "Tractable structured
natural-gradient descent using local parameterizations" (2021; L). With a dense B it is CMA-ES with
the engine `cma` and xNES with the engine `xnes`, both to the last digit; `natural` is L eq. 1.

What is not here: how candidates are drawn (sampling.py), how ranks become weights (ranking.py,
weights_and_rates.py), how samples are summed (samples.py), how far a step may go (core/step.py),
how noisy values are dealt with (uncertainty.py), and what B is (structures/). The kernels that do
some of this at once on a GPU are tested against it.
"""

from __future__ import annotations

from math import exp, inf, sqrt
from typing import NamedTuple

from ..arrays.kernels import steps
from ..arrays.libraries import cast
from ..arrays.scalars import number, where
from ..core.step import step
from .ranking import Weighed, weigh, weights_of
from .samples import Sampled, with_entropy
from .settings import Settings
from .state import Info, State
from .uncertainty import measure, share

FAR = 100.0  # standard deviations of a coordinate; a mean that moves farther comes of raw values


def update(
    settings: Settings, state: State, values, sampled: Sampled, mass=None
) -> tuple[State, Info]:
    """Return the next state, and what the update saw and did.

    values    (n,) NumPy array, smaller better; NaN: missing
    sampled   makes the samples of their weights (samples.py)
    mass      (n,) importance weights in (0, 1]: 1 for a sample of `state`, the ratio of the
              densities for one of an earlier distribution; None: 1 for all
    """
    # a weight for each sample by the rank of its value: H eq. 49–53
    weighed = weigh(settings, values, mass)
    if weighed.rows is None:
        return stand(settings, state, weighed)
    structure, rates = settings.structure, weighed.plan.rates
    samples = sampled(weights_of(settings, weighed, state.mean))
    identity = samples.identity

    # how noisy the values are; eta is the share of its step that the mean moves
    noisy = state.noisy
    if noisy is not None:
        Z, popsize = samples.drawn, settings.popsize
        noisy = measure(settings.noise, noisy, state.sigma, Z, values, popsize)
    eta = 1.0 if noisy is None else noisy.eta

    # mean ← mean + eta sigma D₀ Σ w y (H eq. 42); the path of the step size (H eq. 43), and that
    # of the rank-one update (H eq. 45), which waits while the step size still grows fast
    c = cumulation(settings, weighed, eta, state.generation)
    if settings.is_short:
        mean, p, q, square = steps.paths(state, samples.dz, samples.dy, eta * state.sigma, c[:5])
    else:
        mean = state.mean + (eta * state.sigma * state.scale) * samples.dy
        p = (1 - c.cs) * state.path_sigma + c.pull_sigma * samples.dz
        q, square = (1 - c.cc) * state.path, number(p @ p)
        waits = square >= c.wait
        if waits is not True:
            q += where(waits, 0.0 * square, c.pull) * samples.dz
        if settings.engine.textbook:  # δ(hσ) of H eq. 47
            identity = identity + where(waits, 0.0 * square + c.delta, 0.0)

    # natural gradient M of G = cmu Σ (w° z zᵀ − w I) + c1 (q qᵀ − I), w° as in H eq. 46 and G that
    # of H eq. 47: sym M = −½ Proj G (L sec. 3); and that of the entropy (L eq. 1)
    M = samples.gradient(q[None, :], rates.c1)
    M = M if settings.dtype == "float64" else cast(M, "float64")
    if rates.entropy:
        M = with_entropy(structure, M, rates.entropy, state)
    longest, whole = settings.engine.trust_region, settings.retraction == "straight"
    move = step(structure, M, longest, whole, parts=rates.parts, identity=identity, also=[square])

    # B ← B h(M₀), h(M) = I + M + M²/2 (L sec. 3; G has exp M, H a straight line), and the path
    # goes along
    shape = move.shape if samples.Y is None else structure.with_samples(move.shape, samples.Y)
    factor, q = settings.move(state.factor, shape, q)
    length = sqrt(move.also[0]) / rates.chi
    moved = mean, factor, p, exp(move.scale) * q
    return conclude(settings, state, weighed, length, move, moved, noisy)


def conclude(settings: Settings, state, weighed, length, move, moved, noisy) -> tuple[State, Info]:
    """Return the next state and Info: the change of sigma, from the length of its path over the
    expected one (H eq. 44) and from the scale of the step (G: the trace of M moves sigma).

    moved   mean, factor, path of the step size and path, as they are after the step
    """
    (mean, factor, p, q), rates = moved, weighed.plan.rates
    if settings.engine.natural and not length <= FAR * sqrt(weighed.plan.mueff):
        raise ValueError(too_far(length / sqrt(weighed.plan.mueff)))
    eta = 1.0 if noisy is None else noisy.eta
    largest = inf if settings.engine.textbook else 1.0
    change = min(eta * rates.cs / rates.ds * (length - 1), largest) - eta * move.scale
    if noisy is not None:
        change, noisy = share(settings.noise, noisy, change)
    sigma, generation = state.sigma * exp(change), state.generation + 1
    state = State(mean, sigma, state.scale, factor, p, q, generation, noisy)
    state = settings.domain.adjust(state, settings.structure, weighed.tied)
    return state, Info(*weighed.summary, True, move.norm, move.clipped, length)


def too_far(length: float) -> str:
    """Return what is said of a step of the mean of so many standard deviations a coordinate."""
    return (
        f"a step of the mean of {length:.3g} standard deviations is too long for any use: choose "
        "a smaller mean_rate, or values of a smaller size"
    )


def stand(settings: Settings, state: State, weighed: Weighed) -> tuple[State, Info]:
    """Return the next state where the values say nothing: only the generation has moved, and the
    standard deviations of integers and choices."""
    state = state._replace(generation=state.generation + 1)
    if weighed.tied or settings.domain.alternates:
        state = settings.domain.adjust(state, settings.structure, weighed.tied)
    return state, Info(*weighed.summary)


class Cumulation(NamedTuple):
    """How fast paths forget (cs, cc), how hard Σ w z pulls at each, ‖p‖² from which on that of the
    rank-one update waits, and how much of I M loses while it does (only in the textbook)."""

    cs: float
    pull_sigma: float
    cc: float
    pull: float
    wait: float
    delta: float


def cumulation(settings: Settings, weighed: Weighed, eta: float, generation: int) -> Cumulation:
    """Return the numbers of the paths: the pulls keep a path of random ranks standard normal (H
    eq. 43, 45). The bound of the length is that of H's h_σ, (1.4 + 2/(d + 1)) χ, or, but for the
    textbook, pycma's √((2 + 4/(d + 1)) d), which is nearly the same."""
    dim, rates, mueff = settings.structure.dim, weighed.plan.rates, weighed.plan.mueff
    cs, cc = eta * rates.cs, rates.cc
    bound = (2 + 4 / (dim + 1)) * dim
    if settings.engine.textbook:
        bound = ((1.4 + 2 / (dim + 1)) * rates.chi) ** 2
    wait = bound * (1 - (1 - cs) ** (2 * (generation + 1)))
    pulls = [sqrt(c * (2 - c) * mueff) for c in (cs, cc)]
    return Cumulation(cs, pulls[0], cc, pulls[1], wait, 0.5 * rates.c1 * cc * (2 - cc))
