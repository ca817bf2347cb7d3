"""Ranking within parts of the gallery, and without items of the query's label and attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lookalike.retrieval.counting_gpu import OnDevice
from lookalike.retrieval.ranking import Accelerator
from lookalike.retrieval.relevance import as_texts
from lookalike.retrieval.streams import Items
from support import brute_force
from support.ranked import as_lists, normal, ranked_queries

ON_DEVICE = OnDevice(torch.device("cpu"))


@dataclass(frozen=True)
class Known:
    """An item with its attributes."""

    id: str
    label: str
    vector: tuple[int, int]
    key: str
    camera: str | None
    track: str | None
    category: str | None


def known(name: str) -> st.SearchStrategy[list[Known]]:
    maybe = st.sampled_from(["1", "2", None])
    vector = st.tuples(st.integers(-2, 2), st.integers(-2, 2))
    row = st.tuples(st.sampled_from("abc"), vector, st.sampled_from("uvwxyz"), maybe, maybe, maybe)
    return st.lists(row, min_size=1, max_size=14).map(
        lambda rows: [Known(f"{name}{i}.png", *row) for i, row in enumerate(rows)]
    )


def items_of(
    rows: Sequence[Known], size: int, keyed: bool, same: Sequence[str], within: Sequence[str]
) -> Items:
    vectors = np.array([row.vector for row in rows], np.float32)
    return Items(
        [row.id for row in rows],
        [row.label for row in rows],
        [row.key for row in rows] if keyed else None,
        lambda: (vectors[at : at + size] for at in range(0, len(rows), size)),
        same=[[getattr(row, column) for row in rows] for column in same],
        within=[[getattr(row, column) for row in rows] for column in within],
    )


def agree(query: Known, item: Known, columns: Sequence[str]) -> bool:
    """Whether two have the same known value in every column."""
    pairs = [(getattr(query, column), getattr(item, column)) for column in columns]
    return all(one is not None and one == other for one, other in pairs)


@pytest.mark.parametrize("accelerator", [None, ON_DEVICE])
@settings(derandomize=True, deadline=None, max_examples=100)
@given(data=st.data())
def test_ranks_equal_a_loop_over_what_is_left_of_the_gallery(
    accelerator: Accelerator | None, data: st.DataObject
) -> None:
    queries, gallery = data.draw(known("q")), data.draw(known("g"))
    size, depth = data.draw(st.integers(1, 14)), data.draw(st.integers(0, 16))
    keyed = data.draw(st.booleans())
    same = data.draw(st.sampled_from([(), ("camera",), ("camera", "track")]))
    within = data.draw(st.sampled_from([(), ("category",), ("category", "camera")]))
    asked, searched = (items_of(rows, size, keyed, same, within) for rows in (queries, gallery))
    found = ranked_queries(asked, searched, "euclidean", depth, accelerator)
    for query, result in zip(queries, found, strict=True):
        left = [
            item
            for item in gallery
            if agree(query, item, within)
            and not (keyed and item.key == query.key)
            and not (same and item.label == query.label and agree(query, item, same))
        ]
        scores = [-float(np.hypot(*np.subtract(query.vector, item.vector))) for item in left]
        order = brute_force.ordered(scores, [item.id for item in left])
        hits = [left[item].label == query.label for item in order]
        best, worst = brute_force.bounds(scores, [item.label == query.label for item in left])
        assert result.n_gallery == len(left)
        assert result.ranks.tolist() == brute_force.relevant_ranks(hits)
        assert result.optimistic.tolist() == best
        assert result.pessimistic.tolist() == worst
        assert [gallery[place] for place in result.places] == [left[item] for item in order[:depth]]
        assert result.relevant.tolist() == hits[:depth]
        highest = brute_force.best_scores(scores, [item.label == query.label for item in left])
        np.testing.assert_array_equal((result.best_relevant, result.best_other), highest)


def of_parts(n: int, name: str, parts: NDArray[np.int64], seed: int) -> Items:
    vectors = normal(n, 12, seed=seed)
    return Items(
        [f"{name}{i}" for i in range(n)],
        [f"{i % 11}" for i in range(n)],
        None,
        lambda: iter(np.split(vectors, range(900, n, 900))),
        within=[[f"part {part}" for part in parts.tolist()]],
    )


def some_of(items: Items, rows: NDArray[np.int64]) -> Items:
    ids, labels = (as_texts(texts).take(rows) for texts in (items.ids, items.labels))
    return Items.of(ids, labels, np.concatenate(list(items.vectors()))[rows])


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_part_gives_the_bytes_that_it_gives_alone(score: str, threads: int) -> None:
    generator = np.random.default_rng(0)
    # Parts of one item, of hundreds and of thousands, over several blocks and strips.
    gallery_part = generator.choice(4, size=5000, p=[0.001, 0.05, 0.3, 0.649])
    query_part = generator.integers(4, size=300)
    queries, gallery = of_parts(300, "q", query_part, 1), of_parts(5000, "g", gallery_part, 2)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        whole = ranked_queries(queries, gallery, score, 20)
        for part in range(4):
            rows, positions = np.flatnonzero(query_part == part), gallery_part == part
            those = some_of(gallery, np.flatnonzero(positions))
            alone = ranked_queries(some_of(queries, rows), those, score, 20)
            among = np.flatnonzero(positions)
            for one in alone:
                one.places[:] = among[one.places]
            assert as_lists([whole[i] for i in rows]) == as_lists(alone)
    finally:
        torch.set_num_threads(before)
