"""The noise on a GPU, and passes over a population in which the noise is never stored.

A population of 1024 candidates in a million dimensions is 8 GB. Written out, noise, squares and
products would be as much again, each a trip to memory; drawn in the thread that needs it, noise
costs no memory, and because it has an address (see `noise`) it can be drawn again for the update.
`population.cu` is the source, C and CUDA at once, and this file chooses how it is launched;
steps.py does so for the kernels of `steps.cu`. CuPy is imported in the functions: `import
structes` must not need it.

The launchers take and return CuPy arrays of the current device and queue their work on its current
stream: none waits for the device, and none copies an array to or from it (but for the factors of
`prints`, sent once for a row length). Sizes alone decide how the work is cut, never the card,
so that a sum has the same bits on every card of a kind.
"""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

import numpy as np

CHUNK = 8192  # numbers of a row that `fingerprints` takes at a time

_BLOCK = 256  # threads of a block, the most that the source allows
_GRID = 2**20  # blocks, at most; the loops of the source go on where the grid ends
_THREADS = 2**21  # threads wanted, if there is work for so many: a few waves of the largest cards
_SUMMING = 2**19  # of `sums`, where each thread also leaves numbers behind
_FEWEST = 16  # rows of a slab of `sums`, at least: fewer would leave more to add than they save
_SUFFIX = {"float64": "f64", "float32": "f32"}  # of the names of kernels
_WIDTH = {"float64": 4, "float32": 8}  # normals of a Philox block
_NOWHERE = np.uint64(0)  # a null pointer; CuPy has no other way to pass one


def source(name: str) -> str:
    """Return the source of the kernels of "population" (with the macro FLOAT32 that of the float32
    ones), or of "steps"."""
    files = "portable.h", f"{name}.cu"
    return "\n".join((Path(__file__).parent / f).read_text(encoding="utf-8") for f in files)


def options(dtype: str) -> tuple:
    """Options of NVRTC. Multiply and add stay apart, as in NumPy, unless the source fuses them;
    division and square root are rounded correctly by default. CuPy adds -ftz=true."""
    return ("--fmad=false", "-DFLOAT32") if dtype == "float32" else ("--fmad=false",)


def normals(seed, stream, generation, start, count, dim, dtype):
    """Return the normals of `noise.normals`, drawn on the device: (count, dim)."""
    import cupy

    out = cupy.empty((count, dim), dtype=dtype)
    blocks = _blocks(dim, dtype)
    slices = _slices(blocks, count)
    _launch(
        "normals",
        dtype,
        blocks * slices,
        out,
        *ints(count, dim),
        *_address(seed, stream, generation, start),
        *ints(slices),
    )
    return out


def sample(mean, step, seed, stream, generation, start, count, dtype):
    """Return the candidates mean + step z of rows start … start+count−1, for mean and step (dim,)
    float64, and Σ z² of each.

    Returns X (count, dim) and Σ z² of each row (count,), float64. The sum mean + step z is made in
    float64 and rounded to `dtype`.
    """
    import cupy

    mean, step = (cupy.ascontiguousarray(a, dtype="float64") for a in (mean, step))
    (dim,) = mean.shape
    if step.shape != (dim,):
        raise ValueError(f"step must have shape {(dim,)}, as mean; got {step.shape}")
    X = cupy.empty((count, dim), dtype=dtype)
    address = _address(seed, stream, generation, start)
    return X, _sample(X, mean, step, address, count, dim, dtype)


def squares(dim, seed, stream, generation, start, count, dtype):
    """Return Σ z² of rows start … start+count−1 of dim numbers, which are not kept: (count,)
    float64."""
    address = _address(seed, stream, generation, start)
    return _sample(None, None, None, address, count, dim, dtype)


