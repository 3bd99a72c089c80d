"""Array libraries: which one an array is of, ways to the host, trees of arrays."""

from collections import namedtuple

import numpy as np
import pytest

from structes.arrays import libraries
from structes.arrays.libraries import load_namespace, namespace, to_numpy

Pair = namedtuple("Pair", "first second")


def test_a_namespace_is_that_of_its_arrays(backend):
    a = backend.array([1.0, 2.0])
    assert namespace(a).__name__ == backend.xp.__name__
    assert libraries.is_array(a, backend.xp)
    assert not libraries.is_array([1.0, 2.0], backend.xp)


def test_arrays_come_to_the_host_with_their_numbers(backend):
    np.testing.assert_array_equal(to_numpy(backend.array([[1.0, 2.0]])), [[1.0, 2.0]])
    own = np.ones(3)
    assert to_numpy(own) is own
    np.testing.assert_array_equal(to_numpy([1, 2]), [1, 2])


def test_an_unknown_backend_is_named():
    with pytest.raises(ValueError, match="backend must be one of numpy, cupy"):
        load_namespace("jax")


def test_another_type_of_numbers_in_trees_of_arrays(backend):
    tree = Pair(backend.array([1.5]), (backend.array([[2.5]]), None))
    single = libraries.cast(tree, "float32")
    assert isinstance(single, Pair) and single.second[1] is None
    for a in (single.first, single.second[0]):
        assert to_numpy(a).dtype == np.float32
    assert float(to_numpy(single.second[0])[0, 0]) == 2.5
    same = libraries.cast(tree, "float64")
    assert same.first is tree.first or backend.name == "strict"  # nothing is copied


def test_a_function_of_each_leaf_keeps_the_tree():
    tree = ((1, Pair(2, ())), 3)
    assert libraries.mapped(lambda x: 10 * x, tree) == ((10, Pair(20, ())), 30)
    assert isinstance(libraries.mapped(str, Pair(1, 2)), Pair)


def test_all_elements_in_one_row(backend):
    a = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(to_numpy(libraries.flat(backend.array(a))), np.arange(6.0))


def test_compact_arrays_are_left_and_others_are_copied():
    a = np.arange(12.0).reshape(3, 4)
    turned = a.T
    assert libraries.compact(a) is a and libraries.compact(turned) is turned
    holes = a[:, ::2]
    found = libraries.compact(holes)
    assert found.flags.c_contiguous or found.flags.f_contiguous
    np.testing.assert_array_equal(found, holes)
