"""pycma (package `cma`): full, separable and VkD CMA-ES."""

import numpy as np

from . import load_package


class Pycma:
    """cma.CMAEvolutionStrategy with its defaults (active CMA, CSA).

    Bounds are kept by its BoundTransform; integers by lower bounds of their standard deviations
    and centering (Marty et al. 2024). Its cells of the outermost integers are whole where bounds
    lie half a step outside.
    """

    def __init__(self, x0, sigma0, popsize=None, seed=1, bounds=None, integers=None, half=0.5):
        cma = load_package("cma")

        options = {"verbose": -9, "seed": seed + 1, **self._options()}  # seed 0: the clock
        if popsize is not None:
            options["popsize"] = popsize
        if bounds is not None:
            lower, upper = np.array(bounds).T
            lower[integers or []] -= half
            upper[integers or []] += half
            options["bounds"] = [lower, upper]
        if integers is not None:
            options["integer_variables"] = list(integers)
        if np.ndim(sigma0):
            overall = float(np.exp(np.mean(np.log(sigma0))))
            sigma0, options["CMA_stds"] = overall, sigma0 / overall
        self.es = cma.CMAEvolutionStrategy(np.array(x0), sigma0, options)
        self.popsize = self.es.popsize

    def _options(self):
        return {}

    def ask(self):
        return np.array(self.es.ask())

    def tell(self, X, values):
        self.es.tell(list(X), list(values))

    def stop(self):
        return bool(self.es.stop())


class PycmaSep(Pycma):
    """The same with CMA_diagonal: independent coordinates."""

    def _options(self):
        return {"CMA_diagonal": True}


class PycmaVkd(Pycma):
    """VkD-CMA: diagonal and k vectors, k adapted (Akimoto & Hansen 2016)."""

    def _options(self):
        from cma.restricted_gaussian_sampler import GaussVkDSampler

        return GaussVkDSampler.extend_cma_options()
