"""minimize: SciPy's result, exact budgets, callbacks, progress, and wrong input."""

import re

import numpy as np
import pytest

import structes


def sphere(x):
    return float(x @ x)


def test_minimize_returns_scipys_result():
    result = structes.minimize(sphere, [3.0, -2.0], 1.0, seed=1, target=1e-10)
    assert result.success and result.fun <= 1e-10 and result.stop == {"target": result.fun}
    assert result.nfev == result.es.evaluations and result.nit == result.es.generation
    assert "target" in result.message and sphere(result.x) == result.fun


def test_minimize_never_exceeds_its_evaluations():
    calls = []
    for limit in (1, 7, 23):
        calls.clear()
        result = structes.minimize(
            lambda x: calls.append(x) or sphere(x), [3.0, 1.0], 1.0, seed=1, max_evaluations=limit
        )
        assert len(calls) == result.nfev == limit and not result.success
        assert "max_evaluations" in result.stop


def test_minimize_vectorized_is_the_same_run():
    a = structes.minimize(sphere, [3.0] * 4, 1.0, seed=1, max_evaluations=500)
    b = structes.minimize(
        lambda X: np.array([sphere(x) for x in X]),
        [3.0] * 4,
        1.0,
        seed=1,
        max_evaluations=500,
        vectorized=True,
    )
    assert a.fun == b.fun
    np.testing.assert_array_equal(a.x, b.x)


def test_minimize_callback_can_end_the_run():
    seen = []
    result = structes.minimize(
        sphere,
        [1.0, 1.0],
        1.0,
        seed=1,
        callback=lambda es: seen.append(es.generation) or len(seen) == 3,
    )
    assert seen == [1, 2, 3] and result.stop == {"callback": True} and not result.success


def test_minimize_shows_progress_on_stderr(capsys):
    structes.minimize(sphere, [1.0, 1.0], 1.0, seed=1, progress=True, max_evaluations=300)
    out, err = capsys.readouterr()
    assert out == "" and "best" in err


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(fun=3), TypeError, "fun must be callable; got 3"),
        (dict(fun=lambda x: "low"), ValueError, "fun must return one real number"),
        (dict(fun=lambda x: x), ValueError, "fun must return one real number .*vectorized"),
        (dict(fun=lambda x: None), ValueError, "fun must return one real number"),
        (dict(targett=3), TypeError, "no argument 'targett' .did you mean 'target'"),
    ],
)
def test_minimize_bad_input(arguments, error, message):
    with pytest.raises(error, match=re.compile(message, re.DOTALL)):
        structes.minimize(**{**dict(fun=sphere, x0=[1.0, 2.0], sigma0=1.0, seed=1), **arguments})


@pytest.mark.filterwarnings("ignore:all values of a generation were NaN")
def test_a_function_that_always_raises_is_the_callers():
    with pytest.raises(ZeroDivisionError):
        structes.minimize(lambda x: 1 / 0, [1.0], 1.0, seed=1)
    calls = []

    def once(x):
        calls.append(x)
        return 1 / 0

    with pytest.raises(ZeroDivisionError):
        structes.minimize(once, [1.0], 1.0, seed=1, on_error="raise")
    assert len(calls) == 1
    with pytest.raises(ValueError, match="on_error must be one of missing, raise; got 'skip'"):
        structes.minimize(sphere, [1.0], 1.0, seed=1, on_error="skip")


@pytest.mark.parametrize("vectorized", [False, True])
def test_an_exception_is_a_missing_value_as_nan_is(vectorized):
    def value(x, failed):
        if x[0] > 3.1:
            return failed()
        return float(x @ x)

    def search(failed):
        def fun(X):
            return np.array([value(x, failed) for x in X])

        f = fun if vectorized else lambda x: value(x, failed)
        return structes.minimize(f, [3.0, 3.0], 1.0, seed=1, target=1e-6, vectorized=vectorized)

    def raised():
        raise OSError("the licence server is away")

    nan = search(lambda: np.nan)
    with pytest.warns(RuntimeWarning, match="evaluations of fun failed.*licence server"):
        missing = search(raised)
    assert missing.success and missing.errors > 0 and nan.errors == 0
    assert (missing.fun, missing.nfev, missing.nit) == (nan.fun, nan.nfev, nan.nit)
    np.testing.assert_array_equal(missing.x, nan.x)
