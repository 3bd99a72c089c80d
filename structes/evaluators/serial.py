"""One worker that is the driver itself: the evaluator that the others must agree with, bit for
bit."""

from __future__ import annotations

from ..arrays.threads import one_thread
from .channel import Event, Transport
from .worker import Desk


class Serial(Transport):
    """Evaluates where it is called. Nothing is pickled, and nobody can end a call that hangs."""

    is_local = True

    def __init__(self):
        super().__init__()
        self.desk, self._events = Desk(one_thread), []

    def capacity(self) -> int:
        return 1

    def hire(self):
        self._events.append(Event(self.desk))
        return self.desk

    def give(self, worker, key, thing):
        worker.take(key, thing)

    def take_away(self, worker, key):
        worker.drop(key)

    def send(self, worker, call):
        self._events.append(Event(worker, worker.run(call)))

    def poll(self, seconds):
        events, self._events = self._events, []
        return events

    def dismiss(self, worker):
        """It cannot be ended."""

    def close(self):
        self.desk.things.clear()
