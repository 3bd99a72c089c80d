"""structes: evolution strategies whose covariance has the structure you choose.

    import structes

    result = structes.minimize(f, x0, sigma0)            # the whole loop
    es = structes.ES(x0, sigma0, structure="dense")      # or ask and tell yourself
    result = structes.minimize(f, x0, sigma0, workers=8) # evaluated by eight processes

`structes.STRUCTURES` lists the structures, `structes.ENGINES` the updates, `structes.RESTARTS` how
to start anew, `structes.PROBLEMS` the benchmark problems;
`structes.structure_for` makes a structure from the shapes of named arrays.
"""

from . import command_line, interrupts  # noqa: F401 - before all others, and they say why

# isort: split
from .engine import ENGINES
from .es import ES
from .evaluators import EvaluationError, Evaluator
from .history import load_runs
from .kinds import Bool, Choice, Constant, Float, Int
from .minimize import minimize
from .parameters import structure_for
from .problem import PROBLEMS, Problem
from .restart_es import RestartES
from .restarts import RESTARTS
from .search import Best
from .sharded import ShardedES
from .space import Space
from .stopping import Stopping
from .structures import STRUCTURES

__all__ = [
    "ENGINES",
    "ES",
    "PROBLEMS",
    "RESTARTS",
    "STRUCTURES",
    "Best",
    "Bool",
    "Choice",
    "Constant",
    "EvaluationError",
    "Evaluator",
    "Float",
    "Int",
    "Problem",
    "RestartES",
    "ShardedES",
    "Space",
    "Stopping",
    "load_runs",
    "minimize",
    "structure_for",
]
__version__ = "0.1.0"
