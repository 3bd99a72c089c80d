"""nevergrad: its portfolio NgIohTuned, which chooses an optimiser by dimension and budget."""

import numpy as np

from . import BOX, load_package, refuse_numpy


class NgIohTuned:
    """nevergrad NgIohTuned in the box [−5, 5]^d, told the budget, one point at a time.

    It has no restarts of its own but what it chooses inside, and gets none: its budget is the
    whole one. Version 1.0.12 fails with numpy 2.4 and newer; the extra `peers` keeps numpy below.
    """

    popsize = None

    def __init__(self, x0, sigma0, popsize=None, seed=1, budget=10**4):
        nevergrad = load_package("nevergrad", "peers")

        refuse_numpy("nevergrad", last="1.0.12")  # floats of arrays with one element
        point = nevergrad.p.Array(init=np.array(x0)).set_bounds(-BOX, BOX)
        point.random_state.seed(seed)
        self.optimizer = nevergrad.optimizers.registry["NgIohTuned"](point, budget, num_workers=1)

    def minimise(self, function):
        self.optimizer.minimize(function)
