"""Whether what is asked for fits in this machine's memory."""

from __future__ import annotations

import os
from pathlib import Path

from ..checks import gigabytes
from ..registry import brief

EACH = 3  # arrays of the candidates' size: Z, Y and the points
WEIGHTS = 200  # bytes that go for each candidate into weights and their tables
LITTLE = 2**22  # numbers of which three arrays fit anywhere


def check_room(n: int, dim: int, lazy: bool = False) -> None:
    """Raise ValueError where n candidates of `dim` numbers are more than memory holds."""
    numbers = n * (2 if lazy else EACH * dim)
    there = available()
    if there is None or 8 * numbers <= there:
        return
    if lazy:
        hint = "ask for them in portions"
    else:
        hint = "ask(n, lazy=True) gives their addresses, or ask for them in portions"
    raise ValueError(
        f"n={n} candidates of {dim} numbers take {gigabytes(8 * numbers)}, and "
        f"{gigabytes(there)} of memory are free: {hint}"
    )


def check_population(popsize: int) -> None:
    """Raise ValueError where the weights of a generation are more than memory holds."""
    if popsize > LITTLE:
        there = available()
        if there is not None and WEIGHTS * popsize > there:
            raise ValueError(
                f"popsize={brief(popsize)}: its weights take {gigabytes(WEIGHTS * popsize)}, and "
                f"{gigabytes(there)} of memory are free"
            )


def available() -> int | None:
    """Bytes of memory that this process may still take; None where that is not said."""
    known = [left for left in (_of_machine(), _of_container(), _of_process()) if left is not None]
    return min(known, default=None)


def _of_machine():
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return 1024 * int(line.split()[1])
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _of_process():
    """What the limit of addresses (`ulimit -v`) leaves."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit == resource.RLIM_INFINITY:
            return None
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        return limit - pages * os.sysconf("SC_PAGE_SIZE")
    except (ImportError, OSError, ValueError):
        return None


def _of_container():
    """What a control group of Linux leaves."""
    try:
        limit, used = (Path(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
        return int(limit.read_text()) - int(used.read_text())
    except (ValueError, OSError):  # "max" is no limit
        return None
