"""Names to objects: how a word in a config, a flag or a call becomes a structure or a problem.

A thing is added with one file and one line: the line is `name: "module:attribute"` in the table
of its package. A user's own `my_package.kron:MyKron` works with no line at all.

A specification is one of

    "block_upper"                        a name
    "block_upper:k5", "bbob:f10:i3"      a name and its numbers: letters, then the value
    {"name": "block_upper", "k": 5}      a mapping: a config section is a call
    BlockUpper(dim=20, k=5)              the object itself

and `build` turns it into the object. Unknown names and unknown keys name the nearest known one.

A name may come from somebody else's file, and "subprocess:Popen" can be imported as well as
"my_package.kron:MyKron". So a registry asks what an object is (`Registry.check`) before it calls
anything. Importing a module runs it all the same: whoever names a module runs its code.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import inspect
import os
import re
import sys
import traceback
from collections.abc import Mapping
from typing import Any

from .whose import belongs, is_standard, said_of

_HERE = os.path.dirname(os.path.abspath(__file__))
_OTHERS = ("site-packages", "dist-packages", os.path.dirname(os.__file__) + os.sep)
_PIECE = re.compile(r"([A-Za-z_]+?)(-?\d[\d.eE+-]*)$")


def nearest(word: str, known) -> str:
    """ " (did you mean 'x'?)" for the nearest known word, or an empty string. A word that is not
    very near has to begin with the same letter: "population" does not mean "options"."""
    word = str(word)[:80]
    near = difflib.get_close_matches(word, [str(k) for k in known], n=3, cutoff=0.55)
    very = difflib.get_close_matches(word, near, n=3, cutoff=0.75)
    close = [k for k in near if k in very or k[:1].lower() == word[:1].lower()]
    return f" (did you mean {close[0]!r}?)" if close else ""


def brief(value, most: int = 60) -> str:
    """`value` as an error message shows it: its repr in one line of at most `most` characters."""
    if isinstance(value, int) and value.bit_length() > 200:  # Python may refuse to write it out
        sign = "a negative integer" if value < 0 else "an integer"
        return f"{sign} of {int(value.bit_length() * 0.30103) + 1} digits"
    if isinstance(value, (list, tuple)):
        value = value[:most]
    elif isinstance(value, (str, bytes)):
        value = value[: 2 * most]
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a class of the user's own, or a list with an integer of 5000 digits
        return f"a {type(value).__name__}"
    return text if len(text) <= most else text[: most - 3] + "..."


def place_of(error: BaseException) -> str:
    """ " (own.py, line 3)": the place in a file of the user's where the exception was raised, or
    an empty string where structes itself has raised it, whose message says enough."""
    if isinstance(error, SyntaxError) and error.filename:  # it has no frame in the file
        said = f"line {error.lineno}" in str(error)
        return "" if said else f" ({_from_here(error.filename)}, line {error.lineno})"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename[:1] != "<"]
    if not frames or os.path.abspath(frames[-1].filename).startswith(_HERE + os.sep):
        return ""
    frames = [f for f in frames if not f.filename.startswith(_HERE + os.sep)]
    own = [f for f in frames if not any(part in f.filename for part in _OTHERS)]
    frame = (own or frames)[-1]
    return f" ({_from_here(frame.filename)}, line {frame.lineno})"


def load_object(path: str) -> Any:
    """The object at "module:attribute".

    Raises ValueError, saying which half failed, where there is no such module or attribute, and
    ImportError, naming file and line, where the module cannot be imported because it raises.
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
    for at, part in enumerate(attribute.split(".")):
        if at and not belongs(module_name, value):
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


def load_own(path: str):
    """As `load_object`, for a path that may have come from somebody else's file: a module of the
    standard library, of which some do things when they are imported (antigravity opens a browser),
    is not imported for it. Raises the same."""
    module_name, _ = _halves(path)
    if module_name not in sys.modules and is_standard(module_name):
        hint = _hidden_by(module_name, "in Python's standard library")
        raise ValueError(f"{path!r}: {module_name!r} is a module of Python itself{hint}")
    return load_object(path)


