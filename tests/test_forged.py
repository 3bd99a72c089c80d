"""Files of a search in which anything was changed: one clear error, or a search that goes on."""

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
from structes.files import checkpoint
from structes.structures.building import build_structure

from .forging import broken, checkpoints, forgeries, npy, outcome, put_together, taken_apart
from .searches import CASES, busy, goes_on
from .test_save import entry


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return checkpoints(tmp_path_factory.mktemp("files"))


KINDS = (
    "dense", "float32", "xnes", "auto", "noise", "diagonal", "scalar", "low_rank", "blocks",
    "diagonal blocks", "toeplitz", "hierarchical", "sparse", "kronecker", "sum", "space",
    "maximize", "restarts", "sharded",
)  # fmt: skip


def try_some(files, kind, path, share, seed):
    """Every `share`-th forgery of a file, and as many broken ones over four: what became of
    them."""
    data, load = files[kind]
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    its = list(forgeries(data))
    its = its[int(rng.integers(share)) :: share]
    seen = set()
    for what, make in [*its, *broken(data, rng, len(its) // 4)]:
        path.write_bytes(make())
        try:
            seen.add(outcome(path, load))
        except Exception as error:
            raise AssertionError(f"{kind}: {what}: {type(error).__name__}: {error}") from error
    return seen


def test_every_kind_of_search_is_forged(files):
    assert tuple(files) == KINDS


@pytest.mark.parametrize("kind", ["dense", "sum"])
def test_some_forged_files_are_refused_or_go_on(kind, files, tmp_path):
    assert try_some(files, kind, tmp_path / "a", 300, 1) == {"refused", "goes on"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_forged_files_are_refused_or_go_on(kind, files, tmp_path):
    share = 400 if kind == "restarts" else 100
    assert try_some(files, kind, tmp_path / "a", share, 2) == {"refused", "goes on"}


# -- what costs memory ----------------------------------------------------------------------------

LOAD = """
import re, sys, time
from pathlib import Path
from structes import ES
began = time.monotonic()
try:
    ES.load(sys.argv[1])
except ValueError as error:
    print("refused" if sys.argv[1] in str(error) else error, end=" ")
else:
    print("loaded", end=" ")
peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
print(int(peak) // 1024, time.monotonic() - began)
"""


def costs(path) -> tuple:
    """(what became of it, MB, seconds) of loading a file in a process of its own."""
    command = [sys.executable, "-c", LOAD, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    said, memory, seconds = done.stdout.rsplit(" ", 2)
    return said, int(memory), float(seconds)


def saved(path, structure="dense", d=4, **options):
    busy(ES(np.linspace(1, 2, d), 0.4, structure, seed=8, **options)).save(path)
    return taken_apart(path.read_bytes())


def set_x0(head, members, d):
    number = entry(head, "arguments", "x0")[1]["array"]
    return {**members, f"{number}.npy": npy(np.ones(d))}


def large_x0(structure):
    def make(path):
        head, members = saved(path)
        entry(head, "structure")[1] = structure
        return put_together(head, set_x0(head, members, 30_000))

    return make


def spec(**given):
    return {"dict": [[name, value] for name, value in given.items()]}


def with_junk(junk):
    def make(path):
        head, members = saved(path)
        head["tree"]["dict"].append(["junk", junk])
        return put_together(head, members)

    return make


def many_references(path):
    head, members = saved(path)
    head["tree"]["dict"].append(["junk", [{"array": 99}] * 20_000])
    return put_together(head, {**members, "99.npy": npy(np.zeros(2**17))})


def many_generations(path):
    head, members = saved(path, d=300)
    generations = entry(head, "ledger", "generations")
    generations[1] = generations[1] * 3000
    return put_together(head, members)


def many_members(path):
    """A directory of a million entries, all of them of one member."""
    head, members = saved(path)
    data = put_together(head, members)
    end = data.rindex(b"PK\5\6")
    start = int.from_bytes(data[end + 16 : end + 20], "little")
    first = data[start : data.index(b"PK\1\2", start + 4)]
    directory = first * 1_000_000
    tail = bytearray(data[end:])
    tail[8:12] = b"\xff\xff\xff\xff"
    tail[12:16] = len(directory).to_bytes(4, "little")
    return data[:start] + directory + bytes(tail)


def overlapping(path):
    """Two members in the same bytes."""
    head, members = saved(path)
    data = bytearray(put_together(head, members))
    end = data.rindex(b"PK\5\6")
    start = int.from_bytes(data[end + 16 : end + 20], "little")
    second = data.index(b"PK\1\2", start + 4)
    data[second + 42 : second + 46] = data[start + 42 : start + 46]
    return bytes(data)


def hub(path):
    """A pattern with 10⁹ chains: many entries to one column, and as many from its row."""
    n = 30_000
    entries = [(i, n) for i in range(n)] + [(n, n + 1 + j) for j in range(n)]
    head, members = saved(path)
    members = set_x0(head, members, 2 * n + 1)
    entry(head, "structure")[1] = spec(name="sparse", pattern={"array": 98})
    return put_together(head, {**members, "98.npy": npy(np.array(entries))})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "becomes"),
    [
        (large_x0(spec(name="dense", retraction="h")), "refused"),
        (large_x0(spec(name="lower")), "refused"),
        (large_x0(spec(name="kronecker", rows=1, cols=30_000)), "refused"),
        (large_x0(spec(name="block_diagonal", sizes=[30_000])), "refused"),
        (large_x0(spec(name="hierarchical_lower", k1=15_000, k2=15_000)), "refused"),
        (large_x0(spec(name="low_rank", long=10**9, short=0)), "refused"),
        (large_x0(spec(name="sparse", tree=[*range(-1, 29_999)])), "refused"),
        (hub, "refused"),
        (many_references, "loaded"),
        (many_generations, "refused"),
        (many_members, "refused"),
        (overlapping, "refused"),
        (with_junk([[]] * 8_000_000), "refused"),
        (with_junk([{}] * 5_000_000), "refused"),
        (with_junk("x" * 60_000_000), "refused"),
        (with_junk(["\U0001f600" + "x" * 20_000_000]), "loaded"),
    ],
    ids=str,
)
def test_a_file_costs_little_more_than_it_is_long(make, becomes, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(make(path))
    said, memory, seconds = costs(path)
    assert said == becomes and memory < 400 and seconds < 5, f"{memory} MB, {seconds:.1f} s"


def test_members_in_the_same_bytes_are_refused_before_one_is_read(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(overlapping(path))
    with pytest.raises(ValueError, match=r"its member '\d+\.npy' overlaps with another"):
        ES.load(path)


def test_a_pipe_and_a_device_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "a")
    for path in (tmp_path / "a", "/dev/zero"):
        with pytest.raises(ValueError, match="is not a regular file"):
            ES.load(path)
    with pytest.raises(IsADirectoryError):
        ES.load(tmp_path)


def test_a_torn_header_of_an_array_is_refused(tmp_path):
    head, members = saved(tmp_path / "a")
    its = bytearray(members["0.npy"])
    its[10:14] = b"(((("
    (tmp_path / "b").write_bytes(put_together(head, {**members, "0.npy": bytes(its)}))
    with pytest.raises(ValueError, match="torn header"):
        ES.load(tmp_path / "b")


def test_a_link_of_the_users_own_is_followed(tmp_path):
    es = busy(ES([1.0, 2.0], 0.4, seed=8))
    es.save(tmp_path / "a")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert goes_on(ES.load(tmp_path / "link")) == goes_on(es)


# -- arrays that are shared -----------------------------------------------------------------------


def test_what_the_search_shares_is_shared_again(tmp_path):
    es = busy(ES(np.ones(50), 0.4, seed=8))
    es.save(tmp_path / "a")
    twin = ES.load(tmp_path / "a")
    for its in (es, twin):
        assert its.ledger.open.generation.state.factor[0] is its.state.factor[0]
    states = [its.generation.state.mean for _, its in twin.ledger.known()]
    assert len({id(mean) for mean in states}) == len(states)


def test_two_loaded_searches_share_nothing(tmp_path):
    es = busy(ES(np.ones(5), 0.4, seed=8))
    es.save(tmp_path / "a")
    a, b = ES.load(tmp_path / "a"), ES.load(tmp_path / "a")
    assert goes_on(a) == goes_on(b) == goes_on(es)
    assert not np.shares_memory(a.state.mean, b.state.mean)


@pytest.mark.parametrize(("structure", "dim"), CASES)
def test_a_blank_factor_has_the_shapes_of_a_factor(structure, dim):
    its = build_structure(structure, dim)

    def shapes(factor):
        return [shapes(a) for a in factor] if isinstance(factor, tuple) else (a_of(factor))

    def a_of(array):
        return array.shape, array.dtype

    assert shapes(its.blank()) == shapes(its.identity(np, np.float64))


# -- what save does not write ---------------------------------------------------------------------


def changed(es, **fields):
    es.state = es.state._replace(**fields)
    return es


BROKEN = [
    {"mean": np.full(4, np.nan)},
    {"mean": np.ones(5)},
    {"mean": [1.0, 2.0, 3.0, 4.0]},
    {"sigma": np.inf},
    {"sigma": 0.0},
    {"sigma": "1"},
    {"scale": -np.ones(4)},
    {"factor": (np.zeros((4, 4)),)},
    {"factor": (np.ones((4, 4)),)},
    {"factor": ()},
    {"factor": (np.eye(4, dtype=np.float32),)},
    {"path_sigma": np.full(4, 1e300)},
    {"path": None},
    {"generation": -1},
    {"generation": True},
]


@pytest.mark.parametrize("fields", BROKEN, ids=lambda its: f"{its!r:.40}")
@pytest.mark.parametrize("kind", [ES, RestartES])
def test_a_broken_state_is_not_saved_and_the_old_file_stays(kind, fields, tmp_path):
    es = kind([1.0, 2.0, 1.0, 1.0], 0.4, seed=8, max_evaluations=1000)
    es.tell(X := es.ask(), (X**2).sum(axis=1))
    es.save(tmp_path / "a")
    before = (tmp_path / "a").read_bytes()
    changed(es if kind is ES else es.es, **fields)
    with pytest.raises(ValueError, match="state"):
        es.save(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == before and len(list(tmp_path.iterdir())) == 1
    kind.load(tmp_path / "a")


def test_a_singular_factor_that_was_assigned_is_not_saved_in_many_dimensions(tmp_path):
    es = ES(np.ones(250), 0.4, seed=8)
    A = np.eye(250)
    A[3, :] = A[4, :]
    with pytest.raises(ValueError, match="singular"):
        changed(es, factor=(A,)).save(tmp_path / "a")


def test_a_search_that_has_diverged_is_not_saved(tmp_path):
    es = ES([1.0, 2.0], 1e290, seed=8, tolxup=None)
    with np.errstate(all="ignore"):
        for _ in range(200):
            X = es.ask()
            if not np.isfinite(X).all():
                break
            es.tell(X, X.sum(axis=1))
        with pytest.raises(ValueError, match="no search can go on from its state"):
            es.save(tmp_path / "a")


def test_values_that_are_no_numbers_are_saved(tmp_path):
    es = ES([1.0, 2.0], 0.4, seed=8, failures=None)
    es.save(tmp_path / "a")  # nothing was told: the best value is inf
    assert ES.load(tmp_path / "a").best.x is None
    for value in (np.nan, np.inf):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # all values are missing
            es.tell(X := es.ask(), np.full(len(X), value))
        es.save(tmp_path / "a")
        twin = ES.load(tmp_path / "a")
        assert twin.best.x is None and repr(twin.info) == repr(es.info)


@pytest.mark.parametrize(
    "options",
    [
        {"seed": 2**64 - 1},
        {"popsize": 20_000},
        pytest.param({"popsize": 100_000}, marks=pytest.mark.slow),
        {"dtype": "float32"},
        {"maximize": True},
        {"stagnation": 10**6},
        {"noise": {"name": "auto", "every": 10.0}},
    ],
    ids=str,
)
@pytest.mark.parametrize("dim", [1, 7])
def test_a_search_of_any_size_is_saved(options, dim, tmp_path):
    es = ES(np.ones(dim), 0.4, **{"seed": 8, **options})
    X = es.ask()
    es.tell(X[1:], (X[1:] ** 2).sum(axis=1))
    es.save(tmp_path / "a")
    twin = ES.load(tmp_path / "a")
    np.testing.assert_array_equal(twin.pending, es.pending)
    np.testing.assert_array_equal(twin.ask(3), es.ask(3))


def test_many_points_of_ones_own_are_saved(tmp_path):
    es = ES(np.ones(2), 0.4, seed=8, popsize=10_000)
    rng = np.random.default_rng(0)
    es.tell(P := rng.normal(size=(5000, 2)), (P**2).sum(axis=1))
    es.save(tmp_path / "a")
    twin = ES.load(tmp_path / "a")
    for its in (es, twin):
        its.advance()
    assert es.sigma == twin.sigma and (es.mean == twin.mean).all()


@pytest.mark.slow
def test_what_could_not_be_read_is_not_written(tmp_path):
    checkpoint.write(tmp_path / "a", "x", {"it": 1})
    before = (tmp_path / "a").read_bytes()
    for its in ("x" * 40_000_000, [[]] * 3_000_000):
        with pytest.raises(ValueError, match="too many for a search"):
            checkpoint.write(tmp_path / "a", "x", {"it": its})
        assert (tmp_path / "a").read_bytes() == before


def test_values_of_a_long_search_are_an_array_and_a_list_is_read(tmp_path):
    es = busy(ES([1.0, 2.0, 1.0, 1.0], 0.4, seed=8))
    es.save(tmp_path / "a")
    head, members = taken_apart((tmp_path / "a").read_bytes())
    for name in ("best", "median"):
        its = entry(head, "monitor", name)
        array = np.lib.format.read_array(io.BytesIO(members[f"{its[1]['array']}.npy"]))
        its[1] = [v if np.isfinite(v) else {"float": repr(float(v))} for v in array]
    (tmp_path / "b").write_bytes(put_together(head, members))
    assert goes_on(ES.load(tmp_path / "b")) == goes_on(es)


def test_a_name_that_stands_twice_is_refused(tmp_path):
    head, members = saved(tmp_path / "a")
    text = json.dumps(head)
    twice = text.replace('"kind": "ES"', '"kind": "ES", "kind": "ES"')
    with zipfile.ZipFile(tmp_path / "b", "w") as archive:
        for name, content in {**members, "tree.json": twice}.items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match="names something twice"):
        ES.load(tmp_path / "b")
