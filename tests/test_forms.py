"""Whatever form told pairs come in, they mean what they say: the bits are those of arrays."""

import importlib.util
import io
from collections import deque
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from structes import ES, Choice, Float, Int, Space

from .searches import objective


class HasArray:
    """What converts itself by `__array__`, as tensors of other libraries do."""

    def __init__(self, its):
        self.its = its

    def __array__(self, dtype=None, copy=None):
        return np.array(self.its, dtype=dtype)


class OnlyDLPack:
    def __init__(self, its):
        self.its = its

    def __dlpack__(self, **more):
        return self.its.__dlpack__(**more)

    def __dlpack_device__(self):
        return self.its.__dlpack_device__()


def pandas():
    return pytest.importorskip("pandas")


def torch():
    return pytest.importorskip("torch")


def jax():
    return pytest.importorskip("jax.numpy")


POINTS = {
    "lists": lambda X: X.tolist(),
    "tuples": lambda X: tuple(map(tuple, X.tolist())),
    "arrays in a list": list,
    "objects": lambda X: X.astype(object),
    "decimals": lambda X: [[Decimal(v) for v in row] for row in X.tolist()],
    "fractions": lambda X: [[Fraction(v) for v in row] for row in X.tolist()],
    "columns first": np.asfortranarray,
    "not contiguous": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "read only": lambda X: np.lib.stride_tricks.as_strided(X, writeable=False),
    "__array__": HasArray,
    "DLPack": OnlyDLPack,
    "DataFrame": lambda X: pandas().DataFrame(X, columns=["a", "b", "c", "d"]),
    "Series in a list": lambda X: [pandas().Series(x) for x in X],
    "torch": lambda X: torch().tensor(X, requires_grad=True),
    "torch in a list": lambda X: [torch().tensor(x) for x in X],
}
VALUES = {
    "list": lambda v: v.tolist(),
    "column": lambda v: v[:, None],
    "0-d": lambda v: [np.array(y) for y in v],
    "numpy scalars": list,
    "decimals": lambda v: [Decimal(y) for y in v.tolist()],
    "fractions": lambda v: [Fraction(y) for y in v.tolist()],
    "objects": lambda v: v.astype(object),
    "Series": lambda v: pandas().Series(v, index=range(7, 7 + len(v))),
    "DataFrame": lambda v: pandas().DataFrame({"value": v}),
    "torch": lambda v: torch().tensor(v),
    "torch 0-d": lambda v: [torch().tensor(y) for y in v],
    "__array__": HasArray,
    "texts": lambda v: [repr(y) for y in v.tolist()],
    "array of texts": lambda v: np.array([repr(y) for y in v.tolist()]),
    "Series of texts": lambda v: pandas().Series([repr(y) for y in v.tolist()]),
    "texts among numbers": lambda v: [str(v.tolist()[0]), *v.tolist()[1:]],
    "generator": lambda v: (y for y in v),
    "map": lambda v: map(float, v),
    "values of a dict": lambda v: dict(enumerate(v)).values(),
    "deque": deque,
}


def trace(points=np.asarray, values=np.asarray, function=objective, generations=6):
    es, seen = ES(np.full(4, 0.5), 0.5, seed=3), []
    for _ in range(generations):
        X = es.ask()
        es.tell(points(X), values(function(X)))
        seen.append((es.mean.tobytes(), es.sigma, es.evaluations, es.generation, es.best.fun))
        assert es.info.injected == 0
    return seen


@pytest.mark.parametrize("form", POINTS)
def test_forms_of_points(form):
    assert trace(POINTS[form]) == trace()


@pytest.mark.parametrize("form", VALUES)
def test_forms_of_values(form):
    assert trace(values=VALUES[form]) == trace()


@pytest.mark.parametrize("dtype", ["f2", "f4"])
def test_short_floats(dtype):
    """Rounded points are the candidates, rounded values are those values."""
    f = lambda X: objective(X).astype(dtype).astype(float)  # noqa: E731
    points = (lambda X: X.astype("f4")) if dtype == "f4" else np.asarray
    assert trace(points, lambda v: v.astype(dtype), f) == trace(function=f)


@pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="torch is not installed")
@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_short_tensors(name):
    import torch

    dtype = getattr(torch, name)
    f = lambda X: torch.tensor(objective(X)).to(dtype).double().numpy()  # noqa: E731
    assert trace(values=lambda v: torch.tensor(v).to(dtype), function=f) == trace(function=f)
    assert trace(lambda X: torch.tensor(X).float()) == trace()


@pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="jax is not installed")
def test_arrays_of_jax():
    import jax.numpy as jnp

    f = lambda X: objective(X).astype("f4").astype(float)  # noqa: E731
    assert trace(jnp.asarray, lambda v: jnp.asarray(v, "float32"), f) == trace(function=f)


@pytest.mark.parametrize("form", [list, tuple, iter, lambda pairs: (pair for pair in pairs)])
def test_pairs(form):
    es, twin = (ES(np.full(4, 0.5), 0.5, seed=3) for _ in range(2))
    for _ in range(5):
        X = es.ask()
        es.tell(form([(x, v) for x, v in zip(X, objective(X), strict=True)]))
        twin.tell(twin.ask(), objective(X))
        assert es.mean.tobytes() == twin.mean.tobytes()


