"""The only source of randomness: a normal for every address.

The noise of candidate i, coordinate j in a generation is a pure function of
(seed, stream, generation, i, j):

    float64, a normal for each word of Philox (Φ⁻¹ is the inverse of the normal distribution):

    q    = ceil(d / 4)
    word = philox4x64_10(counter=(1 + i q + j // 4, 0, generation, 0), key=(seed, stream))[j % 4]
    u    = (word >> 11) 2⁻⁵³ + 2⁻⁵⁴        in (0, 1): the one sum that would round to 1 is 1 − 2⁻⁵³
    z    = Φ⁻¹(u)

    float32, two normals for each word (Box and Muller, 1958), |z| < 6.77:

    q    = ceil(d / 8)
    word = philox4x64_10(counter=(1 + i q + j // 8, 0, generation, 0), key=…)[j // 2 % 4]
    r    = sqrt(−2 log((low + ½) 2⁻³²))    low: the low 32 bits of word
    θ    = π high 2⁻³¹                     high: the high 32 bits as a signed number, θ in [−π, π]
    z    = r cos θ for even j, r sin θ for odd j

so any worker can draw any candidate, nothing has to be saved with a run, and a result cannot
depend on how a population was split. A range of candidates is one contiguous run of the counter,
which `numpy.random.Philox.random_raw` yields in bulk (Salmon et al., 2011, "Parallel random
numbers: as easy as 1, 2, 3"). On a GPU `kernels` draws the same numbers, up to rounding. Streams
keep purposes apart: candidates, noise of a problem, starting points.
"""

from __future__ import annotations

import os
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

import numpy as np

from ..naming.error_text import brief
from .threads import blas_threads

CANDIDATES, PROBLEM, STARTS = 0, 1, 2

_BLOCK = 2**15  # words used at a time: the temporaries stay in cache, and are few
_SHARED = 2**18  # words that threads share in
_SHIFT = np.uint64(11)
_thread_counts: list = [None]  # threads
_BELOW_ONE = 1.0 - 2.0**-53
_local = threading.local()


def check_seed(seed) -> int:
    """Return `seed` as an integer in [0, 2⁶⁴); None draws one from the operating system.

    Raises TypeError or ValueError otherwise.
    """
    if seed is None:
        return secrets.randbits(53)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        hint = " (of a generator: seed=int(rng.integers(2**53)))" * hasattr(seed, "integers")
        raise TypeError(f"seed must be an integer or None; got {seed!r}{hint}")
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed must lie in [0, 2**64); got {brief(seed)}")
    return int(seed)


