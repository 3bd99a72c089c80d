"""The update of a diagonal B in one kernel, where vectors are short.

An array operation on a GPU takes some microseconds to queue, whatever it does, and `update` is
several dozens of them. The kernel computes what `update` says, and is tested against it.
"""

from __future__ import annotations

from math import sqrt

from ..arrays.kernels import steps
from ..arrays.scalars import read
from ..core.step import Step, shortened
from .ranking import weigh, weights_of
from .samples import Sampled
from .settings import Settings
from .state import Info, State
from .update import conclude, cumulation, stand


def stride(
    settings: Settings, state: State, values, sampled: Sampled, mass=None
) -> tuple[State, Info]:
    """Return what `update` returns, for samples that are summed."""
    weighed = weigh(settings, values, mass)
    if weighed.rows is None:
        return stand(settings, state, weighed)
    sums = sampled(weights_of(settings, weighed, state.mean)).sums
    dim, rates = settings.structure.dim, weighed.plan.rates
    trust, identity = settings.engine.trust_region, sums.identity
    if rates.entropy:  # of which M gains −½ I
        identity = identity + 0.5 * rates.entropy
    (mean, p, q, b), numbers = steps.stride(
        state,
        (sums.z, *sums.M, identity),
        state.sigma,
        cumulation(settings, weighed, 1.0, state.generation)[:5],
        (rates.c1, 1.0 if rates.parts is None else rates.parts[-1], trust),
    )
    square, scale, shape, identity = read(numbers)
    scale, norm, _ = shortened(dim, scale - identity, shape, trust)
    move, moved = Step(None, scale, norm, norm > trust), (mean, (b,), p, q)
    return conclude(settings, state, weighed, sqrt(square) / rates.chi, move, moved, None)
