"""The structure that a search finds for itself: `structure="auto"`.

The search begins with `dense`, from d = 61 on with `low_rank`, and watches two parts of each
generation's Σ w z zᵀ: what is off the diagonal (coordinates act together) and what is on it, less
its mean (coordinates have different scales). Of either part S_t, with S̄_t its moving average,

    u_t = ⟨S_t, S̄_{t−1}⟩ / ‖S̄_{t−1}‖,     statistic = Σ u_t / √(Σ u_t²)

While there is nothing to learn S_t is noise and cannot agree with its own past: u_t has mean zero
whatever the size of the noise, and the statistic is a standard normal. Where there is something it
grows with the square root of time; what the structure itself can learn goes away again.

* Scales show and couplings do not: the function looks separable, and the search goes on with
  `diagonal`, which has d numbers to learn and no more.
* Couplings show, or nothing does for some time: back to where it began, or for ever with it.
* With `low_rank` couplings show period after period: a few axes are not enough, and the search
  goes on with `dense`.

`dense` takes the distribution over as it is, the others its mean, step size and standard
deviations. On a function that is not separable the search is therefore the one with the full
structure to the bit, as long as couplings show before scales do, and on a separable one it is late
by the evaluations that the first answer takes. Beyond d = 300 nothing is watched, because it costs
O(λ d²), and `dense` is not taken beyond d = 200.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .backend import to_numpy

DENSE = 60  # largest dimension in which it begins with `dense` (measured on bbob-largescale)
AFFORDABLE = 200  # in which it may take `dense` where `low_rank` does not do
WATCHED = 300  # and in which it watches
WARM_UP = 20  # generations before the first decision
PATIENCE = 40  # and until which scales must show: strong ones do within 30 (measured)
MEMORY = 10  # length of the moving averages, in generations per dimension
PERIOD = 5  # length of the periods with `low_rank`, in generations per dimension
SURE = 4.0  # a statistic beyond it: there is something
LIKELY = 3.0  # enough for `diagonal`, which can be undone
DOUBTFUL = 1.0  # less than it: nothing to be seen


class Switch(NamedTuple):
    """A change of structure: when it happened, to which, and the statistic that decided it."""

    generation: int
    evaluations: int
    structure: str
    statistic: float


class Agreement:
    """How much the terms of a series of arrays agree with the average of those before them."""

    def __init__(self, shape, length: float):
        self._average = np.zeros(shape)
        self._keep = 1 - 1 / length
        self._sum = self._squares = 0.0

    def snapshot(self) -> list:
        """What `restore` takes: plain values and arrays, as in checkpoint.py."""
        return [self._average, self._sum, self._squares]

    def restore(self, tree) -> None:
        average, self._sum, self._squares = tree
        self._average = average.reshape(self._average.shape)

    def add(self, S) -> None:
        norm = float(np.vdot(self._average, self._average)) ** 0.5
        if norm > 0:
            u = float(np.vdot(S, self._average)) / norm
            self._sum = self._keep * self._sum + u
            self._squares = self._keep**2 * self._squares + u * u
        self._average += (1 - self._keep) * (S - self._average)

    @property
    def statistic(self) -> float:
        """A standard normal for noise of any size; 0 in the beginning."""
        return self._sum / self._squares**0.5 if self._squares else 0.0


class Auto:
    """Found on the way: `dense`, `low_rank` or `diagonal`, by what the samples show.

    dim         number of parameters
    structure   the present choice; decided: whether it is the last one

    Keeps one (dim, dim) array; a generation costs O(λ d²) until it is decided.
    """

    def __init__(self, dim: int):
        self.dim = dim
        self.full = self.structure = "dense" if dim <= DENSE else "low_rank"
        self.decided = dim == 1 or dim > WATCHED
        if not self.decided:
            self.couplings = Agreement((dim, dim), MEMORY * dim)
            self.scales = Agreement(dim, MEMORY * dim)
        self._decide = self._by_scales
        self._generations = 0
        self._periods: list[bool] = []  # with low_rank: whether couplings showed

    def snapshot(self) -> dict:
        """What `restore` takes: plain values and arrays, as in checkpoint.py."""
        return {
            "structure": self.structure,
            "decided": self.decided,
            "stays": self._decide == self._by_periods,
            "generations": self._generations,
            "periods": self._periods,
            "statistics": [a.snapshot() for a in self._statistics()],
        }

    def restore(self, tree: dict) -> None:
        self.structure, self.decided = tree["structure"], tree["decided"]
        self._decide = self._by_periods if tree["stays"] else self._by_scales
        self._generations, self._periods = tree["generations"], list(tree["periods"])
        for statistic, part in zip(self._statistics(), tree["statistics"], strict=True):
            statistic.restore(part)

    def _statistics(self) -> list:
        return [self.couplings, self.scales] if hasattr(self, "scales") else []

    def observe(self, Z, w) -> float | None:
        """A generation: samples Z (n, d) in coordinates where they are N(0, I), weights w (n,).

        When it changes the structure the statistic that decided, else None.
        """
        Z, w = to_numpy(Z), to_numpy(w)
        S = (Z.T * w) @ Z
        diagonal = S.diagonal() - S.trace() / self.dim
        np.fill_diagonal(S, 0.0)
        self.couplings.add(S)
        self.scales.add(diagonal)
        self._generations += 1
        return self._decide(self.couplings.statistic, self.scales.statistic)

    def _by_scales(self, couplings, scales):
        """Is it separable?"""
        if self._generations < WARM_UP:
            return None
        if couplings > SURE:
            self._stay()
            return self._choose(self.full, couplings)
        if self.structure == self.full:
            if scales > LIKELY and couplings < DOUBTFUL:
                return self._choose("diagonal", scales)
            if self._generations >= PATIENCE:
                self._stay()
        return None

    def _stay(self):
        """It is not separable."""
        self._decide = self._by_periods
        self.decided = self.full == "dense" or self.dim > AFFORDABLE
        self._begin()

    def _begin(self):
        self.couplings, self._generations = Agreement((self.dim, self.dim), MEMORY * self.dim), 0

    def _by_periods(self, couplings, _):
        """Is `low_rank` enough? Two periods in a row must agree."""
        if self._generations < PERIOD * self.dim:
            return None
        self._periods.append(couplings > SURE)
        self.decided = self._periods[-2:] in ([True, True], [False, False])
        self._begin()
        return self._choose("dense", couplings) if self.decided and self._periods[-1] else None

    def _choose(self, name, statistic):
        if name == self.structure:
            return None
        self.structure = name
        return statistic
