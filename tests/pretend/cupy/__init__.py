"""A device that is none: CuPy's interface over NumPy, for the tests that are marked `gpu`.

Whoever has this folder on PYTHONPATH and no GPU runs the code for one: arrays that refuse to
become NumPy's and refuse NumPy's beside them, numbers that stay there until somebody looks, and
kernels that get the arguments that they would get on a device, compiled as C. What it does not
show is whatever only hardware does: threads, streams, memory. A group of threads is one here.
"""

import builtins
import ctypes
import hashlib
import operator
import subprocess
import sys
import tempfile
import tracemalloc
import types
from pathlib import Path

import numpy

from structes.arrays import kernels

kernels._group = lambda work: 1
generic = numpy.generic
here = sys.modules[__name__]


OPERATORS = "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"
OPERATORS += "and", "or", "xor", "lshift", "rshift"
METHODS = "sum", "max", "min", "all", "any", "copy", "diagonal", "ravel", "reshape", "trace"
METHODS += "view", "transpose"


# -- arrays ---------------------------------------------------------------------------------------


class ndarray:
    """An array of the device: `there` is NumPy's."""

    __array_ufunc__ = None  # NumPy's operators leave it to ours
    __hash__ = None

    def __init__(self, there):
        self.there = numpy.asarray(there)
        for hook in MemoryHook.all:
            hook.malloc_postprocess()

    def __array__(self, *_, **__):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Use `.get()`")

    def __dlpack__(self, *_, **__):
        raise BufferError("the array is on a device")

    def get(self):
        return self.there.copy()

    @property
    def __cuda_array_interface__(self):
        return self.there.__array_interface__

    @property
    def data(self):
        return types.SimpleNamespace(ptr=self.there.ctypes.data)

    @property
    def device(self):
        return Device()

    @property
    def flags(self):
        flags = self.there.flags
        return types.SimpleNamespace(
            c_contiguous=flags.c_contiguous, f_contiguous=flags.f_contiguous
        )

    def __iter__(self):
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in builtins.range(len(self)))

    def __getitem__(self, key):
        return ndarray(self.there[_key(key)])

    def __setitem__(self, key, value):
        self.there[_key(key)] = _there(value)

    def astype(self, dtype, order="K", casting=None, subok=None, copy=True):
        if not copy and self.dtype == dtype:
            return self
        return ndarray(self.there.astype(dtype, order=order))

    def __repr__(self):
        return f"there({self.there!r})"


def _key(key):
    if isinstance(key, tuple):
        return tuple(map(_key, key))
    if isinstance(key, numpy.ndarray):
        raise IndexError("Unsupported type <class 'numpy.ndarray'>")
    return key.there if isinstance(key, ndarray) else key


