"""Laws of the object, of its sizes, and of B: the identity, samples, whitening, gradients."""

from __future__ import annotations

import pickle
from dataclasses import fields
from math import inf

import numpy as np

from ..arrays.libraries import mapped
from ..naming.error_text import brief
from ..structures.base import Structure
from ..structures.building import build_structure, spec_of
from .case import Case, LawError, close, leaves, true


def description(case: Case) -> None:
    """It is a frozen value: equal and hashed by its arguments, which make it again."""
    s, name = case.structure, type(case.structure).__name__
    copy = type(s)(**{f.name: getattr(s, f.name) for f in fields(s) if f.init})
    true(
        f"{name} made again of its fields is another one: is it a dataclass(frozen=True)?",
        copy == s and hash(copy) == hash(s),
    )
    try:
        type(s).__setattr__(s, "dim", s.dim)
    except AttributeError:
        pass
    else:
        raise LawError(f"{name} can be changed: it must be a dataclass(frozen=True)")
    try:
        copy = pickle.loads(pickle.dumps(s))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise LawError(
            f"{name} cannot be pickled, as workers and checkpoints need it: {error} (is the class "
            "at the top level of a module?)"
        ) from error
    true(f"{name} unpickled is another one", copy == s and hash(copy) == hash(s))
    spec = spec_of(s)
    repeated = build_structure(spec, s.dim)
    true(
        f"{name}: arguments() make another one: {brief(spec)} gives {brief(repeated)}",
        repeated == s,
    )


def sizes(case: Case) -> None:
    """Numbers of degrees of freedom, latent dimension and parameter groups fit each other."""
    s, d = case.structure, case.dim
    true(f"dof must be an integer from 1 to {d * (d + 1) // 2}; got {s.dof}", _whole(s.dof))
    true(
        f"dof must be an integer from 1 to {d * (d + 1) // 2}; got {s.dof}",
        1 <= s.dof <= d * (d + 1) // 2,
    )
    true(f"row must be a positive number; got {s.row}", 0 < s.row < inf)
    N = s.noise_dim
    fits = d == N if s.is_group else d <= N
    true(f"noise_dim must be dim {d} (of a group), or more; got {N}", _whole(N) and fits)
    groups = isinstance(s.parts, tuple) and len(s.parts) > 0 and all(p > 0 for p in s.parts)
    true(f"parts must be a tuple of positive numbers; got {brief(s.parts)}", groups)
    path = s.path_parts is None or len(s.path_parts) == len(s.parts)
    true(f"path_parts must have one entry for each of {len(s.parts)} parts", path)


def _whole(x):
    return isinstance(x, int) and not isinstance(x, bool)


# -- the group ------------------------------------------------------------------------------------


def identity(case: Case) -> None:
    """Its bits are always the same; of a group `to_dense` of it is I, bit for bit."""
    s, first = case.structure, case.identity
    repeated = s.identity(case.xp, case.xp.float64)
    for a, b in zip(leaves(first), leaves(repeated), strict=True):
        is_equal = np.array_equal(case.numpy(a), case.numpy(b))
        true("identity(xp, dtype) gives other numbers the second time", is_equal)
    if s.is_group:
        B, eye = case.B(first), np.eye(case.dim)
        true(
            "to_dense(identity(xp, dtype)) must be I, bit for bit; it is off by "
            f"{np.abs(B - eye).max() if B.shape == eye.shape else B.shape}",
            np.array_equal(B, eye),
        )
    for dtype in ("float64", "float32"):
        for a in leaves(s.identity(case.xp, getattr(case.xp, dtype))):
            actual = str(a.dtype)
            true(f"identity(xp, {dtype}) has an array of {actual}", actual.endswith(dtype))
    shapes = [a.shape for a in leaves(s.blank())], [a.shape for a in leaves(first)]
    true(f"blank() has shapes {shapes[0]}, identity() {shapes[1]}", shapes[0] == shapes[1])


def samples(case: Case) -> None:
    """unwhiten is linear, y = A z, and A Aᵀ = (B Bᵀ)⁻¹; of a group A = B⁻ᵀ."""
    s, A, B = case.structure, case.A(), case.B()
    close("covariance A Aᵀ of unwhiten against (B Bᵀ)⁻¹", A @ A.T, np.linalg.inv(B @ B.T))
    if s.is_group:
        close("unwhiten against B⁻ᵀ of to_dense", A, np.linalg.inv(B).T)
    Z = case.normals(3, s.noise_dim)
    actual = case.numpy(s.unwhiten(case.factor, Z))
    close("unwhiten of rows against that of unit vectors", actual, case.numpy(Z) @ A.T)


