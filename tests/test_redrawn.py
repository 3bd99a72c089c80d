"""Kernels of a device in a search, here as C: noise that is drawn again in the place of a stored
population, and steps in the place of many array operations, against the same search without.
"""

import sys
from dataclasses import replace

import array_api_strict
import numpy as np
import pytest

import structes
from structes.population import generation
from structes.population.generation import Generation
from structes.population.ledger import Ledger
from structes.strategy.samples import Summed, Sums
from structes.structures import STRUCTURES
from structes.structures.random_elements import example

from .compiled import Module, Watched


def ellipsoid(X):
    return np.sum((np.asarray(X, dtype=float) - 1) ** 2 * np.linspace(1, 30, X.shape[1]), axis=1)


# -- noise that is drawn again --------------------------------------------------------------------


@pytest.fixture
def compiled(monkeypatch, populations, c_steps):
    """The kernels as C, and which of them were called, in the place of those for a device."""
    module, there = Module(populations), Watched(c_steps)
    monkeypatch.setattr("structes.strategy.redrawn.kernels", module)
    monkeypatch.setattr("structes.strategy.redrawn.steps", there)
    for name in ("update", "samples", "on_device"):
        monkeypatch.setattr(f"structes.strategy.{name}.steps", there)
    monkeypatch.setattr("structes.strategy.tiling.DEVICE", 2**20)
    module.steps = there
    return module


def on_device(dim=2**13, popsize=2**9, **options):
    """A search whose arrays are NumPy's, as if they were on a device."""
    es = structes.ES(np.full(dim, 3.0), 1.0, seed=6, popsize=popsize, **options)
    its = es._search
    strategy = replace(its.strategy, on_device=True)
    ledger = Ledger.begin(Generation(strategy, its.state, its.seed, its.origin))
    es._search = its._replace(strategy=strategy, ledger=ledger)
    return es


def same_search(a, b, close=1e-9):
    assert a.sigma == pytest.approx(b.sigma, rel=close)
    np.testing.assert_allclose(a.mean, b.mean, rtol=close, atol=close)
    np.testing.assert_allclose(a.state.factor[0], b.state.factor[0], rtol=close)
    np.testing.assert_allclose(a.state.path, b.state.path, rtol=100 * close, atol=close)


@pytest.mark.slow
@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("options", [{}, {"bounds": [(2.0, 3.5)] * 2**13}])
@pytest.mark.parametrize("structure", ["diagonal", "scalar"])
def test_noise_that_is_drawn_again_is_the_noise(structure, options, lazy, compiled):
    plain = structes.ES(np.full(2**13, 3.0), 1.0, structure, seed=6, popsize=2**9, **options)
    es = on_device(structure=structure, **options)
    assert es.strategy.redraws and es.strategy.tile == 2**7
    for _ in range(3):
        X, C = plain.ask(), es.ask(lazy=lazy)
        np.testing.assert_allclose(np.asarray(C), X, rtol=1e-10, atol=1e-10)
        values = ellipsoid(X)
        plain.tell(X, values)
        es.tell(C, values)
        same_search(es, plain)
    # a pass for the points, one for the sums; for lengths only where nobody drew them here
    assert ("squares" in compiled.calls) == lazy
    assert compiled.calls.count("sums") == 4 * 3  # tiles, generations
    assert compiled.steps.calls.count("stride") == (3 if structure == "diagonal" else 0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_small_generation_is_not_stored_either(dtype, compiled):
    options = {"structure": "diagonal", "popsize": 12, "dtype": dtype}
    plain = structes.ES(np.full(5000, 3.0), 1.0, seed=6, **options)
    es = on_device(5000, **options)
    assert es.strategy.redraws and es.strategy.tile is None
    for _ in range(4):
        X, Y = plain.ask(), es.ask()
        close = 1e-9 if dtype == "float64" else 1e-5
        np.testing.assert_allclose(Y, X, rtol=close, atol=close)
        values = ellipsoid(X)
        plain.tell(X, values)
        es.tell(Y, values)
        same_search(es, plain, close)
    assert compiled.calls == ["sample", "sums"] * 4
    assert compiled.steps.calls == ["stretch", "stride"] * 4


@pytest.mark.slow
@pytest.mark.parametrize("popsize", [12, 2**9])
def test_some_values_are_missing_and_some_come_late(popsize, compiled):
    plain = structes.ES(np.full(2**13, 3.0), 1.0, "diagonal", seed=6, popsize=popsize)
    es = on_device(popsize=popsize, structure="diagonal")
    assert (es.strategy.tile is None) == (popsize == 12)
    some = np.flatnonzero(np.random.default_rng(0).random(popsize) < 0.7)
    rest = np.setdiff1d(np.arange(popsize), some)
    for search in (plain, es):
        first = search.ask()
        search.tell(first[some], ellipsoid(first[some]))
        search.advance()
        second = search.ask()
        search.tell(first[rest[:5]], ellipsoid(first[rest[:5]]))
        search.tell(second, ellipsoid(second))
    assert es.info.late == plain.info.late > 0 and es.info.injected == 0
    same_search(es, plain)


# -- steps by kernels -----------------------------------------------------------------------------


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("options", [{}, {"engine": "xnes"}, {"dtype": "float32"}])
def test_kernels_make_the_step(structure, options, compiled):
    """The paths of short vectors, and the weights of all, come from kernels, to rounding the
    same."""
    options = {"popsize": 10, "structure": example(structure, 12), **options}
    plain, es = structes.ES(np.full(12, 3.0), 1.0, seed=6, **options), on_device(12, **options)
    for _ in range(10):
        X, Y = plain.ask(), es.ask()
        values = ellipsoid(X)
        plain.tell(X, values)
        es.tell(Y, values)
    close = 1e-9 if es.strategy.dtype == "float64" else 1e-4
    assert es.info == pytest.approx(plain.info, rel=close)
    assert es.sigma == pytest.approx(plain.sigma, rel=close)
    np.testing.assert_allclose(es.mean, plain.mean, rtol=close, atol=close)
    np.testing.assert_allclose(es.deviations, plain.deviations, rtol=close)
    for name in ("path", "path_sigma"):
        its = getattr(es.state, name), getattr(plain.state, name)
        np.testing.assert_allclose(*its, rtol=100 * close, atol=close)
    assert compiled.steps.calls == ["stretch", "paths"] * 10


class Launches:
    """How many operations on arrays of array_api_strict structes calls: about as many kernels are
    queued on a device. Neither views nor empty arrays count."""

    FREE = {"__getitem__", "reshape", "matrix_transpose", "empty", "astype", "_new", "__dlpack__"}
    FREE |= {"shape", "dtype", "ndim", "T", "device", "__array_namespace__", "__getattr__"}

    def __init__(self):
        self.calls = []

    def _seen(self, frame, event, _):
        if event != "call" or "array_api_strict" not in frame.f_code.co_filename:
            return
        caller, name = frame.f_back, frame.f_code.co_name
        module = caller.f_globals["__name__"]
        if module.startswith("structes") and name not in self.FREE:
            self.calls.append(f"{module}:{caller.f_lineno} {name}")

    def __enter__(self):
        sys.setprofile(self._seen)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)


