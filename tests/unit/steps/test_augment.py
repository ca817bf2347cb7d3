"""Augmentation, expansion and scaling of tables in which queries are gallery images, too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from lookalike.embedding.tables import read_metadata, read_vectors, write_embeddings
from lookalike.retrieval.candidates import Candidates
from lookalike.retrieval.scores import normalised
from lookalike.steps.augment import augment_gallery
from lookalike.steps.expand import expand_queries
from lookalike.steps.scale import scale_distances
from lookalike.storage.files import read_json, write_parquet
from support.ranked import normal

BY = {"k": 3, "alpha": 2.0}
NO_FOLDERS = (None, None)


def save(path: Path, rows: NDArray[np.float32], contents: list[str]) -> Path:
    names = [f"{path.stem}{at}" for at in range(len(rows))]
    metadata = {"model_digest": "a" * 32, "score": "cosine", "image": {}, "version": "1"}
    write_embeddings(path, names, ["x"] * len(rows), contents, normalised(rows), metadata)
    return path


def vectors(path: Path) -> NDArray[np.float32]:
    return np.concatenate(list(read_vectors(path)))


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, Path]:
    """Queries, a gallery, and the same gallery with the queries' own images at its end."""
    queries, gallery = normal(6, 4, seed=1), normal(25, 4, seed=2)
    own, others = [f"q{at}" for at in range(6)], [f"g{at}" for at in range(25)]
    return {
        "query": save(tmp_path / "query.parquet", queries, own),
        "gallery": save(tmp_path / "gallery.parquet", gallery, others),
        "both": save(
            tmp_path / "both.parquet", np.concatenate([gallery, queries]), [*others, *own]
        ),
    }


def test_a_query_is_not_joined_by_itself(tables: dict[str, Path], tmp_path: Path) -> None:
    queries, gallery = vectors(tables["query"]), vectors(tables["both"])
    one = save(tmp_path / "one.parquet", queries[:1], ["q0"])
    others = np.arange(31) != 25
    contents = [*(f"g{at}" for at in range(25)), *(f"q{at}" for at in range(1, 6))]
    without = save(tmp_path / "without.parquet", gallery[others], contents)
    made, summary = {}, tmp_path / "search.json"
    for table, exclude in (
        (without, "none"),
        (tables["both"], "same_content"),
        (tables["both"], "none"),
    ):
        output = tmp_path / f"{table.stem}_{exclude}"
        expand_queries(one, table, output, summary, BY, Candidates(exclude, NO_FOLDERS))
        made[table.stem, exclude] = vectors(output)
    np.testing.assert_allclose(made["both", "same_content"], made["without", "none"], atol=1e-6)
    assert not np.allclose(made["both", "none"], made["without", "none"], atol=1e-3)
    assert read_json(summary) == {"dim": 4, "bytes_per_image": 16, "joined": 3.0}


def test_a_query_is_not_found_in_what_joins_others(tables: dict[str, Path], tmp_path: Path) -> None:
    made = {}
    for name, exclude in (("gallery", "none"), ("both", "same_content"), ("both", "none")):
        output = tmp_path / f"{name}_{exclude}"
        augment_gallery(
            tables["query"],
            tables[name],
            output,
            tmp_path / f"{name}.json",
            BY,
            Candidates(exclude, NO_FOLDERS),
        )
        made[name, exclude] = vectors(output)[:25]
    expected = made["gallery", "none"]
    assert made["both", "same_content"].tobytes() == expected.tobytes()
    assert not np.allclose(made["both", "none"], expected, atol=1e-3)
    # It can be compared with the queries as they are.
    assert read_metadata(output) == read_metadata(tables["query"])


