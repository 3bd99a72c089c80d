"""Words of the command line to arguments: what `structes run` and others make of their flags."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping
from os.path import isdir, isfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..naming.error_text import brief
from ..naming.loading import as_path

if TYPE_CHECKING:
    from ..runs.experiment import Experiment


def experiment_of(
    config: str | None,
    settings: Iterable[str],
    flags: dict,
    runs: str | os.PathLike[str],
    trust: bool = False,
) -> Experiment:
    """Return the Experiment that words of the command line mean.

    Parameters
    ----------
    config : str or None
        The name of a config, a file, or a recorded run.
    settings : sequence of str
        KEY=VALUE strings.
    flags : dict
        {name: value} of the other options; None where one was not given.
    runs : path-like
        The folder in which recorded runs are looked for.
    trust : bool
        Whether a recorded run may name code that this user has never run.

    Raises
    ------
    ValueError, TypeError
        For what is wrong with them, naming it.
    """
    from ..runs.config import parse_value
    from ..runs.experiment import experiment_from
    from ..runs.plan import label_of

    mapping = with_settings({} if config is None else _config(config, runs, trust), settings)
    problems = [parse_value(p, "--problem") if p[:1] == "{" else p for p in flags.pop("problem")]
    if problems:
        mapping["problems"] = problems
        if config is None:
            mapping.setdefault("name", label_of(problems[0]))
    if "problems" not in mapping and config is None:
        raise ValueError("nothing to run: give a CONFIG (structes list configs) or --problem")
    flags["workers"] = workers_of(flags["workers"], flags.pop("address"), mapping.get("workers"))
    mapping |= given_flags(flags)
    find_local_modules(mapping)
    return experiment_from(mapping)


def given_flags(flags: Mapping) -> dict:
    """Return the flags that were given, {key: value}; what looks like a section is read as
    YAML."""
    from ..runs.config import parse_value

    values = {}
    for key, value in flags.items():
        if isinstance(value, str) and value[:1] in ("[", "{") and key not in ("name", "workers"):
            value = parse_value(value, f"--{key.replace('_', '-')}")
        if value is not None:
            values[key] = value
    return values


def workers_of(workers: str | None, address: str | None, previous: Any = None) -> Any:
    """Return what a config has for workers, of the flags (None: not given) and what it had
    before."""
    from ..runs.config import coerce, parse_value

    if workers is not None:
        section = workers[:1] == "{"
        kinds = "int | str"
        workers = parse_value(workers, "--workers") if section else coerce(workers, kinds, "")
    if address is None:
        return workers
    workers = previous if workers is None else workers
    section = dict(workers) if isinstance(workers, dict) else {"name": workers or "ray"}
    return {**section, "address": address}


def structure_of(words: str, dim: int, settings: Iterable[str]) -> Any:
    """Return specification of a structure of typical sizes, but for what `words` and KEY=VALUEs
    say.
    """
    from ..structures import STRUCTURES
    from ..structures.random_elements import example

    name, arguments = STRUCTURES.parse(words)
    arguments = with_settings(arguments, settings)
    return example({"name": name, **arguments}, dim) if arguments or name in STRUCTURES else name


def pairs(settings: Iterable[str]) -> list:
    """Return (key, value) of each KEY=VALUE string; the value is read as YAML."""
    from ..runs.config import parse_value

    items = []
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ValueError(f"--set needs KEY=VALUE; got {brief(setting)}")
        items.append((key.strip(), parse_value(value, f"--set {key.strip()}")))
    return items


def with_settings(mapping: Mapping[str, Any], settings: Iterable[str]) -> dict:
    """Return a copy of the mapping, changed by KEY=VALUE strings."""
    from ..runs.config import with_setting

    for key, value in pairs(settings):
        mapping = with_setting(mapping, key, value)
    return dict(mapping)


def find_local_modules(config: Mapping) -> None:
    """Look for a user's own module:function where the user is, too.

    The working folder is put last on the path, where the config names a module. It is not put
    there otherwise, nor before other folders, since a file that happens to lie there (csv.py)
    would be imported in the place of the module that structes means, or one of its workers.

    Raises
    ------
    ValueError
        For a module of the working folder that another one of its name hides.
    """
    from ..runs.trust import modules_of

    modules = modules_of(config)
    if not modules:
        return
    try:
        folder = os.getcwd()
    except FileNotFoundError:  # it was deleted
        return
    if folder not in sys.path:
        sys.path.append(folder)
    for module in modules:
        _refuse_hidden(module.partition(".")[0])


def _refuse_hidden(top: str) -> None:
    """Raise ValueError where a module of the working folder is not what would be imported.

    Nothing is imported for that.
    """
    path = next((p for p in (f"{top}.py", os.path.join(top, "__init__.py")) if isfile(p)), None)
    if path is None or not top.isidentifier():
        return
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):  # it is imported already, by whoever made it
        return
    place = getattr(spec, "origin", None) or "built in"
    if os.path.realpath(place) != os.path.realpath(path):
        raise ValueError(
            f"the module {top!r} is {place}, not ./{path}: give that file another name (or put "
            f"its folder first yourself: PYTHONPATH=. structes …)"
        )


def _config(config, runs, trust) -> dict:
    """Return the mapping of a config that is called by its name, its path, or the name of a run. A
    file that the user names is the user's word; of a folder it has to be the user's own run, or
    trusted."""
    from ..named_problems import PROBLEMS
    from ..runs.config import configs, load_config
    from ..runs.reader import LATEST, find_run, recorded

    if config not in configs() and (config.endswith(".py") or not Path(config).exists()):
        is_run = config == LATEST or any(folder.name == config for folder in recorded(runs))
        if is_run:
            config = str(find_run(config, runs))
            return _trusted(config, load_config(config), trust)
        if config.partition(":")[0] in PROBLEMS or ":" in config or as_path(config):
            hint = as_path(config) or f", as in: structes run --problem {config}"
            raise ValueError(
                f"{brief(config)} is no config; a problem is given by --problem{hint}"
            )
    mapping = load_config(config)
    return (
        _trusted(config, mapping, trust) if config not in configs() and isdir(config) else mapping
    )


def _trusted(folder, config, trust) -> dict:
    from ..runs.trust import check

    check(folder, config, trust)
    return config
