"""result.json: for each problem its best point and value, and why its search stopped.

`Result` is what a run writes, `check_result` refuses what no run has written.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ..evaluators.failures import plain_option
from ..files.folders import file_name, to_json
from ..naming.error_text import brief
from ..search.kinds import runs_of
from ..search.restart_es import RestartES


class Result:
    """The content of a result.json, as it grows.

    Parameters
    ----------
    content : dict
        What the file holds: "status", "seconds", and "problems", a list of mappings, one for each
        problem. It is changed in place.
    """

    def __init__(self, content: dict):
        self.content = content
        self._start = time.monotonic() - (content.get("seconds") or 0.0)
        self._ended: list[str] = []  # problems that have ended, whose end is not on the disk

    @classmethod
    def new(cls, name: str, now: datetime, facts: Mapping, problems: Iterable[str]) -> Result:
        """Return the result of a run that begins now; `facts` stand at its head."""
        entries = [{"problem": problem, "status": "not run"} for problem in problems]
        head = {"name": name, "status": "running", "started": now.isoformat(), **facts}
        return cls({**head, "problems": entries})

    def entry(self, problem: str) -> dict:
        """Return the mapping of a problem."""
        return next(entry for entry in self.content["problems"] if entry["problem"] == problem)

    def begin(self, problem: str, es: Any, minimum: float | None) -> dict:
        """Note that the search of a problem has begun, or goes on, and return its mapping."""
        entry = self.entry(problem)
        self.content["status"] = "running"
        if entry["status"] == "failed":  # it is tried again: what was wrong may be gone
            entry.pop("traceback", None)
        entry.setdefault("popsize", runs_of(es)[0].popsize)  # of a run that goes on, its own
        entry.update(status="running", dim=es.dim, minimum=minimum)
        entry.pop("stop", None)
        if "checkpoint" not in entry:
            entry["checkpoint"] = self.file_name(entry, "checkpoint", "search", ".ckpt")
        return entry

    def note(self, entry: dict, es: Any, minimum: float, space: Any) -> None:
        """Take down how far a search is: its best point and value, its counts and its time."""
        entry.update(
            x=es.best.x,
            fun=es.best.fun,
            error=es.best.fun - minimum,
            evaluations=es.evaluations,
            generations=es.generation,
            seconds=es.seconds,
        )
        if space is not None and es.best.x is not None:
            params = space.to_dict(es.best.x)
            entry["params"] = {name: plain_option(value) for name, value in params.items()}
        if isinstance(es, RestartES):
            entry["restarts"] = [run._asdict() for run in es.runs]

    def end(self, entry: dict, status: str, stop: dict, state: str, traceback: str | None) -> None:
        """Take down why a search has ended, and the name of the file that holds its state."""
        entry.update(status=status, stop=stop, state=state)
        self._ended.append(entry["problem"])
        entry.setdefault("errors", 0)
        if traceback is not None:
            entry["traceback"] = traceback

    def finish(self, status: str | None) -> None:
        """Take down that the run has ended: with this status, or as its searches say."""
        failed = any(entry["status"] == "failed" for entry in self.content["problems"])
        self.content["status"] = status or ("failed" if failed else "done")

    def file_name(self, entry: dict, key: str, prefix: str, suffix: str) -> str:
        """Return a name for a file of a problem that no other problem has under this key."""
        name, entries = f"{prefix}-{file_name(entry['problem'])}", self.content["problems"]
        names = [e.get(key, "").lower() for e in entries if e is not entry]
        if f"{name}{suffix}".lower() in names:
            name = f"{name}-{entries.index(entry) + 1}"
        return name + suffix

    def text(self, is_ahead: bool = False) -> str:
        """Return what to write.

        Parameters
        ----------
        is_ahead : bool
            Whether other files of the folder are still to be written. Then a search that has ended
            is called running, because it has not ended as long as its rows are not in the log.
        """
        self.content["seconds"] = time.monotonic() - self._start
        if not is_ahead:
            self._ended.clear()
            return to_json(self.content)
        entries = [
            {**entry, "status": "running"} if entry["problem"] in self._ended else entry
            for entry in self.content["problems"]
        ]
        return to_json({**self.content, "status": "running", "problems": entries})


# What result.json says of a problem, where it says it; null is allowed.
_KINDS = {
    "dim": int,
    "popsize": int,
    "minimum": (int, float),
    "x": list,
    "fun": (int, float),
    "error": (int, float),
    "evaluations": int,
    "generations": int,
    "seconds": (int, float),
    "errors": int,
    "stop": dict,
    "params": dict,
    "restarts": list,
    "switches": list,
    "traceback": str,
    "state": str,
    "checkpoint": str,
}


def check_result(result: dict) -> None:
    """Raise ValueError where result.json is none that a Recorder writes."""
    if not isinstance(result.get("status"), str):
        raise ValueError(f"it must say its status; got {brief(result.get('status'))}")
    seconds = result.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float, type(None))):
        raise ValueError(f"its seconds cannot be {brief(seconds)}")
    if not isinstance(result.get("problems"), list):
        raise ValueError(f"its problems must be a list; got {brief(result.get('problems'))}")
    for i, entry in enumerate(result["problems"]):
        for key in ("problem", "status"):
            if not isinstance(entry, dict) or not isinstance(entry.get(key), str):
                raise ValueError(f"problems[{i}] must say its {key}; got {brief(entry)}")
        for key, kinds in _KINDS.items():
            value = entry.get(key)
            null = value is None and not (key == "stop" and key in entry)
            fits = isinstance(value, kinds) and not isinstance(value, bool)
            if not null and not (fits and _is_sane(value)):
                raise ValueError(f"problems[{i}]: {key} cannot be {brief(value)}")
        for key, end in (("state", ".npz"), ("checkpoint", ".ckpt")):  # of this folder, no other
            name = entry.get(key)
            is_own = name and os.path.basename(name) == name and name.endswith(end)
            if key in entry and (not is_own or "\0" in name):
                raise ValueError(f"problems[{i}]: {key} is no file name: {brief(entry[key])}")
        if not all(isinstance(v, (int, float)) and _is_sane(v) for v in entry.get("x") or ()):
            raise ValueError(f"problems[{i}]: x must hold numbers; got {brief(entry['x'])}")
        for run in entry.get("restarts") or ():
            if not isinstance(run, dict) or not isinstance(run.get("stop"), dict):
                raise ValueError(f"problems[{i}]: restarts cannot hold {brief(run)}")


def _is_sane(value) -> bool:
    """Is it no integer of hundreds of digits?"""
    return not isinstance(value, int) or value.bit_length() < 1000
