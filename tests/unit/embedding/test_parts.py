"""Tables in a folder of part files, as Spark, Dask, polars, pandas and Arrow lay them out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from lookalike.embedding.parts import parts_of
from lookalike.embedding.tables import read_metadata, read_names, read_vectors
from lookalike.errors import LookalikeError
from lookalike.retrieval.output_place import OUTPUTS
from lookalike.retrieval.settings import MetricsSettings
from lookalike.steps.metrics import evaluate_files

N = 60
VECTORS = np.random.default_rng(0).normal(size=(N, 4)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)
LABELS = [("0 1/2", "ü=%", "7")[i % 3] for i in range(N)]
WHOLE = pa.table(
    {
        "image_id": [f"{i}.png" for i in range(N)],
        "label": LABELS,
        "embedding": pa.array(VECTORS.tolist(), pa.list_(pa.float32())),
    }
)
TWELVE = [(place, place + 5) for place in range(0, N, 5)]


def spark(folder: Path) -> None:
    """Parts, checksums beside them, a note that all are there; one part has no rows."""
    for part, (start, end) in enumerate([*TWELVE, (N, N)]):
        name = f"part-{part:05}-1f2e-c000.snappy.parquet"
        pq.write_table(WHOLE[start:end], folder / name, compression="snappy")
        (folder / f".{name}.crc").write_bytes(b"crc\0")
    (folder / "_SUCCESS").touch()
    for litter in ("Thumbs.db", "desktop.ini", ".DS_Store"):
        (folder / litter).write_bytes(b"x")
    (folder / "@eaDir").mkdir()
    (folder / "._SUCCESS.crc").write_bytes(b"crc\0")


def dask(folder: Path) -> None:
    """Numbers without zeros before them, and two files of metadata; no rows make null columns."""
    found: list[Any] = []
    for part, (start, end) in enumerate(TWELVE):
        name = f"part.{part}.parquet"
        pq.write_table(WHOLE[start:end], folder / name, metadata_collector=found)
        found[-1].set_file_path(name)
    pq.write_metadata(WHOLE.schema, folder / "_common_metadata")
    pq.write_metadata(WHOLE.schema, folder / "_metadata", metadata_collector=found)
    empty = pa.table({name: pa.nulls(0) for name in WHOLE.column_names})
    pq.write_table(empty, folder / "part.12.parquet")


def polars(folder: Path) -> None:
    """Hexadecimal numbers; large lists and views of text."""
    schema = pa.schema(
        {
            "image_id": pa.string_view(),
            "label": pa.large_string(),
            "embedding": pa.large_list(pa.float32()),
        }
    )
    for part, (start, end) in enumerate(TWELVE):
        pq.write_table(WHOLE[start:end].cast(schema), folder / f"{part:08x}.parquet")


def arrow(folder: Path) -> None:
    pa.dataset.write_dataset(
        WHOLE, folder, format="parquet", max_rows_per_file=5, max_rows_per_group=5
    )


def one_part(folder: Path) -> None:
    pq.write_table(WHOLE, folder / "0.parquet")


def read(path: Path) -> tuple[list[str], list[str], Any]:
    names = read_names(path, ["image_id", "label"])
    vectors = np.concatenate(list(read_vectors(path)))
    return names["image_id"].to_pylist(), names["label"].to_pylist(), vectors


@pytest.mark.parametrize("write", [spark, dask, polars, arrow, one_part])
def test_a_folder_of_parts_is_the_table_it_was_cut_from(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    folder = tmp_path / "g.parquet"
    folder.mkdir()
    write(folder)
    ids, labels, vectors = read(folder)
    assert (ids, labels) == (WHOLE["image_id"].to_pylist(), LABELS)
    np.testing.assert_array_equal(vectors, VECTORS)
    assert read_metadata(folder) == {}


def by_pandas(folder: Path) -> None:
    WHOLE.to_pandas().to_parquet(folder, partition_cols=["label"])


def by_arrow(folder: Path) -> None:
    pa.dataset.write_dataset(
        WHOLE, folder, format="parquet", partitioning=["label"], partitioning_flavor="hive"
    )


def with_the_column_kept(folder: Path) -> None:
    """As polars does: the column is in the folder's name, and in the file."""
    for label in set(LABELS):
        own = WHOLE.filter(pa.compute.equal(WHOLE["label"], label))
        place = folder / f"label={''.join(f'%{byte:02X}' for byte in label.encode())}"
        place.mkdir()
        pq.write_table(own, place / "00000000.parquet")


