"""Answers as a page that carries its own pictures and runs no code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
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

MOST_PICTURES = 10_000
"""Pictures of a page, of 1 to 3 kB each: what a browser still shows."""

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
    n_bad: int = 0,
) -> int:
    """Write the page `output`.

    Args:
        output: the HTML file; it appears whole or not at all.
        answers: what was found.
        run: in whose gallery.
        pictures: the file of each query and its SHA-256.
        n_bad: how many images could not be used.

    Returns:
        How many queries it shows: the first, as far as `MOST_PICTURES` go.
    """
    thumbnails = Thumbnails(run.model["image"]["background"] if run.model else "white")
    n_answers = int(min(answers.places.shape[1], MOST_PICTURES - 1))
    n_shown = min(len(answers), MOST_PICTURES // (1 + n_answers))
    queries = list(islice(_shown(answers, run, pictures, thumbnails, n_answers), n_shown))
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
            promise=answers.promise,
            decimals=answers.decimals,
            n_refused=int(answers.is_refused.sum()),
            n_lone=int((answers.has_none_accepted & ~answers.is_refused).sum()),
            of_gallery=answers.of_gallery,
            thumbnails=thumbnails.made,
            gone=thumbnails.unreadable,
            n_queries=len(answers),
            n_bad=n_bad,
            most=MOST_PICTURES,
            version=__version__,
        ),
    )
    return n_shown


def _shown(
    answers: AnswerSet,
    run: SearchedRun,
    pictures: Mapping[str, tuple[Path, str]],
    thumbnails: Thumbnails,
    n_answers: int,
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
                for answer, item in zip(found[:n_answers], items, strict=False)
            ],
        )
