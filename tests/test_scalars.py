"""Numbers that follow from arrays: floats on the host, arrays without axes elsewhere."""

import numpy as np
import pytest

from structes.arrays import scalars


def test_a_number_of_numpy_is_a_float_and_others_stay():
    for a in (np.array(2.5), np.float64(2.5), 2.5):
        assert type(scalars.number(a)) is float and scalars.number(a) == 2.5
    strict = pytest.importorskip("array_api_strict").asarray(2.5)
    assert scalars.number(strict) is strict


@pytest.mark.parametrize("x, wanted", [(-1.5, 0.0), (0.0, 0.0), (2.5, 2.5)])
def test_numbers_below_zero_become_zero(x, wanted, backend):
    assert scalars.not_negative(x) == wanted
    assert float(scalars.not_negative(backend.xp.asarray(x))) == wanted


def test_a_number_where_a_condition_holds(backend):
    xp = backend.xp
    assert scalars.where(True, 1.0, 2.0) == 1.0 and scalars.where(False, 1.0, 2.0) == 2.0
    for holds, wanted in ((True, 1.0), (False, 2.0)):
        assert float(scalars.where(xp.asarray(holds), xp.asarray(1.0), 2.0)) == wanted


def test_numbers_are_read_in_their_order(backend):
    xp = backend.xp
    assert scalars.read(1.0, 2) == (1.0, 2)
    found = scalars.read(1.0, xp.asarray(2.0), 3, xp.asarray(4.0, dtype=xp.float32))
    assert list(found) == [1.0, 2.0, 3.0, 4.0] and {type(x) for x in found} == {float}
    assert scalars.read(xp.asarray([1.0, 2.0])) == [1.0, 2.0]
    assert scalars.read(xp.asarray(7.0)) == 7.0
