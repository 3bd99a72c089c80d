"""Noise: a pure function of its address, by NumPy in any number of threads and pieces."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

import structes
from structes.arrays import noise
from structes.arrays.libraries import load_namespace
from structes.structures.building import build_structure
from structes.structures.random_elements import element


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("count, dim", [(1, 1_100_003), (2, 600_001), (3, 2**19), (70_000, 9)])
def test_what_threads_draw_together_is_what_one_draws(count, dim, dtype):
    address = (5, 0, 3, 11, count, dim)
    drawn = []
    try:
        for threads in (1, 2, 3, 8):
            noise.use_threads(threads)
            drawn.append(noise.normals(*address, dtype=dtype))
    finally:
        noise.use_threads(None)
    for other in drawn[1:]:
        np.testing.assert_array_equal(other, drawn[0])
    row = noise.normals(5, 0, 3, 11 + count - 1, 1, dim, dtype=dtype)
    np.testing.assert_array_equal(drawn[0][-1:], row)


@pytest.mark.slow
def test_a_child_that_was_forked_draws_with_threads_of_its_own():
    script = """
import multiprocessing as m, numpy as np
from structes.arrays import noise
noise.use_threads(2)
draw = lambda: noise.normals(1, 0, 0, 0, 4, 2**18).sum()
def child(queue):
    queue.put(draw())
if __name__ == "__main__":
    here, fork = draw(), m.get_context("fork")
    queue = fork.Queue()
    process = fork.Process(target=child, args=(queue,))
    process.start()
    print(queue.get(timeout=30) == here)
    process.join()
