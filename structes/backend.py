"""Where NumPy and CuPy differ, and nowhere else.

The rest of structes is written against the array API standard: it asks an array for its
namespace and calls what the standard names. The few operations that the standard lacks, or that
every library spells in its own way, live here. This is the only file that names `scipy.linalg`
or `cupyx`; both are imported where they are used, because `import structes` must stay light and
because `import cupyx.scipy.linalg` fails on a machine without CUDA.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager, nullcontext
from functools import cache, lru_cache
from threading import current_thread, main_thread
from types import SimpleNamespace

import numpy as np

from .registry import brief

_SHORT = 16, 512  # dimensions from and up to which BLAS has one thread (below it takes one itself)

BACKENDS = ("numpy", "cupy", "array_api_strict")


def namespace(x):
    """Array API namespace of the array `x` (NumPy itself, CuPy through array-api-compat, …)."""
    if isinstance(x, np.ndarray):
        return np
    if hasattr(x, "__array_namespace__"):
        return x.__array_namespace__()
    import array_api_compat  # CuPy 14 has no __array_namespace__; comes with the gpu extras

    return array_api_compat.array_namespace(x)


def load_namespace(name: str):
    """Array API namespace called `name`, one of `BACKENDS`.

    Raises ValueError for an unknown name, ImportError, with the line that installs it, for a
    library that is missing, and RuntimeError where it has no device.
    """
    if name == "numpy":
        return np
    if name == "cupy":
        try:
            import array_api_compat.cupy as xp
        except ImportError as error:
            raise ImportError(
                "backend 'cupy' needs CuPy: pip install 'structes[gpu-cuda12]' (or gpu-cuda13)"
            ) from error
        import cupy

        if not cupy.cuda.is_available():
            raise RuntimeError(
                "backend 'cupy' needs a CUDA device, and none answers: CuPy is installed, so is "
                "there a GPU, a driver, and a free CUDA_VISIBLE_DEVICES?"
            )
        return xp
    if name == "array_api_strict":
        import array_api_strict

        return array_api_strict
    raise ValueError(f"backend must be one of {', '.join(BACKENDS)}; got {brief(name)}")


@cache
def blas_threads() -> int:
    """Threads that products of matrices have in this process (OMP_NUM_THREADS)."""
    from threadpoolctl import threadpool_info  # here, not above: few searches need it

    pools = (pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
    return max(pools, default=1)


@lru_cache(maxsize=1)
def _blas(modules: int) -> list:
    """What sets the threads of BLAS' libraries; they are looked for where there are other modules
    than before."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers


@contextmanager
def limited_blas(threads: int):
    """Context in which BLAS has so many threads. (threadpoolctl's own looks for the libraries
    every time, which takes a millisecond.)"""
    libraries = _blas(len(sys.modules))
    before = [library.get_num_threads() for library in libraries]
    try:
        for library in libraries:
            library.set_num_threads(threads)
        yield
    finally:
        for library, number in zip(libraries, before, strict=True):
            library.set_num_threads(number)


def one_thread():
    """Context in which products of matrices have one thread, as they have in workers: an
    objective that multiplies gives the same bits here."""
    return nullcontext() if blas_threads() == 1 else limited_blas(1)


def single_threaded(function, dim: int, *arguments):
    """function(*arguments), which does linear algebra in `dim` dimensions. Where that is short
    work BLAS is kept from sharing it among threads: to wake them costs more, and where another
    process is at work up to a hundred times as much. And then the bits do not depend on how many
    there are.

    In the main thread only: the setting is one for all, and threads would take it from each other.
    """
    short = _SHORT[0] <= dim < _SHORT[1] and blas_threads() > 1
    if not short or current_thread() is not main_thread():
        return function(*arguments)
    _fortran()  # SciPy's library is there from the first time on
    with limited_blas(1):
        return function(*arguments)


def is_array(x, xp) -> bool:
    """Is x an array of the library xp?"""
    return isinstance(x, type(xp.empty(0)))


