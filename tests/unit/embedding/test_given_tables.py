"""Tables from elsewhere are taken where they fit the manifest, and refused in one message."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.data.manifest_table import SCHEMA
from lookalike.embedding.given_tables import FittingTable, given_tables
from lookalike.errors import LookalikeError
from lookalike.storage.files import write_parquet

IDS = {"query": ["a.png", "b/c.png", "d.png"], "gallery": ["1.png", "a.png", "é.png", "z.png"]}
LEFT_OUT = "bad.png"


def write_manifest_of(split: str, folder: Path, images: list[str]) -> Path:
    ids = sorted([*images, LEFT_OUT])
    columns: dict[str, list[Any]] = {name: [None] * len(ids) for name in SCHEMA.names}
    columns |= {
        "image_id": ids,
        "label": [None if name == LEFT_OUT else f"{len(name) % 3}" for name in ids],
        "sha256": [None if name == LEFT_OUT else f"hash of {name}" for name in ids],
        "status": ["unreadable" if name == LEFT_OUT else "ok" for name in ids],
    }
    path = folder / f"{split}.parquet"
    write_parquet(path, pa.table(columns, schema=SCHEMA))
    return path


def unit(n: int, width: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    vectors = np.random.default_rng(seed).normal(size=(n, width))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    one_long: np.ndarray[Any, np.dtype[np.float32]] = (vectors / lengths).astype(np.float32)
    return one_long


class Given:
    """Two tables, as good as they should be until a test changes one."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.images = folder, dict(IDS)
        self.columns: dict[str, dict[str, Any]] = {
            split: {"image_id": list(ids), "embedding": list(unit(len(ids), 5))}
            for split, ids in IDS.items()
        }
        self.metadata: dict[str, dict[str, str]] = {split: {} for split in IDS}

    def read(self, score: str | None = None) -> tuple[dict[str, FittingTable], str]:
        files, manifests = {}, {}
        for split, columns in self.columns.items():
            files[split] = self.folder / f"mine_{split}.parquet"
            told = {b"lookalike": json.dumps(self.metadata[split]).encode()}
            pq.write_table(pa.table(columns).replace_schema_metadata(told), files[split])
            manifests[split] = write_manifest_of(split, self.folder, self.images[split])
        return given_tables("dino", files, manifests, score)


@pytest.fixture
def tables(tmp_path: Path) -> Given:
    return Given(tmp_path)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(4)), st.permutations(range(4)), st.booleans())
def test_each_embedding_comes_to_its_image_whatever_the_order_of_rows(
    tables: Given, first: list[int], second: list[int], left_out: bool
) -> None:
    orders = {"query": [row for row in first if row < 3], "gallery": second}
    by_id: dict[str, dict[str, Any]] = {}
    for split, order in orders.items():
        ids, vectors = IDS[split], unit(len(IDS[split]), 5, seed=len(split))
        by_id[split] = dict(zip(ids, vectors, strict=True))
        tables.columns[split] = {
            "image_id": [ids[row] for row in order],
            "embedding": [vectors[row] for row in order],
        }
    if left_out:  # of an image that every run leaves out
        tables.columns["query"]["image_id"].insert(1, LEFT_OUT)
        tables.columns["query"]["embedding"].insert(1, np.full(5, np.nan, np.float32))
    found, score = tables.read()
    assert score == "cosine"
    assert found["query"].n_left_out == left_out
    for split, table in found.items():
        assert table.names["image_id"].to_pylist() == sorted(IDS[split])
        seen = {}
        for places, vectors in table.blocks():
            for place, vector in zip(places.tolist(), vectors, strict=True):
                seen[str(table.names["image_id"][place])] = vector
        assert seen.keys() == by_id[split].keys()
        assert all(np.array_equal(seen[name], by_id[split][name]) for name in seen)


def drop(tables: Given) -> None:
    for values in tables.columns["gallery"].values():
        del values[1]


def rename(tables: Given) -> None:
    tables.columns["gallery"]["image_id"][2] = "gallery/é.png"


def both(tables: Given) -> None:
    """One table of queries and gallery."""
    for column, values in tables.columns["query"].items():
        values += tables.columns["gallery"][column]
    for column, values in tables.columns["query"].items():
        del values[4]  # a.png is in both
        assert len(values) == 6, column


def repeat(tables: Given) -> None:
    tables.columns["query"]["image_id"].append("a.png")
    tables.columns["query"]["embedding"].append(unit(1, 5)[0])


