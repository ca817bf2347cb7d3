"""What the sections of a page that show pictures are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lookalike.report.answers import ANSWER_COLUMNS, wrong_answers
from lookalike.report.changes import Changes, shown_anchors
from lookalike.report.classes import FEWEST_MISTAKEN, class_scores, classes_in_words, pictures_of
from lookalike.report.examples import Images, Query, examples
from lookalike.report.hardest import hardest, one_a_class, sample
from lookalike.report.subject import Subject

HARDEST, SAMPLED, DRAWN = 30, 14, 6
"""Queries shown: the hardest ones, a sample of the others, and such as are drawn from all."""
UNFOLDED = 8
"""Hardest queries that are seen without opening anything, at most one a class."""
PLACES = 10
"""Gallery images shown for each of them."""
WRONG = 10
"""Wrong answers shown."""
CLASSES = 10
"""Classes shown at each end."""


def places_shown(k: Sequence[int]) -> int:
    """How many gallery images are shown of each ranking, which are kept up to the last of `k`."""
    return min(PLACES, max(k))


def queries(subject: Subject, images: Mapping[str, Images]) -> dict[str, Any]:
    """Queries of the run that is shown first, and answers of it that are wrong.

    Args:
        subject: what the page is about.
        images: by split.
    """
    leading, per_query = subject.leading, subject.per_query
    places = places_shown(subject.k)
    rankings, gallery = leading.main.rankings(places), images["gallery"]
    drawn = sample(per_query, DRAWN)
    hard = hardest(per_query, subject.key, HARDEST)
    unfolded = one_a_class(hard, per_query, UNFOLDED)

    def shown(names: Sequence[str], anchor: str = "query") -> list[Query]:
        return examples(
            names,
            per_query,
            rankings,
            images["query"],
            gallery,
            subject.key,
            places,
            anchor=anchor,
        )

    return {
        "places": places,
        # They may be among the others, too.
        "drawn": shown(drawn, "drawn"),
        "hardest": shown(unfolded),
        "folded": shown([query for query in hard if query not in unfolded]),
        "most_unfolded": UNFOLDED,
        "sampled": shown(sample(per_query, SAMPLED, without=[*drawn, *hard])),
        "wrong_answers": wrong_answers(
            leading.main.per_query(ANSWER_COLUMNS),
            rankings,
            images["query"],
            gallery,
            leading.threshold["score"],
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
    leading, places, per_query = subject.leading, places_shown(subject.k), subject.per_query
    rankings, gallery = leading.main.rankings(places), images["gallery"]
    scores = class_scores(
        per_query,
        {
            state.name: leading.states[state.name].per_query(["label", "scored", subject.key])
            for state in leading.others
        },
        rankings,
        gallery.labels,
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
    of_others = examples(
        [hardest(per_query[per_query["label"] == label], subject.key, 1)[0] for label in others],
        per_query,
        rankings,
        images["query"],
        gallery,
        subject.key,
        places,
        anchor="class",
    )
    return {
        "n_classes": subject.n_classes,
        "classes_in_words": classes_in_words(scores, places),
        "fewest_mistaken": FEWEST_MISTAKEN,
        "pictures_of": anchors | pictures_of((query.anchor, query.label) for query in of_others),
        "of_other_classes": of_others,
        "worst": worst,
        "strongest": strongest,
    }
