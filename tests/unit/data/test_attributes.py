from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.data.attributes import (
    about_attributes,
    attribute_table,
    findings_on_attributes,
    read_attributes,
    require_columns_named,
    with_attributes,
)
from lookalike.errors import LookalikeError


def csv_of(folder: Path, text: str, name: str = "attributes.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_values_are_text_and_what_is_empty_is_none(tmp_path: Path) -> None:
    path = csv_of(
        tmp_path,
        "split,image_id,camera,source\n"
        "query,a.png,1,web\n"
        "Gallery,sub/./b.png,007,\n"
        'gallery,"c,1.png", ,\u3164\n',
    )
    found = read_attributes(path)
    assert found.columns == ["camera", "source"]
    assert found.rows["query"] == {"a.png": {"camera": "1", "source": "web"}}
    assert found.rows["gallery"] == {
        "sub/b.png": {"camera": "007", "source": None},
        "c,1.png": {"camera": None, "source": None},
    }
    assert found.rows["train"] == {}


VALUES: list[tuple[Any, str | None]] = [
    (7, "7"),
    (7.0, "7"),
    (7.5, "7.5"),
    (float("nan"), None),
    (None, None),
    (True, "true"),
    ("x", "x"),
    ("", None),
]


@pytest.mark.parametrize(("value", "text"), VALUES)
def test_numbers_of_parquet_are_their_text(tmp_path: Path, value: Any, text: str | None) -> None:
    path = tmp_path / "known.parquet"
    rows = [{"split": "query", "image_id": "a.png", "camera": value}]
    pq.write_table(pa.Table.from_pylist(rows), path)
    assert read_attributes(path).rows["query"] == {"a.png": {"camera": text}}


@settings(derandomize=True, deadline=None, max_examples=50)
@given(data=st.data())
def test_csv_and_parquet_say_what_pandas_reads(data: st.DataObject, tmp_path_factory: Any) -> None:
    folder: Path = tmp_path_factory.mktemp("tables")
    name = st.text("ab1. ", min_size=1, max_size=3).map(lambda text: f"{text}x.png")
    ids = data.draw(st.lists(name, min_size=1, max_size=6, unique=True))
    word = st.sampled_from(["", "1", "c 2", "ü,;", "line\nbreak"])
    frame = pd.DataFrame(
        {
            "image_id": ids,
            "camera": data.draw(st.lists(word, min_size=len(ids), max_size=len(ids))),
            "split": data.draw(
                st.lists(
                    st.sampled_from(["train", "query", "gallery"]),
                    min_size=len(ids),
                    max_size=len(ids),
                )
            ),
        }
    )
    frame.to_csv(folder / "a.csv", index=False, quoting=csv.QUOTE_ALL)
    frame.to_parquet(folder / "a.parquet", index=False)
    one, other = (read_attributes(folder / f"a.{ending}") for ending in ("csv", "parquet"))
    assert (one.columns, one.rows) == (other.columns, other.rows)
    for row in frame.to_dict("records"):
        assert one.rows[row["split"]][row["image_id"]] == {"camera": row["camera"] or None}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("split,image,camera\n", "there is no column \"image_id\"; did you mean 'image'?"),
        ("image_id,camera\na,1\n", 'there is no column "split"'),
        ("", "its columns are none"),
        ("split,image_id,camera,camera\n", 'there are 2 columns "camera"'),
        ("split,image_id, \n", "column 3 has no name"),
        (
            "split,image_id,camera\nquery,a,1\n\nqery,b,2\n",
            "line 4: column 'split' holds \"qery\", which is not one of train, query, gallery; did "
            "you mean 'query'?",
        ),
        ("split,image_id,camera\ntest,a,1\n", "line 2: column 'split' holds \"test\""),
        ("split,image_id,camera\nquery,,1\n", "line 2: column 'image_id' is empty"),
        (
            "split,image_id,camera\nquery,a,1\nquery,./a,2\n",
            'line 3: query image ./a is listed before with another value in column "camera"',
        ),
        ("split,image_id,camera\nquery,a\n", "line 2 has 2 values, and the first line names 3"),
    ],
)
def test_a_table_that_cannot_be_used_is_named_with_the_row(
    tmp_path: Path, text: str, says: str
) -> None:
    path = csv_of(tmp_path, text)
    with pytest.raises(LookalikeError) as error:
        read_attributes(path)
    assert says in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("value", "says"),
    [([1], 'row 1: column "camera" holds a list'), ({"a": 1}, "holds a dict"), (b"a", "bytes")],
)
def test_values_that_are_no_text_are_refused(tmp_path: Path, value: Any, says: str) -> None:
    path = tmp_path / "known.parquet"
    rows = [{"split": "query", "image_id": "a.png", "camera": value}]
    pq.write_table(pa.Table.from_pylist(rows), path)
    with pytest.raises(LookalikeError, match=says):
        read_attributes(path)


