"""The whole algorithm once more: one generation, in full matrices, written from the formulas.

The sources are docs/update.md, Hansen, "The CMA evolution strategy: a tutorial" (2016; H),
Glasmachers et al., "Exponential natural evolution strategies" (2010; G), and Lin et al.,
"Tractable structured natural-gradient descent using local parameterizations" (2021; L). Nothing of
it is imported from the product, and nothing is fast. What a structure is stands in
`reference_structures.py`, where the points live in `reference_space.py`.

A search distribution is x = mean + sigma D₀ B⁻ᵀ z, z ~ N(0, I).
"""

from math import exp, inf, log, sqrt

import numpy as np
from scipy.linalg import expm
from scipy.stats import multivariate_normal

ENGINES = {
    "default": {
        "sampling": "auto",
        "mirror": 0.5,
        "damping": None,
        "speed": 1.25,
        "parts": True,
        "trust_region": 1.0,
    },
    "cma": {
        "sampling": "independent",
        "mirror": 0.0,
        "damping": 1.0,
        "speed": 1.0,
        "parts": False,
        "trust_region": inf,
    },
    "natural": {
        "sampling": "independent",
        "mean_rate": 1.0,
        "rate": None,
        "values": "ranks",
        "baseline": "leave-one-out",
        "gamma": 0.0,
        "retraction": "h",
        "trust_region": inf,
    },
}
ENGINES["xnes"] = {**ENGINES["natural"], "retraction": "exp"}
MISSING = 0.25  # how much a failed evaluation counts
NEGLIGIBLE = 0.1  # importance weight below which a late value is left out


# -- weights --------------------------------------------------------------------------------------


def places(mass):
    """The places 1, 2, … of ranked values; a value that counts m takes up a stretch of length m,
    and stands in its middle."""
    ends = np.cumsum(mass)
    return ends - mass / 2 + 0.5


def normalised(w):
    return w / np.abs(w).sum()


def symmetric_root(C):
    values, vectors = np.linalg.eigh(C)
    return (vectors * np.sqrt(values)) @ vectors.T


def mueff_of(w):
    return 1 / np.sum(w**2)


def logarithmic(mass):
    """Weights ln((N+1)/2) − ln i (H eq. 49) by rank: the good half with sum 1, the same counted
    from the worst, the bad half with sum −1."""
    total, place = mass.sum(), places(mass)
    middle = log((total + 1) / 2)
    raw, reversed_ = mass * (middle - np.log(place)), mass * (middle - np.log(total + 1 - place))
    return tuple(
        normalised(w) for w in (np.maximum(raw, 0), np.maximum(reversed_, 0), np.minimum(raw, 0))
    )


def utilities(mass):
    """G section 3.1, by rank."""
    total = mass.sum()
    u = mass * np.maximum(0, log(total / 2 + 1) - np.log(places(mass)))
    return u / u.sum() - mass / total


def shared_among_ties(weights, ranked, mass, is_shared):
    """Weights by rank in which equal values have, in proportion to their mass, what their ranks
    have together. NaN is as bad as +inf; with integers only these two share."""
    values = np.where(np.isnan(ranked), inf, ranked)
    shared = weights.copy()
    for value in set(values[1:][values[1:] == values[:-1]]):
        tied = values == value
        if is_shared or value == inf:
            shared[tied] = mass[tied] * weights[tied].sum() / mass[tied].sum()
    return shared


def mass_with_missing(values, mass):
    """A missing value counts a quarter; more where the others do not count 2."""
    missing = np.isnan(values)
    if missing.all() or not missing.any():
        return mass
    share = (2 - mass[~missing].sum()) / mass[missing].sum()
    return np.where(missing, mass * max(MISSING, min(1, share)), mass)


# -- the search -----------------------------------------------------------------------------------


