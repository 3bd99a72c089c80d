"""Whose run is it? A run folder may name code, and `structes resume` imports what it names.

A config is code where it says "my_module:f", or what a worker's environment is, or which Ray
cluster is asked: whoever runs it runs that. A run folder is not read as code by whoever unpacks
one. So a run that names code is signed by the user who runs it, with a key that never leaves the
user's own state folder, and one that is not is resumed only by somebody who says so (--trust).

What is signed is the code: the names and all of their arguments, the environment and the address,
and the files of the modules that are named (not of those that they import in turn). So the rest of
config.yaml can be edited (another budget), and the folder renamed and copied; but no signature
that was seen elsewhere holds for other arguments, or for another module of that name.

    $XDG_STATE_HOME/structes/key    or ~/.local/state/structes/key: 32 random bytes
    runs/…/signature                HMAC-SHA256 of what the config names, in hexadecimal
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ..files.folders import plain
from ..files.opening import read_text, regular
from ..named_problems import PROBLEMS
from ..naming.error_text import brief
from ..naming.loading import source_of
from ..strategy.engine import ENGINES
from ..strategy.restarts import RESTARTS
from ..strategy.uncertainty import NOISE
from ..structures import STRUCTURES
from ..terminal.output import warn

SIGNATURE = "signature"  # file of a run folder
_BYTES = 32  # of the key
_LARGEST = 2**26  # bytes of a module that are looked at
_SECTIONS = {
    "structure": STRUCTURES,
    "engine": ENGINES,
    "restarts": RESTARTS,
    "noise": NOISE,
}


def code_of(config: Mapping) -> dict:
    """Return {what: specification} of all code that a config names: what running it would import,
    or connect to, and with which arguments. Empty where it names structes' own things only."""
    code = {f"{place}: {words}": spec for place, words, spec in _named(config)}
    workers = config.get("workers")
    place = workers.get("name") if isinstance(workers, Mapping) else workers
    if isinstance(place, str) and ":" in place:
        code[f"workers: {place}"] = place
    if isinstance(workers, Mapping):
        for key in ("address", "environment"):
            if workers.get(key) not in (None, "auto", {}):  # auto: the cluster of this machine
                code[f"workers: {key} {_in_words(workers[key])}"] = workers[key]
    return code


def modules_of(config: Mapping) -> list[str]:
    """Return names of the modules that a config names."""
    return [words.partition(":")[0] for _, words, _ in _named(config)]


def _named(config: Mapping):
    """Iterate over what a config names: (where, "module:attribute", its specification)."""
    problems = config.get("problems")
    problems = problems if isinstance(problems, (list, tuple)) else [problems]
    for i, spec in enumerate(problems):
        words = spec.get("name") if isinstance(spec, Mapping) else spec
        if _is_foreign(words, PROBLEMS):
            yield f"problems[{i}]", words, spec
    for section, table in _SECTIONS.items():
        for words in _words(config.get(section)):
            if _is_foreign(words, table):
                yield section, words, config[section]


def _is_foreign(words, table) -> bool:
    """Would a registry look for a module of this name, which is none of structes' own problems?"""
    if not isinstance(words, str) or ":" not in words:
        return False
    head = words.partition(":")[0]
    return head not in table and not f"{head}.".startswith("structes.problems.")


