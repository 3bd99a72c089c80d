"""Whole searches against `reference.py`, generation after generation, to the last digits.

The reference knows nothing of how the product does it: every number of the state after every
generation is compared, for every structure, engine, way to draw, and kind of value. Where a test
here fails, either the formulas in docs/update.md or the code that is named there has changed.
"""

from math import inf, nan

import numpy as np
import pytest

import structes
from structes.core.gaussian import Gaussian
from structes.structures import build_structure
from structes.testing import Case

from .reference import Noise, Reference
from .reference_space import Coordinate, ReferenceSpace
from .reference_structures import reference_structure
from .structure_table import TRUTH

INDEPENDENT = {"name": "default", "sampling": "independent"}
SEED = 5


# -- two searches side by side --------------------------------------------------------------------


def bowl(X, generation):
    """Ill-conditioned, with a kink, and no two values alike."""
    d = X.shape[1]
    scales = 10 ** (3 * np.arange(d) / max(1, d - 1))
    return X**2 @ scales + (X[:, 0] * X[:, -1]) ** 2 + np.abs(X.sum(axis=1))


def slope(X, generation):
    """The paths become long."""
    return X.sum(axis=1)


def chance(X, generation):
    return np.random.default_rng(generation).normal(size=len(X))


def steps(X, generation):
    """Many values are equal, and now and then all."""
    return np.floor(np.abs(X).sum(axis=1) / (2 + 40 * (generation % 5 == 3)))


def rounded(X, generation):
    """Small numbers, some of them equal."""
    return np.round(np.log(bowl(X, generation) + 1), 1)


def failing(X, generation):
    """Some values are missing, some infinite, some equal."""
    values = np.round(bowl(X, generation), 1)
    values[generation % 3 :: 4] = nan
    values[1 :: 4 + generation % 2] = inf
    return values


def failing_mildly(X, generation):
    """Small numbers, some of them missing or infinite."""
    values = failing(X, generation)
    return np.where(np.isfinite(values), rounded(X, generation), values)


def all_fail(X, generation):
    """All but one, or all."""
    values = np.full(len(X), nan)
    values[0] = inf if generation % 2 else 1.0
    return values


class Pair:
    """A search and its reference, in one call."""

    def __init__(self, spec, d, popsize=None, engine="default", sigma0=1.0, x0=None, **options):
        self.space = options.pop("space", None)
        noise = Noise() if options.get("noise") else None
        x0 = np.linspace(1, 2, d) if x0 is None else np.asarray(x0, dtype=float)
        self.es = structes.ES(
            x0, sigma0, spec, SEED, popsize, engine=engine, tolfun=None, tolfunhist=None, **options
        )
        self.popsize = self.es.popsize
        start = x0 if self.space is None else self.space.encode(x0)
        self.reference = Reference(
            reference_structure(spec, d),
            start,
            sigma0,
            self.popsize,
            engine,
            space=self.space,
            noise=noise,
        )

    def ask(self, n=None):
        """Points X, and their search coordinates U."""
        X = self.es.ask(n)
        if self.space is None:
            return X, X
        address = SEED, self.popsize if n is None else n
        gaussian = Gaussian.standard(self.es.structure)
        Z = gaussian.draw(*address, generation=self.reference.generation)[0]
        U = self.reference.place(Z)
        assert np.abs(X - self.space.decode(U)).max() <= 1e-10 * np.abs(X).max()
        return X, U

    def generation(self, objective):
        X, U = self.ask()
        values = objective(X, self.reference.generation)
        self.es.tell(X, values)
        self.reference.update(U, values)
        self.compare()

    def run(self, generations, objective=bowl):
        for _ in range(generations):
            self.generation(objective)

    def compare(self, tolerance=1e-10):
        """Every number of the two states."""
        state, mine = self.es.state, self.reference
        B = self.es.structure.to_dense(state.factor)
        D = np.diag(state.sigma * state.scale)

        def same(actual, expected, unit=None):
            unit = np.abs(expected).max() if unit is None else unit
            if not np.abs(actual - expected).max() <= tolerance * unit:  # the faster one
                np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * unit)

        assert state.generation == mine.generation
        same(state.sigma, mine.sigma)
        same(state.scale, mine.scale)
        same(state.mean, mine.mean, np.abs(mine.mean).max() + mine.sigma * mine.scale.max())
        covariance, expected = D @ np.linalg.inv(B @ B.T) @ D, mine.spread()
        deviations = np.sqrt(np.diag(expected))
        unit = deviations * deviations[:, None]
        same(covariance / unit, expected / unit)
        if not mine.is_natural:  # which has no paths
            paths = np.stack([state.path_sigma, state.path])
            expected = np.stack([mine.path_sigma, mine.path])
            same(paths, expected, 1 + np.abs(expected).max())
            paths = self.es.structure.unwhiten(state.factor, paths)
            expected = mine.unwhiten(expected)
            same(paths, expected, 1 + np.abs(expected).max())
        if mine.is_updated:
            same(self.es.info.norm, mine.norm)
            assert self.es.info.clipped == mine.is_clipped


