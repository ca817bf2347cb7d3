"""How sure a metric is: percentile bootstrap over queries, or over classes of queries.

Resampling is by weights: a resample that draws a query three times gives it the weight 3. Means and
medians of all resamples are then plain array arithmetic. (Efron and Tibshirani, 1993, chapter 13.)
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Weights = NDArray[np.float64]
Interval = tuple[float, float]

_WEIGHTS_IN_MEMORY = 2**22


@dataclass(frozen=True)
class Difference:
    """A metric of one run minus that of another on the same queries, and its 95 % interval."""

    value: float
    low: float
    high: float


def bootstrap_intervals(
    values: Mapping[str, Values],
    *,
    resamples: int,
    seed: int,
    units: Sequence[str] | None = None,
    medians: Collection[str] = (),
) -> dict[str, Interval]:
    """95 % percentile intervals of each metric's mean over queries (median for keys in `medians`).

    Args:
        values: per metric a float64 [Q], all in the same order of queries.
        resamples: number of resamples.
        seed: equal seeds give equal intervals; the order of the queries counts.
        units: the class of each of the Q queries, to draw whole classes with all their queries;
            None draws single queries.
        medians: keys whose statistic is the median.

    """
    draws: dict[str, list[Values]] = {key: [] for key in values}
    n_queries = len(next(iter(values.values())))
    for weights in resampled_weights(n_queries, resamples=resamples, seed=seed, units=units):
        for key, column in values.items():
            statistic = weighted_median if key in medians else weighted_mean
            draws[key].append(statistic(column, weights))
    return {key: percentile_interval(np.concatenate(parts)) for key, parts in draws.items()}


def paired_difference(
    first: Values,
    second: Values,
    *,
    resamples: int,
    seed: int,
    units: Sequence[str] | None = None,
    median: bool = False,
) -> Difference:
    """Paired bootstrap of `first` minus `second`, float64 [Q] each, on the same queries in order.

    Both runs are resampled with the same draws, so what makes a query hard for both cancels out.
    The statistic is the mean of each run, or its median.

    Raises:
        ValueError: the two do not have the same number of queries.

    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} queries cannot be paired")
    statistic = weighted_median if median else weighted_mean
    once = np.ones((1, len(first)))
    draws = [
        statistic(first, weights) - statistic(second, weights)
        for weights in resampled_weights(len(first), resamples=resamples, seed=seed, units=units)
    ]
    low, high = percentile_interval(np.concatenate(draws))
    return Difference(float((statistic(first, once) - statistic(second, once))[0]), low, high)


def resampled_weights(
    n_queries: int, *, resamples: int, seed: int, units: Sequence[str] | None = None
) -> Iterator[Weights]:
    """How often each query is drawn, float64 [some, Q] at a time until `resamples` rows are out.

    Of U units (queries, or the distinct classes in sorted order), U are drawn with replacement.
    """
    if units is None:
        unit_of_query = np.arange(n_queries)
    else:
        unit_of_query = np.unique(np.asarray(units), return_inverse=True)[1]
    n_units = int(unit_of_query.max()) + 1
    generator = np.random.default_rng(seed)
    rows = max(1, _WEIGHTS_IN_MEMORY // n_queries)
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        drawn = generator.integers(n_units, size=(count, n_units))
        drawn += n_units * np.arange(count)[:, None]
        times = np.bincount(drawn.ravel(), minlength=count * n_units).reshape(count, n_units)
        yield times[:, unit_of_query].astype(np.float64)


def weighted_mean(values: Values, weights: Weights) -> Values:
    """Mean of [Q] under each row of weights [B, Q]: float64 [B]."""
    # einsum, not a matrix product: the bytes must not depend on the number of threads.
    mean: Values = np.einsum("bq,q->b", weights, values) / weights.sum(axis=1)
    return mean


def weighted_median(values: Values, weights: Weights) -> Values:
    """Median of [Q] with each value repeated by its weight, for weights [B, Q]: float64 [B]."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[:, order], axis=1)
    total = reached[:, -1:]
    lower = np.argmax(reached > (total - 1) // 2, axis=1)
    upper = np.argmax(reached > total // 2, axis=1)
    median: Values = (values[order[lower]] + values[order[upper]]) / 2
    return median


def percentile_interval(draws: Values, confidence: float = 0.95) -> Interval:
    """The middle `confidence` of the draws: linear percentiles, (low, high)."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)
