"""A module that is edited while a search runs: one version evaluates, the one that was bound; or
an error says that this cannot be."""

import importlib
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from structes import EvaluationError, Evaluator
from structes.evaluators import sources

from . import crew

pytestmark = pytest.mark.slow  # they start processes

X = np.ones((6, 2))
NAMES = iter(f"edited_{k}" for k in range(100))


@pytest.fixture
def module(tmp_path, monkeypatch):
    """write(text) -> a module of that text, imported; file: its path.

    No bytecode is kept of it: Python takes that of a file of the same second and size for new."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    name = next(NAMES)
    file = tmp_path / f"{name}.py"

    def write(text, load=True):
        file.write_text(textwrap.dedent(text))
        importlib.invalidate_caches()
        return importlib.import_module(name) if load else None

    write.file, write.name = file, name
    yield write
    sys.modules.pop(name, None)


def kill_workers():
    pids = crew.workers_of()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert crew.survivors(pids, 5.0) == []


EDITS = {
    "a function": "def f(x):\n    return 1000.0 + float(x @ x)\n",
    "a constant": "SCALE = 7.0\ndef f(x):\n    return SCALE * float(x @ x)\n",
    "no Python": "def f(x: return 1\n",
    "without it": "",
    "raises": "raise RuntimeError('not now')\n",
}
TEXT = "SCALE = 1.0\ndef f(x):\n    return SCALE * float(x @ x)\n"


@pytest.mark.parametrize("edit", [*EDITS, "gone"])
def test_a_worker_that_is_replaced_has_the_version_of_the_others(edit, module):
    its = module(TEXT)
    with Evaluator(1, timeout=30) as evaluator:
        f = evaluator.bind(its.f)
        assert f(X).tolist() == [2.0] * 6
        if edit == "gone":
            module.file.unlink()
        else:
            module(EDITS[edit], load=False)
        kill_workers()
        with pytest.warns(RuntimeWarning, match=f"{module.name}.*has been edited"):
            assert f(X).tolist() == [2.0] * 6
        kill_workers()
        assert f(X).tolist() == [2.0] * 6  # and nothing is said again
        assert f.errors == 0


def test_what_is_bound_later_is_what_the_driver_has(module):
    its = module(TEXT)
    with Evaluator(1, timeout=30) as evaluator:
        assert evaluator.bind(its.f)(X).tolist() == [2.0] * 6
    module(EDITS["a constant"], load=False)
    with (
        Evaluator(1, timeout=30) as evaluator,
        pytest.warns(RuntimeWarning, match=f"{module.name}.*has been edited"),
    ):
        assert evaluator.bind(its.f)(X).tolist() == [2.0] * 6
    importlib.reload(its)
    with Evaluator(1, timeout=30) as evaluator:
        assert evaluator.bind(its.f)(X).tolist() == [14.0] * 6


@pytest.mark.parametrize("edit", ["a function", "a constant", "no Python"])
def test_a_module_that_was_edited_before_it_was_bound(edit, module):
    """The driver has the old version, and nobody has its text any more."""
    its = module(TEXT)
    module(EDITS[edit], load=False)
    with Evaluator(1, timeout=30) as evaluator:
        f = evaluator.bind(its.f)
        words = rf"(?s)module '{module.name}' \({module.file}\) is not the one .*Start the search"
        with pytest.raises(EvaluationError, match=words):
            f(X)


def test_an_error_that_is_caught_is_an_error(module):
    """`try: import fast; except ImportError: import slow`"""
    its = module(TEXT)
    module(EDITS["a function"], load=False)
    name = its.__name__

    def f(x):
        try:
            return importlib.import_module(name).f(x)
        except ImportError:
            return 5.0

    with (
        Evaluator(1, timeout=30) as evaluator,
        pytest.raises(EvaluationError, match="is not the one"),
    ):
        evaluator.bind(f)(X)


def test_a_module_that_nobody_uses_may_be_edited(module):
    module(TEXT)
    module(EDITS["no Python"], load=False)
    with Evaluator(1, timeout=30) as evaluator:
        assert evaluator.bind(crew.sphere)(X).tolist() == [2.0] * 6


def test_a_module_that_is_written_again_is_not_edited(module, recwarn):
    its = module(TEXT)
    with Evaluator(1, timeout=30) as evaluator:
        f = evaluator.bind(its.f)
        f(X)
        module(TEXT, load=False)
        os.utime(module.file, (1e9, 1e9))
        kill_workers()
        assert f(X).tolist() == [2.0] * 6
    assert not recwarn.list


def test_a_package_that_is_edited(tmp_path, monkeypatch):
    folder = tmp_path / "edited_pack" / "inner"
    folder.mkdir(parents=True)
    (tmp_path / "edited_pack" / "__init__.py").write_text("K = 2.0\n")
    (folder / "__init__.py").write_text("from .. import K\nfrom .leaf import f\n")
    (folder / "leaf.py").write_text("from . import K\ndef f(x): return K * float(x @ x)\n")
    monkeypatch.syspath_prepend(tmp_path)
    from edited_pack.inner import f as bound

    with Evaluator(1, timeout=30) as evaluator:
        f = evaluator.bind(bound)
        assert f(X).tolist() == [4.0] * 6
        for file in tmp_path.rglob("*.py"):
            file.write_text("import nothing_of_that_name\n")
        kill_workers()
        with pytest.warns(RuntimeWarning, match="has been edited"):
            assert f(X).tolist() == [4.0] * 6
    for name in [name for name in sys.modules if name.startswith("edited_pack")]:
        monkeypatch.delitem(sys.modules, name)


def test_whose_modules_are_looked_at():
    import json

    found = sources.snapshot()
    assert "tests.crew" in found and "tests.test_sources" in found
    for module in (json, np, pytest, sources):
        assert module.__name__ not in found
    assert "__main__" not in found


def test_how_a_module_that_is_imported_differs_from_its_file(module):
    text = """
    import functools
    class A:
        x: int = 3
        def method(self): return lambda: 1
        @staticmethod
        def static(): return 2
        @property
        def its(self): return 3
    def outer():
        def inner(): return {i for i in range(3)}
        return inner
    made = outer()
    @functools.lru_cache
    def kept(): return 4
    """
    its, data = module(text), textwrap.dedent(text).encode()
    assert not sources._differs(its, data)
    for old, new in (("return 2", "return 5"), ("range(3)", "range(4)"), ("lambda: 1", "1")):
        assert sources._differs(its, data.replace(old.encode(), new.encode()))
    assert sources._differs(its, b"\n" + data) and sources._differs(its, b"def")


def test_a_script_may_be_edited(tmp_path):
    """Its functions travel by value."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import numpy as np, os, signal, structes
        def f(x): return 3.0 * float(x @ x)
        with structes.Evaluator(1, timeout=30) as evaluator:
            g = evaluator.bind(f)
            g(np.ones((2, 2)))
            open(__file__, "w").write("nonsense(")
            os.kill(evaluator.supervisor.slots[0].worker.process.pid, signal.SIGKILL)
            print(g(np.ones((2, 2))))
        """)
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", script], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "[6. 6.]\n", done.stderr
