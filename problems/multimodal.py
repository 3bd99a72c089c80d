"""Many basins: the functions on which the global search is studied.

Some textbook formulas lose all digits near the optimum, because they subtract cosines from ones.
Where an identity avoids that, the identity is computed and stands beside the line: the same
function, but f(x) − f(x*) keeps its relative accuracy down to 1e-300.

Every function here is f(x) = g(z* + R (x − x*)), g the formula below and z* its optimum; `rotate`
and `shift` are the seeds of R and x*, and with neither f = g (place.py). The starts lie to one
side of the optimum; for Rastrigin, Ackley, Schwefel and Griewank they are the middle, and the
scale half the width, of one-sided intervals in the manner of Hansen and Kern (2004, PPSN
VIII:282). Neither the start nor the box is turned or moved.
"""

from __future__ import annotations

import math

from structes.arrays.libraries import namespace
from structes.problem import Problem
from structes.problems.place import count, place

_LIBRARY = "as in Surjanovic and Bingham, Virtual library of simulation experiments"


def rastrigin(dim: int, rotate: int | None = None, shift: int | None = None) -> Problem:
    """10 d + Σ zᵢ² − 10 cos 2πzᵢ. Minimum 0 at 0; box [−5.12, 5.12]; start 3, scale 2.

    Raises
    ------
    TypeError, ValueError
        Unless dim ≥ 1 and the seeds are integers in [0, 2⁶⁴).
    """
    return place(
        "rastrigin",
        _rastrigin,
        dim,
        rotate,
        shift,
        box=(-5.12, 5.12),
        optimum=0,
        start=3,
        scale=2,
        source="Rastrigin, 1974; in d dimensions: Mühlenbein, Schomisch and Born, 1991, Parallel "
        "Computing 17:619",
    )


def _rastrigin(Z):
    xp = namespace(Z)
    return xp.sum(Z**2 + 20 * xp.sin(math.pi * Z) ** 2, axis=1)  # 1 − cos 2a = 2 sin² a


def ackley(dim: int, rotate: int | None = None, shift: int | None = None) -> Problem:
    """20 + e − 20 exp(−0.2 √(Σ zᵢ²/d)) − exp(Σ cos(2πzᵢ)/d). Minimum 0 at 0.

    Box [−32.768, 32.768]; start 15.5, scale 14.5. Raises as `rastrigin` does.
    """
    return place(
        "ackley",
        _ackley,
        dim,
        rotate,
        shift,
        box=(-32.768, 32.768),
        optimum=0,
        start=15.5,
        scale=14.5,
        source=f"Ackley, 1987, A connectionist machine for genetic hillclimbing; {_LIBRARY}",
    )


def _ackley(Z):
    xp = namespace(Z)
    r = xp.sqrt(xp.mean(Z**2, axis=1))
    c = -2 * xp.mean(xp.sin(math.pi * Z) ** 2, axis=1)  # mean of cos 2πz, minus 1
    return -20 * xp.expm1(-0.2 * r) - math.e * xp.expm1(c)


# z sin √|z| is largest on [−500, 500] where tan a = −a/2, a = √z.
_SCHWEFEL_OPTIMUM = 420.96874635998205
_SCHWEFEL_PEAK = 418.9828872724338


def schwefel(dim: int, rotate: int | None = None, shift: int | None = None) -> Problem:
    """418.9828872724338 d − Σ zᵢ sin √|zᵢ|. Minimum 0 at 420.96874635998205.

    Box [−500, 500]; start −100, scale 400. The textbook sum is unbounded below outside the box, so
    there the nearest point of the box counts, plus BBOB's penalty: with c = clip(z, −500, 500),
    f = 418.9828872724338 d − Σ cᵢ sin √|cᵢ| + 0.01 Σ (zᵢ − cᵢ)². Raises as `rastrigin` does.
    """
    return place(
        "schwefel",
        _schwefel,
        dim,
        rotate,
        shift,
        box=(-500, 500),
        optimum=_SCHWEFEL_OPTIMUM,
        start=-100,
        scale=400,
        source="Schwefel, 1981, Numerical optimization of computer models, problem 2.26; penalty: "
        "Hansen, Finck, Ros and Auger, 2009, RR-6829, f20",
    )


def _schwefel(Z):
    xp = namespace(Z)
    C = xp.clip(Z, -500.0, 500.0)
    wells = _SCHWEFEL_PEAK - C * xp.sin(xp.sqrt(xp.abs(C)))
    return xp.sum(wells + 0.01 * (Z - C) ** 2, axis=1)


def griewank(dim: int, rotate: int | None = None, shift: int | None = None) -> Problem:
    """1 + Σ zᵢ²/4000 − Π cos(zᵢ/√i). Minimum 0 at 0; box [−600, 600]; start 305, scale 295.

    Raises as `rastrigin` does.
    """
    return place(
        "griewank",
        _griewank,
        dim,
        rotate,
        shift,
        box=(-600, 600),
        optimum=0,
        start=305,
        scale=295,
        source=f"Griewank, 1981, JOTA 34:11; {_LIBRARY}",
    )


def _griewank(Z):
    xp = namespace(Z)
    ripples = xp.prod(xp.cos(Z / xp.sqrt(count(Z))), axis=1)
    return xp.sum(Z**2, axis=1) / 4000 + (1 - ripples)


def levy(dim: int, rotate: int | None = None, shift: int | None = None) -> Problem:
    """With wᵢ = 1 + (zᵢ − 1)/4: sin²(πw₁) + Σ_{i<d} (wᵢ − 1)² (1 + 10 sin²(πwᵢ + 1))
    + (w_d − 1)² (1 + sin²(2πw_d)). Minimum 0 at 1; box [−10, 10]; start −5, scale 4.

    Raises as `rastrigin` does.
    """
    return place(
        "levy",
        _levy,
        dim,
        rotate,
        shift,
        box=(-10, 10),
        optimum=1,
        start=-5,
        scale=4,
        source=f"Levy and Montalvo, 1985, SIAM J. Sci. Stat. Comput. 6:15; {_LIBRARY}",
    )


def _levy(Z):
    xp = namespace(Z)
    V = (Z - 1) / 4  # w − 1; the sines of period 1 in w are those of v
    head, last = V[:, :-1], V[:, -1]
    middle = head**2 * (1 + 10 * xp.sin(math.pi * (head + 1) + 1) ** 2)
    end = last**2 * (1 + xp.sin(2 * math.pi * last) ** 2)
    return xp.sin(math.pi * V[:, 0]) ** 2 + xp.sum(middle, axis=1) + end


def styblinski_tang(dim: int, rotate: int | None = None, shift: int | None = None) -> Problem:
    """½ Σ zᵢ⁴ − 16 zᵢ² + 5 zᵢ. Minimum −39.16616570377141 d at −2.903534027771177.

    Box [−5, 5]; start 2.5, in the basin of the worst of the 2^d minima; scale 2. Raises as
    `rastrigin` does.
    """
    return place(
        "styblinski_tang",
        _styblinski_tang,
        dim,
        rotate,
        shift,
        box=(-5, 5),
        optimum=-2.903534027771177,  # the least root of 4 z³ − 32 z + 5
        minimum=-39.16616570377141,
        start=2.5,
        scale=2,
        source=f"Styblinski and Tang, 1990, Neural Networks 3:467; {_LIBRARY}",
    )


def _styblinski_tang(Z):
    return namespace(Z).sum((Z**2 - 16) * Z**2 + 5 * Z, axis=1) / 2
