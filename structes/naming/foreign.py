"""What things are called elsewhere: a name of pycma, SciPy, Optuna or nevergrad is told ours."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, TypeVar

from .error_text import nearest

T = TypeVar("T")

EVALUATIONS = "max_evaluations: the number of evaluations"
GENERATIONS = "max_generations (or max_evaluations)"
TARGET = "target: the search stops at a value this low"
TOLFUN = "tolfun (values, relative to their range) and tolx (steps, relative to sigma0)"
SECONDS = "max_seconds"
START = "x0: the start; or a structes.Space of named parameters in its place"
BOUNDS = "bounds: pairs (lower, upper), None for open, or scipy.optimize.Bounds"
WORKERS = "workers: a number of processes, -1 for all processors, an Executor, or a pool's map"
SEED = "seed: an integer"
CONSTRAINTS = (
    "bounds for boxes; anything else is not there yet: let the function return a large value, or "
    "NaN, where a constraint is violated"
)
FUN = "fun: the function, the first argument of structes.minimize"
RECORD = "progress=True to watch; `structes run` keeps a record"

NAMES = {
    "objective": FUN,
    "objective_function": FUN,
    "objective_fct": FUN,
    "func": FUN,
    "function": FUN,
    "f": FUN,
    "fn": FUN,
    "fitness": FUN,
    "fitness_function": FUN,
    "cost": FUN,
    "loss": FUN,
    "maxfevals": EVALUATIONS,
    "evals": EVALUATIONS,
    "num_evaluations": EVALUATIONS,
    "maxfev": EVALUATIONS,
    "maxfun": EVALUATIONS,
    "max_nfev": EVALUATIONS,
    "maxeval": EVALUATIONS,
    "maxevals": EVALUATIONS,
    "max_fevals": EVALUATIONS,
    "max_function_evaluations": EVALUATIONS,
    "budget": EVALUATIONS,
    "n_trials": EVALUATIONS,
    "n_calls": EVALUATIONS,
    "n_iter": EVALUATIONS,
    "nfev": EVALUATIONS,
    "evaluations": EVALUATIONS,
    "iterations": GENERATIONS,
    "maxiter": GENERATIONS,
    "max_iter": GENERATIONS,
    "maxiters": GENERATIONS,
    "nit": GENERATIONS,
    "generations": GENERATIONS,
    "n_generations": GENERATIONS,
    "num_generations": GENERATIONS,
    "ngen": GENERATIONS,
    "ftarget": TARGET,
    "f_target": TARGET,
    "fitness_target": TARGET,
    "stopfitness": TARGET,
    "stop_fitness": TARGET,
    "goal": TARGET,
    "target_value": TARGET,
    "fmin": TARGET,
    "tol": TOLFUN,
    "tolerance": TOLFUN,
    "ftol": TOLFUN,
    "fatol": TOLFUN,
    "atol": TOLFUN,
    "rtol": TOLFUN,
    "tolfunrel": TOLFUN,
    "funtol": TOLFUN,
    "xtol": "tolx: steps, relative to sigma0",
    "xatol": "tolx: steps, relative to sigma0",
    "tolfacupx": "tolxup",
    "tolupsigma": "tolxup",
    "tolconditioncov": "condition",
    "tolstagnation": "stagnation",
    "tolflatfitness": "flat",
    "maxtime": SECONDS,
    "walltime": SECONDS,
    "wall_time": SECONDS,
    "time_budget": SECONDS,
    "max_time": SECONDS,
    "time_limit": SECONDS,
    "timelimit": SECONDS,
    "pop_size": "popsize",
    "population": "popsize",
    "batch_size": "popsize",
    "population_size": "popsize",
    "npop": "popsize",
    "lam": "popsize",
    "lambda_": "popsize",
    "mu": "popsize: half of it are parents",
    "sigma": "sigma0: the initial standard deviation",
    "sigma_0": "sigma0: the initial standard deviation",
    "init_sigma": "sigma0: the initial standard deviation",
    "stdev_init": "sigma0: the initial standard deviation",
    "step_size": "sigma0: the initial standard deviation",
    "std": "sigma0: one number, or one for each coordinate",
    "cma_stds": "sigma0: one number for each coordinate",
    "scaling_of_variables": "sigma0: one number for each coordinate",
    "mean": START,
    "xstart": START,
    "x": START,
    "init": START,
    "initial": START,
    "initial_guess": START,
    "initial_point": START,
    "guess": START,
    "start": START,
    "parametrization": START,
    "instrumentation": START,
    "center_init": START,
    "search_space": START,
    "params": START,
    "dim": "x0: its length is the dimension",
    "ndim": "x0: its length is the dimension",
    "dimension": "x0: its length is the dimension",
    "n": "x0: its length is the dimension",
    "cov": "covariance: to start from; sigma0 for one scale each",
    "c0": "covariance: to start from; sigma0 for one scale each",
    "bound": BOUNDS,
    "bnds": BOUNDS,
    "lower_bound": BOUNDS,
    "upper_bound": BOUNDS,
    "limits": BOUNDS,
    "ranges": BOUNDS,
    "dimensions": BOUNDS,
    "lower": BOUNDS,
    "upper": BOUNDS,
    "lb": BOUNDS,
    "ub": BOUNDS,
    "lower_bounds": BOUNDS,
    "upper_bounds": BOUNDS,
    "boundaryhandler": "boundary: 'transform' or 'reflect'",
    "integer_variables": "integers: indices, or True for all",
    "integrality": "integers: indices, or True for all",
    "fixed_variables": "fixed: {index: value}",
    "constraints": CONSTRAINTS,
    "ineqs": CONSTRAINTS,
    "eqs": CONSTRAINTS,
    "constraint": CONSTRAINTS,
    "penalty": CONSTRAINTS,
    "n_jobs": WORKERS,
    "njobs": WORKERS,
    "cores": WORKERS,
    "n_cores": WORKERS,
    "cpus": WORKERS,
    "threads": WORKERS,
    "num_workers": WORKERS,
    "n_workers": WORKERS,
    "parallel": WORKERS,
    "processes": WORKERS,
    "executor": WORKERS,
    "pool": WORKERS,
    "parallel_objective": "vectorized=True, or workers",
    "rng": SEED,
    "random_state": SEED,
    "random_seed": SEED,
    "rseed": SEED,
    "verbose": RECORD,
    "verb_disp": RECORD,
    "disp": RECORD,
    "display": RECORD,
    "verb_log": RECORD,
    "logger": RECORD,
    "options": "keyword arguments of their own: minimize(f, x0, sigma0, max_evaluations=…)",
    "opts": "keyword arguments of their own: minimize(f, x0, sigma0, max_evaluations=…)",
    "inopts": "keyword arguments of their own: minimize(f, x0, sigma0, max_evaluations=…)",
    "kwargs": "args, or functools.partial",
    "direction": "maximize=True",
    "directions": "maximize=True; one objective only",
    "minimize": "maximize=True for the opposite",
    "minimise": "maximize=True for the opposite",
    "maximise": "maximize=True",
    "maximization": "maximize=True",
    "objective_sense": "maximize=True",
    "noise_handler": "noise='auto'",
    "noisehandler": "noise='auto'",
    "lr_adapt": "noise='auto'",
    "n_max_resampling": "bounds: every candidate is inside",
    "bipop": "restarts='bipop'",
    "incpopsize": "restarts={'name': 'ipop', 'factor': 2}",
    "cma_diagonal": "structure='diagonal'",
    "cma_mirrors": "engine={'name': 'default', 'sampling': 'mirrored'}",
    "cma_active": "engine='default' has active updates",
    "device": "backend='cupy'",
    "jac": "nothing: values alone are used",
    "hess": "nothing: values alone are used",
    "method": "structure and engine",
    "strategy": "structure and engine",
    "sampler": "structure and engine",
    "mutation": "sigma0, structure and engine",
    "polish": "nothing: a search goes on until tolfun or tolx says that it has converged",
    "n_starts": "restarts",
    "first_points": "first: points that are evaluated before the search",
    "enqueue": "first: points that are evaluated before the search",
    "x0s": "first: points that are evaluated before the search",
    "warm_start": "prior=(X, values) of an earlier study",
    "source_trials": "prior=(X, values) of an earlier study",
}

OF_PARAMETERS = {  # of Float, Int and Choice
    "min": "low",
    "minimum": "low",
    "lower": "low",
    "lb": "low",
    "max": "high",
    "maximum": "high",
    "upper": "high",
    "ub": "high",
    "init": "start",
    "initial": "start",
    "default": "start",
    "value": "start; a value that does not move is a Constant",
    "x0": "start",
    "mean": "start",
    "sigma0": "sigma",
    "std": "sigma",
    "q": "step, of a Float",
    "step": "step of a Float, or a Choice of the values",
    "log_scale": "log=True",
    "logarithmic": "log=True",
    "options": "one by one or as one list: Choice('a', 'b')",
    "choices": "one by one or as one list: Choice('a', 'b')",
    "categories": "one by one or as one list: Choice('a', 'b')",
    "values": "one by one or as one list: Choice('a', 'b')",
}

OF_MINIMIZE = ("callback", "progress", "workers", "vectorized", "on_error", "timeout", "factory")
OF_MINIMIZE += ("mode", "args", "first", "restarts")


def unknown(name: Any, arguments: Iterable[str], owner: str, names: Mapping = NAMES) -> TypeError:
    """Return the error for an argument that a function or class does not take.

    It says what the argument is called here, or the nearest of the arguments that are known.

    Parameters
    ----------
    name : str
        The argument.
    arguments : sequence of str
        The arguments that are known.
    owner : str
        The name of the function or class.
    names : Mapping
        {name elsewhere: what it is called here}.
    """
    equivalent = names.get(str(name).lower())
    if equivalent is not None:
        return TypeError(f"{owner} has no argument {name!r}: here it is {equivalent}")
    if names is NAMES and name in OF_MINIMIZE and name not in arguments:
        return TypeError(f"{owner} has no argument {name!r}: it is one of structes.minimize")
    hint = nearest(name, arguments)
    listed = "" if hint else f"; it takes: {', '.join(arguments)}"
    return TypeError(f"{owner} has no argument {name!r}{hint}{listed}")


def telling(names: Mapping[str, str]) -> Callable[[type[T]], type[T]]:
    """Return a decorator of classes, which says what an argument is called here.

    Where a class does not take an argument, Python says no more than that it is unexpected; the
    decorated class raises what `unknown` says, by `names`.
    """

    def decorate(cls: type[T]) -> type[T]:
        plain = cls.__init__
        parameters = [p for p in inspect.signature(plain).parameters.values() if p.name != "self"]
        arguments = [p.name for p in parameters if p.kind is not p.VAR_POSITIONAL]

        @wraps(plain)
        def __init__(self, *positional, **keywords):
            for name in keywords:
                if name not in arguments:
                    raise unknown(name, arguments, cls.__name__, names)
            plain(self, *positional, **keywords)

        cls.__init__ = __init__
        return cls

    return decorate
