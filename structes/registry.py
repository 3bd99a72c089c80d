"""Names to objects: how a word in a config, a flag or a call becomes a structure or a problem.

A thing is added with one file and one line: the line is `name: "module:attribute"` in the table
of its package. A user's own `my_package.kron:MyKron` works with no line at all.

A specification is one of

    "block_upper"                        a name
    "block_upper:k5", "bbob:f10:i3"      a name and its numbers: letters, then the value
    {"name": "block_upper", "k": 5}      a mapping: a config section is a call
    BlockUpper(dim=20, k=5)              the object itself

and `build` turns it into the object. Unknown names and unknown keys name the nearest known one.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
from collections.abc import Mapping

_PIECE = re.compile(r"([A-Za-z_]+?)(-?\d[\d.eE+-]*)$")


def nearest(word: str, known) -> str:
    """ " (did you mean 'x'?)" for the nearest known word, or an empty string."""
    close = difflib.get_close_matches(str(word), [str(k) for k in known], n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def load_object(path: str):
    """The object at "module:attribute". Raises ValueError saying which half failed."""
    module_name, _, attribute = path.partition(":")
    try:
        value = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and not (module_name + ".").startswith(error.name + "."):
            raise  # the module exists; something that it needs does not
        raise ValueError(f"{path!r}: there is no module {module_name!r}") from error
    for part in attribute.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            hint = nearest(part, [n for n in dir(value) if not n.startswith("_")])
            raise ValueError(f"{path!r}: {module_name!r} has no {part!r}{hint}") from None
    return value


class Registry(Mapping):
    """A table of names: `registry[name]` imports and returns the object.

    `kind` is the word for error messages; `table` is a dict name -> "module:attribute", or the
    path "module:attribute" of such a dict, read when it is first needed.
    """

    def __init__(self, kind: str, table):
        self.kind = kind
        self._table = table

    @property
    def table(self) -> dict:
        if isinstance(self._table, str):
            self._table = load_object(self._table)
        return self._table

    def __iter__(self):
        return iter(self.table)

    def __len__(self):
        return len(self.table)

    def __contains__(self, name):
        return name in self.table

    def __getitem__(self, name):
        if name in self.table:
            return load_object(self.table[name])
        if isinstance(name, str) and ":" in name:
            hint = nearest(name.split(":")[0], self.table)
            try:
                return load_object(name)
            except ValueError as error:  # perhaps a table name with numbers, misspelt
                raise KeyError(f"unknown {self.kind} {name!r}{hint}: {error}") from None
        raise KeyError(
            f"unknown {self.kind} {name!r}{nearest(name, self.table)}; known: "
            f"{', '.join(self.table)}; or give your own as 'module:attribute'"
        )

    def __repr__(self):
        return f"<{len(self)} {self.kind}s: {', '.join(self.table)}>"

    def parse(self, spec) -> tuple[str, dict]:
        """(name, arguments) of a specification that is a string or a mapping."""
        if isinstance(spec, str):
            return self._parse_words(spec)
        if not isinstance(spec, Mapping):
            raise TypeError(
                f"{self.kind} must be a name, a mapping with 'name', or an object of its kind; "
                f"got {spec!r}"
            )
        if not isinstance(spec.get("name"), str):
            raise ValueError(
                f"{self.kind}: the mapping needs 'name', a string; got {dict(spec)!r}"
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
        raise ValueError(f"{what} must be a number ({annotation}); got {value!r}") from None
    if "float" in kinds:
        return number
    if number != int(number):
        raise ValueError(f"{what} must be an integer; got {value!r}")
    return int(number)
