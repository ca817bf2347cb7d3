"""The manifest: its rows, that equal data gives equal bytes, and what stops a run early."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import random
import re
import shutil
import struct
import unicodedata
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from lookalike.data.checks import require_enough
from lookalike.data.layout import SPLITS, DataSettings
from lookalike.data.manifest_table import SCHEMA, read_manifest, usable
from lookalike.errors import LookalikeError
from lookalike.steps.manifest import build_manifest, write_manifest
from support.project import ROOT

DOCS = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
FOLDERS = {"train": "train", "query": "query_images", "gallery": "gallery"}


def picture(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def huge_png() -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part))
        for part in (header, b"IDAT" + zlib.compress(b"\0" * 100), b"IEND")
    )


class Data:
    """A small data set on disk that a test may spoil."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.train: dict[str, Any] = {}
        self.test: dict[str, Any] = {}
        for number in range(4):
            self.add("train", f"t{number}.png", ("cat", 7)[number % 2], seed=number)
            self.add("gallery", f"g{number}.png", ("cow", "8")[number % 2], seed=20 + number)
        for number in range(2):
            self.add("query", f"q{number}.png", ("cow", 8)[number], seed=10 + number)
        self.settings = DataSettings(
            root=root,
            train="train",
            query="query_images",
            gallery="gallery",
            train_labels="train.json",
            test_labels="test.json",
        )

    def folder(self, split: str) -> Path:
        return self.root / FOLDERS[split]

    def label(self, split: str, name: str, label: Any) -> None:
        (self.train if split == "train" else self.test)[name] = label

    def add(self, split: str, name: str, label: Any, seed: int = 0) -> None:
        picture(self.folder(split) / name, seed)
        self.label(split, name, label)

    def save(self) -> DataSettings:
        (self.root / "train.json").write_text(json.dumps(self.train), encoding="utf-8")
        (self.root / "test.json").write_text(json.dumps(self.test), encoding="utf-8")
        return self.settings

    def tables(self) -> dict[str, pa.Table]:
        return build_manifest(self.save(), cache=None, threads=2)[0]

    def rows(self, split: str) -> dict[str, dict[str, Any]]:
        return {row["image_id"]: row for row in self.tables()[split].to_pylist()}

    def statuses(self, split: str) -> dict[str, str]:
        return {name: row["status"] for name, row in self.rows(split).items()}

    def write(self, out: Path, cache: Path | None = None, threads: int = 2) -> dict[str, bytes]:
        """Run the step; the bytes of its four files."""
        outputs = {split: out / f"{split}.parquet" for split in SPLITS}
        report = out / "data_report.json"
        write_manifest(self.save(), outputs, report, cache=cache, threads=threads)
        return {path.name: path.read_bytes() for path in (*outputs.values(), report)}

    def refusal(self, out: Path) -> str:
        with pytest.raises(LookalikeError) as caught:
            self.write(out)
        assert not list(out.rglob("*"))
        return str(caught.value)


@pytest.fixture
def data(tmp_path: Path) -> Data:
    return Data(tmp_path / "data")


