"""The process of one cell: an optimiser in a situation, and what happened, as a file.

python -m structes.bench.trust.one_cell check   SOLVER ANSWER
python -m structes.bench.trust.one_cell cell    SOLVER ANSWER SITUATION
python -m structes.bench.trust.one_cell resume  SOLVER ANSWER FILE CANDIDATES
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

from ...naming.loading import load_object
from .around import resume
from .clients import CLIENTS
from .situations import SITUATIONS


def load_client(name: str):
    """A class of `CLIENTS`, or the one at "module:Class"."""
    return CLIENTS[name] if name in CLIENTS else load_object(name)


def check(client) -> dict:
    """{}, or why the optimiser cannot be run here."""
    try:
        client.check()
    except ImportError as error:
        return {"failed": str(error)}
    return {}


def cell(client, situation: str) -> dict:
    """The facts of a situation, or the error of a step that every optimiser has to do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            client.check()  # what an import does is not the constructor's doing
            return SITUATIONS[situation].observe(client)
        except Exception as error:
            return {"failed": f"{type(error).__name__} {' '.join(str(error).split())}".strip()}


def main(verb, solver, answer, *arguments):
    facts = {"check": check, "cell": cell, "resume": resume}[verb](load_client(solver), *arguments)
    temporary = Path(f"{answer}.tmp")
    temporary.write_text(json.dumps(facts), encoding="utf-8")
    temporary.rename(answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