@pytest.mark.parametrize(
    ("structure", "dim", "most"),
    [("diagonal", 5000, 16), ("diagonal", 300, 52), ("dense", 300, 115), ("kronecker", 300, 136)],
)
def test_few_launches(structure, dim, most, compiled, monkeypatch):
    """Of an ask and a tell, by operations on arrays and kernels: CuPy takes some 5 µs for each.
    (Those of the fingerprints are not counted.)"""
    prints = lambda X: np.zeros(X.shape[0], dtype=np.uint64)  # noqa: E731
    monkeypatch.setattr(generation, "fingerprints", prints)
    compiled.returns = compiled.steps.returns = array_api_strict.asarray
    es = on_device(dim, 24, structure=example(structure, dim), backend="array_api_strict")
    for _ in range(3):
        compiled.calls.clear()
        compiled.steps.calls.clear()
        with Launches() as launches:
            X = es.ask()
            es.tell(X, np.arange(24, dtype=float))
    assert len(launches.calls) + len(compiled.calls) + len(compiled.steps.calls) <= most


@pytest.mark.parametrize("engine", ["default", "natural", {"name": "natural", "gamma": 0.3}])
@pytest.mark.parametrize("drift", [0.0, 30.0])
@pytest.mark.parametrize("trust", [1e-3, 1e3])
def test_a_stride_is_a_step(trust, drift, engine, compiled):
    """With one that is cut and one that is not, with a path that waits and one that does not."""
    d, n, rng = 300, 12, np.random.default_rng(8)
    es = structes.ES(np.ones(d), 1.0, "diagonal", popsize=n, engine=engine)
    strategy = replace(es.strategy, engine=replace(es.strategy.engine, trust_region=trust))
    state = strategy.init(rng.normal(size=d), 0.3, np.exp(rng.normal(size=d)))
    state = state._replace(
        factor=(np.exp(rng.normal(size=d)),),
        path=rng.normal(size=d),
        path_sigma=rng.normal(size=d) + drift,
        generation=1000,
    )
    values = rng.normal(size=n)
    sums = Sums(rng.normal(size=d), (0.1 * rng.normal(size=d) + 0.2,), 0.05)
    (plain, told), (same, other) = (
        rule.update_summed(state, values, lambda _, rule=rule: Summed(rule, state, sums))
        for rule in (replace(strategy, on_device=device) for device in (False, True))
    )
    assert compiled.steps.calls == ["stride"]
    assert told.clipped == (trust < 1)
    if engine == "default":  # did the path take in what the samples say?
        assert (np.corrcoef(plain.path, sums.z)[0, 1] > 0.15) == (drift == 0)
    assert other == pytest.approx(told, rel=1e-13)
    assert same.sigma == pytest.approx(plain.sigma, rel=1e-13)
    for name in ("mean", "path", "path_sigma"):
        np.testing.assert_allclose(
            getattr(same, name), getattr(plain, name), rtol=1e-11, atol=1e-13
        )
    np.testing.assert_allclose(same.factor[0], plain.factor[0], rtol=1e-13)
