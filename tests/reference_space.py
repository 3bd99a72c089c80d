"""Bounds, logarithms, integers and choices once more, coordinate by coordinate.

Written from the docstrings of `structes.space.limited` (the rounded mirror), `integers` (CMA-ES
with margin: Hamano, Saito, Nomura & Shirakawa 2022) and `choices`, for `reference.py`.
"""

from dataclasses import dataclass
from math import ceil, exp, floor, inf, log, sqrt

import numpy as np
from scipy.stats import norm


@dataclass
class Coordinate:
    """One coordinate of a point x, and u, which the search moves.

    sigma0    the standard deviation of u at the beginning
    rounded   whether the mirror at a bound is rounded: boundary "transform"
    """

    low: float = -inf
    high: float = inf
    sigma0: float = 1.0
    rounded: bool = True
    is_log: bool = False
    is_integer: bool = False

    def __post_init__(self):
        if self.is_integer:
            self.low = ceil(self.low) if self.low > -inf else -inf
            self.high = floor(self.high) if self.high < inf else inf
            if self.is_log:
                self.low = max(self.low, 1)
        half = 0.5 if self.is_integer else 0.0
        self.floor, self.ceiling = self.from_x(self.low - half), self.from_x(self.high + half)
        self.width = self.ceiling - self.floor
        self.zone = min(0.03 * self.sigma0, self.width / 4) if self.rounded else 0.0
        if self.is_integer:
            self.zone = 0.0

    def from_x(self, x):
        if not self.is_log:
            return x
        return log(x) if x > 0 else -inf

    def to_x(self, v):
        return exp(v) if self.is_log else v

    def folded(self, u):
        """u between the mirrors, which stand a zone behind the bounds, and how often it was
        reflected."""
        times = 0
        while True:
            if u < self.floor - self.zone:
                u = 2 * (self.floor - self.zone) - u
            elif u > self.ceiling + self.zone:
                u = 2 * (self.ceiling + self.zone) - u
            else:
                return u, times
            times += 1

    def decode(self, u):
        v, _ = self.folded(u)
        a = self.zone
        if a and v < self.floor + a:
            v = self.floor + (v - (self.floor - a)) ** 2 / (4 * a)
        elif a and v > self.ceiling - a:
            v = self.ceiling - (self.ceiling + a - v) ** 2 / (4 * a)
        x = self.to_x(v)
        if self.is_integer:
            x = self.cell(x)
        return min(max(x, self.low), self.high)

    def encode(self, x):
        v, a = self.from_x(x), self.zone
        if a and v < self.floor + a:
            return self.floor - a + sqrt(4 * a * (v - self.floor))
        if a and v > self.ceiling - a:
            return self.ceiling + a - sqrt(4 * a * (self.ceiling - v))
        return v

    def cell(self, x):
        """The integer whose cell x lies in."""
        return min(max(floor(x + 0.5), self.low), self.high)

    def integer_of(self, u):
        return self.cell(self.to_x(self.folded(u)[0]))

    def centred(self, u):
        """u in the middle of its cell."""
        v, times = self.folded(u)
        shift = self.from_x(self.integer_of(u)) - v
        return u - shift if times % 2 else u + shift

    def distances(self, u):
        """How far u may go down and up before x changes; behind a mirror is the same x."""
        v, times = self.folded(u)
        k = self.integer_of(u)
        below, above = v - self.from_x(k - 0.5), self.from_x(k + 0.5) - v
        down = 2 * (v - self.floor) + above if k == self.low else below
        up = 2 * (self.ceiling - v) + below if k == self.high else above
        return (up, down) if times % 2 else (down, up)


