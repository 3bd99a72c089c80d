"""An experiment: problems, a structure, a start, and when to stop.

A config is a mapping, mostly from a YAML file; `experiment_from` makes it an Experiment, which
names everything that a search needs, and refuses what it does not know. `plan` (plan.py) makes its
searches, `run_experiment` (running.py) runs them one after the other and writes a run folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .. import checks
from ..arrays import noise
from ..evaluators import Evaluator, build_evaluator
from ..evaluators.missing import check_on_error
from ..files.yaml_text import check_fits
from ..naming.error_text import brief, nearest
from ..search.loop import check_mode
from ..strategy.stopping import Stopping
from .config import check_problems, coerce, numbers


@dataclass(frozen=True)
class Experiment:
    """What a run does. In a config the fields of `stopping` stand beside the others.

    Parameters
    ----------
    problems : tuple
        Specifications (strings or mappings) as `load_problem` takes them.
    name : str
        A part of the run folder's name.
    description : str
        A line for `structes list`.
    dim : int, optional
        The number of parameters, where a problem's specification does not say.
    structure : str or dict
        The structure of the covariance: a name or a mapping, as for `ES`.
    engine : str or dict
        The update: a name ("default", "cma", "xnes") or a mapping, as for `ES`.
    backend : {"numpy", "cupy"}
        With "cupy" the search is on the GPU, and so are the points of problems that take them
        there (`Problem.device`).
    dtype : {"float64", "float32"}
        The dtype of candidates.
    noise : str or dict, optional
        How noisy values are dealt with: "auto" or a mapping, as for `ES`.
    seed : int, optional
        An integer in [0, 2⁶⁴), the same for every problem.
    popsize : int, optional
        The number of candidates a generation; None means 4 + ⌊3 ln d⌋.
    restarts : str or dict, optional
        A restart strategy: a name ("ipop", "bipop") or a mapping.
    x0, sigma0 : list or float, optional
        The start (d,), and the initial standard deviation, a number or (d,); None: the problem's.
    bounds : list or str, optional
        d pairs (lower, upper), null for open; or "box": the box of the problem.
    boundary, transforms, integers, choices, fixed : optional
        As for `ES`.
    on_error : {"missing", "raise"}
        Whether an exception in a problem is a missing value, or ends the search of that problem.
    workers : int, str or dict, optional
        What `build_evaluator` takes: a number of processes, "ray", an address, or a mapping with
        more. None means that problems are evaluated in this process.
    timeout : float, optional
        The seconds that an evaluation may take, with workers.
    mode : {"generations", "steady"}
        How workers are given candidates.
    target_error : float, optional
        The search stops when the best value is this close to the problem's known minimum.
    stopping : Stopping
        When else to stop; its `target` is a value of the objective.
    """

    problems: tuple
    name: str = "run"
    description: str = ""
    dim: int | None = None
    structure: str | dict = "auto"
    engine: str | dict = "default"
    backend: str = "numpy"
    dtype: str = "float64"
    noise: str | dict | None = None
    seed: int | None = None
    popsize: int | None = None
    restarts: str | dict | None = None
    x0: list | None = None
    sigma0: float | list | None = None
    bounds: str | list | None = None
    boundary: str | None = None
    transforms: list | dict | None = None
    integers: bool | list | None = None
    choices: list | None = None
    fixed: dict | None = None
    on_error: str = "missing"
    workers: int | str | dict | None = None
    timeout: float | None = None
    mode: str = "generations"
    target_error: float | None = None
    stopping: Stopping = field(default_factory=Stopping)

    def config(self) -> dict:
        """Return the mapping that `experiment_from` makes this experiment from; the caller's to
        keep.
        """
        config = asdict(self)
        config.update(config.pop("stopping"), problems=list(config["problems"]))
        return config


_OWN = {f.name: f.type for f in fields(Experiment) if f.name != "stopping"}
_STOPPING = {f.name: f.type for f in fields(Stopping)}


def experiment_from(config: Mapping) -> Experiment:
    """Return the Experiment of a mapping, which stays as it is.

    Without a seed the experiment gets a random one. Numbers may be given as strings, because YAML
    reads 1e-3 as one.

    Parameters
    ----------
    config : Mapping
        The fields of Experiment, and those of Stopping beside them.

    Raises
    ------
    ValueError
        For an unknown key (the nearest is named).
    ValueError, TypeError
        For a value that does not fit.
    """
    check_fits(config)  # it will be written, and is to be read again
    values, stopping = {}, {}
    for key, value in config.items():
        if not isinstance(key, str):
            hint = " (YAML reads on, off, yes and no as true and false: write it in quotes)"
            raise ValueError(
                f"a config's keys must be words; got {brief(key)}{hint * isinstance(key, bool)}"
            )
        if key == "problems":
            values[key] = check_problems(value)
        elif key in ("bounds", "transforms", "integers", "choices", "fixed"):
            values[key] = numbers(value)
        elif key in _OWN:
            values[key] = coerce(value, _OWN[key], key)
        elif key in _STOPPING:
            stopping[key] = coerce(value, _STOPPING[key], key)
        else:
            names = [*_OWN, *_STOPPING]
            raise ValueError(
                f"unknown config key {key!r}{nearest(key, names)}; known: {', '.join(names)}"
            )
    if "problems" not in values:
        raise ValueError("an experiment needs problems: none is given")
    values["seed"] = noise.check_seed(values.get("seed"))
    check_on_error(values.get("on_error", "missing"))
    check_mode(values.get("mode", "generations"))
    evaluator_of(values.get("workers"), values.get("timeout"), values.get("mode"))
    for name, check in {
        "dim": lambda v: checks.count("dim", v, 1),
        "popsize": lambda v: checks.count("popsize", v, 2),
        "target_error": lambda v: checks.number("target_error", v, positive=True),
    }.items():
        if values.get(name) is not None:
            check(values[name])
    return Experiment(stopping=Stopping(**stopping), **values)


def evaluator_of(
    workers: Any, timeout: float | None = None, mode: str | None = None
) -> Evaluator | None:
    """Return the Evaluator that an experiment names, None where it has no workers.

    Raises
    ------
    ValueError, TypeError
        Where the workers do not fit, or a timeout or a mode needs some and there are none.
    """
    if workers is not None:
        return build_evaluator(workers, timeout=timeout)
    if timeout is not None or mode == "steady":
        option = "mode 'steady'" if timeout is None else f"timeout {timeout:g}"
        raise ValueError(f"{option} needs workers: 1 is one process")
    return None
