"""cmaes (CyberAgent): CMA, SepCMA, XNES and DX-NES-IC.

Its SepCMA writes into the mean that it is given, so it gets a copy.
"""

import numpy as np

from . import load_package, refuse_numpy


class Cmaes:
    """cmaes.CMA with its defaults; in a box it samples anew, at last it clips."""

    kind = "CMA"

    def __init__(self, x0, sigma0, popsize=None, seed=1, bounds=None, **options):
        cmaes = load_package("cmaes")

        if bounds is not None:
            options["bounds"] = np.array(bounds)
        if np.ndim(sigma0):
            overall = float(np.exp(np.mean(np.log(sigma0))))
            sigma0, options["cov"] = overall, np.diag((sigma0 / overall) ** 2)
        self.es = getattr(cmaes, self.kind)(
            mean=np.array(x0), sigma=sigma0, seed=seed, population_size=popsize, **options
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


class CmaesWithMargin(Cmaes):
    """cmaes.CMAwM: CMA-ES with margin for integers (Hamano et al. 2022); without, it is CMA."""

    kind = "CMAwM"

    def __init__(self, x0, sigma0, popsize=None, seed=1, bounds=None, integers=None):
        if bounds is None:
            bounds = [(-np.inf, np.inf)] * len(x0)
        steps = np.zeros(len(x0))
        steps[integers or []] = 1.0
        super().__init__(x0, sigma0, popsize, seed, bounds, steps=steps)

    def ask(self):
        X, self._drawn = zip(*(self.es.ask() for _ in range(self.popsize)), strict=True)
        return np.array(X)

    def tell(self, X, values):
        super().tell(self._drawn, values)


class CmaesXnes(Cmaes):
    """cmaes.XNES: the exponential natural evolution strategy."""

    kind = "XNES"


class CmaesDxnesIc(Cmaes):
    """cmaes.DXNESIC: NES with distance weights and phases (Nomura et al. 2021).

    Version 0.13.1 fails with numpy 2.4 and newer; the extra `peers` keeps numpy below. It also
    forgets the factor γ of its expansion after each generation, which the paper accumulates.
    """

    kind = "DXNESIC"

    def __init__(self, x0, sigma0, popsize=None, seed=1):
        load_package("cmaes")
        refuse_numpy("cmaes", last="0.13.1")  # floats of arrays with one element
        super().__init__(x0, sigma0, popsize, seed)