def set_value(value: float) -> Callable[[Given], None]:
    def change(tables: Given) -> None:
        tables.columns["gallery"]["embedding"][3][2] = value

    return change


def wide(tables: Given) -> None:
    tables.columns["gallery"]["embedding"] = list(unit(4, 6))


def ragged(tables: Given) -> None:
    tables.columns["gallery"]["embedding"][1] = unit(1, 6)[0]


def null(tables: Given) -> None:
    tables.columns["gallery"]["embedding"][1] = None


def long(tables: Given) -> None:
    tables.columns["query"]["embedding"][0] *= 2


def labels(tables: Given) -> None:
    tables.columns["query"]["label"] = ["2", "1", "1"]


def contents(tables: Given) -> None:
    tables.columns["query"]["sha256"] = ["hash of a.png", "hash of b/c.png", "older"]


def two_models(tables: Given) -> None:
    for split in IDS:
        tables.metadata[split] = {"model_digest": split, "score": "cosine"}


def without_ids(tables: Given) -> None:
    del tables.columns["query"]["image_id"]


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (drop, ["mine_gallery", "1 of 4 gallery images have no embedding", '"a.png"', "Embed"]),
        (
            rename,
            ["no embedding", '"é.png"', "no gallery image", '"gallery/é.png"', "leave the other"],
        ),
        (both, ["mine_query", "3 rows are of no query image", '"1.png"', "Leave the other rows"]),
        (repeat, ["mine_query", "more than once", '"a.png"', "Keep one row"]),
        (set_value(np.nan), ["mine_gallery", "NaN", '"z.png"', "anew"]),
        (set_value(-np.inf), ["mine_gallery", "infinity", '"z.png"', "anew"]),
        (wide, ["mine_query", "5 values", "mine_gallery", "of 6", "one model"]),
        (ragged, ["mine_gallery", '"a.png"', "6 values", "5"]),
        (null, ["mine_gallery", '"a.png"', "no embedding"]),
        (long, ["recipes.dino", "cannot be told", "score: cosine", "score: euclidean"]),
        (labels, ["mine_query", "label of 1 image", '"d.png"', "is 1 here and 2 there", "label"]),
        (contents, ["mine_query", "sha256 of 1 image", '"d.png"', "older", "as they are now"]),
        (two_models, ["not made for one another", "model is query", "one model"]),
        (without_ids, ["mine_query", "no column 'image_id'"]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_does_not_fit_is_refused_with_the_file_and_the_remedy(
    tables: Given, change: Callable[[Given], None], parts: list[str]
) -> None:
    assert tables.read()[1] == "cosine"
    change(tables)
    with pytest.raises(LookalikeError) as caught:
        tables.read()
    said = str(caught.value)
    assert [part for part in parts if part not in said] == [], said
    assert "\n" not in said


def test_a_number_beyond_float32_is_no_embedding(tables: Given) -> None:
    tables.columns["gallery"]["embedding"] = [row.astype(float) * 1e300 for row in unit(4, 5)]
    with pytest.raises(LookalikeError, match=r"mine_gallery.*infinity"):
        tables.read("cosine")


def test_labels_and_hashes_that_agree_or_are_empty_are_taken(tables: Given) -> None:
    tables.columns["query"] |= {"label": [2, None, 2], "sha256": pa.nulls(3, pa.string())}
    tables.columns["gallery"]["label"] = pa.array(["2", "2", "2", "2"]).dictionary_encode()
    tables.read()


def test_what_tables_state_or_the_recipe_says_compares_them(tables: Given) -> None:
    long(tables)
    assert tables.read("euclidean")[1] == "euclidean"
    assert tables.read("cosine")[1] == "cosine"
    for split in IDS:
        tables.metadata[split] = {"score": "euclidean"}
    assert tables.read()[1] == "euclidean"
    assert tables.read("cosine")[1] == "cosine"


def test_numbers_as_ids_are_their_decimal_text(tables: Given) -> None:
    tables.images["gallery"] = ["7", "10", "0", "3"]
    tables.columns["gallery"]["image_id"] = [7.0, 10.0, 0.0, 3.0]
    found, _ = tables.read()
    assert found["gallery"].names["image_id"].to_pylist() == ["0", "10", "3", "7"]
    assert found["gallery"].places.tolist() == [3, 1, 0, 2]
