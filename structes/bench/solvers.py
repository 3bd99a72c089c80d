"""Solvers by name: a peer of the table, or structes with a structure and options.

    pycma                                 a name of PEERS
    structes-dense                        structes with a structure
    structes-dense@popsize=20;tolx=1e-9   with keyword arguments of `structes.ES`: YAML scalars,
                                          or a mapping in braces, engine={name: cma, kappa: 0.5}

The name is what stands in the column `solver` of a result file, so that a row says by itself what
was run.
"""

from __future__ import annotations

import inspect
import json
import re
from itertools import pairwise

import numpy as np

from ..files.yaml_text import read_yaml
from . import PEERS

OURS = "structes-"


def parse(solver: str) -> tuple[str, dict]:
    """(name of PEERS, keyword arguments) of a solver's name. Raises ValueError."""
    if not solver.startswith(OURS):
        return PEERS.parse(solver)
    structure, separator, words = solver.removeprefix(OURS).partition("@")
    options = {}
    for piece in _split(words, ";") if separator else []:
        key, equals, text = piece.partition("=")
        if not (key and equals and text):
            raise ValueError(f"solver {solver!r}: {piece!r} must be KEY=VALUE, as in popsize=20")
        options[key] = _number(read_yaml(text, f"solver {solver!r}: {text!r}"))
    return "structes", {"structure": structure, **options}


def name_of(structure: str, options=None) -> str:
    """The solver's name for a structure and keyword arguments of ES."""
    words = ";".join(f"{key}={_text(value)}" for key, value in (options or {}).items())
    return f"{OURS}{structure}@{words}" if words else f"{OURS}{structure}"


def build(solver: str, x0, sigma0, popsize, seed: int, budget: int, bounds=None, integers=None):
    """The search that a solver's name stands for: see `structes.bench.peers` for what it answers.

    popsize   None: the solver's own; a `popsize` in the name holds until one is given here
    budget, bounds, integers   told to the solvers that take them

    Raises ValueError or TypeError for a wrong name or option, ImportError for a missing package.
    """
    name, options = parse(solver)
    first = options.pop("popsize", None)
    target = PEERS.resolve(name)
    context = {"x0": x0, "sigma0": sigma0, "seed": seed}
    context["popsize"] = first if popsize is None else popsize
    optional = {"budget": budget, "bounds": bounds, "integers": integers}
    parameters = inspect.signature(target).parameters
    context |= {
        key: value for key, value in optional.items() if key in parameters and key not in options
    }
    return PEERS.call(target, name, options, **context)


def check(solver: str, dim: int) -> None:
    """Build it once; raises what `build` raises."""
    build(solver, np.zeros(dim), 2.0, None, 1, 100)


def split_names(text: str) -> list[str]:
    """Names between commas; a comma inside braces separates none."""
    return [name for name in _split(text, ",") if name]


def _split(text, separator):
    """Parts of the text between separators outside of (unnested) braces."""
    masked = re.sub(r"\{[^{}]*\}", lambda m: "x" * len(m[0]), text)
    cuts = [-1, *(i for i, c in enumerate(masked) if c == separator), len(text)]
    return [text[a + 1 : b].strip() for a, b in pairwise(cuts)]


def _number(value):
    """YAML reads 1e-9 as text."""
    if isinstance(value, dict):
        return {key: _number(v) for key, v in value.items()}
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _text(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_text(v)}" for k, v in value.items()) + "}"
    return value if isinstance(value, str) else json.dumps(value)
