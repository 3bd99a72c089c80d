"""The only source of randomness: a normal for every address.

The noise of candidate i, coordinate j in a generation is a pure function of
(seed, stream, generation, i, j):

    q    = ceil(d / 4)
    word = philox4x64_10(counter=(1 + i q + j // 4, 0, generation, 0), key=(seed, stream))[j % 4]
    u    = (word >> 11) 2⁻⁵³ + 2⁻⁵⁴        in (0, 1), never 0 or 1
    z    = Φ⁻¹(u)

so any worker can draw any candidate, nothing has to be saved with a run, and a result cannot
depend on how a population was split. A range of candidates is one contiguous run of the counter,
which `numpy.random.Philox.random_raw` yields in bulk (Salmon et al., 2011, "Parallel random
numbers: as easy as 1, 2, 3"). Streams keep purposes apart: candidates, noise of a problem,
starting points.
"""

from __future__ import annotations

import secrets
import threading

import numpy as np

CANDIDATES, PROBLEM, STARTS = 0, 1, 2

_BLOCK = 8192  # normals made at a time: the temporaries stay in cache
_SHIFT = np.uint64(11)
_local = threading.local()


def check_seed(seed) -> int:
    """`seed` as an integer in [0, 2⁶⁴); None draws one from the operating system.

    Raises TypeError or ValueError otherwise.
    """
    if seed is None:
        return secrets.randbits(53)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed must be an integer or None; got {seed!r}")
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed must lie in [0, 2**64); got {seed}")
    return int(seed)


def normals(seed: int, stream: int, generation: int, start: int, count: int, dim: int):
    """Standard normals of candidates start … start+count−1: a NumPy array (count, dim)."""
    out = np.empty((count, dim))
    words = 4 * -(-dim // 4)
    philox = _philox(seed, stream, generation, start * (words // 4))
    rows = max(1, _BLOCK // words)
    for a in range(0, count, rows):
        b = min(a + rows, count)
        out[a:b] = _inverse_normal(philox.random_raw((b - a) * words)).reshape(b - a, words)[
            :, :dim
        ]
    return out


def uniforms(seed: int, stream: int, generation: int, start: int, count: int, dim: int):
    """Uniforms in (0, 1) with the addresses of `normals`: a NumPy array (count, dim)."""
    words = 4 * -(-dim // 4)
    philox = _philox(seed, stream, generation, start * (words // 4))
    return _unit(philox.random_raw(count * words)).reshape(count, words)[:, :dim]


def _philox(seed, stream, generation, block):
    """A Philox whose next word is the first of counter (block + 1, 0, generation, 0).

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
    return u


def _inverse_normal(words):
    from scipy.special import ndtri  # here, not above: it takes longer to import than NumPy

    u = _unit(words)
    return ndtri(u, out=u)
