"""Which files are meant, and how much of them is read."""

import io
import os
from pathlib import Path

import pytest

from lookalike.errors import BadImageError, LookalikeError
from lookalike.images import limits
from lookalike.searching.image_files import (
    ImageFile,
    content_to_decode,
    folder_images,
    named_images,
)

NOTHING = io.BytesIO()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images in a folder and below, what systems leave, and links that lead in a circle."""
    for name in ("b.png", "a/2.jpg", "a/10.jpg", ".hidden.png", "Thumbs.db", "__MACOSX/a.png"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "images" / "a" / "round").symlink_to(tmp_path / "images")
    return tmp_path / "images"


def test_a_folder_is_read_with_all_below_it_but_litter_and_circles(folder: Path) -> None:
    assert [file.name for file in folder_images(folder)] == ["a/10.jpg", "a/2.jpg", "b.png"]


def test_files_come_in_the_order_of_their_naming_and_once(folder: Path) -> None:
    listed = io.BytesIO(b"absent.png\r\nb.png\n\n")
    names = [file.name for file in named_images([f"{folder}", "z.png", "-", "b.png"], listed)]
    assert names == [
        *(f"{folder}/{name}" for name in ("a/10.jpg", "a/2.jpg", "b.png")),
        "z.png",
        "absent.png",
        "b.png",
    ]


def test_names_that_end_in_nul_may_hold_lines(folder: Path) -> None:
    odd = folder / "two\nlines.png"
    odd.touch()
    files = named_images(["-"], io.BytesIO(f"{odd}\0b.png\0".encode()))
    assert [file.name for file in files] == [str(odd), "b.png"]


@pytest.mark.parametrize("sources", [["-"], ["empty"]])
def test_nothing_to_look_for_is_said(
    tmp_path: Path, sources: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    with pytest.raises(LookalikeError, match="no images to look for"):
        named_images(sources, NOTHING)


@pytest.mark.parametrize("name", ["absent", "file", "x" * 300])
def test_what_is_no_folder_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LookalikeError, match="there is no such folder"):
        folder_images(tmp_path / name)


def test_what_cannot_be_read_has_the_words_of_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large.png").write_bytes(bytes(100))
    monkeypatch.setattr("lookalike.searching.image_files.MAX_BYTES", 99)
    statuses = {}
    for name in ("absent.png", "pipe", "large.png", "large.png/below", "x" * 300, "nul\0"):
        with pytest.raises(BadImageError) as refused:
            content_to_decode(ImageFile(name, tmp_path / name, found=False))
        statuses[name[:20]] = refused.value.status
    assert statuses == {
        "absent.png": "missing_file",
        "pipe": "not_a_file",
        "large.png": "too_large",
        "large.png/below": "missing_file",
        "x" * 20: "unreadable",
        "nul\0": "unreadable",
    }
    assert limits.MAX_BYTES > 99


def test_a_name_that_no_table_can_hold_is_refused(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(BadImageError, match="not UTF-8"):
        content_to_decode(ImageFile(name, tmp_path / name, found=True))


@pytest.mark.parametrize(
    ("name", "status", "found", "beside"),
    [
        ("labels.json", "not_an_image", True, True),
        ("notes", "empty_file", True, True),
        ("labels.json", "not_an_image", False, False),
        ("page.JPG", "not_an_image", True, False),
        ("photo.heic", "unsupported_format", True, False),
        ("data", "damaged", True, False),
    ],
)
def test_what_lies_beside_images_is_no_bad_image(
    name: str, status: str, found: bool, beside: bool
) -> None:
    file = ImageFile(name, Path(name), found)
    assert file.is_no_image(BadImageError(status, "")) is beside
