"""How well the classes of queries are found, and what each is mistaken for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import pandas as pd

from lookalike.report.outcome import of_hundred

FEWEST_MISTAKEN = 3
"""Queries of a class in which another one must stand to be called a confusion."""
_TIMES_ITS_SHARE = 2


@dataclass(frozen=True)
class Confusion:
    """Another class whose images stand where right ones could, more than by its size.

    `places` of all wrong ones are its, in `queries` of the class's queries.
    """

    label: str
    places: int
    queries: int


@dataclass(frozen=True)
class ClassScore:
    """A class of queries: its mean of one metric, and what it is mistaken for.

    Attributes:
        label: of the class.
        queries: how many there are.
        value: the mean.
        elsewhere: that in each other state.
        found: right images in the first places.
        findable: right images that could stand there.
        wrong: wrong images in places that right ones could have filled.
        mistaken_for: None where no class stands out among these.
    """

    label: str
    queries: int
    value: float
    elsewhere: Mapping[str, float]
    found: int
    findable: int
    wrong: int
    mistaken_for: Confusion | None


def class_scores(
    per_query: pd.DataFrame,
    others: Mapping[str, pd.DataFrame],
    rankings: pd.DataFrame,
    gallery_labels: Mapping[str, str],
    key: str,
    places: int,
) -> list[ClassScore]:
    """Every class of scored queries, the worst first by its mean of metric `key`.

    `per_query` and `rankings` are a run's tables, `others` has its per_query tables of other
    states. Of a query with R right images the first R places are looked at for wrong ones, `places`
    at most. Among equal values the greater mean rank is the worse.

    A class is mistaken for the one that has the most of these wrong places, of those that have more
    than twice the share of them that they have of the gallery, in `FEWEST_MISTAKEN` queries.
    """
    scored = per_query[per_query["scored"]]
    means = scored.groupby("label").agg(
        value=(key, "mean"), rank=("mean_rank", "mean"), queries=("query_id", "size")
    )
    means = means.reset_index().sort_values(
        ["value", "rank", "label"], ascending=[True, False, True]
    )
    elsewhere = {
        state: table[table["scored"]].groupby("label")[key].mean()
        for state, table in others.items()
    }
    ranked = rankings[rankings["rank"] <= places].merge(
        scored[["query_id", "label", "n_relevant"]], on="query_id"
    )
    found = ranked[ranked["relevant"]].groupby("label").size()
    findable = scored["n_relevant"].clip(upper=places).groupby(scored["label"]).sum()
    wrong = ranked[~ranked["relevant"] & (ranked["rank"] <= ranked["n_relevant"])]
    wrong = wrong.assign(other=wrong["gallery_id"].map(gallery_labels))
    of_label = dict(iter(wrong.groupby("label")))
    in_gallery = Counter(gallery_labels.values())
    # Within a category or without the query's own camera it is less than the gallery.
    ranked_by = scored.groupby("label")["n_gallery"].mean()
    rows = []
    for label, value, _, queries in means.itertuples(index=False):
        mistakes = of_label.get(label, wrong.head(0))
        rows.append(
            ClassScore(
                label,
                queries,
                value,
                {state: float(values[label]) for state, values in elsewhere.items()},
                int(found.get(label, 0)),
                int(findable[label]),
                len(mistakes),
                _confusion(mistakes, in_gallery, float(ranked_by[label])),
            )
        )
    return rows


def _confusion(
    mistakes: pd.DataFrame, in_gallery: Counter[str], n_ranked: float
) -> Confusion | None:
    """Of one class: the `other` that stands out most, in rows of a place and its `query_id`.

    Its queries ranked `n_ranked` gallery images on average.
    """
    counts = mistakes.groupby("other")["query_id"].agg(["size", "nunique"])
    standing_out = [
        Confusion(other, places, queries)
        for other, places, queries in counts.itertuples()
        if queries >= FEWEST_MISTAKEN
        and places * n_ranked > _TIMES_ITS_SHARE * in_gallery[other] * len(mistakes)
    ]
    # Of equally frequent ones the first in order, whatever order the rows came in.
    return min(standing_out, key=lambda other: (-other.places, other.label), default=None)


def classes_in_words(classes: Sequence[ClassScore], places: int) -> str:
    """How many classes find nothing in the first `places` places, and what the median one finds.

    Of those that have something to find; empty where none has.
    """
    shares = [each.found / each.findable for each in classes if each.findable]
    if not shares:
        return ""
    where = f"the first {places} places" if places > 1 else "the first place"
    middle = f"{of_hundred(median(shares))} of each 100 right images that could stand there"
    if len(shares) == 1:
        return f"In {where}, the only class finds {middle}."
    nothing = shares.count(0.0)
    if nothing == len(shares):
        return f"None of the {nothing:,} classes finds anything in {where}."
    if not nothing:
        least = f"Each of the {len(shares):,} classes finds something in {where}"
    else:
        find = "finds" if nothing == 1 else "find"
        least = f"{nothing:,} of {len(shares):,} classes {find} nothing in {where}"
    return f"{least}; the median class finds {middle}."


def pictures_of(shown: Iterable[tuple[str, str]]) -> dict[str, str]:
    """By class, the anchor of its first query on the page.

    Args:
        shown: anchor and class of each query, in the order of the page.
    """
    anchors: dict[str, str] = {}
    for anchor, label in shown:
        anchors.setdefault(label, anchor)
    return anchors
