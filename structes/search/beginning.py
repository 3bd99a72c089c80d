"""Where the state of a search comes from: its arguments, or a snapshot."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import checks
from ..arrays.libraries import load_namespace
from ..population.memory import check_population
from ..strategy.auto import Auto
from ..strategy.engine import from_plain
from ..strategy.monitor import Monitor, Rules
from ..strategy.state import MOST, check_shapes
from ..strategy.strategy import Strategy
from ..strategy.uncertainty import build_noise
from ..structures.building import build_structure, known_spec
from . import transitions
from .arguments import Arguments, read_arguments
from .building import arguments_from
from .covariance import with_correlations
from .prior import begin_from
from .state import SearchState

if TYPE_CHECKING:
    from ..space.space import Space
    from .options import StructureSpec


def first_state(arguments: Arguments) -> SearchState:
    """The state of a search that was not asked for anything yet."""
    x0 = arguments.start()
    domain, sigma0 = arguments.domain(x0)
    sigma, scale = checks.scale("sigma0", sigma0, domain.dim)
    popsize = arguments.popsize_for(domain)
    structure, auto = arguments.structure_for(domain), None
    if isinstance(structure, str) and structure == "auto":
        auto = Auto.begin(domain.dim)
        structure = auto.structure
    strategy = Strategy(
        build_structure(structure, domain.dim),
        arguments.engine,
        popsize,
        domain=domain,
        noise=build_noise(arguments.noise, popsize),
        dtype=arguments.dtype,
        on_device=arguments.backend == "cupy",
    )
    u0 = domain.encode(domain.completed(x0)[None, :], "x0")[0, :]
    state = strategy.init(u0, sigma, scale, load_namespace(arguments.backend))
    rules = Rules(arguments.stopping, strategy.structure, popsize, sigma, state.scale, domain)
    correlations = arguments.correlations_of(domain)
    if correlations is not None:
        state = with_correlations(strategy, state, correlations)
        auto = None if auto is None else auto.not_separable()
    if arguments.prior is not None:
        X, values = arguments.prior
        state = begin_from(strategy, state, domain.encode(X, "prior"), values)
    name = secrets.randbits(62)
    return transitions.begin(strategy, state, arguments.seed, Monitor(rules), auto, name)


def restored_state(
    tree: dict[str, Any],
    structure: StructureSpec | None = None,
    space: Space | None = None,
) -> tuple[Arguments, SearchState]:
    """The arguments and the state in a snapshot of an ES.

    Parameters
    ----------
    tree : dict
        What `ES.snapshot` has returned.
    structure, space : optional
        As for `ES.load`.

    Raises
    ------
    ValueError, TypeError, LookupError
        Where the tree does not hold what it should.
    """
    is_auto = bool(tree["auto"])
    arguments = arguments_from(
        "ES",
        structure="auto" if is_auto else structure or known_spec(tree["structure"]),
        seed=tree["seed"],
        popsize=checks.count("popsize", tree["popsize"], 2, MOST),
        engine=from_plain(tree["engine"]),
        **read_arguments(tree["arguments"], space),
    )
    if arguments.popsize is not None:
        check_population(arguments.popsize)
    if not is_auto:  # nothing is allocated before the file is known to hold as much
        arguments = arguments.with_structure()
        check_shapes(arguments.structure, tree["state"])
    state = first_state(arguments).restored(tree, load_namespace(arguments.backend))
    return replace(arguments, prior=None), state
