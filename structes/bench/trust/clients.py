"""The same few words for every optimiser whose behaviour is compared, as near to it as can be.

Nothing is mended here: what a user hands in reaches the optimiser as it is, no copies are made of
it, and every exception comes out. Where an optimiser has no word of its own (a file for the whole
search, say) the client does what its documentation recommends.

    native(seed, popsize, bounds) -> dict   the optimiser's own options
    Client(x0, sigma0, options)             the optimiser, made from these very objects
    ask() -> the candidates                 as the optimiser gives them: list or array, `popsize`
    tell(X, values)                         `give(*arguments(X, values))`: the form that it wants
    mean, spread, state()                   (d,); mean standard deviation; all numbers of the
                                            search distribution in one vector
    save(path), load(path)                  the search and the candidates that are out
"""

import pickle
from pathlib import Path

import numpy as np

from ...naming.registry import Registry
from ..peers import load_package, refuse_numpy

CLIENTS = Registry(
    "solver",
    {
        "structes": "structes.bench.trust.clients:Structes",
        "pycma": "structes.bench.trust.clients:Pycma",
        "cmaes": "structes.bench.trust.clients:Cmaes",
        "nevergrad": "structes.bench.trust.clients:Nevergrad",
    },
)


class Client:
    """What all of them share: an optimiser in `es`, saved by pickle."""

    @classmethod
    def check(cls) -> None:
        """Raises ImportError, in words, where the optimiser cannot be run."""

    def ask(self):
        return self.es.ask()

    def arguments(self, X, values) -> tuple:
        """What the optimiser's own `tell` is given."""
        return X, values

    def give(self, *arguments):
        self.es.tell(*arguments)

    def tell(self, X, values):
        self.give(*self.arguments(X, values))

    def state(self):
        return np.concatenate([np.ravel(np.asarray(part, dtype=float)) for part in self._parts()])

    def save(self, path):
        Path(path).write_bytes(pickle.dumps(self.es))

    @classmethod
    def load(cls, path):
        client = cls.__new__(cls)
        client.es = pickle.loads(Path(path).read_bytes())
        return client


class Structes(Client):
    """structes.ES."""

    @staticmethod
    def native(seed, popsize, bounds):
        options = {"seed": seed, "popsize": popsize}
        return options if bounds is None else {**options, "bounds": bounds}

    def __init__(self, x0, sigma0, options):
        from ...search.es import ES

        self.es = ES(x0, sigma0, **options)

    @property
    def mean(self):
        return np.asarray(self.es.state.mean)

    @property
    def spread(self):
        return float(np.mean(np.asarray(self.es.deviations)))

    def _parts(self):
        state = self.es.state
        return self.mean, state.sigma, self.es.structure.to_dense(state.factor), state.scale

    def save(self, path):
        self.es.save(path)

    @classmethod
    def load(cls, path):
        from ...search.es import ES

        client = cls.__new__(cls)
        client.es = ES.load(path)
        return client


class Pycma(Client):
    """cma.CMAEvolutionStrategy."""

    @classmethod
    def check(cls):
        load_package("cma")

    @staticmethod
    def native(seed, popsize, bounds):
        options = {"verbose": -9, "seed": seed, "popsize": popsize}
        if bounds is not None:
            options["bounds"] = [list(side) for side in zip(*bounds, strict=True)]
        return options

    def __init__(self, x0, sigma0, options):
        self.es = load_package("cma").CMAEvolutionStrategy(x0, sigma0, options)

    @property
    def mean(self):
        return np.array(self.es.mean)

    @property
    def spread(self):
        return float(np.mean(self.es.sigma * self.es.sigma_vec * np.sqrt(np.diag(self.es.C))))

    def _parts(self):
        return self.es.mean, self.es.sigma, self.es.sigma_vec * np.ones(self.es.N), self.es.C

    def save(self, path):
        Path(path).write_bytes(self.es.pickle_dumps())


class Cmaes(Client):
    """cmaes.CMA; it asks for one candidate at a time and tells pairs."""

    @classmethod
    def check(cls):
        load_package("cmaes")

    @staticmethod
    def native(seed, popsize, bounds):
        options = {"seed": seed, "population_size": popsize}
        return options if bounds is None else {**options, "bounds": np.array(bounds)}

    def __init__(self, x0, sigma0, options):
        self.es = load_package("cmaes").CMA(mean=x0, sigma=sigma0, **options)

    def ask(self):
        return [self.es.ask() for _ in range(self.es.population_size)]

    def arguments(self, X, values):
        return (list(zip(X, values, strict=True)),)

    @property
    def mean(self):
        return np.array(self.es.mean)

    @property
    def spread(self):
        return float(np.mean(self.es._sigma * np.sqrt(np.diag(self.es._C))))

    def _parts(self):
        return self.es.mean, self.es._sigma, self.es._C


class Nevergrad(Client):
    """nevergrad's ParametrizedCMA; it asks and tells one candidate, an object, at a time.

    num_workers is the population, which is at least that; to ask twice is more than it promises.
    Mean and spread are those of pycma inside it, in the coordinates that it has there.
    """

    @classmethod
    def check(cls):
        load_package("nevergrad", "peers")
        refuse_numpy("nevergrad", last="1.0.12")  # floats of arrays with one element

    @staticmethod
    def native(seed, popsize, bounds):
        return {"seed": seed, "popsize": popsize, "bounds": bounds}

    def __init__(self, x0, sigma0, options):
        nevergrad = load_package("nevergrad", "peers")
        point = nevergrad.p.Array(init=x0)
        if options["bounds"] is not None:
            point.set_bounds(*(list(side) for side in zip(*options["bounds"], strict=True)))
        point.random_state.seed(options["seed"])
        kind = nevergrad.optimizers.ParametrizedCMA(popsize=options["popsize"], scale=sigma0)
        popsize = options["popsize"]
        self.es = kind(point, budget=10**6, num_workers=popsize), popsize, {}

    def ask(self):
        optimizer, popsize, out = self.es
        X = [optimizer.ask() for _ in range(popsize)]
        out.update((x.value.tobytes(), x) for x in X)
        return [x.value for x in X]

    def give(self, X, values):
        optimizer, _, out = self.es
        for x, value in zip(X, values, strict=True):
            optimizer.tell(out[np.asarray(x).tobytes()], value)

    @property
    def _cma(self):
        return self.es[0].es  # a property that begins a new search where the last has stopped

    @property
    def mean(self):
        return np.array(self._cma.mean)

    @property
    def spread(self):
        return float(np.mean(self._cma.sigma * np.sqrt(np.diag(self._cma.C))))

    def _parts(self):
        return self._cma.mean, self._cma.sigma, self._cma.C
