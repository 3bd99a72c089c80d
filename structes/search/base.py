"""What `ES`, `RestartES` and `ShardedES` are built of, so that each of them is what differs.

A `BaseSearch` has `Arguments`, an age, a lock, a memory of the warnings that were given, and a
file. A subclass says in which kind of file it is kept (`KIND`), what a snapshot of it is, and how
it goes on under other stopping criteria.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar

from .. import checks
from ..files import checkpoint
from ..space.space import Space
from ..strategy.stopping import Stopping
from ..terminal import output
from .arguments import Arguments

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .options import Criteria


class BaseSearch(ABC):
    """A search: what it was given, how old it is, and the file that it is kept in."""

    KIND: ClassVar[str]  # what its files say that they hold

    arguments: Arguments
    ended_at: float | None = None  # age when `minimize` ended: until it goes on, none is counted

    def _prepare(self, arguments: Arguments) -> None:
        """Set what every search has; its age begins now."""
        self.arguments = arguments
        self._warned: set[str] = set()
        self._lock = threading.RLock()
        self._start = time.monotonic()

    # -- what it was given ------------------------------------------------------------------------

    @property
    def seed(self) -> int:
        """The seed: the same one gives the same bits."""
        return self.arguments.seed

    @property
    def space(self) -> Space | None:
        """The Space of the parameters, where the search has one."""
        return self.arguments.space

    @property
    def stopping(self) -> Stopping:
        """The stopping criteria of the whole search."""
        return self.arguments.stopping

    # -- its age ----------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """The age of the search in seconds; a loaded one goes on from that of its file."""
        return time.monotonic() - self._start

    def _idle(self) -> float:
        """The seconds since `minimize` has ended, in which nothing was searched."""
        return 0.0 if self.ended_at is None else self.seconds - self.ended_at

    def rest(self, seconds: float) -> None:
        """Let so many seconds not count, in which nothing was searched."""
        self._start += seconds

    def count_from(self, moment: float) -> None:
        """Let the age count from a moment (of time.monotonic)."""
        self._start = moment

    # -- what a subclass says ---------------------------------------------------------------------

    @abstractmethod
    def check(self) -> None:
        """Raise ValueError where nobody could go on with the search."""

    @abstractmethod
    def snapshot(self) -> dict[str, Any]:
        """All of the search in plain values and arrays, as a checkpoint holds it."""

    @abstractmethod
    def go_under(self, stopping: Stopping, reasons: Mapping[str, Any] | None = None) -> None:
        """Go on under these stopping criteria.

        Parameters
        ----------
        stopping : Stopping
            The criteria, with the target of a minimisation.
        reasons : mapping, optional
            The reasons to stop that stay, of those that have fired.
        """

    # -- going on ---------------------------------------------------------------------------------

    def extend(self, **criteria: Unpack[Criteria]) -> None:
        """Go on after a stop: with a larger budget, or under other criteria.

        What has fired is forgotten. A budget that is still spent, or a target that is reached,
        fires again at once; what tells convergence after the next generation.

        Parameters
        ----------
        **criteria
            Fields of `structes.Stopping`; those that are not named stay. Budgets and target are
            those of the whole search.

        Raises
        ------
        TypeError, ValueError
            For what does not fit; nothing has changed then.
        """
        self.go_under(self.arguments.with_stopping("extend", **criteria).stopping)

    # -- files ------------------------------------------------------------------------------------

    def save(self, path: str | PathLike[str]) -> None:
        """Write all of the search into one file, whole or not at all.

        The file holds its state, the candidates that are out, and the values that were not used
        yet. The search that `load` makes of it goes on to the same bits. Nothing in the file is
        code: a structure of your own class has to be given to `load` again, and so has a Space
        with options or constants that are functions or objects.

        Parameters
        ----------
        path : str or path
            The file; one that is there is replaced.

        Raises
        ------
        OSError
            Where the file cannot be written.
        ValueError
            Where nobody could go on with the search: its numbers have overflowed, or a state was
            assigned that is none. The file is then as it was.
        """
        self.check()
        checkpoint.write(path, self.KIND, self.snapshot())

    @classmethod
    @contextmanager
    def _opened(cls, path: str | PathLike[str]) -> Iterator[dict[str, Any]]:
        """The snapshot in a file; what is wrong with it within the context is one ValueError."""
        kind, tree = checkpoint.read(path)
        if kind != cls.KIND:
            raise ValueError(
                f"{str(path)!r} holds a {kind:.40}: structes.{kind:.40}.load reads it"
            )
        with checkpoint.restoring(path, cls.KIND):
            yield tree

    def _restore_age(self, seconds: Any) -> None:
        """Let the search be as old as a file says."""
        self._start = time.monotonic() - checks.seconds("seconds", seconds)

    # -- copies -----------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            attributes = {k: v for k, v in vars(self).items() if k not in ("_lock", "_start")}
        return {**attributes, "_warned": set(self._warned), "seconds": self.seconds}

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        attributes = dict(attributes)
        self._start = time.monotonic() - attributes.pop("seconds")
        self._lock = threading.RLock()
        vars(self).update(attributes)

    # -- warnings ---------------------------------------------------------------------------------

    def _warn(self, notices: Iterable[str], stacklevel: int = 3) -> None:
        """Give warnings, each once in a search; what stands before a colon says which it is."""
        for message in notices:
            topic = message.split(":")[0]
            if topic not in self._warned:
                self._warned.add(topic)
                output.warn(message, stacklevel=stacklevel)
