"""How sure a metric is: percentile bootstrap over queries, or over classes of queries.

Resampling is by weights: a resample that draws a query three times gives it the weight 3. Means and
medians of all resamples are then plain array arithmetic. (Efron and Tibshirani, 1993, chapter 13.)
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lookalike.retrieval.arrays import Values

if TYPE_CHECKING:
    import pandas as pd

Interval = tuple[float, float]
Key = TypeVar("Key", bound=Hashable)

FEWEST_UNITS = 10
"""Queries, or classes, below which there is no interval: drawn again, so few show little of what
others would give. One alone would give an interval without width, a certainty out of nothing."""

# Draws at once: some arrays of so many numbers are in memory together.
_DRAWS_IN_MEMORY = 2**20


@dataclass(frozen=True)
class Difference:
    """A metric of one run minus that of another on the same queries, and its 95 % interval.

    `low` and `high` are None together where there is no interval.
    """

    value: float
    low: float | None
    high: float | None


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

    Returns:
        The interval of each key; empty for fewer than `FEWEST_UNITS` queries or classes.

    """
    if not _enough(values, units):
        return {}
    drawn = _draws(values, resamples, seed, units, medians)
    return {key: percentile_interval(draws) for key, draws in drawn.items()}


def paired_differences(
    first: Mapping[str, ArrayLike] | pd.DataFrame,
    second: Mapping[str, ArrayLike] | pd.DataFrame,
    *,
    resamples: int = 1000,
    seed: int = 0,
    units: Sequence[str] | None = None,
    medians: Collection[str] = (),
) -> dict[str, Difference]:
    """How far two runs differ: each metric of `first` minus that of `second`, on the same queries.

    The interval is that of a paired bootstrap: both runs are resampled with the same draws, so what
    makes a query hard for both cancels out, and the difference is surer than either value. The
    runs differ, for queries like these, where it excludes 0. (Efron and Tibshirani, An
    Introduction to the Bootstrap, 1993, chapter 13: percentile intervals.)

    Args:
        first: per metric its value for each query, numbers [Q], as in the columns of
            per_query.parquet; a mapping, or a data frame of these columns alone.
        second: the same metrics of the other run, for the same queries in the same order.
        resamples: how often the queries are drawn again; 0 gives no intervals.
        seed: equal seeds give equal intervals; the order of the queries counts.
        units: the class of each of the Q queries, to draw whole classes with all their queries;
            None draws single queries.
        medians: metrics of which the median over queries is compared, not the mean.

    Returns:
        The difference for each metric, as float; its interval is None for fewer than
        `FEWEST_UNITS` queries or classes.

    Raises:
        ValueError: the two have not the same metrics, or not the same queries; there is none; a
            value is not finite, as of a query that is not scored.

    """
    columns = [_columns(side) for side in (first, second)]
    if columns[0].keys() != columns[1].keys() or not columns[0]:
        named = [", ".join(map(str, side)) or "none" for side in columns]
        raise ValueError(f"not the same metrics: {named[0]}, and {named[1]}")
    counts = {len(column) for side in columns for column in side.values()}
    if len(counts) > 1:
        raise ValueError(f"{' and '.join(map(str, sorted(counts)))} queries cannot be paired")
    rows, other_rows = (getattr(side, "index", None) for side in (first, second))
    if rows is not None and other_rows is not None and not rows.equals(other_rows):
        raise ValueError("the rows of the two are not the same queries in the same order")
    n_queries = counts.pop()
    if n_queries == 0:
        raise ValueError("there are no queries to compare")
    if units is not None and len(units) != n_queries:
        raise ValueError(f"units: the classes of {len(units)} queries, where there are {n_queries}")
    one, other = columns
    sides = {("first", key): column for key, column in one.items()}
    sides |= {("second", key): column for key, column in other.items()}
    of_median = {(side, key) for side in ("first", "second") for key in medians}
    drawn: dict[tuple[str, str], Values] = {}
    if resamples and _enough(one, units):
        drawn = _draws(sides, resamples, seed, units, of_median)
    differences = {}
    for key in one:
        statistic = np.median if key in medians else np.mean
        value = float(statistic(one[key]) - statistic(other[key]))
        low = high = None
        if drawn:
            low, high = percentile_interval(drawn["first", key] - drawn["second", key])
        differences[key] = Difference(value, low, high)
    return differences


