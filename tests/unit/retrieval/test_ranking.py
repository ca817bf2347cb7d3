from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from lookalike.errors import LookalikeError
from lookalike.retrieval.ranking import distinct_positions, rank
from lookalike.retrieval.relevance import repeated, tie_order
from lookalike.retrieval.scores import Scorer, normalised, score_matrix
from lookalike.retrieval.streams import Items
from lookalike.retrieval.strips import strips_for
from support import brute_force
from support.brute_force import Item
from support.ranked import RankedQuery, as_lists, normal, ranked_queries

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


def in_blocks(rows: list[Item], size: int, keyed: bool) -> Items:
    """Items whose vectors come `size` at a time."""
    vectors = np.array([item.vector for item in rows], dtype=np.float32)
    return Items(
        ids=[item.id for item in rows],
        labels=[item.label for item in rows],
        keys=[item.key for item in rows] if keyed else None,
        vectors=lambda: (vectors[at : at + size] for at in range(0, len(rows), size)),
    )


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
    found = ranked_queries(
        in_blocks(queries, size, keyed), in_blocks(gallery, size, keyed), score, depth
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
        assert result.relevant.tolist() == hits[:depth]
        highest = brute_force.best_scores(scores, [item.label == query.label for item in left])
        np.testing.assert_array_equal((result.best_relevant, result.best_other), highest)


def rank_floats(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], score: str, depth: int = 50
) -> list[RankedQuery]:
    def side(name: str, part: NDArray[np.float32]) -> Items:
        ids = [f"{name}{i}" for i in range(len(part))]
        return Items.of(ids, [f"{i % 7}" for i in range(len(part))], part)

    return ranked_queries(side("q", queries), side("g", gallery), score, depth)


@pytest.mark.parametrize("score", SCORES)
def test_first_places_do_not_depend_on_the_depth(score: str) -> None:
    queries, gallery = normal(20, 2).round(), normal(1500, 2, seed=1).round()
    shallow = rank_floats(queries, gallery, score, depth=10)
    deep = rank_floats(queries, gallery, score, depth=1000)
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


@pytest.mark.parametrize("dimension", [2, 128, 2048])
def test_cosines_are_exact_to_a_millionth(dimension: int) -> None:
    queries, gallery = normal(70, dimension), normal(1100, dimension, seed=1)
    rows, columns = (normalised(part).astype(np.float64) for part in (queries, gallery))
    assert np.abs(score_matrix(queries, gallery, "cosine") - rows @ columns.T).max() < 1e-6


def test_distances_are_rounded_once() -> None:
    queries, gallery = normal(70, 128), normal(1100, 128, seed=1)
    expected = -cdist(queries.astype(np.float64), gallery.astype(np.float64))
    # Half a unit in the last place: what rounding to float32 costs.
    np.testing.assert_allclose(score_matrix(queries, gallery, "euclidean"), expected, rtol=2**-24)


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
        (rank_floats(both[0], both[1], "cosine"))


@pytest.mark.parametrize("keyed_side", [0, 1])
def test_exclusion_keys_on_one_side_are_a_mistake(keyed_side: int) -> None:
    queries, gallery = (
        Items.of(["a"], ["x"], np.ones((1, 2), np.float32), ["a"] if side == keyed_side else None)
        for side in (0, 1)
    )
    with pytest.raises(ValueError, match="exclusion keys"):
        list(rank(queries, gallery, score="cosine", depth=1))


def test_an_unknown_score_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="manhattan"):
        score_matrix(normal(1, 2), normal(1, 2), "manhattan")


