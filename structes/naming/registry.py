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

import inspect
import re
from collections.abc import Mapping
from typing import Any

from .error_text import brief, nearest
from .loading import as_path, load_object, load_own
from .whose import description_of

_PIECE = re.compile(r"([A-Za-z_]+?)(-?\d[\d.eE+-]*)$")


class Registry(Mapping[str, Any]):
    """A table of names: `registry[name]` imports and returns the object.

    Parameters
    ----------
    kind : str
        The word for error messages.
    table : dict or str
        {name: "module:attribute"}, or the path "module:attribute" of such a dict, which is read
        when it is first needed.
    also : tuple of str
        Words that are known to whoever calls, such as "auto"; messages list them.
    base : str, optional
        The path "module:attribute" of the class of which a user's own thing is a subclass. None
        means that there can be none of a user's own, unless `check` says otherwise.
    """

    def __init__(
        self,
        kind: str,
        table: Mapping[str, str] | str,
        also: tuple[str, ...] = (),
        base: str | None = None,
    ):
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
        names = [*self.also, *self.table]
        if name in self.also:
            alone = "stands alone: it takes no arguments, and is no part of another one"
            raise KeyError(f"{self.kind} {name!r} {alone}")
        if isinstance(name, str) and ":" in name:
            hint = nearest(name.split(":")[0], names)
            try:
                target = load_own(name)
            except ValueError as error:  # perhaps a table name with numbers, misspelt
                message = str(error).removeprefix(f"{name!r}: ")
                raise KeyError(f"unknown {self.kind} {brief(name)}{hint}: {message}") from None
            self.check(name, target)
            return target
        hint = as_path(name) or nearest(name, names)
        raise KeyError(
            f"unknown {self.kind} {brief(name)}{hint}; known: "
            f"{', '.join(names)}; or give your own as 'module:attribute'"
        )

    def check(self, name: str, target: Any) -> None:
        """Raise TypeError unless `target`, which is what a user's own "module:attribute" names, is
        of the kind that this registry calls. Nothing of it has been called by then."""
        base = self.base and load_object(self.base)
        if not (base and isinstance(target, type) and base in target.__mro__):
            a = base and f"a{'n' * (base.__name__[:1] in 'AEIOU')} {base.__name__}"
            requirement = (
                f"{a}, and a module's is a subclass of it" if base else f"one of {list(self)}"
            )
            raise TypeError(
                f"{self.kind} must be {requirement}; {brief(name)} is {description_of(target)}"
            )

    def __repr__(self):
        return f"<{len(self)} {self.kind}s: {', '.join(self.table)}>"

    def parse(self, spec: Any) -> tuple[str, dict]:
        """Return (name, arguments) of a specification that is a string or a mapping."""
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
        name, arguments = self._parse_words(spec["name"])
        arguments.update({key: value for key, value in spec.items() if key != "name"})
        return name, arguments

    def _parse_words(self, words: str) -> tuple[str, dict]:
        head, *tail = words.split(":")
        if head not in self.table:
            return words, {}
        arguments = {}
        for piece in tail:
            match = _PIECE.match(piece)
            if not match:
                raise ValueError(
                    f"{self.kind} {words!r}: {piece!r} must be a word and a number, as in 'k5'"
                )
            arguments[match[1]] = (
                float(match[2]) if re.search("[.eE]", match[2]) else int(match[2])
            )
        return head, arguments

    def build(self, spec: Any, **context: Any) -> Any:
        """Call what `spec` names with its own arguments and those of `context` that it takes."""
        name, arguments = self.parse(spec)
        return self.call(self.resolve(name), name, arguments, **context)

    def resolve(self, name: str) -> Any:
        """Return the object behind `name`; ValueError, naming the nearest, where there is none."""
        try:
            return self[name]
        except KeyError as error:
            raise ValueError(error.args[0]) from None

    def call(self, target: Any, name: str, options: Mapping, **context: Any) -> Any:
        """Return `target(**context, **given)`, with unknown, missing and ill-typed arguments
        named.
        """
        parameters = inspect.signature(target).parameters
        open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        for key in options:
            if key not in parameters and not open_ended:
                names = [p for p in parameters if p not in context] or ["nothing"]
                raise ValueError(
                    f"{self.kind} {name!r} has no argument {key!r}{nearest(key, names)}; "
                    f"it takes: {', '.join(names)}"
                )
        arguments = {k: v for k, v in context.items() if k in parameters or open_ended}
        for key, value in options.items():
            arguments[key] = _coerce(value, parameters.get(key), f"{self.kind} {name!r}: {key}")
        for key, parameter in parameters.items():
            required = parameter.default is parameter.empty and parameter.kind not in (
                parameter.VAR_KEYWORD,
                parameter.VAR_POSITIONAL,
            )
            if required and key not in arguments:
                raise ValueError(f"{self.kind} {name!r} needs the argument {key!r}")
        return target(**arguments)


def _coerce(value, parameter, label: str):
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
        raise ValueError(f"{label} must be a number ({annotation}); got {brief(value)}") from None
    if "float" in kinds:
        return number
    if number != int(number):
        raise ValueError(f"{label} must be an integer; got {brief(value)}")
    return int(number)
