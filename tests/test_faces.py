"""What ES, RestartES and ShardedES have in common: arguments, an age, copies, files, going on."""

import copy
import inspect
import pickle
import time
import warnings

import numpy as np
import pytest

from structes import ES, RestartES, ShardedES
from structes.arrays.libraries import to_numpy
from structes.search.base import BaseSearch


def rows(X):
    return (X * X) @ 10.0 ** np.arange(X.shape[1])


def asked_and_told(es, generations=5):
    """The search after some generations, in the middle of one: a late value, and an own point."""
    for _ in range(generations):
        X = es.ask()
        es.tell(X, rows(X))
    early = es.ask(3)
    X = es.ask()
    es.tell(X, rows(X))
    es.tell(early[:2], rows(early[:2]))
    es.tell(np.full((1, len(X[0])), 0.25), [0.1])
    return es


def switched(es):
    es = asked_and_told(es, 30)
    assert es.switches  # or the cases with "auto" show nothing
    return es


def stepped(es):
    for _ in range(5):
        es.step()
    return es


START = [1.0, 2.0, 3.0]
FACES = {
    "ES": lambda **more: asked_and_told(ES(START, 0.5, seed=1, **more)),
    "auto": lambda **more: switched(ES([1.0] * 4, 0.5, "auto", seed=1, **more)),
    "RestartES": lambda **more: asked_and_told(
        RestartES(START, 0.5, seed=1, restarts=3, tolx=0.2, **more), 40
    ),
    "ShardedES": lambda **more: stepped(ShardedES(rows, START, 0.5, seed=1, **more)),
}
CLASSES = (ES, RestartES, ShardedES)


@pytest.fixture(params=FACES)
def face(request):
    return FACES[request.param]


def loaded(es, path):
    es.save(path)
    return ShardedES.load(path, rows) if isinstance(es, ShardedES) else type(es).load(path)


def pickled(es, path):
    return pickle.loads(pickle.dumps(es))


def copied(es, path):
    return copy.copy(es)


def assert_same(a, b, where=""):
    """Trees of plain values and arrays are equal to the bit; an age has gone on."""
    if isinstance(a, dict):
        assert isinstance(b, dict) and a.keys() == b.keys(), where
        for key in a:
            if key != "seconds":
                assert_same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, (list, tuple)):
        assert isinstance(b, (list, tuple)) and len(a) == len(b), where
        for i, pair in enumerate(zip(a, b, strict=True)):
            assert_same(*pair, f"{where}[{i}]")
    elif hasattr(a, "shape"):
        assert to_numpy(a).dtype == to_numpy(b).dtype and to_numpy(a).shape == to_numpy(b).shape
        np.testing.assert_array_equal(to_numpy(a), to_numpy(b), err_msg=where)
    else:
        assert a == b or (a != a and b != b), where


@pytest.mark.parametrize("again", [copied, pickled, loaded])
def test_a_copy_and_a_file_hold_all_of_a_search(face, again, tmp_path):
    es = face()
    before = es.snapshot()
    twin = again(es, tmp_path / "search")
    tree = twin.snapshot()
    if isinstance(es, RestartES):  # the age of the search at which its run began
        assert tree["began"][2] == pytest.approx(before["began"][2])
    assert_same(tree, before)
    for name in ("state", "mean", "evaluations", "generation", "info", "switches", "runs"):
        assert_same(getattr(twin, name, None), getattr(es, name, None), name)
    assert_same(tuple(twin.best), tuple(es.best), "best")
    assert 0 <= es.seconds - twin.seconds < 1 or 0 <= twin.seconds - es.seconds < 1


@pytest.mark.parametrize("again", [copied, pickled, loaded])
def test_a_search_and_its_copy_go_on_alike_and_apart(face, again, tmp_path):
    es = face()
    twin, before = again(es, tmp_path / "search"), es.snapshot()
    for search in (twin, es):
        if isinstance(search, ShardedES):
            search.step()
        else:
            X = search.ask()
            search.tell(X, rows(X))
        if search is twin:
            assert_same(es.snapshot(), before)
    assert_same(twin.snapshot(), es.snapshot())


def test_a_search_goes_on_under_other_criteria(face):
    es = face(max_evaluations=20)
    assert "max_evaluations" in es.stop() and es.stopping.max_evaluations == 20
    with pytest.raises(TypeError, match="extend has no argument 'max_evaluation'"):
        es.extend(max_evaluation=30)
    assert es.stopping.max_evaluations == 20
    es.extend(max_evaluations=10**6)
    assert "max_evaluations" not in es.stop()
    assert es.stopping == es.arguments.stopping and es.stopping.max_evaluations == 10**6
    es.extend(max_evaluations=21)
    assert "max_evaluations" in es.stop()


def test_time_that_is_given_back_does_not_count(face):
    es = face()
    age = es.seconds
    es.count_from(time.monotonic() - 1000)
    assert 1000 <= es.seconds < 1000 + age + 60
    es.rest(900)
    assert 100 <= es.seconds < 100 + age + 60


SHARED = {
    "properties": "arguments seed space stopping seconds dim popsize structure strategy state "
    "mean sigma best evaluations generation info",
    "methods": "stop extend go_under check snapshot save load rest count_from",
}


@pytest.mark.parametrize("kind", CLASSES)
def test_what_faces_share_is_there_to_be_seen(kind):
    """It is in the class and typed, for readers, editors and checkers: nothing is looked up."""
    assert issubclass(kind, BaseSearch)
    assert not any("__getattr__" in vars(parent) for parent in kind.__mro__)
    annotations = {}
    for parent in reversed(kind.__mro__):
        annotations |= vars(parent).get("__annotations__", {})
    for name in SHARED["properties"].split():
        found = inspect.getattr_static(kind, name, None)
        if isinstance(found, property):
            assert inspect.signature(found.fget).return_annotation is not inspect.Signature.empty
            assert found.__doc__
        else:
            assert name in annotations, name
    for name in SHARED["methods"].split():
        function = inspect.unwrap(getattr(kind, name))
        assert function.__doc__, name
        assert inspect.signature(function).return_annotation is not inspect.Signature.empty


@pytest.mark.parametrize("kind", CLASSES)
def test_a_file_of_another_face_is_refused_by_name(kind, tmp_path):
    for name, make in FACES.items():
        path = tmp_path / name
        make().save(path)
        right = {"auto": "ES"}.get(name, name)
        if right == kind.__name__:
            continue
        with pytest.raises(ValueError, match=rf"structes\.{right}\.load reads it"):
            kind.load(path, *[rows] * (kind is ShardedES))


def test_a_warning_is_given_once_also_by_what_was_saved(tmp_path):
    es = ES(START, 0.5, seed=1)
    X = es.ask()
    with pytest.warns(RuntimeWarning, match="told before are ignored"):
        es.tell(X, rows(X))
        es.tell(X, rows(X))
    for again in (copied, pickled, loaded):
        twin = again(es, tmp_path / "search")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            twin.tell(X, rows(X))
        assert twin.info == es.info


def test_a_search_that_has_overflowed_says_so(face):
    es = face()
    es.check()
    if isinstance(es, ShardedES):
        replica = es._lockstep._group.replicas[0]
        replica.state = replica.state._replace(sigma=float("inf"))
    else:
        search = getattr(es, "es", es)
        search.state = search.state._replace(sigma=float("inf"))
    with pytest.raises(ValueError):
        es.check()
