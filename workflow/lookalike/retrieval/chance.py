"""What each metric is worth by chance: exactly where that is known, else estimated.

Chance is a uniformly random order of the same gallery: of its G items, of which R are relevant,
every set of R places is equally likely.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lookalike.retrieval.arrays import Int64s, Values
from lookalike.retrieval.metric_record import Metric
from lookalike.retrieval.metrics import metrics_at
from lookalike.retrieval.ranks import Ranks

# Random orders that an estimate is made from: of a share, its error is 0.005 at the most.
_SIMULATED = 10_000
# Ranks that are simulated at once.
_RANKS_IN_MEMORY = 2**20


class Chance(NamedTuple):
    """Chance by key of `metrics.metrics_at`, and the standard error of those that are estimates.

    values: of every metric.
    errors: of the metrics whose expectation is not known exactly.
    """

    values: dict[str, float]
    errors: dict[str, float]


def chance(n_gallery: Int64s, n_relevant: Int64s, ks: Sequence[int]) -> Chance:
    """Chance value of every metric over Q queries.

    Args:
        n_gallery: int64 [Q], G of each query, after exclusion.
        n_relevant: int64 [Q], R of each query; where it is 0 the query counts as in
            `metrics.per_query_metrics`.
        ks: the cut-offs.

    """
    pairs, counts = np.unique(np.stack([n_gallery, n_relevant], axis=1), axis=0, return_counts=True)
    values, errors = {}, {}
    for key, (metric, k) in metrics_at(ks).items():
        if metric.chance is None:
            values[key], errors[key] = simulated(metric, k, pairs, counts)
        elif metric.over_queries == "median":
            values[key] = metric.chance(pairs[:, 0], pairs[:, 1], counts)
        else:
            of_pairs = np.array([metric.expectation(int(g), int(r), k) for g, r in pairs])
            values[key] = float(np.sum(counts * of_pairs) / counts.sum())
    return Chance(values, errors)


def simulated(metric: Metric, k: int, pairs: Int64s, counts: Int64s) -> tuple[float, float]:
    """Chance of a metric as seen in random orders, and its standard error; always the same draws.

    Args:
        metric: whose chance is not known exactly.
        k: its cut-off, if it has one.
        pairs: int64 [P, 2], G and R.
        counts: int64 [P], how many queries have them.

    """
    generator = np.random.default_rng(0)
    drawn = pairs[generator.choice(len(pairs), _SIMULATED, p=counts / counts.sum())]
    n_gallery, n_relevant = drawn.T
    values = metric.nothing_found(n_gallery)
    some = np.flatnonzero(n_relevant)
    pieces = np.cumsum(n_relevant[some]) // _RANKS_IN_MEMORY
    for piece in np.split(some, np.flatnonzero(np.diff(pieces)) + 1):
        if len(piece) == 0:
            continue
        orders = [
            np.sort(generator.choice(g, r, replace=False, shuffle=False)) + 1
            for g, r in drawn[piece].tolist()
        ]
        values[piece] = metric.values(Ranks.of_each(orders), n_gallery[piece], k)
    if metric.over_queries == "median":
        return float(np.median(values)), _error_of_median(values)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def _error_of_median(values: Values) -> float:
    """Half the distance between the values one standard deviation of the rank around the middle."""
    half, step = len(values) / 2, np.sqrt(len(values)) / 2
    low, high = np.sort(values)[[int(half - step), int(half + step)]]
    return float(high - low) / 2
