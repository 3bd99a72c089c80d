"""Signals to the command line: it ends with an exit code and without a traceback.

A quarter of a second passes while numpy, scipy and structes are imported, long enough for Ctrl-C,
and an interrupt in the middle of an import ends in a traceback of somebody else's file. So where
the process is the command line (this module looks at how it was started, and is imported before
all others) Ctrl-C ends it at once, as long as there is nothing to keep.

A command then asks for KeyboardInterrupt (`raise_from_here`), and gets it of SIGTERM as well,
which batch systems send, and of SIGHUP, which a terminal sends when it closes: so what was found
until then is recorded. In any other process nothing is touched. (Imports take time: few of them.)
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from .command_line import is_command_line

EXIT_INTERRUPTED = 128 + signal.SIGINT  # 130, as a shell says it
_signal_number = signal.SIGINT
_raised: list = []  # signals that raise KeyboardInterrupt here, and did not before


def end_at_once() -> None:
    """From here on Ctrl-C ends the command line with exit code 130, without a word."""
    if is_command_line() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        _handle(signal.SIGINT, _end)


def raise_from_here() -> None:
    """From here on Ctrl-C, SIGTERM and SIGHUP raise KeyboardInterrupt in the command line. What is
    ignored (SIGHUP under nohup) stays ignored."""
    if not is_command_line():
        return
    if signal.getsignal(signal.SIGINT) is _end:
        _handle(signal.SIGINT, signal.default_int_handler)
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            _handle(number, _raise)
            _raised.append(number)
    if _raised and hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=_block_signals,
            after_in_parent=_unblock_signals,
            after_in_child=_restore_defaults,
        )


@contextmanager
def held() -> Iterator[None]:
    """Let Ctrl-C wait, in this context, until its end.

    It is meant for imports, where an interrupt comes out as somebody else's ImportError. Outside
    the main thread, which no interrupt reaches, it does nothing.
    """
    handler, signals = signal.getsignal(signal.SIGINT), []
    if not callable(handler):
        yield
        return
    _handle(signal.SIGINT, lambda *arguments: signals.append(arguments))
    try:
        yield
    finally:
        _handle(signal.SIGINT, handler)
    if signals:
        handler(*signals[0])


def exit_code() -> int:
    """Return what an interrupted command exits with: 128 and the number of the signal, 130 of
    Ctrl-C.
    """
    return 128 + _signal_number


def _handle(number, handler):
    try:  # noqa: SIM105
        signal.signal(number, handler)
    except ValueError:  # this is not the main thread
        pass


def _end(number, frame):
    os._exit(EXIT_INTERRUPTED)


def _raise(number, frame):
    global _signal_number
    _signal_number = number
    raise KeyboardInterrupt


# A child that the user's function forks, such as one of multiprocessing's, has to end by a signal
# as it would have: also by one that comes before it has taken our handlers off, which Python would
# forget.


def _block_signals():
    signal.pthread_sigmask(signal.SIG_BLOCK, _raised)


def _unblock_signals():
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _raised)


def _restore_defaults():
    for number in _raised:
        signal.signal(number, signal.SIG_DFL)
    _unblock_signals()


end_at_once()
