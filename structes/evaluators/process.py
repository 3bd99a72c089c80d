"""Workers that are processes of this machine, each behind a socket of its own.

A worker is a fresh Python interpreter. It imports nothing of the program that started it, so no
script needs an `if __name__ == "__main__"`; functions travel by cloudpickle, those of a script or
a notebook by value. Each has a session of its own, so that Ctrl-C reaches the driver only, and a
subreaper (subreaper.py), so that what a function has started ends with its worker. The subreaper
is what the driver has started: its process id stands for the worker, and it ends as the worker has
ended.

The driver never waits for what a worker says or takes (framed_socket.py).
"""

from __future__ import annotations

import contextlib
import os
import pickle
import secrets
import select
import signal
import subprocess
import sys
import time
import weakref
from collections import deque
from collections.abc import Mapping
from typing import Any

from . import subreaper
from .channel import Channel, Event
from .exit_status import MARK, exit_in_words, is_stopped, sweep
from .framed_socket import STALL, BrokenStream, DriverEnd
from .launch import interrupts_held, output_of, path_of_workers, pipe
from .worker import READY, Call, Outcome

# `sys` is part of the interpreter: nothing is looked for before the path is set
_MAIN = (
    "import sys; sys.path[:] = sys.argv[4:]; at = {'__name__': 'subreaper'}; "
    "exec(compile(open(sys.argv[3], 'rb').read(), sys.argv[3], 'exec'), at); "
    "at.pop('keep')(int(sys.argv[2])); del at; "
    "from structes.evaluators.worker import main; main(int(sys.argv[1]))"
)
_NO_FOLDER = ["-P"] if sys.version_info >= (3, 11) else []  # nor asked for: it may be gone
_THREADS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")
ENVIRONMENT = {f"{name}_NUM_THREADS": "1" for name in _THREADS} | {"CUDA_VISIBLE_DEVICES": ""}


_ASKED, _KILLED = (
    2.0,
    1.0,
)  # seconds in which a subreaper ends that is asked to, and that is killed
_LOOK = 0.1  # seconds between looks at who has died or stalled
_left_behind: list = []  # processes that did not even then
_instances = weakref.WeakSet()  # the Processes of this process


class _Worker:
    """A worker, as the driver has it.

    Parameters
    ----------
    process : subprocess.Popen
        Its subreaper.
    socket : DriverEnd
        The socket behind which it is.
    lifeline : Connection
        The writing end of a pipe of its own, which closes when the driver ends.
    mark : str
        A word in its environment.

    Attributes
    ----------
    due : deque of int or None
        The rows of the Outcomes that it owes, None for a READY, the oldest first.
    """

    def __init__(self, process, socket, lifeline, mark):
        self.process, self.socket, self.lifeline, self.mark = process, socket, lifeline, mark
        self.due: deque = deque()
        self.was_ready = False

    def expect(self, rows: int | None) -> None:
        self.due.append(rows)
        self.socket.expect(len(READY) if rows is None else Outcome.most_bytes(rows))

    def understood(self, data: bytes) -> Outcome | None:
        """Return the answer that is due; None where that is to be ready.

        Raises
        ------
        ValueError
            For any other answer.
        """
        rows = self.due.popleft()
        if rows is None:
            if data != READY:
                raise ValueError("it has not said that it is ready")
            self.was_ready = True
            return None
        outcome = Outcome.of_bytes(data)
        if outcome.fatal is None and outcome.values.size != rows:
            raise ValueError(f"{outcome.values.size} values of {rows} rows")
        return outcome