# -- every structure ------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["default", "cma", "xnes"])
@pytest.mark.parametrize("name", TRUTH)
def test_every_structure(name, engine):
    cases = [*TRUTH[name].cases, *TRUTH[name].no_group]
    for spec, d in cases:
        sigma0 = 1.0 if d % 2 else np.linspace(0.5, 2, d)
        Pair(spec, d, engine=engine, sigma0=sigma0).run(4 if engine == "default" else 2)


KRONECKER = {"name": "kronecker", "rows": 4, "cols": 5, "right": "lower"}
MIXED = {
    "name": "direct_sum",
    "blocks": {
        "w": {**KRONECKER, "at": [5, 0, *range(7, 25)]},
        "dense": {"name": "dense", "dim": 4},
        "lead": {"name": "block_lower", "k": 1, "at": [25, 3, 27]},
        "ring": {"name": "circulant", "dim": 4},
    },
}
LOW_RANK = {"name": "low_rank", "long": 2, "short": 1}
TREE = {"name": "sparse", "tree": [-1, 0, 0, 1, 1, 2]}
HIERARCHICAL = {"name": "hierarchical_lower", "k1": 2, "k2": 1}
LONG_ROWS = {
    "name": "direct_sum",
    "blocks": {
        "a": {"name": "hierarchical_lower", "k1": 1, "k2": 1, "dim": 40},
        "b": {"name": "dense", "dim": 5},
    },
}
MIRRORED = {"name": "default", "sampling": "mirrored"}
ORTHOGONAL = {"name": "default", "sampling": "orthogonal"}
SLOW = {"name": "default", "speed": 0.3, "damping": 5.0, "mirror": 1.0}
# sigma may grow by more than e in a generation, if it is not kept from it
WILD = {"name": "default", "damping": 1e-6, "mirror": 0.0, "sampling": "independent"}
ALIKE = {"name": "default", "parts": False}
NARROW = {"name": "default", "trust_region": 0.05}
FREE = {"name": "default", "trust_region": inf}
CMA_CASES = [
    ("dense", 1, 6, "cma", slope),
    ("dense", 2, 4, "cma", bowl),
    ("dense", 3, 50, "cma", slope),
    ("dense", 5, None, "cma", failing),
    ("dense", 5, 5, "cma", slope),
    ("dense", 10, None, "cma", bowl),
    ("dense", 3, None, {"name": "cma", "speed": 4.0}, bowl),
    ("dense", 20, 200, "cma", steps),
    ("dense", 61, None, "cma", slope),
    ("diagonal", 10, None, "cma", slope),
    ("diagonal", 5, 60, {"name": "cma", "sampling": "mirrored"}, steps),
    ("scalar", 4, None, "cma", bowl),
    ("block_diagonal", 4, 9, {"name": "cma", "speed": 0.5, "damping": 2.0}, slope),
    ("lower", 6, None, "cma", slope),
    ("dense", 6, 30, {"name": "cma", "trust_region": 0.2, "mirror": 0.3}, bowl),
    (LOW_RANK, 7, None, "cma", slope),
    (LOW_RANK, 7, 25, {"name": "cma", "parts": True}, failing),
    (HIERARCHICAL, 9, 4, {"name": "cma", "parts": True}, slope),
    (KRONECKER, 20, None, "cma", steps),
    (MIXED, 31, 40, "cma", slope),
]


def natural(**switches):
    return {"name": "natural", **switches}


