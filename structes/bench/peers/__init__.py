"""Adapters: every optimiser in the bench answers to the same four words.

    Search(x0, sigma0, popsize, seed)     popsize None: the optimiser's own default
    .ask() -> (n, d) array                .tell(X, values)
    .stop() -> bool                       .popsize

A peer is used as its own documentation says, with its own defaults.
"""

import importlib


def load_package(name: str):
    """The peer's package, or an ImportError with the line that installs it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"{name} is not installed: pip install 'structes[bench]'") from error
