"""What a run stood on: the versions of the packages, the machine, the command, and when it was."""

from __future__ import annotations

import platform
import sys
from datetime import datetime


def versions(now: datetime) -> dict:
    """Return what versions.json says of a run that starts at the moment `now`."""
    from importlib import metadata

    packages = {}
    for name in ("structes", "numpy", "scipy", "coco-experiment"):
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            packages[name] = None
    return {
        **packages,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": platform.node(),
        "argv": sys.argv,
        "started": now.isoformat(),
    }
