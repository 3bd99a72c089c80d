"""A covariance to start from, for every structure.

A search draws from N(mean, sigma² D₀ C D₀), where C = (B Bᵀ)⁻¹ and B lies in the group of its
structure. Of a covariance that comes from outside, a structure takes the nearest one that it has,
by the Kullback-Leibler divergence. That can be measured in two directions:

    of a covariance C   minimise KL(N(0, C) ‖ N(0, (B Bᵀ)⁻¹)) = ½ tr(Bᵀ C B) − ln |det B| + const
    of a precision P    minimise KL(N(0, (B Bᵀ)⁻¹) ‖ N(0, P⁻¹)) = ½ tr(B⁻¹ P B⁻ᵀ) + ln |det B| + …

The first one is maximum likelihood, and the moments agree: `diagonal` takes the variances. The
second one stays inside what P calls likely: `diagonal` takes the inverse of P's diagonal, and that
is the covariance which a search for the minimum of ½ xᵀ P x would learn.

Both are found by steps of natural gradient, which need nothing but what a structure does in
every update. Let L Lᵀ = C; then the rows of √d Lᵀ are d samples whose second moments are C, and
`tangent` of these rows times B, each with the weight 1/d, is M = −½ Proj(Bᵀ C B − I). For P the
rows are multiplied with B⁻ᵀ, and weighed with −1/d. So the steps B ← B h(M) end where Bᵀ C B looks
like I to the structure; where the structure has the covariance itself, that is C⁻¹ = B Bᵀ.
"""

from __future__ import annotations

from math import exp, inf

import numpy as np

from ..arrays import forms
from ..arrays.libraries import namespace, to_numpy
from ..arrays.threads import single_threaded
from ..space.fixed import Fixed
from ..strategy.state import State
from ..structures.base import Structure

STEPS = 300  # of natural gradient at most: 0.3 s at d = 40
LOOK = 20  # so many of them must gain something, or they end
GAIN = 1e-4  # what they must gain, in divergence for each parameter
NEAR = 1e-20  # ‖M‖²/d, where they have arrived
SINGULAR = 1e-13  # a correlation matrix with a smaller eigenvalue is refused
WANTED = "a symmetric positive definite matrix, variances, or a search whose covariance it is"
LARGEST = 2000  # parameters for which a matrix is taken: it is (d, d), and costs d³


def shaped(structure: Structure, state: State, T, precision: bool = False) -> State:
    """Return the state whose distribution is, as nearly as the structure has it,
    N(mean, sigma² D₀ C D₀).

    The step size is multiplied with the geometric mean of the standard deviations, so that
    |det B| = 1.

    Parameters
    ----------
    structure : Structure
        Where B lies.
    state : State
        Mean, step size and scales D₀.
    T : NumPy array (d, d)
        C, or with `precision` C⁻¹: symmetric and positive definite.
    precision : bool
        Whether T is a precision.
    """
    factor, size = single_threaded(_nearest, structure.dim, structure, T, precision)
    factor = _of_library(factor, namespace(state.mean))
    return state._replace(sigma=float(state.sigma * size), factor=factor)


def with_correlations(strategy, state: State, R) -> State:
    """Return the state of a search that begins with the covariance sigma² D₀ R D₀, where R is a
    correlation matrix (d, d), a NumPy array, in place of sigma² D₀².

    `dense` has it exactly, and so has every other structure that can. The standard deviations D₀
    stay beside B, or go into B where a nearer covariance is found so: that of a Toeplitz matrix,
    whose variances differ, is a Toeplitz matrix only as a whole.
    """
    structure = strategy.structure
    states = [shaped(structure, state, R)]
    if not structure.has_any_matrix:
        D = to_numpy(state.scale)
        C = R * np.outer(D, D)
        plain = state._replace(scale=0 * state.scale + 1)
        states.append(shaped(structure, plain, C))
        C = C * state.sigma**2
        states.sort(key=lambda state: _divergence(structure, state, C))
    return strategy.domain.adjust(states[0], structure)


