"""The socket between the driver and one worker process, and the frames that go through it.

The function that a worker evaluates shares the worker's descriptors, and may write into them, read
from them or close them. So nothing on the socket is believed because it is there. A frame is

    mark (16 bytes) | number (8) | length (8) | payload | mark (16 bytes)

Each direction has a mark of its own, random bytes that the driver has drawn for this worker, and
frames are numbered. Bytes that the function has put in, or taken out, move a mark from its place;
then the stream is *broken*, and its worker is ended. The driver never waits for the socket: it
reads what is there and writes what there is room for, and the rest stays in a queue (`DriverEnd`).
It takes no frame that it has not asked for, and none that is longer than the answer can be. A
worker has nothing else to do, and waits (`WorkerEnd`); when the driver ends, it is ended
(subreaper.py).
"""

from __future__ import annotations

import os
import secrets
import time
from collections import deque
from math import inf
from struct import Struct
from typing import Any

STALL = 5.0  # seconds in which a frame that has begun must go on
_MARK = 16  # bytes of a mark
_HEAD = Struct(f"<{_MARK}sQQ")
_AROUND = _HEAD.size + _MARK  # bytes of a frame besides its payload
_CHUNK = 2**18  # bytes that are read at a time


class BrokenStream(Exception):
    """What came through the socket is no frame that was asked for."""


def _framed(mark: bytes, number: int, payload) -> list:
    """Return the parts of a frame."""
    return [_HEAD.pack(mark, number, len(payload)), payload, mark]


class DriverEnd:
    """The driver's end of the socket. It never blocks.

    Parameters
    ----------
    end : multiprocessing.Connection
        It owns the descriptor, and closes it.
    """

    def __init__(self, end: Any):
        self._end = end
        self._fd = end.fileno()
        os.set_blocking(self._fd, False)
        self._marks = secrets.token_bytes(_MARK), secrets.token_bytes(_MARK)
        self._n_sent = self._n_received = 0  # numbers of the next frames
        self._outbox: deque = deque()
        self._inbox = bytearray()
        self._limits: deque = deque()  # bytes of the answers that are due
        self._progress = 0.0  # when something has come
        self._fault: Exception | None = None  # that comes after what has been told
        self._write([b"".join(self._marks)])

    def fileno(self) -> int:
        return self._fd

    @property
    def is_full(self) -> bool:
        """Is there anything that still has to be sent?"""
        return bool(self._outbox)

    def send(self, payload: bytes) -> None:
        """Send a frame: as much as there is room for now, the rest by `flush`.

        Where the other end is gone, `receive` says so.
        """
        self._write(_framed(self._marks[0], self._n_sent, payload))
        self._n_sent += 1

    def expect(self, limit: int) -> None:
        """Expect an answer of at most so many bytes."""
        self._limits.append(limit)

    def flush(self) -> None:
        """Send what there is room for of what waits."""
        parts, self._outbox = self._outbox, deque()
        self._write(parts)

    def _write(self, parts) -> None:
        if self._outbox:
            self._outbox.extend(parts)
            return
        pending = deque(parts)
        try:
            while pending:
                chunk = [pending[i] for i in range(min(8, len(pending)))]
                n = os.writev(self._fd, chunk)
                while pending and n >= len(pending[0]):
                    n -= len(pending.popleft())
                if n:
                    pending[0] = memoryview(pending[0])[n:]
        except BlockingIOError:
            self._outbox = pending
        except OSError:  # the other end is gone
            pass

    def receive(self) -> list[bytes]:
        """Return the payloads of the frames that have come since.

        Raises
        ------
        EOFError
            Where the other end has been closed.
        BrokenStream
            Where what has come is no frame, or nobody has asked for it. Frames before that are
            returned first.
        """
        if self._fault is not None:
            raise self._fault
        payloads = []
        try:
            while True:
                chunk = os.read(self._fd, _CHUNK)
                if not chunk:
                    raise EOFError("the other end is closed")
                self._progress = time.monotonic()
                self._inbox += chunk
                self._take(payloads)
                if len(chunk) < _CHUNK:
                    break
        except BlockingIOError:
            pass
        except (EOFError, BrokenStream) as error:
            self._fault = error
        except OSError as error:
            self._fault = EOFError(str(error))
        if self._fault is not None and not payloads:
            raise self._fault
        return payloads

    def _take(self, payloads: list) -> None:
        """Move whole frames from the inbox to `payloads`."""
        inbox, mark = self._inbox, self._marks[1]
        while inbox:
            if not mark.startswith(inbox[:_MARK]):
                raise BrokenStream("no frame begins there")
            if len(inbox) < _HEAD.size:
                return
            _, number, length = _HEAD.unpack_from(inbox)
            if number != self._n_received or not self._limits:
                raise BrokenStream("nobody has asked for that")
            if length > self._limits[0]:
                raise BrokenStream(f"a frame of {length} bytes; at most {self._limits[0]} can be")
            whole = length + _AROUND
            if len(inbox) < whole:
                return
            if inbox[whole - _MARK : whole] != mark:
                raise BrokenStream("no frame ends there")
            payloads.append(bytes(inbox[_HEAD.size : whole - _MARK]))
            del inbox[:whole]
            self._limits.popleft()
            self._n_received += 1

    def stalled(self, now: float) -> float:
        """Return for how many seconds a frame that has begun has not gone on.

        It is −inf where none has begun, and inf where `receive` will raise.
        """
        if self._fault is not None:
            return inf
        return now - self._progress if self._inbox else -inf

    def close(self) -> None:
        self._outbox.clear()
        self._end.close()


