"""What the sections of a page that show pictures are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lookalike.report.answers import wrong_answers
from lookalike.report.changes import Changes, shown_anchors
from lookalike.report.classes import FEWEST_MISTAKEN, class_scores, classes_in_words, pictures_of
from lookalike.report.examples import Images, Query, examples
from lookalike.report.hardest import hardest, one_a_class, sample
from lookalike.report.subject import Subject

HARDEST, SAMPLED, DRAWN = 30, 14, 6
"""Queries shown: the hardest ones, a sample of the others, and such as are drawn from all."""
UNFOLDED = 8
"""Hardest queries that are seen without opening anything, at most one a class."""
WRONG = 10
"""Wrong answers shown."""
CLASSES = 10
"""Classes shown at each end."""


def queries(subject: Subject, images: Mapping[str, Images]) -> dict[str, Any]:
    """Queries of the run that is shown first, and answers of it that are wrong.

    Args:
        subject: what the page is about.
        images: by split.
    """
    per_query = subject.per_query
    drawn = sample(per_query, DRAWN)
    hard = hardest(per_query, subject.key, HARDEST)
    unfolded = one_a_class(hard, per_query, UNFOLDED)
    folded = [query for query in hard if query not in unfolded]
    others = sample(per_query, SAMPLED, without=[*drawn, *hard])
    return {
        "places": subject.places,
        # They may be among the others, too.
        "drawn": _with_found(drawn, subject, images, anchor="drawn"),
        "hardest": _with_found(unfolded, subject, images),
        "folded": _with_found(folded, subject, images),
        "most_unfolded": UNFOLDED,
        "sampled": _with_found(others, subject, images),
        "wrong_answers": wrong_answers(
            subject.answered,
            subject.rankings,
            images["query"],
            images["gallery"],
            subject.leading.threshold["score"],
            WRONG,
        ),
    }


def classes(
    subject: Subject,
    images: Mapping[str, Images],
    queries_shown: Mapping[str, Any],
    changes: Sequence[Changes],
) -> dict[str, Any]:
    """The classes of the run that is shown first, each leading to pictures of it.

    Args:
        subject: what the page is about.
        images: by split.
        queries_shown: as from `queries`.
        changes: whose pictures are on the page, too.
    """
    leading, places, per_query = subject.leading, subject.places, subject.per_query
    scores = class_scores(
        per_query,
        {
            state.name: leading.states[state.name].per_query(["label", "scored", subject.key])
            for state in leading.others
        },
        subject.rankings,
        images["gallery"].labels,
        subject.key,
        places,
    )
    worst, strongest = scores[:CLASSES], scores[CLASSES:][::-1][:CLASSES]
    with_anchor = [
        (query.anchor, query.label)
        for group in ("drawn", "hardest", "folded", "sampled")
        for query in queries_shown[group]
    ]
    anchors = pictures_of([*with_anchor, *shown_anchors(changes)])
    others = [each.label for each in (*worst, *strongest) if each.label not in anchors]
    hardest_of = {
        label: hardest(per_query[per_query["label"] == label], subject.key, 1)[0]
        for label in others
    }
    of_others = _with_found([*hardest_of.values()], subject, images, anchor="class")
    return {
        "n_classes": subject.n_classes,
        "classes_in_words": classes_in_words(scores, places),
        "fewest_mistaken": FEWEST_MISTAKEN,
        "pictures_of": anchors | pictures_of((query.anchor, query.label) for query in of_others),
        "of_other_classes": of_others,
        "worst": worst,
        "strongest": strongest,
    }


def _with_found(
    names: Sequence[str],
    subject: Subject,
    images: Mapping[str, Images],
    anchor: str = "query",
) -> list[Query]:
    """Queries of the run that is shown first, with what they found."""
    return examples(
        names,
        subject.per_query,
        subject.rankings,
        images["query"],
        images["gallery"],
        subject.key,
        subject.places,
        anchor=anchor,
    )
