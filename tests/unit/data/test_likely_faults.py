"""The usual first mistakes are called by their names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.data.likely_faults import fault_of_keys, fault_of_labels, fault_of_root

FILES = ["mug/1.jpg", "mug/2.jpg", "cup/red 3.PNG", "plain.webp"]

MISTAKES: dict[str, tuple[str, Callable[[str], str]]] = {
    "ending": ("no file ending", lambda name: name.rpartition(".")[0]),
    "folder": ("folders above", lambda name: f"train/{name}"),
    "folders": ("folders above", lambda name: f"data/photos/train/{name}"),
    "case": ("another case", str.swapcase),
    "other ending": ("another file ending", lambda name: name.rpartition(".")[0] + ".tif"),
    "backslash": ("written with", lambda name: "./".join(["", name])[2:].replace("/", "\\")),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_keys_that_all_differ_in_one_way_are_told_with_an_example(mistake: str) -> None:
    words, make = MISTAKES[mistake]
    files = [file for file in FILES if "/" in file] if mistake == "backslash" else FILES
    keys = list(map(make, files))
    said = fault_of_keys(keys, files)
    assert words in said
    assert f'"{files[0]}"' in said
    assert f"{len(files)} of {len(files)}" in said


def test_keys_without_sub_folders_are_told_where_names_are_single() -> None:
    assert "sub-folders" in fault_of_keys(["1.jpg", "2.jpg"], ["a/1.jpg", "b/2.jpg"])
    assert fault_of_keys(["1.jpg"], ["a/1.jpg", "b/1.jpg"]) == ""


@settings(derandomize=True, max_examples=100)
@given(st.lists(st.text("abcXYZ0", min_size=1, max_size=4), min_size=1, unique=True))
def test_names_that_have_nothing_in_common_are_explained_by_nothing(names: list[str]) -> None:
    assert (
        fault_of_keys([f"{name}-q.jpg" for name in names], [f"{name}.jpg" for name in names]) == ""
    )


def test_labels_the_wrong_way_round_are_told() -> None:
    assert '{"file name": "label"}' in fault_of_labels(["the label is a list; it must be"] * 3)
    assert fault_of_labels(["the label is null; it must be text"] * 3) == ""
    assert fault_of_labels([]) == ""


def test_class_folders_are_told_how_to_come_in(tmp_path: Path) -> None:
    for name in ("mug", "cup", "train", "empty"):
        (tmp_path / name).mkdir()
    for name in ("mug", "cup", "train"):
        (tmp_path / name / "1.JPG").touch()
    said = fault_of_root(tmp_path, ["train"])
    assert '"cup", "mug"' in said and "train" not in said
    assert f"lookalike init {tmp_path} " in said
    assert fault_of_root(tmp_path / "empty", []) == ""
    assert fault_of_root(tmp_path / "not there", []) == ""


def test_a_path_of_windows_is_told_as_wsl_has_it() -> None:
    assert "/mnt/c/Users/me/photos" in fault_of_root(Path("C:\\Users\\me\\photos"), [])
