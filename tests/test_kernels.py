"""The kernels: their source compiled as C and run against NumPy, compiled for GPUs, run on one."""

import ctypes
import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import log_ndtr, ndtr, ndtri
from scipy.stats import kstest

from structes.arrays import kernels, noise
from structes.arrays.kernels import steps
from structes.arrays.libraries import load_namespace
from structes.population.fingerprints import factors, fingerprints

from .compiled import SUFFIX, Block, Steps, call, compile_block

DTYPES = ("float64", "float32")
ARCHITECTURES = ["sm_70", *(pytest.param(a, marks=pytest.mark.slow) for a in ("sm_80", "sm_90"))]
NAMES = ("normals", "sample", "sums", "prints")
STEPS = ("stretch", "paths", "stride")
# float64: the two inverses of Φ differ by a few units in the last place of at most 8.3.
# float32: θ is rounded twice, by 9e-8 of at most π in all, which r ≤ 6.77 turns into 1.9e-6; the
# rounding of r, of the cosine and of their product adds 5 units of 6e-8 times 6.77.
CLOSE = {"float64": 4e-15, "float32": 4e-6}
TOP = 2**64 - 1
ADDRESSES = [  # seed, stream, generation, start, count, dim
    (0, 0, 0, 0, 5, 1),
    (1, 0, 1, 0, 7, 3),
    (1, 0, 1, 4, 6, 4),
    (2, 1, 1, 4, 6, 8),
    (TOP, 2, TOP, 11, 9, 10),
    (7, 1, 3, 2**40, 3, 17),
    (TOP - 1, 0, 2**63, 3, 4, 1000),
    (3, 0, 2, 1, 2, 70_001),  # rows longer than what NumPy draws at a time
    (11, 0, 1, 0, 100, 10_007),  # a million
    (11, 0, 1, 0, 3, 0),
    (11, 0, 1, 0, 0, 3),
]

# ---- the source as C ----


@pytest.fixture(params=DTYPES)
def c(request, populations):
    return populations[request.param]


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [  # the known answers that come with Random123
        ([0] * 4, [0] * 2, "16554d9eca36314c db20fe9d672d0fdc d7e772cee186176b 7e68b68aec7ba23b"),
        (
            [TOP] * 4,
            [TOP] * 2,
            "87b092c3013fe90b 438c3c67be8d0224 9cc7d7c69cd777b6 a09caebf594f0ba0",
        ),
        (
            [0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89],
            [0x452821E638D01377, 0xBE5466CF34E90C6C],
            "a528f45403e61d95 38c72dbd566e9788 a5a1610e72fd18b5 57bd43b5e52b7fe6",
        ),
    ],
)
def test_philox_gives_the_known_answers(c, counter, key, words):
    out = np.array(counter, dtype=np.uint64)
    call(c.library.philox_words, out, *key)
    assert " ".join(f"{w:016x}" for w in out.tolist()) == words


@pytest.mark.parametrize("address", ADDRESSES, ids=str)
def test_normals_are_those_of_numpy(c, address):
    ours, theirs = noise.normals(*address, dtype=c.dtype), c.normals(*address)
    assert ours.shape == theirs.shape == address[-2:] and ours.dtype == theirs.dtype == c.dtype
    assert np.all(np.abs(ours - theirs) <= CLOSE[c.dtype])