def test_one_point_and_its_value():
    es, twin = (ES(np.full(4, 0.5), 0.5, seed=3) for _ in range(2))
    for k in range(40):
        (x,) = es.ask(1)
        value = float(objective(x[None, :])[0])
        es.tell(x, [value, np.float64(value), np.array([value]), [value]][k % 4])
        twin.tell(twin.ask(1), [value])
    assert es.mean.tobytes() == twin.mean.tobytes() and es.generation > 3


@pytest.mark.parametrize("n", [1, 3])
def test_one_dimension(n):
    es = ES([2.0], 0.5, seed=1)
    X = es.ask(n)
    es.tell(X[:, 0], X[:, 0] ** 2)
    assert es.evaluations == n and es.info.injected == 0 and not len(es.pending)


def test_numbers_that_no_float_holds():
    """They are ranked, not refused: too large a number is the worst value."""
    big, small = 10**400, Fraction(1, 10**400)
    seen = []
    for values in (
        [big, 2**70, True, False, small, Decimal("1e999")],
        [np.inf, 2.0**70, 1, 0, 0, np.inf],
    ):
        es = ES(np.full(3, 0.5), 0.5, seed=3, popsize=6)
        es.tell(es.ask(), values)
        seen.append((es.mean.tobytes(), es.best.fun, es.generation))
    assert seen[0] == seen[1] and seen[0][2] == 1


def test_a_missing_value_of_pandas_is_missing():
    es, pd = ES(np.full(3, 0.5), 0.5, seed=3, popsize=6), pandas()
    es.tell(es.ask(), pd.Series([1, 2, pd.NA, 4, 5, 6], dtype="Int64"))
    assert es.info.missing == 1 and es.evaluations == 6
    es.tell(es.ask(), [1, 2, pd.NA, 4.5, pd.NA, 6])
    assert es.info.missing == 2 and es.info.worst != es.info.worst


SPACE = Space({"a": Float(0, 1), "n": Int(1, 9), "c": Choice("x", "y", "z")})


def dicts(X):
    return [SPACE.to_dict(x) for x in X]


@pytest.mark.parametrize(
    "form",
    [
        dicts,
        lambda X: [dict(reversed(row.items())) for row in dicts(X)],
        lambda X: pandas().DataFrame(dicts(X)),
        lambda X: pandas().DataFrame(dicts(X))[["c", "a", "n"]],
        lambda X: [{k: str(v) for k, v in row.items()} for row in dicts(X)],
        lambda X: pandas().read_csv(io.StringIO(pandas().DataFrame(dicts(X)).to_csv(index=False))),
        lambda X: (row for row in dicts(X)),
    ],
    ids=[
        "dicts",
        "other order",
        "DataFrame",
        "columns in other order",
        "texts",
        "CSV",
        "iterator",
    ],
)
def test_dicts_of_parameters(form):
    """A dict is the candidate of which it was made, although it says less than the vector."""
    es, twin = (ES(SPACE, seed=3) for _ in range(2))
    for _ in range(12):
        X = es.ask()
        values = X[:, 0] + (X[:, 1] - 3) ** 2 + X[:, 2]
        es.tell(form(X), values)
        twin.tell(twin.ask(), values)
        assert es.info.injected == 0
        assert es.mean.tobytes() == twin.mean.tobytes()


def test_texts_of_missing_and_worst_values():
    es = ES(np.full(3, 0.5), 0.5, seed=3, popsize=6)
    es.tell(es.ask(), ["nan", " inf ", "1e-3", "2", "3", "4.5"])
    assert es.info.missing == 1 and es.evaluations == 6 and es.best.fun == 1e-3
    for values in (["-inf"] * 6, ["1", "2", "3", "4", "5", "five"], ["1", "2", "3", "4", "5", ""]):
        with pytest.raises((TypeError, ValueError), match=r"values.*(-inf|five|'')"):
            es.tell(es.ask(), values)
    with pytest.raises(TypeError, match="values must be"):
        es.tell(es.ask(), {1.0, 2.0, 3.0, 4.0, 5.0, 6.0})


TABLE = Space({"a": Float(0, 1), "flag": Choice(None, "on", 7), "one": 1, "no": None})


