from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lookalike.embedding.tables import (
    is_exact_in_float32,
    read_metadata,
    read_names,
    read_vectors,
    write_embeddings,
)
from lookalike.errors import LookalikeError
from lookalike.storage.parquet import read_frame, read_table

METADATA = {"model_digest": "abc", "image": {"size": 32}, "score": "cosine", "version": "0.1.0"}
VECTORS = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
IDS = [f"folder/é {i}.png" for i in range(5)]
LABELS = ["7", "7", "8", "9", "8"]


def columns(**changed: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {"image_id": IDS, "label": LABELS, "embedding": VECTORS.tolist()}
    return {name: values for name, values in (whole | changed).items() if values is not None}


def saved(path: Path, table: pa.Table | dict[str, Any]) -> Path:
    pq.write_table(pa.table(table), path)
    return path


def read(path: Path, rows: int = 100) -> tuple[list[str], list[str], list[Any]]:
    """Ids, labels and blocks of vectors."""
    names = read_names(path, ["image_id", "label"])
    blocks = list(read_vectors(path, rows=rows))
    return names["image_id"].to_pylist(), names["label"].to_pylist(), blocks


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "made" / "query.parquet"
    sha256s = [f"{i:064x}" for i in range(5)]
    write_embeddings(path, IDS, LABELS, sha256s, VECTORS, METADATA)
    assert pq.read_schema(path).field("embedding").type == pa.list_(pa.float32(), 3)
    assert pq.read_schema(path).names == ["image_id", "label", "sha256", "embedding"]
    assert json.loads(pq.read_schema(path).metadata[b"lookalike"]) == METADATA
    assert read_metadata(path) == METADATA
    ids, labels, blocks = read(path, rows=2)
    assert (ids, labels) == (IDS, LABELS)
    assert read_names(path, ["sha256"])["sha256"].to_pylist() == sha256s
    assert [len(block) for block in blocks] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate(blocks), VECTORS)
    frame = pd.read_parquet(path)
    np.testing.assert_array_equal(np.stack(list(frame["embedding"])), VECTORS)


def test_equal_tables_are_equal_bytes(tmp_path: Path) -> None:
    for name, metadata in (("a", METADATA), ("b", dict(reversed(METADATA.items())))):
        write_embeddings(tmp_path / name, IDS, LABELS, IDS, VECTORS, metadata)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    "embedding",
    [
        pa.array(VECTORS.tolist(), pa.list_(pa.float64())),
        pa.array(VECTORS.tolist(), pa.large_list(pa.float32())),
        pa.array(VECTORS.tolist(), pa.list_(pa.float64(), 3)),
        pa.FixedShapeTensorArray.from_numpy_ndarray(VECTORS),
        pa.chunked_array([pa.array(VECTORS[:1].tolist()), pa.array(VECTORS[1:].tolist())]),
    ],
    ids=["list of double", "large list", "fixed list of double", "tensor", "chunks"],
)
@pytest.mark.parametrize(
    "label",
    [
        LABELS,
        [int(label) for label in LABELS],
        pa.array(LABELS).dictionary_encode(),
        pa.array(LABELS, pa.large_string()),
        pa.array(LABELS, pa.string_view()),
        pa.array([int(label) for label in LABELS], pa.uint8()),
        [float(label) for label in LABELS],
        pa.array([float(label) for label in LABELS], pa.float32()),
        np.array(LABELS, np.float16),
        pa.array([float(label) for label in LABELS]).dictionary_encode(),
        [Decimal(label) for label in LABELS],
        [Decimal(f"{label}.000") for label in LABELS],
    ],
    ids=[
        *("text", "int", "dictionary", "large text", "text view", "uint8", "double", "float"),
        *("half", "dictionary of doubles", "decimal", "decimal with a fraction"),
    ],
)
def test_any_writers_types_are_read_alike(tmp_path: Path, embedding: Any, label: Any) -> None:
    path = saved(tmp_path / "x.parquet", columns(embedding=embedding, label=label))
    ids, labels, (vectors,) = read(path)
    assert (ids, labels) == (IDS, LABELS)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, VECTORS)


