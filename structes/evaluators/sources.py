"""The user's own modules, as they were when a function was bound.

A function of a module travels by its name: each worker imports the module, and a worker that is
replaced in the middle of a search would import what has become of the file by then. Two versions
would evaluate, unnoticed. So the function takes along a digest of every module of the user's own
that the driver has imported (`snapshot`): Python files that neither came with Python, nor have
been installed (site-packages), nor are ours. Where a file has changed since, its text goes as well
(`look_again`), and the worker imports that (`AsBound`). Where it cannot, since the driver itself
has imported a version that is gone, or the machine of the worker has another one, the worker says
so, and does not evaluate.

What only the workers import, and what is not written in Python, is not looked at.
"""

from __future__ import annotations

import ast
import errno
import hashlib
import inspect
import os
import stat
import sys
import sysconfig
import time
from collections import Counter
from contextlib import suppress
from importlib.machinery import SourceFileLoader
from importlib.util import decode_source, spec_from_file_location
from typing import Any

from ..terminal.output import warn

_NOW = 60.0  # seconds by which clocks of files and of this machine may differ
_sources: dict = {}  # {name: (spec, Source)}; a module that is imported anew has another spec
_warned: set = set()


class Source:
    """A module's file as it was.

    Parameters
    ----------
    name, file : str
        The module's name, and the path of its file.
    data : bytes or None
        The bytes of the file; None: they are in the file, wherever this has been sent.
    stamp
        The file's times and size when it was read; None: it was read elsewhere.
    digest : bytes or None
        The digest of the bytes; None: the module in memory is another version.

    Attributes
    ----------
    has_changed : bool
        Whether the file is another one by now.
    """

    def __init__(self, name: str, file: str, data: bytes | None, stamp: Any, digest: bytes | None):
        self.name, self.file, self.data, self.stamp, self.digest = name, file, data, stamp, digest
        self.has_changed = False

    def __reduce__(self):
        """Travel without the text, where that is in the file."""
        data = self.data if self.has_changed else None
        return _received, (self.name, self.file, data, self.digest)


def _received(name, file, data, digest) -> Source:
    _, source = _sources.get(name, (None, None))
    if source is not None and (source.file, source.digest) == (file, digest):
        return source  # it has been copied, and not sent
    return Source(name, file, data, None, digest)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def snapshot() -> dict[str, Source]:
    """Return {name: Source} of the user's own modules that this process has imported."""
    sources = {}
    for name, module in list(sys.modules.items()):
        spec, file = getattr(module, "__spec__", None), getattr(module, "__file__", None)
        if spec is None or not isinstance(file, str) or not _is_own(name, file):
            continue
        entry = _sources.get(name)
        if entry is None or entry[0] is not spec:
            try:
                entry = _sources[name] = spec, _read(module, file)
            except OSError:  # it is no file, or not any more
                continue
        sources[name] = entry[1]
    return sources


def _is_own(name: str, file: str) -> bool:
    if not file.endswith(".py") or name in ("__main__", "__mp_main__"):
        return False
    if name.partition(".")[0] == "structes":
        return False
    folders = os.path.abspath(file).split(os.sep)
    if "site-packages" in folders or "dist-packages" in folders:
        return False
    return not os.path.abspath(file).startswith(_LIBRARY)


_LIBRARY = tuple(
    os.path.join(place, "")
    for key in ("stdlib", "platstdlib")
    for place in {sysconfig.get_path(key), os.path.realpath(sysconfig.get_path(key))}
)


def _stamp(file: str):
    status = os.stat(file)
    if not stat.S_ISREG(status.st_mode):  # at a pipe one would wait
        raise OSError(errno.EINVAL, "it is no regular file", file)
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(module, file: str) -> Source:
    stamp = _stamp(file)
    with open(file, "rb") as opened:
        data = opened.read()
    is_new = stamp[0] > 1e9 * (_began() - _NOW)
    digest = None if is_new and _differs(module, data) else _digest(data)
    return Source(module.__name__, file, data, stamp, digest)