@pytest.mark.parametrize("write", [by_pandas, by_arrow, with_the_column_kept])
def test_labels_in_the_names_of_folders_are_read(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    folder = tmp_path / "g"
    folder.mkdir()
    write(folder)
    assert any(path.is_dir() for path in folder.iterdir())
    ids, labels, vectors = read(folder)
    assert dict(zip(ids, labels, strict=True)) == dict(
        zip(WHOLE["image_id"].to_pylist(), LABELS, strict=True)
    )
    np.testing.assert_array_equal(vectors, VECTORS[[int(name.split(".")[0]) for name in ids]])


def in_folders(folder: Path, labels: dict[str, Any], *, column: bool = False) -> Path:
    """A part a folder `label=name`, of one row; its own column holds the value, or is not there."""
    for place, (name, label) in enumerate(labels.items()):
        inside = folder / f"label={name}"
        inside.mkdir(parents=True)
        row = {"image_id": [f"{place}.png"], "embedding": [[1.0]]}
        pq.write_table(pa.table(row | ({"label": [label]} if column else {})), inside / "0.parquet")
    return folder


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        # Spark spells a column of doubles as Java does.
        (["1.0", "-7.0", "0.0", "1.2345678E7"], [1.0, -7.0, 0.0, 12345678.0]),
        # Not the names of a column of whole numbers with a point: text, as it stands.
        (["1.0", "1.5", "2.0"], ["1.0", "1.5", "2.0"]),
        (["1.0", "a"], ["1.0", "a"]),
        (["007", "1"], ["007", "1"]),
        (["1_0.0", "1.0"], ["1.0", "1_0.0"]),
    ],
)
def test_folders_named_by_a_column_are_read_as_the_column(
    tmp_path: Path, names: list[str], expected: list[Any]
) -> None:
    folder = in_folders(tmp_path / "g", dict.fromkeys(names))
    pq.write_table(pa.table({"label": expected}), tmp_path / "plain.parquet")
    plain = read_names(tmp_path / "plain.parquet", ["label"])["label"].to_pylist()
    assert sorted(read_names(folder, ["label"])["label"].to_pylist()) == sorted(plain)


@pytest.mark.parametrize(
    ("name", "own", "agree"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("1.0", 1.0, True),
        ("1.0", "1.0", True),
        ("1", 1.0, True),
        ("01", 1, True),
        ("01", "1", False),
        ("1", 2, False),
        ("__HIVE_DEFAULT_PARTITION__", "a", False),
    ],
)
def test_a_column_that_its_folder_contradicts_is_refused(
    tmp_path: Path, name: str, own: Any, agree: bool
) -> None:
    folder = in_folders(tmp_path / "g", {name: own}, column=True)
    if agree:
        assert read_names(folder, ["label"])["label"].to_pylist() == ["1" if own == 1 else own]
        return
    with pytest.raises(LookalikeError, match=rf"label={name}/0\.parquet.*row 0, but its folder"):
        read_names(folder, ["label"])


def test_results_are_those_of_the_whole_table(tmp_path: Path) -> None:
    pq.write_table(WHOLE[:17], tmp_path / "q.parquet")
    pq.write_table(WHOLE, tmp_path / "g.parquet")
    (tmp_path / "parts").mkdir()
    spark(tmp_path / "parts")
    made = []
    for gallery in ("g.parquet", "parts"):
        evaluate_files(
            tmp_path / "q.parquet",
            tmp_path / gallery,
            tmp_path / "out" / gallery,
            MetricsSettings(k=[1, 5], exclude="same_id", bootstrap=0),
        )
        made.append([(tmp_path / "out" / gallery / name).read_bytes() for name in OUTPUTS])
    assert made[0] == made[1]


