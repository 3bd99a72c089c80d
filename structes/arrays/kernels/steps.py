"""The step of a generation on a GPU, where vectors are short.

An array operation on a device takes some microseconds to queue, whatever it does, and the step of
update.py is several dozens of them. Up to `LONGEST` numbers one block of threads does as much in
the time of one or two. `steps.cu` is the source; the launchers take and return CuPy arrays, all
float64, and do not wait for the device.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from . import compiled, ints

# numbers of a vector: 32 for each thread (a guess, until a device has measured it)
LONGEST = 2**15
_BLOCK = 1024  # threads, the most that the source allows


def stretch(good, bad, squares, dim: int):
    """Return w° = good + bad dim/squares, (n,) all, and the numbers Σ w° and ½ Σ bad (dim/squares
    − 1) of the device: the weights of samples of these squared lengths, and how much of the
    identity they have that is not theirs."""
    import cupy

    n = squares.shape[0]
    buffer = cupy.empty(n + 2)
    w, numbers = buffer[:n], buffer[n:]
    _launch("stretch", n, w, numbers, *_arrays(good, bad, squares), *ints(n, dim))
    return w, numbers[0], numbers[1]


def paths(state, dz, dy, far: float, pulls: tuple):
    """Return (mean, path_sigma, q, ‖path_sigma‖²) after the steps dz = Σ w z (noise_dim,) and dy =
    Σ w y (dim,).

    far     sigma times the mean's learning rate
    pulls   cs, √(cs (2 − cs) mueff), cc, √(cc (2 − cc) mueff), and ‖path_sigma‖² from which on the
            path waits
    """
    import cupy

    dim, noise_dim = dy.shape[0], dz.shape[0]
    mean, path_sigma, q, square = map(cupy.empty, (dim, noise_dim, noise_dim, ()))
    outputs = mean, path_sigma, q, square
    inputs = state.mean, state.path_sigma, state.path, state.scale, dz, dy
    sizes = ints(dim, noise_dim)
    _launch("paths", noise_dim, *outputs, *_arrays(*inputs), *sizes, *_floats(far, *pulls))
    return outputs


def stride(state, sums, far: float, pulls: tuple, rates: tuple):
    """Return all of a step where B = diag(b): ((mean, path_sigma, path, b), numbers), the latter
    (4,): ‖path_sigma‖², the trace of M over dim, the norm of the rest, the part of the identity.

    sums    Σ w z and the samples' natural gradient, (dim,) both, and the identity of `stretch`
    rates   weight of the path in the natural gradient, what both are multiplied by, and the
            largest norm of a step
    """
    import cupy

    dim = state.mean.shape[0]
    outputs = cupy.empty((4, dim))
    numbers = cupy.empty(4)
    inputs = state.mean, state.path_sigma, state.path, state.factor[0], state.scale, *sums
    _launch(
        "stride",
        dim,
        *outputs,
        numbers,
        *_arrays(*inputs),
        *ints(dim),
        *_floats(far, *pulls, *rates),
    )
    return tuple(outputs), numbers


def _arrays(*arrays):
    import cupy

    return tuple(cupy.ascontiguousarray(a, dtype="float64") for a in arrays)


def _floats(*values):
    return tuple(np.float64(v) for v in values)  # a kernel takes a number by its type


@cache
def _kernel(name):
    return compiled("steps", "float64").get_function(name)


def _launch(name, length, *arguments):
    """Queue a kernel of one block for vectors of this length, which alone decides the order of the
    additions."""
    threads = min(_BLOCK, 32 * max(1, -(-length // 32)))
    _kernel(name)((1,), (threads,), arguments)
