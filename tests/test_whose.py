"""Who may run code: what a registry calls, and what it refuses before anything is called."""

import functools
import sys
import textwrap

import numpy as np
import pytest

from structes.bench import PEERS
from structes.named_problems import load_problem
from structes.naming import whose
from structes.naming.whose import home_of, is_standard
from structes.strategy.engine import build_engine
from structes.strategy.restarts import build_restarts
from structes.strategy.uncertainty import build_noise
from structes.structures.building import build_structure, implied_dim
from structes.structures.random_elements import example

SOURCE = """
    import functools, operator, os, subprocess as sub
    from os import system
    from subprocess import Popen
    import numpy as np
    from scipy.optimize import rosen
    import structes
    from structes.strategy.engine import Engine
    from structes.strategy.restarts import IPOP
    from structes.structures.diagonal import Diagonal

    called = []

    def f(x):
        return float(x @ x)

    def shifted(x, by=0):
        return f(x) + by

    def decorator(function):
        @functools.wraps(function)
        def inner(*its):
            return function(*its)
        return inner

    class Model:
        def __call__(self, x):
            return f(x)
        def loss(self, x):
            return f(x)
        @staticmethod
        def static(x):
            return f(x)
        @classmethod
        def of_class(cls, x):
            return f(x)

    def by_dict(p):
        return p["a"] ** 2

    def by_words(a, words):
        return a ** 2

    def make(dim):
        return structes.Problem(lambda X: (X * X).sum(axis=1), dim)

    class Own(structes.Problem):
        def __init__(self, dim):
            super().__init__(lambda X: (X * X).sum(axis=1), dim)

    partial, decorated, model = functools.partial(shifted, by=1), decorator(f), Model()
    cached, square, ready = functools.lru_cache(f), lambda x: f(x), make(3)
    bound, many = model.loss, np.vectorize(f, signature="(n)->()")
    made = {}
    exec("def it(x): return float(x @ x)", made)
    generated = made["it"]
    shell, caller = functools.partial(sub.run, shell=True), operator.methodcaller("sum")
    wrapped_shell = decorator(system)

    def noted(*its, **words):
        called.append((its, words))

    class Noted:
        def __init__(self, *its, **words):
            called.append((its, words))

    class MyEngine(Engine):
        pass

    class MyRestarts(IPOP):
        pass

    class MyStructure(Diagonal):
        pass
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The module whose_own, a user's own; it notes what is called of it."""
    (tmp_path / "whose_own.py").write_text(textwrap.dedent(SOURCE))
    monkeypatch.syspath_prepend(str(tmp_path))
    import whose_own

    yield whose_own
    del sys.modules["whose_own"]


OBJECTIVES = ["f", "partial", "decorated", "model", "model.loss", "Model.static", "Model.of_class"]
OBJECTIVES += [
    "f.__call__",
    "many",
    "generated",
    "square",
    "bound",
    "ready",
    "make",
    "Own",
    "rosen",
    "cached",
]


@pytest.mark.parametrize("words", OBJECTIVES)
def test_a_function_of_ones_own_is_an_objective_however_it_was_made(mine, words):
    if words == "cached":  # a point cannot be hashed: it has only to be called
        assert home_of(mine.cached) == "whose_own"
        return
    values = load_problem(f"whose_own:{words}", 3).rows()(np.full((2, 3), 2.0))
    expected = {"partial": 13.0, "rosen": 802.0}.get(words, 12.0)
    assert values.tolist() == [expected, expected]


@pytest.mark.parametrize(
    ("path", "value"), [("numpy:sum", 3.0), ("numpy.linalg:norm", 3**0.5), ("numpy:max", 1.0)]
)
def test_functions_of_libraries_take_points(path, value):
    assert load_problem(path, 3)(np.ones(3)) == value
    assert load_problem("scipy:optimize.rosen", 3)(np.ones(3)) == 0.0


NO_PROBLEM = [
    "subprocess:run",
    "subprocess:Popen",
    "os:system",
    "posix:system",
    "builtins:exec",
    "builtins:print",
    "shutil:rmtree",
    "importlib:import_module",
    "json:loads",
    "_pickle:loads",
    "cloudpickle:loads",
    "runpy:run_path",
    "os.path:join",
    "structes.files.folders:replace",
    "structes.report.structures:draw_all",
    "structes.shell.cli:run",
    "structes.naming.loading:load_object",
    "structes.problems.coco:lru_cache",
    "whose_own:system",
    "whose_own:os.system",
    "whose_own:system.__call__",
    "whose_own:Popen",
    "whose_own:sub.run",
    "whose_own:shell",
    "whose_own:wrapped_shell",
    "whose_own:caller",
    "whose_own:Model",
    "whose_own:Noted",
    "whose_own:np.sum",
    "whose_own:np",
    "whose_own:f.__globals__",
    "whose_own:f.__class__",
    "whose_own:__loader__.load_module",
    "whose_own:structes.Problem",
    "numpy:ndarray",
]


