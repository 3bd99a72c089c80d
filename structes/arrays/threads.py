"""How many threads products of matrices have: none more than the work is worth."""

from __future__ import annotations

import sys
from contextlib import contextmanager, nullcontext
from functools import cache, lru_cache
from threading import current_thread, main_thread

from .linalg import load_fortran

_SHORT = 16, 512  # dimensions from and up to which BLAS has one thread (below it takes one itself)


@cache
def blas_threads() -> int:
    """Return how many threads products of matrices have in this process (OMP_NUM_THREADS)."""
    from threadpoolctl import threadpool_info  # here, not above: few searches need it

    pools = (pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
    return max(pools, default=1)


@lru_cache(maxsize=1)
def _blas(modules: int) -> list:
    """Return what sets the threads of BLAS' libraries; they are looked for where there are other
    modules than before."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers


@contextmanager
def limited_blas(threads: int):
    """Make a context in which BLAS has so many threads. (threadpoolctl's own looks for the
    libraries every time, which takes a millisecond.)"""
    libraries = _blas(len(sys.modules))
    counts = [library.get_num_threads() for library in libraries]
    try:
        for library in libraries:
            library.set_num_threads(threads)
        yield
    finally:
        for library, number in zip(libraries, counts, strict=True):
            library.set_num_threads(number)


def one_thread():
    """Return a context in which products of matrices have one thread, as they have in workers: an
    objective that multiplies gives the same bits here."""
    return nullcontext() if blas_threads() == 1 else limited_blas(1)


def single_threaded(function, dim: int, *arguments):
    """Return function(*arguments), which does linear algebra in `dim` dimensions. Where that is
    short work BLAS is kept from sharing it among threads: to wake them costs more, and where
    another process is at work up to a hundred times as much. And then the bits do not depend on
    how many there are.

    In the main thread only: the setting is one for all, and threads would take it from each other.
    """
    short = _SHORT[0] <= dim < _SHORT[1] and blas_threads() > 1
    if not short or current_thread() is not main_thread():
        return function(*arguments)
    load_fortran()  # SciPy's library is there from the first time on
    with limited_blas(1):
        return function(*arguments)
