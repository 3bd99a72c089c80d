"""What the fuzz and the forged files have found, one by one."""

import warnings

import numpy as np
import pytest

from structes import ES, RestartES


def squares(X):
    return (np.asarray(X, dtype=float) ** 2).sum(axis=1)


def test_a_logarithm_beyond_float32_is_clipped_without_a_warning():
    es = ES([1.0, 1.0], [40.0, 1.0], "diagonal", 1, 50, transforms={0: "log"}, dtype="float32")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        X = es.ask()
    assert np.isfinite(X).all() and (X[:, 0] > 0).all()
    assert (X[:, 0] == np.finfo("float32").max).any()  # there was something to clip


def test_sigma_is_a_float_of_python_after_a_prior():
    X = np.random.default_rng(0).normal(size=(20, 3))
    for dim in (3, 203):  # with a model, and with a place and a size only
        P = np.hstack([X, np.ones((20, dim - 3))])
        es = ES(np.ones(dim), 0.5, "scalar", seed=1, prior=(P, squares(P)))
        assert type(es.state.sigma) is float
    assert type(ES([1.0] * 3, 0.5, seed=1, covariance=np.eye(3) * 2).state.sigma) is float


@pytest.mark.parametrize("sizes", [[2, 2], [3, 1, 3], [1, 1]])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_stacks_of_blocks_are_in_the_order_that_files_keep(sizes, dtype, tmp_path):
    d = sum(sizes)
    es = ES(np.ones(d), 0.4, {"name": "block_diagonal", "sizes": sizes}, seed=1, dtype=dtype)
    for _ in range(5):
        es.tell(X := es.ask(), squares(X))
    es.save(tmp_path / "a")
    twin = ES.load(tmp_path / "a")
    for a, b in zip(es.state.factor, twin.state.factor, strict=True):
        assert a.strides == b.strides
    assert es.ask(50).tobytes() == twin.ask(50).tobytes()


def test_a_late_value_that_is_infinitely_far_counts_for_nothing():
    es = ES(np.ones(4), 0.4, seed=1)
    late = es.ask()
    es.tell(X := es.ask(), squares(X))
    es.state = es.state._replace(sigma=1e-320)
    es.tell(X := es.ask(), squares(X))
    with np.errstate(all="ignore"):
        es.tell(late, squares(late))
    assert es.gathered.counts.late == 0 and es.gathered.counts.stale == len(late)
    es.tell(X := es.ask(), squares(X))
    assert np.isfinite(es.mean).all() and es.sigma > 0


def test_a_late_value_of_a_generation_with_a_later_number_counts_at_most_one():
    """A state was assigned that has an earlier number."""
    es = ES(np.ones(4), 0.4, seed=1)
    first = es.state
    for _ in range(30):
        es.tell(X := es.ask(), squares(X))
    late = es.ask(3)
    es.tell(X := es.ask(), squares(X))
    es.state = first._replace(sigma=1e-3)
    es.tell(X := es.ask(), squares(X))
    es.tell(late, squares(late))
    assert all(0 < its.importance <= 1 for its in es.gathered.samples)


@pytest.mark.parametrize("speed", [0.0, 1e-300, 1e300, np.inf])
def test_a_speed_with_which_nothing_can_be_reckoned_is_refused(speed):
    with pytest.raises(ValueError, match="engine: speed must lie in"):
        ES([1.0], 1.0, engine={"name": "default", "speed": speed})


def test_a_population_without_end_is_refused():
    with pytest.raises(ValueError, match="factor must be finite"):
        RestartES([1.0], 1.0, restarts={"name": "ipop", "factor": np.inf})


def test_generations_that_nobody_can_tell_apart_are_not_saved(tmp_path):
    es = ES(np.ones(4), 0.4, seed=1)
    first = es.state
    es.ask(3)
    es.tell(X := es.ask(), squares(X))
    es.ask(3)
    es.state = first
    es.tell(X := es.ask(), squares(X))
    if len({its.generation.key for _, its in es.ledger.known()}) == len([*es.ledger.known()]):
        pytest.fail("the generations have different numbers: this test tests nothing")
    with pytest.raises(ValueError, match="have the same number"):
        es.save(tmp_path / "a")
