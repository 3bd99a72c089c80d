"""The ledger, further: which row is which, however often and in whatever order it comes.

What is forgotten and how late values count stands in test_arrivals.py.
"""

import itertools
import warnings

import array_api_strict
import numpy as np
import pytest

from structes import ES
from structes.pending import _CHUNK, KEPT, REMEMBERED, fingerprints

from .test_arrivals import moved, sphere

STRUCTURES = ["dense", "diagonal", {"name": "low_rank", "long": 2}, {"name": "block_upper", "k": 2}]


def prints(X):
    return set(fingerprints(np.ascontiguousarray(X, dtype=float)).tolist())


# -- fingerprints ---------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 7, _CHUNK, _CHUNK + 1, 2 * _CHUNK + 3])
def test_the_same_bits_have_the_same_print_whatever_holds_them(d):
    X = np.random.default_rng(0).standard_normal((6, d))
    there = fingerprints(X)
    assert there.dtype == np.uint64 and len(set(there.tolist())) == 6
    np.testing.assert_array_equal(fingerprints(np.asfortranarray(X)), there)
    np.testing.assert_array_equal(fingerprints(np.repeat(X, 2, axis=0)[::2]), there)
    np.testing.assert_array_equal(fingerprints(array_api_strict.asarray(X)), there)
    one_by_one = np.concatenate([fingerprints(X[i : i + 1]) for i in range(6)])
    np.testing.assert_array_equal(one_by_one, there)


@pytest.mark.parametrize("d", [2, 7, _CHUNK + 5])
def test_what_differs_in_a_bit_has_another_print(d):
    x = np.random.default_rng(1).standard_normal(d)
    last = x.copy()
    last[-1] = np.nextafter(last[-1], np.inf)
    # signs of two coordinates at once, because sums of them cancel where only top bits differ
    both, pair = x.copy(), x.copy()
    both[[0, -1]] *= -1
    pair[[0, 1]] = pair[[1, 0]]
    rows = [x, -x, last, both, x[::-1], *([pair] if d > 2 else []), np.roll(x, d // 2 + 1 + d % 2)]
    rows = np.unique(np.array(rows), axis=0)
    assert len(prints(rows)) == len(rows) >= 5
    assert len(prints([[0.0] * d, [-0.0] * d, [-0.0] + [0.0] * (d - 1)])) == 3


def test_all_signs_and_orders_of_round_numbers_differ():
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=10)))
    assert len(prints(signs)) == len(prints(signs * np.arange(1, 11))) == 1024
    orders = np.array(list(itertools.permutations(range(6))), dtype=float)
    assert len(prints(orders)) == 720
    assert len(prints(np.stack(np.meshgrid(*[np.arange(-50.0, 50)] * 2), -1).reshape(-1, 2))) == 1e4


# -- what is out ----------------------------------------------------------------------------------


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_pending_is_what_was_not_told_bit_for_bit(structure):
    es, out = ES(np.ones(6), 0.5, structure, seed=4, bounds=[(-3, 3)] * 6), []
    random = np.random.default_rng(0)
    for k in range(60):
        out += list(es.ask(int(random.integers(1, 12))))
        chosen = random.permutation(len(out))[: random.integers(1, len(out) + 1)]
        if k % 10 == 3:
            chosen = chosen[:1]
        X = np.array([out[i] for i in chosen])
        es.tell(X, sphere(X))
        out = [x for i, x in enumerate(out) if i not in set(chosen.tolist())]
        pending = es.pending
        assert pending.shape == (len(out), 6)
        # within a portion and between them the order is that in which they were asked
        np.testing.assert_array_equal(pending, np.array(out).reshape(-1, 6))
    es.tell(es.pending, sphere(es.pending)) if len(es.pending) else None
    assert es.pending.shape == (0, 6) and not es.ledger.late


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_second_telling_counts_in_no_order(order):
    """Values of an open, a late and a strange row, each of them twice in one call and again."""
    es = moved("dense", 4, 3)
    out = es.ask(2)
    es.tell(X := es.ask(), sphere(X))
    X = es.ask()
    rows = np.stack([X[0], out[0], np.full(4, 0.25)])[list(order)]
    before = es.evaluations
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        es.tell(np.concatenate([rows, rows]), [5.0, 5.0, 5.0, 1.0, 1.0, 1.0])
        for row in rows:
            es.tell(row[None, :], [2.0])
    assert es.evaluations == before + 3
    assert es._counts["repeated"] == 4  # of the open one the later value stands
    assert es._counts["late"] + es._counts["stale"] == es._counts["injected"] == 1
    assert es.ledger.open.values[0] == 2.0
    np.testing.assert_array_equal(es.pending, np.concatenate([out[1:], X[1:]]))


