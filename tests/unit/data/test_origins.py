"""Links that `lookalike init` made are no finding; those that somebody else made are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lookalike.data.layout import DataSettings
from lookalike.data.origins import Origins, read_origins
from lookalike.steps.manifest import build_manifest
from support.drawings import write_data


def linked(root: Path, source: Path) -> DataSettings:
    """A data set whose images are links to a source, noted as init notes it."""
    write_data(root)
    keys: dict[str, dict[str, str]] = {}
    for folder in ("train", "query_images", "gallery"):
        for path in sorted((root / folder).iterdir()):
            target = source / folder / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, target)
            path.symlink_to(target)
            keys.setdefault(folder, {})[path.name] = f"{folder}/{path.name}"
    origins = Origins(str(source), "link", {"seed": 0}, keys)
    (root / "init.json").write_text(origins.to_text())
    assert read_origins(root) == origins
    return DataSettings(
        root, "train", "query_images", "gallery", "train_image_info.json", "test_image_info.json"
    )


def links_found(data: DataSettings) -> str:
    _, report = build_manifest(data, cache=None, threads=1)
    texts = [finding["text"] for finding in report["findings"]]
    return "".join(text for text in texts if "through links" in text)


def test_links_that_init_made_are_no_finding(tmp_path: Path) -> None:
    data = linked(tmp_path / "data", tmp_path / "source")
    assert links_found(data) == ""
    (tmp_path / "data" / "init.json").unlink()
    assert links_found(data).startswith("70 images are read through links")


def test_a_link_that_leads_elsewhere_now_is_one(tmp_path: Path) -> None:
    data = linked(tmp_path / "data", tmp_path / "source")
    link = tmp_path / "data" / "gallery" / "0010_001.png"
    link.unlink()
    link.symlink_to(tmp_path / "source" / "gallery" / "0011_001.png")
    assert links_found(data).startswith("1 image is read through links")
    assert "gallery/0010_001.png" in links_found(data)
    # So is one that init never made.
    other = tmp_path / "data" / "train" / "0000_000.png"
    noted = json.loads((tmp_path / "data" / "init.json").read_text())
    del noted["images"]["train"][other.name]
    (tmp_path / "data" / "init.json").write_text(json.dumps(noted))
    assert links_found(data).startswith("2 images are read through links")


def test_a_source_that_is_reached_through_links_itself_is_the_same_place(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "source").symlink_to(tmp_path / "disk")
    data = linked(tmp_path / "data", tmp_path / "source")
    image = tmp_path / "disk" / "gallery" / "0010_001.png"
    image.rename(tmp_path / "content.png")
    image.symlink_to(tmp_path / "content.png")
    assert links_found(data) == ""


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "null", "7", "[" * 100_000),
        *('{"made_by_lookalike_init": 2}', '{"made_by_lookalike_init": 1}'),
        '{"made_by_lookalike_init": 1, "source": "/", "files": 1, "options": 1, "images": 1}',
        '{"made_by_lookalike_init": 1, "source": "/", "files": "", "options": {}, "images": [1]}',
    ],
    ids=range(10),
)
def test_somebody_else_s_file_of_that_name_says_nothing(tmp_path: Path, content: str) -> None:
    data = linked(tmp_path / "data", tmp_path / "source")
    (tmp_path / "data" / "init.json").write_text(content)
    assert read_origins(tmp_path / "data") is None
    assert links_found(data).startswith("70 images are read through links")
