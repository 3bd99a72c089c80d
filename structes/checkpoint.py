"""A search in one file, and back: plain values and arrays, nothing that could be executed.

A tree of dicts, lists, text, numbers and arrays is written as an uncompressed zip: `tree.json`
says what is where, and every array is a member of its own in NumPy's format (so `numpy.load`
opens the file, too). Nothing is ever unpickled or imported by a name from the file; what is read
is checked, member by member, before a byte of it is used, so that a torn, foreign or forged file
gives one clear error. Floats keep every bit. A file is replaced whole or not at all.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from .backend import to_numpy
from .files import replace
from .registry import brief

FORMAT = "structes-checkpoint"
VERSION = 1
_KINDS = {"float64": "<f8", "float32": "<f4", "int64": "<i8", "uint64": "<u8", "bool": "|b1"}
_LARGEST = 2**26  # bytes of tree.json


def write(path, kind: str, tree: dict) -> None:
    """Write the tree, what it is (`kind`) and the format's version; atomic. Raises OSError."""
    replace(_path(path), writer(kind, tree))


def writer(kind: str, tree: dict):
    """A function that writes the tree to a binary file that it is given."""
    arrays: list[np.ndarray] = []
    head = {"format": FORMAT, "version": VERSION, "kind": kind, "tree": _flat(tree, arrays)}

    def save(file):
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for i, array in enumerate(arrays):
                with archive.open(f"{i}.npy", "w", force_zip64=True) as member:
                    npy.write_array(member, array, allow_pickle=False)
            archive.writestr("tree.json", json.dumps(head))

    return save


def _path(path) -> Path:
    """`path` as a Path that may be one of a file."""
    try:
        its = Path(path)
    except TypeError:
        raise TypeError(f"path must be the name of a file; got {brief(path)}") from None
    if not its.name:
        raise ValueError(f"path must be the name of a file; got {path!r}")
    return its


def read(path) -> tuple[str, dict]:
    """(kind, tree) of a file that `write` has written.

    Raises OSError where it cannot be opened and ValueError, naming what is wrong, for anything
    that `write` has not written.
    """
    path = _path(path)
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return _read(archive)
        except ValueError as error:
            raise ValueError(f"{str(path)!r} is no checkpoint of structes: {error}") from error
        except (
            zipfile.BadZipFile,
            EOFError,
            KeyError,
            NotImplementedError,
            OverflowError,
            RecursionError,
            RuntimeError,
            TypeError,
        ) as error:
            text = str(error).strip("'\"") or type(error).__name__
            raise ValueError(f"{str(path)!r} is no checkpoint of structes: {text}") from error


@contextmanager
def restoring(path, what: str):
    """Around the use of a tree that was read: whatever does not fit becomes one ValueError."""
    try:
        yield
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError) as error:
        text = f"{type(error).__name__} {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{str(path)!r} does not hold a whole {what}: {text}") from error


def named_arrays(name, value) -> dict:
    """{name: array} of nested tuples and mappings, for np.savez: factor_0, factor_1, …"""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        parts = value.items()
    elif hasattr(value, "_asdict"):
        parts = value._asdict().items()
    elif isinstance(value, (tuple, list)):
        parts = enumerate(value)
    else:
        return {name: value if isinstance(value, (int, float)) else to_numpy(value)}
    arrays = {}
    for key, part in parts:
        arrays.update(named_arrays(f"{name}_{key}" if name else key, part))
    return arrays


def _read(archive):
    members = {m.filename: m for m in archive.infolist()}
    if len(members) < len(archive.infolist()):
        raise ValueError("two of its members have the same name")
    for m in members.values():  # stored as it is: no member can be larger than the file
        if m.compress_type != zipfile.ZIP_STORED or m.file_size != m.compress_size:
            raise ValueError(f"its member {m.filename!r} is compressed")
    if "tree.json" not in members:
        raise ValueError("it has no tree.json")
    if members["tree.json"].file_size > _LARGEST:
        raise ValueError("its tree.json is too large")
    head = json.loads(archive.read("tree.json").decode())
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise ValueError("tree.json does not say that it is one")
    if head.get("version") != VERSION:
        raise ValueError(
            f"it has version {head.get('version')!r}; this structes reads version {VERSION}"
        )
    kind, tree = head.get("kind"), _full(head.get("tree"), archive)
    if not isinstance(kind, str) or not isinstance(tree, dict):
        raise ValueError("tree.json lacks its kind or its tree")
    return kind, tree


def _flat(value, arrays):
    """`value` for JSON; arrays go to the list, and their numbers stand for them."""
    if isinstance(value, dict):
        return {"dict": [[_flat(k, arrays), _flat(v, arrays)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_flat(v, arrays) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        if value.dtype.name not in _KINDS:
            raise TypeError(f"a checkpoint holds no arrays of {value.dtype}")
        for i, array in enumerate(arrays):
            if array is value:  # generations share much of their states
                return {"array": i}
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "shape"):  # an array of another library
        return _flat(to_numpy(value), arrays)
    raise TypeError(f"a checkpoint holds plain values and arrays; got {brief(value)}")


def _full(value, archive):
    if isinstance(value, list):
        return [_full(v, archive) for v in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items() if len(value) == 1 else ((None, None),)
    if kind == "dict":
        return {_full(k, archive): _full(v, archive) for k, v in content}
    if kind == "float" and content in ("nan", "inf", "-inf"):
        return float(content)
    if kind == "array" and isinstance(content, int):
        return _array(archive.read(f"{content}.npy"))
    raise ValueError(f"tree.json holds {value!r:.60}")


def _array(data: bytes) -> np.ndarray:
    file = io.BytesIO(data)
    if npy.read_magic(file) != (1, 0):
        raise ValueError("an array has an unknown header")
    shape, fortran, dtype = npy.read_array_header_1_0(file)
    if dtype.str not in _KINDS.values():
        raise ValueError(f"an array is of {dtype}")
    if math.prod(shape) * dtype.itemsize != len(data) - file.tell():
        raise ValueError(f"an array of shape {shape} has {len(data) - file.tell()} bytes")
    array = np.frombuffer(data, dtype, offset=file.tell()).reshape(
        shape, order="F" if fortran else "C"
    )
    return array.copy(order="K")  # may be written, and lets go of the file's bytes