class Processes(Channel):
    """Worker processes of this machine.

    Parameters
    ----------
    count : int
        How many there are.
    environment : Mapping, optional
        {name: value} of variables that they get besides this process's. They have one BLAS thread
        each and see no GPU unless it says otherwise.
    memory : int, optional
        The bytes that each may have; None: any number.

    Raises
    ------
    OSError
        On a system that is not POSIX.
    """

    depth = 2
    backlog = 2**16  # what a socket takes before anybody reads: so much of it waits there
    latency = 2e-4
    start_limit = 15.0

    def __init__(
        self, count: int, environment: Mapping[str, str] | None = None, memory: int | None = None
    ):
        if os.name != "posix":
            raise OSError("worker processes need a POSIX system; workers='ray' is for others")
        super().__init__()
        self.count, self.memory = count, memory
        self.environment = {**ENVIRONMENT, **(environment or {})}
        self._workers: list[_Worker] = []
        self._owner = os.getpid()
        self._news, self._by_fd, self._looked = select.poll(), {}, 0.0
        _instances.add(self)

    def capacity(self) -> int:
        return self.count

    def start_worker(self) -> Any:
        _left_behind[:] = [process for process in _left_behind if process.poll() is None]
        driver_end, worker_end = pipe(duplex=True)
        # a pipe for each: the kernel signals one owner of a pipe only, the latest
        lifeline_end, lifeline = pipe(duplex=False)
        fds = worker_end.fileno(), lifeline_end.fileno()
        arguments = [*map(str, fds), subreaper.__file__]
        with worker_end, lifeline_end, interrupts_held():
            mark = secrets.token_hex(16)
            process = subprocess.Popen(
                [sys.executable, *_NO_FOLDER, "-c", _MAIN, *arguments, *path_of_workers()],
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                stdout=output_of(1, sys.__stdout__),
                stderr=output_of(2, sys.__stderr__),
                env={**os.environ, **self.environment, MARK: mark},
                start_new_session=True,
            )
            worker = _Worker(process, DriverEnd(driver_end), lifeline, mark)
            self._workers.append(worker)
            self._by_fd[driver_end.fileno()] = worker
            self._news.register(driver_end, select.POLLIN)
        worker.expect(None)
        self._tell(worker, "path", [p for p in sys.path if isinstance(p, str)])
        if self.memory is not None:
            self._tell(worker, "limit", self.memory)
        return worker

    def put(self, worker: Any, key: Any, thing: Any) -> None:
        self._tell(worker, "put", key, self.packed(key, thing))

    def make(self, worker: Any, key: Any) -> bool:
        worker.expect(None)
        self._tell(worker, "make", key)
        return True

    def drop(self, worker: Any, key: Any) -> None:
        self._tell(worker, "drop", key)

    def send(self, worker: Any, call: Call) -> None:
        worker.expect(call.rows)
        self._tell(worker, "run", call)

    def _tell(self, worker, *message):
        worker.socket.send(pickle.dumps(message, 5))
        if worker.socket.is_full:
            self._news.modify(worker.socket, select.POLLIN | select.POLLOUT)

    def poll(self, seconds: float) -> list[Event]:
        events = []
        for fd, mask in self._news.poll(1e3 * seconds):
            worker = self._by_fd[fd]
            if mask & select.POLLOUT:
                worker.socket.flush()
                if not worker.socket.is_full:
                    self._news.modify(worker.socket, select.POLLIN)
            if mask & ~select.POLLOUT:
                events += self._receive(worker)
        if (now := time.monotonic()) - self._looked > _LOOK:
            self._looked = now
            for worker in list(self._workers):
                if worker.socket.stalled(now) > STALL:
                    events += self._receive(worker, has_stalled=True)
                elif worker.process.poll() is not None:  # its children may hold its line open
                    events += self._receive(worker) or [self._death_of(worker)]
        return events

    def _receive(self, worker, has_stalled=False) -> list[Event]:
        """Return what a worker has said, or what has become of it."""
        events = []
        try:
            for data in worker.socket.receive():
                events.append(Event(worker, worker.understood(data)))
            if has_stalled and not events:
                raise BrokenStream
        except (BrokenStream, ValueError):
            self.end_worker(worker)
            events.append(Event(worker, ending="the function wrote into its line", alarm=False))
        except EOFError:
            with contextlib.suppress(subprocess.TimeoutExpired):  # it closes first, then ends
                worker.process.wait(_KILLED)
            events.append(self._death_of(worker))
        return events

    def is_stopped(self, worker: Any) -> bool:
        return is_stopped(worker.process.pid)

    def _death_of(self, worker):
        self.end_worker(worker)
        code = worker.process.returncode
        # somebody has ended it, and not the function: that is nowhere near yet
        is_innocent = not worker.was_ready and code in (-signal.SIGKILL, -signal.SIGTERM)
        ending = exit_in_words(code, self.memory)
        return Event(worker, ending=ending, is_innocent=is_innocent, alarm=code == -signal.SIGALRM)

    def end_worker(self, worker: Any) -> None:
        """End a worker and what it has started."""
        if worker in self._workers:
            _ask(worker)
            self._end(worker)

    def _end(self, worker):
        """See to it that a worker ends that has been asked to."""
        if worker.process.returncode is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(_ASKED)
        _kill(worker)  # before its line closes, which it may be writing to
        with contextlib.suppress(ValueError):  # another thread has closed the Evaluator
            self._workers.remove(worker)
        self._close(worker)
        try:
            worker.process.wait(_KILLED)
        except subprocess.TimeoutExpired:  # the kernel does not let go of it
            _left_behind.append(worker.process)
        if worker.process.returncode not in (None, 0, -signal.SIGTERM, -signal.SIGALRM):
            sweep(worker.mark)  # its subreaper may have been killed, and have left something

    def close(self) -> None:
        if os.getpid() != self._owner:  # a fork of the driver
            return
        for worker in self._workers:  # all of them first: a second Ctrl-C comes too late
            _ask(worker)
        for worker in list(self._workers):
            self._end(worker)

    def forsake(self) -> None:
        """Let go of the workers in a fork of the driver, to which they do not belong.

        They shall see that the driver ends, though this process lives on.
        """
        for worker in self._workers:
            self._close(worker)
            worker.process.returncode = 0  # it is nobody to be waited for here
        self._workers.clear()

    def _close(self, worker):
        if self._by_fd.pop(worker.socket.fileno(), None) is not None:
            self._news.unregister(worker.socket)
        worker.socket.close()
        worker.lifeline.close()


def _forsake_all():
    for processes in list(_instances):
        processes.forsake()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forsake_all)


def _ask(worker):
    """Let a subreaper end its worker, and itself."""
    if sys.platform != "linux":  # there is none
        _kill(worker)
    elif worker.process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.process.pid, signal.SIGTERM)
            os.kill(worker.process.pid, signal.SIGCONT)


def _kill(worker):
    """End a subreaper, and with it its worker, and whatever is of its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(worker.process.pid, signal.SIGKILL)