RAW = natural(values="raw", rate=0.1, mean_rate=0.15)
NATURAL_CASES = [
    ("dense", 1, 8, natural(gamma=0.3), rounded),
    ("dense", 5, None, natural(), bowl),
    ("dense", 5, 12, natural(retraction="exp", rate=0.4, mean_rate=0.7), failing),
    ("dense", 3, None, natural(gamma=0.5), steps),
    ("dense", 5, 20, {**RAW, "gamma": 2.0}, rounded),
    ("dense", 40, 6, {**RAW, "gamma": 1.0}, rounded),
    ("dense", 5, 20, {**RAW, "gamma": 2.0, "retraction": "exp"}, rounded),
    ("lower", 5, 9, {**RAW, "baseline": "mean"}, rounded),
    ("upper", 4, 9, {**RAW, "baseline": 3.0, "trust_region": 0.3}, rounded),
    ("diagonal", 6, 7, {**RAW, "gamma": 0.1}, failing_mildly),
    ("dense", 4, 7, {**RAW, "baseline": "mean"}, failing_mildly),
    ("diagonal", 6, 30, {**RAW, "retraction": "auto", "sampling": "mirrored"}, rounded),
    ("toeplitz_lower", 6, 9, {**RAW, "gamma": 1.0, "retraction": "exp"}, rounded),
    ("circulant", 6, 9, {**RAW, "gamma": 1.0, "retraction": "exp"}, rounded),
    (TREE, 6, 9, natural(gamma=0.2, retraction="exp"), steps),
    (HIERARCHICAL, 9, 9, {**RAW, "gamma": 1.0, "retraction": "exp"}, rounded),
    (KRONECKER, 20, 9, {**RAW, "gamma": 1.0, "retraction": "exp"}, rounded),
    (KRONECKER, 20, 9, natural(gamma=1.0), all_fail),
    (MIXED, 31, 9, {**RAW, "gamma": 1.0, "retraction": "exp"}, rounded),
    (MIXED, 31, 9, natural(gamma=0.1), rounded),
    (LOW_RANK, 7, 9, {**RAW, "gamma": 1.0}, rounded),
    (LOW_RANK, 7, 9, natural(gamma=1.0, retraction="auto"), all_fail),
]


@pytest.mark.parametrize(
    ("spec", "d", "popsize", "engine", "objective"),
    [
        ("dense", 1, 2, "default", bowl),
        ("dense", 1, 30, "default", slope),
        ("dense", 1, None, "xnes", slope),
        ("diagonal", 1, 5, MIRRORED, failing),
        ("dense", 1, 200, "default", bowl),  # cmu at its bound
        ("dense", 2, 40, "default", slope),
        ("lower", 2, 3, ORTHOGONAL, bowl),
        ("dense", 3, None, INDEPENDENT, steps),
        ("scalar", 3, 7, MIRRORED, slope),
        ("upper", 3, 200, "xnes", failing),
        ("dense", 5, 60, MIRRORED, failing),
        ("dense", 5, 6, WILD, slope),
        ("dense", 5, 4, SLOW, steps),
        ("dense", 5, 4, "default", all_fail),
        ("lower", 5, 3, "default", all_fail),
        ("block_diagonal", 4, 20, "xnes", steps),
        ("lower", 6, 25, WILD, slope),
        (TREE, 6, 12, INDEPENDENT, steps),
        (HIERARCHICAL, 7, 14, ORTHOGONAL, failing),
        (LOW_RANK, 7, 30, MIRRORED, failing),
        (LOW_RANK, 7, 5, WILD, slope),
        (LOW_RANK, 5, None, "xnes", steps),
        ("dense", 10, None, INDEPENDENT, slope),
        ("dense", 10, 100, ALIKE, bowl),
        ("lower", 10, None, ALIKE, chance),
        (HIERARCHICAL, 10, None, ALIKE, bowl),
        ("upper", 10, 9, MIRRORED, chance),
        ("toeplitz_upper", 10, 3, SLOW, failing),
        ("circulant", 10, 40, "default", slope),
        (KRONECKER, 20, None, "default", slope),
        (KRONECKER, 20, 100, INDEPENDENT, failing),
        ("dense", 20, 5, ORTHOGONAL, chance),
        ("dense", 20, 3, "xnes", steps),
        ("lower", 20, 12, INDEPENDENT, steps),
        (MIXED, 31, None, "default", slope),
        (MIXED, 31, 40, ORTHOGONAL, failing),
        ("dense", 5, None, NARROW, bowl),
        (LOW_RANK, 5, 40, NARROW, slope),
        ("dense", 5, 60, FREE, bowl),
        *CMA_CASES,
        *NATURAL_CASES,
    ],
)
def test_every_way_to_search(spec, d, popsize, engine, objective):
    if spec == "block_diagonal":
        spec = {"name": spec, "sizes": [1, 3]}
    Pair(spec, d, popsize, engine, sigma0=np.geomspace(0.3, 3, d)).run(12, objective)


