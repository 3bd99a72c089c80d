"""Values that come late: what they count, and that a search with many of them still converges."""

import heapq
import pickle

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from structes import ES
from structes.population.asked import KEPT
from structes.population.fingerprints import fingerprints
from structes.population.generation import Generation
from structes.population.late import NEGLIGIBLE, late, own, temper
from structes.population.ledger import OVER
from structes.strategy.engine import Engine
from structes.strategy.strategy import Strategy
from structes.strategy.weights_and_rates import recombination_weights, xnes_utilities
from structes.structures.building import build_structure

from .structure_table import TRUTH

CASES = [truth.cases[-1] for truth in TRUTH.values() if truth.cases]


def sphere(X):
    return (X * X).sum(axis=1)


def moved(structure, dim, generations=12, **options):
    es = ES(np.linspace(1, 2, dim), np.linspace(0.5, 1, dim), structure, seed=4, **options)
    for _ in range(generations):
        X = es.ask()
        es.tell(X, sphere(X))
    return es


@pytest.mark.parametrize(("spec", "dim"), [*CASES, ({"name": "low_rank", "long": 2}, 7)])
def test_the_density_is_the_normal_one(spec, dim):
    es = moved(spec, dim)
    Z, Y, X = es.strategy.draw(es.state, 1, 0, 6)
    step = es.state.sigma * es.state.scale
    factor = es.structure.to_dense(es.state.factor)
    covariance = np.linalg.inv(factor @ factor.T) * step * step[:, None]
    truth = multivariate_normal(es.state.mean, covariance).logpdf(X)
    truth += 0.5 * dim * np.log(2 * np.pi)
    np.testing.assert_allclose(
        es.strategy.log_density(Z, es.strategy.volume(es.state)), truth, rtol=1e-7, atol=1e-7
    )
    np.testing.assert_allclose(es.strategy.locate(es.state, X), Z, rtol=1e-6, atol=1e-8)
    np.testing.assert_array_equal(es.strategy.coordinates(es.state, Y), X)


def test_masses_of_one_are_the_plain_weights_and_halves_add_up():
    n = 11
    raw = np.log((n + 1) / 2) - np.log(np.arange(1, n + 1))
    plain = recombination_weights(np.ones(n))
    np.testing.assert_allclose(plain.positive, np.maximum(raw, 0) / np.maximum(raw, 0).sum())
    mass = np.ones(n + 1)
    mass[3:5] = 0.5  # one sample as two halves, side by side
    halves = recombination_weights(mass)
    for name in ("positive", "negative", "mirrored"):
        whole, parts = getattr(plain, name), getattr(halves, name)
        assert parts[3:5].sum() == pytest.approx(whole[3], abs=0.004)
        np.testing.assert_allclose(np.delete(parts, [3, 4]), np.delete(whole, 3), atol=0.004)
    assert xnes_utilities(mass).sum() == pytest.approx(0)
    with pytest.raises(ValueError, match=r"count as 2 at least; got 1\.5"):
        recombination_weights(np.array([1.0, 0.5]))


def test_masses_that_are_two_but_for_rounding_are_enough():
    mass = np.array([0.3, 0.7, 1.0 - 2.0**-52])
    assert mass.sum() < 2
    assert recombination_weights(mass).positive.sum() == pytest.approx(1)


def test_a_late_value_counts_by_the_ratio_of_the_densities():
    es = ES(np.ones(5), 0.5, seed=1)
    out, X = es.ask(), es.ask()
    es.tell(X, np.ones(len(X)))  # all equal: nothing has moved
    (place,) = es.ledger.find(out[:1])
    old_generation = es.ledger.generation(place.key)[1].generation
    assert late(es.ledger.open.generation, old_generation, place.index, 1.0).importance == 1
    X = es.ask()
    es.tell(X, sphere(X))
    masses = []
    for place in es.ledger.find(out):
        generation = es.ledger.generation(place.key)[1].generation
        assert generation.key == old_generation.key
        arrival = late(es.ledger.open.generation, generation, place.index, 1.0)
        Z, Y = generation.sample(place.index)
        old = generation.strategy.log_density(Z, generation.volume)
        U = generation.strategy.coordinates(generation.state, Y)
        Z = es.strategy.locate(es.state, U)
        new = es.strategy.log_density(Z, es.ledger.open.generation.volume)
        age = es.generation - generation.number
        ratio = np.exp(temper(es.strategy, age) * (new - old))[0]
        assert arrival.importance == pytest.approx(min(1, ratio))
        masses.append(arrival.importance)
    assert min(masses) < 0.9 and max(masses) <= 1


