"""What a measurement wants of the machine that holds the arrays: the host, or a CUDA device.

Both answer to the same few words, so that the bench is written once. Bytes are in bytes, and a
measurement on a device begins and ends with `synchronise`, because calls come back before their
work is done.
"""

from __future__ import annotations

import gc
import os
import re
import sys
import tracemalloc
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ...arrays import noise
from ...arrays.libraries import load_namespace
from ...search.es import ES
from ..provenance import processor, versions


class NoDevice(RuntimeError):
    """There is no device, or no library for it; the message says which."""


def open_device(backend: str, dtype: str = "float64") -> Host | Cuda:
    """The device that the arrays of a backend lie on.

    Raises NoDevice where its library is missing, with the line that installs it, and where no
    CUDA device answers.
    """
    if backend == "numpy":
        return Host(dtype)
    try:
        xp = load_namespace(backend)
    except (ImportError, RuntimeError) as error:
        cause = f" ({error.__cause__})" if error.__cause__ else ""
        raise NoDevice(f"{error}{cause}") from error
    return Cuda(xp, dtype)


def search(spec, d: int, popsize: int, backend: str, dtype: str) -> ES:
    """An ES in d dimensions."""
    options = {"popsize": popsize, "backend": backend, "dtype": dtype}
    return ES(np.zeros(d), 1.0, spec, seed=1, **options)


class Host:
    """The processor and its memory.

    backend, xp   name of the backend and its namespace
    dtype         name of the numbers' type, itemsize their bytes
    copied        bytes of the array that `bench gpu` copies: more than any cache holds
    """

    backend, xp, copied = "numpy", np, 2**27

    def __init__(self, dtype: str = "float64"):
        self.dtype, self.itemsize = dtype, np.dtype(dtype).itemsize

    def synchronise(self) -> None:
        """Wait until all work is done."""

    def normals(self, count: int, dim: int):
        """(count, dim) standard normals, as those of candidates are drawn."""
        address = 1, noise.CANDIDATES, 0, 0, count, dim
        return noise.normals(*address, xp=self.xp, dtype=self.dtype)

    def free(self) -> int:
        """Memory that can be had."""
        try:
            text = Path("/proc/meminfo").read_text()
            return 1024 * int(re.search(r"^MemAvailable:\s*(\d+)", text, re.MULTILINE)[1])
        except (OSError, TypeError):
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    def release(self) -> None:
        """Give back what is held and not used."""
        gc.collect()

    def forget_peak(self) -> int:
        """Resident memory now; where Linux allows, the peak starts anew from here."""
        gc.collect()
        try:
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")
        except OSError:
            pass
        return self.peak()

    def peak(self) -> int:
        """Peak resident memory of this process."""
        try:
            with open("/proc/self/status") as file:
                return next(int(s.split()[1]) for s in file if s.startswith("VmHWM")) * 1024
        except (OSError, StopIteration):
            import resource

            unit = 1 if sys.platform == "darwin" else 1024
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    @contextmanager
    def arrays(self):
        """Gives a function: the peak of all memory that Python allocated since (tracemalloc)."""
        tracemalloc.start()
        try:
            yield lambda: tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    def words(self) -> list[str]:
        """Lines that say what it is."""
        free = f"{self.free() / 1e9:.1f} GB free"
        return [f"device: {processor()}, {os.cpu_count()} threads, {free}"]


class Cuda(Host):
    """A CUDA device by CuPy; memory is that of CuPy's pool, which all of its arrays come from."""

    backend, copied = "cupy", 2**30

    def __init__(self, xp, dtype: str = "float64"):
        super().__init__(dtype)
        self.xp, self.pool = xp, xp.get_default_memory_pool()

    def synchronise(self):
        self.xp.cuda.Device().synchronize()

    def free(self):
        return self.xp.cuda.runtime.memGetInfo()[0] + self.pool.free_bytes()

    def release(self):
        gc.collect()
        self.pool.free_all_blocks()

    def forget_peak(self):
        """Bytes of the pool, which keeps from here on what it once had."""
        self.synchronise()
        self.release()
        return self.peak()

    def peak(self):
        """Bytes of the pool, used and unused."""
        return self.pool.total_bytes()

    @contextmanager
    def arrays(self):
        """Gives a function: the peak of the used bytes of the pool, looked at whenever an array is
        made, above those that were used before."""
        pool, used_before = self.pool, self.pool.used_bytes()

        class Peak(self.xp.cuda.MemoryHook):
            name, peak_bytes = "peak of the used bytes", used_before

            def malloc_postprocess(self, **_):
                self.peak_bytes = max(self.peak_bytes, pool.used_bytes())

        with Peak() as hook:
            yield lambda: hook.peak_bytes - used_before

    def words(self):
        runtime = self.xp.cuda.runtime
        name = runtime.getDeviceProperties(self.xp.cuda.Device().id)["name"]
        free, total = runtime.memGetInfo()
        cuda = "CUDA {} (driver), {} (runtime)".format(
            *map(_cuda_version, (runtime.driverGetVersion(), runtime.runtimeGetVersion()))
        )
        return [
            f"device: {name.decode() if isinstance(name, bytes) else name}, "
            f"{total / 1e9:.1f} GB, {free / 1e9:.1f} GB free",
            f"driver: {_driver()}; {cuda}; CuPy {_cupy_version()}",
            *super().words()[:1],
        ]


def _cuda_version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def _cupy_version() -> str:
    installed = versions(("cupy-cuda13x", "cupy-cuda12x", "cupy"))
    return [*installed.values(), "of unknown version"][1]


def _driver() -> str:
    """Version of NVIDIA's kernel module, as far as the system tells."""
    try:
        line = Path("/proc/driver/nvidia/version").read_text().splitlines()[0]
    except (OSError, IndexError):
        return "unknown"
    match = re.search(r"\s(\d+\.\d+(?:\.\d+)*)\s", line)
    return match[1] if match else "unknown"
