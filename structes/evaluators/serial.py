"""One worker that is the driver itself: the evaluator that the others must agree with, bit for
bit."""

from __future__ import annotations

from ..arrays.threads import one_thread
from .channel import Channel, Event
from .worker import Runner


class Serial(Channel):
    """Evaluates where it is called. Nothing is pickled, and nobody can end a call that hangs."""

    is_local = True

    def __init__(self):
        super().__init__()
        self.runner, self._events = Runner(one_thread), []

    def capacity(self) -> int:
        return 1

    def start_worker(self):
        self._events.append(Event(self.runner))
        return self.runner

    def put(self, worker, key, thing):
        worker.put(key, thing)

    def drop(self, worker, key):
        worker.drop(key)

    def send(self, worker, call):
        self._events.append(Event(worker, worker.run(call)))

    def poll(self, seconds):
        events, self._events = self._events, []
        return events

    def end_worker(self, worker):
        """It cannot be ended."""

    def close(self):
        self.runner.things.clear()