def log_density(state, structure, X):
    """That of the search distribution at the points X (n, d), from its covariance."""
    step = state.sigma * state.scale
    B = structure.to_dense(state.factor)
    covariance = np.linalg.inv(B @ B.T) * step * step[:, None]
    return multivariate_normal(state.mean, covariance).logpdf(X)


def counted(es, state, X, age):
    """What late points X count that were drawn from a state so many generations ago:
    min(1, q / q₀)^p, p = min(½, 0.6 mueff / d) (1 + age) / 2."""
    structure = es.strategy.structure
    ratio = log_density(es.state, structure, X) - log_density(state, structure, X)
    p = min(0.5, 0.6 * es.strategy.plan(es.popsize).mueff / es.dim) * (1 + age) / 2
    return np.exp(min(1.0, p) * np.minimum(0, ratio))


@pytest.mark.parametrize("age", [1, 2, 5])
@pytest.mark.parametrize(("structure", "dim"), [("dense", 3), ("upper", 30), ("diagonal", 40)])
def test_what_a_late_value_counts_and_which_value_closes_a_generation(structure, dim, age):
    """Those that count less than a tenth are stale; a generation is closed by the value with which
    its samples count as many as it takes."""
    es = ES(np.linspace(0.5, 1, dim), 0.5, structure, seed=age, popsize=10)
    state, out = es.state, es.ask(30)
    es.tell(out[:10], sphere(out[:10]))
    for _ in range(age - 1):
        X = es.ask()
        es.tell(X, sphere(X))
    assert es.generation == age
    out, X = out[10:], es.ask(30)
    importance = counted(es, state, out, age)
    generation = es.ledger.generation(es.ledger.find(out[:1])[0].key)[1].generation
    for x, weight in zip(out, importance, strict=True):
        (place,) = es.ledger.find(x[None, :])
        arrival = late(es.ledger.open.generation, generation, place.index, 1.0)
        assert arrival.importance == pytest.approx(weight, rel=1e-6)
    order = np.argsort(importance)
    some = [*order[:3], order[len(order) // 2], *order[-3:]]
    counts = importance[some][importance[some] >= 0.1]
    es.tell(out[some], sphere(out[some]))
    told = 0
    while es.generation == age:
        es.tell(X[told : told + 1], sphere(X[told : told + 1]))
        told += 1
    assert told == np.ceil(es.popsize - counts.sum() - 1e-9)
    assert (es.info.late, es.info.stale) == (len(counts), len(some) - len(counts))


@pytest.mark.parametrize(("structure", "dim"), [("dense", 3), ("upper", 12)])
def test_a_point_of_ones_own_is_as_long_as_samples_may_be(structure, dim):
    """In its Mahalanobis length: √d + 2 d / (d + 2) at most, a thousandth of √d at least, and in
    between as it is."""
    es = moved(structure, dim, 6)
    step, B = es.state.sigma * es.state.scale, es.structure.to_dense(es.state.factor)
    direction = np.random.default_rng(dim).normal(size=dim)
    direction /= np.linalg.norm((direction / step) @ B)  # of length 1
    longest = np.sqrt(dim) + 2 * dim / (dim + 2)
    cases = [(0.5, 0.5), (longest - 0.01, longest - 0.01), (1.5 * longest, longest)]
    cases += [(1e6, longest), (1e-9, 1e-3 * np.sqrt(dim)), (0, 1e-3 * np.sqrt(dim))]
    for length, clipped in cases:
        x = (es.state.mean + length * direction)[None, :]
        arrival = own(es.strategy, es.state, x, 1.0, 0, "X[0]")
        assert np.linalg.norm(arrival.Z) == pytest.approx(clipped, rel=1e-5)
        assert np.linalg.norm(arrival.Y[0] @ B) == pytest.approx(clipped, rel=1e-5)
        assert arrival.importance == 1
        if length > 1e-3:
            moved_to = es.strategy.coordinates(es.state, arrival.Y)
            np.testing.assert_allclose(moved_to, es.state.mean + clipped * direction[None, :])


def test_late_values_are_samples_like_others_where_nothing_has_moved():
    es, twin = (ES(np.ones(5), 0.5, seed=1) for _ in range(2))
    X, rest = es.ask(), es.ask(4)
    es.tell(rest, np.ones(4))
    es.advance()  # all equal: nothing moves, and X is late
    es.tell(X, sphere(X))
    Y = twin.ask()
    np.testing.assert_array_equal(X, Y)
    twin.tell(Y, sphere(Y))
    assert es.info.late == len(X) and es.generation == 2
    np.testing.assert_allclose(es.mean, twin.mean, rtol=1e-9)


def test_the_order_of_late_values_does_not_matter():
    def search(order):
        es = moved("dense", 4, 3)
        out = es.ask()
        for _ in range(2):
            X = es.ask()
            es.tell(X, sphere(X))
        X = es.ask()
        es.tell(out[order], sphere(out[order]))
        es.tell(X, sphere(X))
        assert es.info.late + es.info.stale == len(out)
        return es

    random = np.random.default_rng(0)
    first = search(np.arange(8))
    for _ in range(3):
        other = search(random.permutation(8))
        assert other.sigma == first.sigma
        np.testing.assert_array_equal(other.mean, first.mean)


def test_a_late_value_whose_density_cannot_be_worked_out_counts_nothing():
    es = moved("dense", 3, 1)
    x, X = es.ask(), es.ask()
    es.tell(X, sphere(X))
    (place,) = es.ledger.find(x[:1])
    generation = es.ledger.generation(place.key)[1].generation
    singular = es.state._replace(factor=(np.diag([1.0, 1.0, 0.0]),))
    present = Generation(es.strategy, singular, 4, 0)
    assert late(present, generation, place.index, 1.0).importance == 0
    assert own(es.strategy, singular, x[:1], 1.0, 0, "X[0]").importance == 0


def test_points_of_ones_own_sort_behind_late_values():
    """So that the order in which they come does not matter."""

    def search(order):
        es = ES(np.linspace(1, 2, 5), 0.7, seed=4)
        out, X = es.ask(4), es.ask()
        es.tell(X, sphere(X))
        es.ask()
        for k in order:
            x = out[k : k + 1] if k >= 0 else np.full((1, 5), 0.5 + 0.1 * k)
            es.tell(x, sphere(x))
        assert es.info.late == 0 and len(es._search.arrivals.samples) == len(order)
        X = es.pending[-es.popsize :]
        es.tell(X, sphere(X))
        return es.mean.tobytes()

    assert len({search(order) for order in ([0, 1, -1, -2], [-1, 0, -2, 1], [-1, -2, 1, 0])}) == 1


def test_info_counts_what_came():
    es = moved("dense", 5, 5)
    out = es.ask(4)
    for _ in range(2):
        X = es.ask()
        es.tell(X, sphere(X))
    X = es.ask()
    es.tell(out[:3], sphere(out[:3]))
    es.tell(np.ones((1, 5)), [5.0])
    es.tell(X[:2], [np.nan, np.inf])
    with pytest.warns(RuntimeWarning, match="told before are ignored: 2"):
        es.tell(out[:2], sphere(out[:2]))
    before = es.evaluations
    es.tell(X[2:], sphere(X[2:]))
    info = es.info
    assert (info.missing, info.injected, info.repeated) == (1, 1, 2)
    assert info.late + info.stale == 3 and es.evaluations == before + len(X) - 2
    np.testing.assert_array_equal(es.pending, out[3:])


def test_a_candidate_is_forgotten_in_the_end_but_its_value_counts():
    es = moved("dense", 3, 2)
    lost = es.ask(2)
    for k in range(KEPT + 2):
        X = es.ask()
        es.tell(X, sphere(X))
        assert len(es.pending) == (2 if k < KEPT else 0)
    before = es.evaluations
    es.tell(lost[:1], [-1.0])
    assert es.evaluations == before + 1 and es.best.fun == -1.0
    X = es.ask()
    es.tell(X, sphere(X))
    assert es.info.stale == 1 and es.info.late == es.info.injected == 0
    with pytest.warns(RuntimeWarning, match="told before are ignored"):
        es.tell(lost[:1], [-2.0])
    assert es.best.fun == -1.0


def test_a_candidate_in_whose_place_another_point_came_is_known_for_two_generations():
    """Its own value may come as well, late; then it is forgotten."""
    for age, (late_values, stale) in {1: (1, 0), 2: (1, 0), 3: (0, 1), 4: (0, 1)}.items():
        es = moved("dense", 3, 2, popsize=8)
        X = es.ask()
        repaired = X[0] + 0.3 * es.deviations
        es.tell(X[1:], sphere(X[1:]))
        es.tell(repaired, [1.0])
        assert es.info.injected == 1 and not len(es.pending)
        for _ in range(age - 1):
            new = es.ask()
            es.tell(new, sphere(new))
        es.tell(X[:1], sphere(X[:1]))
        new = es.ask()
        es.tell(new, sphere(new))
        assert (es.info.late, es.info.stale) == (late_values, stale), age


def test_what_is_never_told_does_not_pile_up():
    es = ES(np.ones(3), 0.5, seed=1, stagnation=None)
    sizes = []
    for k in range(400):
        X = es.ask(es.popsize + 1)  # the last one never comes back
        es.tell(X[:-1], np.random.default_rng(k).uniform(size=es.popsize))
        its = es.ledger
        if k % 5 == 4:
            sizes.append((len(its.late), len(its.told_masks), len(pickle.dumps(its))))
    assert sizes[-1][0] <= KEPT + 1 and sizes[-1][1] <= 2 * OVER
    assert sizes[-1][2] < 1.2 * max(size for _, _, size in sizes[:-20])


def test_fingerprints():
    X = np.random.default_rng(0).standard_normal((200, 6))
    rows = [X, -X, X[:, ::-1], np.roll(X, 1, axis=1), X * [1, -1, 1, 1, 1, -1], 2 * X, X + 1e-15]
    prints = np.concatenate([fingerprints(np.ascontiguousarray(x)) for x in rows])
    assert len(set(prints.tolist())) == len(prints)
    np.testing.assert_array_equal(fingerprints(X[::-1]), fingerprints(X)[::-1])
    assert fingerprints(np.zeros((1, 2))) != fingerprints(np.array([[-0.0, 0.0]]))
    long = np.random.default_rng(0).standard_normal((3, 20_001))
    swapped = long.copy()
    swapped[:, [5, 8197]] = long[:, [8197, 5]]
    assert not set(fingerprints(long).tolist()) & set(fingerprints(swapped).tolist())
    np.testing.assert_array_equal(fingerprints(long)[1:2], fingerprints(long[1:2]))


def steady(es, function, workers, limit, seed=0):
    """Asks one by one, as workers of random durations would; whether the target was reached."""
    random = np.random.default_rng(seed)
    running = [(random.exponential(), k, es.ask(1)) for k in range(workers)]
    heapq.heapify(running)
    late = 0
    for k in range(workers, limit):
        now, _, x = heapq.heappop(running)
        generation = es.generation
        es.tell(x, function(x))
        late += es.info.late if es.generation > generation else 0
        if es.stop():
            return "target" in es.stop(), late, k
        heapq.heappush(running, (now + random.exponential(), k, es.ask(1)))
    return False, late, limit


@pytest.mark.slow
@pytest.mark.parametrize("workers", [4, 16])
@pytest.mark.parametrize("structure", ["dense", "diagonal", "auto", {"name": "low_rank"}])
def test_a_steady_stream_of_late_values_converges(structure, workers):
    def ellipsoid(X):
        return (X * X) @ 10.0 ** np.arange(6)

    es = ES(np.ones(6), 0.5, structure, seed=3, target=1e-9)
    reached, late, used = steady(es, ellipsoid, workers, 9000)
    assert reached and late > used / 20


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 12])
def test_late_values_without_meaning_hardly_move_sigma(workers):
    def drift(seed):
        es = ES(np.zeros(8), 1.0, seed=seed, stagnation=None, tolfun=None, tolxup=None)
        random = np.random.default_rng(seed)
        steady(es, lambda X: random.uniform(size=len(X)), workers, 4000, seed)
        return np.log(es.sigma) / es.generation

    # late samples lie behind the mean, which shortens the path of the step size: −0.05
    assert abs(np.mean([drift(seed) for seed in range(4)])) < (0.02 if workers == 1 else 0.1)


def test_many_parameters_do_not_make_late_values_worthless():
    es = moved("diagonal", 400, 3)
    out = es.ask()
    X = es.ask()
    es.tell(X, sphere(X))
    masses = [
        late(
            es.ledger.open.generation, es.ledger.generation(place.key)[1].generation, i, 1.0
        ).importance
        for i, place in enumerate(es.ledger.find(out))
    ]
    assert np.median(masses) > 0.3 > NEGLIGIBLE
    assert temper(Strategy(build_structure("dense", 5), Engine())) <= 0.5
