"""What structes computed once, kept: searches, files and a run, against which later ones are held.

A refactoring must not change a bit of a search. `python -m tests.golden write` records what this
tree computes; `tests/test_golden.py` computes it again. Where a machine computes as the one that
wrote the files (`arithmetic` is the same) every bit is compared, elsewhere numbers to rounding:
the libraries below NumPy choose their kernels by the processor.

    searches.json   12 generations of every structure × engine × noise × dtype
    *.ckpt          a file of each class, written by version 1, with what it goes on to
    run.json        one run of the command line
"""

from __future__ import annotations

import csv
import hashlib
import json
import warnings
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from scipy.special import ndtri

from structes import ES, RestartES, ShardedES
from structes.strategy.engine import ENGINES
from tests.structure_table import TRUTH

HERE = Path(__file__).parent
NOISES, DTYPES = (None, "auto"), ("float64", "float32")
GENERATIONS = 12
RUN = ["--problem", "rosenbrock", "--dim", "6", "--structure", "dense", "--seed", "4"]
RUN += ["--max-evaluations", "700", "--name", "golden", "--quiet"]


@cache
def arithmetic() -> str:
    """The bits of what the libraries below structes compute: a name for this machine's way."""
    A = np.sin(np.arange(1.0, 1601)).reshape(40, 40)
    parts = [A @ A[:, :7], A[:9] @ A.T, A @ A[0], np.linalg.qr(A)[0], np.linalg.inv(A + 3)]
    parts += [np.exp(A), np.log(A * A), ndtri(A * A / 2 + 0.1), np.einsum("ij,ij->i", A, A)]
    parts += [np.cos(A.astype("f")), np.log((A * A).astype("f")), A.astype("f") @ A.astype("f")]
    return _digest(*(np.ascontiguousarray(part).tobytes() for part in parts))


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


# -- searches -------------------------------------------------------------------------------------


def searches() -> dict:
    """{name: (specification, dim, options)} of all that are recorded."""
    specs = [truth.cases[-1] for truth in TRUTH.values() if truth.cases]
    specs += [({"name": "low_rank", "long": 2, "short": 1}, 7), ("auto", 5), ("auto", 64)]
    specs += [("dense", 1), ("dense", 40)]
    found = {}
    for (spec, dim), engine, noise, dtype in product(specs, ENGINES, NOISES, DTYPES):
        name = spec if isinstance(spec, str) else spec["name"]
        rule = engine
        if engine == "natural" and name == "dense" and isinstance(spec, dict):
            rule = {"name": engine, "retraction": spec.get("retraction", "h")}
        options = {"engine": rule, "noise": noise, "dtype": dtype}
        found[f"{name} {dim} {engine} {noise} {dtype}"] = spec, dim, options
    limits = {"bounds": [(0.1, 3)] * 6, "transforms": {1: "log"}, "integers": [2, 4]}
    found["dense 6 with bounds, a logarithm and integers"] = "dense", 6, limits
    choices = {"choices": [[1, 3], [2, 4, 5]], "bounds": [(0, None)] + [(None, None)] * 5}
    found["diagonal 6 with choices"] = "diagonal", 6, choices
    return found


def values_of(X) -> np.ndarray:
    """(n,) values of the rows of X (n, d): coupled, ill-scaled, with ties and a failure."""
    X = np.asarray(X, dtype=float)
    values = np.round((X**2) @ np.arange(1.0, X.shape[1] + 1) + X[:, 0] * X[:, -1], 9)
    values[values > np.quantile(values, 0.9)] = np.nan
    return values


def searched(spec, dim, options) -> dict:
    """The bits of a search of 12 generations, and where it is then."""
    es = ES(np.linspace(1, 2, dim), 0.7, spec, seed=11, **options)
    return _went(es, GENERATIONS)


def _went(es, generations) -> dict:
    parts, end = [], es.generation + generations
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while es.generation < end:
            X = es.ask()
            values = values_of(X)
            late = 2 if es.generation % 5 == 3 else 0  # two values come a generation later
            es.tell(X[late:], values[late:])
            if late:
                es.advance()
                es.tell(X[:late], values[:late])
            parts += [np.ascontiguousarray(X).tobytes(), np.asarray(es.mean).tobytes()]
            parts.append(repr((es.sigma, es.evaluations, es.best.fun)).encode())
    return {"bits": _digest(*parts), **_place(es)}


def _place(es) -> dict:
    return {"sigma": es.sigma, "mean": np.asarray(es.mean, dtype=float)[:4].tolist()}


# -- files ----------------------------------------------------------------------------------------


def _es():
    es = ES(np.linspace(1, 2, 6), 0.7, seed=5, bounds=[(0, None)] * 6, integers=[3])
    lost = es.ask(3)
    for _ in range(4):
        X = es.ask()
        es.tell(X, values_of(X))
    es.tell(lost[:1], [1.0])
    es.ask(2)
    return es


def _auto():
    es = ES(np.linspace(1, 2, 12), 0.7, "auto", seed=6, noise="auto", dtype="float32")
    for _ in range(30):
        X = es.ask()
        es.tell(X, values_of(X))
    return es


def _restarts():
    es = RestartES([1.0, 2.0], 1.0, seed=3, restarts="bipop", max_evaluations=90_000, tolfun=0.5)
    while es.restart < 3:
        X = es.ask()
        lost = int(es.generation % 3 > 0)
        es.tell(X[lost:], values_of(X[lost:]))
        if lost:
            es.advance()
    es.ask()
    return es


def _sharded():
    es = ShardedES(values_of, np.linspace(1, 2, 9), 0.7, seed=5, popsize=20, shards=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        es.run(lambda es: es.generation == 7)
    return es


FILES = {"es": _es, "auto": _auto, "restarts": _restarts, "sharded": _sharded}
LOADS = {"es": ES, "auto": ES, "restarts": RestartES, "sharded": ShardedES}


def load(name: str, path):
    """The search in a file."""
    more = (values_of,) if name == "sharded" else ()
    return LOADS[name].load(path, *more)


def gone_on(name: str, es) -> dict:
    """The bits of what a search comes to from here."""
    if name != "sharded":
        return _went(es, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        end = es.generation + 6
        es.run(lambda es: es.generation == end)
    said = repr((es.sigma, es.evaluations, es.best.fun)).encode()
    return {"bits": _digest(es.mean.tobytes(), said), **_place(es)}


# -- a run of the command line --------------------------------------------------------------------


def ran(folder) -> dict:
    """What the command line records of RUN in a folder: the bits of its log but for the clock."""
    from click.testing import CliRunner

    from structes.shell.cli import cli

    done = CliRunner().invoke(cli, ["run", *RUN, "--runs", str(folder)])
    assert done.exit_code == 0, done.output
    (run,) = Path(folder).iterdir()
    with open(run / "log.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    kept = [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
    (entry,) = json.loads((run / "result.json").read_text(encoding="utf-8"))["problems"]
    return {
        "columns": list(rows[0]),
        "rows": len(rows),
        "bits": _digest(json.dumps(kept).encode(), repr(entry["x"]).encode()),
        "sigma": float(rows[-1]["sigma"]),
        "mean": entry["x"][:4],
        "stop": sorted(entry["stop"]),
    }