def test_an_equal_row_counts_once_and_other_files_are_no_tables(tmp_path: Path) -> None:
    path = csv_of(tmp_path, "split;image_id;camera\nquery;a;1\nquery;a;1\n")
    assert read_attributes(path).rows["query"] == {"a": {"camera": "1"}}
    with pytest.raises(LookalikeError, match="is no table: a table's name ends in"):
        read_attributes(csv_of(tmp_path, "", "attributes.json"))
    with pytest.raises(LookalikeError, match="cannot be read"):
        read_attributes(tmp_path / "gone.csv")


def test_the_nearest_column_is_told(tmp_path: Path) -> None:
    path = csv_of(tmp_path, "split,image_id,camera,category\nquery,a,1,x\n")
    require_columns_named(path, {"metrics.within": ["category"], "report.slices": ["camera"]})
    with pytest.raises(LookalikeError) as error:
        require_columns_named(path, {"metrics.within": ["categry"]})
    assert "metrics.within" in str(error.value)
    assert "has no column \"categry\"; did you mean 'category'?" in str(error.value)


def test_a_split_s_table_follows_its_images(tmp_path: Path) -> None:
    path = csv_of(tmp_path, "split,image_id,camera\nquery,b,2\nquery,a,1\ngallery,c,3\nquery,z,9\n")
    table = attribute_table(read_attributes(path), "query", ["./a", "b", "n"])
    assert table.to_pydict() == {"image_id": ["./a", "b", "n"], "camera": ["1", "2", None]}
    assert table.schema.field("camera").type == pa.string()


def test_rows_without_images_and_images_without_rows_are_found(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    ids = [f"{i:02}.png" for i in range(40)]
    in_table, there = (set(generator.choice(ids, 25, replace=False)) for _ in range(2))
    unusable = {min(there)}
    rows = [f"query,{name},{'' if name in ids[:5] else 1}" for name in sorted(in_table)]
    path = csv_of(tmp_path, "\n".join(["split,image_id,camera", *rows]))
    entries = {"train": ["t.png"], "query": sorted(there), "gallery": []}
    usable = {"train": ["t.png"], "query": sorted(there - unusable), "gallery": []}
    report = about_attributes(read_attributes(path), entries, usable)
    assert report["rows_without_image"]["count"] == len(in_table - there)
    assert report["images_without_row"]["query"]["count"] == len(there - unusable - in_table)
    without_value = (there - unusable) & in_table & set(ids[:5])
    texts = {finding["text"]: finding["level"] for finding in findings_on_attributes(report)}
    expected = [
        ("warning", f"{len(in_table - there)} of 25 rows of data.attributes are of an image that"),
        ("warning", f"{len(there - unusable - in_table)} query images have no row"),
        ("note", "1 train image has no row in data.attributes: t.png."),
    ]
    if without_value:
        expected.append(("warning", f"{len(without_value)} query image"))
    for level, begins in expected:
        assert [texts[text] for text in texts if text.startswith(begins)] == [level], begins
    assert len(texts) == len(expected)
    whole: dict[str, Any] = {"findings": [{"level": "note", "text": "other"}]}
    with_attributes(whole, report)
    levels = [finding["level"] for finding in whole["findings"]]
    assert levels == sorted(levels, reverse=True)
    assert whole["attributes"] == report
