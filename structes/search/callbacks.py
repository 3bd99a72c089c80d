"""What `minimize` calls after every generation and every tell."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..naming.error_text import brief
from .outcome import intermediate_result


class Callback:
    """The function to call after every generation: the progress, then the user's callback.

    Parameters
    ----------
    report : callable
        It shows the progress; it takes the search.
    callback : callable or None
        The user's: it takes the search, or as in SciPy an argument `intermediate_result`.

    Raises
    ------
    TypeError
        Where the callback does not take one argument.
    """

    def __init__(self, report: Callable[[Any], Any], callback: Callable[..., Any] | None):
        self.report, self.callback = report, callback
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable; got {brief(callback)}")
        self.takes_result = callback is not None and _takes_result(callback)

    def __call__(self, es: Any) -> Any:
        """Call both with the search: the answer of the callback."""
        self.report(es)
        if self.callback is None:
            return None
        if self.takes_result:
            return self.callback(intermediate_result=intermediate_result(es))
        return self.callback(es)


def _takes_result(callback) -> bool:
    """Whether a callback is one of SciPy's; TypeError where it does not take one argument."""
    try:
        parameters = inspect.signature(callback).parameters.values()
    except (TypeError, ValueError):  # a function of C
        return False
    required = [p for p in parameters if p.default is p.empty and p.kind not in (2, 4)]
    if len(required) > 1:
        names = ", ".join(p.name for p in required)
        raise TypeError(f"callback must take one argument, the ES; it takes {names}")
    return any(p.name == "intermediate_result" for p in parameters)


def check_that_values_come(evaluate: Any) -> Callable[[Any], None]:
    """The function to call after every tell, so that one that only raises is not called for ever.

    It raises the first error of `evaluate` where a whole generation of evaluations, the first, has
    given no value.
    """

    def check(es):
        is_broken = evaluate.errors >= es.popsize and evaluate.errors == es.evaluations
        if is_broken and es.best.x is None:
            raise evaluate.first

    return check
