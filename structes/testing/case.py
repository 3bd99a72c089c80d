"""What the laws are checked on: a structure at an element of it, samples, and comparisons."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..arrays import noise
from ..arrays.libraries import mapped, to_numpy
from ..naming.error_text import brief
from ..structures.base import Array, Structure

TOLERANCE = 1e-10  # of what is exact but for rounding
LENGTH = 0.4  # Frobenius norm of the tangents


class LawError(AssertionError):
    """A structure breaks a law: which, the error that was found, and the tolerance."""


class Case:
    """A structure at an element that is not the identity, and samples; arrays of the library xp.

    Parameters
    ----------
    structure : Structure
        The structure at some dim.
    xp : module
        The array library.
    seed : int
        The seed of the random samples.
    frozen : bool
        Whether NumPy's arrays are handed in read-only.
    """

    def __init__(self, structure: Structure, xp: Any = np, seed: int = 0, frozen: bool = True):
        if not isinstance(structure, Structure):
            raise TypeError(f"a structure is a structes.Structure; got {brief(structure)}")
        self.structure, self.dim, self.xp = structure, structure.dim, xp
        self.frozen = frozen and xp is np
        self.seed, self._drawn = seed, 0
        self.identity = self.freeze(structure.identity(xp, xp.float64))
        _check_tree("identity(xp, dtype)", self.identity)
        self.factor = self.identity
        for _ in range(3):
            self.factor = self.freeze(structure.retract(self.factor, self.tangent()))

    def array(self, value: Any, dtype: str = "float64") -> Array:
        """An array of the library, which may not be written."""
        return self.freeze(self.xp.asarray(np.array(value), dtype=getattr(self.xp, dtype)))

    def freeze(self, tree: Any) -> Any:
        """An array, or a tuple (of tuples) of arrays, that may not be written."""

        def freeze(x):
            if isinstance(x, np.ndarray):
                x.flags.writeable = False
            return x

        return mapped(freeze, tree) if self.frozen else tree

    def normals(self, n: int, width: int | None = None) -> Array:
        """n vectors of `width` normals (None: d, for vectors y and gradients): an array."""
        self._drawn += 1
        width = self.dim if width is None else width
        return self.array(noise.normals(self.seed, noise.PROBLEM, self._drawn, 0, n, width))

    def samples(self, n: int = 4) -> tuple[Array, Array]:
        """Local coordinates Z (n, noise_dim) and weights w (n,) of both signs, whose sum is not 0;
        of a structure that is no group those of vectors, as `whiten` makes them."""
        Z = self.normals(n)
        if not self.structure.is_group:
            Z = self.freeze(self.structure.whiten(self.factor, Z))
        return Z, self.array(self.numpy(self.normals(n, 1))[:, 0] * 0.2 + 0.1)

    def gradient(self, n: int = 4) -> tuple:
        """The natural gradient of n samples."""
        return self.freeze(self.structure.tangent_at(self.factor, *self.samples(n)))

    def tangent(self, n: int = 4, length: float = LENGTH) -> tuple:
        """The same, not longer than `length`."""
        M = self.gradient(n)
        norm = float(self.structure.norm(M))
        return self.freeze(self.structure.scale(M, length / max(norm, length)))

    def tangents(self) -> Iterator[tuple]:
        """Tangents of every kind: of one sample, of few and of many, moved by I, with rates for
        the parameter groups, and sums."""
        s, groups = self.structure, len(self.structure.parts)
        yield self.tangent(2)
        yield self.tangent(4)
        yield self.freeze(s.shift(self.tangent(2), -0.05))
        yield self.freeze(s.scale(s.add(self.tangent(2), self.tangent(3)), 0.5))
        if groups > 1:
            for n in (1, 2, 4):
                rates = tuple(1 / (1 + p) for p in range(groups))
                yield self.freeze(s.scale(self.tangent(n), rates))
            yield self.freeze(s.scale(self.tangent(2), (*(1.0,) * (groups - 1), 0.5)))

    def numpy(self, x: Array) -> np.ndarray:
        """A copy of the array on the host."""
        return np.array(to_numpy(x))

    def B(self, factor: tuple | None = None) -> np.ndarray:
        """to_dense of the factor, NumPy."""
        return self.numpy(self.structure.to_dense(self.factor if factor is None else factor))

    def M(self, tangent: tuple) -> np.ndarray:
        """tangent_to_dense, NumPy."""
        return self.numpy(self.structure.tangent_to_dense(tangent))

    def A(self) -> np.ndarray:
        """(d, noise_dim): what makes y = A z, as `unwhiten` of unit vectors says it."""
        eye = self.array(np.eye(self.structure.noise_dim))
        return self.numpy(self.structure.unwhiten(self.factor, eye)).T


def _check_tree(subject: str, tree: Any) -> None:
    """Raise LawError where something is no tuple (of tuples) of arrays."""
    if not isinstance(tree, tuple) or not tree:
        raise LawError(f"{subject} must return a tuple of arrays; got {type(tree).__name__}")
    for part in tree:
        if isinstance(part, tuple):
            _check_tree(subject, part)
        elif not (hasattr(part, "dtype") and hasattr(part, "shape")):
            raise LawError(f"{subject} must return arrays; there is a {type(part).__name__}")


def close(
    subject: str,
    actual: Any,
    expected: Any,
    tolerance: float = TOLERANCE,
    relative: float | None = None,
) -> None:
    """Raise LawError where `actual` differs from `expected` by more than the tolerance, and
    relative · |expected|, of the same size unless it is said."""
    actual, expected = np.asarray(actual, dtype=float), np.asarray(expected, dtype=float)
    if actual.shape != expected.shape:
        raise LawError(f"{subject}: of shape {actual.shape} in place of {expected.shape}")
    relative = tolerance if relative is None else relative
    error, bound = np.abs(actual - expected), tolerance + relative * np.abs(expected)
    if (error <= bound).all():
        return
    index = np.unravel_index(int(np.argmax(np.where(error <= bound, -1.0, error))), error.shape)
    place = f" at {tuple(map(int, index))}" if index else ""
    raise LawError(
        f"{subject}: got {actual[index]:.10g} in place of {expected[index]:.10g}{place}, an error "
        f"of {error[index]:.2g} (tolerance {bound[index]:.1g})"
    )


def true(subject: str, condition: Any) -> None:
    """Raise LawError where the condition does not hold."""
    if not condition:
        raise LawError(subject)


def h(M: np.ndarray) -> np.ndarray:
    """h(M) = I + M + M²/2 of a NumPy matrix."""
    return np.eye(len(M)) + M + M @ M / 2


def leaves(tree: Any) -> list:
    """The arrays of a tuple (of tuples) of arrays."""
    if not isinstance(tree, tuple):
        return [tree]
    return [leaf for part in tree for leaf in leaves(part)]
