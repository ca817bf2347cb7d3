from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

import brute_force
from brute_force import Item
from lookalike.errors import LookalikeError
from lookalike.ranking import Block, RankedQuery, normalised, rank, score_matrix, tie_order

SCORES = ["cosine", "euclidean"]

# Whole numbers in few dimensions: distances tie often, and are exact.
vectors = st.tuples(st.integers(-2, 2), st.integers(-2, 2))
# Multiples of the axes: after normalising, every cosine is exactly -1, 0 or 1.
axes = st.sampled_from([(3, 0), (1, 0), (-2, 0), (0, 5), (0, -1), (0, 0)])


def items(name: str, of: st.SearchStrategy[tuple[int, ...]]) -> st.SearchStrategy[list[Item]]:
    one = st.tuples(st.sampled_from("abc"), of, st.sampled_from("uvwxyz"))
    return st.lists(one, min_size=1, max_size=12).map(
        lambda rows: [Item(f"{name}{i}.png", *row) for i, row in enumerate(rows)]
    )


def blocks(rows: list[Item], size: int, keyed: bool) -> list[Block]:
    return [
        Block(
            ids=[item.id for item in part],
            labels=[item.label for item in part],
            vectors=np.array([item.vector for item in part], dtype=np.float32),
            keys=[item.key for item in part] if keyed else None,
        )
        for part in (rows[start : start + size] for start in range(0, len(rows), size))
    ]


def exact_score(query: Item, other: Item, score: str) -> float:
    if score == "euclidean":
        return -math.sqrt(
            sum((a - b) ** 2 for a, b in zip(query.vector, other.vector, strict=True))
        )
    product = sum(a * b for a, b in zip(query.vector, other.vector, strict=True))
    return float((product > 0) - (product < 0))


@pytest.mark.parametrize(("score", "of"), [("cosine", axes), ("euclidean", vectors)])
@settings(derandomize=True, deadline=None, max_examples=150)
@given(data=st.data())
def test_ranks_equal_a_loop_over_the_sorted_gallery(
    score: str, of: st.SearchStrategy[tuple[int, ...]], data: st.DataObject
) -> None:
    queries, gallery = data.draw(items("q", of)), data.draw(items("g", of))
    size, depth = data.draw(st.integers(1, 12)), data.draw(st.integers(0, 14))
    keyed = data.draw(st.booleans())
    found = list(
        rank(
            blocks(queries, size, keyed),
            lambda: blocks(gallery, size, keyed),
            score=score,
            depth=depth,
        )
    )
    assert [result.id for result in found] == [query.id for query in queries]
    for query, result in zip(queries, found, strict=True):
        left = [item for item in gallery if not (keyed and item.key == query.key)]
        scores = [exact_score(query, item, score) for item in left]
        order = brute_force.ordered(scores, [item.id for item in left])
        hits = [left[item].label == query.label for item in order]
        best, worst = brute_force.bounds(scores, [item.label == query.label for item in left])
        assert result.label == query.label
        assert result.n_gallery == len(left)
        assert result.ranks.tolist() == brute_force.relevant_ranks(hits)
        assert result.optimistic.tolist() == best
        assert result.pessimistic.tolist() == worst
        assert [gallery[place] for place in result.places] == [left[item] for item in order[:depth]]
        expected = np.array([scores[item] for item in order[:depth]], dtype=np.float32)
        np.testing.assert_array_equal(result.scores, expected)


def rank_floats(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], score: str, depth: int = 50
) -> Iterator[RankedQuery]:
    def block(name: str, part: NDArray[np.float32]) -> Block:
        return Block(
            [f"{name}{i}" for i in range(len(part))], [f"{i % 7}" for i in range(len(part))], part
        )

    return rank([block("q", queries)], lambda: [block("g", gallery)], score=score, depth=depth)


