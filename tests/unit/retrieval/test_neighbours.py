"""Nearest gallery items without those that are left out, by brute force; and their embeddings."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.retrieval import neighbours
from lookalike.retrieval.neighbours import EmbeddingRows, lenders, nearest, part_of
from lookalike.retrieval.scores import score_matrix
from lookalike.retrieval.streams import Items
from support import brute_force
from support.ranked import normal


def items(n: int, keys: list[str] | None, seed: int) -> Items:
    names = [f"{seed}/{at}" for at in range(n)]
    rows = np.round(normal(n, 3, seed=seed))  # equal ones among them
    return Items(
        names, ["one"] * n, keys, lambda: (rows[at : at + 7] for at in range(0, n, 7)), "items"
    )


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 4, 100])
def test_they_are_those_of_brute_force(score: str, k: int) -> None:
    keys = [f"{at % 10}" for at in range(23)], [f"{at % 30}" for at in range(40)]
    asked, gallery = items(23, keys[0], 1), items(40, keys[1], 2)
    found = nearest(asked, gallery, k, score)
    queries, searched = (np.concatenate(list(side.vectors())) for side in (asked, gallery))
    scores = score_matrix(queries, searched, score)
    assert found.places.shape == (23, min(k, 40))
    for row in range(23):
        order = brute_force.ordered(scores[row].tolist(), [str(name) for name in gallery.ids])
        kept = [at for at in order if keys[1][at] != keys[0][row]][:k]
        there = found.places[row] >= 0
        assert found.places[row][there].tolist() == kept
        np.testing.assert_array_equal(found.scores[row][there], scores[row, kept])


def test_what_a_query_leaves_out_lends_nothing() -> None:
    asked, gallery = items(3, ["a", "b", "c"], 1), items(6, ["b", "x", "c", "y", "b", "z"], 2)
    free = lenders(asked, gallery)
    assert free.tolist() == [False, True, False, True, False, True]
    source = part_of(gallery, free)
    assert [str(name) for name in source.ids] == ["2/1", "2/3", "2/5"]
    assert [str(key) for key in source.keys or []] == ["x", "y", "z"]
    rows = np.concatenate(list(gallery.vectors()))
    np.testing.assert_array_equal(np.concatenate(list(source.vectors())), rows[free])
    assert lenders(items(3, None, 1), items(2, None, 2)).all()


@pytest.mark.parametrize("kept", [True, False])
def test_rows_by_position(kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not kept:
        monkeypatch.setattr(neighbours, "_BYTES", 100)
    gallery = items(50, None, 3)
    all_rows = np.concatenate([*gallery.vectors(), np.zeros((1, 3), np.float32)])
    positions = np.random.default_rng(0).integers(-1, 50, (9, 4)).astype(np.int32)
    rows = EmbeddingRows(gallery)
    np.testing.assert_array_equal(rows.at(positions), all_rows[positions])
    assert rows.queries_at_once(4) == (neighbours._BYTES // 48)
    assert rows.at(np.empty((2, 0), np.int32)).shape == (2, 0, 3)


def test_an_empty_gallery_has_no_neighbours() -> None:
    none = Items([], [], None, list, "nothing")
    found = nearest(items(4, None, 1), none, 3, "cosine")
    assert found.places.shape == (4, 0)
    assert EmbeddingRows(none).at(found.places).shape[:2] == (4, 0)
