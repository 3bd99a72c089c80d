"""Adapters: every optimiser in the bench answers to the same four words.

    Search(x0, sigma0, popsize, seed)     popsize None: the optimiser's own default
    .ask() -> (n, d) array                .tell(X, values)
    .stop() -> bool                       .popsize

A peer is used as its own documentation says, with its own defaults.
"""
