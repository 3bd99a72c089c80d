"""The docs name what there is, their code runs, and the reference builds without a warning."""

import importlib.util
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

import structes
import structes.core

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
PROSE = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / ".github" / "CONTRIBUTING.md", *PAGES]


def entries(module):
    """The names of a module that the reference has an entry for."""
    text = "\n".join(path.read_text() for path in (DOCS / "reference").glob("*.rst"))
    return re.findall(rf"^\.\. (?:auto\w+|py:data):: {module}\.(\w+)$", text, re.MULTILINE)


@pytest.mark.parametrize("module", [structes, structes.core], ids=["structes", "core"])
def test_the_reference_has_an_entry_for_every_public_name(module):
    assert sorted(entries(module.__name__)) == sorted(module.__all__)


def test_the_reference_shows_members_that_classes_inherit():
    """Those of a search are in what its class is built of (search/base.py)."""
    text = "\n".join(path.read_text() for path in (DOCS / "reference").glob("*.rst"))
    shown = dict(re.findall(r"autoclass:: structes\.(\w+)\n((?: {3}:.*\n)*)", text))
    searches = {"ES", "RestartES", "ShardedES"}
    assert searches <= shown.keys()
    for name in searches:
        parents = getattr(structes, name).__mro__[1:-1]
        assert any(not member.startswith("_") for parent in parents for member in vars(parent))
        assert ":inherited-members:" in shown[name], name


def test_readme_shows_every_room():
    layout = (ROOT / "README.md").read_text().partition("\n## Layout\n")[2]
    rooms = {p.parent.name for p in (ROOT / "structes").glob("*/__init__.py")}
    rooms -= {"problems", "configs"}  # links to folders of the top level
    assert sorted(re.findall(r"^ {6}(\w+)/ ", layout, re.MULTILINE)) == sorted(rooms)


def test_the_glossary_gives_a_word_one_meaning():
    text = (DOCS / "glossary.md").read_text()
    words = re.findall(r"^(\S.*)\n: ", text, re.MULTILINE)
    assert len(words) > 30
    assert len(set(words)) == len(words)


@pytest.mark.parametrize("path", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_prose_names_files_and_modules_that_exist(path):
    """In backticks: paths with a folder, modules of tests and of structes; and links."""
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    for name in re.findall(r"`([\w.]+/[\w./]*)`", text):
        assert (ROOT / name).exists(), f"{path.name}: {name}"
    if DOCS not in path.parents:  # of those Sphinx sees to the links
        for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
            assert (path.parent / link).exists(), f"{path.name}: {link}"
    for name in re.findall(r"`(test_\w+)`", text):
        assert (ROOT / "tests" / f"{name}.py").exists(), f"{path.name}: {name}"
    for name in re.findall(r"(?:`|help\()(structes(?:\.\w+)+)(?:`|\))", text):
        assert exists(name), f"{path.name}: {name}"


def exists(name):
    """Is this a module of structes, or an attribute of one?"""
    module, _, attribute = name.rpartition(".")
    try:
        if importlib.util.find_spec(name):
            return True
    except ImportError:
        pass  # it is no module, as in structes.Space.x0
    if attribute and module:
        try:
            return hasattr(importlib.import_module(module), attribute)
        except ImportError:
            return False
    return False


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_code_in_the_docs_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = types.ModuleType("docs")  # so that the classes of a page can be found and pickled
    monkeypatch.setitem(sys.modules, "docs", page)
    for block in re.findall(r"^```python\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE):
        exec(compile(block, str(path), "exec"), vars(page))


@pytest.mark.slow
def test_the_docs_build_without_a_warning(tmp_path):
    for name in ("sphinx", "numpydoc", "furo", "myst_parser", "latex2mathml"):
        pytest.importorskip(name, reason="the docs need the extra docs")
    words = ["-q", "-W", "--keep-going", "-b", "html", "-d", str(tmp_path / "trees")]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *words, str(DOCS), str(tmp_path / "html")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "natural-gradient" in (tmp_path / "html" / "update.html").read_text()
    table = (tmp_path / "html" / "structures.html").read_text()  # it is README's
    assert [name for name in structes.STRUCTURES if name not in table] == []
