"""ES: ask for candidates, tell their values, until it says stop.

A thin stateful class on the pure functions of `strategy.py`. It keeps the state of the search, the
candidates that are out, the best point seen, and the reasons to stop; it knows nothing of how
values are computed.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from . import checks, noise
from .auto import Auto, Switch
from .backend import load_namespace, to_numpy
from .domain import build_domain
from .engine import build_engine
from .pending import Pending
from .stopping import Monitor, stopping_from
from .strategy import Info, Strategy, default_popsize
from .structures import build_structure


class Best(NamedTuple):
    """The best point told so far: x (d,) or None, fun (inf before the first), evaluations then."""

    x: np.ndarray | None
    fun: float
    evaluations: int


class ES:
    """Evolution strategy with a structured covariance: minimises from values alone.

    x0         (d,) start, finite
    sigma0     initial standard deviation: a positive number, or one for each coordinate (d,)
    structure  name of `structes.STRUCTURES`, mapping with its parameters, or a Structure; "auto"
               finds one on the way (see `switches`, and auto.py)
    seed       integer in [0, 2⁶⁴); None takes one from the operating system (see `seed`)
    popsize    candidates a generation, ≥ 2; None: 4 + ⌊3 ln d⌋
    engine     the update: name of `structes.ENGINES` ("default", "cma", "xnes"), or a mapping with
               its switches (engine.py)
    backend    array library of the state: "numpy"
    stopping   any field of `structes.Stopping`, such as target=1e-8 or max_evaluations=10_000

    Raises ValueError or TypeError, naming the argument, for anything that does not fit.

    >>> es = ES([3.0, 3.0], 1.0, seed=1, target=1e-8)
    >>> while not es.stop():
    ...     X = es.ask()
    ...     es.tell(X, [x @ x for x in X])
    >>> es.best.fun <= 1e-8
    True
    """

    def __init__(
        self,
        x0,
        sigma0,
        structure="dense",
        seed=None,
        popsize=None,
        *,
        bounds=None,
        boundary=None,
        transforms=None,
        integers=None,
        engine="default",
        backend="numpy",
        **stopping,
    ):
        x0 = checks.point("x0", x0)
        self.dim = x0.size
        sigma, scale = checks.scale("sigma0", sigma0, self.dim)
        self.popsize = (
            default_popsize(self.dim) if popsize is None else checks.count("popsize", popsize, 2)
        )
        self.seed = noise.check_seed(seed)
        self.engine = build_engine(engine)
        self._auto = Auto(self.dim) if structure in ("auto", {"name": "auto"}) else None
        if self._auto is not None:
            structure = self._auto.structure
        self.structure = self.engine.fit(build_structure(structure, self.dim))
        self.domain = build_domain(self.dim, bounds, boundary, transforms, integers)
        self.strategy = Strategy(self.structure, self.engine, self.popsize, domain=self.domain)
        self._xp = load_namespace(backend)
        u0 = self.domain.encode(x0[None, :])[0, :]
        self.state = self.strategy.init(u0, sigma, scale, self._xp)
        self.best = Best(None, np.inf, 0)
        self.evaluations = 0
        self.info = Info()
        self.switches: list[Switch] = []
        self.monitor = Monitor(stopping_from(stopping), self.structure, self.popsize, sigma)
        self._open = Pending(self.strategy, self.state, self.seed)
        self._closed = Pending(self.strategy, self.state, self.seed)
        self._start = time.monotonic()
        self._warned = set()

    # -- the loop ---------------------------------------------------------------------------------

    def ask(self):
        """(popsize, d) new candidates. Asking again before telling gives further ones."""
        return self._open.ask(self.popsize)

    def tell(self, X, values) -> None:
        """Values of candidates; when `popsize` asked ones are known the distribution moves.

        X       (n, d) rows in any order: asked candidates, all of them or some, or points of your
                own, which join the generation with their Mahalanobis length clipped
        values  (n,) smaller is better; NaN = failed (ranks last), +inf = worst possible

        Raises TypeError or ValueError, and changes nothing, when shapes or types do not fit.
        """
        X = checks.rows("X", X, self.dim, self._xp)
        values = checks.objective_values(values, X.shape[0])
        if self._open.are(X):
            self._open.tell(slice(None), values)
        else:
            X, values = self._sort_in(X, values)
        self.evaluations += len(values)
        self._remember(X, values)
        self.monitor.tell(self.best.fun, self.evaluations)
        told = self._open.count() if len(self._open) else len(self._open.injected)
        if told >= self.popsize:
            self.advance()

    def advance(self) -> None:
        """Close the generation with the values told so far (`tell` does it when enough are in).

        Raises ValueError when nothing was told in this generation.
        """
        if not self._open.count() and not self._open.injected:
            raise ValueError("advance() needs at least one value; none was told since the last")
        Z, Y, values = self._open.samples()
        before = self.state
        self.state, self.info = self.strategy.update(before, Z, Y, values)
        if self._auto is not None and not self._auto.decided:
            self._watch(before, Z, Y, values)
        self._open.close()
        self._closed = self._open
        self._open = Pending(self.strategy, self.state, self.seed)
        self.monitor.generation(self.state, self.info, self.seconds)
        if self.monitor.failures:
            self._warn("all values of a generation were NaN: the search did not move")

    def stop(self) -> dict:
        """{criterion: value} of every stopping criterion that has fired; empty: go on."""
        return dict(self.monitor.reasons)

    # -- what it knows ----------------------------------------------------------------------------

    @property
    def generation(self) -> int:
        """Number of generations closed."""
        return self.state.generation

    @property
    def mean(self):
        """(d,) mean of the search distribution, as a point: the best estimate under noise."""
        u = self._xp.asarray(self.state.mean, copy=True)
        return self.domain.decode(u[None, :])[0, :]

    @property
    def sigma(self) -> float:
        """Overall standard deviation (step size), relative to the structure's factor."""
        return self.state.sigma

    @property
    def deviations(self):
        """(d,) standard deviation of each coordinate of the search distribution."""
        spread = self.structure.deviations(self.state.factor)
        return self.state.sigma * self.state.scale * spread

    @property
    def seconds(self) -> float:
        """Seconds since this object was made."""
        return time.monotonic() - self._start

    def __repr__(self):
        return (
            f"<ES {self.structure!r} generation {self.generation}, "
            f"{self.evaluations} evaluations, best {self.best.fun:.6g}, sigma {self.sigma:.3g}>"
        )

    # -- inside -----------------------------------------------------------------------------------

    def _watch(self, state, Z, Y, values):
        """Let `auto` see a generation that was drawn from `state`, and go on with the structure
        that it chooses."""
        weights = self.strategy.shape_weights(Z, values)
        if weights is None:
            return
        if self.structure.noise_dim > self.dim:  # Z has more numbers than d
            Z = Y @ self.structure.to_dense(state.factor)
        statistic = self._auto.observe(Z, weights)
        if statistic is None:
            return
        name, before = self._auto.structure, self.structure
        self.structure = self.engine.fit(build_structure(name, self.dim))
        self.strategy = replace(self.strategy, structure=self.structure)
        self.state = self.strategy.adopt(self.state, before)
        self.monitor.structure = self.structure
        self.switches.append(Switch(self.generation, self.evaluations, name, statistic))

    def _sort_in(self, X, values):
        """Tell rows one by one: asked ones to their places, others injected; those told before in
        the last generation are left out. Returns what was taken."""
        at = self._open.match(X)
        foreign = at < 0
        if foreign.any():
            before = self._closed.match(X)
            self._closed.close()
            again = foreign & (before >= 0) & np.append(self._closed.told, False)[before]
            if again.any():
                self._warn(
                    f"values of candidates that were told before are ignored: {again.sum()}"
                )
            injected = [self._place(X[i, :], i) for i in np.flatnonzero(foreign & ~again)]
            injected_values = values[foreign & ~again]
            self._open.injected += [
                (Z, Y, float(v)) for (Z, Y), v in zip(injected, injected_values, strict=True)
            ]
            X = self._xp.take(X, self._xp.asarray(np.flatnonzero(~again)), axis=0)
            values, at = values[~again], at[~again]
        self._open.tell(at[at >= 0], values[at >= 0])
        return X, values

    def _place(self, x, i):
        """(Z, Y), each (1, d), of a point of the user's own, its Mahalanobis length clipped."""
        if not bool(self._xp.all(self._xp.isfinite(x))):
            raise ValueError(f"X must be finite; row {i} is {x}")
        Z = self.strategy.locate(self.state, x[None, :])
        length = float(self._xp.vecdot(Z, Z)[0]) ** 0.5
        Z = Z * min(1.0, self._longest / max(length, 1e-300))
        return Z, self.structure.unwhiten(self.state.factor, Z)

    @property
    def _longest(self) -> float:
        """Mahalanobis length to which injected points are clipped (Hansen 2011, INRIA RR-7748)."""
        return self.dim**0.5 + 2 * self.dim / (self.dim + 2)

    def _remember(self, X, values):
        if not len(values):
            return
        i = int(values.argmin())  # NaN, where there is one
        if values[i] != values[i]:
            if np.isnan(values).all():
                return
            i = int(np.nanargmin(values))
        if values[i] < self.best.fun:
            x = np.array(to_numpy(X[i, :]), dtype=float)
            self.best = Best(x, float(values[i]), self.evaluations)

    def _warn(self, message):
        if message.split(":")[0] not in self._warned:
            self._warned.add(message.split(":")[0])
            warnings.warn(message, RuntimeWarning, stacklevel=3)
