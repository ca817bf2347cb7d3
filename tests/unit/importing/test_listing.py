"""Tables of images, as pandas and others write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lookalike.errors import LookalikeError
from lookalike.importing.listing import Columns, read_listing
from lookalike.importing.sources import Collection

NONE = Columns()


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg", "c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def write(table: Path, **columns: list[Any]) -> Path:
    frame = pd.DataFrame(columns)
    if table.suffix == ".parquet":
        frame.to_parquet(table)
    else:
        frame.to_csv(table, index=False, sep={".tsv": "\t", ".txt": ";"}.get(table.suffix, ","))
    return table


def rows(source: Collection) -> list[tuple[str | None, ...]]:
    return [(image.key, image.label, image.side, image.role) for image in source.images]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.txt", "t.parquet"])
def test_paths_and_labels(images: Path, name: str) -> None:
    table = write(
        images / name,
        file=["c.jpg", "a/2.jpg", "./a/1.jpg", "a/1.jpg"],
        product=["Tasse, weiß", "007", "007", "007"],
        shoot=["x", None, "x", "x"],
    )
    source = read_listing(table, None, Columns(path="file", label="product", group="shoot"))
    assert rows(source) == [
        ("a/1.jpg", "007", None, None),
        ("a/2.jpg", "007", None, None),
        ("c.jpg", "Tasse, weiß", None, None),
    ]
    assert [image.group for image in source.images] == ["x", None, "x"]
    assert source.root == images


def test_whole_numbers_are_their_decimal_text(images: Path) -> None:
    table = write(images / "t.parquet", path=["a/1.jpg", "a/2.jpg"], label=[7, 12])
    assert [image.label for image in read_listing(table, None, NONE).images] == ["7", "12"]


def test_absolute_paths_and_another_folder(images: Path, tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    outside = tmp_path / "c.jpg"
    table = write(
        tmp_path / "lists" / "t.csv",
        path=[str(images / "a" / "1.jpg"), "2.jpg", str(outside)],
        label=["a", "a", "c"],
    )
    source = read_listing(table, images / "a", NONE)
    assert [image.key for image in source.images] == ["1.jpg", "2.jpg", str(outside)]


def test_open_metric_learning_s_table(images: Path) -> None:
    table = write(
        images / "df.csv",
        label=[0, 0, 1, 1, 1],
        path=["a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg", "c.jpg"],
        split=["train", "train", "validation", "validation", "validation"],
        is_query=[None, None, True, False, True],
        is_gallery=[None, None, False, True, True],
    )
    assert rows(read_listing(table, None, NONE)) == [
        ("a/1.jpg", "0", "train", None),
        ("a/2.jpg", "0", "train", None),
        ("b/1.jpg", "1", "test", "query"),
        ("b/2.jpg", "1", "test", "gallery"),
        ("c.jpg", "1", "test", "both"),
    ]


def test_boxes_and_images_of_neither_role_are_said(images: Path) -> None:
    table = write(
        images / "df.parquet",
        path=["a/1.jpg", "b/1.jpg"],
        label=["a", "b"],
        split=["train", "test"],
        is_query=[False, False],
        is_gallery=[False, False],
        x_1=[0, 3],
    )
    source = read_listing(table, None, NONE)
    assert [image.key for image in source.images] == ["a/1.jpg"]
    assert "boxes (x_1): images are taken whole" in source.notes[0]
    assert "1 test images are neither" in source.notes[1]
    assert "b/1.jpg" in source.notes[1]


def test_without_a_split_an_image_that_is_neither_may_be_trained_on(images: Path) -> None:
    table = write(
        images / "t.csv",
        path=["a/1.jpg", "a/2.jpg", "b/1.jpg"],
        label=["a", "a", "b"],
        is_query=[0, 1, 0],
        is_gallery=[0, 0, 1],
    )
    assert rows(read_listing(table, None, NONE)) == [
        ("a/1.jpg", "a", None, None),
        ("a/2.jpg", "a", None, "query"),
        ("b/1.jpg", "b", None, "gallery"),
    ]


def test_splits_by_name_and_validation_beside_a_test(images: Path) -> None:
    table = write(
        images / "t.csv",
        path=["a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg", "c.jpg"],
        label=["a", "a", "b", "b", "b"],
        set=["Train", "val", "query", "gallery", "test"],
    )
    assert rows(read_listing(table, None, Columns(split="set"))) == [
        ("a/1.jpg", "a", "train", None),
        ("a/2.jpg", "a", "train", None),
        ("b/1.jpg", "b", "test", "query"),
        ("b/2.jpg", "b", "test", "gallery"),
        ("c.jpg", "b", "test", None),
    ]


def test_images_that_are_not_there_are_left_out_and_said(images: Path) -> None:
    table = write(images / "t.csv", path=["a/1.jpg", "gone.jpg"], label=["a", "a"])
    source = read_listing(table, None, NONE)
    assert [image.key for image in source.images] == ["a/1.jpg"]
    assert source.notes == ["1 of 2 images of the table are not there and left out: gone.jpg."]


GOOD = {"path": ["a/1.jpg", "a/2.jpg"], "label": ["a", "b"]}


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
@pytest.mark.parametrize(
    ("columns", "asked", "message"),
    [
        ({"file": ["a/1.jpg"], "label": ["a"]}, NONE, 'no column "path".*--path names the one'),
        (GOOD, Columns(label="labels"), 'no column "labels"; did you mean .label.*--label names'),
        (GOOD, Columns(group="shoot"), 'no column "shoot".*--group names'),
        (GOOD | {"label": ["a", None]}, NONE, "{2}: the label is missing"),
        (GOOD | {"path": [None, "a/1.jpg"]}, NONE, "{1}: the path is missing"),
        (GOOD | {"label": ["a", "  "]}, NONE, "{2}: the label is blank"),
        (GOOD | {"split": ["train", "tset"]}, NONE, '{2}: the split is "tset"; it is one of'),
        (GOOD | {"split": ["train", None]}, NONE, "{2}: the split is"),
        (GOOD | {"is_query": ["maybe", "no"]}, NONE, '{1}: whether .* is "maybe"; write true'),
        (GOOD | {"path": ["a/1.jpg", "./a/1.jpg"]}, NONE, "{2}: a/1.jpg is listed before with"),
        (GOOD | {"path": ["x.jpg", "y.jpg"]}, NONE, "none of its images is there.*--images"),
        ({"path": [], "label": []}, NONE, "has no rows"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(
    images: Path, name: str, columns: dict[str, list[Any]], asked: Columns, message: str
) -> None:
    table = write(images / name, **columns)
    # A CSV file's first line names the columns.
    places = ("line 1", "line 2", "line 3") if table.suffix == ".csv" else ("", "row 1", "row 2")
    for number, place in enumerate(places):
        message = message.replace(f"{{{number}}}", place)
    with pytest.raises(LookalikeError, match=message) as refused:
        read_listing(table, None, asked)
    assert str(table) in str(refused.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", 'no column "path"'),
        (b"\xff\xfe\0", "is not UTF-8 text"),
        (b"path,label\na/1.jpg,a,b\n", "line 2 has 3 values, and the first line names 2"),
        (b'path,label\n"a/1.jpg,a\n', "is no CSV"),
        (b"path,label,label\na/1.jpg,a,b\n", "there are 2 columns"),
        (b"path,label\n\n", "has no rows"),
    ],
)
def test_a_csv_that_is_none_is_refused(images: Path, content: bytes, message: str) -> None:
    (images / "t.csv").write_bytes(content)
    with pytest.raises(LookalikeError, match=message):
        read_listing(images / "t.csv", None, NONE)


def test_a_row_is_named_by_the_line_that_it_begins_in(images: Path) -> None:
    """As an editor counts: the names of columns, blank lines, and lines within a value too."""
    head = ["path,label,note", "", 'a/1.jpg,a,"of', "", 'three lines"', "", "", "a/2.jpg,a,x"]
    faulty = {
        "b/1.jpg,,x": "the label is missing",
        'b/1.jpg,,"over\ntwo"': "the label is missing",
        "a/2.jpg,b,x": "a/2.jpg is listed before",
        'b/1.jpg,"a\nb"': "has 2 values",
    }
    for line, message in faulty.items():
        for end in ("\n", "\r\n"):
            content = "\n".join([*head, line, "c.jpg,c,x", ""])
            (images / "t.csv").write_bytes(content.replace("\n", end).encode())
            assert content.split("\n")[9 - 1] == line.split("\n")[0]
            with pytest.raises(LookalikeError, match=rf"t\.csv: line 9:? .*{message}"):
                read_listing(images / "t.csv", None, NONE)


def test_a_label_with_a_fraction_is_refused_with_the_reason(images: Path) -> None:
    table = write(images / "t.parquet", path=["a/1.jpg", "a/2.jpg"], label=[7, None])
    with pytest.raises(LookalikeError, match=r"the label is 7\.0, .* write\s+7 in a column"):
        read_listing(table, None, NONE)


def test_what_is_no_table_is_refused_by_its_name(images: Path) -> None:
    for name in ("images.zip", "c.jpg", "README"):
        with pytest.raises(LookalikeError, match="is neither a folder nor a table"):
            read_listing(images / name, None, NONE)


def test_a_damaged_parquet_file_and_a_folder_that_is_not_there(images: Path) -> None:
    (images / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(LookalikeError, match="not a readable parquet file"):
        read_listing(images / "t.parquet", None, NONE)
    table = write(images / "t.csv", **GOOD)
    with pytest.raises(LookalikeError, match="no such folder; see --images"):
        read_listing(table, images / "nowhere", NONE)


def test_a_byte_order_mark_and_windows_line_ends(images: Path) -> None:
    (images / "t.csv").write_bytes(b"\xef\xbb\xbfpath,label\r\na/1.jpg,a\r\n")
    assert rows(read_listing(images / "t.csv", None, NONE)) == [("a/1.jpg", "a", None, None)]
