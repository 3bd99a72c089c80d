"""The kept faults can be planted, name tests that there are, and are told from none."""

import ast
import re

import pytest

from tests.plant import ROOT, NotPlantable, chosen, kept_faults, planted_text
from tests.plant.trial import HANGS, NOT_PLANTED, NOT_RUN, NOTICED, SURVIVES, tried

FAULTS = kept_faults()


def test_every_fault_can_be_planted():
    """Its text is there once, and the file is still Python with the other text in its place."""
    problems, texts = [], {}
    for fault in FAULTS:
        if fault.file not in texts:
            texts[fault.file] = (ROOT / fault.file).read_text(encoding="utf-8")
        try:
            ast.parse(planted_text(texts[fault.file], fault))
        except (NotPlantable, SyntaxError) as error:
            problems.append(f"{fault.id}: {error}")
        if fault.old.split() == fault.new.split():
            problems.append(f"{fault.id}: it changes nothing")
    assert not problems, "\n".join(problems)


def test_every_fault_has_an_id_of_its_own():
    ids = [fault.id for fault in FAULTS]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[A-Z]\d\d", id_) for id_ in ids)
    assert [fault.id for fault in chosen(FAULTS, ["S0", "A10"])] == [
        id_ for id_ in ids if id_[:2] == "S0" or id_ == "A10"
    ]
    with pytest.raises(ValueError, match="'QQ'"):
        chosen(FAULTS, ["QQ"])


def test_the_tests_of_every_fault_are_there():
    names, problems = {}, []
    for fault in FAULTS:
        assert fault.tests, fault.id
        for test in fault.tests:
            file, _, name = test.partition("::")
            if file not in names:
                path = ROOT / file
                tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else None
                nodes = [] if tree is None else tree.body
                names[file] = [n.name for n in nodes if isinstance(n, ast.FunctionDef)]
            if not names[file] or (name and name.partition("[")[0] not in names[file]):
                problems.append(f"{fault.id}: {test}")
    assert not problems, "\n".join(problems)


TOY = """
def double(x):
    while x > 100:
        x -= 1
    return 2 * x
"""
TESTS = """
import pytest

from toy import double


@pytest.mark.fast
@pytest.mark.parametrize("x, y", [(1, 2), (3, 6), (101, 200)])
def test_double(x, y):
    assert double(x) == y


def test_that_always_fails():
    assert False
"""


@pytest.mark.slow
def test_a_planted_fault_is_told_from_none(tmp_path):
    """Of a small tree: a fault is noticed, or hangs; a change that means the same survives; and
    the tree is afterwards as it was."""
    (tmp_path / "toy.py").write_text(TOY)
    (tmp_path / "test_toy.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    fast\n")

    def trial(old, new, timeout=60, tests="test_toy.py"):
        kind = type(FAULTS[0])
        return tried(tmp_path, kind("X00", "", "toy.py", old, new, (tests,)), timeout)

    noticed = trial("2 * x", "3 * x")
    assert noticed.outcome == NOTICED and noticed.test == "test_toy.py::test_double[1-2]"
    assert trial("2 * x", "x + x").outcome == SURVIVES
    assert trial("3 * x", "2 * x").outcome == NOT_PLANTED
    assert trial("x", "y").outcome == NOT_PLANTED  # which of them?
    assert trial("2 * x", "3 * x", tests="test_no.py").outcome == NOT_RUN
    assert trial("x -= 1", "x -= 0", timeout=5).outcome == HANGS
    assert (tmp_path / "toy.py").read_text() == TOY