def words_of(seed, stream, generation, start, count, dim, each):
    """Words of Philox by the formula of `noise`, each alone: (count, ceil(dim / each))."""
    q = -(-dim // (4 * each))
    rows = []
    for i in range(start, start + count):
        counter = (i * q) + (generation << 128)  # NumPy adds the 1
        philox = np.random.Philox(counter=counter, key=seed + (stream << 64))
        rows.append(philox.random_raw(4 * q)[: -(-dim // each)])
    return np.array(rows)


def test_normals_are_those_of_the_formulas():
    address = 5, 2, TOP - 3, 9, 4, 13
    word = words_of(*address, 1)
    u = (word >> np.uint64(11)) * 2.0**-53 + 2.0**-54
    assert np.array_equal(noise.normals(*address), ndtri(u))
    word = words_of(*address, 2)
    low, high = word & np.uint64(2**32 - 1), (word >> np.uint64(32)).astype(np.uint32)
    r = np.sqrt(-2 * np.log((low + 0.5) * 2.0**-32))
    angle = np.pi * high.view(np.int32) * 2.0**-31
    z = np.stack([r * np.cos(angle), r * np.sin(angle)], axis=2).reshape(4, 14)[:, :13]
    assert np.abs(noise.normals(*address, dtype="float32") - z).max() < CLOSE["float32"]


def test_rows_drawn_one_by_one_are_rows_of_the_block(c):
    for dim in (1, 5, 8, 27, 9001):
        address = 4, 1, 6, 20
        for draw in (c.normals, lambda *a: noise.normals(*a, dtype=c.dtype)):
            block = draw(*address, 5, dim)
            single = [draw(*address[:3], 20 + i, 1, dim) for i in range(5)]
            assert np.array_equal(block, np.concatenate(single))
        for slices in (2, 5, 7):
            assert np.array_equal(c.normals(*address, 5, dim), c.normals(*address, 5, dim, slices))


def test_inverse_normal_is_right_everywhere(populations):
    u = np.concatenate([np.geomspace(1e-300, 0.5, 100_001), np.linspace(0, 1, 50_001)[1:-1]])
    z = np.empty_like(u)
    call(populations["float64"].library.quantiles, z, u, len(u))
    # log Φ(z) = log u: an error δ of z shows as δ φ(z) / Φ(z), which is about δ |z| in the tail
    slack = 4e-15 * (1 + np.abs(z)) ** 2 + 4e-16 * np.abs(np.log(u))
    assert np.all(np.abs(log_ndtr(z) - np.log(u)) <= slack)
    near = u > 1e-20
    assert np.all(np.abs(z - ndtri(u))[near] <= 4e-15 * np.maximum(np.abs(ndtri(u)), 1)[near])
    assert np.allclose(ndtr(z), u, rtol=1e-12, atol=0)


def test_extreme_words_give_finite_normals(populations):
    words = np.array([0, 1 << 11, TOP, TOP - (1 << 11), TOP - (1 << 12), 1 << 63], dtype=np.uint64)
    z = np.empty(len(words))
    call(populations["float64"].library.of_words, z, words, len(words))
    u = noise._unit(words.copy())
    assert np.all((u > 0) & (u < 1)) and np.isfinite(z).all()
    assert np.all(np.abs(z - ndtri(u)) <= 4e-15 * np.abs(ndtri(u)))

    halves = np.array([0, 1, 2**31 - 1, 2**31, 2**32 - 1], dtype=np.uint64)
    words = (halves[:, None] << np.uint64(32) | halves[None, :]).ravel()
    z, other = np.empty((2, len(words), 2), dtype=np.float32)
    call(populations["float32"].library.of_words, z, words, len(words))
    noise._box_muller(words[None, :], other.reshape(1, -1))
    assert np.abs(z).max() < 6.77 and np.abs(z - other).max() < CLOSE["float32"]
    assert np.abs(z).max() > 6.76  # the smallest radicand is used in full


def test_float32_normals_are_normal():
    z = noise.normals(1, 0, 1, 0, 1000, 1000, dtype="float32").ravel()
    n = z.size
    assert kstest(z, "norm").pvalue > 1e-3
    assert kstest(np.abs(z[np.abs(z) > 3]), lambda x: 1 - ndtr(-x) / ndtr(-3)).pvalue > 1e-3
    z = z.astype(float)
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(np.mean(z**power) - moment) < 4 * np.sqrt(variance / n)
    for lag in (1, 2, 8, 1000):  # the two of a word, neighbours, blocks, rows
        assert abs(np.mean(z[lag:] * z[:-lag])) < 4 / np.sqrt(n)
        assert abs(np.mean(z[lag:] ** 2 * z[:-lag] ** 2) - 1) < 4 * np.sqrt(8 / n)


def test_sample_is_mean_plus_step_times_noise(c):
    rng = np.random.Generator(np.random.PCG64(1))
    for dim in (1, 3, 4, 8, 21, 1000):
        mean, step = rng.normal(size=dim), np.exp(rng.normal(size=dim))
        address = 9, 0, 4, 6, 5
        X, squares = c.sample(mean, step, *address)
        Z = c.normals(*address, dim)
        assert np.array_equal(X, (mean + step * Z.astype(float)).astype(c.dtype))
        assert np.allclose(squares, np.sum(Z.astype(float) ** 2, axis=1), rtol=1e-14, atol=0)
        again = c.sample(mean, step, *address, slices=3)
        assert np.array_equal(again[0], X) and np.array_equal(again[1], squares)
        assert np.array_equal(c.squares(dim, *address), squares)  # without points


def test_sums_are_those_of_the_noise(c):
    rng = np.random.Generator(np.random.PCG64(2))
    for count, dim in ((1, 5), (7, 4), (12, 21), (64, 1000)):
        w_mean, w_shape = rng.normal(size=(2, count))
        w_mean[count // 2 :] = 0
        w_shape[: count // 4] = 0
        Z = c.normals(3, 0, 8, 2, count, dim).astype(float)
        for slabs in (1, 2, count, count + 3):
            dz, zz = c.sums(w_mean, w_shape, 3, 0, 8, 2, dim, slabs)
            assert np.all(np.abs(dz - w_mean @ Z) <= 1e-12 * (np.abs(w_mean) @ np.abs(Z)))
            assert np.all(np.abs(zz - w_shape @ Z**2) <= 1e-12 * (np.abs(w_shape) @ Z**2))


def rows_to_print(dim, dtype):
    X = np.random.Generator(np.random.PCG64(dim)).normal(size=(5, dim)).astype(dtype)
    if dim > 1:
        X[1, 0], X[1, -1] = 0.0, -0.0
        X[2, 0], X[2, -1] = np.inf, 1e-40  # 1e-40 is subnormal in float32
    return X


@pytest.mark.parametrize("dim", [1, 2, 10, 33, 8191, 8192, 8193, 16384, 20_001])
def test_prints_are_the_fingerprints(c, dim):
    X = rows_to_print(dim, c.dtype)
    assert np.array_equal(c.prints(X), fingerprints(X))
    assert len(set(c.prints(X).tolist())) == len(X)


# ---- the steps ----


class Point:
    """A state of `dim` numbers and samples' sums, at random."""

    def __init__(self, dim):
        rng = np.random.Generator(np.random.PCG64(dim))
        n = self.noise_dim = dim + 3 if dim % 2 else dim
        self.mean, self.scale, self.dy = rng.normal(size=(3, dim))
        self.path_sigma, self.path, self.dz = rng.normal(size=(3, n))
        self.weights = rng.normal(size=(2, dim))
        self.squares = rng.chisquare(50, size=dim)
        self.factor = (np.exp(rng.normal(size=dim)),)
        self.m = 0.1 * rng.normal(size=dim)

    def all(self, steps, wait, as_array=np.asarray):
        """What all steps make of it, in one array."""
        its = {k: as_array(v) for k, v in vars(self).items() if isinstance(v, np.ndarray)}
        state = SimpleNamespace(**its, factor=(as_array(self.factor[0]),))
        pulls = 0.1, 0.4, 0.2, 0.6, wait
        w, *about = steps.stretch(state.weights[0], state.weights[1], state.squares, 50)
        paths = steps.paths(state, state.dz, state.dy, 0.3, pulls)
        if self.noise_dim > len(self.mean):
            return [w, *about, *paths]
        sums = state.dz, state.m, about[1]
        vectors, numbers = steps.stride(state, sums, 0.3, pulls, (0.05, 0.9, 0.5))
        return [w, *about, *paths, *vectors, numbers]

    def check(self, steps, c_steps, as_array=np.asarray):
        for wait in (1e-9, 1e9):
            ours, theirs = self.all(steps, wait, as_array), self.all(c_steps, wait)
            for a, b in zip(ours, theirs, strict=True):
                a = a.get() if hasattr(a, "get") else a
                np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [32, 96, 256])
def test_threads_of_a_block_share_a_step(threads, tmp_path, c_steps):
    library = compile_block(tmp_path, "steps", kernels.source("steps"), STEPS)
    for dim in (1, 2, 31, 100, 256, 701):
        Point(dim).check(Steps(Block(library, threads)), c_steps)


# ---- the source as CUDA, compiled without a GPU ----


@pytest.mark.parametrize("name", ["population", "steps"])
def test_the_sources_are_ascii(name):
    assert kernels.source(name).isascii()  # CuPy writes it to a file in the encoding of the locale


@pytest.fixture(scope="module")
def nvrtc():
    try:
        found = importlib.util.find_spec("nvidia.cuda_nvrtc")
    except ModuleNotFoundError:
        found = None
    if found is None:
        pytest.skip("NVRTC is not installed (nvidia-cuda-nvrtc-cu12)")
    (folder,) = found.submodule_search_locations
    return ctypes.CDLL(str(Path(folder) / "lib" / "libnvrtc.so.12"))


def cubin(nvrtc, source, options) -> bytes:
    """What NVRTC makes of a source; RuntimeError with its log if it makes nothing."""
    program = ctypes.c_void_p()
    text = source.encode()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, b"kernels.cu", 0, None, None) == 0

    def get(what):
        size = ctypes.c_size_t()
        assert getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size)) == 0
        out = ctypes.create_string_buffer(size.value)
        assert getattr(nvrtc, f"nvrtcGet{what}")(program, out) == 0
        return out.raw

    try:
        array = (ctypes.c_char_p * len(options))(*(o.encode() for o in options))
        if nvrtc.nvrtcCompileProgram(program, len(options), array) != 0:
            raise RuntimeError(get("ProgramLog").decode())
        return get("CUBIN")
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def all_options(dtype, architecture):
    """Ours, and those that CuPy 14 adds."""
    theirs = ("-std=c++17", "-ftz=true", "--device-as-default-execution-space")
    return (*kernels.options(dtype), *theirs, f"--gpu-architecture={architecture}")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_source_compiles_for_gpus(nvrtc, dtype, architecture):
    out = cubin(nvrtc, kernels.source("population"), all_options(dtype, architecture))
    assert out.startswith(b"\x7fELF")
    for name in NAMES:
        assert f".text.{name}_{SUFFIX[dtype]}\0".encode() in out


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_steps_compile_for_gpus(nvrtc, architecture):
    out = cubin(nvrtc, kernels.source("steps"), all_options("float64", architecture))
    assert out.startswith(b"\x7fELF")
    for name in STEPS:
        assert f".text.{name}\0".encode() in out


def test_an_error_in_the_source_is_found(nvrtc):
    source = kernels.source("population")
    assert source.count("c[3] = low0;") == 1
    with pytest.raises(RuntimeError, match="low9"):
        cubin(nvrtc, source.replace("c[3] = low0;", "c[3] = low9;"), all_options(*SM_80))


SM_80 = "float64", "sm_80"

# ---- the launchers, on a GPU ----


@pytest.fixture(params=["whole", "grid of 3 blocks"])
def grid(request, monkeypatch):
    if request.param != "whole":
        monkeypatch.setattr(kernels, "_GRID", 3)


@pytest.mark.gpu
@pytest.mark.parametrize("address", ADDRESSES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_gpu_normals_are_those_of_numpy(cp, grid, dtype, address):
    z = noise.normals(*address, xp=load_namespace("cupy"), dtype=dtype)
    assert isinstance(z, cp.ndarray) and z.dtype == dtype and z.shape == address[-2:]
    assert np.all(np.abs(z.get() - noise.normals(*address, dtype=dtype)) <= CLOSE[dtype])
    seed, stream, generation, start, count, dim = address
    if count > 1:
        single = kernels.normals(seed, stream, generation, start + 1, 1, dim, dtype)
        assert np.array_equal(single.get()[0], z[1].get())


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("count", "dim"), [(1, 1), (5, 3), (9, 4), (300, 10), (70, 33), (40, 1000), (3, 100_001)]
)
def test_gpu_sample_is_mean_plus_step_times_noise(cp, grid, dtype, count, dim):
    rng = np.random.Generator(np.random.PCG64(1))
    mean, step = rng.normal(size=dim), np.exp(rng.normal(size=dim))
    address = 9, 0, 4, 6, count
    arguments = cp.asarray(mean), cp.asarray(step), *address, dtype
    X, squares = kernels.sample(*arguments)
    assert X.dtype == dtype and squares.shape == (count,)
    z = kernels.normals(*address, dim, dtype).get().astype(float)
    assert np.array_equal(X.get(), (mean + step * z).astype(dtype))
    assert np.allclose(squares.get(), np.sum(z**2, axis=1), rtol=1e-13, atol=0)
    again = kernels.squares(dim, *address, dtype)
    assert np.array_equal(again.get(), squares.get())


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("count", "dim"), [(1, 1), (7, 3), (500, 10), (64, 1001), (40, 100_001)])
def test_gpu_sums_are_those_of_the_noise(cp, grid, dtype, count, dim):
    rng = np.random.Generator(np.random.PCG64(2))
    w_mean, w_shape = rng.normal(size=(2, count))
    w_mean[count // 2 :] = 0
    w_shape[: count // 4] = 0
    arguments = cp.asarray(w_mean), cp.asarray(w_shape), 3, 0, 8, 2, dim, dtype
    dz, zz = (a.get() for a in kernels.sums(*arguments))
    assert dz.dtype == zz.dtype == float and dz.shape == zz.shape == (dim,)
    Z = kernels.normals(3, 0, 8, 2, count, dim, dtype).get().astype(float)
    assert np.all(np.abs(dz - w_mean @ Z) <= 1e-12 * (np.abs(w_mean) @ np.abs(Z)))
    assert np.all(np.abs(zz - w_shape @ Z**2) <= 1e-12 * (np.abs(w_shape) @ Z**2))
    again = kernels.sums(*arguments)
    assert np.array_equal(dz, again[0].get()) and np.array_equal(zz, again[1].get())


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dim", [0, 1, 2, 10, 33, 8191, 8192, 8193, 16384, 20_001])
def test_gpu_prints_are_the_fingerprints(cp, grid, dtype, dim):
    X = rows_to_print(dim, dtype)
    there = kernels.prints(cp.asarray(X), factors)
    assert there.dtype == np.uint64 and np.array_equal(there.get(), fingerprints(X))
    turned = cp.asarray(np.asfortranarray(X))  # rows that are not contiguous
    assert np.array_equal(kernels.prints(turned, factors).get(), fingerprints(X))


@pytest.mark.gpu
@pytest.mark.parametrize("dim", [1, 2, 31, 33, 1000, 1025, 5000, 2**15])
def test_gpu_steps_are_those_of_c(cp, c_steps, dim):
    Point(dim).check(steps, c_steps, cp.asarray)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
def test_gpu_launchers_do_not_wait(cp, dtype):
    """Behind a kernel that turns for a second, every launcher comes back while it still turns."""
    spin = cp.RawKernel(
        'extern "C" __global__ void spin(long long cycles)'
        "{ long long begin = clock64(); while (clock64() - begin < cycles) {} }",
        "spin",
    )
    stream = cp.cuda.Stream(non_blocking=True)
    with stream:
        mean, step, w = cp.zeros(5000), cp.ones(5000), cp.ones(64)
        names = "mean", "path_sigma", "path", "scale"
        there = SimpleNamespace(**dict.fromkeys(names, step), factor=(step,))

        def work():
            kernels.normals(1, 0, 1, 0, 64, 5000, dtype)
            X, _ = kernels.sample(mean, step, 1, 0, 1, 0, 64, dtype)
            kernels.squares(5000, 1, 0, 1, 0, 64, dtype)
            kernels.sums(w, w, 1, 0, 1, 0, 5000, dtype)
            kernels.prints(X, factors)
            steps.stretch(w, w, w, 64)
            steps.paths(there, step, step, 0.1, (0.1,) * 5)
            steps.stride(there, (step, step, step[0]), 0.1, (0.1,) * 5, (0.1,) * 3)

        work()  # compiles, and fills the pool of memory
        spin((1,), (1,), (np.int64(1),))
        stream.synchronize()
        assert stream.done
        spin((1,), (1,), (np.int64(2 * 10**9),))
        work()
        assert not stream.done
        stream.synchronize()