class Reference:
    """A search, as the formulas have it.

    structure   of `reference_structures.py`
    engine      a name of ENGINES, or a mapping with switches
    """

    def __init__(self, structure, mean, sigma0, popsize, engine="default", space=None, noise=None):
        engine = {"name": engine} if isinstance(engine, str) else engine
        self.name = engine["name"]
        self.is_natural, self.is_textbook = self.name in ("xnes", "natural"), self.name == "cma"
        self.engine = {**ENGINES[self.name], **engine}
        d = self.d = structure.dim
        self.structure, self.popsize, self.space, self.noise = structure, popsize, space, noise
        sigma0 = np.broadcast_to(np.asarray(sigma0, dtype=float), d)
        self.sigma = exp(np.mean(np.log(sigma0)))
        self.scale = sigma0 / self.sigma
        self.mean = np.array(mean, dtype=float)
        self.B = np.eye(d)
        self.path_sigma = self.path = np.zeros(structure.length)
        self.generation = 0
        self.norm, self.is_clipped, self.is_updated = 0.0, False, False
        if space is not None:
            space.adjust(self)

    @property
    def is_mirrored(self):
        """Candidates are mirrored where they are many (`structes.Engine`)."""
        sampling, length = self.engine["sampling"], self.structure.length
        auto = sampling == "auto" and length <= min(1000, 2 * self.popsize)
        return sampling == "mirrored" or auto

    # -- the distribution

    def covariance(self):
        """Of y, for x = mean + sigma D₀ y."""
        if not self.structure.is_group:
            return self.structure.covariance()
        return np.linalg.inv(self.B @ self.B.T)

    def spread(self):
        """The covariance of search coordinates, (d, d)."""
        deviations = self.sigma * self.scale
        return self.covariance() * deviations * deviations[:, None]

    def density(self):
        """The distribution of search coordinates, of scipy."""
        return multivariate_normal(self.mean, self.spread())

    def whiten(self, U):
        """Rows z of search coordinates u."""
        Y = (U - self.mean) / (self.sigma * self.scale)
        return Y @ self.B if self.structure.is_group else self.structure.whiten(Y)

    def unwhiten(self, Z):
        """Rows y of rows z."""
        return Z @ np.linalg.inv(self.B) if self.structure.is_group else self.structure.unwhiten(Z)

    def place(self, Z):
        """Search coordinates u of rows z."""
        return self.mean + self.sigma * self.scale * self.unwhiten(Z)

    # -- weights and rates

    def weights_by_rank(self, mass):
        """(v, w₊, w₋, mueff of v, rates) of values that count `mass`, best first: v of the mean, w
        of the covariance."""
        n, d = mass.sum(), self.d
        if self.is_natural:
            u = utilities(mass)
            return self.natural_weights(u, mueff_of(u))
        good, reversed_, bad = logarithmic(mass)
        v = good - self.engine["mirror"] / (1 + 0.6 * n / d) * reversed_
        mueff = mueff_of(v)
        if self.is_mirrored and (mass == 1).all():
            # the candidates sum to 0, so that E ‖Σ v z‖² = d (n Σ v² − (Σ v)²)/(n − 1)
            mueff = (n - 1) / (n / mueff - v.sum() ** 2)
        rates = self.rates(mass, mueff_of(good), mueff)
        alpha = 1 + 2 * mueff_of(bad) / (mueff_of(good) + 2)  # H eq. 51
        alpha = min(alpha, 1 + rates["c1"] / rates["cmu"])  # H eq. 50
        if self.is_textbook:  # C stays positive definite, H eq. 52
            alpha = min(alpha, (1 - rates["c1"] - rates["cmu"]) / (d * rates["cmu"]))
        return v, good, alpha * bad, mueff, rates

    def natural_weights(self, w, mueff=1.0):
        """The same of weights w of samples, larger = better, which are those of the mean and of
        the covariance. There are no paths."""
        rate = self.engine["rate"]
        if rate is None:  # G section 3.1
            rate = 0.6 * (3 + log(self.d)) / self.d**1.5
        rates = {"c1": 0.0, "cmu": rate, "cc": 1.0, "cs": 1.0, "ds": inf, "chi": 1.0}
        return self.engine["mean_rate"] * w, w, 0 * w, mueff, rates

    def raw_weights(self, values, mass):
        """Weights −(f − baseline)/n of values, in their order; what is not finite has none."""
        mass = np.where(np.isfinite(values), mass, 0.0)
        f, baseline = np.where(mass > 0, values, 0.0), self.engine["baseline"]
        if baseline == "mean":
            baseline = mass @ f / mass.sum()
        elif baseline == "leave-one-out":  # the mean of all others
            baseline = (mass @ f - mass * f) / (mass.sum() - mass)
        return -mass * (f - baseline) / mass.sum()

    def rates(self, mass, mueff, mueff_mean):
        """The learning rates: docstring of `learning_rates`, and H eq. 55–58."""
        n, d, structure, engine = mass.sum(), self.d, self.structure, self.engine
        rates = {"chi": sqrt(d) * (1 - 1 / (4 * d) + 1 / (21 * d**2))}

        def of_part(dof):
            size = max(dof, d)
            if self.is_textbook:  # H eq. 57–58, with 2 dof − d in place of d²
                squares, alpha = 2 * size - d, 2 * engine["speed"]
                c1 = alpha / (squares + 2.6 * d + 1.3**2 + mueff)
                cmu = alpha * (1 / 4 + mueff + 1 / mueff - 2)
                return c1, min(1 - c1, cmu / (squares + 4 * d + 4 + alpha * mueff / 2))
            if dof <= d < structure.dof:  # a diagonal beside other numbers
                speed = 2 - 1.4 * (structure.dof - d) / (d * (d - 1) / 2)
            else:
                size = max(size, structure.row * d / 8)
                speed = engine["speed"] + (2 - engine["speed"]) * d / size
            rate = 2 * speed / (2 * size + d + 4 + 2 * speed * mueff)
            c1 = min(1, n / 6) * rate
            return c1, min(1 - c1, 0.9, rate * (mueff + 1 / mueff - 7 / 4))

        sizes = [part.dof for part in structure.parts] if engine["parts"] else [structure.dof]
        c1, cmu = of_part(sizes[0])
        parts = [of_part(size)[1] / cmu for size in sizes] if engine["parts"] else None
        cc = (4 + mueff / d) / (d + 4 + 2 * mueff / d)
        if not self.is_textbook:
            cc = min(1, max(cc, sqrt(c1)))
        cs = (mueff_mean + 2) / (d + mueff_mean + 5)
        damping = 0.3 + 2 / d if engine["damping"] is None else engine["damping"]
        ds = damping + cs + 2 * max(0, sqrt(max(0, mueff_mean - 1) / (d + 1)) - 1)
        return {**rates, "cmu": cmu, "c1": c1, "cc": cc, "cs": cs, "ds": ds, "parts": parts}

    # -- one generation

    def update(self, U, values, mass=None):
        """The generation of search coordinates U (n, d) with values (n,), NaN where missing, and
        importance weights mass (n,)."""
        n, d, structure = len(values), self.d, self.structure
        U, values = np.asarray(U, dtype=float), np.asarray(values, dtype=float)
        Z, eta = self.whiten(U), 1.0
        mass = mass_with_missing(values, np.ones(n) if mass is None else np.asarray(mass))
        has_integers = self.space is not None and self.space.has_integers
        if has_integers:
            # one of two mirrored twins with the same value ranks first
            order = sorted(range(n), key=lambda i: (np.isnan(values[i]), values[i], i % 2, i))
        else:
            order = sorted(range(n), key=lambda i: (np.isnan(values[i]), values[i], i))
        ranked, mass = values[order], mass[order]
        is_raw = self.is_natural and self.engine["values"] == "raw"
        is_flat = np.isnan(ranked[0]) or ranked[0] == inf or ranked[0] == ranked[-1]
        tied = self.tied_with_best(ranked) if has_integers else 0.0
        counted = mass[np.isfinite(ranked)].sum() if is_raw else mass.sum()
        has_entropy = self.is_natural and self.engine["gamma"] > 0
        if counted < 2 - 1e-9 or (is_flat and not is_raw and not has_entropy):
            self.generation, self.is_updated = self.generation + 1, False
            if tied:
                self.space.adjust(self, tied)
            return
        if is_raw:
            v, good, bad, mueff, r = self.natural_weights(self.raw_weights(ranked, mass))
        else:
            *weights, mueff, r = self.weights_by_rank(mass)
            v, good, bad = (shared_among_ties(w, ranked, mass, not has_integers) for w in weights)
            if is_flat:
                v, good = 0 * v, 0 * good
        if self.noise is not None:
            eta = self.noise.eta
            self.noise.measure(U, values, self.sigma)
        Z = Z[order]
        if self.space is not None:
            Z = self.whiten(self.space.centred(self, self.place(Z), v))

        # the mean, H eq. 42; the paths, H eq. 43 and 45
        dz = v @ Z
        self.mean = self.mean + eta * self.sigma * self.scale * self.unwhiten(dz[None, :])[0]
        cs, cc = eta * r["cs"], r["cc"]
        self.path_sigma = (1 - cs) * self.path_sigma + sqrt(cs * (2 - cs) * mueff) * dz
        length = np.linalg.norm(self.path_sigma)
        longest = sqrt((2 + 4 / (d + 1)) * d)
        if self.is_textbook:
            longest = (1.4 + 2 / (d + 1)) * r["chi"]
        waits = length >= longest * sqrt(1 - (1 - cs) ** (2 * (self.generation + 1)))
        self.path = (1 - cc) * self.path
        if not waits:
            self.path = self.path + sqrt(cc * (2 - cc) * mueff) * dz
        q = self.path

        # The natural gradient M of G = cmu Σ (w° z zᵀ − w I) + c1 (q qᵀ − I), w° = w d/‖z‖² for
        # w < 0 (H eq. 46). What `tangent` subtracts is Σ w° I. Of short axes and stiff sums the
        # path says nothing. The textbook keeps what C loses while the path waits: δ(hσ) of H
        # eq. 47. The entropy adds what a sample at the mean does that weighs −gamma (L eq. 1).
        total = (good + bad).sum()
        bad = bad if self.is_natural else bad * d / np.sum(Z**2, axis=1)
        w, one = r["cmu"] * (good + bad), np.eye(structure.length)
        too_much = 0.5 * (w.sum() - r["cmu"] * total)
        if self.is_textbook and waits:
            too_much += 0.5 * r["c1"] * cc * (2 - cc)
        of_path = self.tangent(q[None, :], np.array([r["c1"]]))
        on_path = [part.on_path for part in structure.parts]
        M = self.tangent(Z, w) + structure.multiplied(of_path, on_path) - too_much * one
        if self.is_natural and self.engine["gamma"]:
            M = M + self.tangent(0 * one[:1], np.array([-r["cmu"] * self.engine["gamma"]]))

        # each part at its own rate; M = s I + M₀, not longer than the trust region
        gradient, rates = M, r.get("parts")
        if rates is not None:
            M = structure.multiplied(M, rates)
        is_straight = self.is_textbook and structure.moves_straight
        scale = 0.0
        if not is_straight:
            scale = (np.trace(M) if structure.is_group else structure.trace(M)) / d
        shape = M - scale * one
        self.norm = sqrt(np.sum(shape**2) + d * scale**2)
        shorter = min(1, self.engine["trust_region"] / self.norm) if self.norm else 1.0
        self.is_clipped = shorter < 1
        scale, shape, gradient = shorter * scale, shorter * shape, shorter * gradient

        # B ← B h(M₀), or B exp(M₀), or C ← C + ΔC; and the path goes along, the same y in the new
        # coordinates
        if is_straight:
            y = self.unwhiten(q[None, :])[0]
            A = np.linalg.inv(self.B).T
            self.B = np.linalg.inv(symmetric_root(A @ (one - 2 * shape) @ A.T))
            q = y @ self.B
        elif structure.is_group:
            if self.is_natural and self.engine["retraction"] != "h":
                step = expm(shape)
            else:
                step = structure.step(shape, gradient, rates if len(structure.parts) > 1 else None)
            self.B, q = self.B @ step, step.T @ q
        else:
            q = structure.move(shape, q)
        self.path = exp(scale) * q

        # sigma, H eq. 44; but for the textbook it grows by e at most
        largest = inf if self.is_textbook else 1
        change = min(eta * r["cs"] / r["ds"] * (length / r["chi"] - 1), largest) - eta * scale
        if self.noise is not None:
            change = self.noise.shared(change)
        self.sigma *= exp(change)
        self.generation, self.is_updated = self.generation + 1, True
        if self.space is not None:
            self.space.adjust(self, tied)

    def tangent(self, Z, w):
        """The natural gradient M of Σ w (z zᵀ − I)."""
        if not self.structure.is_group:
            return self.structure.tangent(Z, w)
        return self.structure.gradient((Z.T * w) @ Z - np.sum(w) * np.eye(self.d))

    @staticmethod
    def tied_with_best(ranked):
        """The share of the other known values that equal the best one."""
        known = ranked[~np.isnan(ranked)]
        return (np.sum(known == known[0]) - 1) / (len(known) - 1) if len(known) > 1 else 0.0

    # -- samples that this distribution did not draw

    def importance(self, u, drawn, age):
        """The importance weight of a sample that an earlier density has drawn, `age` generations
        ago: the ratio of the densities, at most 1 and tempered."""
        mueff = self.weights_by_rank(np.ones(self.popsize))[3]
        power = min(1, min(0.5, 0.6 * mueff / self.d) * (1 + age) / 2)
        return min(1.0, exp(power * (self.density().logpdf(u) - drawn.logpdf(u))))

    def clipped(self, u):
        """A point as a sample: not farther than one is, and a little off the mean."""
        d, z = self.d, self.whiten(u[None, :])[0]
        length = np.linalg.norm(z)
        return self.place(
            z[None, :] * np.clip(length, 1e-3 * sqrt(d), sqrt(d) + 2 * d / (d + 2)) / length
        )[0]


