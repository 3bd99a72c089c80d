"""Choices among options: a block of continuous coordinates for each, whose largest one decides.

A choice of k options (relu, tanh or gelu) is k coordinates of the search without order or bounds;
the option with the largest coordinate is meant. The distribution then says how probable each
option is, and dense structures learn which option goes with which numbers. Only the differences of
the coordinates matter, in units of their standard deviations.

Left alone this freezes. As the step size shrinks with the numbers, the gap between the top and the
others becomes many standard deviations, and an option that lost by bad luck is never tried again:
of 20 runs with 4 choices of 5 options and 6 numbers, 0 to 7 found the best ones (five functions).
Four things are done, the first three by `keep_open` after each update:

* A margin. The mean of an option is lifted to where it beats the top one in `chance` / (k − 1) of
  the samples, if it is below. This is the margin of Hamano et al. (2022, "CMA-ES with margin") for
  a gap instead of a grid. With n choices `chance` is 1 / (4 λ n), λ the usual population: one
  candidate in four generations tries something else.
* Every fifth generation is wide. Two choices may be best together, and neither of them with the
  options that the other one has now. That two of 4 choices of 5 options change to two given ones
  takes the margin alone some 800,000 samples. So in every fifth generation the standard
  deviations of the choices are multiplied until two choices of a candidate may be expected to
  change (`stretches`), and divided again in the next one.
* The choices do not steer the step size. Selection pushes the winners up and the margin pulls the
  losers after them, so the paths would see a steady drift and hold the step size up (1.3 to 2.5
  times the evaluations). The part of the step-size path in the choices is therefore given the
  length, per coordinate, of that in the numbers, and that of the rank-one path is at most √K, its
  length under random selection, with K the coordinates in choices.
* What wins counts as if by far (`moved_over`). A candidate whose option has only just beaten the
  top one moves the mean so little that the next generation has left it again. Where a selected one
  has another option than the mean, the two coordinates count as if they had changed places, and
  0.3 gaps farther: a best candidate, with a weight of 0.38, brings the two level. (As integers
  count from the middle of their cells, integers.py.)

On problems that nothing was tuned on (`structes bench choices --seeds 101-120`: random tables for
pairs of choices, chains, optima of the numbers that depend on the options) first runs of 20 that
find the best, and evaluations for each run that does, restarts included; 6 numbers beside:

                      1st and 3rd     all four      cmaes.CatCMAwM
    4 x 5 separable   20,   912       20,  1120     20,  1164
    10 x 3 separable  20,  1196       20,  1428     20,  1248
    4 x 5 pairs        5,  8309       17,  2709     16,  2663
    2 x 10 pairs       2, 11437       12,  3507     16,  3884
    10 x 3 pairs       5, 13898       16,  3959     11,  7715
    10 x 3 chain       3, 19815       15,  4168      9,  9399

Trying costs what it costs: wide generations learn little about the numbers, a fifth of the
evaluations where choices are separable. (`chance` is 1 / (λ n) where there is the margin alone.)

Tried, and no better (twenty other problems of each kind; runs that solve 4 x 5 pairs, 2 x 10
pairs, 10 x 3 pairs, where the margin alone gives 6, 4, 4 and all four give 18, 14, 19): four times
the margin (11, 7, 13, and separable ones take 1.4 times as long); one dense block for all choices
(10, 6, 6), or for all coordinates (4, 6, 5); choices that learn at a quarter of the rate, whatever
the step size does (10, 4, 9); twice the population (5, 5, 3); one wide candidate in each
generation in place of wide generations (12, 10, 8); two (17, 11, 14, and separable ones 1.35 times
as long); wide ones with their numbers at the mean (10, 7, 10); wide generations without counting
farther (10, 12, 8), or farther still (16, 11, 17); counting farther for the best candidates alone
(17, 11, 17).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log, sqrt
from typing import Any

import numpy as np

from .. import checks
from ..arrays.libraries import namespace, to_numpy
from ..naming.error_text import brief
from .domain import Domain

EVERY = 5  # generations from one in which choices are drawn wide to the next
OTHERS = 2.0  # how many choices of a candidate take another option there, on average
FARTHER = 0.6  # how much farther than its mirror image a selected option counts, in gaps


def chance(dim: int, n: int) -> float:
    """Return the probability with which a sample takes another option than the top one in one of n
    choices, when all is decided: 1 / (4 λ n) with λ = 4 + 3 ln d, whatever the population is. (A
    larger population converges in fewer generations, and would leave fewer tries otherwise.)"""
    return 0.25 / ((4 + 3 * log(dim)) * n)


def reach(probability: float) -> float:
    """Return how many standard deviations of their difference the mean of an option lies below
    that of the top one, where it beats it with this probability."""
    from scipy.special import ndtri  # not on `import structes`

    return float(-ndtri(probability))


def is_wide(generation: int) -> bool:
    """Return whether the choices of a generation are drawn wide."""
    return generation > 0 and generation % EVERY == 0


def stretches(dim: int, choices: Any) -> list[float]:
    """Return, for each choice, by what its standard deviations are multiplied where it is drawn
    wide: an option at the margin then beats the top one as often as makes `OTHERS` choices of a
    candidate take another option, or, in a few choices, four fifths of what is uniform."""
    factors, n = [], len(choices)
    for choice in choices:
        count = len(choice) - 1  # of the other options
        often = min(OTHERS / n, 0.8 * count / (count + 1)) / count
        factors.append(max(1.0, reach(chance(dim, n) / count) / reach(often)))
    return factors


def keep_open(state: Any, structure: Any, choices: Any) -> Any:
    """Return the State after an update, with every option of every choice still within reach.

    Standard deviations count as independent inside a choice, as they are where its structure is
    scalar or diagonal (`with_blocks` in arguments.py); a dense structure departs from it little
    (see `chance`: what matters is its order of magnitude).

    Parameters
    ----------
    state
        State of strategy.py. It is changed once for each generation.
    structure
        Its structure.
    choices
        Tuple of tuples: the coordinates of each choice, one for each option.
    """
    if is_wide(state.generation - 1):
        state = _stretched(state, structure.dim, choices, -1)
    state = _with_margin(state, structure, choices)
    state = _with_even_paths(state, structure, choices)
    if is_wide(state.generation):
        state = _stretched(state, structure.dim, choices, 1)
    return state


def _stretched(state, dim, choices, power):
    """Return the state with the standard deviations of its choices times their stretch, or, with
    the power −1, over it."""
    factors = np.ones(dim)
    for choice, factor in zip(choices, stretches(dim, choices), strict=True):
        factors[list(choice)] = factor**power
    scale = namespace(state.scale).asarray(factors, dtype=state.scale.dtype) * state.scale
    return state._replace(scale=scale)


def _with_margin(state, structure, choices):
    """Return the state with the means of options that are out of reach lifted to the margin."""
    deviations = to_numpy(state.sigma * state.scale * structure.deviations(state.factor))
    mean = np.array(to_numpy(state.mean))
    for choice in choices:
        index = np.asarray(choice)
        top = index[mean[index].argmax()]
        length = reach(chance(structure.dim, len(choices)) / (len(index) - 1))
        lowest = mean[top] - length * np.hypot(deviations[index], deviations[top])
        lowest[index == top] = mean[top]
        mean[index] = np.maximum(mean[index], lowest)
    return state._replace(mean=namespace(state.mean).asarray(mean, dtype=state.mean.dtype))


def _with_even_paths(state, structure, choices):
    """Return the state with paths whose parts in the choices are as long as those in the numbers,
    or as under random selection."""
    xp, dim = namespace(state.mean), structure.dim
    is_number = np.ones(dim)
    is_number[[i for choice in choices for i in choice]] = 0
    n_numbers = int(is_number.sum())
    K = dim - n_numbers
    paths = xp.stack([state.path_sigma, state.path])
    Y = structure.unwhiten(state.factor, paths)
    numbers = structure.whiten(state.factor, Y * xp.asarray(is_number, dtype=Y.dtype))
    choice_paths = paths - numbers
    length, length_path = (
        sqrt(float(row @ row)) for row in (choice_paths[0, :], choice_paths[1, :])
    )
    level = 1.0
    if n_numbers:
        level = sqrt(float(numbers[0, :] @ numbers[0, :]) / n_numbers)
    a = sqrt(K) * level / length if length > 0 else 1.0
    b = min(1.0, sqrt(K) / length_path) if length_path > 0 else 1.0
    return state._replace(
        path_sigma=numbers[0, :] + a * choice_paths[0, :],
        path=numbers[1, :] + b * choice_paths[1, :],
    )


def moved_over(U: np.ndarray, mean: np.ndarray, choices: Any) -> np.ndarray:
    """Return U (n, d) in which each option that beats the top one of the mean (d,) counts as if it
    had beaten it by more than the mean's gap g: its coordinate is at least m + FARTHER g/2, where
    m is the mean of the top one, and that of the top one at most m − g − FARTHER g/2. The options
    that win stay the same."""
    moved = U.copy()
    for choice in choices:
        index = np.asarray(choice)
        top = index[mean[index].argmax()]
        winner = index[U[:, index].argmax(axis=1)]
        rows = np.flatnonzero(winner != top)
        winner = winner[rows]
        margin = 0.5 * FARTHER * (mean[top] - mean[winner])
        moved[rows, winner] = np.maximum(U[rows, winner], mean[top] + margin)
        moved[rows, top] = np.minimum(U[rows, top], mean[winner] - margin)
    return moved


@dataclass(frozen=True, eq=False)
class Choosing(Domain):
    """A domain of which some coordinates are the options of choices.

    Parameters
    ----------
    numbers : Domain
        Domain of all d coordinates, in which those of choices are free.
    choices : tuple
        Tuple of tuples: the coordinates of each choice, one for each option.
    """

    numbers: Domain
    choices: tuple

    @property
    def has_integers(self) -> bool:
        return self.numbers.has_integers

    def restricted(self, free: np.ndarray) -> Domain:
        place = _places(free)
        for n, choice in enumerate(self.choices):
            fixed = [i for i in choice if i not in place]
            if fixed:
                raise ValueError(f"choices[{n}]: its coordinates {fixed} are fixed")
        choices = tuple(tuple(place[i] for i in choice) for choice in self.choices)
        return Choosing(len(free), self.numbers.restricted(free), choices)

    @property
    def settling(self) -> np.ndarray | None:
        settling = self.numbers.settling
        settling = np.ones(self.dim, dtype=bool) if settling is None else settling.copy()
        settling[[i for choice in self.choices for i in choice]] = False
        return settling

    @property
    def zones(self) -> np.ndarray | None:
        return self.numbers.zones

    def with_zones(self, zones: np.ndarray) -> Domain:
        return replace(self, numbers=self.numbers.with_zones(zones))

    def in_units(self, X: Any, std: Any, columns: np.ndarray | None = None) -> Any:
        units = np.array(self.numbers.in_units(X, std, columns))
        column = {i: i for i in range(self.dim)} if columns is None else _places(columns)
        for choice in self.choices:
            if all(i in column for i in choice):  # otherwise some say nothing
                positions = [column[i] for i in choice]
                units[:, positions] = X[:, positions].argmax(axis=1)[:, None] == np.arange(
                    len(positions)
                )
            else:
                units[:, [column[i] for i in choice if i in column]] = 0.0
        return units

    def decode(self, U: Any) -> Any:
        return self.numbers.decode(U)

    def encode(self, X: Any, name: str = "X") -> Any:
        return self.numbers.encode(X, name)

    def check_integers(self, X: Any, name: str) -> None:
        self.numbers.check_integers(X, name)

    def comes_again(self, X: Any) -> np.ndarray:
        return self.numbers.comes_again(X)

    @property
    def alternates(self) -> bool:
        return True

    @property
    def centres(self) -> bool:
        return True

    def centred(self, U: Any, mean: Any) -> Any:
        if self.is_mixed:
            U = self.numbers.centred(U, mean)
        moved = moved_over(to_numpy(U), to_numpy(mean), self.choices)
        return namespace(U).asarray(moved, dtype=U.dtype)

    def rounded(self, X: Any, dtype: Any) -> Any:
        return self.numbers.rounded(X, dtype)

    def adjust(self, state: Any, structure: Any, tied: float = 0.0) -> Any:
        return keep_open(self.numbers.adjust(state, structure, tied), structure, self.choices)


def _places(coordinates) -> dict:
    """Return {coordinate: column} of the coordinates `coordinates`."""
    return {int(i): k for k, i in enumerate(coordinates)}


def with_choices(domain: Domain, choices: Any = None) -> Domain:
    """Return `domain`, with sequences of two or more coordinates each that are choices; None: with
    none.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, where a coordinate is in two of them.
    """
    if not choices:
        return domain
    coordinates, blocks = [], []
    for n, choice in enumerate(choices):
        try:
            size = len(choice)
        except TypeError:
            raise TypeError(
                f"choices[{n}] must be a list of coordinates; got {brief(choice)}"
            ) from None
        blocks.append(checks.indices(f"choices[{n}]", choice, max(2, size), domain.dim))
        coordinates += blocks[-1]
    checks.indices("choices", coordinates, len(coordinates), domain.dim)
    return Choosing(domain.dim, domain, tuple(blocks))
