"""Files of a search, further: every structure, every entry forged, every step of writing failing.

The round trips of whole searches and the bad files that one thinks of stand in test_save.py.
"""

import io
import json
import os
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest

from structes import ES, RestartES
from structes.files import folders as files

from .structure_table import TRUTH
from .test_save import busy, entry, forged, goes_on, head_of, npy, objective, setting

CASES = [truth.cases[-1] for truth in TRUTH.values() if truth.cases]
CASES += [({"name": "low_rank", "long": 2, "short": 1}, 7)]
IDS = [spec if isinstance(spec, str) else spec["name"] for spec, _ in CASES]


def search(spec, dim, **options):
    return busy(ES(np.linspace(1, 2, dim), 0.4, spec, seed=8, **options))


# -- round trips ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("spec", "dim"), CASES, ids=IDS)
def test_every_structure_goes_on_to_the_same_bits(spec, dim, tmp_path):
    es, never_saved = search(spec, dim), search(spec, dim)
    es.save(tmp_path / "a")
    assert len(es.pending) and es.gathered.samples  # there is something to keep
    there = goes_on(ES.load(tmp_path / "a"), 8)
    assert there == goes_on(es, 8) == goes_on(never_saved, 8)


@pytest.mark.slow
def test_every_structure_goes_on_in_a_new_process(tmp_path):
    expected = []
    for k, (spec, dim) in enumerate(CASES):
        es = search(spec, dim)
        es.save(tmp_path / str(k))
        expected.append(goes_on(es, 5))
    program = "import sys; from tests.test_checkpoint import CASES, ES, goes_on; "
    program += "[print(goes_on(ES.load(f'{sys.argv[1]}/{k}'), 5)) for k in range(len(CASES))]"
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == expected


@pytest.mark.parametrize("restarts", ["ipop", "bipop"])
def test_values_of_the_run_before_come_after_loading(restarts, tmp_path):
    es = RestartES([1.0, 2.0], 1.0, seed=3, restarts=restarts, max_evaluations=9000, tolfun=5.0)
    X, lost = es.ask(), es.ask(3)
    while es.restart < 1:
        es.tell(X, objective(X))
        X = es.ask()
    es.save(tmp_path / "a")
    twin = RestartES.load(tmp_path / "a")
    for each in (es, twin):
        before = each.evaluations
        np.testing.assert_array_equal(each.pending[:3], lost)
        each.tell(lost[::-1], [-3.0, -2.0, -1.0])
        assert each.evaluations == before + 3 and each.best.fun == -3.0
        np.testing.assert_array_equal(each.best.x, lost[2])
    assert goes_on(es) == goes_on(twin)