def labelled(name: str, n: int, classes: int, digits: int, seed: int) -> Items:
    """Points around a centre a class; few digits make many equal scores."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(classes, size=n)
    centres = np.random.default_rng(9).normal(size=(classes, 5))
    vectors = (centres[labels] + generator.normal(size=(n, 5))).round(digits).astype(np.float32)
    ids = [f"{name}{i}" for i in range(n)]
    keys = [str(key) for key in generator.integers(n, size=n)]
    return Items.of(ids, [str(label) for label in labels], vectors, keys)


def loop_over_sorted_rows(queries: Items, gallery: Items, score: str, depth: int) -> list[Any]:
    """The same rankings from whole rows of scores."""
    (rows,), (columns,) = queries.vectors(), gallery.vectors()
    scores = score_matrix(rows, columns, score)
    hashed = np.array([brute_force.hashed(str(name)) for name in gallery.ids], np.uint64)
    keys, labels = (np.array(list(map(str, some or []))) for some in (gallery.keys, gallery.labels))
    found = []
    for row, label, key in zip(
        scores, map(str, queries.labels), map(str, queries.keys or []), strict=True
    ):
        left = np.flatnonzero(keys != key)
        hits = labels[left] == label
        order = np.lexsort((hashed[left], -row[left]))
        best = np.lexsort((~hits, -row[left]))
        worst = np.lexsort((hits, -row[left]))
        ranks = [(np.flatnonzero(hits[some]) + 1).tolist() for some in (order, best, worst)]
        first = left[order[:depth]]
        relevant = hits[order[:depth]]
        found.append([len(left), *ranks, first.tolist(), row[first].tolist(), relevant.tolist()])
    return found


# Few relevant items are counted one by one, more of them in cells; most of a gallery is below them
# all, or hardly any of it.
@pytest.mark.parametrize("classes", [2, 40, 400])
@pytest.mark.parametrize("digits", [0, 1, 7])
@pytest.mark.parametrize("score", SCORES)
def test_large_galleries_equal_whole_sorted_rows(score: str, digits: int, classes: int) -> None:
    queries = labelled("q", 130, classes, digits, seed=1)
    gallery = labelled("g", 3000, classes, digits, seed=2)
    found = ranked_queries(queries, gallery, score, 50)
    assert as_lists(found) == loop_over_sorted_rows(queries, gallery, score, 50)


@pytest.mark.parametrize("score", SCORES)
def test_no_result_depends_on_threads_blocks_or_memory(
    score: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = labelled("q", 1100, 30, 1, seed=1)
    gallery = labelled("g", 5000, 30, 1, seed=2)
    (rows,), (columns,) = queries.vectors(), gallery.vectors()
    whole = as_lists(ranked_queries(queries, gallery, score, 20))
    threads = torch.get_num_threads()
    try:
        for count, block, group, kept in (
            (1, 700, 2**20, 0),
            (2, 5000, 2**18, 2**30),
            (3, 1, 1, 0),
        ):
            torch.set_num_threads(count)
            monkeypatch.setattr("lookalike.retrieval.streams._BLOCK_ROWS", 1024)
            monkeypatch.setattr("lookalike.retrieval.streams._GROUP_BYTES", group)
            monkeypatch.setattr("lookalike.retrieval.streams._KEPT_BYTES", kept)
            n = 1100 if group > 1 else 12  # a group of one query each
            some = Items(
                queries.ids[:n],
                queries.labels[:n],
                (queries.keys or [])[:n],
                lambda n=n, block=block: iter(np.split(rows[:n], range(block, n, block))),  # type: ignore[misc]
            )
            streamed = replace(
                gallery,
                vectors=lambda block=block: iter(  # type: ignore[misc]
                    np.split(columns, range(max(block, 100), 5000, max(block, 100)))
                ),
            )
            assert as_lists(ranked_queries(some, streamed, score, 20)) == whole[:n]
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("digits", [0, 7])
@pytest.mark.parametrize("depth", [0, 1, 50, 4000])
def test_strips_of_the_gallery_equal_whole_sorted_rows(
    score: str, digits: int, depth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = labelled("q", 9, 3, digits, seed=1)
    gallery = labelled("g", 4500, 3, digits, seed=2)
    expected = loop_over_sorted_rows(queries, gallery, score, depth)
    for strips in (1, 2, 3, 8):
        monkeypatch.setattr(
            "lookalike.retrieval.ranking.strips_for", lambda tiles, threads, n=strips: n
        )
        assert as_lists(ranked_queries(queries, gallery, score, depth)) == expected


def test_few_queries_with_many_relevant_items_keep_all_threads_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two products are made at once: each of the first two waits for the other."""
    meet = threading.Barrier(2)
    made = Scorer.tiles

    def tiles(self: Scorer, gallery: torch.Tensor, n_items: int) -> Iterator[Any]:
        with suppress(threading.BrokenBarrierError):
            meet.wait(timeout=20)
        yield from made(self, gallery, n_items)

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        queries, gallery = labelled("q", 3, 1, 7, seed=1), labelled("g", 4096, 1, 7, seed=2)
        monkeypatch.setattr("lookalike.retrieval.ranking.Scorer.tiles", tiles)
        ranked_queries(queries, gallery, "cosine", 5)
    finally:
        torch.set_num_threads(threads)
    assert not meet.broken


