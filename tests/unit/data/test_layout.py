"""The fingerprint of a data folder: any change of a file changes it, and nothing else does."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from lookalike.data.layout import (
    DataSettings,
    ahead_of_clock,
    fingerprint,
    require_apart,
    require_data,
)
from lookalike.errors import LookalikeError
from support import processes
from support.drawings import write_data


@pytest.fixture
def data(tmp_path: Path) -> DataSettings:
    root = tmp_path / "data"
    (root / "gallery").mkdir(parents=True)
    # First, so that a tick of the clock has passed when a test changes them.
    for name, content in {"one.bmp": b"1234", "other.bmp": b"5678"}.items():
        (root / "gallery" / name).write_bytes(content)
        os.utime(root / "gallery" / name, (1, 1))
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


def swapped(root: Path) -> None:
    one, other = root / "gallery" / "one.bmp", root / "gallery" / "other.bmp"
    one.rename(aside := root / "aside.bmp")
    other.rename(one)
    aside.rename(other)


def rewritten(root: Path) -> None:
    path = root / "gallery" / "one.bmp"
    before = path.stat()
    path.write_bytes(b"4321")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


CHANGES: dict[str, Callable[[Path], object]] = {
    "touched": lambda root: os.utime(root / "train" / "inside" / "more.png", (1, 1)),
    "added": lambda root: (root / "query_images" / "new.jpg").touch(),
    "removed": lambda root: (root / "train" / "inside" / "more.png").unlink(),
    "renamed": lambda root: (root / "train" / "inside").rename(root / "train" / "outside"),
    "moved": moved,
    "a link became a copy": a_link_became_a_copy,
    "swapped, of one size and time": swapped,
    "rewritten, of one size and time": rewritten,
    "labels": lambda root: os.utime(root / "test_image_info.json", (1, 1)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_changes_it(data: DataSettings, change: str) -> None:
    before = of(data)
    assert of(data) == before
    CHANGES[change](data.root)
    assert of(data) != before


def hard_linked(source: str | Path, target: str | Path) -> None:
    """A second name of a file: all of its stats are those of the first one."""
    os.link(source, target, follow_symlinks=False)


def stats_of(folder: Path) -> dict[str, os.stat_result]:
    return {path.relative_to(folder).as_posix(): path.stat() for path in folder.rglob("*.png")}


@pytest.mark.parametrize("place", ["gallery", "gallery/shelf", "above/gallery", "."])
def test_a_folder_that_is_a_link_and_becomes_a_copy(tmp_path: Path, place: str) -> None:
    """Also where each file's stats are the very same: each copy is another name of one inode."""
    root = write_data(tmp_path / "data")
    query = "query_images"
    original, link = root / "query_images", root / place
    if place == "gallery":
        shutil.rmtree(link)
    elif place == "above/gallery":
        # The link is nothing that is looked into, only a part of the way there.
        original = root / "around"
        original.mkdir()
        (root / "query_images").rename(original / "gallery")
        query, link = "around/gallery", root / "above"
    elif place == ".":
        # A link inside names the original's queries, and those of the root become others.
        original = root.rename(tmp_path / "original")
        shutil.rmtree(original / "gallery")
        (original / "gallery").symlink_to(original / "query_images")
    aside = tmp_path / "aside"
    shutil.copytree(original, aside, copy_function=hard_linked, symlinks=True)
    link.symlink_to(original)
    gallery = place if place == "above/gallery" else "gallery"
    data = DataSettings(root, "train", query, gallery, "train.json", "test.json")
    linked, before = stats_of(link), of(data)
    link.unlink()
    aside.rename(link)
    assert stats_of(link) == linked
    assert of(data) != before
    link.rename(aside)
    link.symlink_to(original)
    assert of(data) == before


def test_labels_that_are_a_link_which_leads_elsewhere(data: DataSettings) -> None:
    labels, own = data.test_labels_path, data.root / "own.json"
    labels.rename(own)
    hard_linked(own, other := data.root / "other.json")
    labels.symlink_to(own)
    before = of(data)
    labels.unlink()
    labels.symlink_to(other)
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