@pytest.mark.parametrize(
    ("spec", "d", "popsize", "engine", "generations"),
    [
        # dense keeps M as a product of thin matrices where 5 (n + 1) < d, and as it is elsewhere
        ("dense", 60, 10, "default", 6),
        ("dense", 60, 11, "default", 6),
        ("dense", 61, None, "default", 6),
        ("dense", 61, 9, ALIKE, 4),
        # and triangular ones where 4 (n + 1) < d, and d is large
        ("lower", 48, 9, "default", 4),
        ("upper", 48, 9, ALIKE, 4),
        # long rows of B⁻ᵀ slow the rates down
        ({"name": "block_lower", "k": 1}, 40, None, "default", 4),
        ({"name": "sparse", "tree": [-1, *(0,) * 39], "given": "descendants"}, 40, None, ALIKE, 4),
        (LONG_ROWS, 45, None, "default", 4),
        ({"name": "kronecker", "rows": 4, "cols": 12}, 48, None, "default", 4),
        (LOW_RANK, 61, None, "default", 8),
        ("low_rank", 60, None, MIRRORED, 6),
        pytest.param("dense", 170, None, "default", 12, marks=pytest.mark.slow),
        pytest.param("dense", 170, 40, "default", 4, marks=pytest.mark.slow),
        pytest.param("upper", 170, None, "default", 3, marks=pytest.mark.slow),
        pytest.param("lower", 170, 20, ALIKE, 6, marks=pytest.mark.slow),
        pytest.param("toeplitz_lower", 170, None, "default", 3, marks=pytest.mark.slow),
        pytest.param("circulant", 170, None, "xnes", 3, marks=pytest.mark.slow),
        pytest.param("low_rank", 170, None, "default", 4, marks=pytest.mark.slow),
        pytest.param("dense", 170, None, "xnes", 3, marks=pytest.mark.slow),
    ],
)
def test_many_parameters(spec, d, popsize, engine, generations, monkeypatch):
    monkeypatch.setattr("structes.structures.triangular._SMALL", 40)
    Pair(spec, d, popsize, engine).run(generations)


@pytest.mark.parametrize(
    "spec", ["dense", "diagonal", {"name": "block_diagonal", "sizes": [2, 3]}]
)
def test_a_straight_line_begins_anywhere(spec):
    """Also where B is not the symmetric root that the engine "cma" keeps: C ← A (I − 2 M) Aᵀ."""
    case = Case(build_structure(spec, 5))
    A, M = case.A(), case.tangent(length=0.3)
    expected = A @ (np.eye(5) - 2 * case.M(M)) @ A.T
    B = case.B(case.structure.retract_straight(case.factor, M))
    np.testing.assert_allclose(np.linalg.inv(B @ B.T), expected, atol=1e-12)
    np.testing.assert_allclose(B, B.T, atol=1e-12)


@pytest.mark.parametrize("form", ["tiles", "large"])
@pytest.mark.parametrize(
    ("spec", "d", "engine"),
    [
        ("dense", 4, INDEPENDENT),
        ("lower", 5, "cma"),
        ("diagonal", 6, {**RAW, "gamma": 1.0}),
        (LOW_RANK, 7, INDEPENDENT),
        (HIERARCHICAL, 9, INDEPENDENT),
        (KRONECKER, 20, INDEPENDENT),
        (MIXED, 31, INDEPENDENT),
    ],
)
def test_large_generations(spec, d, engine, form, monkeypatch):
    """Tile by tile, or without a copy of the candidates beside the path."""
    if form == "tiles":
        monkeypatch.setattr("structes.strategy.settings.rows_of_tile", lambda *_: 3)
    else:
        monkeypatch.setattr("structes.strategy.samples.COPIED", -1)
    Pair(spec, d, 80 if form == "large" else 8, engine).run(4, rounded)


@pytest.mark.parametrize(("axis", "generations"), [("long", 18), ("short", 18)])
def test_an_axis_of_low_rank_that_becomes_one_coordinate(axis, generations):
    """One coordinate is far longer, or shorter, than all others: V, or W, would take all of its
    variance, and is kept from it."""

    def objective(X, generation):
        others = np.sum(X[:, 1:] ** 2, axis=1)
        if axis == "long":
            return others - 1000 * np.abs(X[:, 0])
        return others + X[:, 0] / 100

    pair, bounded = Pair({"name": "low_rank", "long": 1, "short": 1}, 5, 40), []
    for _ in range(generations):
        pair.generation(objective)
        bounded.append(pair.reference.structure.is_bounded[axis == "short"])
    assert any(bounded)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["default", "xnes"])
@pytest.mark.parametrize("spec", ["dense", "lower", LOW_RANK, MIXED])
def test_a_whole_run(spec, engine):
    """A hundred generations: small errors do not add up to large ones."""
    pair = Pair(spec, 31 if spec is MIXED else 8, engine=engine)
    pair.run(100)


