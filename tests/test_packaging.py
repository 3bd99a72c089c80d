"""What is installed is what was meant: the wheel's contents, the README's words, the extras."""

import doctest
import importlib.metadata
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import structes
from structes.search import es

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


LINKS = ("problems", "configs")


@pytest.fixture
def source(tmp_path):
    """A clean copy, so that leftovers of earlier builds cannot help."""
    copy = tmp_path / "source"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(copy)], check=True)
    return copy


def pip(*words, python=sys.executable):
    subprocess.run([python, "-m", "pip", *words], check=True)


def wheel_of(source, folder):
    """{name: ZipInfo} of the files in the wheel that is built from the source."""
    pip("wheel", "-q", "--no-deps", "-w", str(folder), str(source))
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {info.filename: info for info in archive.infolist()}


def wanted(source):
    """Names that a wheel must hold: all files that git knows of the package."""
    tracked = subprocess.run(
        ["git", "ls-files", "structes", *LINKS],
        cwd=source,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    names = {re.sub(r"^(problems|configs)/", r"structes/\1/", name) for name in tracked}
    return names - {f"structes/{name}" for name in LINKS}


@pytest.mark.slow
@pytest.mark.parametrize("links", [True, False])
def test_the_wheel_holds_problems_and_configs(source, tmp_path, links):
    """Also where the checkout could make no links, as on Windows, and has text in their place."""
    for name in LINKS:
        path = source / "structes" / name
        assert path.is_symlink()
        if not links:
            path.unlink()
            path.write_text(f"../{name}")
    files = wheel_of(source, tmp_path)
    assert wanted(source) <= files.keys(), wanted(source) - files.keys()
    assert {"structes/py.typed", "structes/problems/place.py"} <= files.keys()
    assert {name.split("/")[0].split("-")[0] for name in files} == {"structes"}
    kinds = {info.external_attr >> 28 for info in files.values()}
    assert kinds == {0o10}  # all of them are files, and none is a link


@pytest.mark.slow
def test_an_editable_install_is_a_path_that_editors_can_follow(source, tmp_path):
    env = (
        tmp_path / "env"
    )  # of its own: pip would take the structes that is tested out of this one
    subprocess.run([sys.executable, "-m", "venv", str(env)], check=True)
    python = env / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip("install", "-q", "--no-deps", "-e", str(source), python=str(python))
    (line,) = {path.resolve() for path in env.rglob("__editable__*.pth")}
    assert line.read_text().split() == [str(source)]  # no import hook
    (source / "problems" / "later.py").write_text('"""A file that was added later."""\nhere = 1\n')
    code = "import structes.problems.later as m, structes.configs as c; print(m.here, c.__file__)"
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": line.read_text().strip()},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert said == ["1", str(source / "structes" / "configs" / "__init__.py")]


def test_the_links_lead_to_the_folders():
    for name in LINKS:
        assert (ROOT / "structes" / name).samefile(ROOT / name)
    assert (ROOT / "structes" / "py.typed").is_file()


def test_version_is_said_once():
    assert importlib.metadata.version("structes") == structes.__version__


@pytest.mark.slow
def test_examples_in_docstrings_and_readme_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(es).failed == 0 and doctest.testmod(es).attempted > 0
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {"__name__": "readme"})


def test_readme_names_every_structure():
    for name in structes.STRUCTURES:
        assert f"`{name}`" in README, name
