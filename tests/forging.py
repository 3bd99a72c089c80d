"""Files that are not what `save` writes: every field of a real one replaced by every nasty value.

The fields are found by walking the tree of the file, so that a field that is new is forged, too.
What must come of it: one clear ValueError, or a search that asks finite candidates, is told their
values, and asks finite ones again.
"""

import copy
import io
import json
import warnings
import zipfile
from collections.abc import Iterator

import numpy as np

from structes import ES, RestartES, ShardedES

from .searches import busy, objective

PLAIN = [
    None, True, False, 0, 1, -1, 2, 3, 10**6, 2**53, 2**63, 2**64, 10**400, -(2**70),
    0.0, 0.5, -1.0, 1e-320, 5e-324, 1e-160, 1e160, 1e300, 1.7e308, -1e300,
    {"float": "nan"}, {"float": "inf"}, {"float": "-inf"}, {"float": "x"},
    "", "x", "auto", "dense", "os:system", "x" * 10_000, [], [1], [[]], ["x"], [None] * 3,
    {"dict": []}, {"dict": [["name", "dense"]]}, {"dict": [["x", 1], ["x", 2]]},
    {"dict": [[[], 1]]}, {"array": 0}, {"array": -1}, {"array": 10**9}, {"array": True},
    {"nothing": 1}, {},
]  # fmt: skip


