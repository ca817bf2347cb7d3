from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lookalike import LookalikeError, search
from lookalike.embedding.tables import write_embeddings
from lookalike.retrieval.counting_gpu import OnDevice
from lookalike.retrieval.search import Neighbours
from lookalike.retrieval.settings import MetricsSettings
from lookalike.steps.metrics import evaluate_files
from support import brute_force
from support.ranked import normal


def save(path: Path, vectors: NDArray[Any], name: str, **metadata: str) -> Path:
    """An embeddings table; a class in ten is in one table only."""
    n = len(vectors)
    labels = [f"only in {name}" if at % 10 == 9 else "in both" for at in range(n)]
    write_embeddings(path, [f"{name}{at}" for at in range(n)], labels, ["0"] * n, vectors, metadata)
    return path


def assert_same_as_evaluation(
    folder: Path, queries: NDArray[Any], gallery: NDArray[Any], score: str, depth: int
) -> None:
    query, item = save(folder / "q.parquet", queries, "q"), save(folder / "g.parquet", gallery, "g")
    evaluate_files(
        query, item, folder / "out", MetricsSettings(k=[depth], bootstrap=0), score=score
    )
    rankings = pq.read_table(folder / "out" / "rankings.parquet")
    found = search(query, item, depth, score=score)
    assert found.table().equals(rankings.drop_columns("relevant"))
    # The same from memory, where the names are given.
    asked, searched = (
        pq.read_table(path, columns=["image_id", "embedding"]) for path in (query, item)
    )
    same(search(asked, searched, depth, score=score), found)


