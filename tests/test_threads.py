"""Threads of BLAS: short work is not shared among them, and nobody else's threads are taken."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import scipy.linalg.blas  # noqa: F401  has a BLAS of its own
from threadpoolctl import threadpool_info, threadpool_limits

from structes.arrays import threads as backend
from structes.arrays.threads import single_threaded

SEARCH = """
import hashlib, sys
import numpy as np
import structes
from structes.arrays.threads import blas_threads

es = structes.ES(np.full(int(sys.argv[2]), 3.0), 1.0, sys.argv[1], seed=4)
for _ in range(12):
    X = es.ask()
    es.tell(X, ((X - 1) ** 2 * np.arange(1, es.dim + 1)).sum(axis=1))
print(blas_threads(), hashlib.sha256(np.ascontiguousarray(es.ask())).hexdigest())
"""


def threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.mark.slow
@pytest.mark.parametrize("structure", ["dense", "lower", "diagonal", "low_rank"])
def test_the_bits_do_not_depend_on_the_number_of_threads(structure):
    found = []
    for number in "123":
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, number)}
        command = [sys.executable, "-c", SEARCH, structure, "150"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found.append(done.stdout.split())
    assert len({bits for _, bits in found}) == 1 and found[0][0] == "1"
    assert os.cpu_count() == 1 or found[1][0] == "2"


def test_threads_are_given_back(monkeypatch):
    monkeypatch.setattr(backend, "blas_threads", lambda: 2)

    def twice(dim):
        return threads(), single_threaded(threads, dim), threads()

    def fails():
        raise KeyError(*threads())

    with threadpool_limits(2, user_api="blas"):
        for dim, inside in ((5, {2}), (100, {1}), (1000, {2})):
            assert single_threaded(twice, dim, dim) == (inside, inside, inside)
            assert threads() == {2}
        with pytest.raises(KeyError, match="1"):
            single_threaded(fails, 100)
        assert threads() == {2}


def test_threads_do_not_take_them_from_each_other(monkeypatch):
    monkeypatch.setattr(backend, "blas_threads", lambda: 2)

    with threadpool_limits(2, user_api="blas"), ThreadPoolExecutor(1) as pool:

        def both():
            return pool.submit(single_threaded, threads, 100).result(), threads()

        assert single_threaded(both, 100) == ({1}, {1})
        assert both() == ({2}, {2})
