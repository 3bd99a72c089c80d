"""The answer says what it means: success follows the values' own scale, and is said in words."""

import numpy as np
import pytest

from structes import Bool, Choice, Float, Int, Space, minimize


def bowl(x):
    return float(((x - 2) ** 2).sum())


START = [0.0, 0.0, 0.0], 1.0


@pytest.mark.parametrize("scale", [1e-300, 1e-18, 1e-9, 1.0, 1e9, 1e290])
def test_the_scale_of_the_values_changes_nothing(scale):
    """A power of two changes no bit; any other one the end by some generations at most."""
    exact = 2.0 ** round(np.log2(scale))
    one, other = (minimize(lambda x, s=s: s * bowl(x), *START, seed=1) for s in (1.0, exact))
    assert one.success and other.success
    assert np.abs(other.x - 2).max() < 1e-5
    if scale >= 1e-18:  # of smaller ones squares and differences underflow
        assert other.x.tobytes() == one.x.tobytes() and other.nfev == one.nfev


@pytest.mark.parametrize("offset", [1e3, -1e5, 1e12, -1e15])
@pytest.mark.parametrize("seed", range(4))
def test_an_offset_changes_no_success(offset, seed):
    """To the last digit of the values the search is as good, and it has converged."""
    result = minimize(lambda x: offset + bowl(x), *START, seed=seed)
    assert result.success, (result.stop, result.message)
    assert bowl(result.x) < 100 * np.spacing(abs(offset)) + 1e-8
    assert "converged" in result.message


def test_a_plateau_from_the_start_is_no_success():
    result = minimize(lambda x: 1.0, *START, seed=1)
    assert not result.success and list(result.stop) == ["flat"]
    assert "sigma0 is too small" in result.message


def test_a_target_decides_where_there_is_one():
    reached = minimize(bowl, *START, seed=1, target=1e-3)
    assert reached.success and reached.stop["target"] <= 1e-3
    assert reached.message.startswith("the target was reached")
    missed = minimize(lambda x: 1 + bowl(x), *START, seed=1, target=1e-3)
    assert not missed.success and "the target was not reached" in missed.message
    assert "restarts='ipop'" in missed.message


def test_budgets_are_no_success():
    result = minimize(bowl, *START, seed=1, max_evaluations=30)
    assert not result.success and "budget" in result.message and "es=result.es" in result.message


@pytest.mark.parametrize("off", [0, None])
@pytest.mark.parametrize("name", ["tolfun", "tolfunhist"])
def test_zero_and_none_switch_a_criterion_off(name, off):
    result = minimize(bowl, *START, seed=1, **{name: off}, max_evaluations=5000)
    assert name not in result.stop


def test_tolerances_are_relative_to_the_largest_spread():
    """tolfun = 1e-6 ends when values agree to a millionth of what the search has seen."""
    spread = 12.0  # about that of the first generations
    for scale in (1e-12, 1.0, 1e12):
        result = minimize(
            lambda x, s=scale: s * bowl(x), *START, seed=1, tolfun=1e-6, tolfunhist=None
        )
        assert list(result.stop) == ["tolfun"]
        assert bowl(result.x) < 1e-6 * spread


def test_restarts_are_said():
    f = lambda x: float(10 * len(x) + (x**2 - 10 * np.cos(6.283185 * x)).sum())  # noqa: E731
    result = minimize(f, [3.0, 3.0], 0.5, seed=2, restarts=2)
    assert "max_restarts" in result.stop and "after 2 restarts" in result.message
    assert len(result.restarts) == 3 and result.fun == min(run.fun for run in result.restarts)


# -- integers and choices -------------------------------------------------------------------------

DISCRETE = {
    "numbers and choices": (
        {"x": Float(1e-5, 1e-1, log=True), "n": Int(1, 8), "c": Choice("a", "b", "c")},
        lambda p: (300 * p["x"] - 1) ** 2 + abs(p["n"] - 3) + (p["c"] != "b"),
    ),
    "few points": (
        {"n": Int(0, 3), "c": Choice("a", "b", "c"), "b": Bool()},
        lambda p: abs(p["n"] - 2) + 2 * (p["c"] != "c") + (not p["b"]),
    ),
    "integers": (
        {"m": Int(1, 8), "n": Int(1, 8)},
        lambda p: (p["m"] - 3) ** 2 + (p["n"] - 5) ** 2,
    ),
}


@pytest.mark.parametrize("case", DISCRETE)
def test_a_search_among_integers_and_choices_converges(case):
    """They stay wide while all others shrink: that is no ill-conditioned covariance, and that
    nothing better comes is no stagnation."""
    space, f = DISCRETE[case]
    for seed in range(6):
        result = minimize(f, Space(space), seed=seed, max_evaluations=20_000)
        assert result.success and "tolfunhist" in result.stop, (seed, result.message)
        assert result.fun < 1e-9 and result.nfev < 4000


def test_integers_alone_wait_for_a_better_value():
    """300 evaluations for each of them after the best value came, and no longer."""

    def leading_ones(x):
        return -float(np.cumprod(np.asarray(x) > 0.5).sum())

    for seed in range(3):
        given = {"bounds": [(0, 1)] * 20, "integers": True, "seed": seed}
        result = minimize(leading_ones, [0.0] * 20, 0.5, **given, max_evaluations=20_000)
        assert result.success and result.fun == -20
        waited = result.nfev - result.es.best.evaluations
        assert 300 * 20 <= waited <= 300 * 20 + 12 * result.es.popsize


def test_a_condition_that_is_asked_for_holds_among_integers_too():
    f = lambda x: float(1e6 * x[0] ** 2 + x[1] ** 2 + abs(x[2] - 3))  # noqa: E731
    given = {"integers": [2], "bounds": [(None, None), (None, None), (0, 9)], "seed": 1}
    assert "condition" not in minimize(f, [3.0, 3.0, 6.0], 1.0, **given).stop
    assert "condition" in minimize(f, [3.0, 3.0, 6.0], 1.0, **given, condition=1e3).stop
