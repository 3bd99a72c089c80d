"""cmaes (CyberAgent): CMA, SepCMA and XNES."""

import numpy as np

from . import load_package


class Cmaes:
    """cmaes.CMA with its defaults."""

    kind = "CMA"

    def __init__(self, x0, sigma0, popsize=None, seed=1):
        cmaes = load_package("cmaes")

        self.es = getattr(cmaes, self.kind)(
            mean=np.array(x0), sigma=sigma0, seed=seed, population_size=popsize
        )
        self.popsize = self.es.population_size

    def ask(self):
        return np.array([self.es.ask() for _ in range(self.popsize)])

    def tell(self, X, values):
        self.es.tell(list(zip(X, (float(v) for v in values), strict=True)))

    def stop(self):
        return self.es.should_stop()


class CmaesSep(Cmaes):
    """cmaes.SepCMA: independent coordinates."""

    kind = "SepCMA"


class CmaesXnes(Cmaes):
    """cmaes.XNES: the exponential natural evolution strategy."""

    kind = "XNES"
