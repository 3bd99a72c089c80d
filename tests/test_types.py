"""Every public argument and return value has a type, and checkers flag what users get wrong."""

import functools
import importlib.util
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import structes
import structes.core
import structes.testing

HERE = Path(__file__).parent
MODULES = [structes, structes.core, structes.testing]  # whose __all__ is public


def public():
    """(name, object) of all that is exported."""
    for module in MODULES:
        for name in module.__all__:
            yield f"{module.__name__}.{name}", getattr(module, name)


def functions(name, thing):
    """(name, function) of what a user calls or reads of an exported thing: a function, or the
    methods and properties of a class, those that it inherits from structes included."""
    if inspect.isfunction(thing):
        yield name, thing
    elif inspect.isclass(thing):
        owners = [c for c in thing.__mro__ if c.__module__.split(".")[0] == "structes"]
        for key in dict.fromkeys(key for owner in owners for key in vars(owner)):
            if key.startswith("_") and key not in ("__init__", "__call__", "__enter__"):
                continue
            value = inspect.getattr_static(thing, key)
            if isinstance(value, property):
                value = value.fget
            elif isinstance(value, functools.cached_property):
                value = value.func
            elif isinstance(value, (classmethod, staticmethod)):
                value = value.__func__
            if inspect.isfunction(value):
                yield f"{name}.{key}", value


def missing(function):
    """Parameters without a type, and "return" where that has none."""
    signature = inspect.signature(function)
    bare = [
        p.name
        for p in signature.parameters.values()
        if p.annotation is p.empty and p.name not in ("self", "cls")
    ]
    if signature.return_annotation is signature.empty and function.__name__ != "__init__":
        bare.append("return")
    return bare


FUNCTIONS = dict(item for entry in public() for item in functions(*entry))


def test_what_is_public_is_found():
    for name in ("ES.ask", "ES.mean", "ES.load", "Space.to_dict", "minimize", "Structure.tangent"):
        assert f"structes.{name}" in FUNCTIONS
    assert len(FUNCTIONS) > 150


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_argument_and_return_value_has_a_type(name):
    assert not missing(FUNCTIONS[name])


CLASSES = {name: thing for name, thing in public() if inspect.isclass(thing)}


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_class_says_what_it_is(name):
    doc, cls = CLASSES[name].__doc__, CLASSES[name].__name__
    assert doc and len(doc) > 60 and not doc.startswith(f"{cls}(")  # what dataclass writes


def test_every_public_function_says_what_it_does():
    bare = [name for name, function in FUNCTIONS.items() if not inspect.getdoc(function)]
    assert [name for name in bare if not name.endswith(("__init__", "__enter__"))] == []


# -- a type checker -------------------------------------------------------------------------------


def checked(name):
    """{line: rules} of the errors that the type checker finds in a file of this folder."""
    if importlib.util.find_spec("basedpyright") is None:
        pytest.skip("basedpyright is not installed (extra test)")
    words = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(
        [*words, str(HERE / name)], capture_output=True, text=True, cwd=HERE.parent
    )
    found = {}
    for diagnostic in json.loads(done.stdout)["generalDiagnostics"]:
        if diagnostic["severity"] == "error":
            line = diagnostic["range"]["start"]["line"] + 1
            found.setdefault(line, []).append(diagnostic.get("rule", diagnostic["message"]))
    return found


@pytest.mark.slow
def test_code_as_users_write_it_is_clean_even_in_strict_mode():
    assert checked("typing_user.py") == {}


@pytest.mark.slow
def test_mistakes_that_users_make_are_flagged():
    lines = (HERE / "typing_mistakes.py").read_text().splitlines()
    flagged = {n for n, line in enumerate(lines, 1) if re.search(r"# flagged$", line)}
    assert len(flagged) > 20
    assert set(checked("typing_mistakes.py")) == flagged
