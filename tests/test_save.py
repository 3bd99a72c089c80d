"""A search in a file: the same bits afterwards, and nothing but one clear error for a bad file."""

import io
import json
import pickle
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import structes
from structes import ES, RestartES
from structes.files import checkpoint
from structes.structures.building import build_structure, spec_of

from .searches import CASES, SEARCHES, busy, goes_on, objective


@pytest.mark.parametrize(("structure", "dim", "options"), SEARCHES)
def test_a_loaded_search_goes_on_to_the_same_bits(structure, dim, options, tmp_path):
    es = busy(ES([1.0 + (i == 0) for i in range(dim)], 0.4, structure, seed=5, **options))
    es.save(tmp_path / "a")
    before = (tmp_path / "a").read_bytes()
    twin = ES.load(tmp_path / "a")
    twin.save(tmp_path / "b")
    again = ES.load(tmp_path / "b")
    here = goes_on(es)
    assert goes_on(twin) == here and goes_on(again) == here
    assert (tmp_path / "a").read_bytes() == before


@pytest.mark.parametrize("restarts", ["ipop", "bipop"])
def test_a_loaded_search_with_restarts_goes_on_to_the_same_bits(restarts, tmp_path):
    def rastrigin(X):
        return 10 * X.shape[1] + (X**2 - 10 * np.cos(6.28 * X)).sum(axis=1)

    es = RestartES(
        [2.0, 3.0], 1.0, seed=2, restarts=restarts, max_evaluations=9000, bounds=[(-5, 5)] * 2
    )
    while es.restart < 3:
        X = es.ask()
        es.tell(X[1:], rastrigin(X[1:]))
        es.tell(X[:1], rastrigin(X[:1]))
    es.ask(3)
    es.save(tmp_path / "a")
    twin = RestartES.load(tmp_path / "a")
    while not es.stop():
        X, Y = (np.concatenate([s.pending, s.ask()]) for s in (es, twin))
        np.testing.assert_array_equal(X, Y)
        es.tell(X, rastrigin(X))
        twin.tell(Y, rastrigin(Y))
    assert es.runs == twin.runs and es.stop() == twin.stop() and len(es.runs) > 4
    assert es.best.fun == twin.best.fun and es.evaluations == twin.evaluations
    with pytest.raises(ValueError, match=r"holds a RestartES: structes\.RestartES\.load reads it"):
        ES.load(tmp_path / "a")


@pytest.mark.slow
def test_a_new_process_goes_on_to_the_same_bits(tmp_path):
    es = busy(ES([2.0, 1.0, 1.0, 1.0], 0.4, seed=5))
    es.save(tmp_path / "a")
    program = "import sys; from tests.searches import goes_on; from structes import ES; "
    program += "sys.stdout.write(goes_on(ES.load(sys.argv[1])))"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == goes_on(es)


def test_a_forged_restart_strategy_is_not_imported(tmp_path, monkeypatch):
    (tmp_path / "spy.py").write_text("Harm = None\n")
    monkeypatch.syspath_prepend(tmp_path)
    es = RestartES([1.0, 2.0], 1.0, seed=2, max_evaluations=900)
    es.save(tmp_path / "a")
    data = (tmp_path / "a").read_bytes()
    for path in (("restarts", "name"), ("es", "structure", "name")):
        (tmp_path / "a").write_bytes(forged(data, setting(*path, value="spy:Harm")))
        with pytest.raises(ValueError, match=r"'spy:Harm' (is|are) none of structes' own"):
            RestartES.load(tmp_path / "a")
        assert "spy" not in sys.modules


def test_starts_from_a_function_are_given_again(tmp_path):
    def start(k):
        return [1.0 + k, 2.0]

    es = RestartES(start, 1.0, seed=2, max_evaluations=900)
    es.tell(X := es.ask(), objective(X))
    es.save(tmp_path / "a")
    with pytest.raises(ValueError, match=r"its starts come from a function.*x0="):
        RestartES.load(tmp_path / "a")
    twin = RestartES.load(tmp_path / "a", x0=start)
    assert goes_on(es) == goes_on(twin)


@pytest.mark.parametrize(("spec", "dim"), CASES)
def test_every_structure_is_made_again_from_its_specification(spec, dim, tmp_path):
    structure = build_structure(spec, dim)
    checkpoint.write(tmp_path / "a", "structure", {"it": spec_of(structure)})
    kind, tree = checkpoint.read(tmp_path / "a")
    assert kind == "structure" and build_structure(tree["it"], dim) == structure


