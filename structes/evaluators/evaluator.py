"""Evaluator: workers, and functions that are evaluated by them.

An Evaluator says which workers there are and what is done when they fail; `bind` gives it a
function, and what comes back is called like the function itself: rows in, values out. The workers
start when they are first needed and stay until `close`, so that several searches share them.
"""

from __future__ import annotations

import inspect
import os
import weakref
from collections.abc import Mapping
from functools import partial

import numpy as np

from .. import checks
from ..problem import rowwise
from ..registry import nearest
from .parallel_function import ParallelFunction
from .supervisor import Supervisor
from .transport import pickled
from .worker import Objective

KINDS = ("process", "ray", "serial")
TRANSPORTS = ("auto", "ship", "redraw")


class Evaluator:
    """Workers that evaluate functions, on this machine or on a cluster.

    workers      how many processes of this machine; or where they are: "process", "ray" (the Ray
                 that runs here already or whose address RAY_ADDRESS names, else one that is
                 started for this machine alone), "ray://host:port" (a Ray client), or "serial"
                 (here, one after the other)
    count        how many; None: one for every processor, of a cluster as many as it has now and
                 then
    address      of a Ray cluster: "auto", "host:port", "ray://host:port"
    timeout      seconds that one evaluation may take; then its worker is ended, and the value is
                 missing. None: for ever. Ray does not say how a worker ended, and may say it a
                 second late: with less than some 3 s a crash there may be named a timeout
    attempts     how often an evaluation is tried whose worker dies or that takes too long
    finish_fraction   a generation is closed when so much of it has come (0 … 1]; the rest is told
                 as late values. Below 1 a run does not repeat itself to the bit
    transport    "ship": points are sent; "redraw": the seed is sent, and workers draw their own
                 points; "auto": ship up to 32 MB a generation
    batch        rows that a vectorised function is called with at a time; None: a 32nd of a
                 generation. Its values may depend on this in their last bits, and on nothing else
    resources    of Ray, for each worker: {"num_gpus": 0.25, "num_cpus": 1, "my_resource": 1}
    environment  {name: value} of variables for the workers. They have one BLAS thread each, and
                 see no GPU where resources do not give them one
    patience     seconds to wait for a first worker, and for a factory

    A function that turns out to take less than some 50 µs is called in this process, where that is
    faster, unless it comes of a factory, or a timeout, environment or resources are to be kept.

    Raises ValueError or TypeError, naming the argument, for what does not fit.

    >>> with Evaluator(2, timeout=60) as evaluator:
    ...     f = evaluator.bind(lambda x: float(x @ x))
    ...     values = f(np.ones((4, 3)))
    >>> values.tolist()
    [3.0, 3.0, 3.0, 3.0]
    """

    def __init__(
        self,
        workers="process",
        count: int | None = None,
        *,
        address: str | None = None,
        timeout: float | None = None,
        attempts: int = 2,
        finish_fraction: float = 1.0,
        transport: str = "auto",
        batch: int | None = None,
        resources: Mapping | None = None,
        environment: Mapping | None = None,
        patience: float = 120.0,
    ):
        if isinstance(workers, (int, np.integer)) and not isinstance(workers, bool):
            if count is not None:
                raise ValueError(f"workers={workers} is a number already; got count={count} too")
            workers, count = "process", checks.count("workers", workers, 1)
        if isinstance(workers, str) and workers.startswith("ray://"):
            if address is not None:
                raise ValueError(f"workers={workers!r} is an address; got address={address!r} too")
            workers, address = "ray", workers
        if not isinstance(workers, str) or workers not in KINDS:
            raise ValueError(
                f"workers must be a number, one of {', '.join(KINDS)}, or an address "
                f"ray://host:port; got {workers!r}{nearest(workers, KINDS)}"
            )
        self.kind = workers
        self.count = None if count is None else checks.count("count", count, 1)
        self.address = address
        if timeout is not None:
            timeout = checks.number("timeout", timeout, positive=True)
        self.timeout = timeout
        self.attempts = checks.count("attempts", attempts, 1)
        self.finish_fraction = checks.number("finish_fraction", finish_fraction, positive=True)
        if self.finish_fraction > 1:
            raise ValueError(f"finish_fraction must be at most 1; got {finish_fraction}")
        self.transport = checks.choice("transport", transport, TRANSPORTS)
        self.batch = None if batch is None else checks.count("batch", batch, 1)
        self.resources = _mapping("resources", resources)
        environment = _mapping("environment", environment)
        self.environment = {str(name): str(value) for name, value in environment.items()}
        self.patience = checks.number("patience", patience, positive=True)
        if self.kind != "ray" and (self.address is not None or self.resources):
            name = "resources" if self.address is None else "address"
            raise ValueError(f"{name} is Ray's: say workers='ray'; got workers={workers!r}")
        if self.kind == "serial" and self.timeout is not None:
            raise ValueError(
                "timeout needs workers that can be ended: workers=1 is one process; got 'serial'"
            )
        self._supervisor: Supervisor | None = None

    def bind(
        self, function, *, vectorized=False, factory=False, on_error="missing", name="objective"
    ) -> ParallelFunction:
        """The function as one of many points, evaluated by the workers.

        function    of one point (d,) that returns a number. It is sent to the workers by value
                    where it is a lambda, a closure or of a script, by its name where it is
                    imported from a module: workers must be able to import that too
        vectorized  it takes (n, d) rows and returns (n,) values
        factory     it takes nothing and returns such a function: called once in every worker, for
                    what does not pickle (a simulator, a connection)
        on_error    "missing": a failure is a NaN; "raise": it is an EvaluationError

        Raises TypeError at once where it cannot be sent.
        """
        if not callable(function):
            raise TypeError(f"function must be callable; got {function!r}")
        wrap = as_it_is if vectorized else partial(rowwise, name=name)
        return self.bind_rows(function, wrap, not vectorized, factory, on_error)

    def bind_rows(
        self, function, wrap, by_point, factory=False, on_error="missing", here=None, sign=1
    ) -> ParallelFunction:
        """As `bind`, of a function that `wrap` makes one of rows (n, d).

        by_point   it is then a Rowwise, which is called with one point at a time
        here       of a factory: the function of rows, if there is one in this process already
        """
        objective = Objective(_Made(function, factory, wrap))
        if self.kind != "serial":
            pickled(objective)
        here = here if factory else wrap(function)
        return ParallelFunction(self, objective, here, by_point, on_error)

    @property
    def supervisor(self) -> Supervisor:
        """The supervisor of the workers; it is made, and they start, when first needed."""
        if self._supervisor is None:
            transport = self._transport()
            self._supervisor = Supervisor(
                transport, {}, self.timeout, self.attempts, self.patience
            )
            self._finalizer = weakref.finalize(self, transport.close)
        return self._supervisor

    @property
    def is_open(self) -> bool:
        """Have the workers started?"""
        return self._supervisor is not None

    @property
    def capacity(self) -> int:
        """How many workers there can be."""
        return self.supervisor.capacity

    def close(self) -> None:
        """End all workers. They start again when they are needed."""
        if self._supervisor is not None:
            supervisor, self._supervisor = self._supervisor, None
            self._finalizer.detach()
            supervisor.close()

    def open(self) -> Evaluator:
        """Find the place for the workers now: connect to Ray, or start it.

        Raises ImportError, OSError (ConnectionError) or RuntimeError where that fails.
        """
        self.supervisor  # noqa: B018
        return self

    def __enter__(self):
        return self.open()

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        count = "" if self.count is None else f", {self.count}"
        return f"<Evaluator {self.kind}{count}>"

    def _transport(self):
        if self.kind == "serial":
            from .serial import Serial

            return Serial()
        if self.kind == "process":
            from .process import Processes

            return Processes(self.count or _processors(), self.environment)
        from .ray import Ray

        return Ray(self.count, self.address, self.resources, self.environment)


