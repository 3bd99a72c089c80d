"""Linear algebra that the array API standard lacks, or that every library spells in its own way.

This is the only file that names `scipy.linalg` or `cupyx`; both are imported where they are used,
because `import structes` must stay light and because `import cupyx.scipy.linalg` fails on a
machine without CUDA.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np

from .libraries import namespace
from .scalars import number
from .tiles import tiles


def solve_triangular(a, b, *, lower: bool, trans: bool = False):
    """Return the solution of a x = b (or aᵀ x = b with `trans`) for triangular a (d, d), b (d,
    n)."""
    if isinstance(a, np.ndarray):
        # not LAPACK's trtrs, which wakes all of OpenBLAS' threads for d = 5: where another process
        # is at work that takes 8 ms in place of 3 µs. Fortran sees aᵀ, and b or bᵀ
        trsm = load_fortran().strsm if a.dtype == b.dtype == np.float32 else load_fortran().dtrsm
        if b.flags.f_contiguous:
            return trsm(1.0, a.T, b, lower=not lower, trans_a=not trans)
        return trsm(1.0, a.T, b.T, side=1, lower=not lower, trans_a=trans).T
    xp = namespace(a)
    if xp.__name__.endswith("cupy"):
        from cupyx.scipy.linalg import solve_triangular as solve

        return solve(a, b, lower=lower, trans=int(trans), check_finite=False)
    return xp.linalg.solve(xp.matrix_transpose(a) if trans else a, b)


def solve_positive(a, b):
    """Return the solution of a x = b for symmetric positive definite a (d, d), b (d, n)."""
    if isinstance(a, np.ndarray) and a.dtype == np.float64:
        _, x, failed = load_fortran().dposv(a, b)  # a fifth of np.linalg.solve's time at d = 10
        if not failed:
            return x
    return namespace(a).linalg.solve(a, b)


def scaled_rank_update(a, scale, y, p):
    """Return a scale + yᵀ p for a (d, d), y and p (r, d), where scale is a number or (d,) of
    columns."""
    a = a * scale
    if isinstance(a, np.ndarray) and a.dtype == np.float64 and a.flags.c_contiguous:
        return load_fortran().dgemm(1.0, p.T, y.T, beta=1.0, c=a.T, trans_b=1, overwrite_c=1).T
    a += y.T @ p
    return a


def orthonormal_rows(z) -> np.ndarray:
    """Return orthonormal rows that span, one after the other, the same as those of z (n, d), n ≤
    d, and point to the same side (Gram–Schmidt, by QR). NumPy only, and a quarter of the time of
    np.linalg.qr where n and d are small."""
    packed, tau, _, _ = load_fortran().dgeqrf(z.T)
    q, _, _ = load_fortran().dorgqr(packed, tau)
    return (q * np.copysign(1.0, packed.diagonal())).T


@cache
def load_fortran():
    """Return routines of LAPACK and BLAS, imported when they are first needed."""
    from scipy.linalg import blas, lapack

    return SimpleNamespace(
        dposv=lapack.dposv,
        dgeqrf=lapack.dgeqrf,
        dorgqr=lapack.dorgqr,
        dgemm=blas.dgemm,
        dtrsm=blas.dtrsm,
        strsm=blas.strsm,
    )


def symmetric_exponential(a):
    """Return exp(a) of a symmetric matrix a (…, d, d), or a stack of them."""
    xp = namespace(a)
    values, vectors = xp.linalg.eigh(a)
    return (vectors * xp.exp(values)[..., None, :]) @ xp.matrix_transpose(vectors)


def symmetric_root(a):
    """Return the symmetric root of a symmetric positive definite matrix a (…, d, d), or a
    stack."""
    xp = namespace(a)
    values, vectors = xp.linalg.eigh(0.5 * (a + xp.matrix_transpose(a)))
    return (vectors * xp.sqrt(values)[..., None, :]) @ xp.matrix_transpose(vectors)


def weighted_squares(Z, w):
    """Return Σ_k w_k z_k² by coordinate: (d,) of Z (n, d), w (n,)."""
    total = None
    for t in tiles(Z):
        part = w[t] @ (Z[t, :] * Z[t, :])
        total = part if total is None else total + part
    return total


def trace(a):
    """Return the trace of a (d, d); the method is three times as fast as the function where d is
    small."""
    return number(a.trace() if isinstance(a, np.ndarray) else namespace(a).linalg.trace(a))


def total(a):
    """Return the sum of all elements; the method is faster, as for `trace`."""
    return a.sum() if isinstance(a, np.ndarray) else namespace(a).sum(a)


def add_to_diagonal(a, value):
    """Return a + value I (or + diag(value)) for a square `a` that the caller has made and gives
    away."""
    if hasattr(a, "flags") and (a.flags.c_contiguous or a.flags.f_contiguous):  # NumPy, CuPy
        diagonal = a.ravel(order="A")[:: a.shape[0] + 1]  # a view
        diagonal += value
        return a
    return a + value * namespace(a).eye(a.shape[0], dtype=a.dtype)


def scale_parts(a, coupling: float, diagonal: float):
    """Return `a` (…, d, d) with its diagonal times `diagonal` and all else times `coupling`."""
    if isinstance(a, np.ndarray) and a.ndim == 2:
        return add_to_diagonal(coupling * a, (diagonal - coupling) * a.diagonal())
    eye = namespace(a).eye(a.shape[-1], dtype=a.dtype)
    return a * (coupling + (diagonal - coupling) * eye)