"""
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert out.stdout == "True\n", out.stderr


def test_rows_drawn_one_by_one_are_the_block():
    for dim in (1, 3, 4, 7, 5000):
        block = noise.normals(5, 0, 9, 2, 4, dim)
        for i in range(4):
            np.testing.assert_array_equal(noise.normals(5, 0, 9, 2 + i, 1, dim), block[i : i + 1])


def test_uniforms_drawn_row_by_row_are_the_block():
    for dim in (1, 4, 7, 50):
        block = noise.uniforms(5, 0, 9, 2, 4, dim)
        for i in range(4):
            row = noise.uniforms(5, 0, 9, 2 + i, 1, dim)
            np.testing.assert_array_equal(row, block[i : i + 1])


def test_noise_has_a_pinned_value_and_no_collisions():
    # integers and exact arithmetic up to the uniforms: the same bits on every machine
    golden = noise.uniforms(2026, 0, 3, 0, 100, 1000)
    digest = hashlib.sha256(golden.tobytes()).hexdigest()
    assert digest == "d52a157f3cebb27f5f66bba57226dce9d6b56d5f61a306f8bc5519d240c48a5d"
    z = noise.normals(2026, 0, 3, 0, 100, 1000)[99, 996:]
    np.testing.assert_allclose(
        z,
        [0.20370814049736785, 1.603673723259834, -0.35080140481129285, 0.5802188263872794],
        rtol=1e-13,
    )
    first = {
        tuple(noise.normals(seed, stream, generation, start, 1, 2)[0])
        for seed in (1, 2)
        for stream in (0, 1)
        for generation in (0, 1)
        for start in (0, 1)
    }
    assert len(first) == 16


def test_no_two_purposes_share_a_number():
    """Whatever has the same seed: the streams keep candidates, problems and starts apart."""
    streams = noise.CANDIDATES, noise.PROBLEM, noise.STARTS
    found = [noise.uniforms(7, stream, t, 0, 20, 50) for stream in streams for t in range(3)]
    assert len(np.unique(np.concatenate(found))) == 9 * 20 * 50


def test_each_purpose_has_its_stream(monkeypatch):
    streams, philox = [], noise._philox

    def noted(seed, stream, generation, block):
        streams.append(stream)
        return philox(seed, stream, generation, block)

    def taken(action):
        streams.clear()
        action()
        return set(streams)

    monkeypatch.setattr(noise, "_philox", noted)
    es = structes.RestartES([1.0, 2.0], 1.0, seed=1, flat=1)
    assert taken(lambda: es.tell(X := es.ask(), np.ones(len(X)))) == {noise.CANDIDATES}
    assert taken(es.stop) == {noise.STARTS} and taken(es.ask) == {noise.CANDIDATES, noise.STARTS}
    structure = build_structure("lower", 3)
    assert taken(lambda: element(structure, 10.0)) == {noise.PROBLEM}


def test_noise_is_philox_by_its_published_vector():
    # Random123's known answer for counter 0, key 0; the counter is incremented before use
    words = np.random.Philox(key=0, counter=2**256 - 1).random_raw(4)
    assert [hex(w) for w in words[:2]] == ["0x16554d9eca36314c", "0xdb20fe9d672d0fdc"]
    words = np.random.Philox(key=(7, 2), counter=(12, 0, 5, 0)).random_raw(4)
    wanted = ndtri((words >> np.uint64(11)) * 2.0**-53 + 2.0**-54)
    np.testing.assert_array_equal(noise.normals(7, 2, 5, 12, 1, 4)[0], wanted)


def test_single_precision_is_that_of_box_and_muller():
    """Two normals a word: its low half says how far, its high half in which direction."""
    words = np.random.Philox(key=(7, 2), counter=(12, 0, 5, 0)).random_raw(4)
    low = (words & np.uint64(2**32 - 1)).astype(float)
    high = (words >> np.uint64(32)).astype(np.uint32).view(np.int32).astype(float)
    r, angle = np.sqrt(-2 * np.log((low + 0.5) / 2**32)), np.pi * high / 2**31
    wanted = np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1).ravel()
    z = noise.normals(7, 2, 5, 12, 1, 8, dtype="float32")[0]
    np.testing.assert_allclose(z, wanted, rtol=0, atol=4e-6)


def test_single_precision_holds_the_words_at_the_ends():
    words = np.array([[0, 2**32 - 1, 2**63, 2**64 - 1]], dtype=np.uint64)
    z = np.empty((1, 8), dtype=np.float32)
    noise._box_muller(words, z)
    longest = np.sqrt(-2 * np.log(0.5 / 2**32))  # of a word whose low half is 0
    wanted = [longest, 0, 0, 0, -longest, 0, 0, 0]
    np.testing.assert_allclose(z[0], wanted, rtol=1e-6, atol=2e-3)
    assert np.isfinite(z).all()


def test_uniforms_are_neither_0_nor_1():
    words = np.array([0, 2**11 - 1, 2**63, 2**64 - 2**11, 2**64 - 1], dtype=np.uint64)
    ends = 2.0**-54, 1 - 2.0**-53
    np.testing.assert_array_equal(
        noise._unit(words), [ends[0], ends[0], 0.5 + 2.0**-54, ends[1], ends[1]]
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_noise_is_standard_normal(dtype):
    z = np.sort(noise.normals(1, 0, 0, 0, 200, 1000, dtype=dtype).ravel())
    n = z.size
    distance = np.abs(ndtr(z) - (np.arange(n) + 0.5) / n).max()  # Kolmogorov–Smirnov
    assert distance < 1.95 / np.sqrt(n)  # p = 0.001


def test_seed_is_checked():
    with pytest.raises(TypeError, match="seed must be an integer"):
        noise.check_seed(1.5)
    with pytest.raises(TypeError, match="seed must be an integer"):
        noise.check_seed(True)
    with pytest.raises(ValueError, match="seed must lie in"):
        noise.check_seed(-1)
    assert noise.check_seed(2**64 - 1) == 2**64 - 1
    assert noise.check_seed(None) != noise.check_seed(None)


def test_dtypes_and_namespaces_of_noise():
    address = 1, 0, 2, 3, 4, 5
    strict = load_namespace("array_api_strict")
    for dtype in (np.float32, "float32", np.dtype("float32")):
        z = noise.normals(*address, dtype=dtype)
        assert z.dtype == np.float32
        assert np.array_equal(z, noise.normals(*address, dtype="float32"))
        there = noise.normals(*address, xp=strict, dtype=dtype)
        assert there.__array_namespace__() is strict and there.dtype == strict.float32
        assert np.array_equal(np.from_dlpack(there), z)
    assert np.array_equal(noise.normals(*address), noise.normals(*address, dtype=np.float64))
    for bad in ("float16", np.int64, "complex64"):
        with pytest.raises(ValueError, match="float64 or float32"):
            noise.normals(*address, dtype=bad)
