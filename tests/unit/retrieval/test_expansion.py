"""Query expansion and augmentation, against their formulas one image at a time."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.retrieval.expansion import expanded
from lookalike.retrieval.neighbours import EmbeddingRows, nearest
from lookalike.retrieval.streams import Items
from support.ranked import normal


def items(n: int, seed: int, keys: list[str] | None = None) -> Items:
    names = [f"{seed}/{at}" for at in range(n)]
    rows = normal(n, 5, seed=seed)
    return Items(names, ["one"] * n, keys, lambda: (rows[at : at + 6] for at in range(0, n, 6)))


@pytest.mark.parametrize(
    ("score", "alpha"), [("cosine", 0.0), ("cosine", 3.0), ("cosine", 0.5), ("euclidean", 0.0)]
)
@pytest.mark.parametrize("k", [1, 3, 60])
def test_it_is_the_formula(score: str, alpha: float, k: int) -> None:
    asked = items(17, 1, [f"{at % 9}" for at in range(17)])
    gallery = items(50, 2, [f"{at % 20}" for at in range(50)])
    found = nearest(asked, gallery, k, score)
    blocks = expanded(asked, EmbeddingRows(gallery), found, alpha=alpha, score=score)
    ours = np.concatenate(list(blocks))
    queries, searched = (
        np.concatenate(list(side.vectors())).astype(np.float64) for side in (asked, gallery)
    )
    if score == "cosine":
        queries, searched = (
            x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, searched)
        )
    for row, query in enumerate(queries):
        allowed = [at for at in range(50) if at % 20 != row % 9]
        near = sorted(allowed, key=lambda at: np.linalg.norm(query - searched[at]))[:k]
        weights = [max(0.0, query @ searched[at]) ** alpha if alpha else 1.0 for at in near]
        mixed = query + sum(w * searched[at] for w, at in zip(weights, near, strict=True))
        mixed /= np.linalg.norm(mixed) if score == "cosine" else 1 + sum(weights)
        np.testing.assert_allclose(ours[row], mixed, atol=2e-6)


def test_an_image_without_neighbours_stays_as_it_is() -> None:
    asked, gallery = items(4, 1, ["a"] * 4), items(3, 2, ["a"] * 3)
    found = nearest(asked, gallery, 2, "euclidean")
    assert (found.places == -1).all()
    blocks = expanded(asked, EmbeddingRows(gallery), found, alpha=0.0, score="euclidean")
    same = np.concatenate(list(blocks))
    np.testing.assert_array_equal(same, np.concatenate(list(asked.vectors())))


def test_an_embedding_does_not_depend_on_its_company() -> None:
    asked, gallery = items(13, 1), items(30, 2)
    rows = EmbeddingRows(gallery)
    found = nearest(asked, gallery, 3, "cosine")
    whole = np.concatenate(list(expanded(asked, rows, found, alpha=3.0, score="cosine")))
    queries = np.concatenate(list(asked.vectors()))
    for row in range(13):
        alone = Items.of(["x"], ["one"], queries[row : row + 1])
        again = expanded(
            alone, rows, nearest(alone, gallery, 3, "cosine"), alpha=3.0, score="cosine"
        )
        assert np.concatenate(list(again)).tobytes() == whole[row].tobytes()