def normal(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("score", SCORES)
def test_first_places_do_not_depend_on_the_depth(score: str) -> None:
    queries, gallery = normal(20, 2).round(), normal(1500, 2, seed=1).round()
    shallow = list(rank_floats(queries, gallery, score, depth=10))
    deep = list(rank_floats(queries, gallery, score, depth=1000))
    for few, many in zip(shallow, deep, strict=True):
        np.testing.assert_array_equal(few.places, many.places[:10])
        np.testing.assert_array_equal(few.ranks, many.ranks)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("dimension", [1, 3, 128, 515])
def test_scores_do_not_depend_on_blocks_position_or_threads(score: str, dimension: int) -> None:
    queries, gallery = normal(150, dimension), normal(2100, dimension, seed=1)
    whole = score_matrix(queries, gallery, score)
    threads = torch.get_num_threads()
    try:
        for count, rows, columns in ((1, 1, 2100), (2, 150, 1), (2, 64, 700), (1, 150, 1023)):
            torch.set_num_threads(count)
            some_queries = queries if rows > 1 else queries[:5]
            some_gallery = gallery if columns > 1 else gallery[-5:]
            in_blocks = np.concatenate(
                [
                    np.concatenate(
                        [
                            score_matrix(
                                some_queries[i : i + rows], some_gallery[j : j + columns], score
                            )
                            for j in range(0, len(some_gallery), columns)
                        ],
                        axis=1,
                    )
                    for i in range(0, len(some_queries), rows)
                ]
            )
            part = whole[: len(some_queries), -len(some_gallery) :]
            assert in_blocks.tobytes() == np.ascontiguousarray(part).tobytes()
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("dimension", [3, 128, 515])
def test_equal_vectors_score_equally_wherever_they_stand(score: str, dimension: int) -> None:
    gallery = np.repeat(normal(1, dimension), 2100, axis=0)
    for scores in score_matrix(normal(70, dimension, seed=1), gallery, score):
        assert len(set(scores.tolist())) == 1


def test_cosine_is_the_cosine() -> None:
    queries, gallery = normal(90, 40) * 1e3, normal(1300, 40, seed=1) * 1e-20
    expected = 1 - cdist(queries.astype(float), gallery.astype(float), "cosine")
    np.testing.assert_allclose(score_matrix(queries, gallery, "cosine"), expected, atol=2e-7)


@pytest.mark.parametrize("score", SCORES)
def test_scores_are_rounded_once(score: str) -> None:
    queries, gallery = normal(70, 128), normal(1100, 128, seed=1)
    if score == "cosine":
        rows, columns = (normalised(part).astype(np.float64) for part in (queries, gallery))
        expected = rows @ columns.T
    else:
        expected = -cdist(queries.astype(np.float64), gallery.astype(np.float64))
    np.testing.assert_array_equal(
        score_matrix(queries, gallery, score), expected.astype(np.float32)
    )


def test_euclidean_distance_of_near_vectors_far_from_the_origin() -> None:
    # |q|^2 + |g|^2 - 2 q.g would lose every digit here, in float32 and nearly so in float64.
    gallery = np.float32(1e6) + normal(1100, 40).round(1)
    queries = gallery[:70]
    scores = score_matrix(queries, gallery, "euclidean")
    expected = -cdist(queries.astype(float), gallery.astype(float))
    np.testing.assert_allclose(scores, expected, rtol=1e-7)
    assert not np.any(np.diagonal(scores))


@pytest.mark.parametrize("score", SCORES)
def test_zero_scores_are_plain_zeros(score: str) -> None:
    zero, other = np.zeros((1, 4), np.float32), -np.ones((1, 4), np.float32)
    same = score_matrix(zero, zero if score == "euclidean" else other, score)
    assert same.tobytes() == np.zeros((1, 1), np.float32).tobytes()


def test_huge_and_tiny_vectors_are_ranked() -> None:
    gallery = np.array([[3e38, 0], [1e-40, 0], [-3e38, 0], [0, 1e-40]], dtype=np.float32)
    (cosine,) = rank_floats(gallery[:1], gallery, "cosine")
    assert cosine.scores.tolist() == [1, 1, 0, -1]
    (distance,) = rank_floats(gallery[:1], gallery, "euclidean")
    assert distance.scores.tolist()[0] == 0
    assert distance.places.tolist()[3] == 2


def test_tie_order_follows_the_id_and_not_the_position() -> None:
    ids = [f"class{i // 10}/é{i}.png" for i in range(200)]
    shuffled = [ids[i] for i in np.random.default_rng(0).permutation(200)]
    by_id = dict(zip(shuffled, tie_order(shuffled).tolist(), strict=True))
    assert [by_id[name] for name in ids] == tie_order(ids).tolist()
    assert np.argsort(tie_order(ids)).tolist() == brute_force.ordered([0.0] * 200, ids)
    # Names in order of their class must not come out in order of their class.
    assert abs(np.corrcoef(tie_order(ids), np.arange(200))[0, 1]) < 0.2


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_an_embedding_that_is_not_finite_is_an_error_with_its_name(bad: float, side: int) -> None:
    both = [normal(4, 3), normal(9, 3)]
    both[side][2, 1] = bad
    with pytest.raises(LookalikeError, match="q2" if side == 0 else "g2"):
        list(rank_floats(both[0], both[1], "cosine"))


@pytest.mark.parametrize("keyed_side", [0, 1])
def test_exclusion_keys_on_one_side_are_a_mistake(keyed_side: int) -> None:
    sides = [
        [Block(["a"], ["x"], np.ones((1, 2), np.float32), ["a"] if side == keyed_side else None)]
        for side in (0, 1)
    ]
    with pytest.raises(ValueError, match="exclusion keys"):
        list(rank(sides[0], lambda: sides[1], score="cosine", depth=1))


def test_an_unknown_score_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="manhattan"):
        score_matrix(normal(1, 2), normal(1, 2), "manhattan")