def _halves(path: str) -> tuple[str, str]:
    """The name of the module and the attribute in "module:attribute"."""
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
    """Path of a module's source, as it would be imported: on the path, or else in the working
    folder; None where there is none. Nothing is imported."""
    if not all(part.isidentifier() for part in module.split(".")):
        return None
    base = os.path.join(*module.split("."))
    found = [f"{base}.py", os.path.join(base, "__init__.py")]
    folders = [place for place in sys.path if isinstance(place, str)]
    places = [os.path.join(place, path) for place in (*folders, ".") for path in found]
    return next((path for path in places if os.path.isfile(path)), None)


def _functions(source) -> list[str]:
    """Names of the public functions in a source, which is read and not run."""
    try:
        with open(source, "rb") as file:
            body = ast.parse(file.read()).body
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [n.name for n in body if isinstance(n, ast.FunctionDef) and n.name[:1] != "_"]


def _not_imported(path, error) -> ImportError:
    kind = "" if isinstance(error, ImportError) else f"{type(error).__name__}: "
    said = " ".join(str(error).split()) or type(error).__name__
    return ImportError(f"{path!r} cannot be imported: {kind}{said}{place_of(error)}")


def _shadowed(module_name, module) -> str:
    """What to say where the module is not the file of that name that lies in the folder."""
    own, found = os.path.abspath(f"{module_name}.py"), getattr(module, "__file__", None)
    if found and os.path.abspath(found) == own:
        return ""
    return _hidden_by(module_name, found or "built in")


def _hidden_by(module_name, place) -> str:
    """The same, where the module was found in another place."""
    if not os.path.isfile(f"{module_name}.py"):
        return ""
    return f" (it is {place}, not ./{module_name}.py: give that file another name)"


def _from_here(path) -> str:
    """A path as one reads it from the working folder."""
    try:
        shorter = os.path.relpath(path)
    except (OSError, ValueError):  # no working folder, or another drive
        return path
    return path if shorter.startswith("..") else shorter


