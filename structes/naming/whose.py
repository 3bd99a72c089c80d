"""Whose code is it? What is asked of an object that a file names, before it is called.

A config may name a function as "module:attribute", and anything that can be imported can be named
so. Here it is found out, without calling anything, where the code of an object comes from: a
user's own module, a library, or Python's standard library, which holds no objective of anybody's
but many a function that does harm (subprocess, os, shutil, runpy, pickle).
"""

from __future__ import annotations

import builtins
import functools
import importlib.util
import inspect
import os
import sys
from types import FunctionType, MethodType, MethodWrapperType, ModuleType
from typing import Any

# What structes stands on, or is used beside: their functions take points, but no problem of a
# user's is made there. (yaml and the others can be told by a string to do anything.)
# fmt: off
LIBRARIES = {
    "numpy", "scipy", "yaml", "_yaml", "click", "rich", "cloudpickle", "threadpoolctl", "pip",
    "setuptools", "pkg_resources", "wheel", "_distutils_hack", "pandas", "matplotlib",
    "joblib", "loky", "dill", "ray", "cupy", "array_api_compat", "torch", "jax", "sympy",
    "sklearn", "numexpr", "numba", "cffi", "pytest", "cma", "cmaes", "cocoex", "cocopp",
    "nevergrad", "pypop7",
}
# fmt: on


def is_standard(module: str) -> bool:
    """Is a module, or the package that it is in, one of Python's standard library? False where a
    user's own file of that name comes first on the path. Nothing is imported."""
    top = module.partition(".")[0]
    try:
        origin = importlib.util.find_spec(top).origin
    except (AttributeError, ImportError, ValueError):  # there is none, or nobody says whence it is
        origin = None
    if origin in (None, "built-in", "frozen"):
        return top in sys.stdlib_module_names
    library, place = (os.path.realpath(p) for p in (os.path.dirname(os.__file__), origin))
    if not place.startswith(library + os.sep):
        return False
    return place[len(library) + 1 :].split(os.sep)[0] not in ("site-packages", "dist-packages")


def home_of(target: Any) -> str:
    """Return the name of the module in which the code was written that a call runs.

    What a partial, a method or a decorated function is made of counts, and of another object its
    class.
    """
    for _ in range(100):  # a chain that never ends is nobody's
        if isinstance(target, functools.partial):
            target = target.func
        elif isinstance(target, MethodType):
            target = target.__func__
        elif isinstance(target, MethodWrapperType):  # f.__call__
            target = target.__self__
        elif (inner := inspect.getattr_static(target, "__wrapped__", None)) is not None:
            target = inner
        else:
            break
    if isinstance(target, FunctionType):
        return str(target.__globals__.get("__name__", "?"))  # "?": made by exec, as sympy's are
    if isinstance(target, type) or inspect.isroutine(target):
        owner = getattr(target, "__module__", None)
        return str(owner or type(getattr(target, "__self__", None)).__module__)
    kind = type(target)
    if kind.__module__ == "builtins" and getattr(builtins, kind.__name__, None) is not kind:
        return f"? {kind.__name__}"  # an extension's that does not say whose it is, as f2py's
    return str(kind.__module__)


def is_library(target: Any) -> bool:
    """Does its code come from a library that structes stands on, or is used beside?"""
    return home_of(target).partition(".")[0] in LIBRARIES


def description_of(target: Any) -> str:
    """Return in words what an object is, such as "a function of subprocess".

    Nothing of it is called.
    """
    if isinstance(target, ModuleType):
        return "a module"
    if isinstance(target, type):
        return f"the class {target.__module__}.{target.__qualname__}"
    if isinstance(target, FunctionType | MethodType) or inspect.isroutine(target):
        return f"a function of {home_of(target)}"
    kind = type(target)
    place = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"an object of the class {place}{kind.__qualname__}"


def belongs(name: str, value: Any) -> bool:
    """May the way to an attribute of the module `name` lead through `value`, which is no module of
    another package?"""
    if not isinstance(value, ModuleType):
        return True
    return value.__name__.partition(".")[0] == name.partition(".")[0]