def _words(value):
    """Iterate over all texts in a specification, keys among them.

    A structure names others in its arguments.
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _words(key)
            yield from _words(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _words(part)


def _in_words(value) -> str:
    return ", ".join(map(str, value)) if isinstance(value, Mapping) else str(value)


def signature(config: Mapping) -> dict:
    """Return {file name: text} that a new run folder holds besides: its signature, where the
    config names code. Where that cannot be made a warning says once what follows."""
    code = code_of(config)
    if not code:
        return {}
    try:
        return {SIGNATURE: _signed(_key(make=True), code, _sources(config)) + "\n"}
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        reason = f"{error.strerror or error}{place}"
        warn(
            f"this run cannot be signed as your own ({reason}), so that `structes resume` of it "
            "will want --trust"
        )
        return {}


def check(folder: str | os.PathLike[str], config: Mapping, trust: bool = False) -> None:
    """Raise ValueError where the config of a run folder names code, the folder was not written by
    a run of this user's own, and nobody trusts it; the message lists what would be imported."""
    code = code_of(config)
    if not code or trust:
        return
    reason = "it bears no signature of yours for it"
    try:
        text = read_text(Path(folder) / SIGNATURE, 1000).strip()
        expected = _signed(_key(), code, _sources(config))
        if hmac.compare_digest(text.encode("utf-8", "replace"), expected.encode()):
            return
        reason = "its signature is not yours, or what it names has been changed since, or its file"
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        reason = f"its signature cannot be checked: {getattr(error, 'strerror', None) or error}"
    names = "; ".join(brief(name, 120).strip("'\"") for name in list(code)[:20])
    rest = f"; and {len(code) - 20} more" if len(code) > 20 else ""
    raise ValueError(
        f"{str(folder)!r} names code, which would be imported and run here, and {reason}. It "
        f"names {names}{rest}. Where you trust whoever made the folder: --trust (in Python "
        "trust=True)"
    )


def _sources(config: Mapping) -> dict:
    """Return {module: digest of its file} of the modules that a config names; None where none is
    found, in the places where it is imported from. Nothing is imported for that."""
    return {module: _digest(module) for module in modules_of(config)}


def _digest(module: str) -> str | None:
    path = source_of(module)
    if path is None:
        return None
    with open(path, "rb") as file:
        return hashlib.sha256(file.read(_LARGEST)).hexdigest()


def _signed(key: bytes, code: dict, sources: dict) -> str:
    text = json.dumps(_ordered(plain([code, sources]))).encode()
    return hmac.new(key, b"structes run 1\n" + text, hashlib.sha256).hexdigest()


def _ordered(value):
    """Return a value as lists and texts, the same for mappings of any order, and for no two
    values.
    """
    if isinstance(value, dict):
        pairs = ([repr(key), _ordered(part)] for key, part in value.items())
        return {"": sorted(pairs, key=lambda pair: pair[0])}
    return [_ordered(part) for part in value] if isinstance(value, list) else repr(value)


# -- the key --------------------------------------------------------------------------------------


def state_folder() -> Path:
    """Return where this user's state is kept.

    Raises
    ------
    OSError
        Where nobody says where that is.
    """
    path = os.environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(path):
        return Path(path) / "structes"
    home = Path(os.path.expanduser("~/.local/state/structes"))
    if not home.is_absolute() or os.environ.get("HOME") == "":
        raise OSError(errno.ENOENT, "there is no home folder")
    return home


def _key(make: bool = False) -> bytes:
    """Return the user's key; with `make` it is made where there is none.

    Raises
    ------
    OSError
        Where it cannot be read or made, and where others may read it or could have written it.
    """
    folder = state_folder()
    path = folder / "key"
    if make and not os.path.lexists(path):
        _make(folder, path)
    _check_owner(folder, os.stat(folder), stat.S_IWGRP | stat.S_IWOTH)
    with open(path, "rb", opener=regular) as file:
        _check_owner(path, os.fstat(file.fileno()), stat.S_IRWXG | stat.S_IRWXO)
        key = file.read(_BYTES + 1)
    if len(key) != _BYTES:
        raise OSError(errno.EINVAL, "the key is damaged (delete it, and a new one is made)", path)
    return key


def _make(folder: Path, path: Path) -> None:
    """Make a key, whole or not at all; of two processes that do so at once one comes first, and
    its key is that of both."""
    parent = next(fd for fd in folder.parents if fd.exists())
    if hasattr(os, "geteuid") and os.geteuid() == 0 != os.stat(parent).st_uid:
        # root with the home of somebody else (sudo), who could not read the key
        raise PermissionError(errno.EPERM, "it belongs to another user", str(parent))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = folder / f"key.{os.getpid()}.{secrets.token_hex(4)}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(fd, "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links: the one that comes last is that of all
            os.replace(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def _check_owner(path, status: os.stat_result, not_allowed: int) -> None:
    if not hasattr(os, "geteuid"):  # Windows, where modes say nothing
        return
    if status.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "it belongs to another user", str(path))
    if status.st_mode & not_allowed:
        raise PermissionError(
            errno.EPERM, "others may use it (chmod go= would end that)", str(path)
        )