def _processors() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Made:
    """A function, as `wrap` makes it one of rows, when it is called."""

    def __init__(self, function, factory, wrap):
        self.function, self.factory, self.wrap = function, factory, wrap

    def __call__(self):
        return self.wrap(self.function() if self.factory else self.function)


def as_it_is(function):
    """The function, which is one of rows already."""
    return function


def _mapping(name, value) -> dict:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a mapping of names to values; got {value!r}")
    return dict(value)


def build_evaluator(spec, **options) -> Evaluator:
    """The Evaluator that `spec` names: a number of workers, a name, a mapping {"name": "ray",
    "count": 8, …}, or an Evaluator, which takes no further options.

    options   arguments of Evaluator; None: its default
    """
    options = {key: value for key, value in options.items() if value is not None}
    if isinstance(spec, Evaluator):
        if options:
            raise ValueError(f"the Evaluator has its own {', '.join(options)}: give it there")
        return spec
    if isinstance(spec, Mapping):
        spec = {**spec, **options}
        known = list(inspect.signature(Evaluator).parameters)
        for key in spec:
            if key != "name" and key not in known[1:]:
                raise ValueError(
                    f"workers: unknown key {key!r}{nearest(key, known)}; known: name, "
                    f"{', '.join(known[1:])}"
                )
        return Evaluator(spec.pop("name", "process"), **spec)
    return Evaluator(spec, **options)