def test_the_later_value_of_an_open_candidate_makes_the_update():
    es, twin = moved("dense", 4, 3), moved("dense", 4, 3)
    X = es.ask()
    es.tell(X[:5], -sphere(X[:5]))
    es.tell(X[4::-1], sphere(X[4::-1]))
    es.tell(X[5:], sphere(X[5:]))
    twin.tell(Y := twin.ask(), sphere(Y))
    assert es.sigma == twin.sigma and es.evaluations == twin.evaluations
    np.testing.assert_array_equal(es.mean, twin.mean)


def test_equal_rows_of_integers_take_one_candidate_each():
    es = ES([1.0, 1.0], 0.4, seed=2, integers=True, popsize=8)
    for _ in range(4):
        X = es.ask()
        assert len(np.unique(X, axis=0)) < 8  # some coincide
        before = es.evaluations
        for x in X[::-1]:
            es.tell(x[None, :], [float(x @ x)])
        assert es.evaluations == before + 8
        assert len(es.pending) == 0
    whole = ES([1.0, 1.0], 0.4, seed=2, integers=True, popsize=8)
    for _ in range(4):
        X = whole.ask()
        whole.tell(X, sphere(X))
    assert whole.sigma == es.sigma
    np.testing.assert_array_equal(whole.mean, es.mean)


def test_equal_rows_of_integers_are_late_one_by_one():
    es = ES([1.0, 1.0], 0.4, seed=2, integers=True, popsize=8)
    out = es.ask(8)
    es.tell(X := es.ask(16), sphere(X))
    row, times = max(
        ((x, int((out == x).all(axis=1).sum())) for x in out), key=lambda pair: pair[1]
    )
    assert times > 1
    left = len(es.pending)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # where others have told it before
        es.tell(np.repeat(row[None, :], 1, axis=0), [1.0])
    assert len(es.pending) in (left, left - 1)  # that one, or one that is told already


# -- memory ---------------------------------------------------------------------------------------


def test_what_is_kept_does_not_grow():
    """500 generations; of a hundred candidates one is never told, three come late."""
    es = ES(np.ones(3), 0.5, seed=1, stagnation=None)
    random, late, sizes = np.random.default_rng(0), [], []
    for _ in range(500):
        X = es.ask(es.popsize + 1)
        fate = random.uniform(size=len(X))
        told = X[fate > 0.04]
        es.tell(told, random.uniform(size=len(told)))
        if late and random.uniform() < 0.5:
            es.tell(late[:1][0], [0.5])
            late = late[1:]
        late += [x[None, :] for x in X[(fate > 0.01) & (fate <= 0.04)]]
        ledger = es.ledger
        remembered = [len(part.array()) for part in (ledger.told, ledger.forgotten)]
        sizes.append((len(ledger.late), len(ledger._places), len(es._arrivals), *remembered))
    early, late_ = np.array(sizes[100:250]).max(axis=0), np.array(sizes[350:]).max(axis=0)
    assert es.generation > 400
    assert (late_[:3] <= 1.5 * early[:3] + 10).all()
    assert late_[0] <= KEPT + 1 and late_[1] <= 4 * (KEPT + 2)
    assert late_[3] < REMEMBERED + 20 and late_[4] < 100
