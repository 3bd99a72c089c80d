"""Replicas: a search whose candidates are drawn, evaluated and added up where they are.

The candidates of a generation are cut into *shards*, always the same ones, and every replica of
the search distribution owns some that follow each other. What leaves it is the values of its
candidates and weighted sums over them, never candidates. Sums are added along a fixed binary tree
over the shards: a replica adds up the subtrees that it owns whole, and every replica completes the
tree by itself. So the order of the additions, and with it every bit, is the same for any number of
replicas; all of them make the same step, and any of them can stand in for one that is lost.

    (0, 16) ── (0, 8) ── (0, 4) …         a replica with the shards 0 … 4 hands out
           │         └── (4, 8) …         (0, 4) and (4, 5)
           └── (8, 16) …
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import checks
from ..arrays.libraries import load_namespace, to_numpy
from ..arrays.threads import one_thread
from ..evaluators.failures import KEPT, Failure
from ..evaluators.missing import NoValue, evaluated
from ..evaluators.worker import Outcome
from ..population.candidates import Recipe, boundaries
from ..population.generation import Generation
from ..strategy.monitor import Monitor, Rules
from ..strategy.ranking import weigh, weights_of
from ..strategy.samples import Summed, add_sums, sums_of
from ..strategy.state import MOST, Info, State
from .job import Job, Start, StepResult
from .trees import arrays, listed, packed, settled, unpacked


def shard_ends(popsize: int, shards: int) -> np.ndarray:
    """Where the shards of a generation begin, and where the last one ends: (shards + 1,)."""
    return np.arange(shards + 1) * popsize // shards


def covering(low: int, high: int, a: int, b: int) -> list[tuple[int, int]]:
    """The largest subtrees of the tree over the shards a … b − 1 that lie in low … high − 1."""
    if low <= a and b <= high:
        return [(a, b)]
    if high <= a or b <= low:
        return []
    middle = (a + b) // 2
    return covering(low, high, a, middle) + covering(low, high, middle, b)


class Replica:
    """The search distribution, and the part of the work on a generation that is done here.

    A step is `values`, `sums` and `move`, by all replicas together. Nothing changes before `move`,
    so that the first two may be called again, for other shards as well.

    Parameters
    ----------
    job : Job
        What the replicas have in common.
    begin : Start or dict
        Where the search begins, or a `snapshot` of another replica or of a file.

    Raises
    ------
    ValueError, TypeError, LookupError
        Where a snapshot does not hold what it should.
    """

    def __init__(self, job: Job, begin: Start | dict[str, Any]):
        self.job, self.strategy = job, job.strategy
        self.xp = load_namespace(job.backend)
        self.ends = shard_ends(self.strategy.popsize, job.shards)
        self.function: Any = job.fun() if job.factory and job.fun is not None else job.fun
        if job.space is not None and self.function is not None:
            self.function = job.space.rows(self.function, vectorized=True)
        self.evaluations, self.fun, self.best_evaluations = 0, np.inf, 0
        self.info = Info()
        self._best: Any = None  # the point (d,), or (Recipe, its index)
        self._drawn: dict[int, list] = {}  # tiles of Z of a shard, where they are kept
        self._sums: dict[tuple[int, int], Any] = {}  # of own subtrees
        if isinstance(begin, Start):
            self.state = settled(self.strategy.init(*begin, self.xp))
            self.monitor = self._monitor(self.state.scale)
        else:
            self._restore(begin)

    # -- a step -----------------------------------------------------------------------------------

    def values(self, shards: tuple[int, int]) -> Outcome:
        """The values of the candidates of some shards.

        Parameters
        ----------
        shards : tuple of int
            (low, high): the shards low … high − 1.

        Returns
        -------
        Outcome
            Missing values are NaN, and its `failures` say why, with the rows counted in the
            generation.
        """
        start_time, failures, self._drawn = time.perf_counter(), [], {}
        parts = []
        try:
            with one_thread():
                for k in range(*shards):
                    for start, X in self._points(k):
                        parts.append(self._evaluated(X, start, failures))
        except Exception as error:
            text = "".join(traceback.format_exception(error))
            return Outcome(np.empty(0), 0.0, [], text)
        values = np.concatenate(parts)
        mistakes = [f for f in failures if f.kind == NoValue.__name__]
        if mistakes and self.fun == np.inf and np.isnan(values).all():  # and no good one before
            return Outcome(np.empty(0), 0.0, [], f"{mistakes[0]}\n{mistakes[0].traceback}")
        return Outcome(values, time.perf_counter() - start_time, failures[:KEPT])

    def _evaluated(self, X, start, failures):
        """The values of rows, the first of which is candidate `start`."""

        def note(row, error):
            failures.append(Failure.of(error, start + row))

        return evaluated(self._host_values, X, X.shape[0], note, wrong=-np.inf)

    def _host_values(self, X):
        """The values of the function, to be minimised, in the memory of the host."""
        values = self.function(X)
        values = to_numpy(values) if hasattr(values, "__dlpack__") else values
        return values if self.job.sign == 1 else -np.asarray(values, dtype=float)

    def _points(self, k) -> Iterator[tuple[int, Any]]:
        """(index of the first row, X) of the pieces of shard k."""
        start, end = self.ends[k : k + 2].tolist()
        pieces = start + boundaries([end - start], self.strategy.tile)
        self._drawn[k] = []
        for a, b in zip(pieces[:-1].tolist(), pieces[1:].tolist(), strict=True):
            address = self.state, self.job.seed, a, b - a
            if self.strategy.redraws:
                X, Z = self.strategy.sample(*address)
            else:
                Z, _, X = self.strategy.draw(*address)
            if self.strategy.redraws or self.strategy.tile is None:
                self._drawn[k].append(Z)
            del Z  # the function may need the memory
            yield a, X

    def _tiles(self, k):
        """Tiles of Z of shard k: drawn again, where generations are large."""
        if self._drawn.get(k):
            return self._drawn[k]
        start, end = self.ends[k : k + 2].tolist()
        if self.strategy.tile is None:
            return [self.strategy.draw_local(self.state, self.job.seed, start, end - start)]
        sizes = np.diff(self.ends).tolist()
        generation = Generation.of(self.strategy, self.state, self.job.seed, sizes)
        return generation.samples(np.arange(start, end))[0]

    def sums(self, shards: tuple[int, int], values: np.ndarray) -> dict[tuple[int, int], Any]:
        """The weighted sums over the samples of some shards.

        Parameters
        ----------
        shards : tuple of int
            (low, high): the shards low … high − 1.
        values : (popsize,) array
            Of the whole generation.

        Returns
        -------
        dict
            {(a, b): Sums with NumPy's arrays}, for the largest subtrees that the shards make up;
            empty where no other replica wants them.
        """
        weighed = weigh(self.strategy, values)
        self._sums = {}
        if weighed.rows is not None:
            with one_thread():
                weights = weights_of(self.strategy, weighed, self.state.mean)
                for node in covering(*shards, 0, self.job.shards):
                    self._sums[node] = self._sum(*node, weights)
        self._drawn = {}
        if (0, self.job.shards) in self._sums:
            return {}
        factor_arrays = arrays(self.state.factor)
        return {node: packed(part, factor_arrays) for node, part in self._sums.items()}

    def _sum(self, a, b, weights):
        """The Sums of the subtree (a, b), all of whose shards are this replica's."""
        if b - a > 1:
            middle = (a + b) // 2
            lower, upper = self._sum(a, middle, weights), self._sum(middle, b, weights)
            return add_sums(self.strategy, lower, upper)
        rows = slice(int(self.ends[a]), int(self.ends[b]))
        weights = tuple(w[rows] for w in weights)
        sums = sums_of(self.strategy, self.state, self._tiles(a), weights)
        return settled(sums, arrays(self.state.factor))

    def move(self, values: np.ndarray, seconds: float, *sums: dict) -> StepResult:
        """Make the step.

        Parameters
        ----------
        values : (popsize,) array
            Of the whole generation.
        seconds : float
            The age of the search.
        *others : dict
            What `sums` of the other replicas has returned.
        """
        strategy, former = self.strategy, self.state
        parts = {node: part for subtrees in sums for node, part in subtrees.items()}

        def summed(weights):
            return Summed(strategy, former, self._completed(parts, 0, self.job.shards))

        with one_thread():
            state, info = strategy.update_summed(former, values, summed)
        self.state = settled(state)
        self._sums = {}
        if info.worst != info.worst:  # NaN ranks last
            info = info._replace(missing=int(np.isnan(values).sum()))
        self._remember(former, values)
        monitor = self.monitor.told(self.fun, self.evaluations, seconds)
        self.monitor = monitor.closed(self.state, info, seconds)
        self.info = info
        return self.result()

    def _completed(self, parts, a, b):
        """The Sums of the subtree (a, b), of own ones and of those of others."""
        if (a, b) in self._sums:
            return self._sums.pop((a, b))
        if (a, b) in parts:
            return unpacked(parts.pop((a, b)), arrays(self.state.factor), self.xp)
        middle = (a + b) // 2
        lower, upper = self._completed(parts, a, middle), self._completed(parts, middle, b)
        return add_sums(self.strategy, lower, upper)

    def _remember(self, state, values):
        """Count values (popsize,) that were drawn from this state, and keep the best of them."""
        self.evaluations += len(values)
        if np.isnan(values).all():
            return
        i = int(np.nanargmin(values))
        if values[i] < self.fun:
            self.fun, self.best_evaluations = float(values[i]), self.evaluations
            state = state._replace(path=None, path_sigma=None)
            sizes = tuple(np.diff(self.ends).tolist())
            self._best = Recipe(self.strategy, state, self.job.seed, sizes, ("best",)), i

    # -- where the search is ----------------------------------------------------------------------

    def result(self) -> StepResult:
        """What is known after a step."""
        position = self.state.generation, self.state.sigma, self.evaluations
        best = self.fun, self.best_evaluations
        return StepResult(self.info, *position, *best, dict(self.monitor.reasons))

    def best(self) -> np.ndarray | None:
        """The best point (d,); it is drawn when somebody asks for it."""
        if isinstance(self._best, tuple):
            recipe, i = self._best
            with one_thread():
                x = recipe.draw([i])[0, :]
            self._best = np.array(to_numpy(x), dtype=float)
        return self._best

    def mean(self) -> np.ndarray:
        """The mean (d,), as a point."""
        u = self.xp.asarray(self.state.mean, copy=True)
        return np.array(to_numpy(self.strategy.domain.decode(u[None, :])[0, :]))

    def host_state(self) -> State:
        """The search distribution, with NumPy's arrays."""
        return packed(self.state, ())

    # -- files ------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """All of it in plain values and NumPy's arrays, as a checkpoint holds it."""
        return {
            "state": listed(self.host_state()),
            "best": self.best(),
            "fun": self.fun,
            "evaluations_then": self.best_evaluations,
            "evaluations": self.evaluations,
            "info": list(self.info),
            "monitor": self.monitor.snapshot(),
            "scale0": to_numpy(self.monitor.rules.scale0),
        }

    def _restore(self, tree):
        """Take what a snapshot holds."""
        if tree["best"] is not None:
            self._best = checks.point("best", tree["best"], self.strategy.domain.size)
        self.fun = checks.number("fun", tree["fun"])
        if (self.fun == np.inf) != (self._best is None) or self.fun == -np.inf:
            raise ValueError(f"best has the value {self.fun} and the point {self._best}")
        self.evaluations = checks.count("evaluations", tree["evaluations"], 0, MOST)
        self.best_evaluations = checks.count(
            "evaluations_then", tree["evaluations_then"], 0, self.evaluations
        )
        self.info = Info.restored(tree["info"])
        self.state = settled(self.strategy.restored(tree["state"], self.xp))
        scale0 = tree.get("scale0")  # not in older files
        if scale0 is not None:
            scale0 = checks.point("scale0", scale0, self.strategy.structure.dim)
            if not (scale0 > 0).all():
                raise ValueError("scale0 must be positive")
        scale0 = self.state.scale if scale0 is None else self.xp.asarray(scale0)
        self.monitor = self._monitor(scale0).restored(tree["monitor"])

    def _monitor(self, scale0) -> Monitor:
        strategy, job = self.strategy, self.job
        first = strategy.structure, strategy.popsize, job.sigma0, scale0, strategy.domain
        return Monitor(Rules(job.stopping, *first))
