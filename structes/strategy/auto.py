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

from .. import checks
from ..arrays.libraries import to_numpy
from .state import MOST

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
LARGE = 1e100  # a statistic of a file must be less: its square is a number


class Switch(NamedTuple):
    """A change of structure: when it happened, to which, and the statistic that decided it."""

    generation: int
    evaluations: int
    structure: str
    statistic: float

    @classmethod
    def restored(cls, row) -> Switch:
        """Return the Switch that was written as a list (files/checkpoint.py). Raises ValueError,
        TypeError."""
        generation, evaluations, structure, statistic = row
        checks.choice("switches: structure", structure, ("dense", "low_rank", "diagonal"))
        return cls(
            checks.count("switches: generation", generation, 0, MOST),
            checks.count("switches: evaluations", evaluations, 0, MOST),
            structure,
            checks.number("switches: statistic", statistic),
        )


class Agreement(NamedTuple):
    """How much the terms of a series of arrays agree with the average of those before them: a
    value, to which `add` adds a term.

    average   moving average; keep: what of it stays with each term
    total, squares   Σ u and Σ u², the older terms fading
    """

    average: np.ndarray
    keep: float
    total: float = 0.0
    squares: float = 0.0

    @classmethod
    def begin(cls, shape, length: float) -> Agreement:
        """Of no terms; `length` is that of the average."""
        return cls(np.zeros(shape), 1 - 1 / length)

    def snapshot(self) -> list:
        """What `restored` takes: plain values and arrays, as in checkpoint.py."""
        return [self.average, self.total, self.squares]

    def restored(self, tree) -> Agreement:
        """The one that had the snapshot `tree`."""
        average, total, squares = tree
        average = average.reshape(self.average.shape)
        numbers = total, squares, float(np.abs(average).max())
        if average.dtype != float or squares < 0 or not all(abs(n) < LARGE for n in numbers):
            raise ValueError("auto: a statistic must be finite, and a sum of squares positive")
        return Agreement(average, self.keep, float(total), float(squares))

    def add(self, S) -> Agreement:
        """With one more term."""
        norm = float(np.vdot(self.average, self.average)) ** 0.5
        total, squares = self.total, self.squares
        if norm > 0:
            u = float(np.vdot(S, self.average)) / norm
            total = self.keep * total + u
            squares = self.keep**2 * squares + u * u
        average = self.average + (1 - self.keep) * (S - self.average)
        return Agreement(average, self.keep, total, squares)

    @property
    def statistic(self) -> float:
        """A standard normal for noise of any size; 0 in the beginning."""
        return self.total / self.squares**0.5 if self.squares else 0.0


class Auto(NamedTuple):
    """Found on the way: `dense`, `low_rank` or `diagonal`, by what the samples show. A value, of
    which `observed` gives the next one.

    full        what it begins with; structure: the present choice
    decided     whether it is the last one
    couplings, scales   Agreement of what is off the diagonal and on it; None where nothing is
                watched. They take one (d, d) array, and O(λ d²) a generation until it is decided
    stays       whether it is known that the function is not separable
    generations   since the statistics began; periods: with low_rank, whether couplings showed
    """

    full: str
    structure: str
    decided: bool
    couplings: Agreement | None = None
    scales: Agreement | None = None
    stays: bool = False
    generations: int = 0
    periods: tuple = ()

    @classmethod
    def begin(cls, dim: int) -> Auto:
        """For a search of `dim` parameters."""
        full = "dense" if dim <= DENSE else "low_rank"
        if dim == 1 or dim > WATCHED:
            return cls(full, full, True)
        couplings, scales = (Agreement.begin(s, MEMORY * dim) for s in ((dim, dim), dim))
        return cls(full, full, False, couplings, scales)

    @property
    def dim(self) -> int:
        """Number of parameters that are watched."""
        return self.scales.average.size

    def snapshot(self) -> dict:
        """What `restored` takes: plain values and arrays, as in checkpoint.py."""
        watched = () if self.scales is None else (self.couplings, self.scales)
        return {
            "structure": self.structure,
            "decided": self.decided,
            "stays": self.stays,
            "generations": self.generations,
            "periods": list(self.periods),
            "statistics": [a.snapshot() for a in watched],
        }

    def restored(self, tree: dict) -> Auto:
        """The one that had the snapshot `tree`. Raises ValueError or TypeError."""
        checks.choice("auto: structure", tree["structure"], (self.full, "diagonal", "dense"))
        for name in ("decided", "stays"):
            checks.flag(f"auto: {name}", tree[name])
        if self.scales is None and not tree["decided"]:
            raise ValueError("auto: nothing is watched, and it is not decided")
        statistics = (self.couplings, self.scales)
        if self.scales is not None:
            pairs = zip(statistics, tree["statistics"], strict=True)
            statistics = tuple(a.restored(part) for a, part in pairs)
        return Auto(
            self.full,
            tree["structure"],
            tree["decided"],
            *statistics,
            tree["stays"],
            checks.count("auto: generations", tree["generations"], 0, MOST),
            tuple(checks.flag("auto: periods", period) for period in tree["periods"]),
        )

    def observed(self, Z, w) -> tuple[Auto, float | None]:
        """Return what follows from a generation of samples Z (n, d), in coordinates where they are
        N(0, I), with weights w (n,): the next Auto and, when it changes the structure, the
        statistic that said so; else None."""
        Z, w = to_numpy(Z), to_numpy(w)
        S = (Z.T * w) @ Z
        diagonal = S.diagonal() - S.trace() / S.shape[0]
        np.fill_diagonal(S, 0.0)
        auto = self._replace(
            couplings=self.couplings.add(S),
            scales=self.scales.add(diagonal),
            generations=self.generations + 1,
        )
        return auto._by_periods() if auto.stays else auto._by_scales()

    def not_separable(self) -> Auto:
        """Return the same where it is known from the beginning that the function is not
        separable."""
        return self if self.decided else self._staying()

    def _by_scales(self):
        """Return the next Auto, and the statistic, while it is asked whether the function is
        separable."""
        couplings, scales = self.couplings.statistic, self.scales.statistic
        if self.generations < WARM_UP:
            return self, None
        if couplings > SURE:
            return self._staying()._choosing(self.full, couplings)
        if self.structure == self.full:
            if scales > LIKELY and couplings < DOUBTFUL:
                return self._choosing("diagonal", scales)
            if self.generations >= PATIENCE:
                return self._staying(), None
        return self, None

    def _staying(self):
        """It is not separable."""
        decided = self.full == "dense" or self.dim > AFFORDABLE
        return self._replace(stays=True, decided=decided)._anew()

    def _anew(self):
        """Another period."""
        couplings = Agreement.begin((self.dim, self.dim), MEMORY * self.dim)
        return self._replace(couplings=couplings, generations=0)

    def _by_periods(self):
        """Return the next Auto, and the statistic, while it is asked whether `low_rank` is enough:
        two periods in a row must agree."""
        if self.generations < PERIOD * self.dim:
            return self, None
        statistic = self.couplings.statistic
        periods = (*self.periods, statistic > SURE)
        decided = periods[-2:] in ((True, True), (False, False))
        auto = self._replace(periods=periods, decided=decided)._anew()
        return auto._choosing("dense", statistic) if decided and periods[-1] else (auto, None)

    def _choosing(self, name, statistic):
        if name == self.structure:
            return self, None
        return self._replace(structure=name), statistic
