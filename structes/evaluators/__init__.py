"""Workers that evaluate points: here, in processes of this machine, or anywhere by Ray.

What a user meets:

    evaluator.py           Evaluator: what a user asks for
    options.py, kinds.py   its arguments, read and refused; the channel that they mean
    parallel_function.py   a function that is bound to it: points in, values out
    missing.py             values of a user's function, whatever goes wrong in it
    failures.py            evaluations without a value: counted, and the first ones kept

Who evaluates what:

    supervisor.py      a queue of points, time limits, retries, new workers for dead ones
    spans.py           what is in the queue: runs of points, as long as is good for all
    worker_slots.py    the workers that there are, and when to start more
    thread_lock.py     threads that share an Evaluator, one after the other

Ways to reach workers, each a `Channel` (channel.py):

    serial.py                       the driver itself
    process.py                      processes of this machine
    launch.py, subreaper.py         what each is started with, and what sees to its end
    framed_socket.py                what goes through the socket of each
    exit_status.py                  how they have ended, in words
    ray.py                          Ray actors: a cluster, or GPUs
    ray_cluster.py, ray_watch.py    the Ray itself, and its end
    pools.py, parcels.py            an Executor of the user's, or a function like map

What happens in a worker:

    worker.py            it keeps functions, draws or is sent points, gives values
    worker_output.py     what a function prints, where nobody reads it
    sources.py           the user's modules, as they were when a function was bound
    recursion_guard.py   why a module that starts workers does not start them for ever

They know nothing of search. A search in many processes, which evaluates where it draws, is in the
room `sharded`.

Whatever the workers, their number, the order in which they answer and the crashes on the way, the
values are those of `serial`, to the bit.
"""

from .evaluator import Evaluator, build_evaluator
from .failures import EvaluationError
from .parallel_function import ParallelFunction
from .worker import as_it_is

__all__ = ["EvaluationError", "Evaluator", "ParallelFunction", "as_it_is", "build_evaluator"]
