"""Laws of the tangent space, and of the natural gradient in it."""

from __future__ import annotations

import numpy as np

from .case import Case, close, true


def linear_space(case: Case) -> None:
    """add, scale, shift, norm and trace are those of M as a matrix."""
    s, N = case.structure, case.tangent(7)
    for M in case.tangents():
        m, eye = case.M(M), np.eye(s.noise_dim)
        close("add against M + N", case.M(s.add(M, N)), m + case.M(N))
        close("scale by a number", case.M(s.scale(M, -2.5)), -2.5 * m)
        close("shift against M − 0.7 I", case.M(s.shift(M, -0.7)), m - 0.7 * eye)
        for tangent in (M, s.add(M, N), s.scale(M, 3.0), s.shift(M, 0.2)):
            norm, trace = float(s.norm(tangent)), float(s.trace(tangent))
            close("norm against the Frobenius norm", norm, np.linalg.norm(case.M(tangent)))
            if s.is_group:
                close("trace against that of the matrix", trace, np.trace(case.M(tangent)))
    M = case.tangent()

    def volume(eps):
        return s.logdet(s.retract(case.factor, s.scale(M, eps)))

    slope = (volume(1e-5) - volume(-1e-5)) / 2e-5
    close("trace against the change of ln |det B|", float(s.trace(M)), slope, 1e-8, 1e-5)


def parameter_groups(case: Case) -> None:
    """scale by one rate for each parameter group; the groups add up to the whole."""
    s, n = case.structure, len(case.structure.parts)
    units = [tuple(float(p == q) for q in range(n)) for p in range(n)]
    rates = tuple(1 + 0.5 * p for p in range(n))
    for M in (case.tangent(2), case.tangent(4)):
        identical = case.M(s.scale(M, (0.5,) * n))
        close("scale by the same rate for all parts", identical, 0.5 * case.M(M))
        if not s.is_group:
            continue
        pieces = [case.M(s.scale(M, unit)) for unit in units]
        close("the sum of the parts against M", sum(pieces), case.M(M))
        expected = sum(rate * piece for rate, piece in zip(rates, pieces, strict=True))
        close("scale by a rate for each of the parts", case.M(s.scale(M, rates)), expected)
        eye = s.shift(s.scale(M, 0.0), 1.0)
        pieces = [case.M(s.scale(eye, unit)) for unit in units]
        for p, piece in enumerate(pieces):
            whole = np.diag(piece.diagonal().round())
            close(f"part {p} of the identity, which holds whole coordinates", piece, whole)
        true("the last of the parts must hold the identity", pieces[-1].any())


def linearity(case: Case) -> None:
    """The tangent of samples together is the sum of their tangents; weight 0 adds nothing."""
    s, xp, (Z, w), (X, v) = case.structure, case.xp, case.samples(), case.samples(6)

    def tangent(Z, w):
        return s.tangent_at(case.factor, case.freeze(Z), case.freeze(w))

    whole = case.M(tangent(xp.concat([Z, X]), xp.concat([w, v])))
    close("tangent of all samples against add", case.M(s.add(tangent(Z, w), tangent(X, v))), whole)
    # few samples and many, of which all but those few weigh nothing: the tangent may be kept in
    # another form, and must do the same
    extra = case.samples(3 * case.dim)[0]
    no_weights = xp.zeros(3 * case.dim, dtype=w.dtype)
    rates = tuple(0.1 / (1 + p) for p in range(len(s.parts)))
    for n in (2, 4):
        Z, w = case.samples(n)
        padded, plain = tangent(xp.concat([Z, extra]), xp.concat([w, no_weights])), tangent(Z, w)
        close("tangent with samples of weight 0", case.M(padded), case.M(plain))
        for rate in (0.1, rates):
            actual, expected = (s.retract(case.factor, s.scale(M, rate)) for M in (padded, plain))
            close("retract along it", case.B(actual), case.B(expected))


