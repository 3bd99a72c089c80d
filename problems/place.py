"""Where a function lies: the same landscape, turned and moved.

Every classic function is written for its textbook coordinates z, with its optimum at z*. What a
search sees is

    f(x) = g(z),    z = z* + R (x − x*)

with R orthogonal and x* the optimum that the Problem reports. With neither `rotate` nor `shift`
R = I and x* = z*, and g is called as it is. `rotate` is the seed of R, a uniformly distributed
orthogonal matrix. `shift` is the seed of x*, uniform in the middle four fifths of the box, as
BBOB draws it (Hansen et al., 2009, RR-6829). Written in x − x*, the optimum is exact: at x = x*
the difference is zero in any arithmetic, and so z = z* to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from structes.arrays import noise
from structes.arrays.libraries import namespace
from structes.naming.error_text import brief
from structes.problem import Problem

_ROTATION, _SHIFT = 0, 1  # addresses in the problem stream: equal seeds share no words


@dataclass(frozen=True, eq=False)
class Placed:
    """x -> function(z* + R (x − x*)): a callable (n, d) -> (n,) that pickles.

    Parameters
    ----------
    function : Callable[[Any], Any]
        The function of textbook coordinates, (n, d) -> (n,).
    textbook : np.ndarray
        (d,) its optimum z*.
    optimum : np.ndarray
        (d,) the optimum x* of the placed function.
    rotation : np.ndarray or None
        (d, d) orthogonal R, or None for the identity.
    """

    function: Callable[[Any], Any]
    textbook: np.ndarray
    optimum: np.ndarray
    rotation: np.ndarray | None = None

    def __call__(self, X: Any) -> Any:
        Z = X - _like(X, self.optimum)
        if self.rotation is not None:
            Z = Z @ _like(X, self.rotation.T)  # rows are points: (R (x − x*))ᵀ = (x − x*)ᵀ Rᵀ
        return self.function(_like(X, self.textbook) + Z)


def place(
    name: str,
    function: Callable,
    dim: int,
    rotate: int | None,
    shift: int | None,
    *,
    box: tuple[float, float],
    optimum: Any,
    start: float,
    scale: float,
    source: str,
    minimum: float = 0.0,
    min_dim: int = 1,
) -> Problem:
    """Return the Problem of a textbook function (n, d) -> (n,), turned and moved as the seeds say.

    Parameters
    ----------
    name : str
        The name of the problem.
    function : callable
        The function of textbook coordinates: (n, d) -> (n,).
    dim : int
        The number of parameters, d.
    rotate, shift : int or None
        The seeds of the rotation and of the optimum; None: the function is not turned, or not
        moved.
    box : tuple of float
        (lower, upper), the same for every coordinate; it is neither turned nor moved.
    optimum : float or callable
        The optimum z* of the textbook function: a number for all coordinates, or a function of dim
        that returns (d,).
    start : float
        The start, the same for every coordinate; it is neither turned nor moved.
    scale : float
        The initial standard deviation.
    source : str
        Where the definition comes from.
    minimum : float
        The value g(z*), divided by dim.
    min_dim : int
        The smallest dim for which the function is defined.

    Raises
    ------
    TypeError, ValueError
        For a dim below `min_dim` or a bad seed; the message names the argument.
    """
    dim = integer(f"{name}: dim", dim, min_dim)
    textbook = optimum(dim) if callable(optimum) else np.full(dim, float(optimum))
    lower, upper = (np.full(dim, float(b)) for b in box)
    position, R = textbook, None
    if shift is not None:
        shift = integer(f"{name}: shift", shift, 0, 2**64 - 1)
        u = noise.uniforms(shift, noise.PROBLEM, _SHIFT, 0, 1, dim)[0]
        position = lower + (0.1 + 0.8 * u) * (upper - lower)
    if rotate is not None:
        R = rotation(dim, integer(f"{name}: rotate", rotate, 0, 2**64 - 1))
    if shift is not None or rotate is not None:
        function = Placed(function, textbook, position, R)
    return Problem(
        function,
        dim,
        name,
        lower=lower,
        upper=upper,
        optimum=position.copy(),
        minimum=float(minimum * dim),
        start=np.full(dim, float(start)),
        scale=float(scale),
        source=source,
    )


def rotation(dim: int, seed: int) -> np.ndarray:
    """Return (d, d) uniformly distributed orthogonal matrix: a pure function of dim and seed.

    The Q of a Gaussian matrix, with the signs chosen so that R has a positive diagonal; without
    that, Q depends on the library's convention and is not uniform (Mezzadri, 2007, "How to
    generate random matrices from the classical compact groups").
    """
    Q, R = np.linalg.qr(noise.normals(seed, noise.PROBLEM, _ROTATION, 0, dim, dim))
    return Q * np.where(np.diag(R) < 0, -1.0, 1.0)


def integer(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return `value` as an int in [low, high].

    Raises
    ------
    TypeError
        For anything that is not an integer.
    ValueError
        For an integer outside the range.
    """
    span = f"of at least {low}" if high is None else f"from {low} to {high}"
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer {span}; got {brief(value)}")
    if value < low or (high is not None and value > high):
        raise ValueError(f"{name} must be an integer {span}; got {brief(value)}")
    return int(value)


def positive(name: str, value: Any) -> float:
    """Return `value` as a float.

    Raises
    ------
    TypeError, ValueError
        Unless it is a finite number > 0.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a positive number; got {brief(value)}")
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name} must be a positive, finite number; got {value}")
    return float(value)


def ramp(X: Any) -> Any:
    """Return (d,) (i − 1)/(d − 1) for i = 1 … d, as an array like X (n, d); zero where d = 1."""
    xp = namespace(X)
    return xp.linspace(0.0, 1.0, X.shape[1], dtype=X.dtype, device=X.device)


def count(X: Any) -> Any:
    """Return (d,) 1 … d, as an array like X (n, d)."""
    xp = namespace(X)
    return xp.arange(1, X.shape[1] + 1, dtype=X.dtype, device=X.device)


def _like(X, constant: np.ndarray):
    """Return the NumPy array `constant` in the library, dtype and device of X."""
    return namespace(X).asarray(constant, dtype=X.dtype, device=X.device)
