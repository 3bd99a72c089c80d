"""COCO's suites, evaluated by COCO's own C code.

`cocoex` hands out C objects, which neither pickle nor copy. So a Problem made here carries four
words (suite, f, dim, i), and each process opens the C problem when it first needs it. Values are
those of the C code, bit for bit.

The package gives no minimum outside `BareProblem`, which serves `bbob` only. But f_opt is the same
in every suite: it is drawn from the function and the instance alone, whatever the dimension (the
noisy functions share the seeds of the functions that they disturb, and bbob-mixint multiplies by
a factor). So one line of `BareProblem` gives it, and `value - problem.minimum` is the error.

Two things that C does to a process make the checks here more than politeness: an unknown function
ends it, and above 44 dimensions `BareProblem` writes past a buffer. The arguments are therefore
checked before any C code sees them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from structes.arrays.libraries import to_numpy
from structes.problem import Problem
from structes.problems.place import integer

_COCO = "Hansen et al., 2021, COCO, Optimization Methods and Software 36:114"


class _Suite(NamedTuple):
    dimensions: range | tuple  # that the C code offers
    functions: range
    source: str


_SMALL, _BIG = (2, 3, 5, 10, 20, 40), (20, 40, 80, 160, 320, 640)
_F24 = range(1, 25)
_CLEAN = "Hansen, Finck, Ros and Auger, 2009, Noiseless functions definitions, RR-6829"
_NOISY = "Hansen, Finck, Ros and Auger, 2009, Noisy functions definitions, RR-6869"
_LARGE = "Varelas et al., 2020, Applied Soft Computing 97:106737"
_MIXED = "Tušar, Brockhoff and Hansen, 2019, GECCO:718"
_SUITES = {
    "bbob": _Suite(range(2, 41), _F24, f"{_CLEAN}; {_COCO}"),
    "bbob-noisy": _Suite(_SMALL, range(101, 131), f"{_NOISY}; {_COCO}"),
    "bbob-largescale": _Suite(_BIG, _F24, f"{_LARGE}; {_COCO}"),
    "bbob-mixint": _Suite((5, 10, 20, 40, 80, 160), _F24, f"{_MIXED}; {_COCO}"),
    "bbob-boxed": _Suite(_SMALL, _F24, f"{_CLEAN}; {_COCO}"),
}

# bbob function that noisy f101 … f130 disturb (bbob2009_compute_fopt in COCO's legacy code)
_CALM = [1] * 3 + [8] * 3 + [1] * 3 + [8] * 3 + [7] * 3 + [10] * 3 + [14] * 3 + [17] * 3
_CALM += [19] * 3 + [21] * 3

# factors of bbob-mixint f1 … f24 (suite_bbob_mixint_scaling_factors in COCO)
_MIXINT_FACTORS = [1, 1e-3, 1e-1, 1e-1, 1, 1e-2, 1, 1e-2, 1e-2, 1e-3, 1e-2, 1e-4]
_MIXINT_FACTORS += [1e-1, 1, 1e-1, 1, 10, 1, 10, 1e-1, 1, 1, 10, 1e-1]


def bbob(dim: int, f: int, i: int = 1) -> Problem:
    """Return function f of the noiseless BBOB test bed, instance i.

    Its box is [−5, 5], its start 0, its scale 2; optimum and minimum are known. It takes points
    (n, dim) and returns values (n,), always a NumPy array; COCO gives a row that holds NaN the
    value NaN.

    Parameters
    ----------
    dim : int
        2 … 40: every number between, not only the six that the suite lists.
    f : int
        1 … 24.
    i : int
        1, 2, …; 1 … 15 are customary.

    Raises
    ------
    TypeError, ValueError
        For an argument that does not fit; the message names it.
    ImportError
        Where cocoex is not installed.
    """
    return _problem("bbob", dim, f, i)


def bbob_noisy(dim: int, f: int, i: int = 1) -> Problem:
    """Return function f of the noisy BBOB test bed, instance i: as `bbob`, with f 101 … 130 and
    dim 2, 3, 5, 10, 20 or 40. `optimum` and `minimum` are those without noise; no value lies below
    the minimum, and a value at the optimum may lie above it.

    The noise is COCO's: one counter in the C library, shared by all noisy problems of a process,
    advanced by every evaluation, and set back whenever a problem of any suite other than bbob is
    opened. Making the Problem sets it back too, so a serial run that makes its problem first can
    be repeated exactly. A run over several workers cannot: each has a counter of its own.
    """
    problem = _problem("bbob-noisy", dim, f, i)
    _cocoex().Suite("bbob-noisy", "instances:1", "dimensions:2 function_indices:1")  # sets it back
    return problem


def bbob_largescale(dim: int, f: int, i: int = 1) -> Problem:
    """Return function f of bbob-largescale, instance i: as `bbob`, with dim 20, 40, 80, 160, 320
    or 640, and no optimum (cocoex does not tell it). Its rotations are block-diagonal and
    permuted.
    """
    return _problem("bbob-largescale", dim, f, i)


def bbob_mixint(dim: int, f: int, i: int = 1) -> Problem:
    """Return function f of bbob-mixint, instance i: as `bbob`, with dim 5, 10, 20, 40, 80 or 160,
    and no optimum (cocoex does not tell it).

    The first four fifths of the coordinates are integers: {0, 1}, {0 … 3}, {0 … 7} and {0 … 15}, a
    fifth each; the rest are real in [−5, 5]. COCO rounds an integer coordinate to the nearest
    integer, clips it to its range, and evaluates there, so a search over real numbers sees steps.
    Start: COCO's. Scale: (dim,), a fifth of each coordinate's range.
    """
    return _problem("bbob-mixint", dim, f, i)


def bbob_boxed(dim: int, f: int, i: int = 1) -> Problem:
    """Return function f of bbob-boxed, instance i: as `bbob`, with dim 2, 3, 5, 10, 20 or 40, and
    no optimum (cocoex does not tell it). The value of a point outside the box is +inf."""
    return _problem("bbob-boxed", dim, f, i)


def bbob_constrained(dim: int, f: int = 1, i: int = 1) -> Problem:
    """Always raises ValueError: structes has no constraints other than boxes yet."""
    raise ValueError(
        "bbob-constrained has constraints, which structes does not support yet; "
        f"suites without constraints: {', '.join(_SUITES)}"
    )


def _problem(suite: str, dim, f, i) -> Problem:
    dimensions, functions, source = _SUITES[suite]
    f = integer(f"{suite}: f", f, functions[0], functions[-1])
    i = integer(f"{suite}: i", i, 1, 2**31 - 1)
    high = dimensions[-1] if isinstance(dimensions, range) else None
    dim = integer(f"{suite}: dim", dim, dimensions[0] if high else 1, high)
    if dim not in dimensions:
        offered = ", ".join(map(str, dimensions))
        raise ValueError(f"{suite}: dim must be one of {offered}; got {dim}")
    calm = _CALM[f - 101] if suite == "bbob-noisy" else f
    factor = _MIXINT_FACTORS[f - 1] if suite == "bbob-mixint" else 1
    bare = _cocoex().BareProblem("bbob", calm, min(dim, 40), i)
    if suite == "bbob":
        lower, upper, start = np.full(dim, -5.0), np.full(dim, 5.0), np.zeros(dim)
    else:
        *_, c = _open(suite, f, dim, i)
        lower, upper, start = (
            np.array(v, float) for v in (c.lower_bounds, c.upper_bounds, c.initial_solution)
        )
    return Problem(
        CocoFunction(suite, f, dim, i),
        dim,
        f"{suite}:f{f}:i{i}",
        lower=lower,
        upper=upper,
        optimum=bare.best_parameter() if suite in ("bbob", "bbob-noisy") else None,
        minimum=float(bare.best_value() * factor),
        start=start,
        scale=(upper - lower) / 5 if suite == "bbob-mixint" else 2.0,
        source=source,
    )


class CocoFunction:
    """(n, dim) -> (n,) values of one C problem: picklable and copyable, because it holds only the
    four words that name the problem.

    Raises
    ------
    ValueError
        For another shape.
    """

    def __init__(self, suite: str, f: int, dim: int, i: int):
        self.suite, self.f, self.dim, self.i = suite, f, dim, i

    def __call__(self, X: Any) -> np.ndarray:
        X = np.array(to_numpy(X), dtype=float, order="C")  # a copy: C wants to be able to write
        if X.ndim != 2 or X.shape[1] != self.dim:
            raise ValueError(f"{self!r} takes (n, {self.dim}) arrays; got shape {X.shape}")
        *_, problem = _open(self.suite, self.f, self.dim, self.i)
        if self.suite == "bbob":
            return problem(X)  # BareProblem loops over the rows in C
        return np.array([problem(x) for x in X], dtype=float)

    def __repr__(self):
        return f"CocoFunction({self.suite!r}, f={self.f}, dim={self.dim}, i={self.i})"


@lru_cache(maxsize=256)
def _open(suite, f, dim, i):
    """Return the C problem of this process, after whatever owns it: the last of a tuple."""
    cocoex = _cocoex()
    if suite == "bbob":
        return (cocoex.BareProblem("bbob", f, dim, i),)
    index = _SUITES[suite].functions.index(f) + 1  # the suite counts from 1, for f101 too
    options = f"dimensions:{dim} function_indices:{index}"
    owner = cocoex.Suite(suite, f"instances:{i}", options)
    return owner, owner[0]


def _cocoex():
    try:
        import cocoex
    except ImportError as error:
        raise ImportError("the COCO suites need cocoex: pip install 'structes[coco]'") from error
    return cocoex