def _hidden(fd: int) -> int:
    """Return the same file under a high number, where who closes, or writes into, what it takes
    for its own descriptors hardly comes; a program that the process runs does not have it."""
    from fcntl import F_DUPFD_CLOEXEC, fcntl
    from resource import RLIMIT_NOFILE, getrlimit

    limit = getrlimit(RLIMIT_NOFILE)[0]
    lowest = 1000 if not 0 <= limit < 1024 else max(3, limit - 4)
    try:
        high = fcntl(fd, F_DUPFD_CLOEXEC, lowest)
    except OSError:  # there is no room
        os.set_inheritable(fd, False)
        return fd
    os.close(fd)
    return high


class WorkerEnd:
    """The worker's end of the socket: frames in, answers out, one after the other."""

    def __init__(self, fd: int):
        self._fd = _hidden(fd)
        self._driver_mark, self._worker_mark = self._exactly(_MARK), self._exactly(_MARK)
        self._n_sent = self._n_received = 0

    def _exactly(self, n: int) -> bytearray:
        data, n_read = bytearray(n), 0
        view = memoryview(data)
        while n_read < n:
            n_new = os.readv(self._fd, [view[n_read:]])
            if not n_new:
                raise EOFError
            n_read += n_new
        return data

    def receive(self) -> memoryview:
        """Return the payload of the next frame.

        Raises
        ------
        EOFError
            Where the driver has closed the line or is gone.
        OSError
            Where the line has been closed here.
        BrokenStream
            Where what comes is no frame.
        """
        mark, number, length = _HEAD.unpack(self._exactly(_HEAD.size))
        if mark != self._driver_mark or number != self._n_received:
            raise BrokenStream("the function has read from its line, or written into it")
        data = self._exactly(length + _MARK)
        if data[length:] != self._driver_mark:
            raise BrokenStream("the function has read from its line, or written into it")
        self._n_received += 1
        return memoryview(data)[:length]

    def send(self, payload: bytes) -> None:
        """Answer.

        Raises
        ------
        OSError
            Where the line is closed.
        """
        pending = memoryview(b"".join(_framed(bytes(self._worker_mark), self._n_sent, payload)))
        self._n_sent += 1
        while pending:
            pending = pending[os.write(self._fd, pending) :]
