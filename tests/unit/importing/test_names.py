from __future__ import annotations

import doctest
import importlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.data.labels import read_labels
from lookalike.importing.names import names_for, natural
from lookalike.storage.files import write_json

PART = st.text("aAbé.\\", min_size=1, max_size=2).filter(lambda part: part not in (".", ".."))
KEYS = st.lists(
    st.lists(PART, min_size=1, max_size=3).map("/".join), unique=True, min_size=1, max_size=12
)


@pytest.mark.parametrize("module", ["names", "groups", "splitting"])
def test_examples_come_out_as_they_are_written(module: str) -> None:
    done = doctest.testmod(importlib.import_module(f"lookalike.importing.{module}"))
    assert done.failed == 0
    assert done.attempted > 0


def alike(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


@given(KEYS, st.integers(0, 6))
def test_no_name_is_like_another_or_like_a_folder(keys: list[str], n_before: int) -> None:
    before = names_for(keys[:n_before])
    new = names_for(keys[n_before:], before.values())
    assert before.keys() | new.keys() == set(keys)
    names = [*before.values(), *new.values()]
    assert len(set(map(alike, names))) == len(names)
    files = set(map(alike, names))
    folders = {
        "/".join(parts[:n])
        for name in names
        for parts in [alike(name).split("/")]
        for n in range(1, len(parts))
    }
    assert files.isdisjoint(folders)


@given(KEYS)
def test_a_name_is_the_file_s_own_unless_another_is_like_it(keys: list[str]) -> None:
    names = names_for(keys)
    own = [alike(key.rpartition("/")[2].replace("\\", "_")) for key in keys]
    for key, name in zip(keys, own, strict=True):
        if own.count(name) == 1:
            assert alike(names[key]) == name


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        (["mug/1.jpg", "cup/2.jpg"], ["1.jpg", "2.jpg"]),
        (["mug/1.jpg", "cup/1.jpg"], ["mug/1.jpg", "cup/1.jpg"]),
        (["mug/1.jpg", "cup/1.JPG"], ["mug/1.jpg", "cup/1.JPG"]),
        (["1.jpg", "cup/1.jpg"], ["1.jpg", "cup/1.jpg"]),
        (["a/x/1.jpg", "a/y/1.jpg"], ["a/x/1.jpg", "a/y/1.jpg"]),
        (["C:/1.jpg", "D:/1.jpg"], ["C_/1.jpg", "D_/1.jpg"]),
    ],
)
def test_names_by_example(keys: list[str], names: list[str]) -> None:
    assert [*names_for(keys).values()] == names


def test_class_folders_that_differ_in_case_come_apart() -> None:
    first, second = names_for(["Mug/1.jpg", "mug/1.jpg"]).values()
    assert first.casefold() != second.casefold()
    assert first.endswith("/1.jpg")
    assert second.endswith("/1.jpg")


@given(st.lists(st.text(min_size=1, max_size=8), unique=True, min_size=1, max_size=5))
def test_label_files_can_hold_every_name(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str]
) -> None:
    """Whatever a file system may hold, bytes that are no UTF-8 among them."""
    keys = [
        part.replace("\0", "0") + "\udcff"
        for part in parts
        if part.strip("/.") and ".." not in part.split("/") and not part.startswith("/")
    ]
    path = tmp_path_factory.mktemp("names") / "labels.json"
    names = names_for(dict.fromkeys(keys))
    if names:
        write_json(path, dict.fromkeys(names.values(), "a"))
        assert {entry.status for entry in read_labels(path).entries} == {"ok"}


def test_numbers_in_names_count_as_numbers() -> None:
    names = ["img10", "img9", "IMG1", "img09", "b", "٣", "2"]
    ordered = sorted(names, key=natural)
    assert ordered.index("IMG1") < ordered.index("img9") < ordered.index("img10")
    assert ordered.index("2") < ordered.index("٣") < ordered.index("b")
    assert sorted([*names[3:], *names[:3]], key=natural) == ordered