def natural_gradient(case: Case) -> None:
    """⟨M + Mᵀ, D⟩ = −⟨G, D⟩ for every D of the tangent space, whose metric is 2⟨sym, sym⟩."""
    if not case.structure.is_group:
        return
    Z, w = case.samples()
    z, weights = case.numpy(Z), case.numpy(w)
    G = (z.T * weights) @ z - weights.sum() * np.eye(case.dim)
    M = case.M(case.structure.tangent_at(case.factor, Z, w))
    for _ in range(2 * case.dim):
        D = case.M(case.tangent(case.dim + 2))
        close(
            "⟨M + Mᵀ, D⟩ of tangent against −⟨G, D⟩", np.sum((M + M.T) * D), -np.sum(G * D), 1e-9
        )


def pairs(case: Case) -> None:
    """tangent_of_pairs is the natural gradient of Σ w sym(z uᵀ), without an identity."""
    s, (Z, w), (U, _) = case.structure, case.samples(), case.samples()
    M = case.M(s.tangent_of_pairs(case.factor, Z, U, w))
    swapped = case.M(s.tangent_of_pairs(case.factor, U, Z, w))
    close("tangent_of_pairs(Z, U) against (U, Z)", swapped, M)
    squares = case.M(s.tangent_of_pairs(case.factor, Z, Z, w))
    zero_rows = case.freeze(0 * Z)
    expected = (case.M(s.tangent_at(case.factor, X, w)) for X in (Z, zero_rows))
    close(
        "tangent_of_pairs(Z, Z) against tangent without its identity",
        squares,
        np.subtract(*expected),
    )
    if s.is_group:
        z, u, weights = map(case.numpy, (Z, U, w))
        G = (z.T * weights) @ u
        for _ in range(2 * case.dim):
            D = case.M(case.tangent(case.dim + 2))
            expected = -np.sum((G + G.T) * D) / 2
            close("⟨M + Mᵀ, D⟩ of tangent_of_pairs", np.sum((M + M.T) * D), expected, 1e-9)


def degrees_of_freedom(case: Case) -> None:
    """dof is the dimension of the covariances: the rank of sym D over the tangent space."""
    if not case.structure.is_group:
        return
    D = np.array([case.M(case.tangent(2)) for _ in range(case.structure.dof + 2)])
    sym = (D + D.transpose(0, 2, 1)).reshape(len(D), -1)
    rank, dof = int(np.linalg.matrix_rank(sym, rtol=1e-9)), case.structure.dof
    true(f"dof is {dof}; the tangent space has {rank} dimensions", rank == dof)


def likelihood(case: Case) -> None:
    """The tangent is the gradient of the weighted log likelihood: a step along it ascends."""
    s, (Z, w) = case.structure, case.samples()
    Y = case.freeze(s.unwhiten(case.factor, Z))
    M = s.tangent_at(case.factor, Z, w)

    def slope(D, eps=1e-5):
        def log_likelihood(eps):
            factor = s.retract(case.factor, s.scale(D, eps))
            z = case.numpy(s.whiten(factor, Y))
            return case.numpy(w) @ (s.logdet(factor) - np.sum(z * z, axis=1) / 2)

        return (log_likelihood(eps) - log_likelihood(-eps)) / (2 * eps)

    size = np.sum(case.M(M) ** 2)
    gain = slope(M)
    true(f"a step along M must ascend; its slope is {gain:.3g}", gain > 0 or size < 1e-18)
    if s.is_group:
        D = case.tangent()
        m, d = case.M(M), case.M(D)
        expected = np.sum((m + m.T) * (d + d.T)) / 2
        close(
            "slope of the log likelihood against 2⟨sym M, sym D⟩", slope(D), expected, 1e-8, 1e-6
        )


def fisher_metric(case: Case) -> None:
    """The exact divergence of a small step along D is ‖sym D‖²: the metric of the gradient."""
    if not case.structure.is_group:
        return
    D, eps, S = case.tangent(), 1e-3, case.B() @ case.B().T

    def divergence(eps):
        moved = case.B(case.structure.retract(case.factor, case.structure.scale(D, eps)))
        ratio = np.linalg.solve(S, moved @ moved.T)
        return 0.5 * (np.trace(ratio) - case.dim - np.linalg.slogdet(ratio)[1])

    d = case.M(D)
    actual = (divergence(eps) + divergence(-eps)) / (2 * eps**2)  # odd terms cancel
    close("divergence of a step against ‖sym D‖²", actual, np.sum((d + d.T) ** 2) / 4, 1e-7, 1e-4)
