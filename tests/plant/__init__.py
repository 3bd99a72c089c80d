"""Faults that the tests must notice: a kept list, planted one at a time in a copy of the tree.

A test that passes says that the code is right only if it would fail where the code is wrong. So
`faults.yaml` keeps single faults: a sign, a constant of the default engine, a field of a
checkpoint that is not restored. Each has

    id       short, unique; the letter says what it is about (U update, R weights and rates, …)
    what     in words
    file     where it is planted, from the root of the tree
    old      the text there, which occurs exactly once
    new      the text in its place
    tests    files of tests, or single ones as pytest names them, which should notice: of these
             the fast ones are run (`-m fast`)

`python -m tests.plant` plants each in a copy of the tree, runs the tests that it names, and says
which of them are noticed and which survive. The golden files are no such tests: they say that bits
have changed, and not which were right. Where the code changes, the fault of the same meaning
is planted in the new code (`tests/test_plant.py` fails until then).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("faults.yaml")


class Fault(NamedTuple):
    """A single fault, and the tests that should notice it."""

    id: str
    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


class NotPlantable(ValueError):
    """The text that a fault replaces is not there, or not once."""


def kept_faults(path: Path = LIST) -> list[Fault]:
    """Return the faults of a list, in its order. Raises ValueError for what is none."""
    rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    faults = []
    for row in rows:
        if set(row) != set(Fault._fields):
            raise ValueError(f"a fault has {', '.join(Fault._fields)}; got {', '.join(row)}")
        texts = {name: row[name] for name in Fault._fields if name != "tests"}
        for name, text in texts.items():
            if not isinstance(text, str):
                raise TypeError(f"{row['id']}: {name} must be a text; got {text!r}")
        faults.append(Fault(**texts, tests=tuple(row["tests"])))
    return faults


def chosen(faults: list[Fault], words: list[str]) -> list[Fault]:
    """Return the faults whose ids are among the words, or begin with one; all without words.

    Raises ValueError for a word that no fault begins with.
    """
    for word in words:
        if not any(fault.id.startswith(word) for fault in faults):
            raise ValueError(f"no fault has the id {word!r}, nor one that begins with it")
    ids = {fault.id for fault in faults}
    return [
        fault
        for fault in faults
        if not words
        or fault.id in words
        or any(fault.id.startswith(word) for word in words if word not in ids)
    ]


def planted_text(text: str, fault: Fault) -> str:
    """Return the text of a file with the fault in it. Raises NotPlantable."""
    count = text.count(fault.old)
    if count != 1:
        raise NotPlantable(f"{fault.id}: its old text occurs {count} times in {fault.file}")
    return text.replace(fault.old, fault.new)
