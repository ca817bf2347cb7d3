"""Answers read back from what is written."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from lookalike.searching.answers import AnswerSet
from lookalike.searching.output import ANSWER_FIELDS, write_as_csv, write_as_json, write_as_table

ODD = 'comma, "quote"\nline\u202e.png'


def answers(threshold: float | None) -> AnswerSet:
    return AnswerSet(
        ["a.png", ODD],
        np.array([[2, 0, -1], [1, 2, 0]]),
        np.array([[0.9, 0.1, 0], [1 / 3, -0.25, -0.5]], np.float32),
        {"image_id": ["x", ODD, "a/z.jpg"], "label": ["cat", "dög", "7"], "sha256": ["0"] * 3},
        threshold,
    )


def rows(threshold: float | None) -> list[dict[str, object]]:
    scores = [float(np.float32(score)) for score in (0.9, 0.1, 1 / 3, -0.25, -0.5)]
    accepted = [None if threshold is None else score >= threshold for score in scores]
    found = [
        ("a.png", 1, "a/z.jpg", "7"),
        ("a.png", 2, "x", "cat"),
        (ODD, 1, ODD, "dög"),
        (ODD, 2, "a/z.jpg", "7"),
        (ODD, 3, "x", "cat"),
    ]
    return [
        dict(zip(ANSWER_FIELDS, (*row, score, believed), strict=True))
        for row, score, believed in zip(found, scores, accepted, strict=True)
    ]


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_json_is_one_array_of_answers(threshold: float | None) -> None:
    stream = io.StringIO()
    write_as_json(answers(threshold), stream)
    assert ANSWER_FIELDS == ("query", "place", "gallery_id", "label", "score", "accepted")
    assert json.loads(stream.getvalue()) == rows(threshold)


def test_no_answers_are_an_empty_array() -> None:
    stream = io.StringIO()
    empty = AnswerSet(
        [], np.empty((0, 3), np.int64), np.empty((0, 3), np.float32), answers(None).names, None
    )
    write_as_json(empty, stream)
    assert json.loads(stream.getvalue()) == []


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_csv_has_the_same(threshold: float | None) -> None:
    stream = io.StringIO(newline="")
    write_as_csv(answers(threshold), stream)
    spelt = {None: "", True: "true", False: "false"}
    stream.seek(0)
    read = list(csv.DictReader(stream))
    assert [row | {"score": float(row["score"])} for row in read] == [
        row | {"place": str(row["place"]), "accepted": spelt[row["accepted"]]}  # type: ignore[index]
        for row in rows(threshold)
    ]


def test_the_table_is_aligned_and_nothing_in_it_misleads() -> None:
    stream = io.StringIO()
    write_as_table(answers(0.5), stream)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 6
    starts = [lines[0].index(name) for name in ("gallery_id", "label", "answer")]
    for line in lines[1:]:
        assert all(line[start - 1] == " " and line[start] != " " for start in starts)
    assert [line[starts[2] :] for line in lines[1:]] == [
        "accepted",
        "below the threshold",
        "not in the gallery",
        "below the threshold",
        "below the threshold",
    ]
    assert r"\nline\u202e" in lines[3]


def test_a_score_just_below_the_threshold_does_not_read_as_it() -> None:
    stream = io.StringIO()
    near = replace(answers(0.900001), scores=np.array([[0.9, 0.1, 0], [0.91, 0, 0]], np.float32))
    write_as_table(near, stream)
    assert [line.split()[4] for line in stream.getvalue().splitlines()[1:3]] == [
        "0.900000",
        "0.100000",
    ]


def test_what_is_in_the_gallery_itself_is_not_said_to_be_missing() -> None:
    for known in ({"itself": {1: ["x"]}}, {"of_gallery": True}):
        stream = io.StringIO()
        write_as_table(replace(answers(0.5), **known), stream)
        assert "not in the gallery" not in stream.getvalue()
        assert stream.getvalue().count("below the threshold") == 4


def test_without_a_threshold_the_table_says_nothing_of_it() -> None:
    stream = io.StringIO()
    write_as_table(answers(None), stream)
    assert stream.getvalue().splitlines()[0].split() == list(ANSWER_FIELDS[:-1])
