"""Data reports of tables spelt out row by row."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pyarrow as pa

from lookalike.data.links import resolved_files, same_files
from lookalike.data.manifest_table import SCHEMA, usable
from lookalike.data.quality import data_report

SPLITS = ("train", "query", "gallery")


APART = {split: Path("/images") / split for split in SPLITS}


LEAVE_ONE_OUT = {
    "train": Path("/images/train"),
    "query": Path("/images/test"),
    "gallery": Path("/images/x/../test"),
}


def _none() -> None:
    return None


class Row(NamedTuple):
    image_id: str
    label: str
    sha256: str
    status: str = "ok"


def report_of(
    rows: dict[str, list[Row]],
    folders: dict[str, Path] = APART,
    unlisted: dict[str, list[str]] | None = None,
    links: dict[str, list[str]] | None = None,
    looks: dict[str, dict[str, bytes | None]] | None = None,
    near_duplicates: int | Literal[False] = 4,
) -> dict[str, Any]:
    tables = {
        split: pa.Table.from_pylist([row._asdict() for row in sorted(rows.get(split, []))], SCHEMA)
        for split in SPLITS
    }
    names = {split: (unlisted or {}).get(split, []) for split in SPLITS}
    nothing: dict[str, dict[str, bytes | None]] = {split: defaultdict(_none) for split in SPLITS}
    located = {}
    for split, table in tables.items():
        ids = usable(table)["image_id"].to_pylist()
        located[split] = dict(zip(ids, resolved_files(folders[split], ids), strict=True))
    pairs = same_files(located["query"], located["gallery"])
    report = data_report(tables, names, pairs, links or {}, looks or nothing, near_duplicates)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    return report


def texts(report: dict[str, Any], level: str) -> list[str]:
    return [finding["text"] for finding in report["findings"] if finding["level"] == level]


def one_with(words: str, sentences: Iterable[str]) -> str:
    (found,) = [sentence for sentence in sentences if words in sentence]
    return found


CLEAN = {
    "train": [
        Row(f"t{n}", label, f"{n}") for n, label in enumerate(("cat", "cat", "dog", "dog"), 1)
    ],
    "query": [Row("q1", "cow", "5"), Row("q2", "hen", "6")],
    "gallery": [Row("g1", "cow", "7"), Row("g2", "hen", "8"), Row("g3", "hen", "9")],
}


def but(split: str, *rows: Row) -> dict[str, list[Row]]:
    """The clean data with more rows in one split."""
    return CLEAN | {split: CLEAN[split] + list(rows)}