def covariance_of(structure: Structure, state: State) -> np.ndarray:
    """Return the covariance sigma² D₀ (B Bᵀ)⁻¹ D₀ (d, d) of the search coordinates."""
    step = to_numpy(state.sigma * state.scale)
    A = np.linalg.solve(to_numpy(structure.to_dense(state.factor)), np.diag(step))
    return A.T @ A


# -- from what a user says ------------------------------------------------------------------------


def read_covariance(covariance, dim: int | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the standard deviations (d,) and the correlations (d, d), None where there are none,
    of a covariance as a user says it.

    Parameters
    ----------
    covariance : array or search
        A symmetric positive definite matrix (d, d); variances (d,); or a search, or a result of
        one, whose covariance it is, with the geometric mean 1 of its standard deviations (sigma0
        says the size).
    dim : int, optional
        d, where it is known.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, where it does not fit.
    """
    search = searched(covariance)
    C = (
        _of_search(search)
        if search is not None
        else forms.numbers("covariance", covariance, WANTED)
    )
    d = C.shape[0] if C.ndim else 0
    if C.shape not in ((d,), (d, d)) or not d or dim not in (None, d):
        if search is not None:
            raise ValueError(f"covariance is that of {d} parameters; this search has {dim}")
        n = "d" if dim is None else dim
        raise ValueError(
            f"covariance must be {WANTED}: of shape ({n}, {n}) or ({n},); got shape {C.shape}"
        )
    if not np.isfinite(C).all():
        raise ValueError("covariance must be finite; it has NaN or infinite entries")
    variances = C if C.ndim == 1 else C.diagonal()
    if not (variances > 0).all():
        i = int(np.argmin(variances))
        raise ValueError(
            f"covariance must have positive variances; that of x[{i}] is {variances[i]:g}"
        )
    deviations = np.sqrt(variances)
    return deviations, None if C.ndim == 1 else _correlations(C, deviations)


def searched(covariance):
    """Return the ES of a search, or of a result of one; None of anything else."""
    search = getattr(covariance, "es", covariance)  # of a result, or of a search with restarts
    search = getattr(search, "es", search)  # of a result of one with restarts
    return search if hasattr(search, "strategy") and hasattr(search, "state") else None


def _of_search(es):
    """Return the covariance (d, d) of a search, or the variances (d,) of one that has nothing
    else, with geometric mean 1. Coordinates that are fixed have the variance 1."""
    structure, state, domain = es.strategy.structure, es.state, es.strategy.domain
    d = structure.dim
    if structure.is_diagonal:
        std = to_numpy(state.scale * structure.deviations(state.factor))
        C = (std / np.exp(np.mean(np.log(std)))) ** 2
    else:
        if d > LARGEST:
            _refuse_large(d)
        C = covariance_of(structure, state._replace(sigma=1.0))
        C = C / exp(float(np.linalg.slogdet(C)[1]) / d)
    if not isinstance(domain, Fixed):
        return C
    indices, size = domain.free, domain.size
    full = np.ones(size) if C.ndim == 1 else np.eye(size)
    full[indices if C.ndim == 1 else np.ix_(indices, indices)] = C
    return full


def _correlations(C, deviations):
    """Return the correlations (d, d) of a covariance, exactly symmetric, after it was checked."""
    d = C.shape[0]
    if d > LARGEST:
        _refuse_large(d)
    R = C / np.outer(deviations, deviations)
    asymmetry = np.abs(R - R.T)
    if asymmetry.max() > 1e-6:
        i, j = np.unravel_index(int(asymmetry.argmax()), asymmetry.shape)
        raise ValueError(
            f"covariance must be symmetric; covariance[{i}, {j}] is {C[i, j]:g}, and "
            f"covariance[{j}, {i}] is {C[j, i]:g}"
        )
    R = (R + R.T) / 2
    np.fill_diagonal(R, 1.0)
    lowest = float(np.linalg.eigvalsh(R)[0])
    if not lowest > SINGULAR:
        raise ValueError(
            "covariance must be positive definite; the smallest eigenvalue of its correlations is "
            f"{lowest:.3g}. (A sample covariance of fewer than {d + 1} points is singular: add "
            "something to its diagonal.)"
        )
    return None if (np.eye(d) == R).all() else R


def _refuse_large(d):
    raise ValueError(
        f"covariance: a matrix is taken for up to {LARGEST} parameters, because it costs d³; for "
        f"{d} of them give the variances ({d},)"
    )


# -- the steps ------------------------------------------------------------------------------------


def _nearest(structure, T, precision):
    """Return the factor of NumPy arrays of the nearest B with |det B| = 1, and the geometric mean
    of the standard deviations. A matrix that is not positive definite in floating point is made
    so."""
    d, sign = structure.dim, -1 if precision else 1
    values, vectors = np.linalg.eigh(T / (unit := float(np.abs(T).max())))
    values = np.maximum(values, values[-1] * 1e-15)
    if structure.has_any_matrix:
        middle = float(np.mean(np.log(values)))
        roots = np.exp(sign * 0.5 * (middle - np.log(values)))
        factor = structure.factor_of((vectors * roots) @ vectors.T)
        return factor, (exp(middle) * unit) ** (sign / 2)
    largest = values[-1] * unit
    rows = (vectors * np.sqrt(d * values / values[-1])).T  # their second moments are T / largest
    factor = _descended(structure, structure.identity(np, np.float64), rows, precision)
    volume = sign * structure.logdet(factor) / d
    factor = _descended(structure, factor, exp(volume) * rows, precision)
    return factor, (largest**0.5 * exp(-volume)) ** sign


def _descended(structure, factor, rows, precision):
    """Return the factor at the end of the steps from `factor`, for rows (d, d) whose second
    moments are the covariance, or the precision."""
    d = structure.dim
    w = np.full(d, (-1 if precision else 1) / d)
    rate, last_cost = 1.0, inf
    Z, cost = _cost(structure, factor, rows, precision)
    for step in range(1, STEPS + 1):
        M = structure.tangent_at(factor, Z, w)
        norm = float(structure.norm(M))
        if norm * norm < NEAR * d:
            break
        if step % LOOK == 0:
            if last_cost - cost < GAIN * d:
                break
            last_cost = cost
        while rate > 1e-6:
            candidate = structure.retract(
                factor, structure.scale(M, rate * min(1.0, d**0.5 / norm))
            )
            trial, trial_cost = _cost(structure, candidate, rows, precision)
            if trial_cost <= cost + 1e-14 * abs(cost):
                factor, Z, cost = candidate, trial, trial_cost
                rate = min(1.0, 1.5 * rate)
                break
            rate /= 2
        else:
            break
    return factor


def _cost(structure, factor, rows, precision):
    """Return the local coordinates of the rows, and what is minimised: inf where it cannot be
    worked out."""
    try:
        if precision:
            Z, volume = structure.whiten_gradient(factor, rows), -structure.logdet(factor)
        else:
            Z, volume = structure.whiten(factor, rows), structure.logdet(factor)
    except (OverflowError, np.linalg.LinAlgError):  # of Toeplitz, whose inverse may blow up
        return None, inf
    cost = 0.5 * float(np.sum(Z * Z)) / structure.dim - volume
    return Z, cost if cost == cost else inf


def _divergence(structure, state, C):
    """Return KL(N(0, C) ‖ the distribution of the state), up to a constant."""
    B = to_numpy(structure.to_dense(state.factor))
    B = B / to_numpy(state.sigma * state.scale)[:, None]
    return 0.5 * float(np.sum(B * (C @ B))) - float(np.linalg.slogdet(B)[1])


def _of_library(factor, xp):
    """Return a tuple of NumPy arrays, and of tuples of them, as arrays of the library xp."""
    if isinstance(factor, tuple):
        parts = [_of_library(part, xp) for part in factor]
        return type(factor)(*parts) if hasattr(factor, "_fields") else tuple(parts)
    return factor if xp is np else xp.asarray(factor)
