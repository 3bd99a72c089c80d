"""One generation with the values that have come of it, and how long it is waited for."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..naming.error_text import brief
from ..strategy.strategy import Strategy
from ..structures.base import Structure
from .answers import Answers
from .generation import Generation

KEPT = 50  # generations for which an untold candidate is waited for
REPLACED = 2  # and for which it is known, where a point of the user's own came in its place


class Entry(NamedTuple):
    """A generation, and what came back of it."""

    generation: Generation
    answers: Answers

    @property
    def waits(self) -> np.ndarray:
        """The indices (k,) of the candidates that are waited for."""
        return np.flatnonzero(self.answers.waits(len(self.generation)))

    @property
    def is_told(self) -> np.ndarray:
        """Which candidates have a value, (n,) bool."""
        return self.answers.is_told(len(self.generation))

    @property
    def n_told(self) -> int:
        """How many candidates have a value."""
        return self.answers.n_told

    @property
    def is_whole(self) -> bool:
        """Whether all have one."""
        return self.answers.n_told == self.generation.count

    def is_over(self, number: int) -> bool:
        """Whether it is not waited for any more when generation `number` begins."""
        age = number - self.generation.number
        return age > KEPT or (age > REPLACED and not len(self.waits))

    def snapshot(self, structure: Structure) -> dict[str, Any]:
        """What `restored` takes, as `Generation.snapshot`."""
        n, answers = len(self.generation), self.answers
        return {
            **self.generation.snapshot(structure),
            "told": self.is_told.copy(),
            "values": answers.values(n).copy(),
            "replaced": ~(answers.waits(n) | self.is_told),
        }

    @classmethod
    def restored(
        cls, tree: dict[str, Any], strategy: Strategy, xp: Any, origin: int, shared: tuple
    ) -> Entry:
        """The Entry of a snapshot; the arguments are as for `Generation.restored`."""
        n = sum(k for k in tree["asked"] if type(k) is int)
        is_told, values = tree["told"], tree["values"]
        for name, column, dtype in (("told", is_told, bool), ("values", values, float)):
            if column.shape != (n,) or column.dtype != dtype:
                raise ValueError(f"{name} has shape {column.shape} for {brief(n)} candidates")
        if (values == -np.inf).any():
            raise ValueError("values must not be -inf")
        answers = Answers()
        if is_told.any():
            indices = np.flatnonzero(is_told)
            answers = answers.told(indices, values[indices], n)
        replaced = tree.get("replaced")  # not in older files
        if replaced is not None and (replaced.shape != (n,) or replaced.dtype != bool):
            raise ValueError(f"replaced has shape {replaced.shape} for {brief(n)} candidates")
        if replaced is not None and replaced.any():
            answers = answers.replaced(np.flatnonzero(replaced), n)
        return cls(Generation.restored(tree, strategy, xp, origin, shared), answers)