def same(one: Neighbours, other: Neighbours) -> None:
    assert one.indices.tobytes() == other.indices.tobytes()
    assert one.scores.tobytes() == other.scores.tobytes()
    assert one.table().equals(other.table())


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
@pytest.mark.parametrize(
    ("n_queries", "n_gallery", "depth"),
    [(1, 1, 1), (70, 2500, 50), (1100, 900, 7), (3, 40, 1000)],
)
def test_the_rankings_of_the_metrics_step(
    tmp_path: Path, score: str, n_queries: int, n_gallery: int, depth: int
) -> None:
    queries, gallery = normal(n_queries, 24, seed=1), normal(n_gallery, 24, seed=2)
    gallery[n_gallery // 2 :] = gallery[: n_gallery - n_gallery // 2]  # equal vectors
    queries[: n_queries // 2] = gallery[np.arange(n_queries // 2) % n_gallery]
    assert_same_as_evaluation(tmp_path, queries, gallery, score, depth)


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
def test_ties_by_the_hundred_come_as_in_the_metrics_step(tmp_path: Path, score: str) -> None:
    rng = np.random.default_rng(0)
    queries, gallery = (rng.integers(-1, 2, (n, 3)).astype(np.float32) for n in (90, 3000))
    assert_same_as_evaluation(tmp_path, queries, gallery, score, 40)


def in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a tile, nothing kept, and groups of some queries: as if memory were small."""
    monkeypatch.setattr("lookalike.retrieval.streams._BLOCK_ROWS", 1)
    monkeypatch.setattr("lookalike.retrieval.streams._KEPT_BYTES", 0)
    monkeypatch.setattr("lookalike.retrieval.streams._GROUP_BYTES", 50_000)
    monkeypatch.setattr("lookalike.retrieval.tables._ROWS_AT_ONCE", 1500)


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
def test_neither_blocks_nor_threads_nor_the_order_of_the_gallery_matter(
    monkeypatch: pytest.MonkeyPatch, score: str
) -> None:
    rng = np.random.default_rng(3)
    queries, gallery = (rng.integers(-2, 3, (n, 4)).astype(np.float32) for n in (150, 5000))
    whole = search(queries, gallery, 30, score=score)
    in_blocks(monkeypatch)
    same(search(queries, gallery, 30, score=score), whole)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        same(search(queries, gallery, 30, score=score), whole)
    finally:
        torch.set_num_threads(threads)
    order = rng.permutation(len(gallery))
    mixed = {"image_id": [str(at) for at in order], "embedding": gallery[order]}
    found = search({"embedding": queries}, mixed, 30, score=score)
    assert found.table().equals(whole.table())
    assert (order[found.indices] == whole.indices).all()


def test_a_gallery_on_disk_is_read_once_for_a_group_of_queries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = normal(6000, 8)
    np.save(tmp_path / "gallery.npy", gallery)
    mapped = np.load(tmp_path / "gallery.npy", mmap_mode="r")
    table = save(tmp_path / "gallery.parquet", gallery, "g", score="euclidean")
    query = save(tmp_path / "query.parquet", normal(5, 8, seed=1), "q", score="euclidean")
    whole = search(normal(5, 8, seed=1), gallery, 9, score="euclidean")
    in_blocks(monkeypatch)
    rows = 0

    def counted(path: Path) -> Any:
        nonlocal rows
        for piece in pq.ParquetFile(path).iter_batches(1000, columns=["embedding"]):
            rows += len(piece)
            yield np.stack(piece.column(0).to_numpy(zero_copy_only=False))

    monkeypatch.setattr("lookalike.retrieval.tables.read_vectors", counted)
    found = search(query, table, 9)  # by the score that the tables state
    assert rows <= 2 * (1000 + 5) + 6000 + 5  # a look at the width, then one pass
    np.testing.assert_array_equal(found.scores, whole.scores)
    same(search(normal(5, 8, seed=1), mapped, 9, score="euclidean"), whole)


numbers = st.lists(st.lists(st.integers(-2, 2), min_size=2, max_size=2), min_size=1, max_size=30)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(queries=numbers, gallery=numbers, depth=st.integers(1, 40), names=st.randoms())
def test_distances_as_a_loop_finds_them(
    queries: list[list[int]], gallery: list[list[int]], depth: int, names: Any
) -> None:
    ids = [f"item {number}" for number in names.sample(range(1000), len(gallery))]
    arrays = (np.array(rows, np.float32) for rows in (queries, gallery))
    asked, items = ({"embedding": array} for array in arrays)
    found = search(asked, {**items, "image_id": ids}, depth, score="euclidean")
    for query, places, scores in zip(queries, found.indices, found.scores, strict=True):
        exact = [float(np.float32(-math.dist(query, item))) + 0 for item in gallery]
        expected = brute_force.ordered(exact, ids)[:depth]
        assert places.tolist() == expected
        assert scores.tolist() == [exact[place] for place in expected]


directions = st.sampled_from([(1, 0), (0, 1), (-1, 0), (0, -1), (0, 0)])
scaled = st.lists(st.tuples(directions, st.sampled_from([0.5, 1, 2, 8])), min_size=1, max_size=40)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(queries=scaled, gallery=scaled, depth=st.integers(1, 50))
def test_cosines_as_a_loop_finds_them(queries: Any, gallery: Any, depth: int) -> None:
    """Of vectors along the axes the cosine is a whole number: nearly all are ties."""
    asked, searched = (
        np.array([[size * x for x in way] for way, size in side], np.float32)
        for side in (queries, gallery)
    )
    found = search(asked, searched, depth)
    for (query, _), places, scores in zip(queries, found.indices, found.scores, strict=True):
        exact = [float(np.dot(query, way)) for way, _ in gallery]
        expected = brute_force.ordered(exact, [str(at) for at in range(len(gallery))])[:depth]
        assert places.tolist() == expected
        assert scores.tolist() == [exact[place] for place in expected]


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
def test_neighbours_are_exact_in_many_dimensions(score: str) -> None:
    queries, gallery = normal(40, 128, seed=1), normal(3000, 128, seed=2)
    found = search(queries, gallery, 25, score=score)
    q, g = queries.astype(float), gallery.astype(float)
    if score == "cosine":
        exact = (q / np.linalg.norm(q, axis=1)[:, None]) @ (
            g / np.linalg.norm(g, axis=1)[:, None]
        ).T
    else:
        exact = -np.sqrt(((q[:, None] - g) ** 2).sum(2))
    assert found.indices.dtype == np.int64
    assert found.scores.dtype == np.float32
    assert found.indices.shape == found.scores.shape == (40, 25)
    np.testing.assert_array_equal(found.indices, np.argsort(-exact, axis=1)[:, :25])
    np.testing.assert_allclose(found.scores, np.sort(-exact, axis=1)[:, :25] * -1, rtol=1e-5)


def test_the_same_embeddings_in_any_form() -> None:
    queries, gallery = normal(6, 5, seed=1), normal(80, 5, seed=2)
    whole = search(queries, gallery, 4)
    frame = pd.DataFrame({"embedding": list(gallery), "label": "unused"})
    table = pa.table({"embedding": pa.array(list(gallery), pa.list_(pa.float32(), 5))})
    for other in (frame, table, gallery.tolist(), {"embedding": gallery.tolist()}, gallery[::1]):
        same(search(queries, other, 4), whole)
    same(search(queries.astype(np.float64), np.asfortranarray(gallery), 4), whole)
    halves = search(queries, np.round(gallery * 8).astype(np.int8), 4)
    same(halves, search(queries, np.round(gallery * 8), 4))


def test_there_may_be_no_queries() -> None:
    found = search(np.empty((0, 4), np.float32), normal(9, 4), 3)
    assert found.indices.shape == found.scores.shape == (0, 3)
    assert found.table().num_rows == 0
    assert found.table().schema == search(normal(1, 4), normal(9, 4), 3).table().schema


def test_an_accelerator_is_asked_where_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    queries, gallery = (rng.integers(-3, 4, (n, 4)).astype(np.float32) for n in (20, 700))
    expected = search(queries, gallery, 12, score="euclidean")
    monkeypatch.setattr(
        "lookalike.retrieval.search.accelerator_of", lambda device: OnDevice(torch.device("cpu"))
    )
    same(search(queries, gallery, 12, score="euclidean", device=torch.device("cpu")), expected)


SOME = normal(5, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((SOME, SOME, 0), r"depth: 0 must be a whole number from 1"),
        ((SOME, SOME, 2.5), r"depth: 2\.5 must be a whole number from 1"),
        ((SOME, SOME, True), r"depth: True must be a whole number from 1"),
        ((SOME, SOME, 2, "dot"), r"score: 'dot' is not one of cosine, euclidean"),
        ((SOME, normal(5, 4), 2), r"the queries holds embeddings of 3 values, the gallery of 4"),
        ((SOME, SOME[:0], 2), r"the gallery: the table has no rows; there is nothing to search"),
        ((SOME, SOME[0], 2), r"the gallery: the embeddings must be numbers, as many in each row"),
        ((SOME, [[1, 2, 3], [1, 2]], 2), r"the gallery: the embeddings must be numbers"),
        ((SOME, SOME > 0, 2), r"the gallery: the embeddings must be numbers.* holds bool"),
        ((SOME.astype(str), SOME, 2), r"the queries: the embeddings must be numbers"),
        ((SOME, {"vectors": SOME}, 2), r"the gallery: there is no column 'embedding'"),
        (
            (SOME, {"embedding": SOME, "image_id": list("abcda")}, 2),
            r"the gallery: image_id \"a\" is there twice",
        ),
        (
            (SOME, {"embedding": SOME, "image_id": list("abc")}, 2),
            r"the gallery: column 'image_id' has 3 rows, 'embedding' has 5",
        ),
        (
            (SOME, {"embedding": SOME, "image_id": [1.5, 2, 3, 4, 5]}, 2),
            r"the gallery: column 'image_id' holds 1\.5 \(row 0\)",
        ),
        (
            (SOME, {"embedding": SOME, "image_id": ["a", 2, None, {}, 5]}, 2),
            r"the gallery: column 'image_id' must be text or whole numbers",
        ),
        ((SOME, "nowhere.parquet", 2), r"nowhere\.parquet: "),
    ],
)
def test_what_cannot_be_searched_is_refused(arguments: tuple[Any, ...], message: str) -> None:
    queries, gallery, depth, *score = arguments
    with pytest.raises(LookalikeError, match=message):
        search(queries, gallery, depth, score=score[0] if score else None)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_what_is_not_finite_is_named(side: int, value: float) -> None:
    sides = [normal(8, 3).astype(np.float64), normal(8, 3).astype(np.float64)]
    sides[side][[2, 5], 1] = value
    with pytest.raises(LookalikeError, match=r"embeddings of 2 image\(s\) hold NaN.*: 2, 5\."):
        search(sides[0], sides[1], 2)


def test_tables_of_two_models_are_refused(tmp_path: Path) -> None:
    one, other = (
        save(tmp_path / f"{digest}.parquet", normal(4, 3), "q", model_digest=digest, score="cosine")
        for digest in ("abc", "def")
    )
    with pytest.raises(LookalikeError, match=r"were not made for one another: the model is abc"):
        search(one, other, 2)
    assert json.dumps(search(one, one, 1).indices.tolist()) == "[[0], [1], [2], [3]]"
