"""SciPy's global optimisers. Both work in the box [−5, 5]^d."""

import numpy as np

from . import BOX, load_package

FOREVER = 10**9  # iterations: the bench ends the run


class DifferentialEvolution:
    """scipy.optimize.differential_evolution with its defaults (best1bin, L-BFGS-B polish).

    Its convergence test compares the spread of the values with their mean, which means nothing
    where the minimum is not 0. So `tol` is 0 and `atol` is 1e-9: it ends, and is started anew,
    when the spread is below the last target. The start is a member of the first population.
    """

    popsize = None

    def __init__(self, x0, sigma0, popsize=None, seed=1):
        self.x0, self.seed = np.array(x0), seed
        self.solve = load_package("scipy.optimize").differential_evolution

    def minimise(self, function):
        self.solve(
            function,
            [(-BOX, BOX)] * len(self.x0),
            x0=self.x0,
            rng=self.seed,
            maxiter=FOREVER,
            tol=0,
            atol=1e-9,
        )


class DualAnnealing:
    """scipy.optimize.dual_annealing with its defaults; it anneals anew by itself."""

    popsize = None

    def __init__(self, x0, sigma0, popsize=None, seed=1):
        self.x0, self.seed = np.array(x0), seed
        self.solve = load_package("scipy.optimize").dual_annealing

    def minimise(self, function):
        self.solve(
            function,
            [(-BOX, BOX)] * len(self.x0),
            x0=self.x0,
            rng=self.seed,
            maxiter=FOREVER,
            maxfun=FOREVER,
        )
