"""How structes is built where its two links are missing.

`problems/` and `configs/` lie at the top level and are linked to from `structes/`, so that they
are `structes.problems` and `structes.configs` for the interpreter, for editors and for wheels
alike. A checkout on Windows, or an archive that was unpacked there, may have small text files in
the place of the links. setuptools is told then where the folders are. (pyproject.toml names these
classes; setuptools loads this file alone, and nothing else of structes.)
"""

from __future__ import annotations

import os

from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

LINKED = ("problems", "configs")


def _find_folders(distribution) -> None:
    """Name the folders themselves where the links to them are none."""
    for name in LINKED:
        if not os.path.isdir(os.path.join("structes", name)):
            distribution.package_dir[f"structes.{name}"] = name


class BuildPy(build_py):
    """What copies the modules into a wheel."""

    def finalize_options(self) -> None:
        _find_folders(self.distribution)
        super().finalize_options()


class EditableWheel(editable_wheel):
    """What `pip install -e` installs."""

    def finalize_options(self) -> None:
        _find_folders(self.distribution)
        super().finalize_options()
