"""`structes.testing.check_structure`: every law notices the fault that it is for."""

import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

import structes
from structes.structures import build_structure
from structes.structures.base import Structure
from structes.structures.fallbacks import SLOW
from structes.structures.random_elements import example
from structes.structures.triangular import Lower
from structes.testing import LAWS, LawError, check_structure

from .faulty_structures import FAULTS, Grouped, Ring, Toy, override

DIMS = [1, 2, 5]


@pytest.mark.parametrize("kind", [Toy, Ring, Grouped])
def test_a_structure_of_two_methods_obeys_all_laws(kind):
    report = check_structure(kind, DIMS)
    assert report.slow == SLOW and report.dims == tuple(DIMS)
    assert f"{kind.__name__}: {len(LAWS) + 1} laws hold at dims 1, 2, 5" in str(report)
    assert "Slow, because left to d×d matrices: dof, unwhiten" in str(report)


def test_a_structure_on_the_strict_standard():
    check_structure(Toy, DIMS, backend="array_api_strict")


@pytest.mark.parametrize("name", ["circulant", "low_rank", "dense", "kronecker"])
def test_nothing_of_our_own_is_left_to_square_matrices(name):
    def make(dim):
        return build_structure(example(name, dim), dim)

    report = check_structure(make, [12])
    assert not report.slow and "Nothing is left to d×d matrices" in str(report)


@pytest.mark.parametrize(
    "whole",
    [
        {"name": "direct_sum", "blocks": {"a": Toy(4), "b": {"name": "diagonal", "at": [1, 3]}}},
        {"name": "kronecker", "rows": 2, "left": Toy(2), "right": Ring(3)},
    ],
    ids=lambda spec: spec["name"],
)
def test_a_structure_of_two_methods_is_part_of_another(whole):
    check_structure(lambda dim: build_structure(whole, dim), [6])


def test_a_structure_of_two_methods_goes_through_a_search(tmp_path):
    es = structes.ES([2.0] * 5, 1.0, Ring(5), seed=1)
    for _ in range(40):
        X = es.ask()
        es.tell(X, np.sum(X**2, axis=1))
    assert es.best.fun < 1e-2
    es.save(tmp_path / "ring.ckpt")
    again = structes.ES.load(tmp_path / "ring.ckpt", structure=Ring(5))
    np.testing.assert_array_equal(again.ask(), es.ask())


def test_fallbacks_are_what_a_structure_with_formulas_of_its_own_does():
    slow, fast = Toy(7), Lower(7)
    random = np.random.default_rng(1)
    Z, w, g = random.normal(size=(4, 7)), random.normal(size=4) * 0.1, random.normal(size=(2, 7))
    one = slow.retract(slow.identity(np, np.float64), slow.tangent(Z, w))
    other = fast.retract(fast.identity(np, np.float64), fast.tangent(Z, w))
    np.testing.assert_allclose(one[0], other[0], atol=1e-13)
    for verb in ("unwhiten", "whiten", "whiten_gradient", "unwhiten_gradient"):
        got, wanted = (getattr(s, verb)(one, g) for s in (slow, fast))
        np.testing.assert_allclose(got, wanted, atol=1e-12)
    assert slow.dof == fast.dof
    assert Ring(9).dof == 5 and Ring(10).dof == 6


# -- faults, each with the law that notices it ---------------------------------------------------


@pytest.mark.parametrize(("law", "fault", "message"), FAULTS)
def test_a_law_notices_its_fault(law, fault, message):
    with pytest.raises(LawError, match=rf"(?s)\n  {law} .*({message})") as error:
        check_structure(fault(), DIMS)
    assert "breaks" in str(error.value)


def test_every_law_has_its_fault():
    assert {law for law, _, _ in FAULTS} == {
        *(law.__name__ for law in LAWS),
        "stated_order_is_reached",
    }


# -- what a class must say ------------------------------------------------------------------------


def test_a_structure_says_what_B_looks_like():
    @dataclass(frozen=True)
    class Nothing(Structure):
        pass

    @dataclass(frozen=True)
    class Half(Structure):
        def to_dense(self, factor):
            return factor[0]

    for kind in (Nothing, Half):
        with pytest.raises(TypeError, match=rf"{kind.__name__}: .*define support\(\), or ident"):
            kind(3)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ([[1, 0, 0], [1, 1, 0], [0, 1, 1]], r"has \(2, 1\) and \(1, 0\), and not \(2, 0\)"),
        ([[1, 0, 0], [0, 0, 0], [0, 0, 1]], r"must hold the diagonal; \(1, 1\) is not in it"),
        ([[1, 0], [0, 1]], r"boolean \(3, 3\) array; got bool \(2, 2\)"),
    ],
)
def test_a_support_that_is_no_group_is_refused(mask, message):
    kind = override(support=lambda self: np.array(mask, dtype=bool))
    with pytest.raises(ValueError, match=message):
        kind(3).tangent(np.ones((1, 3)), np.ones(1))


def test_a_factor_in_which_B_is_not_linear_has_no_fallbacks():
    kind = override(
        identity=lambda s, xp, dtype: (xp.ones(s.dim, dtype=dtype),),
        to_dense=lambda s, factor: np.diag(factor[0] ** 2),
    )
    kind.support = Structure.support
    with pytest.raises(TypeError, match=r"to_dense\(\) is not linear .*define dof, tangent"):
        kind(3).tangent(np.ones((1, 3)), np.ones(1))


def test_what_is_no_structure_is_named():
    with pytest.raises(LawError, match=r"construction .*a structure is a structes\.Structure"):
        check_structure(lambda dim: dim, [2])


def test_dims_and_backend_are_checked():
    with pytest.raises(ValueError, match="dims must hold at least one"):
        check_structure(Toy, [])
    with pytest.raises(ValueError, match="backend must be one of numpy"):
        check_structure(Toy, DIMS, backend="jax")


def test_the_laws_need_no_test_library():
    code = "import sys, structes.testing; print({'pytest', 'hypothesis'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
