"""pypop7 (GPL, called and never copied): ES and NES for large dimension.

They restart by themselves, with twice the population and a mean that is uniform in [−4, 4]^d like
the starts of all others. Of pypop7's NES only R1NES is here: its XNES and R1NES both ignore the
initial step size that they are given (they set it to 1), so R1NES gets the problem in units of
that step size instead.
"""

import numpy as np

from . import BOX, load_package


class _Pypop7:
    """The options that all of them share."""

    module = name = ""
    unit = 1.0  # of the coordinates that the optimiser sees, in the problem's

    def __init__(self, x0, sigma0, popsize=None, seed=1, budget=10**9):
        self.kind = getattr(load_package(f"pypop7.optimizers.{self.module}", "peers"), self.name)
        self.x0, self.popsize = np.array(x0), popsize
        self.options = {
            "max_function_evaluations": budget + 1,  # the bench ends the run
            "seed_rng": seed,
            "sigma": sigma0,
            "verbose": 0,
        }
        if popsize is not None:
            self.options["n_individuals"] = popsize

    def minimise(self, function):
        box = np.full(len(self.x0), BOX) / self.unit
        problem = {
            "fitness_function": lambda x: function(self.unit * x),
            "ndim_problem": len(self.x0),
            "lower_boundary": -box,
            "upper_boundary": box,
            "initial_lower_boundary": -0.8 * box,
            "initial_upper_boundary": 0.8 * box,
        }
        self.kind(problem, {**self.options, "mean": self.x0 / self.unit}).optimize()


class LmMaEs(_Pypop7):
    """pypop7 LMMAES: limited-memory matrix adaptation (Loshchilov et al. 2019).

    For large d: its rate 2λ/d of the step size is above 1 for d below 25 or so.
    """

    module, name = "es.lmmaes", "LMMAES"


class Mmes(_Pypop7):
    """pypop7 MMES: mixture model ES (He et al. 2021). From d = 4 on: it draws with odds 3.8/d."""

    module, name = "es.mmes", "MMES"

    def __init__(self, x0, sigma0, popsize=None, seed=1, budget=10**9):
        super().__init__(x0, sigma0, popsize, seed, budget)
        if len(x0) < 4:
            raise ValueError(f"pypop7's MMES needs d of 4 or more; got {len(x0)}")


class R1nes(_Pypop7):
    """pypop7 R1NES: rank-one NES (Sun et al. 2013); ignores its sigma, see above."""

    module, name = "nes.r1nes", "R1NES"

    def __init__(self, x0, sigma0, popsize=None, seed=1, budget=10**9):
        super().__init__(x0, sigma0, popsize, seed, budget)
        self.unit = sigma0
        self.options["sigma"] = 1.0