def _began() -> float:
    """Return when this process began, in seconds of time.time; 0: nobody knows."""
    try:
        with open("/proc/self/stat", "rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
        return time.time() - age
    except (OSError, AttributeError, ValueError):
        return 0.0


def _differs(module, data: bytes) -> bool:
    """Has the file been edited since it was imported? It has where one of its functions is not of
    this text, or one of its constants has another value, which may have been assigned from outside
    as well: what workers import is another module than this one in either case. Modules that are
    changed where they are imported (pytest does that) are left alone.
    """
    if type(getattr(module.__spec__, "loader", None)) is not SourceFileLoader:
        return False
    try:
        tree = ast.parse(data)
        codes = _codes(compile(tree, module.__file__, "exec", dont_inherit=True))
    except (SyntaxError, ValueError, RecursionError):
        return True
    attributes, constants = vars(module), _constants(tree)
    if any(
        name in attributes and not _same(attributes[name], value)
        for name, value in constants.items()
    ):
        return True
    return any(
        function.__code__ not in codes
        for function in _functions(module)
        if function.__code__.co_filename == module.__file__
    )


def _constants(tree) -> dict:
    """Return {name: value} of the names that the top level of a module assigns once, to a number,
    a text or a tuple of such, and that no function assigns."""
    values, often = {}, Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
            often[node.id] += 1
        elif isinstance(node, ast.Global):
            often.update(2 * node.names)
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            (target,) = node.targets
            if isinstance(target, ast.Name) and often[target.id] == 1:
                with suppress(ValueError, TypeError):
                    value = ast.literal_eval(node.value)
                    if isinstance(value, (bool, int, float, complex, str, bytes, tuple)):
                        values[target.id] = value
    return values


def _same(a, b) -> bool:
    return type(a) is type(b) and repr(a) == repr(b)


def _codes(code) -> set:
    """Return a code object and all that are in it."""
    inner = (const for const in code.co_consts if inspect.iscode(const))
    return {code}.union(*map(_codes, inner))


def _functions(module):
    """Iterate over the functions of a module, and those of its classes."""
    for thing in list(vars(module).values()):
        if inspect.isclass(thing) and thing.__module__ == module.__name__:
            inner = (getattr(part, "__func__", part) for part in list(vars(thing).values()))
            yield from (part for part in inner if inspect.isfunction(part))
        elif inspect.isfunction(thing):
            yield thing


def look_again(sources: dict[str, Source]) -> bool:
    """Note which files have changed, so that their texts travel. Whether there are any more than
    the last time; a warning says which."""
    news = [source for source in sources.values() if not source.has_changed and _edited(source)]
    for source in news:
        source.has_changed = True
        if source.name not in _warned and source.digest is not None:
            _warned.add(source.name)
            warn(
                f"the module {source.name!r} ({source.file}) has been edited: workers that start "
                "from now on use it as it was when the search began, as the others do",
                stacklevel=5,
            )
    return bool(news)


def _edited(source: Source) -> bool:
    if source.stamp is None:  # it has come from elsewhere
        return False
    try:
        stamp = _stamp(source.file)
        if stamp == source.stamp:
            return False
        with open(source.file, "rb") as file:
            is_same = file.read() == source.data
    except OSError:  # it is gone
        return True
    if is_same:
        source.stamp = stamp
    return not is_same


# -- in a worker ----------------------------------------------------------------------------------


class EditedModule(ImportError):
    """A module is not that of the driver."""


class AsBound:
    """Finds modules as others do (sys.meta_path), and sees to it that they are the driver's."""

    def __init__(self):
        self.sources: dict = {}
        self.wrong: EditedModule | None = None

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return the spec of a module, where it is one of `sources`, as importlib wants it."""
        source = self.sources.get(name)
        if source is None:
            return None
        finders = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(name, path, target) for finder in finders)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and not spec.has_location:
            return spec
        place = source.file if spec is None else spec.origin
        if spec is not None and _is_in(place, source.digest):
            return spec
        if source.data is None or source.digest is None:
            if spec is None:  # whoever imports it says so
                return None
            self.wrong = EditedModule(
                f"the module {name!r} ({place}) is not the one that the search was started with: "
                "has it been edited since it was imported, or one of its constants been assigned, "
                "or is it another one on this machine? Start the search again, from a fresh "
                "process",
                name=name,
                path=place,
            )
            raise self.wrong
        inner = [os.path.dirname(place)] if os.path.basename(place) == "__init__.py" else None
        loader = _TextLoader(name, place, source.data)
        return spec_from_file_location(
            name, place, loader=loader, submodule_search_locations=inner
        )


def _is_in(file: str, digest: bytes | None) -> bool:
    """Does a file have this digest? Where it cannot be read whoever imports it will say so."""
    try:
        _stamp(file)
        with open(file, "rb") as opened:
            return _digest(opened.read()) == digest
    except OSError:
        return True


class _TextLoader(SourceFileLoader):
    """Loads a module from a text that was in its file once."""

    def __init__(self, name, path, data):
        super().__init__(name, path)
        self._data = data

    def path_stats(self, path):
        raise OSError("the text is not that of the file: there is no compiled one")

    def get_data(self, path):
        return self._data

    def get_source(self, name):
        return decode_source(self._data)


_finder = AsBound()


def import_as_bound(sources: dict[str, Source]) -> None:
    """Let this process import these modules as they are in `sources`; those that it has imported
    before stay."""
    _finder.sources.update(sources)
    _finder.wrong = None
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def check() -> None:
    """Raises EditedModule where a module was refused, also if somebody has caught that."""
    if _finder.wrong is not None:
        raise _finder.wrong
