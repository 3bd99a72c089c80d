"""What a fuzzed search is made of: options drawn at random, of which every one is documented.

`drawn(number)` is a pure function: a case is replayed by its number alone. What it draws is tame:
every combination is one that the documentation allows, so that a search made of it must work.
"""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import Bounds

from structes import Choice, Float, Int, Space


@dataclass
class Case:
    """One search, and what is done with it.

    way        "tell", "minimize" or "sharded"
    options    keyword arguments of ES, minimize or ShardedES
    low, high, integer, log, fixed   what candidates must keep to
    objective, faults   what values look like, and how often which of them are missing
    """

    number: int
    way: str
    dim: int
    options: dict
    low: np.ndarray
    high: np.ndarray
    integer: np.ndarray
    log: np.ndarray
    fixed: dict
    objective: str
    faults: dict
    choices: Any = ()
    restarts: Any = None
    plan: dict = field(default_factory=dict)

    def __str__(self):
        lines = [f"case {self.number}: {self.way}, d = {self.dim}, f = {self.objective}"]
        lines += [f"  {name} = {value!r}" for name, value in self.options.items()]
        lines += [f"  faults = {self.faults}", f"  restarts = {self.restarts!r}"]
        return "\n".join([*lines, f"  plan = {self.plan}"])


def chance(rng, p: float) -> bool:
    return bool(rng.random() < p)


def pick(rng, values, weights=None):
    """One of the values, which may be of any type."""
    p = None if weights is None else np.asarray(weights, float) / np.sum(weights)
    return values[int(rng.choice(len(values), p=p))]


# -- structures -----------------------------------------------------------------------------------


def split(rng, d: int, parts: int) -> list[int]:
    """d as a sum of positive numbers, at most so many."""
    parts = min(parts, d)
    cuts = np.sort(rng.choice(np.arange(1, d), parts - 1, replace=False)) if parts > 1 else []
    return np.diff([0, *cuts, d]).astype(int).tolist()


def simple(rng, d: int):
    return pick(rng, ["dense", "diagonal", "scalar", "lower", "upper"])