class Noise:
    """How noisy values are, and what is done about it: docstring of `strategy/uncertainty.py`."""

    target, speed, every = 0.5, 0.1, 10

    def __init__(self):
        self.eta, self.ratio, self.wait = 1.0, 0.0, 0
        self.measurements = []  # (ln sigma, 6 K²/(m (m + 1)), weight)

    def measure(self, U, values, sigma):
        """Where the last candidate is the first one again: how many of the others lie between
        them. A tie is half between."""
        if self.wait:
            self.wait -= 1
            return
        others = values[1:-1][~np.isnan(values[1:-1])]
        if (U[0] != U[-1]).any() or np.isnan(values[[0, -1]]).any() or not len(others):
            return
        ranks = [np.mean([others < v, others <= v], axis=0).sum() for v in values[[0, -1]]]
        K, m = ranks[0] - ranks[1], len(others)
        rank = 6 * K**2 / (m * (m + 1))
        n = len(self.measurements) + 1
        self.ratio += max(1 / 20, 1 / (n + 1)) * (rank - self.ratio)
        weight = max(1 / 50, 1 / n)
        self.measurements = [(x, y, w * (1 - weight)) for x, y, w in self.measurements]
        self.measurements.append((log(sigma), rank, weight))
        self.wait = 0 if self.ratio > 0.02 else self.every - 1

    def slope(self):
        """Of the ratio against ln sigma; −1 until sigma has moved."""
        if not self.measurements:
            return -1.0
        x, y, w = np.array(self.measurements).T
        x, y = x - w @ x, y - w @ y
        return (w @ (x * y) - 0.05) / (w @ x**2 + 0.05)

    def shared(self, change):
        """The change of ln (eta sigma), shared out: returns that of ln sigma."""
        ratio = self.ratio * min(1, max(0, -self.slope() / 0.3))
        drift = self.speed * log(ratio / self.target) if ratio > 0 else -inf
        total = log(self.eta) + change
        log_eta = min(0.0, max(log(1e-6), total - drift))
        self.eta = exp(log_eta)
        return total - log_eta
