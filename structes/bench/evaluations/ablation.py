"""The default beside each of its switches: what every part of the update is worth.

A switch is a name, the keyword arguments of `structes.ES` that change it, and a sentence that
says what the change is. `structes bench ablation` runs the default and all of them on the same
problems and prints a line for each, evaluations of the switch / the default's: above 1 the
default is better for having it.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from ..solvers import name_of
from ..tables import aligned
from .compare import compare


class Switch(NamedTuple):
    """name: for tables; options: keyword arguments of ES; sentence: what is different."""

    name: str
    options: dict
    sentence: str


def _without(name, value, sentence):
    """One switch of the default engine set to another value."""
    engine = {"name": "default", name: value}
    return Switch(f"{name}={value}".lower(), {"engine": engine}, sentence)


SWITCHES = (
    Switch("cma", {"engine": "cma"}, "The textbook update of CMA-ES."),
    Switch("xnes", {"engine": "xnes"}, "The natural gradient alone, without paths."),
    _without("sampling", "independent", "Candidates drawn independently."),
    _without("sampling", "orthogonal", "Orthogonal candidates without their mirror images."),
    _without("mirror", 0.0, "The mean ignores bad candidates."),
    _without("mirror", 1.0, "Bad candidates count twice as much in the mean."),
    _without("damping", 1.0, "The step size is damped as in CMA-ES."),
    _without("speed", 1.0, "c1 and cmu as in CMA-ES."),
    _without("speed", 2.0, "c1 and cmu 1.6 times as large."),
    _without("parts", False, "The diagonal learns as slowly as the rest."),
    _without("trust_region", 0.5, "Steps are shortened from half the norm on."),
    _without("trust_region", inf, "No step is shortened."),
)


def solvers(structure: str, switches=SWITCHES) -> list[str]:
    """Names of the solvers: the default, and one for each switch."""
    return [name_of(structure), *(name_of(structure, s.options) for s in switches)]


def lines(rows, structure: str, switches=SWITCHES) -> list[str]:
    """The table for a terminal."""
    return aligned(table(rows, structure, switches), {0, 6})


def table(rows, structure: str, switches=SWITCHES) -> list[list[str]]:
    """Heads, and a line for each switch that the rows hold: ratios of the switch / the default."""
    names = {row["solver"] for row in rows}
    table = [["switch", "ratio", "ERT", "solved", "(default)", "cpu", "what is different"]]
    for switch in switches:
        if name_of(structure, switch.options) not in names:
            continue
        c = compare(rows, name_of(structure, switch.options), name_of(structure))
        numbers = [f"{c.ratio:.3f}", f"{c.ert:.3f}", f"{c.solved:.3f}", f"({c.solved_other:.3f})"]
        table.append([switch.name, *numbers, f"{c.cpu:.2f}", switch.sentence])
    return table