def whitening(case: Case) -> None:
    """whiten gives the shortest z that makes y; of a group z = Bᵀ y."""
    s, A = case.structure, case.A()
    Y = case.normals(3)
    Z = s.whiten(case.factor, Y)
    y, z = case.numpy(Y), case.numpy(Z)
    close("whiten against the shortest z with A z = y", z, y @ np.linalg.pinv(A).T)
    if s.is_group:
        close("whiten against Bᵀ y of to_dense", z, y @ case.B())
    restored = case.numpy(s.unwhiten(case.factor, case.freeze(Z)))
    close("unwhiten(whiten(Y)) against Y", restored, y)


def gradients(case: Case) -> None:
    """whiten_gradient is Aᵀ g, unwhiten_gradient is the transpose of whiten."""
    s, A = case.structure, case.A()
    G = case.normals(3)
    local = s.whiten_gradient(case.factor, G)
    close("whiten_gradient against Aᵀ g (of a group B⁻¹ g)", case.numpy(local), case.numpy(G) @ A)
    H = case.normals(3, s.noise_dim)
    actual = case.numpy(s.unwhiten_gradient(case.factor, H))
    expected = case.numpy(H) @ np.linalg.pinv(A)
    close("unwhiten_gradient against the transpose of whiten (of a group B g)", actual, expected)
    restored = case.numpy(s.unwhiten_gradient(case.factor, case.freeze(local)))
    close("unwhiten_gradient(whiten_gradient(G)) against G", restored, case.numpy(G))


def _is_invertible(case: Case, factor: tuple) -> bool:
    try:
        return bool(np.isfinite(np.linalg.slogdet(case.B(factor))[1]))
    except np.linalg.LinAlgError:
        return False


def numbers(case: Case) -> None:
    """Every number of the factor is moved by natural gradients.

    They have no antisymmetric part (a rotation of z is the same distribution), so that numbers
    which only rotate stay where they are. Nothing could be said of them here, and a search has no
    use for them. This is looked at where B is linear in its numbers and `tangent` is left to d×d
    matrices; others may keep zeros in their arrays.
    """
    kind = type(case.structure)
    is_linear = kind.tangent is Structure.tangent and kind.support is Structure.support
    if not (is_linear and case.structure.is_group):
        return
    pairs = zip(leaves(case.identity), leaves(case.factor), strict=True)
    still = [case.numpy(a) == case.numpy(b) for a, b in pairs]
    count, total = sum(int(part.sum()) for part in still), sum(part.size for part in still)
    true(
        f"{count} of the {total} numbers of the factor are never moved by a natural gradient: "
        "they only rotate, or B does not depend on them. Leave them out of the factor",
        count == 0,
    )


def determinant(case: Case) -> None:
    """logdet is log |det B|, and says whether B is invertible."""
    s = case.structure
    close(
        "logdet against slogdet of to_dense", s.logdet(case.factor), np.linalg.slogdet(case.B())[1]
    )
    true("is_element must hold for an element", s.is_element(case.factor))
    zeros = case.freeze(mapped(lambda a: 0 * a, case.factor))
    with np.errstate(all="ignore"):
        is_wrong = s.is_element(zeros) and not _is_invertible(case, zeros)
    true("is_element must not hold for a factor of zeros, where B is singular", not is_wrong)


def spread(case: Case) -> None:
    """deviations and condition are those of (B Bᵀ)⁻¹."""
    s, B = case.structure, case.B()
    C = np.linalg.inv(B @ B.T)
    actual = case.numpy(s.deviations(case.factor))
    close("deviations against √diag (B Bᵀ)⁻¹", actual, np.sqrt(np.diag(C)))
    expected, actual = np.linalg.cond(C), s.condition(case.factor)
    # power iteration is a lower bound; elements here have no far ends
    is_bound = 0.7 * expected <= actual <= expected * (1 + 1e-8)
    true(f"condition {actual:.6g} must lie between 0.7 and 1 times {expected:.6g}", is_bound)