def test_values_of_a_part_of_a_generation():
    """Who closes a generation early has ranked fewer values, mirrored or not."""
    for popsize, n in ((10, 7), (10, 2), (11, 10)):
        pair = Pair("lower", 5, popsize)
        for generation in range(3):
            X, U = pair.ask()
            values = bowl(X, 0)
            order = np.random.default_rng(generation).permutation(popsize)[:n]
            pair.es.tell(X[order], values[order])
            pair.es.advance()
            told = np.sort(order)
            pair.reference.update(U[told], values[told])
            pair.compare()


# -- values that come late ------------------------------------------------------------------------


class Late(Pair):
    """A search of which values come late, and its reference, which keeps the old densities."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.held, self.arrived, self.drawn = [], [], {}

    def hold(self, n, objective=bowl):
        """A generation of which n candidates have no value yet."""
        X, U = self.ask()
        values = objective(X, self.reference.generation)
        generation, k = self.reference.generation, self.popsize - n
        self.drawn[generation] = self.reference.density()
        self.es.tell(X[:k], values[:k])
        self.es.advance()
        self.held += [(generation, i, X[i], values[i]) for i in range(k, self.popsize)]
        self.reference.update(U[:k], values[:k])
        self.compare()

    def importance(self, generation, x):
        age = self.reference.generation - generation
        return self.reference.importance(x, self.drawn[generation], age)

    def arrive(self, generation, index, x, value):
        """One late value; whether it is used."""
        importance = self.importance(generation, x)
        self.es.tell(x[None, :], [value])
        is_used = importance >= 0.1
        if is_used:
            point = self.reference.clipped(x)
            self.arrived.append((generation, index, point, value, importance))
        return is_used

    def own(self, x, value):
        self.es.tell(np.array([x]), [value])
        self.arrived.append((inf, len(self.arrived), self.reference.clipped(x), value, 1.0))

    def finish(self, objective=bowl):
        """Fresh values, one by one, until the samples count as many as the generation takes: it
        closes with that very one."""
        X, U = self.ask()
        values = objective(X, self.reference.generation)
        total = sum(arrival[4] for arrival in self.arrived)
        generation, n = self.reference.generation, 0
        while n + total < self.popsize:
            assert self.es.state.generation == generation
            self.es.tell(X[n : n + 1], values[n : n + 1])
            n += 1
        assert self.es.state.generation == generation + 1
        self.drawn[generation] = self.reference.density()
        arrived = sorted(self.arrived, key=lambda arrival: arrival[:2])
        points = np.array([*U[:n], *(arrival[2] for arrival in arrived)])
        told = np.array([*values[:n], *(arrival[3] for arrival in arrived)])
        mass = np.array([*np.ones(n), *(arrival[4] for arrival in arrived)])
        self.held += [(generation, i, X[i], values[i]) for i in range(n, self.popsize)]
        self.arrived = []
        self.reference.update(points, told, mass)
        self.compare()
        return mass


@pytest.mark.parametrize(
    ("spec", "d", "popsize", "engine"),
    [
        ("dense", 5, 10, "default"),
        ("lower", 20, 14, "default"),
        (LOW_RANK, 7, 12, INDEPENDENT),
        ("toeplitz_lower", 4, 12, MIRRORED),
        ({"name": "kronecker", "rows": 2, "cols": 3}, 6, 16, ALIKE),
        ("diagonal", 8, 10, "xnes"),
        ("dense", 6, 12, "cma"),
        ("lower", 5, 12, {**RAW, "gamma": 0.5}),
    ],
)
def test_late_values_of_every_age(spec, d, popsize, engine):
    """Every third generation has late values of three ages, and some that are stale."""
    ages, masses = set(), []
    takes_raw = "values" in engine
    for objective in (rounded, failing_mildly) if takes_raw else (bowl, rounded, failing):
        pair = Late(spec, d, popsize, engine, sigma0=np.linspace(0.5, 2, d))
        for _ in range(4):
            pair.hold(4, objective)
            pair.hold(4, objective)
            now, stale = pair.reference.generation, 0
            for age in (5, 2, 1):
                held = [h for h in pair.held if now - h[0] == age]
                held.sort(key=lambda h: -pair.importance(h[0], h[2]))
                for candidate in held[:: len(held) - 1] if age == 5 else held[1:3]:
                    pair.held.remove(candidate)
                    if pair.arrive(*candidate):
                        ages.add(age)
                    else:
                        stale += 1
            found = [sample.importance for sample in pair.es.gathered.samples]
            np.testing.assert_allclose(found, [a[4] for a in pair.arrived], rtol=1e-8)
            assert pair.es.gathered.counts.stale == stale
            masses += list(pair.finish(objective))
    assert ages == {1, 2, 5}
    assert sum(mass < 0.95 for mass in masses) >= 20


def test_a_late_value_counts_at_most_as_much_as_a_fresh_one_and_at_least_a_tenth():
    """Points whose importance weight is known: on either side of the threshold, and at the mean
    of the present distribution, where the ratio of the densities is far above 1."""
    popsize, seen = 60, {"all": 0, "part": 0, "stale": 0}
    pair = Late("dense", 2, popsize, SLOW)
    pair.hold(40, slope)
    for _ in range(2):
        pair.run(1, slope)
    for held in list(pair.held):
        importance = pair.importance(held[0], held[2])
        if importance == 1.0 or 0.07 < importance < 0.15:
            before = len(pair.es.gathered.samples)
            is_used = pair.arrive(*held)
            assert len(pair.es.gathered.samples) == before + is_used
            seen["all" if importance == 1.0 else "part" if is_used else "stale"] += 1
    assert min(seen.values()) >= 1, seen
    assert pair.es.gathered.counts.late == seen["all"] + seen["part"]
    assert pair.es.gathered.counts.stale == seen["stale"]
    pair.finish(slope)


def test_the_order_of_arrival_changes_nothing():
    """To the bit, whatever comes first: late values, fresh ones, points of one's own."""

    def state(order):
        pair = Late("dense", 4, 12)
        for _ in range(3):
            pair.hold(4)
        X, _ = pair.ask()
        told = [(x, value) for _, _, x, value in pair.held[2:8]]
        told += [(x, value) for x, value in zip(X[:5], bowl(X[:5], 0), strict=True)]
        told += [(np.full(4, 0.3), 2.0)]
        for i in order:
            pair.es.tell(told[i][0][None, :], [told[i][1]])
        pair.es.advance()
        return pair.es.state

    first = state(range(12))
    for seed in range(3):
        other = state(np.random.default_rng(seed).permutation(12))
        for a, b in zip(first, other, strict=True):
            np.testing.assert_equal(a, b)