def to_numpy(x) -> np.ndarray:
    """`x` as a NumPy array on the host; a NumPy array comes back as it is."""
    if isinstance(x, np.ndarray):
        return x
    if hasattr(x, "__cuda_array_interface__"):  # CuPy's, or an array of another library on a GPU
        import cupy

        return cupy.asarray(x).get()
    return np.from_dlpack(x) if hasattr(x, "__dlpack__") else np.asarray(x)


def solve_triangular(a, b, *, lower: bool, trans: bool = False):
    """Solution of a x = b (or aᵀ x = b with `trans`) for triangular a (d, d), b (d, n)."""
    if isinstance(a, np.ndarray):
        # not LAPACK's trtrs, which wakes all of OpenBLAS' threads for d = 5: where another process
        # is at work that takes 8 ms in place of 3 µs. Fortran sees aᵀ, and b or bᵀ
        trsm = _fortran().strsm if a.dtype == b.dtype == np.float32 else _fortran().dtrsm
        if b.flags.f_contiguous:
            return trsm(1.0, a.T, b, lower=not lower, trans_a=not trans)
        return trsm(1.0, a.T, b.T, side=1, lower=not lower, trans_a=trans).T
    xp = namespace(a)
    if xp.__name__.endswith("cupy"):
        from cupyx.scipy.linalg import solve_triangular as solve

        return solve(a, b, lower=lower, trans=int(trans), check_finite=False)
    return xp.linalg.solve(xp.matrix_transpose(a) if trans else a, b)


def solve_positive(a, b):
    """Solution of a x = b for symmetric positive definite a (d, d), b (d, n)."""
    if isinstance(a, np.ndarray) and a.dtype == np.float64:
        _, x, failed = _fortran().dposv(a, b)  # a fifth of np.linalg.solve's time at d = 10
        if not failed:
            return x
    return namespace(a).linalg.solve(a, b)


def scaled_rank_update(a, scale, y, p):
    """a scale + yᵀ p for a (d, d), y and p (r, d), and a number or (d,) of columns."""
    a = a * scale
    if isinstance(a, np.ndarray) and a.dtype == np.float64 and a.flags.c_contiguous:
        return _fortran().dgemm(1.0, p.T, y.T, beta=1.0, c=a.T, trans_b=1, overwrite_c=1).T
    a += y.T @ p
    return a


def orthonormal_rows(z) -> np.ndarray:
    """Orthonormal rows that span, one after the other, the same as those of z (n, d), n ≤ d, and
    point to the same side (Gram–Schmidt, by QR). NumPy only, and a quarter of the time of
    np.linalg.qr where n and d are small."""
    packed, tau, _, _ = _fortran().dgeqrf(z.T)
    q, _, _ = _fortran().dorgqr(packed, tau)
    return (q * np.copysign(1.0, packed.diagonal())).T


@cache
def _fortran():
    """Routines of LAPACK and BLAS, imported when first needed."""
    from scipy.linalg import blas, lapack

    return SimpleNamespace(
        dposv=lapack.dposv,
        dgeqrf=lapack.dgeqrf,
        dorgqr=lapack.dorgqr,
        dgemm=blas.dgemm,
        dtrsm=blas.dtrsm,
        strsm=blas.strsm,
    )


CACHED = 2**18  # numbers in a tile of a pass over a NumPy array
LAUNCHED = 2**26  # and over one of a device, which has no time to wait for many small launches


