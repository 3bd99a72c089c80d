"""Random search: what every other solver has to beat."""

import numpy as np

from ...arrays import noise
from . import BOX


class RandomSearch:
    """Points that are uniform in [−5, 5]^d."""

    def __init__(self, x0, sigma0, popsize=None, seed=1):
        self.dim, self.seed, self.generation = len(x0), seed, 0
        self.popsize = popsize or 100

    def ask(self):
        u = noise.uniforms(self.seed, noise.CANDIDATES, self.generation, 0, self.popsize, self.dim)
        return np.array(2 * BOX * u - BOX)

    def tell(self, X, values):
        self.generation += 1

    def stop(self):
        return False