def test_results_among_the_images_are_no_images(
    data: DataSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data.folder("gallery"))
    results, cache = data.folder("train") / "results", tmp_path / "cache"
    cache.mkdir()  # a link to nothing would be a file that cannot be read
    (data.folder("query") / "linked cache").symlink_to(cache)
    apart = [results, cache]
    before = fingerprint(data, pytest.fail, apart=apart)
    for folder in (results, cache, Path(".snakemake")):
        folder.mkdir(exist_ok=True)
        (folder / "made.png").touch()
    assert fingerprint(data, pytest.fail, apart=apart) == before
    assert of(data) != before
    # Images that lie inside of results are images all the same.
    results = data.root
    before = fingerprint(data, pytest.fail, apart=[results])
    (data.folder("train") / "new.png").touch()
    assert fingerprint(data, pytest.fail, apart=[results]) != before


@pytest.mark.parametrize("name", ["results", "cache"])
def test_what_is_made_does_not_lie_where_images_do(data: DataSettings, name: str) -> None:
    require_apart(data, data.root, data.folder("gallery") / "cache")
    (data.root / "alias").symlink_to("gallery")
    folders = {"results": Path("results"), "cache": Path("cache"), name: data.root / "alias"}
    with pytest.raises(LookalikeError, match=f"{name} and data.gallery are one folder.*{name}="):
        require_apart(data, **folders)


def test_how_far_a_file_is_ahead_of_the_clock_in_words(tmp_path: Path) -> None:
    path, link = tmp_path / "labels.json", tmp_path / "link"
    path.touch()
    link.symlink_to(path)
    for seconds, words in {
        -5: "",
        30: "less than a minute",
        90.5: "2 minutes",
        3605: "1 hour",
        6 * 3600 + 5: "6 hours",
        3 * 86400 + 5: "3 days",
    }.items():
        os.utime(path, (time.time() + seconds,) * 2)
        assert ahead_of_clock(path) == ahead_of_clock(link) == words
    assert ahead_of_clock(tmp_path / "none") == ""
    # Snakemake looks at a link's own time too.
    os.utime(path)
    os.utime(link, (time.time() + 3605,) * 2, follow_symlinks=False)
    assert ahead_of_clock(link) == "1 hour"


CLOSED = {
    "query_images": "query images: .*/query_images$",
    "test_image_info.json": "query and gallery labels: .*/test_image_info.json$",
    ".": "training images: .*/train .the folder .*/data cannot be entered.$",
}


def refused_as_nobody(data: DataSettings, line: str) -> None:
    if os.geteuid() == 0:
        os.setuid(65534)
    with pytest.raises(LookalikeError) as caught:
        require_data(data)
    said = str(caught.value)
    assert "has no permission" in said
    assert "chmod" in said
    assert "missing" not in said
    assert re.search(line, said, re.MULTILINE)


@pytest.mark.parametrize("closed", CLOSED)
@pytest.mark.parametrize("mode", [0, 0o100, 0o400])
def test_data_without_permission_is_not_called_missing(closed: str, mode: int) -> None:
    # Not below pytest's own folder: only its owner may look into that.
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        root = write_data(Path(folder) / "data", train_classes=1, test_classes=1)
        data = DataSettings(
            root,
            "train",
            "query_images",
            "gallery",
            "train_image_info.json",
            "test_image_info.json",
        )
        require_data(data)
        path = root / closed
        if path.is_file() or closed == ".":
            mode &= 0o300 if path.is_file() else 0o400
        own = os.geteuid() != 0
        path.chmod(mode if own else mode >> 6)
        try:
            child = processes.start(refused_as_nobody, data, CLOSED[closed])
            assert processes.exit_code(child) == 0
        finally:
            path.chmod(0o755)


def test_it_says_where_it_is_when_it_takes_long(data: DataSettings) -> None:
    folder = data.root / "gallery" / "many"
    folder.mkdir()
    for number in range(2500):
        (folder / f"{number}.jpg").touch()
    said: list[str] = []
    assert fingerprint(data, said.append, every=0) == of(data)
    assert said[-1].startswith("2,5")
    assert "files seen in the gallery folder, now at many/" in said[-1]