class Registry(Mapping[str, Any]):
    """A table of names: `registry[name]` imports and returns the object.

    `kind` is the word for error messages; `table` is a dict name -> "module:attribute", or the
    path "module:attribute" of such a dict, read when it is first needed. `also` are words that are
    known to whoever calls, such as "auto"; messages list them. `base` is the path
    "module:attribute" of the class of which a user's own thing is a subclass; None: there can be
    none of a user's own, unless `check` says otherwise.
    """

    def __init__(self, kind: str, table, also: tuple[str, ...] = (), base: str | None = None):
        self.kind = kind
        self._table = table
        self.also = also
        self.base = base

    @property
    def table(self) -> dict[str, str]:
        if isinstance(self._table, str):
            self._table = load_object(self._table)
        return self._table

    def __iter__(self):
        return iter(self.table)

    def __len__(self):
        return len(self.table)

    def __contains__(self, name):
        return name in self.table

    def __getitem__(self, name: str) -> Any:
        if name in self.table:
            return load_object(self.table[name])
        known = [*self.also, *self.table]
        if name in self.also:
            alone = "stands alone: it takes no arguments, and is no part of another one"
            raise KeyError(f"{self.kind} {name!r} {alone}")
        if isinstance(name, str) and ":" in name:
            hint = nearest(name.split(":")[0], known)
            try:
                target = load_own(name)
            except ValueError as error:  # perhaps a table name with numbers, misspelt
                said = str(error).removeprefix(f"{name!r}: ")
                raise KeyError(f"unknown {self.kind} {brief(name)}{hint}: {said}") from None
            self.check(name, target)
            return target
        hint = as_path(name) or nearest(name, known)
        raise KeyError(
            f"unknown {self.kind} {brief(name)}{hint}; known: "
            f"{', '.join(known)}; or give your own as 'module:attribute'"
        )

    def check(self, name: str, target) -> None:
        """Raise TypeError unless `target`, which is what a user's own "module:attribute" names, is
        of the kind that this registry calls. Nothing of it has been called by then."""
        base = self.base and load_object(self.base)
        if not (base and isinstance(target, type) and base in target.__mro__):
            a = base and f"a{'n' * (base.__name__[:1] in 'AEIOU')} {base.__name__}"
            must = f"{a}, and a module's is a subclass of it" if base else f"one of {list(self)}"
            raise TypeError(f"{self.kind} must be {must}; {brief(name)} is {said_of(target)}")

    def __repr__(self):
        return f"<{len(self)} {self.kind}s: {', '.join(self.table)}>"

    def parse(self, spec) -> tuple[str, dict]:
        """(name, arguments) of a specification that is a string or a mapping."""
        if isinstance(spec, str):
            return self._parse_words(spec)
        if not isinstance(spec, Mapping):
            raise TypeError(
                f"{self.kind} must be a name, a mapping with 'name', or an object of its kind "
                f"(known names: {', '.join([*self.also, *self.table])}); got {brief(spec)}"
            )
        if not isinstance(spec.get("name"), str):
            raise ValueError(
                f"{self.kind}: the mapping needs 'name', a string; got {brief(dict(spec))}"
            )
        name, given = self._parse_words(spec["name"])
        given.update({key: value for key, value in spec.items() if key != "name"})
        return name, given

    def _parse_words(self, words: str) -> tuple[str, dict]:
        head, *tail = words.split(":")
        if head not in self.table:
            return words, {}
        given = {}
        for piece in tail:
            match = _PIECE.match(piece)
            if not match:
                raise ValueError(
                    f"{self.kind} {words!r}: {piece!r} must be a word and a number, as in 'k5'"
                )
            given[match[1]] = float(match[2]) if re.search("[.eE]", match[2]) else int(match[2])
        return head, given

    def build(self, spec, **context):
        """Call what `spec` names with its own arguments and those of `context` that it takes."""
        name, given = self.parse(spec)
        return self.call(self.resolve(name), name, given, **context)

    def resolve(self, name: str):
        """The object behind `name`; ValueError, naming the nearest, where there is none."""
        try:
            return self[name]
        except KeyError as error:
            raise ValueError(error.args[0]) from None

    def call(self, target, name, given: Mapping, **context):
        """`target(**context, **given)`, with unknown, missing and ill-typed arguments named."""
        parameters = inspect.signature(target).parameters
        open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        for key in given:
            if key not in parameters and not open_ended:
                takes = [p for p in parameters if p not in context] or ["nothing"]
                raise ValueError(
                    f"{self.kind} {name!r} has no argument {key!r}{nearest(key, takes)}; "
                    f"it takes: {', '.join(takes)}"
                )
        arguments = {k: v for k, v in context.items() if k in parameters or open_ended}
        for key, value in given.items():
            arguments[key] = _coerce(value, parameters.get(key), f"{self.kind} {name!r}: {key}")
        for key, parameter in parameters.items():
            required = parameter.default is parameter.empty and parameter.kind not in (
                parameter.VAR_KEYWORD,
                parameter.VAR_POSITIONAL,
            )
            if required and key not in arguments:
                raise ValueError(f"{self.kind} {name!r} needs the argument {key!r}")
        return target(**arguments)


def _coerce(value, parameter, what: str):
    """YAML reads 1e-3 as a string and flags arrive as strings: convert by the annotation."""
    if parameter is None or not isinstance(value, str):
        return value
    annotation = str(getattr(parameter.annotation, "__name__", parameter.annotation))
    kinds = {part.strip() for part in annotation.split("|")}
    if "str" in kinds or not kinds & {"int", "float"}:
        return value
    try:
        number = float(value)
    except ValueError:
        raise ValueError(f"{what} must be a number ({annotation}); got {brief(value)}") from None
    if "float" in kinds:
        return number
    if number != int(number):
        raise ValueError(f"{what} must be an integer; got {brief(value)}")
    return int(number)
