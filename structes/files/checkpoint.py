"""A search in one file, and back: plain values and arrays, nothing that could be executed.

A tree of dicts, lists, text, numbers and arrays is written as an uncompressed zip: `tree.json`
says what is where, and every array is a member of its own in NumPy's format (so `numpy.load`
opens the file, too). Nothing is ever unpickled or imported by a name from the file; what is read
is checked, member by member, before a byte of it is used, so that a torn, foreign or forged file
gives one clear error. Floats keep every bit. A file is replaced whole or not at all.

A file costs no more memory than it is long: no member is compressed, none overlaps another, each
array is read once and shared by all that refer to it, and the text of `tree.json` is weighed
before Python makes objects of it. What `write` cannot promise to be read again it refuses.
"""

from __future__ import annotations

import json
import math
import os
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.lib import format as npy

from ..arrays.libraries import to_numpy
from ..naming.error_text import brief
from .folders import replace

FORMAT = "structes-checkpoint"
VERSION = 1
_KINDS = {"float64": "<f8", "float32": "<f4", "int64": "<i8", "uint64": "<u8", "bool": "|b1"}
_LARGEST = 2**25  # bytes of tree.json
_HEAVIEST = 2**27  # bytes of memory, about, that the objects of tree.json may take
_DIRECTORY = 2**24  # bytes of the zip's directory: 300,000 members
_PIECE = 2**20  # bytes that are read at a time


def write(path: str | os.PathLike[str], kind: str, tree: dict) -> None:
    """Write a tree to a file, which is replaced whole or not at all.

    Parameters
    ----------
    path : path-like
        The file.
    kind : str
        What the tree is.
    tree : dict
        Plain values and arrays, nested as one likes.

    Raises
    ------
    OSError
        Where the file cannot be written.
    TypeError
        Where the tree holds anything but plain values and arrays.
    """
    replace(_path(path), writer(kind, tree))


def writer(kind: str, tree: dict) -> Callable[[Any], None]:
    """Return a function that writes the tree to a binary file that it is given."""
    arrays: list[np.ndarray] = []
    head = {"format": FORMAT, "version": VERSION, "kind": kind, "tree": _flat(tree, arrays, {})}
    text = json.dumps(head).encode()
    _check_text(text)
    if len(arrays) * 60 > _DIRECTORY:
        raise ValueError(f"a checkpoint holds fewer arrays than {len(arrays)}")

    def save(file):
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for i, array in enumerate(arrays):
                with archive.open(f"{i}.npy", "w", force_zip64=True) as member:
                    npy.write_array(member, array, allow_pickle=False)
            archive.writestr("tree.json", text)

    return save


def _path(path) -> Path:
    """Return `path` as a Path that may be one of a file."""
    try:
        result = Path(path)
    except TypeError:
        raise TypeError(f"path must be the name of a file; got {brief(path)}") from None
    text = os.fspath(path)
    ends = (os.sep, "/") if isinstance(text, str) else ()
    if not result.name or text.endswith(ends) or "\0" in text:
        raise ValueError(f"path must be the name of a file; got {brief(path)}")
    return result


def read(path: str | os.PathLike[str]) -> tuple[str, dict]:
    """Return (kind, tree) of a file that `write` has written.

    Raises
    ------
    OSError
        Where it cannot be opened and ValueError, naming what is wrong, for anything that `write`
        has not written.
    """
    path = _path(path)
    with open(path, "rb", opener=_opened) as file:
        try:
            size = _size(file)
            _check_directory(file, size)
            with zipfile.ZipFile(file) as archive:
                return _read(archive)
        except ValueError as error:
            raise ValueError(
                f"{str(path)!r} is no checkpoint of structes: {_cut(error)}"
            ) from error
        except (
            zipfile.BadZipFile,
            EOFError,
            KeyError,
            MemoryError,
            NotImplementedError,
            OverflowError,
            RecursionError,
            RuntimeError,
            TypeError,
            struct.error,
        ) as error:
            text = _cut(error).strip("'\"") or type(error).__name__
            raise ValueError(f"{str(path)!r} is no checkpoint of structes: {text}") from error


@contextmanager
def restoring(path: str | os.PathLike[str], kind: str) -> Iterator[None]:
    """Turn, in this context, whatever does not fit in a tree that was read into one ValueError."""
    try:
        yield
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        named = isinstance(error, (LookupError, MemoryError, RecursionError))
        text = f"{type(error).__name__} {_cut(error)}" if named else _cut(error)
        raise ValueError(f"{str(path)!r} does not hold a whole {kind}: {text}") from error


def _cut(error) -> str:
    """Return what an error says, of which a file may have said the most."""
    text = str(error)
    return text if len(text) <= 800 else f"{text[:800]}…"


def named_arrays(name: Any, value: Any) -> dict:
    """Return {name: array} of nested tuples and mappings, for np.savez: factor_0, factor_1, …"""
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


def _opened(name, flags):
    """Open as `open` does, but do not wait for what is no file, such as a pipe."""
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))


def _size(file) -> int:
    """Return bytes of a regular file; ValueError for anything else, which may have no end."""
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a regular file")
    return status.st_size


