"""What each retrieval metric means for one query, as a function of its relevant items' ranks.

For a query with R relevant gallery items at the ranks r_1 < ... < r_R (from 1, over the whole
gallery), rel(i) is 1 where the item at rank i is relevant, and P(i) is the share of relevant items
among the first i: P(r_j) = j / r_j. Every function takes `ranks`, int64 [R] ascending with R >= 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Ranks = NDArray[np.int64]


def average_precision_at(ranks: Ranks, k: int) -> float:
    """AP@k = sum over i <= k of P(i) rel(i), divided by min(k, R), the most that k places hold."""
    return _precision_sum(ranks, k) / min(k, len(ranks))


def average_precision_at_over_relevant(ranks: Ranks, k: int) -> float:
    """The sum of AP@k divided by R: at most k / R where R > k."""
    return _precision_sum(ranks, k) / len(ranks)


def average_precision_at_over_hits(ranks: Ranks, k: int) -> float:
    """The sum of AP@k divided by the hits among the first k, 1 at least; misses cost nothing."""
    return _precision_sum(ranks, k) / max(1, _hits(ranks, k))


def average_precision(ranks: Ranks) -> float:
    """AP = mean over all relevant items of P at their rank."""
    return _precision_sum(ranks, int(ranks[-1])) / len(ranks)


def average_precision_at_r(ranks: Ranks) -> float:
    """AP@R = sum over i <= R of P(i) rel(i), divided by R (Musgrave et al., 2020)."""
    return average_precision_at(ranks, len(ranks))


def r_precision(ranks: Ranks) -> float:
    """Share of relevant items among the first R."""
    return _hits(ranks, len(ranks)) / len(ranks)


def precision_at(ranks: Ranks, k: int) -> float:
    """Hits among the first k, divided by k (also where the gallery is smaller)."""
    return _hits(ranks, k) / k


def recall_at(ranks: Ranks, k: int) -> float:
    """Hits among the first k, divided by R."""
    return _hits(ranks, k) / len(ranks)


def cmc_at(ranks: Ranks, k: int) -> float:
    """1 where there is a hit among the first k, else 0 (metric-learning papers: Recall@k)."""
    return float(ranks[0] <= k)


def reciprocal_rank(ranks: Ranks) -> float:
    """1 / rank of the first relevant item."""
    return 1.0 / float(ranks[0])


def first_rank(ranks: Ranks) -> float:
    """Rank of the first relevant item."""
    return float(ranks[0])


def mean_rank_of_all(ranks: Ranks) -> float:
    """Mean rank of all relevant items."""
    return float(np.mean(ranks))


AT_K: dict[str, Callable[[Ranks, int], float]] = {
    "mAP@{k}": average_precision_at,
    "mAP@{k}/R": average_precision_at_over_relevant,
    "mAP@{k}/hits": average_precision_at_over_hits,
    "precision@{k}": precision_at,
    "recall@{k}": recall_at,
    "CMC@{k}": cmc_at,
}
WHOLE: dict[str, Callable[[Ranks], float]] = {
    "mAP": average_precision,
    "mAP@R": average_precision_at_r,
    "R-precision": r_precision,
    "MRR": reciprocal_rank,
    "mean_rank": first_rank,
    "mean_rank_all": mean_rank_of_all,
}
RANK_KEYS = frozenset({"mean_rank", "median_rank", "mean_rank_all"})
"""Metrics in ranks, where less is better; all others lie in 0..1, where more is better."""


def headline_keys(ks: Sequence[int]) -> list[str]:
    """Return the metrics that speak first: mAP at each k, and the mean rank."""
    return [*(f"mAP@{k}" for k in ks), "mean_rank"]


def metric_keys(ks: Sequence[int]) -> list[str]:
    """Every key of metrics.json in its order: the headline, then the rest."""
    headline = headline_keys(ks)
    others = [
        *("median_rank", "mean_rank_all", "mAP", "mAP@R", "R-precision", "MRR"),
        *(name.format(k=k) for name in AT_K if name != "mAP@{k}" for k in ks),
    ]
    return [*headline, *others]


def per_query_metrics(ranks: Ranks, n_gallery: int, ks: Sequence[int]) -> dict[str, float]:
    """Every metric of one query over `n_gallery` items; `median_rank` is there as the first rank.

    A query without a relevant item (R = 0) has 0 everywhere, and n_gallery + 1 for ranks.
    """
    if len(ranks) == 0:
        return {key: n_gallery + 1.0 if key in RANK_KEYS else 0.0 for key in metric_keys(ks)}
    values = {name.format(k=k): metric(ranks, k) for name, metric in AT_K.items() for k in ks}
    values |= {name: metric(ranks) for name, metric in WHOLE.items()}
    values["median_rank"] = values["mean_rank"]
    return {key: values[key] for key in metric_keys(ks)}


def _hits(ranks: Ranks, k: int) -> int:
    return int(np.searchsorted(ranks, k, side="right"))


def _precision_sum(ranks: Ranks, k: int) -> float:
    """Sum over i <= k of P(i) rel(i) = sum over r_j <= k of j / r_j."""
    hits = _hits(ranks, k)
    return float(np.sum(np.arange(1, hits + 1) / ranks[:hits]))
