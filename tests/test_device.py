"""What a device asks of a search: nothing waits for it without need, and single precision is
enough for candidates. CuPy behaves as array_api_strict does, which runs anywhere: an array becomes
a number, a truth value or a NumPy array only where somebody asks for it, and that can be counted.
"""

import tracemalloc

import array_api_strict
import numpy as np
import pytest

import structes
from structes.arrays.scalars import read
from structes.population import fingerprints, generation
from structes.problem import Problem
from structes.rowwise import rowwise
from structes.structures import STRUCTURES
from structes.structures.random_elements import example

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
    for _ in range(6):
        X, same = ours.ask(), other.ask()
        np.testing.assert_allclose(np.from_dlpack(same), X, rtol=1e-7, atol=1e-9)
        values = np.sum((X - 1) ** 2 * np.arange(1, 13), axis=1)
        ours.tell(X, values)
        other.tell(np.from_dlpack(same), values)
    assert other.info.injected == 0
    assert other.sigma == pytest.approx(ours.sigma, rel=1e-6)


# -- the loops ------------------------------------------------------------------------------------


@pytest.mark.slow
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


@pytest.mark.slow
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


# -- single precision -----------------------------------------------------------------------------


def ellipsoid(X):
    return np.sum((np.asarray(X, dtype=float) - 1) ** 2 * np.linspace(1, 30, X.shape[1]), axis=1)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_single_precision_converges(structure):
    """To 1e-10 of where it began: the state does not stall, because it is in double precision."""
    es = structes.ES(
        np.full(12, 5.0), 1.0, example(structure, 12), seed=1, dtype="float32", target=1e-7
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


@pytest.mark.parametrize("dim", [10, pytest.param(2**13, marks=pytest.mark.slow)])
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
