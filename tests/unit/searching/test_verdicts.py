"""What is said of all answers together counts each image once, in the right place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lookalike.searching.answers import AnswerSet
from lookalike.searching.verdicts import left_out_in_words, verdicts

ANSWERS = AnswerSet(
    ["a", "b", "c", "d\n"],
    np.array([[0], [1], [0], [1]]),
    np.array([[0.9], [0.2], [0.3], [0.1]], np.float32),
    {"image_id": ["x", "y", "z"], "label": ["1", "2", "3"], "sha256": ["0"] * 3},
    0.5,
    itself={1: ["z"]},
    exclude="same_file",
)


def test_an_image_is_in_the_gallery_not_in_it_or_itself_in_it() -> None:
    assert list(verdicts(ANSWERS, "r.0")) == [
        "b: the image itself is in the gallery as z, left out",
        '2 of 4 not in the gallery by the threshold of r.0, 0.5000: c, "d\\n"',
        "1 of 4 are in the gallery, and no other image reaches the threshold of r.0, 0.5000: b",
    ]


def test_of_the_gallery_nothing_is_missing() -> None:
    said = list(verdicts(replace(ANSWERS, itself={}, of_gallery=True), "r.0"))
    assert not any("not in the gallery" in line for line in said)
    assert said[0].startswith("3 of 4 are in the gallery, and no other image reaches the threshold")
    assert "promises nothing" in said[1]


def test_without_a_threshold_what_is_left_out_is_said_all_the_same() -> None:
    first, last = verdicts(replace(ANSWERS, threshold=None, promise="too few queries"), "r.0")
    assert first.startswith("b: the image itself")
    assert "no threshold" in last
    assert last.endswith(": too few queries")


def test_what_the_threshold_promises_is_said_before_its_verdicts() -> None:
    said = list(verdicts(replace(ANSWERS, promise="about 95 %"), "r.0"))
    assert said[1] == "what the threshold promises: about 95 %"
    assert "not in the gallery" in said[2]


@pytest.mark.parametrize("exclude", ["same_file", "same_content", "same_id"])
def test_many_are_counted_not_listed(exclude: str) -> None:
    names = [f"n{number}" for number in range(12)]
    many = replace(ANSWERS, itself=dict.fromkeys(range(4), names), exclude=exclude)
    said = left_out_in_words(many, 0)
    assert "n0" in said
    assert "n5" not in said
    assert ("and 7 more" in said) == (exclude != "same_id")
    assert left_out_in_words(many, 7) == ""