def test_where_every_image_is_a_query_augmentation_says_that_it_changes_nothing(
    tables: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output, summary = tmp_path / "out.parquet", tmp_path / "search.json"
    candidates = Candidates("same_content", NO_FOLDERS)
    augment_gallery(tables["gallery"], tables["gallery"], output, summary, BY, candidates)
    np.testing.assert_allclose(vectors(output), vectors(tables["gallery"]), atol=1e-7)
    assert "augmentation changes nothing" in caplog.text
    assert (read_json(summary)["lenders"], read_json(summary)["joined"]) == (0, 0.0)


@pytest.mark.parametrize("exclude", ["same_content", "none"])
def test_each_is_none_of_its_own_neighbours_when_distances_are_scaled(
    tables: dict[str, Path], tmp_path: Path, exclude: str
) -> None:
    outputs = tmp_path / "q.parquet", tmp_path / "g.parquet"
    summary = tmp_path / "search.json"
    candidates = Candidates(exclude, NO_FOLDERS)
    scale_distances(tables["query"], tables["both"], outputs, summary, {"k": 1}, candidates)
    queries, gallery = map(vectors, (tables["query"], tables["both"]))
    cosines = queries.astype(np.float64) @ gallery.T
    if exclude == "same_content":
        cosines[np.arange(6), np.arange(25, 31)] = -2
    of_query = np.sqrt((4 - (2 - 2 * cosines.max(axis=1))) / 2)
    np.testing.assert_allclose(vectors(outputs[0])[:, 4], of_query, atol=1e-6)
    own = gallery.astype(np.float64) @ gallery.T - 3 * np.eye(31)
    of_item = np.sqrt((4 - (2 - 2 * own.max(axis=1))) / 2)
    np.testing.assert_allclose(vectors(outputs[1])[:, 5], of_item, atol=1e-6)
    assert read_json(summary) == {"dim": 6, "bytes_per_image": 24}
    stated = [read_metadata(path) for path in outputs]
    assert stated[0] == stated[1]
    assert stated[0]["score"] == "euclidean"
    assert stated[0]["model_digest"] != read_metadata(tables["query"])["model_digest"]


def test_neighbours_are_of_the_images_own_category(tables: dict[str, Path], tmp_path: Path) -> None:
    sizes, parts = {"query": 6, "gallery": 25}, {}
    known, split = {}, {}
    for name, n in sizes.items():
        categories = ["odd" if at % 2 else "even" for at in range(n)]
        known[name] = tmp_path / f"{name}_attributes.parquet"
        ids = [f"{name}{at}" for at in range(n)]
        write_parquet(known[name], pa.table({"image_id": ids, "category": categories}))
        split[name] = np.arange(n) % 2 == 1
        for odd in (False, True):
            rows = vectors(tables[name])[split[name] == odd]
            contents = [f"{name}{odd}{at}" for at in range(len(rows))]
            parts[name, odd] = save(tmp_path / f"{name}{odd}.parquet", rows, contents)
    files = (known["query"], known["gallery"])
    both = Candidates("none", NO_FOLDERS, ["category"], files)
    alone = Candidates("none", NO_FOLDERS)
    summary = tmp_path / "search.json"

    def make(step: str, of: Sequence[Path], made: Sequence[Path], among: Candidates) -> None:
        if step == "expanded":
            expand_queries(of[0], of[1], made[0], summary, BY, among)
        elif step == "augmented":
            augment_gallery(of[0], of[1], made[1], summary, BY, among)
        else:
            scale_distances(of[0], of[1], (made[0], made[1]), summary, {"k": 2}, among)

    for step, made_of in (("expanded", [0]), ("augmented", [1]), ("scaled", [0, 1])):
        together = (tmp_path / f"{step}_q", tmp_path / f"{step}_g")
        make(step, (tables["query"], tables["gallery"]), together, both)
        for odd in (False, True):
            apart = (tmp_path / f"{step}_q{odd}", tmp_path / f"{step}_g{odd}")
            make(step, (parts["query", odd], parts["gallery", odd]), apart, alone)
            for side in made_of:
                name = ("query", "gallery")[side]
                rows = vectors(together[side])[split[name] == odd]
                np.testing.assert_allclose(rows, vectors(apart[side]), atol=1e-6)