def arrays_like(a: np.ndarray) -> Iterator[np.ndarray]:
    """Arrays in the place of another one: numbers that are none, other shapes, other types."""
    if a.dtype.kind == "f":
        for value in (np.nan, np.inf, -np.inf, 0.0, -1.0, 1e-320, 1e-160, 1e160, 1e300, 1.7e308):
            yield np.full(a.shape, value, a.dtype, order="C")
            if a.size:
                one = a.copy()
                one.flat[a.size // 2] = value
                yield one
        yield -a
        yield a * 1e-300
        yield a * 1e140
        yield a.astype(np.float32)
        if a.ndim == 2 and a.size:
            yield np.repeat(a[:1], a.shape[0], axis=0)  # singular, where it is a factor
    else:
        for value in (0, 1, 2**62):
            yield np.full(a.shape, value).astype(a.dtype)
        yield ~a if a.dtype == bool else a[::-1].copy()
        yield a.astype(float)
    yield a.reshape(-1)[: a.size // 2].copy()
    yield np.concatenate([a.reshape(-1)] * 2)
    yield a.reshape(-1, 1)
    yield np.zeros((), a.dtype)
    yield np.zeros(0, a.dtype)
    yield np.zeros((0, 10**15), a.dtype)
    yield np.ones(a.shape, dtype=bool)


def taken_apart(data: bytes) -> tuple:
    """(head, {name: bytes}) of a file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(members.pop("tree.json")), members


def put_together(head, members, text=None) -> bytes:
    """The file of a head and members."""
    out = io.BytesIO()
    text = json.dumps(head) if text is None else text
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in {**members, "tree.json": text}.items():
            archive.writestr(name, content)
    return out.getvalue()


def npy(array) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, np.asarray(array), allow_pickle=False)
    return out.getvalue()


def places(value, path=()) -> Iterator[tuple]:
    """The paths to all values in a head, lists and dicts themselves included."""
    yield path
    if isinstance(value, dict):
        for key, inside in value.items():
            yield from places(inside, (*path, key))
    elif isinstance(value, list):
        for key, inside in enumerate(value):
            yield from places(inside, (*path, key))


def at(value, path):
    for key in path:
        value = value[key]
    return value


def with_value(head, path, value):
    """A head with another value at this path; None of it is shared with `head`."""
    if not path:
        return value
    changed = copy.copy(head)
    changed[path[0]] = with_value(head[path[0]], path[1:], value)
    return changed


def forgeries(data: bytes) -> Iterator[tuple]:
    """(what was done, bytes) of every forgery of a file."""
    head, members = taken_apart(data)
    for path in places(head):
        for k, value in enumerate(PLAIN):
            yield (path, k), lambda p=path, v=value: put_together(with_value(head, p, v), members)
        its = at(head, path)
        if isinstance(its, list) and its:
            for k, value in enumerate((its[1:], its[:-1], its * 2, its[::-1])):
                yield (
                    (path, "list", k),
                    lambda p=path, v=value: put_together(with_value(head, p, v), members),
                )
        if isinstance(its, dict) and its.keys() == {"array"}:
            array = np.lib.format.read_array(io.BytesIO(members[f"{its['array']}.npy"]))
            for k, other in enumerate(arrays_like(array)):
                # in this place alone, and wherever the array stands
                yield (
                    (path, "array", k),
                    lambda p=path, a=other: put_together(
                        with_value(head, p, {"array": 10**6}), {**members, f"{10**6}.npy": npy(a)}
                    ),
                )
                yield (
                    (path, "member", k),
                    lambda n=its["array"], a=other: put_together(
                        head, {**members, f"{n}.npy": npy(a)}
                    ),
                )


def broken(data: bytes, rng, count: int) -> Iterator[tuple]:
    """(what was done, bytes) of `count` files that lost their end, or of which bytes changed."""
    for _ in range(count):
        a = int(rng.integers(len(data)))
        b = min(len(data), a + int(rng.choice([1, 1, 4, 100, 2000])))
        kind = rng.choice(["cut", "flip", "zero", "noise", "twice", "without"])
        middle = np.frombuffer(data[a:b], np.uint8)
        pieces = {
            "cut": data[:a],
            "flip": data[:a] + bytes(middle ^ (1 << int(rng.integers(8)))) + data[b:],
            "zero": data[:a] + bytes(b - a) + data[b:],
            "noise": data[:a] + rng.bytes(b - a) + data[b:],
            "twice": data[:b] + data[a:],
            "without": data[:a] + data[b:],
        }
        yield (str(kind), a, b), lambda its=pieces[kind]: its


def squares(X):
    return (np.asarray(X) ** 2).sum(axis=1)


def tame(X):
    """A value for every point that is a number."""
    return np.log1p(np.abs(np.asarray(X, dtype=float))).sum(axis=1)


def checkpoints(folder) -> dict:
    """{name: (bytes, load)} of files of searches of every kind, amid a generation."""
    box = [(-4, 5)] * 4
    kinds = {
        "dense": ("dense", {}),
        "float32": ("dense", {"dtype": "float32", "bounds": box}),
        "xnes": ("dense", {"engine": "xnes"}),
        "auto": ("auto", {}),
        "noise": ("lower", {"noise": "auto"}),
        "diagonal": ("diagonal", {"bounds": box, "boundary": "reflect", "transforms": {}}),
        "scalar": ("scalar", {"integers": [0, 2]}),
        "low_rank": ({"name": "low_rank", "long": 1, "short": 1}, {"transforms": {1: "log"}}),
        "blocks": ({"name": "block_upper", "k": 2}, {"fixed": {3: 1.0}}),
        "diagonal blocks": ({"name": "block_diagonal", "sizes": [1, 3]}, {}),
        "toeplitz": ("toeplitz_lower", {}),
        "hierarchical": ({"name": "hierarchical_lower", "k1": 1, "k2": 1}, {}),
        "sparse": ({"name": "sparse", "tree": [-1, 0, 0, 1]}, {}),
        "kronecker": ({"name": "kronecker", "rows": 2, "cols": 2}, {}),
        "sum": (
            {
                "name": "direct_sum",
                "blocks": {"a": {"name": "dense", "at": [2, 0]}, "b": "scalar"},
            },
            {"choices": [[1, 3]]},
        ),
    }
    files = {}
    for name, (structure, options) in kinds.items():
        busy(ES([1.0, 2.0, 1.0, 1.0], 0.4, structure, seed=5, **options)).save(folder / "a")
        files[name] = (folder / "a").read_bytes(), ES.load
    space = {
        "rate": {"kind": "float", "low": 1e-4, "high": 1.0, "log": True},
        "count": {"kind": "int", "low": 1, "high": 9},
        "which": {"kind": "choice", "options": ["a", ("b", 1), 2.5]},
        "fixed": 3,
    }
    es = ES(space=space, seed=3)
    for _ in range(4):
        es.tell(X := es.ask(), squares(X))
    es.save(folder / "a")
    files["space"] = (folder / "a").read_bytes(), ES.load
    es = ES([1.0, 2.0], 0.5, "upper", 2**63, maximize=True, target=3.0, max_evaluations=10**6)
    es.tell(X := es.ask(), -squares(X))
    es.ask(3)
    es.save(folder / "a")
    files["maximize"] = (folder / "a").read_bytes(), ES.load
    es = RestartES([2.0, 3.0], 1.0, seed=2, restarts="bipop", max_evaluations=9000, tolfun=1.0)
    while es.restart < 3:
        X = es.ask()
        es.tell(X[1:], objective(X[1:]))
    es.save(folder / "a")
    files["restarts"] = (folder / "a").read_bytes(), RestartES.load
    with ShardedES(squares, [1.0] * 4, 0.5, "low_rank", seed=1, popsize=8, shards=4) as es:
        es.step()
        es.step()
        es.save(folder / "a")
    files["sharded"] = (folder / "a").read_bytes(), lambda path: ShardedES.load(path, squares)
    return files


def outcome(path, load) -> str:
    """What becomes of the file: "refused" or "goes on"; AssertionError or whatever was raised
    where it is neither."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            es = load(path)
        except ValueError as error:
            assert repr(str(path)) in str(error), f"the message does not name the file: {error}"
            assert len(str(error)) < 2000, "the message is too long"
            return "refused"
        if isinstance(es, ShardedES):
            if es.popsize <= 1000:
                es.step()
                assert np.isfinite(es.sigma) and es.sigma > 0
                assert np.isfinite(es.mean).all()
            return "goes on"
        n = min(es.popsize, 20)
        repr(es), es.deviations, es.mean, es.best.x, es.stop()
        for _ in range(3):
            X = np.concatenate([es.pending, es.ask(n)])[:100]
            assert X.dtype.kind == "f" and np.isfinite(X).all(), "it asks what is not finite"
            try:
                es.tell(X, tame(X))
            except ValueError as error:  # of a rate that nobody would choose, and may
                assert es.engine.natural and "too long for any use: choose" in str(error)
                return "goes on"
            if es.gathered.samples or es.ledger.open.n_told:
                es.advance()
            assert np.isfinite(es.sigma) and es.sigma > 0
        try:
            es.save(path)
        except ValueError as error:  # its numbers grow
            assert "no search can go on from its state" in str(error)
            return "goes on"
        load(path)
    return "goes on"