def normals(
    seed: int, stream: int, generation: int, start: int, count: int, dim: int, *, xp=np, dtype=None
):
    """Return the standard normals of candidates start … start+count−1: an array (count, dim) of
    `xp`.

    `dtype` is float64 (also for None) or float32, as a string or a dtype of NumPy: one of the two
    formulas above, which share nothing but the words. What CuPy draws on its device differs from
    what NumPy draws by rounding only: 4e-15 in float64, 4e-6 in float32. Raises ValueError for
    other dtypes.
    """
    name = "float64" if dtype is None else dtype if dtype in _NORMALS else np.dtype(dtype).name
    if name not in _NORMALS:
        raise ValueError(f"dtype must be float64 or float32; got {name}")
    if xp is not np:
        if xp.__name__.endswith("cupy"):
            from . import kernels

            return kernels.normals(seed, stream, generation, start, count, dim, name)
        return xp.asarray(normals(seed, stream, generation, start, count, dim, dtype=name))
    out = np.empty((count, dim), dtype=name)
    address = seed, stream, generation
    kind = _NORMALS[name]
    words = 4 * -(-dim // (4 * kind[1]))  # of a row
    if count * words < _SHARED or _threads() == 1:
        _fill(out, kind, *address, start * (words // 4), words)
        return out
    parts = _parts(count, words, _threads())
    list(_pool().map(lambda part: _fill_part(out, kind, *address, start, words, *part), parts))
    return out


def use_threads(number: int | None) -> None:
    """Set how many threads draw where there is much to draw; None: as many as BLAS has. What is
    drawn does not depend on it."""
    _thread_counts[:] = [number]
    _pool.cache_clear()


def _threads():
    return _thread_counts[0] or blas_threads()


@cache
def _pool():
    return ThreadPoolExecutor(_threads(), thread_name_prefix="noise")


if hasattr(os, "register_at_fork"):  # threads do not live on in a child
    os.register_at_fork(after_in_child=_pool.cache_clear)


def _parts(count, words, threads):
    """Return (rows, rows, words, words) from … to, of whole rows, or of one where these are
    few."""
    if count >= threads:
        ends = [count * k // threads for k in range(threads + 1)]
        return [(a, b, 0, words) for a, b in pairwise(ends)]
    ends = [words // 4 * k // threads * 4 for k in range(threads + 1)]
    return [(i, i + 1, a, b) for i in range(count) for a, b in pairwise(ends)]


def _fill_part(out, kind, seed, stream, generation, start, words, a, b, c, d):
    """Fill rows a … b−1 of out from words c … d−1 of each."""
    part, block = out[a:b, kind[1] * c : kind[1] * d], (start + a) * (words // 4) + c // 4
    _fill(part, kind, seed, stream, generation, block, d - c)


def _fill(out, kind, seed, stream, generation, block, words):
    """Fill out (n, m) from the words that begin at a block, so many for a row."""
    fill, normals = kind
    philox, count = _philox(seed, stream, generation, block), out.shape[0]
    if count * words <= _BLOCK:
        fill(philox.random_raw(count * words).reshape(count, words), out)
        return
    rows, width = max(1, _BLOCK // words), min(words, _BLOCK)
    for a in range(0, count, rows):
        b = min(a + rows, count)
        for c in range(0, words, width):
            raw = philox.random_raw((b - a) * min(width, words - c)).reshape(b - a, -1)
            fill(raw, out[a:b, normals * c : normals * (c + width)])


def uniforms(seed: int, stream: int, generation: int, start: int, count: int, dim: int):
    """Return uniforms in (0, 1) with the addresses of `normals`: a NumPy array (count, dim)."""
    words = 4 * -(-dim // 4)
    philox = _philox(seed, stream, generation, start * (words // 4))
    return _unit(philox.random_raw(count * words)).reshape(count, words)[:, :dim]


def _philox(seed, stream, generation, block):
    """Return a Philox whose next word is the first of counter (block + 1, 0, generation, 0).

    One generator a thread is reused, because building one costs ten times as much as setting its
    state; its whole state is set here, so nothing carries over from call to call.
    """
    try:
        philox, state = _local.philox
    except AttributeError:
        philox = np.random.Philox(key=(0, 0))
        state = philox.state
        _local.philox = philox, state
    counter, key = state["state"]["counter"], state["state"]["key"]
    counter[0], counter[1], counter[2], counter[3] = block, 0, generation, 0
    key[0], key[1] = seed, stream
    state["buffer_pos"] = 4
    philox.state = state
    return philox


def _unit(words):
    words >>= _SHIFT
    u = words * 2.0**-53
    u += 2.0**-54
    return np.minimum(u, _BELOW_ONE, out=u)


def _inverse_normals(words, out):
    """Fill out (n, m) from words (n, ≥ m)."""
    _ndtri()(_unit(words)[:, : out.shape[1]], out=out)


@cache
def _ndtri():
    from scipy.special import ndtri  # here, not above: it takes longer to import than NumPy

    return ndtri


def _box_muller(words, out):
    """Fill out (n, m) from words (n, ≥ m / 2)."""
    m = out.shape[1]
    halves = words[:, : (m + 1) // 2].astype("<u8", copy=False).view("<u4")
    r = halves[:, 0::2].astype(np.float32)
    r += 0.5
    r *= 2.0**-32
    np.log(r, out=r)
    r *= -2.0
    np.sqrt(r, out=r)
    angle = halves[:, 1::2].view("<i4").astype(np.float32)
    angle *= np.pi * 2.0**-31
    np.multiply(r, np.cos(angle), out=out[:, 0::2])
    np.multiply(r[:, : m // 2], np.sin(angle)[:, : m // 2], out=out[:, 1::2])


_NORMALS = {"float64": (_inverse_normals, 1), "float32": (_box_muller, 2)}  # normals of a word
