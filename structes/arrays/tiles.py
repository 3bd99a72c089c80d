"""Passes over large arrays, a few rows at a time, so that what a pass needs stays in the cache."""

from __future__ import annotations

import numpy as np

from .libraries import namespace

CACHED = 2**18  # numbers in a tile of a pass over a NumPy array


LAUNCHED = 2**26  # and over one of a device, which has no time to wait for many small launches


def tiles(X, width: int | None = None):
    """Return slices that cut the rows of X (n, …), of `width` numbers each (None: its own): a pass
    in such tiles over a large array has small temporaries, which stay in the cache."""
    rows, width = X.shape[0], X.shape[1] if width is None else width
    numbers = CACHED if isinstance(X, np.ndarray) else LAUNCHED
    return pieces(rows, max(1, numbers // max(1, width)))


def pieces(rows: int, step: int) -> list[slice]:
    """Return slices of `step` rows each."""
    if rows <= step:
        return [slice(0, rows)]
    return [slice(a, min(a + step, rows)) for a in range(0, rows, step)]


def by_rows(function, X):
    """Return function(X) for a function that acts on each row of X (n, d), tile by tile."""
    cut = tiles(X)
    if len(cut) == 1:
        return function(X)
    out = namespace(X).empty(X.shape, dtype=X.dtype)
    for t in cut:
        out[t, :] = function(X[t, :])
    return out
