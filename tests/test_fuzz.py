"""Tame searches, drawn at random, work: the cases of `python -m tests.fuzz`."""

import secrets

import numpy as np
import pytest

from structes.structures import STRUCTURES
from tests import fuzz
from tests.fuzz_cases import OBJECTIVES, drawn

TOGETHER = 100  # cases of one test


def assert_all_work(numbers):
    failed = fuzz.failures_of(numbers)
    said = "\n".join(f"python -m tests.fuzz {n}\n{why}" for n, why in failed.items())
    assert not failed, f"cases {list(failed)} fail:\n{said}"


def test_some_searches_work():
    assert_all_work(range(40))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 1900, TOGETHER))
def test_searches_work(first):
    assert_all_work(range(first, first + TOGETHER))


@pytest.mark.slow
def test_searches_that_nobody_has_seen_work():
    first = 10_000 + secrets.randbelow(2**40)
    print(f"cases from {first} on")
    assert_all_work(range(first, first + TOGETHER))


def test_a_case_is_drawn_from_its_number_alone():
    assert str(drawn(3)) == str(drawn(3)) != str(drawn(4))


def test_the_cases_are_of_every_kind():
    cases = [drawn(number) for number in range(2000)]
    assert {case.way for case in cases} == {"tell", "minimize", "sharded"}
    specs = [case.options["structure"] for case in cases]
    names = {spec if isinstance(spec, str) else spec["name"] for spec in specs}
    assert names == {"auto", *STRUCTURES}
    given = {name for case in cases for name in case.options}
    assert given >= {
        "bounds", "boundary", "transforms", "integers", "choices", "fixed", "dtype", "noise",
        "maximize", "engine", "popsize", "prior", "covariance", "target", "stagnation",
    }  # fmt: skip
    assert {case.objective for case in cases} == set(OBJECTIVES)
    assert np.mean([bool(case.faults) for case in cases]) > 0.1
