"""lq-CMA-ES of pycma: a linear-quadratic surrogate stands in for most evaluations."""

import numpy as np

from . import load_package


class PycmaLq:
    """cma.fmin_lq_surr2 with its defaults (Hansen 2019).

    One call is one search; the bench restarts it with twice the population and a new model, which
    is what its own `restarts` would do.
    """

    def __init__(self, x0, sigma0, popsize=None, seed=1):
        self.minimiser = load_package("cma").fmin_lq_surr2
        self.x0, self.sigma0, self.popsize = np.array(x0), sigma0, popsize
        self.options = {"verbose": -9, "seed": seed + 1}  # seed 0: the clock
        if popsize is not None:
            self.options["popsize"] = popsize

    def minimise(self, function):
        _, es = self.minimiser(function, self.x0, self.sigma0, self.options)
        self.popsize = es.popsize