def test_small_parts_are_joined(tmp_path: Path) -> None:
    spark(tmp_path)
    assert [len(block) for block in read_vectors(tmp_path, rows=17)] == [15, 15, 15, 15]
    assert [len(block) for block in read_vectors(tmp_path)] == [N]


def a_part(folder: Path, name: str, **changed: Any) -> None:
    columns = {name: WHOLE[name] for name in WHOLE.column_names} | changed
    table = pa.table({name: column for name, column in columns.items() if column is not None})
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / name)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: (d / "part-9.parquet").write_text("x"), "part-9.parquet: not a readable parq"),
        (lambda d: (d / "README.txt").write_text("x"), "README.txt: not a readable parquet"),
        (lambda d: a_part(d, "part-9.parquet", label=None), "part-9.parquet: .*no column 'label'"),
        (lambda d: a_part(d, "part-9.parquet", embedding=None), "part-9.*no column 'embedding'"),
        (
            lambda d: a_part(d, "part-9.parquet", label=list(range(N))),
            "'label' holds text in part-0.parquet and numbers in part-9.parquet",
        ),
        (
            lambda d: a_part(d, "part-9.parquet", embedding=[[1.0, 2.0]] * N),
            'part-9.parquet: .*"0.png" has 2 values where others have 4',
        ),
        (lambda d: (d / "_delta_log").mkdir(), "is a Delta table"),
        (lambda d: (d / ".hoodie").mkdir(), "is a Hudi table"),
        (lambda d: (d / "_temporary").mkdir(), "not been written to its end"),
        (lambda d: a_part(d, "sub/part.parquet"), "sub: a folder inside a table is named column="),
        (lambda d: a_part(d, "x=1/x=1/part.parquet"), "each column once"),
        (
            lambda d: a_part(d, "label=__HIVE_DEFAULT_PARTITION__/0.parquet", label=None),
            "'label' has empty values, as its folder says",
        ),
        (lambda d: (d / "part-0.parquet").unlink(), "the folder holds no part files"),
    ],
)
def test_a_folder_that_is_no_table_says_which_part_and_why(
    tmp_path: Path, spoil: Callable[[Path], Any], message: str
) -> None:
    a_part(tmp_path, "part-0.parquet")
    spoil(tmp_path)
    with pytest.raises(LookalikeError, match=message) as error:
        read(tmp_path)
    assert str(tmp_path) in str(error.value)


def test_parts_of_two_models_are_no_table(tmp_path: Path) -> None:
    for part, digest in enumerate(("a", "a", "b")):
        note = {"lookalike": json.dumps({"model_digest": digest, "score": "cosine"})}
        pq.write_table(WHOLE.replace_schema_metadata(note), tmp_path / f"{part}.parquet")
    with pytest.raises(LookalikeError, match=r"0\.parquet and 2\.parquet name another model"):
        read_metadata(tmp_path)
    (tmp_path / "2.parquet").unlink()
    assert read_metadata(tmp_path) == {"model_digest": "a", "score": "cosine"}


def test_parts_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    names = [f"part.{number}.parquet" for number in (0, 1, 2, 9, 10, 11, 100)]
    for name in reversed(names):
        (tmp_path / name).touch()
    assert [part.path.name for part in parts_of(tmp_path)] == names


def test_a_folder_named_column_equals_value_above_a_file_adds_no_column(tmp_path: Path) -> None:
    (tmp_path / "label=x").mkdir()
    pd.DataFrame({"image_id": ["a"]}).to_parquet(tmp_path / "label=x" / "g.parquet")
    with pytest.raises(LookalikeError, match="no column 'label'"):
        read_names(tmp_path / "label=x" / "g.parquet", ["label"])
