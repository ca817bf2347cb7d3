"""The scan's memory of one root, which settings with several subsets of it share."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from lookalike.data import scan as scanning
from lookalike.data import scan_memory
from lookalike.data.layout import SPLITS, DataSettings
from lookalike.steps.manifest import write_manifest
from lookalike.storage import files
from support.scan_counts import scan

LONG_AGO = 1_600_000_000
DAY = 24 * 60 * 60


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Ten pictures in each of the folders of two subsets of one root, and labels of all."""
    place = tmp_path / "data"
    for subset in ("one", "two"):
        for split in SPLITS:
            folder = place / subset / split
            folder.mkdir(parents=True)
            for number in range(10):
                seed = [ord(letter) for letter in f"{subset}{split}{number}"]
                pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
                path = folder / f"{split}{number}.png"
                Image.fromarray(pixels).save(path)
                os.utime(path, (LONG_AGO, LONG_AGO))
        for name, splits in (("train", ("train",)), ("test", ("query", "gallery"))):
            labels = {f"{split}{n}.png": n % 2 for split in splits for n in range(10)}
            (place / subset / f"{name}.json").write_text(json.dumps(labels))
    return place


def subset(root: Path, name: str) -> DataSettings:
    """Settings of another subset of the same root."""
    return DataSettings(
        root=root,
        train=f"{name}/train",
        query=f"{name}/query",
        gallery=f"{name}/gallery",
        train_labels=f"{name}/train.json",
        test_labels=f"{name}/test.json",
    )


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are opened."""
    opened: list[str] = []
    open_file = scanning._opened

    def noted(path: str) -> Any:
        opened.append(path)
        return open_file(path)

    monkeypatch.setattr(scanning, "_opened", noted)
    return opened


def manifest(data: DataSettings, tmp_path: Path) -> None:
    outputs = {split: tmp_path / f"{split}.parquet" for split in SPLITS}
    write_manifest(data, outputs, tmp_path / "report.json", cache=tmp_path / "cache", threads=2)


def test_settings_of_two_subsets_of_a_root_take_turns_and_read_nothing_again(
    root: Path, read: list[str], tmp_path: Path
) -> None:
    for name in ("one", "two"):
        manifest(subset(root, name), tmp_path)
    assert len(read) == 60
    for name in ("one", "two", "one", "two"):
        manifest(subset(root, name), tmp_path)
    assert len(read) == 60


def test_labels_of_a_part_of_a_folder_do_not_make_the_rest_forgotten(
    root: Path, read: list[str], tmp_path: Path
) -> None:
    whole = subset(root, "one")
    part = {f"train{number}.png": number % 2 for number in range(4)}
    (root / "part.json").write_text(json.dumps(part))
    manifest(whole, tmp_path)
    manifest(replace(whole, train_labels="part.json"), tmp_path)
    manifest(whole, tmp_path)
    assert len(read) == 30
    # What changed while only the other settings looked is seen.
    changed = root / "one/train/train9.png"
    changed.write_bytes((root / "one/train/train8.png").read_bytes())
    manifest(replace(whole, train_labels="part.json"), tmp_path)
    manifest(whole, tmp_path)
    assert read[30:] == [str(changed)]
    rows = pq.read_table(tmp_path / "train.parquet").to_pylist()
    known = {row["image_id"]: row["sha256"] for row in rows}
    assert known["train9.png"] == hashlib.sha256(changed.read_bytes()).hexdigest()


def remembered(cache: Path) -> pa.Table:
    (path,) = (cache / "scan").glob("files-*")
    return pq.read_table(pa.BufferReader(files.read_checked(path)))


def look(root: Path, names: Sequence[str], cache: Path) -> int:
    """Scan; returns how many files were read."""
    return scan(names, root, cache=cache, threads=1)[1].hashed


def test_what_no_scan_asks_for_goes_after_three_months(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, folder = tmp_path / "cache", root / "one/train"
    often, once = ([f"train{number}.png" for number in numbers] for numbers in ((0, 1), (2, 3, 4)))
    now = time.time_ns()

    def on_day(day: int) -> None:
        monkeypatch.setattr(time, "time_ns", lambda: now + day * DAY * 10**9)

    on_day(0)
    assert look(folder, once, cache) == 3
    for day in range(0, 91, 13):
        on_day(day)
        assert look(folder, often, cache) == (2 if day == 0 else 0)
    assert len(remembered(cache)) == 5
    on_day(104)
    assert look(folder, often, cache) == 0
    assert sorted(remembered(cache)["name"].to_pylist()) == often
    assert look(folder, once, cache) == 3


def test_a_scan_that_learns_nothing_writes_at_most_once_a_week(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, folder, names = tmp_path / "cache", root / "one/train", ["train0.png", "train1.png"]
    now, written = time.time_ns(), []
    write = files.write_checked

    def noted(path: Path, content: bytes) -> None:
        written.append(path.name)
        write(path, content)

    monkeypatch.setattr(files, "write_checked", noted)
    look(folder, names, cache)
    written.clear()
    for day in range(1, 29):
        monkeypatch.setattr(time, "time_ns", lambda day=day: now + day * DAY * 10**9)
        look(folder, names, cache)
    assert 2 <= len(written) <= 4


def test_more_than_can_be_kept_goes_by_age(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_memory, "_OTHERS", 3)
    monkeypatch.setattr(scan_memory, "_OTHERS_EACH", 1)
    cache, folder, now = tmp_path / "cache", root / "one/train", time.time_ns()
    for number in range(6):
        monkeypatch.setattr(time, "time_ns", lambda number=number: now + number * DAY * 10**9)
        look(folder, [f"train{number}.png"], cache)
    kept = sorted(remembered(cache)["name"].to_pylist())
    assert kept == ["train2.png", "train3.png", "train4.png", "train5.png"]
    # A scan of more keeps more beside it.
    look(folder, [f"train{number}.png" for number in (6, 7, 8, 9)], cache)
    assert len(remembered(cache)) == 8


def test_a_memory_of_before_is_understood(root: Path, tmp_path: Path) -> None:
    cache, folder, names = tmp_path / "cache", root / "one/train", ["train0.png", "train1.png"]
    look(folder, names, cache)
    (path,) = (cache / "scan").glob("files-*")
    without_days = pa.BufferOutputStream()
    pq.write_table(remembered(cache).drop_columns("day"), without_days)
    files.write_checked(path, without_days.getvalue().to_pybytes())
    assert look(folder, names[:1], cache) == 0
    assert look(folder, [*names, "train2.png"], cache) == 1
    assert len(remembered(cache)) == 3


def test_a_file_that_is_asked_for_and_gone_is_forgotten(root: Path, tmp_path: Path) -> None:
    cache, folder, names = tmp_path / "cache", root / "one/train", ["train0.png", "train1.png"]
    look(folder, names, cache)
    (folder / "train0.png").unlink()
    look(folder, names, cache)
    assert remembered(cache)["name"].to_pylist() == ["train1.png"]


def test_a_name_that_is_no_unicode_is_looked_at_and_its_content_remembered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    names = ["a.png", "\udcff.png"]
    for number, name in enumerate(names):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
        os.utime(tmp_path / name, (LONG_AGO, LONG_AGO))
    for said in ("2 read and hashed, 2 decoded", "1 read and hashed, 0 decoded"):
        found = scanning.scan(names, tmp_path, cache=tmp_path / "cache", threads=1)
        assert {facts.status for facts in found.values()} == {"ok"}
        assert said in caplog.records[-1].message
