"""Named arrays as a vector: there and back, the structures chosen, and what cannot be read."""

from typing import NamedTuple

import numpy as np
import pytest

import structes
from structes import structure_for
from structes.structures.dense import Dense
from structes.structures.diagonal import Diagonal
from structes.structures.kronecker import Kronecker


class Layer(NamedTuple):
    w: object
    b: object


SHAPES = {
    "conv": {"w": (4, 2, 3, 3), "b": (4,)},
    "layers": [Layer((3, 2), (3,)), ((5, 3), (5,))],
    "temperature": (),
    "unused": (0, 7),
}


def arrays_like(shapes, rows=(), seed=0):
    random = np.random.default_rng(seed)

    def make(tree):
        if isinstance(tree, dict):
            return {k: make(v) for k, v in tree.items()}
        if isinstance(tree, Layer):
            return Layer(*map(make, tree))
        if isinstance(tree, list) or (isinstance(tree, tuple) and tree and type(tree[0]) is tuple):
            return type(tree)(make(v) for v in tree)
        return random.normal(size=(*rows, *tree))

    return make(shapes)


def leaves(tree):
    if isinstance(tree, dict):
        return [a for v in tree.values() for a in leaves(v)]
    return [a for v in tree for a in leaves(v)] if isinstance(tree, (list, tuple)) else [tree]


@pytest.mark.parametrize("rows", [(), (1,), (6,)])
def test_there_and_back(rows):
    parameters = structure_for(SHAPES)
    arrays = arrays_like(SHAPES, rows)
    x = parameters.flatten(arrays)
    assert parameters.dim == parameters.structure.dim == 72 + 4 + 6 + 3 + 15 + 5 + 1
    assert x.shape == (*rows, parameters.dim)
    back = parameters.unflatten(x)
    assert isinstance(back["layers"], list) and isinstance(back["layers"][0], Layer)
    assert isinstance(back["layers"][1], tuple) and list(back) == list(SHAPES)
    for got, wanted in zip(leaves(back), leaves(arrays), strict=True):
        np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(parameters.flatten(back), x)


def test_the_vector_is_row_major_in_the_order_given():
    parameters = structure_for({"b": (2,), "a": (2, 3)})
    assert parameters.names == ("b", "a") and parameters.shapes == ((2,), (2, 3))
    arrays = {"a": np.arange(2.0, 8).reshape(2, 3), "b": [0, 1]}  # another order, and a list
    np.testing.assert_array_equal(parameters.flatten(arrays), np.arange(8.0))


def test_arrays_and_shapes_say_the_same():
    assert structure_for(arrays_like(SHAPES)) == structure_for(SHAPES)
    assert hash(structure_for(SHAPES)) == hash(structure_for(SHAPES))
    assert structure_for((3, 2)).names == ("params",)
    assert structure_for(np.ones((3, 2))) == structure_for((3, 2))
    assert structure_for({"t": 0.5}).shapes == ((),)


def test_on_the_strict_standard():
    xp = pytest.importorskip("array_api_strict")
    parameters = structure_for({"w": (2, 3), "b": ()})
    x = xp.asarray([[0.0, 1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12, 13]])
    tree = parameters.unflatten(x)
    assert tree["w"].shape == (2, 2, 3) and tree["b"].shape == (2,)
    assert bool(xp.all(parameters.flatten(tree) == x))


def test_structures_by_shape():
    parameters = structure_for(SHAPES)
    blocks = {name: structure for name, structure, _ in parameters.structure.blocks}
    assert list(blocks) == [n for n in parameters.names if n != "unused"]
    assert blocks["conv/w"] == Kronecker(72, 8, 9)  # cut where the sides are most equal
    assert blocks["layers/1/0"] == Kronecker(15, 5, 3)
    assert blocks["conv/b"] == Diagonal(4) and blocks["temperature"] == Diagonal(1)
    assert parameters.structure.dof == sum(s.dof for s in blocks.values())


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((1, 1), Kronecker(1, 1, 1)),
        ((128, 64), Kronecker(8192, 128, 64)),
        ((129, 128), Kronecker(129 * 128, 129, 128, "diagonal", "dense")),
        ((784, 10), Kronecker(7840, 784, 10, "diagonal", "dense")),
        ((2, 7), Kronecker(14, 2, 7, "dense", "diagonal")),
        ((1000, 1000), Kronecker(10**6, 1000, 1000, "diagonal", "diagonal")),
        ((64, 32, 3, 3), Kronecker(18432, 64, 288, "dense", "diagonal")),
        ((3, 3, 32, 64), Kronecker(18432, 288, 64, "diagonal", "dense")),
    ],
)
def test_factors_by_size(shape, wanted):
    (block,) = structure_for({"w": shape}).structure.blocks
    assert block.structure == wanted