def tiles(X, width: int | None = None):
    """Slices that cut the rows of X (n, …), of `width` numbers each (None: its own): a pass in
    such tiles over a large array has small temporaries, which stay in the cache."""
    rows, width = X.shape[0], X.shape[1] if width is None else width
    numbers = CACHED if isinstance(X, np.ndarray) else LAUNCHED
    return pieces(rows, max(1, numbers // max(1, width)))


def pieces(rows: int, step: int) -> list[slice]:
    """Slices of `step` rows each."""
    if rows <= step:
        return [slice(0, rows)]
    return [slice(a, min(a + step, rows)) for a in range(0, rows, step)]


def by_rows(function, X):
    """function(X) for a function that acts on each row of X (n, d), tile by tile."""
    cut = tiles(X)
    if len(cut) == 1:
        return function(X)
    out = namespace(X).empty(X.shape, dtype=X.dtype)
    for t in cut:
        out[t, :] = function(X[t, :])
    return out


def weighted_squares(Z, w):
    """Σ_k w_k z_k² by coordinate: (d,) of Z (n, d), w (n,)."""
    total = None
    for t in tiles(Z):
        part = w[t] @ (Z[t, :] * Z[t, :])
        total = part if total is None else total + part
    return total


# -- numbers that follow from arrays --------------------------------------------------------------
#
# NumPy's become Python floats, which are faster to reckon with. Those of a device stay there, as
# arrays without axes, because to look at one is to wait for all that was asked of the device
# before; `read` looks at several at a time.


def number(a):
    """A float of a NumPy array of one number; an array () of any other library as it is."""
    return float(a) if isinstance(a, (np.ndarray, np.generic, float)) else a


def not_negative(x):
    """max(x, 0) of a number."""
    return max(x, 0.0) if isinstance(x, (float, int)) else namespace(x).clip(x, 0.0, None)


def where(condition, x, otherwise: float):
    """The number x where the condition holds, which may be an array (), else the other one."""
    if isinstance(condition, bool):
        return x if condition else otherwise
    return namespace(condition).where(condition, x, otherwise)


def read(*numbers):
    """Numbers, or those of one array (n,), as floats, all in one copy from the device."""
    arrays = [x for x in numbers if not isinstance(x, (float, int))]
    if not arrays:
        return numbers
    if len(numbers) == 1:
        return to_numpy(arrays[0]).tolist()
    xp = namespace(arrays[0])
    copied = iter(to_numpy(xp.stack([xp.astype(x, xp.float64) for x in arrays])).tolist())
    return [float(x) if isinstance(x, (float, int)) else next(copied) for x in numbers]


def cast(tree, dtype: str):
    """An array, or a tuple (of tuples) of arrays, with another dtype ("float32"); those that have
    it are not copied."""

    def converted(x):
        if not hasattr(x, "dtype"):
            return x
        xp = namespace(x)
        return xp.astype(x, getattr(xp, dtype), copy=False)

    return mapped(converted, tree)


def mapped(function, tree):
    """`function` of each leaf of a tuple, with names or without, of leaves and tuples again."""
    if not isinstance(tree, tuple):
        return function(tree)
    parts = [mapped(function, part) for part in tree]
    return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)


def flat(a):
    """All elements of `a` in one row; the method costs a fifth of the function."""
    return a.reshape(-1) if isinstance(a, np.ndarray) else namespace(a).reshape(a, (-1,))


def compact(a):
    """`a` in the order of its indices or in the reverse one, as files and pickles keep arrays: the
    last bits of a product depend on the order."""
    flags = getattr(a, "flags", None)
    if flags is None or flags.c_contiguous or flags.f_contiguous:
        return a
    return a.copy()


def trace(a):
    """Trace of a (d, d); the method is three times as fast as the function where d is small."""
    return number(a.trace() if isinstance(a, np.ndarray) else namespace(a).linalg.trace(a))


def total(a):
    """Sum of all elements; as for `trace`."""
    return a.sum() if isinstance(a, np.ndarray) else namespace(a).sum(a)


def add_to_diagonal(a, value):
    """a + value I (or + diag(value)) for a square `a` that the caller has made and gives away."""
    if hasattr(a, "flags") and (a.flags.c_contiguous or a.flags.f_contiguous):  # NumPy, CuPy
        diagonal = a.ravel(order="A")[:: a.shape[0] + 1]  # a view
        diagonal += value
        return a
    return a + value * namespace(a).eye(a.shape[0], dtype=a.dtype)


def scale_parts(a, off: float, on: float):
    """`a` (…, d, d) with its diagonal times `on` and all else times `off`."""
    if isinstance(a, np.ndarray) and a.ndim == 2:
        return add_to_diagonal(off * a, (on - off) * a.diagonal())
    eye = namespace(a).eye(a.shape[-1], dtype=a.dtype)
    return a * (off + (on - off) * eye)
