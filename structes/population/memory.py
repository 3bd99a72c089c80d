"""Whether the candidates that are asked for fit in the free memory of this machine."""

from __future__ import annotations

import os
from pathlib import Path

from ..checks import gigabytes
from ..naming.error_text import brief

EACH = 3  # arrays of the candidates' size: Z, Y and the points
WEIGHTS = 200  # bytes that go for each candidate into weights and their tables
LITTLE = 2**22  # numbers of which three arrays fit anywhere


def check_memory(n: int, dim: int, lazy: bool = False) -> None:
    """Raise ValueError where n candidates of `dim` numbers are more than memory holds.

    Those that are asked lazily take little more than their values.
    """
    numbers = n * (2 if lazy else EACH * dim)
    free = available()
    if free is None or 8 * numbers <= free:
        return
    if lazy:
        hint = "ask for them in portions"
    else:
        hint = "ask(n, lazy=True) gives their addresses, or ask for them in portions"
    raise ValueError(
        f"n={n} candidates of {dim} numbers take {gigabytes(8 * numbers)}, and "
        f"{gigabytes(free)} of memory are free: {hint}"
    )


def check_population(popsize: int) -> None:
    """Raise ValueError where the weights of a generation are more than memory holds."""
    if popsize > LITTLE:
        free = available()
        if free is not None and WEIGHTS * popsize > free:
            raise ValueError(
                f"popsize={brief(popsize)}: its weights take {gigabytes(WEIGHTS * popsize)}, and "
                f"{gigabytes(free)} of memory are free"
            )


def available() -> int | None:
    """The bytes of memory that this process may still take; None where nothing says it."""
    limits = (_of_machine(), _of_container(), _of_process())
    return min((limit for limit in limits if limit is not None), default=None)


def _of_machine() -> int | None:
    """The free bytes of the machine."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return 1024 * int(line.split()[1])
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _of_process() -> int | None:
    """The bytes that the limit of addresses (`ulimit -v`) leaves."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit == resource.RLIM_INFINITY:
            return None
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        return limit - pages * os.sysconf("SC_PAGE_SIZE")
    except (ImportError, OSError, ValueError):
        return None


def _of_container() -> int | None:
    """The bytes that a control group of Linux leaves."""
    try:
        limit, used = (Path(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
        return int(limit.read_text()) - int(used.read_text())
    except (ValueError, OSError):  # "max" is no limit
        return None
