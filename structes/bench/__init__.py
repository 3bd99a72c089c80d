"""The bench: structes beside its peers, on the same problems, in the same run.

    evaluations/  how many evaluations a search needs
        bbob.py       to reach targets on COCO's suites, one row a run; coco.py: its data format
        compare.py    the paired ratio, ERT and solved shares of those rows
        report.py     the comparison in words; figures.py: in pictures
        ablation.py   the default beside each of its switches
        families.py   on objectives that a structure fits, and on one that it does not
        noise.py      the true value at the mean where values are noisy
        steady.py     and simulated seconds, where workers never wait
        rounding.py   how well candidates are recognised that come back rounded
    seconds/      how long a generation takes
        overhead.py   beside the peers and beside the floor
        scaling.py    and how much memory, against the dimension, for every structure
        throughput.py with workers, beside other schedulers; calls.py: what a call costs
        gpu.py        on a device.py, beside its floor
    trust/        what optimisers do with late values, NaN, bounds, …: a table, every cell run
    peers/        small adapters, named in the table below
    results/      the runs behind README's tables, with command, date and versions
    solvers.py    names such as structes-dense@popsize=20
    tasks.py      many runs in several processes, recorded as they end
    measuring.py  turns, timed regions, processes of their own
    tables.py     tables of texts; kept.py: README's tables, made from results/
    provenance.py how a result was made
    shell.py      what the commands share; cli.py: all of them

A claim about speed in this project is a line that one of these commands prints.
"""

from ..naming.registry import Registry
from ..naming.whose import description_of


class _Peers(Registry):
    """The table of peers. A user's own is a class that answers to what peers/ says."""

    def check(self, name, target):
        words = ("ask", "tell"), ("minimise",)
        answers = any(all(hasattr(target, word) for word in methods) for methods in words)
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
