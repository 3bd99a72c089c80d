"""Plain values from YAML, of any origin: the only place where YAML is read.

YAML is a language with traps. Ten lines with aliases stand for 10¹⁰ values, a value may hold
itself, brackets nest until the stack ends, and a number such as 1:1:1:… takes the square of its
length to be read. So the text is gone through once before anything is made of it, counting what it
would become, and what is too much is refused. What is left are YAML's plain values; a key that is
in a mapping twice is refused and not overwritten.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from ..naming.error_text import brief

LARGEST = 2**23  # characters: a config has some hundred
MOST = 200_000  # values, those that aliases repeat among them
REPEATED = 100_000  # of these, values that aliases repeat
DEEPEST = 64  # of lists and mappings in each other
LONGEST = 400  # characters of a number or a date
_DEEP = "it is nested too deeply, or holds itself"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it was built
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_DIRECTIVE = re.compile("^%|[\n\r\x85\u2028\u2029]%")
_NUMBERS = {f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "timestamp", "bool", "null")}


def read_yaml(text: str, name: str, twice: bool = False) -> Any:
    """Return the value in a text of YAML.

    Parameters
    ----------
    twice : bool
        Whether a key may be there twice, and the last one counts, as elsewhere in YAML.

    Raises
    ------
    ValueError
        With `name` for its name and with the line where there are several, for what is no YAML,
        for a key that is there twice, and for what would fill the memory or never end.
    """
    try:
        _check(text)
        return _value(text, twice)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark and "\n" in text.strip() else ""
        kind = "" if isinstance(error, _Refused) else "not YAML: "
        problem = str(error.problem or error.context)
        if "nesting depth" in problem:  # its C has a limit of its own
            kind, problem = "", _DEEP
        message = f"{name}{line}: {kind}{problem}"
    except yaml.YAMLError as error:
        message = f"{name}: not YAML: {' '.join(str(error).split())}"
    except RecursionError:
        message = f"{name}: {_DEEP}"
    except UnicodeEncodeError:
        message = f"{name}: not YAML: it is no text in UTF-8"
    except (ValueError, OverflowError) as error:  # a date or a number that cannot be
        message = f"{name}: {' '.join(str(error).split())}"
    except (AttributeError, IndexError, KeyError, TypeError):  # PyYAML, of !!bool "x" and the like
        message = f"{name}: not YAML: a value does not fit its tag"
    raise ValueError(message[:1000])


def check_fits(config: Mapping[str, Any]) -> None:
    """Raise ValueError for a mapping that, written as YAML, `read_yaml` would refuse."""
    count, pending = 0, [(config, 0)]
    while pending:
        value, depth = pending.pop()
        count += 1
        if count > MOST or depth > DEEPEST:
            limit = f"{MOST} values" if count > MOST else f"{DEEPEST} levels"
            raise ValueError(f"a config must not have more than {limit}")
        if isinstance(value, Mapping):
            pending += [(part, depth + 1) for pair in value.items() for part in pair]
        elif isinstance(value, (list, tuple)):
            pending += [(part, depth + 1) for part in value]


class _Refused(yaml.MarkedYAMLError):
    """It is YAML, but is not taken."""


def _check(text: str) -> None:
    """Raise for a text that stands for too much. Its parser hands on one event after the other,
    so what comes first is refused before the rest is looked at."""
    if len(text) > LARGEST:
        raise ValueError(f"it is too long: more than {LARGEST} characters")
    text.encode()  # of bytes that are no UTF-8, which have been read as something else
    if len(_DIRECTIVE.findall(text)) > 100:  # the parser compares each directive with each
        raise ValueError("it has more than 100 directives, lines that begin with %")
    sizes, anchors, opened = [0], {}, []  # of what is not whole yet
    count = repeated = 0
    for event in yaml.parse(text, Loader=_loader_of(text)):
        size, name = 1, getattr(event, "anchor", None)
        if isinstance(event, yaml.CollectionStartEvent):
            sizes.append(1)
            opened.append(name)
            anchors[name] = None  # as long as it is not whole
            if len(opened) > DEEPEST:
                raise _refused(_DEEP, event)
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            size, name = sizes.pop(), opened.pop()
            anchors[name] = size
        elif isinstance(event, yaml.AliasEvent):
            size = anchors.get(name, 1)  # where there is none its reader says so
            if size is None:
                raise _refused("it holds itself", event)
            repeated += size
        elif isinstance(event, yaml.ScalarEvent):
            anchors[name] = 1
        else:
            continue
        sizes[-1] += size
        count += 1
        if repeated > REPEATED:
            raise _refused("its aliases stand for far more than it says", event)
        if count + repeated > MOST:
            raise _refused(f"it holds more than {MOST} values", event)


def _loader_of(text: str):
    """Return the reader of a text: in C, but for the names of files that are no UTF-8, of which
    Python knows half characters. Those are there in short texts only, for the other reader is
    slow."""
    return yaml.SafeLoader if len(text) < 50_000 and _HALF.search(text) else _LOADER


def _value(text: str, twice: bool):
    loader = _loader_of(text)(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check_node(node, twice, set())
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _check_node(node, twice: bool, visited: set) -> None:
    """Raise for a key that is there twice, and for a number that is a page long."""
    if id(node) in visited:
        return
    visited.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        if node.tag in _NUMBERS and len(node.value) > LONGEST:
            raise _refused(f"a number of {len(node.value)} characters", node)
    elif isinstance(node, yaml.SequenceNode):
        for part in node.value:
            _check_node(part, twice, visited)
    else:
        lines = {}
        for key, value in node.value:
            _check_node(key, twice, visited)
            _check_node(value, twice, visited)
            if isinstance(key, yaml.ScalarNode) and not twice:
                line = key.start_mark.line + 1
                if (key.tag, key.value) in lines:
                    first = lines[key.tag, key.value]
                    place = f"first in line {first}" if first != line else "in the same line"
                    raise _refused(f"the key {brief(key.value)} is there twice, {place}", key)
                lines[key.tag, key.value] = line


def _refused(problem: str, node) -> _Refused:
    return _Refused(problem=problem, problem_mark=node.start_mark)
