"""The kernels as C: their sources compiled for this machine, to be called with NumPy's arrays.

A CPU is a grid of one thread, and a group of threads is one.
"""

import ctypes
import shutil
import subprocess
from functools import partial

import numpy as np
import pytest

from structes.arrays import kernels
from structes.population import fingerprints

SUFFIX = {"float64": "f64", "float32": "f32"}
INNER = """
void philox_words(u64 *c, u64 key0, u64 key1) { philox(c, key0, key1); }
void of_words(T *z, const u64 *words, i64 n)
{
    for (i64 i = 0; i < n; i++)
        normals_of_word(words[i], z + i * (WIDTH / 4));
}
#ifndef FLOAT32
void quantiles(double *z, const double *u, i64 n)
{
    for (i64 i = 0; i < n; i++)
        z[i] = inverse_normal(u[i]);
}
#endif
"""


# A block of CUDA's threads as threads of this machine. All of them come to every shuffle.
BLOCK = r"""
#include <barrier>
#include <cmath>
#include <thread>
#include <vector>
#define __CUDACC__
#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(n)
#define __shared__ static
using std::sqrt, std::exp;
struct Index { int x; };
static thread_local Index threadIdx;
static Index blockIdx{0}, blockDim{1}, gridDim{1};
static std::barrier<> *all;
static std::vector<double> exchanged(1024);
static void __syncthreads() { all->arrive_and_wait(); }
static double __shfl_xor_sync(unsigned mask, double value, int gap)
{
    exchanged[threadIdx.x] = value;
    __syncthreads();
    value = exchanged[threadIdx.x ^ gap];
    __syncthreads();
    return value;
}
template <auto kernel> struct Launched;
template <class... A, void (*kernel)(A...)> struct Launched<kernel> {
    static void run(A... arguments)
    {
        std::barrier<> barrier(blockDim.x);
        std::vector<std::thread> threads;
        all = &barrier;
        for (int i = 0; i < blockDim.x; i++)
            threads.emplace_back([=] { threadIdx.x = i; kernel(arguments...); });
        for (auto &thread : threads)
            thread.join();
    }
};
extern "C" void use_threads(int n) { blockDim.x = n; }
"""
LAUNCHED = 'extern "C" void *launched_{0} = (void *)&Launched<{0}>::run;\n'


def compile_c(folder, name: str, source: str, options=()):
    """A C source as a library, all its warnings being errors; skips without a compiler."""
    flags = ["-x", "c", "-Wall", "-Werror", *(o for o in options if o.startswith("-D"))]
    return _compiled(("cc", "gcc"), folder / f"{name}.c", source, flags)


def compile_block(folder, name: str, source: str, kernels):
    """A CUDA source whose kernels are for one block as a library of `BLOCK`."""
    source = BLOCK + source + "".join(map(LAUNCHED.format, kernels))
    flags = ["-std=c++20", "-pthread", "-Wno-unknown-pragmas"]
    return _compiled(("c++", "g++"), folder / f"{name}.cpp", source, flags)


def _compiled(compilers, path, source, flags):
    compiler = next(filter(None, map(shutil.which, compilers)), None)
    if compiler is None:
        pytest.skip(f"no compiler: none of {', '.join(compilers)} is on the PATH")
    path.write_text(source)
    library = path.with_suffix(".so")
    command = [compiler, "-O2", "-ffp-contract=off", "-shared", "-fPIC", *flags, path]
    command += ["-x", "none", "-lm", "-o", library]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(library))


def call(function, *arguments):
    """Arrays go as pointers, None as a null pointer, int as 64 bits, float as double, the rest as
    it is."""
    function.restype = None
    function(*map(_argument, arguments))


def _argument(a):
    if isinstance(a, np.ndarray):
        assert a.flags.c_contiguous
        return ctypes.c_void_p(a.ctypes.data)
    if isinstance(a, int):
        return ctypes.c_uint64(a)
    if isinstance(a, float):
        return ctypes.c_double(a)
    return ctypes.c_void_p(None) if a is None else a


