"""Workers that evaluate points: here, in processes of this machine, or anywhere by Ray.

    evaluator.py    Evaluator: what a user asks for
    parallel_function.py   a function that is bound to it: points in, values out
    supervisor.py   the queue: who evaluates what, time limits, retries, new workers for dead ones
    spans.py        what is in the queue: runs of points, as long as is good for all; and who has
                    which of them
    worker.py       what happens in a worker, the same everywhere
    transport.py    what the supervisor needs of a way to reach workers; the ways are
    serial.py       the driver itself
    process.py      processes of this machine
    ray.py          Ray actors: a cluster, or GPUs
    pools.py        an Executor of the user's, or a function like map
    recursion_guard.py        why a module that starts workers does not start them for ever

They know nothing of search. What does, and evaluates where it draws (`ShardedES`), is apart:

    replicas.py     a replica of the search distribution, with shards of every generation
    lockstep.py     a generation of all replicas together, whichever of them are lost on the way
    actors.py       replicas that are Ray actors
    trees.py        tuples of tuples of arrays, as replicas exchange them

Whatever the workers, their number, the order in which they answer and
the crashes on the way, the values are those of `serial`, to the bit.
"""

from .evaluator import Evaluator, as_it_is, build_evaluator
from .parallel_function import ParallelFunction
from .supervisor import EvaluationError

__all__ = ["EvaluationError", "Evaluator", "ParallelFunction", "as_it_is", "build_evaluator"]
