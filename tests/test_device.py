"""What a device asks of a search: nothing waits for it without need, and single precision is
enough for candidates. CuPy behaves as array_api_strict does, which runs anywhere: an array becomes
a number, a truth value or a NumPy array only where somebody asks for it, and that can be counted.
"""

import sys
import tracemalloc
from dataclasses import replace

import array_api_strict
import numpy as np
import pytest

import structes
from structes import fingerprints, generation
from structes.backend import read
from structes.examples import example
from structes.pending import Ledger
from structes.problem import Problem, rowwise
from structes.structures import STRUCTURES
from structes.update import Sums, move, weigh

from .compiled import Module, Watched

LOOKS = ("__float__", "__int__", "__bool__", "__index__", "__complex__", "__array__", "__dlpack__")
MORE = {"toeplitz_lower": 1, "toeplitz_upper": 1}  # is the inverse series still finite?


class Looks:
    """How often arrays of array_api_strict were looked at from outside."""

    def __init__(self, monkeypatch):
        self.count, self.inside = 0, False
        kind = type(array_api_strict.empty(0))
        for name in LOOKS:
            if hasattr(kind, name):
                monkeypatch.setattr(kind, name, self._counted(getattr(kind, name)))

    def _counted(self, method):
        def counted(array, *args, **options):
            if self.inside:  # one look that takes several steps
                return method(array, *args, **options)
            self.count, self.inside = self.count + 1, True
            try:
                return method(array, *args, **options)
            finally:
                self.inside = False

        return counted


@pytest.fixture
def looks(monkeypatch):
    # of CuPy's arrays a kernel makes the fingerprints, and they stay where they are
    stays = lambda X: np.zeros(X.shape[0], dtype=np.uint64)  # noqa: E731
    monkeypatch.setattr(generation, "fingerprints", stays)
    return Looks(monkeypatch)


def looked(looks, es, generations=4):
    """The most looks that an ask and a tell of a generation took, whose values are no better than
    what was seen before (a better point is copied)."""
    first = es.ask()
    es.tell(first, -np.ones(first.shape[0]))
    counts = []
    for _ in range(generations):
        before = looks.count
        X = es.ask()
        assert looks.count == before
        es.tell(X, np.arange(X.shape[0], dtype=float))
        counts.append(looks.count - before)
    return max(counts)


def search(structure="dense", dim=24, **options):
    spec = example(structure, dim) if isinstance(structure, str) else structure
    x0 = np.full(dim, 0.5)
    return structes.ES(x0, 1.0, spec, seed=3, backend="array_api_strict", **options)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_generation_waits_for_the_device_twice(structure, looks):
    """Are these the candidates? And the numbers of the update, all at once."""
    es = search(structure)
    assert looked(looks, es) <= 2 + MORE.get(structure, 0)
    assert es.generation == 5


@pytest.mark.parametrize("engine", ["cma", "xnes"])
def test_no_engine_waits_longer(engine, looks):
    assert looked(looks, search(engine=engine)) <= 2


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (None, 0.6)])
def test_bounds_do_not_wait(bounds, looks):
    assert looked(looks, search(bounds=[bounds] * 24)) <= 2


def test_a_large_generation_waits_for_its_numbers_only(looks):
    es = search("diagonal", 2**13, popsize=2**9)
    assert es.strategy.tile is not None
    waited = looks.count
    X = es.ask(lazy=True)
    es.tell(X, np.arange(len(X), dtype=float))
    # the best candidate is drawn, and copied; and the numbers of the update
    assert looks.count - waited <= 2


