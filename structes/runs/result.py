"""result.json: for each problem its best point and value, and why its search stopped."""

from __future__ import annotations

import os

from ..error_text import brief

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


def check_result(result) -> None:
    """ValueError where result.json is none that a Recorder writes."""
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