def test_choices():
    shapes = {"a": {"w": (2, 3), "b": (2,)}, "c": {"w": (3, 2), "b": (3,)}}

    def chosen(**given):
        return {name: s for name, s, _ in structure_for(shapes, **given).structure.blocks}

    assert chosen(matrices="dense")["a/w"] == Dense(6)
    assert chosen(vectors="dense")["c/b"] == Dense(3)
    got = chosen(matrices={"name": "kronecker", "left": "lower"})["a/w"]
    assert got == Kronecker(6, 2, 3, "lower", "dense")
    got = chosen(overrides={"*/b": "scalar", "c/b": Dense(3), "a/w": "kronecker:rows3"})
    assert got["a/b"].dof == 1 and got["c/b"] == Dense(3) and got["a/w"] == Kronecker(6, 3, 2)
    assert got["c/w"] == Kronecker(6, 3, 2)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({}, ValueError, "at least one number"),
        ({"w": (0, 3)}, ValueError, "at least one number"),
        ({"a": {"w": [64, 32]}}, TypeError, r"params\['a'\]\['w'\]\[0\] .* write \(64,\)"),
        ({"a": [None]}, TypeError, r"params\['a'\]\[0\] must be an array.*got None"),
        ({"a": "dense"}, TypeError, r"params\['a'\] must be an array.*got 'dense'"),
        (
            {"a": (3, -1)},
            ValueError,
            r"params\['a'\]: sizes of a shape must be ≥ 0; got \(3, -1\)",
        ),
        ({"a/b": (1,), "a": {"b": (1,)}}, ValueError, "two arrays have the name 'a/b'"),
    ],
)
def test_what_holds_no_arrays(params, error, message):
    with pytest.raises(error, match=message):
        structure_for(params)


def test_what_does_not_suit_an_array():
    shapes = {"enc": {"w": (2, 3)}}
    with pytest.raises(ValueError, match=r"array 'enc/w' of shape \(2, 3\): .*'dens'"):
        structure_for(shapes, matrices="dens")
    with pytest.raises(ValueError, match=r"array 'enc/w' of shape \(2, 3\): must be .* for 6 "):
        structure_for(shapes, overrides={"enc/w": Dense(5)})
    with pytest.raises(ValueError, match=r"no array is called 'enc/v' \(did you mean 'enc/w'"):
        structure_for(shapes, overrides={"enc/v": "dense"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a["conv"].update(b=np.ones(5)), r"\['conv'\]\['b'\] must have shape \(4,\)"),
        (
            lambda a: a["conv"].pop("b"),
            r"arrays\['conv'\] must be a mapping with the keys 'w', 'b'",
        ),
        (lambda a: a["layers"].pop(), r"arrays\['layers'\] must be a list of 2; got 1"),
        (lambda a: a.update(layers=3), r"arrays\['layers'\] must be a list of 2; got 3"),
        (lambda a: a.update(temperature=np.ones(2)), r"must have shape \(\); got \(2,\)"),
    ],
)
def test_arrays_that_do_not_fit(change, message):
    arrays = arrays_like(SHAPES)
    change(arrays)
    with pytest.raises(ValueError, match=message):
        structure_for(SHAPES).flatten(arrays)


def test_rows_and_vectors_that_do_not_fit():
    parameters = structure_for({"w": (2, 3), "b": (2,)})
    with pytest.raises(ValueError, match=r"\['b'\] must have shape \(2,\) with 4 in front"):
        parameters.flatten({"w": np.ones((4, 2, 3)), "b": np.ones((5, 2))})
    with pytest.raises(TypeError, match=r"arrays\['b'\] must be an array of numbers"):
        parameters.flatten({"w": np.ones((2, 3)), "b": "no"})
    for x in (np.ones(7), np.ones((2, 7)), np.ones((1, 1, 8)), 3.0):
        with pytest.raises(ValueError, match=r"x must have shape \(8,\) or \(n, 8\)"):
            parameters.unflatten(x)


@pytest.mark.slow
def test_a_network_is_fitted():
    # two inputs, four hidden units, one output; the target is another such network
    shapes = {"w1": (4, 2), "b1": (4,), "w2": (1, 4), "b2": ()}
    parameters = structure_for(shapes)
    inputs = np.random.default_rng(0).normal(size=(50, 2))

    def output(p):
        hidden = np.tanh(inputs @ np.swapaxes(p["w1"], -1, -2) + p["b1"][..., None, :])
        return (hidden @ np.swapaxes(p["w2"], -1, -2))[..., 0] + p["b2"][..., None]

    truth = output(arrays_like(shapes, seed=4))
    result = structes.minimize(
        lambda X: np.mean((output(parameters.unflatten(X)) - truth) ** 2, axis=-1),
        parameters.flatten(arrays_like(shapes, seed=5)),
        0.3,
        parameters.structure,
        seed=1,
        max_evaluations=30_000,
        target=1e-3,
        vectorized=True,
    )
    assert result.success, result.fun
