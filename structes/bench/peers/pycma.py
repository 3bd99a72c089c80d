"""pycma (package `cma`): full and separable CMA-ES."""

import numpy as np


class Pycma:
    """cma.CMAEvolutionStrategy with its defaults (active CMA, CSA)."""

    options = {}

    def __init__(self, x0, sigma0, popsize=None, seed=1):
        import cma

        options = {"verbose": -9, "seed": seed + 1, **self.options}  # its seed 0 means the clock
        if popsize is not None:
            options["popsize"] = popsize
        self.es = cma.CMAEvolutionStrategy(np.array(x0), sigma0, options)
        self.popsize = self.es.popsize

    def ask(self):
        return np.array(self.es.ask())

    def tell(self, X, values):
        self.es.tell(list(X), list(values))

    def stop(self):
        return bool(self.es.stop())


class PycmaSep(Pycma):
    """The same with CMA_diagonal: independent coordinates."""

    options = {"CMA_diagonal": True}
