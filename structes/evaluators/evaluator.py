"""Evaluator: workers, and functions that are evaluated by them.

An Evaluator says which workers there are and what is done when they fail; `bind` gives it a
function, and what comes back is called like the function itself: rows in, values out. The workers
start when they are first needed and stay until `close`, so that several searches share them.
"""

from __future__ import annotations

import inspect
import os
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import checks
from ..naming.error_text import nearest
from ..rowwise import rowwise
from .channel import pickled
from .kinds import POOLS, channel_of, check_fits, kind_of
from .options import mapping, memory_of, number_of
from .parallel_function import ParallelFunction
from .sources import snapshot
from .supervisor import Supervisor
from .thread_lock import ThreadLock
from .worker import Objective, _Made, as_it_is

if TYPE_CHECKING:
    from concurrent.futures import Executor

TRANSPORTS = ("auto", "ship", "redraw")


class Evaluator:
    """Workers that evaluate functions, on this machine or on a cluster.

    A function that turns out to take less than some 50 µs is called in this process, where that is
    faster, unless it comes of a factory, or a timeout, max_calls, limits, environment or resources
    are to be kept, or the workers are a pool of yours.

    Parameters
    ----------
    workers : int, str, Executor or callable
        A number of processes of this machine, -1 for one for every processor. Or where the workers
        are: "process"; "ray" (the Ray that runs here already or whose address RAY_ADDRESS names,
        else one that is started for this machine alone); "ray://host:port" (a Ray client);
        "serial" (in this process, one evaluation after the other). Or a pool that you have: an
        Executor (what has `submit`), or a function like `map` (`pool.map`). A pool stays yours: it
        is not shut down, nothing in it is replaced, and a call that hangs there cannot be ended,
        so that it goes without a timeout.
    count : int, optional
        The number of workers. None or -1 means one for every processor, and of a cluster as many
        as it has at the moment. Of an Executor it is the number of calls that it is given at a
        time; None means one for each of its workers, where it says how many they are, else one for
        every processor.
    address : str, optional
        The address of a Ray cluster: "auto", "host:port", "ray://host:port".
    timeout : float, optional
        The seconds that one evaluation may take; then its worker is ended, and the value is
        missing. None means for ever. Ray does not say how a worker ended, and may say it a second
        late: with less than some 3 s a crash there may be named a timeout.
    attempts : int
        How often an evaluation is tried whose worker dies or that takes too long.
    finish_fraction : float
        A generation is closed when this share of it has come, in (0, 1]; the rest is told as late
        values. Below 1 a run does not repeat itself to the bit.
    transport : {"auto", "ship", "redraw"}
        "ship": points are sent. "redraw": the seed is sent, and workers draw their own points.
        "auto": points are sent up to 32 MB a generation.
    batch : int, optional
        The number of rows with which a vectorised function is called at a time; None means a 32nd
        of a generation. Values may depend on it in their last bits, and on nothing else.
    resources : Mapping, optional
        What each worker needs of Ray: {"num_gpus": 0.25, "num_cpus": 1, "my_resource": 1}.
    environment : Mapping, optional
        {name: value} of variables for the workers. They have one BLAS thread each, and see no GPU
        where resources do not give them one.
    patience : float
        The seconds to wait for a first worker, and for a factory.
    limits : Mapping, optional
        What each process may use: {"memory": bytes, or "2GB"} (Linux). A process that asks for
        more gets a MemoryError, so that its value is missing; processes that it starts have as
        much each.
    max_calls : int, optional
        A process or an actor is replaced by a new one after so many evaluations, for simulators
        that leak memory. None means never.

    Raises
    ------
    ValueError, TypeError
        Where an argument does not fit; the message names it.

    Examples
    --------
    >>> with Evaluator(2, timeout=60) as evaluator:
    ...     f = evaluator.bind(lambda x: float(x @ x))
    ...     values = f(np.ones((4, 3)))
    >>> values.tolist()
    [3.0, 3.0, 3.0, 3.0]
    """

    def __init__(
        self,
        workers: int | str | Executor | Callable[..., Any] = "process",
        count: int | None = None,
        *,
        address: str | None = None,
        timeout: float | None = None,
        attempts: int = 2,
        finish_fraction: float = 1.0,
        transport: Literal["auto", "ship", "redraw"] = "auto",
        batch: int | None = None,
        resources: Mapping[str, float] | None = None,
        environment: Mapping[str, Any] | None = None,
        patience: float = 120.0,
        limits: Mapping[str, float | str] | None = None,
        max_calls: int | None = None,
    ):
        if isinstance(workers, (int, np.integer)) and not isinstance(workers, bool):
            if count is not None:
                raise ValueError(f"workers={workers} is a number already; got count={count} too")
            workers, count = "process", number_of("workers", workers)
        if isinstance(workers, str) and workers.startswith("ray://"):
            if address is not None:
                raise ValueError(f"workers={workers!r} is an address; got address={address!r} too")
            workers, address = "ray", workers
        self.kind = kind_of(workers, (Evaluator, ParallelFunction))
        self.pool = workers if self.kind in POOLS else None
        self.count = None if count is None else number_of("count", count)
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
        self.resources = mapping("resources", resources)
        environment = mapping("environment", environment)
        self.environment = {str(name): str(value) for name, value in environment.items()}
        self.patience = checks.number("patience", patience, positive=True)
        self.max_calls = None if max_calls is None else checks.count("max_calls", max_calls, 1)
        self.memory = memory_of(limits)
        check_fits(self)
        self._supervisor: Supervisor | None = None
        self._owner = 0  # the process that it belongs to
        self.lock = ThreadLock()  # of the threads that use it

    def bind(
        self,
        function: Callable[..., Any],
        *,
        vectorized: bool = False,
        factory: bool = False,
        on_error: Literal["missing", "raise"] = "missing",
        name: str = "objective",
    ) -> ParallelFunction:
        """Return a function of many points that the workers evaluate.

        Parameters
        ----------
        function : callable
            It takes one point (d,) and returns a number. It is sent to the workers by value where
            it is a lambda, a closure or a function of a script, and by its name where it is
            imported from a module: workers must be able to import that too.
        vectorized : bool
            Whether it takes (n, d) rows and returns (n,) values.
        factory : bool
            Whether it takes nothing and returns such a function. It is then called once in every
            worker, for what does not pickle (a simulator, a connection).
        on_error : {"missing", "raise"}
            Whether a failure is a NaN or an EvaluationError.
        name : str
            What messages call the function.

        Returns
        -------
        ParallelFunction
            It is called with rows (n, d), and returns (n,) values.

        Raises
        ------
        TypeError
            At once, where the function cannot be sent; where a pool cannot send it, when it is
            first evaluated.
        """
        if not callable(function):
            raise TypeError(f"function must be callable; got {function!r}")
        wrap = as_it_is if vectorized else partial(rowwise, name=name)
        return self.bind_rows(function, wrap, not vectorized, factory, on_error)

    def bind_rows(
        self,
        function: Callable[..., Any],
        wrap: Callable[..., Any],
        by_point: bool,
        factory: bool = False,
        on_error: Literal["missing", "raise"] = "missing",
        local: Callable[..., Any] | None = None,
        sign: int = 1,
    ) -> ParallelFunction:
        """Return what `bind` returns, of a function that `wrap` makes one of rows (n, d).

        Parameters
        ----------
        function, factory, on_error
            As for `bind`.
        wrap : callable
            It takes the function, and returns one of rows.
        by_point : bool
            Whether that is a Rowwise, which is called with one point at a time.
        local : callable, optional
            Of a factory: the function of rows, where there is one in this process already.
        sign : int
            −1 where larger values are better.
        """
        is_sent = self.kind in ("process", "ray")
        objective = Objective(_Made(function, factory, wrap), snapshot() if is_sent else None)
        if is_sent:
            pickled(objective)
        if self.kind in POOLS:  # their owner may have made them ready for it, and not this process
            local = None
        elif not factory:
            local = wrap(function)
        return ParallelFunction(self, objective, local, by_point, on_error, sign)

    @property
    def supervisor(self) -> Supervisor:
        """The supervisor of the workers; it is made, and they start, when first needed. A fork of
        the process has its own."""
        if self._supervisor is None or self._owner != os.getpid():
            if self._owner and self._owner != os.getpid() and self.kind == "ray":
                raise RuntimeError(
                    "this process is a fork of the one that is connected to Ray, and a connection "
                    "does not outlive that: start the process otherwise (spawn), or evaluate there"
                )
            channel = channel_of(self)
            self._supervisor = Supervisor(
                channel, {}, self.timeout, self.attempts, self.patience, self.max_calls
            )
            self._owner = os.getpid()
            self._finalizer = weakref.finalize(self, channel.close)
        return self._supervisor

    @property
    def is_open(self) -> bool:
        """Have the workers started?"""
        return self._supervisor is not None and self._owner == os.getpid()

    @property
    def capacity(self) -> int:
        """How many workers there can be. Raises ValueError for a `map`, which nobody can ask."""
        if self.kind == "map":
            raise ValueError(
                "mode='steady' needs workers that are given one candidate at a time, and a map "
                "takes a generation at once: give the Executor itself, or a number of processes"
            )
        return self.supervisor.capacity

    def close(self) -> None:
        """End all workers, also those that are at work for another thread, which is told by an
        EvaluationError. They start again when they are needed."""
        supervisor = self._supervisor
        if supervisor is not None and self.is_open:
            self._finalizer.detach()
            try:
                supervisor.close()
            except KeyboardInterrupt:  # the rest of them first
                supervisor.close()
                raise
            finally:
                self._supervisor = None

    def open(self) -> Evaluator:
        """Connect to Ray, or start it: find the place for the workers now.

        Returns
        -------
        Evaluator
            The same.

        Raises
        ------
        ImportError
            Where Ray is not installed.
        OSError, RuntimeError
            Where no Ray answers (a ConnectionError), or none can be started.
        """
        self.supervisor  # noqa: B018
        return self

    def __enter__(self) -> Evaluator:
        return self.open()

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        count = "" if self.count is None else f", {self.count}"
        return f"<Evaluator {self.kind}{count}>"

    def __getstate__(self):
        """Return what a copy has, in this or another process: all but the workers, of which it
        starts its own.
        """
        if self.pool is not None:
            raise TypeError(
                f"{self!r} can be neither copied nor pickled: its pool belongs to this process, "
                "and to its owner. Make another Evaluator of it"
            )
        state = {**self.__dict__, "_supervisor": None}
        state.pop("_finalizer", None)
        return state


def build_evaluator(spec: Any, **options: Any) -> Evaluator:
    """Return the Evaluator that a specification means.

    Parameters
    ----------
    spec : Evaluator, Mapping, or workers
        What the `workers` of an Evaluator may be; or a mapping {"name": "ray", "count": 8, …}; or
        an Evaluator, which takes no further options.
    **options
        Arguments of Evaluator; None stands for the default.
    """
    options = {key: value for key, value in options.items() if value is not None}
    if isinstance(spec, Evaluator):
        if options:
            raise ValueError(f"the Evaluator has its own {', '.join(options)}: give it there")
        return spec
    if isinstance(spec, Mapping):
        spec = {**spec, **options}
        names = list(inspect.signature(Evaluator).parameters)
        for key in spec:
            if key != "name" and key not in names[1:]:
                raise ValueError(
                    f"workers: unknown key {key!r}{nearest(key, names)}; known: name, "
                    f"{', '.join(names[1:])}"
                )
        return Evaluator(spec.pop("name", "process"), **spec)
    return Evaluator(spec, **options)
