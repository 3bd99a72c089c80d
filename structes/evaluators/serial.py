"""One worker that is the driver itself: the evaluator that the others must agree with, bit for
bit."""

from __future__ import annotations

from typing import Any

from ..arrays.threads import one_thread
from .channel import Channel, Event
from .worker import Call, Runner


class Serial(Channel):
    """Evaluates where it is called. Nothing is pickled, and nobody can end a call that hangs."""

    is_local = True

    def __init__(self):
        super().__init__()
        self.runner, self._events = Runner(one_thread), []

    def capacity(self) -> int:
        return 1

    def start_worker(self) -> Any:
        self._events.append(Event(self.runner))
        return self.runner

    def put(self, worker: Any, key: Any, thing: Any) -> None:
        worker.put(key, thing)

    def drop(self, worker: Any, key: Any) -> None:
        worker.drop(key)

    def send(self, worker: Any, call: Call) -> None:
        self._events.append(Event(worker, worker.run(call)))

    def poll(self, seconds: float) -> list[Event]:
        events, self._events = self._events, []
        return events

    def end_worker(self, worker: Any) -> None:
        """Do nothing: the driver cannot be ended."""

    def close(self) -> None:
        self.runner.things.clear()
