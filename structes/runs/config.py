"""Configs: YAML that says what a run does, and the values in it.

A config is found by name (those in `configs/` come with structes) or by path; `--set` changes a
key of it. YAML has its own idea of some values: 1e-3 is a string to it, and `on` is true. So a
value is made what the annotation of its field says, or refused by name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..files.folders import plain
from ..files.opening import NoFile, read_text
from ..files.yaml_text import LARGEST, read_yaml
from ..naming.error_text import brief, nearest

_WORDS = {
    "int": "an integer",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "list": "a list of numbers (1,2,3 or [1, 2, 3])",
    "dict": "a mapping",
    "None": "null",
}


def configs() -> dict:
    """Return {name: path} of the configs that come with structes."""
    from importlib.resources import files

    paths = [f for f in files("structes.configs").iterdir() if f.name.endswith(".yaml")]
    return {f.name[: -len(".yaml")]: f for f in sorted(paths, key=lambda f: f.name)}


def load_config(name_or_path: str | os.PathLike[str]) -> dict:
    """Return the mapping in a config: one that comes with structes, a YAML file, or a run
    folder's.

    Where the config gives no name, the file's is put in.

    Raises
    ------
    ValueError
        For an unknown name, naming the nearest, and for YAML that cannot be read, with file and
        line.
    """
    table, name = configs(), str(name_or_path)
    if name in table:
        path = table[name]
        text = path.read_text(encoding="utf-8")
    elif Path(name).is_dir():
        path = Path(name) / "config.yaml"
        if not os.path.lexists(path):
            raise ValueError(f"{name!r} is a folder without a config.yaml: no run, and no config")
        text = _text(path, False)
    else:
        path = Path(name)
        if not path.exists():
            if path.suffix or "/" in name:
                raise ValueError(f"there is no config file {str(path)!r}")
            raise ValueError(
                f"unknown config {name!r}{nearest(name, table)}; known: {', '.join(table)}; "
                "or give the path of a YAML file"
            )
        text = _text(path, True)
    config = read_yaml(text, str(path))
    if not isinstance(config, dict):
        raise ValueError(f"{path} must hold a mapping, 'key: value' lines; got {brief(config)}")
    return {"name": path.name.rsplit(".", 1)[0], **config}


def _text(path, named: bool) -> str:
    try:
        return read_text(path, LARGEST, named)
    except NoFile as error:
        raise ValueError(f"{str(path)!r} {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{str(path)!r}: {error}") from None


def parse_value(text: str, name: str) -> Any:
    """Return the value that `text` is in YAML.

    Raises
    ------
    ValueError
        With `name` for its name.
    """
    return read_yaml(text, name)


def with_setting(config: Mapping, key: str, value: Any) -> dict:
    """Return a copy of `config` in which `key` has `value`; "structure.k" reaches into a section.

    A section that was a mere name becomes a mapping with that name.

    Raises
    ------
    ValueError
        Where the key reaches into something else.
    """
    head, _, rest = key.partition(".")
    config = dict(config)
    if rest:
        section = config.get(head)
        if isinstance(section, str):
            section = {"name": section}
        if not isinstance(section, Mapping):
            raise ValueError(
                f"{key!r}: {head!r} must be a section (key: value) to set {rest!r} in; "
                f"it is {section!r}{nearest(head, config) if head not in config else ''}"
            )
        value = with_setting(section, rest, value)
    config[head] = value
    return config


def check_problems(value: Any) -> tuple:
    """Return the specifications of problems: a tuple of names and mappings, of one alone or a
    list.
    """
    if isinstance(value, (str, Mapping)):
        value = [value]
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError(f"problems must be a list of names and mappings; got {brief(value)}")
    for i, spec in enumerate(value):
        if not isinstance(spec, (str, Mapping)):
            raise ValueError(f"problems[{i}] must be a name or a mapping; got {brief(spec)}")
    return tuple(plain(value))


def numbers(value: Any) -> Any:
    """Return `value` in plain types, in which text that is a number has become one (YAML's
    1e-3)."""
    value = plain(value)
    if isinstance(value, dict):
        return {key: numbers(v) for key, v in value.items()}
    if isinstance(value, list):
        return [numbers(v) for v in value]
    number = _number(value) if isinstance(value, str) else None
    return value if number is None else number


def coerce(value: Any, annotation: str, name: str) -> Any:
    """Return `value` as one of the types of the annotation ("int | None"); a number may be a
    string, and a list of numbers a string such as "1,2,3".

    Raises
    ------
    ValueError
        With `name` for the name of the value.
    """
    kinds = [kind.strip() for kind in annotation.split("|")]
    value = plain(value)
    if value is None or isinstance(value, bool):
        if ("None" if value is None else "bool") in kinds:
            return value
    elif isinstance(value, (list, dict)):
        if isinstance(value, dict) and "dict" in kinds:
            return value
        if isinstance(value, list) and "list" in kinds:
            return [coerce(v, "float", f"{name}[{i}]") for i, v in enumerate(value)]
    else:
        number = _number(value)
        if number is not None and "float" in kinds:
            return _float(number, name)
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if isinstance(number, int) and "int" in kinds:
            return number
        if isinstance(value, str) and "str" in kinds and (number is None or "int" not in kinds):
            return value
        if isinstance(value, str) and "list" in kinds and "," in value:
            parts = value.removesuffix(",").split(",")
            return [coerce(v.strip(), "float", f"{name}[{i}]") for i, v in enumerate(parts)]
    expected = " or ".join(_WORDS[kind] for kind in kinds)
    raise ValueError(f"{name} must be {expected}; got {brief(value)}")


def _float(number, name: str) -> float:
    try:
        return float(number)
    except OverflowError:
        raise ValueError(f"{name} is too large for a number: {brief(number)}") from None


def _number(value):
    """Return the int or float of a number or of the text of one; None for anything else."""
    for kind in (int, float):
        try:
            if isinstance(value, (str, kind)):
                return kind(value)
        except ValueError:
            pass
    return None