def test_candidates_are_waited_for_during_fifty_generations():
    pair = Late("diagonal", 40, 4, {**SLOW, "speed": 1e-6, "damping": 1e6})
    pair.hold(2)
    pair.run(49, chance)  # the one that is open now is the fiftieth after theirs
    assert pair.reference.generation == 50
    assert len(pair.es.pending) == 2
    pair.run(1, chance)
    assert len(pair.es.pending) == 0
    pair.es.tell(pair.held[0][2][None, :], [1.0])
    assert pair.es.gathered.counts.stale == 1


@pytest.mark.parametrize(
    ("spec", "d"), [("dense", 1), ("dense", 5), ("lower", 3), (LOW_RANK, 7), (KRONECKER, 20)]
)
def test_points_of_ones_own(spec, d):
    """A far point enters with the length √d + 2 d/(d + 2), the mean itself with a thousandth of
    √d, others as they are; each counts as one sample."""
    pair = Late(spec, d, 9, INDEPENDENT, sigma0=np.linspace(0.5, 2, d))
    pair.run(3)
    mean, direction = pair.es.mean, np.cos(np.arange(d))
    for length in (1e6, 0.5, 1e-5, -1e3):
        pair.own(mean + length * direction, 1.0 + 1 / length)
    lengths = [np.linalg.norm(sample.Z) for sample in pair.es.gathered.samples]
    longest = np.sqrt(d) + 2 * d / (d + 2)
    np.testing.assert_allclose(lengths[0], longest, rtol=1e-9)
    np.testing.assert_allclose(lengths[2], 1e-3 * np.sqrt(d), rtol=1e-6)
    mass = pair.finish()
    assert (mass == 1).all()
    assert len(mass) == 9


# -- where the points live ------------------------------------------------------------------------

INTEGER = {"is_integer": True, "rounded": False}
PERMUTED = {
    "name": "direct_sum",
    "blocks": {"a": {"name": "lower", "at": [4, 0, 2]}, "b": {"name": "diagonal", "dim": 3}},
}
SIDES = [(0, 3), (None, 1.5), (-1, None), (1.4, 1.5), (None, None), (-5, 5)]


