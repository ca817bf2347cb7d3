"""What each retrieval metric means, as a function of the ranks of the relevant items.

For a query with R relevant gallery items at the ranks r_1 < ... < r_R (from 1, over the whole
gallery), rel(i) is 1 where the item at rank i is relevant, and P(i) is the share of relevant items
among the first i: P(r_j) = j / r_j. Every function takes the `Ranks` of n queries with R >= 1 each
and returns float64 [n]; a query's value does not depend on the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Ranks:
    """Ranks of the relevant items of n queries, one query after the other.

    Attributes:
        values: integers, ascending for each query, from 1.
        starts: int64 [n + 1]; the ranks of query i are at starts[i]:starts[i + 1].

    """

    values: NDArray[np.integer]
    starts: NDArray[np.int64]

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """R of each query, int64 [n]."""
        return np.diff(self.starts)

    @cached_property
    def precisions(self) -> Values:
        """P at the rank of each relevant item, float64 [sum of R]."""
        ordinal = np.arange(len(self.values)) - np.repeat(self.starts[:-1], self.counts) + 1
        precision: Values = ordinal / self.values
        return precision

    @cached_property
    def _at(self) -> dict[tuple[str, int], Values]:
        return {}

    def hits(self, k: int) -> Values:
        """How many relevant items are among the first k, float64 [n]."""
        if ("hits", k) not in self._at:
            self._at["hits", k] = self.sums(self.values <= k)
        return self._at["hits", k]

    def precision_sum(self, k: int) -> Values:
        """Sum over i <= k of P(i) rel(i) = sum over r_j <= k of j / r_j, float64 [n]."""
        if ("precision", k) not in self._at:
            self._at["precision", k] = self.sums(np.where(self.values <= k, self.precisions, 0.0))
        return self._at["precision", k]

    def sums(self, per_item: NDArray[np.generic]) -> Values:
        """Sum over each query's relevant items, float64 [n]."""
        total: Values = np.add.reduceat(per_item, self.starts[:-1], dtype=np.float64)
        return total

    def of(self, chosen: NDArray[np.bool_]) -> Ranks:
        """The ranks of some of the queries, bool [n]."""
        counts = self.counts[chosen]
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Ranks(self.values[np.repeat(chosen, self.counts)], starts)


def average_precision_at(ranks: Ranks, k: int) -> Values:
    """AP@k = sum over i <= k of P(i) rel(i), divided by min(k, R), the most that k places hold."""
    return ranks.precision_sum(k) / np.minimum(k, ranks.counts)


def average_precision_at_over_relevant(ranks: Ranks, k: int) -> Values:
    """The sum of AP@k divided by R: at most k / R where R > k."""
    return ranks.precision_sum(k) / ranks.counts


def average_precision_at_over_hits(ranks: Ranks, k: int) -> Values:
    """The sum of AP@k divided by the hits among the first k, 1 at least; misses cost nothing."""
    return ranks.precision_sum(k) / np.maximum(1, ranks.hits(k))


def average_precision(ranks: Ranks) -> Values:
    """AP = mean over all relevant items of P at their rank."""
    return ranks.sums(ranks.precisions) / ranks.counts


def average_precision_at_r(ranks: Ranks) -> Values:
    """AP@R = sum over i <= R of P(i) rel(i), divided by R (Musgrave et al., 2020)."""
    return ranks.sums(np.where(_within_r(ranks), ranks.precisions, 0.0)) / ranks.counts


def r_precision(ranks: Ranks) -> Values:
    """Share of relevant items among the first R."""
    return ranks.sums(_within_r(ranks)) / ranks.counts


def precision_at(ranks: Ranks, k: int) -> Values:
    """Hits among the first k, divided by k (also where the gallery is smaller)."""
    return ranks.hits(k) / k


def recall_at(ranks: Ranks, k: int) -> Values:
    """Hits among the first k, divided by R."""
    return ranks.hits(k) / ranks.counts


def cmc_at(ranks: Ranks, k: int) -> Values:
    """1 where there is a hit among the first k, else 0 (metric-learning papers: Recall@k)."""
    return (first_rank(ranks) <= k).astype(np.float64)


def reciprocal_rank(ranks: Ranks) -> Values:
    """1 / rank of the first relevant item."""
    return 1.0 / first_rank(ranks)


def first_rank(ranks: Ranks) -> Values:
    """Rank of the first relevant item."""
    return ranks.values[ranks.starts[:-1]].astype(np.float64)


def mean_rank_of_all(ranks: Ranks) -> Values:
    """Mean rank of all relevant items."""
    return ranks.sums(ranks.values) / ranks.counts


AT_K: dict[str, Callable[[Ranks, int], Values]] = {
    "mAP@{k}": average_precision_at,
    "mAP@{k}/R": average_precision_at_over_relevant,
    "mAP@{k}/hits": average_precision_at_over_hits,
    "precision@{k}": precision_at,
    "recall@{k}": recall_at,
    "CMC@{k}": cmc_at,
}
WHOLE: dict[str, Callable[[Ranks], Values]] = {
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


def per_query_metrics(
    ranks: Ranks,
    n_gallery: NDArray[np.int64],
    ks: Sequence[int],
    keys: Sequence[str] | None = None,
) -> dict[str, Values]:
    """Metrics of each query, float64 [n]; `median_rank` is there as the first rank.

    A query without a relevant item (R = 0) has 0 everywhere, and n_gallery + 1 for ranks.

    Args:
        ranks: of n queries, of which some may have no relevant item.
        n_gallery: int64 [n], the items that were ranked for each.
        ks: the cut-offs.
        keys: which of `metric_keys`; None for all.

    """
    metrics: dict[str, Callable[[Ranks], Values]] = {
        **{name.format(k=k): _at(metric, k) for name, metric in AT_K.items() for k in ks},
        **WHOLE,
        "median_rank": first_rank,
    }
    some = ranks.counts > 0
    with_relevant = ranks.of(some)
    values: dict[str, Values] = {}
    for key in metric_keys(ks) if keys is None else keys:
        values[key] = np.where(key in RANK_KEYS, n_gallery + 1.0, 0.0)
        values[key][some] = metrics[key](with_relevant)
    return values


def _at(metric: Callable[[Ranks, int], Values], k: int) -> Callable[[Ranks], Values]:
    return lambda ranks: metric(ranks, k)


def _within_r(ranks: Ranks) -> NDArray[np.bool_]:
    """Which relevant items stand among the first R."""
    within: NDArray[np.bool_] = ranks.values <= np.repeat(ranks.counts, ranks.counts)
    return within
