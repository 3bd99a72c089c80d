"""The law suite: every structure of the table, on every backend, against the dense truth.

The laws are those that users check their own structures with (`structes.testing`); what a
structure of the table is in d×d matrices stands in `structure_table.py`.
"""

import numpy as np
import pytest

from structes.structures import STRUCTURES
from structes.structures.building import build_structure
from structes.testing import LAWS, Case, LawError, stated_order_is_reached

from .conftest import on_host
from .structure_table import TRUTH, retraction


def each(name, backend):
    """The cases of a structure of the table, with arrays of a backend."""
    for spec, dim in [*TRUTH[name].cases, *TRUTH[name].no_group]:
        yield Case(build_structure(spec, dim), backend.xp, frozen=backend.read_only)


def test_every_structure_of_the_table_has_its_truth_written_down():
    assert set(TRUTH) == set(STRUCTURES)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", TRUTH)
def test_law(name, law, backend):
    for case in each(name, backend):
        try:
            law(case)
        except LawError as error:
            raise AssertionError(f"{case.structure}: {error}") from error


@pytest.mark.parametrize("name", ["dense"])
def test_a_tangent_of_few_samples_is_kept_in_another_form_than_one_of_many(name, backend):
    """So the law of linearity, which compares two of them, compares two forms."""
    case = next(c for c in each(name, backend) if c.dim == 13)
    kinds = {type(case.structure.tangent(*case.samples(n))) for n in (2, 2 + 3 * case.dim)}
    assert len(kinds) == 2


@pytest.mark.parametrize("name", TRUTH)
def test_the_order_of_the_retraction_is_stated_as_it_is(name, backend):
    stated_order_is_reached(list(each(name, backend)))


@pytest.mark.parametrize("name", TRUTH)
def test_retraction_is_the_one_that_is_stated_to_the_last_digit(name, backend):
    for case in each(name, backend):
        if not case.structure.is_group:
            continue
        for M in case.tangents():
            step = retraction(case.structure, on_host(M))
            after = case.B(case.structure.retract(case.factor, M))
            np.testing.assert_allclose(after, case.B() @ step, rtol=1e-10, atol=1e-10)
            q = case.normals(3)
            moved = case.numpy(case.structure.transport(M, q))
            np.testing.assert_allclose(moved, case.numpy(q) @ step, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", TRUTH)
def test_tangent_stays_in_its_space_and_the_group_is_closed(name, backend):
    truth = TRUTH[name]
    for case in each(name, backend):
        for M in case.tangents():
            assert truth.algebra(case.structure, case.M(M))
        if truth.closed:
            assert truth.algebra(case.structure, case.B() - np.eye(case.dim))
            assert truth.algebra(case.structure, np.linalg.inv(case.B()))


@pytest.mark.parametrize("name", [name for name in TRUTH if name != "direct_sum"])
def test_the_identity_is_in_the_last_parameter_group(name, backend):
    for case in each(name, backend):
        s = case.structure
        eye = s.shift(s.scale(case.tangent(), 0.0), 1.0)
        last = s.scale(eye, (*(0.0,) * (len(s.parts) - 1), 1.0))
        if s.is_group:
            np.testing.assert_allclose(case.M(last), np.eye(case.dim), atol=1e-10)


@pytest.mark.parametrize("spec", ["dense", "diagonal", "scalar", "lower", "upper", "circulant"])
@pytest.mark.parametrize("dim", [0, -1, 2.0, True, "3"])
def test_dim_must_be_a_positive_integer(spec, dim):
    with pytest.raises(ValueError, match="dim must be an integer ≥ 1"):
        STRUCTURES[spec](dim)
