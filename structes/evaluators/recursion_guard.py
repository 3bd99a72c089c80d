"""What keeps a module that starts workers where it is imported from starting them for ever.

A worker that is sent a function of a module imports that module. Where the module itself, at its
top level and with no `if __name__ == "__main__":` around it, evaluates by workers, they would
import it as well, start workers that import it, and so on until the machine stands still. Two
things are set against that:

* A function that is sent while its module is being imported is sent by value, like one of a script
  (`importing` finds these modules, `transport.pickled` does the rest): no worker imports it.
* Where a worker imports such a module for another reason, or unpickles an object that starts
  workers, `check_may_start` refuses to start any.

A function that starts workers when it is called is something else: it knows what it does, and may.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any

_entries: set = set()  # code of the functions in which a worker calls what is the user's
_is_worker: list = []  # one item where this process is a worker
_unpickling: list = []  # an item for each thread that is at it


def entry(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function, which is one in which a worker begins to work for the user."""
    _entries.add(function.__code__)
    return function


def be_worker() -> None:
    """Note that this process is a worker."""
    _is_worker[:] = [True]


@contextlib.contextmanager
def unpickling() -> Iterator[None]:
    """Note that, in this context, something that was sent is unpickled."""
    _unpickling.append(True)
    try:
        yield
    finally:
        _unpickling.pop()


def importing() -> list:
    """Return the modules whose top level is being run by this thread, the innermost first; in a
    worker those that it imports for the call that it is at. The script itself is none of them."""
    modules, frame = [], inspect.currentframe()
    while frame is not None and not (_is_worker and frame.f_code in _entries):
        if frame.f_code.co_name == "<module>":
            name = frame.f_globals.get("__name__")
            module = sys.modules.get(name)
            if name != "__main__" and getattr(module, "__dict__", None) is frame.f_globals:
                modules.append(module)
        frame = frame.f_back
    return modules


def check_may_start() -> None:
    """Raises RuntimeError where workers must not be started: in a worker, while it unpickles what
    it was sent, or imports a module."""
    modules = importing() if _is_worker else []
    if not (_unpickling or modules):
        return
    activity = f"imports the module {modules[0].__name__!r}" if modules else "unpickles a function"
    raise RuntimeError(
        f"no workers can be started while a worker {activity}: they would do the same, and start "
        "workers for ever. Where a module starts workers at its top level, put that into a "
        'function, or under `if __name__ == "__main__":`'
    )
