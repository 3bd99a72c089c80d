"""Passes over large arrays: tiles hold every row once, and change no result."""

import numpy as np
import pytest

from structes.arrays import tiles


@pytest.mark.parametrize("rows", [1, 2, 6, 7, 100])
@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_pieces_hold_every_row_once_and_in_order(rows, step):
    cut = tiles.pieces(rows, step)
    assert [i for piece in cut for i in range(rows)[piece]] == list(range(rows))
    sizes = [piece.stop - piece.start for piece in cut]
    assert max(sizes) <= step or len(cut) == 1
    assert set(sizes[:-1]) <= {step}


def test_no_rows_are_one_empty_piece():
    assert tiles.pieces(0, 5) == [slice(0, 0)]


def test_a_tile_holds_so_many_numbers_and_a_row_at_least(monkeypatch):
    monkeypatch.setattr(tiles, "CACHED", 20)
    assert tiles.tiles(np.zeros((9, 5)))[0] == slice(0, 4)
    assert tiles.tiles(np.zeros((9, 5)), width=10)[0] == slice(0, 2)
    assert [t.stop - t.start for t in tiles.tiles(np.zeros((3, 100)))] == [1, 1, 1]
    assert tiles.tiles(np.zeros((9, 0))) == [slice(0, 9)]


def test_arrays_of_a_device_are_cut_into_larger_tiles(monkeypatch):
    xp = pytest.importorskip("array_api_strict")
    monkeypatch.setattr(tiles, "CACHED", 5)
    monkeypatch.setattr(tiles, "LAUNCHED", 10)
    assert len(tiles.tiles(np.zeros((4, 5)))) == 4 and len(tiles.tiles(xp.zeros((4, 5)))) == 2


@pytest.mark.parametrize("cached", [1, 12, 10**6])
def test_a_function_of_rows_does_not_see_the_tiles(cached, monkeypatch, backend):
    monkeypatch.setattr(tiles, "CACHED", cached)
    monkeypatch.setattr(tiles, "LAUNCHED", cached)
    X = np.random.default_rng(1).normal(size=(11, 4))
    sizes = []

    def function(rows):
        sizes.append(rows.shape[0])
        return rows * 2.0

    found = tiles.by_rows(function, backend.array(X))
    np.testing.assert_array_equal(backend.numpy(found), 2 * X)
    assert sum(sizes) == 11 and max(sizes) == {1: 1, 12: 3, 10**6: 11}[cached]
