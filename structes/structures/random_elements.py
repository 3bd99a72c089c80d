"""One typical choice of parameters for every structure, and random elements of their groups.

A picture, a measurement of cost and a test objective all need some `block_upper`, of whatever
size; this is the one place that says which. The sizes follow the dimension by one rule, so that
the picture of 24 parameters and the measurement of a million show the same thing.

A random element is a point on a random curve through the identity. With D diagonal (an even grid
from −1 to 1 in random order) and R a random symmetric matrix with spectrum in about [−1, 1], the
direction M is the projection of D + R on the tangent space (as `tangent` gives it for suitable
samples), without its trace, and

    B(s) = h(s M / n)ⁿ ≈ exp(s M)

so half of what a covariance does comes from scales and half from correlations, as far as the
structure can follow. The condition number grows with s; s is found where it has the value asked.
"""

from __future__ import annotations

from math import isqrt, log10

import numpy as np

from ..arrays import noise
from . import STRUCTURES

STEPS = 32  # retractions from the identity to an element


def example(spec, dim: int):
    """Return the specification `spec` with typical sizes for `dim` parameters where it gives none.

    spec   as for `structes.build_structure`; a name of the table with some or no arguments is
           completed to a mapping, everything else comes back as it is

    >>> example("block_upper:k3", 24), example("hierarchical_lower", 24)
    ({'name': 'block_upper', 'k': 3}, {'name': 'hierarchical_lower', 'k1': 2, 'k2': 2})
    """
    if not isinstance(spec, (str, dict)):
        return spec
    name, arguments = STRUCTURES.parse(spec)
    if name not in STRUCTURES:
        return spec
    typical = {} if _DECIDE.get(name, set()) & arguments.keys() else _SIZES.get(name, _none)(dim)
    return {"name": name, **typical, **arguments}


def _none(dim):
    return {}


def _lead(dim):
    return {"k": max(1, min(16, dim // 8))}


def _axes(dim):
    return {"long": max(1, min(5, dim // 8)), "short": max(1, min(5, dim // 8))}


def _lead_and_tail(dim):
    return {"k1": max(1, min(8, dim // 12)), "k2": min(dim - 1, max(1, min(8, dim // 12)))}


def _groups(dim):
    size = max(1, min(10, dim // 4))
    return {"sizes": size if dim % size == 0 else [size] * (dim // size) + [dim % size]}


def _grid(dim):
    rows = next(n for n in range(isqrt(dim), 0, -1) if dim % n == 0)
    return {"rows": rows, "cols": dim // rows}


def _layer(dim):
    rows = isqrt(dim)
    cols = max(1, (dim - rows) // rows)  # weights (rows, cols), and about as many biases as rows
    blocks = {"weights": {"name": "kronecker", "rows": rows, "cols": cols}}
    return {"blocks": blocks | ({"biases": "diagonal"} if dim > rows * cols else {})}


def _tree(dim):
    """A whole, its groups, and the members of each: √d groups of √d."""
    group = 1 + max(1, isqrt(dim - 1))
    return {"tree": [-1] + [0 if i % group == 0 else 1 + i - i % group for i in range(dim - 1)]}


_SIZES = {
    "block_upper": _lead,
    "block_lower": _lead,
    "hierarchical_lower": _lead_and_tail,
    "hierarchical_upper": _lead_and_tail,
    "hierarchical_upper_lower": _lead_and_tail,
    "hierarchical_lower_upper": _lead_and_tail,
    "low_rank": _axes,
    "block_diagonal": _groups,
    "kronecker": _grid,
    "direct_sum": _layer,
    "sparse": _tree,
}
# arguments that leave nothing to complete
_DECIDE = {"kronecker": {"rows", "cols"}, "sparse": {"pattern", "tree"}}


# -- elements -------------------------------------------------------------------------------------


def element(structure, condition: float, seed: int = 1) -> tuple:
    """Return the factor of a random element of the group whose covariance has this condition
    number.

    structure   of a size that affords d×d matrices
    condition   > 1; met within a relative 1e-6
    seed        same seed, same element

    Raises ValueError where the structure cannot have it (`scalar`, or one parameter).
    """
    from scipy.optimize import brentq

    goal = log10(condition)
    M = direction(structure, seed)

    def excess(size):
        B = np.asarray(structure.to_dense(along(structure, M, size)))
        return 2 * log10(np.linalg.cond(B)) - goal

    high = 1.0
    while not excess(high) > 0:
        high *= 2
        if high > 64:
            raise ValueError(
                f"no element of {structure!r} with condition {condition:g}: a random one has "
                f"{10 ** (excess(high) + goal):g}, however far from the identity"
            )
    return along(structure, M, brentq(excess, 0.0, high, xtol=1e-12, rtol=1e-9))


def direction(structure, seed: int) -> tuple:
    """Return a random tangent without trace: the projection of D + R (see above)."""
    d = structure.dim
    order = np.argsort(noise.normals(seed, noise.PROBLEM, 1, 0, 1, d)[0])
    grid = np.linspace(-1, 1, d)[order] if d > 1 else np.zeros(1)
    rows = 2 * d  # as many samples with weight + as with −
    Z = np.concatenate([np.eye(d), noise.normals(seed, noise.PROBLEM, 2, 0, rows, d)])
    signs = np.where(np.arange(rows) % 2, -1.0, 1.0)
    # entries of Σ ± g gᵀ have variance 2d, so their spectrum reaches 2 √d √(2d)
    w = np.concatenate([grid, signs / (2 * 2**0.5 * d)])
    identity = structure.identity(np, np.float64)
    M = structure.tangent_at(identity, structure.whiten(identity, Z), w)
    return structure.shift(M, -structure.trace(M) / d)


def along(structure, M, size: float) -> tuple:
    """Return the factor of h(size M / n)ⁿ with n = STEPS."""
    factor = structure.identity(np, np.float64)
    step = structure.scale(M, size / STEPS)
    for _ in range(STEPS):
        factor = structure.retract(factor, step)
    return factor
