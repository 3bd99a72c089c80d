"""One cell of the table in a process of its own, so that no other can be harmed by it.

An optimiser that crashes, hangs, reseeds a global generator or leaves warnings about spoils its
own cell and nothing else: the process has a time limit, and what it found comes back in a file.
Everything that it prints is dropped; one_cell.py is the process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

LIMIT = 60.0  # seconds for a cell


def run(*words: str, limit: float = LIMIT) -> dict:
    """What one_cell.py with these words has found; {"failed": why} where it has not."""
    verb, solver, *arguments = words
    paths = os.pathsep.join(path for path in sys.path if path)
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer"
        command = [
            sys.executable,
            "-m",
            f"{__package__}.one_cell",
            verb,
            solver,
            str(answer),
            *arguments,
        ]
        try:
            process = subprocess.run(
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
        if process.returncode < 0:
            return {"failed": f"killed by signal {-process.returncode}"}
        lines = process.stderr.strip().splitlines() or [f"exit code {process.returncode}"]
        return {"failed": lines[-1]}


def name_of(client) -> str:
    """The word by which another process finds a class."""
    return f"{client.__module__}:{client.__qualname__}"
