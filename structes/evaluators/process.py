"""Workers that are processes of this machine, each behind a socket of its own.

A worker is a fresh Python interpreter. It imports nothing of the program that started it, so no
script needs an `if __name__ == "__main__"`; functions travel by cloudpickle, those of a script or
a notebook by value. Each leads a session of its own: Ctrl-C reaches the driver only, and what a
function has started ends with its worker.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from multiprocessing import connection

from .transport import Event, Transport
from .worker import Outcome

_MAIN = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from structes.evaluators.worker import main; main(int(sys.argv[2]), int(sys.argv[3]))"
)
_THREADS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")
ENVIRONMENT = {f"{name}_NUM_THREADS": "1" for name in _THREADS} | {"CUDA_VISIBLE_DEVICES": ""}


class _Worker:
    """lifeline: the writing end of a pipe of its own, which closes when the driver ends."""

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
        ours, theirs = socket.socketpair()
        # a pipe for each: the kernel signals one owner of a pipe only, the latest
        theirs_too, lifeline = os.pipe()
        with theirs, open(theirs_too, "rb"):
            fds = theirs.fileno(), theirs_too
            words = [json.dumps([p for p in sys.path if isinstance(p, str)]), *map(str, fds)]
            process = subprocess.Popen(
                [sys.executable, "-c", _MAIN, *words],
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
        worker = _Worker(process, connection.Connection(ours.detach()), lifeline)
        self._workers.append(worker)
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
        self._workers.remove(worker)
        worker.line.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.process.pid, signal.SIGKILL)
        os.close(worker.lifeline)
        worker.process.wait()

    def close(self):
        if os.getpid() != self._owner:  # a fork of the driver
            return
        for worker in list(self._workers):
            self.dismiss(worker)


def _said(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    hint = {signal.SIGSEGV: "segmentation fault, ", signal.SIGKILL: "killed; out of memory?, "}
    return f"{hint.get(-code, '')}{signal.Signals(-code).name}"
