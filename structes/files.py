"""Files that are never half written, folders that are never shared, and plain values for them."""

from __future__ import annotations

import json
import math
import os
import re
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path


def file_name(text: str) -> str:
    """`text` as a part of a file name: letters, digits, `_.-`; the rest becomes `-`."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[:80].strip("-.") or "run"


def settle(hidden: Path, place: Path) -> Path:
    """Rename to `place`, or the first of place-2, place-3, … that nobody has: never replaces."""
    for n in count(1):
        target = place if n == 1 else place.with_name(f"{place.name}-{n}")
        if target.exists():
            continue
        try:
            return hidden.rename(target)
        except OSError:  # another run was faster: its folder is not empty, so rename refuses
            if not target.exists():
                raise


def replace(path: Path, write) -> None:
    """The file is the old one or the whole new one, whenever one looks. Raises OSError, which
    names the file that was meant and not the one that is written beside it."""
    me = f"{os.getpid()}-{threading.get_ident()}"
    beside = path.with_name(f".{path.name}.{me}.tmp")
    try:
        with open(beside, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())  # else a power cut may leave an empty file in its place
        os.replace(beside, path)
    except BaseException as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == str(beside):
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


def lock(file, patience: float = 0.5) -> bool:
    """Mark the file as being written for as long as this process lives; False where another
    process has done so. Readers, who hold it for a moment (`is_locked`), are waited for. True
    where there are no locks, too."""
    try:
        import fcntl
    except ImportError:
        return True
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        except OSError:  # of a file system without locks
            return True
        else:
            return True


def is_locked(path: Path) -> bool:
    """Does a process live that called `lock` on this file? False where there are no locks."""
    try:
        import fcntl

        with open(path) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (ImportError, OSError):
        pass
    return False


def plain(value):
    """A copy in plain types: mappings and tuples as dict and list, NumPy's as Python's."""
    if isinstance(value, Mapping):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, range, deque)):
        return [plain(v) for v in value]
    return value.tolist() if hasattr(value, "tolist") else value


def to_json(value) -> str:
    """JSON of `value`, in which null stands for what JSON cannot say: nan and inf."""
    return json.dumps(_finite(plain(value)), indent=1, allow_nan=False) + "\n"


def _finite(value):
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
