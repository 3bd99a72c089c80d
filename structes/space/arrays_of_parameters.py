"""Named arrays as one vector, and the structure that suits them.

A network is a dict of weights; a search works on a vector. `structure_for` reads the shapes, gives
every array a block of a direct sum (a matrix a Kronecker product, anything else its own scales),
and returns it with the way there and back:

    parameters = structes.structure_for({"w1": (64, 32), "b1": (64,)})
    result = structes.minimize(
        lambda x: loss(parameters.unflatten(x)),
        parameters.flatten(weights), 0.1, parameters.structure,
    )

What is a shape and what is a container: a tuple of integers is a shape (`()` a single number); a
dict, a list, or a tuple of anything else is a container; whatever has a `shape` is an array.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ..arrays.libraries import namespace
from ..naming.error_text import brief, nearest
from ..structures import STRUCTURES
from ..structures.base import Structure
from ..structures.building import build_part
from ..structures.direct_sum import DirectSum
from ..structures.placement import Block

LONG = 128  # a factor of more rows is not dense unless you say so: samples would cost more than z


class Branch(NamedTuple):
    """A container: its type, the keys (or positions) of its children, and the children: branches,
    or numbers of arrays."""

    kind: type
    keys: tuple
    children: tuple


@dataclass(frozen=True)
class Parameters:
    """Named arrays that share a vector of `dim` numbers; made by `structure_for`.

    Parameters
    ----------
    structure : DirectSum
        It has a block for each array that is not empty.
    names : tuple of str
        The path of each array in the containers, keys joined by "/", in the vector's order.
    shapes : tuple of tuple of int
        The shape of each array.
    tree
        The containers.
    """

    structure: Structure
    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    tree: Any

    @property
    def dim(self) -> int:
        """Numbers in all arrays together."""
        return self.structure.dim

    def flatten(self, arrays: Any) -> Any:
        """Return the vector of arrays, row-major; it is a copy.

        Parameters
        ----------
        arrays
            Arrays in containers as those given to `structure_for`; each may have n in front of its
            shape.

        Returns
        -------
        array of shape (d,) or (n, d)

        Raises
        ------
        ValueError, TypeError
            Where a container or a shape differs; the message names its path.
        """
        leaves: list[Any] = [None] * len(self.names)
        self._collect(self.tree, arrays, "arrays", leaves)
        rows: Any = None
        parts = []
        for (path, leaf), shape in zip(leaves, self.shapes, strict=True):
            leaf_shape = tuple(leaf.shape)
            if rows is None:
                rows = leaf_shape[: len(leaf_shape) - len(shape)]
            if len(rows) > 1 or leaf_shape != rows + shape:
                hint = f" with {rows[0]} in front" if len(rows) == 1 else ""
                raise ValueError(f"{path} must have shape {shape}{hint}; got {leaf_shape}")
            parts.append(namespace(leaf).reshape(leaf, (*rows, prod(shape))))
        return namespace(parts[0]).concat(parts, axis=len(rows))

    def unflatten(self, x: Any) -> Any:
        """Return the containers with the arrays of a vector, as views where that is possible.

        Parameters
        ----------
        x : array of shape (d,) or (n, d)
            The vector; of rows the arrays have n in front of their shape.

        Raises
        ------
        ValueError
            Where the last size of x is not d.
        """
        x = x if hasattr(x, "shape") else np.asarray(x, dtype=float)
        if len(x.shape) not in (1, 2) or x.shape[-1] != self.dim:
            raise ValueError(
                f"x must have shape ({self.dim},) or (n, {self.dim}); got {tuple(x.shape)}"
            )
        arrays, end = [], 0
        for shape in self.shapes:
            start, end = end, end + prod(shape)
            arrays.append(namespace(x).reshape(x[..., start:end], (*x.shape[:-1], *shape)))
        return _build(self.tree, arrays)

    def _collect(self, tree, arrays, path, leaves):
        """Put (path, array) of every array in `arrays` at its number in `leaves`."""
        if not isinstance(tree, Branch):
            leaf = (
                arrays if hasattr(arrays, "__array_namespace__") else _number_array(path, arrays)
            )
            leaves[tree] = path, leaf
            return
        if tree.kind is dict:
            if not isinstance(arrays, Mapping) or set(arrays) != set(tree.keys):
                keys = ", ".join(map(repr, tree.keys))
                description = (
                    ", ".join(map(repr, arrays)) if isinstance(arrays, Mapping) else repr(arrays)
                )
                raise ValueError(
                    f"{path} must be a mapping with the keys {keys}; got {description}"
                )
        elif not isinstance(arrays, (list, tuple)) or len(arrays) != len(tree.keys):
            description = f"{len(arrays)}" if isinstance(arrays, (list, tuple)) else repr(arrays)
            raise ValueError(f"{path} must be a list of {len(tree.keys)}; got {description}")
        for key, child in zip(tree.keys, tree.children, strict=True):
            self._collect(child, arrays[key], f"{path}[{key!r}]", leaves)


def structure_for(
    params: Any,
    matrices: str | Mapping[str, Any] = "kronecker",
    vectors: str | Mapping[str, Any] = "diagonal",
    overrides: Mapping[str, Any] | None = None,
) -> Parameters:
    """Return the direct sum that suits arrays, and the way from them to a vector and back.

    Parameters
    ----------
    params : dict, list or tuple
        Arrays or shapes in containers: dicts, lists and tuples, nested as you like. A tuple of
        integers is a shape, `()` that of a number; a list is always a container. Arrays of size 0
        get no block.
    matrices : str or Mapping
        The structure of arrays with two axes or more. A Kronecker product gets its rows and cols
        from the shape (of more than two axes, cut where the sides are most equal: (64, 32, 3, 3)
        is read as 64 × 288), and where left or right is not given it is dense for a side of at
        most 128 and at most twice the other side, diagonal for a longer one.
    vectors : str or Mapping
        The structure of arrays with one axis, and of numbers.
    overrides : Mapping, optional
        {name: structure} of single arrays; a name is the path in the containers ("layers/0/w"),
        and may hold `*` and `?` to mean several (`*/bias`).

    Returns
    -------
    Parameters

    Raises
    ------
    ValueError, TypeError
        For what does not fit; the message names its path.

    Examples
    --------
    >>> parameters = structure_for({"w": (2, 3), "b": (2,)})
    >>> parameters.dim, parameters.names
    (8, ('w', 'b'))
    >>> parameters.unflatten([1, 2, 3, 4, 5, 6, 7, 8])["w"]
    array([[1., 2., 3.],
           [4., 5., 6.]])
    """
    names, shapes = [], []
    tree = _read(params, "params", (), names, shapes)
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"params: two arrays have the name {name!r}: rename a key")
    if not any(prod(shape) for shape in shapes):
        raise ValueError(f"params must hold at least one number; got {brief(params)}")
    structures = _overrides(overrides or {}, names)
    blocks, end = [], 0
    for name, shape in zip(names, shapes, strict=True):
        start, end = end, end + prod(shape)
        if end > start:
            spec = structures.get(name, matrices if len(shape) > 1 else vectors)
            label = f"params, array {name!r} of shape {shape}"
            structure = build_part(label, _with_sizes(spec, shape), end - start)
            blocks.append(Block(name, structure, range(start, end)))
    return Parameters(DirectSum(end, tuple(blocks)), tuple(names), tuple(shapes), tree)


def _read(tree, path, keys, names, shapes):
    """Return `tree` as branches and numbers of arrays, whose names and shapes are appended."""
    shape = _shape(tree, path)
    if shape is not None:
        names.append("/".join(keys) or "params")
        shapes.append(shape)
        return len(names) - 1
    child_keys = tuple(tree) if isinstance(tree, Mapping) else tuple(range(len(tree)))
    children = tuple(
        _read(tree[k], f"{path}[{k!r}]", (*keys, str(k)), names, shapes) for k in child_keys
    )
    return Branch(dict if isinstance(tree, Mapping) else type(tree), child_keys, children)


def _shape(leaf, path):
    """Return shape of an array or of a shape; None for a container."""
    if isinstance(leaf, (Mapping, list)):
        return None
    if isinstance(leaf, tuple):
        integers = [isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in leaf]
        if hasattr(leaf, "_fields") or not all(integers):
            return None
        if any(n < 0 for n in leaf):
            raise ValueError(f"{path}: sizes of a shape must be ≥ 0; got {leaf}")
        return tuple(int(n) for n in leaf)
    if hasattr(leaf, "shape"):
        return tuple(int(n) for n in leaf.shape)
    if isinstance(leaf, float):
        return ()
    hint = f" (a shape? write ({leaf},); a number: ())" if isinstance(leaf, int) else ""
    raise TypeError(
        f"{path} must be an array, a shape (a tuple of integers), a dict, a list or a tuple; "
        f"got {brief(leaf)}{hint}"
    )


def _build(tree, arrays):
    if not isinstance(tree, Branch):
        return arrays[tree]
    children = [_build(child, arrays) for child in tree.children]
    if tree.kind is dict:
        return dict(zip(tree.keys, children, strict=True))
    return tree.kind(*children) if hasattr(tree.kind, "_fields") else tree.kind(children)


def _number_array(path, value):
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise TypeError(f"{path} must be an array of numbers; got {brief(value)}") from None


def _overrides(overrides, names) -> dict:
    """Return structure by name, of those arrays whose name `overrides` says, itself or by a
    pattern.
    """
    structures = {}
    for pattern, spec in overrides.items():
        hits = [name for name in names if fnmatchcase(name, pattern)] or []
        hits = [pattern] if pattern in names else hits
        if not hits:
            raise ValueError(
                f"overrides: no array is called {pattern!r}{nearest(pattern, names)}; "
                f"there are: {', '.join(names)}"
            )
        for name in hits:
            if pattern == name or name not in overrides:  # a name in full goes before a pattern
                structures[name] = spec
    return structures


def _with_sizes(spec, shape):
    """Return `spec`, with the sizes of `shape` where it is a Kronecker product that does not say
    them."""
    if isinstance(spec, Structure) or len(shape) < 2:
        return spec
    name, arguments = STRUCTURES.parse(spec)
    if name != "kronecker" or "rows" in arguments or "cols" in arguments:
        return spec
    rows, cols = _sides(shape)
    sides = {
        "left": "dense" if rows <= min(LONG, 2 * cols) else "diagonal",
        "right": "dense" if cols <= min(LONG, 2 * rows) else "diagonal",
    }
    return {"name": name, "rows": rows, "cols": cols, **sides, **arguments}


def _sides(shape):
    """Return (rows, cols) of an array of two or more axes: cut where the sides are most equal."""
    cuts = [(prod(shape[:k]), prod(shape[k:])) for k in range(1, len(shape))]
    return min(cuts, key=sum)
