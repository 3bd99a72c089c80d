"""Words of the command line to arguments: what `structes run` and others make of their flags."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from .registry import as_path, brief


def experiment_of(config, settings, flags: dict, runs):
    """The Experiment of a config (its name, a file, or a recorded run; or None), of KEY=VALUE
    strings, and of flags (None: not given).

    Raises ValueError or TypeError.
    """
    from .config import parse_value
    from .experiment import experiment_from, label_of

    mapping = with_settings({} if config is None else _config(config, runs), settings)
    problems = [parse_value(p, "--problem") if p[:1] == "{" else p for p in flags.pop("problem")]
    if problems:
        mapping["problems"] = problems
        if config is None:
            mapping.setdefault("name", label_of(problems[0]))
    if "problems" not in mapping:
        raise ValueError("nothing to run: give a CONFIG (structes list configs) or --problem")
    flags["workers"] = workers_of(flags["workers"], flags.pop("address"), mapping.get("workers"))
    mapping |= given(flags)
    find_local_modules(mapping)
    return experiment_from(mapping)


def given(flags: Mapping) -> dict:
    """The flags that were given, {key: value}; what looks like a section is read as YAML."""
    from .config import parse_value

    found = {}
    for key, value in flags.items():
        if isinstance(value, str) and value[:1] in ("[", "{") and key not in ("name", "workers"):
            value = parse_value(value, f"--{key.replace('_', '-')}")
        if value is not None:
            found[key] = value
    return found


def workers_of(workers, address, before=None):
    """What a config has for workers, of the flags (None: not given) and what it had before."""
    from .config import coerce, parse_value

    if workers is not None:
        section = workers[:1] == "{"
        kinds = "int | str"
        workers = parse_value(workers, "--workers") if section else coerce(workers, kinds, "")
    if address is None:
        return workers
    workers = before if workers is None else workers
    section = dict(workers) if isinstance(workers, dict) else {"name": workers or "ray"}
    return {**section, "address": address}


def structure_of(words, dim, settings):
    """Specification of a structure of typical sizes, but for what `words` and KEY=VALUEs say."""
    from .examples import example
    from .structures import STRUCTURES

    name, given = STRUCTURES.parse(words)
    given = with_settings(given, settings)
    return example({"name": name, **given}, dim) if given or name in STRUCTURES else name


def pairs(settings) -> list:
    """(key, value) of each KEY=VALUE string; the value is read as YAML."""
    from .config import parse_value

    found = []
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ValueError(f"--set needs KEY=VALUE; got {brief(setting)}")
        found.append((key.strip(), parse_value(value, f"--set {key.strip()}")))
    return found


def with_settings(mapping, settings) -> dict:
    """A copy of the mapping, changed by KEY=VALUE strings."""
    from .config import with_setting

    for key, value in pairs(settings):
        mapping = with_setting(mapping, key, value)
    return dict(mapping)


def find_local_modules(value) -> None:
    """A user's own module:function is looked for where the user is: the working folder becomes the
    first place of the path, where something in `value` names a module. It does not become one
    otherwise, since a file that happens to lie there (csv.py) would be imported in the place of
    the module that structes means."""
    if not _names_a_module(value):
        return
    try:
        here = os.getcwd()
    except FileNotFoundError:  # it was deleted
        return
    if here not in sys.path:
        sys.path.insert(0, here)


def _names_a_module(value) -> bool:
    from .problem import PROBLEMS
    from .structures import STRUCTURES

    if isinstance(value, Mapping):
        return any(map(_names_a_module, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_names_a_module, value))
    if not isinstance(value, str) or ":" not in value:
        return False
    head = value.partition(":")[0]
    return head not in PROBLEMS and head not in STRUCTURES


def _config(config, runs) -> dict:
    """The mapping of a config that is called by its name, its path, or the name of a run."""
    from .config import configs, load_config
    from .history import LATEST, find_run, recorded
    from .problem import PROBLEMS

    if config not in configs() and (config.endswith(".py") or not Path(config).exists()):
        is_run = config == LATEST or any(folder.name == config for folder in recorded(runs))
        if is_run:
            return load_config(find_run(config, runs))
        if config.partition(":")[0] in PROBLEMS or ":" in config or as_path(config):
            hint = as_path(config) or f", as in: structes run --problem {config}"
            raise ValueError(
                f"{brief(config)} is no config; a problem is given by --problem{hint}"
            )
    return load_config(config)