def _check_directory(file, size: int) -> None:
    """Raise ValueError where the zip's directory is larger than one of such a file can be, or not
    where `write` puts it; zipfile makes an object of every entry."""
    file.seek(max(0, size - 42))
    tail = file.read(42)
    end = tail[-22:]
    if len(end) < 22 or end[:4] != b"PK\5\6" or end[20:] != b"\0\0":
        raise ValueError("it does not end as a zip file does: it is none, or is torn")
    length, start = (int.from_bytes(end[k : k + 4], "little") for k in (12, 16))
    place = size - 22
    if tail[:4] == b"PK\6\7":  # a zip64: of more than 65,535 members, or 4 GB
        position = int.from_bytes(tail[8:16], "little")
        place = size - 42 - 56
        if position != place:
            raise ValueError("its zip64 directory ends elsewhere")
        file.seek(position)
        length, start = struct.unpack("<QQ", file.read(56)[40:])
    if start + length != place:
        raise ValueError("its directory is not where it ends: something was cut out, or added")
    if length > min(_DIRECTORY, size // 3):  # a member takes more room than its entry
        raise ValueError(f"its directory takes {length} of {size} bytes")
    file.seek(0)


def _read(archive):
    members = {m.filename: m for m in archive.infolist()}
    if len(members) < len(archive.infolist()):
        raise ValueError("two of its members have the same name")
    for m in members.values():  # stored as it is: no member can be larger than the file
        if m.compress_type != zipfile.ZIP_STORED or m.file_size != m.compress_size:
            raise ValueError(f"its member {m.filename!r:.80} is compressed")
    ordered = sorted(members.values(), key=lambda m: m.header_offset)
    ends = [m.header_offset for m in ordered[1:]] + [archive.start_dir]
    for m, end in zip(ordered, ends, strict=True):
        if m.header_offset + 30 + m.file_size > end:
            raise ValueError(f"its member {m.filename!r:.80} overlaps with another")
    if "tree.json" not in members:
        raise ValueError("it has no tree.json")
    if members["tree.json"].file_size > _LARGEST:
        raise ValueError("its tree.json is too large")
    text = archive.read("tree.json")
    _check_text(text)
    head = json.loads(text.decode(), parse_constant=_no_constant, object_pairs_hook=_object)
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise ValueError("tree.json does not say that it is one")
    if head.get("version") != VERSION:
        raise ValueError(
            f"it has version {head.get('version')!r:.60}; this structes reads version {VERSION}"
        )
    kind, tree = head.get("kind"), _full(head.get("tree"), archive, {})
    if not isinstance(kind, str) or not isinstance(tree, dict):
        raise ValueError("tree.json lacks its kind or its tree")
    return kind, tree


def _check_text(text: bytes) -> None:
    """Raise ValueError where tree.json is longer, or makes more objects, than a search needs."""
    lists, dicts, values = (text.count(mark) for mark in (b"[", b"{", b","))
    if len(text) > _LARGEST or 72 * lists + 200 * dicts + 40 * values > _HEAVIEST:
        raise ValueError(
            f"tree.json would have {len(text)} bytes and {lists + dicts + values} values: "
            "too many for a search"
        )


def _no_constant(name):
    raise ValueError(f"tree.json holds {name}")


def _object(pairs):
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError(f"tree.json names something twice: {pairs!r:.60}")
    return mapping


def _flat(value, arrays, places):
    """Return `value` for JSON; arrays go to the list, and their numbers stand for them. places:
    the number of each array, by its id."""
    if isinstance(value, dict):
        return {
            "dict": [
                [_flat(k, arrays, places), _flat(v, arrays, places)] for k, v in value.items()
            ]
        }
    if isinstance(value, (list, tuple)):
        return [_flat(v, arrays, places) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        if value.dtype.name not in _KINDS:
            raise TypeError(f"a checkpoint holds no arrays of {value.dtype}")
        if id(value) not in places:  # generations share much of their states
            places[id(value)] = len(arrays)
            arrays.append(value)
        return {"array": places[id(value)]}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "shape"):  # an array of another library
        if id(value) not in places:
            places[id(value)] = _flat(to_numpy(value), arrays, places)["array"]
        return {"array": places[id(value)]}
    raise TypeError(f"a checkpoint holds plain values and arrays; got {brief(value)}")


def _full(value, archive, arrays):
    """Return the value of which `_flat` has made this. arrays: by their numbers, those that were
    read."""
    if isinstance(value, list):
        return [_full(v, archive, arrays) for v in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items() if len(value) == 1 else ((None, None),)
    if kind == "dict":
        mapping = {_full(k, archive, arrays): _full(v, archive, arrays) for k, v in content}
        if len(mapping) < len(content):
            raise ValueError(f"tree.json names something twice: {content!r:.60}")
        return mapping
    if kind == "float" and content in ("nan", "inf", "-inf"):
        return float(content)
    if kind == "array" and type(content) is int:
        if content not in arrays:
            with archive.open(f"{content}.npy") as member:
                size = archive.getinfo(f"{content}.npy").file_size
                arrays[content] = _array(member, size)
        return arrays[content]
    raise ValueError(f"tree.json holds {value!r:.60}")


def _array(member, size: int) -> np.ndarray:
    """Return the array in a member of so many bytes; it may be written."""
    if npy.read_magic(member) != (1, 0):
        raise ValueError("an array has an unknown header")
    try:
        shape, fortran, dtype = npy.read_array_header_1_0(member)
    except (SyntaxError, TokenError):  # NumPy reads it as Python reads literals
        raise ValueError("an array has a torn header") from None
    if dtype.str not in _KINDS.values():
        raise ValueError(f"an array is of {dtype!s:.60}")
    n_bytes = size - member.tell()
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != n_bytes:
        raise ValueError(f"an array of shape {shape!s:.60} has {n_bytes} bytes")
    array = np.empty(math.prod(shape), dtype)
    rest = memoryview(array.view(np.uint8))
    while len(rest):
        piece = member.read(min(len(rest), _PIECE))
        if not piece:
            raise ValueError("an array is torn")
        rest[: len(piece)] = piece
        rest = rest[len(piece) :]
    member.read(1)  # its checksum is compared at the end
    if dtype.kind == "b" and (array.view(np.uint8) > 1).any():
        raise ValueError("an array of truth values holds others")
    return array.reshape(shape, order="F" if fortran else "C")