@pytest.mark.parametrize("written", [False, True], ids=["DataFrame", "CSV"])
def test_a_table_has_nan_for_none_and_needs_no_constants(written):
    es, twin = (ES(TABLE, seed=3) for _ in range(2))
    missing = 0
    for dropped in ([], ["one", "no"]):
        X = es.ask()
        table = pandas().DataFrame([TABLE.to_dict(x) for x in X])
        missing += table["flag"].isna().sum()
        if written:
            table = pandas().read_csv(io.StringIO(table.to_csv(index=False)))
        es.tell(table.drop(columns=dropped), X[:, 0])
        twin.tell(twin.ask(), X[:, 0])
        assert es.info.injected == 0 and es.mean.tobytes() == twin.mean.tobytes()
    assert missing


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.assign(value=1.0), "parameters a, n, c: 'value' is none"),
        (lambda t: t.drop(columns="n"), "'n' is missing"),
        (
            lambda t: t.rename(columns={"a": "aa"}),
            "'aa' is none .did you mean 'a'.*'a' is missing",
        ),
        (
            lambda t: t.reset_index(names="Unnamed: 0"),
            "'Unnamed: 0' is none .an index?.*index_col",
        ),
        (lambda t: t[["a", "n", "c", "c"]], "'c' is there twice"),
        (lambda t: t[["n", "c"]].rename(columns=str.upper), "'N' is none"),
    ],
)
def test_columns_that_do_not_fit_are_named(change, words):
    es = ES(SPACE, seed=3)
    table = change(pandas().DataFrame(dicts(es.ask())))
    with pytest.raises(ValueError, match=words):
        es.tell(table, np.ones(len(table)))
    with pytest.raises(ValueError, match=f"prior: .*{words}"):
        ES(SPACE, seed=3, prior=(table, np.ones(len(table))))
    assert es.evaluations == 0


def test_columns_of_a_vector():
    pd, es = pandas(), ES(SPACE, seed=3)
    X = es.ask()
    es.tell(pd.DataFrame(X, columns=[f"x{i}" for i in range(5)]), X[:, 0])
    assert es.info.injected == 0 and es.evaluations == len(X)
    plain = ES(np.ones(2), 1.0)
    with pytest.raises(ValueError, match=r"got shape .4, 3., with the columns Unnamed: 0, x, y"):
        plain.tell(pd.DataFrame(np.ones((4, 3)), columns=["Unnamed: 0", "x", "y"]), np.ones(4))


def test_texts_of_a_row_of_a_table():
    """As csv.DictReader gives them; the objective gets what its parameters read."""
    a, options = Float(0.0, 2.0, step=0.5), Choice(3, (1, 2), "3x")
    space = Space(a=a, n=Int(1, 9), c=options, k=2, b=Float(0.0, 1.0))
    row = {"a": "1.5", "n": "3.0", "c": "(1, 2)", "k": "2", "b": "1e-3"}
    read = {"a": 1.5, "n": 3, "c": (1, 2), "k": 2, "b": 1e-3}
    assert space.to_dict(space.from_dict(row)) == read
    fixed = space.with_constants({"a": "1.5", "n": "4", "c": "3"}).parameters
    assert [fixed[name].value for name in "anc"] == [1.5, 4, 3]
    assert space.to_dict(space.starting_at({"n": "7"}).x0)["n"] == 7
    for name, bad in (("a", "one"), ("n", "2.5"), ("c", "x"), ("k", "3"), ("a", "nan")):
        with pytest.raises((TypeError, ValueError), match=f"'{name}'.*{bad}"):
            space.from_dict({**row, name: bad})
    with pytest.raises(ValueError, match="'c' must be one of"):  # which of the two?
        Space(c=Choice(True, Alike(), 2), a=Float(0, 1)).from_dict({"a": 0, "c": "True"})


class Alike:
    def __repr__(self):
        return "True"


NONE = ["text", b"bytes", None, 1j, [1.0, 2.0], {"a": 1}, object()]


@pytest.mark.parametrize("bad", NONE, ids=lambda bad: type(bad).__name__)
def test_what_is_no_number_changes_nothing(bad):
    es = ES(np.full(3, 0.5), 0.5, seed=3, popsize=6)
    X = es.ask()
    for its in ([1.0, 2.0, bad, 4.0, 5.0, 6.0],):
        with pytest.raises((TypeError, ValueError), match="values"):
            es.tell(X, its)
    with pytest.raises((TypeError, ValueError), match="X must"):
        es.tell([[bad, 1.0, 2.0]], [1.0])
    assert es.evaluations == 0 and len(es.pending) == 6
    es.tell(X, objective(X))
    assert es.generation == 1


@pytest.mark.parametrize(
    ("X", "values", "words"),
    [
        (np.ones((2, 4)), [1.0, 2.0], r"X must have shape \(n, 3\)"),
        (np.ones(3), [1.0, 2.0], r"write X\[None, :\]"),
        (np.ones((2, 3)), [1.0], "one number for each of the 2 rows"),
        (np.ones((2, 3)), [1.0, -np.inf], r"values\[1\] must not be -inf.*logarithm"),
        (np.ones((1, 3)), None, "tell needs values"),
        ([[1.0, 2.0], [1.0, 2.0, 3.0]], [1.0, 2.0], "different lengths"),
        ([[np.nan, 1.0, 2.0]], [1.0], "X must be finite; row 0"),
    ],
)
def test_what_does_not_fit_is_said(X, values, words):
    es = ES(np.full(3, 0.5), 0.5, seed=3, popsize=6)
    es.ask()
    with pytest.raises((TypeError, ValueError), match=words):
        es.tell(X, values)
    assert es.evaluations == 0 and len(es.pending) == 6