def _sample(X, mean, step, address, count, dim, dtype):
    """Launches `sample`, where None is a null pointer; Σ z² of the rows."""
    import cupy

    blocks = _blocks(dim, dtype)
    width = _group(blocks)
    parts = -(-blocks // width)
    slices = _slices(parts * width, count)
    out = cupy.empty((count, parts))
    _launch(
        "sample",
        dtype,
        parts * width * slices,
        *(_NOWHERE if a is None else a for a in (X, out, mean, step)),
        *ints(count, dim),
        *address,
        np.int32(width),
        *ints(slices),
    )
    return out[:, 0] if parts == 1 else cupy.sum(out, axis=1)


def sums(w_mean, w_shape, seed, stream, generation, start, dim, dtype):
    """Return Σ w_mean z and Σ w_shape z² over rows start, start+1, …, one for each weight: (dim,)
    both.

    The rows are drawn again. The weights are float64, of one length.
    """
    import cupy

    w_mean, w_shape = (cupy.ascontiguousarray(w, dtype="float64") for w in (w_mean, w_shape))
    (count,) = w_mean.shape
    if w_shape.shape != (count,):
        raise ValueError(f"w_shape must have shape {(count,)}, as w_mean; got {w_shape.shape}")
    blocks = _blocks(dim, dtype)
    slabs = _slabs(blocks, count)
    out = cupy.empty((2, slabs, dim))
    _launch(
        "sums",
        dtype,
        blocks * slabs,
        *(out[0], out[1], w_mean, w_shape),
        *ints(slabs, count, dim),
        *_address(seed, stream, generation, start),
    )
    total = out[:, 0] if slabs == 1 else cupy.sum(out, axis=1)
    return total[0], total[1]


def prints(X, factors):
    """Return the fingerprints of the rows of X (n, dim), float64 or float32: (n,) uint64 on the
    device.

    factors   what rows of `dim` numbers are multiplied with, as a function of dim: (m,) uint64 of
              NumPy, for a whole chunk, if any, then for the rest
    """
    import cupy

    X = cupy.ascontiguousarray(X)
    if X.dtype.name not in _SUFFIX:
        raise ValueError(f"X must be float64 or float32; got {X.dtype}")
    rows, dim = X.shape
    out = cupy.zeros(rows, dtype="uint64")
    width = _group(min(dim, CHUNK))
    _launch(
        "prints",
        X.dtype.name,
        rows * -(-dim // CHUNK) * width,
        *(out, X, *ints(rows, dim), _factors_there(factors, dim, X.device.id)),
        *ints(CHUNK),
        np.int32(width),
    )
    return out


@lru_cache(maxsize=8)
def _factors_there(factors, dim, device):
    import cupy

    return cupy.asarray(factors(dim), blocking=True)  # whatever stream uses them next


@cache
def _kernel(name, dtype):
    """The kernel; CuPy compiles and loads it on each device that launches it."""
    return compiled("population", dtype).get_function(f"{name}_{_SUFFIX[dtype]}")


@cache
def compiled(name, dtype):
    """Return a source as a module of CuPy."""
    import cupy

    return cupy.RawModule(code=source(name), options=options(dtype))


def _launch(name, dtype, threads, *arguments):
    """Queue a kernel for so many threads."""
    if threads > 0:
        grid = min(-(-threads // _BLOCK), _GRID)
        _kernel(name, dtype)((grid,), (_BLOCK,), arguments)


def ints(*values):
    """Return arguments of 64 bits."""
    return tuple(np.int64(v) for v in values)  # a kernel takes a number by its type


def _address(seed, stream, generation, start):
    return np.uint64(seed), np.uint64(stream), np.uint64(generation), np.int64(start)


def _blocks(dim, dtype):
    """Return the number of Philox blocks of a row."""
    return -(-dim // _WIDTH[dtype])


def _group(work):
    """Return how many threads of a warp share a row of so much work: the power of two that covers
    it."""
    return min(32, 1 << max(0, work - 1).bit_length())


def _slices(threads, count):
    """Return how many rows are begun at the same time, for so many threads to a row."""
    return max(1, min(count, _THREADS // max(1, threads)))


def _slabs(blocks, count):
    return max(1, min(-(-count // _FEWEST), _SUMMING // max(1, blocks)))
