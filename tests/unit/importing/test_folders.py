"""What folders of every kind are taken for; files are read by name here, their content is none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from lookalike.errors import LookalikeError
from lookalike.importing.folders import read_folder
from lookalike.importing.sources import Collection


def none_of_them(root: Path, files: Sequence[str]) -> set[str]:
    return set()


def tree(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def rows(source: Collection) -> list[tuple[str | None, ...]]:
    return [(image.key, image.label, image.side, image.role) for image in source.images]


def read(root: Path, *names: str, kind: str | None = None) -> Collection:
    return read_folder(tree(root, *names), kind, none_of_them)


def test_class_folders_with_all_that_is_below_them(tmp_path: Path) -> None:
    source = read(tmp_path, "mug/10.JPG", "mug/9.png", "cup/white/old/1.webp", "cup/a.tiff")
    assert rows(source) == [
        ("cup/a.tiff", "cup", None, None),
        ("cup/white/old/1.webp", "cup", None, None),
        ("mug/9.png", "mug", None, None),
        ("mug/10.JPG", "mug", None, None),
    ]
    assert source.notes == []
    assert not source.has_splits


def test_what_is_no_image_and_what_is_in_no_class_is_said(tmp_path: Path) -> None:
    source = read(tmp_path, "mug/1.jpg", "cup/1.jpg", "loose.jpg", "mug/notes.txt", "LICENSE")
    assert [image.key for image in source.images] == ["cup/1.jpg", "mug/1.jpg"]
    assert source.notes == [
        "1 file of the source is in no class folder and left aside: loose.jpg.",
        "2 files of the source are no images and left aside: LICENSE and mug/notes.txt.",
    ]


def test_an_image_is_told_by_its_content_where_its_name_does_not(tmp_path: Path) -> None:
    tree(tmp_path, "mug/0001", "mug/1.dat", "cup/1.jpg")

    def by_content(root: Path, files: Sequence[str]) -> set[str]:
        assert (root, [*files]) == (tmp_path, ["mug/0001", "mug/1.dat"])
        return {"mug/0001"}

    source = read_folder(tmp_path, None, by_content)
    assert [image.key for image in source.images] == ["cup/1.jpg", "mug/0001"]


def test_litter_and_hidden_files_are_nothing(tmp_path: Path) -> None:
    source = read(tmp_path, "a/1.jpg", "b/1.jpg", ".git/x.jpg", "a/Thumbs.db", "__MACOSX/a/1.jpg")
    assert [image.key for image in source.images] == ["a/1.jpg", "b/1.jpg"]
    assert source.notes == []


def test_linked_folders_are_followed_and_circles_ended(tmp_path: Path) -> None:
    tree(tmp_path / "elsewhere", "1.jpg")
    root = tree(tmp_path / "root", "a/1.jpg")
    (root / "b").symlink_to(tmp_path / "elsewhere")
    (root / "a" / "again").symlink_to(root)
    found = read_folder(root, None, none_of_them)
    assert [image.key for image in found.images] == ["a/1.jpg", "b/1.jpg"]


@pytest.mark.parametrize("test_name", ["test", "Testing", "val", "valid"])
def test_two_splits_of_class_folders(tmp_path: Path, test_name: str) -> None:
    source = read(tmp_path, "train/mug/1.jpg", f"{test_name}/mug/deep/1.jpg")
    sides = {image.key: (image.label, image.side) for image in source.images}
    assert sides == {
        "train/mug/1.jpg": ("mug", "train"),
        f"{test_name}/mug/deep/1.jpg": ("mug", "test"),
    }


def test_validation_joins_training_where_there_is_a_test(tmp_path: Path) -> None:
    source = read(
        tmp_path,
        *("train/a/1.jpg", "val/a/2.jpg", "test/b/1.jpg", "query/b/2.jpg", "gallery/b/3.jpg"),
        *("test/loose.jpg", "other/b/4.jpg"),
    )
    assert rows(source) == [
        ("gallery/b/3.jpg", "b", "test", "gallery"),
        ("query/b/2.jpg", "b", "test", "query"),
        ("test/b/1.jpg", "b", "test", None),
        ("train/a/1.jpg", "a", "train", None),
        ("val/a/2.jpg", "a", "train", None),
    ]
    assert len(source.notes) == 2
    assert "2 files of the source are in no class folder of a split" in source.notes[0]
    assert "validation images are trained on" in source.notes[1]


def test_classes_that_are_called_as_splits_are(tmp_path: Path) -> None:
    names = ("train/1.jpg", "test/1.jpg")
    with pytest.raises(LookalikeError, match=r"test and train holds images without class.*--as"):
        read(tmp_path, *names)
    assert rows(read_folder(tmp_path, "classes", none_of_them)) == [
        ("test/1.jpg", "test", None, None),
        ("train/1.jpg", "train", None, None),
    ]
    # One of them alone is a class among others.
    source = read(tmp_path / "one", "train/1.jpg", "tram/1.jpg")
    assert {image.label for image in source.images} == {"train", "tram"}


def test_market_1501(tmp_path: Path) -> None:
    source = read(
        tmp_path,
        "bounding_box_train/0002_c1s1_000451_03.jpg",
        "bounding_box_test/0003_c2s1_000451_01.jpg",
        "bounding_box_test/0000_c1s1_000151_01.jpg",
        "bounding_box_test/-1_c1s1_000401_03.jpg",
        "query/0003_c1s1_000451_00.jpg",
        "query/picture.jpg",
        "gt_bbox/0003_c1s1_000452_00.jpg",
        "readme.txt",
    )
    assert rows(source) == [
        ("bounding_box_test/0000_c1s1_000151_01.jpg", "0000", "test", "gallery"),
        ("bounding_box_test/0003_c2s1_000451_01.jpg", "0003", "test", "gallery"),
        ("bounding_box_train/0002_c1s1_000451_03.jpg", "0002", "train", None),
        ("query/0003_c1s1_000451_00.jpg", "0003", "test", "query"),
    ]
    said = "\n".join(source.notes)
    assert "1 images of identity -1 are left aside" in said
    assert "by the same camera" in said
    assert "0000 is no person" in said
    assert "gt_bbox/0003_c1s1_000452_00.jpg and query/picture.jpg" in said
    assert "readme.txt" in said


def test_a_flat_folder_has_no_labels(tmp_path: Path) -> None:
    source = read(tmp_path, "b.jpg", "a.jpg")
    assert rows(source) == [("a.jpg", None, None, None), ("b.jpg", None, None, None)]
    assert not source.labelled
    # So has any folder of which it is said.
    deep = read(tmp_path / "deep", "mug/1.jpg", "cup/1.jpg", kind="flat")
    assert {image.label for image in deep.images} == {None}


@pytest.mark.parametrize(
    ("names", "kind", "message"),
    [
        (("notes.txt",), None, "there is no image"),
        ((), None, "there is no image"),
        (("images.csv", "x.parquet"), None, "is it the table images.csv and x.parquet"),
        (("a.jpg",), "classes", "is no folder of class folders"),
        (("a/1.jpg",), "market1501", "is no folder of Market-1501's names"),
        (("a/1.jpg", " /2.jpg"), None, "a class folder's name is its label, and this one is blank"),
        (("a/1.jpg", "b/2.jpg"), "splits", "is no folder of class folders in train"),
    ],
)
def test_a_folder_without_what_is_looked_for_is_refused(
    tmp_path: Path, names: tuple[str, ...], kind: str | None, message: str
) -> None:
    with pytest.raises(LookalikeError, match=message) as refused:
        read(tmp_path, *names, kind=kind)
    assert str(tmp_path) in str(refused.value) or '" "' in str(refused.value)
