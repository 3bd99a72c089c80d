"""Whether a search can go on from a state: what `save` asks of the one that it writes, and `load`
of the one that it has read.

A state that came of updates is sound as long as it does not overflow. One that was assigned, or
that stands in a file, may be anything. Sound means that its candidates are finite and that the
next update is: every number is finite, standard deviations are positive, B is invertible, and
nothing is so large that its square, or a sum of squares, is no number any more.
"""

from __future__ import annotations

from math import inf

import numpy as np

from ..arrays.libraries import mapped, namespace
from ..arrays.scalars import number, read
from .settings import Settings
from .state import MOST, State

# of a number of a factor, and of what it makes of samples
LARGEST = {"float64": 1e150, "float32": 1e30}
LONGEST = 1e50  # number of a path; those of searches are about as long as √d
FAR = 8.0  # standard deviations from the mean up to which candidates must be numbers
LEAST = 1e-7  # share of its step that the mean moves
SUMS = 1e9  # ln sigma, its variance and its covariance with the ranks, as far as they go
SMALL = 100  # dimension up to which a factorisation costs less than to write a file
RANKS = 10.0  # what is learned of ranks, squared, is below 6 (uncertainty.py)


def check_state(settings: Settings, state: State, from_updates: bool = False) -> None:
    """Raise ValueError where no search with these Settings can go on from the State.

    from_updates   whether it came of updates, which keep B invertible: that is not looked at where
                   it would cost more than to write the state
    """
    with np.errstate(all="ignore"):
        wrong = _wrong_numbers(settings, state) or _wrong_noise(state.noisy)
        wrong = wrong or _wrong_candidates(settings, state)
        looked = from_updates and settings.structure.dim > SMALL
        if not (wrong or looked or settings.structure.is_element(state.factor)):
            wrong = "the factor is none of its structure: it is singular, or far too large"
    if wrong:
        raise ValueError(f"no search can go on from its state: {wrong}")


def _wrong_numbers(settings, state):
    """Return what is wrong with the numbers by themselves; None: nothing."""
    if not 0 <= state.generation < MOST:
        return "its generation is no number of generations"
    if not 0 < state.sigma < inf:
        return f"sigma is {state.sigma}"
    for name in ("mean", "scale", "path_sigma", "path"):
        if not _within(getattr(state, name), LONGEST if name.startswith("path") else inf):
            return f"{name} has a number that is not finite, or too large"
    for array in _arrays(state.factor):
        if not _within(array, LARGEST[settings.dtype]):
            return "the factor has a number that is not finite, or too large"
    step = state.sigma * state.scale
    if not (_all(state.scale > 0) and _all(step > 0) and _within(step, inf)):
        return "scale must be positive, and sigma · scale a number"
    if settings.domain.has_integers and not _all(step > 1 / LARGEST["float64"]):
        return "standard deviations of integers are kept near 1: they must not be next to nothing"
    return None


def _wrong_noise(noisy):
    if noisy is None:
        return None
    ranks = noisy.ratio, noisy.rank
    sums = noisy.log_sigma, noisy.variance, noisy.covariance
    is_sound = LEAST <= noisy.eta <= 1 and all(0 <= number < RANKS for number in ranks)
    is_sound = is_sound and all(abs(number) < SUMS for number in sums) and noisy.variance >= 0
    is_sound = is_sound and 0 <= noisy.measured < MOST and 0 <= noisy.wait < MOST
    return None if is_sound else f"{noisy}"


def _wrong_candidates(settings, state):
    """Return what is wrong with samples, and with candidates far from the mean; None: nothing."""
    Y = _samples(settings, state)
    if not (_within(Y, LARGEST[settings.dtype]) and _all(abs(Y) > 1 / LARGEST[settings.dtype])):
        return "the factor makes samples that are not finite, too large or too small"
    xp = namespace(Y)
    if not _within(settings.place(state, xp.concat([Y, -Y])), inf):
        return (
            f"candidates {FAR:g} standard deviations from the mean are not finite: sigma is "
            f"{state.sigma:.6g}"
        )
    return None


def _samples(settings, state):
    """Return the y (1, d) of one z (1, noise_dim) that is FAR from 0 in every direction, found as
    `Strategy.draw` does."""
    xp = namespace(state.mean)
    angles = xp.arange(1, settings.structure.noise_dim + 1, dtype=xp.float64)
    Z = settings.lowered((FAR * xp.cos(angles)[None, :],))[0]
    try:
        return settings.structure.unwhiten(settings.lowered(state.factor), Z)
    except (ArithmeticError, ValueError):  # LinAlgError is one of them
        return xp.full((1, settings.structure.dim), np.nan)


def _arrays(factor) -> list:
    arrays: list = []
    mapped(arrays.append, factor)
    return arrays


def _within(a, bound) -> bool:
    """Return whether all numbers are finite, and at most so large."""
    if not a.size:
        return True
    xp, bound = namespace(a), min(bound, np.finfo(float).max)
    low, high = read(number(xp.min(a)), number(xp.max(a)))  # NaN, where there is one
    return -bound <= low and high <= bound < inf


def _all(condition) -> bool:
    return bool(namespace(condition).all(condition))
