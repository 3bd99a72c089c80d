"""One basin: the functions on which local convergence is studied.

The first five are Σ aᵢ |zᵢ|^pᵢ with the optimum at zero. They differ in the condition number of
the Hessian and in how its eigenvalues are spread: all equal, evenly on a log scale, one small, one
large, or vanishing at different rates near the optimum. Rosenbrock and Dixon-Price bend the basin
into a curved valley.

Every function here is f(x) = g(z* + R (x − x*)), g the formula below and z* its optimum; `rotate`
and `shift` are the seeds of R and x*, and with neither f = g (place.py). The start is not the
optimum, and neither it nor the box is turned or moved.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from structes.arrays.libraries import namespace
from structes.problem import Problem
from structes.problems.place import count, place, positive, ramp

_CONVEX = {"box": (-5, 5), "optimum": 0, "start": 3, "scale": 1}
_TUTORIAL = "Hansen, 2016, The CMA evolution strategy: a tutorial, appendix (arXiv:1604.00772)"
_BBOB = "Hansen, Finck, Ros and Auger, 2009, Noiseless functions definitions, RR-6829"


def sphere(dim: int, rotate: int | None = None, shift: int | None = None) -> Problem:
    """Σ zᵢ². Minimum 0 at 0; box [−5, 5]; start 3, scale 1.

    Raises
    ------
    TypeError, ValueError
        Unless dim ≥ 1 and the seeds are integers in [0, 2⁶⁴).
    """
    return place("sphere", _sphere, dim, rotate, shift, **_CONVEX, source=f"{_BBOB}, f1")


def _sphere(Z):
    return namespace(Z).sum(Z**2, axis=1)


def ellipsoid(
    dim: int, rotate: int | None = None, shift: int | None = None, condition: float = 1e6
) -> Problem:
    """Σ condition^((i−1)/(d−1)) zᵢ². Minimum 0 at 0; box [−5, 5]; start 3, scale 1.

    With d = 1 it is the sphere. Raises as `sphere` does, and unless condition > 0.
    """
    function = partial(_ellipsoid, condition=positive("ellipsoid: condition", condition))
    return place("ellipsoid", function, dim, rotate, shift, **_CONVEX, source=_TUTORIAL)


def _ellipsoid(Z, condition):
    return namespace(Z).sum(condition ** ramp(Z) * Z**2, axis=1)


def cigar(
    dim: int, rotate: int | None = None, shift: int | None = None, condition: float = 1e6
) -> Problem:
    """z₁² + condition Σ_{i≥2} zᵢ². Minimum 0 at 0; box [−5, 5]; start 3, scale 1.

    With d = 1 it is the sphere. Raises as `sphere` does, and unless condition > 0.
    """
    function = partial(_first_and_rest, first=1.0, rest=positive("cigar: condition", condition))
    return place("cigar", function, dim, rotate, shift, **_CONVEX, source=_TUTORIAL)


def discus(
    dim: int, rotate: int | None = None, shift: int | None = None, condition: float = 1e6
) -> Problem:
    """condition z₁² + Σ_{i≥2} zᵢ² (also called tablet). Minimum 0 at 0; box [−5, 5]; start 3,
    scale 1.

    Raises as `sphere` does, and unless condition > 0.
    """
    function = partial(_first_and_rest, first=positive("discus: condition", condition), rest=1.0)
    return place("discus", function, dim, rotate, shift, **_CONVEX, source=_TUTORIAL)


def _first_and_rest(Z, first, rest):
    return first * Z[:, 0] ** 2 + rest * namespace(Z).sum(Z[:, 1:] ** 2, axis=1)


def different_powers(dim: int, rotate: int | None = None, shift: int | None = None) -> Problem:
    """Σ |zᵢ|^(2 + 4 (i−1)/(d−1)). Minimum 0 at 0; box [−5, 5]; start 3, scale 1.

    The exponents of BBOB f14, without its square root; the tutorial's variant has 10 for the 4.
    With d = 1 it is the sphere. Raises as `sphere` does.
    """
    source = f"{_BBOB}, f14"
    return place("different_powers", _powers, dim, rotate, shift, **_CONVEX, source=source)


def _powers(Z):
    xp = namespace(Z)
    return xp.sum(xp.abs(Z) ** (2 + 4 * ramp(Z)), axis=1)


def rosenbrock(dim: int, rotate: int | None = None, shift: int | None = None) -> Problem:
    """Σ_{i<d} 100 (zᵢ₊₁ − zᵢ²)² + (1 − zᵢ)². Minimum 0 at 1; box [−5, 10]; start 0, scale 0.5.

    From d = 4 on there is a second, local minimum near (−1, 1, …, 1). Raises as `sphere` does,
    and for dim 1, where the sum is empty.
    """
    return place(
        "rosenbrock",
        _rosenbrock,
        dim,
        rotate,
        shift,
        box=(-5, 10),
        optimum=1,
        start=0,
        scale=0.5,
        min_dim=2,
        source="Rosenbrock, 1960, The Computer Journal 3:175; box: Surjanovic and Bingham, "
        "Virtual library of simulation experiments",
    )


def _rosenbrock(Z):
    head, tail = Z[:, :-1], Z[:, 1:]
    return namespace(Z).sum(100 * (tail - head**2) ** 2 + (1 - head) ** 2, axis=1)


def dixon_price(dim: int, rotate: int | None = None, shift: int | None = None) -> Problem:
    """(z₁ − 1)² + Σ_{i≥2} i (2 zᵢ² − zᵢ₋₁)². Minimum 0; box [−10, 10]; start 5, scale 2.

    The optimum is zᵢ = 2^(−(2ⁱ − 2)/2ⁱ). From d = 2 on its mirror image with −z_d is as good, and
    for larger d there is a local minimum of 2/3 at (1/3, 0, …, 0). Raises as `sphere` does.
    """
    return place(
        "dixon_price",
        _dixon_price,
        dim,
        rotate,
        shift,
        box=(-10, 10),
        optimum=_dixon_price_optimum,
        start=5,
        scale=2,
        source="Dixon and Price, 1989, JOTA 60:261; as in Surjanovic and Bingham, Virtual library "
        "of simulation experiments",
    )


def _dixon_price(Z):
    xp = namespace(Z)
    steps = count(Z)[1:] * (2 * Z[:, 1:] ** 2 - Z[:, :-1]) ** 2
    return (Z[:, 0] - 1) ** 2 + xp.sum(steps, axis=1)


def _dixon_price_optimum(dim):
    i = np.arange(1, dim + 1)
    return 2.0 ** -(1 - 2.0 ** (1 - i))  # (2ⁱ − 2)/2ⁱ = 1 − 2^(1−i), without the overflow
