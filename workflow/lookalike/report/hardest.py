"""Which classes and which queries of a scored run deserve a look."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class ClassScore:
    """A class of queries: its mean of one metric, and the class it is most often mistaken for.

    `wrong` counts the wrong images in places that right ones could have filled; `mistakes` of them
    carry the label `mistaken_for`, which is None where nothing was wrong. `elsewhere` has the mean
    in each other state.
    """

    label: str
    queries: int
    value: float
    elsewhere: Mapping[str, float]
    mistaken_for: str | None
    mistakes: int
    wrong: int


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
    confusions: dict[str, Counter[str]] = {}
    ranked = rankings[rankings["rank"] <= places].merge(
        scored[["query_id", "label", "n_relevant"]], on="query_id"
    )
    wrong = ranked[~ranked["relevant"] & (ranked["rank"] <= ranked["n_relevant"])]
    for label, image in zip(wrong["label"], wrong["gallery_id"], strict=True):
        confusions.setdefault(label, Counter())[gallery_labels[image]] += 1
    rows = []
    for label, value, _, queries in means.itertuples(index=False):
        counts = confusions.get(label, Counter())
        # Of equally frequent labels the first in order, whatever order the rows came in.
        top = min(counts, key=lambda other: (-counts[other], other), default=None)
        mistakes = counts[top] if top is not None else 0
        of_others = {state: float(values[label]) for state, values in elsewhere.items()}
        rows.append(ClassScore(label, queries, value, of_others, top, mistakes, counts.total()))
    return rows


def hardest(per_query: pd.DataFrame, key: str, count: int) -> list[str]:
    """Ids of the `count` queries with the lowest value of metric `key`, the hardest first.

    Among equals the one whose first right image comes later is the harder. A query with nothing
    to find is not hard but void, and left out.
    """
    fair = per_query[per_query["scored"] & (per_query["n_relevant"] > 0)]
    ordered = fair.sort_values([key, "first_rank", "query_id"], ascending=[True, False, True])
    return list(ordered["query_id"].head(count))


def one_a_class(queries: Sequence[str], per_query: pd.DataFrame, count: int) -> list[str]:
    """At most `count` of `queries` in their order, of each class the first alone."""
    labels = per_query.set_index("query_id").loc[list(queries), "label"]
    first = labels[~labels.duplicated()]
    return [str(query) for query in first.index[:count]]


def sample(per_query: pd.DataFrame, count: int, without: Sequence[str] = ()) -> list[str]:
    """Ids of `count` scored queries other than `without`, drawn by the hash of their ids.

    As good as random, yet the same from run to run and little changed when queries come or go.
    """
    left_out = set(without)
    fair = per_query[per_query["scored"] & (per_query["n_relevant"] > 0)]
    ids = (query for query in fair["query_id"] if query not in left_out)
    return sorted(ids, key=lambda query: hashlib.sha256(query.encode()).digest())[:count]
