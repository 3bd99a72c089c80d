"""The bench: structes beside its peers, on the same problems, in the same run.

    bbob.py       evaluations to reach targets on COCO's suites, paired with each peer
    overhead.py   seconds a generation beside the peers and beside the floor
    scaling.py    seconds and memory against the dimension, for every structure
    families.py   evaluations on objectives that a structure fits, and on one that it does not
    tasks.py      many runs in several processes, recorded as they end
    peers/        one small adapter a file, named in the table below

A claim about speed in this project is a line that one of these commands prints.
"""

from ..registry import Registry

PEERS = Registry(
    "peer",
    {
        "structes": "structes.bench.peers.ours:Structes",
        "pycma": "structes.bench.peers.pycma:Pycma",
        "pycma-sep": "structes.bench.peers.pycma:PycmaSep",
        "pycma-vkd": "structes.bench.peers.pycma:PycmaVkd",
        "cmaes": "structes.bench.peers.cmaes:Cmaes",
        "cmaes-sep": "structes.bench.peers.cmaes:CmaesSep",
        "cmaes-xnes": "structes.bench.peers.cmaes:CmaesXnes",
    },
)
