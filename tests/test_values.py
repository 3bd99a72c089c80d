"""The values that a search is made of, against lists, dicts and sets that are copied each time."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from structes import ES
from structes.arrays.persistent import PersistentList
from structes.population import known_points
from structes.population.answers import Answers
from structes.population.fingerprints import fingerprints
from structes.population.known_points import KnownPoints

STEPS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 9)), max_size=40)


@given(STEPS)
def test_a_persistent_list_and_all_that_were_made_of_it(steps):
    """Each step appends to any list there is; none of the others notices."""
    ours, theirs = [PersistentList()], [[]]
    for which, item in steps:
        k = which % len(ours)
        ours.append(ours[k].append(item))
        theirs.append([*theirs[k], item])
    for one, other in zip(ours, theirs, strict=True):
        assert list(one) == other and len(one) == len(other)
        assert one.last(3) == other[-3:] and one.last(0) == []
        assert [one[i] for i in range(-len(other), len(other))] == other + other
        assert pickle.loads(pickle.dumps(one)) == copy.copy(one) == one
        with pytest.raises(IndexError):
            one[len(other)]


@st.composite
def tellings(draw):
    """(n, [(version to go on from, kind, indices, values)])."""
    n = draw(st.integers(1, 12))
    steps = []
    for _ in range(draw(st.integers(0, 12))):
        kind = draw(st.sampled_from(["some", "all", "replaced"]))
        at = draw(st.sets(st.integers(0, n - 1), min_size=1))
        steps.append((draw(st.integers(0, 99)), kind, sorted(at)))
    return n, steps


@given(tellings())
def test_answers_are_dicts(case):
    """From any version any other is made; each knows what it was told, and nothing else."""
    n, steps = case
    versions = [(Answers(), {}, set())]
    for number, (which, kind, at) in enumerate(steps):
        answers, told, replaced = versions[which % len(versions)]
        at = list(range(n)) if kind == "all" else at
        values = np.arange(len(at)) + 100.0 * number
        if kind == "replaced":
            versions.append((answers.replaced(np.array(at), n), told, replaced | set(at)))
            continue
        where = slice(None) if kind == "all" else np.array(at)
        told = {**told, **dict(zip(at, values, strict=True))}
        versions.append((answers.told(where, values, n), told, replaced))
    for answers, told, replaced in versions:
        for its in (answers, pickle.loads(pickle.dumps(answers)), copy.copy(answers)):
            assert its.n_told == len(told)
            assert set(np.flatnonzero(its.is_told(n))) == set(told)
            assert set(np.flatnonzero(its.waits(n))) == set(range(n)) - set(told) - replaced
            wanted = [told.get(i, np.nan) for i in range(n)]
            np.testing.assert_array_equal(its.values(n), wanted)
            assert not its.is_told(n + 3)[n:].any()  # further candidates were asked


@given(STEPS)
def test_a_memory_holds_the_points_that_came_last(steps):
    points = np.random.default_rng(0).normal(size=(40, 3))
    versions = [(KnownPoints(), [])]
    for number, (which, kind) in enumerate(steps):
        its, held = versions[which % len(versions)]
        rows = points[number : number + 1]
        its.holds(0)  # what is worked out for it is not the next one's
        versions.append((its.add(fingerprints(rows) if kind % 2 else rows), [*held, number]))
    prints = fingerprints(points).tolist()
    for its, held in versions:
        for memory_ in (its, pickle.loads(pickle.dumps(its)), copy.copy(its)):
            assert [memory_.holds(p) for p in prints] == [k in held for k in range(40)]
            assert set(memory_.prints().tolist()) == {prints[k] for k in held}


def test_a_run_takes_over_what_the_run_before_remembers_and_waits_for():
    """As it is in files of version 1, where that was no part of the ledger."""
    es, next_run = (ES(np.ones(3), 0.5, seed=seed) for seed in (1, 2))
    X = es.ask(es.popsize + 2)
    es.tell(X[: es.popsize], np.ones(es.popsize))
    forgotten = KnownPoints().add(np.arange(3.0)[None, :])
    former = es.ledger._replace(forgotten_points=forgotten)
    ledger = next_run.ledger.after(former)
    prints = fingerprints(X).tolist()
    assert all(map(ledger.told_points.holds, prints[: es.popsize]))
    assert not any(map(ledger.told_points.holds, prints[es.popsize :]))
    assert set(ledger.forgotten_points.prints()) == set(fingerprints(np.arange(3.0)[None, :]))
    ((generation, waiting),) = ledger.waiting()[:1]
    assert generation.seed == 1 and waiting.tolist() == [es.popsize, es.popsize + 1]


def test_a_memory_forgets_what_came_long_ago(monkeypatch):
    monkeypatch.setattr(known_points, "KNOWN", 50)
    points = np.random.default_rng(0).normal(size=(300, 3))
    its = KnownPoints()
    for k in range(0, 300, 5):
        its = its.add(points[k : k + 5])
        assert 50 <= len(its.prints()) <= 100 or k < 50
    prints = fingerprints(points).tolist()
    assert all(its.holds(p) for p in prints[-50:]) and not any(map(its.holds, prints[:200]))