def _there(x):
    """An argument as NumPy takes it; NumPy's own arrays are refused, its numbers are not."""
    if isinstance(x, numpy.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    if type(x) in (list, tuple):
        return type(x)(map(_there, x))
    return x.there if isinstance(x, ndarray) else x


def _back(x):
    """A result with arrays of the device."""
    if isinstance(x, numpy.ndarray | numpy.generic):
        return ndarray(x)
    if isinstance(x, tuple | list):
        parts = map(_back, x)
        return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
    return x


def _function(function):
    def called(*arguments, **options):
        options = {name: _there(value) for name, value in options.items()}
        return _back(function(*map(_there, arguments), **options))

    return called


def _looking(function):
    return lambda self: function(self.there)


def _operator(name):
    method = getattr(numpy.ndarray, name)

    def called(self, other):
        return _back(method(self.there, _there(other)))

    return called


def _in_place(function):
    def called(self, other):
        self.there = function(self.there, _there(other))
        return self

    return called


for _n in ("shape", "dtype", "ndim", "size", "nbytes", "itemsize", "strides"):
    setattr(ndarray, _n, property(operator.attrgetter(f"there.{_n}")))
for _n in ("T", "mT"):
    setattr(ndarray, _n, property(lambda self, _n=_n: ndarray(getattr(self.there, _n))))
for _n in ("__float__", "__int__", "__index__", "__len__", "item", "tolist"):
    setattr(ndarray, _n, _looking(getattr(numpy.ndarray, _n)))
ndarray.__bool__ = _looking(builtins.bool)
for _n in ("__neg__", "__abs__", "__invert__"):
    setattr(ndarray, _n, _function(getattr(numpy.ndarray, _n)))
for _n in OPERATORS:
    setattr(ndarray, f"__{_n}__", _operator(f"__{_n}__"))
    setattr(ndarray, f"__r{_n}__", _operator(f"__r{_n}__"))
    setattr(ndarray, f"__i{_n}__", _in_place(getattr(operator, f"i{_n}")))
for _n in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(ndarray, f"__{_n}__", _operator(f"__{_n}__"))
for _n in METHODS:
    setattr(ndarray, _n, _function(getattr(numpy.ndarray, _n)))


# -- functions ------------------------------------------------------------------------------------


def asarray(a, dtype=None, order=None, *, blocking=False):
    if isinstance(a, ndarray):
        return a if dtype is None else a.astype(dtype, copy=False)
    return array(a, dtype)


def array(a, dtype=None, copy=True):
    listed = isinstance(a, list | tuple)
    a = _there(a) if isinstance(a, ndarray) or listed else a
    return ndarray(numpy.array(a, dtype=dtype, copy=copy))


def ascontiguousarray(a, dtype=None):
    a = asarray(a, dtype)
    return a if a.flags.c_contiguous and a.ndim else ndarray(numpy.ascontiguousarray(a.there))


def _module(name, of, known):
    """The functions of a module of NumPy, of those of the device."""
    module = sys.modules.setdefault(name, types.ModuleType(name))
    for n, function in vars(of).items():
        if not (n.startswith("_") or n in known or isinstance(function, types.ModuleType)):
            plain = isinstance(function, type) or not callable(function)
            setattr(module, n, function if plain else _function(function))
    return module


linalg = _module("cupy.linalg", numpy.linalg, ())
fft = _module("cupy.fft", numpy.fft, ())
_module(__name__, numpy, {*vars(here), "from_dlpack"})


# -- kernels --------------------------------------------------------------------------------------


class RawModule:
    """A source, compiled as C; its kernels are functions of one thread."""

    def __init__(self, code, options=()):
        name = hashlib.sha256(repr((code, options)).encode()).hexdigest()[:32]
        path = Path(tempfile.gettempdir()) / f"structes-pretend-{name}.so"
        if not path.exists():
            with tempfile.TemporaryDirectory() as folder:
                source, made = Path(folder) / "kernels.c", Path(folder) / "kernels.so"
                source.write_text(code)
                defines = [o for o in options if o.startswith("-D")]
                flags = ["-O2", "-ffp-contract=off", "-shared", "-fPIC", *defines]
                subprocess.run(["cc", *flags, source, "-lm", "-o", made], check=True)
                path.write_bytes(made.read_bytes())
        self.library = ctypes.CDLL(str(path))

    def get_function(self, name):
        function = getattr(self.library, name)
        function.restype = None

        def launch(grid, block, arguments):
            (blocks,), (threads,) = grid, block
            assert 0 < blocks <= 2**31 and 0 < threads <= 1024
            function(*map(_argument, arguments))

        return launch


def _argument(a):
    """A kernel takes a number by its type, and nothing but arrays and NumPy's numbers."""
    if isinstance(a, ndarray):
        assert a.flags.c_contiguous
        return ctypes.c_void_p(a.there.ctypes.data)
    kinds = "int32", "int64", "uint64", "float64"
    types_ = ctypes.c_int32, ctypes.c_int64, ctypes.c_uint64, ctypes.c_double
    return dict(zip(kinds, types_, strict=True))[a.dtype.name](a.item())


# -- the device -----------------------------------------------------------------------------------


class Device:
    def __init__(self, id=None):
        self.id = id or 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def synchronize(self):
        pass


class MemoryHook:
    all = []

    def __enter__(self):
        tracemalloc.start()
        MemoryHook.all.append(self)
        return self

    def __exit__(self, *_):
        MemoryHook.all.remove(self)
        tracemalloc.stop()


class _Pool:
    def used_bytes(self):
        return tracemalloc.get_traced_memory()[0]

    def total_bytes(self):
        return tracemalloc.get_traced_memory()[1]

    def free_bytes(self):
        return 0

    def free_all_blocks(self):
        pass


get_default_memory_pool = _Pool

runtime = types.SimpleNamespace(
    memGetInfo=lambda: (2**33, 2**34),
    getDeviceProperties=lambda _: {"name": b"no device, NumPy"},
    driverGetVersion=lambda: 12080,
    runtimeGetVersion=lambda: 12080,
)
cuda = types.ModuleType("cupy.cuda")
cuda.__path__ = []
cuda.is_available = lambda: True
cuda.Device, cuda.MemoryHook, cuda.runtime = Device, MemoryHook, runtime
cuda.device = types.ModuleType("cupy.cuda.device")
cuda.device.Device = Device
sys.modules["cupy.cuda"], sys.modules["cupy.cuda.device"] = cuda, cuda.device
