"""Learning rates: legal for every structure, dimension and population, and in the right order."""

import numpy as np
import pytest

from structes.strategy.engine import Engine, cma
from structes.strategy.weights_and_rates import learning_rates, recombination_weights
from structes.structures.building import build_structure

from .structure_table import TRUTH

CASES = [(name, *case) for name, truth in TRUTH.items() for case in truth.cases]
CASES += [("dense", "dense", 30), ("lower", "lower", 30), ("dense", "dense", 1000)]


@pytest.mark.parametrize(("name", "spec", "dim"), CASES)
@pytest.mark.parametrize("popsize", [2, 4, 10, 100, 10_000])
def test_rates_are_legal_for_every_structure_dimension_and_population(name, spec, dim, popsize):
    for engine in (Engine(), cma()):
        check_rates(build_structure(spec, dim), engine, popsize)


def check_rates(structure, engine, popsize):
    mueff = recombination_weights(np.ones(popsize)).mueff
    rates = learning_rates(structure, engine, popsize, mueff, 1.5 * mueff)
    for part in rates.parts or (1.0,):
        c1, cmu = part * rates.c1, part * rates.cmu
        assert 0 < c1 < 1 and 0 <= cmu <= 1 and c1 + cmu <= 1
        assert cmu <= 0.9 or engine.textbook  # something of what was learned stays
    assert 0 < rates.cc <= 1 and 0 < rates.cs < 1 and rates.ds >= 0.3 + rates.cs


def test_fewer_degrees_of_freedom_learn_faster():
    mueff = recombination_weights(np.ones(12)).mueff
    rates = {
        name: learning_rates(build_structure(name, 20), Engine(), 12, mueff, mueff)
        for name in ("dense", "diagonal", "lower", "upper")
    }
    assert rates["diagonal"].cmu > 5 * rates["dense"].cmu
    assert rates["lower"] == rates["upper"] == rates["dense"]


def test_a_long_row_is_learned_as_slowly_as_many_numbers_are():
    """A row of r numbers counts as r d/8 of them, of which the rate is 2 s / (2 m + d + 4 + 2 s
    mueff): `block_lower` with one lead has few numbers and a column of d; `block_upper`, which has
    as many, has columns of 2."""
    d, n = 60, 12
    mueff = recombination_weights(np.ones(n)).mueff
    for name, size in (("block_lower", d * d / 8), ("block_upper", 1 + 2 * (d - 1))):
        s = 1.25 + 0.75 * d / size
        rate = 2 * s / (2 * size + d + 4 + 2 * s * mueff)
        rates = learning_rates(
            build_structure({"name": name, "k": 1}, d), Engine(), n, mueff, mueff
        )
        assert rates.c1 == pytest.approx(rate)
        assert rates.cmu == pytest.approx(rate * (mueff - 1.75 + 1 / mueff))
