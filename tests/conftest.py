"""Backends for the laws: NumPy that may not be written, the strict standard, CuPy."""

import gc
import os
import shutil
import signal
import sys
import tempfile

import numpy as np
import pytest
from hypothesis import settings

from structes.arrays import kernels
from structes.arrays.libraries import load_namespace, to_numpy

from .compiled import INNER, SUFFIX, Population, Steps, compile_c

FSYNC = os.fsync

# Examples are the same in every run; `.ci/run` tries fresh ones as well, of a seed that it prints.
for name, is_pinned in {"pinned": True, "fresh": False}.items():
    settings.register_profile(
        name, derandomize=is_pinned, deadline=None, database=None, print_blob=True
    )
settings.load_profile("pinned")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell script
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure():
    """The key by which runs are signed is one of the tests, and not the user's own; and what is
    imported while tests are collected is kept compiled, for the many processes that they start."""
    os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="structes-tests-")
    sys.dont_write_bytecode = False
    os.fsync = os.fstat  # no power is cut here: thousands of files need not reach the disk


def pytest_unconfigure():
    os.fsync = FSYNC
    shutil.rmtree(os.environ["XDG_STATE_HOME"], ignore_errors=True)


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items):
    """`-m fast` selects every test that says nothing else."""
    for item in items:
        if not any(item.get_closest_marker(name) for name in ("slow", "gpu")):
            item.add_marker(pytest.mark.fast)


def pytest_collection_finish():
    """From here on nothing is kept compiled: a module that a test writes, and writes again within
    the second, would be taken for the first one. And what was collected is never garbage: no later
    collection of garbage need look at it."""
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    gc.collect()
    gc.freeze()


class Backend:
    """Makes arrays of one library; `read_only` ones raise when a function writes its input."""

    def __init__(self, name, xp, read_only=False):
        self.name, self.xp, self.read_only = name, xp, read_only

    def array(self, value):
        out = self.xp.asarray(np.array(value, dtype=float))
        if self.read_only:
            out.flags.writeable = False
        return out

    def freeze(self, arrays):
        """The same tuple (of tuples) of arrays, not writeable where this backend forbids it."""
        if self.read_only:
            for a in arrays:
                if isinstance(a, np.ndarray):
                    a.flags.writeable = False
                elif isinstance(a, tuple):
                    self.freeze(a)
        return arrays

    @staticmethod
    def numpy(value):
        return np.array(to_numpy(value))


def on_host(tangent):
    """The same (possibly nested) tuple with NumPy arrays."""
    if isinstance(tangent, tuple):
        parts = [on_host(part) for part in tangent]
        return type(tangent)(*parts) if hasattr(tangent, "_fields") else tuple(parts)
    return Backend.numpy(tangent) if hasattr(tangent, "ndim") else tangent


def _cupy():
    try:
        import cupy
    except ImportError:
        pytest.skip("CuPy is not installed")
    if not cupy.cuda.is_available():
        pytest.skip("no CUDA device answers")
    return load_namespace("cupy")


@pytest.fixture(
    params=[
        "read-only",  # NumPy: what it calculates is the same for arrays that may be written
        pytest.param("strict", marks=pytest.mark.slow),  # ten times the time of an operation
        pytest.param("cupy", marks=pytest.mark.gpu),
    ]
)
def backend(request):
    if request.param == "cupy":
        return Backend("cupy", _cupy())
    if request.param == "strict":
        return Backend("strict", load_namespace("array_api_strict"))
    return Backend(request.param, np, read_only=request.param == "read-only")


@pytest.fixture
def cp():
    """CuPy, where there is a device."""
    _cupy()
    import cupy

    return cupy


@pytest.fixture(scope="session")
def populations(tmp_path_factory):
    """{dtype: the kernels of structes.arrays.kernels as C}."""
    folder, source = tmp_path_factory.mktemp("population"), kernels.source("population") + INNER
    return {
        dtype: Population(compile_c(folder, dtype, source, kernels.options(dtype)), dtype)
        for dtype in SUFFIX
    }


@pytest.fixture(scope="session")
def c_steps(tmp_path_factory):
    """Those of structes.arrays.kernels.steps as C."""
    folder = tmp_path_factory.mktemp("steps")
    return Steps(compile_c(folder, "steps", kernels.source("steps")))
