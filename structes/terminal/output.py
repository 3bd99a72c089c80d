"""Output that never ends a search, and that every terminal can show.

What is printed on the way is a courtesy to whoever looks on; the search goes on whether somebody
looks on or not. A pipe may be closed by its reader, a disk may be full, a daemon may have no
streams at all, and a terminal may know no Greek. So everything that structes prints goes through
an `Output`: after the first write that fails it is silent, and a character that the stream cannot
encode is replaced by one that says the same ("λ" becomes "lambda", "≤" becomes "<=").

The command line replaces the streams of its process by such ones (`protect`), so that what the
user's own function prints cannot end a search either.
"""

from __future__ import annotations

import codecs
import errno
import os
import re
import sys
import unicodedata
import warnings
from collections.abc import Iterable
from typing import Any

_ASCII_FOR = {
    "–": "-",
    "—": "-",
    "−": "-",
    "‐": "-",
    "…": "...",
    "×": "x",
    "·": "*",
    "•": "*",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "≈": "~",
    "→": "->",
    "←": "<-",
    "∞": "inf",
    "√": "sqrt ",
    "∑": "Sum ",
    "∈": " in ",
    "∘": " o ",
    "⊙": " o ",
    "‖": "||",
    "⟨": "<",
    "⟩": ">",
    "⌊": "floor(",
    "⌋": ")",
    "⌈": "ceil(",
    "⌉": ")",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "„": '"',
    "✓": "yes",
    "✗": "no",
    "ß": "ss",
    "°": " degrees",
    "⁻": "-",
    "⁺": "+",
    "ᵀ": "^T",
    "─": "-",
    "━": "-",
    "╸": "-",
    "╺": "-",
}
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_HIGH = re.compile(f"[⁻⁺]?[{_RAISED}]+")  # a power: ^2
_LOW = str.maketrans("₀₁₂₃₄₅₆₇₈₉₋₊", "0123456789-+")
_DIGITS = str.maketrans(_RAISED + "⁻⁺", "0123456789-+")


def _plain(character: str) -> str:
    """Return one character in ASCII: what it means, the letter without its accent, or its
    number."""
    if character in _ASCII_FOR:
        return _ASCII_FOR[character]
    name = unicodedata.name(character, "")
    if name.startswith("GREEK") and " LETTER " in name:
        word = name.split(" LETTER ")[1].split()[0].lower().replace("lamda", "lambda")
        return word.capitalize() if " CAPITAL " in name else word
    folded = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return folded or character.encode("ascii", "backslashreplace").decode()


