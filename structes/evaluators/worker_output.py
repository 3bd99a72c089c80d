"""The standard streams of a worker, which may have nobody to read them, or no room."""

from __future__ import annotations

import contextlib
import io
import sys
from typing import Any


class _Unheard(io.FileIO):
    """An output that may have nobody to read it, or no room: what it cannot take is lost, and that
    is no error of the function that has printed."""

    def write(self, data):
        with contextlib.suppress(OSError):
            return super().write(data) or len(data)
        return len(data)


def unheard(stream: Any) -> Any:
    """Return a standard stream, but that writing to it never fails; None, which it is where there
    is none, stays None."""
    if stream is None:
        return None
    raw = _Unheard(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        raw if stream.write_through else io.BufferedWriter(raw),  # as Python does it itself
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def flush() -> None:
    """Write out what a function has printed, where anybody listens."""
    with contextlib.suppress(Exception):  # of whatever the function has put in its place
        sys.stdout.flush()
