"""Adapters: every optimiser in the bench answers to the same few words, in one of two ways.

    Search(x0, sigma0, popsize, seed)     popsize None: the optimiser's own default

Ask and tell, restarted by the bench with twice the population when it stops (IPOP):

    .ask() -> (n, d) array                .tell(X, values)
    .stop() -> bool                       .popsize

Driven by the function, for an optimiser that wants to call it:

    .minimise(function)                   function of one point (d,), returns a float
    .popsize                              None where there is none to double

The bench ends `minimise` from inside the function, by an exception, when the budget is spent or
the last target is reached. Restarts are the optimiser's own as long as `minimise` runs; when it
returns before that, the bench starts it anew. The constructor may also take `budget`, the
evaluations that are left, `bounds`, d pairs or None, and `integers`, indices or None; sigma0 is
then one number for each coordinate where the widths differ. Who takes none is told none.

A peer is used as its own documentation says, with its own defaults. Where one needs a box it is
[−5, 5]^d, which holds the optima of all BBOB functions.
"""

import importlib
from importlib import metadata

import numpy as np

BOX = 5.0  # half the width of the box


def load_package(name: str, extra: str = "bench"):
    """The peer's package, or an ImportError with the line that installs it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise ImportError(
            f"{package} is not installed: pip install 'structes[{extra}]'"
        ) from error


def refuse_numpy(package: str, last: str, numpy: tuple = (2, 4)) -> None:
    """Raises ImportError where `package`, up to its version `last`, fails with this numpy.

    numpy   (major, minor) of the first one that it fails with
    """

    def order(version):
        return tuple(int(part) for part in version.split(".")[:3])

    version = metadata.version(package)
    if order(np.__version__)[:2] >= numpy and order(version) <= order(last):
        bound = ".".join(map(str, numpy))
        raise ImportError(
            f"{package} {version} fails with numpy {np.__version__}: pip install 'numpy<{bound}'"
        )
