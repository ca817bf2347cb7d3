"""Answers as a page that carries its own pictures and runs no code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2

from lookalike import __version__
from lookalike.report.thumbnails import Thumbnail, Thumbnails
from lookalike.searching.answers import Answer, AnswerSet
from lookalike.searching.chosen_run import SearchedRun
from lookalike.searching.free_places import PAGE_MARK
from lookalike.searching.verdicts import left_out_in_words
from lookalike.storage.files import write_text
from lookalike.text import shown

_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class ShownAnswer:
    """An answer with its picture; None where the file is gone or another one by now."""

    answer: Answer
    thumbnail: Thumbnail | None


@dataclass(frozen=True)
class ShownQuery:
    """An image that was looked for, and what was found for it.

    Attributes:
        name: as it was named.
        thumbnail: its picture.
        is_refused: whether it is not in the gallery, by the threshold.
        itself: that it is in the gallery itself, in words; empty of another.
        answers: the nearest first.
    """

    name: str
    thumbnail: Thumbnail | None
    is_refused: bool
    itself: str
    answers: list[ShownAnswer]


def write_page(
    output: Path,
    answers: AnswerSet,
    run: SearchedRun,
    pictures: Mapping[str, tuple[Path, str]],
) -> None:
    """Write the page `output`.

    Args:
        output: the HTML file; it appears whole or not at all.
        answers: what was found.
        run: in whose gallery.
        pictures: the file of each query and its SHA-256.
    """
    thumbnails = Thumbnails(run.model["image"]["background"])
    queries = list(_shown(answers, run, pictures, thumbnails))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([_PACKAGE / "searching", _PACKAGE / "report"]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = shown
    write_text(
        output,
        environment.get_template("page.html.j2").render(
            mark=PAGE_MARK,
            queries=queries,
            run=run.name,
            n_gallery=len(answers.names["image_id"]),
            threshold=answers.threshold,
            decimals=answers.decimals,
            n_refused=int(answers.is_refused.sum()),
            n_lone=int((answers.has_none_accepted & ~answers.is_refused).sum()),
            of_gallery=answers.of_gallery,
            thumbnails=thumbnails.made,
            gone=thumbnails.unreadable,
            version=__version__,
        ),
    )


def _shown(
    answers: AnswerSet,
    run: SearchedRun,
    pictures: Mapping[str, tuple[Path, str]],
    thumbnails: Thumbnails,
) -> Iterator[ShownQuery]:
    folder, gallery = run.places.get("gallery"), answers.names
    refused = answers.is_refused
    for number, found in enumerate(answers):
        name = str(answers.queries[number])
        items = answers.places[number].tolist()
        yield ShownQuery(
            name,
            thumbnails.of(*pictures[name]),
            bool(refused[number]),
            left_out_in_words(answers, number),
            [
                ShownAnswer(
                    answer,
                    None
                    if folder is None
                    else thumbnails.of(folder / answer.gallery_id, str(gallery["sha256"][item])),
                )
                for answer, item in zip(found, items, strict=False)
            ],
        )
