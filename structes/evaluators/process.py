"""Workers that are processes of this machine, each behind a socket of its own.

A worker is a fresh Python interpreter. It imports nothing of the program that started it, so no
script needs an `if __name__ == "__main__"`; functions travel by cloudpickle, those of a script or
a notebook by value. Each leads a session of its own: Ctrl-C reaches the driver only, and what a
function has started ends with its worker.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from multiprocessing import connection
from pathlib import Path

from .transport import Event, Transport
from .worker import Outcome

# `sys` is part of the interpreter: nothing is looked for before the path is set
_MAIN = (
    "import sys; sys.path[:] = sys.argv[3:]; "
    "from structes.evaluators.worker import main; main(int(sys.argv[1]), int(sys.argv[2]))"
)
_NO_FOLDER = ["-P"] if sys.version_info >= (3, 11) else []  # nor asked for: it may be gone
_THREADS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")
ENVIRONMENT = {f"{name}_NUM_THREADS": "1" for name in _THREADS} | {"CUDA_VISIBLE_DEVICES": ""}


class _Worker:
    """line: the socket behind which it is; lifeline: the writing end of a pipe of its own, which
    closes when the driver ends. Both close when they are forgotten."""

    def __init__(self, process, line, lifeline):
        self.process, self.line, self.lifeline = process, line, lifeline


class Processes(Transport):
    """count worker processes.

    environment   variables that they get besides this process's; they have one BLAS thread each
                  and see no GPU unless it says otherwise
    """

    depth = 2
    backlog = 2**16  # what a socket takes before anybody reads; more would make the driver wait
    latency = 2e-4

    def __init__(self, count: int, environment=None):
        if os.name != "posix":
            raise OSError("worker processes need a POSIX system; workers='ray' is for others")
        super().__init__()
        self.count = count
        self.environment = {**ENVIRONMENT, **(environment or {})}
        self._workers: list[_Worker] = []
        self._owner = os.getpid()

    def capacity(self) -> int:
        return self.count

    def hire(self):
        line, theirs = _pipe(duplex=True)
        # a pipe for each: the kernel signals one owner of a pipe only, the latest
        theirs_too, lifeline = _pipe(duplex=False)
        fds = theirs.fileno(), theirs_too.fileno()
        with theirs, theirs_too, _interrupts_held():
            process = subprocess.Popen(
                [sys.executable, *_NO_FOLDER, "-c", _MAIN, *map(str, fds), *_path_of_workers()],
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                stdout=_output(1, sys.__stdout__),
                stderr=_output(2, sys.__stderr__),
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
            worker = _Worker(process, line, lifeline)
            self._workers.append(worker)
        self._tell(worker, "path", [p for p in sys.path if isinstance(p, str)])
        return worker

    def give(self, worker, key, thing):
        self._tell(worker, "take", key, self.packed(key, thing))

    def make(self, worker, key):
        self._tell(worker, "make", key)
        return True

    def take_away(self, worker, key):
        self._tell(worker, "drop", key)

    def send(self, worker, call):
        self._tell(worker, "run", call)

    def _tell(self, worker, *message):
        with contextlib.suppress(OSError):  # gone: `poll` will say so
            worker.line.send(message)

    def poll(self, seconds):
        by_line = {worker.line: worker for worker in self._workers}
        events = []
        for line in connection.wait(by_line, seconds):
            worker = by_line[line]
            try:
                data = line.recv_bytes()
                event = Event(worker, None if data == b"ready" else Outcome.of_bytes(data))
            except ValueError:
                self.dismiss(worker)
                event = Event(worker, gone="the function wrote into its line", alarm=False)
            except (EOFError, OSError):
                with contextlib.suppress(subprocess.TimeoutExpired):  # it closes first, then ends
                    worker.process.wait(1.0)
                event = self._dead(worker)
            events.append(event)
        if not events:  # a child of a dead worker may hold its line open
            dead = [worker for worker in self._workers if worker.process.poll() is not None]
            events = [self._dead(worker) for worker in dead]
        return events

    def _dead(self, worker):
        self.dismiss(worker)
        code = worker.process.returncode
        return Event(worker, gone=_said(code), alarm=code == -signal.SIGALRM)

    def dismiss(self, worker):
        """End a worker and what it has started."""
        if worker not in self._workers:
            return
        _kill(worker)  # before its line closes, which it may be writing to
        self._workers.remove(worker)
        worker.line.close()
        worker.lifeline.close()
        worker.process.wait()

    def close(self):
        if os.getpid() != self._owner:  # a fork of the driver
            return
        for worker in self._workers:  # all of them first: a second Ctrl-C comes too late
            _kill(worker)
        for worker in list(self._workers):
            self.dismiss(worker)


def _kill(worker):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(worker.process.pid, signal.SIGKILL)


def _path_of_workers() -> list[str]:
    """Where workers look for what they need themselves: where it is looked for here, but for the
    working folder, which comes last. A file `json.py` there is the user's, or anybody's."""
    path = [p for p in sys.path if isinstance(p, str) and "\0" not in p]
    try:
        here = os.path.realpath("")
    except OSError:  # the folder is gone
        return path
    own = str(Path(__file__).parents[2])  # where structes is
    if os.path.realpath(own) == here:
        return path
    return sorted(path, key=lambda p: os.path.realpath(p) == here)


def _pipe(duplex: bool):
    """Two ends that close when they are forgotten; a program without standard streams has their
    numbers to spare, and a worker would take them for its own."""
    ends = connection.Pipe(duplex)
    if min(end.fileno() for end in ends) > 2:
        return ends
    from fcntl import F_DUPFD_CLOEXEC, fcntl

    return tuple(connection.Connection(fcntl(end.fileno(), F_DUPFD_CLOEXEC, 3)) for end in ends)


def _output(number: int, stream):
    """What a worker's standard output or error is: the driver's, where it has one."""
    try:
        os.fstat(number)
    except OSError:  # it has been closed
        return subprocess.DEVNULL
    return subprocess.DEVNULL if stream is None else None


@contextlib.contextmanager
def _interrupts_held():
    """Context in which Ctrl-C waits, so that no process is started and then forgotten. A process
    that is started in it holds interrupts, too, until it says what they are to it."""
    handler, came = signal.getsignal(signal.SIGINT), []
    may = callable(handler) and threading.current_thread() is threading.main_thread()
    if may:  # the mask is this thread's, and any other one may be given the signal
        signal.signal(signal.SIGINT, lambda *its: came.append(its))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if may:
            signal.signal(signal.SIGINT, handler)
        if came:
            handler(*came[-1])


def _said(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    hint = {signal.SIGSEGV: "segmentation fault, ", signal.SIGKILL: "killed; out of memory?, "}
    return f"{hint.get(-code, '')}{signal.Signals(-code).name}"