def test_numbers_are_read_in_one_look(looks):
    xp = array_api_strict
    numbers = xp.asarray(1.5), 2.0, xp.asarray(3.0, dtype=xp.float32), 4
    assert read(*numbers) == [1.5, 2.0, 3.0, 4.0]
    assert looks.count == 1
    assert read(1.0, 2) == (1.0, 2) and looks.count == 1


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("options", [{}, {"engine": "cma"}, {"bounds": [(0.0, 4.0)] * 12}])
def test_the_library_of_the_arrays_does_not_matter(structure, options):
    """The same points, up to rounding; those of one backend may be told as those of another."""
    ours, other = (
        structes.ES(np.full(12, 3.0), 1.0, example(structure, 12), 5, backend=name, **options)
        for name in ("numpy", "array_api_strict")
    )
    for _ in range(12):
        X, same = ours.ask(), other.ask()
        np.testing.assert_allclose(np.from_dlpack(same), X, rtol=1e-7, atol=1e-9)
        values = np.sum((X - 1) ** 2 * np.arange(1, 13), axis=1)
        ours.tell(X, values)
        other.tell(np.from_dlpack(same), values)
    assert other.info.injected == 0
    assert other.sigma == pytest.approx(ours.sigma, rel=1e-6)


# -- the loops ------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_error", ["missing", "raise"])
def test_the_loop_hands_a_large_generation_out_by_tiles(on_error):
    """Rows are evaluated a tile at a time; the bits are those of all at once."""
    d, sizes = 2**13, []

    def fun(X):
        sizes.append(X.shape[0])
        return ellipsoid(X)

    options = {"structure": "diagonal", "popsize": 2**9, "seed": 7}
    found = structes.minimize(
        fun, np.ones(d), 1.0, vectorized=True, on_error=on_error, max_evaluations=1200, **options
    )
    assert set(sizes) == {8} and sum(sizes) == found.nfev == 1200
    es = structes.ES(np.ones(d), 1.0, **options)
    for left in (2**9, 2**9, 1200 - 2**10):
        X = es.ask()[:left]
        es.tell(X, ellipsoid(X))
    np.testing.assert_array_equal(found.mean, es.mean)
    np.testing.assert_array_equal(found.x, es.best.x)
    assert found.fun == es.best.fun