@pytest.mark.parametrize("path", NO_PROBLEM)
@pytest.mark.parametrize("more", [{}, {"space": {"touch": "x", "a": {"kind": "bool"}}}])
def test_what_is_no_problem_is_refused_and_not_called(mine, path, more):
    with pytest.raises((TypeError, ValueError), match="problem") as caught:
        load_problem({"name": path, "dim": 2} if not more else {"name": path, **more})
    assert path in str(caught.value) and not mine.called


@pytest.mark.parametrize("path", ["numpy:load", "yaml:unsafe_load", "scipy.optimize:rosen"])
def test_a_library_is_given_no_words_of_a_space(path):
    space = {"stream": "!!python/object/apply:os.getpid []", "x": {"kind": "bool"}}
    with pytest.raises(TypeError, match="does not go with a space: write a function of your own"):
        load_problem({"name": path, "space": space})


def test_a_library_makes_no_problems(mine, monkeypatch):
    """Its functions with a parameter `dim` would be called with all that a config says."""
    with pytest.raises(TypeError, match="makes no Problem: write a function of your own"):
        load_problem({"name": "scipy.stats:ortho_group.rvs", "dim": 3, "size": 10**9})
    assert load_problem("whose_own:make", 3).dim == 3
    monkeypatch.setattr(whose, "LIBRARIES", {"whose_own"})
    with pytest.raises(TypeError, match="a library, and makes no Problem"):
        load_problem("whose_own:make", 3)


def test_a_function_of_ones_own_is_given_them(mine):
    space = {"a": {"kind": "float", "low": 1, "high": 3}, "words": "any"}
    for name in ("by_dict", "by_words"):
        problem = load_problem({"name": f"whose_own:{name}", "space": space})
        assert problem.rows()(np.array([[2.0]])).tolist() == [4.0]


BUILDERS = {
    "structure": lambda spec: build_structure(spec, 4),
    "engine": build_engine,
    "restarts": build_restarts,
    "noise": lambda spec: build_noise(spec, 10),
}
INNER = {
    "direct_sum": lambda spec: {"name": "direct_sum", "blocks": {"a": {**spec, "dim": 4}}},
    "kronecker": lambda spec: {"name": "kronecker", "rows": 2, "cols": 2, "left": spec},
}


@pytest.mark.parametrize("kind", BUILDERS)
@pytest.mark.parametrize(
    "path",
    ["subprocess:Popen", "whose_own:Noted", "whose_own:noted", "whose_own:model", "os:system"],
)
def test_only_a_subclass_of_its_kind_is_called(mine, kind, path):
    for spec in (path, {"name": path, "args": "touch x", "shell": True}, {"name": path, "dim": 1}):
        with pytest.raises(TypeError, match=rf"^{kind} must be an? .*; '{path}' is "):
            BUILDERS[kind](spec)
    assert not mine.called


def test_a_subclass_of_ones_own_is_called(mine):
    assert type(build_engine("whose_own:MyEngine")) is mine.MyEngine
    assert build_restarts({"name": "whose_own:MyRestarts", "factor": 3}).factor == 3
    assert type(build_structure("whose_own:MyStructure", 4)) is mine.MyStructure


@pytest.mark.parametrize("outer", INNER)
def test_a_structure_in_another_is_asked_as_well(mine, outer):
    for path in ("whose_own:Noted", "subprocess:Popen"):
        for spec in ({"name": path}, {"name": path, "args": "x"}):
            with pytest.raises(TypeError, match=f"structure must be a Structure.*'{path}' is"):
                build_structure(INNER[outer](spec), 4)
        with pytest.raises(TypeError, match="structure must be a Structure"):
            implied_dim(path)
        assert example(path, 4) == path  # it is only completed
    assert not mine.called
    assert build_structure(INNER[outer]({"name": "whose_own:MyStructure"}), 4).dim == 4


def test_a_peer_answers_to_what_a_peer_answers_to():
    for path in ("subprocess:Popen", "os:system", "numpy:ndarray"):
        with pytest.raises(TypeError, match="peer must be a class with ask and tell"):
            PEERS.resolve(path)
    assert PEERS.resolve("structes:ES").__name__ == "ES"


def test_a_module_of_python_itself_is_not_imported_for_its_name(monkeypatch):
    """antigravity opens a browser when it is imported."""
    for name in ("antigravity", "this", "turtledemo", "test"):
        monkeypatch.delitem(sys.modules, name, raising=False)
        with pytest.raises(ValueError, match=f"{name!r} is a module of Python itself"):
            load_problem(f"{name}:f", 3)
        assert name not in sys.modules


def test_whose_a_module_is(tmp_path, monkeypatch):
    assert all(
        map(is_standard, ("os", "os.path", "builtins", "posix", "_pickle", "test", "idlelib"))
    )
    assert not any(map(is_standard, ("numpy", "structes", "no_such_module", "pytest")))
    (tmp_path / "wave.py").write_text("")
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    assert is_standard("wave")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert not is_standard("wave")  # the user's own file comes first


def test_a_chain_that_never_ends_has_an_end():
    def f(x):
        return x

    f.__wrapped__ = f
    assert home_of(f) == __name__
    assert home_of(functools.partial(functools.partial(f), 1)) == __name__