@pytest.mark.parametrize(("n_items", "n_gallery"), [(0, 0), (0, 9), (3, 1000), (900, 1000)])
def test_distinct_is_numpys_unique(n_items: int, n_gallery: int) -> None:
    items = np.random.default_rng(0).integers(max(1, n_gallery), size=n_items).astype(np.int32)
    for found, expected in zip(
        distinct_positions(items, n_gallery), np.unique(items, return_inverse=True), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_tiles_and_strips_divide_evenly_among_threads() -> None:
    assert [strips_for(tiles, 2) for tiles in (1, 2, 3, 4, 40)] == [2, 1, 2, 1, 1]
    assert strips_for(1, 8) == 8
    for threads in (1, 2, 3, 4, 7, 16, 64):
        for tiles in range(1, 100):
            strips = strips_for(tiles, threads)
            rounds = math.ceil(tiles * strips / threads)
            assert tiles * strips >= 0.9 * rounds * threads or strips == 8
            assert strips == 1 or tiles < 10 * threads


@pytest.mark.parametrize("spread", [1, 2, 30])
def test_many_relevant_items_of_equal_scores(spread: int) -> None:
    """A model that maps everything to one point, or to a few."""
    gallery = labelled("g", 4000, 3, 0, seed=1)
    (vectors,) = gallery.vectors()
    vectors[:] = (np.arange(4000) % spread)[:, None]
    queries = labelled("q", 5, 3, 0, seed=2)
    found = ranked_queries(queries, gallery, "euclidean", 50)
    assert as_lists(found) == loop_over_sorted_rows(queries, gallery, "euclidean", 50)


def test_an_empty_gallery_has_no_ranks_and_no_places() -> None:
    query = Items.of(["q"], ["a"], np.ones((1, 2), np.float32))
    empty = Items([], [], None, list)
    (found,) = ranked_queries(query, empty, "cosine", 5)
    assert (found.n_gallery, len(found.ranks), len(found.places)) == (0, 0, 0)


def test_any_text_of_arrow_is_ordered_alike() -> None:
    names = ["b", "a", "é", "c"]
    for kind in (pa.large_string(), pa.string_view()):
        assert tie_order(pa.array(names, kind)).tolist() == tie_order(names).tolist()
    assert tie_order(pa.array(names).dictionary_encode()).tolist() == tie_order(names).tolist()
    assert repeated(pa.array([*names, "a"], pa.large_string())) == "a"
    assert repeated(names) is None


def test_vectors_of_any_layout_rank_alike() -> None:
    queries, gallery = normal(5, 129), normal(700, 129, seed=1)
    strided = np.repeat(gallery, 2, axis=1)[:, ::2]
    plain = rank_floats(queries, gallery, "cosine")
    for other in (np.asfortranarray(gallery), strided):
        for one, same in zip(plain, rank_floats(queries, other, "cosine"), strict=True):
            assert one.scores.tobytes() == same.scores.tobytes()


def test_more_relevant_items_than_sixteen_bits_count() -> None:
    n = 70_000
    gallery = np.arange(n, dtype=np.float32)[:, None]
    ids = [f"g{i}" for i in range(n)]
    labels = ["odd" if i % 7 == 3 else "most" for i in range(n)]
    query = Items.of(["q"], ["most"], np.zeros((1, 1), np.float32))
    (found,) = ranked_queries(query, Items.of(ids, labels, gallery), "euclidean", 5)
    assert len(found.ranks) == 60_000
    np.testing.assert_array_equal(found.ranks, np.flatnonzero(np.array(labels) == "most") + 1)


def test_all_scores_counted_are_told() -> None:
    queries, gallery = labelled("q", 70, 3, 7, seed=1), labelled("g", 2500, 3, 7, seed=2)
    told: list[int] = []
    list(rank(queries, gallery, score="cosine", depth=1, on_progress=told.append))
    assert sum(told) == 70 * 2500
