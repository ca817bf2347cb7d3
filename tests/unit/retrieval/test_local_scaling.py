"""Local scaling, against CSLS by its formula; and that it is a remedy of hubs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lookalike.errors import LookalikeError
from lookalike.retrieval.arrays import Float32s, Values
from lookalike.retrieval.local_scaling import bound_of, mean_squared_distances, scaled
from lookalike.retrieval.neighbours import nearest
from lookalike.retrieval.scores import score_matrix
from lookalike.retrieval.streams import Items
from support.ranked import normal


def after(queries: Float32s, gallery: Float32s, k: int, score: str) -> tuple[Float32s, Float32s]:
    """Both sides' embeddings after local scaling."""
    sides = [
        Items.of([f"{name}{at}" for at in range(len(rows))], ["one"] * len(rows), rows)
        for name, rows in (("q", queries), ("g", gallery))
    ]
    own = Items(sides[1].ids, sides[1].labels, sides[1].ids, sides[1].vectors)
    means = [
        mean_squared_distances(nearest(sides[0], sides[1], k, score), score),
        mean_squared_distances(nearest(own, own, k, score), score),
    ]
    bound = bound_of(means[0], means[1], score)
    return (
        scaled(queries, means[0], bound, score, of_gallery=False),
        scaled(gallery, means[1], bound, score, of_gallery=True),
    )


def without_diagonal(square: Values) -> Values:
    n = len(square)
    return square[~np.eye(n, dtype=bool)].reshape(n, n - 1)


@pytest.mark.parametrize("k", [1, 4, 500])
def test_distances_are_csls_with_the_neighbours_in_the_gallery(k: int) -> None:
    queries, gallery = normal(20, 6, seed=1), normal(45, 6, seed=2)
    q, g = (
        x.astype(np.float64) / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, gallery)
    )
    cosines, own = q @ g.T, without_diagonal(g @ g.T)
    of_query, of_item = (-np.sort(-some, axis=1)[:, :k].mean(axis=1) for some in (cosines, own))
    csls = 2 * cosines - of_query[:, None] - of_item
    scores = score_matrix(*after(queries, gallery, k, "cosine"), "euclidean")
    np.testing.assert_allclose(4 - scores.astype(np.float64) ** 2, csls, atol=1e-5)


def test_distances_that_are_no_cosines_are_scaled_likewise() -> None:
    queries, gallery = 3 * normal(15, 4, seed=1), 3 * normal(30, 4, seed=2)
    squared, own = (
        ((some[:, None].astype(np.float64) - gallery) ** 2).sum(axis=2)
        for some in (queries, gallery)
    )
    of_query = np.sort(squared, axis=1)[:, :3].mean(axis=1)
    of_item = np.sort(without_diagonal(own), axis=1)[:, :3].mean(axis=1)
    bound = max(of_query.max(), of_item.max())
    expected = squared - (of_query[:, None] + of_item) / 2 + bound
    scores = score_matrix(*after(queries, gallery, 3, "euclidean"), "euclidean")
    np.testing.assert_allclose(scores.astype(np.float64) ** 2, expected, rtol=1e-5)


def test_hubs_are_fewer_after_it() -> None:
    # In many dimensions, about one centre: a few items are near to everything.
    queries, gallery = normal(600, 60, seed=1) + 0.6, normal(600, 60, seed=2) + 0.6

    def skew(q: Float32s, g: Float32s, score: str) -> float:
        first = np.argsort(-score_matrix(q, g, score), axis=1)[:, :10]
        return float(stats.skew(np.bincount(first.ravel(), minlength=len(g))))

    before = skew(queries, gallery, "cosine")
    assert before > 1
    assert skew(*after(queries, gallery, 10, "cosine"), "euclidean") < before / 2


def test_a_gallery_of_one_is_refused_and_a_query_without_neighbours_is_not() -> None:
    with pytest.raises(LookalikeError, match="have others beside them"):
        bound_of(np.array([1.0]), np.array([np.nan]), "cosine")
    means = np.array([np.nan, 1.0])
    bound = bound_of(means, np.array([0.5, 1.5]), "euclidean")
    assert bound == 1.5
    rows = scaled(np.ones((2, 3), np.float32), means, bound, "euclidean", of_gallery=False)
    np.testing.assert_allclose(rows[:, 3], [0, 0.5])
    np.testing.assert_array_equal(rows[:, 4], 0)
