"""structes: evolution strategies whose covariance has the structure you choose.

    import structes

    result = structes.minimize(f, x0, sigma0)            # the whole loop
    es = structes.ES(x0, sigma0, structure="dense")      # or ask and tell yourself

`structes.STRUCTURES` lists the structures, `structes.PROBLEMS` the benchmark problems;
`structes.structure_for` makes a structure from the shapes of named arrays.
"""

from .es import ES, Best
from .minimize import minimize
from .parameters import structure_for
from .problem import PROBLEMS, Problem
from .record import load_runs
from .stopping import Stopping
from .structures import STRUCTURES

__all__ = [
    "ES",
    "PROBLEMS",
    "STRUCTURES",
    "Best",
    "Problem",
    "Stopping",
    "load_runs",
    "minimize",
    "structure_for",
]
__version__ = "0.1.0"
