"""Where images lie is found again after the results, or the whole project, have moved."""

from pathlib import Path

import pytest

from lookalike.data.layout import DataSettings
from lookalike.data.places import other_images, read_places, write_places
from lookalike.errors import LookalikeError

SETTINGS = DataSettings(Path("data"), "train", "query_images", "gallery", "a.json", "b.json")


def make(root: Path) -> None:
    for folder in ("train", "query_images", "gallery"):
        (root / "data" / folder).mkdir(parents=True)
    (root / "results" / "manifest").mkdir(parents=True)


def test_a_project_moves_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "old")
    monkeypatch.chdir(tmp_path / "old")
    write_places(Path("results/manifest/places.json"), SETTINGS)
    (tmp_path / "old").rename(tmp_path / "new")
    monkeypatch.chdir(tmp_path)
    places = read_places(Path("new/results/manifest/places.json"))
    assert places == {
        "train": tmp_path / "new/data/train",
        "query": tmp_path / "new/data/query_images",
        "gallery": tmp_path / "new/data/gallery",
    }


def test_results_behind_a_link_lead_to_the_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    disk = tmp_path / "another" / "disk" / "kept"
    disk.parent.mkdir(parents=True)
    Path("results").rename(disk)
    Path("results").symlink_to(disk)
    write_places(Path("results/manifest/places.json"), SETTINGS)
    assert read_places(disk / "manifest" / "places.json")["gallery"].samefile("data/gallery")


def test_an_absolute_root_stays_where_it_is(tmp_path: Path) -> None:
    make(tmp_path)
    path = tmp_path / "results" / "manifest" / "places.json"
    write_places(path, DataSettings(tmp_path / "data", "train", "q", "/else/where", "a", "b"))
    moved = tmp_path / "moved.json"
    path.rename(moved)
    places = read_places(moved)
    assert places["query"] == tmp_path / "data" / "q"
    assert places["gallery"] == Path("/else/where")


def test_a_damaged_note_is_named(tmp_path: Path) -> None:
    path = tmp_path / "places.json"
    for content in ("[]", '{"train": 1, "query": "q", "gallery": "g"}', "{"):
        path.write_text(content)
        with pytest.raises(LookalikeError, match=r"places\.json: is damaged"):
            read_places(path)


def test_results_of_other_images_are_known_and_moved_images_are_these(tmp_path: Path) -> None:
    for name in ("one", "other"):
        make(tmp_path / name)
    note = tmp_path / "one" / "results" / "manifest" / "places.json"

    def of(name: str) -> DataSettings:
        folders = "train", "query_images", "gallery"
        return DataSettings(tmp_path / name / "data", *folders, "a.json", "b.json")

    assert other_images(note, of("one")) is None
    write_places(note, of("one"))
    assert other_images(note, of("one")) is None
    assert other_images(note, of("other")) == tmp_path / "one" / "data" / "train"
    (tmp_path / "one" / "data").rename(tmp_path / "one" / "moved")
    assert other_images(note, of("other")) is None
    note.write_text("{")
    assert other_images(note, of("other")) is None
