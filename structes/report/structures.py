"""Pictures of structures: what a group looks like as B, as precision and as covariance.

A structure is easiest to choose by eye. The picture shows a random element of its group: the
factor B, where the pattern is plain; the precision B Bᵀ, where a blank says "independent given all
others"; the covariance (B Bᵀ)⁻¹, where a blank says "uncorrelated". Blank means exactly zero for
every element of the group, whatever its numbers; a pale cell is merely small.
"""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from textwrap import fill, shorten
from typing import Any

import numpy as np

from ..structures import STRUCTURES
from ..structures.base import Structure
from ..structures.building import build_structure
from ..structures.random_elements import element, example
from ..terminal.output import visible

CONDITION = 50.0  # of the covariance shown: more, and only its longest axes would be visible
BLANK = 1e-9  # of the largest entry: rounding
COLOURS = ("#14396b", "#4d86bd", "#e9e6e0", "#d9734e", "#7d1423")
INK = "#222222"


def matrices(structure: Structure, seed: int = 1) -> dict:
    """Return {"B": …, "precision": …, "covariance": …} of a random element: (d, d) arrays.

    Entries that are zero up to rounding are exactly zero.
    """
    try:
        factor = element(structure, CONDITION, seed)
    except ValueError:  # a structure without shape: all of its elements are multiples of I
        factor = structure.identity(np, np.float64)
    B = np.asarray(structure.to_dense(factor))
    precision = B @ B.T
    inverse = np.linalg.inv(B)
    panels = {"B": B, "precision": precision, "covariance": inverse.T @ inverse}
    return {k: np.where(np.abs(a) > BLANK * np.abs(a).max(), a, 0.0) for k, a in panels.items()}


def draw(
    structure: Structure, path: str | os.PathLike[str], name: str | None = None, seed: int = 1
) -> None:
    """Write the picture of a structure to the file `path` (PNG, or what its suffix says).

    Parameters
    ----------
    name : str or None
        What to call it; default: its name in the table of structures, or its class.

    Raises
    ------
    ImportError
        With the line that installs it, where Matplotlib is missing.
    """
    figure = figure_of(structure, name, seed)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, facecolor="white")


def figure_of(structure: Structure, name: str | None = None, seed: int = 1) -> Any:
    """Return the picture as a Matplotlib figure: three panels and a title."""
    try:
        from matplotlib.colors import LinearSegmentedColormap
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("drawing needs Matplotlib: pip install 'structes[plot]'") from error

    colours = LinearSegmentedColormap.from_list("structes", COLOURS).with_extremes(bad="white")
    figure = Figure(figsize=(10.5, 4.5))
    _title(figure, structure, name)
    panels = matrices(structure, seed)
    labels = ("factor  B", "precision  B Bᵀ", "covariance  (B Bᵀ)⁻¹")
    for i, (label, matrix) in enumerate(zip(labels, panels.values(), strict=True)):
        axes = figure.add_axes((0.03 + 0.325 * i, 0.075, 0.29, 0.675))
        _panel(axes, matrix, label, colours)
    return figure


def describe(structure: Structure, name: str | None = None) -> tuple[str, str]:
    """Return title of a structure, "name parameters", and its meaning in one sentence."""
    if name is None:
        names = [n for n in STRUCTURES if STRUCTURES[n] is type(structure)]
        name = names[0] if names else type(structure).__name__
    settings = [
        f"{f.name} = {shorten(_spell(value), 50, placeholder=' …')}"
        for f in fields(structure)
        if f.name != "dim" and f.repr and (value := getattr(structure, f.name)) is not None
        if not (isinstance(value, (str, bool)) and value == f.default)
    ]
    paragraph = " ".join((type(structure).__doc__ or "").strip().partition("\n\n")[0].split())
    paragraph = paragraph.replace("`", "")
    return tuple(
        visible(text, 1000, False) for text in ("    ".join([name, *settings]), paragraph)
    )


def _spell(value) -> str:
    """Return a parameter for a title: structures inside by their names."""
    if isinstance(value, Structure):
        return describe(value)[0].replace("    ", " ")
    if isinstance(getattr(value, "structure", None), Structure):  # a named block
        return f"{value.name}: {describe(value.structure)[0].partition('    ')[0]}"
    if isinstance(value, (tuple, list)):
        if len(value) > 3 and len(set(map(str, value[:-1]))) == 1:
            last = "" if value[-1] == value[0] else f" and {_spell(value[-1])}"
            return f"{len(value) - bool(last)} × {_spell(value[0])}{last}"
        return ", ".join(map(_spell, value))
    return str(value)


def _title(figure, structure, name):
    title, meaning = describe(structure, name)
    head, _, settings = title.partition("    ")
    full = structure.dim * (structure.dim + 1) // 2
    words = {"parse_math": False, "color": INK}  # names are no formulas
    bold = figure.text(0.03, 0.925, head, fontsize=15, fontweight="bold", **words)
    x_end = bold.get_window_extent().x1 / figure.bbox.width
    figure.text(x_end + 0.02, 0.925, settings, fontsize=12, **words)
    degrees = f"{structure.dof} degree{'s' * (structure.dof > 1)} of freedom"
    sizes = f"d = {structure.dim}    {degrees} (dense: {full})"
    figure.text(0.97, 0.925, sizes, fontsize=10.5, color=INK, ha="right")
    grey = {"color": "#555555", "va": "top", "parse_math": False}
    figure.text(0.03, 0.9, fill(shorten(meaning, 240), 125), fontsize=10.5, **grey)
    legend = "a random element    blank: always zero    red: positive, blue: negative, pale: small"
    figure.text(0.97, 0.05, legend, fontsize=8.5, ha="right", **grey)


def _panel(axes, matrix, label, colours):
    """Draw one matrix as coloured cells: zero blank, colours even around zero."""
    d = len(matrix)
    top = np.abs(matrix).max()
    # a few large diagonal entries must not bleach the rest
    off_diagonal = np.abs(matrix[~np.eye(d, dtype=bool) & (matrix != 0)])
    limit = min(top, 2.5 * np.quantile(off_diagonal, 0.9)) if off_diagonal.size else top
    axes.pcolormesh(
        np.ma.masked_equal(matrix, 0.0),
        cmap=colours,
        vmin=-limit,
        vmax=limit,
        edgecolors="white",
        linewidth=max(0.0, 0.7 - d / 120),
    )
    axes.set(xlim=(0, d), ylim=(d, 0), aspect="equal", xticks=[], yticks=[])
    axes.set_title(label, fontsize=11, color=INK, pad=7)
    for side in axes.spines.values():
        side.set(color="#bbbbbb", linewidth=0.8)


def draw_all(folder: str | os.PathLike[str], dim: int, seed: int = 1) -> list[Path]:
    """Return a picture of every structure of the table with its typical sizes: the paths
    written."""
    paths = []
    for name in STRUCTURES:
        paths.append(Path(folder) / f"{name}.png")
        draw(build_structure(example(name, dim), dim), paths[-1], name, seed)
    return paths
