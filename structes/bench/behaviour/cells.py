"""One cell of the table in a process of its own, so that no other can be harmed by it.

An optimiser that crashes, hangs, reseeds a global generator or leaves warnings about spoils its
own cell and nothing else: the process has a time limit, and what it found comes back in a file.
Everything that it prints is dropped.

    python -m structes.bench.behaviour.cells check   SOLVER ANSWER
    python -m structes.bench.behaviour.cells cell    SOLVER ANSWER SITUATION
    python -m structes.bench.behaviour.cells resume  SOLVER ANSWER FILE CANDIDATES
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from ...registry import load_object
from .clients import CLIENTS

LIMIT = 60.0  # seconds for a cell


def run(*words: str, limit: float = LIMIT) -> dict:
    """What `python -m … cells` with these words has found; {"failed": why} where it has not."""
    verb, solver, *more = words
    paths = os.pathsep.join(path for path in sys.path if path)
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer"
        command = [sys.executable, "-m", __name__, verb, solver, str(answer), *more]
        try:
            done = subprocess.run(
                command,
                env={**os.environ, "PYTHONPATH": paths},
                cwd=folder,  # some write logs
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                timeout=limit,
            )
        except subprocess.TimeoutExpired:
            return {"failed": f"no end after {limit:g} s"}
        if answer.exists():
            return json.loads(answer.read_text(encoding="utf-8"))
        if done.returncode < 0:
            return {"failed": f"killed by signal {-done.returncode}"}
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return {"failed": said[-1]}


def name_of(client) -> str:
    """The word by which another process finds a class."""
    return f"{client.__module__}:{client.__qualname__}"


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
    from . import SITUATIONS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            client.check()  # what an import does is not the constructor's doing
            return SITUATIONS[situation].observe(client)
        except Exception as error:
            return {"failed": f"{type(error).__name__} {' '.join(str(error).split())}".strip()}


def main(verb, solver, answer, *more):
    from .around import resume

    found = {"check": check, "cell": cell, "resume": resume}[verb](load_client(solver), *more)
    beside = Path(f"{answer}.tmp")
    beside.write_text(json.dumps(found), encoding="utf-8")
    beside.rename(answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
