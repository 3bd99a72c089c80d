"""A search with restarts or without, where it does not matter which: both are told alike.

These functions are for code that makes, restores or reports any search that is asked and told
(`minimize`, experiments, the recorder).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..strategy.restarts import Plan, Run
from .arguments import Arguments
from .es import ES
from .later_runs import row_of
from .restart_es import RestartES

if TYPE_CHECKING:
    from ..space.space import Space
    from .options import StructureSpec


def search_of(arguments: Arguments, restarts: Any = None) -> ES | RestartES:
    """The search of Arguments: an ES, or with `restarts` a RestartES."""
    return ES.of(arguments) if restarts is None else RestartES.of(arguments, restarts)


def restored(
    kind: str,
    tree: dict[str, Any],
    structure: StructureSpec | None = None,
    space: Space | None = None,
) -> ES | RestartES:
    """The ES or RestartES (`kind`) of a snapshot; `structure` and `space` are as for `ES.load`."""
    if kind == ES.KIND:
        return ES.restored(tree, structure, space)
    return RestartES.restored(tree, structure, space=space)


def runs_of(es: ES | RestartES) -> tuple[Run, ...]:
    """A row for each run of a search, the present one last; an ES is one run."""
    if isinstance(es, RestartES):
        return es.runs
    return (row_of(es, Plan("first", es.popsize), 0, 0, es.stop()),)