def with_margin(u, std, coordinate, d):
    """The mean and the standard deviation of an integer that is left in either direction with a
    probability of α/2 at least (eq. 16–21 of the paper)."""
    least = min(0.5, 1 / (d * (4 + floor(3 * log(d))))) / 2
    down, up = coordinate.distances(u)
    low, high = norm.cdf(-down / std), norm.cdf(-up / std)
    if low >= least and high >= least:
        return u, std
    inside = 1 - low - high
    low, high = max(low, least), max(high, least)
    excess = (1 - low - high - inside) / (low + high + inside - 3 * least)
    low, high = low + excess * (low - least), high + excess * (high - least)
    # so many standard deviations lie between the mean and either end
    to_down, to_up = -norm.ppf(low), -norm.ppf(high)
    new = (down + up) / (to_down + to_up)
    return u + new * to_down - down, new


class ReferenceSpace:
    """Coordinates, some of which are the options of choices."""

    def __init__(self, coordinates, choices=()):
        self.coordinates, self.choices = coordinates, choices
        self.has_integers = any(c.is_integer for c in coordinates)

    def decode(self, U):
        columns = zip(self.coordinates, U.T, strict=True)
        return np.array([[c.decode(u) for u in column] for c, column in columns]).T

    def encode(self, x):
        return np.array([c.encode(v) for c, v in zip(self.coordinates, x, strict=True)])

    def centred(self, search, U, v):
        """Integers of good candidates, where they are not those of the mean, in the middle of
        their cells; only beside numbers that are none."""
        U = np.array(U)
        listed = {i for choice in self.choices for i in choice}
        others = [
            c for i, c in enumerate(self.coordinates) if not c.is_integer and i not in listed
        ]
        if not self.has_integers or not others:
            return U
        for row in (U[k] for k in np.flatnonzero(v > 0)):
            for i, c in enumerate(self.coordinates):
                if c.is_integer and c.integer_of(row[i]) != c.integer_of(search.mean[i]):
                    row[i] = c.centred(row[i])
        return U

    def deviations(self, search):
        return search.sigma * search.scale * np.sqrt(np.diag(search.covariance()))

    def adjust(self, search, tied=0.0):
        """After an update: integers do not freeze, no deviation is longer than a third of the
        width, options stay within reach."""
        before = self.deviations(search)
        for i, c in enumerate(self.coordinates):
            std = before[i]
            if c.is_integer:
                std *= exp(0.2 * max(0, 2 * tied - 1))
            std = min(std, c.width / 3 if c.width < inf else 2.0**53 if c.is_integer else inf)
            if c.is_integer:
                search.mean[i], std = with_margin(search.mean[i], std, c, search.d)
            if std != before[i]:
                search.scale[i] *= std / before[i]
        if self.choices:
            self._keep_open(search)

    def _keep_open(self, search):
        """The mean of an option is lifted to where it beats the top one in `chance`/(k − 1) of the
        samples; and the paths do not see what choices do."""
        d, std = search.d, self.deviations(search)
        chance = 1 / ((4 + 3 * log(d)) * len(self.choices))
        for choice in self.choices:
            top = max(choice, key=lambda i: search.mean[i])
            for i in choice:
                if i != top:
                    reach = norm.isf(chance / (len(choice) - 1)) * np.hypot(std[i], std[top])
                    search.mean[i] = max(search.mean[i], search.mean[top] - reach)
        listed = [i for choice in self.choices for i in choice]
        number_of_others, K = d - len(listed), len(listed)
        both = np.stack([search.path_sigma, search.path])
        Y = search.unwhiten(both)
        Y[:, listed] = 0
        numbers = search.whiten(search.mean + search.sigma * search.scale * Y)
        of_choices = both - numbers
        lengths = np.linalg.norm(of_choices, axis=1)
        level = 1.0
        if number_of_others:
            level = np.linalg.norm(numbers[0]) / sqrt(number_of_others)
        factors = 1.0, 1.0
        if lengths.min() > 0:
            factors = sqrt(K) * level / lengths[0], min(1, sqrt(K) / lengths[1])
        search.path_sigma = numbers[0] + factors[0] * of_choices[0]
        search.path = numbers[1] + factors[1] * of_choices[1]