class Population:
    """The kernels of structes.arrays.kernels of one dtype, with the arguments of its launchers and
    those by which they cut their work."""

    def __init__(self, library, dtype):
        self.library, self.dtype = library, dtype

    def kernel(self, name, *arguments):
        call(getattr(self.library, f"{name}_{SUFFIX[self.dtype]}"), *arguments)

    def normals(self, seed, stream, generation, start, count, dim, slices=1):
        out = np.full((count, dim), np.nan, dtype=self.dtype)
        self.kernel("normals", out, count, dim, seed, stream, generation, start, slices)
        return out

    def sample(self, mean, step, seed, stream, generation, start, count, slices=1):
        dim = len(mean)
        X = np.full((count, dim), np.nan, dtype=self.dtype)
        return X, self.squares(dim, seed, stream, generation, start, count, slices, X, mean, step)

    def squares(self, dim, seed, stream, generation, start, count, slices=1, X=None, *points):
        mean, step = points or (None, None)
        squares = np.full((count, kernels._blocks(dim, self.dtype)), np.nan)
        address = count, dim, seed, stream, generation, start
        one = ctypes.c_int32(1)
        self.kernel("sample", X, squares, mean, step, *address, one, slices)
        return squares.sum(axis=1)

    def sums(self, w_mean, w_shape, seed, stream, generation, start, dim, slabs=1):
        count = len(w_mean)
        dz, zz = np.full((2, slabs, dim), np.nan)
        address = count, dim, seed, stream, generation, start
        self.kernel("sums", dz, zz, w_mean, w_shape, slabs, *address)
        return dz.sum(axis=0), zz.sum(axis=0)

    def prints(self, X):
        rows, dim = X.shape
        out = np.zeros(rows, dtype=np.uint64)
        factors = fingerprints.factors(dim)
        one = ctypes.c_int32(1)
        self.kernel("prints", out, X, rows, dim, factors, kernels.CHUNK, one)
        return out


class Steps:
    """The kernels of structes.arrays.kernels.steps, with the arguments of its launchers."""

    def __init__(self, library):
        self.library = library

    def stretch(self, good, bad, squares, dim):
        good, bad, squares = its = _doubles(good, bad, squares)
        w, about = np.full(len(squares), np.nan), np.full(2, np.nan)
        call(self.library.stretch, w, about, *its, len(squares), dim)
        return w, about[0], about[1]

    def paths(self, state, dz, dy, far, pulls):
        its = _doubles(state.mean, state.path_sigma, state.path, state.scale, dz, dy)
        dim, noise_dim = len(its[0]), len(its[1])
        out = [np.full(n, np.nan) for n in (dim, noise_dim, noise_dim, 1)]
        call(self.library.paths, *out, *its, dim, noise_dim, far, *pulls)
        return *out[:3], out[3][0]

    def stride(self, state, sums, far, pulls, rates):
        its = state.mean, state.path_sigma, state.path, state.factor[0], state.scale, *sums
        its = _doubles(*its)
        dim = len(its[0])
        out, numbers = np.full((4, dim), np.nan), np.full(4, np.nan)
        call(self.library.stride, *out, numbers, *its, dim, far, *pulls, *rates)
        return tuple(out), numbers


def _doubles(*arrays):
    return [
        np.ascontiguousarray(np.from_dlpack(a) if hasattr(a, "__dlpack__") else a, float)
        for a in arrays
    ]


class Block:
    """The kernels in a library of `compile_block`, each with so many threads."""

    def __init__(self, library, threads: int):
        self._library, self._threads = library, threads

    def __getattr__(self, name):
        address = ctypes.c_void_p.in_dll(self._library, f"launched_{name}").value
        self._library.use_threads(self._threads)
        return ctypes.CFUNCTYPE(None)(address)


class Module:
    """In place of the module structes.arrays.kernels: the same functions, by C.

    calls     names of those that were called
    returns   what makes of a NumPy array one of another library
    """

    def __init__(self, populations: dict):
        self.populations, self.calls, self.returns = populations, [], None

    def sample(self, *arguments):
        return self._call("sample", *arguments)

    def squares(self, *arguments):
        return self._call("squares", *arguments)

    def sums(self, *arguments):
        return self._call("sums", *arguments)

    def _call(self, name, *arguments):
        *arguments, dtype = arguments
        self.calls.append(name)
        out = getattr(self.populations[dtype], name)(*map(_contiguous, arguments))
        return _mapped(self.returns, out)


class Watched:
    """Steps, with the names of those that were called, as `Module`."""

    def __init__(self, steps):
        self._steps, self.calls, self.returns = steps, [], None

    def __getattr__(self, name):
        self.calls.append(name)
        return lambda *a: _mapped(self.returns, getattr(self._steps, name)(*a))


def _mapped(function, out):
    if function is None:
        return out
    return tuple(map(partial(_mapped, function), out)) if isinstance(out, tuple) else function(out)


def _contiguous(a):
    return _doubles(a)[0] if hasattr(a, "__dlpack__") else a