def _replaced(error):
    """Return the error handler "structes" of codecs: a run of characters that cannot be
    encoded."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    text = _HIGH.sub(lambda high: "^" + high[0].translate(_DIGITS), text).translate(_LOW)
    return "".join(c if c.isascii() else _plain(c) for c in text), error.end


codecs.register_error("structes", _replaced)


def readable(text: str, encoding: str) -> str:
    """Return `text` in characters that `encoding` has: the others are replaced by what they
    mean."""
    if text.isascii():
        return text
    try:
        return text.encode(encoding, "structes").decode(encoding)
    except (LookupError, UnicodeError):  # an encoding that Python does not have
        return text.encode("ascii", "structes").decode()


def visible(text: Any, limit: int = 100_000, lines: bool = True) -> str:
    """Return `text` as a terminal may be given it.

    It is for words from a file that somebody else may have written: what moves the cursor, turns
    the direction of writing or is no character at all is shown as \\x1b.

    Parameters
    ----------
    text
        A text, or anything that has one.
    limit : int
        The largest number of characters; what is beyond is left out, and counted.
    lines : bool
        True: line ends and tabs stay. False: they are shown, too, since it is one line.
    """
    text = str(text)
    cut = f"… ({len(text) - limit} characters more)" if len(text) > limit else ""
    allowed = "\n\t" if lines else ""
    characters = (
        c if c.isprintable() or c in allowed else c.encode("unicode_escape").decode()
        for c in text[:limit]
    )
    return "".join(characters) + cut


class Output:
    """A text stream to which writing never fails.

    Parameters
    ----------
    stream
        What is written to: None (a process without streams) or any object with `write`.
    is_own : bool
        Whether it is a stream of this process, of the command line. When such a one is lost, its
        descriptor is pointed at the null device, so that nothing else that writes there (a
        subprocess, the interpreter at its end) meets the same error.

    Attributes
    ----------
    error : Exception or None
        The exception that the first failed write raised. Nothing is written after it.
        KeyboardInterrupt passes through.
    """

    encoding = "utf-8"  # it takes every character, whatever the stream takes

    def __init__(self, stream: Any, is_own: bool = False):
        self._stream, self._is_own = stream, is_own
        self.error: Exception | None = None

    def write(self, text: str) -> int:
        """Write, or be silent: the number of characters in `text`."""
        if not isinstance(text, str):
            raise TypeError(f"write() takes text; got {type(text).__name__}")
        if self._stream is not None:
            encoding = getattr(self._stream, "encoding", None)
            text_there = readable(text, encoding if isinstance(encoding, str) else "utf-8")
            self._try(self._stream.write, text_there)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if hasattr(self._stream, "flush"):
            self._try(self._stream.flush)

    def _try(self, act, *arguments):
        if self.error is not None:
            return
        try:
            act(*arguments)
        except BlockingIOError:  # the reader is slow: this text is lost, the next may be read
            pass
        except Exception as error:
            self.error = error
            if self._is_own:
                self._silence_descriptor()

    def _silence_descriptor(self):
        try:
            place, nowhere = self._stream.fileno(), os.open(os.devnull, os.O_WRONLY)
        except (AttributeError, OSError, ValueError):  # it has no descriptor
            return
        os.dup2(nowhere, place)
        os.close(nowhere)

    def isatty(self) -> bool:
        """Is it a terminal? False where the stream does not say."""
        try:
            return self.error is None and bool(self._stream.isatty())
        except Exception:  # of whatever stands in the place of a stream
            return False

    @property
    def buffer(self) -> Any:
        """The bytes of the stream, where it has such."""
        return _Bytes(self._stream.buffer, self)

    def __getattr__(self, name):  # of the stream's, what is not said here
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._stream, name)


class _Bytes:
    """The bytes below an Output, with the same promise."""

    def __init__(self, stream, output):
        self._stream, self._output = stream, output

    def write(self, data) -> int:
        size = memoryview(data).nbytes  # TypeError for what is not bytes
        self._output._try(self._stream.write, data)
        return size

    def flush(self) -> None:
        self._output._try(self._stream.flush)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._stream, name)


def protect() -> tuple:
    """Make stdout and stderr of this process Outputs: what they have become.

    Descriptors that the process was started without are opened on the null device first. A file of
    a run would otherwise be given the number of stdout, and be written into by whatever prints.
    """
    for place in range(3):
        try:
            os.fstat(place)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    for place, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:  # Python does not make one where the descriptor was closed
            stream = open(place, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        setattr(sys, name, Output(stream, is_own=True))
    return sys.stdout, sys.stderr


def was_cut_off(error: Exception | None) -> bool:
    """Did whoever read the output close the pipe, as `head` does when it has seen enough?"""
    if os.name == "nt":
        return isinstance(error, OSError) and error.errno in (errno.EPIPE, errno.EINVAL)
    return isinstance(error, BrokenPipeError)


def warn(message: str, category: type[Warning] = RuntimeWarning, stacklevel: int = 2) -> None:
    """Warn as `warnings.warn` does, and raise nothing but a warning that a filter made an error.

    Where stderr is closed the search goes on without it. `stacklevel` counts from the caller.
    """
    try:
        warnings.warn(visible(message, 10_000), category, stacklevel + 1)
    except Warning:
        raise
    except Exception:  # a closed stream raises ValueError: there is nobody to tell
        pass
