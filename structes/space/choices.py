"""Choices among options: a block of continuous coordinates for each, whose largest one decides.

A choice of k options (relu, tanh or gelu) is k coordinates of the search without order or bounds;
the option with the largest coordinate is meant. The distribution then says how probable each
option is, and dense structures learn which option goes with which numbers. Only the differences of
the coordinates matter, in units of their standard deviations.

Left alone this freezes. As the step size shrinks with the numbers, the gap between the top and the
others becomes many standard deviations, and an option that lost by bad luck is never tried again:
of 20 runs with 4 choices of 5 options and 6 numbers, 0 to 7 found the best ones (five functions).
`keep_open` does two things after each update, and then 20 of 20 do, in 0.8 to 1.05 times the
evaluations of cmaes.CatCMAwM:

* A margin. The mean of an option is lifted to where it beats the top one in `chance` / (k − 1) of
  the samples, if it is below. With n choices `chance` is 1 / (λ n), λ the usual population: one
  candidate in a generation tries something else. This is the margin of Hamano et al. (2022,
  "CMA-ES with margin") for a gap instead of a grid. A third of it leaves choices wrong now and
  then, twice as much costs up to 1.15 times the evaluations.
* The choices do not steer the step size. Selection pushes the winners up and the margin pulls the
  losers after them, so the paths would see a steady drift and hold the step size up (1.3 to 2.5
  times the evaluations). The part of the step-size path in the choices is therefore given the
  length, per coordinate, of that in the numbers, and that of the rank-one path is at most √K, its
  length under random selection, with K the coordinates in choices.
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


def chance(dim: int, n: int) -> float:
    """Return probability with which a sample takes another option than the top one in one of n
    choices, when all is decided: 1 / (λ n) with λ = 4 + 3 ln d, whatever the population is. (A
    larger population converges in fewer generations, and would leave fewer tries otherwise.)"""
    return 1 / ((4 + 3 * log(dim)) * n)


def keep_open(state: Any, structure: Any, choices: Any) -> Any:
    """Return the State after an update, with every option of every choice still within reach.

    Standard deviations count as independent inside a choice, as they are where its structure is
    scalar or diagonal (`with_blocks` in arguments.py); a dense structure departs from it little
    (see `chance`: what matters is its order of magnitude).

    Parameters
    ----------
    state
        State of strategy.py.
    structure
        Its structure.
    choices
        Tuple of tuples: the coordinates of each choice, one for each option.
    """
    from scipy.special import ndtri  # not on `import structes`

    xp = namespace(state.mean)
    dim = structure.dim
    deviations = to_numpy(state.sigma * state.scale * structure.deviations(state.factor))
    mean = np.array(to_numpy(state.mean))
    for choice in choices:
        index = np.asarray(choice)
        top = index[mean[index].argmax()]
        reach = -ndtri(chance(dim, len(choices)) / (len(index) - 1))
        lowest = mean[top] - reach * np.hypot(deviations[index], deviations[top])
        lowest[index == top] = mean[top]
        mean[index] = np.maximum(mean[index], lowest)

    # the paths, split into what moves the numbers and what moves the choices alone
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
        mean=xp.asarray(mean, dtype=state.mean.dtype),
        path_sigma=numbers[0, :] + a * choice_paths[0, :],
        path=numbers[1, :] + b * choice_paths[1, :],
    )


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

    def centred(self, U: Any, mean: Any) -> Any:
        return self.numbers.centred(U, mean)

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
