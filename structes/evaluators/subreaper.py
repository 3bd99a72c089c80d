"""The subreaper of a worker: the process that the driver starts, and that forks the worker.

It sees to it that nothing is left of the worker. A function may start processes, also in sessions
of their own, and may be stopped or hold Python's lock when the driver is killed: what must happen
then cannot be the worker's own task. This process does nothing else. All that descends from it
stays its descendant (orphans become its children: prctl(2), PR_SET_CHILD_SUBREAPER). It ends all
of them when

* the worker has ended: then it ends in the same way, so that the driver sees how;
* the driver has ended, in whatever way: the kernel closes the lifeline, a pipe, and says so;
* the driver asks it to, by SIGTERM.

The worker is ended by the kernel when its subreaper is killed. A subreaper that has been stopped
goes on when the driver ends, since what the kernel says is SIGCONT.

This file is run by itself, before anything of structes is imported, so that the process stays
small: it may import nothing but what comes with Python, and little of that. Systems other than
Linux have no subreapers: there the driver's child is the worker itself, whose group ends with the
driver.
"""

import os
import signal
import time
from contextlib import suppress

PATIENCE = 5.0  # seconds in which the descendants are killed again and again
_PDEATHSIG, _DUMPABLE, _SUBREAPER = 1, 4, 36  # of prctl(2)


def keep(lifeline: int) -> None:
    """Fork a worker, and return in it; the subreaper does not return.

    Parameters
    ----------
    lifeline : int
        The reading end of a pipe whose other end the driver has, and nobody else.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's; one that came before
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # has been held, and is gone now
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, nobody is told how a child has ended
    control = _prctl()
    if control is None:
        _end_with(lifeline)
        return
    news = {signal.SIGCHLD, signal.SIGTERM, signal.SIGCONT}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, news)
    control(_SUBREAPER, 1)
    me = os.getpid()
    worker = os.fork()
    if worker:
        try:
            _watch(worker, lifeline, news, control)
        finally:
            os._exit(1)
    control(_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != me:  # it has been killed in the meantime
        os._exit(1)
    os.close(lifeline)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _prctl():
    """Return the system call that makes subreapers, a function of two integers; None: there is
    none.
    """
    if not os.path.exists("/proc/self/stat"):
        return None
    try:
        from ctypes import CDLL

        function = CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return None
    return lambda option, value: function(option, value, 0, 0, 0)


def _end_with(lifeline: int) -> None:
    """Let this process, and what it starts, end when the driver does. The kernel sees to it (the
    input signal's default action), so a function that holds Python's lock, or never returns, is no
    way to stay. The process leads its group, and the pipe is nobody else's: it has one owner."""
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    _signalled(lifeline, -os.getpgrp())
    if _is_closed(lifeline):
        os._exit(0)


def _signalled(lifeline: int, owner: int, number: int = 0) -> None:
    """Let the kernel send a signal (0: SIGIO) to `owner` when the lifeline closes."""
    import fcntl

    fcntl.fcntl(lifeline, fcntl.F_SETOWN, owner)
    if number:
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, number)
    flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC | os.O_NONBLOCK)


def _is_closed(lifeline: int) -> bool:
    try:
        return os.read(lifeline, 1) == b""
    except BlockingIOError:  # the driver is there, and says nothing
        return False


def _watch(worker: int, lifeline: int, news, control) -> None:
    """Wait for one of the ends, make it that of all, and end."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # blocked; ignored, it would not be waited for
    _signalled(lifeline, os.getpid(), int(signal.SIGCONT))
    statuses = {worker: None}
    received = None
    while statuses[worker] is None and received != signal.SIGTERM and not _is_closed(lifeline):
        received = signal.sigwait(news)
        _bury(statuses)
    status, end = statuses[worker], time.monotonic() + PATIENCE
    while _bury(statuses) and time.monotonic() < end:
        for pid in _children():
            with suppress(OSError):  # it is gone, or has become another user's
                os.kill(pid, signal.SIGKILL)
        time.sleep(5e-4)
    number = signal.SIGTERM if received == signal.SIGTERM else 0
    if status is not None:
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if number:
        control(_DUMPABLE, 0)  # the worker has left its core already
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status) if status is not None and os.WIFEXITED(status) else 0)


def _bury(statuses: dict) -> bool:
    """Take leave of the children that have ended, and note the status of those that are in
    `statuses`: are there any more?"""
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return True
            if pid in statuses:
                statuses[pid] = status
    except ChildProcessError:
        return False


def _children() -> list:
    """Return ids of the children of this process."""
    me = os.getpid()
    try:
        with open(f"/proc/self/task/{me}/children") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:  # this kernel has no such file
        pids = []
    for name in os.listdir("/proc"):
        with suppress(OSError, ValueError), open(f"/proc/{int(name)}/stat", "rb") as file:
            if int(file.read().rpartition(b")")[2].split()[1]) == me:
                pids.append(int(name))
    return pids