def _columns(side: Mapping[str, ArrayLike] | pd.DataFrame) -> dict[str, Values]:
    columns = {str(key): np.asarray(column, np.float64) for key, column in side.items()}
    for key, column in columns.items():
        if column.ndim != 1:
            raise ValueError(f"{key}: one value a query is needed, not an array {column.shape}")
        if not np.isfinite(column).all():
            raise ValueError(f"{key}: NaN or infinity; leave queries that are not scored out")
    return columns


def _enough(values: Mapping[str, Values], units: Sequence[str] | None) -> bool:
    """Whether there are queries, or classes, enough for an interval."""
    n_units = len(next(iter(values.values()))) if units is None else len(set(units))
    return n_units >= FEWEST_UNITS


def _draws(
    values: Mapping[Key, Values],
    resamples: int,
    seed: int,
    units: Sequence[str] | None,
    medians: Collection[Key],
) -> dict[Key, Values]:
    """Each metric in every resample, float64 [resamples]."""
    n_queries = len(next(iter(values.values())))
    unit_of_query = np.arange(n_queries) if units is None else numbered(units)
    n_units = int(unit_of_query.max()) + 1
    means = [key for key in values if key not in medians]
    # A unit that is drawn brings the sums of its queries.
    sums = np.empty((n_units, len(means) + 1))
    for column, key in enumerate(means):
        sums[:, column] = np.bincount(unit_of_query, values[key], n_units)
    sums[:, -1] = np.bincount(unit_of_query, minlength=n_units)
    # Where queries are many and units few, the queries say how many resamples are laid out at once.
    rows = max(1, _DRAWS_IN_MEMORY // n_queries)

    draws: dict[Key, list[Values]] = {key: [] for key in values}
    for times in resampled_units(n_units, resamples=resamples, seed=seed):
        # einsum, not a matrix product: the bytes must not depend on the number of threads.
        totals = np.einsum("bu,uk->bk", times.astype(np.float64), sums)
        for column, key in enumerate(means):
            draws[key].append(totals[:, column] / totals[:, -1])
        for key in medians:
            for start in range(0, len(times), rows):
                weights = times[start : start + rows, unit_of_query]
                draws[key].append(weighted_median(values[key], weights))
    return {key: np.concatenate(parts) for key, parts in draws.items()}


def numbered(units: Sequence[str]) -> NDArray[np.int64]:
    """A number for each unit's name, in the order of the names, int64 [Q]."""
    # Not an array of texts: there each name would take as much memory as the longest.
    numbers = {name: number for number, name in enumerate(sorted(set(units)))}
    return np.fromiter(map(numbers.__getitem__, units), np.int64, len(units))


def resampled_units(n_units: int, *, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """How often each of U units is drawn when U are drawn with replacement.

    Yields int64 [some, U] until `resamples` rows are out.
    """
    generator = np.random.default_rng(seed)
    rows = max(1, _DRAWS_IN_MEMORY // n_units)
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        drawn = generator.integers(n_units, size=(count, n_units))
        drawn += n_units * np.arange(count)[:, None]
        yield np.bincount(drawn.ravel(), minlength=count * n_units).reshape(count, n_units)


def weighted_median(values: Values, weights: NDArray[np.int64]) -> Values:
    """Median of [Q] with each value repeated by its weight, for weights [B, Q]: float64 [B]."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[:, order], axis=1)
    ordered = values[order]
    medians = np.empty(len(weights))
    for row, row_reached in enumerate(reached):
        total = row_reached[-1]
        lower, upper = np.searchsorted(row_reached, [(total - 1) // 2, total // 2], side="right")
        medians[row] = (ordered[lower] + ordered[upper]) / 2
    return medians


def percentile_interval(draws: Values, confidence: float = 0.95) -> Interval:
    """The middle `confidence` of the draws: linear percentiles, (low, high)."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)
