"""structes: evolution strategies whose covariance has the structure you choose.

    import structes

    result = structes.minimize(f, x0, sigma0)            # the whole loop
    es = structes.ES(x0, sigma0, structure="dense")      # or ask and tell yourself
    result = structes.minimize(f, x0, sigma0, workers=8) # evaluated by eight processes

`structes.STRUCTURES` lists the structures, `structes.ENGINES` the updates, `structes.RESTARTS` how
to start anew, `structes.PROBLEMS` the benchmark problems;
`structes.structure_for` makes a structure from the shapes of named arrays.
"""

from .terminal import command_line, interrupts  # noqa: F401 - before all others, and they say why

# isort: split
from .evaluators import EvaluationError, Evaluator
from .named_problems import PROBLEMS
from .problem import Problem
from .runs.reader import load_runs
from .search.es import ES
from .search.minimize import minimize
from .search.restart_es import RestartES
from .search.state import Best
from .sharded.sharded_es import ShardedES
from .space.arrays_of_parameters import structure_for
from .space.number_parameters import Float, Int
from .space.parameters import Bool, Choice, Constant
from .space.space import Space
from .strategy.engine import ENGINES, Engine
from .strategy.restarts import RESTARTS
from .strategy.state import Info, State
from .strategy.stopping import Stopping
from .structures import STRUCTURES
from .structures.base import Structure
from .version import __version__ as __version__

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
    "Engine",
    "EvaluationError",
    "Evaluator",
    "Float",
    "Info",
    "Int",
    "Problem",
    "RestartES",
    "ShardedES",
    "Space",
    "State",
    "Stopping",
    "Structure",
    "load_runs",
    "minimize",
    "structure_for",
]