def structure(rng, d: int, depth: int = 0):
    """A specification of any structure of the table, for d parameters."""
    kinds = ["simple", "block_diagonal", "two", "three", "toeplitz", "sparse", "kronecker", "sum"]
    kinds += ["low_rank"] * (depth == 0)
    kind = pick(rng, kinds, [4] + [1] * (len(kinds) - 1))
    if depth > 1 or kind == "simple":
        return simple(rng, d)
    if kind == "block_diagonal":
        return {"name": kind, "sizes": split(rng, d, int(rng.integers(1, 5)))}
    if kind == "low_rank":
        most = min(d, 3) + 1
        return {"name": kind, "long": int(rng.integers(most)), "short": int(rng.integers(most))}
    if kind == "two":
        spec = {"name": pick(rng, ["block_upper", "block_lower"]), "k": int(rng.integers(d + 1))}
        if chance(rng, 0.3):
            spec["lead"] = rng.permutation(d)[: spec["k"]].tolist()
        return spec
    if kind == "three":
        ways = ("lower", "upper", "upper_lower", "lower_upper")
        k1 = int(rng.integers(d + 1))
        k2 = int(rng.integers(d - k1 + 1))
        spec = {"name": f"hierarchical_{pick(rng, ways)}", "k1": k1, "k2": k2}
        if chance(rng, 0.3):
            order = rng.permutation(d).tolist()
            spec |= {"lead": order[:k1], "tail": order[k1 : k1 + k2]}
        return spec
    if kind == "toeplitz":
        return pick(rng, ["toeplitz_lower", "toeplitz_upper", "circulant"])
    if kind == "sparse":
        if chance(rng, 0.5):
            tree = [-1] + [int(rng.integers(-1, i)) for i in range(1, d)]
            return {
                "name": "sparse",
                "tree": tree,
                "given": pick(rng, ["ancestors", "descendants"]),
            }
        pairs = [(i, j) for i in range(min(d, 12)) for j in range(i) if chance(rng, 0.2)]
        return {"name": "sparse", "pattern": pairs, "close": True}
    if kind == "kronecker":
        rows = pick(rng, [r for r in range(1, d + 1) if d % r == 0])
        sides = {"left": structure(rng, rows, depth + 1)}
        sides["right"] = structure(rng, d // rows, depth + 1)
        return {"name": "kronecker", "rows": rows, "cols": d // rows, **sides}
    sizes, blocks = split(rng, d, int(rng.integers(1, 4))), {}
    order, scattered = rng.permutation(d).tolist(), chance(rng, 0.5)
    for k, size in enumerate(sizes):
        inner = structure(rng, size, depth + 1)
        inner = {"name": inner} if isinstance(inner, str) else inner
        place = {"at": order[:size]} if scattered else {"dim": size}
        blocks[f"b{k}"] = {**inner, **place}
        order = order[size:]
    return {"name": "direct_sum", "blocks": blocks}


# -- where points live ----------------------------------------------------------------------------


def vector_options(rng, d: int) -> tuple:
    """(options, low, high, integer, log, fixed) of a search of vectors."""
    scale = float(pick(rng, [1.0, 1.0, 1.0, 1e-8, 1e6]))
    x0 = rng.normal(size=d) * scale
    sigma0 = scale * float(10 ** rng.uniform(-1, 1))
    kind = pick(rng, ["open", "closed", "some", "half", "narrow"], [6, 3, 2, 1, 1])
    if kind == "narrow":  # few numbers of float32 lie in it
        x0, scale = rng.choice([-1, 1], d) * 10 ** rng.uniform(0, 6, d), 2.0
    options: dict = {"x0": x0, "sigma0": sigma0, "scale": scale}
    low, high = np.full(d, -np.inf), np.full(d, np.inf)
    integer, log_, fixed = np.zeros(d, bool), np.zeros(d, bool), {}
    if kind == "closed":
        low, high = x0 - scale * rng.uniform(0, 3, d), x0 + scale * rng.uniform(0.1, 3, d)
    elif kind == "narrow":
        width = np.abs(x0) * 2.0 ** -rng.integers(5, 20, d)
        low, high = x0 - width * rng.random(d), x0 + width
    elif kind != "open":
        for i in np.flatnonzero(rng.random(d) < 0.5):
            low[i] = x0[i] - scale * rng.uniform(0, 3)
            if kind == "some" and chance(rng, 0.7):
                high[i] = x0[i] + scale * rng.uniform(0.1, 3)
    if chance(rng, 0.2):
        log_ = rng.random(d) < 0.4
        x0[log_] = np.abs(x0[log_]) + 1e-3 * scale
        low[log_] = np.where(low[log_] > -np.inf, x0[log_] / 10, -np.inf)
        high[log_] = np.where(high[log_] < np.inf, x0[log_] * 10, np.inf)
    if scale == 1.0 and chance(rng, 0.2):
        integer = (rng.random(d) < pick(rng, [0.3, 1.0])) & ~log_
        low[integer], high[integer] = np.floor(low[integer]), np.ceil(high[integer]) + 1
    choices, free = [], np.flatnonzero(np.isinf(low) & np.isinf(high) & ~integer & ~log_)
    if scale == 1.0 and len(free) > 2 and chance(rng, 0.15):
        order, k = rng.permutation(free).tolist(), int(rng.integers(2, min(5, len(free)) + 1))
        choices = [order[:k]]
    chosen = {i for choice in choices for i in choice}
    if d > 1 + len(chosen) and chance(rng, 0.15):
        others = [i for i in range(d) if i not in chosen]
        for i in rng.permutation(others)[: int(rng.integers(1, d - len(chosen)))].tolist():
            fixed[i] = float(np.round(x0[i]) if integer[i] else x0[i])
            x0[i] = fixed[i]
    if np.isfinite(low).any() or np.isfinite(high).any():
        pairs = [
            (None if a == -np.inf else float(a), None if b == np.inf else float(b))
            for a, b in zip(low, high, strict=True)
        ]
        options["bounds"] = pick(rng, [pairs, Bounds(low, high)])
        if chance(rng, 0.4):
            options["boundary"] = pick(rng, ["transform", "reflect"])
    if log_.any():
        names = ["log" if its else None for its in log_]
        options["transforms"] = pick(rng, [names, {int(i): "log" for i in np.flatnonzero(log_)}])
    if integer.any():
        whole = integer.all() and chance(rng, 0.5)
        options["integers"] = True if whole else np.flatnonzero(integer).tolist()
        x0[integer] = np.clip(np.round(x0[integer]), low[integer], high[integer])
    if choices:
        options["choices"] = choices
    if fixed:
        options["fixed"] = fixed
    closed = np.isfinite(low) & np.isfinite(high)
    if closed.all() and (low[log_] > 0).all() and chance(rng, 0.3):
        options.pop("sigma0")
        if not fixed and chance(rng, 0.5):
            options.pop("x0")
    elif chance(rng, 0.3):
        options["sigma0"] = sigma0 * 10 ** rng.uniform(-0.5, 0.5, d)
    if log_.any() and "sigma0" in options:  # of ln x
        its = np.broadcast_to(options["sigma0"], d).copy()
        its[log_] = its[log_] / scale
        options["sigma0"] = its
    if "x0" in options and chance(rng, 0.3):
        options["x0"] = options["x0"].tolist()
    return options, low, high, integer, log_, fixed


def space_options(rng) -> tuple:
    """The same of a search of named parameters."""
    parameters: dict = {}
    for k in range(int(rng.integers(1, 5))):
        kind = pick(rng, ["float", "log", "step", "open", "int", "logint", "choice", "constant"])
        a, b = float(rng.uniform(-5, 0)), float(rng.uniform(1, 5))
        parameters[f"p{k}"] = {
            "float": lambda a=a, b=b: Float(a, b),
            "log": lambda b=b: Float(1e-4 * b, b, log=True),
            "step": lambda a=a, b=b: Float(a, b, step=0.25),
            "open": lambda a=a, b=b: Float(start=a, sigma=b),
            "int": lambda a=a, b=b: Int(round(a) - 1, round(b)),
            "logint": lambda: Int(1, 64, log=True),
            "choice": lambda: (
                Choice("a", 2, None, (1, "b")) if chance(rng, 0.5) else Choice("x", "y", start="y")
            ),
            "constant": lambda: "something",
        }[kind]()
    parameters.setdefault("p0", Float(0, 1))
    if all(its == "something" for its in parameters.values()):
        parameters["p0"] = Float(0.0, 1.0)
    space = Space(parameters)
    low, high = np.full(space.dim, -np.inf), np.full(space.dim, np.inf)
    integer, log_ = np.zeros(space.dim, bool), np.zeros(space.dim, bool)
    coordinates = itertools.chain(*(p.coordinates() for p in space.parameters.values()))
    for i, its in enumerate(coordinates):
        low[i] = -np.inf if its.low is None else its.low
        high[i] = np.inf if its.high is None else its.high
        integer[i], log_[i] = its.integer, its.log
    return {"x0": space}, low, high, integer, log_, {}


def moving(case_dim, low, high, integer, fixed) -> int:
    """How many coordinates move."""
    least = np.where(integer, np.ceil(low), low)
    return case_dim - len(fixed.keys() | set(np.flatnonzero(least == high).tolist()))


# -- all of it ------------------------------------------------------------------------------------


def drawn(number: int) -> Case:
    """The case with this number."""
    rng = np.random.default_rng([4711, number])
    way = pick(rng, ["tell", "minimize", "sharded"], [60, 34, 6])
    d = 200 if chance(rng, 0.01) else int(rng.integers(1, pick(rng, [4, 11, 41])))
    if chance(rng, 0.15):
        options, low, high, integer, log_, fixed = space_options(rng)
        d = len(low)
    else:
        options, low, high, integer, log_, fixed = vector_options(rng, d)
    k = moving(d, low, high, integer, fixed)
    space = options.get("x0") if isinstance(options.get("x0"), Space) else None
    choices = (options if space is None else space.arguments()).get("choices") or ()
    auto = way != "sharded" and chance(rng, 0.3)
    options["structure"] = "auto" if auto else structure(rng, k)
    options["seed"] = int(rng.integers(2**63, dtype=np.uint64)) * int(pick(rng, [1, 2]))
    if chance(rng, 0.5):
        options["popsize"] = int(pick(rng, [2, 3, 4, 7, 12, 30]))
    if chance(rng, 0.4):
        switches = {"name": "default"}
        if chance(rng, 0.4):
            switches["sampling"] = pick(rng, ["orthogonal", "mirrored", "independent", "auto"])
        for name, values in (
            ("mirror", [0, 0.3, 1]),
            ("damping", [None, 0.5, 2]),
            ("speed", [0.3, 2]),
            ("parts", [True, False]),
        ):
            if chance(rng, 0.3):
                switches[name] = pick(rng, values)
        options["engine"] = pick(rng, ["cma", "xnes", switches])
    if chance(rng, 0.15):
        options["dtype"] = "float32"
    if chance(rng, 0.2):
        options["maximize"] = True
    popsize = options.get("popsize", 4 + int(3 * np.log(k)))
    if way != "sharded" and popsize >= 4 and chance(rng, 0.15):
        options["noise"] = pick(rng, ["auto", {"name": "auto", "every": 2}])
    if way == "sharded":
        options["shards"] = int(pick(rng, [1, 3, 16]))
    if not fixed and not choices and "x0" in options and chance(rng, 0.05):
        given = options["x0"]
        if not isinstance(given, Space) and way != "sharded":
            A = rng.normal(size=(d, d))
            variances = rng.uniform(0.1, 2, d)
            options["covariance"] = pick(rng, [A @ A.T + np.eye(d), variances])
            options.pop("sigma0", None)
    stopping(rng, options)
    at_all = way != "sharded" and not isinstance(options.get("x0"), Space) and "x0" in options
    if at_all and "covariance" not in options and chance(rng, 0.05):
        n = int(rng.integers(1, 30))
        x0 = np.asarray(options["x0"], float)
        X = np.repeat(x0[None], n, axis=0)
        inside = np.isfinite(low) & np.isfinite(high) & ~integer
        X[:, inside] = rng.uniform(low[inside], high[inside], (n, inside.sum()))
        for i, value in fixed.items():
            X[:, i] = value
        options["prior"] = X, rng.normal(size=n)
    objective = pick(rng, OBJECTIVES)
    faults = {}
    if chance(rng, 0.3):
        for name in ("nan", "inf", "exception"):
            if chance(rng, 0.4):
                faults[name] = float(pick(rng, [0.05, 0.3, 0.9]))
    restarts = None
    if way != "sharded" and chance(rng, 0.2):
        restarts = pick(rng, ["ipop", "bipop", 2, {"name": "bipop", "max_restarts": 1}])
        options["tolfun"] = 1.0  # runs end soon
    plan = {
        "scale": options.pop("scale", 1.0),
        "evaluations": int(pick(rng, [20, 80, 80, 250])),
        "again": chance(rng, 0.15),
        "workers": way == "minimize" and number % 997 == 0,
        "own": int(rng.integers(2**31)),
    }
    limits = low, high, integer, log_, fixed
    return Case(number, way, d, options, *limits, objective, faults, choices, restarts, plan)


def stopping(rng, options: dict) -> None:
    """Any stopping criteria."""
    for name, values in (
        ("target", [1e-3, 5.0, -1e9]),
        ("max_generations", [1, 5, 40]),
        ("tolfun", [None, 1e-3]),
        ("tolfunhist", [None, 1e-3]),
        ("tolx", [None, 1e-2]),
        ("tolxup", [None, 10.0]),
        ("condition", [None, 1e3]),
        ("stagnation", [None, 5]),
        ("flat", [None, 3]),
        ("failures", [None, 2]),
        ("noeffect", [False]),
    ):
        if chance(rng, 0.1):
            options[name] = pick(rng, values)


# -- values ---------------------------------------------------------------------------------------

OBJECTIVES = (
    "sphere", "rotated", "rastrigin", "linear", "constant", "steps", "ties", "huge", "tiny",
    "noisy", "shifted", "plateau",
)  # fmt: skip


def value(case: Case, x) -> float:
    """The value of a point (d,), in the sense of the search: a pure function of its bits."""
    x = np.array(x, dtype=float)
    for choice in case.choices:  # only which one is the largest counts
        its = x[list(choice)]
        x[list(choice)] = np.arange(len(its)) == its.argmax()
    print_ = zlib.crc32(x.tobytes())
    dice = (print_ % 10_007) / 10_007
    for name, share in case.faults.items():
        if dice < share:
            if name == "exception":
                raise ArithmeticError("this point cannot be evaluated")
            if name == "nan" or case.options.get("maximize"):
                return float("nan")
            return float("inf")
        dice = (dice + 0.37) % 1
    u = np.clip(x, *(case.plan["scale"] * np.array([-1e60, 1e60]))) / case.plan["scale"]
    square = float(u @ u)
    y = {
        "sphere": lambda: square,
        "rotated": lambda: square + 99 * float(u.sum()) ** 2,
        "rastrigin": lambda: float((u * u - 10 * np.cos(6.28 * u) + 10).sum()),
        "linear": lambda: float(u.sum()),
        "constant": lambda: 3.0,
        "steps": lambda: float(np.floor(10 * np.abs(u)).sum()),
        "ties": lambda: float(round(min(square, 1e9))),
        "huge": lambda: 1e180 * square,
        "tiny": lambda: 1e-290 * square,
        "noisy": lambda: square + (print_ % 1001) / 1000,
        "shifted": lambda: square - 1e9,
        "plateau": lambda: max(square, 1.0),
    }[case.objective]()
    return -y if case.options.get("maximize") else y
