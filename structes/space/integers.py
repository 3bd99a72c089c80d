"""Integer coordinates that do not freeze: CMA-ES with margin, for every structure.

A coordinate that is rounded to integers gives no reason to keep its standard deviation: once it is
a tenth of a step, all candidates have the same integer, selection sees nothing of it any more, and
a wrong integer stays for ever. So each of them is left, by every generation's distribution, with a
probability of α/2 at least to either side: where it has less, its mean and its standard deviation
are corrected until it has exactly as much (Hamano, Saito, Nomura & Shirakawa 2022, "CMA-ES with
margin", GECCO). The factor D₀ of strategy.py takes the correction, so that B, both paths and sigma
go on as if nothing had happened, whatever the structure is.

It departs from the paper in two places. Bounds are mirrors here (domain.py), and half of the line
beyond the outermost integer is not it but its mirror images; so there is no outer cell, and the
one rule holds for all. In the paper the mean may drift outside as far as the standard deviation
reaches, which then grows: on bbob-mixint (d = 10, ten functions) that solves 59 % of the targets
in 0.61 of pycma's evaluations, the mirrors 70 % in 0.56 (clamping the mean: 42 % in 0.75). And α =
1/(λ d) with the customary λ = 4 + 3 ln d, whatever the population is: a larger one converges in
fewer generations and would have fewer tries.

Functions of integers have plateaus: many candidates are the same point, and many points have the
same value. With the margin alone a search stands still there. A mean at the end of its range lies
on the mirror of its half cell, where z and −z are the same point; and wherever two mirrored
candidates (sampling.py) have the same value, they share the same weight and cancel in Σ w z. So
three things are done where some coordinates are integers:

* Equal values do not share the weights of their ranks. The candidate that was drawn first ranks
  first, and those of even index rank before their mirror images (ranking.py). So one of two twins
  is followed, which is a random one, and the mean wanders over a plateau.
* Where more than half of the values equal the best one, the standard deviations of the integers
  are widened (`widened`), as Hansen (2016) does with sigma in his code, where values are flat.
* The search waits longer before it calls itself flat or, if all coordinates are integers,
  converged (stopping.py).

LeadingOnes (d = 10, 20), the number of wrong ones of 8 integers of 4 values (from two starts) and
the largest of 6 distances (integers from 0 to 10) are then solved in 120 of 120 runs; 117 without
widening, 110 where equal values share their weights. Of 13 functions that add plateaus of integers
to a sphere, Rosenbrock's function or steps: 102 of 130, 91 without widening, 94 with shared
weights, 75 with neither. Drawing anew each mirror image that is the very point of its twin was no
better: 262 of 288 solved (eight other plateaus, d = 8 to 30) for 261.

Where integers are mixed with continuous coordinates, the selected candidates whose integer is not
that of the mean count as if they lay in the middle of its cell (`centred` in domain.py; after
Marty, Hansen, Auger, Semet & Héron 2024, "LB+IC-CMA-ES", without their correction of the bias). A
value says the same of the whole cell, but a candidate that is just inside moves the mean so little
that the next generation has left it again. On bbob-mixint the expected running time becomes 0.91
of what it was (d = 5, 25 instances, 3932 targets reached for 3901) and 0.86 (d = 10, 35 instances,
4445 for 4318), on the instances alone that were tried after all was settled 1.06 (1497 for 1527)
and 0.87 (1397 for 1380); at d = 20 nothing changes (2 instances). In the 13 functions above, 109
of 130 are solved. With integers alone it is better on LeadingOnes, but the largest of 12 distances
is lost (0 of 12 solved for 3), so it is not done there. Where the other half is centered too, runs
of f8 that fail take twice as long. There pycma still solves 41 of 44 instances (d = 10), where we
solve 21: neither another margin nor slower learning rates close that gap.

Tried, and no better: twice and half of that α (half solves 63 % for 70, twice was slower on more
instances); with the paper's bounds, a floor of 0.2 under the standard deviations in place of the
margin (24 % solved for 53); a step-size path that leaves out the integers (10 % solved for 64).
"""

from __future__ import annotations

from math import exp, log
from typing import Any

import numpy as np

WIDENING = 0.2  # of ln(standard deviation), in a generation of which all values are equal


def margin(dim: int) -> float:
    """Return α, the least probability with which a candidate leaves the integer of the mean.

    It is meant for one coordinate of `dim`: one coordinate of one candidate in a customary
    generation leaves it.
    """
    return min(0.5, 1 / (dim * (4 + int(3 * log(dim)))))


def widened(std: Any, tied: float) -> np.ndarray:
    """Return standard deviations (k,) after a generation of which the share `tied` of the values
    equals the best one: longer ones where that is more than half of them, because then the search
    is on a plateau."""
    return std * exp(WIDENING * max(0.0, 2 * tied - 1))


def with_margin(
    gap_below: np.ndarray, gap_above: np.ndarray, std: Any, dim: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return steps of the mean and standard deviations, both (k,), that have the margin.

    Where both tails have α/2 already, the step is 0 and the standard deviation what it was. Where
    one has less it gets α/2, and the other one gives way so far that the three probabilities sum
    to 1 (eq. 16–21 of the paper); neither falls below α/2.

    Parameters
    ----------
    gap_below, gap_above : array of shape (k,)
        The distances from the mean to the next integer's cell, below and above. Where their sum is
        0, in coordinates too large for cells, nothing is changed.
    std : array of shape (k,)
        The standard deviations.
    dim : int
        The number of coordinates of the search.
    """
    from scipy.special import ndtr, ndtri  # not on `import structes`

    tail = margin(dim) / 2
    p, q = ndtr(-gap_below / std), ndtr(-gap_above / std)
    low = ((p < tail) | (q < tail)) & (gap_below + gap_above > 0)
    if not low.any():
        return np.zeros_like(std), std
    mass_inside = 1 - p - q
    p, q = np.maximum(p, tail), np.maximum(q, tail)
    excess = (1 - p - q - mass_inside) / (p + q + mass_inside - 3 * tail)
    p, q = p + excess * (p - tail), q + excess * (q - tail)
    p, q = -ndtri(p), -ndtri(q)  # distances in standard deviations
    new = np.where(low, (gap_below + gap_above) / (p + q), std)
    return np.where(low, new * p - gap_below, 0.0), new
