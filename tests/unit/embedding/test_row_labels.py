"""Labels row by row, in every file that a person may have them in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lookalike.embedding.row_labels import read_row_labels
from lookalike.errors import LookalikeError
from lookalike.retrieval.tables import open_table

LABELS = ["7", "12", "7"]
NUMBERS = [7, 12, 7]
IDS = ["c.png", "a.png", "b.png"]

WRITERS: dict[str, Callable[[Path], Any]] = {
    "named.csv": lambda path: path.write_text("label\n7\n12\n7\n"),
    "alone.csv": lambda path: path.write_text("7\n12\n7\n"),
    "alone.txt": lambda path: path.write_bytes(b"\xef\xbb\xbf7\r\n12\r\n7\r\n"),
    "tabs.tsv": lambda path: path.write_text("x\tlabel\n0\t7\n0\t12\n0\t7\n"),
    "table.parquet": lambda path: pd.DataFrame({"label": NUMBERS}).to_parquet(path),
    "numbers.json": lambda path: path.write_text(json.dumps(NUMBERS)),
    "mixed.json": lambda path: path.write_text(json.dumps(["7", 12, 7])),
    "numbers.npy": lambda path: np.save(path, NUMBERS),
    "column.npy": lambda path: np.save(path, np.array(NUMBERS)[:, None]),
    "floats.npy": lambda path: np.save(path, np.array(NUMBERS, float)),
    "texts.npy": lambda path: np.save(path, LABELS),
    "bytes.npy": lambda path: np.save(path, np.array(LABELS, "S")),
}


@pytest.mark.parametrize("name", WRITERS)
def test_labels_are_the_same_in_every_file(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    found = read_row_labels(tmp_path / name)
    source = {"label": found["label"], "embedding": np.eye(3)}
    _, names = open_table(source, name, ["label"])
    assert names["label"].to_pylist() == LABELS


@pytest.mark.parametrize("name", ["ids.csv", "ids.json"])
def test_names_come_with_the_labels_in_the_order_of_the_file(tmp_path: Path, name: str) -> None:
    if name == "ids.csv":
        pd.DataFrame({"image_id": IDS, "label": NUMBERS}).to_csv(tmp_path / name, index=False)
    else:
        (tmp_path / name).write_text(json.dumps(dict(zip(IDS, NUMBERS, strict=True))))
    found = read_row_labels(tmp_path / name)
    assert found["image_id"] == IDS
    assert found["label"] == LABELS


def test_a_name_given_twice_is_seen(tmp_path: Path) -> None:
    (tmp_path / "l.json").write_text('{"a": 1, "a": 2}')
    columns = read_row_labels(tmp_path / "l.json")
    with pytest.raises(LookalikeError, match='image_id "a" is there twice'):
        open_table(columns | {"embedding": np.eye(2)}, "l", ["image_id", "label"])


@pytest.mark.parametrize(
    ("name", "write", "why"),
    [
        ("l.npy", lambda p: np.save(p, np.array(["a", 1], object)), "never opened.* dtype=str"),
        ("l.npy", lambda p: np.save(p, np.eye(3)), r"array \[n\].* shape \[3, 3\]"),
        ("l.npy", lambda p: np.save(p, np.array([True])), "holds bool"),
        ("l.npy", lambda p: np.save(p, np.array([b"\xff"])), "not UTF-8"),
        ("l.json", lambda p: p.write_text("[1, null]"), "each label text or a whole number"),
        ("l.json", lambda p: p.write_text("[1, 1.5]"), "each label text or a whole number"),
        ("l.json", lambda p: p.write_text("[true]"), "each label text or a whole number"),
        ("l.json", lambda p: p.write_text('{"a": [1]}'), "each label text or a whole number"),
        ("l.json", lambda p: p.write_text("7"), "expected a list of labels"),
        ("l.json", lambda p: p.write_text("[1,"), "is no JSON in UTF-8"),
        ("l.json", lambda p: p.write_text("[" * 100_000), "is no JSON in UTF-8"),
        ("l.json", lambda p: p.write_bytes(b"\xff"), "is no JSON in UTF-8"),
        ("l.csv", lambda p: p.write_text("a,b\n1,2\n"), "no column 'label'; the columns are a, b"),
        ("l.csv", lambda p: p.write_text("label,label\n1,2\n"), "a column is there twice"),
        ("l.csv", lambda p: p.write_text("label,b\n1\n"), "line 2 has 1 values"),
        ("l.pkl", lambda p: p.write_bytes(b"\x80\x04."), "read from .csv, .tsv"),
    ],
)
def test_what_are_no_labels_is_refused_by_its_name(
    tmp_path: Path, name: str, write: Callable[[Path], Any], why: str
) -> None:
    write(tmp_path / name)
    with pytest.raises(LookalikeError, match=rf"(?s)/{name}: .*{why}"):
        read_row_labels(tmp_path / name)
