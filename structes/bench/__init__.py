"""The bench: structes beside its peers, on the same problems, in the same run.

    bbob.py       evaluations to reach targets on COCO's suites, one row a run
    compare.py    the paired ratio, ERT and solved shares of those rows
    report.py     the comparison in words: by dimension, group and function
    figures.py    the comparison in pictures: ECDF and ERT against dimension
    coco.py       COCO's own data format beside the rows, for cocopp
    ablation.py   the default beside each of its switches
    reference.py  results that are kept, and README's tables made from them
    overhead.py   seconds a generation beside the peers and beside the floor
    scaling.py    seconds and memory against the dimension, for every structure
    families.py   evaluations on objectives that a structure fits, and on one that it does not
    behaviour/    what optimisers do with late values, NaN, bounds, …: a table, every cell run
    rounding.py   how well candidates are recognised that come back rounded
    noise.py      the true value at the mean where values are noisy
    tasks.py      many runs in several processes, recorded as they end
    solvers.py    names such as structes-dense@popsize=20
    peers/        small adapters, named in the table below
    results/      the runs behind README's tables, with command, date and versions

A claim about speed in this project is a line that one of these commands prints.
"""

from ..registry import Registry
from ..whose import description_of


class _Peers(Registry):
    """The table of peers. A user's own is a class that answers to what peers/ says."""

    def check(self, name, target):
        words = ("ask", "tell"), ("minimise",)
        answers = any(all(hasattr(target, word) for word in some) for some in words)
        if not (isinstance(target, type) and answers):
            raise TypeError(
                "peer must be a class with ask and tell, or with minimise; "
                f"{name!r} is {description_of(target)}"
            )


PEERS = _Peers(
    "peer",
    {
        "structes": "structes.bench.peers.ours:Structes",
        "pycma": "structes.bench.peers.pycma:Pycma",
        "pycma-sep": "structes.bench.peers.pycma:PycmaSep",
        "pycma-vkd": "structes.bench.peers.pycma:PycmaVkd",
        "pycma-lq": "structes.bench.peers.pycma_lq:PycmaLq",
        "cmaes": "structes.bench.peers.cmaes:Cmaes",
        "cmaes-sep": "structes.bench.peers.cmaes:CmaesSep",
        "cmaes-wm": "structes.bench.peers.cmaes:CmaesWithMargin",
        "cmaes-xnes": "structes.bench.peers.cmaes:CmaesXnes",
        "cmaes-dxnesic": "structes.bench.peers.cmaes:CmaesDxnesIc",
        "pypop7-lmmaes": "structes.bench.peers.pypop7:LmMaEs",
        "pypop7-mmes": "structes.bench.peers.pypop7:Mmes",
        "pypop7-r1nes": "structes.bench.peers.pypop7:R1nes",
        "nevergrad": "structes.bench.peers.nevergrad:NgIohTuned",
        "scipy-de": "structes.bench.peers.scipy:DifferentialEvolution",
        "scipy-da": "structes.bench.peers.scipy:DualAnnealing",
        "random": "structes.bench.peers.random:RandomSearch",
    },
)
