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
from ..registry import brief, nearest
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

    Attributes
    ----------
    structure : DirectSum
        It has a block for each array that is not empty.
    names : tuple of str
        The path of each array in the containers, keys joined by "/", in the vector's order.
    shapes : tuple of tuple of int
        The shape of each array.
    tree : Branch or int
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
        """(d,) of arrays in containers as those given to `structure_for`; (n, d) where every
        array has n in front of its shape. Row-major; a copy.

        Raises ValueError or TypeError, naming the path, where a container or a shape differs.
        """
        leaves = [None] * len(self.names)
        self._collect(self.tree, arrays, "arrays", leaves)
        rows = None
        parts = []
        for (path, leaf), shape in zip(leaves, self.shapes, strict=True):
            got = tuple(leaf.shape)
            if rows is None:
                rows = got[: len(got) - len(shape)]
            if len(rows) > 1 or got != rows + shape:
                many = f" with {rows[0]} in front" if len(rows) == 1 else ""
                raise ValueError(f"{path} must have shape {shape}{many}; got {got}")
            parts.append(namespace(leaf).reshape(leaf, (*rows, prod(shape))))
        return namespace(parts[0]).concat(parts, axis=len(rows))

    def unflatten(self, x: Any) -> Any:
        """The containers with the arrays of x (d,), as views where the library allows it; of rows
        x (n, d) arrays with n in front of their shape.

        Raises ValueError where the last size of x is not d.
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

    def _collect(self, tree, given, path, leaves):
        """Put (path, array) of every array in `given` at its number in `leaves`."""
        if not isinstance(tree, Branch):
            leaf = given if hasattr(given, "__array_namespace__") else _number_array(path, given)
            leaves[tree] = path, leaf
            return
        if tree.kind is dict:
            if not isinstance(given, Mapping) or set(given) != set(tree.keys):
                keys = ", ".join(map(repr, tree.keys))
                got = ", ".join(map(repr, given)) if isinstance(given, Mapping) else repr(given)
                raise ValueError(f"{path} must be a mapping with the keys {keys}; got {got}")
        elif not isinstance(given, (list, tuple)) or len(given) != len(tree.keys):
            got = f"{len(given)}" if isinstance(given, (list, tuple)) else repr(given)
            raise ValueError(f"{path} must be a list of {len(tree.keys)}; got {got}")
        for key, child in zip(tree.keys, tree.children, strict=True):
            self._collect(child, given[key], f"{path}[{key!r}]", leaves)


def structure_for(
    params: Any,
    matrices: str | Mapping[str, Any] = "kronecker",
    vectors: str | Mapping[str, Any] = "diagonal",
    overrides: Mapping[str, Any] | None = None,
) -> Parameters:
    """Return the direct sum that suits arrays, and the way from them to a vector and back.

    Parameters
    ----------
    params : container
        Arrays or shapes in dicts, lists and tuples, nested as you like. A tuple of integers is a
        shape, `()` that of a number; a list is always a container. Arrays of size 0 get no block.
    matrices : str or mapping
        The structure of arrays with two axes or more. A Kronecker product gets its rows and cols
        from the shape (of more than two axes, cut where the sides are most equal: (64, 32, 3, 3)
        is read as 64 × 288). Where left or right is not given it is dense for a side of at most
        128 and at most twice the other side, diagonal for a longer one.
    vectors : str or mapping
        The structure of arrays with one axis, and of numbers.
    overrides : mapping, optional
        From the name of an array to its structure. A name is the path in the containers
        ("layers/0/w"), and may hold `*` and `?` to mean several (`*/bias`).

    Returns
    -------
    Parameters
        It has `structure`, `dim`, `flatten` and `unflatten`.

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
    chosen = _overrides(overrides or {}, names)
    blocks, end = [], 0
    for name, shape in zip(names, shapes, strict=True):
        start, end = end, end + prod(shape)
        if end > start:
            spec = chosen.get(name, matrices if len(shape) > 1 else vectors)
            what = f"params, array {name!r} of shape {shape}"
            structure = build_part(what, _with_sizes(spec, shape), end - start)
            blocks.append(Block(name, structure, range(start, end)))
    return Parameters(DirectSum(end, tuple(blocks)), tuple(names), tuple(shapes), tree)


def _read(tree, path, keys, names, shapes):
    """`tree` as branches and numbers of arrays, whose names and shapes are appended."""
    shape = _shape(tree, path)
    if shape is not None:
        names.append("/".join(keys) or "params")
        shapes.append(shape)
        return len(names) - 1
    inside = tuple(tree) if isinstance(tree, Mapping) else tuple(range(len(tree)))
    children = tuple(
        _read(tree[k], f"{path}[{k!r}]", (*keys, str(k)), names, shapes) for k in inside
    )
    return Branch(dict if isinstance(tree, Mapping) else type(tree), inside, children)


def _shape(leaf, path):
    """Shape of an array or of a shape; None for a container."""
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


def _overrides(given, names) -> dict:
    """Structure by name, of those arrays whose name `given` says, itself or by a pattern."""
    out = {}
    for pattern, spec in given.items():
        hits = [name for name in names if fnmatchcase(name, pattern)] or []
        hits = [pattern] if pattern in names else hits
        if not hits:
            raise ValueError(
                f"overrides: no array is called {pattern!r}{nearest(pattern, names)}; "
                f"there are: {', '.join(names)}"
            )
        for name in hits:
            if pattern == name or name not in given:  # a name in full goes before a pattern
                out[name] = spec
    return out


def _with_sizes(spec, shape):
    """`spec`, with the sizes of `shape` where it is a Kronecker product that does not say them."""
    if isinstance(spec, Structure) or len(shape) < 2:
        return spec
    name, given = STRUCTURES.parse(spec)
    if name != "kronecker" or "rows" in given or "cols" in given:
        return spec
    rows, cols = _sides(shape)
    sides = {
        "left": "dense" if rows <= min(LONG, 2 * cols) else "diagonal",
        "right": "dense" if cols <= min(LONG, 2 * rows) else "diagonal",
    }
    return {"name": name, "rows": rows, "cols": cols, **sides, **given}


def _sides(shape):
    """(rows, cols) of an array of two or more axes: cut where the sides are most equal."""
    cuts = [(prod(shape[:k]), prod(shape[k:])) for k in range(1, len(shape))]
    return min(cuts, key=sum)
