"""SciPy's global optimisers. Both work in the box [−5, 5]^d."""

import numpy as np

from . import BOX, load_package

FOREVER = 10**9  # iterations: the bench ends the run


class _InTheBox:
    """What the two share."""

    name = ""
    options = {}
    popsize = None

    def __init__(self, x0, sigma0, popsize=None, seed=1):
        self.x0, self.seed = np.array(x0), seed
        self.solve = getattr(load_package("scipy.optimize"), self.name)

    def minimise(self, function):
        box = [(-BOX, BOX)] * len(self.x0)
        self.solve(function, box, x0=self.x0, rng=self.seed, maxiter=FOREVER, **self.options)


class DifferentialEvolution(_InTheBox):
    """scipy.optimize.differential_evolution with its defaults (best1bin, L-BFGS-B polish).

    Its convergence test compares the spread of the values with their mean, which means nothing
    where the minimum is not 0. So `tol` is 0 and `atol` is 1e-9: it ends, and is started anew,
    when the spread is below the last target. The start is a member of the first population.
    """

    name, options = "differential_evolution", {"tol": 0, "atol": 1e-9}


class DualAnnealing(_InTheBox):
    """scipy.optimize.dual_annealing with its defaults; it anneals anew by itself."""

    name, options = "dual_annealing", {"maxfun": FOREVER}