def test_the_file_is_small_and_saving_is_atomic(tmp_path, monkeypatch):
    es = busy(ES(np.ones(10), 0.4, seed=1))
    path = tmp_path / "a"
    es.save(path)
    assert path.stat().st_size < 25_000
    before = path.read_bytes()
    es.tell(X := es.ask(), objective(X))

    def broken(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr(checkpoint.npy, "write_array", broken)
    with pytest.raises(OSError, match="no space left"):
        es.save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


# -- bad files ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "good"
    busy(ES(np.ones(4), 0.4, {"name": "block_upper", "k": 1}, seed=1)).save(path)
    return path.read_bytes()


def head_of(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(members["tree.json"]), members


def forged(data, change=None, members=None, compression=zipfile.ZIP_STORED):
    head, old = head_of(data)
    if change is not None:
        head = change(head) or head
    old["tree.json"] = json.dumps(head).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in {**old, **(members or {})}.items():
            archive.writestr(name, content)
    return out.getvalue()


def entry(head, *path):
    """The [key, value] pair at a path of keys in a tree of tree.json."""
    here = head["tree"]
    for key in path[:-1]:
        here = dict((k, v) for k, v in here["dict"])[key]
    return next(pair for pair in here["dict"] if pair[0] == path[-1])


def setting(*path, value):
    def change(head):
        entry(head, *path)[1] = value

    return change


def npy(array, **options):
    out = io.BytesIO()
    np.save(out, array, **options)
    return out.getvalue()


class Harm:
    def __reduce__(self):
        return (open, ("harm-was-done", "w"))


HUGE = npy(np.zeros(3)).replace(b"(3,)", b"(9**9,)")[:118]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda good: b"", "no checkpoint"),
        (lambda good: pickle.dumps(Harm()), "no checkpoint"),
        (lambda good: npy(np.zeros(3)), "no checkpoint"),
        (lambda good: forged(good, compression=zipfile.ZIP_DEFLATED), "is compressed"),
        (lambda good: forged(good, members={"0.npy": pickle.dumps(Harm())}), "no checkpoint"),
        (
            lambda good: forged(
                good, members={"0.npy": npy(np.array([Harm()]), allow_pickle=True)}
            ),
            "array is of object|no checkpoint",
        ),
        (lambda good: forged(good, members={"0.npy": HUGE}), "no checkpoint"),
        (lambda good: forged(good, members={"0.npy": npy(np.zeros(77))}), "no.* whole ES"),
        (lambda good: forged(good, lambda head: {**head, "version": 99}), "version 99"),
        (lambda good: forged(good, lambda head: {**head, "format": "x"}), "no checkpoint"),
        (lambda good: forged(good, lambda head: {**head, "kind": "RestartES"}), "RestartES.load"),
        (lambda good: forged(good, lambda head: {**head, "tree": [1]}), "no checkpoint"),
        (lambda good: forged(good, lambda head: {**head, "tree": {"dict": []}}), "whole ES"),
        (lambda good: forged(good, setting("seed", value=-1)), "seed must lie"),
        (lambda good: forged(good, setting("evaluations", value="many")), "evaluations must be"),
        (lambda good: forged(good, setting("engine", "speed", value=-2)), "engine: speed"),
        (lambda good: forged(good, setting("state", value=[1, 2])), "whole ES: a state needs"),
        (lambda good: forged(good, setting("structure", "name", value="os:system")), "own"),
        (lambda good: forged(good, setting("structure", "name", value="spy:Harm")), "own"),
        (lambda good: forged(good, setting("structure", "k", value="spy:Harm")), "own"),
        (lambda good: forged(good, setting("arguments", "backend", value="spy")), "backend"),
        (lambda good: forged(good, setting("arguments", value={"dict": []})), "whole ES"),
        (
            lambda good: forged(
                good, setting("arguments", "noise", value={"dict": [["name", "spy:Harm"]]})
            ),
            "a state needs",
        ),
    ],
)
def test_a_forged_file_is_one_clear_error(make, message, saved, tmp_path, monkeypatch):
    (tmp_path / "spy.py").write_text("open('harm-was-done', 'w')\nHarm = None\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad"
    path.write_bytes(make(saved))
    with pytest.raises(ValueError, match=message) as caught:
        ES.load(path)
    assert str(path) in str(caught.value)
    assert not (tmp_path / "harm-was-done").exists() and "spy" not in sys.modules


@settings(max_examples=150)
@given(st.data())
def test_a_damaged_file_is_a_clear_error_or_none(saved, tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged"
    if data.draw(st.booleans()):
        damaged = saved[: data.draw(st.integers(0, len(saved) - 1))]
    else:
        damaged = bytearray(saved)
        for _ in range(data.draw(st.integers(1, 4))):
            damaged[data.draw(st.integers(0, len(saved) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            ES.load(path)
        except ValueError as error:
            assert str(path) in str(error)


def test_a_structure_of_ones_own_is_given_again(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "from structes.structures.diagonal import Diagonal\nclass Mine(Diagonal):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    es = busy(ES(np.ones(3), 0.4, "mine:Mine", seed=1))
    es.save(tmp_path / "a")
    with pytest.raises(ValueError, match=r"'mine:Mine' is none of structes' own"):
        ES.load(tmp_path / "a")
    assert goes_on(ES.load(tmp_path / "a", structure="mine:Mine")) == goes_on(es)
    sys.modules.pop("mine")


def test_there_is_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        structes.ES.load(tmp_path / "nothing")
