"""What an Evaluator is given: counts, mappings and limits, read and refused."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from .. import checks

LEAST = 2**27  # bytes: a worker that has done nothing yet has some 60 MB, and needs room to work
_UNITS = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_UNITS |= {"KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def number_of(name: str, value: Any) -> int | None:
    """Return a number of workers; None for -1, which means one for every processor."""
    if isinstance(value, (int, np.integer)) and value < 1:
        if value == -1:
            return None
        raise ValueError(f"{name} must be at least 1, or -1: one for every processor; got {value}")
    return checks.count(name, value, 1)


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def mapping(name: str, value: Any) -> dict:
    """Return a new dict of a mapping, an empty one of None; TypeError for anything else."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a mapping of names to values; got {value!r}")
    return dict(value)


def memory_of(limits: Mapping[str, Any] | None) -> int | None:
    """Return the bytes of memory that a worker may have; None: any number.

    Parameters
    ----------
    limits : Mapping or None
        {"memory": bytes, or "2GB"}.

    Raises
    ------
    ValueError, TypeError
        For what is no such mapping, for less than a worker needs, and where the system does not
        keep such a limit.
    """
    limits = mapping("limits", limits)
    if unknown := set(limits) - {"memory"}:
        raise ValueError(f"limits knows memory only; got {', '.join(map(repr, sorted(unknown)))}")
    value = limits.get("memory")
    if value is None:
        return None
    size = value
    if isinstance(value, str):
        match = re.fullmatch(r"\s*([0-9.]+)\s*([KMGT]?I?)B?\s*", value.upper())
        if match is None or match[2] not in _UNITS or match[1].count(".") > 1 or match[1] == ".":
            raise ValueError(
                f"limits: memory must be bytes, or like '2GB', '512MiB'; got {value!r}"
            )
        size = float(match[1]) * _UNITS[match[2]]
    elif not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"limits: memory must be a number of bytes, or like '2GB'; got {value!r}")
    if not LEAST <= size < 2**62:
        raise ValueError(
            f"limits: memory must be at least {LEAST} bytes ({in_words(LEAST)}), of which a "
            f"worker that has done nothing yet has half; got {value!r}"
        )
    if sys.platform != "linux":
        raise ValueError("limits: memory is kept by Linux only, not by this system")
    return int(size)


def in_words(size: int) -> str:
    """Return a number of bytes in words: "2 GB"."""
    return f"{size / 1e9:.3g} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def limit_memory(size: int) -> None:
    """Let this process, and each that it starts, have so many bytes of memory of its own.

    The kernel keeps the limit (RLIMIT_DATA: what is private and may be written to), and whoever
    asks for more is told at once. A watch on the memory in use would come too late for a fast
    function; RLIMIT_AS counts address space, of which CUDA and others reserve far more than they
    use.
    """
    from resource import RLIMIT_DATA, getrlimit, setrlimit

    hard = getrlimit(RLIMIT_DATA)[1]
    size = size if hard < 0 else min(size, hard)
    setrlimit(RLIMIT_DATA, (size, size))
