"""How a result was made: its command, date, versions and processor; no host and no paths."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

import yaml

from ..files.yaml_text import read_yaml

PACKAGES = (
    "structes",
    "numpy",
    "scipy",
    "coco-experiment",
    "cma",
    "cmaes",
    "pypop7",
    "nevergrad",
)


def provenance(command: str) -> dict:
    """How a result is made, here and now."""
    return {
        "command": command,
        "date": today(),
        "versions": versions(PACKAGES),
        "processor": processor(),
    }


def note(path: Path, command: str) -> None:
    """Append `provenance(command)` to a YAML file, where it does not say so already."""
    entries = read_yaml(path.read_text(encoding="utf-8"), str(path)) if path.exists() else []
    entry = provenance(command)
    if entry not in entries:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump([*entries, entry], sort_keys=False, allow_unicode=True)
        path.write_text(text, encoding="utf-8")


def today() -> str:
    """The date in UTC, as in 2026-01-31."""
    return datetime.now(timezone.utc).date().isoformat()


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of Python and of those packages that are installed, by name."""
    installed = {"python": platform.python_version()}
    for name in packages:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # a result does not depend on what is not there
    return installed


def processor() -> str:
    """The processor's model, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return match[1] if match else platform.processor() or platform.machine()