class TestRows:
    def test_one_row_is_what_the_file_says(self, data: Data) -> None:
        content = (data.folder("train") / "t1.png").read_bytes()
        assert data.rows("train")["t1.png"] == {
            "image_id": "t1.png",
            "label": "7",
            "sha256": hashlib.sha256(content).hexdigest(),
            "width": 6,
            "height": 4,
            "format": "PNG",
            "n_bytes": len(content),
            "status": "ok",
            "detail": None,
        }

    def test_each_split_has_its_own_rows_sorted(self, data: Data) -> None:
        tables = data.tables()
        assert [table["image_id"].to_pylist() for table in tables.values()] == [
            ["t0.png", "t1.png", "t2.png", "t3.png"],
            ["q0.png", "q1.png"],
            ["g0.png", "g1.png", "g2.png", "g3.png"],
        ]
        assert all(table.schema == SCHEMA for table in tables.values())

    def test_a_name_in_both_test_folders_is_a_row_in_each(self, data: Data) -> None:
        data.add("query", "both.png", "cow", seed=1)
        data.add("gallery", "both.png", "cow", seed=2)
        query, gallery = data.rows("query")["both.png"], data.rows("gallery")["both.png"]
        assert query["status"] == gallery["status"] == "ok"
        assert query["sha256"] != gallery["sha256"]

    def test_a_name_in_neither_is_a_gallery_row(self, data: Data) -> None:
        data.label("query", "gone.png", "cow")
        assert "gone.png" not in data.rows("query")
        assert data.rows("gallery")["gone.png"]["status"] == "missing_file"

    def test_a_link_that_leads_nowhere_stays_in_its_split(self, data: Data) -> None:
        (data.folder("query") / "link.png").symlink_to("nowhere.png")
        data.label("query", "link.png", "cow")
        assert data.statuses("query")["link.png"] == "missing_file"
        assert "link.png" not in data.rows("gallery")

    def test_images_in_folders_of_folders(self, data: Data) -> None:
        data.add("train", "a/b/c.png", "cat", seed=30)
        assert data.statuses("train")["a/b/c.png"] == "ok"

    def test_files_without_a_label_are_no_rows(self, data: Data) -> None:
        picture(data.folder("train") / "more.png")
        assert "more.png" not in data.rows("train")

    def test_a_refused_entry_keeps_its_key_and_its_label(self, data: Data) -> None:
        data.label("train", "../t0.png", "cat")
        data.label("train", "t9.png", None)
        rows = data.rows("train")
        assert (rows["../t0.png"]["status"], rows["../t0.png"]["label"]) == ("unsafe_name", "cat")
        assert (rows["t9.png"]["status"], rows["t9.png"]["label"]) == ("unusable_label", None)
        assert rows["../t0.png"]["sha256"] is rows["t9.png"]["sha256"] is None

    def test_a_refused_test_name_is_a_gallery_row_even_where_the_file_is(self, data: Data) -> None:
        data.label("query", "../query_images/q0.png", "cow")
        assert data.statuses("gallery")["../query_images/q0.png"] == "unsafe_name"
        assert len(data.rows("query")) == 2

    def test_a_key_with_two_labels_is_one_row_left_out(self, data: Data) -> None:
        data.save()
        text = (data.root / "train.json").read_text()
        (data.root / "train.json").write_text(text.replace("{", '{"t0.png": "dog", ', 1))
        table = build_manifest(data.settings, cache=None, threads=1)[0]["train"]
        row = table.to_pylist()[0]
        assert (row["image_id"], row["label"]) == ("t0.png", None)
        assert row["status"] == "conflicting_labels"
        assert "dog" in row["detail"]
        assert "cat" in row["detail"]
        assert table.num_rows == 4

    def test_folders_outside_of_root(self, data: Data, tmp_path: Path) -> None:
        shutil.move(data.folder("train"), tmp_path / "elsewhere")
        shutil.move(data.folder("gallery"), tmp_path / "beside")
        data.settings = replace(
            data.settings, train=str(tmp_path / "elsewhere"), gallery="../beside"
        )
        assert set(data.statuses("train").values()) == {"ok"}
        assert set(data.statuses("gallery").values()) == {"ok"}

    def test_every_status(self, data: Data) -> None:
        folder = data.folder("train")
        whole = (folder / "t0.png").read_bytes()
        contents = {
            "empty_file": b"",
            "not_an_image": b"text",
            "unsupported_format": b"%PDF-1.7",
            "truncated": whole[: len(whole) // 2],
            "damaged": b"GIF89a",
            "too_large": huge_png(),
        }
        for status, content in contents.items():
            (folder / f"{status}.png").write_bytes(content)
        os.mkfifo(folder / "not_a_file.png")
        (folder / "unreadable.png").symlink_to("unreadable.png")
        odd = ("missing_file", "not_a_file", "unreadable")
        for status in (*contents, *odd):
            data.label("train", f"{status}.png", "cat")
        found = data.rows("train")
        for status in (*contents, *odd):
            row = found[f"{status}.png"]
            assert row["status"] == status
            assert row["detail"]
            assert row["width"] is row["height"] is row["format"] is None
            assert (row["sha256"] is None) == (row["n_bytes"] is None) == (status in odd)

        # docs/data.md explains these, the three that need no file, and no others.
        documented = re.findall(r"^\| `(\w+)` \|", DOCS.split("## How images are read")[0], re.M)
        of_labels = {"unusable_label", "conflicting_labels", "unsafe_name"}
        assert set(documented) == {*contents, *odd} | of_labels

    @pytest.mark.parametrize(
        ("listed", "there"),
        [("IMG.JPG", "img.jpg"), (unicodedata.normalize("NFC", "süß.png"), "su\u0308ß.png")],
    )
    def test_a_nearly_equal_name_is_pointed_out(self, data: Data, listed: str, there: str) -> None:
        for split in ("train", "query"):
            picture(data.folder(split) / there)
            data.label(split, listed, "cat")
        for split in ("train", "gallery"):
            row = data.rows(split)[listed]
            assert row["status"] == "missing_file"
            assert f'"{there}" is there' in row["detail"]


def test_what_lies_among_the_images_and_was_made_is_not_counted(data: Data) -> None:
    settings, results = data.save(), data.folder("gallery") / "made"
    results.mkdir()  # a link to nothing would be a file
    (data.folder("train") / "linked").symlink_to(results)
    outputs = {split: results / "manifest" / f"{split}.parquet" for split in SPLITS}
    cache = data.folder("query") / "cache"
    picture(data.folder("gallery") / "unlisted.png")
    found = []
    for _ in range(2):
        report = results / "data_report.json"
        write_manifest(settings, outputs, report, cache=cache, threads=1)
        found.append(json.loads(report.read_text()))
    assert found[0] == found[1]
    unlisted = {split: found[0]["splits"][split]["unlisted_files"] for split in SPLITS}
    assert unlisted["gallery"] == {"count": 1, "first": ["unlisted.png"]}
    assert unlisted["query"]["count"] == unlisted["train"]["count"] == 0


class TestDeterminism:
    def test_equal_data_gives_equal_bytes(self, data: Data, tmp_path: Path) -> None:
        (data.folder("train") / "t2.png").write_bytes(b"text")
        picture(data.folder("query") / "unlisted.png")
        data.add("gallery", "copy.png", "cow", seed=20)
        expected = data.write(tmp_path / "one", threads=1)
        # The same files made in another order, another place and another time, labels shuffled.
        other = Data(tmp_path / "other")
        shutil.rmtree(other.root)
        paths = [path for path in data.root.rglob("*") if path.is_file()]
        random.Random(1).shuffle(paths)
        for path in paths:
            target = other.root / path.relative_to(data.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
        for name in ("train", "test"):
            entries = list(getattr(data, name).items())
            random.Random(2).shuffle(entries)
            setattr(other, name, dict(entries))
        for run, threads in enumerate((1, 3, 8)):
            cache = tmp_path / "cache" if run else None
            assert other.write(tmp_path / f"run{run}", cache, threads) == expected

    def test_one_new_gallery_image_leaves_the_other_files_alone(
        self, data: Data, tmp_path: Path
    ) -> None:
        before = data.write(tmp_path / "before")
        data.add("gallery", "new.png", "cow", seed=99)
        after = data.write(tmp_path / "after")
        changed = {name for name in before if before[name] != after[name]}
        assert changed == {"gallery.parquet", "data_report.json"}

    def test_a_table_read_again_is_the_table_written(self, data: Data, tmp_path: Path) -> None:
        out = tmp_path / "label=owl" / "n_bytes=1"  # looks like a partitioned data set; it is none
        data.label("train", "gone.png", "cat")
        data.write(out)
        for split, table in data.tables().items():
            assert read_manifest(out / f"{split}.parquet").equals(table)
        assert set(pq.read_metadata(out / "train.parquet").metadata or {}) <= {b"ARROW:schema"}

    def test_usable_rows(self, data: Data) -> None:
        data.label("train", "gone.png", "cat")
        table = data.tables()["train"]
        assert usable(table)["image_id"].to_pylist() == ["t0.png", "t1.png", "t2.png", "t3.png"]
        assert table.num_rows == 5


class TestRefusals:
    def test_bad_images_stop_the_run_where_asked(self, data: Data, tmp_path: Path) -> None:
        for number in range(7):
            data.label("train", f"gone{number}.png", "cat")
        (data.folder("query") / "q1.png").write_bytes(b"text")
        data.settings = replace(data.settings, on_bad_image="fail")
        message = data.refusal(tmp_path / "out")
        assert "data.on_bad_image" in message
        assert "train: 7 missing_file: gone0.png, gone1.png, gone2.png, gone3.png" in message
        assert "gone4.png and 2 more" in message
        assert "query: 1 not_an_image: q1.png" in message

    def test_nothing_bad_stops_nothing(self, data: Data, tmp_path: Path) -> None:
        expected = data.write(tmp_path / "skip")
        data.settings = replace(data.settings, on_bad_image="fail")
        assert data.write(tmp_path / "fail") == expected

    @pytest.mark.parametrize("split", SPLITS)
    def test_a_split_without_a_usable_image(self, data: Data, tmp_path: Path, split: str) -> None:
        for path in data.folder(split).iterdir():
            path.write_bytes(b"text")
        message = data.refusal(tmp_path / "out")
        assert f"no usable {split} image" in message
        assert str(data.folder(split)) in message
        assert "not_an_image" in message

    def test_a_query_folder_that_no_entry_belongs_to(self, data: Data, tmp_path: Path) -> None:
        del data.test["q0.png"], data.test["q1.png"]
        message = data.refusal(tmp_path / "out")
        assert "no usable query image: 0 entries of" in message

    def test_one_training_class(self, data: Data, tmp_path: Path) -> None:
        data.train = dict.fromkeys(data.train, "cat")
        assert 'one label, "cat"' in data.refusal(tmp_path / "out")

    def test_no_training_pair(self, data: Data, tmp_path: Path) -> None:
        data.train = {name: name for name in data.train}
        assert "no pair of one class" in data.refusal(tmp_path / "out")

    def test_nothing_to_find(self, data: Data, tmp_path: Path) -> None:
        data.test |= {"q0.png": "other", "q1.png": "another"}
        assert "nothing to score" in data.refusal(tmp_path / "out")

    @pytest.mark.parametrize("label", [0.0, 7.0, None, True, 1.5, [], {}, "", " "])
    @pytest.mark.parametrize("split", ["train", "query"])
    def test_labels_that_are_none_are_told_and_what_they_must_be(
        self, data: Data, tmp_path: Path, caplog: pytest.LogCaptureFixture, split: str, label: Any
    ) -> None:
        for name in data.train if split == "train" else ("q0.png", "q1.png"):
            data.label(split, name, label)
        with caplog.at_level(logging.INFO):
            message = data.refusal(tmp_path / "out")
        count, name = (4, "t0.png") if split == "train" else (2, "q0.png")
        assert f"{split}: {count} unusable_label: {name}" in message
        given = f"the label is {json.dumps(label)}; it must be text or a whole number"
        known = {"[]": "a list", "{}": "an object"}.get(json.dumps(label))
        if known is not None:
            given = given.replace(json.dumps(label), known)
        if isinstance(label, str):
            given = "the label is an empty or blank string"
        assert f"{name}: {given}" in message
        if label in (0.0, 7.0):
            assert f'such as {int(label)} or "{label}"' in message
        # Nothing was written, so nobody is sent there.
        assert "manifest/" not in message + caplog.text
        assert "path inside that folder" not in message

    def test_every_refusal_has_first_details_of_what_was_left_out(
        self, data: Data, tmp_path: Path
    ) -> None:
        whole = dict(data.train)
        for labels in ({"t0.png": "cat"}, {"t0.png": "cat", "t2.png": "dog"}):
            data.train = {name: labels.get(name, 0.5) for name in whole}
            message = data.refusal(tmp_path / "out")
            assert f"train: {4 - len(labels)} unusable_label: t1.png" in message
            assert "t1.png: the label is 0.5" in message
        data.train = whole
        data.test |= {"q0.png": "007", "q1.png": None, "g1.png": 7, "g2.png": "other"}
        data.test |= {"g0.png": 7, "g3.png": "x"}
        message = data.refusal(tmp_path / "out")
        assert "Labels of the queries: 007; of the gallery: 7, other, x." in message
        assert 'spelling only: "007" and "7"' in message
        assert "query: 1 unusable_label: q1.png\n    q1.png: the label is null" in message

    def test_details_are_few_and_each_is_told_once(self, data: Data, tmp_path: Path) -> None:
        for number in range(30):
            data.label("train", f"gone{number:02}.png", "cat")
            data.label("train", f"half{number:02}.png", number + 0.5)
        data.settings = replace(data.settings, on_bad_image="fail")
        message = data.refusal(tmp_path / "out")
        assert message.count("no such file") == 1
        assert [f"the label is {number + 0.5};" in message for number in range(4)] == [
            *[True] * 3,
            False,
        ]
        assert "30 missing_file: gone00.png" in message

    def test_files_that_no_key_names_are_named_where_no_key_fits(
        self, data: Data, tmp_path: Path
    ) -> None:
        data.train = {f"train/{name}": label for name, label in data.train.items()}
        message = data.refusal(tmp_path / "out")
        assert "no such file" in message
        assert "path inside that folder. Files there that no key names: t0.png, t1.png" in message

    def test_what_more_is_said_of_is_written(
        self, data: Data, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        data.label("train", "gone.png", "cat")
        with caplog.at_level(logging.INFO):
            data.write(tmp_path / "out")
        assert "Column `detail` of manifest/train.parquet says more of each." in caplog.text

    @pytest.mark.parametrize(
        "path", ["train", "query_images", "gallery", "train.json", "test.json"]
    )
    def test_what_is_missing_is_named(self, data: Data, path: str) -> None:
        data.save()
        (data.root / path).rename(data.root / "away")
        with pytest.raises(LookalikeError, match=str(data.root / path)):
            build_manifest(data.settings, cache=None, threads=1)

    def test_the_summary_is_printed_before_the_refusal(
        self, data: Data, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        data.train = dict.fromkeys(data.train, "cat")
        with caplog.at_level(logging.INFO):
            data.refusal(tmp_path / "out")
        assert "train: 4 entries, 4 ok, 1 class of 4 to 4 images" in caplog.text


@pytest.mark.parametrize("leave_one_out", [False, True])
def test_a_query_stays_one_where_its_folder_cannot_be_looked_into(
    data: Data, leave_one_out: bool
) -> None:
    """A folder that is a link to a disk that is not there; a folder without permission."""
    data.add("query", "here.png", "x", 1)
    for name in ("inside/a.png", "inside/b.png"):
        data.label("query", name, "x")
        if leave_one_out:
            picture(data.folder("gallery") / name, 2)
    data.add("gallery", "g.png", "x", 3)
    (data.folder("query") / "inside").symlink_to(data.root / "not mounted")
    statuses = {"here.png": "ok", "inside/a.png": "missing_file", "inside/b.png": "missing_file"}
    assert data.statuses("query").items() >= statuses.items()
    assert ("inside/a.png" in data.statuses("gallery")) == leave_one_out


def test_a_query_in_a_folder_without_permission_is_one(
    data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    data.label("query", "inside/a.png", "x")
    data.add("query", "here.png", "x", 1)
    data.add("gallery", "inside/a.png", "x", 2)
    (data.folder("query") / "inside").mkdir()
    forbidden = str(data.folder("query") / "inside")
    # Root may look everywhere.
    real: dict[str, Callable[..., os.stat_result]] = {"stat": os.stat, "lstat": os.lstat}

    def refuse(name: str) -> Callable[..., os.stat_result]:
        def call(path: Any, *more: Any, **others: Any) -> os.stat_result:
            if str(path).startswith(f"{forbidden}/"):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return real[name](path, *more, **others)

        return call

    for name in real:
        monkeypatch.setattr(os, name, refuse(name))
    assert (
        data.statuses("query").items() >= {"here.png": "ok", "inside/a.png": "unreadable"}.items()
    )
    assert data.statuses("gallery")["inside/a.png"] == "ok"


def test_without_labels_that_say_anything_there_is_nothing_to_train_or_to_score(
    data: Data,
) -> None:
    """One label an image, and none of a training image: refused, unless it is said."""
    data.train = {}
    data.test = {name: name for name in data.test}
    settings = data.save()
    with pytest.raises(LookalikeError, match="holds an empty object"):
        build_manifest(settings, cache=None, threads=1)
    unlabelled = replace(settings, labelled=False)
    tables, report = build_manifest(unlabelled, cache=None, threads=1)
    require_enough(unlabelled, tables, report, trains=False)
    with pytest.raises(LookalikeError, match="No query has an image of its class"):
        require_enough(settings, tables, report, trains=False)
    # What the search side learns needs no labels, but images.
    lacking = r"no usable train image: 0 entries .*search.truncated is learnt from the embedded"
    with pytest.raises(LookalikeError, match=lacking):
        require_enough(unlabelled, tables, report, trains=False, learnt=["truncated"])
    assert [tables[split].num_rows for split in ("train", "query", "gallery")] == [0, 2, 4]
    first, *others = report["findings"]
    assert first["text"].startswith("Labels say nothing of what is alike (data.labelled: false)")
    assert {finding["level"] for finding in report["findings"]} == {"note"}
    assert others[-1]["text"].startswith("4 files in the train folder are in no label file")
