"""Loading what a name "module:attribute" stands for, and saying in what way a wrong one is wrong.

Importing a module runs it, so whoever names a module runs its code. `load_own` is for names that
may have come from somebody else's file.
"""

from __future__ import annotations

import ast
import importlib
import os
import re
import sys
from typing import Any

from .error_text import brief, nearest, place_of
from .whose import belongs, is_standard


def load_object(path: str) -> Any:
    """Return the object at "module:attribute".

    Raises
    ------
    ValueError
        Saying which half failed, where there is no such module or attribute.
    ImportError
        Naming file and line, where the module cannot be imported because it raises.
    """
    module_name, attribute = _halves(path)
    try:
        value = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and not (module_name + ".").startswith(error.name + "."):
            raise _not_imported(path, error) from error  # something that the module needs
        hint = as_path(path)
        raise ValueError(f"{path!r}: there is no module {module_name!r}{hint}") from error
    except Exception as error:
        raise _not_imported(path, error) from error
    for depth, part in enumerate(attribute.split(".")):
        if depth and not belongs(module_name, value):
            raise ValueError(
                f"{path!r}: {module_name!r} only imports the module {value.__name__!r}, which is "
                f"named by itself: {value.__name__}:{part}"
            )
        try:
            value = getattr(value, part)
        except AttributeError:
            hint = nearest(part, [n for n in dir(value) if not n.startswith("_")])
            hint = hint or _shadowed(module_name, value)
            raise ValueError(f"{path!r}: {module_name!r} has no {part!r}{hint}") from None
    return value


def load_own(path: str) -> Any:
    """As `load_object`, for a path that may have come from somebody else's file: a module of the
    standard library, of which some do things when they are imported (antigravity opens a browser),
    is not imported for it. Raises the same."""
    module_name, _ = _halves(path)
    if module_name not in sys.modules and is_standard(module_name):
        hint = _hidden_by(module_name, "in Python's standard library")
        raise ValueError(f"{path!r}: {module_name!r} is a module of Python itself{hint}")
    return load_object(path)


def _halves(path: str) -> tuple[str, str]:
    """Return the name of the module and the attribute in "module:attribute"."""
    module_name, _, attribute = path.partition(":")
    if not module_name or not attribute or re.search(r"^\.|[\s/\\]", module_name):
        raise ValueError(f"{brief(path)}: 'module:attribute' is expected{as_path(path)}")
    return module_name, attribute


def as_path(words: str) -> str:
    """ " (did you mean 'my_module:f'?)" for what a user may have written in its place: my_module,
    my_module.f, my_module.py:f, ./my_module.py; an empty string where there is no such module."""
    if not isinstance(words, str) or len(words) > 200:
        return ""
    module, _, attribute = words.replace("\\", "/").removeprefix("./").partition(":")
    module = module.removesuffix(".py").strip("/").replace("/", ".")
    if not attribute and "." in module and source_of(module) is None:
        module, _, attribute = module.rpartition(".")
    source = source_of(module)
    if source is None or (attribute and f"{module}:{attribute}" == words):
        return ""
    names = [attribute] if attribute else _functions(source)
    if not names:
        return f" (a module alone is not enough: {module}:FUNCTION)"
    return f" (did you mean {' or '.join(repr(f'{module}:{name}') for name in names[:4])}?)"


def source_of(module: str) -> str | None:
    """Return path of a module's source, as it would be imported: on the path, or else in the
    working folder; None where there is none. Nothing is imported."""
    if not all(part.isidentifier() for part in module.split(".")):
        return None
    base = os.path.join(*module.split("."))
    files = [f"{base}.py", os.path.join(base, "__init__.py")]
    folders = [place for place in sys.path if isinstance(place, str)]
    places = [os.path.join(place, path) for place in (*folders, ".") for path in files]
    return next((path for path in places if os.path.isfile(path)), None)


def _functions(source) -> list[str]:
    """Return names of the public functions in a source, which is read and not run."""
    try:
        with open(source, "rb") as file:
            body = ast.parse(file.read()).body
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [n.name for n in body if isinstance(n, ast.FunctionDef) and n.name[:1] != "_"]


def _not_imported(path, error) -> ImportError:
    kind = "" if isinstance(error, ImportError) else f"{type(error).__name__}: "
    message = " ".join(str(error).split()) or type(error).__name__
    return ImportError(f"{path!r} cannot be imported: {kind}{message}{place_of(error)}")


def _shadowed(module_name, module) -> str:
    """Return what to say where the module is not the file of that name that lies in the folder."""
    local_file, module_file = (
        os.path.abspath(f"{module_name}.py"),
        getattr(module, "__file__", None),
    )
    if module_file and os.path.abspath(module_file) == local_file:
        return ""
    return _hidden_by(module_name, module_file or "built in")


def _hidden_by(module_name, place) -> str:
    """Return the same, where the module was found in another place."""
    if not os.path.isfile(f"{module_name}.py"):
        return ""
    return f" (it is {place}, not ./{module_name}.py: give that file another name)"