def test_a_million_parameters_need_no_population():
    d, popsize = 10**6, 40
    tracemalloc.start()
    found = structes.minimize(
        lambda X: np.vecdot(X, X),
        np.ones(d),
        1.0,
        "diagonal",
        vectorized=True,
        popsize=popsize,
        max_evaluations=popsize,
        seed=1,
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.nfev == popsize and found.nit == 1
    assert peak < 0.6 * 8 * popsize * d  # some vectors of d numbers, some tiles of 4 rows


@pytest.mark.parametrize("vectorized", [False, True])
def test_points_of_a_device_reach_functions_and_workers(vectorized):
    """`fun` has the arrays of the library, workers have NumPy's."""
    kinds = set()

    def fun(x):
        kinds.add(type(x))
        xp = array_api_strict if not isinstance(x, np.ndarray) else np
        return xp.sum(x * x, axis=-1)

    given = {"vectorized": vectorized, "seed": 1, "max_evaluations": 60}
    here = structes.minimize(fun, [3.0] * 3, 1.0, backend="array_api_strict", **given)
    assert kinds == {type(array_api_strict.empty(0))}
    serial = structes.minimize(
        fun, [3.0] * 3, 1.0, backend="array_api_strict", workers="serial", **given
    )
    assert np.ndarray in kinds
    assert here.fun == pytest.approx(serial.fun, rel=1e-9)


@pytest.mark.parametrize("device", [False, True])
def test_a_problem_says_which_arrays_it_takes(device):
    kinds = []
    problem = Problem(lambda X: kinds.append(type(X)) or X[:, 0], 3, device=device)
    X = array_api_strict.ones((2, 3))
    assert [float(v) for v in problem(X)] == [1.0, 1.0] and kinds == [
        type(X) if device else np.ndarray
    ]
    single = Problem(rowwise(lambda x: kinds.append(type(x)) or float(x[0])), 3, device=device)
    assert single(X).tolist() == [1.0, 1.0]
    assert kinds[-1] == (type(X) if device else np.ndarray)


# -- noise that is drawn again --------------------------------------------------------------------


@pytest.fixture
def compiled(monkeypatch, populations, c_steps):
    """The kernels as C, and which of them were called, in the place of those for a device."""
    module, there = Module(populations), Watched(c_steps)
    monkeypatch.setattr("structes.redrawn.kernels", module)
    monkeypatch.setattr("structes.redrawn.steps", there)
    monkeypatch.setattr("structes.update.steps", there)
    monkeypatch.setattr("structes.strategy.DEVICE", 2**20)
    module.steps = there
    return module


def on_device(dim=2**13, popsize=2**9, **options):
    """A search whose arrays are NumPy's, as if they were on a device."""
    es = structes.ES(np.full(dim, 3.0), 1.0, seed=6, popsize=popsize, **options)
    es.strategy = replace(es.strategy, on_device=True)
    es.ledger = Ledger(es._generation())
    return es


def same_search(a, b, close=1e-9):
    assert a.sigma == pytest.approx(b.sigma, rel=close)
    np.testing.assert_allclose(a.mean, b.mean, rtol=close, atol=close)
    np.testing.assert_allclose(a.state.factor[0], b.state.factor[0], rtol=close)
    np.testing.assert_allclose(a.state.path, b.state.path, rtol=100 * close, atol=close)


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
    [("diagonal", 5000, 16), ("diagonal", 300, 52), ("dense", 300, 110), ("kronecker", 300, 122)],
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


@pytest.mark.parametrize("engine", ["cma", "xnes"])
@pytest.mark.parametrize("drift", [0.0, 30.0])
@pytest.mark.parametrize("trust", [1e-3, 1e3])
def test_a_stride_is_a_step(trust, drift, engine, compiled):
    """With one that is cut and one that is not, with a path that waits and one that does not."""
    d, n, rng = 300, 12, np.random.default_rng(8)
    es = structes.ES(np.ones(d), 1.0, "diagonal", popsize=n, engine=engine)
    strategy = replace(es.strategy, trust_region=trust)
    state = strategy.init(rng.normal(size=d), 0.3, np.exp(rng.normal(size=d)))
    state = state._replace(
        factor=(np.exp(rng.normal(size=d)),),
        path=rng.normal(size=d),
        path_sigma=rng.normal(size=d) + drift,
        generation=1000,
    )
    weighed = weigh(strategy, rng.normal(size=n))
    sums = Sums(rng.normal(size=d), (0.1 * rng.normal(size=d) + 0.2,), 0.05)
    (plain, told), (same, other) = (
        move(replace(strategy, on_device=device), state, weighed, sums) for device in (False, True)
    )
    assert compiled.steps.calls == ["stride"]
    assert told.clipped == (trust < 1 and engine == "cma")
    if engine == "cma":  # did the path take in what the samples say?
        assert (np.corrcoef(plain.path, sums.z)[0, 1] > 0.15) == (drift == 0)
    assert other == pytest.approx(told, rel=1e-13)
    assert same.sigma == pytest.approx(plain.sigma, rel=1e-13)
    for name in ("mean", "path", "path_sigma"):
        np.testing.assert_allclose(
            getattr(same, name), getattr(plain, name), rtol=1e-11, atol=1e-13
        )
    np.testing.assert_allclose(same.factor[0], plain.factor[0], rtol=1e-13)


# -- single precision -----------------------------------------------------------------------------


def ellipsoid(X):
    return np.sum((np.asarray(X, dtype=float) - 1) ** 2 * np.linspace(1, 30, X.shape[1]), axis=1)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_single_precision_converges(structure):
    """To 1e-10 of where it began: the state does not stall, because it is in double precision."""
    es = structes.ES(
        np.full(24, 3.0), 1.0, example(structure, 24), seed=1, dtype="float32", target=1e-7
    )
    assert ellipsoid(es.ask()).min() > 1e3
    while not es.stop():
        X = es.ask()
        assert X.dtype == np.float32
        es.tell(X, ellipsoid(X))
    assert "target" in es.stop()
    factor = es.state.factor
    while isinstance(factor, tuple):
        factor = factor[0]
    assert factor.dtype == es.state.mean.dtype == es.state.path.dtype == np.float64


def test_steps_that_float32_cannot_hold_add_up():
    """The factor of 10⁶ parameters moves by some 1e-6 a generation; in steps of float32 half of
    that would be lost."""
    d = 4096
    es = structes.ES(np.zeros(d), 1.0, "diagonal", seed=2, dtype="float32", popsize=8)
    es.state = es.state._replace(factor=(es.state.factor[0] * (1 + 1e-9),))
    X = es.ask()
    es.tell(X, np.sum(X * X, axis=1))
    moved = es.state.factor[0]
    assert np.unique(moved.astype(np.float32)).size < 0.9 * np.unique(moved).size


@pytest.mark.parametrize("dim", [10, 2**13])
def test_lazy_and_told_in_double_precision(dim):
    """Candidates in single precision are recognised whatever array they come back in."""
    popsize = 8 if dim == 10 else 2**9
    make = lambda: structes.ES(  # noqa: E731
        np.ones(dim), 1.0, "diagonal", seed=4, dtype="float32", popsize=popsize
    )
    a, b, c = make(), make(), make()
    X, lazily = a.ask(), b.ask(lazy=True)
    assert np.array_equal(X, np.asarray(lazily)) and X.dtype == np.asarray(lazily).dtype
    values = ellipsoid(X)
    a.tell(X, values)
    b.tell(lazily, values)
    c.ask()
    order = np.random.default_rng(0).permutation(popsize)
    c.tell(X[order].astype(float), values[order])
    expected = a.ask()
    for other in (b, c):
        assert other.info.injected == 0 and other.generation == 1
        np.testing.assert_array_equal(other.ask(), expected)


def test_points_in_single_precision_stay_inside():
    """0.1 is larger in float32 than in float64."""
    bounds = [(-0.1, 0.1), (0.7, None), (None, -0.3), (1e-9, 2e-9)]
    x0 = [0.0, 0.8, -0.4, 1.5e-9]
    es = structes.ES(
        x0, [1.0, 1.0, 1.0, 1e-9], seed=1, dtype="float32", popsize=200, bounds=bounds
    )
    X = es.ask().astype(float)
    for j, (low, high) in enumerate(bounds):
        assert low is None or (X[:, j] >= low).all()
        assert high is None or (X[:, j] <= high).all()


def test_saved_in_single_precision(tmp_path):
    es = structes.ES(np.ones(6), 1.0, seed=1, dtype="float32")
    for _ in range(5):
        X = es.ask()
        es.tell(X, ellipsoid(X))
    es.ask()
    es.save(tmp_path / "es")
    again = structes.ES.load(tmp_path / "es")
    X = again.ask()
    assert X.dtype == np.float32
    np.testing.assert_array_equal(X, es.ask())
    np.testing.assert_array_equal(es.pending, again.pending)


# -- what is wrong --------------------------------------------------------------------------------


def test_words_of_wrong_settings(monkeypatch):
    with pytest.raises(ValueError, match="dtype must be one of float64, float32; got 'float16'"):
        structes.ES([0.0], 1.0, dtype="float16")
    assert structes.ES([0.0], 1.0, dtype=np.float32).strategy.dtype == "float32"
    assert structes.ES([0.0], 1.0, dtype=np.dtype("float64")).strategy.dtype == "float64"
    with pytest.raises(ValueError, match="backend must be one of numpy, cupy"):
        structes.ES([0.0], 1.0, backend="torch")
    monkeypatch.setitem(__import__("sys").modules, "array_api_compat.cupy", None)
    with pytest.raises(ImportError, match=r"pip install 'structes\[gpu-cuda12\]'"):
        structes.ES([0.0], 1.0, backend="cupy")
    with pytest.raises(ImportError, match="backend 'cupy' needs CuPy"):
        structes.ShardedES(lambda X: X[:, 0], [0.0], 1.0, backend="cupy")


def test_fingerprints_of_other_libraries_are_the_same():
    X = np.random.default_rng(1).normal(size=(4, 30))
    same = fingerprints.fingerprints(array_api_strict.asarray(X))
    np.testing.assert_array_equal(same, fingerprints.fingerprints(X))