def coordinates(sides, sigma0, **kinds):
    """Coordinates with these bounds; `kinds`: {name of a field: indices}."""
    return [
        Coordinate(
            -inf if low is None else low,
            inf if high is None else high,
            sigma,
            **{name: i in indices for name, indices in kinds.items()},
        )
        for i, ((low, high), sigma) in enumerate(zip(sides, sigma0, strict=True))
    ]


@pytest.mark.parametrize("boundary", ["transform", "reflect"])
@pytest.mark.parametrize("spec", ["dense", "diagonal", PERMUTED])
def test_bounds(spec, boundary):
    sigma0 = np.array([0.5, 1, 2, 1, 0.7, 1])
    rounded = range(6) if boundary == "transform" else ()
    space = ReferenceSpace(coordinates(SIDES, sigma0, rounded=rounded))
    x0 = np.array([0.01, 1.49, -0.5, 1.46, 0, 1])
    options = {"bounds": SIDES, "boundary": boundary, "space": space}
    Pair(spec, 6, None, INDEPENDENT, sigma0, x0, **options).run(15)
    Pair(spec, 6, 20, "xnes", sigma0, x0, **options).run(5, slope)


def test_logarithms():
    sides, sigma0 = [(1e-3, 10), (None, None), (-1, None), (1, 1000)], np.array([0.5, 1, 2, 0.3])
    space = ReferenceSpace(
        coordinates(sides, sigma0, rounded=range(4), is_log=(0, 1, 3), is_integer=(3,))
    )
    options = {"bounds": sides, "transforms": {0: "log", 1: "log", 3: "log"}, "integers": [3]}
    x0 = np.array([0.1, 1.49, -0.5, 100])
    Pair("lower", 4, None, INDEPENDENT, sigma0, x0, space=space, **options).run(25)


@pytest.mark.parametrize("objective", [bowl, steps, failing])
@pytest.mark.parametrize("all_of_them", [False, True])
@pytest.mark.parametrize("spec", ["dense", "diagonal", LOW_RANK])
def test_integers(spec, all_of_them, objective):
    """Some are integers, or all; one of them has two values, one is open."""
    sides, sigma0, x0 = [(0, 5), (None, None), (0, 1)], np.array([1, 1, 0.3]), np.array([2, 1, 0])
    integers = [0, 1, 2]
    if not all_of_them:
        sides, sigma0, x0 = [*sides, (-1, None)], np.append(sigma0, 2), np.append(x0, -0.5)
    d = len(sides)
    space = ReferenceSpace(coordinates(sides, sigma0, rounded=range(d), is_integer=integers))
    options = {"bounds": sides, "integers": integers, "space": space}
    Pair(spec, d, None, INDEPENDENT, sigma0, x0, **options).run(20, objective)


def test_an_integer_with_one_value_is_no_coordinate_of_the_search():
    es = structes.ES(
        np.ones(3), 1.0, seed=SEED, integers=[1, 2], bounds=[(0, 4), (0.6, 1.4), (0, 1)]
    )
    assert es.structure.dim == 2
    X = es.ask(200)
    assert (X[:, 1] == 1).all()
    assert set(X[:, 2]) == {0, 1}


@pytest.mark.parametrize("spec", ["lower", "diagonal"])
def test_choices(spec):
    def objective(X, generation):
        first, second = X[:, 2:5].argmax(axis=1), X[:, 5:].argmax(axis=1)
        return bowl(X[:, :2], 0) + 3 * (first == 1) + 2 * (second == 0)

    choices = [[2, 3, 4], [5, 6]]
    space = ReferenceSpace([Coordinate()] * 7, choices)
    pair = Pair(spec, 7, None, INDEPENDENT, 1.0, 0.1 * np.arange(7), space=space, choices=choices)
    pair.run(40, objective)


def test_choices_alone():
    def objective(X, generation):
        return 1.0 * (X[:, :3].argmax(axis=1) != 1) + 2 * (X[:, 3:].argmax(axis=1) == 0)

    choices = [[0, 1, 2], [3, 4]]
    space = ReferenceSpace([Coordinate()] * 5, choices)
    pair = Pair("diagonal", 5, None, INDEPENDENT, 1.0, np.zeros(5), space=space, choices=choices)
    pair.run(20, objective)


def test_points_of_float32_are_inside_bounds_that_float32_does_not_have():
    """0.1 and 0.3 lie between two numbers of float32; candidates are on the inner one."""
    low, high = np.array([0.1, 0.3, -0.3, 0.1]), np.array([0.1, 0.3, -0.3, 0.1]) + 3e-7
    bounds = list(zip(low, high, strict=True))
    for boundary in ("transform", "reflect"):
        es = structes.ES(
            (low + high) / 2, 1e-7, seed=SEED, bounds=bounds, boundary=boundary, dtype="float32"
        )
        X = es.ask(300).astype(float)
        assert (low <= X).all()
        assert (high >= X).all()
        inner_low = np.nextafter(low.astype("f4"), np.float32(inf)).astype(float)
        is_inside = low.astype("f4") >= low
        np.testing.assert_array_equal(
            X.min(axis=0), np.where(is_inside, low.astype("f4"), inner_low)
        )


