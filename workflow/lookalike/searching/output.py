"""Answers as text: a table to read, JSON and CSV for programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from typing import TextIO

from lookalike.searching.answers import Answer, AnswerSet
from lookalike.text import shown

ANSWER_FIELDS = tuple(field.name for field in fields(Answer))
"""Keys of JSON and columns of CSV: query, place, gallery_id, label, score, accepted."""

NOT_IN_GALLERY = "not in the gallery"

_RIGHT_ALIGNED = {"place", "score"}


def write_as_table(answers: AnswerSet, stream: TextIO) -> None:
    """Write an aligned table, a row an answer.

    What the threshold says is in the last column: of a query whose first answer does not reach it,
    that the query is not in the gallery, unless the query itself is.
    """
    headings = [name for name in ANSWER_FIELDS if name != "accepted"]
    if answers.threshold is not None:
        headings.append("answer")
    widths = [len(name) for name in headings]
    for row in _rows(answers):
        widths = [max(width, len(cell)) for width, cell in zip(widths, row, strict=True)]
    for row in _with(headings, _rows(answers)):
        cells = [
            cell.rjust(width) if name in _RIGHT_ALIGNED else cell.ljust(width)
            for name, cell, width in zip(headings, row, widths, strict=True)
        ]
        stream.write("  ".join(cells).rstrip() + "\n")


def _with(headings: list[str], rows: Iterable[list[str]]) -> Iterator[list[str]]:
    yield headings
    yield from rows


def _rows(answers: AnswerSet) -> Iterator[list[str]]:
    decimals = answers.decimals
    for found, refused in zip(answers, answers.is_refused.tolist(), strict=True):
        for answer in found:
            row = [
                shown(answer.query),
                str(answer.place),
                shown(answer.gallery_id),
                shown(answer.label),
                f"{answer.score:.{decimals}f}",
            ]
            if answer.accepted is not None:
                row.append(_in_words(answer.accepted, refused and answer.place == 1))
            yield row


def _in_words(accepted: bool, refused: bool) -> str:
    if accepted:
        return "accepted"
    return NOT_IN_GALLERY if refused else "below the threshold"


def write_as_json(answers: AnswerSet, stream: TextIO) -> None:
    """Write one array with an object an answer, each on a line; see `ANSWER_FIELDS`.

    Scores are written so that float32 reads them back exactly.
    """
    stream.write("[")
    before = "\n"
    for found in answers:
        for answer in found:
            stream.write(f"{before}  {json.dumps(asdict(answer), ensure_ascii=False)}")
            before = ",\n"
    stream.write("\n]\n")


def write_as_csv(answers: AnswerSet, stream: TextIO) -> None:
    """Write a row an answer under `ANSWER_FIELDS`; accepted is true, false or empty."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(ANSWER_FIELDS)
    spelt = {True: "true", False: "false", None: ""}
    for found in answers:
        writer.writerows(
            [*list(asdict(answer).values())[:-1], spelt[answer.accepted]] for answer in found
        )
