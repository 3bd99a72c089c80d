"""Functions of the user's that go along where a search is pickled.

Pickle knows functions by their names, and lambdas and functions within functions have none that
can be imported. These go by value, as they go to workers (cloudpickle).
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any


class _ByValue:
    """A function that is itself again when it is unpickled."""

    def __init__(self, function: Callable[..., Any]):
        self.function = function

    def __reduce__(self):
        import cloudpickle  # here, not above: few searches need it

        return cloudpickle.loads, (cloudpickle.dumps(self.function),)


def portable(value: Any) -> Any:
    """What is pickled in the place of `value`: it, unless it is a function without a name."""
    if not callable(value):
        return value
    try:
        pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError):
        return _ByValue(value)
    return value


def unpacked(value: Any) -> Any:
    """The value of which `portable` has made this, where it was copied and not pickled."""
    return value.function if isinstance(value, _ByValue) else value