def test_half_precision_and_pandas_tables_are_read(tmp_path: Path) -> None:
    half = list(VECTORS.astype(np.float16))
    pd.DataFrame(columns(embedding=half)).to_parquet(tmp_path / "half.parquet")
    _, _, (vectors,) = read(tmp_path / "half.parquet")
    np.testing.assert_array_equal(vectors, VECTORS.astype(np.float16).astype(np.float32))
    assert read_metadata(tmp_path / "half.parquet") == {}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (columns(label=None), "no column 'label'.*image_id, embedding"),
        (columns(embedding=[1.0] * 5), "'embedding' is of type double"),
        (columns(embedding=[["a"]] * 5), "'embedding' is of type list<.*string>"),
        (columns(embedding=[[1.0, 2.0]] * 4 + [[1.0]]), '"folder/é 4.png" has 1 values.*2'),
        (columns(embedding=[[1.0, 2.0]] * 4 + [None]), '"folder/é 4.png" has no embedding'),
        (
            columns(embedding=[[1.0, None]] * 5),
            'empty values inside the embeddings of 5 image.*"folder/é 0.png"',
        ),
        (columns(embedding=pa.array([[]] * 5, pa.list_(pa.float32()))), "length 0"),
        (columns(label=["a", None, "b", "c", "d"]), "'label' has empty values"),
        (columns(image_id=["a", None, "b", "c", "d"]), "'image_id' has empty values"),
        (columns(label=[1.0, 2.0, 7.5, 4.0, 5.0]), "'label' holds 7.5 .*é 2.png.*whole"),
        (columns(label=[1.0, float("nan"), 3.0, 4.0, 5.0]), "'label' holds nan .*é 1.png"),
        (columns(label=[1.0, 2.0, float("-inf"), 4.0, 5.0]), "'label' holds -inf"),
        (columns(label=[2.0**53 + 2] * 5), "'label' holds 9007199254740994.0"),
        (columns(label=[Decimal("1.50")] * 5), "'label' holds 1.50"),
        (columns(label=[datetime.date(2020, 1, 1)] * 5), "'label' is of type date32"),
        (columns(label=[True] * 5), "'label' is of type bool"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(
    tmp_path: Path, table: dict[str, Any], message: str
) -> None:
    path = saved(tmp_path / "bad.parquet", table)
    with pytest.raises(LookalikeError, match=message) as error:
        read(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("name", ["image_id", "label", "embedding", "sha256"])
def test_a_column_that_is_there_twice_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    table = pa.table(columns(sha256=IDS))
    path = saved(tmp_path / "bad.parquet", table.append_column(name, table[name]))
    readers: list[Callable[[], Any]] = [
        lambda: read_table(path),
        lambda: read_table(path, [name]),
        lambda: read_frame(path),
    ]
    if name == "embedding":
        readers += [lambda: list(read_vectors(path)), lambda: is_exact_in_float32(path)]
    else:
        readers += [lambda: read_names(path, [name])]
    for reader in readers:
        with pytest.raises(LookalikeError, match=rf"bad\.parquet: there are 2 columns '{name}'"):
            reader()
    others = [other for other in ("image_id", "label", "sha256") if other != name]
    assert read_names(path, others)[others[0]].to_pylist() == table[others[0]].to_pylist()


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.list_(pa.float32(), 4096)])
def test_few_bytes_are_in_memory_however_well_they_were_compressed(
    tmp_path: Path, kind: pa.DataType
) -> None:
    """Equal numbers take next to no room in the file."""
    n, width = 2100, 4096
    flat = pa.array(np.ones(n * width), kind.value_type)
    vectors = (
        pa.FixedSizeListArray.from_arrays(flat, width)
        if pa.types.is_fixed_size_list(kind)
        else pa.ListArray.from_arrays(np.arange(n + 1, dtype=np.int32) * width, flat)
    )
    path = saved(tmp_path / "x.parquet", {"embedding": vectors})
    assert path.stat().st_size < n * width // 10
    assert [len(block) for block in read_vectors(path)] == [1024, 1024, 52]


def test_lengths_are_compared_across_blocks(tmp_path: Path) -> None:
    path = saved(tmp_path / "bad.parquet", columns(embedding=[[1.0, 2.0]] * 3 + [[1.0]] * 2))
    with pytest.raises(LookalikeError, match=r'"folder/é 3.png" has 1 values where others have 2'):
        read(path, rows=3)


def test_the_odd_one_out_is_named_even_where_it_is_the_first(tmp_path: Path) -> None:
    path = saved(tmp_path / "bad.parquet", columns(embedding=[[1.0]] + [[1.0, 2.0]] * 4))
    with pytest.raises(LookalikeError, match="has 1 values where others have 2"):
        read(path)


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    text = tmp_path / "text.parquet"
    text.write_text("not parquet")
    with pytest.raises(LookalikeError, match="not a readable parquet"):
        read(text)
    with pytest.raises(LookalikeError, match="no such file"):
        read_metadata(tmp_path / "absent.parquet")
    text.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0a\nsize 9\n")
    with pytest.raises(LookalikeError, match=r"text\.parquet: it is a Git LFS .*git lfs pull"):
        read(text)
    table = pa.table(columns()).replace_schema_metadata({"lookalike": "[1]"})
    with pytest.raises(LookalikeError, match="not a JSON object"):
        read_metadata(saved(tmp_path / "strange.parquet", table))