# -- noise ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "strength", "generations"),
    [("dense", 0.0, 25), ("dense", 0.03, 60), ("diagonal", 1.0, 60), ("diagonal", 1e3, 75)],
)
def test_noise(spec, strength, generations):
    def objective(X, generation):
        values = bowl(X, 0) + strength * np.random.default_rng(generation).normal(size=len(X))
        if generation % 7 == 3:
            values[2] = nan
        if generation % 11 == 5:
            values[[0, 4]] = nan
        return values if strength < 100 else 50 * np.round(values / 50)

    pair = Pair(spec, 5, None, "default", noise="auto")
    for _ in range(generations):
        pair.generation(objective)
        noisy, mine = pair.es.state.noisy, pair.reference.noise
        assert (noisy.measured, noisy.wait) == (len(mine.measurements), mine.wait)
        numbers = [noisy.eta, noisy.ratio, noisy.slope]
        np.testing.assert_allclose(numbers, [mine.eta, mine.ratio, mine.slope()], rtol=1e-8)
    assert mine.eta < 1 or strength < 1
    assert (mine.ratio > 0) == (strength > 0)


def test_the_share_of_its_step_that_the_mean_moves_has_a_floor():
    """1e-6, from where on sigma falls in its place."""
    pair = Pair("diagonal", 5, 20, INDEPENDENT, noise="auto")
    pair.run(3, chance)
    pair.reference.noise.eta = 1.001e-6
    state = pair.es.state
    pair.es.state = state._replace(noisy=state.noisy._replace(eta=1.001e-6))
    pair.run(12, chance)
    assert pair.reference.noise.eta == pytest.approx(1e-6, rel=1e-12)


# -- float32 --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "d"),
    [("dense", 60), ("diagonal", 100), ({"name": "kronecker", "rows": 5, "cols": 12}, 60)],
)
def test_the_state_of_float32_candidates_is_of_float64(spec, d):
    """B is right to a few 1e-8 after ten generations, more than float32 has: M comes from sums of
    float32, but 1 + M is one of float64."""
    pair = Pair(spec, d, None, INDEPENDENT, x0=np.zeros(d), dtype="float32")
    for generation in range(10):
        X, _ = pair.ask()
        assert X.dtype == np.float32
        values = chance(X, generation)
        pair.es.tell(X, values)
        pair.reference.update(X, values)
        assert pair.es.state.mean.dtype == np.float64
    B = pair.es.structure.to_dense(pair.es.state.factor)
    step = np.linalg.inv(pair.reference.B) @ B - np.eye(d)
    np.testing.assert_allclose(step, 0, atol=1e-7)


# -- from one structure to another ----------------------------------------------------------------


@pytest.mark.parametrize("former", ["diagonal", "lower", LOW_RANK])
@pytest.mark.parametrize("latter", ["dense", "diagonal", "scalar"])
def test_another_structure_has_the_distribution_and_the_paths_of_the_former(former, latter):
    d = 6
    pair = Pair(former, d, sigma0=np.linspace(0.5, 2, d))
    pair.run(8)
    strategy = structes.ES(np.ones(d), 1.0, latter, SEED).strategy
    state, mine = strategy.adopt(pair.es.state, pair.es.structure), pair.reference
    structure = build_structure(latter, d)
    B, D = structure.to_dense(state.factor), np.diag(state.sigma * state.scale)
    covariance, expected = D @ np.linalg.inv(B @ B.T) @ D, mine.spread()
    if latter == "dense":
        np.testing.assert_allclose(covariance, expected, atol=1e-10 * expected.max())
    else:
        np.testing.assert_allclose(covariance, np.diag(np.diag(expected)), atol=1e-12)
        np.testing.assert_array_equal(B, np.eye(d))
    for path, own in ((state.path_sigma, mine.path_sigma), (state.path, mine.path)):
        moved = D @ structure.unwhiten(state.factor, path[None, :])[0]
        expected = mine.place(own[None, :])[0] - mine.mean
        np.testing.assert_allclose(moved, expected, atol=1e-10 * np.abs(expected).max())
    np.testing.assert_array_equal(state.mean, pair.es.state.mean)
