"""What error messages say of a value, of a word that is not known, and of a place in a file."""

from __future__ import annotations

import difflib
import os
import traceback
from collections.abc import Iterable
from typing import Any

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # of structes
_OTHERS = ("site-packages", "dist-packages", os.path.dirname(os.__file__) + os.sep)


def nearest(word: str, words: Iterable) -> str:
    """ " (did you mean 'x'?)" for the nearest known word, or an empty string. A word that is not
    very near has to begin with the same letter: "population" does not mean "options"."""
    word = str(word)[:80]
    near = difflib.get_close_matches(word, [str(k) for k in words], n=3, cutoff=0.55)
    very = difflib.get_close_matches(word, near, n=3, cutoff=0.75)
    close = [k for k in near if k in very or k[:1].lower() == word[:1].lower()]
    return f" (did you mean {close[0]!r}?)" if close else ""


def brief(value: Any, limit: int = 60) -> str:
    """Return `value` as an error message shows it: its repr in one line of at most `limit`
    characters."""
    if isinstance(value, int) and value.bit_length() > 200:  # Python may refuse to write it out
        sign = "a negative integer" if value < 0 else "an integer"
        return f"{sign} of {int(value.bit_length() * 0.30103) + 1} digits"
    if isinstance(value, (list, tuple)):
        value = value[:limit]
    elif isinstance(value, (str, bytes)):
        value = value[: 2 * limit]
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a class of the user's own, or a list with an integer of 5000 digits
        return f"a {type(value).__name__}"
    return text if len(text) <= limit else text[: limit - 3] + "..."


def place_of(error: BaseException) -> str:
    """ " (own.py, line 3)": the place in a file of the user's where the exception was raised, or
    an empty string where structes itself has raised it, whose message says enough."""
    if isinstance(error, SyntaxError) and error.filename:  # it has no frame in the file
        has_line = f"line {error.lineno}" in str(error)
        return "" if has_line else f" ({_from_here(error.filename)}, line {error.lineno})"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename[:1] != "<"]
    if not frames or os.path.abspath(frames[-1].filename).startswith(_HERE + os.sep):
        return ""
    frames = [f for f in frames if not f.filename.startswith(_HERE + os.sep)]
    own_frames = [f for f in frames if not any(part in f.filename for part in _OTHERS)]
    frame = (own_frames or frames)[-1]
    return f" ({_from_here(frame.filename)}, line {frame.lineno})"


def _from_here(path) -> str:
    """Return a path as one reads it from the working folder."""
    try:
        shorter = os.path.relpath(path)
    except (OSError, ValueError):  # no working folder, or another drive
        return path
    return path if shorter.startswith("..") else shorter
