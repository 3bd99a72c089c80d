"""Pictures: what they show is true, and the command that draws them says what was wrong."""

import doctest
import sys

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("matplotlib")

from matplotlib.image import imread

from structes.report import structures as plots
from structes.shell.cli import cli
from structes.structures import STRUCTURES
from structes.structures import random_elements as examples
from structes.structures.building import build_structure
from structes.structures.random_elements import element, example


def call(*words):
    return CliRunner().invoke(cli, ["draw", *words], prog_name="structes")


def built(spec, dim=24):
    return build_structure(example(spec, dim), dim)


# -- what is shown


@pytest.mark.parametrize("dim", [1, 2, 24])
@pytest.mark.parametrize("name", list(STRUCTURES))
def test_the_matrices_are_factor_precision_and_covariance(name, dim):
    shown = plots.matrices(built(name, dim))
    B, precision, covariance = shown.values()
    np.testing.assert_allclose(precision, B @ B.T, atol=1e-7 * np.abs(precision).max())
    np.testing.assert_allclose(precision @ covariance, np.eye(dim), atol=1e-6)
    if name != "scalar" and dim > 1:
        assert np.linalg.cond(covariance) == pytest.approx(plots.CONDITION, rel=1e-4)


def test_blank_is_what_the_structure_says():
    B, precision, covariance = plots.matrices(built("block_upper:k3")).values()
    rest = ~np.eye(21, dtype=bool)
    assert not B[3:, :3].any() and not B[3:, 3:][rest].any() and B[:3].all()
    assert not precision[3:, 3:][rest].any() and covariance.all()
    _, precision, covariance = plots.matrices(built("block_lower:k3")).values()
    assert not covariance[3:, 3:][rest].any() and precision.all()


@pytest.mark.parametrize("name", [n for n in STRUCTURES if n != "scalar"])
def test_elements_have_the_condition_asked_for(name):
    structure = built(name, 20)
    B = np.asarray(structure.to_dense(element(structure, 1e6, seed=3)))
    assert np.linalg.cond(B) ** 2 == pytest.approx(1e6, rel=1e-3)
    other = np.asarray(structure.to_dense(element(structure, 1e6, seed=4)))
    assert not np.allclose(B, other)


def test_scalar_has_no_shape_to_condition():
    with pytest.raises(ValueError, match="condition 100: a random one has 1,"):
        element(built("scalar"), 100.0)


def test_examples_complete_what_is_not_said():
    found = doctest.testmod(examples)
    assert found.attempted and not found.failed
    assert example("block_upper", 24) == {"name": "block_upper", "k": 3}
    assert example("block_upper:k5", 24) == {"name": "block_upper", "k": 5}
    assert example("kronecker", 24) == {"name": "kronecker", "rows": 4, "cols": 6}
    assert example({"name": "kronecker", "rows": 3}, 24) == {"name": "kronecker", "rows": 3}
    dense = build_structure("dense", 3)
    assert example(dense, 3) is dense
    assert example("numpy:array", 3) == "numpy:array"


def test_a_title_names_parts_by_their_structures():
    title, meaning = plots.describe(built({"name": "kronecker", "left": "lower"}))
    assert title.split("    ") == [
        "kronecker",
        "rows = 4",
        "cols = 6",
        "left = lower",
        "right = dense",
    ]
    assert meaning == " ".join(STRUCTURES["kronecker"].__doc__.split("\n\n")[0].split())
    assert "4 × 6" in plots.describe(built("block_diagonal"))[0]


# -- the pictures


def test_a_picture_has_three_panels_with_the_colours_of_their_entries(tmp_path):
    path = tmp_path / "new" / "picture.png"
    plots.draw(built("block_diagonal"), path)
    picture = imread(path)[..., :3]
    height, width, _ = picture.shape
    assert (width, height) == (1575, 675)
    # frames are grey lines of known colour from top to bottom: two for each panel
    middle = picture[height // 4 : height * 9 // 10]
    grey = np.all(np.abs(middle - 0xBB / 255) < 0.08, axis=2).mean(axis=0) > 0.8
    assert (np.diff(np.flatnonzero(grey)) > 20).sum() == 5
    # cell (0, 0) of the first panel is coloured, cell (23, 0), outside the blocks, is white
    left, top = 0.03 * width, height * (1 - 0.075 - 0.675)
    cell = 0.675 * height / 24
    assert picture[int(top + cell / 2), int(left + cell / 2)].min() < 0.5
    assert picture[int(top + 23.5 * cell), int(left + cell / 2)].min() == 1


def test_matplotlib_is_asked_for_by_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'structes\[plot\]'"):
        plots.figure_of(built("dense", 3))


# -- the command


def test_draw_writes_the_structure_that_was_described(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = []
    monkeypatch.setattr(plots, "draw", lambda structure, path, **_: seen.append((structure, path)))
    for words in (
        ["block_upper"],
        ["block_upper:k3", "--dim", "9", "--set", "lead=[4, 5, 6]", "-o", "own.png"],
        ["kronecker", "--set", "left={name: block_upper, k: 1}", "--set", "rows=2"],
    ):
        result = call(*words)
        assert result.exit_code == 0, result.output
    assert [path for _, path in seen] == ["block_upper.png", "own.png", "kronecker.png"]
    assert seen[0][0] == built("block_upper")
    assert seen[1][0] == build_structure({"name": "block_upper", "k": 3, "lead": (4, 5, 6)}, 9)
    assert (seen[2][0].rows, seen[2][0].left.k) == (2, 1)


@pytest.mark.slow
def test_draw_all_draws_every_structure(tmp_path):
    result = call("all", "-o", str(tmp_path / "pictures"), "--dim", "6")
    assert result.exit_code == 0, result.output
    found = {path.stem: imread(path).shape[1] for path in (tmp_path / "pictures").glob("*.png")}
    assert found == dict.fromkeys(STRUCTURES, 1575)


@pytest.mark.parametrize(
    "words, said",
    [
        (["kron"], "did you mean 'kronecker'"),
        (["block_upper", "--set", "q=3"], "has no argument 'q'"),
        (["block_upper", "--set", "k"], "--set needs KEY=VALUE; got 'k'"),
        (["block_upper:k30"], "k must be"),
        (["kronecker", "--set", "rows=5"], "dim 24"),
        (["all", "--set", "k=3"], "for one structure"),
        (["dense", "--dim", "x"], "'x' is not a valid integer"),
        (["dense", "-o", "picture.xyz"], "xyz"),
    ],
)
def test_wrong_input_is_named(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(*words)
    assert result.exit_code == 2 and said in result.output, result.output
    assert not list(tmp_path.iterdir())