def test_files_are_as_large_as_the_state(tmp_path):
    es = search("dense", 10)
    es.save(tmp_path / "small")
    es = ES(np.ones(100), 0.4, seed=1)
    es.tell(X := es.ask(), objective(X))
    es.ask(10)
    es.save(tmp_path / "large")
    assert (tmp_path / "small").stat().st_size < 20_000
    assert 80_000 < (tmp_path / "large").stat().st_size < 110_000  # 8 · 100² bytes


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failing_step_leaves_the_old_file_and_no_litter(step, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise OSError("no space left")

    es, path = search("dense", 4), tmp_path / "a"
    es.save(path)
    before = path.read_bytes()
    es.tell(X := es.ask(), objective(X))
    monkeypatch.setattr(files.os, step, broken)
    with pytest.raises(OSError, match="no space left"):
        es.save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a"]
    with pytest.raises(FileNotFoundError):
        es.save(tmp_path / "no such folder" / "a")


# -- forged entries -------------------------------------------------------------------------------

HOSTILE = (
    *(None, True, -1, 0, 3, 10**12, 10**30, 0.5, "spy:Harm", "x", [], [1, 2], {"dict": []}),
    *({"array": 0}, {"array": 99}, {"float": "nan"}, {"float": "inf"}, {"dict": 3}, {"no": 1}),
    {"dict": [["name", "spy:Harm"]]},
)


def places(node, path=()):
    """All paths to a part of the tree in tree.json."""
    yield path
    if isinstance(node, (dict, list)):
        for key, part in node.items() if isinstance(node, dict) else enumerate(node):
            yield from places(part, (*path, key))


def at(tree, path, value):
    """The tree with `value` there; what is beside it is shared."""
    if not path:
        return value
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    copy[path[0]] = at(tree[path[0]], path[1:], value)
    return copy


def packed(head, members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in {**members, "tree.json": json.dumps(head).encode()}.items():
            archive.writestr(name, content)
    return out.getvalue()


def searches():
    nested = {"name": "kronecker", "rows": 2, "cols": 2, "left": "lower", "right": "dense"}
    yield search(nested, 4, bounds=[(-9, 9)] * 4, stagnation=20)
    yield search("auto", 3, noise="auto", choices=[[0, 1]])
    es = RestartES([1.0, 2.0], 1.0, "diagonal", 3, max_evaluations=9000, tolfun=5.0)
    es.ask(2)
    while es.restart < 1:
        X = es.ask()
        es.tell(X, objective(X))
    yield es


@pytest.fixture
def spy(tmp_path, monkeypatch):
    (tmp_path / "spy.py").write_text("open('harm-was-done', 'w').close()\nHarm = dict\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield lambda: "spy" in sys.modules or (tmp_path / "harm-was-done").exists()
    sys.modules.pop("spy", None)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_whatever_is_forged_is_one_clear_error_or_none(number, spy, tmp_path):
    es = list(searches())[number]
    path = tmp_path / "a"
    es.save(path)
    head, members = head_of(path.read_bytes())
    tries = [(p, value) for p in places(head["tree"]) for value in HOSTILE]
    refused = 0
    for p, value in tries[number :: len(tries) // 400]:  # of about nine thousand
        path.write_bytes(packed({**head, "tree": at(head["tree"], p, value)}, members))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                type(es).load(path)
            except ValueError as error:
                refused += 1
                assert str(path) in str(error), (p, value)
            except Exception as error:
                raise AssertionError(f"{p} = {value!r}: {error!r}") from error
        assert not spy(), (p, value)
    assert refused > 200


def array_of(head, *path):
    """The name of the member that holds the array there."""
    return f"{entry(head, *path)[1]['array']}.npy"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("arrivals",), [[{"array": 0}, {"array": 0}, 1.0, 1.0, [1, 2]]]),
        (("best",), ["x", 1.0, 2]),
        (("best",), [None, "low", 2]),
        (("best",), [None, {"float": "nan"}, 2]),
        (("counts", "late"), "many"),
        (("counts", "late"), -1),
        (("engine", "unknown"), 1),
        (("structure", "left"), "spy:Harm"),
        (("structure", "right"), {"dict": [["name", "spy:Harm"]]}),
        (("structure",), {"dict": [["name", "os:system"]]}),
        (("state",), None),
    ],
)
def test_a_forged_entry_is_refused(path, value, spy, tmp_path):
    search(next(iter(searches())).structure, 4).save(tmp_path / "a")

    def change(head):
        try:
            entry(head, *path)[1] = value
        except StopIteration:
            entry(head, *path[:-1])[1]["dict"].append([path[-1], value])

    (tmp_path / "a").write_bytes(forged((tmp_path / "a").read_bytes(), change))
    with pytest.raises(ValueError, match="does not hold a whole ES") as caught:
        ES.load(tmp_path / "a")
    assert str(tmp_path / "a") in str(caught.value) and not spy()


@pytest.mark.parametrize("field", ["mass", "value", "shape", "key"])
def test_a_forged_sample_is_refused(field, tmp_path):
    def change(head):
        row = entry(head, "arrivals")[1][0]
        if field == "mass":
            row[3] = 1.5
        elif field == "value":
            row[2] = {"float": "-inf"}
        elif field == "key":
            row[4] = [1, "x"]
        else:
            row[0] = entry(head, "arguments", "x0")[1]

    search("dense", 4).save(tmp_path / "a")
    (tmp_path / "a").write_bytes(forged((tmp_path / "a").read_bytes(), change))
    with pytest.raises(ValueError, match="does not hold a whole ES"):
        ES.load(tmp_path / "a")


def test_nothing_is_made_as_large_as_a_file_claims(tmp_path):
    def claim(head):
        for pair in entry(head, "ledger", "generations")[1][0]["dict"]:
            if pair[0] == "asked":
                pair[1] = [10**13]

    search("dense", 4).save(tmp_path / "a")
    good = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(forged(good, claim))
    with pytest.raises(ValueError, match="for 10000000000000 candidates"):
        ES.load(tmp_path / "a")
    bomb = bytearray(good)  # the directory says that a member has four gigabytes
    where = bomb.rindex(b"PK\x01\x02")
    bomb[where + 20 : where + 28] = b"\xf0\xff\xff\xff" * 2
    (tmp_path / "a").write_bytes(bomb)
    with pytest.raises(ValueError, match="no checkpoint"):
        ES.load(tmp_path / "a")


def test_a_sigma_or_an_array_that_is_none_is_refused(tmp_path):
    search("dense", 4).save(tmp_path / "a")
    good = (tmp_path / "a").read_bytes()
    head, _ = head_of(good)
    for sigma in ({"float": "nan"}, {"float": "inf"}, 0.0, -1.0, 1, None):
        state = list(entry(head, "state")[1])
        state[1] = sigma
        (tmp_path / "a").write_bytes(forged(good, setting("state", value=state)))
        with pytest.raises(ValueError, match="whole ES"):
            ES.load(tmp_path / "a")
    name = array_of(head, "arguments", "x0")
    for content in (npy(np.ones(4, dtype=np.int16)), npy(np.ones(4)) + b"1", npy(np.ones(4))[:-1]):
        (tmp_path / "a").write_bytes(forged(good, members={name: content}))
        with pytest.raises(ValueError, match="no checkpoint"):
            ES.load(tmp_path / "a")
