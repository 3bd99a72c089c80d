"""Replicas in this process, for one device, and for tests of what many would do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .job import Job
from .replica import Replica


class LocalReplicas:
    """Replicas in this process, which work one after the other.

    `structes.sharded.actors.Actors` has the same methods.

    Parameters
    ----------
    job : Job
        What they have in common.
    count : int
        How many.
    """

    def __init__(self, job: Job, count: int):
        self.job, self.count = job, count
        self.replicas: dict[int, Replica] = {}

    def start(
        self, numbers: Iterable[int], begin: Any, seconds: float | None = None
    ) -> dict[int, str]:
        """Start replicas with these numbers, in place of those that there are.

        Parameters
        ----------
        numbers : iterable of int
            Which.
        begin : Start or snapshot
            Where they begin.
        seconds : float, optional
            Until those that are not there are given up.

        Returns
        -------
        dict
            {number: why it could not be started}.
        """
        for k in numbers:
            self.replicas[k] = Replica(self.job, begin)
        return {}

    def call(
        self,
        method: str,
        arguments: dict[int, tuple],
        seconds: float | None = None,
        keep: bool = False,
    ) -> tuple[dict[int, Any], dict[int, str]]:
        """Call a method of replicas, all at once where that can be.

        Parameters
        ----------
        method : str
            Its name.
        arguments : dict
            {number: tuple of arguments}.
        seconds : float, optional
            Until those that have not answered are given up; None: for ever.
        keep : bool
            Whether the answers stay where they are, so that what is returned stands for them in
            the arguments of other calls.

        Returns
        -------
        answers : dict
            {number: answer}.
        lost : dict
            {number: why there is none}; these replicas are gone.
        """
        replicas = self.replicas
        answers = {k: getattr(replicas[k], method)(*parts) for k, parts in arguments.items()}
        return answers, {}

    def close(self) -> None:
        """End the replicas."""
        self.replicas.clear()
