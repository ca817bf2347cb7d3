"""Labels cut by what all of them begin with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.report.short_labels import short_labels


@pytest.mark.parametrize(
    ("labels", "left"),
    [
        (["n02085620-Chihuahua", "n02085782-Japanese_spaniel"], ["Chihuahua", "Japanese_spaniel"]),
        (["001.Black_footed_Albatross", "200.Wren"], ["Black_footed_Albatross", "Wren"]),
        (["photos/train/dog", "photos/train/cat/tabby"], ["dog", "cat/tabby"]),
        (["photos/train/0001", "photos/train/0002"], ["0001", "0002"]),
        (["photos\\dog", "photos\\cat"], ["dog", "cat"]),
        (["data/run-1", "data/run-2"], ["run-1", "run-2"]),
        (["val/n02085620-a", "val/n02085782-b"], ["a", "b"]),
        (["class: dog", "class: cat"], ["dog", "cat"]),
        (["face-with-tears", "face-in-clouds"], ["with-tears", "in-clouds"]),
    ],
)
def test_what_all_begin_with_goes(labels: list[str], left: list[str]) -> None:
    assert short_labels(labels) == dict(zip(labels, left, strict=True))


@pytest.mark.parametrize(
    "labels",
    [
        [],
        ["photos/dog"],  # beside nothing, there is nothing in common
        ["carpet", "carton"],  # never within a word
        ["1.5", "1.7"],
        ["-1", "-2"],
        ["v1.5", "v1.7"],
        ["/dog", "/cat"],
        ["10 euros", "20 euros"],  # would be left alike
        ["2021 audi", "2021 bmw 1", "2022 bmw"],  # the years are no ids
        ["7 dwarfs", "12 monkeys"],
        ["n02085620", "n02085782"],
        ["animals/", "animals/dog"],  # would be left empty
        ["animals/ ", "animals/dog"],
        ["n02085620-a", "dog"],
    ],
)
def test_where_something_would_be_lost_labels_stay(labels: list[str]) -> None:
    assert short_labels(labels) == {label: label for label in labels}


_LABELS = st.lists(
    st.builds(
        str.__add__,
        st.sampled_from(["", "a/", "a/b/", "n001-", "n002-", "003.", "x y "]),
        st.text(st.sampled_from("ab1/-. n_"), max_size=5),
    ),
    max_size=6,
)


@given(_LABELS)
def test_each_is_an_end_of_its_label_and_no_two_are_alike(labels: list[str]) -> None:
    left = short_labels(labels)
    assert left.keys() == {*labels}
    assert len({*left.values()}) == len(left)
    for label, short in left.items():
        assert label.endswith(short)
        assert bool(short.strip()) or label == short
    # All that is left of some is cut no further.
    assert short_labels(left.values()) == {short: short for short in left.values()}
