"""A Gaussian whose precision lives in a matrix group.

    x = mean + sigma D₀ y,   y = B⁻ᵀ z,   z ~ N(0, I)

so that x ~ N(mean, sigma² D₀ (B Bᵀ)⁻¹ D₀). z are the *local coordinates* of x: in them every such
Gaussian is the standard one, and natural gradients are taken there. A structure with latent
dimensions has more numbers in z than in x.
"""

from __future__ import annotations

from math import exp, log, pi
from typing import Any, NamedTuple

import numpy as np

from .. import checks
from ..arrays import noise
from ..arrays.libraries import namespace, to_numpy
from ..naming.error_text import brief
from ..structures.base import Array, Factor, Structure
from .step import Step


def placed(gaussian, Y):
    """Return mean + sigma D₀ y (n, d) of the rows of Y (n, d), for the mean, sigma and scale of
    a Gaussian, or a state of a search."""
    X = (gaussian.sigma * gaussian.scale) * Y
    X += gaussian.mean
    return X


class Gaussian(NamedTuple):
    """N(mean, sigma² D₀ (B Bᵀ)⁻¹ D₀).

    Attributes
    ----------
    structure : Structure
        The group of B.
    mean : array (d,)
    sigma : float
        The step size, > 0.
    scale : array (d,)
        The diagonal of D₀, > 0.
    factor : tuple
        B, as the structure keeps it.
    """

    structure: Structure
    mean: Any
    sigma: float
    scale: Any
    factor: Factor

    @classmethod
    def standard(
        cls,
        structure: Structure,
        mean: Any = None,
        sigma: float = 1.0,
        scale: Any = None,
        xp: Any = np,
    ) -> Gaussian:
        """Return the Gaussian with B = I, by default N(0, I), with float64 arrays of `xp`.

        Parameters
        ----------
        structure : Structure
        mean, scale : array_like (d,), optional
            Zeros and ones unless they are said.
        sigma : float
        xp : module
            The array library.

        Raises
        ------
        TypeError, ValueError
            Where an argument is of another kind or size, or sigma or scale are not positive.
        """
        if not isinstance(structure, Structure):
            raise TypeError(
                "structure must be a Structure, as structes.structures.build_structure(name, dim) "
                f"makes one; got {brief(structure)}"
            )
        d, dtype = structure.dim, xp.float64
        sigma = checks.number("sigma", sigma, positive=True)
        mean = _vector("mean", xp.zeros(d, dtype=dtype) if mean is None else mean, d, xp)
        scale = _vector("scale", xp.ones(d, dtype=dtype) if scale is None else scale, d, xp)
        if not bool(xp.all(scale > 0)):
            raise ValueError("scale must be positive in every coordinate")
        return cls(structure, mean, sigma, scale, structure.identity(xp, dtype))

    # -- samples ----------------------------------------------------------------------------------

    def draw(
        self, seed: int, count: int, start: int = 0, generation: int = 0
    ) -> tuple[Array, Array]:
        """Return (Z, X) of samples start … start+count−1: (count, noise_dim) and (count, d).

        A sample depends on the seed, the generation and its number alone, whoever draws it
        (`structes.arrays.noise`).
        """
        address = seed, noise.CANDIDATES, generation, start, count, self.structure.noise_dim
        Z = noise.normals(*address, xp=namespace(self.mean))
        return Z, self.at(Z)

    def at(self, Z: Array) -> Array:
        """Return the points (n, d) whose local coordinates are the rows of Z (n, noise_dim)."""
        _check_rows("Z", Z, self.structure.noise_dim)
        return self.placed(self.structure.unwhiten(self.factor, Z))

    def placed(self, Y: Array) -> Array:
        """Return mean + sigma D₀ y (n, d) of the rows of Y (n, d)."""
        return placed(self, Y)

    def whiten(self, X: Array) -> Array:
        """Return the local coordinates (n, noise_dim) of the rows of X (n, d): of all z that lead
        to a point the shortest one."""
        _check_rows("X", X, self.structure.dim)
        return self.structure.whiten(self.factor, (X - self.mean) / (self.sigma * self.scale))

    def whiten_gradient(self, G: Array) -> Array:
        """Return the gradients (n, d) with respect to z of functions whose gradients with respect
        to x are the rows of G (n, d): sigma B⁻¹ D₀ g."""
        _check_rows("G", G, self.structure.dim)
        return self.structure.whiten_gradient(self.factor, (self.sigma * self.scale) * G)

    # -- densities --------------------------------------------------------------------------------

    def volume(self) -> float:
        """Return `log |det (sigma D₀ B⁻ᵀ)| = d log sigma + Σ log D₀ − log |det B|`."""
        scale = float(namespace(self.scale).sum(namespace(self.scale).log(self.scale)))
        d, logdet = self.structure.dim, self.structure.logdet(self.factor)
        return d * log(self.sigma) + scale - logdet

    def log_density(self, X: Array) -> np.ndarray:
        """Return (n,) log densities of the rows of X (n, d), in nats."""
        Z = self.whiten(X)
        squares = to_numpy(namespace(Z).vecdot(Z, Z))
        return -0.5 * squares - self.volume() - 0.5 * self.structure.dim * log(2 * pi)

    def entropy(self) -> float:
        """Return the entropy in nats: `d/2 (1 + log 2π) + log |det (sigma D₀ B⁻ᵀ)|`."""
        return 0.5 * self.structure.dim * (1 + log(2 * pi)) + self.volume()

    def deviations(self) -> Array:
        """Return (d,) standard deviations of the coordinates."""
        return self.sigma * self.scale * self.structure.deviations(self.factor)

    # -- others -----------------------------------------------------------------------------------

    def moved(self, step: Step, dz: Array | None = None) -> Gaussian:
        """Return the Gaussian after a step.

        Parameters
        ----------
        step : Step
            Where B and sigma go (`structes.core.step`).
        dz : array (noise_dim,), optional
            The step of the mean in the present local coordinates.
        """
        if dz is not None and tuple(getattr(dz, "shape", ())) != (self.structure.noise_dim,):
            raise ValueError(f"dz must be an array ({self.structure.noise_dim},); got {brief(dz)}")
        mean = self.mean if dz is None else self.at(dz[None, :])[0, :]
        factor = self.structure.retract(self.factor, step.shape)
        return self._replace(mean=mean, sigma=self.sigma * exp(-step.scale), factor=factor)

    def adopt(self, structure: Structure) -> Gaussian:
        """Return this Gaussian with another structure.

        A structure that holds every covariance keeps the distribution as it is. Others keep the
        mean and the standard deviations, which become the scale, and begin anew with B = I.
        """
        former = self.structure
        if structure.has_any_matrix:
            return self._replace(
                structure=structure, factor=structure.factor_of(former.to_dense(self.factor))
            )
        xp = namespace(self.mean)
        scale = former.deviations(self.factor)
        sigma = exp(float(xp.mean(xp.log(scale))))
        factor = structure.identity(xp, self.mean.dtype)
        return Gaussian(
            structure, self.mean, self.sigma * sigma, self.scale * (scale / sigma), factor
        )


def _vector(name: str, value: Any, dim: int, xp: Any) -> Any:
    """Return `value` as an array (d,) of the library xp; ValueError where it is none."""
    array = xp.asarray(value, dtype=xp.float64)
    if tuple(array.shape) != (dim,):
        raise ValueError(f"{name} must have shape ({dim},); got {tuple(array.shape)}")
    if not bool(xp.all(xp.isfinite(array))):
        raise ValueError(f"{name} must be finite")
    return array


def _check_rows(name: str, X: Any, width: int) -> None:
    """Raise ValueError where X is no array of rows of so many numbers."""
    shape = getattr(X, "shape", None)
    if shape is None or len(shape) != 2 or shape[1] != width:
        size = type(X).__name__ if shape is None else f"shape {tuple(shape)}"
        raise ValueError(f"{name} must be an array (n, {width}); got {size}")
