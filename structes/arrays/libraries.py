"""Where NumPy and CuPy differ, and nowhere else.

The rest of structes is written against the array API standard: it asks an array for its
namespace and calls what the standard names. The few operations that the standard lacks, or that
every library spells in its own way, live here. This is the only file that names `scipy.linalg`
or `cupyx`; both are imported where they are used, because `import structes` must stay light and
because `import cupyx.scipy.linalg` fails on a machine without CUDA.
"""

from __future__ import annotations

import numpy as np

from ..naming.error_text import brief

BACKENDS = ("numpy", "cupy", "array_api_strict")


def namespace(x):
    """Return the array API namespace of the array `x` (NumPy itself, CuPy through array-api-
    compat, …)."""
    if isinstance(x, np.ndarray):
        return np
    if hasattr(x, "__array_namespace__"):
        return x.__array_namespace__()
    if not (hasattr(x, "dtype") and hasattr(x, "shape")):
        raise TypeError(f"an array is wanted, of NumPy or CuPy; got {type(x).__name__}")
    import array_api_compat  # CuPy 14 has no __array_namespace__; comes with the gpu extras

    return array_api_compat.array_namespace(x)


def load_namespace(name: str):
    """Return the array API namespace called `name`, one of `BACKENDS`.

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


def is_array(x, xp) -> bool:
    """Return whether x is an array of the library xp."""
    return isinstance(x, type(xp.empty(0)))


def to_numpy(x) -> np.ndarray:
    """Return `x` as a NumPy array on the host; a NumPy array comes back as it is."""
    if isinstance(x, np.ndarray):
        return x
    if hasattr(x, "__cuda_array_interface__"):  # CuPy's, or an array of another library on a GPU
        import cupy

        return cupy.asarray(x).get()
    return np.from_dlpack(x) if hasattr(x, "__dlpack__") else np.asarray(x)


# -- numbers that follow from arrays --------------------------------------------------------------
#
# NumPy's become Python floats, which are faster to reckon with. Those of a device stay there, as
# arrays without axes, because to look at one is to wait for all that was asked of the device
# before; `read` looks at several at a time.


def cast(tree, dtype: str):
    """Return an array, or a tuple (of tuples) of arrays, with another dtype ("float32"); arrays
    that have it are not copied."""

    def converted(x):
        if not hasattr(x, "dtype"):
            return x
        xp = namespace(x)
        return xp.astype(x, getattr(xp, dtype), copy=False)

    return mapped(converted, tree)


def mapped(function, tree):
    """Return `function` of each leaf of a tuple, with names or without, of leaves and tuples
    again."""
    if not isinstance(tree, tuple):
        return function(tree)
    parts = [mapped(function, part) for part in tree]
    return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)


def flat(a):
    """Return all elements of `a` in one row; the method costs a fifth of the function."""
    return a.reshape(-1) if isinstance(a, np.ndarray) else namespace(a).reshape(a, (-1,))


def compact(a):
    """Return `a` in the order of its indices or in the reverse one, as files and pickles keep
    arrays: the last bits of a product depend on the order."""
    flags = getattr(a, "flags", None)
    if flags is None or flags.c_contiguous or flags.f_contiguous:
        return a
    return a.copy()
