"""The fingerprint of a data folder: any change of a file changes it, and nothing else does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from drawings import write_data
from lookalike.data_layout import DataSettings, fingerprint


@pytest.fixture
def data(tmp_path: Path) -> DataSettings:
    root = tmp_path / "data"
    write_data(root)
    (root / "train" / "inside").mkdir()
    (root / "train" / "inside" / "more.png").write_bytes(b"more")
    (root / "gallery" / "linked.png").symlink_to(root / "train" / "inside" / "more.png")
    return DataSettings(
        root,
        "train",
        "query_images",
        "gallery",
        "train_image_info.json",
        "test_image_info.json",
    )


def of(data: DataSettings) -> str:
    return fingerprint(data, pytest.fail)


def moved(root: Path) -> None:
    (root / "train" / "inside" / "more.png").rename(root / "gallery" / "more.png")


def a_link_became_a_copy(root: Path) -> None:
    link = root / "gallery" / "linked.png"
    original = link.resolve()
    link.unlink()
    link.write_bytes(original.read_bytes())
    os.utime(link, ns=(original.stat().st_atime_ns, original.stat().st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "touched": lambda root: os.utime(root / "train" / "inside" / "more.png", (1, 1)),
    "added": lambda root: (root / "query_images" / "new.jpg").touch(),
    "removed": lambda root: (root / "train" / "inside" / "more.png").unlink(),
    "renamed": lambda root: (root / "train" / "inside").rename(root / "train" / "outside"),
    "moved": moved,
    "a link became a copy": a_link_became_a_copy,
    "labels": lambda root: os.utime(root / "test_image_info.json", (1, 1)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_changes_it(data: DataSettings, change: str) -> None:
    before = of(data)
    assert of(data) == before
    CHANGES[change](data.root)
    assert of(data) != before


def test_another_place_and_other_files_of_the_root_change_nothing(data: DataSettings) -> None:
    (data.root / "gallery" / "linked.png").unlink()  # it leads to a place
    before = of(data)
    (data.root / "notes.txt").touch()
    elsewhere = data.root.rename(data.root.with_name("elsewhere"))
    assert of(DataSettings(elsewhere, *list(vars(data).values())[1:])) == before


def test_links_that_lead_in_a_circle_come_to_an_end(data: DataSettings) -> None:
    before = of(data)
    (data.root / "train" / "inside" / "up").symlink_to(data.root)
    (data.root / "train" / "itself").symlink_to(data.root / "train")
    assert of(data) != before


def test_folders_that_link_to_each_other_are_walked_once(data: DataSettings) -> None:
    rooms = [data.root / "train" / f"room{number}" for number in range(12)]
    for room in rooms:
        room.mkdir()
    for room in rooms:
        for other in rooms:
            (room / other.name).symlink_to(other)
    before = of(data)  # along every path it would take years
    (rooms[7] / "new.png").touch()
    assert of(data) != before


def test_it_says_where_it_is_when_it_takes_long(data: DataSettings) -> None:
    folder = data.root / "gallery" / "many"
    folder.mkdir()
    for number in range(2500):
        (folder / f"{number}.jpg").touch()
    said: list[str] = []
    assert fingerprint(data, said.append, every=0) == of(data)
    assert said[-1].startswith("2,5")
    assert "files seen in the gallery folder, now at many/" in said[-1]
