"""The comparison of solvers in pictures: runtime distributions and ERT against dimension.

ecdf.png   for each dimension: share of (function, instance, target) reached within so many
           evaluations / dimension; a cross where a solver's longest unfinished run ended
ert.png    for each function: ERT / dimension against dimension, at the hardest target that some
           solver reached in every dimension; from two dimensions on
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from ...terminal.output import visible
from .bbob import HITS, TARGETS
from .compare import ert

COLOURS = ("#14396b", "#d9534f", "#2e9f6b", "#e0992d", "#7a4fa3", "#3aa6c4", "#8a5a3c", "#777777")
MARKERS = "osD^vP*X"
INK = "#222222"
COLUMNS = 6  # of panels in ert.png


def draw(rows, solvers, folder: Path) -> list[Path]:
    """Write the pictures of these rows into the folder: their paths.

    Raises ImportError, with the line that installs it, where Matplotlib is missing.
    """
    figures = {"ecdf.png": ecdf_figure(rows, solvers)}
    if len({row["d"] for row in rows}) > 1:
        figures["ert.png"] = ert_figure(rows, solvers)
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=130, facecolor="white")
    return [folder / name for name in figures]


def ecdf(rows) -> tuple[np.ndarray, np.ndarray]:
    """Runtimes: evaluations / dimension, sorted, at which a target was reached, (n,); and the
    share of all targets that was reached by then, (n,)."""
    times = np.sort([row[key] / row["d"] for row in rows for key in HITS if row[key] != ""])
    return times, np.arange(1, len(times) + 1) / (len(rows) * len(HITS))


def ecdf_figure(rows, solvers):
    """A matplotlib Figure: a panel for each dimension, a line for each solver."""
    dims = sorted({row["d"] for row in rows})
    wide = min(len(dims), 3)
    figure, axes = _panels(len(dims), wide, (3.9, 3.5))
    for axis, d in zip(axes, dims, strict=True):
        end = max(row["evaluations"] / d for row in rows if row["d"] == d)
        for k, solver in enumerate(solvers):
            runs = [row for row in rows if (row["solver"], row["d"]) == (solver, d)]
            if not runs:
                continue
            times, shares = ecdf(runs)
            x, y = np.r_[1 / d, times, end], np.r_[0, shares, shares[-1] if len(shares) else 0]
            axis.step(x, y, where="post", color=_colour(k), linewidth=1.6, label=_words(solver))
            cut = [row["evaluations"] / d for row in runs if row[HITS[-1]] == ""]
            if cut:
                level = np.searchsorted(times, max(cut), side="right") / (len(runs) * len(HITS))
                axis.plot(max(cut), level, "x", color=_colour(k), markersize=7, clip_on=False)
        axis.set(xscale="log", xlim=(1, end), ylim=(0, 1.01), title=f"d = {d}")
        axis.set_xlabel("evaluations / dimension")
    for axis in axes[::wide]:
        axis.set_ylabel("share of targets reached")
    _finish(figure, axes)
    return figure


def ert_figure(rows, solvers):
    """A matplotlib Figure: a panel for each function, a line for each solver."""
    functions = sorted({row["f"] for row in rows})
    dims = sorted({row["d"] for row in rows})
    wide = min(len(functions), COLUMNS)
    figure, axes = _panels(len(functions), wide, (2.3, 2.2))
    for axis, f in zip(axes, functions, strict=True):
        rows_of_function = [row for row in rows if row["f"] == f]
        key = _hardest(rows_of_function, dims)
        for k, solver in enumerate(solvers):
            runs = [
                [r for r in rows_of_function if (r["solver"], r["d"]) == (solver, d)] for d in dims
            ]
            points = [(d, ert(r, key) / d) for d, r in zip(dims, runs, strict=True) if r]
            points = [(d, y) for d, y in points if y < math.inf]
            marker = MARKERS[k % len(MARKERS)]
            axis.plot(
                *(zip(*points, strict=True) if points else ([], [])),
                color=_colour(k),
                marker=marker,
                markersize=4,
                linewidth=1.4,
                label=_words(solver),
            )
        axis.set(xscale="log", yscale="log", xlim=(dims[0] / 1.25, dims[-1] * 1.25))
        axis.set_xticks(dims, [str(d) for d in dims])
        axis.set_xticks([], minor=True)
        _decade(axis)
        power = round(math.log10(TARGETS[HITS.index(key)]))
        axis.set_title(f"f{f}, error $10^{{{power}}}$")
    for axis in axes[-wide:]:
        axis.set_xlabel("dimension")
    for axis in axes[::wide]:
        axis.set_ylabel("ERT / dimension")
    _finish(figure, axes)
    return figure


def _hardest(rows, dims):
    """The last of HITS that was reached in each of the dimensions; the first where none was."""
    for key in reversed(HITS):
        if {row["d"] for row in rows if row[key] != ""} >= set(dims):
            return key
    return HITS[0]


def _decade(axis):
    """Let the y axis span a decade at least, with plain numbers at 1, 2 and 5."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    values = [y for line in axis.lines for y in line.get_ydata()]
    if values:
        low, high = min(values) / 1.3, max(values) * 1.3
        widen = max(1.0, math.sqrt(10 * low / high))
        axis.set_ylim(low / widen, high * widen)
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        axis.yaxis.set_minor_locator(NullLocator())
    else:
        axis.set_yticks([])
        axis.yaxis.set_minor_locator(NullLocator())
        axis.text(0.5, 0.5, "not reached", ha="center", transform=axis.transAxes, color=INK)


def _colour(k):
    return COLOURS[k % len(COLOURS)]


def _panels(n, wide, size):
    """A Figure and its first n axes, `wide` in a row, each of `size` inches."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plots need Matplotlib: pip install 'structes[plot]'") from error
    tall = -(-n // wide)
    width = max(size[0] * wide, 4.5)
    figure = Figure(figsize=(width, size[1] * tall + 0.5), layout="constrained")
    axes = figure.subplots(tall, wide, squeeze=False).ravel()
    for axis in axes[n:]:
        axis.set_visible(False)
    return figure, axes[:n]


def _finish(figure, axes):
    for axis in axes:
        axis.grid(True, which="major", color="#dddddd", linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8, colors=INK)
        axis.title.set_fontsize(9.5)
        axis.xaxis.label.set_fontsize(8.5)
        axis.yaxis.label.set_fontsize(8.5)
    labels = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            labels.setdefault(label, handle)
    columns = max(1, int(figure.get_figwidth() / 2.2))
    figure.legend(
        labels.values(),
        labels,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=8.5,
    )


def _words(text: str) -> str:
    """A name as a label: no formula, and nothing that is no character."""
    return visible(text, 100, lines=False).replace("$", r"\$")
