"""The retrieval metrics: one record each, of which everything else that knows them is made.

A metric is what its function makes of the ranks of a query's relevant items. For a query with R of
them at the ranks r_1 < ... < r_R (from 1, over the whole gallery of G items), rel(i) is 1 where the
item at rank i is relevant, and P(i) is the share of relevant items among the first i:
P(r_j) = j / r_j. Every function takes the `Ranks` of n queries with R >= 1 each and returns
float64 [n]; a query's value does not depend on the others.

To add a metric, add its record to `METRICS`: files, comparison, report and docs follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.retrieval import random_order
from lookalike.retrieval.arrays import Values
from lookalike.retrieval.metric_record import Metric
from lookalike.retrieval.ranks import Ranks


def average_precision_at(ranks: Ranks, k: int) -> Values:
    """AP@k = sum over i <= k of P(i) rel(i), divided by min(k, R), the most that k places hold.

    >>> average_precision_at(Ranks.of_each([[1, 4, 12]]), 10)  # (1/1 + 2/4) / 3
    array([0.5])
    """
    return ranks.precision_sum(k) / np.minimum(k, ranks.counts)


def average_precision_at_over_relevant(ranks: Ranks, k: int) -> Values:
    """The sum of AP@k divided by R: at most k / R where R > k.

    >>> average_precision_at_over_relevant(Ranks.of_each([[1, 2, 3, 4]]), 2)
    array([0.5])
    """
    return ranks.precision_sum(k) / ranks.counts


def average_precision_at_over_hits(ranks: Ranks, k: int) -> Values:
    """The sum of AP@k divided by the hits among the first k, 1 at least; misses cost nothing.

    >>> average_precision_at_over_hits(Ranks.of_each([[1, 4, 12], [11]]), 10)  # (1/1 + 2/4) / 2
    array([0.75, 0.  ])
    """
    return ranks.precision_sum(k) / np.maximum(1, ranks.hits(k))


def average_precision(ranks: Ranks) -> Values:
    """AP = mean over all relevant items of P at their rank.

    >>> average_precision(Ranks.of_each([[1, 4, 12]]))  # (1/1 + 2/4 + 3/12) / 3
    array([0.58333333])
    """
    return ranks.sums(ranks.precisions) / ranks.counts


def average_precision_at_r(ranks: Ranks) -> Values:
    """AP@R = sum over i <= R of P(i) rel(i), divided by R (Musgrave et al., 2020).

    >>> average_precision_at_r(Ranks.of_each([[2, 3]]))  # 1/2 / 2: the second is beyond R = 2
    array([0.25])
    """
    return ranks.sums(np.where(_within_r(ranks), ranks.precisions, 0.0)) / ranks.counts


def r_precision(ranks: Ranks) -> Values:
    """Share of relevant items among the first R.

    >>> r_precision(Ranks.of_each([[2, 3]]))
    array([0.5])
    """
    return ranks.sums(_within_r(ranks)) / ranks.counts


def precision_at(ranks: Ranks, k: int) -> Values:
    """Hits among the first k, divided by k (also where the gallery is smaller).

    >>> precision_at(Ranks.of_each([[1, 4, 12]]), 10)
    array([0.2])
    """
    return ranks.hits(k) / k


def recall_at(ranks: Ranks, k: int) -> Values:
    """Hits among the first k, divided by R.

    >>> recall_at(Ranks.of_each([[1, 12]]), 10)
    array([0.5])
    """
    return ranks.hits(k) / ranks.counts


def cmc_at(ranks: Ranks, k: int) -> Values:
    """1 where there is a hit among the first k, else 0 (metric-learning papers: Recall@k).

    >>> cmc_at(Ranks.of_each([[10, 12], [11]]), 10)
    array([1., 0.])
    """
    return (first_rank(ranks) <= k).astype(np.float64)


def reciprocal_rank(ranks: Ranks) -> Values:
    """1 / rank of the first relevant item.

    >>> reciprocal_rank(Ranks.of_each([[4, 12]]))
    array([0.25])
    """
    return 1.0 / first_rank(ranks)


def first_rank(ranks: Ranks) -> Values:
    """Rank of the first relevant item.

    >>> first_rank(Ranks.of_each([[4, 12]]))
    array([4.])
    """
    return ranks.values[ranks.starts[:-1]].astype(np.float64)


def mean_rank_of_all(ranks: Ranks) -> Values:
    """Mean rank of all relevant items.

    >>> mean_rank_of_all(Ranks.of_each([[4, 12]]))
    array([8.])
    """
    return ranks.sums(ranks.values) / ranks.counts


def _within_r(ranks: Ranks) -> NDArray[np.bool_]:
    """Which relevant items stand among the first R."""
    within: NDArray[np.bool_] = ranks.values <= np.repeat(ranks.counts, ranks.counts)
    return within


_A_RANK: dict[str, Any] = {"less_is_better": True, "in_ranks": True}

METRICS: tuple[Metric, ...] = (
    Metric(
        "mAP@{k}",
        average_precision_at,
        random_order.expected_average_precision_at,
        formula="A(k) / min(k, R)",
        chance_formula="S(G, R, k) / min(k, R)",
        sentence="Average precision in the first {k} places, mean over the queries: 1 when right "
        "images fill them, or all there are come first.",
        sentence_at_1="Share of queries whose first gallery image is right.",
        headline=True,
    ),
    Metric(
        "mean_rank",
        first_rank,
        random_order.expected_first_rank,
        formula="rank of the first relevant item",
        chance_formula="(G + 1) / (R + 1)",
        sentence="Place of the first right image in the whole gallery, mean over the queries: "
        "1 is perfect, less is better.",
        headline=True,
        **_A_RANK,
    ),
    Metric(
        "median_rank",
        first_rank,
        random_order.median_first_rank,
        formula="the median over queries of that rank, not the mean",
        chance_formula="the median of the mixture, over queries, of the first rank's distribution",
        sentence="Place of the first right image, median over the queries: less is better.",
        over_queries="median",
        **_A_RANK,
    ),
    Metric(
        "mean_rank_all",
        mean_rank_of_all,
        random_order.expected_rank_of_all,
        formula="mean rank of all relevant items",
        chance_formula="(G + 1) / 2",
        sentence="Mean place of all right images: less is better.",
        **_A_RANK,
    ),
    Metric(
        "mAP",
        average_precision,
        random_order.expected_average_precision,
        formula="A(G) / R",
        chance_formula="S(G, R, G) / R",
        sentence="Average precision over the whole ranking.",
    ),
    Metric(
        "mAP@R",
        average_precision_at_r,
        random_order.expected_average_precision_at_r,
        formula="A(R) / R",
        chance_formula="S(G, R, R) / R",
        sentence="Average precision in as many places as there are right images.",
    ),
    Metric(
        "R-precision",
        r_precision,
        random_order.expected_r_precision,
        formula="hits in the first R / R",
        chance_formula="R / G",
        sentence="Share of right images in as many places as there are right images.",
    ),
    Metric(
        "MRR",
        reciprocal_rank,
        random_order.expected_reciprocal_rank,
        formula="1 / rank of the first relevant item",
        chance_formula="sum over i of C(G − i, R − 1) / (i C(G, R))",
        sentence="Mean of 1 / place of the first right image.",
    ),
    Metric(
        "mAP@{k}/R",
        average_precision_at_over_relevant,
        random_order.expected_average_precision_at_over_relevant,
        formula="A(k) / R",
        chance_formula="S(G, R, k) / R",
        sentence="The same sum as mAP@{k}, divided by the number of right images in the gallery.",
    ),
    Metric(
        "mAP@{k}/hits",
        average_precision_at_over_hits,
        random_order.expected_average_precision_at_over_hits,
        formula="A(k) / hits in the first k (at least 1)",
        chance_formula="sum over h ≥ 1 of Hypergeometric(h; G, R, n) S(n, h, n) / h",
        sentence="The same sum as mAP@{k}, divided by the right images among the first {k}.",
    ),
    Metric(
        "precision@{k}",
        precision_at,
        random_order.expected_precision_at,
        formula="hits in the first k / k",
        chance_formula="(R / G) (n / k)",
        sentence="Share of the first {k} places that hold right images.",
    ),
    Metric(
        "recall@{k}",
        recall_at,
        random_order.expected_recall_at,
        formula="hits in the first k / R",
        chance_formula="n / G",
        sentence="Share of all right images that stand in the first {k} places.",
    ),
    Metric(
        "CMC@{k}",
        cmc_at,
        random_order.expected_cmc_at,
        formula="1 if there is a hit in the first k, else 0",
        chance_formula="1 − C(G − R, k) / C(G, k)",
        sentence="Share of queries with at least one right image in the first {k} places.",
    ),
)
"""Every metric, in the order of metrics.json; there the headline comes before the others."""


def metrics_at(ks: Sequence[int]) -> dict[str, tuple[Metric, int]]:
    """Every key of metrics.json in its order: its metric, and its cut-off (0 where it has none)."""
    in_order = sorted(METRICS, key=lambda metric: not metric.headline)
    return {key: (metric, k) for metric in in_order for key, k in metric.at(ks).items()}


def headline_keys(ks: Sequence[int]) -> list[str]:
    """Return the metrics that speak first: mAP at each k, and the mean rank."""
    return [key for key, (metric, _) in metrics_at(ks).items() if metric.headline]


def metric_of(key: str) -> tuple[Metric, int] | None:
    """The metric of a key and its cut-off (0 where it has none); None where no metric is so called.

    >>> metric, k = metric_of("mAP@10/R")
    >>> metric.key, k
    ('mAP@{k}/R', 10)
    """
    for metric in METRICS:
        if (k := metric.cut_off(key)) is not None:
            return metric, k
    return None


def is_headline(key: str) -> bool:
    """Whether a key is one of a headline metric."""
    found = metric_of(key)
    return found is not None and found[0].headline


def less_is_better(key: str) -> bool:
    """Whether less is better in the metric of a key; more is better in what is not known here."""
    found = metric_of(key)
    return found is not None and found[0].less_is_better


def in_ranks(key: str) -> bool:
    """Whether the metric of a key is a rank; what is not known here counts as a share."""
    found = metric_of(key)
    return found is not None and found[0].in_ranks


def per_query_metrics(
    ranks: Ranks,
    n_gallery: NDArray[np.int64],
    ks: Sequence[int],
    keys: Sequence[str] | None = None,
) -> dict[str, Values]:
    """Metrics of each query, float64 [n]; of medians, what the median is taken of.

    A query without a relevant item (R = 0) has `Metric.nothing_found`: 0 in shares where more is
    better, n_gallery + 1 in ranks.

    Args:
        ranks: of n queries, of which some may have no relevant item.
        n_gallery: int64 [n], the items that were ranked for each.
        ks: the cut-offs.
        keys: which of those of `metrics_at`; None for all.

    """
    metrics = metrics_at(ks)
    some = ranks.counts > 0
    with_relevant, their_gallery = ranks.of(some), n_gallery[some]
    values: dict[str, Values] = {}
    for key in metrics if keys is None else keys:
        metric, k = metrics[key]
        values[key] = metric.nothing_found(n_gallery)
        values[key][some] = metric.values(with_relevant, their_gallery, k)
    return values
