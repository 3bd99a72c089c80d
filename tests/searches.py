"""Searches that tests go on with: of every kind, amid a generation with every kind of value."""

import numpy as np

from .structure_table import TRUTH

CASES = [(spec, dim) for truth in TRUTH.values() for spec, dim in truth.cases if dim > 1]
SEARCHES = [
    ("dense", 6, {}),
    ("auto", 6, {}),
    ("diagonal", 6, {"bounds": [(-3, 3)] * 6}),
    ("lower", 6, {"engine": "cma"}),
    ("dense", 6, {"engine": "xnes"}),
    ("dense", 6, {"noise": "auto"}),
    ({"name": "low_rank", "long": 2, "short": 1}, 8, {"integers": [0, 3]}),
    ({"name": "block_upper", "k": 2}, 6, {"bounds": [(-3, None)] * 6, "boundary": "reflect"}),
    ({"name": "kronecker", "rows": 2, "cols": 3}, 6, {"transforms": {2: "log"}}),
    ({"name": "sparse", "tree": [-1, 0, 0, 1, 1, 2]}, 6, {"popsize": 11}),
    (
        {"name": "direct_sum", "blocks": {"a": {"name": "dense", "at": [5, 0]}, "b": "diagonal"}},
        6,
        {"choices": [[1, 2, 3]]},
    ),
]


def objective(X):
    return (100 * (X[:, 1:] - X[:, :-1] ** 2) ** 2 + (1 - X[:, :-1]) ** 2).sum(axis=1)


def busy(es):
    """Some generations, then one with every kind of value in it; some candidates stay out."""
    for _ in range(4):
        X = es.ask()
        es.tell(X, objective(X))
    late = es.ask(5)
    X = es.ask()
    es.tell(X, objective(X))
    X = es.ask(5)
    es.tell(late[:3], objective(late[:3]))
    es.tell(X[1:3], [np.nan, np.inf])
    own = np.ones((1, es.dim))
    es.tell(own, objective(own))
    return es


def goes_on(es, generations=6):
    """What a search does from here: bytes of everything."""
    seen = []
    for k in range(generations):
        X = np.concatenate([es.pending, es.ask(3 + k % 3)])
        seen.append(X.tobytes())
        told = X[k % 2 :: 2]
        es.tell(told, objective(told))
        seen.append((es.sigma, es.evaluations, es.generation, es.info, es.best.fun, es.stop()))
    seen.append((np.asarray(es.mean).tobytes(), es.switches, es.pending.tobytes()))
    return repr(seen)
