"""Laws of the retraction, of the paths that follow it, and of what only some structures can do."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, log2

import numpy as np

from ..arrays.libraries import mapped
from .case import LENGTH, Case, close, h, leaves, true

ROUNDING = 1e-12  # a difference from B h(M) that is smaller says nothing of its order
SLACK = 0.25  # by which a measured order may differ from the stated one


def retraction(case: Case) -> None:
    """dense(retract(B, M)) = B h(M), exactly or to the order that the structure states."""
    s, B = case.structure, case.B()
    still = s.scale(case.tangent(), 0.0)
    B_after = case.B(s.retract(case.factor, still))
    close("B Bᵀ after retract along 0", B_after @ B_after.T, B @ B.T)
    if not s.is_group:
        moved = case.B(s.retract(case.factor, s.shift(still, -0.2)))
        close(
            "B Bᵀ after retract along −0.2 I",
            moved @ moved.T,
            h(np.array([[-0.2]])) ** 2 * B @ B.T,
        )
        return
    if s.retraction_order == inf:
        for M in case.tangents():
            actual = case.B(s.retract(case.factor, M))
            close("dense(retract(B, M)) against B h(M)", actual, B @ h(case.M(M)))
        return
    order = measured_order(case)
    true(
        f"retract differs from B h(M) in terms of order {order:.2f}; the structure states "
        f"retraction_order {s.retraction_order:g} (tolerance {SLACK})",
        order >= s.retraction_order - SLACK,
    )


def measured_order(case: Case) -> float:
    """The order p of what retract leaves of B h(M): ‖H⁻¹ B⁻¹ B'B'ᵀ B⁻ᵀ H⁻ᵀ − I‖ ∝ ‖M‖^p with
    H = h(M), over a range of ‖M‖; inf where nothing is left."""
    s, inverse = case.structure, np.linalg.inv(case.B())

    def left_over(M, size):
        M = s.scale(M, size)
        R = np.linalg.solve(h(case.M(M)), inverse @ case.B(s.retract(case.factor, M)))
        return np.linalg.norm(R @ R.T - np.eye(case.dim))

    order = inf
    for M in case.tangents():
        M = s.scale(M, LENGTH / max(float(s.norm(M)), LENGTH))
        errors = [left_over(M, 2.0**-k) for k in range(5)]
        errors = [e for e in errors if e > ROUNDING * case.dim]
        if len(errors) > 1:
            order = min(order, log2(errors[-2] / errors[-1]))
    return order


def stated_order_is_reached(cases: Sequence[Case]) -> None:
    """Somewhere the retraction differs from B h(M) in terms of the order that is stated: a
    structure must not promise less than it keeps."""
    stated = [c.structure.retraction_order for c in cases if c.structure.is_group]
    if not stated or min(stated) == inf:
        return
    order = min(measured_order(c) for c in cases if c.structure.is_group)
    true(
        f"retraction_order {min(stated):g} is understated: at dims {[c.dim for c in cases]} "
        f"retract differs from B h(M) in terms of order {order:.2f}",
        order <= min(stated) + SLACK,
    )


def transport(case: Case) -> None:
    """A path is the same vector after the step: unwhiten(B', transport(M, q)) = unwhiten(B, q)."""
    s = case.structure
    for M in case.tangents():
        Q, _ = case.samples(3)
        next_factor = case.freeze(s.retract(case.factor, M))
        expected = case.numpy(s.unwhiten(case.factor, Q))
        moved = s.transport(M, Q)
        actual = case.numpy(s.unwhiten(next_factor, case.freeze(moved)))
        close("unwhiten(retract(B, M), transport(M, q)) against unwhiten(B, q)", actual, expected)
        alone = case.numpy(s.transport(M, Q[0, :]))
        close("transport of a vector (d,) against that of rows", alone, case.numpy(moved)[0])
        factor, path = s.move(case.factor, M, Q)
        close("the factor of move against retract", case.B(factor), case.B(next_factor))
        close("the path of move against transport", case.numpy(path), case.numpy(moved))


def known_samples(case: Case) -> None:
    """A tangent that knows y of some of its samples retracts as one that does not."""
    s = case.structure
    for n, count in ((2, 1), (2, 2), (4, 1), (4, 3), (4, 4)):
        Z, w = case.samples(n)
        M, Y = s.tangent_at(case.factor, Z, w), s.unwhiten(case.factor, Z)
        expected = case.B(s.retract(case.factor, M))
        actual = s.retract(case.factor, s.with_samples(M, case.freeze(Y[:count, :])))
        close("retract of with_samples(M, Y)", case.B(actual), expected)


def capabilities(case: Case) -> None:
    """What a structure says that it can do, it does."""
    s, (Z, w) = case.structure, case.samples()
    if s.is_diagonal:
        squares, weight = w @ (Z * Z), case.xp.sum(w)
        actual = case.M(s.tangent_of_squares(case.freeze(squares), weight))
        close(
            "tangent_of_squares against tangent", actual, case.M(s.tangent_at(case.factor, Z, w))
        )
        B = case.B()
        close("is_diagonal: B", B, np.diag(np.diag(B)))
    if s.is_entrywise:
        (b,), (m,) = case.factor, case.tangent()
        close("is_entrywise: B", case.B(), np.diag(case.numpy(b)))
        close("is_entrywise: M", case.M((m,)), np.diag(case.numpy(m)))
    if s.moves_straight:
        M = case.tangent()
        A, B = np.linalg.inv(case.B()).T, case.B(s.retract_straight(case.factor, M))
        covariance = np.linalg.inv(B @ B.T)
        close("retract_straight: covariance", covariance, A @ (A.T - 2 * case.M(M) @ A.T))
        close("retract_straight: B is symmetric", B, B.T)
    if s.has_any_matrix:
        B = np.eye(case.dim) + 0.3 * case.numpy(case.normals(case.dim))
        close("has_any_matrix: to_dense(factor_of(B))", case.B(s.factor_of(case.array(B))), B)


def exponential(case: Case) -> None:
    """dense(retract_exp(B, M)) = B exp(M), and transport_exp(M, q) there is the y of q at B."""
    s = case.structure
    if not s.has_exponential:
        return
    first, *_, last = case.tangents()
    for M in (first, last):
        Q, _ = case.samples(3)
        next_factor = case.freeze(s.retract_exp(case.factor, M))
        B = case.B(next_factor)
        close("dense(retract_exp(B, M)) against B exp(M)", B, case.B() @ _exp(case.M(M)))
        moved = s.transport_exp(M, Q)
        expected = case.numpy(s.unwhiten(case.factor, Q))
        actual = case.numpy(s.unwhiten(next_factor, case.freeze(moved)))
        close("unwhiten(retract_exp(B, M), transport_exp(M, q))", actual, expected)
        alone = case.numpy(s.transport_exp(M, Q[0, :]))
        close("transport_exp of a vector (d,)", alone, case.numpy(moved)[0])


def _exp(M):
    """Exponential of a NumPy matrix with a norm below 4."""
    M, term = M / 16, np.eye(len(M))
    total = term
    for n in range(1, 16):
        term = term @ M / n
        total = total + term
    return np.linalg.matrix_power(total, 16)


def precision(case: Case) -> None:
    """Candidates and tangents of float32 are float32, and right to its digits."""
    s, (Z, w) = case.structure, case.samples()
    lower = mapped(lambda a: case.array(case.numpy(a), "float32"), case.factor)
    z, v = (case.array(case.numpy(a), "float32") for a in (Z, w))
    pairs = {
        "unwhiten": (s.unwhiten(lower, z), s.unwhiten(case.factor, Z)),
        "tangent": (s.tangent_at(lower, z, v), s.tangent_at(case.factor, Z, w)),
    }
    for name, (actual, expected) in pairs.items():
        for array in leaves(actual):
            kind = str(getattr(array, "dtype", "float32"))
            true(f"{name} of float32 has an array of {kind}", kind.endswith("float32"))
        if name == "tangent":
            actual, expected = case.M(actual), case.M(expected)
        close(f"{name} of float32", case.numpy(actual), case.numpy(expected), 1e-4)
