"""structes itself, through its public interface."""

from ...search.es import ES


class Structes:
    """structes.ES; `structure` is any specification that ES takes."""

    def __init__(
        self,
        x0,
        sigma0,
        popsize=None,
        seed=1,
        structure="dense",
        bounds=None,
        integers=None,
        **options,
    ):
        options |= {"bounds": bounds, "integers": integers}
        self.es = ES(x0, sigma0, structure, seed, popsize, **options)
        self.popsize = self.es.popsize

    def ask(self):
        return self.es.ask()

    def tell(self, X, values):
        self.es.tell(X, values)

    def stop(self):
        return bool(self.es.stop())
