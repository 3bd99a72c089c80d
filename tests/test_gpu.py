"""Searches on a device beside the same on the host: equal up to rounding.

Without a device they run on a pretended one (test_pretend.py).
"""

import numpy as np
import pytest
from click.testing import CliRunner

import structes
from structes.arrays.libraries import namespace
from structes.shell.cli import cli
from structes.structures import STRUCTURES
from structes.structures.random_elements import example

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("cp")]

LARGE = ["diagonal", "scalar", "block_upper:k8", "kronecker:rows64", "toeplitz_lower"]


def weighted(X):
    """An ellipsoid, on whatever X (n, d) is on."""
    weights = namespace(X).asarray(np.linspace(1.0, 30.0, X.shape[1]))
    return ((X - 1) ** 2) @ weights


def host(a):
    return a.get() if hasattr(a, "get") else np.asarray(a)


def pair(dim, structure, **options):
    """The same search on the device and on the host."""
    make = lambda name: structes.ES(  # noqa: E731
        np.full(dim, 3.0), 1.0, structure, seed=5, backend=name, **options
    )
    return make("cupy"), make("numpy")


def follow(there, here, generations, close, lazy=False):
    """Both see the same values; where they go is the same."""
    for _ in range(generations):
        X, Y = there.ask(lazy=lazy), here.ask()
        if not lazy:
            np.testing.assert_allclose(host(X), Y, rtol=close, atol=close)
        values = weighted(Y)
        there.tell(X, values)
        here.tell(Y, values)
    assert there.info == pytest.approx(here.info, rel=close, abs=close)
    assert there.sigma == pytest.approx(here.sigma, rel=close)
    np.testing.assert_allclose(host(there.mean), here.mean, rtol=close, atol=close)
    np.testing.assert_allclose(host(there.deviations), here.deviations, rtol=close)
    np.testing.assert_allclose(there.best.x, here.best.x, rtol=close, atol=close)
    assert type(there.best.x) is np.ndarray and there.best.fun == here.best.fun
    assert there.info.injected == there.info.repeated == 0


OPTIONS = {
    "plain": {},
    "cma": {"engine": "cma"},
    "xnes": {"engine": "xnes"},
    "float32": {"dtype": "float32"},
    "bounds": {"bounds": [(0.0, 4.0)] * 12},
    "noise": {"noise": "auto"},
    "many": {"popsize": 40},
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_it_follows_the_host(structure, options):
    options = OPTIONS[options]
    close = 1e-7 if "dtype" not in options else 1e-3
    follow(*pair(12, example(structure, 12), **options), 12, close)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("structure", LARGE)
def test_large_generations_follow_the_host(structure, lazy, monkeypatch, tmp_path):
    monkeypatch.setattr("structes.strategy.tiling.DEVICE", 2**18)
    there, here = pair(2**13, structure, popsize=2**7)
    assert there.strategy.tile == 2**5
    follow(there, here, 3, 1e-8, lazy)
    there.ask()
    there.save(tmp_path / "it")
    again = structes.ES.load(tmp_path / "it")
    assert again.strategy.on_device and again.strategy.tile == there.strategy.tile
    assert np.array_equal(host(again.ask()), host(there.ask()))
    assert np.array_equal(host(again.pending), host(there.pending))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("structure", ["diagonal", "scalar"])
def test_noise_that_is_not_stored(structure, dtype):
    there, here = pair(5000, structure, popsize=12, dtype=dtype)
    assert there.strategy.redraws and there.strategy.tile is None
    follow(there, here, 4, 1e-8 if dtype == "float64" else 1e-3)


def test_points_and_values_may_be_anywhere(cp):
    es = structes.ES(np.full(12, 3.0), 1.0, seed=1, backend="cupy")
    for _ in range(3):
        X = es.ask()
        assert isinstance(X, cp.ndarray)
        values = weighted(X)
        assert isinstance(values, cp.ndarray)
        es.tell(X[::-1], values[::-1])  # in another order
    X = es.ask()
    es.tell(host(X), host(weighted(X)))
    assert es.generation == 4 and es.info.injected == 0
    X = es.ask(3)
    es.tell(np.full((1, 12), 2.0), [1e3])  # a point of the user's own
    es.tell(X, weighted(X))
    es.advance()
    assert es.info.injected == 1


MINIMIZED = {
    "plain": {},
    "float32": {"dtype": "float32"},
    "restarts": {"restarts": "ipop", "max_evaluations": 4000},
    "auto": {"structure": "auto", "max_evaluations": 6000},
    "diagonal": {"structure": "diagonal"},
    "bounds": {"bounds": [(0.0, 4.0)] * 12},
    "integers": {"integers": [0, 3]},
}


@pytest.mark.parametrize("options", MINIMIZED)
def test_minimize(options, cp):
    options = {"max_evaluations": 2000, **MINIMIZED[options]}
    kinds = set()

    def fun(X):
        kinds.add(type(X))
        return weighted(X)

    found = structes.minimize(
        fun, np.full(12, 3.0), 1.0, vectorized=True, backend="cupy", seed=1, **options
    )
    assert kinds == {cp.ndarray}
    assert found.fun < 1e-5 and type(found.x) is type(found.mean) is np.ndarray
    np.testing.assert_allclose(found.x, 1, atol=1e-2)
    one = structes.minimize(
        lambda x: float(weighted(x[None, :])[0]), np.full(12, 3.0), 1.0, backend="cupy", seed=1,
        **{**options, "max_evaluations": 60},
    )  # fmt: skip
    assert one.nfev == 60


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("structure", ["diagonal", "block_upper:k8", "kronecker:rows50"])
def test_replicas(structure, dtype):
    found = []
    for backend in ("cupy", "numpy"):
        with structes.ShardedES(
            weighted, np.full(5000, 3.0), 1.0, structure, seed=1, replicas=2, backend=backend,
            dtype=dtype, popsize=24,
        ) as es:  # fmt: skip
            es.run(lambda es: es.generation == 4)
            found.append((es.best.fun, es.sigma, *es.mean[:50], *es.best.x[:50]))
    assert found[0] == pytest.approx(found[1], rel=1e-8 if dtype == "float64" else 1e-3, abs=1e-3)


def test_a_run_from_the_shell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = "run --problem sphere --dim 6 --backend cupy --seed 1 --set max_evaluations=400"
    result = CliRunner().invoke(cli, words.split(), prog_name="structes")
    assert result.exit_code == 0, result.output
    (run,) = (tmp_path / "runs").iterdir()
    assert "backend: cupy" in (run / "config.yaml").read_text()
    assert '"evaluations": 400' in (run / "result.json").read_text()
