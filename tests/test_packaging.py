"""What is installed is what was meant: the wheel's contents, the README's words, the extras."""

import doctest
import importlib.metadata
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import structes
from structes import es

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_the_wheel_holds_problems_and_configs(tmp_path):
    # from a clean copy, so that leftovers of earlier builds cannot help
    copy = tmp_path / "source"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(copy)], check=True)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "-w",
        str(tmp_path),
        str(copy),
    ]
    subprocess.run(command, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "structes", "problems", "configs"],
        cwd=copy,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    wanted = {re.sub(r"^(problems|configs)/", r"structes/\1/", name) for name in tracked}
    assert wanted <= names, wanted - names
    assert not any(name.split("/")[0] in ("problems", "configs", "tests") for name in names)


def test_version_is_said_once():
    assert importlib.metadata.version("structes") == structes.__version__


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
